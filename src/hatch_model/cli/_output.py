"""Tables: in colour and with lines on a terminal, plain columns in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *title* and *headings*, which may be empty strings."""
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
        table.add_column(heading, style="cyan" if index == 0 else None, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _print_plain(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [headings, *rows] if any(headings) else list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(title)  # noqa: T201 - this is the output
    for line in lines:
        print(f"  {'  '.join(map(str.ljust, line, widths))}".rstrip())  # noqa: T201
    print()  # noqa: T201
