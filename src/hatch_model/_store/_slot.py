"""The folder of one fingerprint in the store.

It holds ``model.json``, which names one of the folders beside it as that of the model's files. It
appears last, by being renamed: without it, nothing else counts. Whatever it does not name is left
over from a model that was replaced or from a process that was killed, and goes with the next sweep,
unless a lease beside it, ``<folder>.<random>.lease``, tells that somebody reads it still.

Everything here that writes is for whoever has claimed the fingerprint.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hatch_model._digests import File, files_of
from hatch_model._store._entry import (
    DESCRIPTION,
    LEASE_SUFFIX,
    Entry,
    StoredFile,
    entry_bytes,
    is_executable,
    read_entry,
)
from hatch_model._store._locks import is_leased

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from hatch_model._progress import Progress


class Link(Protocol):
    """Makes a hard link, as ``os.link`` does, or raises OSError."""

    def __call__(self, source: Path, target: Path, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Slot:
    path: Path

    def read(self) -> Entry | None:
        return read_entry(self.path)

    def keep(
        self,
        description: Mapping[str, Any],
        files: Mapping[PurePosixPath, Path],
        digests: Mapping[PurePosixPath, File] | None,
        link: Link | None,
        progress: Progress | None,
    ) -> None:
        """Store a model in place of what is there; on any error, that stays. Raises OSError."""
        folder = self.path / os.urandom(8).hex()
        try:
            folder.mkdir(parents=True)
            for path, source in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                _put(source.resolve(strict=True), folder / path, link)
            placed = {path: folder / path for path in files}
            stored = _described(placed, digests, progress)
            # Nothing is flushed to the disk: what a power failure leaves unwritten has another
            # digest than the one that is stored.
            unfinished = folder.with_suffix(".json")
            unfinished.write_bytes(entry_bytes(description, folder.name, stored))
            unfinished.replace(self.path / DESCRIPTION)
        finally:
            self.sweep()

    def sweep(self) -> int:
        """Remove what no model needs and nobody uses; give how many bytes that were."""
        before = size_of(self.path)
        entry = self.read()
        needed = {DESCRIPTION, entry.folder.name} if entry is not None else set()
        needed |= self._leased()
        for path in self._listed():
            if path.name not in needed:
                _remove(path)
        with suppress(OSError):  # it is not empty
            self.path.rmdir()
        return before - size_of(self.path)

    def evict(self) -> int:
        """Remove the model, unless somebody uses it; give how many bytes were freed."""
        entry = self.read()
        if entry is None or entry.folder.name in self._leased():
            return 0
        before = size_of(self.path)
        # First of all: without it, a folder that is removed in part is no model's.
        _remove(self.path / DESCRIPTION)
        self.sweep()
        return before - size_of(self.path)

    def _leased(self) -> set[str]:
        """Name the leases that somebody holds, and the folders that they are on."""
        leases = [path for path in self._listed() if path.name.endswith(LEASE_SUFFIX)]
        held = {path.name for path in leases if is_leased(path)}
        return held | {name.partition(".")[0] for name in held}

    def _listed(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []


def size_of(folder: Path) -> int:
    """Add up the sizes of the files below *folder*, in bytes, while others may be removing them."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += Path(parent, name).lstat().st_size
    return size


def _put(source: Path, target: Path, link: Link | None) -> None:
    """Have the file at *target*, too: as a hard link if one can and may be made."""
    if link is not None:
        try:
            link(source, target)
        except OSError:  # another file system, or one without hard links
            pass
        else:
            return
    shutil.copy(source, target)


def _described(
    placed: Mapping[PurePosixPath, Path],
    digests: Mapping[PurePosixPath, File] | None,
    progress: Progress | None,
) -> dict[PurePosixPath, StoredFile]:
    """Describe the files at *placed*, reading those whose *digests* are not known."""
    if digests is None:
        sources = {str(path): place for path, place in placed.items()}
        read = files_of(sources, progress, "storing the model")
        digests = dict(zip(placed, read, strict=True))
    return {
        path: StoredFile(
            file=File(path=str(path), sha256=digests[path].sha256, size=digests[path].size),
            is_executable=is_executable(place.stat()),
        )
        for path, place in placed.items()
    }


def _remove(path: Path) -> None:
    """Remove a file or folder, as far as the system lets it go: a later sweep tries again."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()
