"""From a lock, and the environment that was installed from it, to the lines of ``Requires-Dist``."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_model._environment import (
    ALWAYS,
    NEVER,
    Pins,
    closure_of,
    condition_of,
    holds,
    mentioned,
    pinned_version,
)
from hatch_model._lock._check import check_installed, check_up_to_date
from hatch_model.errors import (
    DirectReferenceError,
    LocalReferenceError,
    NotInstalledError,
    OutdatedLockError,
    OutOfRangeError,
    UnknownLockedVersionError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from hatch_model._environment import (
        Closure,
        Distribution,
        Environment,
        PinPolicy,
        Root,
    )
    from hatch_model._lock._packages import Lock, LockedPackage


def pin_locked(
    roots: Sequence[Root],
    groups: Sequence[Root],
    environment: Environment,
    lock: Lock,
    policy: PinPolicy,
    *,
    project: NormalizedName,
    markers: Mapping[str, str],
) -> Pins:
    """Pin what *roots* need to what *lock* says, for every platform that it covers.

    *environment* must hold just that, as far as the PEP 508 marker values *markers* go, and what
    the dependency *groups* for training ask for as well. Raises a LockError where lock,
    requirements and environment do not agree.
    """
    check_up_to_date(lock, [*roots, *groups], markers, project=project)
    check_installed(lock, environment, markers)
    closure = _closure(roots, environment, lock, markers, project)
    for_training = _named_for_training(lock, groups, closure, environment, markers)
    packages = [
        _with_version(package, environment, markers)
        for package in _needed_at_run_time(lock, roots, closure, for_training, markers)
    ]
    pinned = list(_declared(roots, packages) if policy.pins == "direct" else _all(packages))
    locked = {package.name for package in packages}
    unlocked = sorted(
        {
            str(root.requirement)
            for root in roots
            if canonicalize_name(root.requirement.name) not in locked
            and not holds(root.requirement, markers)
        }
    )
    return Pins(
        lines=tuple(sorted([*_lines(pinned, policy, lock), *unlocked])),
        closure=_as_locked(closure, [package for package, _ in pinned], markers),
        policy=policy,
        unlocked=tuple(unlocked),
    )


class _LockedEnvironment:
    """What is installed, as far as a lock holds it, too."""

    def __init__(self, environment: Environment, packages: Iterable[LockedPackage]) -> None:
        self._environment = environment
        self._names = {package.name for package in packages}

    def find(self, name: NormalizedName) -> Distribution | None:
        return self._environment.find(name) if name in self._names else None

    def __iter__(self) -> Iterator[Distribution]:
        return (each for each in self._environment if each.name in self._names)


def _closure(
    roots: Sequence[Root],
    environment: Environment,
    lock: Lock,
    markers: Mapping[str, str],
    project: NormalizedName,
) -> Closure:
    """Walk what *roots* need, all of which has to be locked."""
    active = lock.active(markers)
    locked = _LockedEnvironment(environment, active)
    try:
        return closure_of(roots, locked, markers, project=project)
    except (NotInstalledError, OutOfRangeError) as error:
        name = canonicalize_name(error.requirement.name)
        versions = [str(package.version) for package in active if package.name == name]
        raise OutdatedLockError(
            lock.path, lock.renewal, error.requirement, error.required_by, versions
        ) from None


def _named_for_training(
    lock: Lock,
    groups: Sequence[Root],
    closure: Closure,
    environment: Environment,
    markers: Mapping[str, str],
) -> set[NormalizedName]:
    """Name what *groups*, and all that is locked but not in the *closure*, ask for anywhere."""
    names = {canonicalize_name(root.requirement.name) for root in groups}
    for package in lock.active(markers):
        distribution = environment.find(package.name)
        if distribution is not None and package.name not in closure.distributions:
            names |= {canonicalize_name(each.name) for each in distribution.requirements}
    return names


def _needed_at_run_time(
    lock: Lock,
    roots: Sequence[Root],
    closure: Closure,
    for_training: set[NormalizedName],
    markers: Mapping[str, str],
) -> list[LockedPackage]:
    """Leave out what only training needs, or nothing any more.

    Most formats do not say what needs what. What is installed here tells, and names what it would
    need elsewhere; what is not even named stays, so that no pin is ever missing.
    """
    if lock.runtime is not None:
        return [
            package
            for package in lock.runtime
            if package.name in closure.distributions or not package.holds(markers)
        ]
    here = {package.name for package in lock.active(markers)}
    at_run_time = mentioned(roots, closure)
    # What the model needs elsewhere may itself need something there that cannot be seen from here.
    is_certain = all(
        package.holds(markers) for package in lock.packages if package.name in at_run_time
    )
    needed = []
    for package in lock.packages:
        if package.name in closure.distributions:
            needed.append(package)
        elif package.name in here:
            # Training needs it here, and the model elsewhere.
            condition = at_run_time.get(package.name, NEVER) & condition_of(package.marker)
            if condition != NEVER:
                needed.append(replace(package, marker=Marker(str(condition))))
        elif not is_certain or package.name not in for_training:
            needed.append(package)
    return needed


def _with_version(
    package: LockedPackage, environment: Environment, markers: Mapping[str, str]
) -> LockedPackage:
    """Take from *environment* the version that the lock leaves out."""
    distribution = environment.find(package.name) if package.holds(markers) else None
    if package.version is None and distribution is not None:
        return replace(package, version=distribution.version)
    return package


_Pinned = tuple["LockedPackage", tuple[str, ...]]
"""A package and those of its extras that stay on its line."""


def _all(packages: Iterable[LockedPackage]) -> Iterator[_Pinned]:
    return ((package, ()) for package in packages)


def _declared(roots: Sequence[Root], packages: Sequence[LockedPackage]) -> Iterator[_Pinned]:
    """Give those of *packages* that *roots* ask for themselves, and when they do."""
    for root in roots:
        extras = tuple(sorted(map(canonicalize_name, root.requirement.extras)))
        for package in packages:
            if package.name == canonicalize_name(root.requirement.name) and package.fits(
                root.requirement
            ):
                asked, held = root.requirement.marker, package.marker
                condition = condition_of(asked) & condition_of(held)
                if asked and held and condition != NEVER:
                    yield replace(package, marker=Marker(str(condition))), extras
                elif condition != NEVER:
                    yield replace(package, marker=asked or held), extras


def _as_locked(
    closure: Closure, packages: Iterable[LockedPackage], markers: Mapping[str, str]
) -> Closure:
    """Have *closure* say when the versions that are installed here are the ones that are pinned."""
    needed = dict.fromkeys(closure.distributions, NEVER)
    for package in packages:
        if package.name in needed and package.holds(markers):
            needed[package.name] |= condition_of(package.marker)
    return replace(closure, conditions={node: needed[node[0]] for node in closure.conditions})


def _lines(pinned: Iterable[_Pinned], policy: PinPolicy, lock: Lock) -> list[str]:
    """Write each pin once, however many forks of the lock come to the same."""
    conditions: dict[str, list[Marker | None]] = {}
    for package, extras in pinned:
        name = f"{package.name}[{','.join(extras)}]" if extras else package.name
        line = f"{name}{_version(package, policy, lock)}"
        conditions.setdefault(line, []).append(package.marker)
    return [_line(pin, markers) for pin, markers in conditions.items()]


def _line(pin: str, markers: Sequence[Marker | None]) -> str:
    # The lock's own words, where they need not be joined.
    marker = str(markers[0] or "") if len(set(map(str, markers))) == 1 else _joined(markers)
    # A URL ends at white space only, so the semicolon needs one before it.
    return str(Requirement(f"{pin} ; {marker}" if marker else pin))


def _joined(markers: Iterable[Marker | None]) -> str:
    condition = reduce(or_, map(condition_of, markers))
    return "" if condition == ALWAYS else str(condition)


def _version(package: LockedPackage, policy: PinPolicy, lock: Lock) -> str:
    if not package.address or policy.direct_references == "version":
        if package.version is None:
            raise UnknownLockedVersionError(lock.path, package.name, package.reference, policy.key)
        return f"=={pinned_version(package.version, policy)}"
    origin = f"from {package.reference}, as the lock says"
    version = str(package.version or "")
    if policy.direct_references == "error":
        raise DirectReferenceError(package.name, version, origin, policy.key)
    if package.is_local:
        raise LocalReferenceError(package.name, version, origin, policy.key)
    return f" @ {package.reference}"
