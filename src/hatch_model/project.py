"""The project that is built, as passed to every step of a build.

A build first requests its requirements in a separate process. Modules that this does not need are
imported where they are used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from hatch_model.errors import HatchModelError, printable
from hatch_model.phase import called_by_uv, is_unpacked_sdist
from hatch_model.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatchling.builders.plugin.interface import BuilderInterface
    from hatchling.metadata.core import ProjectMetadata
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from hatch_model.digests import File
    from hatch_model.installed import Distribution, Environment
    from hatch_model.lock import Lock
    from hatch_model.log import Log
    from hatch_model.pins import Pins
    from hatch_model.settings import ModelSettings, TrainingSettings
    from hatch_model.tables import Root
    from hatch_model.workspace import TemporaryFolder, Workspace

CARRIED_FILE = ".hatch-model.json"
"""At the top of an sdist: ``git``, the commit or null, and ``record`` if it has a model."""
_SBOM = ("cyclonedx-python-lib>=8", "hatchling>=1.28")
_STORE = ("platformdirs>=3",)

_LAST_SECOND = 4354819199  # of 2107, after which ZIP archives have no times


def check_source_date_epoch() -> None:
    """Raise HatchModelError for a SOURCE_DATE_EPOCH that no file in an archive can have."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_SECOND))
    if not is_number or int(text) > _LAST_SECOND:
        raise HatchModelError(
            f"SOURCE_DATE_EPOCH is `{printable(text)}`, but it has to be a number of seconds since "
            f"1970, and at most {_LAST_SECOND}, the end of 2107."
        )


# The metadata hook and the build hook of one build share only this.
_pins: WeakKeyDictionary[ProjectMetadata[Any], Pins] = WeakKeyDictionary()


@dataclass(kw_only=True)
class Project:
    """A model project with hatchling's *builder* for it, in the running build."""

    builder: BuilderInterface[Any, Any]
    model: ModelSettings
    training: TrainingSettings
    log: Log
    _temporary: TemporaryFolder | None = field(default=None, init=False)

    @classmethod
    def read(cls, builder: BuilderInterface[Any, Any], log: Log) -> Project:
        """Read the project's settings. Raises SettingsError and HatchModelError."""
        check_source_date_epoch()
        settings = read_settings(builder.metadata, needs_training=True)
        assert settings.training is not None  # noqa: S101 - needs_training
        return cls(builder=builder, model=settings.model, training=settings.training, log=log)

    @property
    def root(self) -> Path:
        return Path(self.builder.root)

    @property
    def metadata(self) -> ProjectMetadata[Any]:
        return self.builder.metadata

    @property
    def name(self) -> NormalizedName:
        return _name_of(self.metadata)

    @cached_property
    def workspace(self) -> Workspace:
        """A folder for this build, which is also where hatchling puts its temporary files."""
        from hatch_model.workspace import TemporaryFolder, Workspace  # noqa: PLC0415 - not for requirements

        try:
            workspace = Workspace()
        except OSError as error:
            raise HatchModelError(f"there is no temporary folder to build in: {error}") from error
        self._temporary = TemporaryFolder(workspace.path)
        return workspace

    def close(self) -> None:
        """Remove the workspace, if there is one."""
        if "workspace" in self.__dict__:
            if self._temporary is not None:
                self._temporary.close()
            self.workspace.close()
            del self.__dict__["workspace"]

    # Build requirements

    def requirements(self) -> list[str]:
        """Return what a frontend has to install before training.

        Raises HatchModelError for a lock that is unusable or does not satisfy the requirements.
        """
        roots = (*self.model.roots, *self.training.groups)
        tools = self.tool_requirements()
        lock, is_uv = self._lock(), called_by_uv()
        if lock is None:
            return [*self.requirements_of(roots), *tools]
        from hatch_model.installed import InstalledEnvironment  # noqa: PLC0415 - only with a lock
        from hatch_model.locked_pins import (  # noqa: PLC0415 - as above
            check_beside_build_tools,
            check_up_to_date,
        )
        from hatch_model.pins import marker_environment  # noqa: PLC0415 - as above
        from hatch_model.uv import uv_project  # noqa: PLC0415 - as above

        uv, markers = uv_project(self.root), marker_environment()
        check_up_to_date(lock, roots, markers, project=self.name)
        check_beside_build_tools(lock, InstalledEnvironment(), markers)
        by_name = uv.by_name(roots) if is_uv and uv.sources else {}
        return [*lock.requirements(markers, by_name if is_uv else None), *tools]

    def requirements_of(self, roots: Sequence[Root]) -> list[str]:
        """Return what a frontend has to install for *roots*, without a lock."""
        if called_by_uv():
            return [root.text for root in roots]
        from hatch_model.uv import uv_project  # noqa: PLC0415 - not needed above

        return uv_project(self.root).with_addresses(roots)

    def tool_requirements(self) -> list[str]:
        """Return what the enabled options need in addition to hatch-model's own dependencies."""
        return [each for requirements in self._tools().values() for each in requirements]

    def check_tools(self, environment: Environment) -> None:
        """Check that *environment* has what the enabled options need."""
        from packaging.requirements import Requirement  # noqa: PLC0415 - not for requirements
        from packaging.utils import canonicalize_name  # noqa: PLC0415 - not for requirements

        for option, requirements in self._tools().items():
            for requirement in map(Requirement, requirements):
                found = environment.find(canonicalize_name(requirement.name))
                if found is None or not requirement.specifier.contains(
                    found.version, prereleases=True
                ):
                    raise HatchModelError(
                        f"`{option}` requires {' and '.join(requirements)}. Build with isolation, "
                        f"so that the frontend installs it, or install it first."
                    )

    def _tools(self) -> Mapping[str, tuple[str, ...]]:
        """Return the packages that only some options need, for those that are enabled."""
        options: dict[str, tuple[str, ...]] = {}
        if self.training.sbom:
            options["sbom = true"] = _SBOM
        if self.training.is_reusable:
            options["inputs"] = _STORE
        if self.training.parallel is not None and self.training.parallel.requirements:
            parallel = self.training.parallel
            options[f'parallel.backend = "{parallel.backend}"'] = parallel.requirements
        return options

    def check_origins(self, distributions: Iterable[Distribution]) -> None:
        """Check that none of *distributions* is from an index if uv's settings say otherwise."""
        root, tool = self.root, self.metadata.config.get("tool", {})
        around = any((folder / "pyproject.toml").is_file() for folder in root.parents)
        if "uv" in tool or around or is_unpacked_sdist(root):
            from hatch_model.uv import check_origins, uv_project  # noqa: PLC0415 - rarely needed

            check_origins(uv_project(root), distributions)

    # Pins

    def pins(self) -> Pins:
        """Return what the wheel will require: computed once per build, before training."""
        return pins_before_training(self.metadata, self.model, self.training)

    def pins_on(self, path: Sequence[str] | None) -> Pins:
        """Pin the model's dependencies to the versions installed on *path* (default: ``sys.path``).

        With a lock, raises HatchModelError unless they match the lock.
        """
        return _pins_on(self.metadata, self.model, self.training, path)

    def _lock(self) -> Lock | None:
        return _lock_of(self.metadata, self.model, self.training)

    def lock_digest(self) -> File | None:
        """Return the digest of the lock; None if the project has none."""
        training = self.training
        if training.lock is None:
            return None
        from hatch_model.lock import digest_of_lock  # noqa: PLC0415 - only with a lock
        from hatch_model.uv import uv_project  # noqa: PLC0415 - as above

        return digest_of_lock(
            training.lock,
            uv_project(self.root),
            key=f"{training.key}.lock",
            groups=training.group_names,
        )


