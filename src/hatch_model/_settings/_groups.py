"""Dependency groups (PEP 735).

``packaging.dependency_groups`` does this since 26.1; a floor that high would shut out projects
whose own dependencies cap it.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hatch_model._environment._closure import Root
from hatch_model.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPECTED = 'a PEP 508 string or { include-group = "…" }'


def requirements_of_group(
    name: str, groups: object, key: str, problems: list[Problem]
) -> list[Root]:
    """Give what the group called *name* asks for, included groups and all.

    *groups* is the ``dependency-groups`` table and *key* the TOML key that names the group; what is
    wrong is noted in *problems*.
    """
    if not isinstance(groups, dict):
        problems.append(Problem("dependency-groups", expected="a table", found=groups))
        return []
    by_name: dict[str, list[str]] = {}
    for spelled in groups:
        by_name.setdefault(canonicalize_name(spelled), []).append(spelled)
    return _Reader(groups, by_name, problems).read(name, key, ())


class _Reader:
    def __init__(
        self, groups: Mapping[str, Any], by_name: Mapping[str, list[str]], problems: list[Problem]
    ) -> None:
        self._groups = groups
        self._by_name = by_name
        self._problems = problems

    def read(self, name: str, key: str, including: tuple[str, ...]) -> list[Root]:
        normalized = canonicalize_name(name)
        if normalized not in self._by_name:
            near = get_close_matches(normalized, self._by_name, n=1)
            expected = "the name of a group in [dependency-groups]"
            self._note(key, expected, name, self._by_name[near[0]][0] if near else "")
            return []
        if len(self._by_name[normalized]) > 1:
            self._note(
                "dependency-groups", f"one group called {normalized}", self._by_name[normalized]
            )
            return []
        if normalized in including:
            self._note(key, "a group that does not include itself", name)
            return []
        (spelled,) = self._by_name[normalized]
        entries = self._groups[spelled]
        if not isinstance(entries, list):
            self._note(f"dependency-groups.{spelled}", "an array", entries)
            return []
        roots = []
        for index, entry in enumerate(entries):
            here = f"dependency-groups.{spelled}[{index}]"
            roots += self._read_entry(entry, here, (*including, normalized))
        return roots

    def _read_entry(self, entry: object, key: str, including: tuple[str, ...]) -> list[Root]:
        if isinstance(entry, dict) and list(entry) == ["include-group"]:
            included = entry["include-group"]
            if isinstance(included, str):
                return self.read(included, key, including)
        elif isinstance(entry, str):
            try:
                return [Root(requirement=Requirement(entry), origin=key)]
            except InvalidRequirement:
                pass
        self._note(key, _EXPECTED, entry)
        return []

    def _note(self, key: str, expected: str, found: object, suggestion: str = "") -> None:
        self._problems.append(Problem(key, expected=expected, found=found, suggestion=suggestion))
