"""Made-up training environments for unit tests, the same on every machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import NormalizedName, canonicalize_name

from hatch_model.installed import Distribution
from hatch_model.pins import pin
from hatch_model.settings import PinPolicy
from hatch_model.tables import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MODEL = canonicalize_name("model")
"""The project that is built."""

LINUX = {
    "implementation_name": "cpython",
    "implementation_version": "3.12.1",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "6.1.0",
    "platform_system": "Linux",
    "platform_version": "#1 SMP",
    "python_full_version": "3.12.1",
    "python_version": "3.12",
    "sys_platform": "linux",
}
"""The PEP 508 marker values of CPython 3.12 on Linux."""

WINDOWS = {**LINUX, "os_name": "nt", "platform_system": "Windows", "sys_platform": "win32"}


def on_python(minor: int) -> dict[str, str]:
    """Give the marker values of Python 3.*minor* on Linux."""
    return {**LINUX, "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.1"}


def distribution(
    name: str,
    version: str = "1.0",
    *requires: str,
    extras: Iterable[str] = (),
    requires_python: str = "",
    direct_url: Mapping[str, Any] | None = None,
) -> Distribution:
    return Distribution(
        name=canonicalize_name(name),
        raw_version=version,
        raw_requirements=requires,
        extras=frozenset(map(canonicalize_name, extras)),
        raw_requires_python=requires_python,
        raw_direct_url="" if direct_url is None else json.dumps(direct_url),
    )


@dataclass
class FakeEnvironment:
    """Distributions that are installed nowhere."""

    distributions: Iterable[Distribution]
    look_ups: list[NormalizedName] = field(default_factory=list)

    def find(self, name: NormalizedName) -> Distribution | None:
        self.look_ups.append(name)
        return next((each for each in self.distributions if each.name == name), None)

    def __iter__(self) -> Iterator[Distribution]:
        return iter(self.distributions)


def roots(*lines: str) -> tuple[Root, ...]:
    """Give requirements as the settings read them from an array called `dependencies`."""
    return tuple(
        Root(text=line, origin=f"dependencies[{index}]") for index, line in enumerate(lines)
    )


def pinned(
    declared: Iterable[str],
    installed: Iterable[Distribution],
    policy: PinPolicy | None = None,
    markers: Mapping[str, str] = LINUX,
) -> list[str]:
    """Pin what is *declared* to what is *installed*, and give the lines."""
    environment = FakeEnvironment(list(installed))
    policy = policy or PinPolicy()
    return list(pin(roots(*declared), environment, policy, project=MODEL, markers=markers).lines)
