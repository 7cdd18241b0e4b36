"""Write a wheel again, with the model's files in it.

hatchling has written a wheel with empty placeholders for the model's files. It deflates in one
thread, at a few dozen megabytes per second, and cannot include a record that is only complete when
the model is. So :func:`fill` copies its entries unchanged, writes the files in place of their
placeholders, and METADATA and RECORD last. This module is independent of hatchling, training and
records.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import shutil
import stat
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from hatch_model.deflate import END, choose_deflater, crc32, is_too_dense
from hatch_model.digests import File, Workers
from hatch_model.errors import HatchModelError
from hatch_model.log import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from typing import BinaryIO

    from hatch_model.deflate import Compression, Deflater
    from hatch_model.log import Progress

    Finish = Callable[[Mapping[str, File]], Mapping[str, bytes]]

# How much to read at a time: little enough to stay in the CPU cache for the next thread.
_BLOCK = 1 << 19
_SAMPLES = 16
_SMALL_SAMPLE = 1 << 12
# Larger than zipfile's own 64 KiB, with which its overhead exceeds the time for copying.
_STEP = 1 << 20
# One level deep: a package may ship metadata of other packages.
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
# PyPI's default limit; the limits of other indexes are similar or lower.
_UPLOAD_LIMIT = 100 << 20


# RECORD


@dataclass(frozen=True, slots=True)
class Record:
    """RECORD, the list of the files in a wheel: a path, digest and size for each file."""

    path: str
    rows: Sequence[Sequence[str]]

    @classmethod
    def read(cls, archive: zipfile.ZipFile) -> Record:
        (path,) = (name for name in archive.namelist() if _RECORD.fullmatch(name))
        return cls(path, list(csv.reader(io.StringIO(archive.read(path).decode()))))

    @property
    def info(self) -> str:
        """The dist-info folder, with a slash at its end."""
        return self.path.removesuffix("RECORD")

    def files(self) -> list[File]:
        """Return the project's own files: neither metadata nor files below ``.data``."""
        return [
            File(path=path, sha256=_decoded(digest), size=int(size))
            for path, digest, size in self.rows
            if not path.partition("/")[0].endswith((".dist-info", ".data"))
        ]

    def updated(self, files: Iterable[File], without: Collection[str]) -> bytes:
        """Return a copy that omits *without* and has *files* in their rows, or at the end."""
        now = {file.path: _row(file) for file in files}
        rows = [now.pop(row[0], row) for row in self.rows if row[0] not in {*without, self.path}]
        listing = io.StringIO()
        writer = csv.writer(listing, lineterminator="\n")
        writer.writerows([*rows, *now.values(), (self.path, "", "")])
        return listing.getvalue().encode()


def _row(file: File) -> list[str]:
    digest = base64.urlsafe_b64encode(bytes.fromhex(file.sha256)).rstrip(b"=")
    return [file.path, f"sha256={digest.decode()}", str(file.size)]


def _decoded(digest: str) -> str:
    text = digest.partition("=")[2]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()


# Writing


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """A file that will be written to the wheel, as found before anything was written."""

    path: str
    """In the archive."""
    file: Path
    size: int
    mode: int
    """The mode for installers: 0o644, or 0o755 if its owner may execute it."""

    @classmethod
    def find(cls, path: str, file: Path) -> _Source:
        with _errors_of(file):
            status = file.stat()
        mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        return cls(path=path, file=file, size=status.st_size, mode=mode)


def fill(
    wheel: Path,
    target: Path,
    stand_ins: Mapping[str, Path],
    *,
    without: Collection[str] = (),
    compression: Compression = "auto",
    finish: Finish,
    progress: Progress,
) -> None:
    """Write *target*, a new file: the content of *wheel*, with files in place of their *stand_ins*.

    *finish* gets these files by their paths in the archive after they are written, and returns the
    metadata files that depend on them, by their paths in dist-info. Entries called *without* are
    left out. RECORD lists everything. Each file is read once, unless it is deflated and then turns
    out not to be suitable for that. Times are those of RECORD.

    Raises HatchModelError for a file that cannot be read or changes in the meantime, and OSError if
    *target* cannot be written; *target* is then removed.
    """
    sources = [_Source.find(path, file) for path, file in sorted(stand_ins.items())]
    try:
        with zipfile.ZipFile(wheel) as old, target.open("xb") as stream:
            _fill(old, stream, sources, without, compression, finish, progress)
        shutil.copymode(wheel, target)
    except BaseException as error:
        is_of_others = isinstance(error, FileExistsError) and error.filename == str(target)
        if not is_of_others:
            target.unlink(missing_ok=True)
        raise


