"""A requirements file of exact versions, as pip-compile, `uv pip compile` and `uv export` write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_model._lock._packages import LockedPackage
from hatch_model.errors import LockedLineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HASH = re.compile(r"\s--hash[= ](\w+:[0-9a-fA-F]+)")
# pip's rule: a comment begins at the start of a line or after white space.
_COMMENT = re.compile(r"(^|\s+)#.*$")


def read_requirements(path: str, text: str) -> list[LockedPackage]:
    """Read the *text* of the requirements file at *path*.

    Raises LockedLineError for the first line that is anything but an exact version.
    """
    return [_read_line(path, number, line) for number, line in _logical_lines(text)]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines that say something, continued ones joined, with the number of their first."""
    start, parts = 1, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            start = number
        # pip does not look for continuations in comments.
        is_comment = line.lstrip().startswith("#")
        parts.append("" if is_comment else line.removesuffix("\\"))
        if line.endswith("\\") and not is_comment:
            continue
        logical = _COMMENT.sub("", " ".join(parts)).strip()
        if logical:
            yield start, logical
        parts = []
    if logical := _COMMENT.sub("", " ".join(parts)).strip():
        yield start, logical


def _read_line(path: str, number: int, line: str) -> LockedPackage:
    hashes = frozenset(digest.lower() for digest in _HASH.findall(line))
    pin = " ".join(_HASH.sub("", line).split())
    try:
        requirement = Requirement(pin)
        version = _exact_version(requirement)
    except (InvalidRequirement, InvalidVersion, ValueError):
        raise LockedLineError(path, number, pin) from None
    return LockedPackage(
        name=canonicalize_name(requirement.name),
        version=version,
        marker=requirement.marker,
        hashes=hashes,
    )


def _exact_version(requirement: Requirement) -> Version:
    """Give the version of ``name==version``; raises ValueError for anything else."""
    specifiers = list(requirement.specifier)
    if requirement.url or len(specifiers) != 1 or specifiers[0].operator not in {"==", "==="}:
        raise ValueError
    return Version(specifiers[0].version)
