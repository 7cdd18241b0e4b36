"""Large files added to a wheel."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

from hatch_model._archives._deflating import (
    END,
    Workers,
    choose_deflater,
    crc32,
    is_too_dense,
)
from hatch_model._archives._entries import copy_entries, entry, in_their_order, write_rest
from hatch_model._archives._listing import record_of, with_files
from hatch_model._archives._placing import written
from hatch_model._archives._reading import BLOCK, Reader, excerpt, found, sample, whole
from hatch_model._digests import File
from hatch_model._sizes import human_size
from hatch_model.errors import DuplicateFileError, ReservedPathError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from hatch_model._archives._deflating import Compression, Deflater
    from hatch_model._archives._reading import Hash, Member, Source
    from hatch_model._progress import Progress

    Finish = Callable[[Mapping[str, File]], Mapping[str, bytes]]


def add_files(
    wheel: Path,
    target: Path,
    members: Sequence[Member],
    *,
    compression: Compression = "auto",
    finish: Finish,
    progress: Progress,
) -> None:
    """Write *target*: what is in *wheel*, which it may replace, *members*, and then the metadata.

    *finish* gets the members as they went into the archive, by path, and gives metadata files by
    path in the archive, in place of those in *wheel* or beside them. RECORD counts all of it.

    Each member is read once, but for one that is to be deflated and turns out not to be fit for it.
    Times are those of the wheel's own RECORD.

    Raises DuplicateFileError and ReservedPathError, FileChangedError and UnreadableFileError, and
    ArchiveNotWrittenError: then nothing is left of *target*, and *wheel* is as it was.
    """
    sources = found(members)
    needed = wheel.stat().st_size + sum(source.size for source in sources)
    with (
        written(target, like=wheel, needed=needed) as stream,
        zipfile.ZipFile(wheel) as old,
    ):
        record = record_of(old)
        _refuse_paths(sources, old, wheel.name)
        folder = record.removesuffix("RECORD")
        metadata = [info for info in in_their_order(old) if info.filename.startswith(folder)]
        code = {info.filename for info in old.infolist()} - {info.filename for info in metadata}
        entries = copy_entries(old, code, stream)
        writer = _Writer(stream, old.getinfo(record).date_time, compression, progress)
        with closing(writer):
            files = writer.add(sources)
        changes = finish(files)
        listing = with_files(old.read(record), record, files.values(), changes)
        contents = {info.filename: old.read(info) for info in metadata if info.filename != record}
        contents |= {**changes, record: listing}
        infos = {info.filename: info for info in metadata}
        write_rest(
            stream,
            [*entries, *writer.entries],
            ((infos.get(path) or _like(infos[record], path), contents[path]) for path in contents),
        )


def _refuse_paths(sources: Sequence[Source], old: zipfile.ZipFile, wheel: str) -> None:
    taken = set(old.namelist())
    for source in sources:
        if source.path.partition("/")[0].endswith((".dist-info", ".data")):
            raise ReservedPathError(source.path)
        if source.path in taken:
            raise DuplicateFileError(source.path, wheel)
        taken.add(source.path)


def _like(info: zipfile.ZipInfo, path: str) -> zipfile.ZipInfo:
    """Describe a file at *path* as *info* describes another."""
    other = zipfile.ZipInfo(path, info.date_time)
    other.external_attr = info.external_attr
    other.create_system = info.create_system
    other.compress_type = info.compress_type
    return other


class _Writer:
    """Writes members to *stream*, one after the other, and keeps `entries` of them."""

    def __init__(
        self,
        stream: BinaryIO,
        date_time: tuple[int, int, int, int, int, int],
        compression: Compression,
        progress: Progress,
    ) -> None:
        self.entries: list[zipfile.ZipInfo] = []
        self._stream = stream
        self._date_time = date_time
        self._compression = compression
        self._progress = progress
        self._workers = Workers()
        self._reader = Reader(self._workers.ahead)

    def close(self) -> None:
        self._workers.close()
        self._reader.close()

    def add(self, sources: Sequence[Source]) -> dict[str, File]:
        """Write *sources*, and give them as they were read, by path."""
        files: list[File] = []
        for is_small, run in groupby(sources, key=lambda source: source.size <= BLOCK):
            some = list(run)
            files += self._add_small(some) if is_small else map(self._add_large, some)
        return {file.path: file for file in files}

    def _add_small(self, sources: Sequence[Source]) -> Iterator[File]:
        total = sum(source.size for source in sources)
        self._progress.start(f"writing {len(sources)} small files", total)
        for info, content, file in self._workers.map(self._packed, sources):
            crc = info.CRC
            with entry(info, self._stream):
                self._stream.write(content)
                info.CRC = crc
            self.entries.append(info)
            self._progress.advance(file.size)
            yield file

    def _packed(self, source: Source) -> tuple[zipfile.ZipInfo, bytes, File]:
        """Make everything of a small file that needs no place in the archive."""
        content = whole(source)
        info = self._described(source)
        info.CRC = crc32(content)
        digest = hashlib.sha256(content)
        deflater = choose_deflater(excerpt(content), self._compression)
        if deflater is not None:
            deflated = deflater.run(content) + END
            if len(deflated) < len(content):
                info.compress_type = zipfile.ZIP_DEFLATED
                content = deflated
        return info, content, _file(source, digest)

    def _add_large(self, source: Source) -> File:
        info = self._described(source)
        deflater = choose_deflater(sample(source), self._compression)
        file = self._write_large(source, info, deflater)
        if deflater is not None and not self._is_fit(info):
            self._stream.seek(info.header_offset)
            self._stream.truncate()
            file = self._write_large(source, info, None)
        self.entries.append(info)
        return file

    def _is_fit(self, info: zipfile.ZipInfo) -> bool:
        """Tell whether a file can stay deflated."""
        if is_too_dense(info.file_size, info.compress_size):
            self._progress.say(
                f"storing {info.filename} as it is: deflated to less than a fortieth, it would look "
                f"like a decompression bomb to package indexes"
            )
            return False
        return info.compress_size < info.file_size

    def _write_large(
        self, source: Source, info: zipfile.ZipInfo, deflater: Deflater | None
    ) -> File:
        digest, crc = hashlib.sha256(), 0

        def blocks() -> Iterator[memoryview]:
            nonlocal crc
            for block in self._reader.blocks(source, digest):
                crc = crc32(block, crc)
                self._progress.advance(len(block))
                yield block

        info.compress_type = zipfile.ZIP_DEFLATED if deflater else zipfile.ZIP_STORED
        self._progress.start(f"writing {source.path}", source.size)
        with entry(info, self._stream):
            if deflater is None:
                self._stream.writelines(blocks())
            else:
                self._stream.writelines(self._workers.map(deflater.run, blocks()))
                self._stream.write(END)
            info.CRC = crc
        return _file(source, digest)

    def _described(self, source: Source) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(source.path, self._date_time)
        info.external_attr = (stat.S_IFREG | source.mode) << 16
        info.file_size = source.size
        return info


def _file(source: Source, digest: Hash) -> File:
    return File(path=source.path, sha256=digest.hexdigest(), size=source.size)


# What PyPI takes by default; other indexes follow it or take less.
_UPLOAD_LIMIT = 100 << 20


def upload_notice(archive: Path) -> str | None:
    """Say so if *archive* is larger than what indexes take by default."""
    size = archive.stat().st_size
    if size <= _UPLOAD_LIMIT:
        return None
    return (
        f"{archive.name} has {human_size(size)}: PyPI takes {human_size(_UPLOAD_LIMIT)} a file "
        f"unless it was asked for more, and other indexes have limits, too"
    )
