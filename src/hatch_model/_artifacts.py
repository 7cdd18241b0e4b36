"""What training wrote: told apart from what was there before, and put back where it failed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_model.errors import EscapingLinkError, UnshippableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
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


def snapshot(folder: Path) -> Snapshot:
    """Note what *folder*, which may not exist, holds."""
    files, folders = {}, set()
    for parent, sub_folders, names in os.walk(folder):
        relative = PurePosixPath(Path(parent).relative_to(folder).as_posix())
        folders.add(relative)
        links = [name for name in sub_folders if Path(parent, name).is_symlink()]
        files.update({relative / name: _stamp(Path(parent, name)) for name in [*names, *links]})
    return Snapshot(files=files, folders=folders)


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
    file at all.
    """
    known = before.files if before is not None else {}
    return [
        Artifact(path=path, source=folder / path)
        for path in sorted(_files(folder, PurePosixPath(), ()))
        if _changed(folder, path, known)
    ]


def _changed(folder: Path, path: PurePosixPath, known: Mapping[PurePosixPath, _Stamp]) -> bool:
    """Say whether the file at *path*, or a link on the way to it, is not what is *known*."""
    real = PurePosixPath((folder / path).resolve().relative_to(folder.resolve()).as_posix())
    links = [each for each in (path, *path.parents) if (folder / each).is_symlink()]
    return any(known.get(each) != _stamp(folder / each) for each in (real, *links))


def _files(
    folder: Path, below: PurePosixPath, ancestors: tuple[Path, ...]
) -> Iterator[PurePosixPath]:
    """Give the files below a sub-folder, through symbolic links that stay within *folder*."""
    real = (folder / below).resolve()
    if not real.is_dir():
        return
    for entry in sorted(os.scandir(folder / below), key=lambda entry: entry.name):
        path = below / entry.name
        if entry.is_symlink():
            _check_link(folder, path)
        if entry.is_dir():
            if real in ancestors:
                raise UnshippableError(str(path), "a symbolic link to a folder around itself")
            yield from _files(folder, path, (*ancestors, real))
        elif entry.is_file():
            yield path
        else:
            raise UnshippableError(str(path), "neither a file nor a folder")


def _check_link(folder: Path, path: PurePosixPath) -> None:
    target = (folder / path).resolve()
    if not target.exists() or not target.is_relative_to(folder.resolve()):
        raise EscapingLinkError(str(path), str((folder / path).readlink()))


def restore(folder: Path, before: Snapshot, backup: Path) -> None:
    """Bring *folder* back to what it was at *before*, with the content that *backup* holds.

    A *backup* that does not exist means that nothing has written to *folder* yet.
    """
    now = snapshot(folder)
    for path in now.files.keys() - before.files.keys():
        (folder / path).unlink()
    for path in sorted(now.folders - before.folders, reverse=True):
        (folder / path).rmdir()
    for path in sorted(before.folders - now.folders):
        (folder / path).mkdir()
    for path, stamp in before.files.items():
        if now.files.get(path) != stamp and os.path.lexists(backup / path):
            (folder / path).unlink(missing_ok=True)
            shutil.copy2(backup / path, folder / path, follow_symlinks=False)


def publish(artifacts: Iterable[Artifact], folder: Path) -> None:
    """Move *artifacts* into *folder*, in place of files of the same names."""
    for artifact in artifacts:
        target = folder / artifact.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(artifact.source, target)
