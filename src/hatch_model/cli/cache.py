"""The commands for the store of trained models."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any

import click

from hatch_model.cli.output import (
    Group,
    as_json_option,
    exits_on_error,
    print_json,
    print_line,
    print_table,
)
from hatch_model.log import human_size
from hatch_model.store import Store, store_folder, store_limit

if TYPE_CHECKING:
    from datetime import datetime

    from hatch_model.store import Entry, Freed


@click.group(cls=Group)
def cache() -> None:
    """Manage the stored models, which are reused instead of trained again."""


@cache.command("dir")
@exits_on_error
def dir_() -> None:
    """Print the store's folder."""
    print_line(str(store_folder()))


@cache.command("list")
@as_json_option
@exits_on_error
def list_(*, as_json: bool) -> None:
    """List the stored models and their sizes."""
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
    project = str(entry.description.get("project", "-"))
    return [entry.fingerprint[:12], project, human_size(entry.size), *times]


def _removed(freed: Freed) -> str:
    return f"Removed {_models(freed.models)} and freed {human_size(freed.size)}"


def _remaining(store: Store) -> str:
    size = store.size()
    return f"{human_size(size)} remains" if size else "nothing remains"


def _models(count: int) -> str:
    return f"{count} model{'' if count == 1 else 's'}"
