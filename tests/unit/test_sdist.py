"""What an sdist carries of the tree that it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from models import FILES, record_of

from hatch_model.errors import HatchModelError
from hatch_model.project import CARRIED_FILE
from hatch_model.sdist import carried_in, carried_record, commit_of

if TYPE_CHECKING:
    from pathlib import Path

_COMMIT = {"commit": "c" * 40, "dirty": True}


def carry(folder: Path, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / CARRIED_FILE).write_text(text, "utf-8")


@pytest.mark.parametrize("commit", [_COMMIT, None])
def test_the_commit_of_an_sdist_is_the_one_that_it_carries(commit: Any, tmp_path: Path) -> None:
    carry(tmp_path, {"git": commit})

    assert commit_of(tmp_path, pytest.fail) == commit
    assert carried_record(tmp_path) is None


def test_a_trained_sdist_carries_a_record(tmp_path: Path) -> None:
    record = record_of(FILES)
    carry(tmp_path, {"git": None, "record": record})

    assert carried_record(tmp_path) == record


def test_a_tree_carries_nothing(tmp_path: Path) -> None:
    assert carried_in(tmp_path) is None
    assert carried_record(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "it is not JSON: "),
        ("[" * 100_000, "it is nested too deeply"),
        ([], "it was not written by hatch-model"),
        ({}, "it was not written by hatch-model"),
        ({"git": None, "record": []}, "it was not written by hatch-model"),
        ({"git": {"commit": 3, "dirty": True}}, "it was not written by hatch-model"),
        ({"git": {"commit": "c"}}, "it was not written by hatch-model"),
    ],
)
def test_what_cannot_be_read_is_an_error(content: Any, problem: str, tmp_path: Path) -> None:
    carry(tmp_path, content)

    with pytest.raises(HatchModelError) as refusal:
        carried_in(tmp_path)

    told = str(refusal.value).splitlines()
    assert told[0] == ("this source distribution has changed since its model was trained:")
    assert told[1].startswith(f"  {CARRIED_FILE}: {problem}")
    assert told[2] == (
        "Unpack it again, or set HATCH_MODEL_RETRAIN=1 to train a new model from the current files."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"pins": 3},
        {"pins": "anchor==1.2"},
        {"pins": ["anchor=="]},
        {"pins": [3]},
        {"python": None},
        {"python": {"implementation": "CPython", "version": 3}},
        {"artifacts": [1]},
        {"sources": [{"path": 3, "sha256": ""}]},
        {"inputs": [{"path": ""}]},
    ],
)
def test_a_record_without_what_a_build_takes_from_it_is_an_error(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    carry(tmp_path, {"git": None, "record": {**record_of(FILES), **changes}})

    with pytest.raises(HatchModelError) as refusal:
        carried_record(tmp_path)
    assert str(refusal.value).splitlines()[1] == (
        f"  {CARRIED_FILE}: its record is not what hatch-model writes"
    )
