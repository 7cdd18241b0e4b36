"""`hatch-model index`, and processes that change one index at the same time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from models import Ran, run
from registries import model_wheel

if TYPE_CHECKING:
    from pathlib import Path


def test_versions_are_added_yanked_promoted_and_removed(tmp_path: Path) -> None:
    index, other = tmp_path / "index", tmp_path / "other"
    one, two = model_wheel(tmp_path, version="1"), model_wheel(tmp_path, version="2")
    path = "files/iris-model/iris_model-{}-py3-none-any.whl"

    added = "".join(f"{path.format(version)}: added\n" for version in (1, 2))
    serving = f"python -m http.server --bind 127.0.0.1 --directory {index} 8000"
    assert run("index", "add", index, one, two) == Ran(added, f"Next: {serving}\n", 0)
    assert run("index", "add", index, one).err == ""
    assert run("index", "promote", index, other, "iris-model", "2").out == (
        f"{path.format(2)}: added\n"
    )
    assert run("index", "yank", index, "iris-model", "1", "--reason", "old") == Ran(
        "iris-model 1 is yanked\n", "", 0
    )
    assert run("index", "unyank", index, "iris-model", "1") == Ran(
        "iris-model 1 is not yanked\n", "", 0
    )
    assert run("index", "remove", index, "iris-model", "1") == Ran(
        f"{path.format(1)}: removed\n", "", 0
    )
    assert run("index", "update", index) == Ran("", "", 0)


def test_a_new_index_in_a_project_is_said_to_be_in_its_source_distribution(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    index = tmp_path / "our registry"

    ran = run("index", "add", index, model_wheel(tmp_path))

    assert ran.err == (
        f"hatch-model: `{index}` is in the folder of a project: unless .gitignore names it, the next source "
        f"distribution contains it.\n"
        f"Next: python -m http.server --bind 127.0.0.1 --directory '{index}' 8000\n"
    )


def test_archives_that_are_left_out_are_told_and_the_exit_code_is_1(tmp_path: Path) -> None:
    (tmp_path / "bad-1-py3-none-any.whl").write_bytes(b"")
    model_wheel(tmp_path)

    ran = run("index", "update", tmp_path)
    assert ran == Ran(
        "iris_model-0.1.0-py3-none-any.whl: added\n",
        f"hatch-model: left out: `{tmp_path}/bad-1-py3-none-any.whl` cannot be read: File is not a zip "
        f"file\n",
        1,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["yank", "index", "iris-model", "1"],
        ["add", "index"],
        ["promote", "index", "iris-model", "1"],
        ["remove", "index", "iris-model"],
    ],
)
def test_what_is_missing_from_the_call_is_wrong_usage(arguments: list[str]) -> None:
    ran = run("index", *arguments)

    assert ran.code == 2
    assert "Missing " in ran.err


def test_processes_that_add_at_the_same_time_take_turns(tmp_path: Path) -> None:
    index = tmp_path / "index"
    wheels = [model_wheel(tmp_path, version=str(version)) for version in range(6)]

    command = [sys.executable, "-m", "hatch_model", "index", "add", str(index)]
    processes = [
        subprocess.Popen(
            [*command, str(wheel)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for wheel in wheels
    ]
    assert [process.wait() for process in processes] == 6 * [0]
    page = (index / "simple/iris-model/index.html").read_text()
    assert [f"iris_model-{version}-" in page for version in range(6)] == 6 * [True]
    assert run("index", "update", index) == Ran("", "", 0)
