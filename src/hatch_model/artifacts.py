"""The files that training wrote: find them and move them out of the source tree."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_model.errors import HatchModelError, printable
from hatch_model.workspace import FileLock, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

SAVED_MODEL = "model.joblib"
"""The file name of a returned model; the child script has the same constant."""

_Stamp = tuple[int, int, int, int]

_LFS_MARK = b"version https://git-lfs."
"""What a pointer begins with, by the specification of Git LFS."""

_MOST_NAMES = 20
_IGNORE_FILE = ".gitignore"
_IGNORE_MARK = "# Written by hatch-model: the model that it trained here, which is no source."


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file that training wrote."""

    path: PurePosixPath
    """Relative to the folder that it was written to."""
    source: Path
    """Its current location."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.source.stat().st_size


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """A model that has been trained, by this build or by an earlier one."""

    artifacts: Sequence[Artifact]
    metrics: Mapping[str, float]
    environment: Sequence[tuple[str, str]]
    """The name and version of every distribution that was installed for training."""
    strangers: Sequence[str]
    """Those that training imported although no declared requirement needs them."""
    imported: Sequence[str]
    """The files of the modules that training imported; empty for a reused model."""
    model_saved: bool
    """A model was returned and saved with joblib."""
    report: Sequence[Artifact] = ()
    """Files for people, which travel in the wheel's metadata; see :mod:`hatch_model.report`."""
    engine: Mapping[str, str] | None = None
    """The name and the version of the cluster's engine that training ran on, if it did."""

    @property
    def is_reused(self) -> bool:
        """Whether it was trained by an earlier build."""
        return not self.imported  # training imports at least its own module


class Loan:
    """A folder of the source tree, which may not exist, while a function writes to it.

    The original folder is set aside and replaced by a copy. It is restored when the loan ends,
    whatever the function did. If this process is killed, the process that creates the next
    workspace in the same place restores it. Only one process at a time can have a folder on loan;
    others wait.
    """

    def __init__(self, folder: Path) -> None:
        """Raise HatchModelError if the folder is writable but cannot be set aside."""
        self._folder = folder
        self._workspace: Workspace | None = None
        self._lock: FileLock | None = None
        parent = next(each for each in folder.parents if each.is_dir()).resolve()
        try:
            self._lock = _turn(parent)
            self._workspace = Workspace(parent)
            if os.path.lexists(folder):
                linked = folder.resolve() if folder.is_symlink() else None
                aside = self._workspace.set_aside(folder)
                _copy(linked or aside, folder)
            else:
                self._workspace.note_absent(folder)
        except OSError as error:
            self.end()
            # If nothing can be written, nothing has to be restored.
            if os.access(folder, os.W_OK):
                raise HatchModelError(
                    f"training writes to {folder}, which cannot be set aside and put back "
                    f"afterwards: {error.strerror or error}. Have the training function take "
                    f"`output_dir` and write there."
                ) from error
        self._before = _stamps(folder)

    def take_out(self, output_dir: Path) -> None:
        """Move the written files to *output_dir*. Raises HatchModelError as `written` does."""
        found = written(self._folder, self._before)
        for artifact in found:
            if os.path.lexists(output_dir / artifact.path):
                raise HatchModelError(
                    f"training wrote `{printable(str(artifact.path))}` twice, in the folder that "
                    f"it was given and in {self._folder}. Do only one of these."
                )
        root = self._folder.resolve()
        linked = [each for each in found if each.source.resolve() != root / each.path]
        # Copy the targets of links before they are removed.
        for artifact in linked:
            shutil.copy2(artifact.source, _place(output_dir, artifact))
        for artifact in found:
            if artifact not in linked:
                shutil.move(artifact.source, _place(output_dir, artifact))

    def end(self) -> None:
        """Restore the folder."""
        if self._workspace is not None:
            self._workspace.close()
        if self._lock is not None:
            self._lock.release()
        self._workspace = self._lock = None


def _turn(folder: Path) -> FileLock | None:
    """Wait until no other process has something in *folder* on loan, if the system can tell."""
    if os.name == "nt":
        return None  # Windows cannot lock folders.
    lock = FileLock.acquire(folder)
    if lock is None:
        print("another build is training in this source tree: waiting for it", flush=True)  # noqa: T201
        lock = FileLock.acquire(folder, wait=True)
    return lock


def _copy(folder: Path, target: Path) -> None:
    if folder.is_dir():
        shutil.copytree(folder, target, symlinks=True, ignore=_special_files)
    else:
        shutil.copy2(folder, target)


def _special_files(folder: str, names: list[str]) -> list[str]:
    """Return the names of entries without content to copy: pipes, sockets and devices."""
    paths = [Path(folder, name) for name in names]
    return [
        path.name for path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())
    ]


