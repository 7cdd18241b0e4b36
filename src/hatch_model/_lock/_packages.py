"""What all lock formats have in common: exact packages, each with the condition it is meant for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

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
    reference: str = ""
    """The URL of a direct reference (PEP 440) for what does not come from an index."""
    is_local: bool = False
    """The reference means something on this machine only."""
    hashes: frozenset[str] = frozenset()
    """The archives that the lock allows, as ``algorithm:digest``."""

    def holds(self, markers: Mapping[str, str]) -> bool:
        """Say whether it is meant for where the PEP 508 marker values are *markers*."""
        return self.marker is None or self.marker.evaluate(dict(markers))

    @property
    def requirement(self) -> str:
        """The exact version, or the address, for an installer: without the marker."""
        if self.reference:
            return f"{self.name} @ {self.reference}"
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """A lock file's content."""

    path: str
    """Relative to the project root."""
    renewal: str
    """The command that brings the file up to date, for messages."""
    packages: Sequence[LockedPackage]
    """The whole training environment, for every platform that the lock covers."""
    runtime: frozenset[NormalizedName] | None = None
    """The names that the model needs at run time, where the format tells; None where it does not."""

    def requirements(self, markers: Mapping[str, str]) -> list[str]:
        """Give what to install where the PEP 508 marker values are *markers*."""
        active = (package for package in self.packages if package.holds(markers))
        return sorted(str(Requirement(package.requirement)) for package in active)
