"""Files by their content, read on all cores."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# hashlib lets go of the interpreter's lock while it digests this much, and it stays in the cache.
_CHUNK = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file by its content."""

    path: str
    """In the wheel, or relative to the project root for what does not ship."""
    sha256: str
    size: int
    """In bytes."""


def file_of(path: str, source: Path) -> File:
    """Read *source*, to be called *path*."""
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_CHUNK))
    with source.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return File(path=path, sha256=digest.hexdigest(), size=size)


def files_of(sources: Mapping[str, Path]) -> list[File]:
    """Read *sources*, by what each is to be called, in their order."""
    if len(sources) < 2:  # noqa: PLR2004 - nothing to share out
        return [file_of(path, source) for path, source in sources.items()]
    # The largest first, so that no core is left with one of them while the others have finished.
    by_size = sorted(sources, key=lambda path: -sources[path].stat().st_size)
    with ThreadPoolExecutor(cores()) as pool:
        read = dict(
            zip(by_size, pool.map(lambda path: file_of(path, sources[path]), by_size), strict=True)
        )
    return [read[path] for path in sources]


def cores() -> int:
    """Say how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
