"""Another Python interpreter: its module search path and PEP 508 marker values."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_model.errors import HatchModelError
from hatch_model.pins import marker_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHILD = Path(__file__).parent / "child" / "describe.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python interpreter."""

    command: str
    path: Sequence[str]
    """Its ``sys.path``."""
    markers: Mapping[str, str]
    folder: Path | None = None
    """The folder that packages were installed into without an interpreter, as by ``--target``."""


def this_interpreter() -> Interpreter:
    return Interpreter(command=sys.executable, path=sys.path, markers=marker_environment())


def describe(command: str) -> Interpreter:
    """Query the Python *command*, or the one of the environment in the folder *command*.

    A folder of packages without a Python is for this one. Raises HatchModelError if that fails.
    """
    if Path(command).is_dir():
        if any(Path(command).glob("*.dist-info")):
            folder = Path(command).resolve()
            return replace(this_interpreter(), path=[str(folder)], folder=folder)
        inside = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
        command = str(Path(command) / inside)
    try:
        completed = subprocess.run(
            [command, str(_CHILD)], check=False, capture_output=True, encoding="utf-8"
        )
        # A module that is imported at every start may also print something.
        told = json.loads(completed.stdout.splitlines()[-1])
        return Interpreter(command=told["executable"], path=told["path"], markers=told["markers"])
    except OSError as error:
        raise _not_a_python(command, error.strerror or str(error)) from None
    except (IndexError, KeyError, TypeError, ValueError):
        raise _not_a_python(command, "it did not run a script") from None


def _not_a_python(command: str, reason: str) -> HatchModelError:
    return HatchModelError(f"`{command}` is not a working Python interpreter: {reason}")
