"""The report of a training: plots, tables and texts, which people look at and no model loads.

Training can have taken hours when it turns out that a file cannot travel. So that file is left out,
with a warning, and the build goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.artifacts import Artifact, as_lines, files_in, name_faults
from hatch_model.errors import HatchModelError
from hatch_model.log import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path, PurePosixPath

LARGEST_FILE = 10 << 20
"""In bytes."""
LARGEST_REPORT = 25 << 20
"""In bytes, of all its files."""
MOST_FILES = 100


def collect(folder: Path, target: Path, warn: Callable[[str], None]) -> list[Artifact]:
    """Copy the report in *folder*, which may not exist, to *target*, and return its files by path.

    *warn* is told of the files that are left out, and why.
    """
    unfit: list[tuple[str, str]] = []
    paths = sorted(files_in(folder, lambda path, kind: unfit.append((str(path), kind))))
    unfit += name_faults([*map(str, paths)])
    named = {path for path, _ in unfit}
    report: list[Artifact] = []
    size = 0
    for path in paths:
        if not named.isdisjoint(map(str, (path, *path.parents))):
            continue
        content, fault = _read(folder / path)
        if not fault and size + len(content) > LARGEST_REPORT:
            fault = f"with it, the report would be larger than {human_size(LARGEST_REPORT)}"
        elif not fault and len(report) == MOST_FILES:
            fault = f"with it, the report would have more than {MOST_FILES} files"
        if fault:
            unfit.append((str(path), fault))
            continue
        report.append(_write(content, path, target))
        size += len(content)
    if unfit:
        warn(
            f"files that training wrote to `report_dir` are left out:{as_lines(unfit)}\n"
            f"A report has up to {MOST_FILES} regular files of up to {human_size(LARGEST_FILE)} "
            f"each and {human_size(LARGEST_REPORT)} in all, under names that every system takes. "
            f"Write larger files to `output_dir`."
        )
    return report


def _read(file: Path) -> tuple[bytes, str]:
    """Return the content of *file*, or else why it cannot travel."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        return b"", f"it cannot be read ({error.strerror})"
    return content, f"larger than {human_size(LARGEST_FILE)}" if len(content) > LARGEST_FILE else ""


def _write(content: bytes, path: PurePosixPath, target: Path) -> Artifact:
    file = target / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return Artifact(path=path, source=file)


def save(report: Sequence[Artifact], folder: Path) -> list[str]:
    """Copy the files of *report* to *folder*, a folder of the user, and return what else is there.

    Raises HatchModelError.
    """
    try:
        for file in report:
            place = folder / file.path
            if place.is_symlink():  # do not write to another location
                place.unlink()
            _write(file.source.read_bytes(), file.path, folder)
        found = {
            each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()
        }
        return sorted(found - {str(file.path) for file in report})
    except OSError as error:
        raise HatchModelError(
            f"the report cannot be written to {folder}: {error.strerror}. Choose another folder."
        ) from error
