"""The commands: their options, output and exit codes."""

from __future__ import annotations

import re
import sys
import tempfile
import webbrowser
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click
from packaging.utils import canonicalize_name

from hatch_model.cli.cache import cache
from hatch_model.cli.diff import changes, metric_changes
from hatch_model.cli.index import index
from hatch_model.cli.init import init
from hatch_model.cli.inspect import facts, next_commands, sections
from hatch_model.cli.interpreter import Interpreter, describe, this_interpreter
from hatch_model.cli.open import open_model, unreadable
from hatch_model.cli.output import (
    Group,
    as_json_option,
    exits_on_error,
    print_hint,
    print_json,
    print_line,
    print_table,
    shown,
    write_page,
)
from hatch_model.cli.reproduce import EXIT_CODES, compare, rebuild, recorded_in
from hatch_model.cli.train import train
from hatch_model.cli.verify import check_again, differences, not_installed
from hatch_model.errors import printable
from hatch_model.installed import InstalledEnvironment
from hatch_model.log import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hatch_model.cli.open import ModelFiles

_python = click.option(
    "--python",
    "command",
    metavar="PATH",
    help="Look for installed models on this Python's path.",
)


_P = ParamSpec("_P")


def _tolerance(what: str) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    return click.option(
        "--tolerance",
        type=click.FloatRange(min=0),
        default=1e-6,
        show_default=True,
        help=f"How far floats of {what} may differ: relative, but absolute below 1.",
    )


