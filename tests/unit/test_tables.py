"""Dependency groups (PEP 735), as the settings read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hatch_model.tables import Root, requirements_of_group

if TYPE_CHECKING:
    from hatch_model.errors import Problem

_KEY = "tool.hatch.metadata.hooks.model.dependency-group"


def read(name: str, groups: object) -> tuple[dict[str, str], list[str]]:
    """Give requirements by their origin, and messages."""
    problems: list[Problem] = []
    roots: list[Root] = requirements_of_group(name, groups, _KEY, problems)
    return {root.origin: str(root.requirement) for root in roots}, list(map(str, problems))


def test_a_group_gives_its_requirements_in_their_order() -> None:
    problems: list[Problem] = []

    roots = requirements_of_group(
        "run", {"run": ["chain[fast]>=2; python_version>='3.10'", "anchor"]}, _KEY, problems
    )

    assert roots == [
        Root(
            text="chain[fast]>=2; python_version>='3.10'",
            origin="dependency-groups.run[0]",
        ),
        Root(text="anchor", origin="dependency-groups.run[1]"),
    ]
    assert problems == []


def test_included_groups_bring_theirs_in_place() -> None:
    groups = {
        "run": ["anchor", {"include-group": "base"}, "chain"],
        "base": [{"include-group": "core"}, "link"],
        "core": ["ring"],
    }

    assert read("run", groups) == (
        {
            "dependency-groups.run[0]": "anchor",
            "dependency-groups.core[0]": "ring",
            "dependency-groups.base[1]": "link",
            "dependency-groups.run[2]": "chain",
        },
        [],
    )


def test_a_group_may_be_included_by_two_others() -> None:
    groups: dict[str, Any] = {
        "run": [{"include-group": "left"}, {"include-group": "right"}],
        "left": [{"include-group": "base"}],
        "right": [{"include-group": "base"}],
        "base": ["anchor"],
    }

    assert read("run", groups) == ({"dependency-groups.base[0]": "anchor"}, [])


@pytest.mark.parametrize("name", ["model-run", "Model_Run", "model..run"])
def test_names_are_compared_in_their_normal_form(name: str) -> None:
    assert read(name, {"Model.Run": ["anchor"]}) == (
        {"dependency-groups.Model.Run[0]": "anchor"},
        [],
    )


def test_an_empty_group_asks_for_nothing() -> None:
    assert read("run", {"run": []}) == ({}, [])


def test_only_the_group_that_is_asked_for_is_checked() -> None:
    groups = {"run": ["anchor"], "other": ["not a requirement"], "worse": 5}

    assert read("run", groups) == ({"dependency-groups.run[0]": "anchor"}, [])


_ENTRY = 'a PEP 508 string or { include-group = "…" }'


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([], "dependency-groups: expected a table; found []"),
        ({}, f'{_KEY}: expected the name of a group in [dependency-groups]; found "run"'),
        (
            {"test": [], "runs": []},
            (
                f"{_KEY}: expected the name of a group in [dependency-groups]; "
                'found "run"; did you mean `runs`?'
            ),
        ),
        (
            {"run": [{"include-group": "Core"}], "Cores": []},
            (
                "dependency-groups.run[0]: expected the name of a group in [dependency-groups]; "
                'found "Core"; did you mean `Cores`?'
            ),
        ),
        ({"run": "anchor"}, 'dependency-groups.run: expected an array; found "anchor"'),
        ({"run": True}, "dependency-groups.run: expected an array; found true"),
        ({"run": ["1 2"]}, f'dependency-groups.run[0]: expected {_ENTRY}; found "1 2"'),
        ({"run": [""]}, f'dependency-groups.run[0]: expected {_ENTRY}; found ""'),
        ({"run": [False]}, f"dependency-groups.run[0]: expected {_ENTRY}; found false"),
        (
            {"run": [{"include": "x"}]},
            f"dependency-groups.run[0]: expected {_ENTRY}; found a table",
        ),
        (
            {"run": [{"include-group": ["x"]}]},
            f"dependency-groups.run[0]: expected {_ENTRY}; found a table",
        ),
        (
            {"run": [{"include-group": "x", "also": 1}], "x": []},
            f"dependency-groups.run[0]: expected {_ENTRY}; found a table",
        ),
        (
            {"run": [{"include-group": "Run"}]},
            'dependency-groups.run[0]: expected a group that does not include itself; found "Run"',
        ),
        (
            {
                "run": [{"include-group": "a"}],
                "a": [{"include-group": "b"}],
                "b": ["anchor", {"include-group": "a"}],
            },
            'dependency-groups.b[1]: expected a group that does not include itself; found "a"',
        ),
        (
            {"run": [], "Run": ["anchor"]},
            'dependency-groups: expected one group called run; found ["run", "Run"]',
        ),
    ],
)
def test_what_is_wrong_with_a_group_is_told(groups: object, message: str) -> None:
    assert read("run", groups)[1] == [message]


def test_everything_that_is_wrong_with_a_group_is_told() -> None:
    groups = {"run": ["anchor", "1 2", {"include-group": "x"}], "x": [5]}

    assert read("run", groups) == (
        {"dependency-groups.run[0]": "anchor"},
        [
            f'dependency-groups.run[1]: expected {_ENTRY}; found "1 2"',
            f"dependency-groups.x[0]: expected {_ENTRY}; found 5",
        ],
    )
