"""The Pythons that a wheel claims, against those that its pins can be installed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from environments import MODEL, FakeEnvironment, distribution, on_python, roots
from packaging.specifiers import SpecifierSet

from hatch_model.closure import closure_of
from hatch_model.pins import pin
from hatch_model.pythons import narrowed, unsupported_pythons, unsupported_pythons_warning
from hatch_model.settings import ModelSettings, PinPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_model.installed import Distribution


def judged(
    claimed: str, declared: Iterable[str], *installed: Distribution, minor: int = 12
) -> tuple[list[tuple[str, tuple[int, ...]]], str]:
    """Give what stands in the way on which minor versions, and what is left of *claimed*."""
    markers = on_python(minor)
    closure = closure_of(roots(*declared), FakeEnvironment(installed), markers, project=MODEL)
    unsupported = unsupported_pythons(SpecifierSet(claimed), closure, markers)
    problems = [(f"{each.name} {each.version} {each.reason}", each.minors) for each in unsupported]
    return problems, str(narrowed(SpecifierSet(claimed), unsupported, markers))


def after(first: int) -> tuple[int, ...]:
    """Give the minor versions from *first* to the last that is looked at."""
    return tuple(range(first, 41))


@pytest.mark.parametrize(
    ("claimed", "says"),
    [
        (">=3.10", ""),
        (">=3.10", ">=3.9"),
        (">=3.10", ">=3.10"),
        (">=3.10,<4", ">=3.8,<4"),
        (">=3.10,<3.13", "<3.13"),
        (">=3.10", "!=3.9.7,>=3.8"),
        (">=3.10.2", ">=3.10.2"),
        ("==3.12.*", ">=3.12,<3.13"),
        ("~=3.10", ">=3.10,<4"),
        ("==3.12.4", ">=3.12.4,<3.12.5"),
    ],
)
def test_a_package_that_supports_every_claimed_python_is_no_problem(
    claimed: str, says: str
) -> None:
    assert judged(claimed, ["a"], distribution("a", requires_python=says)) == (
        [],
        str(SpecifierSet(claimed)),
    )


@pytest.mark.parametrize(
    ("claimed", "says", "minors", "left"),
    [
        (">=3.9", ">=3.10", (9,), ">=3.10"),
        (">=3.9", ">=3.12", (9, 10, 11), ">=3.12"),
        (">=3.9", "<3.14,>=3.10", (9, *after(14)), "<3.14,>=3.10"),
        (">=3.10,<3.15", "<3.14,>=3.10", (14,), "<3.14,>=3.10"),
        ("<3.20", "<3.14,>=3.10", (*range(10), *range(14, 20)), "<3.14,>=3.10"),
        ("", ">=3.10", tuple(range(10)), ">=3.10"),
        (">3.8", ">=3.11", (8, 9, 10), ">=3.11"),  # 3.8.1 is greater than 3.8.
        ("!=3.12.3,>=3.10", ">=3.11", (10,), "!=3.12.3,>=3.11"),
        (">=3.11", "<3.13,>=3.12", (11, *after(13)), "<3.13,>=3.12"),
        # Only some patch releases: what refuses them is copied.
        (">=3.10", ">=3.10.2", (10,), ">=3.10,>=3.10.2"),
        (">=3.9", "!=3.9.7,>=3.8", (9,), "!=3.9.7,>=3.9"),
        (">=3.11", "!=3.14.1,>=3.11", (14,), "!=3.14.1,>=3.11"),
        (">=3.11", "!=3.11.3,!=3.14.1,<3.15", (11, *after(14)), "!=3.11.3,!=3.14.1,<3.15,>=3.11"),
        (">=3.12", ">=3.12.1", (12,), ">=3.12,>=3.12.1"),
        (">=3.12", "!=3.12.4", (12,), "!=3.12.4,>=3.12"),
        ("==3.12.4", ">=3.12.5", (12,), "==3.12.4,>=3.12.5"),
    ],
)
def test_a_package_that_refuses_a_claimed_python_is_named(
    claimed: str, says: str, minors: tuple[int, ...], left: str
) -> None:
    problems, narrower = judged(claimed, ["a"], distribution("a", "1.2", requires_python=says))

    assert problems == [(f"a 1.2 needs Python {says}", minors)]
    assert narrower == left


def test_the_narrowest_of_all_packages_counts_and_each_is_named() -> None:
    assert judged(
        ">=3.9",
        ["c", "a"],
        distribution("a", "1.0", "b", requires_python=">=3.10"),
        distribution("b", "2.0", requires_python=">=3.11"),
        distribution("c", "3.0", requires_python="<3.14"),
    ) == (
        [
            ("a 1.0 needs Python >=3.10", (9,)),
            ("b 2.0 needs Python >=3.11", (9, 10)),
            ("c 3.0 needs Python <3.14", after(14)),
        ],
        "<3.14,>=3.11",
    )


@pytest.mark.parametrize(
    ("marker", "minors", "left"),
    [
        ("python_version >= '3.11'", (), ">=3.9"),
        ("python_version >= '3.10'", (10,), ">=3.11"),
        ("python_full_version >= '3.10.99'", (10,), ">=3.11"),
        ("sys_platform == 'linux'", (9, 10), ">=3.11"),
    ],
)
def test_a_package_matters_only_where_it_is_pinned(
    marker: str, minors: tuple[int, ...], left: str
) -> None:
    problems, narrower = judged(
        ">=3.9",
        ["a"],
        distribution("a", "1.0", f"b; {marker}"),
        distribution("b", "2.0", requires_python=">=3.11"),
    )

    assert problems == ([("b 2.0 needs Python >=3.11", minors)] if minors else [])
    assert narrower == left


def test_a_package_that_needs_another_version_of_a_pin_on_another_python_is_named() -> None:
    assert judged(
        ">=3.9",
        ["pandas"],
        distribution(
            *("pandas", "2.2"),
            *("numpy>=1.22; python_version < '3.11'", "numpy>=2; python_version >= '3.12'"),
            *("numpy<2; python_version >= '3.13'",),
        ),
        distribution("numpy", "2.1"),
    ) == (
        [
            (
                'pandas 2.2 needs numpy<2; python_version >= "3.13", but numpy is pinned to 2.1',
                after(13),
            )
        ],
        "<3.13,>=3.9",
    )


def test_two_versions_that_exclude_each_other_by_python_are_no_problem() -> None:
    assert judged(
        ">=3.9",
        ["a"],
        distribution("a", "1.0", "b<2; python_version < '3.11'", "b>=2; python_version >= '3.11'"),
        distribution("b", "2.1"),
    ) == ([], ">=3.9")


def test_a_declared_requirement_that_contradicts_a_pin_on_another_python_is_named() -> None:
    assert judged(
        ">=3.9",
        ["pandas", "NumPy<2; python_version < '3.11'", "numpy>=2; python_version >= '3.11'"],
        distribution("pandas", "2.2", "numpy>=1.26"),
        distribution("numpy", "2.1"),
    ) == (
        [
            (
                (
                    "numpy 2.1 is pinned, but dependencies[1] asks for "
                    '`NumPy<2; python_version < "3.11"`'
                ),
                (9, 10),
            )
        ],
        ">=3.11",
    )


def test_a_conflict_below_an_extra_is_named_once() -> None:
    assert judged(
        ">=3.10",
        ["a[x,y]"],
        distribution(
            *("a", "1.0"),
            *("b; extra == 'x'", "b<2; python_version < '3.11' and (extra == 'x' or extra == 'y')"),
            extras=["x", "y"],
        ),
        distribution("b", "2.0"),
    ) == (
        [
            (
                (
                    'a 1.0 needs b<2; python_version < "3.11" and (extra == "x" or extra == "y"), '
                    "but b is pinned to 2.0"
                ),
                (10,),
            )
        ],
        ">=3.11",
    )


def test_a_conflict_on_another_platform_is_no_matter_of_pythons() -> None:
    assert judged(
        ">=3.10",
        ["a", "b"],
        distribution("a", "1.0", "b<2; sys_platform == 'win32'"),
        distribution("b", "2.0"),
    ) == ([], ">=3.10")


@pytest.mark.parametrize(("minor", "left"), [(10, "<3.12,>=3.10"), (13, ">=3.13")])
def test_what_is_left_surrounds_the_training_python(minor: int, left: str) -> None:
    installed = [
        distribution("a", "1.0", "b<2; python_version == '3.12'", requires_python=">=3.9"),
        distribution("b", "2.0"),
    ]

    assert judged(">=3.10", ["a", "b"], *installed, minor=minor)[1] == left


def test_a_requires_python_that_is_not_valid_says_nothing() -> None:
    # As installers take it: older packages say things like this.
    found, _ = judged(">=3.10", ["a"], distribution("a", requires_python=">=3.6.*"))

    assert found == []


@pytest.mark.parametrize(
    ("claimed", "says", "warning"),
    [
        (">=3.10", ">=3.11", "a 1.2 needs Python >=3.11"),
        (">=3.10,<3.15", "<3.14,>=3.10", "a 1.2 needs Python <3.14,>=3.10"),
        (">=3.10", ">=3.10", ""),
        ("", ">=3.11", ""),  # Nothing is claimed.
        (">=3.10", "<3.15,>=3.10", ""),  # Nobody knows of that Python yet.
    ],
)
def test_only_claims_that_somebody_can_mend_are_warned_of(
    claimed: str, says: str, warning: str
) -> None:
    policy, declared = PinPolicy(), roots("a")
    environment = FakeEnvironment([distribution("a", "1.2", requires_python=says)])
    pins = pin(declared, environment, policy, project=MODEL)
    model = ModelSettings(roots=declared, policy=policy)

    said = unsupported_pythons_warning(model, SpecifierSet(claimed), pins)

    assert (warning in said) if warning else not said
