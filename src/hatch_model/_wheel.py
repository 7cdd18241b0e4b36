"""A finished wheel: unpacked, and with a metadata file exchanged."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shutil
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# One level deep: a package may ship metadata of others.
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")


def unpack(wheel: Path, folder: Path) -> None:
    """Lay out *wheel* in *folder* as on ``sys.path``: what installs elsewhere is left out."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            top, _, rest = info.filename.partition("/")
            if not top.endswith(".data"):
                archive.extract(info, folder)
                continue
            scheme, _, info.filename = rest.partition("/")
            if scheme in {"purelib", "platlib"}:
                archive.extract(info, folder)


def exchange(wheel: Path, changes: Mapping[str, bytes]) -> None:
    """Exchange files of *wheel*'s metadata, by their paths in the archive, and mend its RECORD.

    Everything before the first of them is copied as it is, so they should be near the end, as
    metadata is. The wheel is the old one or the new one, never half of one.
    """
    partial = wheel.with_name(f".{wheel.name}.partial")
    try:
        _write_exchanged(wheel, partial, changes)
        shutil.copymode(wheel, partial)
        partial.replace(wheel)
    finally:
        partial.unlink(missing_ok=True)


def _write_exchanged(wheel: Path, partial: Path, changes: Mapping[str, bytes]) -> None:
    with (
        zipfile.ZipFile(wheel) as old,
        wheel.open("rb") as source,
        partial.open("wb") as target,
    ):
        (record,) = (name for name in old.namelist() if _RECORD.fullmatch(name))
        contents = {**changes, record: _mended(old.read(record).decode(), changes)}
        infos = sorted(old.infolist(), key=lambda info: info.header_offset)
        first = next(index for index, info in enumerate(infos) if info.filename in contents)
        kept, rewritten = infos[:first], infos[first:]
        for info in rewritten:
            contents.setdefault(info.filename, old.read(info))
        _copy(source, target, rewritten[0].header_offset)
        # From here on as if all before had been written by it: zipfile goes by the position, and
        # writes a directory of all that it knows of. (Its mode for appending looks for an archive's
        # end first, and takes that of an archive which is the last file so far for this one's.)
        with zipfile.ZipFile(target, "w") as new:
            new.filelist.extend(kept)
            new.NameToInfo.update({info.filename: info for info in kept})
            for info in rewritten:
                fresh = zipfile.ZipInfo(info.filename, info.date_time)
                fresh.external_attr = info.external_attr
                fresh.create_system = info.create_system
                new.writestr(fresh, contents[info.filename], compress_type=info.compress_type)


def _copy(source: io.BufferedReader, target: io.BufferedWriter, size: int) -> None:
    """Copy the first *size* bytes."""
    while size and (chunk := source.read(min(size, 1 << 20))):
        target.write(chunk)
        size -= len(chunk)


def _mended(record: str, changes: Mapping[str, bytes]) -> bytes:
    rows = list(csv.reader(io.StringIO(record)))
    for row in rows:
        if row[0] in changes:
            content = changes[row[0]]
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            row[1:] = [f"sha256={digest.decode()}", str(len(content))]
    mended = io.StringIO()
    csv.writer(mended, lineterminator="\n").writerows(rows)
    return mended.getvalue().encode()
