"""The function that apps call: how they find it, and what people are told of its signature.

A server or a batch job finds it by ``importlib.metadata.entry_points(group="hatch_model.models")``,
by the name of the project.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hatch_model.errors import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model.entry_point import ObjectReference

GROUP = "hatch_model.models"
"""The group of the entry point (PyPA: entry points specification)."""
ENTRY_POINTS_FILE = "entry_points.txt"
"""Its path in a wheel's dist-info."""


def entry_points(existing: bytes, project: str, predict: ObjectReference, key: str) -> bytes:
    """Return the content of *existing*, a wheel's entry points, with that of *predict*.

    *key* is the setting's, for the HatchModelError if the project has declared the group itself.
    """
    text = existing.decode()
    if f"[{GROUP}]" in text.splitlines():
        raise HatchModelError(
            f'project.entry-points."{GROUP}" is what {key} writes. Remove one of them.'
        )
    own = f"[{GROUP}]\n{project} = {predict}\n"
    return "\n".join(part for part in (text, own) if part).encode()


def shown_signature(predict: Mapping[str, Any]) -> str:
    """Return the function and its signature in Python, from the record's ``predict``."""
    if "parameters" not in predict:
        return f"{predict['entry_point']}(…)"
    texts: list[str] = []
    last = ""
    for each in predict["parameters"]:
        kind = each["kind"]
        if last == "positional-only" and kind != last:
            texts.append("/")
        if kind == "keyword-only" and last not in {"keyword-only", "variadic positional"}:
            texts.append("*")
        texts.append(_shown_parameter(each))
        last = kind
    if last == "positional-only":
        texts.append("/")
    returns = f" -> {predict['returns']}" if "returns" in predict else ""
    return f"{predict['entry_point']}({', '.join(texts)}){returns}"


_STARS = {"variadic positional": "*", "variadic keyword": "**"}


def _shown_parameter(parameter: Mapping[str, Any]) -> str:
    text = f"{_STARS.get(parameter['kind'], '')}{parameter['name']}"
    if "annotation" in parameter:
        text += f": {parameter['annotation']}"
    if "default" in parameter:
        equals = " = " if "annotation" in parameter else "="
        text += f"{equals}{_as_python(parameter['default'])}"
    elif parameter.get("has_default"):
        text += " = …" if "annotation" in parameter else "=…"
    return text


def _as_python(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
