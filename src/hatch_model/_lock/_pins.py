"""From a lock, and the environment that was installed from it, to the lines of ``Requires-Dist``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_model._environment import (
    NEVER,
    Pins,
    archive_hashes,
    closure_of,
    condition_of,
    holds,
    pinned_version,
)
from hatch_model.errors import (
    ArchiveMismatchError,
    DirectReferenceError,
    LocalReferenceError,
    LockDriftError,
    OutdatedLockError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from hatch_model._environment import Closure, Environment, PinPolicy, Root
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
    the dependency *groups* for training ask for as well. Raises OutdatedLockError, LockDriftError
    and ArchiveMismatchError where lock, requirements and environment do not agree.
    """
    check_up_to_date(lock, [*roots, *groups], markers, project=project)
    _check_installed(lock, environment, markers)
    closure = closure_of(roots, environment, markers, project=project)
    _check_complete(lock, closure, markers)
    packages = _needed_at_run_time(lock, closure, markers)
    if policy.pins == "direct":
        declared = {canonicalize_name(root.requirement.name) for root in roots}
        packages = [package for package in packages if package.name in declared]
    return Pins(
        lines=tuple(sorted({_line(package, policy) for package in packages})),
        closure=_as_locked(closure, packages, markers),
        policy=policy,
    )


def check_up_to_date(
    lock: Lock,
    roots: Iterable[Root],
    markers: Mapping[str, str],
    *,
    project: NormalizedName,
) -> None:
    """Check that *lock* holds something that satisfies each of *roots*.

    Raises OutdatedLockError for the first that it does not.
    """
    for root in roots:
        requirement = root.requirement
        name = canonicalize_name(requirement.name)
        locked = [package for package in lock.packages if package.name == name]
        if holds(requirement, markers):
            locked = [package for package in locked if package.holds(markers)]
        fits = any(
            package.version is None or requirement.specifier.contains(package.version, True)
            for package in locked
        )
        if name != project and not fits:
            versions = [str(package.version) for package in locked]
            raise OutdatedLockError(lock.path, lock.renewal, requirement, root.origin, versions)


def _check_installed(lock: Lock, environment: Environment, markers: Mapping[str, str]) -> None:
    differences = []
    for package in lock.packages:
        if not package.holds(markers):
            continue
        distribution = environment.find(package.name)
        found = None if distribution is None else distribution.raw_version
        if distribution is None or package.version not in {None, distribution.version}:
            differences.append((package.name, str(package.version or package.reference), found))
        elif distribution.direct_url is not None:
            _check_archive(lock, package, archive_hashes(distribution.direct_url))
    if differences:
        raise LockDriftError(lock.path, differences)


def _check_archive(lock: Lock, package: LockedPackage, installed: Mapping[str, str]) -> None:
    """Compare the archive that was installed (PEP 610 tells of some) with those that are locked."""
    found = {f"{algorithm}:{digest.lower()}" for algorithm, digest in installed.items()}
    if package.hashes and found and not found & package.hashes:
        raise ArchiveMismatchError(lock.path, package.name, min(found))


def _check_complete(lock: Lock, closure: Closure, markers: Mapping[str, str]) -> None:
    locked = {package.name for package in lock.packages if package.holds(markers)}
    for name, distribution in sorted(closure.distributions.items()):
        if name not in locked:
            requirement = Requirement(f"{name}=={distribution.version}")
            raise OutdatedLockError(lock.path, lock.renewal, requirement, "the closure", [])


def _needed_at_run_time(
    lock: Lock, closure: Closure, markers: Mapping[str, str]
) -> list[LockedPackage]:
    """Leave out what only training needs.

    Most formats do not say what needs what. What is installed here tells; of what is locked for
    other platforms alone, nothing does, and it stays.
    """
    if lock.runtime is not None:
        return [package for package in lock.packages if package.name in lock.runtime]
    here = {package.name for package in lock.packages if package.holds(markers)}
    for_training = here - closure.distributions.keys()
    return [package for package in lock.packages if package.name not in for_training]


def _as_locked(
    closure: Closure, packages: Iterable[LockedPackage], markers: Mapping[str, str]
) -> Closure:
    """Have *closure* say when the versions that are installed here are the ones that are pinned."""
    needed = dict.fromkeys(closure.distributions, NEVER)
    for package in packages:
        if package.name in needed and package.holds(markers):
            needed[package.name] |= condition_of(package.marker)
    return replace(closure, conditions={node: needed[node[0]] for node in closure.conditions})


def _line(package: LockedPackage, policy: PinPolicy) -> str:
    line = f"{package.name}{_version(package, policy)}"
    # A URL ends at white space only, so the semicolon needs one before it.
    return str(Requirement(f"{line} ; {package.marker}" if package.marker else line))


def _version(package: LockedPackage, policy: PinPolicy) -> str:
    if package.reference and (policy.direct_references != "version" or package.version is None):
        origin = f"from {package.reference}, as the lock says"
        version = str(package.version or "")
        if policy.direct_references == "error":
            raise DirectReferenceError(package.name, version, origin, policy.key)
        if package.is_local:
            raise LocalReferenceError(package.name, version, origin, policy.key)
        return f" @ {package.reference}"
    assert package.version is not None  # noqa: S101 - only a reference may be without
    return f"=={pinned_version(package.version, policy)}"
