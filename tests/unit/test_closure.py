"""The walk from requirements to everything they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from environments import LINUX, MODEL, FakeEnvironment, distribution, roots

from hatch_model.closure import closure_of
from hatch_model.errors import BrokenDistributionError, HatchModelError
from hatch_model.installed import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version


def needed(declared: Iterable[str], *installed: Distribution) -> dict[str, str]:
    """Give the condition of each distribution in the closure, by name."""
    closure = closure_of(roots(*declared), FakeEnvironment(installed), LINUX, project=MODEL)
    return {name: str(condition) for name, condition in closure.needed().items()}


def test_everything_required_is_reached_and_nothing_else() -> None:
    assert needed(
        ["a"],
        distribution("a", "1.0", "b>=1", "c"),
        distribution("b", "1.5"),
        distribution("c", "1.0", "d"),
        distribution("d"),
        distribution("hatchling"),
    ) == {"a": "", "b": "", "c": "", "d": ""}


def test_nothing_is_needed_for_nothing() -> None:
    assert needed([], distribution("a")) == {}


def test_a_cycle_ends() -> None:
    assert needed(
        ["a"],
        distribution("a", "1.0", "b"),
        distribution("b", "1.0", "c; python_version >= '3.9'"),
        distribution("c", "1.0", "a", "c"),
    ) == {"a": "", "b": "", "c": 'python_version >= "3.9"'}


def test_an_extra_that_asks_for_extras_of_its_own_distribution_ends() -> None:
    assert needed(
        ["a[all]"],
        distribution(
            *("a", "1.0"),
            *("a[fast,all]; extra == 'all'", "b; extra == 'fast'", "c; extra == 'slow'"),
            extras=["all", "fast", "slow"],
        ),
        distribution("b"),
        distribution("c"),
    ) == {"a": "", "b": ""}


class Counting(Distribution):
    """A distribution that counts how often its version is compared: once for each edge looked at."""

    comparisons = 0

    @property
    def version(self) -> Version:
        Counting.comparisons += 1
        return super().version


def diamond(levels: int, *, marker: str) -> list[Distribution]:
    """Give pairs that both require both of the next pair: 2 to the power of *levels* paths."""
    return [
        Counting(
            name=f"{side}{level}",  # type: ignore[arg-type]
            raw_version="1.0",
            raw_requirements=tuple(
                f"{to}{level + 1}{marker.format(side=side, to=to, level=level)}"
                for to in ("left", "right")
                if level < levels
            ),
        )
        for level in range(levels + 1)
        for side in ("left", "right")
    ]


@pytest.mark.parametrize(
    "marker",
    [
        "",
        "; python_version >= '3.9'",
        # Every edge with a condition of its own, which all hold here.
        "; platform_machine != '{side}{to}{level}'",
    ],
)
def test_a_diamond_of_2_to_the_20_paths_costs_no_more_than_its_edges(marker: str) -> None:
    Counting.comparisons = 0
    environment = FakeEnvironment(diamond(20, marker=marker))

    closure = closure_of(roots("left0", "right0"), environment, LINUX, project=MODEL)

    edges = 4 * 20 + 2
    assert len(closure.distributions) == 42
    assert len(environment.look_ups) == edges
    # Once while walking, and in solving each time that a condition became wider.
    assert Counting.comparisons <= 4 * edges


def test_a_chain_longer_than_the_stack_is_walked() -> None:
    chain = [distribution(f"d{each}", "1.0", f"d{each + 1}") for each in range(3000)]
    by_name = {each.name: each for each in [*chain, distribution("d3000")]}

    class Environment(FakeEnvironment):
        find = staticmethod(by_name.get)  # type: ignore[assignment]

    assert len(closure_of(roots("d0"), Environment([]), LINUX, project=MODEL).distributions) == 3001


@pytest.mark.parametrize(
    ("to_b", "to_c", "expected"),
    [
        ("", "", ""),
        ("sys_platform == 'linux'", "sys_platform == 'linux'", 'sys_platform == "linux"'),
        ("sys_platform == 'linux'", "", ""),
        (
            "sys_platform == 'linux'",
            "python_version < '3.13'",
            'python_version < "3.13" or sys_platform == "linux"',
        ),
        # One that does not hold here counts, too.
        (
            "sys_platform == 'linux'",
            "sys_platform == 'win32'",
            'sys_platform == "linux" or sys_platform == "win32"',
        ),
        ("python_version >= '3.12'", "python_version < '3.12'", ""),
    ],
)
def test_conditions_are_joined_by_and_along_a_path_and_by_or_over_paths(
    to_b: str, to_c: str, expected: str
) -> None:
    found = needed(
        ["a"],
        distribution("a", "1.0", "b", "c"),
        distribution("b", "1.0", f"d; {to_b}" if to_b else "d"),
        distribution("c", "1.0", f"d; {to_c}" if to_c else "d"),
        distribution("d", "1.0", "e; os_name == 'posix'"),
        distribution("e"),
    )

    assert found["d"] == expected
    along = [f'os_name == "posix" and {each}' for each in expected.split(" or ") if each]
    assert found["e"] == (" or ".join(along) or 'os_name == "posix"')


def test_a_condition_that_is_widened_late_is_handed_on() -> None:
    assert needed(
        ["a; sys_platform == 'linux'", "c"],
        distribution("a", "1.0", "b"),
        distribution("b", "1.0", "a"),
        distribution("c", "1.0", "d"),
        distribution("d", "1.0", "b"),
    ) == {"a": "", "b": "", "c": "", "d": ""}


def test_what_is_required_only_elsewhere_is_not_needed_here() -> None:
    assert needed(
        ["a"],
        distribution("a", "1.0", "b; sys_platform == 'win32'", "missing; python_version < '3.9'"),
        distribution("b"),
    ) == {"a": ""}


def test_a_range_that_only_elsewhere_excludes_the_version_here_does_not_widen() -> None:
    assert needed(
        ["a"],
        distribution("a", "1.0", "b<2; python_version < '3.11'", "b>=2; python_version >= '3.11'"),
        distribution("b", "2.0"),
    ) == {"a": "", "b": 'python_version >= "3.11"'}


def test_the_project_itself_is_never_needed() -> None:
    assert needed(
        ["a", "Model>=99", "model[gpu]"],
        distribution("a", "1.0", "model"),
        distribution("model", "0.1", "b"),
        distribution("b"),
    ) == {"a": ""}


def test_an_extra_brings_its_closure() -> None:
    server = distribution(
        *("server", "1.0"),
        *("click", 'loop>=0.1; sys_platform != "win32" and extra == "standard"'),
        *('tls; extra == "tls"', 'colors; sys_platform == "win32" and extra == "standard"'),
        extras=["standard", "tls"],
    )
    others = [distribution(name) for name in ("click", "loop", "tls", "colors")]

    assert needed(["server"], server, *others) == {"server": "", "click": ""}
    assert needed(["server[Standard]"], server, *others) == {
        "server": "",
        "click": "",
        "loop": 'sys_platform != "win32"',
    }
    assert needed(["a"], distribution("a", "1.0", "server[tls]"), server, *others) == {
        "a": "",
        "server": "",
        "click": "",
        "tls": "",
    }


@pytest.mark.parametrize(
    "marker",
    [
        "extra=='fast'or os_name=='posix'",
        "extra == 'fast' or os_name == 'posix'",
        "os_name=='posix'or(extra=='fast')",
        "extra!='fast' and os_name == 'posix'",
    ],
)
def test_a_requirement_that_holds_without_its_extra_is_seen_however_it_is_spaced(
    marker: str,
) -> None:
    installed = [distribution("a", "1.0", f"b; {marker}", extras=["fast"]), distribution("b")]

    assert needed(["a"], *installed) == {"a": "", "b": 'os_name == "posix"'}


def test_a_word_in_an_address_is_no_extra() -> None:
    installed = [distribution("a", "1.0", "b @ https://h.example/a;extra/b.whl"), distribution("b")]

    assert needed(["a"], *installed) == {"a": "", "b": ""}


def test_odd_spellings_are_one_distribution() -> None:
    assert needed(
        ["Zope.Interface", "a"],
        distribution("a", "1.0", "zope__interface[Test-Extra]"),
        distribution("zope-interface", "7.0", 'b; extra == "TEST.extra"', extras=["test_extra"]),
        distribution("b"),
    ) == {"a": "", "b": "", "zope-interface": ""}


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        ("a", "2.0rc1"),
        ("a>=1", "2.0.dev3"),
        ("a<2", "1.5+local.1"),
        ("a>=1!0", "1!0.5"),
        ("a==1.2", "1.2+cu124"),
        ("a>1.2", "1.3.post1"),
        ("a @ https://h.example/a.whl", "0.1"),
    ],
)
def test_every_kind_of_version_can_be_in_range(requirement: str, version: str) -> None:
    assert needed([requirement], distribution("a", version)) == {"a": ""}


def test_a_requirement_of_the_project_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(HatchModelError) as caught:
        needed(["b", "A[x]>=1; os_name == 'posix'"], distribution("b"))

    assert str(caught.value) == (
        "A is not installed in the training environment, but dependencies[1] asks for "
        '`A[x]>=1; os_name == "posix"`. Build with isolation, so that the frontend installs it, '
        "or install it first."
    )


def test_a_requirement_of_a_distribution_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(HatchModelError) as caught:
        needed(["a"], distribution("a", "1.0", "b>=2"))

    assert str(caught.value) == (
        "b is not installed in the training environment, but a 1.0 asks for `b>=2`. Build with "
        "isolation, so that the frontend installs it, or install it first."
    )


@pytest.mark.parametrize(
    ("declared", "requires", "asks"),
    [
        ("b>=2", "b", "dependencies[1] asks for `b>=2`"),
        ("b", "b>=2", "a 1.0 asks for `b>=2`"),
        ("b!=1.0.0", "b", "dependencies[1] asks for `b!=1.0.0`"),
        ("b<1.0", "b", "dependencies[1] asks for `b<1.0`"),
        ("b", "b>1.0", "a 1.0 asks for `b>1.0`"),
    ],
)
def test_a_version_outside_of_a_range_is_an_error(declared: str, requires: str, asks: str) -> None:
    with pytest.raises(HatchModelError) as caught:
        needed(["a", declared], distribution("a", "1.0", requires), distribution("b", "1.0+cpu"))

    assert str(caught.value) == (
        f"b 1.0+cpu is installed in the training environment, but {asks}. Build with isolation, so "
        f"that the frontend installs a matching version, or install one first."
    )


@pytest.mark.parametrize(
    ("extras", "knows"),
    [
        ([], "no extras at all"),
        (["tls"], "only `tls`"),
        (["tls", "Stan_Dard"], "only `stan-dard`, `tls`"),
    ],
)
def test_an_extra_that_does_not_exist_is_an_error(extras: list[str], knows: str) -> None:
    with pytest.raises(HatchModelError) as caught:
        needed(["server[tls2]>=1"], distribution("server", "1.2", extras=extras))

    assert str(caught.value) == (
        "dependencies[0] asks for `server[tls2]>=1`, but server 1.2 has no extra `tls2`; "
        f"it has {knows}."
    )


def test_an_extra_that_only_a_dependency_asks_for_may_be_gone() -> None:
    found = needed(
        ["a"],
        distribution("a", "1.0", "server[tls2]"),
        distribution("server", "1.2", "certificates; extra == 'tls'", extras=["tls"]),
    )

    assert set(found) == {"a", "server"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            distribution("b", "2.x-final"),
            "the installed b says `Version: 2.x-final`, which is not valid.",
        ),
        (
            distribution("b", "1.0", "c (>=1"),
            "the installed b says `Requires-Dist: c (>=1`, which is not valid.",
        ),
    ],
)
def test_broken_metadata_of_what_is_needed_is_an_error(broken: Distribution, message: str) -> None:
    with pytest.raises(BrokenDistributionError) as caught:
        needed(["a"], distribution("a", "1.0", "b"), broken)

    assert str(caught.value) == (
        f"{message} Install another release of it, or tell its maintainers."
    )


def test_broken_metadata_of_what_is_not_needed_does_not_matter() -> None:
    installed = [
        distribution("a", "1.0", 'c (>=1; extra == "x"', extras=["x"]),
        distribution("b", "2.x-final", "c (>=1"),
    ]

    assert needed(["a"], *installed) == {"a": ""}


def test_what_is_missing_is_left_out_where_the_walk_is_not_strict() -> None:
    installed = [
        distribution("a", "1.0", "c"),
        distribution("b", "1.0", "missing-too"),
        distribution("c"),
    ]
    closure = closure_of(
        roots("a>=2", "missing", "b[nothing]"),
        FakeEnvironment(installed),
        LINUX,
        project=MODEL,
        strict=False,
    )

    assert sorted(closure.distributions) == ["a", "b", "c"]
