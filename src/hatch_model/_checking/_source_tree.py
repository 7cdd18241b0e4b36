"""The source tree, which a check of the finished wheel must not see."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_model._environment import editable_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from hatch_model._environment import Environment


class SourceTree:
    """The folder that is built, and the one that the project is installed from as editable.

    What is installed is no part of it, wherever that lies: a virtual environment or a Python within
    the project's folder, or another project there that is installed as editable. Nor is
    *workspace*, which the system may have its temporary folder there for.
    """

    def __init__(
        self, root: Path, project: NormalizedName, environment: Environment, workspace: Path
    ) -> None:
        folders = {each.name: editable_folder(each) for each in environment}
        own = folders.pop(project, "")
        self._roots = _resolved(filter(None, [str(root), own]))
        others = [sys.prefix, sys.base_prefix, str(workspace), *filter(None, folders.values())]
        self._others = [
            other
            for other in _resolved(others)
            if any(other != each and other.is_relative_to(each) for each in self._roots)
        ]

    def holds(self, path: Path) -> bool:
        """Say whether *path*, of a file or folder, belongs to the source tree."""
        if "site-packages" in path.parts:
            return False
        real = path.resolve()
        return _is_below(real, self._roots) and not _is_below(real, self._others)

    def relative(self, path: Path) -> str:
        """Name *path*, which belongs to the source tree, relative to its root."""
        real = path.resolve()
        root = next(each for each in self._roots if real.is_relative_to(each))
        return real.relative_to(root).as_posix()

    def entries(self, path: Iterable[str]) -> list[Path]:
        """Give the entries of *path*, a ``sys.path``, that lead into the source tree."""
        return [Path(entry).resolve() for entry in path if entry and self.holds(Path(entry))]


def _resolved(paths: Iterable[str]) -> list[Path]:
    return [Path(each).resolve() for each in paths]


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(each) for each in folders)
