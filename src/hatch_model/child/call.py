"""Run what the user wrote in a separate process: a training function or script, or a check.

``python call.py FOLDER``, with standard input connected to the parent process, which keeps it open
until it ends. All data is exchanged through files in FOLDER:

request.json (read)
    ``task``
        ``"train"`` or ``"check"``.
    ``module``, ``attribute``
        The object reference of the function. A check may have none (``null``).
    ``scratch``
        The folder to remove if the parent process is killed.

    For training:

    ``script`` (optional)
        The path of a script to run as ``__main__`` instead of a function. The environment variables
        ``HATCH_MODEL_OUTPUT_DIR`` and ``HATCH_MODEL_REPORT_DIR`` tell it the two folders below.
    ``arguments``, ``parallel``
        The function's keyword arguments, or the ``sys.argv`` of a script; and the engine that
        joblib runs on (see hatch_model.engines.engine) or ``null``.
    ``output_dir``
        An empty folder for the model. It is passed to a function that has a parameter of this name.
    ``report_dir``
        Likewise, for files that people look at. A script may write its metrics there, to
        ``metrics.json``.
    ``is_offloaded`` (optional)
        This is a worker of a cluster, without hatch_model, so a function must take ``output_dir``,
        and what a script writes elsewhere is lost.
    ``artifacts_dir``
        The folder of the source tree that any other function, or a script, writes to; it may not
        exist. New files in it are moved to ``output_dir``, and it is restored when this script
        ends.

    For a check, which is called without arguments:

    ``models``
        Files to load with joblib first, each with whether loading must succeed. A model that needs
        a missing module or class is always a failure.
    ``predict`` (optional)
        ``module`` and ``attribute`` of a function to describe after that.
    ``hidden``
        What must not be found, as in an environment without it: ``files`` and ``folders``, which
        map paths to the name of the distribution that they belong to ("" for the source tree);
        ``shown``, folders within these that can be found nevertheless; and ``distributions``, each
        by location and normalized name.

result.json (written atomically, just before the process ends)
    ``outcome``
        ``"returned"``, or what went wrong: ``"module-not-found"`` (with ``module``),
        ``"attribute-not-found"`` (``attribute``, ``candidates``), ``"not-callable"`` (``type``),
        ``"signature"`` (``signature``, ``reason``), ``"raised"`` (``exception`` and ``modules``,
        those that were not found; its traceback went to standard error), ``"exited"`` (``code``),
        ``"no-model"`` (``value``, which nobody trains, and ``in_tuple``, whether it was returned
        with others), ``"metric"`` (``metric``, ``value``, and ``in_model``, whether the mapping may
        well be a model), ``"unsavable"`` (``type``, ``reason``), ``"twice"`` (a model was returned
        and written, too), ``"unloadable"`` (``file``, ``reason``, ``modules``, and
        ``unknown``, what it refers to and is not there), ``"no-output-dir"``, ``"refused"``
        (``message``). Of a script also ``"metrics-file"`` (``reason``), and ``"main"`` (``file``,
        relative to ``output_dir``, and ``names``, what a pickle there refers to in the script
        itself).
    ``path``
        ``sys.path`` at the end.
    ``metrics``, ``model_saved``, ``imported``, ``top_level``
        For training: the metrics, by name; whether a model was returned and saved
        with joblib, as ``model.joblib``; the files of the modules that were imported; those of the
        top-level modules that are not Python's own, by name.
    ``value``
        For a check: the return value, if it can be stored as JSON.
    ``predict``
        For a check: what hatch_model.checking.described returns of that function.
    ``subject``
        For a check that failed: ``"check"``, or ``"predict"``.
    ``missed``
        For a check: the hidden names that it looked for, each with a distribution's name and a
        path.

This script is the only file in its folder, so that no other file can shadow a module of the user.
Before the user's code is done, it only imports the standard library, and the parts of hatch_model
that run an engine, or that protect the source tree if a function writes to it. What only a check
needs is in hatch_model/checking.py and hatch_model/pickles.py.
"""

from __future__ import annotations

import builtins
import functools
import gc
import importlib
import inspect
import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

