"""What to write so that a project becomes a model project, and what its user said about that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model.new_project.survey import Survey


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What the user said, where the code leaves it open."""

    train: str = ""
    """A file, a file and a function (`train.py:main`), or an object reference."""
    artifacts: str = ""
    """The folder, or the file, that training writes to."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)
    """Where uv finds hatch-model, unless that is an index."""


@dataclass(kw_only=True, slots=True)
class Plan:
    """What to write."""

    survey: Survey
    package: PurePosixPath
    """The package that gets the model, as a folder of the project."""
    packages: list[PurePosixPath]
    """All that the wheel ships: packages, and modules that are in none."""
    trained_by: str
    """The file whose code trains."""
    train: str = ""
    artifacts: str = ""
    """Empty for the default."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)
    training: list[str] = field(default_factory=list)
    development: list[str] = field(default_factory=list)
    inputs: list[str] | None = None
    is_trained_for_sdist: bool = False
    python_path: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[PurePosixPath, str] = field(default_factory=dict)
    """New ones, by path."""
    notes: list[str] = field(default_factory=list)
    lock: str = ""
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def import_name(self) -> str:
        return self.package.name

    def module_name(self, path: PurePosixPath) -> str:
        """Return the name of the module at *path* where the wheel ships it; "" if it does not."""
        for package in self.packages:
            if path.is_relative_to(package):
                parts = path.relative_to(package.parent).with_suffix("").parts
                return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return ""

    @property
    def moved_artifacts(self) -> tuple[str, str] | None:
        """The folder that training writes to and its place in the wheel, unless in the package."""
        if not self.artifacts or PurePosixPath(self.artifacts).is_relative_to(self.package):
            return None
        return self.artifacts, f"{self.import_name}/{PurePosixPath(self.artifacts).name}"
