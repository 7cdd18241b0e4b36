"""Lines of ``Requires-Dist``, which in wheels of other tools may be no requirements at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from hatch_model._environment import holds, same_lines
from hatch_model.cli._archive import same_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_model._environment import Environment
    from hatch_model.cli._model_files import ModelFiles


def by_name(lines: Iterable[str]) -> dict[str, list[str]]:
    """Group *lines* by the normalized name of what they are about, or else by all they say."""
    grouped: dict[str, list[str]] = {}
    for line in lines:
        try:
            name: str = canonicalize_name(Requirement(line).name)
        except InvalidRequirement:
            name = line
        grouped.setdefault(name, []).append(line)
    return grouped


def same(one: list[str], other: list[str]) -> bool:
    try:
        return same_lines(one, other)
    except InvalidRequirement:
        return False


def is_of_extra(line: str) -> bool:
    return "extra" in line.partition(";")[2]


def split(line: str) -> tuple[str, str]:
    """Split a requirement into its name and the rest."""
    end = next((index for index, char in enumerate(line) if char in " [(=<>!~;@"), len(line))
    return line[:end], line[end:].strip()


def shown(lines: list[str]) -> str:
    return ", ".join(f"`{line}`" for line in lines) or "nothing"


def allows(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def not_installed(
    model: ModelFiles, environment: Environment, markers: Mapping[str, str]
) -> list[str]:
    """List the requirements of *model* that *environment* does not satisfy, as sentences."""
    record = model.record or {"environment": []}
    trained = {each["name"]: each["version"] for each in record["environment"]}
    found = []
    for line in model.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            found.append(f"`{line}` is no requirement that could be looked for")
            continue
        if not holds(requirement, markers):
            continue
        name = canonicalize_name(requirement.name)
        distribution = environment.find(name)
        if distribution is None:
            found.append(f"{name}: required as `{line}`, but not installed")
            continue
        version = distribution.raw_version
        # An address says nothing of versions: the one that trained the model is expected.
        is_right = (
            same_version(version, trained.get(name, version))
            if requirement.url
            else allows(requirement, version)
        )
        if not is_right:
            found.append(f"{name}: required as `{line}`, but {version} is installed")
    return found
