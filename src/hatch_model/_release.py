"""What goes with a trained model into its wheel, and the check of the finished wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model._checking import run_check
from hatch_model._environment import InstalledEnvironment, imported_strangers
from hatch_model._git import commit_of
from hatch_model._record import FILE, file_of, make_record, to_bytes, with_check_result
from hatch_model._sources import wheel_path
from hatch_model._training._process import run_process
from hatch_model._wheel import exchange, unpack
from hatch_model.errors import (
    Problem,
    SettingsError,
    SourceTreeImportError,
    UndeclaredImportError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchling.builders.wheel import WheelBuilder
    from packaging.utils import NormalizedName

    from hatch_model._build import Log, TrainedModel
    from hatch_model._environment import Pins
    from hatch_model._record import File
    from hatch_model._settings import ObjectReference, TrainingSettings
    from hatch_model._training._process import RunProcess


def record_of(
    trained: TrainedModel, training: TrainingSettings, pins: Pins, builder: WheelBuilder
) -> dict[str, Any]:
    """Put together the record of what *builder* is going to put into a wheel."""
    root = Path(builder.root)
    artifacts = [
        file_of(str(wheel_path(builder, trained.tree.artifacts / each.path)), each.source)
        for each in trained.artifacts
    ]
    replaced = {file.path for file in artifacts}
    sources = [
        file_of(str(each.wheel), each.path)
        for each in trained.sources
        if str(each.wheel) not in replaced
    ]
    return make_record(
        training,
        pins,
        InstalledEnvironment(trained.result.path),
        project=(builder.metadata.name, builder.metadata.version),
        metrics=trained.result.metrics,
        inputs=_inputs(training, root),
        sources=sorted(sources, key=lambda file: file.path),
        artifacts=artifacts,
        lock=file_of(str(training.lock), root / training.lock) if training.lock else None,
        commit=commit_of(root),
    )


def _inputs(training: TrainingSettings, root: Path) -> list[File]:
    """Read the declared inputs. Raises SettingsError for a pattern that matches no file."""
    found: set[Path] = set()
    for index, pattern in enumerate(training.inputs):
        matched = {path for path in root.glob(pattern) if path.is_file()}
        if not matched:
            key = f"{training.key}.inputs[{index}]"
            raise SettingsError([Problem(key, expected="to match a file", found=pattern)])
        found |= matched
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
        hidden=[root, *trained.tree.python_path],
        run=run,
    )
    from_tree = sorted(
        file.relative_to(root).as_posix()
        for file in map(Path, result.imported)
        # A virtual environment in the project's folder is not the source tree.
        if file.is_relative_to(root) and "site-packages" not in file.parts
    )
    if from_tree:
        raise SourceTreeImportError(str(check), from_tree)
    known = {project, *pins.closure.distributions}
    strangers = imported_strangers(result.imported, InstalledEnvironment(result.path), known)
    if strangers:
        raise UndeclaredImportError(str(check), strangers, pins.policy.key)
    if result.is_recordable:
        (info,) = (path.name for path in unpacked.iterdir() if path.name.endswith(".dist-info"))
        content = to_bytes(with_check_result(record, result.returned))
        exchange(wheel, {f"{info}/extra_metadata/{FILE}": content})
