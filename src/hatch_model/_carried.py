"""What an sdist carries of the tree that it was made from: the commit, and a trained model's record.

A wheel that is built from the sdist takes both from there, since an sdist has no repository any more,
and nothing is trained for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from hatch_model.errors import CarriedModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SDIST_FILE = ".hatch-model.json"
SDIST_BOM = ".hatch-model.cdx.json"
"""Where the sdist has the BOM that goes with the record, if there is one."""


class Commit(TypedDict):
    commit: str
    dirty: bool
    """Whether the project's folder held anything that was not committed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """What is written into an sdist."""

    commit: Commit | None = None
    record: Mapping[str, Any] | None = None
    """The record of the model that the sdist holds; None where it holds none."""


def carried_in(root: Path) -> Carried | None:
    """Read what the unpacked sdist at *root* carries; None for what is no sdist, or carries nothing.

    Raises CarriedModelError for what cannot be read.
    """
    file = root / SDIST_FILE
    if not file.is_file():
        return None
    from hatch_model._recorded import read_carried  # noqa: PLC0415 - only in an sdist

    try:
        content = read_carried(file.read_text("utf-8"), SDIST_FILE)
    except ValueError as error:
        raise CarriedModelError([str(error)]) from None
    return Carried(commit=content["git"], record=content.get("record"))


def write_carried(carried: Carried, folder: Path) -> Path:
    """Write *carried* to *folder*, as a file to be put at the top of an sdist."""
    content: dict[str, Any] = {"git": carried.commit}
    if carried.record is not None:
        content["record"] = carried.record
    file = folder / SDIST_FILE
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
    return file
