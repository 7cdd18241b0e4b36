"""From requirements to transitive dependencies, each with the condition that it is needed.

A node is a distribution with one of its extras (or none), so cycles and diamonds are visited
only once, however many paths lead to them. Only requirements that apply here decide what
belongs to the closure. Requirements that apply elsewhere only widen the conditions of its members.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_model.errors import HatchModelError, RequirementError
from hatch_model.markers import NEVER, Condition, condition_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName

    from hatch_model.installed import Distribution, Environment
    from hatch_model.tables import Root

Node = tuple["NormalizedName", str]
"""A distribution's name and one of its extras, "" for none."""
Edge = tuple["Requirement", Condition]
"""A requirement and its condition, given that the node that requires it is needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Closure:
    """The transitive dependencies of a set of requirements, all of them installed."""

    distributions: Mapping[NormalizedName, Distribution]
    conditions: Mapping[Node, Condition]
    roots: Sequence[Root]
    edges: Mapping[Node, Sequence[Edge]]
    """What each node requires, here or on other platforms."""

    def needed(self) -> dict[NormalizedName, Condition]:
        """Return when each distribution is needed: by any path, with any extra."""
        needed = dict.fromkeys(sorted(self.distributions), NEVER)
        for (name, _), condition in self.conditions.items():
            needed[name] |= condition
        return needed


@dataclass(kw_only=True, slots=True)
class _Walk:
    environment: Environment
    markers: Mapping[str, str]
    project: NormalizedName
    strict: bool
    distributions: dict[NormalizedName, Distribution] = field(default_factory=dict)
    nodes: set[Node] = field(default_factory=set)
    edges: dict[Node, list[Edge]] = field(default_factory=dict)
    queue: deque[Node] = field(default_factory=deque)

    def concerns(self, requirement: Requirement, extra: str = "") -> bool:
        """Return whether *requirement* applies here, for a distribution requested with *extra*."""
        is_project = canonicalize_name(requirement.name) == self.project
        return not is_project and holds(requirement, self.markers, extra)

    def enter(self, requirement: Requirement, required_by: str, extra: str = "") -> None:
        """Follow *requirement* if it applies here."""
        if not self.concerns(requirement, extra):
            return
        name = canonicalize_name(requirement.name)
        if self.strict:
            self.distributions[name] = installed(self.environment, requirement, required_by)
        elif (distribution := self.environment.find(name)) is not None:
            self.distributions[name] = distribution
        else:
            return
        for node in targets(requirement):
            if node not in self.nodes:
                self.nodes.add(node)
                self.queue.append(node)

    def leave(self, node: Node) -> None:
        """Follow everything that *node* requires."""
        name, extra = node
        distribution = self.distributions[name]
        required_by = f"{name} {distribution.raw_version}"
        requirements = distribution.optional_requirements if extra else distribution.requirements
        edges = self.edges[node] = []
        for requirement in requirements:
            condition = condition_of(requirement.marker, extra)
            if condition != NEVER:
                edges.append((requirement, condition))
                self.enter(requirement, required_by, extra)


def closure_of(
    roots: Iterable[Root],
    environment: Environment,
    markers: Mapping[str, str],
    *,
    project: NormalizedName,
    strict: bool = True,
) -> Closure:
    """Walk the dependencies of *roots* in *environment*, for the PEP 508 marker values *markers*.

    The *project* itself never belongs to the closure. Raises HatchModelError for distributions that
    the environment lacks; if not *strict*, these are skipped.
    """
    roots = list(roots)
    walk = _Walk(environment=environment, markers=markers, project=project, strict=strict)
    for root in roots:
        walk.enter(root.requirement, root.origin)
        if strict and walk.concerns(root.requirement):
            _check_extras(root, walk.distributions[canonicalize_name(root.requirement.name)])
    while walk.queue:
        walk.leave(walk.queue.popleft())
    return Closure(
        distributions=walk.distributions,
        conditions=_conditions(roots, walk),
        roots=roots,
        edges=walk.edges,
    )


def _conditions(roots: Iterable[Root], walk: _Walk) -> dict[Node, Condition]:
    """Solve: a node is needed if a root or another needed node requires it.

    Conditions only ever widen, so a node is visited again only while its condition changes.
    """
    conditions = dict.fromkeys(sorted(walk.nodes), NEVER)
    changed: deque[Node] = deque()

    def widen(requirement: Requirement, condition: Condition) -> None:
        name = canonicalize_name(requirement.name)
        if name not in walk.distributions:
            return
        if not requirement.specifier.contains(walk.distributions[name].version, prereleases=True):
            return  # Needed there, but in a version other than the one installed here.
        for node in targets(requirement):
            if node in conditions and (widened := conditions[node] | condition) != conditions[node]:
                conditions[node] = widened
                changed.append(node)

    for root in roots:
        if holds(root.requirement, walk.markers):
            widen(root.requirement, condition_of(root.requirement.marker))
    while changed:
        node = changed.popleft()
        for requirement, condition in walk.edges[node]:
            widen(requirement, conditions[node] & condition)
    return conditions


def mentioned(roots: Iterable[Root], closure: Closure) -> dict[NormalizedName, Condition]:
    """Return when each name is required by *roots* or in their *closure*, on any platform."""
    found: dict[NormalizedName, Condition] = {}

    def widen(requirement: Requirement, condition: Condition) -> None:
        name = canonicalize_name(requirement.name)
        found[name] = found.get(name, NEVER) | condition

    for root in roots:
        widen(root.requirement, condition_of(root.requirement.marker))
    for (name, extra), condition in closure.conditions.items():
        distribution = closure.distributions[name]
        for each in distribution.optional_requirements if extra else distribution.requirements:
            widen(each, condition & condition_of(each.marker, extra))
    return {name: condition for name, condition in found.items() if condition != NEVER}


def holds(requirement: Requirement, markers: Mapping[str, str], extra: str = "") -> bool:
    """Return whether *requirement* applies for the marker values *markers*."""
    return requirement.marker is None or requirement.marker.evaluate({**markers, "extra": extra})


def targets(requirement: Requirement) -> Iterator[Node]:
    """Return the nodes that *requirement* refers to: the distribution, and each of its extras."""
    name = canonicalize_name(requirement.name)
    yield name, ""
    for extra in sorted(requirement.extras):
        yield name, canonicalize_name(extra)


def installed(environment: Environment, requirement: Requirement, required_by: str) -> Distribution:
    """Find what satisfies *requirement*; *required_by* is a TOML key, or a name and version."""
    distribution = environment.find(canonicalize_name(requirement.name))
    if distribution is None:
        raise RequirementError(
            f"{requirement.name} is not installed in the training environment, but {required_by} "
            f"asks for `{requirement}`. Build with isolation, so that the frontend installs it, or "
            f"install it first.",
            requirement,
            required_by,
        )
    if not requirement.specifier.contains(distribution.version, prereleases=True):
        raise RequirementError(
            f"{requirement.name} {distribution.raw_version} is installed in the training "
            f"environment, but {required_by} asks for `{requirement}`. Build with isolation, so "
            f"that the frontend installs a matching version, or install one first.",
            requirement,
            required_by,
        )
    return distribution


def installed_root(environment: Environment, root: Root) -> Distribution:
    """Find the distribution that satisfies *root*, including its extras."""
    distribution = installed(environment, root.requirement, root.origin)
    _check_extras(root, distribution)
    return distribution


def _check_extras(root: Root, distribution: Distribution) -> None:
    """Check that *distribution* has the extras that *root* requests.

    A dependency's request for a missing extra is ignored, as installers do, because the project
    could not fix it.
    """
    for extra in sorted(root.requirement.extras):
        if canonicalize_name(extra) not in distribution.extras:
            names = ", ".join(f"`{name}`" for name in sorted(distribution.extras))
            raise HatchModelError(
                f"{root.origin} asks for `{root.requirement}`, but {root.requirement.name} "
                f"{distribution.raw_version} has no extra `{extra}`; it has "
                f"{f'only {names}' if names else 'no extras at all'}."
            )
