"""From the closure to the lines of ``Requires-Dist``."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from hatch_model.closure import closure_of, holds, targets
from hatch_model.errors import HatchModelError
from hatch_model.installed import describe, is_local, reference
from hatch_model.markers import NEVER, condition_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from hatch_model.closure import Closure
    from hatch_model.installed import Distribution, Environment
    from hatch_model.markers import Condition
    from hatch_model.settings import PinPolicy
    from hatch_model.tables import Root


@dataclass(frozen=True, kw_only=True, slots=True)
class Pins:
    """The requirements of a wheel, and the closure that they are derived from."""

    lines: tuple[str, ...]
    """Sorted PEP 508 strings."""
    closure: Closure
    policy: PinPolicy
    unlocked: tuple[str, ...] = ()
    """Those of the lines that are not in a lock and stay as they were declared."""
    contradicted: tuple[tuple[str, str], ...] = ()
    """Packages of the closure, each with a requirement that the lock overrides and is not met."""

    @property
    def extra(self) -> str:
        """The extra that has the lines; "" if the wheel itself requires them."""
        return PINNED_EXTRA if self.policy.pins == "extra" else ""


PINNED_EXTRA = "pinned"
"""The extra that has the pins, with `pins = "extra"`; the wheel then requires what was declared."""


def in_extra(line: str, extra: str = PINNED_EXTRA) -> str:
    """Return the requirement *line* as the metadata has it for *extra*."""
    requirement, _, marker = line.partition(" ; ") if " @ " in line else line.partition(";")
    condition = f"({marker.strip()}) and " if marker else ""
    return str(Requirement(f"{requirement} ; {condition}extra == '{extra}'"))


def is_in_extra(line: str, extra: str = PINNED_EXTRA) -> bool:
    """Return whether the metadata has the requirement *line* for *extra*."""
    return line.partition(";")[2].replace('"', "'").rstrip().endswith(f"extra == '{extra}'")


def check_metadata(
    lines: Sequence[str], pins: Sequence[str], roots: Sequence[Root], policy: PinPolicy
) -> None:
    """Check that a wheel whose Requires-Dist are *lines* requires *pins* in the way of *policy*.

    Raises HatchModelError. Other extras are the project's own.
    """
    own = [line for line in lines if "extra ==" not in line.partition(";")[2]]
    if policy.pins != "extra":
        check_same_pins(own, pins)
        return
    check_same_pins(own, [root.text for root in roots])
    of_extra = [line for line in lines if is_in_extra(line)]
    check_same_pins(of_extra, [in_extra(line) for line in pins])


def marker_environment() -> dict[str, str]:
    """Return the PEP 508 marker values of this interpreter."""
    return {key: str(value) for key, value in default_environment().items()}


def pin(
    roots: tuple[Root, ...],
    environment: Environment,
    policy: PinPolicy,
    *,
    project: NormalizedName,
    markers: Mapping[str, str] | None = None,
) -> Pins:
    """Pin the dependencies of *roots* to the versions in *environment*.

    A requirement that does not apply here is written as declared, because its version is unknown.
    *markers* are the PEP 508 marker values (default: this interpreter's).
    """
    markers = marker_environment() if markers is None else markers
    closure = closure_of(roots, environment, markers, project=project)
    lines = {str(root.requirement) for root in roots if not holds(root.requirement, markers)}
    for (name, extras), condition in _wanted(roots, closure, policy, markers).items():
        lines.add(_line(closure.distributions[name], extras, condition, policy))
    return Pins(lines=tuple(sorted(lines)), closure=closure, policy=policy)


def _wanted(
    roots: tuple[Root, ...], closure: Closure, policy: PinPolicy, markers: Mapping[str, str]
) -> dict[tuple[NormalizedName, tuple[str, ...]], Condition]:
    """Return which distributions are pinned, with which extras, and when.

    An extra that is needed less often than its distribution gets a separate line.
    """
    declared = _declared(roots, closure, markers)
    needed = closure.needed()
    if policy.pins == "direct":
        needed = {name: condition for (name, extra), condition in declared.items() if not extra}
    wanted = {}
    for name, condition in needed.items():
        # Extras stay on the line, so that other platforms install what they depend on there.
        extras_by_condition: dict[Condition, list[str]] = {condition: []}
        for (each, extra), when in sorted(declared.items(), key=itemgetter(0)):
            if each == name and extra:
                extras_by_condition.setdefault(when, []).append(extra)
        for when, extras in extras_by_condition.items():
            wanted[name, tuple(extras)] = when
    return wanted


def _declared(
    roots: tuple[Root, ...], closure: Closure, markers: Mapping[str, str]
) -> dict[tuple[NormalizedName, str], Condition]:
    """Return when each distribution, and each of its extras, is required by a root directly."""
    declared: dict[tuple[NormalizedName, str], Condition] = {}
    for root in roots:
        if holds(root.requirement, markers):
            for node in targets(root.requirement):
                if node in closure.conditions:
                    condition = condition_of(root.requirement.marker)
                    declared[node] = declared.get(node, NEVER) | condition
    return declared


def _line(
    distribution: Distribution, extras: tuple[str, ...], condition: Condition, policy: PinPolicy
) -> str:
    name = f"{distribution.name}[{','.join(extras)}]" if extras else distribution.name
    line = f"{name}{_version(distribution, policy)}"
    marker = str(condition)
    # A URL ends at white space only, so the semicolon needs a space before it.
    return str(Requirement(f"{line} ; {marker}" if marker else line))


def _version(distribution: Distribution, policy: PinPolicy) -> str:
    if distribution.direct_url is not None and policy.direct_references != "version":
        return f" @ {_reference(distribution, policy)}"
    return f"=={pinned_version(distribution.version, policy)}"


def pinned_version(version: Version, policy: PinPolicy) -> str:
    """Format *version* with or without its local part: ``==2.5.1`` also allows ``2.5.1+cu124``."""
    return version.public if policy.local_versions == "strip" else str(version)


def _reference(distribution: Distribution, policy: PinPolicy) -> str:
    direct_url = distribution.direct_url
    assert direct_url is not None  # noqa: S101 - ensured by the caller
    address = reference(direct_url)
    refuse_reference(
        distribution.name,
        distribution.raw_version,
        describe(direct_url),
        policy,
        is_local=is_local(direct_url),
        address=address,
    )
    return address


def refuse_reference(
    name: str, version: str, origin: str, policy: PinPolicy, *, is_local: bool, address: str = ""
) -> None:
    """Refuse an *address* that *policy* does not allow, or that is local or may be secret."""
    installed, key = f"{name} {version} was installed {origin}", f"{policy.key}.direct-references"
    if is_local:
        raise HatchModelError(
            f"{installed}, an address that is only valid on this machine. Install it from an index "
            f'or a repository, or set {key} to "version" (pin the version, which an index must '
            "then have)."
        )
    if policy.direct_references == "error":
        raise HatchModelError(
            f"{installed}, so others could not install the wheel from an index. Install it from an "
            f'index, or set {key} to "url" (pin the address) or "version" (pin the version, which '
            f"an index must then have)."
        )
    if "?" in address.partition("#")[0]:
        raise HatchModelError(
            f"{installed}, an address with a query, which may be a secret and would be in the "
            f'wheel. Install it from an address without one, or set {key} to "version" (pin the '
            "version, which an index must then have)."
        )


def contradictions(
    optional: Mapping[str, Sequence[str]], lines: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """Find the extras that no installer can install, as the pins in *lines* contradict them.

    *optional* are the requirements of each extra. Yields the extra, its requirement and the pin.
    """
    pins: dict[str, list[Requirement]] = {}
    for pin in map(Requirement, lines):
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for extra, requirements in optional.items():
        for wanted in map(Requirement, requirements):
            for pin in pins.get(canonicalize_name(wanted.name), []):
                versions = [each.version for each in pin.specifier if each.operator == "=="]
                fits = all(wanted.specifier.contains(each, prereleases=True) for each in versions)
                both = condition_of(pin.marker) & condition_of(wanted.marker)
                if not fits and both != NEVER:
                    yield extra, str(wanted), str(pin)


def allows(requirement: Requirement, version: str) -> bool:
    """Return whether *requirement* is satisfied by *version*, which may not be valid."""
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def same_lines(one: Sequence[str], other: Sequence[str]) -> bool:
    """Compare two lists of requirements semantically, because hatchling normalizes their text."""
    return set(map(_meaning, one)) == set(map(_meaning, other))


def check_same_pins(in_metadata: Sequence[str], trained_with: Sequence[str]) -> None:
    """Check that the wheel requires what the model was trained with."""
    if same_lines(in_metadata, trained_with):
        return
    differences = [
        *(f"\n  in the metadata: {line}" for line in _without(in_metadata, trained_with)),
        *(f"\n  trained with:    {line}" for line in _without(trained_with, in_metadata)),
    ]
    raise HatchModelError(
        f"the dependencies in the wheel's metadata are not the versions that trained the model:"
        f"{''.join(differences)}\nNothing may change the environment or `project.dependencies` "
        f"while a model is built: look for an installation inside the training function, a `.pth` "
        f"file, or another hook."
    )


def _without(lines: Sequence[str], others: Sequence[str]) -> list[str]:
    return sorted(set(lines) - set(others))


def _meaning(line: str) -> tuple[object, ...]:
    requirement = Requirement(line)
    return (
        canonicalize_name(requirement.name),
        frozenset(map(canonicalize_name, requirement.extras)),
        SpecifierSet(str(requirement.specifier).lower()),
        requirement.url,
        str(requirement.marker),
    )
