"""Locks: the exact versions that a team has tested, for the training environment and the pins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model._lock._check import check_installable, check_up_to_date
from hatch_model._lock._packages import Lock, LockedPackage
from hatch_model._lock._pins import pin_locked
from hatch_model._lock._pylock import is_pylock, read_pylock
from hatch_model._lock._requirements import read_requirements
from hatch_model._lock._uv import RunUv, export_uv_lock, run_uv
from hatch_model.errors import LockMissingError, MalformedLockError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePosixPath

    from packaging.utils import NormalizedName

__all__ = [
    "Lock",
    "LockedPackage",
    "check_installable",
    "check_up_to_date",
    "find_lock",
    "pin_locked",
    "read_lock",
]


def find_lock(path: PurePosixPath, root: Path, *, key: str, groups: Sequence[str]) -> Path:
    """Give the file at *path* below *root*; *key* is the TOML key that names it, for messages."""
    file = root / path
    if not file.is_file():
        raise LockMissingError(key, str(path), _renewal(path, groups))
    return file


def read_lock(
    path: PurePosixPath,
    root: Path,
    *,
    key: str,
    project: NormalizedName,
    groups: Sequence[str],
    model_group: str = "",
    run: RunUv = run_uv,
) -> Lock:
    """Read the lock at *path*, relative to *root*, of which its name tells the format.

    *key* is the TOML key that names it, for messages, *groups* are the dependency groups for
    training, and *model_group* the one that the requirements come from, if any. The *project*
    itself is left out.
    """
    file = find_lock(path, root, key=key, groups=groups)
    coverage = runtime = None
    if path.name == "uv.lock":
        exported = export_uv_lock(file, root, run=run)
        coverage, packages = exported.coverage, exported.packages()
        if groups:
            runtime, packages = packages, export_uv_lock(file, root, groups, run).packages()
        else:
            runtime = packages
    elif is_pylock(path):
        content = read_pylock(str(path), file.parent, _text(file, path))
        coverage, packages = content.coverage, content.packages([model_group, *groups])
        runtime = content.packages([model_group]) if content.tells_groups else None
    else:
        packages = read_requirements(str(path), _text(file, path))
    return Lock(
        path=str(path),
        renewal=_renewal(path, groups),
        packages=[package for package in packages if package.name != project],
        runtime=runtime and [package for package in runtime if package.name != project],
        coverage=coverage,
    )


def _renewal(path: PurePosixPath, groups: Sequence[str]) -> str:
    """Give a command that writes the lock at *path* from the requirements and *groups*.

    Not `uv pip compile`, which asks for the metadata of a wheel, and so for the pins of the lock.
    """
    if path.name == "uv.lock":
        return "uv lock"
    layout = "pylock.toml" if is_pylock(path) else "requirements.txt"
    chosen = "".join(f" --group {group}" for group in groups)
    return (
        f"uv export --format {layout} --no-emit-project --no-default-groups{chosen} "
        f"--output-file {path}"
    )


def _text(file: Path, path: PurePosixPath) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise MalformedLockError(str(path), "it is not encoded as UTF-8") from None
