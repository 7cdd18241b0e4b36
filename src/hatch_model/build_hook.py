"""Adapter: hatchling's build -> training -> what hatchling puts into the wheel."""

from __future__ import annotations

import platform
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilder, WheelBuilderConfig
from packaging.specifiers import SpecifierSet
from packaging.tags import INTERPRETER_SHORT_NAMES

from hatch_model._carried import carried_in
from hatch_model._environment import InstalledEnvironment, declared_lines, same_lines
from hatch_model._exit import exit_on_error
from hatch_model._log import AppLog
from hatch_model._phase import Target, current_build
from hatch_model._pinning import pins_of, training_requirements, unsupported_pythons_warning
from hatch_model._settings import (
    PLUGIN,
    ModelSettings,
    TrainingSettings,
    read_settings,
    retrain_wanted,
)
from hatch_model._tools import check_tools, tool_requirements
from hatch_model._workspace import Workspace
from hatch_model.errors import PinsChangedError, SharedMetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_model._build import ModelBuild
    from hatch_model._environment import Pins
    from hatch_model._origin import Origin
    from hatch_model._release import Release
    from hatch_model._sdist import SdistRelease
    from hatch_model._trained_sdist import CarriedRelease, PackedModel


class ModelBuildHook(BuildHookInterface[WheelBuilderConfig]):
    """Trains the model before a wheel is written, and hands over what training wrote."""

    PLUGIN_NAME = PLUGIN

    _workspace: Workspace | None = None
    _filled_in: bool = False
    _release: Release | CarriedRelease | SdistRelease | None = None

    def dependencies(self) -> list[str]:
        """Ask for what training needs, but not where nothing is trained."""
        with exit_on_error():
            model, training = self._read_settings()
            if not self._trains(training):
                return []
            return [*self._requirements(model, training), *tool_requirements(training)]
        raise AssertionError  # exit_on_error() does not swallow anything

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        with exit_on_error():
            model, training = self._read_settings()
            if self._trains(training):
                check_tools(training, InstalledEnvironment())
            if self.target_name != "wheel":
                self._make_sdist(training, build_data)
            elif version == "editable":
                self._make_editable(model, training, build_data)
            elif self._carried is not None:
                self._make_wheel_of_carried(model, training, self._carried, build_data)
            else:
                self._make_wheel(model, training, build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        with exit_on_error():
            if self._release is not None:
                self._release.finish(Path(artifact_path))
                self._give_notice(Path(artifact_path))
        if self._workspace is not None:
            self._workspace.close()
        if self._filled_in:
            self.metadata.core.dynamic.append("dependencies")

    def _read_settings(self) -> tuple[ModelSettings, TrainingSettings]:
        settings = read_settings(self.metadata, needs_training=True)
        assert settings.training is not None  # noqa: S101 - needs_training
        return settings.model, settings.training

    def _requirements(self, model: ModelSettings, training: TrainingSettings) -> list[str]:
        if self._record is not None and training.lock is None:
            # The metadata says these already, and what trains the model again has to agree.
            return [*self._record["pins"], *declared_lines(training.groups)]
        return training_requirements(model, training, self.root, self.metadata.name)

    @cached_property
    def _record(self) -> Mapping[str, Any] | None:
        """The record of the model that lies in the tree already, as in a trained sdist."""
        carried = carried_in(Path(self.root))
        return carried.record if carried else None

    @property
    def _carried(self) -> Mapping[str, Any] | None:
        """The same, unless that model is to be trained again."""
        return None if retrain_wanted() else self._record

    def _trains(self, training: TrainingSettings) -> bool:
        if self._carried is not None:
            return False
        if self.target_name != "wheel":
            return self.target_name == "sdist" and training.sdist == "trained"
        return current_build().target is not Target.EDITABLE or training.editable == "train"

    @property
    def _builder(self) -> WheelBuilder:
        return cast("WheelBuilder", self.build_config.builder)

    def _folder(self) -> Path:
        """Give a folder of this build's own."""
        if self._workspace is None:
            self._workspace = Workspace()
        return self._workspace.path

    def _pin(self, model: ModelSettings, training: TrainingSettings) -> Pins:
        return pins_of(model, training, self.root, self.metadata.name)

    # An sdist

    def _make_sdist(self, training: TrainingSettings, build_data: dict[str, Any]) -> None:
        from hatch_model._sdist import SdistRelease  # noqa: PLC0415 - wheels are made more often

        packed = self._packed(training)
        if packed is not None:
            self._write_dependencies(packed.record["pins"], build_data)
        self._release = SdistRelease(training, self.build_config.builder, log=AppLog(self.app))
        self._release.add(packed, build_data, self._folder)

    def _packed(self, training: TrainingSettings) -> PackedModel | None:
        if self.target_name != "sdist" or training.sdist != "trained":
            return None
        from hatch_model._trained_sdist import (  # noqa: PLC0415 - only for this option
            packed_in,
            train_for_sdist,
        )

        if self._carried is not None:
            return packed_in(WheelBuilder(self.root), training, self._carried)
        return train_for_sdist(training, Path(self.root), self.app, self._folder() / "sdist")

    # An editable install

    def _make_editable(
        self, model: ModelSettings, training: TrainingSettings, build_data: dict[str, Any]
    ) -> None:
        self._fill_in_dependencies(declared_lines(model.roots), build_data)
        if self._trains(training):
            origin = self._origin(training)
            self._build(model, training, self._pin(model, training), origin).make_in_tree(
                build_data
            )

    # A wheel

    def _make_wheel(
        self, model: ModelSettings, training: TrainingSettings, build_data: dict[str, Any]
    ) -> None:
        from hatch_model._release import Release  # noqa: PLC0415 - as in _build()

        pins = self._pin(model, training)
        self._check_metadata(model, pins, build_data)
        if model.python == "minor":
            _tag(build_data, platform.python_implementation(), platform.python_version())
        origin = self._origin(training)
        self._release = Release(
            training,
            pins,
            self._builder,
            origin=origin,
            workspace=self._folder(),
            log=AppLog(self.app),
        )
        trained = self._build(model, training, pins, origin).make(build_data)
        self._release.add(trained, build_data)

    def _make_wheel_of_carried(
        self,
        model: ModelSettings,
        training: TrainingSettings,
        record: Mapping[str, Any],
        build_data: dict[str, Any],
    ) -> None:
        from hatch_model._trained_sdist import (  # noqa: PLC0415 - as above
            CarriedRelease,
            packed_in,
        )

        AppLog(self.app).info("the model was trained when this source distribution was made")
        self._write_dependencies(record["pins"], build_data)
        if model.python == "minor":
            _tag(build_data, **record["python"])
        packed = packed_in(self._builder, training, record)
        self._release = CarriedRelease(packed, training, self._builder, log=AppLog(self.app))
        self._release.add(build_data, self._folder())

    def _give_notice(self, archive: Path) -> None:
        from hatch_model._archives import upload_notice  # noqa: PLC0415 - as in _build()

        notice = upload_notice(archive)
        if notice:
            AppLog(self.app).info(notice)

    def _origin(self, training: TrainingSettings) -> Origin:
        from hatch_model._origin import origin_of  # noqa: PLC0415 - as in _build()

        return origin_of(training, Path(self.root), AppLog(self.app))

    def _build(
        self, model: ModelSettings, training: TrainingSettings, pins: Pins, origin: Origin
    ) -> ModelBuild:
        # Imported where something is trained only: every build first asks for its requirements, in
        # a process of its own.
        from hatch_model._build import ModelBuild  # noqa: PLC0415

        return ModelBuild(
            model,
            training,
            pins,
            self._builder,
            origin=origin,
            workspace=self._folder(),
            log=AppLog(self.app),
        )

    def _check_metadata(self, model: ModelSettings, pins: Pins, build_data: dict[str, Any]) -> None:
        """Check that hatchling is about to write *pins*, and see to it where it has none."""
        core, log = self.metadata.core, AppLog(self.app)
        self._write_dependencies(pins.lines, build_data)
        if model.requires_python is not None and not core.requires_python:
            raise SharedMetadataError
        for line in pins.unlocked:
            log.warning(
                f"the lock holds nothing for `{line}`, which stays in the wheel as it was declared. "
                f"A lock that is made for those platforms, too, would pin it."
            )
        claimed = SpecifierSet(core.requires_python or "")
        warning = unsupported_pythons_warning(model, claimed, pins)
        if warning:
            log.warning(warning)

    def _write_dependencies(self, lines: Sequence[str], build_data: dict[str, Any]) -> None:
        """Check that hatchling is about to write *lines*, and see to it where it has none."""
        self._fill_in_dependencies(lines, build_data)
        found = self.metadata.core.dependencies
        if not self._filled_in and not same_lines(found, lines):
            raise PinsChangedError(found, lines)

    def _fill_in_dependencies(self, lines: Sequence[str], build_data: dict[str, Any]) -> None:
        """Write *lines* where hatchling has none: a plain `hatchling build` of several targets.

        They share one reading of the metadata, in which an sdist needs the dependencies left open.
        """
        dynamic = self.metadata.core.dynamic
        if "dependencies" in dynamic:
            build_data["dependencies"].extend(lines)
            dynamic.remove("dependencies")
            self._filled_in = True


def _tag(build_data: dict[str, Any], implementation: str, version: str) -> None:
    """Have installers refuse the wheel on any minor version of Python but that of *version*.

    Not all of them heed the upper bound of Requires-Python; a tag, they all do.
    """
    if not build_data["infer_tag"]:  # That tag is narrower still.
        name = INTERPRETER_SHORT_NAMES.get(implementation.lower(), implementation.lower())
        minor = "".join(version.split(".")[:2])
        build_data.setdefault("tag", f"{name}{minor}-none-any")
