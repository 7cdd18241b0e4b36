"""Files that a command writes together: all of them, or none."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_model.cli.output import replace_file
from hatch_model.errors import HatchModelError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import PurePosixPath


def cd(folder: Path) -> str:
    """Return what to write before a command that runs in *folder*; "" for the working directory."""
    return f"cd {shlex.quote(str(folder))} && " if folder.resolve() != Path.cwd() else ""


def refuse_existing(root: Path, paths: Iterable[PurePosixPath], *, force: bool) -> None:
    """Raise HatchModelError if one of *paths* is there already, unless *force*."""
    there = [f"`{path}`" for path in paths if os.path.lexists(root / path)]
    if there and not force:
        raise HatchModelError(
            f"`{root}` has {', '.join(there)} already, so nothing was written. Overwrite with "
            f"--force, or move {'it' if len(there) == 1 else 'them'} away."
        )


def write_files(root: Path, files: Mapping[PurePosixPath, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            _replace(root / path, content.encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(root / path)) from error


def _replace(file: Path, content: bytes) -> None:
    """Write *content*. A link stays one, and so does a file's mode."""
    target = file.resolve()
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    replace_file(target, content)
    if mode is not None:
        target.chmod(mode)


@contextmanager
def all_or_nothing(root: Path, paths: Iterable[PurePosixPath]) -> Iterator[None]:
    """Put *paths* back as they were if anything fails, with the folders above them."""
    before = {
        path: (root / path).read_bytes() if (root / path).is_file() else None for path in paths
    }
    folders = {parent for path in before for parent in (root / path).parents}
    new = [each for each in folders if not each.exists()]
    try:
        yield
    except BaseException as error:
        _restore(root, before)
        for folder in sorted(new, reverse=True):  # the innermost first
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise HatchModelError(
                f"`{printable(str(error.filename))}` cannot be written: {error.strerror or error}. "
                f"Nothing was changed."
            ) from error
        raise


def _restore(root: Path, before: Mapping[PurePosixPath, bytes | None]) -> None:
    for path, content in before.items():
        with suppress(OSError):
            if content is None:
                (root / path).resolve().unlink(missing_ok=True)
            elif (root / path).read_bytes() != content:
                _replace(root / path, content)
