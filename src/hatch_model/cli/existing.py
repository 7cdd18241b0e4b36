"""``hatch-model init`` in a project that exists: shows what it would write, asks, and writes it."""

from __future__ import annotations

import difflib
import shutil
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from hatch_model.cli.files import all_or_nothing, cd, refuse_existing, write_files
from hatch_model.cli.output import print_line
from hatch_model.errors import HatchModelError, printable_message
from hatch_model.new_project.old_versions import LOCK, old_versions, python_of, uv_compile
from hatch_model.new_project.planner import make_plan
from hatch_model.new_project.pyproject import edited
from hatch_model.new_project.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_model.new_project.plan import Choice, Plan
    from hatch_model.new_project.survey import Survey

_MOST_CHOICES = 6
_PYPROJECT = PurePosixPath("pyproject.toml")


def convert(
    folder: Path,
    choice: Choice,
    *,
    yes: bool,
    force: bool,
    lock: Callable[[Path], None] | None,
) -> None:
    """Make the project in *folder* a model project, if the user or *yes* says so.

    *lock* renews a uv.lock; None for no lock. Raises HatchModelError, and has written nothing then.
    """
    found = survey(folder)
    choice = _asked(found, choice, yes=yes)
    plan = make_plan(found, choice)
    if lock is not None:
        _lock(plan)
    file = found.root / _PYPROJECT
    before = file.read_bytes().decode("utf-8-sig") if file.exists() else ""
    files = {_PYPROJECT: edited(plan, before), **plan.files}
    refuse_existing(found.root, plan.files, force=force)
    _show(plan, before, files)
    _confirm(yes=yes)
    _write(found.root, files, lock if plan.lock == "uv.lock" else None)
    for path in files:
        print_line(f"wrote {path}")
    print_line(f"Next: {_next(plan, folder)}")


def _asked(found: Survey, choice: Choice, *, yes: bool) -> Choice:
    """Ask which code trains where that is not clear, on a terminal."""
    candidates = [str(each.path) for each in found.candidates()][:_MOST_CHOICES]
    if choice.train or yes or len(candidates) < 2 or not sys.stdin.isatty():  # noqa: PLR2004 - a choice
        return choice
    answer = click.prompt("Which code trains", default=candidates[0], type=click.Choice(candidates))
    return replace(choice, train=answer)


def _lock(plan: Plan) -> None:
    """Plan a lock: the project's own uv.lock, or one as of the last commit."""
    root = plan.survey.root
    if (root / "uv.lock").exists():
        plan.lock = "uv.lock"
        return
    uv = shutil.which("uv")
    if uv is None or (root / LOCK).exists():
        reason = f"there is a `{LOCK}`" if uv else "uv is not on PATH"
        plan.notes.append(f"no lock was made, because {reason}: see the page about locking")
        return
    content, errors = old_versions(plan, uv_compile(uv, root))
    if content:
        plan.lock = LOCK
        plan.files[PurePosixPath(LOCK)] = content
    else:
        plan.notes.append(f"no lock was made, because uv found no versions: {errors}")


def _show(plan: Plan, before: str, files: Mapping[PurePosixPath, str]) -> None:
    """Print the difference of pyproject.toml, the new files, and what to know of them."""
    name = str(_PYPROJECT)
    difference = difflib.unified_diff(
        before.splitlines(), files[_PYPROJECT].splitlines(), name, name, lineterm="", n=2
    )
    click.echo(printable_message("\n".join(line.rstrip() for line in difference)))
    for path, content in plan.files.items():
        click.echo(printable_message(f"\n+++ {path}"))
        shown = content if path.suffix == ".py" else f"{len(content.splitlines())} lines"
        click.echo(printable_message("\n".join(f"+{line}".rstrip() for line in shown.splitlines())))
    click.echo()
    source = "" if plan.train == plan.trained_by else f", from `{plan.trained_by}`"
    print_line(f"It trains with `{plan.train}`{source}.")
    for note in plan.notes:
        click.echo(printable_message(f"- {note}"))
    click.echo()


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise HatchModelError(
            "nothing was written, because there is no terminal to ask on. Give --yes to write this."
        )
    if not click.confirm("Write this?", default=True):
        raise HatchModelError("nothing was written")


def _write(
    root: Path, files: Mapping[PurePosixPath, str], lock: Callable[[Path], None] | None
) -> None:
    """Write *files* and renew the lock: all of it, or nothing."""
    with all_or_nothing(root, [*files, *([PurePosixPath("uv.lock")] if lock else [])]):
        write_files(root, files)
        try:
            if lock:
                lock(root)
        except HatchModelError:
            raise HatchModelError(
                "`uv lock` failed, as uv says above, so everything was put back as it was. Mend "
                "that and try again, or give --no-lock and renew the lock later."
            ) from None


def _next(plan: Plan, folder: Path) -> str:
    """Return the command that trains and builds."""
    python = python_of(plan.survey.committed) if plan.lock == LOCK else ""
    running = f"3.{sys.version_info.minor}"
    is_older = python and int(python.partition(".")[2]) < sys.version_info.minor
    return f"{cd(folder)}uv build{f' --python {python}' if is_older and python != running else ''}"
