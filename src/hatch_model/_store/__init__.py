"""The store of trained models: a folder of the user's, shared by all builds.

A model is stored under a fingerprint, of which this package knows only that a file can be called
so. Whoever claims it is alone with it among all processes::

    CACHEDIR.TAG
    v1/locks/<fingerprint>.lock     what a claim is; the empty file stays, since a lock that is
                                    removed may be the one that another process is about to take
    v1/models/<fingerprint>/        the model; see _slot.py

Files are read where they lie. A process may be killed at any moment: what it leaves is a whole
model, or nothing that anybody takes for one and that goes with a later keep or prune. Another layout
will have another folder than ``v1``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_model._store._entry import Entry
from hatch_model._store._location import store_folder, store_limit
from hatch_model._store._locks import Lease, reporting, try_lock, wait_for_lock
from hatch_model._store._slot import Link, Slot, size_of
from hatch_model.errors import TooLargeForStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path, PurePosixPath

    from hatch_model._digests import File
    from hatch_model._progress import Progress

__all__ = [
    "Claim",
    "Entry",
    "Freed",
    "Lease",
    "Store",
    "store_folder",
    "store_limit",
]

_LAYOUT = "v1"
# https://bford.info/cachedir/
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This file marks the folder as a cache, so that backups can leave it out.
# It belongs to hatch-model; see https://bford.info/cachedir/
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Freed:
    """What was removed from the store."""

    models: int
    size: int
    """In bytes, half-written models and the like included."""


class Store:
    """Trained models by their fingerprints, below *folder*, of no more than *limit* bytes."""

    def __init__(self, folder: Path, limit: int, *, link: Link = os.link) -> None:
        self.folder = folder
        self.limit = limit
        self.link = link
        self._layout = folder / _LAYOUT
        self._models = self._layout / "models"
        self._locks = self._layout / "locks"

    @contextmanager
    def claim(
        self, fingerprint: str, on_wait: Callable[[], object] = lambda: None
    ) -> Iterator[Claim]:
        """Be the only one, among all processes, with the model of *fingerprint*.

        Waits for the one who is, calling *on_wait* once when it has to. Raises UnusableStoreError,
        and FrontendGoneError if this process's own parent ends while it waits.
        """
        with reporting(self.folder):
            self._make()
        lock = wait_for_lock(self._lock_of(fingerprint), on_wait)
        try:
            yield Claim(self, Slot(self._models / fingerprint))
        finally:
            lock.release()

    def entries(self) -> list[Entry]:
        """Give the models whose descriptions can be read, the one kept last first.

        Raises UnusableStoreError. Nobody else is kept from removing them at once.
        """
        with reporting(self.folder):
            found = [slot.read() for slot in self._slots()]
        entries = [entry for entry in found if entry is not None]
        return sorted(entries, key=lambda entry: entry.kept, reverse=True)

    def size(self) -> int:
        """Give the size of all that is stored, in bytes. Raises UnusableStoreError."""
        with reporting(self.folder):
            return sum(size_of(slot.path) for slot in self._slots())

    def prune(self, limit: int, *, spared: str = "") -> Freed:
        """Remove what is left over, and models down to *limit* bytes, the longest unused first.

        Whatever somebody uses stays, and so does the model of the fingerprint *spared*. Raises
        UnusableStoreError.
        """
        with reporting(self.folder):
            slots = [slot for slot in self._slots() if slot.path.name != spared]
            freed = [self._alone_with(slot, Slot.sweep) for slot in slots]
            models, excess = 0, self.size() - limit
            for entry in sorted(self.entries(), key=lambda entry: entry.used):
                if excess <= 0:
                    break
                if entry.fingerprint != spared:
                    evicted = self._alone_with(Slot(self._models / entry.fingerprint), Slot.evict)
                    excess -= evicted
                    models += evicted > 0
                    freed.append(evicted)
        return Freed(models=models, size=sum(freed))

    def clear(self) -> Freed:
        """Remove all that nobody uses. Raises UnusableStoreError."""
        return self.prune(0)

    def _make(self) -> None:
        if not self._layout.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A folder with more in it is not for this package to call a cache as a whole.
            if not any(self.folder.iterdir()):
                (self.folder / "CACHEDIR.TAG").write_bytes(_TAG)
            self._layout.mkdir(mode=0o700, exist_ok=True)
        self._locks.mkdir(exist_ok=True)

    def _lock_of(self, fingerprint: str) -> Path:
        return self._locks / f"{fingerprint}.lock"

    def _slots(self) -> list[Slot]:
        if not self._models.is_dir():
            return []
        return [Slot(path) for path in self._models.iterdir() if path.is_dir()]

    def _alone_with(self, slot: Slot, remove: Callable[[Slot], int]) -> int:
        """Have *remove* done to *slot*, unless another process has claimed it."""
        lock = try_lock(self._lock_of(slot.path.name))
        if lock is None:
            return 0
        try:
            return remove(slot)
        finally:
            lock.release()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to one fingerprint, for as long as its claim lasts."""

    store: Store
    slot: Slot

    def find(self) -> Entry | None:
        """Give the model that is stored, if there is one and its description can be read."""
        return self.slot.read()

    def keep(
        self,
        description: Mapping[str, Any],
        files: Mapping[PurePosixPath, Path],
        digests: Mapping[PurePosixPath, File] | None = None,
        *,
        may_link: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """Store a model, in place of what is there, and evict others if there is too much.

        *description* is anything that JSON can hold. *digests*, by path, spare reading *files*.
        With *may_link*, files are stored as hard links where possible, which is only for files that
        nobody goes on to change. *progress* is told of reading them. Raises TooLargeForStoreError and UnusableStoreError, both of which
        leave what is there.
        """
        with reporting(self.store.folder):
            size = sum(source.stat().st_size for source in files.values())
            if size > self.store.limit:
                raise TooLargeForStoreError(size, self.store.limit)
            link = self.store.link if may_link else None
            self.slot.keep(description, files, digests, link, progress)
        self.store.prune(self.store.limit, spared=self.slot.path.name)
