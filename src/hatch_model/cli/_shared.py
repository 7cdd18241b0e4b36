"""What commands have in common."""

from __future__ import annotations

import json
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from hatch_model._exit import exit_on_error

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def exits_on_error(command: Callable[_P, None]) -> Callable[_P, None]:
    @wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with exit_on_error():
            command(*args, **kwargs)

    return wrapper


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True))
