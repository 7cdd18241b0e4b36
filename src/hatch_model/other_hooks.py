"""Other metadata hooks beside this project's: which of them can supply what, and in which order.

hatchling calls all metadata hooks of a project, in the order of their tables, or none. A wheel from
an sdist calls them again, as the sdist leaves the dependencies open.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model.errors import HatchModelError
from hatch_model.phase import is_unpacked_sdist
from hatch_model.pins import same_lines
from hatch_model.settings import PLUGIN, declared_lines

if TYPE_CHECKING:
    from hatchling.metadata.core import ProjectMetadata

    from hatch_model.settings import ModelSettings

_HOOKS = "tool.hatch.metadata.hooks"
# They fail if they find dependencies that another hook has written.
_SUPPLIERS = ("requirements_txt", "uv-dynamic-versioning")


def check_other_hooks(metadata: ProjectMetadata[Any]) -> None:
    """Check that a project's other metadata hooks work beside this. Raises HatchModelError."""
    hooks = [*metadata.hatch.metadata.hook_config]
    later = hooks[hooks.index(PLUGIN) + 1 :]
    if "pinned_extra" in hooks:
        raise HatchModelError(
            f"{_HOOKS}.pinned_extra reads the dependencies before they are pinned, when there are "
            f"none. Take it out: the wheel requires exact versions without it."
        )
    if "uv-dynamic-versioning" in hooks and is_unpacked_sdist(Path(metadata.root)):
        raise HatchModelError(
            f"{_HOOKS}.uv-dynamic-versioning reads the version from the repository again, and this "
            f"is a source distribution. Build the wheel from the source tree, as with `uv build "
            f"--wheel`. (As the source of the version, uv-dynamic-versioning needs no repository "
            f"here.)"
        )
    for supplier in _SUPPLIERS:
        if supplier in later:
            raise HatchModelError(
                f"{_HOOKS}.{supplier} has to come before {_HOOKS}.{PLUGIN}, which writes the "
                f"dependencies. Move its table up."
            )


def take_over_dependencies(metadata: dict[str, Any], model: ModelSettings) -> None:
    """Take the dependencies that another hook has written out of *metadata*.

    Raises HatchModelError for one that is not declared for this hook as well, and so would not be
    pinned.
    """
    declared = declared_lines(model.roots)
    for line in metadata.pop("dependencies"):
        if not any(same_lines([line], [each]) for each in declared):
            raise HatchModelError(
                f"another metadata hook has `{line}` in project.dependencies, which "
                f"{_HOOKS}.{PLUGIN} writes. Add it to {model.declared_in}."
            )
