"""The Pythons that a wheel with these pins can be installed on, against those it claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hatch_model._environment._closure import holds
from hatch_model._environment._conditions import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.utils import NormalizedName

    from hatch_model._environment._closure import Closure
    from hatch_model._environment._conditions import Condition
    from hatch_model._environment._distributions import Distribution

# A specifier is sampled at the first and a late patch release of each minor version: that tells
# `>=3.10.2` and `<3.13` apart without knowing which releases exist.
_MINORS = range(41)
_PATCHES = (0, 99)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsupported:
    """A claimed Python on which a pin cannot be installed."""

    name: NormalizedName
    version: str
    reason: str
    minors: tuple[int, ...]
    """The minor versions of Python 3 concerned, ascending."""
    supported: SpecifierSet
    """What the package itself says of Python."""


def unsupported_pythons(
    claimed: SpecifierSet, closure: Closure, markers: Mapping[str, str]
) -> list[Unsupported]:
    """Find the pins that stand in the way of the *claimed* Pythons, by name."""
    needed = closure.needed()
    minors = [minor for minor in _MINORS if _samples(claimed, minor)]
    found: list[Unsupported] = []
    for name, distribution in sorted(closure.distributions.items()):
        pinned = [minor for minor in minors if needed[name].holds(_on(minor, markers))]
        found += _refusals(distribution, claimed, pinned)
        found += _conflicts(distribution, pinned, closure, needed, markers)
    return found


def narrowed(
    claimed: SpecifierSet, unsupported: list[Unsupported], markers: Mapping[str, str]
) -> SpecifierSet:
    """Narrow *claimed* to the Pythons around that of *markers* that nothing stands in the way of."""
    minor = int(markers["python_version"].partition(".")[2])
    refused = {each for problem in unsupported for each in problem.minors}
    below = [each for each in refused if each < minor]
    above = [each for each in refused if each > minor]
    bounds = [f">=3.{max(below) + 1}"] if below else []
    bounds += [f"<3.{min(above)}"] if above else []
    kept = [
        each
        for each in claimed
        if not (below and each.operator in {">=", ">"})
        and not (above and each.operator in {"<", "<="})
    ]
    result = SpecifierSet(",".join([*map(str, kept), *bounds]))
    for problem in unsupported:
        if minor in problem.minors:  # It refuses some of the patch releases only.
            result &= problem.supported
    return result


def _refusals(
    distribution: Distribution, claimed: SpecifierSet, pinned: list[int]
) -> Iterator[Unsupported]:
    """Find the Pythons that *distribution* itself refuses."""
    supported = distribution.requires_python
    refused = [
        minor for minor in pinned if not all(map(supported.contains, _samples(claimed, minor)))
    ]
    if refused:
        yield Unsupported(
            name=distribution.name,
            version=distribution.raw_version,
            reason=f"needs Python {supported}",
            minors=tuple(refused),
            supported=supported,
        )


def _conflicts(
    distribution: Distribution,
    pinned: list[int],
    closure: Closure,
    needed: Mapping[NormalizedName, Condition],
    markers: Mapping[str, str],
) -> Iterator[Unsupported]:
    """Find the Pythons on which *distribution* needs another version of a pinned package."""
    for requirement in distribution.requirements:
        name = canonicalize_name(requirement.name)
        if requirement.marker is None or name not in closure.distributions:
            continue
        version = closure.distributions[name].version
        if requirement.specifier.contains(version, prereleases=True):
            continue
        minors = [
            minor
            for minor in pinned
            if holds(requirement, _on(minor, markers))
            and needed.get(name, NEVER).holds(_on(minor, markers))
        ]
        if minors:
            yield Unsupported(
                name=distribution.name,
                version=distribution.raw_version,
                reason=f"needs {requirement}, but {name} is pinned to {version}",
                minors=tuple(minors),
                supported=distribution.requires_python,
            )


def _samples(claimed: SpecifierSet, minor: int) -> list[str]:
    """Give the sampled releases of Python 3.*minor* that *claimed* contains."""
    return [
        release
        for release in (f"3.{minor}.{patch}" for patch in _PATCHES)
        if claimed.contains(release)
    ]


def _on(minor: int, markers: Mapping[str, str]) -> dict[str, str]:
    return {**markers, "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
