"""A copy of this repository as a fresh clone has it, and subprocesses that may go online there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

_LITTER = shutil.ignore_patterns(
    *(".git", ".venv", ".*_cache", "__pycache__", "build", "dist", "registry", "uv.lock"),
    ".coverage*",
)


def copy_checkout(folder: Path) -> Path:
    """Copy to *folder* what a fresh clone has, and give it."""
    shutil.copytree(CHECKOUT, folder, ignore=_LITTER)
    return folder


def online(caches: Path) -> dict[str, str]:
    """Give the environment of a subprocess that uses the package index that this machine uses.

    Its cache is below *caches*: nothing that an earlier run has built is taken from there.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("UV_", "PIP_", "HATCH_", "PYTHON", "VIRTUAL_ENV", "COV"))
        or any(part in key for part in ("INDEX", "CERT", "TLS"))
    }
    return {
        **kept,
        "UV_CACHE_DIR": str(caches / "uv-online"),
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "NO_COLOR": "1",
    }
