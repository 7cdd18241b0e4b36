"""`hatch-model train`: the model in the source tree, where an editable install predicts with it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT
from support import ModelProject, Surroundings, timeless, tree

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

_MAIN = """
from pathlib import Path


def train(output_dir: Path, depth: int, loss: str = "log") -> dict[str, float]:
    print(f"depth {depth!r}, loss {loss!r}")
    (output_dir / "weights.txt").write_text(f"{depth} {loss}")
    return {"accuracy": 0.75}


def predict() -> str:
    return (Path(__file__).parent / "data" / "weights.txt").read_text()
"""


class Development:
    """A project that is installed as editable, in an environment with the command line."""

    def __init__(self, project: ModelProject, surroundings: Surroundings, python: Path) -> None:
        self.project = project
        self.surroundings = surroundings
        self.python = python

    def train(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = (str(self.python), "-m", "hatch_model", "train", *arguments)
        return self.surroundings.run(*command, cwd=self.project.folder, check=check)

    def predict(self) -> str:
        script = "import small.main; print(small.main.predict())"
        return self.surroundings.run(
            self.python, "-c", script, cwd=self.python.parent
        ).stdout.strip()


@pytest.fixture
def development(project: ModelProject, surroundings: Surroundings, tmp_path: Path) -> Development:
    train = 'train = "small.main:train"\n'
    more = 'arguments = { depth = 3 }\ngates = { accuracy = ">= 0.9" }\n'
    project.replace("pyproject.toml", (train, train + more))
    project.write("src/small/main.py", _MAIN)
    python = surroundings.make_environment(
        tmp_path / "venv", "hatch-model[cli]", "--editable", project.folder
    )
    return Development(project, surroundings, python)


def test_an_editable_install_predicts_once_the_model_is_trained(development: Development) -> None:
    trained = development.train()

    # A gate is there for the wheel; while the model is being developed it is only shown.
    assert timeless(trained.stdout) == (
        "hatch-model: training with small.main:train\n"
        "depth 3, loss 'log'\n"
        "hatch-model: trained in …: weights.txt, …\n"
        "hatch-model: metric    value  gate\n"
        "hatch-model: accuracy  0.75   >= 0.9  MISSED\n"
        "hatch-model: wrote src/small/data/weights.txt\n"
    )
    assert development.predict() == "3 log"
    assert list(development.surroundings.temporary.iterdir()) == []


def test_arguments_are_for_one_training_and_never_for_a_wheel(development: Development) -> None:
    trained = development.train("--argument", "depth=5", "--argument", "loss=gini", ".")

    assert trained.stdout.startswith(
        "hatch-model: argument depth is 5, for this training only\n"
        'hatch-model: argument loss is "gini", for this training only\n'
        "hatch-model: training with small.main:train\n"
    )
    assert development.predict() == "5 gini"

    development.project.write(".gitignore", "data/\n")
    development.project.replace("pyproject.toml", (">= 0.9", ">= 0.7"))
    wheel = development.project.build(development.surroundings).wheel
    record = json.loads(wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert wheel.read("small/data/weights.txt") == "3 log"
    assert record["training"]["arguments"] == {"depth": 3}


def test_the_document_shows_what_the_command_prints(development: Development) -> None:
    document = (CHECKOUT / "docs" / "training-once.md").read_text("utf-8")
    (shown,) = re.findall(r"^```console\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    command, _, printed = shown.partition("\n")
    development.project.replace("pyproject.toml", ('gates = { accuracy = ">= 0.9" }\n', ""))

    trained = development.train(*command.removeprefix("$ hatch-model train ").split())

    said = trained.stdout.replace("depth 5, loss 'log'\n", "")
    assert timeless(said) == timeless(printed)


def test_what_is_trained_in_development_is_reused_by_builds(development: Development) -> None:
    development.project.replace(
        "pyproject.toml", ("arguments =", "inputs = []\narguments ="), (">= 0.9", ">= 0.7")
    )
    development.train()

    again = development.train()
    built = development.project.build(development.surroundings)

    for said in (again.stdout, built.output):
        assert "hatch-model: reusing the model that was trained before" in said
    assert "hatch-model: wrote src/small/data/weights.txt\n" in again.stdout


def test_a_training_that_fails_leaves_the_tree_as_it_was(development: Development) -> None:
    development.train()
    development.project.replace("src/small/main.py", ("return {", "raise ValueError('no')  # {"))
    before = tree(development.project.folder)

    refused = development.train(check=False)

    assert refused.returncode == 1
    assert refused.stdout.endswith(
        "hatch-model: error: training failed: small.main:train raised ValueError: no\n"
    )
    assert tree(development.project.folder) == before


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("depth", "Error: Invalid value for --argument: depth is not KEY=VALUE\n"),
        (
            "output_dir=here",
            "Error: Invalid value for --argument: output_dir=here is not KEY=VALUE\n",
        ),
    ],
)
def test_what_is_no_argument_is_refused(
    argument: str, message: str, development: Development
) -> None:
    refused = development.train("--argument", argument, check=False)

    assert refused.returncode == 2
    assert refused.stdout.endswith(message)


def test_what_the_environment_lacks_is_asked_for(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "bare", "hatch-model[cli]")

    refused = surroundings.run(
        python, "-m", "hatch_model", "train", project.folder, cwd=tmp_path, check=False
    )

    assert refused.returncode == 1
    assert refused.stdout == (
        "hatch-model: error: tool.hatch.metadata.hooks.model.dependencies[0] asks for `anchor>=1`, which "
        "is not in the environment of this command. Run the command where the project and its dependency "
        "groups are installed, such as after `uv sync --all-groups` with `uv run hatch-model train`. "
        "This takes hatch-model in one of these groups: `uv add --dev 'hatch-model[cli]'`.\n"
    )
