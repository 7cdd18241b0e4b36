"""RECORD, the list of what a wheel holds."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Mapping

    from hatch_model._digests import File

# One level deep: a package may ship metadata of others.
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")


def record_of(archive: zipfile.ZipFile) -> str:
    """Give the path of a wheel's RECORD in its *archive*."""
    (record,) = (name for name in archive.namelist() if _RECORD.fullmatch(name))
    return record


def with_files(
    record: bytes, path: str, files: Iterable[File], metadata: Mapping[str, bytes]
) -> bytes:
    """List *files* before the metadata in *record*, found at *path*, and *metadata* as it is now.

    Metadata that is new goes to the end, before *record* itself.
    """
    rows = list(csv.reader(io.StringIO(record.decode())))
    folder = path.removesuffix("RECORD")
    now = {
        name: _row(name, hashlib.sha256(content).digest(), len(content))
        for name, content in metadata.items()
    }
    rows = [now.pop(row[0], row) for row in rows]
    own = next(index for index, row in enumerate(rows) if row[0] == path)
    rows[own:own] = now.values()
    first = next(index for index, row in enumerate(rows) if row[0].startswith(folder))
    rows[first:first] = (_row(file.path, bytes.fromhex(file.sha256), file.size) for file in files)
    listing = io.StringIO()
    csv.writer(listing, lineterminator="\n").writerows(rows)
    return listing.getvalue().encode()


def _row(path: str, sha256: bytes, size: int) -> list[str]:
    digest = base64.urlsafe_b64encode(sha256).rstrip(b"=")
    return [path, f"sha256={digest.decode()}", str(size)]
