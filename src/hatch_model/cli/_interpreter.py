"""Another Python: where it looks for modules, and its PEP 508 marker values."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_model._environment import marker_environment
from hatch_model.errors import InterpreterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHILD = Path(__file__).parent / "child" / "describe.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python, by the command that starts it."""

    command: str
    path: Sequence[str]
    """Its ``sys.path``."""
    markers: Mapping[str, str]


def this_interpreter() -> Interpreter:
    return Interpreter(command=sys.executable, path=sys.path, markers=marker_environment())


def describe(command: str) -> Interpreter:
    """Ask the Python called *command*; raises InterpreterError where that does not work."""
    try:
        completed = subprocess.run(
            [command, str(_CHILD)], check=True, capture_output=True, text=True, encoding="utf-8"
        )
        told = json.loads(completed.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise InterpreterError(command, str(error)) from None
    return Interpreter(command=command, path=told["path"], markers=told["markers"])
