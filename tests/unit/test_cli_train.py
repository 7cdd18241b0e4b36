"""How `hatch-model train` reads arguments, and what it calls no project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from models import run

from hatch_model.cli.train import read_arguments

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("true", True),
        ("log", "log"),
        ('"3"', "3"),
        ("[64, 32]", [64, 32]),
        ('{"rate": 0.5}', {"rate": 0.5}),
        ("", ""),
        ("a=b", "a=b"),
        # What TOML has no word for, or JSON none, is text.
        ("null", "null"),
        ("NaN", "NaN"),
        ("2026-01-01", "2026-01-01"),
        ("True", "True"),
    ],
)
def test_a_value_is_json_or_else_text(text: str, value: Any) -> None:
    assert read_arguments([f"name={text}"]) == {"name": value}


def test_the_last_of_a_name_counts() -> None:
    assert read_arguments(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    "assignment", ["depth", "=3", "a b=3", "output_dir=here", "report_dir=here", "-a=3", "a!=3"]
)
def test_what_is_no_argument_is_an_error(assignment: str) -> None:
    with pytest.raises(ValueError, match=assignment):
        read_arguments([assignment])


def test_a_folder_without_a_project_is_an_error(tmp_path: Path) -> None:
    refused = run("train", tmp_path)

    assert refused.code == 1
    assert refused.err == (
        f"hatch-model: error: `{tmp_path}` has no pyproject.toml. Run the command in the project's "
        "folder, or name that folder.\n"
    )


def test_a_broken_project_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project", "utf-8")

    refused = run("train", tmp_path)

    assert refused.code == 1
    assert refused.err.startswith(
        f"hatch-model: error: `{tmp_path / 'pyproject.toml'}` is not valid: Expected ']'"
    )
