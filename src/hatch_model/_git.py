"""The commit that a source tree was at: its repository's, or what its sdist carries."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from hatch_model._carried import carried_in

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_model._carried import Commit


def commit_of(root: Path) -> Commit | None:
    """Give the commit of the tree at *root*; None where there is no telling."""
    carried = carried_in(root)
    if carried is not None:
        return carried.commit
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
