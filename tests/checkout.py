"""A copy of this repository as a fresh clone has it, and subprocesses that may go online there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def output_of(
    *command: str | Path, cwd: Path, environment: Mapping[str, str], code: int = 0
) -> str:
    """Run *command* in nothing but *environment*, and return all that it prints. Its exit code has to be *code*."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=dict(environment),
        check=False,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == code, done.stdout
    return done.stdout
