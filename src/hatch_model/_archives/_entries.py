"""What a ZIP archive is made of, where zipfile itself has no way to write it.

Its headers are zipfile's in any case, and so is all that follows the last entry written here.
"""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import BinaryIO

_CHUNK = 1 << 20


def in_their_order(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Give the entries of *archive* in the order of their content."""
    return sorted(archive.infolist(), key=lambda info: info.header_offset)


def copy_entries(
    archive: zipfile.ZipFile, names: Collection[str], stream: BinaryIO
) -> list[zipfile.ZipInfo]:
    """Copy the entries called *names* to *stream* as they are, and describe them as they are there.

    *archive* must be open from a file and have nothing between its entries, as any that is written
    in one go.
    """
    source = archive.fp
    assert source is not None  # noqa: S101 - it is open
    infos = in_their_order(archive)
    ends = [*(info.header_offset for info in infos[1:]), archive.start_dir]
    copied = []
    for info, end in zip(infos, ends, strict=True):
        if info.filename in names:
            source.seek(info.header_offset)
            left = end - info.header_offset
            info.header_offset = stream.tell()
            while left:
                chunk = source.read(min(left, _CHUNK))
                stream.write(chunk)
                left -= len(chunk)
            copied.append(info)
    return copied


@contextmanager
def entry(info: zipfile.ZipInfo, stream: BinaryIO) -> Iterator[None]:
    """Have the content of *info* written to *stream* between its header and what follows.

    `info.file_size` must be known, and `info.CRC` by the end. Whether the header has room for sizes
    beyond 4 GiB goes by the former alone, so the content must not be any longer, deflated or not.
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


def write_rest(
    stream: BinaryIO,
    entries: Sequence[zipfile.ZipInfo],
    small: Iterable[tuple[zipfile.ZipInfo, bytes]],
) -> None:
    """Write *small* files, and the directory of these and of *entries*, which stand there already.

    Of a small file's description, all but what its content and place make of it counts.
    """
    # zipfile goes by the position, and writes a directory of all that it knows of. (Its mode for
    # appending looks for an archive's end first, and takes that of an archive which is the last
    # file so far for this one's.)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.filelist.extend(entries)
        archive.NameToInfo.update({info.filename: info for info in entries})
        for info, content in small:
            fresh = zipfile.ZipInfo(info.filename, info.date_time)
            fresh.external_attr = info.external_attr
            fresh.create_system = info.create_system
            archive.writestr(fresh, content, compress_type=info.compress_type)
