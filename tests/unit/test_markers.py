"""Markers as an algebra: what is joined, simplified and evaluated."""

from __future__ import annotations

import random
from functools import reduce
from itertools import product
from operator import and_, or_

import pytest
from environments import LINUX, WINDOWS, on_python
from packaging.markers import Marker

from hatch_model.markers import ALWAYS, NEVER, Condition, condition_of


def condition(text: str, extra: str = "") -> Condition:
    return condition_of(Marker(text), extra)


def test_no_marker_is_always() -> None:
    assert condition_of(None) == ALWAYS
    assert str(ALWAYS) == ""


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("sys_platform == 'linux'", 'sys_platform == "linux"'),
        ("'linux' == sys_platform", '"linux" == sys_platform'),
        ("os.name=='nt'", 'os_name == "nt"'),
        ("'3.1' in python_version", '"3.1" in python_version'),
        ("python_version not in '3.10 3.11'", 'python_version not in "3.10 3.11"'),
        ("platform_version ~= '1.2'", 'platform_version ~= "1.2"'),
        ("platform_version == '#1 SMP (a or b) and c'",) * 2,
        (
            "os_name == 'a' and (os_name == 'b' or (os_name == 'c' and os_name == 'd'))",
            (
                'os_name == "a" and os_name == "b" '
                'or os_name == "a" and os_name == "c" and os_name == "d"'
            ),
        ),
        (
            "(os_name == 'a' or os_name == 'b') and (os_name == 'c' or os_name == 'd')",
            (
                'os_name == "a" and os_name == "c" or os_name == "a" and os_name == "d" '
                'or os_name == "b" and os_name == "c" or os_name == "b" and os_name == "d"'
            ),
        ),
    ],
)
def test_a_marker_is_written_as_alternatives_in_order(marker: str, expected: str) -> None:
    assert str(condition(marker)) == str(Marker(expected))


@pytest.mark.parametrize(
    ("marker", "extra", "expected"),
    [
        ("extra == 'fast'", "fast", ALWAYS),
        ("'fast' == extra", "fast", ALWAYS),
        ("extra == 'Very_Fast'", "very-fast", ALWAYS),
        ("extra == 'fast'", "other", NEVER),
        ("extra == 'fast'", "", NEVER),
        ("extra != 'fast'", "", ALWAYS),
        ("os_name == 'nt' and extra == 'fast'", "fast", condition("os_name == 'nt'")),
        ("os_name == 'nt' and extra == 'fast'", "", NEVER),
        ("os_name == 'nt' or extra == 'fast'", "fast", ALWAYS),
        ("os_name == 'nt' or extra == 'fast'", "", condition("os_name == 'nt'")),
        (
            "(extra == 'a' or extra == 'b') and (os_name == 'nt' or extra == 'b')",
            "a",
            condition("os_name == 'nt'"),
        ),
    ],
)
def test_an_extra_leaves_the_marker(marker: str, extra: str, expected: Condition) -> None:
    assert condition(marker, extra) == expected


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        (["os_name == 'nt'", "os_name == 'nt'"], 'os_name == "nt"'),
        (["os_name == 'nt'", "os_name != 'nt'"], ""),
        (["python_version < '3.12'", "python_version >= '3.12'"], ""),
        (["python_version <= '3.12'", "python_version > '3.12'"], ""),
        (["python_version in '3.12'", "python_version not in '3.12'"], ""),
        (["os_name == 'nt' and python_version < '3.12'", "os_name == 'nt'"], 'os_name == "nt"'),
        (
            [
                "os_name == 'nt' and python_version < '3.12'",
                "os_name == 'nt' and python_version >= '3.12'",
            ],
            'os_name == "nt"',
        ),
        (
            ["sys_platform == 'linux'", "python_version < '3.12'", "sys_platform == 'linux'"],
            'python_version < "3.12" or sys_platform == "linux"',
        ),
        (
            # Four that merge in two steps.
            [
                f"os_name {one} 'nt' and python_version {other} '3.12'"
                for one, other in product(("==", "!="), ("<", ">="))
            ],
            "",
        ),
    ],
)
def test_or_says_everything_once(alternatives: list[str], expected: str) -> None:
    assert str(reduce(or_, map(condition, alternatives))) == expected
    assert str(reduce(or_, map(condition, reversed(alternatives)))) == expected


def test_and_drops_what_cannot_be() -> None:
    both = condition("os_name == 'nt' or python_version < '3.12'") & condition("os_name != 'nt'")

    assert str(both) == 'os_name != "nt" and python_version < "3.12"'
    assert condition("os_name == 'nt'") & condition("os_name != 'nt'") == NEVER


def test_always_and_never_are_neutral() -> None:
    windows = condition("os_name == 'nt'")

    assert ALWAYS & windows == windows
    assert NEVER | windows == windows
    assert ALWAYS | windows == ALWAYS
    assert NEVER & windows == NEVER
    assert not NEVER.holds(LINUX)
    assert ALWAYS.holds(LINUX)


_COMPARISONS = [
    "sys_platform == 'linux'",
    "sys_platform != 'linux'",
    "os_name == 'nt'",
    "python_version < '3.12'",
    "python_version >= '3.12'",
    "python_version >= '3.11'",
    "python_version != '3.12'",
    "'3.1' in python_version",
    "extra == 'fast'",
    "extra != 'fast'",
]


def _random_marker(chance: random.Random, depth: int) -> str:
    if depth == 0:
        return chance.choice(_COMPARISONS)
    parts = [_random_marker(chance, depth - 1) for _ in range(chance.randint(2, 3))]
    return f"({chance.choice([' and ', ' or ']).join(parts)})"


@pytest.mark.parametrize("seed", range(30))
def test_a_condition_holds_exactly_where_packaging_says_that_its_marker_does(seed: int) -> None:
    chance = random.Random(seed)
    one, other = (_random_marker(chance, depth=2) for _ in range(2))
    environments = [WINDOWS, *(on_python(minor) for minor in (9, 10, 11, 12, 13))]

    for extra, environment in product(("", "fast", "slow"), environments):
        expected = [
            Marker(marker).evaluate({**environment, "extra": extra}) for marker in (one, other)
        ]
        conditions = [condition(marker, extra) for marker in (one, other)]
        assert [each.holds(environment) for each in conditions] == expected, (one, other, extra)
        assert and_(*conditions).holds(environment) == all(expected)
        assert or_(*conditions).holds(environment) == any(expected)
        joined = or_(*conditions)
        if joined not in {ALWAYS, NEVER}:
            assert Marker(str(joined)).evaluate(environment) == any(expected)


def test_too_many_alternatives_become_what_they_have_in_common() -> None:
    releases = [f"sys_platform == 'linux' and platform_release == '{each}'" for each in range(33)]

    assert str(reduce(or_, map(condition, releases[:32]))).count(" or ") == 31
    assert str(reduce(or_, map(condition, releases))) == 'sys_platform == "linux"'
