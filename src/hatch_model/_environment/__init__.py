"""The training environment: what is installed, what the model needs of it, and the pins of that."""

from __future__ import annotations

from hatch_model._environment._closure import Closure, Root, closure_of, holds, installed_root
from hatch_model._environment._distributions import Environment, InstalledEnvironment
from hatch_model._environment._imports import imported_strangers
from hatch_model._environment._pins import (
    PinPolicy,
    Pins,
    declared_lines,
    marker_environment,
    pin,
    same_lines,
)
from hatch_model._environment._pythons import narrowed, unsupported_pythons

__all__ = [
    "Closure",
    "Environment",
    "InstalledEnvironment",
    "PinPolicy",
    "Pins",
    "Root",
    "closure_of",
    "declared_lines",
    "holds",
    "imported_strangers",
    "installed_root",
    "marker_environment",
    "narrowed",
    "pin",
    "same_lines",
    "unsupported_pythons",
]
