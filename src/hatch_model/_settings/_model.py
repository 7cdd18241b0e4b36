"""``[tool.hatch.metadata.hooks.model]``: what the model needs, and how to pin it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hatch_model._environment._closure import Root
from hatch_model._environment._pins import PinPolicy
from hatch_model._settings._groups import requirements_of_group
from hatch_model._settings._table import Table, one_of, string
from hatch_model.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """The metadata hook's table."""

    roots: tuple[Root, ...]
    """The requirements, from ``dependencies`` or ``dependency-group``."""
    policy: PinPolicy
    group: str = ""
    """The name of that ``dependency-group``; "" where there is none."""
    requires_python: SpecifierSet | None = None
    python: Literal["any", "minor"] = "any"
    """Whether the wheel installs only on the minor version it was trained on."""


def read_model_settings(
    key: str, content: object, pyproject: Mapping[str, Any], problems: list[Problem]
) -> ModelSettings:
    """Read the table *content* that stands under *key*, noting what is wrong in *problems*."""
    table = Table(key, content, problems)
    group = table.get("dependency-group", "the name of a dependency group", string, "")
    settings = ModelSettings(
        roots=tuple(_read_roots(table, group, pyproject.get("dependency-groups", {}))),
        group=group,
        policy=PinPolicy(
            key=key,
            pins=_choice(table, "pins", "all", "direct"),
            local_versions=_choice(table, "local-versions", "strip", "keep"),
            direct_references=_choice(table, "direct-references", "error", "url", "version"),
        ),
        python=_choice(table, "python", "any", "minor"),
        requires_python=_read_requires_python(table, pyproject.get("project", {})),
    )
    table.note_unknown()
    if settings.policy.direct_references == "url":
        reason = f'{key}.direct-references is "url"'
        _check_direct_references_are_allowed(pyproject, key, reason, problems)
    for root in settings.roots:
        if root.requirement.url:
            # An editable install requires what is declared.
            _check_direct_references_are_allowed(
                pyproject, key, f"{root.origin} has an address", problems
            )
    return settings


def _choice(table: Table, name: str, *choices: str) -> Any:
    expected = " or ".join(f'"{choice}"' for choice in choices)
    return table.get(name, expected, one_of(*choices), choices[0])


def _read_roots(table: Table, group: str, groups: object) -> list[Root]:
    expected = "an array of PEP 508 strings, or `dependency-group` with the name of a group"
    if "dependency-group" in table:
        if "dependencies" in table:
            table.note("dependency-group", "either `dependencies` or this, not both")
        key = table.key_of("dependency-group")
        return requirements_of_group(group, groups, key, table.problems) if group else []
    if "dependencies" not in table:
        table.note_missing("dependencies", expected)
        return []
    requirements = table.get_each("dependencies", "a PEP 508 string", _requirement)
    return [
        Root(requirement=requirement, origin=f"{table.key_of('dependencies')}[{index}]")
        for index, requirement in enumerate(requirements)
    ]


def _requirement(value: object) -> Requirement:
    return Requirement(string(value))  # InvalidRequirement is a ValueError


def _read_requires_python(table: Table, project: object) -> SpecifierSet | None:
    specifier = table.get(
        "requires-python",
        'a version specifier such as ">=3.10"',
        lambda value: SpecifierSet(string(value)),
        cast("SpecifierSet | None", None),
    )
    dynamic = project.get("dynamic", []) if isinstance(project, dict) else []
    is_dynamic = isinstance(dynamic, list) and "requires-python" in dynamic
    if specifier is not None and not is_dynamic:
        table.note("requires-python", 'project.dynamic to list "requires-python"')
    if is_dynamic and "requires-python" not in table:
        table.note_missing(
            "requires-python", "a version specifier, as project.dynamic lists the field"
        )
    return specifier


def _check_direct_references_are_allowed(
    pyproject: Mapping[str, Any], key: str, reason: str, problems: list[Problem]
) -> None:
    """Ask for hatchling's own permission, which it would otherwise miss only after training."""
    metadata = pyproject.get("tool", {}).get("hatch", {}).get("metadata", {})
    if metadata.get("allow-direct-references") is not True:
        allow = f"{key.removesuffix('.hooks.model')}.allow-direct-references"
        problems.append(Problem(allow, expected=f"true, as {reason}"))
