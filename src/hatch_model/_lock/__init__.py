"""Locks: the exact versions that a team has tested, for the training environment and the pins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model._lock._packages import Lock, LockedPackage
from hatch_model._lock._pins import check_up_to_date, pin_locked
from hatch_model._lock._pylock import is_pylock, read_pylock
from hatch_model._lock._requirements import read_requirements
from hatch_model._lock._uv import RunUv, read_uv_lock, run_uv
from hatch_model.errors import LockMissingError, MalformedLockError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePosixPath

    from packaging.utils import NormalizedName

__all__ = ["Lock", "LockedPackage", "check_up_to_date", "pin_locked", "read_lock"]


def read_lock(
    path: PurePosixPath,
    root: Path,
    *,
    key: str,
    project: NormalizedName,
    groups: Sequence[str],
    run: RunUv = run_uv,
) -> Lock:
    """Read the lock at *path*, relative to *root*, of which its name tells the format.

    *key* is the TOML key that names it, for messages, and *groups* are the dependency groups for
    training. The *project* itself is left out.
    """
    file = root / path
    if not file.is_file():
        raise LockMissingError(key, str(path))
    runtime = None
    if path.name == "uv.lock":
        renewal = "uv lock"
        packages, runtime = read_uv_lock(str(path), root, groups, run)
    elif is_pylock(path):
        renewal = f"uv export --format pylock.toml --no-emit-project --output-file {path}"
        packages = read_pylock(str(path), _text(file, path))
    else:
        renewal = f"uv pip compile --universal --generate-hashes --upgrade --output-file {path}"
        packages = read_requirements(str(path), _text(file, path))
    return Lock(
        path=str(path),
        renewal=renewal,
        packages=[package for package in packages if package.name != project],
        runtime=runtime,
    )


def _text(file: Path, path: PurePosixPath) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise MalformedLockError(str(path), "it is not encoded as UTF-8") from None
