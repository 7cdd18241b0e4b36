"""Train in the active environment and write the model to the source tree, for development."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hatchling.builders.wheel import WheelBuilder
from hatchling.plugin.exceptions import UnknownPluginError
from hatchling.plugin.manager import PluginManager

from hatch_model.cli.output import exits_on_error
from hatch_model.entry_point import PASSED_FOLDERS, Script, unfit_options
from hatch_model.errors import (
    HatchModelError,
    RequirementError,
    SettingsError,
    painted,
    printable,
    printable_message,
)
from hatch_model.installed import InstalledEnvironment
from hatch_model.model import make_model_in_tree
from hatch_model.project import Project
from hatch_model.workspace import Termination

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_model.log import Log
    from hatch_model.model import Model


_MOST_NAMES = 5
_NAME = re.compile(r"[^\W\d][\w-]*")
"""Of an argument: scripts may have dashes in theirs."""


class EchoLog:
    """Prints to standard output, as a build does, but warnings to standard error."""

    def info(self, message: str) -> None:
        click.echo(painted(f"hatch-model: {printable_message(message)}", sys.stdout), color=True)

    def warning(self, message: str) -> None:
        line = f"hatch-model: warning: {printable_message(message)}"
        click.echo(painted(line, sys.stderr), err=True, color=True)

    def output(self, line: str) -> None:
        click.echo(line)


@click.command()
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--argument",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override an argument of the settings. Can be used several times.",
)
@click.option(
    "--report-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    help="Keep what training writes to `report_dir` in this folder.",
)
@exits_on_error
def train(folder: str, *, assignments: Sequence[str], report_dir: Path | None) -> None:
    """Train the model of the project in FOLDER (default: this one) into its source tree.

    This uses the packages that are installed in the command's environment, so that an editable
    install can use the model. Wheels are trained separately, with the arguments in the settings.
    """
    try:
        arguments = read_arguments(assignments)
    except ValueError as error:
        raise click.BadParameter(f"{error} is not KEY=VALUE", param_hint="--argument") from None
    log = EchoLog()
    for name, value in arguments.items():
        log.info(f"argument {printable(name)} is {json.dumps(value)}, for this training only")
    model = train_in_tree(Path(folder).resolve(), arguments, log, report_dir)
    for artifact in model.trained.artifacts:
        log.info(f"wrote {printable(str(model.folder / artifact.path))}")


def train_in_tree(
    root: Path, arguments: Mapping[str, Any], log: Log, report_dir: Path | None = None
) -> Model:
    """Train the project at *root* with *arguments*, which override those in its settings.

    The report is saved to *report_dir*, if there is one. Raises HatchModelError if hatchling cannot
    read the project, or for anything that prevents training.
    """
    builder, build_data = _read_project(root)
    project = Project.read(builder, log)
    # Neither applies here: the environment may be newer than the lock, or installed from elsewhere.
    policy = replace(project.model.policy, direct_references="version")
    project.model = replace(project.model, policy=policy)
    project.training = replace(
        project.training, lock=None, arguments={**project.training.arguments, **arguments}
    )
    if isinstance(project.training.train, Script):
        problems = [*unfit_options("--argument", arguments)]
        if problems:
            raise SettingsError(problems)
    project.check_tools(InstalledEnvironment())
    termination = Termination()
    try:
        model = make_model_in_tree(project, build_data, is_release=False)
        if report_dir is not None:
            _save_report(model, report_dir, log)
    except RequirementError as error:
        raise HatchModelError(
            f"{error.required_by} asks for `{error.requirement}`, which is not in the environment "
            f"of this command. Run the command where the project and its dependency groups are "
            f"installed, such as after `uv sync --all-groups` with `uv run hatch-model train`. "
            f"This takes hatch-model in one of these groups: `uv add --dev 'hatch-model[cli]'`."
        ) from None
    finally:
        project.close()
        termination.close()
    return model


def _read_project(root: Path) -> tuple[WheelBuilder, dict[str, Any]]:
    if not (root / "pyproject.toml").is_file():
        raise HatchModelError(
            f"`{root}` has no pyproject.toml. Run the command in the project's folder, or name "
            f"that folder."
        )
    try:
        builder = WheelBuilder(str(root), plugin_manager=PluginManager())
        builder.metadata.validate_fields()
        build_data = builder.get_default_build_data()
        builder.set_build_data_defaults(build_data)
    except (OSError, TypeError, UnknownPluginError, ValueError) as error:
        raise HatchModelError(f"`{root / 'pyproject.toml'}` is not valid: {error}") from None
    return builder, build_data


def _save_report(model: Model, folder: Path, log: Log) -> None:
    from hatch_model.report import save  # noqa: PLC0415 - only for this option

    report = model.trained.report
    if not report:
        log.info("training wrote no report")
        return
    old = save(report, folder)
    for file in report:
        log.info(f"wrote {printable(str(folder / file.path))}")
    if old:
        names = ", ".join(f"`{printable(name)}`" for name in old[:_MOST_NAMES])
        more = f" and {len(old) - _MOST_NAMES} more" if len(old) > _MOST_NAMES else ""
        log.warning(f"{folder} also contains {names}{more}, which this training did not write")


def read_arguments(assignments: Sequence[str]) -> dict[str, Any]:
    """Parse each ``key=value``: the value is JSON, or else a string. Raises ValueError."""
    return dict(map(_argument, assignments))


def _argument(assignment: str) -> tuple[str, Any]:
    name, equals, text = assignment.partition("=")
    if not equals or not _NAME.fullmatch(name) or name in PASSED_FOLDERS:
        raise ValueError(assignment)
    try:
        value = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(assignment) from None
    except ValueError:
        return name, text
    # TOML has no null, so no build could have this argument.
    return name, text if value is None else value


def _no_number(constant: str) -> None:
    raise ValueError(constant)
