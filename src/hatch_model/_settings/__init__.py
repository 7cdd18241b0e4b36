"""The two TOML tables, read once at the edge into typed values, every problem at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.metadata.core import load_toml
from packaging.utils import canonicalize_name

from hatch_model._settings._model import ModelSettings, read_model_settings
from hatch_model._settings._overrides import RETRAIN, retrain_wanted
from hatch_model._settings._table import Table, list_, string
from hatch_model._settings._training import (
    ObjectReference,
    TrainingSettings,
    object_reference,
    read_training_settings,
)
from hatch_model.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchling.metadata.core import ProjectMetadata

__all__ = [
    "RETRAIN",
    "ModelSettings",
    "ObjectReference",
    "Settings",
    "TrainingSettings",
    "object_reference",
    "read_settings",
    "retrain_wanted",
]

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
    _check_project(metadata.config, problems)
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
        # A dependency group may have been read twice, with the same problems.
        raise SettingsError(list({str(problem): problem for problem in problems}.values()))
    return settings


def _check_project(pyproject: Mapping[str, Any], problems: list[Problem]) -> None:
    """Check what the pins are written with, and that hatchling will ask for them at all."""
    if "project" not in pyproject:
        problems.append(Problem("project", expected="a table with the project's name and version"))
        return
    project = Table("project", pyproject["project"], problems)
    if "name" not in project:
        project.note_missing("name", "the project's name")
    project.get("name", "a valid name", _project_name, "")
    if "dependencies" in project:
        project.note(
            "dependencies",
            "no static list: move it to tool.hatch.metadata.hooks.model.dependencies "
            'and list "dependencies" in project.dynamic',
        )
        return
    expected = '"dependencies" among its entries, for the pins to be written there'
    if "dynamic" not in project:
        project.note_missing("dynamic", expected)
    elif "dependencies" not in project.get("dynamic", "an array", list_, ["dependencies"]):
        project.note("dynamic", expected)


def _project_name(value: object) -> str:
    return canonicalize_name(string(value), validate=True)  # InvalidName is a ValueError


def _model_table(metadata: ProjectMetadata[Any]) -> tuple[str, object]:
    hooks = metadata.hatch.metadata.hook_config
    return f"{_prefix(metadata, 'metadata')}.hooks.{PLUGIN}", hooks.get(PLUGIN)


def _training_table(metadata: ProjectMetadata[Any]) -> tuple[str, object]:
    """Find the build hook's table: hatchling lets the wheel's replace the global one."""
    prefix = _prefix(metadata, "build")
    of_target = _table_at(metadata.hatch.build_targets, "wheel", "hooks")
    if PLUGIN in of_target:
        return f"{prefix}.targets.wheel.hooks.{PLUGIN}", of_target[PLUGIN]
    return f"{prefix}.hooks.{PLUGIN}", _table_at(metadata.hatch.build_config, "hooks").get(PLUGIN)


def _table_at(content: object, *names: str) -> Mapping[str, Any]:
    """Follow *names*; empty where there is no table, which hatchling says itself."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _prefix(metadata: ProjectMetadata[Any], table: str) -> str:
    """Say where hatchling took *table* from: a key in hatch.toml goes before pyproject.toml's."""
    file = Path(metadata.root, "hatch.toml")
    if file.is_file() and table in load_toml(str(file)):
        return f"hatch.toml: {table}"
    return f"tool.hatch.{table}"
