"""Run a training function in a process of its own.

``python run_training.py FOLDER``, with the build environment's interpreter and standard input
connected to the build, which closes it by ending. Everything is said through files in FOLDER:

request.json (read)
    ``module``, ``attribute``
        The object reference of the training function.
    ``arguments``
        Its keyword arguments.
    ``output_dir``
        The folder, empty, for a function that takes a parameter of this name.
    ``artifacts_dir``
        The folder in the source tree that any other function writes to; it may not exist.
    ``backup_dir``
        Where to copy ``artifacts_dir`` to before such a function runs; it does not exist, and
        its existence says that one has run.

result.json (written, whole or not at all, just before the process ends)
    ``outcome``
        ``"trained"``, or what went wrong: ``"module-not-found"`` (with ``module``),
        ``"attribute-not-found"`` (``attribute``, ``candidates``), ``"not-callable"`` (``type``),
        ``"signature"`` (``signature``, ``reason``), ``"raised"`` (``exception``; its traceback went
        to standard error), ``"exited"`` (``code``), ``"metric"`` (``metric``, ``value``),
        ``"unsavable"`` (``type``, ``reason``).
    ``metrics``
        The metrics that were returned, by name.
    ``model_saved``
        Whether a model was returned and saved here, with joblib, as ``model.joblib``.
    ``in_tree``
        Whether the function wrote to ``artifacts_dir`` rather than to ``output_dir``.
    ``imported``
        The files of the modules that training imported.

    These four only if it trained, and always:

    ``path``
        ``sys.path`` at the end.

This script stands alone in its folder, so that no neighbour can shadow a module of the user's, and
imports nothing outside of the standard library before training is over.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import json
import math
import numbers
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

_ABSENT = object()
_MODEL_FILE = "model.joblib"


class _Failure(Exception):  # noqa: N818 - an outcome of the protocol, not an error of this script
    def __init__(self, outcome: str, **details: object) -> None:
        super().__init__(outcome)
        self.result = {"outcome": outcome, **details}


def main(folder: Path) -> None:
    _end_with_the_build(folder)
    request = json.loads((folder / "request.json").read_text("utf-8"))
    _leave_no_trace_of_this_script()
    try:
        result = _train(request)
    except _Failure as failure:
        result = failure.result
    entries: list[Any] = [*sys.path]  # Python passes over what is no string, and so does this
    result["path"] = [entry for entry in entries if isinstance(entry, str)]
    _write(folder / "result.json", result)


def _end_with_the_build(folder: Path) -> None:
    """End this process, and what it started, as soon as the build is gone without a word."""
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        if os.read(pipe, 1) == b"":
            shutil.rmtree(folder, ignore_errors=True)
            if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
                os.killpg(os.getpgrp(), 9)
            os._exit(1)

    threading.Thread(target=watch, name="hatch-model-watch", daemon=True).start()


def _leave_no_trace_of_this_script() -> None:
    """Take its folder off ``sys.path``, where Python put it, and its argument off ``sys.argv``."""
    del sys.argv[1:]
    own = Path(__file__).parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry) != own]


def _train(request: dict[str, Any]) -> dict[str, Any]:
    own_modules = set(sys.modules)
    function = _load(request["module"], request["attribute"])
    # What is imported by now stays until the end. To look through it for garbage then, as an
    # interpreter does that exits, takes a good part of a second with scikit-learn.
    gc.freeze()
    arguments = dict(request["arguments"])
    in_tree = "output_dir" not in _parameters(function)
    target = Path(request["artifacts_dir" if in_tree else "output_dir"])
    if not in_tree:
        arguments["output_dir"] = target
    _check_arguments(function, arguments)
    if in_tree:
        _back_up(target, Path(request["backup_dir"]))
    model, metrics = _model_and_metrics(_guarded(lambda: function(**arguments)))
    imported = _imported_files(own_modules)
    metrics = {_metric_name(name, value): _number(name, value) for name, value in metrics.items()}
    if model is not None:
        target.mkdir(parents=True, exist_ok=True)
        _save(model, target / _MODEL_FILE)
    return {
        "outcome": "trained",
        "metrics": metrics,
        "model_saved": model is not None,
        "in_tree": in_tree,
        "imported": imported,
    }


def _back_up(folder: Path, backup: Path) -> None:
    if folder.is_dir():
        shutil.copytree(folder, backup, symlinks=True, ignore=_special_files)
    else:
        backup.mkdir(exist_ok=True)


def _special_files(folder: str, names: list[str]) -> list[str]:
    """Name what has no content to copy: pipes, sockets and devices."""
    paths = [Path(folder, name) for name in names]
    return [
        path.name for path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())
    ]


def _load(module: str, attribute: str) -> Any:
    try:
        target: Any = _guarded(lambda: importlib.import_module(module), absent=module)
    except ModuleNotFoundError as error:
        raise _Failure("module-not-found", module=error.name) from None
    for name in attribute.split("."):
        found = _guarded(partial(getattr, target, name, _ABSENT))
        if found is _ABSENT:
            candidates = [each for each in dir(target) if callable(getattr(target, each, None))]
            raise _Failure("attribute-not-found", attribute=name, candidates=candidates)
        target = found
    if not callable(target):
        raise _Failure("not-callable", type=_type_name(target))
    return target


def _guarded(call: Any, absent: str = "") -> Any:
    """Run the user's code; nothing that it raises gets further than this.

    Only a ModuleNotFoundError for *absent*, or a package around it, is let through.
    """
    try:
        return call()
    except SystemExit as error:
        code = "" if error.code is None else repr(error.code)
        raise _Failure("exited", code=code) from None
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and f"{absent}.".startswith(f"{error.name}."):
            raise
        _print_traceback(error)
        exception = "".join(traceback.format_exception_only(type(error), error)).strip()
        raise _Failure("raised", exception=exception) from None


def _print_traceback(error: BaseException) -> None:
    """Print the traceback from the user's first line on."""
    frames = error.__traceback__
    own = (__file__, importlib.__file__)
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if file not in own and not file.startswith("<frozen importlib"):
            break
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # some callables of extension modules tell nothing of themselves
        return {}