def _fill(  # noqa: PLR0917 - a part of fill()
    old: zipfile.ZipFile,
    stream: BinaryIO,
    sources: Sequence[_Source],
    without: Collection[str],
    compression: Compression,
    finish: Finish,
    progress: Progress,
) -> None:
    record = Record.read(old)
    metadata = [info for info in _in_their_order(old) if info.filename.startswith(record.info)]
    replaced = {*without, *(source.path for source in sources)}
    kept = {info.filename for info in old.infolist()} - {info.filename for info in metadata}
    entries = _copy_entries(old, kept - replaced, stream)
    like = old.getinfo(record.path)
    with closing(_Writer(stream, like.date_time, compression, progress)) as writer:
        files = writer.add(sources)
    changed = {f"{record.info}{path}": each for path, each in finish(files).items()}
    contents = {info.filename: old.read(info) for info in metadata if info.filename != record.path}
    contents |= changed
    described = [
        File(path=path, sha256=hashlib.sha256(each).hexdigest(), size=len(each))
        for path, each in changed.items()
    ]
    contents[record.path] = record.updated([*files.values(), *described], without)
    infos = {info.filename: info for info in metadata}
    small = ((infos.get(path) or _like(like, path), each) for path, each in contents.items())
    _write_rest(stream, [*entries, *writer.entries], small)


