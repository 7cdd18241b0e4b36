"""The store of trained models: a folder of the user, shared by all builds.

A model is stored under a fingerprint of 64 hexadecimal digits. A claim on a fingerprint is
exclusive among all processes::

    CACHEDIR.TAG
    v2/<fingerprint>/entry.json     marks an entry: its description, and the digests of its files
    v2/<fingerprint>/files/         the files
    v2/<fingerprint>/report/        those of the report, if there is one
    v2/<fingerprint>.lock           locked by a claim

An entry is created in a workspace next to its final path and renamed, so it is stored atomically.
Its files are copied out before they are used. Only folders that are certainly entries are removed:
the name has 64 hexadecimal digits, it is not a link, and it contains entry.json. A new layout will
use another folder than ``v2``; older ones are not touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_model.digests import File, file_of, files_of
from hatch_model.errors import DISK_FULL, FrontendGoneError, HatchModelError, StoreError
from hatch_model.log import human_size, parse_size
from hatch_model.workspace import FileLock, Workspace, remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hatch_model.log import Progress

_FOLDER_VARIABLE = "HATCH_MODEL_CACHE_DIR"
_LIMIT_VARIABLE = "HATCH_MODEL_CACHE_LIMIT"
_DEFAULT_LIMIT = 20 << 30

_LAYOUT = "v2"
_MARK = "entry.json"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_GENERATOR = "hatch-model"
_POLL = 0.1  # seconds between two attempts to claim a fingerprint
_STEP = 1 << 30  # bytes that are copied at a time
# https://bford.info/cachedir/
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This file marks the folder as a cache, so that backups can leave it out.
# It belongs to hatch-model; see https://bford.info/cachedir/
"""


# Settings of the user


def store_folder() -> Path:
    """Return the store's folder: HATCH_MODEL_CACHE_DIR, or one in the user's cache directory.

    Raises StoreError for a user without a home directory.
    """
    said = os.environ.get(_FOLDER_VARIABLE, "")
    if said:
        return Path(said).absolute()
    from platformdirs import user_cache_dir  # noqa: PLC0415 - only if a model may be reused

    folder = Path("~", ".cache", "hatch-model")
    try:
        folder = Path(user_cache_dir("hatch-model", appauthor=False))
        if folder.is_absolute():
            return folder
    except RuntimeError:  # raised by platformdirs from version 4.6 on
        pass
    raise _unusable(folder, "the user has no home directory")


def store_limit() -> int:
    """Return the store's limit in bytes: HATCH_MODEL_CACHE_LIMIT, or 20 GiB.

    Raises HatchModelError for an invalid size.
    """
    said = os.environ.get(_LIMIT_VARIABLE, "")
    try:
        return parse_size(said) if said else _DEFAULT_LIMIT
    except ValueError as error:
        raise HatchModelError(
            f"{_LIMIT_VARIABLE} is `{said}`, but must be a size, such as `20 GiB`, `500MB` or a "
            f"plain number of bytes."
        ) from error


