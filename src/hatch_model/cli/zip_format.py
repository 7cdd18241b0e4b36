"""The layout of a ZIP archive, which zipfile reads more leniently than package indexes do.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import IO

_END = struct.Struct("<4s6xHLLH")
_END_64 = struct.Struct("<4s28xQQQ")
_LOCATOR = struct.Struct("<4s16x")
_LONGEST_COMMENT = 0xFFFF


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
