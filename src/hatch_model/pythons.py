"""The Python versions that a wheel's pins support, compared with those it declares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hatch_model.markers import condition_of
from hatch_model.pins import marker_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName

    from hatch_model.closure import Closure
    from hatch_model.installed import Distribution
    from hatch_model.markers import Condition
    from hatch_model.pins import Pins
    from hatch_model.settings import ModelSettings

NEWEST = 14
"""The newest minor version that there is anything to say about: the last of our own classifiers."""
# The existing patch releases are unknown. The first, a late one, and those around each one that a
# specifier names are enough to distinguish `>=3.10.2`, `<3.13` and `!=3.9.7`.
_MINORS = range(41)
_PATCHES = (0, 99)
_PATCH_RELEASE = re.compile(r"3\.(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsupported:
    """A declared Python version on which a pin cannot be installed."""

    name: NormalizedName
    version: str
    reason: str
    minors: tuple[int, ...]
    """The affected minor versions of Python 3, ascending."""
    supported: SpecifierSet
    """The package's own requires-python, empty if another pin is the problem."""
    partly: frozenset[int] = frozenset()
    """Those of the minor versions of which the package supports some patch releases."""


def unsupported_pythons(
    claimed: SpecifierSet, closure: Closure, markers: Mapping[str, str]
) -> list[Unsupported]:
    """Find the pins that cannot be installed on some of the *claimed* Pythons, by name."""
    needed = closure.needed()
    found = [
        *_refusals(claimed, closure, needed, markers),
        *_conflicts(claimed, closure, needed, markers),
    ]
    return sorted(found, key=lambda problem: problem.name)


def narrowed(
    claimed: SpecifierSet, unsupported: list[Unsupported], markers: Mapping[str, str]
) -> SpecifierSet:
    """Restrict *claimed* to the contiguous range of supported Pythons around that of *markers*."""
    minor = int(markers["python_version"].partition(".")[2])
    refused = {
        each for problem in unsupported for each in problem.minors if each not in problem.partly
    }
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
    # What refuses single patch releases is copied, such as `!=3.14.1`.
    for problem in unsupported:
        releases = [
            f"3.{each}.{patch}"
            for each, patch in _releases(result, problem.supported)
            if each in problem.partly
        ]
        for specifier in problem.supported:
            if not all(map(specifier.contains, releases)):
                result &= SpecifierSet(str(specifier))
    return result


def only_minor(claimed: SpecifierSet, markers: Mapping[str, str]) -> SpecifierSet:
    """Restrict *claimed* to the minor version of the Python of *markers*."""
    minor = int(markers["python_version"].partition(".")[2])
    every_patch = [f"3.{minor}.{patch}" for patch in _PATCHES]
    # Specifiers that don't distinguish patch releases of this minor version are redundant.
    kept = [str(each) for each in claimed if not all(map(each.contains, every_patch))]
    return SpecifierSet(",".join([*kept, f">=3.{minor}", f"<3.{minor + 1}"]))


def supported_pythons(model: ModelSettings, claimed: SpecifierSet, pins: Pins) -> SpecifierSet:
    """Restrict *claimed* to the Pythons that a wheel with *pins* can be installed on."""
    markers = marker_environment()
    if model.python == "minor":
        claimed = only_minor(claimed, markers)
    return narrowed(claimed, unsupported_pythons(claimed, pins.closure, markers), markers)


def unsupported_pythons_warning(model: ModelSettings, claimed: SpecifierSet, pins: Pins) -> str:
    """Say which Pythons are *claimed* that a wheel with *pins* cannot be installed on; "" for none.

    Nothing is said where nothing is claimed, and of Pythons that are too new to know.
    """
    if not claimed:
        return ""
    markers = marker_environment()
    if model.python == "minor":
        claimed = only_minor(claimed, markers)
    unsupported = unsupported_pythons(claimed, pins.closure, markers)
    known = [each for each in unsupported if each.minors[0] <= NEWEST]
    if not known:
        return ""
    problems = "".join(f"\n  {each.name} {each.version} {each.reason}" for each in known)
    return (
        f'project.requires-python is "{claimed}", but the wheel cannot be installed on some of '
        f"these Pythons:{problems}\nIt can be installed on "
        f'"{narrowed(claimed, unsupported, markers)}".'
    )


