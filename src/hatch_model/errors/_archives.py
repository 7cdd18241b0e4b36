"""Errors in writing the files of a model into an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from pathlib import Path


class FileChangedError(HatchModelError):
    """*change* is what happened to the file, as in "has grown"."""

    def __init__(self, source: Path, change: str) -> None:
        super().__init__(source, change)
        self.source = source
        self.change = change

    def __str__(self) -> str:
        return (
            f"{self.source} {self.change} while it was packaged, so no archive was written. Have "
            f"training wait for everything that it started and close its files before it returns, "
            f"and build again."
        )


class UnreadableFileError(HatchModelError):
    def __init__(self, source: Path, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source} is to be packaged, and cannot be read: {self.reason}"


class DuplicateFileError(HatchModelError):
    def __init__(self, path: str, archive: str) -> None:
        super().__init__(path, archive)
        self.path = path
        self.archive = archive

    def __str__(self) -> str:
        return (
            f"a second file is being added to {self.archive} at the same path: {self.path}. "
            f"Something else ships a file there, most likely a `force-include` or `shared-data` "
            f"table: take it out, or have training write under another name."
        )


class ReservedPathError(HatchModelError):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path} cannot be a file of the model: installers take what is below "
            f"{self.path.partition('/')[0]} for something else. Choose another `artifacts` folder."
        )


class ArchiveNotWrittenError(HatchModelError):
    """*needed* is a size for people, such as "3.0 GiB"."""

    def __init__(self, target: Path, needed: str, reason: str) -> None:
        super().__init__(target, needed, reason)
        self.target = target
        self.needed = needed
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.target.name} cannot be written to {self.target.parent}: {self.reason}. It takes "
            f"up to {self.needed} there: make room, or build into another folder."
        )
