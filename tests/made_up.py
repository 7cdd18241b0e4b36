"""Made-up environments as tests of locks like to write them: installed from pins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import environments
from environments import LINUX, FakeEnvironment

from hatch_model.tables import Root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_model.installed import Distribution

__all__ = ["LINUX", "Installed", "distribution", "roots"]

Installed = FakeEnvironment


def distribution(
    pin: str, *requires: str, extras: Sequence[str] = (), direct_url: dict[str, Any] | None = None
) -> Distribution:
    """Make up what *pin*, a text such as "anchor==1.2", installs."""
    name, _, version = pin.partition("==")
    return environments.distribution(name, version, *requires, extras=extras, direct_url=direct_url)


def roots(*requirements: str, key: str = "model.dependencies") -> list[Root]:
    """Make up *requirements* that stand under a TOML key."""
    return [Root(text=each, origin=f"{key}[{index}]") for index, each in enumerate(requirements)]
