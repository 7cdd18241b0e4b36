"""Adapter between hatchling's project metadata and the pins, or the requirements as declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatchling.builders.config import env_var_enabled
from hatchling.builders.constants import BuildEnvVars
from hatchling.metadata.core import ProjectMetadata
from hatchling.metadata.plugin.interface import MetadataHookInterface

from hatch_model.errors import HatchModelError, exit_on_error
from hatch_model.other_hooks import check_other_hooks, take_over_dependencies
from hatch_model.phase import Build, Target, current_build
from hatch_model.settings import PLUGIN, declared_lines, read_settings

if TYPE_CHECKING:
    from hatch_model.settings import ModelSettings, TrainingSettings


class ModelMetadataHook(MetadataHookInterface):
    """Writes ``dependencies``, and ``requires-python`` if it is dynamic as well."""

    PLUGIN_NAME = PLUGIN

    def __init__(self, root: str, config: dict[str, Any]) -> None:
        super().__init__(root, config)
        # Not in update(), which hatchling does not call if nothing is dynamic.
        with exit_on_error():
            build = current_build()
            _refuse_wheel_without_model(build)
            if build.builder is not None:
                check_other_hooks(build.builder.metadata)
            _reopen_dependencies(build)
            _go_last(build)

    def update(self, metadata: dict[str, Any]) -> None:
        with exit_on_error():
            build = current_build()
            project = build.builder.metadata if build.builder else ProjectMetadata(self.root, None)
            settings = read_settings(project, needs_training=build.makes_wheel)
            training = settings.training
            take_over_dependencies(metadata, settings.model)
            is_exact = training is not None and training.sdist == "trained"
            if (build.target is Target.SDIST or build.shared) and not is_exact:
                return  # Left open: a wheel's own build or the build hook requests them again.
            if training is not None and (build.makes_wheel or build.makes_sdist):
                _refuse_sdist_without_model(build, training)
                _write_pins(metadata, project, settings.model, training)
            else:
                _write_declared(metadata, settings.model)


def _refuse_wheel_without_model(build: Build) -> None:
    if not build.makes_wheel or build.builder is None:
        return
    metadata = build.builder.metadata
    if PLUGIN not in build.builder.config.hook_config:
        # Without a table for the build hook, this raises an error.
        training = read_settings(metadata, needs_training=True).training
        assert training is not None  # noqa: S101 - needs_training
        raise HatchModelError(
            f"the build hook is switched off by {_switch(training.key)}, so this wheel would hold no "
            f"model. Switch it on again, or build only an sdist or an editable install this way."
        )


def _refuse_sdist_without_model(build: Build, training: TrainingSettings) -> None:
    """Refuse pins in an sdist that would not contain a model to go with them."""
    builder = build.builder
    if build.makes_sdist and builder is not None and PLUGIN not in builder.config.hook_config:
        raise HatchModelError(
            f"the build hook is switched off by {_switch(training.key)}, so this source distribution "
            f"would hold no model. Switch it on again, or take out {training.key}.sdist."
        )


def _switch(key: str) -> str:
    """Return what has disabled the build hook; *key* is the key of its table."""
    if env_var_enabled(BuildEnvVars.NO_HOOKS):
        return BuildEnvVars.NO_HOOKS
    return f"{key}.enable-by-default"


def _reopen_dependencies(build: Build) -> None:
    """Make hatchling request the dependencies that an sdist left open.

    If the PKG-INFO has optional dependencies, hatchling would read it as having no others.
    """
    if build.builder is None:
        return
    metadata = build.builder.metadata
    declared, found = metadata.config.get("project", {}), metadata.core_raw_metadata
    left_open = "dependencies" in declared.get("dynamic", []) and "dependencies" not in declared
    if left_open and found.get("dependencies") == []:
        del found["dependencies"]
        found["dynamic"].append("dependencies")
        if "optional-dependencies" in declared["dynamic"]:
            # The hook that supplies them is called again as well, and expects that.
            found.pop("optional-dependencies", None)
            found["dynamic"].append("optional-dependencies")


def _go_last(build: Build) -> None:
    """Make the build hook run after all others, whatever the order of the tables.

    Training then sees the files that they create. hatchling creates the hooks in the order of this
    table, and only after it has read the metadata.
    """
    if build.builder is not None:
        hooks = build.builder.config.hook_config
        if PLUGIN in hooks:
            hooks[PLUGIN] = hooks.pop(PLUGIN)


def _write_pins(
    metadata: dict[str, Any],
    project: ProjectMetadata[Any],
    model: ModelSettings,
    training: TrainingSettings,
) -> None:
    # Not needed to request the requirements, which a build does first and in a separate process.
    from hatch_model.project import pins_before_training  # noqa: PLC0415
    from hatch_model.pythons import supported_pythons  # noqa: PLC0415

    pins = pins_before_training(project, model, training)
    # hatchling treats braces as context fields, but URLs may contain `${TOKEN}` (PEP 610).
    metadata["dependencies"] = [line.replace("{", "{{").replace("}", "}}") for line in pins.lines]
    if model.requires_python is not None:
        metadata["requires-python"] = str(supported_pythons(model, model.requires_python, pins))


def _write_declared(metadata: dict[str, Any], model: ModelSettings) -> None:
    metadata["dependencies"] = declared_lines(model.roots)
    if model.requires_python is not None:
        metadata["requires-python"] = str(model.requires_python)
