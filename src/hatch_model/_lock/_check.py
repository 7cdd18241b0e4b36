"""Whether lock, requirements and what is installed agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_model._environment import archive_hashes, describe, holds
from hatch_model.errors import (
    ArchiveMismatchError,
    LockCoverageError,
    LockDriftError,
    LockedPathMissingError,
    OutdatedLockError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName

    from hatch_model._environment import Distribution, Environment, Root
    from hatch_model._lock._packages import Lock, LockedPackage

# Where a lock is tried out beside here: what forks of locks tell apart in practice.
_MINORS = range(8, 21)
_PLATFORMS = [
    {
        "sys_platform": system,
        "platform_system": name,
        "os_name": family,
        "platform_machine": machine,
    }
    for system, name, family, machines in (
        ("linux", "Linux", "posix", ("x86_64", "aarch64")),
        ("darwin", "Darwin", "posix", ("x86_64", "arm64")),
        ("win32", "Windows", "nt", ("AMD64", "ARM64")),
    )
    for machine in machines
]


def check_up_to_date(
    lock: Lock,
    roots: Iterable[Root],
    markers: Mapping[str, str],
    *,
    project: NormalizedName,
) -> None:
    """Check that *lock* satisfies each of *roots*, here and wherever else it covers.

    Raises LockCoverageError where it is not meant for where the PEP 508 marker values are
    *markers*, and OutdatedLockError for the first requirement that it does not satisfy.
    """
    if lock.coverage is not None and not lock.coverage.holds(markers):
        raise LockCoverageError(lock.path, lock.renewal, str(lock.coverage), markers)
    for root in roots:
        name = canonicalize_name(root.requirement.name)
        if name != project:
            packages = [package for package in lock.packages if package.name == name]
            _check_requirement(lock, root, packages, markers)


def check_installable(lock: Lock, markers: Mapping[str, str]) -> None:
    """Check that what *lock* takes from this machine is there: it does not travel in an sdist."""
    for package in lock.active(markers):
        if not package.is_here:
            raise LockedPathMissingError(lock.path, package.name, package.reference)


def _check_requirement(
    lock: Lock, root: Root, packages: list[LockedPackage], markers: Mapping[str, str]
) -> None:
    requirement = root.requirement
    for environment in [markers, *_elsewhere(root, packages, markers)]:
        if not holds(requirement, environment):
            continue
        locked = [package for package in packages if package.holds(environment)]
        fits = any(package.fits(requirement) for package in locked)
        is_meant = environment is markers or (
            lock.coverage is not None and lock.coverage.holds(environment)
        )
        if not fits and (locked or is_meant):
            versions = [str(package.version) for package in locked]
            raise OutdatedLockError(lock.path, lock.renewal, requirement, root.origin, versions)


def _elsewhere(
    root: Root, packages: list[LockedPackage], markers: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Give other environments to try, if anything depends on them at all."""
    if root.requirement.marker or any(package.marker for package in packages):
        for platform in _PLATFORMS:
            for minor in _MINORS:
                version = f"3.{minor}"
                yield {
                    **markers,
                    **platform,
                    "python_version": version,
                    "python_full_version": f"{version}.0",
                }


def check_installed(lock: Lock, environment: Environment, markers: Mapping[str, str]) -> None:
    """Check that *environment* holds what *lock* says, as far as it tells.

    Names and versions, and for what did not come from an index, from where (PEP 610). Raises
    LockDriftError with everything that differs, and ArchiveMismatchError.
    """
    differences = []
    for package in lock.active(markers):
        distribution = environment.find(package.name)
        if distribution is None:
            differences.append((package.name, _locked(package), ""))
        elif not _is(package, distribution):
            differences.append((package.name, _locked(package), _found(distribution)))
    if differences:
        raise LockDriftError(lock.path, differences)
    for package in lock.active(markers):
        _check_archive(lock, package, environment)


def _is(package: LockedPackage, distribution: Distribution) -> bool:
    if package.version not in {None, distribution.version}:
        return False
    locked, found = package.address, distribution.direct_url
    if found is None:
        return locked is None
    if locked is None:
        return "archive_info" in found  # Its hash is compared where there is one.
    if "vcs_info" in locked:
        commit = found.get("vcs_info", {}).get("commit_id")
        return bool(commit == locked["vcs_info"]["commit_id"])
    return ("dir_info" in locked) == ("dir_info" in found) and "vcs_info" not in found


def _locked(package: LockedPackage) -> str:
    version = str(package.version or "")
    return f"{version} from {package.reference}".lstrip() if package.address else version


def _found(distribution: Distribution) -> str:
    if distribution.direct_url is None:
        return distribution.raw_version
    commit = distribution.direct_url.get("vcs_info", {}).get("commit_id", "")
    origin = describe(distribution.direct_url)
    return f"{distribution.raw_version} {origin}{commit and '@'}{commit}"


def _check_archive(lock: Lock, package: LockedPackage, environment: Environment) -> None:
    """Compare the archive that was installed (PEP 610 tells of some) with those that are locked."""
    distribution = environment.find(package.name)
    if distribution is None or distribution.direct_url is None:
        return
    digests = archive_hashes(distribution.direct_url)
    found = {f"{algorithm}:{digest.lower()}" for algorithm, digest in digests.items()}
    algorithms = {each.partition(":")[0] for each in package.hashes}
    comparable = {each for each in found if each.partition(":")[0] in algorithms}
    if comparable and not comparable & package.hashes:
        raise ArchiveMismatchError(lock.path, package.name, min(comparable))