_ABSENT = object()
_MODEL_FILE = "model.joblib"
_LONGEST = 200  # characters of a value in a message
_at_end: list[Any] = []
"""What to call before this process ends because its parent is gone."""
_own_files = [__file__, importlib.__file__]
"""Whose frames are not the user's."""
_own_errors: list[Any] = []  # which the user's code only passes on


class _Failure(Exception):  # noqa: N818 - an outcome of the protocol, not an error of this script
    def __init__(self, outcome: str, **details: object) -> None:
        super().__init__(outcome)
        self.result = {"outcome": outcome, **details}


def main(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text("utf-8"))
    _end_with_the_build(Path(request["scratch"]))
    _leave_no_trace_of_this_script()
    try:
        result = (_train if request["task"] == "train" else _check)(request)
    except _Failure as failure:
        result = failure.result
    # Python ignores entries that are not strings, and so does this.
    entries: list[Any] = [*sys.path]
    result["path"] = [entry for entry in entries if isinstance(entry, str)]
    try:
        _write(folder / "result.json", result)
    except OSError as error:
        message = (
            f"the result of {_name_of(request)} cannot be written to {folder}: "
            f"{error.strerror}. Make room, or set TMPDIR to another folder."
        )
        try:  # A shorter one may still fit.
            _write(folder / "result.json", {"outcome": "refused", "message": message})
        except OSError:
            sys.exit(message)


def _name_of(request: dict[str, Any]) -> str:
    return request.get("script") or f"{request['module']}:{request['attribute']}"


def _end_with_the_build(scratch: Path) -> None:
    """End this process, and those that it started, as soon as its parent has been killed."""
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        if os.read(pipe, 1) == b"":
            for tidy_up in _at_end:
                tidy_up()
            shutil.rmtree(scratch, ignore_errors=True)
            if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
                os.killpg(os.getpgrp(), 9)
            os._exit(1)

    threading.Thread(target=watch, name="hatch-model-watch", daemon=True).start()


def _leave_no_trace_of_this_script() -> None:
    """Remove its folder from ``sys.path``, and its argument from ``sys.argv``."""
    del sys.argv[1:]
    own = Path(__file__).parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry) != own]


# Training


def _train(request: dict[str, Any]) -> dict[str, Any]:
    own_modules = set(sys.modules)
    if request["parallel"] is None:
        return _call_training(request, own_modules)
    from hatch_model.engines import engine  # noqa: PLC0415 - only for this option
    from hatch_model.errors import EngineError  # noqa: PLC0415 - as above

    _own_errors.append(EngineError)
    try:
        if request["parallel"]["offload"]:
            result = engine.offloaded(request, Path(__file__))
            if request.get("script") and result["outcome"] == "returned":
                _refuse_own_names(Path(request["output_dir"]))
            return result
        with engine.running(request["parallel"]):
            return _call_training(request, own_modules)
    except EngineError as error:
        raise _Failure("refused", message=str(error)) from None


def _call_training(request: dict[str, Any], own_modules: set[str]) -> dict[str, Any]:
    if request.get("script"):
        return _call_script(request, own_modules)
    function = _load_to_call(request["module"], request["attribute"])
    # Everything that is imported by now stays until the end. A garbage collection of it when the
    # interpreter exits would take a good part of a second with scikit-learn.
    gc.freeze()
    output_dir, artifacts_dir = Path(request["output_dir"]), Path(request["artifacts_dir"])
    folders = _parameters(function) & {"output_dir", "report_dir"}
    arguments = {**request["arguments"], **{name: Path(request[name]) for name in folders}}
    _check_arguments(function, arguments)
    if request.get("is_offloaded") and "output_dir" not in folders:
        raise _Failure("no-output-dir")
    with nullcontext() if "output_dir" in folders else _written_to(artifacts_dir, output_dir):
        returned = _guarded(lambda: function(**arguments))
    model, metrics = _model_and_metrics(returned)
    imported = _imported_files(own_modules)
    items = _guarded(lambda: list(metrics.items()))
    metrics = {name: _number(name, value, alone=model is None) for name, value in items}
    if model is not None:
        _save(model, output_dir / _MODEL_FILE)
    return {
        "outcome": "returned",
        "metrics": metrics,
        "model_saved": model is not None,
        "imported": imported,
        "top_level": _top_level_files(),
    }


