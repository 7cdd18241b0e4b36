"""One build of a model, from the settings to the artifacts."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_model._artifacts import Snapshot, publish, restore, snapshot, written
from hatch_model._environment import (
    InstalledEnvironment,
    closure_of,
    holds,
    imported_strangers,
    installed_root,
    marker_environment,
    same_lines,
)
from hatch_model._gates import compare, enforce, table
from hatch_model._pinning import pins_of
from hatch_model._sources import distribution_path, shipped_files, source_files, training_tree
from hatch_model._trained import TrainedModel
from hatch_model._training import Request, backup_dir, output_dir, train
from hatch_model._training._process import run_process
from hatch_model.errors import NothingWrittenError, PinsChangedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatchling.builders.wheel import WheelBuilder
    from packaging.utils import NormalizedName

    from hatch_model._environment import Closure, Environment, Pins
    from hatch_model._fingerprint import Ingredients
    from hatch_model._log import Log
    from hatch_model._origin import Origin
    from hatch_model._settings import ModelSettings, TrainingSettings
    from hatch_model._sources import SourceFile
    from hatch_model._training import Result
    from hatch_model._training._process import RunProcess


class ModelBuild:
    """A model that is about to be made, in *workspace*, an empty folder, from what *builder* ships."""

    def __init__(
        self,
        model: ModelSettings,
        training: TrainingSettings,
        pins: Pins,
        builder: WheelBuilder,
        *,
        origin: Origin,
        workspace: Path,
        log: Log,
        is_release: bool = True,
        run: RunProcess = run_process,
    ) -> None:
        """Find what there is to train. Raises what the settings and the environment lack for it.

        Where no *is_release*, gates are shown and not enforced, and nothing is said of packages
        that happen to be installed.
        """
        _check_groups_are_installed(training)
        self._model = model
        self._training = training
        self._pins = pins
        self._builder = builder
        self._origin = origin
        self._workspace = workspace
        self._log = log
        self._is_release = is_release
        self._run = run
        self._project = canonicalize_name(builder.metadata.name)
        self._files = source_files(builder)
        self.tree = training_tree(training, self._files, builder, workspace / "tree")

    def make(self, build_data: Mapping[str, Any]) -> TrainedModel:
        """Train, or take what was trained before, and check that the pins are what that was with.

        *build_data* is hatchling's, as far as other hooks have filled it in. Where anything fails,
        the source tree is as it was before.
        """
        with _untouched_on_failure(self.tree.artifacts_dir, self._workspace) as before:
            trained = self._obtain(before, build_data)
            self._check_gates(trained)
            if self._is_release:
                _warn_of_strangers(self._training, self._pins, trained, self._log)
            _warn_of_stale_files(self._files, trained, self._log)
            folder = distribution_path(self._builder, self.tree.artifacts)
            _warn_of_shared_folder(self._training, self._files, folder, self._log)
        return trained

    def make_in_tree(self, build_data: Mapping[str, Any]) -> TrainedModel:
        """Make the model where an editable install imports it from."""
        trained = self.make(build_data)
        folder = Path(self._builder.root) / self.tree.artifacts
        if not trained.in_tree or self.tree.artifacts_dir != folder:
            publish(trained.artifacts, folder)
        return trained

    def _obtain(self, before: Snapshot, build_data: Mapping[str, Any]) -> TrainedModel:
        if not self._training.is_reusable:
            return self._train(before)
        from hatch_model._reuse import reuse_or_train  # noqa: PLC0415 - only for this option

        return reuse_or_train(
            self._ingredients(build_data),
            partial(self._train, before),
            project=self._project,
            tree=self.tree,
            path=[*map(str, self.tree.python_path), *sys.path],
            log=self._log,
        )

    def _ingredients(self, build_data: Mapping[str, Any]) -> Ingredients:
        from hatch_model._fingerprint import ingredients_of  # noqa: PLC0415 - as in _obtain()

        environment = InstalledEnvironment()
        for_training = self._closure_for_training(environment)
        return ingredients_of(
            self._training,
            shipped_files(self._builder, build_data),
            distribution_path(self._builder, self.tree.artifacts),
            self._origin,
            {**self._pins.closure.distributions, **for_training.distributions},
            root=Path(self._builder.root),
            workspace=self._workspace,
            environment=environment,
        )

    def _closure_for_training(self, environment: Environment) -> Closure:
        groups, markers = self._training.groups, marker_environment()
        return closure_of(groups, environment, markers, project=self._project, strict=False)

    def _train(self, before: Snapshot) -> TrainedModel:
        """Train in a process of its own; *before* is what the artifacts folder holds."""
        training, tree = self._training, self.tree
        request = Request(
            key=training.key,
            train=training.train,
            arguments=training.arguments,
            root=Path(self._builder.root),
            python_path=tree.python_path,
            artifacts_dir=tree.artifacts_dir,
            environment=training.environment,
            modules=[file.module for file in self._files if file.module],
        )
        self._log.info(f"training with {training.train}")
        result = train(request, self._workspace, self._log.output, self._run)
        if result.in_tree:
            artifacts = written(tree.artifacts_dir, before)
        else:
            artifacts = written(output_dir(self._workspace))
        if not artifacts:
            raise NothingWrittenError(str(training.train), training.key, str(tree.artifacts))
        self._check_pins(result)
        environment = InstalledEnvironment(result.path)
        return TrainedModel(
            artifacts=artifacts,
            tree=tree,
            metrics=result.metrics,
            environment=[(each.name, each.raw_version) for each in environment],
            strangers=self._strangers(result, environment),
            imported=result.imported,
            path=result.path,
            model_saved=result.model_saved,
            in_tree=result.in_tree,
        )

    def _check_pins(self, result: Result) -> None:
        """Read the environment anew, as the training process saw it, and compare."""
        builder = self._builder
        trained_with = pins_of(
            self._model, self._training, builder.root, builder.metadata.name, result.path
        )
        if not same_lines(self._pins.lines, trained_with.lines):
            raise PinsChangedError(self._pins.lines, trained_with.lines)

    def _check_gates(self, trained: TrainedModel) -> None:
        rows = compare(trained.metrics, self._training.gates)
        if self._is_release:
            enforce(rows)
        if rows:
            for line in table(rows):
                self._log.info(line)

    def _strangers(self, result: Result, environment: Environment) -> list[NormalizedName]:
        """Name what training could import only because the build tools brought it."""
        for_training = self._closure_for_training(environment)
        known = {
            self._project,
            *self._pins.closure.distributions,
            *for_training.distributions,
        }
        return imported_strangers(result.imported, environment, known)


@contextmanager
def _untouched_on_failure(folder: Path, workspace: Path) -> Iterator[Snapshot]:
    """Give what *folder* holds, and bring it back to that if anything is raised."""
    before = snapshot(folder)
    try:
        yield before
    except BaseException:
        restore(folder, before, backup_dir(workspace))
        raise


def _check_groups_are_installed(training: TrainingSettings) -> None:
    environment, markers = InstalledEnvironment(), marker_environment()
    for root in training.groups:
        if holds(root.requirement, markers):
            installed_root(environment, root)


def _warn_of_strangers(
    training: TrainingSettings, pins: Pins, trained: TrainedModel, log: Log
) -> None:
    for name in trained.strangers:
        log.warning(
            f"training imported {name}, which is in the training environment only because the "
            f"build tools brought it. Add it to {pins.policy.key}.dependencies if the model needs "
            f"it to predict, or else to a group in {training.key}.dependency-groups."
        )
    if trained.model_saved and "joblib" not in pins.closure.distributions:
        log.warning(
            f"the model was saved with joblib, which the wheel does not require. Add it to "
            f"{pins.policy.key}.dependencies, so that the model can be loaded."
        )


def _warn_of_stale_files(files: Sequence[SourceFile], trained: TrainedModel, log: Log) -> None:
    """Warn of files in the artifacts folder that ship although this training did not write them."""
    folder = trained.tree.artifacts
    fresh = {folder / artifact.path for artifact in trained.artifacts}
    for file in files:
        is_stale = file.tree.is_relative_to(folder) and file.tree not in fresh
        # A function that empties the folder before it writes there leaves nothing to ship.
        if is_stale and not file.module and file.path.exists():
            log.warning(
                f"`{file.tree}` was not written by this training. It ships as a source file of the "
                f"project, since hatchling selects it: delete it, or have git ignore it."
            )


def _warn_of_shared_folder(
    training: TrainingSettings, files: Sequence[SourceFile], folder: PurePosixPath, log: Log
) -> None:
    """Warn of artifacts that land beside all packages of an environment: a module has no folder."""
    package = folder.parts[0]
    if not any(file.module and file.wheel.parts[0] == package for file in files):
        log.warning(
            f"the model ships as `{folder}` at the top of whatever environment the wheel is "
            f"installed to, where another wheel may have a folder of that name. Make a package of "
            f"the module, or set {training.key}.artifacts to a folder with a name of its own."
        )
