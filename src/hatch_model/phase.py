"""Which build is under way.

hatchling computes a project's metadata for every purpose with the same call and tells a metadata
hook nothing of it (https://github.com/pypa/hatch/issues/1348). Yet a wheel wants pins, an editable
install the declared ranges and an sdist neither. The calls in progress know: every frontend goes
through ``hatchling.build`` or ``BuilderInterface.build``, so this module looks for those two on the
stack. It is the only place that looks.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from hatchling.builders.plugin.interface import BuilderInterface


class Target(Enum):
    """What comes out in the end."""

    SDIST = "sdist"
    WHEEL = "wheel"
    EDITABLE = "editable"
    OTHER = "other"
    """Another build target, or no build at all (``hatch version``, ``hatchling metadata``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """The build under way, as far as the calls in progress tell."""

    target: Target
    collects_requirements: bool = False
    """The frontend is only asking what to install, so nothing of it is installed yet."""
    builder: BuilderInterface[Any, Any] | None = None
    shared: bool = False
    """One reading of the metadata serves a wheel and other targets: a plain ``hatchling build``."""

    @property
    def makes_wheel(self) -> bool:
        """Whether a wheel's content or metadata comes of this, rather than only a question."""
        is_wheel = self.target is Target.WHEEL and not self.collects_requirements
        return is_wheel or self.shared

    @property
    def makes_sdist(self) -> bool:
        """Whether an sdist comes of this, rather than only a question."""
        return self.target is Target.SDIST and not self.collects_requirements


# PEP 517 and PEP 660, as hatchling.build names them.
_BACKEND_CALLS = {
    "get_requires_for_build_sdist": (Target.SDIST, True),
    "get_requires_for_build_wheel": (Target.WHEEL, True),
    "get_requires_for_build_editable": (Target.EDITABLE, True),
    "prepare_metadata_for_build_wheel": (Target.WHEEL, False),
    "prepare_metadata_for_build_editable": (Target.EDITABLE, False),
}


def current_build(frame: FrameType | None = None) -> Build:
    """Find the innermost of hatchling's build calls from *frame* (default: the caller's) outwards."""
    frame = frame or sys._getframe(1)  # noqa: SLF001 - the stack is what this module is about
    while frame is not None:
        build = _build_of(frame)
        if build is not None:
            return build
        frame = frame.f_back
    return Build(target=Target.OTHER)


def _build_of(frame: FrameType) -> Build | None:
    module, function = frame.f_globals.get("__name__"), frame.f_code.co_name
    if module == "hatchling.builders.plugin.interface" and function == "build":
        builder = frame.f_locals["self"]
        return Build(
            target=_target_of(builder, frame.f_locals.get("versions")),
            builder=builder,
            shared=_shares_metadata(frame.f_back),
        )
    if module == "hatchling.build" and function in _BACKEND_CALLS:
        target, collects_requirements = _BACKEND_CALLS[function]
        return Build(
            target=target,
            collects_requirements=collects_requirements,
            builder=frame.f_locals.get("builder"),
        )
    return None


def _shares_metadata(caller: FrameType | None) -> bool:
    """Say whether *caller* is hatchling's command line, with a wheel and more as its targets."""
    if caller is None or caller.f_globals.get("__name__") != "hatchling.cli.build":
        return False
    targets = caller.f_locals.get("target_data", {})
    return "wheel" in targets and len(targets) > 1


def _target_of(builder: BuilderInterface[Any, Any], versions: list[str] | None) -> Target:
    if builder.PLUGIN_NAME == "sdist":
        return Target.SDIST
    if builder.PLUGIN_NAME == "wheel":
        return Target.EDITABLE if versions == ["editable"] else Target.WHEEL
    return Target.OTHER