def _call_script(request: dict[str, Any], own_modules: set[str]) -> dict[str, Any]:
    script = os.path.abspath(request["script"])  # noqa: PTH100 - as Python makes it
    output_dir, artifacts_dir = Path(request["output_dir"]), Path(request["artifacts_dir"])
    for name in ("output_dir", "report_dir"):
        os.environ[f"HATCH_MODEL_{name.upper()}"] = os.path.abspath(request[name])  # noqa: PTH100
    is_offloaded = bool(request.get("is_offloaded"))
    with nullcontext() if is_offloaded else _written_to(artifacts_dir, output_dir):
        _guarded(lambda: _run_as_main(script, request["arguments"]))
    gc.freeze()  # as for a function
    metrics = _metrics_in(Path(request["report_dir"]) / "metrics.json")
    imported = _imported_files(own_modules)
    if not is_offloaded:  # otherwise, this is done at home
        _refuse_own_names(output_dir)
    return {
        "outcome": "returned",
        "metrics": {name: _number(name, value, alone=False) for name, value in metrics.items()},
        "model_saved": False,
        "imported": sorted({*imported, script}),
        "top_level": _top_level_files(),
    }


def _run_as_main(script: str, argv: list[str]) -> None:
    """Run the file *script* as Python would. It may exit with the code 0."""
    main = ModuleType("__main__")
    main.__file__ = script
    main.__loader__ = SourceFileLoader("__main__", script)
    main.__dict__["__builtins__"] = builtins
    # It stays there: workers of multiprocessing and joblib import the file that they find here, and
    # pickles refer to it by this name.
    sys.modules["__main__"] = main
    sys.argv[:] = argv
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, str(Path(script).resolve().parent))
    code = compile(Path(script).read_bytes(), script, "exec", dont_inherit=True)
    try:
        exec(code, main.__dict__)  # noqa: S102 - this is what the build was asked for
    except SystemExit as error:
        if error.code is None or (isinstance(error.code, int) and error.code == 0):
            return
        if not isinstance(error.code, int):
            print(error.code, file=sys.stderr)  # noqa: T201 - as Python does
        raise