# Entries


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A model in the store."""

    fingerprint: str
    description: Mapping[str, Any]
    """The description that was stored with the files."""
    kept: datetime
    used: datetime
    """When it was last used, or else stored."""
    files: Mapping[PurePosixPath, File]
    report: Mapping[PurePosixPath, File]
    executable: frozenset[PurePosixPath]

    @property
    def size(self) -> int:
        """Of the files, in bytes."""
        return sum(file.size for file in (*self.files.values(), *self.report.values()))


def _read_entry(folder: Path) -> Entry | None:
    """Read the entry in *folder*; None if there is none, or it is not what this module writes."""
    mark = folder / _MARK
    try:
        used = mark.stat().st_mtime
        document = json.loads(mark.read_bytes())
        model = document["model"]
        if document["generator"] != _GENERATOR or document["sha256"] != _digest(model):
            return None
        return Entry(
            fingerprint=folder.name,
            description=dict(model["description"]),
            kept=datetime.fromisoformat(model["kept"]),
            used=datetime.fromtimestamp(used, timezone.utc),
            files=_read_files(model["files"]),
            report=_read_files(model.get("report", [])),  # absent without one
            executable=frozenset(map(PurePosixPath, model["executable"])),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def _read_files(files: Iterable[Mapping[str, Any]]) -> dict[PurePosixPath, File]:
    read = map(_read_file, files)
    return {PurePosixPath(file.path): file for file in read}


def _read_file(file: Mapping[str, Any]) -> File:
    """Read the description of a file. Raises ValueError, KeyError or TypeError."""
    path = PurePosixPath(file["path"])
    if path.is_absolute() or ".." in path.parts or not isinstance(file["size"], int):
        raise ValueError(path)
    return File(path=str(path), sha256=str(file["sha256"]), size=file["size"])


def _digest(model: object) -> str:
    return hashlib.sha256(json.dumps(model).encode()).hexdigest()


def _is_entry(folder: Path) -> bool:
    """Return whether *folder* is certainly an entry, readable or not."""
    try:
        is_folder = stat.S_ISDIR(folder.lstat().st_mode)
        is_marked = stat.S_ISREG((folder / _MARK).lstat().st_mode)
    except OSError:
        return False
    return bool(_FINGERPRINT.fullmatch(folder.name)) and is_folder and is_marked


@dataclass(frozen=True, kw_only=True, slots=True)
class Freed:
    """What was removed from the store."""

    models: int
    size: int
    """In bytes."""


class Store:
    """Trained models by fingerprint, below *folder*, of at most *limit* bytes in total."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.layout = folder / _LAYOUT

    @contextmanager
    def claim(
        self, fingerprint: str, on_wait: Callable[[], object] = lambda: None
    ) -> Iterator[Claim]:
        """Get exclusive access, among all processes, to the model of *fingerprint*.

        Waits for another claim to end, and calls *on_wait* once before it waits. Raises StoreError,
        and FrontendGoneError if this process's parent ends while it waits. Waiting uses polling, so
        that this and Ctrl-C can interrupt it.
        """
        with self._reporting():
            self._make()
            self._refuse_what_others_may_write()
        place, frontend, attempts = self.layout / fingerprint, os.getppid(), 0
        while (lock := self._try_lock(fingerprint)) is None:
            attempts += 1
            if attempts == 2:  # noqa: PLR2004 - inspecting an entry takes a moment as well
                on_wait()
            if os.getppid() != frontend:
                raise FrontendGoneError
            time.sleep(_POLL)
        try:
            yield Claim(self, place)
        finally:
            lock.release(remove=not place.exists())

    def entries(self) -> list[Entry]:
        """Return the models whose descriptions can be read, newest first.

        Raises StoreError. Other processes may remove the models at any time.
        """
        with self._reporting():
            self._refuse_what_others_may_write()
            found = [_read_entry(folder) for folder in self._places()]
        entries = [entry for entry in found if entry is not None]
        return sorted(entries, key=lambda entry: entry.kept, reverse=True)

    def size(self) -> int:
        """Return the total size of the store, in bytes. Raises StoreError."""
        with self._reporting():
            return sum(map(_size_of, self._places()))

    def prune(self, limit: int, *, spared: str = "") -> Freed:
        """Remove the least recently used models until *limit* bytes are left.

        Claimed models and the model of the fingerprint *spared* stay. Raises StoreError.
        """
        models = freed = 0
        with self._reporting():
            remove_abandoned(self.layout)
            excess = self.size() - limit
            for place in sorted(self._places(), key=_used):
                if excess <= freed:
                    break
                if place.name != spared and (size := self._evict(place)) is not None:
                    models, freed = models + 1, freed + size
        return Freed(models=models, size=freed)

    def clear(self) -> Freed:
        """Remove everything that is not claimed. Raises StoreError."""
        freed = self.prune(-1)
        with self._reporting():
            for path in self.layout.glob("*.lock"):  # of models that are gone
                fingerprint = path.name.removesuffix(".lock")
                is_free = _FINGERPRINT.fullmatch(fingerprint) and not path.is_symlink()
                if is_free and (lock := self._try_lock(fingerprint)) is not None:
                    lock.release(remove=not (self.layout / fingerprint).exists())
        return freed

    def _evict(self, place: Path) -> int | None:
        """Remove an entry. Return its size in bytes; None if it is claimed or already gone."""
        lock = self._try_lock(place.name)
        if lock is None:
            return None
        try:
            if not _is_entry(place):
                return None
            size = _size_of(place)
            workspace = Workspace(self.layout)
            place.rename(workspace.path / place.name)
            workspace.close()
        finally:
            lock.release(remove=not place.exists())
        return size

    def _make(self) -> None:
        if not self.layout.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Don't mark a folder with other content as a cache.
            if not any(self.folder.iterdir()):
                (self.folder / "CACHEDIR.TAG").write_bytes(_TAG)
            self.layout.mkdir(mode=0o700, exist_ok=True)

    def _refuse_what_others_may_write(self) -> None:
        """Raise StoreError if users other than this one and root could put a model there.

        Loading a model runs code, so a forged model could run any code.
        """
        if not hasattr(os, "geteuid"):
            return
        for folder in (self.folder, self.layout):
            with suppress(FileNotFoundError):
                status = folder.stat()
                if status.st_uid not in {os.geteuid(), 0} or status.st_mode & stat.S_IWOTH:
                    mode = stat.S_IMODE(status.st_mode)
                    raise _unusable(
                        folder,
                        f"it belongs to the user with the id {status.st_uid} and has the mode "
                        f"{mode:04o}, so others could have put models there",
                    )

    def _try_lock(self, fingerprint: str) -> FileLock | None:
        with self._reporting():
            return FileLock.acquire(self.layout / f"{fingerprint}.lock")

    def _places(self) -> list[Path]:
        return (
            [path for path in self.layout.iterdir() if _is_entry(path)]
            if (self.layout.is_dir())
            else []
        )

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Raise StoreError for errors of the file system."""
        try:
            yield
        except OSError as error:
            raise _unusable(self.folder, error.strerror or str(error)) from error


@dataclass(frozen=True, slots=True)
class Claim:
    """Exclusive access to one fingerprint, until the claim ends."""

    store: Store
    place: Path

    def read(self) -> Entry | None:
        """Return the stored model, if there is one and its description can be read."""
        return _read_entry(self.place) if _is_entry(self.place) else None

    def take(
        self, entry: Entry, folder: Path, report: Path, progress: Progress | None = None
    ) -> str:
        """Copy the files of *entry* to the folders *folder* and *report*.

        Returns which one is damaged; "" if none is. The reading progress is reported to *progress*.
        Raises HatchModelError if there is no room.
        """
        try:
            for path in entry.files:
                _copy(self.place / "files" / path, folder / path)
                if path in entry.executable:
                    (folder / path).chmod(0o755)
            for path in entry.report:
                _copy(self.place / "report" / path, report / path)
            os.utime(self.place / _MARK)
            sources = {str(path): folder / path for path in entry.files}
            found = files_of(sources, progress, "verifying the stored model")
            copies = [file_of(str(path), report / path) for path in entry.report]
        except OSError as error:
            if error.errno in DISK_FULL:
                raise HatchModelError(
                    f"the stored model cannot be copied to {folder}: {error.strerror}. It takes "
                    f"{human_size(entry.size)} there: make room, or set TMPDIR to another folder."
                ) from error
            return f"its files cannot be read: {error.strerror}."
        expected = [*entry.files.values(), *entry.report.values()]
        for file, stored in zip([*found, *copies], expected, strict=True):
            if file != stored:
                return f"`{file.path}` has changed since it was stored."
        return ""

    def keep(
        self,
        description: Mapping[str, Any],
        files: Mapping[PurePosixPath, Path],
        report: Mapping[PurePosixPath, Path],
        progress: Progress | None = None,
    ) -> None:
        """Store a model, replacing an existing one, and remove others if the store is too large.

        *description* is anything that can be stored as JSON. The progress of reading *files* is
        reported to *progress*. Raises StoreError, and then keeps the existing model.
        """
        size = sum(source.stat().st_size for source in (*files.values(), *report.values()))
        if size > self.store.limit:
            raise StoreError(
                f"the model takes {human_size(size)}, more than the {human_size(self.store.limit)} "
                f"that the store of trained models may contain, so it was not stored. "
                f"{_LIMIT_VARIABLE} raises the limit."
            )
        try:
            workspace = Workspace(self.store.layout)
            try:
                fresh = workspace.folder("entry")
                self._write(fresh, description, files, report, progress)
                if _is_entry(self.place):
                    workspace.set_aside(self.place)
                fresh.rename(self.place)
                workspace.forget_aside()
            finally:
                workspace.close()
        except OSError as error:
            raise _unusable(self.store.folder, error.strerror or str(error)) from error
        self.store.prune(self.store.limit, spared=self.place.name)

    def _write(
        self,
        folder: Path,
        description: Mapping[str, Any],
        files: Mapping[PurePosixPath, Path],
        report: Mapping[PurePosixPath, Path],
        progress: Progress | None,
    ) -> None:
        for path, source in files.items():
            _copy(source, folder / "files" / path)
        for path, source in report.items():
            _copy(source, folder / "report" / path)
        # Digests of the copies, which nothing can change any more. (They are not flushed to the
        # disk: if a power failure leaves them incomplete, their digests don't match the stored
        # ones.)
        sources = {str(path): folder / "files" / path for path in files}
        found = files_of(sources, progress, "storing the model")
        model = {
            "description": description,
            "kept": datetime.now(timezone.utc).isoformat(),
            "files": [asdict(each) for each in found],
            "executable": [
                str(path) for path, file in files.items() if file.stat().st_mode & stat.S_IXUSR
            ],
        }
        if report:
            copies = (file_of(str(path), folder / "report" / path) for path in report)
            model["report"] = [asdict(each) for each in copies]
        document = {"generator": _GENERATOR, "model": model, "sha256": _digest(model)}
        (folder / _MARK).write_text(json.dumps(document), "utf-8")


def _unusable(folder: Path, reason: str) -> StoreError:
    return StoreError(
        f"the store of trained models cannot be used: {folder}: {reason}. {_FOLDER_VARIABLE} moves "
        f"it to another folder."
    )


def _used(place: Path) -> float:
    try:
        return (place / _MARK).stat().st_mtime
    except OSError:  # removed by another process in the meantime
        return 0


def _size_of(folder: Path) -> int:
    """Return the size of the files below *folder*, in bytes. Others may be removing them."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += Path(parent, name).lstat().st_size
    return size


def _copy(source: Path, target: Path) -> None:
    """Copy *source* to *target*, a new file; its blocks are shared if the system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "copy_file_range"):
        try:
            with source.open("rb") as reader, target.open("xb") as writer:
                while os.copy_file_range(reader.fileno(), writer.fileno(), _STEP):
                    pass
        except (
            OSError
        ):  # between file systems on some kernels, or a full disk, which fails again below
            pass
        else:
            return
    shutil.copyfile(source, target)
