"""Training: a request, a child process that carries it out, and its result."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.utils import get_reproducible_timestamp

from hatch_model._frontend import FrontendGoneError
from hatch_model._training._process import RunProcess, run_process
from hatch_model.errors import (
    DiedError,
    ExitedError,
    FunctionNotFoundError,
    MetricError,
    ModuleNotFoundInTrainingError,
    NotCallableError,
    OrphanedError,
    RaisedError,
    SignatureError,
    TrainingError,
    UnsavableModelError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from hatch_model._settings import ObjectReference

_CHILD = Path(__file__).parent / "child" / "run_training.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to train, and where."""

    key: str
    """The full dotted key of the settings, for messages."""
    train: ObjectReference
    arguments: Mapping[str, Any]
    root: Path
    """The project root, which is the working directory."""
    modules: Collection[str]
    """The project's own modules, to suggest one where a name is misspelled."""
    python_path: Sequence[Path]
    artifacts_dir: Path
    """Where a function that does not take ``output_dir`` writes."""
    environment: Mapping[str, str]
    """Variables to set, beside those that the build runs with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of training."""

    metrics: Mapping[str, float]
    model_saved: bool
    """A model was returned and saved with joblib."""
    in_tree: bool
    """The artifacts are in the request's ``artifacts_dir`` rather than in ``output_dir``."""
    imported: Sequence[str]
    """The files of the modules that training imported."""
    path: Sequence[str]
    """The training process's ``sys.path``."""


def output_dir(workspace: Path) -> Path:
    """Say which folder of *workspace* is handed to a function that takes ``output_dir``."""
    return workspace / "artifacts"


def backup_dir(workspace: Path) -> Path:
    """Say where in *workspace* the artifacts folder is copied to before training writes there."""
    return workspace / "backup"


def train(
    request: Request,
    workspace: Path,
    emit: Callable[[str], None],
    run: RunProcess = run_process,
) -> Result:
    """Carry out *request* in a child process, with *workspace* (a folder) for the files between.

    Each line of the child's output goes to *emit*. Raises a TrainingError if it does not end in a
    model.
    """
    output_dir(workspace).mkdir()
    (workspace / "request.json").write_text(
        json.dumps(
            {
                "module": request.train.module,
                "attribute": request.train.attribute,
                "arguments": request.arguments,
                "output_dir": str(output_dir(workspace)),
                "artifacts_dir": str(request.artifacts_dir),
                "backup_dir": str(backup_dir(workspace)),
            }
        ),
        "utf-8",
    )
    try:
        returncode = run(
            [sys.executable, str(_CHILD), str(workspace)],
            cwd=request.root,
            environment=_environment(request),
            emit=emit,
        )
    except (FrontendGoneError, BrokenPipeError):  # nobody is there, or nobody listens
        raise OrphanedError(str(request.train)) from None
    return _read_result(request, workspace / "result.json", returncode)


def _environment(request: Request) -> dict[str, str]:
    environment = {
        # Two sources of difference between two trainings less: the order of sets, and the time,
        # which is the one that hatchling dates the wheel's files with.
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(get_reproducible_timestamp()),
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",  # the source tree stays as it was
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",  # for output that is seen as it is written, in one order
        **request.environment,
    }
    # As a variable rather than in the child's sys.path, so that whatever training starts in turn
    # (a launcher, a worker) imports the same modules.
    inherited = environment.get("PYTHONPATH")
    path = [*map(str, request.python_path), *([inherited] if inherited else [])]
    return {**environment, "PYTHONPATH": os.pathsep.join(path)}


def _read_result(request: Request, file: Path, returncode: int) -> Result:
    train = str(request.train)
    if not file.is_file():
        raise DiedError(train, returncode, returned=False)
    result: dict[str, Any] = json.loads(file.read_text("utf-8"))
    if result["outcome"] != "trained":
        raise _error(request, result)
    if returncode != 0:
        raise DiedError(train, returncode, returned=True)
    return Result(
        metrics=result["metrics"],
        model_saved=result["model_saved"],
        in_tree=result["in_tree"],
        imported=result["imported"],
        path=result["path"],
    )


def _error(request: Request, result: Mapping[str, Any]) -> TrainingError:
    """Turn an outcome of the child's protocol into the exception for it."""
    name, key = str(request.train), request.key
    errors: dict[str, Callable[[], TrainingError]] = {
        "module-not-found": lambda: ModuleNotFoundInTrainingError(
            name, key, result["module"], request.modules
        ),
        "attribute-not-found": lambda: FunctionNotFoundError(
            name, key, result["attribute"], result["candidates"]
        ),
        "not-callable": lambda: NotCallableError(name, key, result["type"]),
        "signature": lambda: SignatureError(name, key, result["signature"], result["reason"]),
        "raised": lambda: RaisedError(name, result["exception"]),
        "exited": lambda: ExitedError(name, result["code"]),
        "metric": lambda: MetricError(name, result["metric"], result["value"]),
        "unsavable": lambda: UnsavableModelError(name, result["type"], result["reason"]),
    }
    return errors[result["outcome"]]()
