"""Made-up distributions, environments and PEP 508 marker values for tests of pure parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_model._environment import Distribution, Root, marker_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.utils import NormalizedName

LINUX = {
    **marker_environment(),
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.12.4",
    "python_version": "3.12",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class Installed:
    """An environment that holds *distributions*."""

    distributions: Sequence[Distribution]

    def find(self, name: NormalizedName) -> Distribution | None:
        return next((each for each in self.distributions if each.name == name), None)

    def __iter__(self) -> Iterator[Distribution]:
        return iter(self.distributions)


def distribution(
    pin: str, *requires: str, extras: Sequence[str] = (), direct_url: dict[str, Any] | None = None
) -> Distribution:
    """Make up what *pin*, a text such as "anchor==1.2", installs."""
    name, _, version = pin.partition("==")
    return Distribution(
        name=canonicalize_name(name),
        raw_version=version,
        raw_requirements=requires,
        extras=frozenset(map(canonicalize_name, extras)),
        direct_url=direct_url,
    )


def roots(*requirements: str, key: str = "model.dependencies") -> list[Root]:
    """Make up *requirements* that stand under a TOML key."""
    return [
        Root(requirement=Requirement(each), origin=f"{key}[{index}]")
        for index, each in enumerate(requirements)
    ]
