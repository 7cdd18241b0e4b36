"""Read a TOML table key by key and collect all problems, none of which is fatal on its own."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from hatchling.metadata.utils import normalize_project_name

from hatch_model.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from packaging.requirements import Requirement

_T = TypeVar("_T")

# A requirement as most are written: a name, with extras and release numbers. These are known to be
# valid without packaging, whose import would take longer than all the rest of asking for a build's
# requirements. The same goes for specifiers of release numbers.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_RELEASE = r"[0-9]+(?:\.[0-9]+)*"
_COMPARISON = rf"(?:(?:[<>=!]=|[<>]) *{_RELEASE}|[=!]= *{_RELEASE}\.\*|~= *{_RELEASE}\.[0-9]+)"
_SPECIFIER = rf"{_COMPARISON}(?:, *{_COMPARISON})*"
_USUAL_SPECIFIER = re.compile(_SPECIFIER)
_USUAL_REQUIREMENT = re.compile(rf"{_NAME}(?:\[{_NAME}(?:, *{_NAME})*\])?(?: *{_SPECIFIER})?")


@dataclass(frozen=True, kw_only=True)
class Root:
    """A requirement, and where it was declared."""

    text: str
    """A valid PEP 508 string, as it was declared."""
    origin: str
    """The TOML key, for messages."""

    @cached_property
    def requirement(self) -> Requirement:
        from packaging.requirements import Requirement  # noqa: PLC0415 - not to ask for requirements

        return Requirement(self.text)


class Table:
    """A table whose values are read by key and whose problems are collected.

    A missing or invalid value is added to *problems*, and its default is returned, so that all
    problems are reported together.
    """

    def __init__(self, key: str, content: object, problems: list[Problem]) -> None:
        self.key = key
        self.problems = problems
        self._asked: set[str] = set()
        self._content: Mapping[str, Any] = {}
        self._is_table = isinstance(content, dict)
        if isinstance(content, dict):
            self._content = content
        else:
            problems.append(Problem(key, expected="a table", found=content))

    def __contains__(self, name: str) -> bool:
        self._asked.add(name)
        return name in self._content

    def key_of(self, name: str) -> str:
        return f"{self.key}.{name}"

    def note(self, name: str, expected: str, suggestion: str = "") -> None:
        """Record that the value of *name* is not what was *expected*."""
        found = self._content[name]
        self.problems.append(
            Problem(self.key_of(name), expected=expected, found=found, suggestion=suggestion)
        )

    def note_missing(self, name: str, expected: str) -> None:
        if self._is_table:  # otherwise this has already been recorded
            self.problems.append(Problem(self.key_of(name), expected=expected))

    def get(
        self,
        name: str,
        expected: str,
        parse: Callable[[Any], _T],
        default: _T,
        suggest: Callable[[object], str] = lambda _: "",
    ) -> _T:
        """Return the value of *name*, parsed with *parse*.

        *parse* raises ValueError or TypeError for a value that is not *expected*. For such a value,
        *suggest* returns what was meant, or "".
        """
        if name not in self:
            return default
        try:
            return parse(self._content[name])
        except (TypeError, ValueError, RecursionError):
            self.note(name, expected, suggest(self._content[name]))
            return default

    def get_each(self, name: str, expected: str, parse: Callable[[Any], _T]) -> list[_T]:
        """Return each entry of the array *name*, parsed with *parse*; empty if there is none."""
        values: list[_T] = []
        nothing: list[Any] = []
        entries = self.get(name, f"an array, each entry {expected}", list_, nothing)
        for index, entry in enumerate(entries):
            try:
                values.append(parse(entry))
            except (TypeError, ValueError, RecursionError):
                key = f"{self.key_of(name)}[{index}]"
                self.problems.append(Problem(key, expected=expected, found=entry))
        return values

    def note_unknown(self, also_known: Collection[str] = ()) -> None:
        """Record every key that was not read and is not *also_known*."""
        known = {*self._asked, *also_known}
        for name in self._content:
            if name not in known:
                near = _nearest(name, sorted(self._asked))
                self.problems.append(Problem(self.key_of(name), suggestion=near, known=known))


def _nearest(name: str, names: Iterable[str]) -> str:
    """Return which of *names* a misspelled *name* is most likely meant to be, or ""."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a message

    return next(iter(get_close_matches(name, names, n=1)), "")


