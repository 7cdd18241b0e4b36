"""Made-up models, as wheels and installed, and ways of damaging them."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from click.testing import CliRunner
from support import make_wheel

from hatch_model.cli.commands import hatch_model
from hatch_model.record import to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import pytest

    Change = Callable[[dict[str, Any]], object]

INFO = "small-0.1.0.dist-info"
RECORD = f"{INFO}/RECORD"
MODEL_JSON = f"{INFO}/extra_metadata/model.json"
WEIGHTS = "small/data/weights.txt"
MAIN = "small/main.py"
FILES = {
    "small/__init__.py": "",
    MAIN: "def check():\n    return [0.5, 'setosa', 3]\n",
    WEIGHTS: "0.5\n",
}


def described(files: Mapping[str, str]) -> list[dict[str, Any]]:
    """List *files* as a record does."""
    return [
        {
            "path": path,
            "sha256": hashlib.sha256(content.encode()).hexdigest(),
            "size": len(content.encode()),
        }
        for path, content in sorted(files.items())
    ]


def record_of(files: Mapping[str, str], *changes: Change) -> dict[str, Any]:
    """Make the record of a model whose wheel holds *files*, and apply *changes* to it."""
    record: dict[str, Any] = {
        "schema_version": 1,
        "project": {"name": "small", "version": "0.1.0"},
        "training": {"entry_point": "small.main:train", "arguments": {"depth": 3, "loss": "log"}},
        "metrics": {"accuracy": 0.75},
        "gates": {"accuracy": ">= 0.7"},
        "check": {"entry_point": "small.main:check", "result": [0.5, "setosa", 3]},
        "python": {"implementation": "CPython", "version": "3.12.1"},
        "platform": {"system": "Linux", "machine": "x86_64"},
        "environment": [
            {"name": "anchor", "version": "1.2", "use": "runtime"},
            {"name": "joblib", "version": "1.5.0", "use": "training"},
        ],
        "pins": ["anchor==1.2"],
        "lock": None,
        "git": {"commit": "c0ffee" + 34 * "0", "dirty": False},
        "inputs": [{"path": "flowers.csv", "sha256": 64 * "1", "size": 2048}],
        "sources": [file for file in described(files) if "/data/" not in file["path"]],
        "artifacts": [file for file in described(files) if "/data/" in file["path"]],
        "generator": {"name": "hatch-model", "version": "0.1.0"},
    }
    for change in changes:
        change(record)
    return record


def make_model(
    folder: Path,
    *changes: Change,
    files: Mapping[str, str] = FILES,
    report: Mapping[str, str] | None = None,
    requires: Iterable[str] = ("anchor==1.2",),
    version: str = "0.1.0",
) -> Path:
    """Write the wheel of `small`, with *report*, whose record is given *changes*."""
    reported = {
        f"small-{version}.dist-info/extra_metadata/report/{path}": content
        for path, content in (report or {}).items()
    }
    record = record_of(files)
    if reported:
        record["report"] = described(reported)
    for change in changes:
        change(record)
    folder.mkdir(exist_ok=True)
    return make_wheel(
        folder,
        "small",
        version,
        requires=requires,
        files={
            **files,
            **reported,
            f"small-{version}.dist-info/extra_metadata/model.json": to_bytes(record).decode(),
        },
    )


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(wheel: Path, changes: Mapping[str, bytes | None], *, record: bool = False) -> Path:
    """Write *wheel* anew with other contents (None: none at all); with *record*, RECORD too."""
    held = {**contents(wheel), **changes}
    kept = {path: content for path, content in held.items() if content is not None}
    if record:
        name = next(path for path in kept if path.endswith(".dist-info/RECORD"))
        kept[name] = "".join(
            f"{path},,\n" if path == name else f"{path},{digest_of(content)},{len(content)}\n"
            for path, content in kept.items()
        ).encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in kept.items():
            archive.writestr(path, content)
    return wheel


def digest_of(content: bytes) -> str:
    """Write the digest of *content* as RECORD does."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def install(wheel: Path, folder: Path) -> Path:
    """Lay *wheel* out in *folder*, as installers do."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


_UV = """\
import os, shutil, sys
print("uv on stdout", flush=True)
print("uv on stderr", os.environ["HATCH_MODEL_RETRAIN"], "VIRTUAL_ENV" in os.environ, file=sys.stderr)
shutil.copytree("rebuilt", sys.argv[sys.argv.index("--out-dir") + 1])
"""


def stand_in_for_uv(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to *folder*, where `uv build` gives what lies in its folder `rebuilt`, or else fails.

    uv is an interpreter there, whose first argument `build` is a script.
    """
    (folder / "build").write_text(_UV, "utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("UV", sys.executable)


class Ran(NamedTuple):
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: object) -> Ran:
    """Run the command line in this process; what it does not mean to raise is raised here."""
    result = CliRunner().invoke(
        hatch_model, list(map(str, arguments)), prog_name="hatch-model", catch_exceptions=False
    )
    return Ran(result.stdout, result.stderr, result.exit_code)


def installed_from(direct_url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `hatch-model init` find *direct_url* as its own `direct_url.json`."""
    found = SimpleNamespace(read_text=lambda _name: direct_url)
    monkeypatch.setattr("hatch_model.new_project.distribution", lambda _name: found)
