"""``hatch-model init``: a model project that builds at once, new or of a project that exists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hatch_model.cli.files import all_or_nothing, cd, refuse_existing, write_files
from hatch_model.cli.output import exits_on_error, print_line
from hatch_model.errors import HatchModelError
from hatch_model.new_project import CI_SYSTEMS, FORMATS, NewProject, own_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatch_model.new_project import Format

# A new repository often has these, and the project does as well with them as with ours.
_OPTIONAL = ("README.md", ".gitignore")


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="The project's name.  [default: the folder's]")
@click.option("--library", type=click.Choice(list(FORMATS)), help="What to train with.")
@click.option(
    "--format",
    "format_",
    type=click.Choice([each for formats in FORMATS.values() for each in formats]),
    help="How to save the model.",
)
@click.option("--ci", type=click.Choice(list(CI_SYSTEMS)), help="Whose workflow to write.")
@click.option(
    "--train",
    metavar="CODE",
    default="",
    help="The code of an existing project that trains: FILE, FILE:FUNCTION or MODULE:FUNCTION.",
)
@click.option(
    "--artifacts",
    metavar="PATH",
    default="",
    help="The folder, or the file, that this code writes the model to, if reading it does not "
    "tell.",
)
@click.option(
    "--arguments",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    help="An argument of this code. Can be used several times.",
)
@click.option("--yes", is_flag=True, help="Change an existing project without asking.")
@click.option("--no-lock", is_flag=True, help="Do not lock the versions.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@exits_on_error
def init(
    folder: Path,
    *,
    name: str | None,
    library: str | None,
    format_: Format | None,
    ci: str | None,
    train: str,
    artifacts: str,
    assignments: Sequence[str],
    yes: bool,
    no_lock: bool,
    force: bool,
) -> None:
    """Make the project in FOLDER (default: this one) a model project, or write a new one there.

    A new project trains, tests and builds as it is. Of a project that exists, no code is changed.
    On a terminal, asks for what the options do not say.
    """
    is_new = any((name, library, format_, ci))
    if (train or artifacts or assignments or yes or not is_new) and _is_project(folder):
        if is_new:
            raise click.UsageError("--name, --library, --format and --ci are for new projects.")
        _convert(folder, train, artifacts, assignments, yes=yes, no_lock=no_lock, force=force)
        return
    if train or artifacts or assignments:
        raise click.UsageError(
            f"--train, --artifacts and --arguments are for a project that exists, and `{folder}` "
            f"has none."
        )
    _create(folder, name, library, format_, ci, no_lock=no_lock, force=force)


def _is_project(folder: Path) -> bool:
    from hatch_model.new_project.survey import is_project  # noqa: PLC0415 - reads code

    return is_project(folder)


def _convert(
    folder: Path,
    train: str,
    artifacts: str,
    assignments: Sequence[str],
    *,
    yes: bool,
    no_lock: bool,
    force: bool,
) -> None:
    from hatch_model.cli.existing import convert  # noqa: PLC0415 - slow to import
    from hatch_model.cli.train import read_arguments  # noqa: PLC0415 - as above
    from hatch_model.new_project.plan import Choice  # noqa: PLC0415 - as above

    try:
        arguments = read_arguments(assignments)
    except ValueError as error:
        raise click.BadParameter(f"{error} is not KEY=VALUE", param_hint="--arguments") from None
    choice = Choice(
        train=train, artifacts=artifacts, arguments=arguments, source=own_source(folder)
    )
    convert(folder, choice, yes=yes, force=force, lock=None if no_lock else _lock)


def _create(
    folder: Path,
    name: str | None,
    library: str | None,
    format_: Format | None,
    ci: str | None,
    *,
    no_lock: bool,
    force: bool,
) -> None:
    name = name or _answer("Name", "-".join(folder.resolve().name.split()))
    library = library or _answer("Library", _only_library(format_), list(FORMATS))
    formats = FORMATS[library]
    chosen: Format = format_ or _answer("Format", formats[0], formats)  # type: ignore[assignment]
    ci = ci or _answer("Workflow", "github", list(CI_SYSTEMS))
    source = own_source(folder)
    project = NewProject(name=name, library=library, format=chosen, ci=ci, source=source)
    kept = [path for path in _OPTIONAL if (folder / path).is_file() and not force]
    files = {path: text for path, text in project.files().items() if str(path) not in kept}
    refuse_existing(folder, files, force=force)
    with all_or_nothing(folder, files):
        write_files(folder, files)
    for path in files:
        print_line(f"wrote {path}")
    for each in kept:
        print_line(f"kept {each}")
    if not no_lock:
        _lock(folder)
    print_line(f"Next: {cd(folder)}uv run pytest && uv build")


def _only_library(format_: Format | None) -> str:
    return next((each for each, formats in FORMATS.items() if format_ in formats), "scikit-learn")


def _answer(question: str, default: str, choices: Iterable[str] = ()) -> str:
    """Ask on a terminal, and take *default* elsewhere."""
    options = list(choices)
    if not sys.stdin.isatty() or len(options) == 1:
        return default
    kind = click.Choice(options) if options else None
    return str(click.prompt(question, default=default, type=kind))


def _lock(folder: Path) -> None:
    """Make uv.lock, which the project's settings train with."""
    uv = shutil.which("uv")
    if uv is None:
        print_line("uv is not on PATH. Install it, and run `uv lock` before the first build.")
        return
    # What a build around this one may have set is about another project.
    left_out = ("UV_PROJECT", "UV_WORKING_DIR", "VIRTUAL_ENV")
    variables = {key: value for key, value in os.environ.items() if key not in left_out}
    if subprocess.run([uv, "lock", "--quiet"], cwd=folder, env=variables, check=False).returncode:
        raise HatchModelError(
            "the project was written, but `uv lock` failed, as uv says above. Run it again before "
            "the first build."
        )
    print_line("wrote uv.lock")