def string(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def requirement(value: object) -> str:
    """Return *value* if it is a PEP 508 string."""
    text = string(value)
    if not _USUAL_REQUIREMENT.fullmatch(text):
        from packaging.requirements import Requirement  # noqa: PLC0415 - rarely needed

        Requirement(text)  # InvalidRequirement is a ValueError
    return text


def specifier(value: object) -> str:
    """Return *value* if it is a version specifier."""
    text = string(value)
    if not _USUAL_SPECIFIER.fullmatch(text):
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - rarely needed

        SpecifierSet(text)  # InvalidSpecifier is a ValueError
    return text


def list_(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def one_of(*choices: _T) -> Callable[[object], _T]:
    """Return a parser that only accepts *choices*."""

    def parse(value: object) -> _T:
        for choice in choices:
            if type(value) is type(choice) and value == choice:
                return choice
        raise ValueError

    return parse


# In bytes: no file system has longer names, and none of the systems has room for longer paths.
_LONGEST_NAME, _LONGEST_PATH = 255, 1000


def check_names(path: str, names: Iterable[str]) -> None:
    """Raise ValueError for a *path* of *names* that no file can have."""
    has_control_characters = any(each < " " or each == "\x7f" for each in path)
    longest = max(len(name.encode()) for name in (*names, ""))
    if has_control_characters or longest > _LONGEST_NAME or len(path.encode()) > _LONGEST_PATH:
        raise ValueError


def path_within_root(value: object) -> PurePosixPath:
    path = PurePosixPath(string(value))
    if path.is_absolute() or ".." in path.parts or "\\" in str(path) or ":" in str(path):
        raise ValueError
    check_names(str(path), path.parts)
    return path


def path_below_root(value: object) -> PurePosixPath:
    path = path_within_root(value)
    if not path.parts:
        raise ValueError
    return path


_EXPECTED = 'a PEP 508 string or { include-group = "…" }'


def requirements_of_group(
    name: str, groups: object, key: str, problems: list[Problem]
) -> list[Root]:
    """Return the requirements of the group called *name*, including those of included groups.

    *groups* is the ``dependency-groups`` table, and *key* is the TOML key that names the group.
    Errors are added to *problems*.
    """
    if not isinstance(groups, dict):
        problems.append(Problem("dependency-groups", expected="a table", found=groups))
        return []
    by_name: dict[str, list[str]] = {}
    for spelled in groups:
        by_name.setdefault(normalize_project_name(spelled), []).append(spelled)
    return _Reader(groups, by_name, problems).read(name, key, ())


class _Reader:
    def __init__(
        self, groups: Mapping[str, Any], by_name: Mapping[str, list[str]], problems: list[Problem]
    ) -> None:
        self._groups = groups
        self._by_name = by_name
        self._problems = problems

    def read(self, name: str, key: str, including: tuple[str, ...]) -> list[Root]:
        normalized = normalize_project_name(name)
        if normalized not in self._by_name:
            near = _nearest(normalized, self._by_name)
            expected = "the name of a group in [dependency-groups]"
            self._note(key, expected, name, self._by_name[near][0] if near else "")
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
                return [Root(text=requirement(entry), origin=key)]
            except (TypeError, ValueError, RecursionError):
                pass
        self._note(key, _EXPECTED, entry)
        return []

    def _note(self, key: str, expected: str, found: object, suggestion: str = "") -> None:
        self._problems.append(Problem(key, expected=expected, found=found, suggestion=suggestion))


# Values for JSON

_DEEPEST = 64
"""How deep `arguments` may be nested: less than what can be read again."""


def problems_as_json(key: str, value: object, depth: int = 0) -> Iterator[Problem]:
    """Find values that JSON does not support, such as dates, in the *value* of *key*."""
    if isinstance(value, (dict, list)):
        if depth > _DEEPEST:
            expected = f"no more than {_DEEPEST} tables or arrays inside each other"
            yield Problem(key, expected=expected, found=value)
            return
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in items:
            inside = f"{key}.{name}" if isinstance(value, dict) else f"{key}[{name}]"
            yield from problems_as_json(inside, each, depth + 1)
    elif not (isinstance(value, str) or _is_finite(value)):
        expected = "a string, boolean, finite number, array or table"
        yield Problem(key, expected=expected, found=value)


def _is_finite(value: object) -> bool:
    """Return whether *value* is a number that a float can hold, as readers of JSON require."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(float(value))
    except OverflowError:
        return False
