"""One build of a model, from the settings to the artifacts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from packaging.utils import canonicalize_name

from hatch_model._artifacts import Artifact, Snapshot, restore, snapshot, written
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
from hatch_model._sources import source_files, training_tree, wheel_path
from hatch_model._training import Request, backup_dir, output_dir, train
from hatch_model._training._process import run_process
from hatch_model.errors import NothingWrittenError, PinsChangedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatchling.builders.wheel import WheelBuilder
    from packaging.utils import NormalizedName

    from hatch_model._environment import Pins
    from hatch_model._settings import ModelSettings, TrainingSettings
    from hatch_model._sources import SourceFile, TrainingTree
    from hatch_model._training import Result
    from hatch_model._training._process import RunProcess


class Log(Protocol):
    """Where a build says what it does."""

    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def output(self, line: str) -> None:
        """Pass on a line that training printed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """A model that has been trained and checked."""

    artifacts: Sequence[Artifact]
    tree: TrainingTree
    result: Result


def train_model(
    model: ModelSettings,
    training: TrainingSettings,
    pins: Pins,
    builder: WheelBuilder,
    *,
    workspace: Path,
    log: Log,
    run: RunProcess = run_process,
) -> TrainedModel:
    """Train in *workspace*, an empty folder, and check that *pins* are what it was trained with.

    Where anything fails, the source tree is as it was before.
    """
    _check_groups_are_installed(training)
    files = source_files(builder)
    tree = training_tree(training, files, builder, workspace / "tree")
    request = Request(
        key=training.key,
        train=training.train,
        arguments=training.arguments,
        root=Path(builder.root),
        python_path=tree.python_path,
        artifacts_dir=tree.artifacts_dir,
        environment=training.environment,
        modules=[file.module for file in files if file.module],
    )
    log.info(f"training with {training.train}")
    with _untouched_on_failure(tree.artifacts_dir, workspace) as before:
        result = train(request, workspace, log.output, run)
        if result.in_tree:
            artifacts = written(tree.artifacts_dir, before)
        else:
            artifacts = written(output_dir(workspace))
        if not artifacts:
            raise NothingWrittenError(str(training.train), training.key, str(tree.artifacts))
        project = canonicalize_name(builder.metadata.name)
        _check_pins(model, training, pins, builder, result)
        _check_gates(training, result, log)
        _warn_of_strangers(training, pins, project, result, log)
        _warn_of_stale_files(files, tree, artifacts, log)
        _warn_of_shared_folder(training, files, wheel_path(builder, tree.artifacts), log)
    return TrainedModel(artifacts=artifacts, tree=tree, result=result)


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


def _check_pins(
    model: ModelSettings,
    training: TrainingSettings,
    pins: Pins,
    builder: WheelBuilder,
    result: Result,
) -> None:
    """Read the environment anew, as the training process saw it, and compare."""
    trained_with = pins_of(model, training, builder.root, builder.metadata.name, result.path)
    if not same_lines(pins.lines, trained_with.lines):
        raise PinsChangedError(pins.lines, trained_with.lines)


def _check_gates(training: TrainingSettings, result: Result, log: Log) -> None:
    rows = compare(result.metrics, training.gates)
    enforce(rows)
    if rows:
        for line in table(rows):
            log.info(line)


def _warn_of_strangers(
    training: TrainingSettings, pins: Pins, project: NormalizedName, result: Result, log: Log
) -> None:
    """Warn of packages that training could import only because the build tools brought them."""
    environment = InstalledEnvironment(result.path)
    for_training = closure_of(
        training.groups, environment, marker_environment(), project=project, strict=False
    )
    known = {project, *pins.closure.distributions, *for_training.distributions}
    for name in imported_strangers(result.imported, environment, known):
        log.warning(
            f"training imported {name}, which is in the training environment only because the "
            f"build tools brought it. Add it to {pins.policy.key}.dependencies if the model needs "
            f"it to predict, or else to a group in {training.key}.dependency-groups."
        )
    if result.model_saved and "joblib" not in pins.closure.distributions:
        log.warning(
            f"the model was saved with joblib, which the wheel does not require. Add it to "
            f"{pins.policy.key}.dependencies, so that the model can be loaded."
        )


def _warn_of_stale_files(
    files: Sequence[SourceFile], tree: TrainingTree, artifacts: Sequence[Artifact], log: Log
) -> None:
    """Warn of files in the artifacts folder that ship although this training did not write them."""
    fresh = {tree.artifacts / artifact.path for artifact in artifacts}
    for file in files:
        is_stale = file.tree.is_relative_to(tree.artifacts) and file.tree not in fresh
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
