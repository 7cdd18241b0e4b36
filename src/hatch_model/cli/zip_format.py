"""The layout of a ZIP archive, which zipfile reads more leniently than package indexes do.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from hatch_model.log import exact_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIELD, _LARGE = struct.Struct("<HH"), struct.Struct("<QQ")
_HEADER = struct.Struct("<4s2xHH8xLLHH")
_END = struct.Struct("<4s6xHLLH")
_END_64 = struct.Struct("<4s28xQQQ")
_LOCATOR = struct.Struct("<4s16x")
_LONGEST_COMMENT = 0xFFFF
_ZIP64, _ZIP64_SIZE = 1, 0xFFFFFFFF
_UTF_8, _DATA_DESCRIPTOR = 0x800, 8  # flags of an entry


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """The end record of an archive, which says where the directory of its entries is."""

    position: int
    """Of the end record, or of the first one if there are two, as for zip64."""
    stop: int
    """The position after the comment."""
    count: int
    """The number of entries."""
    size: int
    """Of the directory, in bytes."""
    start: int
    """Of the directory, relative to the beginning of the archive."""


def read_end(stream: IO[bytes]) -> End | None:
    """Find the end record as zipfile does; None if there is none."""
    length = stream.seek(0, io.SEEK_END)
    before = max(length - _END.size - _LONGEST_COMMENT, 0)
    stream.seek(before)
    tail = stream.read()
    index = tail.rfind(b"PK\5\6")
    if index < 0 or len(tail) - index < _END.size:
        return None
    _, count, size, start, comment = _END.unpack_from(tail, index)
    position = before + index
    stop = position + _END.size + comment
    first = position - _LOCATOR.size - _END_64.size
    if first >= 0:
        stream.seek(first)
        signature, *large = _END_64.unpack(stream.read(_END_64.size))
        (locator,) = _LOCATOR.unpack(stream.read(_LOCATOR.size))
        if (signature, locator) == (b"PK\6\6", b"PK\6\7"):
            position, (count, size, start) = first, large
    return End(position=position, stop=stop, count=count, size=size, start=start)


def odd_layout(stream: IO[bytes], entries: Sequence[zipfile.ZipInfo]) -> Iterator[str]:
    """List what is ambiguous in an archive, and that PyPI therefore refuses.

    Tools that read it from its beginning and tools that read it from its end would find different
    files. *entries* are those in its directory.
    """
    end = read_end(stream)
    if end is None:
        return
    length = stream.seek(0, io.SEEK_END)
    directory = end.position - end.size
    position = directory - end.start
    if position < 0:
        yield f"at the beginning of the archive: {exact_size(-position)} missing"
        return
    if position:
        yield f"before the archive: {exact_size(position)} of something else"
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset != position:
            yield f"{entry.filename}: its header is not right after the file before it"
            return
        header = _read_header(stream, position)
        if header is None:
            yield f"{entry.filename}: it has no header"
            return
        yield from _odd_entry(entry, header)
        position = header.content + entry.compress_size
    if position != directory:
        yield "the list of files is not right after the last file"
    if end.count != len(entries):
        yield f"the end of the archive counts {end.count} files, but {len(entries)} are listed"
    if end.stop != length:
        yield f"after the end of the archive: {exact_size(length - end.stop)} of something else"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """What the header before the content of an entry says of it."""

    name: bytes
    flags: int
    method: int
    sizes: tuple[int, int]
    """As in the archive and unpacked, in bytes."""
    content: int
    """The position of its content."""


def _read_header(stream: IO[bytes], position: int) -> _Header | None:
    stream.seek(position)
    read = stream.read(_HEADER.size)
    if len(read) < _HEADER.size or not read.startswith(b"PK\3\4"):
        return None
    _, flags, method, packed, size, name_size, extra_size = _HEADER.unpack(read)
    name, extra = stream.read(name_size), stream.read(extra_size)
    if _ZIP64_SIZE in {packed, size}:
        packed, size = _large_sizes(extra) or (packed, size)
    return _Header(
        name=name,
        flags=flags,
        method=method,
        sizes=(packed, size),
        content=position + _HEADER.size + name_size + extra_size,
    )


def _large_sizes(extra: bytes) -> tuple[int, int] | None:
    """Find the sizes of a file that is larger than 4 GiB, both of which have to be there."""
    while len(extra) >= _FIELD.size:
        kind, length = _FIELD.unpack_from(extra)
        content, extra = extra[_FIELD.size : _FIELD.size + length], extra[_FIELD.size + length :]
        if kind == _ZIP64 and len(content) >= _LARGE.size:
            size, packed = _LARGE.unpack_from(content)
            return packed, size
    return None


def _odd_entry(entry: zipfile.ZipInfo, header: _Header) -> Iterator[str]:
    path = entry.orig_filename
    name = path.encode("utf-8" if entry.flag_bits & _UTF_8 else "cp437")
    if header.name != name:
        yield f"{path}: its header calls it {header.name.decode('utf-8', 'backslashreplace')}"
    if any(char < " " or char == "\x7f" for char in path):
        yield f"{path}: a control character in its name"
    if header.flags & _DATA_DESCRIPTOR:
        yield f"{path}: its size is only told after it, in a data descriptor"
    elif header.sizes != (entry.compress_size, entry.file_size):
        yield f"{path}: its header and the list of files do not agree on its size"
    if {header.method, entry.compress_type} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        yield f"{path}: neither stored nor deflated"
    if entry.comment:
        yield f"{path}: a comment"
