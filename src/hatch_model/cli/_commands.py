"""The commands: what they take, print and exit with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hatch_model._environment import InstalledEnvironment
from hatch_model._progress import Progress
from hatch_model.cli._cache import cache
from hatch_model.cli._diff import changes
from hatch_model.cli._inspect import facts, sections
from hatch_model.cli._interpreter import Interpreter, describe, this_interpreter
from hatch_model.cli._opening import open_model
from hatch_model.cli._output import print_line, print_table, printable, shown
from hatch_model.cli._recheck import check_again
from hatch_model.cli._requirements import not_installed
from hatch_model.cli._shared import as_json_option, exits_on_error, print_json
from hatch_model.cli._train import train
from hatch_model.cli._verify import differences
from hatch_model.errors import UnreadableModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_model.cli._model_files import ModelFiles

_python = click.option(
    "--python",
    "command",
    metavar="PATH",
    help="Look for installed models where this Python does.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hatch-model")
def hatch_model() -> None:
    """Look into models that are packaged as wheels, and train them in their projects."""


hatch_model.add_command(cache)
hatch_model.add_command(train)


@hatch_model.command()
@click.argument("model")
@as_json_option
@_python
@exits_on_error
def inspect(model: str, *, as_json: bool, command: str | None) -> None:
    """Show what MODEL is: a wheel, an sdist, or the name of an installed model."""
    known = facts(_open_readable(model, _interpreter(command).path))
    if as_json:
        print_json(known)
        return
    for title, rows in sections(known):
        print_table(title, ("", ""), rows)


@hatch_model.command()
@click.argument("model")
@as_json_option
@_python
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    help="How far floats of the check's result may differ: relative, but absolute below 1.",
)
@exits_on_error
def verify(model: str, *, as_json: bool, command: str | None, tolerance: float) -> None:
    """List what differs in MODEL from what it says of itself; exit with 1 if anything does.

    An installed model is also compared with what is installed beside it, and its check is called
    again.
    """
    interpreter = _interpreter(command)
    opened = open_model(model, interpreter.path)
    if opened.kind == "sdist":
        raise click.UsageError("An sdist has no RECORD that it could be held to: verify its wheel.")
    found = differences(opened, Progress(_to_stderr))
    check = None
    if opened.kind == "installed":
        environment = InstalledEnvironment(interpreter.path)
        found += not_installed(opened, environment, interpreter.markers)
        check = opened.record and opened.record["check"]
    # Code that is known to be damaged is not run.
    is_checked = bool(check) and not found
    if check and is_checked:
        found += check_again(check, interpreter.command, tolerance, _to_stderr)
    if as_json:
        print_json(
            {
                "name": opened.name,
                "version": opened.version,
                "kind": opened.kind,
                "recorded": opened.record is not None,
                "checked": is_checked,
                "differences": found,
            }
        )
    else:
        for difference in found:
            print_line(difference)
        click.echo(f"{printable(opened.name)} {printable(opened.version)}: ", err=True, nl=False)
        click.echo(_verdict(found, is_recorded=opened.record is not None), err=True)
    sys.exit(1 if found else 0)


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


def _verdict(found: list[str], *, is_recorded: bool) -> str:
    if found:
        return f"{len(found)} difference{'s' if len(found) > 1 else ''}"
    return (
        "nothing differs" if is_recorded else "nothing differs from RECORD (there is no model.json)"
    )


@hatch_model.command()
@click.argument("a")
@click.argument("b")
@as_json_option
@_python
@exits_on_error
def diff(a: str, b: str, *, as_json: bool, command: str | None) -> None:
    """Show what differs between the models A and B."""
    path = _interpreter(command).path
    one, other = _open_readable(a, path), _open_readable(b, path)
    changed = changes(one, other)
    if as_json:
        print_json(changed)
        return
    if not any(changed.values()):
        print_line("nothing differs")
    headings = ("", f"{one.name} {one.version}", f"{other.name} {other.version}")
    for section, pairs in changed.items():
        if pairs:
            rows = [(name, *map(shown, pair)) for name, pair in pairs.items()]
            print_table(section, headings, rows)


def _open_readable(model: str, path: Sequence[str]) -> ModelFiles:
    """Open *model*, whose record must be readable, as nothing else would be shown of it."""
    opened = open_model(model, path)
    if opened.record_fault:
        raise UnreadableModelError(model, printable(f"{opened.record_path}: {opened.record_fault}"))
    return opened


def _interpreter(command: str | None) -> Interpreter:
    return describe(command) if command else this_interpreter()
