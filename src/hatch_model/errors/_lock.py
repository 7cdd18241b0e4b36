"""Errors in a lock, and in what was installed from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.requirements import Requirement

_MOST_DIFFERENCES = 5


class LockError(HatchModelError):
    """A lock cannot be used. *path* is relative to the project root."""

    def __init__(self, path: str, *data: object) -> None:
        super().__init__(path, *data)
        self.path = path


class LockMissingError(LockError):
    def __init__(self, key: str, path: str, renewal: str) -> None:
        super().__init__(path, key, renewal)
        self.key = key
        self.renewal = renewal

    def __str__(self) -> str:
        return (
            f"{self.key} is `{self.path}`, but there is no such file. Write the lock: "
            f"`{self.renewal}`; or take the key out."
        )


class MalformedLockError(LockError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.path}` cannot be read as a lock: {self.reason}. Write it anew."


class LockedLineError(LockError):
    def __init__(self, path: str, number: int, line: str) -> None:
        super().__init__(path, number, line)
        self.number = number
        self.line = line

    def __str__(self) -> str:
        return (
            f"`{self.path}`, line {self.number}: `{self.line}` is no exact version. A requirements "
            f"file is a lock only if each line reads `name==version`, with a marker and hashes as "
            f"need be, and without options, as `uv export --no-emit-project` writes it."
        )


class LockReaderMissingError(LockError):
    def __str__(self) -> str:
        return (
            f"reading `{self.path}` takes packaging 26.0 or newer, but this environment holds an "
            f"older one. Add `hatch-model[lock]` to build-system.requires; where the lock itself "
            f"holds an older packaging, raise it there, or lock with a requirements file."
        )


class UvNotFoundError(LockError):
    def __str__(self) -> str:
        return (
            f"reading `{self.path}` takes uv, which is not on PATH. Install uv, or lock in a format "
            f"that needs none: `uv export --format pylock.toml --no-emit-project --output-file "
            f"pylock.toml`, and name that file instead."
        )


class UvExportError(LockError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"uv cannot export `{self.path}`. It says:\n{self.reason}\nRun `uv lock`, or use the "
            f"version of uv that wrote it."
        )


class LockCoverageError(LockError):
    """The lock itself says that it is not meant for this environment."""

    def __init__(self, path: str, renewal: str, coverage: str, markers: Mapping[str, str]) -> None:
        super().__init__(path, renewal, coverage, markers)
        self.renewal = renewal
        self.coverage = coverage
        self.markers = markers

    def __str__(self) -> str:
        return (
            f"`{self.path}` is for {self.coverage}, but this is Python "
            f"{self.markers['python_full_version']} on {self.markers['sys_platform']}. Build where "
            f"the lock is for, or widen what it is for and renew it: `{self.renewal}`."
        )


class LockedPathMissingError(LockError):
    """The lock takes a package from a folder or archive that is not there."""

    def __init__(self, path: str, name: str, reference: str) -> None:
        super().__init__(path, name, reference)
        self.name = name
        self.reference = reference

    def __str__(self) -> str:
        return (
            f"`{self.path}` takes {self.name} from {self.reference}, where there is nothing. What "
            f"lies outside of the project does not travel in its sdist: build the wheel from the "
            f"source tree (`uv build --wheel`), or lock {self.name} from an index or a repository."
        )


class UnknownLockedVersionError(LockError):
    """A version is to be pinned that neither the lock nor this environment knows."""

    def __init__(self, path: str, name: str, reference: str, key: str) -> None:
        super().__init__(path, name, reference, key)
        self.name = name
        self.reference = reference
        self.key = key

    def __str__(self) -> str:
        return (
            f"`{self.path}` holds {self.name}, for other platforms than this, from "
            f"{self.reference} without a version, so none can be pinned. Give {self.name} a version "
            f'that is not dynamic, or set {self.key}.direct-references to "url".'
        )


class OutdatedLockError(LockError):
    """The lock no longer satisfies what the project requires."""

    def __init__(
        self,
        path: str,
        renewal: str,
        requirement: Requirement,
        required_by: str,
        locked: Sequence[str],
    ) -> None:
        super().__init__(path, renewal, requirement, required_by, locked)
        self.renewal = renewal
        self.requirement = requirement
        self.required_by = required_by
        self.locked = locked

    def __str__(self) -> str:
        held = f"holds {' and '.join(self.locked)}" if self.locked else "does not hold it"
        return (
            f"`{self.path}` is older than the requirements: {self.required_by} asks for "
            f"`{self.requirement}`, and the lock {held}. Renew it: `{self.renewal}`."
        )


class LockDriftError(LockError):
    """The environment is not the one that is locked."""

    def __init__(self, path: str, differences: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(path, differences)
        self.differences = differences
        """Names, each with what is locked and what was found ("": it is not installed)."""

    def __str__(self) -> str:
        lines = [
            f"\n  {name}: locked {locked}, found {found or 'nothing'}"
            for name, locked, found in self.differences[:_MOST_DIFFERENCES]
        ]
        more = len(self.differences) - _MOST_DIFFERENCES
        rest = f"\n  and {more} more" if more > 0 else ""
        return (
            f"the training environment is not what `{self.path}` says:{''.join(lines)}{rest}\n"
            f"Build with isolation, so that the frontend installs it, or install the lock first."
        )


class ArchiveMismatchError(LockError):
    def __init__(self, path: str, name: str, found: str) -> None:
        super().__init__(path, name, found)
        self.name = name
        self.found = found

    def __str__(self) -> str:
        return (
            f"{self.name} was installed from an archive with {self.found}, which is none of those "
            f"that `{self.path}` allows. Install what is locked."
        )