def _stamps(folder: Path) -> dict[PurePosixPath, _Stamp]:
    """Record what *folder*, which may not exist, contains: files, and links of any kind."""
    stamps = {}
    for parent, folders, names in os.walk(folder):
        relative = PurePosixPath(Path(parent).relative_to(folder).as_posix())
        links = [name for name in folders if Path(parent, name).is_symlink()]
        stamps.update({relative / name: _stamp(Path(parent, name)) for name in [*names, *links]})
    return stamps


def _stamp(path: Path) -> _Stamp:
    """Return a value that changes when a file is rewritten, even with the same content.

    The change time cannot be set back. (On Windows, where it is the creation time, the modification
    time is used instead.)
    """
    stat = path.lstat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def written(folder: Path, before: Mapping[PurePosixPath, _Stamp] | None = None) -> list[Artifact]:
    """List the files in *folder* by path, except those that are unchanged since *before*.

    A file that a symbolic link points to is also listed under the link's name. Raises
    HatchModelError for files that cannot be shipped: links that point outside *folder*, special
    files, and names that an archive or another system does not support. Unchanged files from
    *before* are ignored, whatever they are.
    """
    known = before or {}
    found = [
        Artifact(path=path, source=folder / path)
        for path in sorted(files_in(folder, _refuse, known))
        if _changed(folder, path, known)
    ]
    _refuse_names([str(each.path) for each in found])
    refuse_lfs_pointers({str(each.path): each.source for each in found}, "training wrote")
    return found


def refuse_lfs_pointers(files: Mapping[str, Path], doing: str) -> None:
    """Refuse what Git LFS has in place of a file's content. Raises HatchModelError.

    *files* go by the names they are called in the message, in which *doing* comes first.
    """
    for name, file in files.items():
        with file.open("rb") as opened:
            if opened.read(len(_LFS_MARK)) == _LFS_MARK:
                raise HatchModelError(
                    f"{doing} `{name}`, which is no more than a Git LFS "
                    f"pointer to the content. Run `git lfs pull`, and build again."
                )


def _changed(folder: Path, path: PurePosixPath, known: Mapping[PurePosixPath, _Stamp]) -> bool:
    """Return whether the file at *path*, or a link on the way to it, differs from *known*."""
    real = PurePosixPath((folder / path).resolve().relative_to(folder.resolve()).as_posix())
    below = (path, *path.parents[:-1])  # the last one is the folder itself
    links = [each for each in below if (folder / each).is_symlink()]
    return any(known.get(each) != _stamp(folder / each) for each in (real, *links))


def files_in(
    folder: Path,
    refuse: Callable[[PurePosixPath, str], None],
    known: Mapping[PurePosixPath, _Stamp] | None = None,
) -> Iterator[PurePosixPath]:
    """Return the files in *folder*, following symbolic links that stay within it.

    *refuse* gets the path of everything else that is no folder, unless it is *known*, and what it
    is.
    """
    return _files(folder, PurePosixPath(), (), refuse, known or {})


def _files(
    folder: Path,
    below: PurePosixPath,
    ancestors: tuple[Path, ...],
    refuse: Callable[[PurePosixPath, str], None],
    known: Mapping[PurePosixPath, _Stamp],
) -> Iterator[PurePosixPath]:
    """Return the files below a subfolder, inside folders with the real paths *ancestors*."""
    real = (folder / below).resolve()
    if real in ancestors or not real.is_dir():
        return
    ancestors = (*ancestors, real)
    try:
        entries = sorted(os.scandir(real), key=lambda entry: entry.name)
    except OSError as error:
        refuse(below, f"a folder that cannot be read ({error.strerror})")
        return
    for entry in entries:
        path = below / entry.name
        kind = _unfit(folder, path, ancestors)
        if kind:
            if known.get(path) != _stamp(folder / path):
                refuse(path, kind)
        elif entry.is_dir():
            yield from _files(folder, path, ancestors, refuse, known)
        else:
            yield path


def _refuse(path: PurePosixPath, kind: str) -> None:
    raise HatchModelError(
        f"training wrote `{printable(str(path))}`, which is {kind} and cannot be put into a wheel. "
        f"Write a regular file instead."
    )


def _unfit(folder: Path, path: PurePosixPath, ancestors: Collection[Path]) -> str:
    """Return what *path*, in the real folders *ancestors*, is instead of a file or folder."""
    found = folder / path
    try:
        target = found.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a link to itself, up to Python 3.12
        return "a symbolic link that leads nowhere"
    if not target.is_relative_to(folder.resolve()):
        return f"a symbolic link to `{printable(str(found.readlink()))}` outside of its folder"
    if found.is_symlink() and target in ancestors:
        return "a symbolic link to a folder around itself"
    return "" if target.is_dir() or target.is_file() else "neither a file nor a folder"


# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE
)
_NOT_ON_WINDOWS = frozenset('\\:<>|?*"')


def _refuse_names(paths: Sequence[str]) -> None:
    faults = name_faults(paths)
    if faults:
        raise HatchModelError(
            f"training wrote files under names that not every system and installer takes. Give "
            f"them other names:{as_lines(faults)}"
        )


def name_faults(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is wrong with files' names, each with its path or that of a folder.

    RECORD cannot contain them, Windows has no such files, or an earlier one of *paths* is equal
    elsewhere.
    """
    return [
        *((path, fault) for path in paths for fault in _faults_of(path)),
        *(
            (other, f"the same as `{printable(one)}` on macOS and Windows")
            for one, other in _twins(paths)
        ),
    ]


def as_lines(faults: Sequence[tuple[str, str]]) -> str:
    """Format *faults*, each with a path, as indented lines of a message."""
    lines = [f"\n  `{printable(path)}`: {fault}" for path, fault in faults[:_MOST_NAMES]]
    more = f"\n  and {len(faults) - _MOST_NAMES} more" if len(faults) > _MOST_NAMES else ""
    return f"{''.join(lines)}{more}"


def _faults_of(path: str) -> Iterator[str]:
    try:
        path.encode()
    except UnicodeEncodeError:
        yield "not in UTF-8"
        return
    if not path.isprintable():
        yield "a character that cannot be printed"
    names = path.split("/")
    found = sorted(_NOT_ON_WINDOWS.intersection(path))
    if found:
        yield f"Windows allows no {' '.join(found)}"
    if any(name.endswith((".", " ")) for name in names):
        yield "Windows leaves out a dot or a space at the end"
    for name in names:
        if _WINDOWS_DEVICE.fullmatch(name):
            yield f"`{name}` is a device on Windows"


def folded(path: str) -> str:
    """Return what all names of the file at *path* have in common on macOS and Windows."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _twins(paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Find pairs of files or folders that are the same one on macOS and Windows."""
    by_name: dict[str, str] = {}
    told = set()
    for path in paths:
        for each in (*map(str, reversed(PurePosixPath(path).parents[:-1])), path):
            other = by_name.setdefault(folded(each), each)
            if other != each:
                if each not in told:
                    yield other, each
                told.add(each)
                break  # What is inside is not worth a line.


def _place(folder: Path, artifact: Artifact) -> Path:
    target = folder / artifact.path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


# A model in the source tree, for development


def publish(artifacts: Sequence[Artifact], folder: Path) -> str:
    """Copy *artifacts* to *folder* in the tree and make git ignore them there.

    Returns what the user has to do to ignore them, or "".
    """
    for path in published(folder):  # from an earlier training
        (folder / path).unlink(missing_ok=True)
        for parent in path.parents[:-1]:  # the last one is the folder itself
            with suppress(OSError):  # another kind of file is there
                (folder / parent).rmdir()
    for artifact in artifacts:
        target = _place(folder, artifact)
        target.unlink(missing_ok=True)  # do not write through a link to another location
        shutil.copy2(artifact.source, target)
    names = [str(artifact.path) for artifact in artifacts]
    ignore = folder / _IGNORE_FILE
    if _IGNORE_FILE in names or (ignore.exists() and not _is_ours(ignore)):
        return (
            f"{ignore} is not hatch-model's, so it was left as it is: have git ignore "
            f"{', '.join(names)} yourself."
        )
    lines = [_IGNORE_MARK, f"/{_IGNORE_FILE}", *(f"/{_escaped(name)}" for name in names)]
    ignore.write_text("\n".join([*lines, ""]), "utf-8")
    return ""


def published(folder: Path) -> list[PurePosixPath]:
    """Return the files that :func:`publish` has written to *folder*, relative to it."""
    ignore = folder / _IGNORE_FILE
    if not _is_ours(ignore):
        return []
    lines = ignore.read_text("utf-8").splitlines()[1:]
    paths = [PurePosixPath(line[1:].replace("\\", "")) for line in lines if line.startswith("/")]
    return [path for path in paths if not path.is_absolute() and ".." not in path.parts]


def _is_ours(ignore: Path) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return ignore.read_text("utf-8").startswith(f"{_IGNORE_MARK}\n")
    return False


def _escaped(name: str) -> str:
    """Escape *name* for gitignore, where some characters form patterns."""
    return "".join(f"\\{each}" if each in "*?[ #!" else each for each in name)
