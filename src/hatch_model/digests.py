"""Digests of files, and work on all cores."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from hatch_model.log import Progress

# hashlib releases the GIL while it hashes this much, and this much stays in the cache.
_CHUNK = 1 << 18
# More threads would wait for the one that takes their results: to hash a file that they compress,
# say.
_MOST_THREADS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file and its digest."""

    path: str
    """In the wheel, or relative to the project root for a file that does not ship."""
    sha256: str
    size: int
    """In bytes."""


def _ignore(_: int) -> None:
    pass


def file_of(path: str, source: Path, advance: Callable[[int], object] = _ignore) -> File:
    """Read *source*, listed as *path*, and call *advance* with the bytes read."""
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_CHUNK))
    with source.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            size += count
            advance(count)
    return File(path=path, sha256=digest.hexdigest(), size=size)


def files_of(
    sources: Mapping[str, Path], progress: Progress | None = None, work: str = ""
) -> list[File]:
    """Read *sources*, keyed by the paths to list them under, in order.

    Progress is reported to *progress* as *work*.
    """
    sizes = {path: source.stat().st_size for path, source in sources.items()}
    advance = progress.advance if progress else _ignore
    if progress is not None:
        progress.start(work, sum(sizes.values()))
    if len(sources) < 2:  # noqa: PLR2004 - nothing to parallelize
        return [file_of(path, source, advance) for path, source in sources.items()]
    # The largest first, so that no core starts one when the others have finished.
    by_size = sorted(sources, key=lambda path: -sizes[path])
    with ThreadPoolExecutor(cores()) as pool:
        files = pool.map(lambda path: file_of(path, sources[path], advance), by_size)
        read = dict(zip(by_size, files, strict=True))
    return [read[path] for path in sources]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Threads that apply one function to many items, in order and not far ahead."""

    def __init__(self, most: int = _MOST_THREADS) -> None:
        threads = min(cores(), most)
        self._pool = ThreadPoolExecutor(threads)
        self.ahead = threads + 2
        """How many results, at most, are computed before they are requested."""

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield the result of *work* for each of *items*."""
        pending: deque[Future[Any]] = deque()
        for item in items:
            pending.append(self._pool.submit(work, item))
            if len(pending) == self.ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
