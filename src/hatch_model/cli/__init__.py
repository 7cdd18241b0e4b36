"""The ``hatch-model`` command, for the extra `cli`."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec

_REQUIREMENTS = (
    "click",
    "jinja2",
    "jsonschema",
    "markdown_it",
    "nh3",
    "platformdirs",
    "rich",
    "tomlkit",
)


def main() -> None:
    """Run the command line, or report that the extra `cli` is missing."""
    if not all(map(find_spec, _REQUIREMENTS)):
        sys.exit(
            "hatch-model: error: the command line needs more packages: install `hatch-model[cli]`"
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The encoding of a pipe may not support a character in a name; that must not stop the
        # command.
        sys.stdout.reconfigure(errors="backslashreplace")
    from hatch_model.cli.commands import hatch_model  # noqa: PLC0415

    hatch_model(prog_name="hatch-model")
