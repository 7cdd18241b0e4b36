"""Adapter: hatchling's build -> training -> what hatchling puts into the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilder, WheelBuilderConfig
from packaging.specifiers import SpecifierSet
from packaging.tags import interpreter_name, interpreter_version

from hatch_model._environment import (
    Pins,
    declared_lines,
    marker_environment,
    narrowed,
    only_minor,
    same_lines,
    unsupported_pythons,
)
from hatch_model._exit import exit_on_error
from hatch_model._git import SDIST_FILE, commit_of, write_carried
from hatch_model._phase import Target, current_build
from hatch_model._pinning import pins_of, training_requirements
from hatch_model._sbom import REQUIREMENTS as SBOM_REQUIREMENTS
from hatch_model._settings import PLUGIN, ModelSettings, TrainingSettings, read_settings
from hatch_model._workspace import Workspace
from hatch_model.errors import PinsChangedError, SharedMetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatchling.bridge.app import Application

    from hatch_model._build import TrainedModel
    from hatch_model._release import Release


class ModelBuildHook(BuildHookInterface[WheelBuilderConfig]):
    """Trains the model before a wheel is written, and hands over what training wrote."""

    PLUGIN_NAME = PLUGIN

    _workspace: Workspace | None = None
    _filled_in: bool = False
    _release: Release | None = None

    def dependencies(self) -> list[str]:
        """Ask for what training needs, but not where nothing is trained."""
        with exit_on_error():
            model, training = self._read_settings()
            editable = current_build().target is Target.EDITABLE
            if self.target_name != "wheel" or (editable and training.editable == "skip"):
                return []
            requirements = training_requirements(model, training, self.root, self.metadata.name)
            return [*requirements, *SBOM_REQUIREMENTS] if training.sbom else requirements
        raise AssertionError  # exit_on_error() does not swallow anything

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        with exit_on_error():
            model, training = self._read_settings()
            if self.target_name != "wheel":
                self._take_along(training, build_data)
                return
            if version == "editable":
                self._fill_in_dependencies(declared_lines(model.roots), build_data)
                if training.editable == "train":
                    self._train_in_place(model, training, self._pin(model, training))
                return
            pins = self._pin(model, training)
            self._check_metadata(model, pins, build_data)
            self._release = self._start_release(training, pins)
            trained = self._train(model, training, pins)
            folder = trained.tree.artifacts
            build_data["force_include"].update(
                {
                    str(artifact.source): str(Path(folder / artifact.path))
                    for artifact in trained.artifacts
                }
            )
            self._release.add(trained, build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        with exit_on_error():
            if self._release is not None:
                self._release.check(Path(artifact_path))
        if self._workspace is not None:
            self._workspace.close()
        if self._filled_in:
            self.metadata.core.dynamic.append("dependencies")

    def _read_settings(self) -> tuple[ModelSettings, TrainingSettings]:
        settings = read_settings(self.metadata, needs_training=True)
        assert settings.training is not None  # noqa: S101 - needs_training
        return settings.model, settings.training

    @property
    def _builder(self) -> WheelBuilder:
        return cast("WheelBuilder", self.build_config.builder)

    def _pin(self, model: ModelSettings, training: TrainingSettings) -> Pins:
        return pins_of(model, training, self.root, self.metadata.name)

    def _take_along(self, training: TrainingSettings, build_data: dict[str, Any]) -> None:
        """Put into the sdist what a wheel from it needs, whatever its own list of files says."""
        if training.lock is not None:
            from hatch_model._lock import find_lock  # noqa: PLC0415 - only for this option

            lock = find_lock(
                training.lock,
                Path(self.root),
                key=f"{training.key}.lock",
                groups=training.group_names,
            )
            build_data["force_include"][str(lock)] = str(Path(training.lock))
        commit = commit_of(Path(self.root))
        if commit is not None:
            carried = write_carried(commit, self._folder())
            build_data["force_include"][str(carried)] = SDIST_FILE

    def _check_metadata(self, model: ModelSettings, pins: Pins, build_data: dict[str, Any]) -> None:
        """Check that hatchling is about to write *pins*, and see to it where it has none."""
        core = self.metadata.core
        self._fill_in_dependencies(pins.lines, build_data)
        if not self._filled_in and not same_lines(core.dependencies, pins.lines):
            raise PinsChangedError(core.dependencies, pins.lines)
        if model.requires_python is not None and not core.requires_python:
            raise SharedMetadataError
        for line in pins.unlocked:
            _AppLog(self.app).warning(
                f"the lock holds nothing for `{line}`, which stays in the wheel as it was declared. "
                f"A lock that is made for those platforms, too, would pin it."
            )
        claimed = SpecifierSet(core.requires_python or "")
        if model.python == "minor":
            claimed = only_minor(claimed, marker_environment())
            _tag_with_interpreter(build_data)
        self._warn_of_unsupported_pythons(claimed, pins)

    def _fill_in_dependencies(self, lines: Sequence[str], build_data: dict[str, Any]) -> None:
        """Write *lines* where hatchling has none: a plain `hatchling build` of several targets.

        They share one reading of the metadata, in which an sdist needs the dependencies left open.
        """
        dynamic = self.metadata.core.dynamic
        if "dependencies" in dynamic:
            build_data["dependencies"].extend(lines)
            dynamic.remove("dependencies")
            self._filled_in = True

    def _warn_of_unsupported_pythons(self, claimed: SpecifierSet, pins: Pins) -> None:
        markers = marker_environment()
        unsupported = unsupported_pythons(claimed, pins.closure, markers)
        if not unsupported:
            return
        is_claimed = f'is "{claimed}"' if claimed else "is not set"
        problems = "".join(f"\n  {each.name} {each.version} {each.reason}" for each in unsupported)
        _AppLog(self.app).warning(
            f"project.requires-python {is_claimed}, which claims Pythons that the wheel cannot be "
            f"installed on:{problems}\nWhat it can be installed on is "
            f'"{narrowed(claimed, unsupported, markers)}".'
        )

    def _folder(self) -> Path:
        """Give a folder of this build's own."""
        if self._workspace is None:
            self._workspace = Workspace()
        return self._workspace.path

    def _start_release(self, training: TrainingSettings, pins: Pins) -> Release:
        from hatch_model._release import Release  # noqa: PLC0415 - as in _train()

        return Release(
            training,
            pins,
            self._builder,
            workspace=self._folder(),
            log=_AppLog(self.app),
        )

    def _train(self, model: ModelSettings, training: TrainingSettings, pins: Pins) -> TrainedModel:
        # Imported where something is trained only: every build first asks for its requirements, in
        # a process of its own.
        from hatch_model._build import train_model  # noqa: PLC0415

        return train_model(
            model,
            training,
            pins,
            self._builder,
            workspace=self._folder(),
            log=_AppLog(self.app),
        )

    def _train_in_place(self, model: ModelSettings, training: TrainingSettings, pins: Pins) -> None:
        """Train into the tree, which is what an editable install imports."""
        from hatch_model._artifacts import publish  # noqa: PLC0415 - as in _train()

        trained = self._train(model, training, pins)
        folder = Path(self.root) / trained.tree.artifacts
        if not trained.result.in_tree or trained.tree.artifacts_dir != folder:
            publish(trained.artifacts, folder)


def _tag_with_interpreter(build_data: dict[str, Any]) -> None:
    """Have installers refuse the wheel on any minor version of Python but this one.

    Not all of them heed the upper bound of Requires-Python; a tag, they all do.
    """
    if not build_data["infer_tag"]:  # That tag is narrower still.
        build_data.setdefault("tag", f"{interpreter_name()}{interpreter_version()}-none-any")


class _AppLog:
    """Speaks through hatchling's application, which knows how quiet to be."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def info(self, message: str) -> None:
        self._app.display_info(f"hatch-model: {message}")

    def warning(self, message: str) -> None:
        self._app.display_warning(f"hatch-model: warning: {message}")

    def output(self, line: str) -> None:
        self._app.display_info(line)
