"""What goes with a trained model into its wheel, and the check of the finished wheel."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model._checking import run_check
from hatch_model._checking._source_tree import SourceTree
from hatch_model._environment import InstalledEnvironment, imported_strangers
from hatch_model._git import commit_of
from hatch_model._record import FILE, file_of, make_record, to_bytes, with_check_result
from hatch_model._sources import shipped_files
from hatch_model._training._process import run_process
from hatch_model._wheel import exchange, unpack
from hatch_model.errors import (
    Problem,
    SettingsError,
    SourceTreeImportError,
    UndeclaredImportError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatchling.builders.wheel import WheelBuilder
    from packaging.utils import NormalizedName

    from hatch_model._build import Log, TrainedModel
    from hatch_model._environment import Pins
    from hatch_model._git import Commit
    from hatch_model._record import File
    from hatch_model._settings import ObjectReference, TrainingSettings
    from hatch_model._training._process import RunProcess


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What a model is made of, as it was before training, which may change the tree."""

    commit: Commit | None
    inputs: Sequence[File]
    lock: File | None


def origin_of(training: TrainingSettings, root: Path) -> Origin:
    """Look at the tree at *root*. Raises SettingsError for inputs that are not there."""
    return Origin(
        commit=commit_of(root),
        inputs=_inputs(training, root),
        lock=file_of(str(training.lock), root / training.lock) if training.lock else None,
    )


def record_of(
    trained: TrainedModel,
    origin: Origin,
    training: TrainingSettings,
    pins: Pins,
    *,
    builder: WheelBuilder,
    build_data: Mapping[str, Any],
) -> dict[str, Any]:
    """Put together the record of what *builder* is going to put into a wheel."""
    shipped = sorted(shipped_files(builder, build_data).items())
    written = {artifact.source for artifact in trained.artifacts}
    return make_record(
        training,
        pins,
        InstalledEnvironment(trained.result.path),
        project=(builder.metadata.name, builder.metadata.version),
        metrics=trained.result.metrics,
        inputs=origin.inputs,
        sources=[file_of(str(path), file) for path, file in shipped if file not in written],
        artifacts=[file_of(str(path), file) for path, file in shipped if file in written],
        lock=origin.lock,
        commit=origin.commit,
    )


def _inputs(training: TrainingSettings, root: Path) -> list[File]:
    """Read the declared inputs. Raises SettingsError for patterns that match no file."""
    found: set[Path] = set()
    problems = []
    for index, pattern in enumerate(training.inputs):
        matched = {path for path in root.glob(pattern) if path.is_file()}
        if not matched:
            key = f"{training.key}.inputs[{index}]"
            problems.append(Problem(key, expected="to match a file", found=pattern))
        found |= matched
    if problems:
        raise SettingsError(problems)
    return [file_of(path.relative_to(root).as_posix(), path) for path in sorted(found)]


def check_wheel(
    wheel: Path,
    check: ObjectReference,
    record: Mapping[str, Any],
    pins: Pins,
    trained: TrainedModel,
    *,
    project: NormalizedName,
    root: Path,
    workspace: Path,
    log: Log,
    run: RunProcess = run_process,
) -> None:
    """Call *check* from *wheel*, unpacked in *workspace*, and add what it returned to the record.

    Raises CheckFailedError, CheckDiedError, UndeclaredImportError and SourceTreeImportError.
    """
    tree = SourceTree(root, project, InstalledEnvironment(trained.result.path), workspace)
    unpacked = workspace / "wheel"
    unpack(wheel, unpacked)
    log.info(f"checking the wheel with {check}")
    elsewhere = workspace / "check"
    elsewhere.mkdir()
    result = run_check(
        check,
        elsewhere,
        log.output,
        python=sys.executable,
        folder=unpacked,
        hidden=tree.entries(trained.result.path),
        run=run,
    )
    from_tree = [file for file in map(Path, result.imported) if tree.holds(file)]
    if from_tree:
        raise SourceTreeImportError(str(check), sorted(map(tree.relative, from_tree)))
    known = {project, *pins.closure.distributions}
    strangers = imported_strangers(result.imported, InstalledEnvironment(result.path), known)
    if strangers:
        raise UndeclaredImportError(str(check), strangers, pins.policy.key)
    if result.is_recordable:
        (info,) = (path.name for path in unpacked.iterdir() if path.name.endswith(".dist-info"))
        content = to_bytes(with_check_result(record, result.returned))
        exchange(wheel, {f"{info}/extra_metadata/{FILE}": content})
