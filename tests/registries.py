"""Made-up wheels of models with reports, and indexes of them."""

from __future__ import annotations

import base64
import hashlib
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from models import digest_of, record_of

from hatch_model.record import to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="240" height="160">'
    b'<rect width="240" height="160" fill="#def"/><text x="20" y="80">a plot</text></svg>'
)


def png(width: int = 240, height: int = 160) -> bytes:
    """Draw a picture of one colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"\x33\x66\xcc" * width for _ in range(height))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def model_wheel(
    folder: Path,
    name: str = "iris-model",
    version: str = "0.1.0",
    *,
    metrics: Mapping[str, float] | None = None,
    gates: Mapping[str, str] | None = None,
    arguments: Mapping[str, Any] | None = None,
    report: Mapping[str, bytes] | None = None,
    readme: str = "",
    summary: str = "Tells the species of an iris",
    requires: Iterable[str] = ("anchor==1.2",),
    weights: str = "0.5\n",
    license_expression: str = "MIT",
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write the wheel of a made-up model, whose record is updated with *changes*."""
    package = name.replace("-", "_")
    files = {
        f"{package}/__init__.py": "",
        f"{package}/data/model.joblib": weights,
    }
    info = f"{package}-{version}.dist-info"
    record = record_of(files)
    record |= {
        "project": {"name": name, "version": version},
        "training": {
            "entry_point": f"{package}.training:train",
            "arguments": dict(arguments or {"depth": 3}),
        },
        "metrics": {"accuracy": 0.9} if metrics is None else dict(metrics),
        "gates": {"accuracy": ">= 0.8"} if gates is None else dict(gates),
        "check": None,
        "pins": list(requires),
        "environment": [
            *(
                dict(zip(("name", "version"), line.split("=="), strict=True), use="runtime")
                for line in requires
            ),
            {"name": "hatchling", "version": "1.27.0", "use": "training"},
        ],
        **(changes or {}),
    }
    drawn = {f"{info}/extra_metadata/report/{path}": held for path, held in (report or {}).items()}
    if drawn:
        record["report"] = [
            {"path": path, "sha256": hashlib.sha256(held).hexdigest(), "size": len(held)}
            for path, held in sorted(drawn.items())
        ]
    metadata = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: {summary}",
        f"License-Expression: {license_expression}",
        "Requires-Python: >=3.10",
        *(f"Requires-Dist: {line}" for line in requires),
        "Description-Content-Type: text/markdown",
    ]
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents = {
        **{path: text.encode() for path, text in files.items()},
        f"{info}/METADATA": "\n".join([*metadata, "", readme]).encode(),
        f"{info}/WHEEL": wheel.encode(),
        f"{info}/extra_metadata/model.json": to_bytes(record),
        **drawn,
    }
    listed = [f"{path},{digest_of(held)},{len(held)}" for path, held in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*listed, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, held in contents.items():
            archive.writestr(zipfile.ZipInfo(path), held)
    return file


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def as_picture(kind: str, content: bytes) -> str:
    """Return the address that a page shows a picture by."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
