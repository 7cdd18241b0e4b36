"""Call a check function in a process of its own.

``python run_check.py REQUEST RESULT``, with standard input connected to whoever asks for the check,
which closes it by ending. REQUEST and RESULT are JSON files:

REQUEST (read)
    ``module``, ``attribute``
        The object reference of the check function, which is called without arguments.
    ``hidden``
        Folders that must not be imported from: the source tree's.
    ``scratch``
        The folder to remove if whoever asked is gone without a word.

RESULT (written, whole or not at all, just before the process ends)
    ``outcome``
        ``"passed"``, or ``"failed"`` (with ``reason``; a traceback went to standard error).
    ``returned``
        What the function returned, if JSON can hold it.
    ``imported``
        The files of the modules that were imported.
    ``path``
        ``sys.path`` at the end.

This script stands alone in its folder, so that no neighbour can shadow a module of the user's, and
imports nothing outside of the standard library.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import Any


def main(request_file: Path, result_file: Path) -> None:
    request = json.loads(request_file.read_text("utf-8"))
    _end_with_the_build(Path(request["scratch"]))
    hidden = {Path(folder).resolve() for folder in [*request["hidden"], Path(__file__).parent]}
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in hidden]
    del sys.argv[1:]
    own_modules = set(sys.modules)
    result = _call(request["module"], request["attribute"])
    result["imported"] = _imported_files(own_modules)
    entries: list[Any] = [*sys.path]  # Python passes over what is no string, and so does this
    result["path"] = [entry for entry in entries if isinstance(entry, str)]
    partial = result_file.with_suffix(".partial")
    partial.write_text(json.dumps(result), "utf-8")
    partial.replace(result_file)


def _end_with_the_build(scratch: Path) -> None:
    """End this process, and what it started, as soon as the build is gone without a word."""
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        if os.read(pipe, 1) == b"":
            shutil.rmtree(scratch, ignore_errors=True)
            if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
                os.killpg(os.getpgrp(), 9)
            os._exit(1)

    threading.Thread(target=watch, name="hatch-model-watch", daemon=True).start()


def _call(module: str, attribute: str) -> dict[str, Any]:
    try:
        function: Any = functools.reduce(
            getattr, attribute.split("."), importlib.import_module(module)
        )
        returned = function()
    except BaseException as error:  # noqa: BLE001 - SystemExit included
        _print_traceback(error)
        reason = "".join(traceback.format_exception_only(type(error), error)).strip()
        return {"outcome": "failed", "reason": reason}
    return {"outcome": "passed", **_recordable(returned)}


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


def _recordable(returned: Any) -> dict[str, Any]:
    """Give *returned* if JSON can hold it; arrays and scalars of NumPy's kind are unpacked."""
    try:
        return {"returned": json.loads(json.dumps(returned, allow_nan=False, default=_unpack))}
    except Exception:  # noqa: BLE001 - what unpacking raises is up to the object
        return {}


def _unpack(value: Any) -> Any:
    for method in ("tolist", "to_dict", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError


def _imported_files(before: set[str]) -> list[str]:
    """List the files of the modules that were imported since *before*."""
    files = {_file_of(module) for name, module in list(sys.modules.items()) if name not in before}
    return sorted(files - {__file__, ""})


def _file_of(module: Any) -> str:
    try:
        file = getattr(module, "__file__", None)
    except Exception:  # noqa: BLE001 - a module may load itself only now, and fail
        return ""
    return file if isinstance(file, str) else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
