"""What all lock formats have in common: exact packages, each with the condition it is meant for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hatch_model._environment import is_local, reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.markers import Marker
    from packaging.utils import NormalizedName
    from packaging.version import Version


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedPackage:
    """One package at one exact version or address."""

    name: NormalizedName
    version: Version | None
    """None only for what comes from an address whose version the lock leaves out."""
    marker: Marker | None = None
    address: Mapping[str, Any] | None = None
    """Where it comes from, in the terms of PEP 610, if not from an index."""
    hashes: frozenset[str] = frozenset()
    """The archives that the lock allows, as ``algorithm:digest``."""

    def holds(self, markers: Mapping[str, str]) -> bool:
        """Say whether it is meant for where the PEP 508 marker values are *markers*."""
        return self.marker is None or self.marker.evaluate(dict(markers))

    def fits(self, requirement: Requirement) -> bool:
        """Say whether its version is one that *requirement* takes, as far as that is known."""
        return self.version is None or requirement.specifier.contains(self.version, True)

    @property
    def reference(self) -> str:
        """The URL of a direct reference (PEP 440); empty for what comes from an index."""
        return reference(self.address) if self.address else ""

    @property
    def is_local(self) -> bool:
        """Whether the reference means something on this machine only."""
        return self.address is not None and is_local(self.address)

    @property
    def is_here(self) -> bool:
        """Whether its folder or archive exists, as far as that can be told without a network."""
        if not self.address or "vcs_info" in self.address or not self.is_local:
            return True
        return Path(url2pathname(urlsplit(self.address["url"]).path)).exists()

    @property
    def requirement(self) -> str:
        """The exact version, or the address, for an installer: without the marker."""
        if self.address:
            return f"{self.name} @ {self.reference}"
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The environments that a lock was made for."""

    requires_python: SpecifierSet = SpecifierSet()  # noqa: RUF009 - nobody changes it
    environments: Sequence[Marker] = ()
    """One of these has to hold; empty: any will do."""

    def holds(self, markers: Mapping[str, str]) -> bool:
        """Say whether that includes where the PEP 508 marker values are *markers*."""
        python = markers["python_full_version"].removesuffix("+")  # as built from a checkout
        return self.requires_python.contains(python, prereleases=True) and (
            not self.environments or any(each.evaluate(dict(markers)) for each in self.environments)
        )

    def __str__(self) -> str:
        python = f"Python {self.requires_python}" if self.requires_python else "any Python"
        return f"{python}, {' or '.join(map(str, self.environments)) or 'any platform'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """A lock file's content."""

    path: str
    """Relative to the project root."""
    renewal: str
    """The command that brings the file up to date, for messages."""
    packages: Sequence[LockedPackage]
    """The whole training environment, for every platform that the lock covers."""
    runtime: Sequence[LockedPackage] | None = None
    """What the model needs of it at run time, where the format tells; None where it does not."""
    coverage: Coverage | None = None
    """Where the whole lock is meant for, where the format tells; None where it does not."""

    def active(self, markers: Mapping[str, str]) -> list[LockedPackage]:
        """Give what is to be installed where the PEP 508 marker values are *markers*."""
        return [package for package in self.packages if package.holds(markers)]

    def requirements(self, markers: Mapping[str, str]) -> list[str]:
        """Give the same for an installer."""
        return sorted(str(Requirement(each.requirement)) for each in self.active(markers))
