"""What `train` may name, and how a script gets its arguments."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from hatch_model.entry_point import ObjectReference, Script, entry_point, read_train, unfit_options
from hatch_model.tables import Table

if TYPE_CHECKING:
    from hatch_model.errors import Problem

_KEY = "tool.hatch.build.hooks.model"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iris.main:train", ObjectReference(module="iris.main", attribute="train")),
        ("train.py", Script(path=PurePosixPath("train.py"))),
        ("./jobs/my train.py", Script(path=PurePosixPath("jobs/my train.py"))),
    ],
)
def test_an_entry_point_is_a_function_or_a_script(text: str, expected: object) -> None:
    assert entry_point(text) == expected
    assert entry_point(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["/train.py", "../train.py", "C:/train.py", "jobs\\train.py", "train", "a\0.py", 5, ""]
)
def test_what_is_neither_is_refused(text: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        entry_point(text)


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ("train.py:main", '"train.py" to run a script, or "train:main"'),
        ("jobs.train.py:main", '"jobs/train.py" to run a script, or "jobs.train:main"'),
    ],
)
def test_a_function_of_a_file_is_told_both_ways_to_say_what_is_meant(
    train: str, expected: str
) -> None:
    problems: list[Problem] = []

    read_train(Table(_KEY, {"train": train}, problems))

    assert list(map(str, problems)) == [f'{_KEY}.train: expected {expected}; found "{train}"']


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (5, ["--x", "5"]),
        (-5, ["--x=-5"]),
        (0.1, ["--x", "0.1"]),
        ("log loss", ["--x", "log loss"]),
        ("", ["--x", ""]),
        ("-", ["--x=-"]),
        (True, ["--x"]),
        (False, []),
        ([64, 32], ["--x", "64", "32"]),
        ([], ["--x"]),
        ([["a", "b"], ["c"]], ["--x", "a", "b", "--x", "c"]),
    ],
)
def test_an_argument_is_an_option_of_a_script(value: Any, options: list[str]) -> None:
    assert [*unfit_options("arguments", {"x": value})] == []
    assert Script(path=PurePosixPath("jobs/train.py")).command_line(
        {"x": value, "last_one": 1}
    ) == [
        "jobs/train.py",
        *options,
        "--last_one",
        "1",
    ]


@pytest.mark.parametrize("value", [{"rate": 1}, [{"rate": 1}], [True], [1, [2]], [[[1]]], [[True]]])
def test_a_value_that_is_no_option_is_refused(value: Any) -> None:
    (problem,) = unfit_options("arguments", {"x": value})

    assert (problem.key, problem.expected) == (
        "arguments.x",
        "a string, number, boolean, or array of strings and numbers, as `train` is a script",
    )


@pytest.mark.parametrize("name", ["", "-x", "a b", "a=b", "_x"])
def test_a_name_that_is_no_option_is_refused(name: str) -> None:
    (problem,) = unfit_options("arguments", {name: 1})

    assert str(problem) == (
        f'arguments: expected names of options, as `train` is a script; found "{name}"'
    )