class ModelCommand(click.Command):
    """A command on models. Wrong usage names the wheel built last, or asks for one file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True
        try:
            extra = super().parse_args(ctx, args)
        except click.MissingParameter as missing:
            first = missing.param in self.params[:1]
            if first and (newest := _built_last(Path("dist"))):
                reason = missing.format_message().rstrip(".")
                raise click.UsageError(
                    f"{reason}, such as {printable(str(newest))}.", ctx
                ) from None
            raise
        if extra and not ctx.resilient_parsing:
            ctx.fail(
                f"Got unexpected extra argument ({printable(' '.join(extra))}). A pattern such as "
                f"dist/*.whl also matches the wheels of earlier builds: name one file."
            )
        return extra


def _built_last(folder: Path) -> Path | None:
    wheels = [(path.stat().st_mtime, path) for path in folder.glob("*.whl") if path.is_file()]
    return max(wheels)[1] if wheels else None


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hatch-model")
def hatch_model() -> None:
    """Inspect models that are packaged as wheels, and train them in their projects."""


hatch_model.add_command(cache)
hatch_model.add_command(index)
hatch_model.add_command(init)
hatch_model.add_command(train)


@hatch_model.command(cls=ModelCommand)
@click.argument("model")
@as_json_option
@click.option("--markdown", is_flag=True, help="Print a model card for the Hugging Face Hub.")
@_python
@exits_on_error
def inspect(model: str, *, as_json: bool, markdown: bool, command: str | None) -> None:
    """Show the facts about MODEL: a wheel, an sdist, or the name of an installed model."""
    if as_json and markdown:
        raise click.UsageError("Give either --json or --markdown.")
    opened = _open_readable(model, _interpreter(command).path)
    if markdown:
        from hatch_model.pages.card import model_card  # noqa: PLC0415 - slow to import
        from hatch_model.pages.content import content_of  # noqa: PLC0415 - as above

        click.echo(model_card(content_of(opened)), nl=False)
        return
    known = facts(opened)
    if as_json:
        print_json(known)
        return
    for title, rows in sections(known):
        print_table(title, ("", ""), rows)
    if opened.kind == "wheel" and opened.record:
        for each in next_commands(model, known):
            print_hint(f"Next: {each}")


@hatch_model.command(cls=ModelCommand)
@click.argument("model")
@as_json_option
@_python
@_tolerance("the check's result")
@exits_on_error
def verify(model: str, *, as_json: bool, command: str | None, tolerance: float) -> None:
    """Check that MODEL matches its own metadata; exit with 1 if anything differs.

    For an installed model, also compare its requirements with the installed packages, and call its
    check again.
    """
    interpreter = _interpreter(command)
    opened = _open(model, interpreter.path)
    if opened.kind == "sdist":
        raise click.UsageError("An sdist has no RECORD to verify. Verify its wheel instead.")
    found = differences(opened, Progress(lambda line: _to_stderr(printable(line))))
    check = None
    if opened.kind == "installed":
        environment = InstalledEnvironment(interpreter.path)
        found += not_installed(opened, environment, interpreter.markers)
        check = opened.record and opened.record["check"]
    # Don't run code that is known to be damaged.
    is_checked = bool(check) and not found
    if check and is_checked:
        found += check_again(check, interpreter, tolerance, _to_stderr)
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


@hatch_model.command(cls=ModelCommand)
@click.argument("a")
@click.argument("b")
@as_json_option
@_python
@exits_on_error
def diff(a: str, b: str, *, as_json: bool, command: str | None) -> None:
    """Show the differences between the models A and B."""
    path = _interpreter(command).path
    one, other = _open_readable(a, path), _open_readable(b, path)
    changed, metrics = changes(one, other), metric_changes(facts(one), facts(other))
    if as_json:
        print_json({**changed, "metric_changes": {each.metric: each.as_json() for each in metrics}})
        return
    if not any(changed.values()):
        print_line("nothing differs")
    left, right = f"{one.name} {one.version}", f"{other.name} {other.version}"
    if metrics:
        print_table("metrics", ("", left, right, "change"), [each.row for each in metrics])
    _print_pairs({**changed, "metrics": {}}, left, right)


@hatch_model.command(cls=ModelCommand)
@click.argument("model")
@click.argument("other", metavar="[OTHER]", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write to FILE, or to standard output for `-`.  [default: NAME-VERSION.html]",
)
@click.option("--open", "is_opened", is_flag=True, help="Open the page in a browser.")
@_python
@exits_on_error
def report(
    model: str, other: str | None, *, output: Path | None, is_opened: bool, command: str | None
) -> None:
    """Write one HTML page about MODEL, or about MODEL and OTHER side by side.

    The page is a single file that loads nothing from elsewhere.
    """
    from hatch_model.pages.content import content_of  # noqa: PLC0415 - slow to import
    from hatch_model.pages.page import comparison_page, report_page  # noqa: PLC0415 - as above

    if is_opened and output == Path("-"):
        raise click.UsageError("--open needs a file.")
    path = _interpreter(command).path
    contents = [content_of(_open_readable(each, path)) for each in (model, other) if each]
    page = report_page(*contents) if len(contents) == 1 else comparison_page(*contents)
    if output == Path("-"):
        click.echo(page, nl=False)
        return
    names = [f"{canonicalize_name(each.name)}-{each.version}" for each in contents]
    file = output or Path(f"{re.sub(_NOT_IN_A_NAME, '_', '-'.join(names))}.html")
    write_page(file.resolve(), page.encode("utf-8", "replace"))
    print_line(str(file))
    if is_opened:
        webbrowser.open(file.resolve().as_uri())


_NOT_IN_A_NAME = r"[^\w.+-]"


@hatch_model.command(cls=ModelCommand)
@click.argument("wheel")
@click.argument("sdist")
@as_json_option
@click.option(
    "--python",
    metavar="PATH",
    help="Rebuild with this Python instead of the recorded one.",
)
@_tolerance("metrics and the check's result")
@exits_on_error
def reproduce(
    wheel: str, sdist: str, *, as_json: bool, python: str | None, tolerance: float
) -> None:
    """Build SDIST again with the Python and the versions that WHEEL records, and compare.

    This trains the model. The exit code is 0 if the files are identical, 3 if they are not but
    the metrics and the check's result are the same, and 4 if these differ as well.
    """
    original = _open_readable(wheel)
    record = recorded_in(original, _open(sdist))
    with (
        tempfile.TemporaryDirectory(prefix="hatch-model-") as folder,
        closing(rebuild(sdist, record, Path(folder), python=python)) as rebuilt,
    ):
        comparison = compare(original, rebuilt, tolerance)
    if as_json:
        print_json(
            {
                "name": original.name,
                "version": original.version,
                "verdict": comparison.verdict,
                "report": comparison.report,
                "differences": comparison.differences,
            }
        )
    else:
        reason = f": {comparison.reason}" if comparison.reason else ""
        print_line(f"{original.name} {original.version}: {comparison.verdict}{reason}")
        if comparison.report:
            print_table("report (not part of the verdict)", ("", ""), [*comparison.report.items()])
        _print_pairs(comparison.differences, "recorded", "rebuilt")
    sys.exit(EXIT_CODES[comparison.verdict])


def _print_pairs(
    changed: Mapping[str, Mapping[str, tuple[Any, Any]]], one: str, other: str
) -> None:
    """Print what differs between *one* and *other*: pairs of values by section and name."""
    headings = ("", one, other)
    for section, pairs in changed.items():
        if pairs:
            rows = [(name, *map(shown, pair)) for name, pair in pairs.items()]
            print_table(section, headings, rows)


def _open(model: str, path: Sequence[str] | None = None) -> ModelFiles:
    """Open *model*, and close it when the command ends."""
    opened = open_model(model, path)
    click.get_current_context().call_on_close(opened.close)
    return opened


def _open_readable(model: str, path: Sequence[str] | None = None) -> ModelFiles:
    """Open *model*, whose record must be readable, because the command shows little else."""
    opened = _open(model, path)
    if opened.record_fault:
        raise unreadable(model, f"{opened.record_path}: {opened.record_fault}")
    return opened


def _interpreter(command: str | None) -> Interpreter:
    return describe(command) if command else this_interpreter()
