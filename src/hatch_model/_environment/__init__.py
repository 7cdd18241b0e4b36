"""The training environment: what is installed, what the model needs of it, and the pins of that."""

from __future__ import annotations

from hatch_model._environment._closure import (
    Closure,
    Root,
    closure_of,
    holds,
    installed_root,
    mentioned,
)
from hatch_model._environment._conditions import ALWAYS, NEVER, Condition, condition_of
from hatch_model._environment._direct_urls import (
    archive_hashes,
    describe,
    is_local,
    reference,
    without_credentials,
)
from hatch_model._environment._distributions import Distribution, Environment, InstalledEnvironment
from hatch_model._environment._imports import editable_folder, imported_strangers
from hatch_model._environment._pins import (
    PinPolicy,
    Pins,
    declared_lines,
    marker_environment,
    pin,
    pinned_version,
    same_lines,
)
from hatch_model._environment._pythons import narrowed, only_minor, unsupported_pythons

__all__ = [
    "ALWAYS",
    "NEVER",
    "Closure",
    "Condition",
    "Distribution",
    "Environment",
    "InstalledEnvironment",
    "PinPolicy",
    "Pins",
    "Root",
    "archive_hashes",
    "closure_of",
    "condition_of",
    "declared_lines",
    "describe",
    "editable_folder",
    "holds",
    "imported_strangers",
    "installed_root",
    "is_local",
    "marker_environment",
    "mentioned",
    "narrowed",
    "only_minor",
    "pin",
    "pinned_version",
    "reference",
    "same_lines",
    "unsupported_pythons",
    "without_credentials",
]
