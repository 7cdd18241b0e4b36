"""Errors in a lock, and in what was installed from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.requirements import Requirement

_MOST_DIFFERENCES = 5


class LockError(HatchModelError):
    """A lock cannot be used. *path* is relative to the project root."""

    def __init__(self, path: str, *data: object) -> None:
        super().__init__(path, *data)
        self.path = path


class LockMissingError(LockError):
    def __init__(self, key: str, path: str) -> None:
        super().__init__(path, key)
        self.key = key

    def __str__(self) -> str:
        return (
            f"{self.key} is `{self.path}`, but there is no such file. Write the lock (README: "
            f"Locking), or take the key out."
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
            f"need be, and without options: let `uv pip compile` or pip-compile write it."
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

    def __init__(self, path: str, differences: Sequence[tuple[str, str, str | None]]) -> None:
        super().__init__(path, differences)
        self.differences = differences
        """Names, each with the locked and the found version (None: not installed)."""

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
