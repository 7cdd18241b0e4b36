"""From a lock, and the environment that was installed from it, to the lines of ``Requires-Dist``.

The lock, the requirements and the environment must agree.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial, reduce
from itertools import chain
from operator import or_
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_model.closure import closure_of, holds, mentioned
from hatch_model.errors import HatchModelError, RequirementError
from hatch_model.installed import archive_hashes, describe
from hatch_model.markers import ALWAYS, NEVER, condition_of
from hatch_model.pins import Pins, pinned_version, refuse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from hatch_model.closure import Closure
    from hatch_model.installed import Distribution, Environment
    from hatch_model.lock import Lock, LockedPackage
    from hatch_model.settings import PinPolicy
    from hatch_model.tables import Root

_MOST_DIFFERENCES = 5
_NAME = re.compile(r"[A-Za-z0-9._-]+")

# Other environments to test a lock for: those that forks of locks distinguish in practice.
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
    """Check that *lock* satisfies each of *roots*, here and in the other environments it covers.

    Raises HatchModelError if the lock does not cover the PEP 508 marker values *markers*, and for
    the first requirement that it does not satisfy.
    """
    if lock.coverage is not None and not lock.coverage.holds(markers):
        raise HatchModelError(
            f"`{lock.path}` is for {lock.coverage}, but this is Python "
            f"{markers['python_full_version']} on {markers['sys_platform']}. Build where the lock "
            f"is for, or widen what it is for and renew it: `{lock.renewal}`."
        )
    for root in _overridden(roots, lock):
        name = canonicalize_name(root.requirement.name)
        if name != project:
            packages = [package for package in lock.packages if package.name == name]
            _check_requirement(lock, root, packages, markers)


def check_beside_build_tools(
    lock: Lock, environment: Environment, markers: Mapping[str, str]
) -> None:
    """Check that *lock* can be installed beside the build tools, which *environment* has."""
    locked = {package.name: package for package in lock.active(markers)}
    for name in ("hatchling", "hatch-model"):
        tool = environment.find(canonicalize_name(name))
        for requirement in tool.requirements if tool else ():
            package = locked.get(canonicalize_name(requirement.name))
            if package and holds(requirement, markers) and not package.fits(requirement):
                raise HatchModelError(
                    f"`{lock.path}` holds {package.name} {package.version}, but {name} requires "
                    f"`{requirement}` in the same environment. Lock a version that fits both: add "
                    f"`{requirement}` to the requirements, and renew the lock: `{lock.renewal}`."
                )


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
            raise _outdated(lock, requirement, root.origin, versions)


def _elsewhere(
    root: Root, packages: list[LockedPackage], markers: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Yield other environments to test, if anything depends on the environment."""
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


def _outdated(
    lock: Lock, requirement: Requirement, required_by: str, locked: Sequence[str]
) -> HatchModelError:
    state, held = "incomplete", "does not hold it"
    if locked:
        state, held = "older than the requirements", f"holds {' and '.join(locked)}"
    return HatchModelError(
        f"`{lock.path}` is {state}: {required_by} asks for `{requirement}`, and the lock {held}. "
        f"Renew it: `{lock.renewal}`."
    )


# Overrides: what replaces each requirement of a package, whatever the requirement says.


def _overridden(roots: Iterable[Root], lock: Lock) -> list[Root]:
    key = "tool.uv.override-dependencies"
    return [
        root if line == root.text else replace(root, text=line, origin=key)
        for root in roots
        for line in _replaced(root.text, lock)
    ]


def _replaced(line: str, lock: Lock) -> list[str]:
    """Return what replaces the requirement *line*: as in uv, with its marker and extras."""
    match = _NAME.match(line)
    overrides = lock.overrides.get(canonicalize_name(match[0])) if match else None
    if not overrides:
        return [line]
    requirement, lines = Requirement(line), []
    for override in map(Requirement, overrides):
        override.extras = override.extras or requirement.extras
        markers = [f"({each})" for each in (requirement.marker, override.marker) if each]
        override.marker = Marker(" and ".join(markers)) if markers else None
        lines.append(str(override))
    return lines


def check_installed(lock: Lock, environment: Environment, markers: Mapping[str, str]) -> None:
    """Check that *environment* matches *lock*, as far as can be determined.

    Compares names and versions, and the origin (PEP 610) of packages that are not from an index.
    Raises HatchModelError with the first differences, or for another archive.
    """
    differences = []
    for package in lock.active(markers):
        distribution = environment.find(package.name)
        if distribution is None:
            differences.append((package.name, _locked(package), ""))
        elif not _is(package, distribution):
            differences.append((package.name, _locked(package), _found(distribution)))
    if differences:
        lines = [
            f"\n  {name}: locked {locked}, found {found or 'nothing'}"
            for name, locked, found in differences[:_MOST_DIFFERENCES]
        ]
        more = len(differences) - _MOST_DIFFERENCES
        rest = f"\n  and {more} more" if more > 0 else ""
        raise HatchModelError(
            f"the training environment is not what `{lock.path}` "
            f"says:{''.join(lines)}{rest}\nBuild with isolation, so that the frontend installs it, "
            f"or install the lock first."
        )
    for package in lock.active(markers):
        _check_archive(lock, package, environment)


