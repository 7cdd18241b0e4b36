"""The git commit of a source tree, which an sdist carries along."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, TypedDict

from hatch_model.phase import is_unpacked_sdist

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path


# Variables that point to another repository than the tree's, as in a git hook.
_REPOSITORY = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}
    | {"GIT_NAMESPACE", "GIT_PREFIX"}
)


_COMMIT_ID = re.compile(r"^# branch\.oid ([0-9a-f]+)$", re.MULTILINE)


class Commit(TypedDict):
    commit: str
    dirty: bool
    """Whether the project's folder had uncommitted changes."""


def commit_of(root: Path, warn: Callable[[str], None]) -> Commit | None:
    """Return the commit of the repository that has the tree at *root*; None if unknown.

    If git should know it and fails, *warn* gets the reason.
    """
    if is_unpacked_sdist(root):
        return None  # An sdist: a repository around it is somebody else's.
    resolved = root.resolve()
    if not any((folder / ".git").exists() for folder in (resolved, *resolved.parents)):
        return None  # git would take longer to find this out.
    commit = _commit_of_repository(root)
    reason = "" if commit else _why_unknown(root)
    if reason:
        warn(f"the record names no commit, although there is a git repository: {reason}")
    return commit


def _commit_of_repository(root: Path) -> Commit | None:
    status = _git(
        root,
        *("status", "--porcelain=v2", "--branch", "--no-ahead-behind"),
        *("--untracked-files=normal", "--", "."),
    )
    commit_id = _COMMIT_ID.search(status or "")
    if status is None or commit_id is None or _is_ignored(root):
        return None
    is_dirty = any(not line.startswith("# ") for line in status.splitlines())
    return {"commit": commit_id[1], "dirty": is_dirty}


def _why_unknown(root: Path) -> str:
    """Say why the tree at *root*, in a repository, has no known commit; "" if that is right."""
    if shutil.which("git") is None:
        return "git is not installed"
    completed = _run(root, "rev-parse", "--git-dir")
    return "" if completed is None or completed.returncode == 0 else completed.stderr.strip()


def _is_ignored(root: Path) -> bool:
    """Return whether the repository around the project ignores it."""
    return _git(root, "check-ignore", "--quiet", "pyproject.toml") is not None


def ignored(root: Path, names: Collection[str]) -> set[str]:
    """Return those of *names*, at the top of the tree at *root*, that git ignores."""
    listed = _git(root, "check-ignore", "--", *names) if names else None
    return {*(listed or "").splitlines()} & {*names}


def last_commit_time(root: Path) -> str:
    """Return when the last commit of the tree at *root* was made, in ISO 8601; "" if unknown."""
    return (_git(root, "log", "-1", "--format=%cI", "--", ".") or "").strip()


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
