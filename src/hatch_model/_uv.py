"""The program uv: where it is, and what it is told of its surroundings."""

from __future__ import annotations

import os
import shutil


def find_uv() -> str | None:
    """Give the uv that is building, which names itself in ``UV``, or else one on PATH, or None."""
    return shutil.which(os.environ.get("UV") or "uv")


def variables_for_uv() -> dict[str, str]:
    """Give this process's environment without what uv would take for the project's own."""
    return {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