def _metrics_in(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        metrics = json.loads(file.read_bytes())
    except (OSError, RecursionError, ValueError) as error:
        raise _Failure("metrics-file", reason=f"it is not JSON: {error}") from None
    if not isinstance(metrics, dict):
        raise _Failure("metrics-file", reason=f"it holds {_described(metrics)}")
    return metrics


def _refuse_own_names(output_dir: Path) -> None:
    """Refuse pickles of what a script defines itself, which nobody but the script could load."""
    pickles = _module("pickles")
    for file in sorted(output_dir.rglob("*")):
        names = pickles.names_in_main(file) if file.is_file() else []
        if names:
            path = file.relative_to(output_dir).as_posix()
            raise _Failure("main", file=path, names=names)


class _written_to:  # noqa: N801 - a context manager, used as a function
    """Let a function write to the tree, and move the files to *output_dir*; see artifacts.py."""

    def __init__(self, folder: Path, output_dir: Path) -> None:
        from hatch_model import artifacts, errors  # noqa: PLC0415 - only if the tree is written to

        self._error = errors.HatchModelError
        try:
            self._loan = artifacts.Loan(folder)
        except self._error as error:
            raise _Failure("refused", message=str(error)) from None
        self._output_dir = output_dir
        _at_end.append(self._loan.end)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._loan.take_out(self._output_dir)
        except self._error as error:
            raise _Failure("refused", message=str(error)) from None
        finally:
            self._loan.end()
            _at_end.clear()


def _load(module: str, attribute: str) -> Any:
    try:
        target: Any = _guarded(lambda: importlib.import_module(module), absent=module)
    except ModuleNotFoundError as error:
        raise _Failure("module-not-found", module=error.name) from None
    for name in attribute.split("."):
        found = _guarded(functools.partial(getattr, target, name, _ABSENT))
        if found is _ABSENT:
            candidates = [each for each in dir(target) if callable(getattr(target, each, None))]
            raise _Failure("attribute-not-found", attribute=name, candidates=candidates)
        target = found
    if not callable(target):
        raise _Failure("not-callable", type=_type_name(target))
    return target


def _load_to_call(module: str, attribute: str) -> Any:
    function = _load(module, attribute)
    # Calling one of these runs nothing of it.
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise _Failure("not-callable", type="async function")
    if inspect.isgeneratorfunction(function):
        raise _Failure("not-callable", type="generator function")
    return function


def _guarded(call: Any, absent: str = "") -> Any:
    """Run the user's code and catch everything that it raises.

    Only a ModuleNotFoundError for *absent*, or a package around it, is raised.
    """
    try:
        return call()
    except SystemExit as error:
        code = "" if error.code is None else repr(error.code)
        raise _Failure("exited", code=code) from None
    except BaseException as error:
        # importlib.metadata also raises a ModuleNotFoundError, with a distribution's name.
        if isinstance(error, tuple(_own_errors)) or (
            isinstance(error, ModuleNotFoundError)
            and "PackageNotFoundError" not in {each.__name__ for each in type(error).__mro__}
            and f"{absent}.".startswith(f"{error.name}.")
        ):
            raise
        _print_traceback(error)
        exception = _last_line(error)
        raise _Failure("raised", exception=exception, modules=_not_found(error)) from None


def _last_line(error: BaseException) -> str:
    """Return the type and the message of *error*, as the last line of a traceback has them."""
    if isinstance(error, SyntaxError):  # has its lines of code before that
        return f"{type(error).__name__}: {error}"
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def _not_found(error: BaseException | None) -> list[str]:
    """Return the modules and distributions that *error*, or one that led to it, did not find."""
    names = []
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            names.append(error.name)
        error = error.__cause__ or error.__context__
    return names


def _print_traceback(error: BaseException) -> None:
    """Print the traceback, starting with the user's first line."""
    frames = error.__traceback__
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if file not in _own_files and not file.startswith("<frozen importlib"):
            break
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def _parameters(function: Any) -> set[str]:
    try:
        # Also of one behind functools.wraps: what that is called with is up to the wrapper.
        parameters = inspect.signature(function, follow_wrapped=False).parameters
        passes_on = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        return {*(inspect.signature(function).parameters if passes_on else parameters)}
    except ValueError:  # some callables of extension modules have no signature
        return set()


def _check_arguments(function: Any, arguments: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except ValueError:
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise _Failure("signature", signature=str(signature), reason=str(error)) from None


def _model_and_metrics(returned: Any) -> tuple[Any, Mapping[Any, Any]]:
    """Return the model and the metrics: a mapping is metrics, any other object is the model."""
    model: Any = returned
    metrics: Mapping[Any, Any] = {}
    if isinstance(returned, tuple) and len(returned) == 2:  # noqa: PLR2004 - a pair
        first, second = returned
        if isinstance(second, Mapping):
            model, metrics = first, second
        elif isinstance(first, Mapping):
            model, metrics = second, first
    elif isinstance(returned, Mapping):
        model, metrics = None, returned
    in_tuple = isinstance(model, tuple)
    for each in model if in_tuple else [model]:
        if _is_plain(each) or (in_tuple and each is None):
            raise _Failure("no-model", value=_described(each), in_tuple=in_tuple)
    return model, metrics


def _is_plain(value: Any) -> bool:
    """Say whether *value* is a number, a text or a path, which nobody trains."""
    is_scalar = hasattr(value, "item") and getattr(value, "ndim", None) == 0  # NumPy's, torch's
    return is_scalar or isinstance(value, (int, float, complex, str, os.PathLike))


def _number(name: Any, value: Any, *, alone: bool) -> int | float:
    """Convert the metric *value* for JSON; NumPy scalars are numbers, booleans are not.

    *alone* says whether the function returned nothing but metrics.
    """
    import math  # noqa: PLC0415 - not for a check
    import numbers  # noqa: PLC0415

    is_named = isinstance(name, str)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = _guarded(value.item)
    # A Decimal is a Number, but not a Real.
    is_number = not isinstance(value, bool) and isinstance(value, numbers.Number)
    if is_named and is_number:
        try:
            number = float(value)
        except (OverflowError, TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            return int(value) if isinstance(value, numbers.Integral) else number
    in_model = alone and not (is_named and (value is None or is_number or _is_plain(value)))
    raise _Failure("metric", metric=_described(name), value=_described(value), in_model=in_model)


def _described(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an integer of very many digits, or an object of the user
        return f"an object of type {_type_name(value)}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _save(model: Any, file: Path) -> None:
    import joblib  # noqa: PLC0415 - only once training is over

    if file.exists():
        raise _Failure("twice")
    try:
        joblib.dump(model, file)
    except Exception as error:  # noqa: BLE001 - pickling may raise anything, depending on the object
        reason = _last_line(error)
        raise _Failure("unsavable", type=_type_name(model), reason=reason) from None


def _type_name(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _imported_files(before: set[str]) -> list[str]:
    """List the files of modules imported since *before*, except those of hatch_model."""
    files = {
        _file_of(module)
        for name, module in list(sys.modules.items())
        if name not in before and not f"{name}.".startswith("hatch_model.")
    }
    return sorted(files - {__file__, ""})  # multiprocessing imports this script under a second name


def _top_level_files() -> dict[str, str]:
    """Map the top-level modules that are imported to their files, except Python's own."""
    files = {
        name: _file_of(module)
        for name, module in list(sys.modules.items())
        if "." not in name and name not in sys.stdlib_module_names
    }
    return {name: file for name, file in files.items() if file}


def _file_of(module: Any) -> str:
    try:
        file = getattr(module, "__file__", None)
    except Exception:  # noqa: BLE001 - a module may be loaded lazily only now, and fail
        return ""
    # torch.ops has a relative one, which does not exist.
    return file if isinstance(file, str) and os.path.isabs(file) else ""  # noqa: PTH117


# The check


def _check(request: dict[str, Any]) -> dict[str, Any]:
    checking = _module("checking")
    pickles = _module("pickles") if request["models"] else None
    missed = checking.hide(request["hidden"], _file_of)
    subject = "check"
    try:
        for path, is_needed in request["models"]:
            _load_model(path, pickles, is_needed=is_needed)
        returned = {}
        if request["module"] is not None:
            function = _load_to_call(request["module"], request["attribute"])
            returned = checking.recordable(_guarded(function))
        if request.get("predict"):
            subject = "predict"
            function = _load(request["predict"]["module"], request["predict"]["attribute"])
            returned["predict"] = _guarded(lambda: checking.described(function))
    except _Failure as failure:
        return {**failure.result, "missed": missed, "subject": subject}
    return {"outcome": "returned", **returned, "missed": missed}


def _module(name: str) -> Any:
    """Return a module of hatch_model that only imports the standard library.

    It is read from its file, because the interpreter of a check may not have hatch_model, and
    user's code must not find it imported.
    """
    file = str(Path(__file__).parents[1] / f"{name}.py")
    loader = SourceFileLoader(f"hatch_model.{name}", file)
    module = ModuleType(loader.name)
    code = loader.get_code(loader.name)
    assert code is not None  # noqa: S101 - for the type checker
    exec(code, module.__dict__)  # noqa: S102 - it is ours
    _own_files.append(file)
    return module


def _load_model(path: str, pickles: Any, *, is_needed: bool) -> None:
    unknown: list[str] = []
    try:
        pickles.load(path, unknown)
    except BaseException as error:  # noqa: BLE001 - unpickling may raise anything, depending on the objects
        if unknown or is_needed:
            if not unknown:
                _print_traceback(error)
            reason = _last_line(error)
            modules = _not_found(error)
            raise _Failure(
                "unloadable", file=path, reason=reason, unknown=unknown[-1:], modules=modules
            ) from None


def _write(file: Path, result: dict[str, Any]) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(result), "utf-8")
    partial.replace(file)


if __name__ == "__main__":  # multiprocessing's spawn imports this file again
    main(Path(sys.argv[1]))
