"""What an sdist carries of the tree that it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from models import FILES, record_of

from hatch_model._carried import SDIST_FILE, Carried, Commit, carried_in, write_carried
from hatch_model.errors import CarriedModelError

if TYPE_CHECKING:
    from pathlib import Path

_COMMIT: Commit = {"commit": "c" * 40, "dirty": True}


@pytest.mark.parametrize(
    "carried",
    [Carried(commit=_COMMIT), Carried(), Carried(commit=_COMMIT, record=record_of(FILES))],
    ids=["commit", "nothing", "model"],
)
def test_what_is_written_is_read(carried: Carried, tmp_path: Path) -> None:
    assert write_carried(carried, tmp_path) == tmp_path / SDIST_FILE

    assert carried_in(tmp_path) == carried


def test_only_a_trained_sdist_carries_a_record(tmp_path: Path) -> None:
    written = write_carried(Carried(commit=_COMMIT), tmp_path).read_text("utf-8")

    assert json.loads(written) == {"git": _COMMIT}


def test_a_tree_carries_nothing(tmp_path: Path) -> None:
    assert carried_in(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "it is not JSON: "),
        ({}, "git is missing"),
        ({"git": None, "record": {}}, "its schema_version is null, and this hatch-model reads 1"),
        ({"git": {"commit": 3, "dirty": True}}, "git.commit is not a string"),
    ],
)
def test_what_cannot_be_read_is_an_error(content: Any, problem: str, tmp_path: Path) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / SDIST_FILE).write_text(text, "utf-8")

    with pytest.raises(CarriedModelError) as refusal:
        carried_in(tmp_path)

    (difference,) = refusal.value.differences
    assert difference.startswith(f"{SDIST_FILE}: {problem}")
