"""A wheel's own shape: its name, and entries that are no honest files."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from hatch_model.cli._model_files import ModelFiles


def odd_shape(model: ModelFiles) -> Iterator[str]:
    """List what is wrong with the archive *model* itself, whatever its files hold."""
    yield from _name(model)
    seen = Counter(entry.filename for entry in model.entries)
    for path, count in seen.items():
        if count > 1:
            yield f"{path}: {count} times in the wheel"
        if is_outside(path):
            yield f"{path}: leads out of the folder that the wheel is installed to"
    for entry in model.entries:
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield f"{entry.filename}: a symbolic link, which no wheel may hold"
    if model.is_bomb:
        yield (
            f"the wheel unpacks to {sum(model.sizes.values())} bytes from {model.packed_size}, as "
            f"only a zip bomb does: its files were not read"
        )


def is_outside(path: str) -> bool:
    """Say whether *path* in an archive leads out of the folder it is unpacked to."""
    parts = PurePosixPath(path.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or ":" in path.partition("/")[0]


def _name(model: ModelFiles) -> Iterator[str]:
    name = PurePosixPath(model.origin.replace("\\", "/")).name
    try:
        project, version, _, tags = parse_wheel_filename(name)
    except InvalidWheelFilename:
        yield f"the file is called {name}, which is no wheel's name"
        return
    if not is_of(model, project, str(version)):
        yield f"the file is called {name}, but holds {model.name} {model.version}"
    if tags != _parsed(model):
        yield f"the file is called {name}, but its WHEEL says {', '.join(model.tags) or 'nothing'}"


def is_of(model: ModelFiles, name: str, version: str) -> bool:
    """Say whether *model* is the project *name* at *version*, however they are written."""
    same_name = canonicalize_name(name) == canonicalize_name(model.name)
    return same_name and same_version(version, model.version)


def same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _parsed(model: ModelFiles) -> frozenset[Tag]:
    try:
        return frozenset(tag for each in model.tags for tag in parse_tag(each))
    except ValueError:
        return frozenset()
