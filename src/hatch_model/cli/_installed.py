"""An installed model, as it lies in its folder."""

from __future__ import annotations

from email.parser import Parser
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_model._record import FILE
from hatch_model.cli._model_files import (
    METADATA,
    ModelFiles,
    listed_in,
    read_model_json,
    tags_of,
)
from hatch_model.errors import ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import Distribution


def open_installed(name: str, path: Sequence[str]) -> ModelFiles:
    """Open what is installed on *path* as *name*; raises ModelNotFoundError."""
    found, metadata = _find(name, path)
    folder = Path(str(found.locate_file("")))
    listed = listed_in(found.read_text("RECORD") or "")
    info = next((name.partition("/")[0] for name in listed if name.endswith(METADATA)), "")
    record, fault = read_model_json(found.read_text(f"extra_metadata/{FILE}"))
    return ModelFiles(
        kind="installed",
        origin=name,
        metadata=Parser().parsestr(metadata),
        record=record,
        record_path=f"{info}/extra_metadata/{FILE}",
        record_fault=fault,
        tags=tags_of(found.read_text("WHEEL") or ""),
        sizes=_sizes(folder, info, listed),
        listed=listed,
        open=lambda path: (folder / path).open("rb"),
    )


def _find(name: str, path: Sequence[str]) -> tuple[Distribution, str]:
    """Give what an import would use, and its METADATA."""
    # An empty name would find everything.
    for found in distributions(name=canonicalize_name(name), path=list(path)) if name else ():
        metadata = found.read_text("METADATA")
        # An interrupted uninstallation leaves folders without it.
        if metadata is not None:
            return found, metadata
    raise ModelNotFoundError(name)


def _sizes(folder: Path, info: str, listed: Mapping[str, object]) -> dict[str, int]:
    """Find the installed files: those that are listed, and what lies beside them in packages.

    Folders without an ``__init__.py`` may be shared with other distributions, whose files lie there.
    """
    packages = {PurePosixPath(path).parent for path in listed if path.endswith("/__init__.py")}
    own = [each for each in packages if not packages.intersection(each.parents)]
    beside = {
        file.relative_to(folder).as_posix()
        for each in [*own, *([PurePosixPath(info)] if info else [])]
        for file in (folder / each).rglob("*")
        if "__pycache__" not in file.relative_to(folder).parts
    }
    if not beside <= listed.keys():
        # Some share a folder in spite of an __init__.py.
        beside -= _listed_by_any(folder)
    return {
        path: (folder / path).stat().st_size
        for path in sorted(beside | listed.keys())
        if (folder / path).is_file()
    }


def _listed_by_any(folder: Path) -> set[str]:
    records = (each.read_text("RECORD") for each in distributions(path=[str(folder)]))
    return {path for record in records for path in listed_in(record or "")}
