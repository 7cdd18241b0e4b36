"""What a build that fails leaves of itself in the process that it runs in."""

from __future__ import annotations

import signal
import tempfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hatchling.builders.wheel import WheelBuilder

if TYPE_CHECKING:
    from pathlib import Path

_PYPROJECT = """\
[project]
name = "small"
version = "1.0"
dynamic = ["dependencies"]

[tool.hatch.build.targets.wheel]
dev-mode-dirs = ["."]

[tool.hatch.metadata.hooks.model]
dependencies = []

[tool.hatch.build.hooks.model]
train = "small.main:train"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / "small").mkdir(parents=True)
    (root / "pyproject.toml").write_text(_PYPROJECT)
    (root / "small" / "__init__.py").touch()
    _write(root, "return [0.5], {}")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return root


def _write(root: Path, body: str) -> None:
    (root / "small" / "main.py").write_text(f"def train():\n    {body}\n")


def _state(tmp_path: Path) -> tuple[object, ...]:
    left = sorted(path.name for path in (tmp_path / "temporary").iterdir())
    return tempfile.tempdir, signal.getsignal(signal.SIGTERM), left


def _build(root: Path, *versions: str) -> list[str]:
    """Build a wheel in this process, and give the names of what is in the folder for it afterwards."""
    builder = WheelBuilder(str(root))
    list(builder.build(directory=str(root / "dist"), versions=[*versions] or ["standard"]))
    return sorted(path.name for path in (root / "dist").iterdir())


def test_a_build_that_succeeds_leaves_its_wheel(root: Path, tmp_path: Path) -> None:
    before = _state(tmp_path)

    assert _build(root) == ["small-1.0-py2.py3-none-any.whl"]
    assert _state(tmp_path) == before


@pytest.mark.parametrize(
    ("versions", "files"),
    [
        (("editable", "standard"), ["__init__.py", "main.py", "model.joblib"]),
        (("standard", "standard"), ["__init__.py", "main.py", "model.joblib"]),
        (("standard", "editable"), ["_small.pth"]),
    ],
)
def test_several_versions_are_built_one_after_the_other(
    versions: tuple[str, ...], files: list[str], root: Path, tmp_path: Path
) -> None:
    before = _state(tmp_path)

    # They have one name, so the last one stays.
    (name,) = _build(root, *versions)
    with zipfile.ZipFile(root / "dist" / name) as archive:
        names = [path.rpartition("/")[2] for path in archive.namelist() if "-info/" not in path]
    assert names == files
    assert _state(tmp_path) == before


@pytest.mark.parametrize("body", ["raise ValueError", "return {'accuracy': float('nan')}"])
def test_a_build_that_fails_before_the_wheel_is_written_leaves_nothing(
    body: str, root: Path, tmp_path: Path
) -> None:
    _write(root, body)
    before = _state(tmp_path)

    with pytest.raises(SystemExit):
        _build(root)
    assert _state(tmp_path) == before


@pytest.mark.parametrize("error", [OSError("full"), ZeroDivisionError(), KeyboardInterrupt()])
def test_a_build_that_fails_after_the_wheel_is_written_leaves_nothing(
    error: BaseException, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("hatch_model.release.fill", fail)
    before = _state(tmp_path)

    with pytest.raises((SystemExit, ZeroDivisionError)):
        _build(root)
    assert _state(tmp_path) == before
    assert list((root / "dist").iterdir()) == []


def test_what_is_restored_last_is_restored_even_if_the_first_cannot_be(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError

    _write(root, "raise ValueError")
    before = _state(tmp_path)
    monkeypatch.setattr("hatch_model.project.Project.close", fail)

    with pytest.raises(OSError, match=r"^$"):
        _build(root)
    assert _state(tmp_path)[1] == before[1]
