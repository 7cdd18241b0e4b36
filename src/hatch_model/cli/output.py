"""Tables: with colours and borders on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
import re
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hatch_model.errors import (
    LONGEST_MESSAGE,
    HatchModelError,
    exit_on_error,
    printable,
    printable_message,
)
from hatch_model.log import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


# In hexadecimal, as in model.json, or as in RECORD.
_DIGEST = re.compile(r"[0-9a-f]{64}|sha256=[\w-]{43}")


def shown(value: object) -> str:
    """Format a JSON *value* for a table's cell: digests shortened, None as a dash."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.removeprefix("sha256=")[:12] if _DIGEST.fullmatch(text) else text


def number(value: float, *, digits: int = 6, sign: bool = False) -> str:
    """Format *value* with up to *digits* significant digits, and with a plus for *sign*."""
    try:
        return f"{value:{'+' if sign else ''}.{digits}g}"
    except OverflowError:  # an integer that no float can hold
        return str(value)


def print_line(line: str) -> None:
    """Print *line*, in which line breaks are escaped as well."""
    print(printable(line, longest=LONGEST_MESSAGE))  # noqa: T201 - this is the output


def print_hint(message: str) -> None:
    """Print *message* to people, after and apart from what a command is called for."""
    sys.stdout.flush()
    click.echo(printable_message(message), err=True)


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *title* and *headings*, which may be empty strings."""
    title = printable(title)
    headings, *rows = [[printable(cell) for cell in line] for line in (headings, *rows)]
    if not sys.stdout.isatty():
        _print_plain(title, headings, rows)
        return
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=SIMPLE,
        show_header=any(headings),
        pad_edge=False,
    )
    for index, heading in enumerate(headings):
        table.add_column(Text(heading), style="cyan" if index == 0 else None, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _print_plain(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print_line(title)
    for line in columns([headings, *rows] if any(headings) else rows):
        print_line(f"  {line}")
    print_line("")


class Group(click.Group):
    """Commands, each listed with the whole first sentence of its help."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        rows = [
            (name, command.get_short_help_str(limit=1_000))
            for name, command in self.commands.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))


_P = ParamSpec("_P")

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def exits_on_error(command: Callable[_P, None]) -> Callable[_P, None]:
    @wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with exit_on_error():
            command(*args, **kwargs)

    return wrapper


_GENERATOR = b"hatch-model"
_HEAD = 2_000  # bytes, in which every page, style sheet and feed names what wrote it


def refuse_foreign(file: Path) -> None:
    """Raise HatchModelError if there is a *file* that hatch-model did not write, or OSError."""
    if file.is_file():
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
        if head and _GENERATOR not in head:
            raise HatchModelError(
                f"`{file}` is there already, and hatch-model did not write it. Move it away."
            )


def write_page(file: Path, content: bytes) -> None:
    """Write *content* to *file* as a whole or not at all, unless it is there already.

    Raises HatchModelError rather than overwrite a file that hatch-model did not write. A device or
    a pipe is written to.
    """
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, content)
        elif not file.is_file():  # such as a pipe or /dev/null, which stay what they are
            file.write_bytes(content)
        elif file.read_bytes() != content:
            refuse_foreign(file)
            replace_file(file, content)
    except OSError as error:
        raise HatchModelError(f"`{file}` cannot be written: {error.strerror or error}.") from error


def replace_file(file: Path, content: bytes) -> None:
    """Write *content* to *file* as a whole or not at all. Raises OSError."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        try:
            stream = partial.open("xb")
        except FileExistsError:
            partial.unlink()  # left by a process that was killed, or a link to another file
            stream = partial.open("xb")
        with stream:
            stream.write(content)
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True))