def _check_arguments(function: Any, arguments: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise _Failure("signature", signature=str(signature), reason=str(error)) from None


def _model_and_metrics(returned: Any) -> tuple[Any, Mapping[Any, Any]]:
    """Tell a model from metrics: a mapping is metrics, any other object is the model."""
    if isinstance(returned, tuple) and len(returned) == 2:  # noqa: PLR2004 - a pair
        first, second = returned
        if isinstance(second, Mapping):
            return first, second
        if isinstance(first, Mapping):
            return second, first
    if isinstance(returned, Mapping):
        return None, returned
    return returned, {}


def _metric_name(name: Any, value: Any) -> str:
    if not isinstance(name, str):
        raise _Failure("metric", metric=repr(name), value=repr(value))
    return name


def _number(name: Any, value: Any) -> int | float:
    """Give *value* as JSON can hold it; NumPy's scalars are numbers, a truth value is not."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if not isinstance(value, bool):
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, numbers.Real) and math.isfinite(value):
            return float(value)
    raise _Failure("metric", metric=repr(name), value=repr(value))


def _save(model: Any, file: Path) -> None:
    import joblib  # noqa: PLC0415 - only once training is over

    try:
        joblib.dump(model, file)
    except Exception as error:  # noqa: BLE001 - what pickling raises is up to the object
        reason = "".join(traceback.format_exception_only(type(error), error)).strip()
        raise _Failure("unsavable", type=_type_name(model), reason=reason) from None


def _type_name(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _imported_files(before: set[str]) -> list[str]:
    """List the files of the modules that were imported since *before*."""
    files = {_file_of(module) for name, module in list(sys.modules.items()) if name not in before}
    return sorted(files - {__file__, ""})  # multiprocessing gives this script a second name


def _file_of(module: Any) -> str:
    try:
        file = getattr(module, "__file__", None)
    except Exception:  # noqa: BLE001 - a module may load itself only now, and fail
        return ""
    return file if isinstance(file, str) else ""


def _write(file: Path, result: dict[str, Any]) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(result), "utf-8")
    partial.replace(file)


if __name__ == "__main__":  # multiprocessing's spawn imports this file once more
    main(Path(sys.argv[1]))
