"""A small project for each library: locked, built, checked, installed alone, and predicting the same.

Three of them are run with the tests that need a package index; `pytest -m library` runs them all.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT, online, output_of
from indexes import torch_links
from support import ModelProject, Wheel, interpreter_of

if TYPE_CHECKING:
    from pathlib import Path

    from support import Surroundings

_PROJECTS = CHECKOUT / "tests/projects/libraries"
_NAMES = sorted(path.name for path in _PROJECTS.iterdir())
_USUAL = ["lightgbm-cancer", "onnx-iris", "sklearn-wine"]
_OF_TORCH = ["embeddings-minilm", "pytorch-digits", "transformers-reviews"]
_DOCS = (CHECKOUT / "docs/libraries.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.library, *([pytest.mark.network] if name in _USUAL else [])]
        )
        for name in _NAMES
    ],
)
def test_a_model_of_the_library_is_the_same_wherever_its_wheel_is_installed(
    name: str, surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    project = ModelProject.copy(f"libraries/{name}", tmp_path / "project")
    links = [*map(str, [torch_links()] if name in _OF_TORCH else [])]
    found = ",".join([surroundings.variables()["UV_FIND_LINKS"], *links])
    environment = {**online(shared_folder), "UV_FIND_LINKS": found, "UV_PYTHON": sys.executable}
    if links:
        environment["PIP_FIND_LINKS"] = links[0]

    def run(*command: str | Path, cwd: Path = project.folder) -> str:
        return output_of(*command, cwd=cwd, environment=environment)

    run("uv", "lock", "--quiet")
    said = run("uv", "build")
    assert f"checking the wheel with {name.replace('-', '_')}:check" in said
    assert "warning" not in said
    (wheel,) = (project.folder / "dist").glob("*.whl")
    assert Wheel(wheel).requires
    for tool in ("uv", "pip"):
        folder = tmp_path / tool
        run("uv", "venv", "--quiet", *(["--seed"] if tool == "pip" else []), folder)
        python = interpreter_of(folder)
        installer = {
            "uv": ("uv", "pip", "install", "--quiet", "--python", python, wheel),
            "pip": (python, "-m", "pip", "install", "--quiet", wheel),
        }[tool]
        run(*installer)
        # It calls the check, whose result has to be that of the build.
        verified = run(
            sys.executable, "-m", "hatch_model", "verify", name, "--python", folder, cwd=tmp_path
        )
        assert verified.endswith(f"{name} 0.1.0: nothing differs\n")


@pytest.mark.parametrize("name", _NAMES)
def test_the_page_shows_the_project_as_it_is_tested(name: str) -> None:
    package = name.replace("-", "_")
    (section,) = (part for part in _DOCS.split("\n## ") if f"`src/{package}/training.py`" in part)

    shown = dict(
        re.findall(r"^`src/(.+?)`:\n\n```python\n(.*?)```$", section, re.MULTILINE | re.DOTALL)
    )
    files = sorted((_PROJECTS / name / "src").rglob("*.py"))
    assert shown == {
        file.relative_to(_PROJECTS / name / "src").as_posix(): file.read_text("utf-8")
        for file in files
    }
    (settings,) = re.findall(r"^```toml\n(.*?)```$", section, re.MULTILINE | re.DOTALL)
    assert settings == (_PROJECTS / name / "pyproject.toml").read_text("utf-8")
