"""Packages that only some options take: asked for in the build environment where one of them is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_model.errors import MissingToolsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model._environment import Environment
    from hatch_model._settings import TrainingSettings

_SBOM = ("cyclonedx-python-lib>=8", "hatchling>=1.28")
_STORE = ("filelock>=3.12", "platformdirs>=3")


def tool_requirements(training: TrainingSettings) -> list[str]:
    """Give what the options that are on take beside hatch-model's own dependencies."""
    return [each for requirements in _by_option(training).values() for each in requirements]


def check_tools(training: TrainingSettings, environment: Environment) -> None:
    """Raise MissingToolsError unless *environment* has what the options that are on take."""
    for option, requirements in _by_option(training).items():
        for requirement in map(Requirement, requirements):
            found = environment.find(canonicalize_name(requirement.name))
            if found is None or not requirement.specifier.contains(found.version, prereleases=True):
                raise MissingToolsError(option, requirements)


def _by_option(training: TrainingSettings) -> Mapping[str, tuple[str, ...]]:
    options = {}
    if training.sbom:
        options["sbom = true"] = _SBOM
    if training.is_reusable:
        options["inputs"] = _STORE
    return options
