"""What training wrote: told apart from what was there before, and put back where it failed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_model.errors import ArtifactError, EscapingLinkError, UnshippableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file that training wrote."""

    path: PurePosixPath
    """Relative to the artifacts folder."""
    source: Path
    """Where it lies now."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.source.stat().st_size


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A folder's files and sub-folders at one moment, without their content."""

    files: Mapping[PurePosixPath, _Stamp]
    folders: AbstractSet[PurePosixPath]
    """Among them ``.`` if the folder itself exists."""
    missing: Sequence[Path]
    """The folders around it that do not exist, the innermost first."""


def snapshot(folder: Path) -> Snapshot:
    """Note what *folder*, which may not exist, holds."""
    files, folders = {}, set()
    for parent, sub_folders, names in os.walk(folder):
        relative = PurePosixPath(Path(parent).relative_to(folder).as_posix())
        folders.add(relative)
        links = [name for name in sub_folders if Path(parent, name).is_symlink()]
        files.update({relative / name: _stamp(Path(parent, name)) for name in [*names, *links]})
    missing = [parent for parent in folder.parents if not parent.exists()]
    return Snapshot(files=files, folders=folders, missing=missing)


def _stamp(path: Path) -> _Stamp:
    """Give what moves when a file is written anew, even with the same content.

    The time of the last change cannot be set back. (On Windows it is the time of creation, and the
    time of modification has to do.)
    """
    stat = path.lstat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def written(folder: Path, before: Snapshot | None = None) -> list[Artifact]:
    """List what was written to *folder* since *before* (default: all that it holds), by path.

    A file that a symbolic link leads to is listed under the link's name, too. Raises
    EscapingLinkError for a link that leads out of *folder*, and UnshippableError for what is no
    file at all; but what has been there *before* is passed over, whatever it is.
    """
    known = before.files if before is not None else {}
    return [
        Artifact(path=path, source=folder / path)
        for path in sorted(_files(folder, PurePosixPath(), (), known))
        if _changed(folder, path, known)
    ]


def _changed(folder: Path, path: PurePosixPath, known: Mapping[PurePosixPath, _Stamp]) -> bool:
    """Say whether the file at *path*, or a link on the way to it, is not what is *known*."""
    real = PurePosixPath((folder / path).resolve().relative_to(folder.resolve()).as_posix())
    below = (path, *path.parents[:-1])  # the last one is the folder itself
    links = [each for each in below if (folder / each).is_symlink()]
    return any(known.get(each) != _stamp(folder / each) for each in (real, *links))


def _files(
    folder: Path,
    below: PurePosixPath,
    ancestors: tuple[Path, ...],
    known: Mapping[PurePosixPath, _Stamp],
) -> Iterator[PurePosixPath]:
    """Give the files below a sub-folder, through symbolic links that stay within *folder*."""
    real = (folder / below).resolve()
    if real in ancestors or not real.is_dir():
        return
    ancestors = (*ancestors, real)
    for entry in sorted(os.scandir(folder / below), key=lambda entry: entry.name):
        path = below / entry.name
        problem = _problem_of(folder, path, ancestors)
        if problem is not None:
            if known.get(path) != _stamp(folder / path):
                raise problem
        elif entry.is_dir():
            yield from _files(folder, path, ancestors, known)
        else:
            yield path


def _problem_of(
    folder: Path, path: PurePosixPath, ancestors: Collection[Path]
) -> ArtifactError | None:
    """Say why what lies at *path* cannot be shipped, in folders with the real paths *ancestors*."""
    found = folder / path
    try:
        target = found.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a link to itself, up to Python 3.12
        return UnshippableError(str(path), "a symbolic link that leads nowhere")
    if not target.is_relative_to(folder.resolve()):
        return EscapingLinkError(str(path), str(found.readlink()))
    if found.is_symlink() and target in ancestors:
        return UnshippableError(str(path), "a symbolic link to a folder around itself")
    if not target.is_dir() and not target.is_file():
        return UnshippableError(str(path), "neither a file nor a folder")
    return None


def restore(folder: Path, before: Snapshot, backup: Path) -> None:
    """Bring *folder* back to what it was at *before*, with the content that *backup* holds.

    A *backup* that does not exist means that training was not about to write to *folder*.
    """
    if not backup.is_dir():
        return
    now = snapshot(folder)
    for path in now.files.keys() - before.files.keys():
        (folder / path).unlink()
    for path in sorted(now.folders - before.folders, reverse=True):
        (folder / path).rmdir()
    for parent in before.missing:
        with suppress(OSError):  # something else has come to lie there
            parent.rmdir()
    for path in sorted(before.folders - now.folders):
        (folder / path).mkdir()
    for path, stamp in before.files.items():
        if now.files.get(path) != stamp and os.path.lexists(backup / path):
            (folder / path).unlink(missing_ok=True)
            shutil.copy2(backup / path, folder / path, follow_symlinks=False)


def publish(artifacts: Iterable[Artifact], folder: Path) -> None:
    """Copy *artifacts* into *folder*, in place of files of the same names."""
    for artifact in artifacts:
        target = folder / artifact.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # rather than written to: it may be a link to elsewhere
        shutil.copy2(artifact.source, target)
