"""A wheel laid out in a folder."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
