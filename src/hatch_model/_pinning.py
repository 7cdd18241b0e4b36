"""Which pins a wheel gets, and what is installed for training: with a lock, or from what is there."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_model._environment import (
    InstalledEnvironment,
    declared_lines,
    marker_environment,
    narrowed,
    only_minor,
    pin,
    unsupported_pythons,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.specifiers import SpecifierSet

    from hatch_model._environment import Pins
    from hatch_model._lock import Lock
    from hatch_model._settings import ModelSettings, TrainingSettings


def pins_of(
    model: ModelSettings,
    training: TrainingSettings,
    root: str,
    project: str,
    path: Sequence[str] | None = None,
) -> Pins:
    """Pin what the *model* needs to what is installed on *path* (default: ``sys.path``).

    With a lock, raises a LockError unless that is what the lock says.
    """
    environment, markers = InstalledEnvironment(path), marker_environment()
    name = canonicalize_name(project)
    if training.lock is None:
        return pin(model.roots, environment, model.policy, project=name, markers=markers)
    from hatch_model._lock import pin_locked  # noqa: PLC0415 - only for this option

    return pin_locked(
        model.roots,
        training.groups,
        environment,
        _lock_of(model, training, training.lock, root, project),
        model.policy,
        project=name,
        markers=markers,
    )


def training_requirements(
    model: ModelSettings, training: TrainingSettings, root: str, project: str
) -> list[str]:
    """Give what a frontend has to install before training.

    Raises a LockError for a lock that cannot be used or does not satisfy what is asked for.
    """
    roots = (*model.roots, *training.groups)
    if training.lock is None:
        return declared_lines(roots)
    from hatch_model._lock import (  # noqa: PLC0415 - only for this option
        check_installable,
        check_up_to_date,
    )

    markers = marker_environment()
    lock = _lock_of(model, training, training.lock, root, project)
    check_up_to_date(lock, roots, markers, project=canonicalize_name(project))
    check_installable(lock, markers)
    return lock.requirements(markers)


def _lock_of(
    model: ModelSettings, training: TrainingSettings, path: PurePosixPath, root: str, project: str
) -> Lock:
    return _read_lock(
        path,
        Path(root),
        key=f"{training.key}.lock",
        project=canonicalize_name(project),
        groups=training.group_names,
        model_group=model.group,
    )


@lru_cache  # Reading a uv.lock starts uv, and one build asks for it several times.
def _read_lock(path: PurePosixPath, root: Path, **options: Any) -> Lock:
    from hatch_model._lock import read_lock  # noqa: PLC0415 - only for this option

    return read_lock(path, root, **options)


def supported_pythons(model: ModelSettings, claimed: SpecifierSet, pins: Pins) -> SpecifierSet:
    """Narrow *claimed* to the Pythons that a wheel with *pins* can be installed on."""
    markers = marker_environment()
    if model.python == "minor":
        claimed = only_minor(claimed, markers)
    return narrowed(claimed, unsupported_pythons(claimed, pins.closure, markers), markers)


def unsupported_pythons_warning(model: ModelSettings, claimed: SpecifierSet, pins: Pins) -> str:
    """Say which Pythons are *claimed* that a wheel with *pins* cannot be installed on; "" for none."""
    markers = marker_environment()
    if model.python == "minor":
        claimed = only_minor(claimed, markers)
    unsupported = unsupported_pythons(claimed, pins.closure, markers)
    if not unsupported:
        return ""
    is_claimed = f'is "{claimed}"' if claimed else "is not set"
    problems = "".join(f"\n  {each.name} {each.version} {each.reason}" for each in unsupported)
    return (
        f"project.requires-python {is_claimed}, which claims Pythons that the wheel cannot be "
        f"installed on:{problems}\nWhat it can be installed on is "
        f'"{narrowed(claimed, unsupported, markers)}".'
    )
