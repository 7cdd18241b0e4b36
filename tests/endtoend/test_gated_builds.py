"""Gates in builds: what a missed one leaves, and the table that a build prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support import ModelProject, Surroundings, special, tree

if TYPE_CHECKING:
    from pathlib import Path

_TRAIN = 'train = "small.main:train"'
_MISSED = (
    "hatch-model: error: the model misses its gates (accuracy), so it is not packaged:\n"
    "  metric    value  gate\n"
    "  accuracy  0.75   >= 0.9  MISSED\n"
)
# Writes over a file of the tree, adds one and a folder, and deletes one.
_IN_TREE = """
from pathlib import Path


def train():
    folder = Path(__file__).parent / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.txt").write_text("new")
    (folder / "deep" / "more.txt").write_text("new")
    (folder / "old.txt").unlink()
    return {"accuracy": 0.75}
"""


def gate(project: ModelProject, gates: str) -> None:
    project.replace("pyproject.toml", (_TRAIN, f"{_TRAIN}\ngates = {gates}"))


def test_a_missed_gate_leaves_everything_as_it_was(
    project: ModelProject, surroundings: Surroundings
) -> None:
    gate(project, '{ accuracy = ">= 0.9" }')
    out = project.folder.parent / "dist"
    project.build(surroundings, "uv build --wheel", "--quiet", check=False)  # uv's own .gitignore
    (out / "small-0.1.0-py3-none-any.whl").write_text("an older wheel of the same name")
    (out / "small-0.0.9-py3-none-any.whl").write_text("an older wheel")
    project.write("src/small/main.py", _IN_TREE)
    project.write("src/small/data/weights.txt", "old")
    project.write("src/small/data/old.txt", "old")
    before = tree(project.folder), tree(out)

    built = project.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert _MISSED in built.output
    assert "Traceback" not in built.output
    assert (tree(project.folder), tree(out)) == before
    assert list(surroundings.temporary.iterdir()) == []


@pytest.mark.parametrize(
    "frontend", ["uv build", pytest.param("python -m build", marks=pytest.mark.frontend)]
)
def test_a_missed_gate_leaves_the_wheels_as_they_were_behind_a_new_sdist(
    frontend: str, project: ModelProject, surroundings: Surroundings
) -> None:
    gate(project, '{ accuracy = ">= 0.9" }')
    out = project.folder.parent / "dist"
    out.mkdir()
    (out / "small-0.1.0-py3-none-any.whl").write_text("an older wheel of the same name")

    built = project.build(surroundings, frontend, check=False)

    assert built.completed.returncode != 0
    assert _MISSED in built.output
    assert [path.name for path in out.glob("*.whl")] == ["small-0.1.0-py3-none-any.whl"]
    assert built.wheel.path.read_text() == "an older wheel of the same name"


def test_a_metric_that_training_does_not_return_misses_its_gate(
    project: ModelProject, surroundings: Surroundings
) -> None:
    gate(project, '{ f1 = "> 0", accuracy = ">= 0.75, < 1" }')

    built = project.build(surroundings, check=False)

    assert (
        "hatch-model: error: the model misses its gates (f1), so it is not packaged:\n"
        "  metric    value         gate\n"
        "  accuracy  0.75          >= 0.75, < 1  ok\n"
        "  f1        not returned  > 0           MISSED\n"
    ) in built.output
    assert list(built.out.glob("*.whl")) == []


def test_a_gate_that_cannot_be_read_is_refused_before_anything_is_installed(
    project: ModelProject, surroundings: Surroundings
) -> None:
    gate(project, '{ accuracy = "at least 0.9" }')
    # Were it to be installed, this is what would be complained of.
    project.replace("pyproject.toml", ("anchor>=1", "nowhere>=1"))

    built = project.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert (
        "hatch-model: error: tool.hatch.build.hooks.model.gates.accuracy: expected a comparison "
        'such as ">= 0.9", or two such as ">= 0.9, < 1"; found "at least 0.9"\n'
    ) in built.output
    assert "nowhere" not in built.output


def test_gates_that_are_passed_are_recorded_and_the_table_printed(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace(
        "src/small/main.py",
        (
            '{"accuracy": 0.75}',
            '{"a": 1, "b": 2, "c": 0.1, "d": 1e-300, "e": 7, "f": -0.5, "g": 3}',
        ),
    )
    gate(
        project,
        '{ a = ">= 1", b = "> 1", c = "<= 0.1", d = "< 1e-299", e = "== 7", f = "> -1, < 0" }',
    )

    built = project.build(surroundings)

    assert (
        "hatch-model: training with small.main:train\n"
        "hatch-model: metric  value   gate\n"
        "hatch-model: a       1       >= 1       ok\n"
        "hatch-model: b       2       > 1        ok\n"
        "hatch-model: c       0.1     <= 0.1     ok\n"
        "hatch-model: d       1e-300  < 1e-299   ok\n"
        "hatch-model: e       7       == 7       ok\n"
        "hatch-model: f       -0.5    > -1, < 0  ok\n"
        "hatch-model: g       3\n"
    ) in special(built.output)
    record = json.loads(built.wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert record["gates"] == {
        "a": ">= 1",
        "b": "> 1",
        "c": "<= 0.1",
        "d": "< 1e-299",
        "e": "== 7",
        "f": "> -1, < 0",
    }


def test_metrics_are_printed_without_gates_and_nothing_without_metrics(
    project: ModelProject, surroundings: Surroundings
) -> None:
    output = project.build(surroundings).output
    assert "hatch-model: metric    value\nhatch-model: accuracy  0.75\n" in output

    project.replace("src/small/main.py", ('return {"accuracy": 0.75}', "return {}"))
    assert "hatch-model: metric" not in project.build(surroundings).output


def test_a_missed_gate_keeps_a_model_out_of_the_tree_of_an_editable_install(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    gate(project, '{ accuracy = ">= 0.9" }\neditable = "train"')
    before = tree(project.folder)
    python = surroundings.make_environment(tmp_path / "environment")

    installed = surroundings.run(
        *("uv", "pip", "install", "--python", python, "--editable", project.folder),
        cwd=tmp_path,
        check=False,
    )

    assert installed.returncode != 0
    said = " ".join(installed.stdout.split())  # uv breaks these lines anew
    assert "the model misses its gates (accuracy), so it is not packaged:" in said
    assert tree(project.folder) == before
