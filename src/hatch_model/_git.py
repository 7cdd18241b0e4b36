"""The commit that a source tree was at.

An sdist has no repository any more, so the sdist carries what was found when it was made, and the
wheel that is built from it takes it from there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from pathlib import Path

SDIST_FILE = ".hatch-model.json"


class Commit(TypedDict):
    commit: str
    dirty: bool
    """Whether the project's folder held anything that was not committed."""


def commit_of(root: Path) -> Commit | None:
    """Give the commit of the tree at *root*; None where there is no telling."""
    carried = root / SDIST_FILE
    if carried.is_file():
        commit: Commit | None = json.loads(carried.read_text("utf-8"))["git"]
        return commit
    if (root / "PKG-INFO").is_file():
        return None  # An sdist: a repository around it is somebody else's.
    commit_id = _git(root, "rev-parse", "--verify", "HEAD")
    status = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    if not commit_id or status is None or _is_ignored(root):
        return None
    return {"commit": commit_id.strip(), "dirty": bool(status.strip())}


def _is_ignored(root: Path) -> bool:
    """Say whether the repository is one around the project that takes no notice of it."""
    return _git(root, "check-ignore", "--quiet", "pyproject.toml") is not None


def write_carried(commit: Commit | None, folder: Path) -> Path:
    """Write the file that carries *commit* in an sdist to *folder*."""
    file = folder / SDIST_FILE
    file.write_text(json.dumps({"git": commit}, indent=2) + "\n", "utf-8")
    return file


def _git(root: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    completed = subprocess.run(
        # Without the option, asking for the status writes to the repository.
        [git, "--no-optional-locks", *arguments],
        cwd=root,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    return completed.stdout if completed.returncode == 0 else None
