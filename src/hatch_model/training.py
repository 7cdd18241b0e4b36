"""Run the user's training function or script in a separate process."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatchling.builders.utils import get_reproducible_timestamp

from hatch_model.entry_point import Script
from hatch_model.errors import FrontendGoneError, HatchModelError
from hatch_model.layout import (
    INCLUDE_WHAT_IS_READ,
    SEARCHED,
    attribute_not_found,
    module_not_found,
)
from hatch_model.phase import is_unpacked_sdist
from hatch_model.process import RunProcess, call, how_it_ended
from hatch_model.workspace import remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from hatch_model.entry_point import EntryPoint


_IMPORT_ERROR = re.compile(r"(ModuleNotFoundError|ImportError|\S*PackageNotFoundError)\b")

_NO_FILE = re.compile(r"FileNotFoundError: .*: '(.+)'$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to train, and where."""

    key: str
    """The full dotted key of the settings, for messages."""
    declared_in: str
    """That of the model's requirements."""
    train: EntryPoint
    arguments: Mapping[str, Any]
    root: Path
    """The project root, which is the working directory."""
    modules: Collection[str]
    """The project's own modules, to suggest one if a name is misspelled."""
    python_path: Sequence[Path]
    artifacts_dir: Path
    """Where in the tree a script, or a function without the parameter ``output_dir``, writes."""
    environment: Mapping[str, str]
    """Variables to set, in addition to the build's own."""
    parallel: Mapping[str, Any] | None = None
    """The engine that joblib runs on, as :mod:`hatch_model.engines.engine` takes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The result of training."""

    output_dir: Path
    """The folder with the files that training wrote."""
    report_dir: Path
    """The folder with those that people look at, unless training removed it."""
    metrics: Mapping[str, float]
    model_saved: bool
    """A model was returned and saved with joblib."""
    imported: Sequence[str]
    """The files of the modules that training imported."""
    top_level: Mapping[str, str]
    """The files of the top-level modules among them, by name."""
    path: Sequence[str]
    """The training process's ``sys.path``."""
    environment: Sequence[tuple[str, str]] | None = None
    """The distributions where training ran, by name and version; None for this environment's."""


def train(
    request: Request,
    workspace: Path,
    emit: Callable[[str], None],
    run: RunProcess | None = None,
) -> Result:
    """Carry out *request* in a child process. *workspace* is a folder for exchanged files.

    Each line of the child's output goes to *emit*. The source tree is always restored. Raises
    HatchModelError if the result is not a model.
    """
    folders = {"output_dir": workspace / "artifacts", "report_dir": workspace / "report"}
    for folder in folders.values():
        folder.mkdir()
    result, returncode = _call(request, workspace, folders, emit, run)
    if result is None:
        raise _died(request, returncode, when="before")
    if result["outcome"] != "returned":
        raise HatchModelError(_message(request, result))
    if returncode != 0:
        raise _died(request, returncode, when="after")
    return Result(
        output_dir=folders["output_dir"],
        report_dir=folders["report_dir"],
        metrics=result["metrics"],
        model_saved=result["model_saved"],
        imported=result["imported"],
        top_level=result["top_level"],
        path=result["path"],
        environment=result.get("environment"),
    )


def _call(
    request: Request,
    workspace: Path,
    folders: Mapping[str, Path],
    emit: Callable[[str], None],
    run: RunProcess | None,
) -> tuple[dict[str, Any] | None, int]:
    """Return the child's result and exit code; see :func:`hatch_model.process.call`."""
    try:
        return call(
            {
                "task": "train",
                **_what_to_run(request),
                "parallel": request.parallel,
                **{name: str(folder) for name, folder in folders.items()},
                "artifacts_dir": str(request.artifacts_dir),
                "scratch": str(workspace),
            },
            workspace,
            cwd=request.root,
            environment=_environment(request),
            emit=emit,
            run=run,
        )
    except FrontendGoneError:
        raise HatchModelError(
            f"the build frontend is gone, so {request.train} was stopped"
        ) from None
    finally:
        # A child that was killed has not restored the tree.
        for parent in request.artifacts_dir.parents:
            if parent.is_dir():
                remove_abandoned(parent)
                break


def _what_to_run(request: Request) -> dict[str, Any]:
    train = request.train
    if isinstance(train, Script):
        line = train.command_line(request.arguments)
        return {"module": None, "attribute": None, "script": str(train), "arguments": line}
    reference = {"module": train.module, "attribute": train.attribute}
    return {**reference, "arguments": request.arguments}


def _environment(request: Request) -> dict[str, str]:
    environment = {
        # Remove two sources of nondeterminism: the order of sets, and the time. The time is the one
        # that hatchling gives to the files in the wheel.
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(get_reproducible_timestamp()),
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",  # leave the source tree unchanged
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",  # show output immediately and in one order
        **request.environment,
    }
    # Set as a variable rather than in the child's sys.path, so that processes that training starts
    # (a launcher, a worker) import the same modules.
    inherited = environment.get("PYTHONPATH")
    path = [*map(str, request.python_path), *([inherited] if inherited else [])]
    return {**environment, "PYTHONPATH": os.pathsep.join(path)}


def _died(request: Request, returncode: int, *, when: str) -> HatchModelError:
    advice = ""
    if sys.platform != "win32" and returncode == -9:  # noqa: PLR2004 - SIGKILL
        advice = " SIGKILL often means that the machine ran out of memory."
    if returncode == 1 and request.parallel and request.parallel["backend"] == "ray":
        advice = " Ray ends a process that has lost its cluster. Look at the logs of Ray."
    done = "script had ended" if isinstance(request.train, Script) else "function had returned"
    return HatchModelError(
        f"training failed: the process that ran {request.train} {how_it_ended(returncode)} {when} "
        f"the {done}.{advice}"
    )


