"""The git commit of a source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from pathlib import Path


# Variables that point to another repository than the tree's, as in a git hook.
_REPOSITORY = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}
    | {"GIT_NAMESPACE", "GIT_PREFIX"}
)


class Commit(TypedDict):
    commit: str
    dirty: bool
    """Whether the project's folder had uncommitted changes."""


def commit_of_tree(root: Path) -> Commit | None:
    """Return the commit of the repository at *root*; None if there is none."""
    commit_id = _git(root, "rev-parse", "--verify", "HEAD")
    status = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    if not commit_id or status is None or _is_ignored(root):
        return None
    return {"commit": commit_id.strip(), "dirty": bool(status.strip())}


def why_unknown(root: Path) -> str:
    """Say why the tree at *root*, in a repository, has no known commit; "" for no reason to mend."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return ""
    if shutil.which("git") is None:
        return "there is no git program"
    completed = _run(root, "rev-parse", "--git-dir")
    return "" if completed is None or completed.returncode == 0 else completed.stderr.strip()


def _is_ignored(root: Path) -> bool:
    """Return whether the repository around the project ignores it."""
    return _git(root, "check-ignore", "--quiet", "pyproject.toml") is not None


def _git(root: Path, *arguments: str) -> str | None:
    completed = _run(root, *arguments)
    return completed.stdout if completed and completed.returncode == 0 else None


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    git = shutil.which("git")
    if git is None:
        return None
    return subprocess.run(
        # Without the option, `git status` writes to the repository.
        [git, "--no-optional-locks", *arguments],
        cwd=root,
        env={key: value for key, value in os.environ.items() if key not in _REPOSITORY},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
