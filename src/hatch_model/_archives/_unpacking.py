"""A wheel laid out in a folder."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING

from hatch_model._archives._reading import LARGE

if TYPE_CHECKING:
    from pathlib import Path

# zipfile's own 64 KiB make it think longer about each piece than the copying takes.
_STEP = 1 << 20


def unpack(wheel: Path, folder: Path) -> None:
    """Lay out *wheel* in *folder* as on ``sys.path``: what installs elsewhere is left out."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            top, _, rest = info.filename.partition("/")
            if not top.endswith(".data"):
                _extract(archive, info, folder)
                continue
            scheme, _, info.filename = rest.partition("/")
            if scheme in {"purelib", "platlib"}:
                _extract(archive, info, folder)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> None:
    if info.file_size < LARGE:
        archive.extract(info, folder)
        return
    target = folder / info.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("wb") as stream:
        shutil.copyfileobj(source, stream, _STEP)
