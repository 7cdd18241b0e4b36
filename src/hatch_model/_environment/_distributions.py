"""What is installed, read once and only as far as pinning needs.

``importlib.metadata`` finds the distributions; of each, only METADATA's headers are parsed and only
the requirements without an extra are turned into objects at once: a long description and hundreds
of optional requirements are what makes the naive walk slow.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_model._environment import _direct_urls as direct_urls
from hatch_model.errors import BrokenDistributionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from packaging.utils import NormalizedName


# What a marker that mentions an extra may hold by without one.
_WIDENING = re.compile(r"\bor\b|!|\bnot\b")

# With its continuation lines (RFC 822). The licence, which is long, is passed over.
_HEADER = re.compile(
    r"^(name|version|requires-python|requires-dist|provides-extra):(.*(?:\n[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)


class Environment(Protocol):
    """Installed distributions by normalized name."""

    def find(self, name: NormalizedName) -> Distribution | None: ...

    def __iter__(self) -> Iterator[Distribution]: ...


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """An installed distribution, as its own metadata describes it."""

    name: NormalizedName
    raw_version: str
    raw_requirements: tuple[str, ...] = ()
    extras: frozenset[NormalizedName] = frozenset()
    raw_requires_python: str = ""
    raw_direct_url: str = ""
    """PEP 610's ``direct_url.json``, empty for what came from an index."""
    location: str = ""
    """The folder that RECORD's paths are relative to."""
    read_record: Callable[[], str] = str
    """Gives RECORD's text, empty where the installer wrote none: long, and rarely asked for."""

    @cached_property
    def version(self) -> Version:
        try:
            return Version(self.raw_version)
        except InvalidVersion:
            raise BrokenDistributionError(self.name, "Version", self.raw_version) from None

    @cached_property
    def requires_python(self) -> SpecifierSet:
        """The Pythons that it supports: any, where that cannot be read.

        Older packages say things like ``>=3.6.*``, which installers let pass.
        """
        try:
            return SpecifierSet(self.raw_requires_python)
        except InvalidSpecifier:
            return SpecifierSet()

    @cached_property
    def direct_url(self) -> dict[str, Any] | None:
        """What PEP 610 records of what did not come from an index."""
        try:
            return direct_urls.parse(self.raw_direct_url) if self.raw_direct_url else None
        except ValueError:
            # Its text may hold a password.
            raise BrokenDistributionError(self.name, "direct_url.json", "…") from None

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """What may be required with no extra asked for."""
        return tuple(self._parse(raw) for raw in self.raw_requirements if not _needs_extra(raw))

    @cached_property
    def optional_requirements(self) -> tuple[Requirement, ...]:
        """What an extra may bring in."""
        return tuple(self._parse(raw) for raw in self.raw_requirements if _mentions_extra(raw))

    def _parse(self, raw: str) -> Requirement:
        try:
            return Requirement(raw)
        except InvalidRequirement:
            raise BrokenDistributionError(self.name, "Requires-Dist", raw) from None


class InstalledEnvironment:
    """The distributions that an interpreter finds on its *path* (default: this one's)."""

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._path = sys.path if path is None else list(path)
        self._found: dict[NormalizedName, Distribution | None] = {}
        # Something may have been installed since this process last looked.
        importlib.invalidate_caches()

    def find(self, name: NormalizedName) -> Distribution | None:
        """Give the distribution called *name* that an import would use; None if there is none."""
        if name not in self._found:
            candidates = importlib.metadata.distributions(name=name, path=self._path)
            self._found[name] = next(filter(None, map(_read, candidates)), None)
        return self._found[name]

    def __iter__(self) -> Iterator[Distribution]:
        """Give every distribution, the first found of each name."""
        for each in importlib.metadata.distributions(path=self._path):
            distribution = _read(each)
            if distribution is not None and distribution.name not in self._found:
                self._found[distribution.name] = distribution
        return iter([each for each in self._found.values() if each is not None])


def _read(source: importlib.metadata.Distribution) -> Distribution | None:
    """Read *source*; None for what an interrupted uninstallation leaves behind."""
    text = source.read_text("METADATA")
    if text is None:
        return _read_egg(source)
    headers: dict[str, list[str]] = {}
    # The first empty line ends them; a line of spaces, as folded licence texts have it, does not.
    for key, value in _HEADER.findall(text.partition("\n\n")[0]):
        headers.setdefault(key.lower(), []).append(value.replace("\n", "").strip())
    if "name" not in headers or "version" not in headers:
        return None
    return Distribution(
        name=canonicalize_name(headers["name"][0]),
        raw_version=headers["version"][0],
        raw_requirements=tuple(headers.get("requires-dist", ())),
        extras=frozenset(map(canonicalize_name, headers.get("provides-extra", ()))),
        raw_requires_python=headers.get("requires-python", [""])[0],
        raw_direct_url=source.read_text("direct_url.json") or "",
        location=str(source.locate_file("")),
        read_record=lambda: source.read_text("RECORD") or "",
    )


def _read_egg(source: importlib.metadata.Distribution) -> Distribution | None:
    """Read what ``setup.py develop`` and Debian's packages leave: an ``egg-info``."""
    metadata = source.metadata
    if metadata is None or "Name" not in metadata or "Version" not in metadata:  # type: ignore[redundant-expr]
        return None
    return Distribution(
        name=canonicalize_name(metadata["Name"]),
        raw_version=metadata["Version"],
        raw_requirements=tuple(source.requires or ()),
        extras=frozenset(map(canonicalize_name, metadata.get_all("Provides-Extra", ()))),
        # Asking for a header that is missing is deprecated since Python 3.12.
        raw_requires_python="".join(metadata.get_all("Requires-Python", ())),
    )


def _mentions_extra(raw_requirement: str) -> bool:
    return "extra" in raw_requirement


def _needs_extra(raw_requirement: str) -> bool:
    """Say, without parsing, whether *raw_requirement* surely does not hold without an extra."""
    if "extra" not in raw_requirement or " @ " in raw_requirement:
        return False
    marker = raw_requirement.partition(";")[2]
    return "extra" in marker and _WIDENING.search(marker) is None
