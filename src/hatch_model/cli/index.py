"""``hatch-model index``: a folder of wheels as a registry."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hatch_model.cli.output import Group, exits_on_error, print_hint, print_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_model.index.folder import Index

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))


@click.group(cls=Group)
def index() -> None:
    """Keep a folder of wheels as a package index with pages for people.

    People open FOLDER/index.html, installers use FOLDER/simple/. Any web server can serve it.
    """


@index.command()
@_folder
@click.option("--reread", is_flag=True, help="Read all archives again, not only new ones.")
@exits_on_error
def update(folder: Path, *, reread: bool) -> None:
    """Add the wheels that lie in FOLDER, and write all pages; exit with 1 if some are damaged."""
    lines, faults = _index(folder).update(reread=reread)
    _print(lines)
    for fault in faults:
        print_hint(f"hatch-model: {fault}")
    sys.exit(1 if faults else 0)


@index.command()
@_folder
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@exits_on_error
def add(folder: Path, files: tuple[Path, ...]) -> None:
    """Verify wheels and sdists, and copy them to the index in FOLDER."""
    is_new = not (folder / "index.html").exists()
    _print(_index(folder).add(files))
    if is_new:
        _say_what_is_next(folder)


def _say_what_is_next(folder: Path) -> None:
    if any((parent / "pyproject.toml").is_file() for parent in folder.resolve().parents):
        print_hint(
            f"hatch-model: `{folder}` is in the folder of a project: unless .gitignore names it, "
            f"the next source distribution contains it."
        )
    serve = ("python", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder))
    print_hint(f"Next: {shlex.join(serve)} 8000")


@index.command()
@_folder
@click.argument("name")
@click.argument("version")
@click.option("--reason", required=True, help="Why nobody should use it; installers show it.")
@exits_on_error
def yank(folder: Path, name: str, version: str, reason: str) -> None:
    """Have installers skip a version unless it is asked for."""
    _print(_index(folder).yank(name, version, reason))


@index.command()
@_folder
@click.argument("name")
@click.argument("version")
@exits_on_error
def unyank(folder: Path, name: str, version: str) -> None:
    """Have installers take a yanked version again."""
    _print(_index(folder).yank(name, version, None))


@index.command()
@_folder
@click.argument("name")
@click.argument("version")
@exits_on_error
def remove(folder: Path, name: str, version: str) -> None:
    """Delete a version with its files and pages. To keep it for those who use it, yank it."""
    _print(_index(folder).remove(name, version))


@index.command()
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path, file_okay=False))
@click.argument("target", metavar="TO", type=click.Path(path_type=Path, file_okay=False))
@click.argument("name")
@click.argument("version")
@exits_on_error
def promote(source: Path, target: Path, name: str, version: str) -> None:
    """Copy a version from one index to another if it passes the gates in TO/gates.toml."""
    _print(_index(source).promote(_index(target), name, version))


def _index(folder: Path) -> Index:
    from hatch_model.index.folder import Index  # noqa: PLC0415 - slow to import

    return Index(folder)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print_line(line)
