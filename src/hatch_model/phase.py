"""Find out which kind of build is running, and whether uv runs it.

hatchling computes a project's metadata in the same way for every purpose and does not tell a
metadata hook which one (https://github.com/pypa/hatch/issues/1348). But a wheel needs pins, an
editable install the declared ranges, and an sdist neither. The call stack has this information:
every frontend goes through ``hatchling.build`` or ``BuilderInterface.build``, so this module looks
for these two on the stack. No other module inspects it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from hatchling.builders.plugin.interface import BuilderInterface


class Target(Enum):
    """What is being built."""

    SDIST = "sdist"
    WHEEL = "wheel"
    EDITABLE = "editable"
    OTHER = "other"
    """Another build target, or no build at all (``hatch version``, ``hatchling metadata``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """The running build, as far as the call stack shows."""

    target: Target
    collects_requirements: bool = False
    """The frontend only requests the build requirements, so they are not installed yet."""
    builder: BuilderInterface[Any, Any] | None = None
    shared: bool = False
    """A wheel and other targets share one metadata object: a plain ``hatchling build``."""

    @property
    def makes_wheel(self) -> bool:
        """Whether this produces a wheel or its metadata, not just a list of requirements."""
        is_wheel = self.target is Target.WHEEL and not self.collects_requirements
        return is_wheel or self.shared

    @property
    def makes_sdist(self) -> bool:
        """Whether this produces an sdist, not just a list of requirements."""
        return self.target is Target.SDIST and not self.collects_requirements


# The hooks of PEP 517 and PEP 660, as named in hatchling.build.
_BACKEND_CALLS = {
    "get_requires_for_build_sdist": (Target.SDIST, True),
    "get_requires_for_build_wheel": (Target.WHEEL, True),
    "get_requires_for_build_editable": (Target.EDITABLE, True),
    "prepare_metadata_for_build_wheel": (Target.WHEEL, False),
    "prepare_metadata_for_build_editable": (Target.EDITABLE, False),
}


def current_build(frame: FrameType | None = None) -> Build:
    """Find the innermost hatchling build call, starting from *frame* (default: the caller's)."""
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
    """Return whether *caller* is hatchling's command line, building a wheel and other targets."""
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


def is_unpacked_sdist(root: Path) -> bool:
    """Return whether the project at *root* is an sdist, rather than its own source tree."""
    return (root / "PKG-INFO").is_file()


def called_by_uv() -> bool:
    """Return whether uv is the frontend, and so applies ``tool.uv`` to the build requirements.

    uv passes the code that calls the backend on the command line. All other frontends have it in a
    file, also if uv runs them, as in ``uv run python -m build``.
    """
    return bool(os.environ.get("UV")) and not hasattr(sys.modules["__main__"], "__file__")
