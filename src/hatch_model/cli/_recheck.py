"""The check, called again where the model is installed."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model._checking import run_check
from hatch_model._settings import object_reference
from hatch_model.errors import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def check_again(
    check: Mapping[str, Any], python: str, tolerance: float, emit: Callable[[str], None]
) -> list[str]:
    """Call the recorded *check* with the interpreter *python*, and list what differs in its result.

    What it prints goes to *emit*, line by line.
    """
    with tempfile.TemporaryDirectory(prefix="hatch-model-") as folder:
        try:
            result = run_check(
                object_reference(check["entry_point"]), Path(folder), emit, python=python
            )
        except HatchModelError as error:
            return [str(error)]
    if "result" not in check:
        return []
    if result.is_recordable and same_result(check["result"], result.returned, tolerance):
        return []
    now = json.dumps(result.returned) if result.is_recordable else "what JSON cannot hold"
    then = json.dumps(check["result"])
    return [f"{check['entry_point']} returned {now}, but {then} when the model was made"]


def same_result(one: Any, other: Any, tolerance: float) -> bool:
    """Compare two results of a check, floats within *tolerance*: relative, but absolute below 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same_result(one[key], other[key], tolerance) for key in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            same_result(*pair, tolerance) for pair in zip(one, other, strict=True)
        )
    if _is_number(one) and _is_number(other) and float in {type(one), type(other)}:
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
