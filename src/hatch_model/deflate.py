"""Compression in blocks, and the decision whether to compress.

A file is deflated in independent blocks, so that any core can take the next one. Each block ends on
a byte boundary, and the concatenated blocks are one deflate stream (RFC 1951) that any
decoder can read. Sharing the window between blocks has no measurable benefit at this size.
"""

from __future__ import annotations

import importlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    _isal: Any = importlib.import_module("isal.isal_zlib")
except ImportError:
    _isal = None

crc32: Callable[..., int] = (_isal or zlib).crc32

Compression = Literal["auto", "stored", "deflate"]

# The compression ratio below which deflating is worth the time, both here and wherever the file is
# installed. float32 weights compress to 0.93 and bfloat16 to 0.78, which isal does nearly at the
# speed of a disk, and zlib at a tenth of that.
_WORTHWHILE_WITH_ISAL = 0.9
_WORTHWHILE_WITH_ZLIB = 0.7

# PyPI refuses archives that unpack to more than 50 times their size.
_DENSEST = 40

END = b"\x03\x00"
"""An empty last block: the end of a stream."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deflater:
    """A way to deflate blocks."""

    module: Any
    """zlib, or a module with the same interface."""
    level: int
    strategy: int = zlib.Z_DEFAULT_STRATEGY

    def run(self, block: bytes | memoryview) -> bytes:
        """Deflate *block* to a part of a stream that other parts may follow."""
        compressor = self.module.compressobj(
            self.level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, self.strategy
        )
        start = compressor.compress(block)
        return bytes(start + compressor.flush(zlib.Z_SYNC_FLUSH))


def choose_deflater(sample: bytes | memoryview, compression: Compression) -> Deflater | None:
    """Choose how to deflate a file from a *sample* of it. None means to store it."""
    if compression == "stored" or not sample:
        return None
    tried = [(each, len(each.run(sample))) for each in _choice()]
    best, size = min(tried, key=lambda choice: choice[1])
    worthwhile = _WORTHWHILE_WITH_ZLIB if _isal is None else _WORTHWHILE_WITH_ISAL
    return None if compression == "auto" and size > worthwhile * len(sample) else best


def _choice() -> list[Deflater]:
    if _isal is not None:
        return [Deflater(module=_isal, level=1)]
    # Searching for repetitions in weights costs zlib more than it gains; Z_RLE costs hardly
    # anything.
    return [
        Deflater(module=zlib, level=1, strategy=zlib.Z_RLE),
        Deflater(module=zlib, level=1),
    ]


def is_too_dense(size: int, deflated: int) -> bool:
    """Return whether an index would treat *size* bytes *deflated* to this few as a zip bomb."""
    return size > _DENSEST * deflated
