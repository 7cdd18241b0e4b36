"""Locks among processes. The system lets go of them when their process ends, however it ends."""

from __future__ import annotations

import atexit
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hatch_model._frontend import FrontendGoneError
from hatch_model.errors import UnusableStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

_POLL = 0.1  # seconds between two attempts


@contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """Raise UnusableStoreError for what the file system refuses to do in the store at *folder*."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnusableStoreError(str(error.filename or folder), reason) from error


def try_lock(path: Path) -> BaseFileLock | None:
    """Take the lock at *path*, or give None if somebody has it, be it this process.

    Raises UnusableStoreError.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only where a model may be reused

    lock = FileLock(str(path), thread_local=False)
    try:
        with reporting(path), suppress(Timeout):
            lock.acquire(blocking=False)
            return lock
    except NotImplementedError as error:  # what filelock says of a file system without locks
        raise UnusableStoreError(str(path), str(error)) from error
    return None


def wait_for_lock(
    path: Path, on_wait: Callable[[], object], *, pause: Callable[[float], object] = time.sleep
) -> BaseFileLock:
    """Take the lock at *path*, calling *on_wait* if somebody has it for more than a moment.

    A moment is what looking at a model takes, on the way through the whole store. Raises
    UnusableStoreError, and FrontendGoneError if this process's own parent ends meanwhile: that and
    Ctrl-C are why waiting is done by polling.
    """
    frontend = os.getppid()
    attempts = 0
    while (lock := try_lock(path)) is None:
        attempts += 1
        if attempts == 2:  # noqa: PLR2004 - a moment has passed
            on_wait()
        if os.getppid() != frontend:
            raise FrontendGoneError
        pause(_POLL)
    return lock


class Lease:
    """A mark on something that this process uses, until it is released or the process ends.

    It is a locked file. The file alone means nothing: a killed process leaves it behind.
    """

    def __init__(self, path: Path) -> None:
        lock = try_lock(path)
        assert lock is not None  # noqa: S101 - the path is a new one
        self._path = path
        self._lock = lock
        # This also keeps it from the garbage collector, which would release the lock.
        atexit.register(self.release)

    def release(self) -> None:
        atexit.unregister(self.release)
        self._lock.release()
        # Whoever found the lock free in between has removed the file.
        with suppress(OSError):
            self._path.unlink()


def is_leased(path: Path) -> bool:
    """Say whether the process that made the lease at *path* uses it still; if not, remove it."""
    try:
        lock = try_lock(path)
    except UnusableStoreError:
        return True
    if lock is None:
        return True
    lock.release()
    with suppress(OSError):
        path.unlink()
    return False