class _Writer:
    """Writes files to *stream*, one after the other, and keeps their `entries`."""

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

    @cached_property
    def _reader(self) -> _Reader:
        return _Reader(self._workers.ahead)

    def close(self) -> None:
        self._workers.close()
        if "_reader" in self.__dict__:
            self._reader.close()

    def add(self, sources: Sequence[_Source]) -> dict[str, File]:
        """Write *sources*, and return them as they were read, by path."""
        files: list[File] = []
        for is_small, run in groupby(sources, key=lambda source: source.size <= _BLOCK):
            some = list(run)
            files += self._add_small(some) if is_small else map(self._add_large, some)
        return {file.path: file for file in files}

    def _add_small(self, sources: Sequence[_Source]) -> Iterator[File]:
        total = sum(source.size for source in sources)
        self._progress.start(
            f"writing {len(sources)} small file{'s' if len(sources) > 1 else ''}", total
        )
        for info, content, file in self._workers.map(self._packed, sources):
            crc = info.CRC
            with _entry(info, self._stream):
                self._stream.write(content)
                info.CRC = crc
            self.entries.append(info)
            self._progress.advance(file.size)
            yield file

    def _packed(self, source: _Source) -> tuple[zipfile.ZipInfo, bytes, File]:
        """Prepare a small file, except for its position in the archive."""
        with _errors_of(source.file):
            content = source.file.read_bytes()
        _refuse_other_size(source, len(content))
        info = self._described(source)
        info.CRC = crc32(content)
        start = max(len(content) - _SMALL_SAMPLE, 0) // 2
        deflater = choose_deflater(content[start : start + _SMALL_SAMPLE], self._compression)
        file = _file(source, hashlib.sha256(content))
        if deflater is not None:
            deflated = deflater.run(content) + END
            if len(deflated) < len(content):
                info.compress_type = zipfile.ZIP_DEFLATED
                content = deflated
        return info, content, file

    def _add_large(self, source: _Source) -> File:
        info = self._described(source)
        deflater = choose_deflater(self._reader.sample(source), self._compression)
        file = self._write_large(source, info, deflater)
        if deflater is not None and not self._is_fit(info):
            self._stream.seek(info.header_offset)
            self._stream.truncate()
            file = self._write_large(source, info, None)
        self.entries.append(info)
        return file

    def _is_fit(self, info: zipfile.ZipInfo) -> bool:
        """Return whether a file can stay deflated."""
        if is_too_dense(info.file_size, info.compress_size):
            self._progress.say(
                f"storing {info.filename} uncompressed: compressed to less than a fortieth of its "
                f"size, it would look like a decompression bomb to package indexes"
            )
            return False
        return info.compress_size < info.file_size

    def _write_large(
        self, source: _Source, info: zipfile.ZipInfo, deflater: Deflater | None
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
        with _entry(info, self._stream):
            if deflater is None:
                self._stream.writelines(blocks())
            else:
                self._stream.writelines(self._workers.map(deflater.run, blocks()))
                self._stream.write(END)
            info.CRC = crc
        return _file(source, digest)

    def _described(self, source: _Source) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(source.path, self._date_time)
        info.external_attr = (stat.S_IFREG | source.mode) << 16
        info.file_size = source.size
        return info


def _file(source: _Source, digest: Any) -> File:
    return File(path=source.path, sha256=digest.hexdigest(), size=source.size)


# Reading


class _Reader:
    """Reads file after file into the same few buffers, and digests them in another thread."""

    def __init__(self, ahead: int) -> None:
        """Keep every block unchanged until *ahead* further ones are requested."""
        self._buffers = [memoryview(bytearray(_BLOCK)) for _ in range(ahead + 1)]
        # hashlib releases the GIL, so this uses a second core.
        self._hasher = ThreadPoolExecutor(1)
        # Its thread starts before this one first calls isal. A thread inherits the state of the
        # vector registers, and with the upper halves in use, as isal leaves them, SHA-256 takes a
        # third longer.
        try:
            self._hasher.submit(hashlib.sha256).result()
        except BaseException:
            # Python itself ends a thread only if Ctrl-C did not come while it started, and
            # otherwise hangs.
            self.close()
            raise

    def close(self) -> None:
        self._hasher.shutdown()

    def sample(self, source: _Source) -> memoryview:
        """Read one block, sampled from all over *source*, at the same positions each time."""
        buffer = self._buffers[0]
        size = len(buffer) // _SAMPLES
        last = max(source.size - size, 0)
        done = 0
        with _errors_of(source.file), source.file.open("rb", buffering=0) as stream:
            for place in range(_SAMPLES):
                stream.seek(last * place // (_SAMPLES - 1))
                done += stream.readinto(buffer[done : done + size])
        return buffer[:done]

    def blocks(self, source: _Source, digest: Any) -> Iterator[memoryview]:
        """Yield *source* in full blocks, except for the last one; nothing if it is empty.

        *digest* has been updated with all blocks when the iterator is exhausted.
        """
        hashed: list[Future[None]] = []
        with _errors_of(source.file):
            stream = source.file.open("rb", buffering=0)
        with stream:
            for index, start in enumerate(range(0, source.size, _BLOCK)):
                if index >= len(self._buffers):
                    hashed.pop(0).result()
                buffer = self._buffers[index % len(self._buffers)]
                block = buffer[: min(_BLOCK, source.size - start)]
                with _errors_of(source.file):
                    count = _read_into(block, stream)
                _refuse_other_size(source, start + count if count < len(block) else source.size)
                hashed.append(self._hasher.submit(digest.update, block))
                yield block
            with _errors_of(source.file):
                _refuse_other_size(source, source.size + len(stream.read(1)))
        for update in hashed:
            update.result()


def _read_into(block: memoryview, stream: io.FileIO) -> int:
    """Read until *block* is full or *stream* ends, and return the number of bytes."""
    done = 0
    while count := stream.readinto(block[done:]):
        done += count
    return done


def _refuse_other_size(source: _Source, size: int) -> None:
    if size != source.size:
        raise _changed(source.file, "has grown" if size > source.size else "has shrunk")


def _changed(file: Path, change: str) -> HatchModelError:
    return HatchModelError(
        f"{file} {change} while it was packaged, so no wheel was written. Have training wait for "
        f"everything that it started and close its files before it returns, and build again."
    )


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _changed(file, "has vanished") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise HatchModelError(
            f"{file} is part of the wheel, but cannot be read: {reason}"
        ) from error


# The parts of a ZIP archive that zipfile cannot write itself. zipfile writes the headers, and
# everything after the last entry written here.


def _in_their_order(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the entries of *archive* in the order of their content."""
    return sorted(archive.infolist(), key=lambda info: info.header_offset)


def _copy_entries(
    archive: zipfile.ZipFile, names: Collection[str], stream: BinaryIO
) -> list[zipfile.ZipInfo]:
    """Copy the entries called *names* to *stream* unchanged, and return their new descriptions.

    *archive* must be open from a file and have nothing between its entries, like every archive that
    is written in one go.
    """
    source = archive.fp
    assert source is not None  # noqa: S101 - it is open
    infos = _in_their_order(archive)
    ends = [*(info.header_offset for info in infos[1:]), archive.start_dir]
    copied = []
    for info, end in zip(infos, ends, strict=True):
        if info.filename in names:
            source.seek(info.header_offset)
            left = end - info.header_offset
            info.header_offset = stream.tell()
            while left:
                chunk = source.read(min(left, _STEP))
                stream.write(chunk)
                left -= len(chunk)
            copied.append(info)
    return copied


@contextmanager
def _entry(info: zipfile.ZipInfo, stream: BinaryIO) -> Iterator[None]:
    """Write the content of *info* to *stream* between its header and its data descriptor.

    `info.file_size` must be known at the start, and `info.CRC` at the end. Only the former decides
    whether the header has room for sizes beyond 4 GiB, so the content must not be longer, deflated
    or not.
    """
    info.header_offset = stream.tell()
    info.compress_size, info.CRC = info.file_size, 0
    stream.write(info.FileHeader())
    start = stream.tell()
    yield
    end = stream.tell()
    info.compress_size = end - start
    stream.seek(info.header_offset)
    stream.write(info.FileHeader())
    stream.seek(end)


def _write_rest(
    stream: BinaryIO,
    entries: Sequence[zipfile.ZipInfo],
    small: Iterable[tuple[zipfile.ZipInfo, bytes]],
) -> None:
    """Write *small* files, and the directory of these and of *entries*, which are already written.

    The content and position of a small file replace those in its description.
    """
    # zipfile uses the current position, and writes a directory of all entries that it knows. (Its
    # append mode first searches for the end of an archive, and would find that of the last file if
    # it is an archive itself.)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.filelist.extend(entries)
        archive.NameToInfo.update({info.filename: info for info in entries})
        for info, content in small:
            fresh = _like(info, info.filename)
            archive.writestr(fresh, content, compress_type=info.compress_type)


def _like(info: zipfile.ZipInfo, path: str) -> zipfile.ZipInfo:
    """Return a description of a file at *path*, with the attributes of *info*."""
    other = zipfile.ZipInfo(path, info.date_time)
    other.external_attr = info.external_attr
    other.create_system = info.create_system
    other.compress_type = info.compress_type
    return other


# Unpacking a wheel, and its size


def unpack(wheel: Path, folder: Path, without: Collection[str] = ()) -> None:
    """Unpack *wheel* to *folder* as on ``sys.path``, except files that are installed elsewhere.

    Entries called *without* are also left out.
    """
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            top, _, rest = info.filename.partition("/")
            if info.filename in without:
                continue
            if top.endswith(".data"):
                scheme, _, rest = rest.partition("/")
                if scheme not in {"purelib", "platlib"}:
                    continue
                info.filename = rest
            target = folder / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("wb") as stream:
                shutil.copyfileobj(source, stream, _STEP)


def lay_out(file: Path, target: Path) -> None:
    """Make *file* available at *target*: as a hard link if it is large and this is possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.stat().st_size > _STEP:
        try:
            os.link(file, target)
        except OSError:  # not supported by the file system
            pass
        else:
            return
    shutil.copy2(file, target)


def upload_notice(wheel: Path) -> str:
    """Return a notice if *wheel* is larger than what indexes accept by default; else ""."""
    size = wheel.stat().st_size
    if size <= _UPLOAD_LIMIT:
        return ""
    return (
        f"{wheel.name} is {human_size(size)}: PyPI accepts {human_size(_UPLOAD_LIMIT)} per file by "
        f"default, and other indexes have similar limits"
    )
