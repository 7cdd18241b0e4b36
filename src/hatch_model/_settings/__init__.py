"""The two TOML tables, read once at the edge into typed values, every problem at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.metadata.core import load_toml

from hatch_model._settings._model import ModelSettings, read_model_settings
from hatch_model._settings._training import (
    ObjectReference,
    TrainingSettings,
    read_training_settings,
)
from hatch_model.errors import Problem, SettingsError

if TYPE_CHECKING:
    from hatchling.metadata.core import ProjectMetadata

__all__ = ["ModelSettings", "ObjectReference", "Settings", "TrainingSettings", "read_settings"]

PLUGIN = "model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything a model project says to this plugin."""

    model: ModelSettings
    training: TrainingSettings | None
    """None where no build hook is configured for wheels."""


def read_settings(metadata: ProjectMetadata[Any], *, needs_training: bool) -> Settings:
    """Read what the project says.

    Raises SettingsError with everything that is wrong; with *needs_training*, a missing build hook
    is, too.
    """
    problems: list[Problem] = []
    _check_dynamic(metadata.config.get("project", {}), problems)
    model_key, model_table = _model_table(metadata)
    training_key, training_table = _training_table(metadata)
    pyproject = {**metadata.config, "tool": {"hatch": metadata.hatch.config}}
    if model_table is None:
        problems.append(
            Problem(
                model_key,
                expected="a table with the model's `dependencies`, as the build hook is on",
            )
        )
        model_table = {"dependencies": []}
    if training_table is None and needs_training:
        problems.append(
            Problem(
                training_key,
                expected="a table with `train`, as a wheel would hold no model without it",
            )
        )
    settings = Settings(
        model=read_model_settings(model_key, model_table, pyproject, problems),
        training=None
        if training_table is None
        else read_training_settings(training_key, training_table, pyproject, problems),
    )
    if problems:
        raise SettingsError(problems)
    return settings


def _check_dynamic(project: object, problems: list[Problem]) -> None:
    """Check that hatchling will ask the metadata hook for the dependencies at all."""
    if not isinstance(project, dict):
        return  # hatchling says so itself
    if "dependencies" in project:
        problems.append(
            Problem(
                "project.dependencies",
                expected="no static list: move it to tool.hatch.metadata.hooks.model.dependencies "
                'and list "dependencies" in project.dynamic',
                found=project["dependencies"],
            )
        )
    elif "dependencies" not in project.get("dynamic", []):
        problems.append(
            Problem(
                "project.dynamic",
                expected='"dependencies" among its entries, for the pins to be written there',
                found=project.get("dynamic"),
            )
        )


def _model_table(metadata: ProjectMetadata[Any]) -> tuple[str, object]:
    hooks = metadata.hatch.metadata.hook_config
    return f"{_prefix(metadata, 'metadata')}.hooks.{PLUGIN}", hooks.get(PLUGIN)


def _training_table(metadata: ProjectMetadata[Any]) -> tuple[str, object]:
    """Find the build hook's table: hatchling lets the wheel's replace the global one."""
    prefix = _prefix(metadata, "build")
    of_target = metadata.hatch.build_targets.get("wheel", {}).get("hooks", {})
    if PLUGIN in of_target:
        return f"{prefix}.targets.wheel.hooks.{PLUGIN}", of_target[PLUGIN]
    return f"{prefix}.hooks.{PLUGIN}", metadata.hatch.build_config.get("hooks", {}).get(PLUGIN)


def _prefix(metadata: ProjectMetadata[Any], table: str) -> str:
    """Say where hatchling took *table* from: a key in hatch.toml goes before pyproject.toml's."""
    file = Path(metadata.root, "hatch.toml")
    if file.is_file() and table in load_toml(str(file)):
        return f"hatch.toml: {table}"
    return f"tool.hatch.{table}"
