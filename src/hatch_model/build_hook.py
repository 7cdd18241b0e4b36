"""Adapter between hatchling's build and :mod:`hatch_model.build`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from hatch_model.build import Build, build_requirements
from hatch_model.errors import exit_on_error
from hatch_model.log import AppLog
from hatch_model.project import Project
from hatch_model.settings import PLUGIN


class ModelBuildHook(BuildHookInterface[BuilderConfig]):
    """Trains the model before a wheel is written and passes the artifacts to hatchling."""

    PLUGIN_NAME = PLUGIN

    _build: Build | None = None

    def dependencies(self) -> list[str]:
        """Return the requirements for training, or none if the build does not train."""
        with exit_on_error():
            return build_requirements(self._project())
        raise AssertionError  # exit_on_error() does not suppress exceptions

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        with exit_on_error():
            # One for each version: hatchling may build several with the same hook.
            build = self._build = Build(self._project(), Path(self.directory), self.app)
            try:
                build.start(version, build_data)
            except BaseException:  # hatchling does not call finalize()
                build.close()
                raise

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        build = self._build
        assert build is not None  # noqa: S101 - initialize() runs first
        try:
            with exit_on_error():
                build.finish(Path(artifact_path))
        finally:
            build.close()

    def _project(self) -> Project:
        return Project.read(self.build_config.builder, AppLog(self.app))
