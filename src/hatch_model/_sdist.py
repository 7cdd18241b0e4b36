"""What an sdist takes along beside its own list of files, for wheels that are built from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model._carried import SDIST_BOM, SDIST_FILE, Carried, write_carried
from hatch_model._git import commit_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_model._settings import TrainingSettings
    from hatch_model._trained_sdist import PackedModel


def include_in_sdist(
    training: TrainingSettings,
    root: Path,
    packed: PackedModel | None,
    build_data: dict[str, Any],
    folder: Callable[[], Path],
) -> None:
    """Have hatchling include the lock, the commit and, if there is one, the model.

    *folder* gives one for files on their way there. Raises LockMissingError.
    """
    include = build_data["force_include"]
    if training.lock is not None:
        from hatch_model._lock import find_lock  # noqa: PLC0415 - only for this option

        key = f"{training.key}.lock"
        lock = find_lock(training.lock, root, key=key, groups=training.group_names)
        include[str(lock)] = str(Path(training.lock))
    if packed is not None:
        include.update({str(file): str(Path(place)) for place, file in packed.artifacts.items()})
        if packed.bom is not None:
            include[str(packed.bom)] = SDIST_BOM
    commit = commit_of(root)
    if commit is not None or packed is not None:
        carried = Carried(commit=commit, record=packed.record if packed else None)
        include[str(write_carried(carried, folder()))] = SDIST_FILE
