"""Small projects laid out for hatchling, and the settings of their training."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

from hatchling.builders.wheel import WheelBuilder

from hatch_model.entry_point import entry_point
from hatch_model.settings import TrainingSettings

if TYPE_CHECKING:
    from pathlib import Path

KEY = "tool.hatch.build.hooks.model"


def wheel_builder(root: Path, files: str, wheel: str = "") -> WheelBuilder:
    """Lay out a project named `iris` with *files* (paths) and the table *wheel* for its target."""
    for file in files.split():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {file}\n", "utf-8")
    (root / "pyproject.toml").write_text(
        dedent(
            f"""
            [project]
            name = "iris"
            version = "1"

            [tool.hatch.build.targets.wheel]
            {wheel}
            """
        ),
        "utf-8",
    )
    return WheelBuilder(str(root))


def training_settings(train: str, **options: Any) -> TrainingSettings:
    return TrainingSettings(key=KEY, train=entry_point(train), **options)
