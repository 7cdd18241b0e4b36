"""Large files added to a source distribution.

hatchling passes all of it through one thread at gzip's best level. What it has written is small, and
is deflated again; the rest is deflated, or stored, as in a wheel. All of that is one stream of
deflate and so one gzip member (RFC 1952), since not every reader looks for a second one.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import tarfile
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

from hatch_model._archives._deflating import (
    COPYING,
    END,
    Deflater,
    Workers,
    choose_deflater,
    crc32,
)
from hatch_model._archives._placing import written
from hatch_model._archives._reading import BLOCK, Reader, found, sample
from hatch_model._digests import File
from hatch_model.errors import DuplicateFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from hatch_model._archives._deflating import Compression
    from hatch_model._archives._reading import Hash, Member, Source
    from hatch_model._progress import Progress

# hatchling's level.
_SMALL = Deflater(module=zlib, level=9)


def add_files_to_sdist(
    sdist: Path,
    target: Path,
    members: Sequence[Member],
    *,
    compression: Compression = "auto",
    finish: Callable[[Mapping[str, File]], Mapping[str, bytes]],
    progress: Progress,
) -> None:
    """Write *target*: what is in *sdist*, which it may replace, and then *members*.

    All paths are relative to the one folder in the archive. *finish* gets the members as they went
    into it, by path, and gives the content of further files by path. All of them get the time of
    what is there already.

    Raises DuplicateFileError, FileChangedError and UnreadableFileError, and ArchiveNotWrittenError:
    then nothing is left of *target*, and *sdist* is as it was.
    """
    sources = found(members)
    needed = sdist.stat().st_size + sum(source.size for source in sources)
    with written(target, like=sdist, needed=needed) as stream, gzip.open(sdist) as old:
        with tarfile.TarFile(fileobj=old) as archive:
            infos = archive.getmembers()
        paths = _Paths(sdist.name, infos)
        paths.claim(source.path for source in sources)
        old.seek(0)
        with closing(_Writer(stream, infos[-1].mtime, compression, progress)) as writer:
            writer.start(old.mtime)
            writer.copy(old, _end_of(infos[-1]))
            files = {
                source.path: writer.add(paths.in_archive(source.path), source) for source in sources
            }
            further = finish(files)
            paths.claim(further)
            for path, content in further.items():
                writer.add_content(paths.in_archive(path), content)
            writer.end()


class _Paths:
    """The paths in an archive called *name* that holds *infos*, all of them in one folder."""

    def __init__(self, name: str, infos: Sequence[tarfile.TarInfo]) -> None:
        self._name = name
        self._taken = {info.name for info in infos}
        self._folder = infos[0].name.partition("/")[0]

    def in_archive(self, path: str) -> str:
        return f"{self._folder}/{path}"

    def claim(self, paths: Iterable[str]) -> None:
        for path in paths:
            if self.in_archive(path) in self._taken:
                raise DuplicateFileError(path, self._name)
            self._taken.add(self.in_archive(path))


def _end_of(info: tarfile.TarInfo) -> int:
    return info.offset_data + info.size + _padding(info.size)


def _padding(size: int, unit: int = tarfile.BLOCKSIZE) -> int:
    return -size % unit


class _Writer:
    """Writes a gzip member with a tar archive in it, from `start` to `end`."""

    def __init__(
        self, stream: BinaryIO, mtime: float, compression: Compression, progress: Progress
    ) -> None:
        self._stream = stream
        self._mtime = mtime
        self._compression = compression
        self._progress = progress
        self._workers = Workers()
        self._reader = Reader(self._workers.ahead)
        self._crc = self._size = 0

    def close(self) -> None:
        self._workers.close()
        self._reader.close()

    def start(self, mtime: int | None) -> None:
        """Write the header with *mtime*, and as of no name and no particular system."""
        self._stream.write(struct.pack("<4sLBB", b"\x1f\x8b\x08\0", mtime or 0, 0, 255))

    def copy(self, archive: gzip.GzipFile, size: int) -> None:
        """Copy the first *size* bytes of another *archive*."""
        steps = (min(BLOCK, size - start) for start in range(0, size, BLOCK))
        self._write(map(archive.read, steps), _SMALL)

    def add(self, name: str, source: Source) -> File:
        deflater = choose_deflater(sample(source), self._compression)
        digest = hashlib.sha256()
        self._progress.start(f"writing {source.path}", source.size)
        self._write([self._header(name, source.size, source.mode)], _SMALL)
        self._write(self._blocks(source, digest), deflater or COPYING)
        self._pad(source.size)
        return File(path=source.path, sha256=digest.hexdigest(), size=source.size)

    def _blocks(self, source: Source, digest: Hash) -> Iterator[memoryview]:
        for block in self._reader.blocks(source, digest):
            self._progress.advance(len(block))
            yield block

    def add_content(self, name: str, content: bytes) -> None:
        self._write([self._header(name, len(content), 0o644), content], _SMALL)
        self._pad(len(content))

    def end(self) -> None:
        self._write([bytes(2 * tarfile.BLOCKSIZE)], _SMALL)
        self._pad(self._size, tarfile.RECORDSIZE)
        self._stream.write(END + struct.pack("<LL", self._crc, self._size & 0xFFFFFFFF))

    def _header(self, name: str, size: int, mode: int) -> bytes:
        # All else is as hatchling has it: of no user, and of no group.
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, mode, self._mtime
        return info.tobuf(tarfile.PAX_FORMAT)

    def _pad(self, size: int, unit: int = tarfile.BLOCKSIZE) -> None:
        if padding := _padding(size, unit):
            self._write([bytes(padding)], _SMALL)

    def _write(self, blocks: Iterable[bytes | memoryview], deflater: Deflater) -> None:
        self._stream.writelines(self._workers.map(deflater.run, self._counted(blocks)))

    def _counted(self, blocks: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        for block in blocks:
            self._crc = crc32(block, self._crc)
            self._size += len(block)
            yield block
