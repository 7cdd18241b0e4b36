"""Adapter between hatchling's project metadata and the pins, or the requirements as declared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.metadata.core import ProjectMetadata
from hatchling.metadata.plugin.interface import MetadataHookInterface

from hatch_model.build import dynamic_metadata, refuse_wheel_without_model
from hatch_model.errors import exit_on_error
from hatch_model.phase import current_build, is_unpacked_sdist
from hatch_model.settings import PLUGIN, read_settings

if TYPE_CHECKING:
    from hatchling.builders.plugin.interface import BuilderInterface


class ModelMetadataHook(MetadataHookInterface):
    """Writes ``dependencies``, and ``requires-python`` if it is dynamic as well."""

    PLUGIN_NAME = PLUGIN

    def __init__(self, root: str, config: dict[str, Any]) -> None:
        super().__init__(root, config)
        # Not in update(), which hatchling does not call if nothing is dynamic.
        with exit_on_error():
            build = current_build()
            refuse_wheel_without_model(build)
            if build.builder is not None:
                if len(build.builder.metadata.hatch.metadata.hook_config) > 1:
                    from hatch_model.other_hooks import check_other_hooks  # noqa: PLC0415 - rarely

                    check_other_hooks(build.builder.metadata)
                _reopen_dependencies(build.builder)
                if not build.collects_requirements:  # for which hatchling reads the table just now
                    _go_last(build.builder)

    def update(self, metadata: dict[str, Any]) -> None:
        with exit_on_error():
            build = current_build()
            project = build.builder.metadata if build.builder else ProjectMetadata(self.root, None)
            settings = read_settings(project, needs_training=build.makes_wheel)
            # If they are not dynamic any more, they are from PKG-INFO.
            if "dependencies" in metadata and "dependencies" in metadata.get("dynamic", ()):
                from hatch_model.other_hooks import take_over_dependencies  # noqa: PLC0415 - rarely

                take_over_dependencies(metadata, settings.model)
            metadata.update(dynamic_metadata(build, project, settings))


def _reopen_dependencies(builder: BuilderInterface[Any, Any]) -> None:
    """Make hatchling request the dependencies that an sdist left open.

    If the PKG-INFO has optional dependencies, hatchling would read it as having no others. The
    hooks that supply other fields are called again as well, and expect these to be open.
    """
    metadata = builder.metadata
    declared, found = metadata.config.get("project", {}), metadata.core_raw_metadata
    left_open = "dependencies" in declared.get("dynamic", []) and "dependencies" not in declared
    if left_open and not found.get("dependencies") and is_unpacked_sdist(Path(builder.root)):
        for field in declared["dynamic"]:
            if field != "version":
                found.pop(field, None)
                if field not in found["dynamic"]:
                    found["dynamic"].append(field)


def _go_last(builder: BuilderInterface[Any, Any]) -> None:
    """Make the build hook run after all others, whatever the order of the tables.

    Training then sees the files that they create. hatchling creates the hooks in the order of this
    table, and only after it has read the metadata.
    """
    hooks = builder.config.hook_config
    if PLUGIN in hooks:
        hooks[PLUGIN] = hooks.pop(PLUGIN)