def _is(package: LockedPackage, distribution: Distribution) -> bool:
    if package.version not in {None, distribution.version}:
        return False
    locked, found = package.address, distribution.direct_url
    if found is None:
        return locked is None
    if locked is None:
        return "archive_info" in found  # The hash is compared separately.
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
    """Compare the installed archive (if PEP 610 metadata has its hash) with the locked ones."""
    distribution = environment.find(package.name)
    if distribution is None or distribution.direct_url is None:
        return
    digests = archive_hashes(distribution.direct_url)
    found = {f"{algorithm}:{digest.lower()}" for algorithm, digest in digests.items()}
    algorithms = {each.partition(":")[0] for each in package.hashes}
    comparable = {each for each in found if each.partition(":")[0] in algorithms}
    if comparable and not comparable & package.hashes:
        raise HatchModelError(
            f"{package.name} was installed from an archive with {min(comparable)}, which is none "
            f"of those that `{lock.path}` allows. Install what is locked."
        )


def pin_locked(
    roots: Sequence[Root],
    groups: Sequence[Root],
    environment: Environment,
    lock: Lock,
    policy: PinPolicy,
    *,
    project: NormalizedName,
    markers: Mapping[str, str],
    claimed: SpecifierSet,
) -> Pins:
    """Pin the dependencies of *roots* to the versions in *lock*, for every platform that it covers.

    Where a wheel for the *claimed* Pythons can be installed and the lock has nothing, what is
    declared is required. *environment* must match the lock for the PEP 508 marker values *markers*,
    including the dependency *groups* for training. Raises HatchModelError if lock, requirements and
    environment do not agree.
    """
    check_up_to_date(lock, [*roots, *groups], markers, project=project)
    check_installed(lock, environment, markers)
    roots, groups = _overridden(roots, lock), _overridden(groups, lock)
    closure = _closure(roots, environment, lock, markers, project)
    for_training = _named_for_training(lock, groups, closure, environment, markers)
    packages = [
        _with_version(package, environment, markers)
        for package in _needed_at_run_time(lock, roots, closure, for_training, markers)
    ]
    pinned = list(_declared(roots, packages) if policy.pins == "direct" else _all(packages))
    locked_everywhere = partial(
        _is_locked_everywhere, packages=packages, markers=markers, claimed=claimed
    )
    unlocked = sorted({str(root.requirement) for root in roots if not locked_everywhere(root)})
    return Pins(
        lines=tuple(sorted([*_lines(pinned, policy, lock), *unlocked])),
        closure=_as_locked(closure, [package for package, _ in pinned], markers),
        policy=policy,
        unlocked=tuple(unlocked),
        contradicted=tuple(_contradicted(closure, environment, lock, markers)),
    )


