"""What a model is made from beside its code."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from hatch_model._digests import File
from hatch_model._origin import origin_of
from hatch_model._settings import ObjectReference, TrainingSettings
from hatch_model.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_model._origin import Origin


class _Silent:
    def info(self, message: str) -> None:
        raise AssertionError(message)

    warning = output = info


def origin(root: Path, *inputs: str, lock: str = "") -> Origin:
    training = TrainingSettings(
        key="model",
        train=ObjectReference(module="small.main", attribute="train"),
        inputs=inputs,
        lock=PurePosixPath(lock) if lock else None,
    )
    return origin_of(training, root, _Silent())


def file(path: str, content: bytes) -> File:
    return File(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def test_inputs_come_once_and_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / "data" / name).write_bytes(name.encode())
    (tmp_path / "uv.lock").write_bytes(b"locked")

    found = origin(tmp_path, "data/*.csv", "**/*.txt", "data/a*", lock="uv.lock")

    assert found.inputs == [
        file("data/a.csv", b"a.csv"),
        file("data/b.csv", b"b.csv"),
        file("data/c.txt", b"c.txt"),
    ]
    assert found.lock == file("uv.lock", b"locked")
    assert found.commit is None


def test_every_pattern_that_matches_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    with pytest.raises(SettingsError) as refusal:
        origin(tmp_path, "data", "raw/*.csv")

    assert [str(problem) for problem in refusal.value.problems] == [
        'model.inputs[0]: expected to match a file; found "data"',
        'model.inputs[1]: expected to match a file; found "raw/*.csv"',
    ]


def test_an_sdist_without_the_data_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "PKG-INFO").touch()

    with pytest.raises(SettingsError) as refusal:
        origin(tmp_path, "raw/*.csv")

    (problem,) = refusal.value.problems
    assert str(problem) == (
        "model.inputs[0]: expected to match a file of this source distribution, which has to include "
        "what training reads (or build the wheel from the project itself, with `uv build --wheel`, "
        'or set `sdist = "trained"`); found "raw/*.csv"'
    )
