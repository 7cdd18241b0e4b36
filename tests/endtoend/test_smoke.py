"""The shortest way from a model project to a prediction, with every frontend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import FRONTENDS, ModelProject, Surroundings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_every_frontend_trains_packages_and_pins(
    frontend: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    wheel = project.build(surroundings, frontend).wheel

    assert wheel.files == ["small/__init__.py", "small/data/weights.txt", "small/main.py"]
    assert wheel.requires == ["anchor==1.2", "chain==2.0"]
    python = surroundings.make_environment(tmp_path / "fresh", wheel.path)
    predicted = surroundings.run(
        python, "-c", "from small.main import predict; print(predict())", cwd=tmp_path
    )
    assert predicted.stdout == "0.5\n\n"
