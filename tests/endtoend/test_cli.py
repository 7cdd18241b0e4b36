"""The command as it is installed, and models that others made."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT, online
from models import contents, rewrite, run

if TYPE_CHECKING:
    from pathlib import Path

    from support import Surroundings


def _script(python: Path) -> Path:
    return python.parent / ("hatch-model.exe" if os.name == "nt" else "hatch-model")


def test_the_command_without_its_extra_says_what_it_takes(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "fresh", "hatch-model")

    for command in ([_script(python)], [python, "-m", "hatch_model"]):
        completed = surroundings.run(*command, "inspect", "x.whl", cwd=tmp_path, check=False)
        assert completed.returncode == 1
        assert completed.stdout == (
            "hatch-model: error: the command line needs more packages: install `hatch-model[cli]`\n"
        )


@pytest.mark.network
def test_the_command_with_its_extra_runs_where_nothing_else_is_installed(
    shared_folder: Path, tmp_path: Path
) -> None:
    environment = online(shared_folder / "caches")
    folder = tmp_path / "fresh"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    requirement = f"hatch-model[cli] @ {CHECKOUT.as_uri()}"
    subprocess.run(["uv", "venv", "-q", "-p", sys.executable, folder], env=environment, check=True)
    subprocess.run(
        ["uv", "pip", "install", "-q", "-p", python, requirement], env=environment, check=True
    )

    completed = subprocess.run(
        [_script(python), "verify", "click"], check=True, capture_output=True, text=True
    )
    assert completed.stdout == ""
    assert completed.stderr.endswith(": nothing differs from RECORD (there is no model.json)\n")


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("silero-vad", ".onnx"),
        ("spacy-lookups-data", ".json.gz"),
        ("setuptools", ".py"),  # It has metadata of other packages inside.
    ],
)
def test_packages_of_the_index_are_shown_and_verified(
    name: str, largest: str, shared_folder: Path, tmp_path: Path
) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run(
        [*pip, "--only-binary", ":all:", "--dest", tmp_path, name],
        env=online(shared_folder / "caches"),
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")

    known = run("inspect", "--json", wheel).json
    assert known["name"] == name
    assert any(file["path"].endswith(largest) for file in known["files"]["largest"])
    assert run("verify", wheel).out == ""

    file = known["files"]["largest"][0]["path"]
    rewrite(wheel, {file: contents(wheel)[file][:-1] + b"!"})
    assert run("verify", wheel).out == f"{file}: its content is not what RECORD says\n"