def _refusals(
    claimed: SpecifierSet,
    closure: Closure,
    needed: Mapping[NormalizedName, Condition],
    markers: Mapping[str, str],
) -> Iterator[Unsupported]:
    """Find the distributions that do not support a Python themselves."""
    for name, distribution in closure.distributions.items():
        supported = distribution.requires_python
        refused = _outside(claimed, supported)
        if minors := _minors_where(needed[name], refused, markers):
            accepted = {minor for minor, _ in {*_releases(claimed, supported)} - {*refused}}
            # It was installed on this one, whatever it says.
            accepted.add(int(markers["python_version"].partition(".")[2]))
            yield Unsupported(
                name=name,
                version=distribution.raw_version,
                reason=f"needs Python {supported}",
                minors=minors,
                supported=supported,
                partly=frozenset(accepted.intersection(minors)),
            )


def _conflicts(
    claimed: SpecifierSet,
    closure: Closure,
    needed: Mapping[NormalizedName, Condition],
    markers: Mapping[str, str],
) -> Iterator[Unsupported]:
    """Find requirements that need another version of a pinned package on another Python."""
    releases = _releases(claimed)
    conflicts: dict[tuple[NormalizedName, str], set[int]] = {}
    for name, reason, pinned, condition in _misfits(closure):
        minors = _minors_where(condition & needed[pinned], releases, markers)
        conflicts.setdefault((name, reason), set()).update(minors)
    for (name, reason), concerned in conflicts.items():
        if concerned:
            yield Unsupported(
                name=name,
                version=closure.distributions[name].raw_version,
                reason=reason,
                minors=tuple(sorted(concerned)),
                supported=SpecifierSet(),
            )


def _misfits(
    closure: Closure,
) -> Iterator[tuple[NormalizedName, str, NormalizedName, Condition]]:
    """Yield requirements that the pins do not satisfy: by whom, why, which pin, and when."""
    for root in closure.roots:
        pin = _unsatisfying(root.requirement, closure)
        if pin is not None:
            reason = f"is pinned, but {root.origin} asks for `{root.requirement}`"
            yield pin.name, reason, pin.name, condition_of(root.requirement.marker)
    for (name, extra), edges in closure.edges.items():
        for requirement, condition in edges:
            pin = _unsatisfying(requirement, closure)
            if pin is not None:
                reason = f"needs {requirement}, but {pin.name} is pinned to {pin.version}"
                yield name, reason, pin.name, closure.conditions[name, extra] & condition


def _unsatisfying(requirement: Requirement, closure: Closure) -> Distribution | None:
    """Return the pinned distribution that *requirement* names but does not accept, or None."""
    distribution = closure.distributions.get(canonicalize_name(requirement.name))
    if distribution is None:
        return None
    fits = requirement.specifier.contains(distribution.version, prereleases=True)
    return None if fits else distribution


def _minors_where(
    condition: Condition, releases: Iterable[tuple[int, int]], markers: Mapping[str, str]
) -> tuple[int, ...]:
    """Return the minor versions of those *releases* on which *condition* holds."""
    return tuple(
        sorted({minor for minor, patch in releases if condition.holds(_on(minor, patch, markers))})
    )


@cache
def _outside(claimed: SpecifierSet, supported: SpecifierSet) -> list[tuple[int, int]]:
    return [
        (minor, patch)
        for minor, patch in _releases(claimed, supported)
        if not supported.contains(f"3.{minor}.{patch}")
    ]


def _releases(claimed: SpecifierSet, *also: SpecifierSet) -> list[tuple[int, int]]:
    """Return a sample of the Python 3 releases that *claimed* contains: (minor, patch), ascending.

    The sample includes the boundaries of *claimed* and of each of *also*.
    """
    samples = {(minor, patch) for minor in _MINORS for patch in _PATCHES}
    for specifier in (each for specifiers in (claimed, *also) for each in specifiers):
        if match := _PATCH_RELEASE.match(specifier.version):
            minor, patch = map(int, match.groups())
            samples |= {(minor, each) for each in (patch - 1, patch, patch + 1) if each >= 0}
    return sorted(each for each in samples if claimed.contains("3.{}.{}".format(*each)))


def _on(minor: int, patch: int, markers: Mapping[str, str]) -> dict[str, str]:
    return {
        **markers,
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.{patch}",
    }
