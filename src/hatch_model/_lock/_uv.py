"""``uv.lock``, whose format is uv's own: read through uv's export to ``pylock.toml``."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

from hatch_model._lock._pylock import LockedGroups, read_pylock
from hatch_model._uv import find_uv, variables_for_uv
from hatch_model.errors import UvExportError, UvNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class RunUv(Protocol):
    """Runs uv in a folder and gives its output; a stand-in for :func:`run_uv` in tests."""

    def __call__(self, arguments: Sequence[str], *, path: str, root: Path) -> str: ...


def run_uv(arguments: Sequence[str], *, path: str, root: Path) -> str:
    """Run uv with *arguments* in *root*, to read the lock at *path*.

    Raises UvNotFoundError and UvExportError.
    """
    uv = find_uv()
    if uv is None:
        raise UvNotFoundError(path)
    completed = subprocess.run(
        [uv, *arguments],
        cwd=root,
        env=variables_for_uv(),
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if completed.returncode != 0:
        raise UvExportError(path, completed.stderr.strip())
    return completed.stdout


def export_uv_lock(
    path: Path, root: Path, groups: Sequence[str] = (), run: RunUv = run_uv
) -> LockedGroups:
    """Read what the uv.lock at *path* below *root* has for the project and its *groups*.

    Raises UvNotFoundError, UvExportError, and what read_pylock() raises.
    """
    folder, name = path.parent, path.relative_to(root).as_posix()
    arguments = [
        *("export", "--quiet", "--frozen", "--format", "pylock.toml", "--python", sys.executable),
        *("--no-header", "--no-emit-project", "--no-default-groups"),
        *(f"--group={group}" for group in groups),
    ]
    return read_pylock(name, folder, run(arguments, path=name, root=folder))
