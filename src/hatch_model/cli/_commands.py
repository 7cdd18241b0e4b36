"""The commands: what they take, print and exit with."""

from __future__ import annotations

import json
import sys
import tempfile
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from hatch_model._checking import run_check
from hatch_model._environment import InstalledEnvironment
from hatch_model._exit import exit_on_error
from hatch_model._settings import object_reference
from hatch_model.cli._diff import changes
from hatch_model.cli._inspect import facts, sections
from hatch_model.cli._interpreter import Interpreter, describe, this_interpreter
from hatch_model.cli._model_files import open_model
from hatch_model.cli._output import print_table
from hatch_model.cli._verify import differences, not_installed, same_result
from hatch_model.errors import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_model.cli._model_files import ModelFiles

_P = ParamSpec("_P")


def _exits_on_error(command: Callable[_P, None]) -> Callable[_P, None]:
    @wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with exit_on_error():
            command(*args, **kwargs)

    return wrapper


_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_python = click.option(
    "--python",
    "command",
    metavar="PATH",
    help="Look for installed models where this Python does.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hatch-model")
def hatch_model() -> None:
    """Look into models that are packaged as wheels."""


@hatch_model.command()
@click.argument("model")
@_as_json
@_python
@_exits_on_error
def inspect(model: str, *, as_json: bool, command: str | None) -> None:
    """Show what MODEL is: a wheel, an sdist, or the name of an installed model."""
    known = facts(open_model(model, _interpreter(command).path))
    if as_json:
        _print_json(known)
        return
    for title, rows in sections(known):
        print_table(title, ("", ""), rows)


@hatch_model.command()
@click.argument("model")
@_as_json
@_python
@click.option(
    "--tolerance",
    default=1e-6,
    show_default=True,
    help="How far floats of the check's result may differ, relatively.",
)
@_exits_on_error
def verify(model: str, *, as_json: bool, command: str | None, tolerance: float) -> None:
    """List what differs in MODEL from what it says of itself; exit with 1 if anything does.

    An installed model is also compared with what is installed beside it, and its check is called
    again.
    """
    interpreter = _interpreter(command)
    opened = open_model(model, interpreter.path)
    found = differences(opened)
    if opened.kind == "installed":
        environment = InstalledEnvironment(interpreter.path)
        found += not_installed(opened, environment, interpreter.markers)
        # Code that is known to be damaged is not run.
        found += [] if found else _check_again(opened, interpreter, tolerance)
    if as_json:
        _print_json({"name": opened.name, "version": opened.version, "differences": found})
    else:
        for difference in found:
            click.echo(difference)
        verdict = f"{len(found)} differences" if found else "nothing differs"
        click.echo(f"{opened.name} {opened.version}: {verdict}", err=True)
    sys.exit(1 if found else 0)


@hatch_model.command()
@click.argument("a")
@click.argument("b")
@_as_json
@_python
@_exits_on_error
def diff(a: str, b: str, *, as_json: bool, command: str | None) -> None:
    """Show what differs between the models A and B."""
    path = _interpreter(command).path
    one, other = open_model(a, path), open_model(b, path)
    changed = changes(one, other)
    if as_json:
        _print_json(changed)
        return
    if not any(changed.values()):
        click.echo("nothing differs")
    headings = ("", f"{one.name} {one.version}", f"{other.name} {other.version}")
    for section, pairs in changed.items():
        if pairs:
            rows = [(name, *map(_shown, pair)) for name, pair in pairs.items()]
            print_table(section, headings, rows)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    is_digest = len(text) == 64 and all(char in "0123456789abcdef" for char in text)  # noqa: PLR2004
    return text[:12] if is_digest else text


def _check_again(model: ModelFiles, interpreter: Interpreter, tolerance: float) -> list[str]:
    """Call the check that *model* was released with, where it is installed, and compare."""
    check = (model.record or {}).get("check")
    if not check:
        return []
    with tempfile.TemporaryDirectory(prefix="hatch-model-") as folder:
        try:
            result = run_check(
                object_reference(check["entry_point"]),
                Path(folder),
                lambda line: click.echo(line, err=True),
                python=interpreter.command,
            )
        except HatchModelError as error:
            return [str(error)]
    if "result" in check and not (
        result.is_recordable and same_result(check["result"], result.returned, tolerance)
    ):
        return [
            (
                f"{check['entry_point']} returned {json.dumps(result.returned)}, but when the model was "
                f"made it returned {json.dumps(check['result'])}"
            )
        ]
    return []


def _interpreter(command: str | None) -> Interpreter:
    return describe(command) if command else this_interpreter()


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))