def _name_of(metadata: ProjectMetadata[Any]) -> NormalizedName:
    return cast("NormalizedName", metadata.name)  # hatchling normalizes it


def pins_before_training(
    metadata: ProjectMetadata[Any], model: ModelSettings, training: TrainingSettings
) -> Pins:
    """Return the pins of the project of *metadata*, computed once for each metadata object."""
    if metadata not in _pins:
        _pins[metadata] = _pins_on(metadata, model, training, None)
    return _pins[metadata]


def _pins_on(
    metadata: ProjectMetadata[Any],
    model: ModelSettings,
    training: TrainingSettings,
    path: Sequence[str] | None,
) -> Pins:
    from hatch_model.installed import InstalledEnvironment  # noqa: PLC0415 - not for requirements
    from hatch_model.pins import marker_environment, pin  # noqa: PLC0415 - not for requirements

    environment, markers = InstalledEnvironment(path), marker_environment()
    name = _name_of(metadata)
    lock = _lock_of(metadata, model, training)
    if lock is None:
        return pin(model.roots, environment, model.policy, project=name, markers=markers)
    from hatch_model.locked_pins import pin_locked  # noqa: PLC0415 - only with a lock

    return pin_locked(
        model.roots,
        training.groups,
        environment,
        lock,
        model.policy,
        project=name,
        markers=markers,
        claimed=_claimed(metadata, model),
    )


def _claimed(metadata: ProjectMetadata[Any], model: ModelSettings) -> SpecifierSet:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - as above

    if model.requires_python:
        return SpecifierSet(model.requires_python)
    try:
        return SpecifierSet(metadata.config["project"].get("requires-python", ""))
    except (InvalidSpecifier, TypeError, AttributeError):
        return SpecifierSet()  # hatchling refuses it


def _lock_of(
    metadata: ProjectMetadata[Any], model: ModelSettings, training: TrainingSettings
) -> Lock | None:
    if training.lock is None:
        return None
    return _read_lock(
        training.lock,
        Path(metadata.root),
        key=f"{training.key}.lock",
        project=_name_of(metadata),
        groups=training.group_names,
        model_group=model.group,
    )


@lru_cache  # Reading a uv.lock starts uv, and one build needs it several times.
def _read_lock(*arguments: Any, **options: Any) -> Lock:
    from hatch_model.lock import read_lock  # noqa: PLC0415 - only with a lock

    return read_lock(*arguments, **options)
