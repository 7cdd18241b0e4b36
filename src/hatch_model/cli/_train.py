"""Training in the active environment, into the source tree, for development."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hatchling.builders.wheel import WheelBuilder
from hatchling.plugin.exceptions import UnknownPluginError
from hatchling.plugin.manager import PluginManager

from hatch_model._build import ModelBuild
from hatch_model._environment import InstalledEnvironment
from hatch_model._origin import origin_of
from hatch_model._pinning import pins_of
from hatch_model._settings import read_settings
from hatch_model._tools import check_tools
from hatch_model._workspace import Workspace
from hatch_model.cli._output import printable
from hatch_model.cli._shared import exits_on_error
from hatch_model.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_model._log import Log
    from hatch_model._trained import TrainedModel


class EchoLog:
    """Speaks to whoever started the command: as a build does, but warnings to standard error."""

    def info(self, message: str) -> None:
        click.echo(f"hatch-model: {message}")

    def warning(self, message: str) -> None:
        click.echo(f"hatch-model: warning: {message}", err=True)

    def output(self, line: str) -> None:
        click.echo(line)


@click.command()
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--arguments",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    help="Train with another argument than the settings have; may be given again.",
)
@exits_on_error
def train(folder: str, *, assignments: Sequence[str]) -> None:
    """Train the model of the project in FOLDER (default: this one) into its source tree.

    It is trained with what is installed beside this command, for an editable install to predict
    with. A wheel is trained anew, with the arguments in the settings.
    """
    try:
        arguments = read_arguments(assignments)
    except ValueError as error:
        raise click.BadParameter(f"{error} is not KEY=VALUE", param_hint="--arguments") from None
    log = EchoLog()
    for name, value in arguments.items():
        log.info(f"argument {printable(name)} is {json.dumps(value)}, for this training only")
    trained = train_in_tree(Path(folder).resolve(), arguments, log)
    for artifact in trained.artifacts:
        log.info(f"wrote {printable(str(trained.tree.artifacts / artifact.path))}")


def train_in_tree(root: Path, arguments: Mapping[str, Any], log: Log) -> TrainedModel:
    """Train the project at *root* with *arguments* beside, or in place of, those in its settings.

    Raises ProjectError for what hatchling cannot make sense of, and whatever keeps a build from
    training.
    """
    try:
        builder = WheelBuilder(str(root), plugin_manager=PluginManager())
        project = builder.metadata.name
        build_data = builder.get_default_build_data()
        builder.set_build_data_defaults(build_data)
    except (OSError, TypeError, UnknownPluginError, ValueError) as error:
        raise ProjectError(str(root), str(error)) from None
    settings = read_settings(builder.metadata, needs_training=True)
    assert settings.training is not None  # noqa: S101 - needs_training
    # Neither is about this model: what is installed may be newer than the lock, or from elsewhere.
    policy = replace(settings.model.policy, direct_references="version")
    model = replace(settings.model, policy=policy)
    training = replace(
        settings.training, lock=None, arguments={**settings.training.arguments, **arguments}
    )
    check_tools(training, InstalledEnvironment())
    workspace = Workspace()
    try:
        build = ModelBuild(
            model,
            training,
            pins_of(model, training, str(root), project),
            builder,
            origin=origin_of(training, root, log),
            workspace=workspace.path,
            log=log,
            is_release=False,
        )
        return build.make_in_tree(build_data)
    finally:
        workspace.close()


def read_arguments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` each: a value as JSON has it, or else a string. Raises ValueError."""
    return dict(map(_argument, assignments))


def _argument(assignment: str) -> tuple[str, Any]:
    name, equals, text = assignment.partition("=")
    if not equals or not name.isidentifier() or name == "output_dir":
        raise ValueError(assignment)
    try:
        value = json.loads(text, parse_constant=_no_number)
    except ValueError:
        return name, text
    # TOML has no null, so no build could be given it.
    return name, text if value is None else value


def _no_number(constant: str) -> None:
    raise ValueError(constant)
