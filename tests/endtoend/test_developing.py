"""docs/developing.md, command by command, in a new project."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT, online, output_of
from support import timeless

if TYPE_CHECKING:
    from pathlib import Path

    from support import Surroundings

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the page is written for bash"),
]

_PAGE = (CHECKOUT / "docs/developing.md").read_text("utf-8")


def test_the_page_works_as_it_stands(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    links = surroundings.variables()["UV_FIND_LINKS"]
    environment = {
        **online(shared_folder),
        "UV_FIND_LINKS": links,
        "UV_PYTHON": sys.executable,
        "HATCH_MODEL_CACHE_DIR": str(surroundings.store),
    }

    def bash(script: str, folder: Path, code: int = 0) -> str:
        return output_of("bash", "-euc", script, cwd=folder, environment=environment, code=code)

    bash('uvx "hatch-model[cli]" init acme-wine --ci none', tmp_path)
    project = tmp_path / "acme-wine"
    bash("git init -q . && git add -A", project)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
    fixture, tests, _ = (block for kind, block in blocks if kind == "python")
    assert fixture == (project / "tests/conftest.py").read_text("utf-8")
    (project / "tests/test_training.py").write_text(tests, "utf-8")
    commands = [block for kind, block in blocks if kind == "bash"]
    before = bash(f"uv sync --quiet\n{commands[1]}", project, code=1)
    assert "FileNotFoundError" in before

    said = []
    for kind, block in blocks:
        if kind == "bash":
            said.append(bash(block, project))
        elif kind == "text":
            assert timeless(block) in timeless(said[-1])
    assert "argument seed is 1, for this training only" in said[2]
    assert (project / "plots/confusion.png").is_file()
    assert said[3] == "{'accuracy': 1.0}\n"
    assert "4 passed" in said[4]
    assert bash("git status --short --untracked-files=all -- src", project) == (
        "".join(f"A  src/acme_wine/{name}.py\n" for name in ("__init__", "prediction", "training"))
    )