def _contradicted(
    closure: Closure, environment: Environment, lock: Lock, markers: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Find what packages of *closure* require and the overrides of *lock* have otherwise.

    Installers do not know of the overrides. Yields each package with its requirement.
    """
    for name in sorted(closure.distributions) if lock.overrides else ():
        distribution = environment.find(name)
        for requirement in distribution.requirements if distribution else ():
            required = canonicalize_name(requirement.name)
            if required in lock.overrides and holds(requirement, markers):
                found = environment.find(required)
                kept = [Requirement(line) for line in _replaced(str(requirement), lock)]
                is_excluded = not any(holds(each, markers) for each in kept)
                if (
                    is_excluded
                    or found is None
                    or not requirement.specifier.contains(found.version, True)
                ):
                    yield f"{name} {closure.distributions[name].raw_version}", str(requirement)


def _is_locked_everywhere(
    root: Root,
    packages: Sequence[LockedPackage],
    markers: Mapping[str, str],
    claimed: SpecifierSet,
) -> bool:
    """Return whether *root* is pinned wherever it applies.

    A lock may be for some platforms only, such as with `environments` in uv's settings.
    """
    name = canonicalize_name(root.requirement.name)
    locked = [package for package in packages if package.name == name]
    return all(
        any(package.holds(environment) for package in locked)
        for environment in [markers, *_elsewhere(root, locked, markers)]
        if claimed.contains(environment["python_full_version"], prereleases=True)
        and holds(root.requirement, environment)
    )


class _LockedEnvironment:
    """The installed distributions that are also in a lock, with the lock's overrides."""

    def __init__(
        self, environment: Environment, lock: Lock, packages: Iterable[LockedPackage]
    ) -> None:
        self._environment = environment
        self._lock = lock
        self._names = {package.name for package in packages}

    def find(self, name: NormalizedName) -> Distribution | None:
        distribution = self._environment.find(name) if name in self._names else None
        if distribution is None or not self._lock.overrides:
            return distribution
        lines = [_replaced(line, self._lock) for line in distribution.raw_requirements]
        return replace(distribution, raw_requirements=tuple(chain.from_iterable(lines)))

    def __iter__(self) -> Iterator[Distribution]:
        return filter(None, (self.find(each.name) for each in self._environment))


def _closure(
    roots: Sequence[Root],
    environment: Environment,
    lock: Lock,
    markers: Mapping[str, str],
    project: NormalizedName,
) -> Closure:
    """Walk the dependencies of *roots*, all of which must be locked."""
    active = lock.active(markers)
    locked = _LockedEnvironment(environment, lock, active)
    try:
        return closure_of(roots, locked, markers, project=project)
    except RequirementError as error:
        name = canonicalize_name(error.requirement.name)
        versions = [str(package.version) for package in active if package.name == name]
        raise _outdated(lock, error.requirement, error.required_by, versions) from None


def _named_for_training(
    lock: Lock,
    groups: Sequence[Root],
    closure: Closure,
    environment: Environment,
    markers: Mapping[str, str],
) -> set[NormalizedName]:
    """Return what *groups*, and locked packages outside the *closure*, require on any platform."""
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
    """Leave out packages that only training needs, or that nothing needs any more.

    Most formats do not contain the dependencies between packages. The installed distributions do,
    and they name what they need elsewhere. A package that nothing names is kept, so that no pin is
    missing.
    """
    if lock.runtime is not None:
        return [
            package
            for package in lock.runtime
            if package.name in closure.distributions or not package.holds(markers)
        ]
    here = {package.name for package in lock.active(markers)}
    at_run_time = mentioned(roots, closure)
    # Packages that are only needed elsewhere may have dependencies that cannot be seen from here.
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
    """Take the version that the lock omits from *environment*."""
    distribution = environment.find(package.name) if package.holds(markers) else None
    if package.version is None and distribution is not None:
        return replace(package, version=distribution.version)
    return package


_Pinned = tuple["LockedPackage", tuple[str, ...]]
"""A package and those of its extras that stay on its line."""


def _all(packages: Iterable[LockedPackage]) -> Iterator[_Pinned]:
    return ((package, ()) for package in packages)


def _declared(roots: Sequence[Root], packages: Sequence[LockedPackage]) -> Iterator[_Pinned]:
    """Return those of *packages* that *roots* list directly, and when they apply."""
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
    """Restrict *closure* to where the versions installed here are the pinned ones."""
    needed = dict.fromkeys(closure.distributions, NEVER)
    for package in packages:
        if package.name in needed and package.holds(markers):
            needed[package.name] |= condition_of(package.marker)
    return replace(closure, conditions={node: needed[node[0]] for node in closure.conditions})


def _lines(pinned: Iterable[_Pinned], policy: PinPolicy, lock: Lock) -> list[str]:
    """Write each pin once, even if several forks of the lock give the same one."""
    conditions: dict[str, list[Marker | None]] = {}
    for package, extras in pinned:
        name = f"{package.name}[{','.join(extras)}]" if extras else package.name
        line = f"{name}{_version(package, policy, lock)}"
        conditions.setdefault(line, []).append(package.marker)
    return [_line(pin, markers) for pin, markers in conditions.items()]


def _line(pin: str, markers: Sequence[Marker | None]) -> str:
    # The lock's own markers, if they don't have to be combined.
    marker = str(markers[0] or "") if len(set(map(str, markers))) == 1 else _joined(markers)
    # A URL ends at white space only, so the semicolon needs a space before it.
    return str(Requirement(f"{pin} ; {marker}" if marker else pin))


def _joined(markers: Iterable[Marker | None]) -> str:
    condition = reduce(or_, map(condition_of, markers))
    return "" if condition == ALWAYS else str(condition)


def _version(package: LockedPackage, policy: PinPolicy, lock: Lock) -> str:
    if not package.address or policy.direct_references == "version":
        if package.version is None:
            raise HatchModelError(
                f"`{lock.path}` holds {package.name} for other platforms, from "
                f"{package.reference}, without a version that could be pinned. Give {package.name} "
                f'a version that is not dynamic, or set {policy.key}.direct-references to "url".'
            )
        return f"=={pinned_version(package.version, policy)}"
    origin = f"from {package.reference}, as the lock says"
    version = str(package.version or "")
    address = package.reference
    refuse_reference(
        package.name, version, origin, policy, is_local=package.is_local, address=address
    )
    return f" @ {address}"
