"""Wheels as hatchling writes them, and all that is in a wheel, compared with its RECORD."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import struct
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INFO = "small-1.0.dist-info"
MODEL = f"{INFO}/extra_metadata/model.json"


def write_wheel(
    folder: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED
) -> Path:
    """Write a wheel of *files* to a new *folder*: metadata at the end, RECORD last of all."""
    folder.mkdir()
    contents = {
        **files,
        f"{INFO}/METADATA": b"Metadata-Version: 2.4\nName: small\nVersion: 1.0\n"
        b"Description-Content-Type: text/plain\n\nA model.\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
        f"{INFO}/sboms/model.cdx.json": b"[]\n",
        MODEL: b"{}\n",
    }
    listing = io.StringIO()
    rows = [(path, listed(content), len(content)) for path, content in contents.items()]
    csv.writer(listing, lineterminator="\n").writerows([*rows, (f"{INFO}/RECORD", "", "")])
    contents[f"{INFO}/RECORD"] = listing.getvalue().encode()
    path = folder / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0))
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content, compress_type=compression)
    return path


def listed(content: bytes) -> str:
    """Give the digest of *content* as RECORD has it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def contents(wheel: Path) -> dict[str, bytes]:
    """Read every file through its CRC, and compare each with RECORD."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    (record,) = (name for name in found if name.count("/") == 1 and name.endswith("-info/RECORD"))
    rows = list(csv.reader(io.StringIO(found[record].decode())))
    in_record = {path: (digest, size) for path, digest, size in rows}
    assert len(rows) == len(found)
    assert in_record == {
        path: ("", "") if path == record else (listed(content), str(len(content)))
        for path, content in found.items()
    }
    return found


def assert_strict(wheel: Path) -> None:
    """Walk *wheel* as an index does: header after header, with no gap and nothing to guess.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format and APPNOTE.TXT
    4.3.7 (local headers), 4.3.12 (the directory) and 4.5.3 (zip64).
    """
    with zipfile.ZipFile(wheel) as archive, wheel.open("rb") as stream:
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            assert stream.tell() == info.header_offset
            signature, _, flags, method, _, crc, packed, size, name, extra = struct.unpack(
                "<4sHHHLLLLHH", stream.read(30)
            )
            assert signature == b"PK\3\4"
            assert flags == (0 if info.filename.isascii() else 0x800)
            assert stream.read(name).decode() == info.filename
            needs_zip64 = max(info.file_size, info.compress_size) > zipfile.ZIP64_LIMIT
            assert extra == (20 if needs_zip64 else 0)
            if needs_zip64:
                assert packed == size == 0xFFFFFFFF
                kind, length, size, packed = struct.unpack("<HHQQ", stream.read(20))
                assert (kind, length) == (1, 16)
            assert (method, crc) == (info.compress_type, info.CRC)
            assert (size, packed) == (info.file_size, info.compress_size)
            stream.seek(packed, io.SEEK_CUR)
        assert stream.tell() == archive.start_dir
        for info in archive.infolist():
            fields = struct.unpack("<4s4xHH8xLLHHHHH4xL", stream.read(46))
            signature, flags, method, packed, size, name, extra, comment, disk, _, offset = fields
            assert (signature, comment, disk) == (b"PK\1\2", 0, 0)
            assert (flags, method) == (info.flag_bits, info.compress_type)
            assert stream.read(name).decode() == info.filename
            whole = [
                *([info.file_size, info.compress_size] if size == packed == 0xFFFFFFFF else []),
                *([info.header_offset] if offset == 0xFFFFFFFF else []),
            ]
            if whole:
                assert stream.read(4) == struct.pack("<HH", 1, 8 * len(whole))
                assert struct.unpack(f"<{len(whole)}Q", stream.read(8 * len(whole))) == (*whole,)
            assert extra == (4 + 8 * len(whole) if whole else 0)
        end = stream.read()
        assert len(end) in {22, 56 + 20 + 22} and end[-22:-18] == b"PK\5\6"
