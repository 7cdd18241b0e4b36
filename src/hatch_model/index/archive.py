"""The archives of an index: read and verify them, and write the metadata of wheels."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidName,
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

from hatch_model.cli.open import open_model
from hatch_model.cli.output import replace_file
from hatch_model.cli.verify import differences, is_of
from hatch_model.digests import file_of
from hatch_model.errors import HatchModelError, printable
from hatch_model.index.history import Archive
from hatch_model.pages.content import Content, content_of
from hatch_model.workspace import is_unfinished

if TYPE_CHECKING:
    from hatch_model.cli.open import ModelFiles

FILES = "files"
"""The folder of the index that archives are added to."""
_MOST_LINES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadArchive:
    """An archive as it was read."""

    name: str
    version: str
    archive: Archive
    metadata: bytes | None
    content: Content


def metadata_file(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.metadata")


def write_metadata(archive: Path, metadata: bytes | None) -> None:
    """Write the METADATA of a wheel beside it, unless it is there: installers have its digest."""
    file = metadata_file(archive)
    if metadata is None or (file.is_file() and file.read_bytes() == metadata):
        return
    replace_file(file, metadata)


def parsed_name(filename: str) -> tuple[str, str] | None:
    """Return the normalized name and version of a wheel or sdist, by its file's name, or None."""
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
        # Parsing takes more than the names that installers accept, such as `ü` and `_`.
        return canonicalize_name(name, validate=True), str(version)
    except (InvalidName, InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def _named(file: Path) -> tuple[str, str]:
    """Return the normalized name and version in the name of *file*. Raises HatchModelError."""
    parsed = parsed_name(file.name)
    if parsed is None:
        raise HatchModelError(f"`{file}` does not have the name of a wheel or an sdist.")
    return parsed


def verified_copy(file: Path, folder: Path, uploaded: str) -> tuple[Path, ReadArchive]:
    """Copy *file* to a new folder in *folder* and verify the copy, which nothing can change."""
    if not file.is_file():
        raise HatchModelError(f"`{file}` is not a file.")
    name, _ = _named(file)
    copy = Path(tempfile.mkdtemp(dir=folder)) / file.name
    shutil.copyfile(file, copy)
    copy.chmod(0o644)
    try:
        new = read_archive(copy, f"{FILES}/{name}/{file.name}", uploaded, verified=True)
    except HatchModelError as error:
        raise HatchModelError(str(error).replace(str(copy), str(file))) from error
    return copy, new


def read_archive(file: Path, path: str, uploaded: str, *, verified: bool = False) -> ReadArchive:
    """Read the archive *file*, at *path* in the index; if *verified*, verify its content.

    Raises HatchModelError.
    """
    name, version = _named(file)
    if is_unfinished(file):
        raise HatchModelError(f"`{file}` was left by a build that was interrupted. Build it again.")
    with closing(open_model(str(file))) as model:
        if not is_of(model, name, version):
            raise HatchModelError(
                f"`{file}` holds {printable(model.name)} {printable(model.version)}, which is not "
                f"what its name says."
            )
        if verified and model.kind == "wheel":
            _refuse_differences(file, model)
        metadata = _metadata_of(model)
        content = content_of(model)
    read = file_of(path, file)
    archive = Archive(
        path=path,
        sha256=read.sha256,
        size=read.size,
        uploaded=uploaded,
        requires_python=content.facts["requires_python"],
        metadata_sha256=None if metadata is None else hashlib.sha256(metadata).hexdigest(),
    )
    return ReadArchive(
        name=name, version=version, archive=archive, metadata=metadata, content=content
    )


def _refuse_differences(file: Path, model: ModelFiles) -> None:
    found = differences(model)
    if found:
        lines = "".join(f"\n  {printable(each)}" for each in found[:_MOST_LINES])
        more = f"\n  and {len(found) - _MOST_LINES} more" if len(found) > _MOST_LINES else ""
        raise HatchModelError(f"`{file}` does not match its own metadata:{lines}{more}")


def _metadata_of(model: ModelFiles) -> bytes | None:
    """Return the METADATA of a wheel as it is."""
    if model.kind != "wheel":
        return None
    info = model.record_path.partition("/")[0]
    with model.open(f"{info}/METADATA") as stream:
        return stream.read()