def _message(request: Request, result: Mapping[str, Any]) -> str:
    """Return the message for an outcome of the child's protocol."""
    train, key = request.train, request.key
    if isinstance(train, Script):
        return _message_of_script(request, train, result)
    outcomes: dict[str, Callable[[], str]] = {
        "module-not-found": lambda: module_not_found(
            train, f"{key}.train", result["module"], request.modules, places=SEARCHED
        ),
        "attribute-not-found": lambda: attribute_not_found(
            train, f"{key}.train", result["attribute"], result["candidates"]
        ),
        "not-callable": lambda: (
            f"{key}.train is `{train}`, but that is not an ordinary function: it is of type "
            f"`{result['type']}`."
        ),
        "signature": lambda: (
            f"{train} cannot be called with {key}.arguments: {result['reason']}. Its signature is "
            f"`{result['signature']}`."
        ),
        "raised": lambda: _raised(request, result),
        "exited": lambda: (
            f"training failed: {train} called sys.exit({result['code']}). Return from the function "
            f"when it is done, and raise an exception if it fails."
        ),
        "metric": lambda: _no_metric(train, result),
        "no-model": lambda: _no_model(train, result),
        "unsavable": lambda: _unsavable(train, result),
        "twice": lambda: (
            f"{train} wrote `model.joblib` and also returned a model, which is saved under that "
            f"name. Do only one of these."
        ),
        "no-output-dir": lambda: (
            f"{key}.parallel.offload: {train} does not take `output_dir`, so what it writes on a "
            f"worker would be lost. Give it that parameter, and have it write the model there."
        ),
        "refused": lambda: str(result["message"]),
    }
    return outcomes[result["outcome"]]()


def _message_of_script(request: Request, script: Script, result: Mapping[str, Any]) -> str:
    line = shlex.join(["python", *script.command_line(request.arguments)])
    outcomes: dict[str, Callable[[], str]] = {
        "raised": lambda: _raised(request, result),
        "exited": lambda: (
            f"training failed: {script} called sys.exit({result['code']}). It was run as `{line}`."
        ),
        "metric": lambda: (
            f"{script} wrote a `metrics.json` with {result['metric']}: {result['value']}, but "
            f"metrics must map names to finite numbers. Leave it out, or write it to another file "
            f"of the report."
        ),
        "metrics-file": lambda: (
            f"{script} wrote a `metrics.json` that cannot be used: {result['reason']}. Metrics "
            f"must map names to finite numbers."
        ),
        "main": lambda: (
            f"{script} wrote `{result['file']}`, which refers to "
            f"{', '.join(f'`__main__.{name}`' for name in result['names'])}. This is there only "
            f"while the script runs, so nobody could load the model. Move the definition to a "
            f"module of the package, and import it from there."
        ),
        "refused": lambda: str(result["message"]),
    }
    return outcomes[result["outcome"]]()


def _raised(request: Request, result: Mapping[str, Any]) -> str:
    return (
        f"training failed: {request.train} raised {result['exception']}"
        f"{_missing_package(request, result)}{_missing_file(request, result['exception'])}"
    )


def _no_metric(train: EntryPoint, result: Mapping[str, Any]) -> str:
    advice = (
        "To save a mapping as the model, return it together with metrics: `return model, {}`."
        if result["in_model"]
        else "Leave it out, or write it to a file next to the model."
    )
    return (
        f"{train} returned a mapping with {result['metric']}: {result['value']}, but metrics must "
        f"map names to finite numbers. {advice}"
    )


def _unsavable(train: EntryPoint, result: Mapping[str, Any]) -> str:
    return (
        f"{train} returned an object of type `{result['type']}` that could not be saved with "
        f"joblib: {result['reason']}. Return one that can be pickled, or take `output_dir` and "
        f"write the model there in another format."
    )


def _no_model(train: EntryPoint, result: Mapping[str, Any]) -> str:
    if result["in_tuple"]:
        return (
            f"{train} returned a tuple with {result['value']} in it, which is neither a model nor "
            f"metrics. Return the model together with a mapping: "
            f'`return model, {{"accuracy": 0.97}}`.'
        )
    return (
        f"{train} returned {result['value']}, which is not a model. Return metrics as a mapping, "
        f'such as `{{"accuracy": 0.97}}`. If the function writes the model\'s files itself, '
        f"return only metrics or nothing."
    )


def _missing_package(request: Request, result: Mapping[str, Any]) -> str:
    """Say where a package belongs that training did not find: a frontend may say something else."""
    own = {module.partition(".")[0] for module in request.modules}
    modules = sorted({name.partition(".")[0] for name in result["modules"]} - own)
    if not modules or not _IMPORT_ERROR.match(result["exception"]):
        return ""
    return (
        f". {', '.join(f'`{each}`' for each in modules)} is not in the training environment. Add "
        f"the package to {request.declared_in} if the model needs it to predict, or else to a "
        f"group in {request.key}.dependency-groups, and not to build-system.requires."
    )


def _missing_file(request: Request, exception: str) -> str:
    """Say what an sdist lacks, where training does not find a file of the project in it."""
    match = _NO_FILE.match(exception)
    is_sdist = is_unpacked_sdist(request.root)
    if not match or not is_sdist or not (request.root / match[1]).is_relative_to(request.root):
        return ""
    path = (request.root / match[1]).relative_to(request.root).as_posix()
    return f". `{path}` is not in this source distribution, {INCLUDE_WHAT_IS_READ}."
