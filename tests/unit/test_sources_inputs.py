"""The data files that training reads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from support import LFS_POINTER

from hatch_model.digests import File
from hatch_model.entry_point import ObjectReference
from hatch_model.errors import HatchModelError, SettingsError
from hatch_model.settings import TrainingSettings
from hatch_model.sources import input_files

if TYPE_CHECKING:
    from pathlib import Path


class _Silent:
    def info(self, message: str) -> None:
        raise AssertionError(message)

    warning = output = info


def read_inputs(root: Path, *inputs: str) -> list[File]:
    train = ObjectReference(module="small.main", attribute="train")
    return input_files(TrainingSettings(key="model", train=train, inputs=inputs), root, _Silent())


def file(path: str, content: bytes) -> File:
    return File(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def test_inputs_come_once_and_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / "data" / name).write_bytes(name.encode())

    assert read_inputs(tmp_path, "data/*.csv", "**/*.txt", "data/a*") == [
        file("data/a.csv", b"a.csv"),
        file("data/b.csv", b"b.csv"),
        file("data/c.txt", b"c.txt"),
    ]


def test_a_pointer_of_git_lfs_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("rooms\n3\n", "utf-8")
    (tmp_path / "b.csv").write_text(LFS_POINTER, "utf-8")

    with pytest.raises(HatchModelError) as refusal:
        read_inputs(tmp_path, "*.csv")

    assert str(refusal.value) == (
        "model.inputs names `b.csv`, which is no more than a Git LFS pointer to the content. Run "
        "`git lfs pull`, and build again."
    )


def test_every_pattern_that_matches_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    with pytest.raises(SettingsError) as refusal:
        read_inputs(tmp_path, "data", "raw/*.csv")

    assert [str(problem) for problem in refusal.value.problems] == [
        'model.inputs[0]: expected to match a file; found "data"',
        'model.inputs[1]: expected to match a file; found "raw/*.csv"',
    ]


def test_an_sdist_without_the_data_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "PKG-INFO").touch()

    with pytest.raises(SettingsError) as refusal:
        read_inputs(tmp_path, "raw/*.csv")

    (problem,) = refusal.value.problems
    assert str(problem) == (
        "model.inputs[0]: expected to match a file of this source distribution, which must include "
        "the files that training reads (or build the wheel from the project itself, with `uv build "
        '--wheel`, or set `sdist = "trained"`); found "raw/*.csv"'
    )
