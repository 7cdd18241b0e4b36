"""Temporary folders of a build, which are removed when the build ends, however it ends.

A workspace is a folder called ``hatch-model-XXXXXXXX`` (with a leading dot if it is among the
user's files) that only this user can access. Its file ``lock`` is locked while its process
runs. A workspace whose lock is free was left by a process that was killed: the process that creates
the next one in the same folder removes it, and restores what it had set aside. Process ids are not
sufficient: they differ between containers.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
import weakref
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "hatch-model-"
_LOCK = "lock"
_ASIDE = "aside"
_ABSENT = "absent"

UNFINISHED = "unfinished"
"""A scheme below ``.data`` (PEP 427) that no installer knows: it marks an unfinished wheel."""


class FileLock:
    """A lock between processes, which the system releases when its process ends.

    On file systems without locks, it never waits.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    @classmethod
    def acquire(cls, path: Path, *, wait: bool = False) -> FileLock | None:
        """Lock the folder or file at *path*, creating a missing file; None if it is locked.

        With *wait*, waits until it is free. Raises OSError.
        """
        while True:
            flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
            descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                if not _lock(descriptor, wait=wait):
                    os.close(descriptor)
                    return None
                # Its last owner may have removed the file in the meantime.
                if os.path.lexists(path) and os.path.samestat(os.fstat(descriptor), path.lstat()):
                    return cls(descriptor, path)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Release the lock; with *remove*, remove its file."""
        if remove:
            with suppress(OSError):  # Windows cannot remove open files
                self._path.unlink()
        os.close(self._descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, wait: bool) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True


class Workspace:
    """A new folder in *parent* (default: the system's temporary folder), for this process alone.

    Abandoned workspaces there are removed first. Raises OSError.
    """

    def __init__(self, parent: Path | None = None) -> None:
        folder = Path(parent or tempfile.gettempdir()).resolve()
        remove_abandoned(folder)
        prefix = f".{_NAME}" if parent else _NAME
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        # It gets its name only once it is locked, or others could consider it abandoned.
        fresh = self.path / f"{_LOCK}.new"
        lock = FileLock.acquire(fresh)
        fresh.rename(self.path / _LOCK)
        self._end = weakref.finalize(self, _end_own, os.getpid(), self.path, lock)

    def folder(self, name: str) -> Path:
        """Create a folder called *name* in it."""
        path = self.path / name
        path.mkdir()
        return path

    def set_aside(self, path: Path) -> Path:
        """Move *path*, a wheel or folder next to the workspace, into it, and return the new path.

        When the workspace ends, it is restored and replaces whatever is there, except for a
        finished wheel.
        """
        aside = self.path / _ASIDE
        aside.mkdir(exist_ok=True)
        return path.rename(aside / path.name)

    def note_absent(self, path: Path) -> None:
        """Remove anything at *path*, a folder below the workspace's own, when the workspace ends.

        Its parent folders are removed as well if they are empty.
        """
        relative = path.resolve().relative_to(self.path.parent).as_posix()
        (self.path / _ABSENT).write_text(relative, "utf-8")

    def forget_aside(self) -> None:
        """Do not restore what was set aside."""
        with suppress(FileNotFoundError):
            # Immediately, or its remains would be restored if this process is killed.
            forgotten = (self.path / _ASIDE).rename(self.path / "forgotten")
            shutil.rmtree(forgotten, ignore_errors=True)

    def close(self) -> None:
        """End it now, rather than with the process."""
        self._end()


def remove_abandoned(parent: Path) -> int:
    """Remove the workspaces in *parent* whose processes were killed, and return their number."""
    removed = 0
    for path in _workspaces(parent):
        with suppress(OSError):
            lock = FileLock.acquire(path / _LOCK)
            if lock is not None:
                _end(path, lock)
                removed += 1
    return removed


def _workspaces(parent: Path) -> Iterator[Path]:
    """Find folders that are workspaces of this user."""
    with suppress(OSError):
        for entry in sorted(os.scandir(parent), key=lambda entry: entry.name):
            if not entry.name.removeprefix(".").startswith(_NAME):
                continue
            with suppress(OSError):
                status, lock = entry.stat(follow_symlinks=False), Path(entry.path, _LOCK).lstat()
                is_ours = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
                if is_ours and stat.S_ISDIR(status.st_mode) and stat.S_ISREG(lock.st_mode):
                    yield Path(entry.path)


def _end_own(process: int, path: Path, lock: FileLock | None) -> None:
    if os.getpid() == process:  # not in a process that was forked from it
        _end(path, lock)


def _end(path: Path, lock: FileLock | None) -> None:
    try:
        _put_back(path)
    except OSError:
        if lock is not None:
            lock.release()
        return  # What could not be restored stays there, for the next process to try.
    with suppress(OSError):
        for each in path.iterdir():  # The lock last: it identifies a workspace.
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            elif each.name != _LOCK:
                each.unlink()
    shutil.rmtree(path, ignore_errors=True)
    if lock is not None:
        lock.release()
        shutil.rmtree(path, ignore_errors=True)  # Windows cannot remove open files


def _put_back(workspace: Path) -> None:
    """Restore what was set aside. Raises OSError."""
    aside = workspace / _ASIDE
    for kept in aside.iterdir() if aside.is_dir() and not aside.is_symlink() else ():
        target = workspace.parent / kept.name
        if kept.suffix == ".whl" and target.is_file() and not is_unfinished(target):
            continue  # The build was killed when everything was done.
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        elif kept.is_dir():  # which does not replace a file
            target.unlink(missing_ok=True)
        kept.replace(target)
    absent = workspace / _ABSENT
    if absent.is_file():
        target = workspace.parent / absent.read_text("utf-8")
        if not _is_below(target, workspace.parent):
            return
        shutil.rmtree(target, ignore_errors=True)
        with suppress(OSError):  # it was a folder
            target.unlink()
        for parent in target.parents:
            if parent == workspace.parent:
                break
            with suppress(OSError):  # another kind of file is there
                parent.rmdir()


def _is_below(path: Path, folder: Path) -> bool:
    """Whether *path* is below *folder*: a copied folder may contain any workspace."""
    return path.name != ".." and folder.resolve() in (path.parent.resolve() / path.name).parents


def is_unfinished(wheel: Path) -> bool:
    """Return whether *wheel* was left by an interrupted build."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return any(f".data/{UNFINISHED}/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


class TemporaryFolder:
    """Makes :mod:`tempfile` use *folder* until it is closed, so that its files are removed."""

    def __init__(self, folder: Path) -> None:
        self._before, tempfile.tempdir = tempfile.tempdir, str(folder)

    def close(self) -> None:
        tempfile.tempdir = self._before


class Termination:
    """Makes the signals that end a process by default raise, as SIGINT does, until it is closed.

    These are SIGTERM and SIGHUP, which CI systems and terminals send to cancel. Signals that are
    already handled or ignored are not changed.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in filter(None, (signal.SIGTERM, getattr(signal, "SIGHUP", None))):
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._before[number] = signal.signal(number, _exit)

    def close(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _exit(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # one is enough: only cleanup follows
    raise SystemExit(128 + number)
