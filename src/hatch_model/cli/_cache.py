"""The commands that look after the store of trained models."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any

import click

from hatch_model._sizes import human_size, parse_size
from hatch_model._store import Store, store_folder, store_limit
from hatch_model.cli._output import print_line, print_table
from hatch_model.cli._shared import as_json_option, exits_on_error, print_json

if TYPE_CHECKING:
    from datetime import datetime

    from hatch_model._store import Entry, Freed


def _read_size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is no size, such as '20 GiB', '500MB' or a number of bytes."
        ) from error


@click.group()
def cache() -> None:
    """Look after the models that are stored so as not to be trained again."""


@cache.command("dir")
@exits_on_error
def dir_() -> None:
    """Print the folder of the stored models."""
    print_line(str(store_folder()))


@cache.command()
@as_json_option
@exits_on_error
def size(*, as_json: bool) -> None:
    """Show the stored models and their sizes."""
    store = _store()
    entries, total = store.entries(), store.size()
    if as_json:
        print_json({"size": total, "limit": store.limit, "models": list(map(_as_json, entries))})
        return
    if entries:
        headings = ("fingerprint", "project", "size", "stored", "last used")
        print_table("models", headings, list(map(_row, entries)))
    print_line(f"{_models(len(entries))}, {human_size(total)} of {human_size(store.limit)}")


@cache.command()
@click.option(
    "--limit",
    metavar="SIZE",
    callback=_read_size,
    help="Down to this size, such as '5 GiB', rather than what the store may hold.",
)
@exits_on_error
def prune(*, limit: int | None) -> None:
    """Remove what is left over, and models beyond the limit, the longest unused first.

    Models that are in use stay.
    """
    store = _store()
    freed = store.prune(store.limit if limit is None else limit)
    print_line(f"{_removed(freed)}; {_remaining(store)}.")


@cache.command()
@exits_on_error
def clear() -> None:
    """Remove all stored models that are not in use."""
    store = _store()
    freed = store.clear()
    in_use = ", which is in use" if store.size() else ""
    print_line(f"{_removed(freed)}; {_remaining(store)}{in_use}.")


def _store() -> Store:
    return Store(store_folder(), store_limit())


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "fingerprint": entry.fingerprint,
        "project": entry.description.get("project"),
        "size": entry.size,
        "kept": _utc(entry.kept),
        "used": _utc(entry.used),
    }


def _utc(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="seconds")


def _row(entry: Entry) -> list[str]:
    times = [f"{time.astimezone():%Y-%m-%d %H:%M}" for time in (entry.kept, entry.used)]
    project = entry.description.get("project", "-")
    return [entry.fingerprint[:12], project, human_size(entry.size), *times]


def _removed(freed: Freed) -> str:
    return f"Removed {_models(freed.models)} and freed {human_size(freed.size)}"


def _remaining(store: Store) -> str:
    size = store.size()
    return f"{human_size(size)} remains" if size else "nothing remains"


def _models(count: int) -> str:
    return f"{count} model{'' if count == 1 else 's'}"
