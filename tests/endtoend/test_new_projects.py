"""Projects that `hatch-model init` writes, and the page about them, command by command."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT, online, output_of
from indexes import free_port, torch_links
from support import Wheel, timeless

if TYPE_CHECKING:
    from pathlib import Path

    from support import Surroundings

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the page is written for bash"),
]

_DOCS = (CHECKOUT / "docs/start.md").read_text("utf-8")


def _bash(script: str, folder: Path, environment: dict[str, str]) -> str:
    return output_of("bash", "-euc", script, cwd=folder, environment=environment)


def _environment(surroundings: Surroundings, shared_folder: Path, *links: Path) -> dict[str, str]:
    found = [surroundings.variables()["UV_FIND_LINKS"], *map(str, links)]
    environment = online(shared_folder)
    return {**environment, "UV_FIND_LINKS": ",".join(found), "UV_PYTHON": sys.executable}


def test_the_page_works_as_it_stands(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    blocks = re.findall(r"^```(bash|text)\n(.*?)^```$", _DOCS, re.MULTILINE | re.DOTALL)
    environment = _environment(surroundings, shared_folder)
    environment["PORT"] = str(free_port())

    folder, said = tmp_path, ""
    for kind, block in blocks:
        if kind == "text":
            assert timeless(block) in timeless(said)
            continue
        said = _bash(block, folder, environment)
        folder = tmp_path / "acme-wine"
    listed = re.findall(r"^\| `([^`]+)` \|", _DOCS, re.MULTILINE)
    assert [name for name in listed if not (folder / name).is_file()] == []
    assert (folder / "acme-wine-0.1.0.html").is_file()
    (wheel,) = (folder / "dist").glob("*.whl")
    locked = (folder / "uv.lock").read_text()
    version = re.search(r'name = "scikit-learn"\nversion = "(.+)"', locked)
    assert version is not None
    requires = Wheel(wheel).requires
    assert any(line.startswith(f"scikit-learn=={version[1]}") for line in requires)
    assert not any(line.startswith("matplotlib") for line in requires)


@pytest.mark.parametrize(
    "format_", ["onnx", pytest.param("safetensors", marks=pytest.mark.nightly)]
)
def test_a_project_of_each_format_is_tested_and_built(
    format_: str, surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    links = [torch_links()] if format_ == "safetensors" else []
    environment = _environment(surroundings, shared_folder, *links)
    init = f'uvx "hatch-model[cli]" init wine --format {format_} --ci gitlab --no-lock'
    _bash(init, tmp_path, environment)
    project = tmp_path / "wine"
    if links:  # and no release for which gigabytes are downloaded
        (wheel,) = links[0].glob("torch-*+cpu-*.whl")
        file = project / "pyproject.toml"
        version = wheel.name.split("-")[1].partition("+")[0]
        file.write_text(file.read_text().replace("torch>=2.6", f"torch=={version}"))

    said = _bash("uv lock --quiet\nuv run --quiet pytest -q\nuv build", project, environment)
    assert "2 passed" in said
    assert "hatch-model: accuracy  1      >= 0.9  ok" in said
    (built,) = (project / "dist").glob("*.whl")
    required = {line.partition("=")[0] for line in Wheel(built).requires}
    assert "scikit-learn" not in required
    predict = "from wine.prediction import check; print(check())"
    use = f'uv run --quiet --no-project --with "{built}" python -c "{predict}"'
    assert _bash(use, tmp_path, environment) == "[0]\n"
