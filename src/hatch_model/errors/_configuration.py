"""Errors in what the project says: pyproject.toml, hatch.toml and what they select."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration file."""

    key: str
    """The full dotted key, with an index where an array's entry is meant."""
    expected: str = ""
    """Empty for a key that nothing knows."""
    found: object = _NOTHING
    suggestion: str = ""
    known: Collection[str] = ()

    def __str__(self) -> str:
        hint = f"; did you mean `{self.suggestion}`?" if self.suggestion else ""
        if not self.expected:
            return f"{self.key}: unknown key{hint or f'; known are {_listed(self.known)}'}"
        found = "it is missing" if self.found is _NOTHING else f"found {_toml(self.found)}"
        return f"{self.key}: expected {self.expected}; {found}{hint}"


class SettingsError(HatchModelError):
    """The project's configuration is not one to build from."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{len(self.problems)} problems in the project's configuration:{lines}"


class SwitchedOffError(HatchModelError):
    """Something is being built without the hook that would put the model in."""

    def __init__(self, by: str, key: str = "") -> None:
        super().__init__(by, key)
        self.by = by
        self.key = key
        """What asks for an sdist with a model; "" for a wheel."""

    def __str__(self) -> str:
        if self.key:
            return (
                f"the build hook is switched off by {self.by}, so this source distribution would "
                f"hold no model. Switch it on again, or take out {self.key}."
            )
        return (
            f"the build hook is switched off by {self.by}, so this wheel would hold no model. "
            f"Switch it on again, or build only an sdist or an editable install this way."
        )


class SelectionError(HatchModelError):
    """hatchling cannot tell which files the wheel ships."""

    def __init__(self, project: str, candidate: str) -> None:
        super().__init__(project, candidate)
        self.project = project
        self.candidate = candidate

    def __str__(self) -> str:
        packages = json.dumps([self.candidate or "src/your_package"])
        return (
            f"hatchling cannot tell which files the wheel ships: no package or module is called "
            f'like the project, "{self.project}". Name the package yourself:\n\n'
            f"[tool.hatch.build.targets.wheel]\npackages = {packages}"
        )


def _toml(value: object) -> str:
    """Write *value* the way that its author did, or say what it is."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (str, bool)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
