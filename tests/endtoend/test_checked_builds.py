"""The check of a finished wheel: where it runs, what it catches, and what it leaves."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import ModelProject, Surroundings, make_wheel, tree

if TYPE_CHECKING:
    from support import Built, Index, Wheel

_TRAIN = 'train = "small.main:train"'
_RECORD = "small-0.1.0.dist-info/extra_metadata/model.json"


@pytest.fixture
def checked(project: ModelProject) -> ModelProject:
    """A project whose wheel is checked with `small.checks:check`, which is yet to be written."""
    project.replace("pyproject.toml", (_TRAIN, f'{_TRAIN}\ncheck = "small.checks:check"'))
    return project


def write_check(project: ModelProject, *lines: str, before: str = "") -> None:
    body = "".join(f"    {line}\n" for line in lines)
    project.write("src/small/checks.py", f"{before}\n\ndef check():\n{body}")


def result_of(built: Built) -> Any:
    """Give what the check returned, as the wheel has it, which must be in order."""
    verify_record(built.wheel)
    return json.loads(built.wheel.read(_RECORD))["check"]["result"]


def verify_record(wheel: Wheel) -> None:
    """Compare every file of *wheel* with RECORD."""
    with zipfile.ZipFile(wheel.path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    (record,) = (name for name in contents if name.endswith(".dist-info/RECORD"))
    listed = {
        path: tuple(rest) for path, *rest in csv.reader(io.StringIO(contents[record].decode()))
    }
    assert listed == {
        path: ("", "") if path == record else (f"sha256={digest(content)}", str(len(content)))
        for path, content in contents.items()
    }


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def refused(project: ModelProject, surroundings: Surroundings, message: str) -> str:
    """Build, which must fail with *message* and leave nothing, and give the output."""
    sources = tree(project.folder)
    built = project.build(surroundings, check=False)
    assert built.completed.returncode != 0
    assert f"hatch-model: error: the wheel does not pass its check: {message}\n" in built.output
    assert [path.name for path in built.out.iterdir() if path.name != ".gitignore"] == []
    assert list(surroundings.temporary.iterdir()) == []
    assert tree(project.folder) == sources
    return built.output


def make_full_environment(project: ModelProject, surroundings: Surroundings, folder: Path) -> Path:
    """Make an environment to build in without isolation, with *project* in it as editable."""
    python = surroundings.make_environment(
        folder, "hatchling", "hatch-model", "anchor", "editables"
    )
    surroundings.run(
        *("uv", "pip", "install", "--quiet", "--python", python, "--no-build-isolation"),
        *("--no-deps", "--editable", project.folder),
        cwd=folder.parent,
    )
    return python


# A check that passes ------------------------------------------------------------------------------


def test_the_code_of_the_wheel_runs_away_from_the_tree_and_its_result_is_recorded(
    checked: ModelProject, surroundings: Surroundings
) -> None:
    write_check(
        checked,
        "from small.main import predict",
        "print('about to predict')",
        "here = Path(__file__).resolve()",
        "return {",
        "    'prediction': float(predict()),",
        "    'nothing': None,",
        "    'folder': [here.parent.name, os.listdir('.')],",
        "    'in the tree': here.is_relative_to(os.environ['TREE']),",
        "    'tree': [entry for entry in sys.path if entry.startswith(os.environ['TREE'])],",
        "    'version': version('small'),",
        "    'needs': [version('anchor'), version('chain')],",
        "}",
        before="import os, sys\nfrom pathlib import Path\nfrom importlib.metadata import version\n"
        "import anchor, chain",
    )
    surroundings.environment["TREE"] = str(checked.folder)

    built = checked.build(surroundings)

    assert result_of(built) == {
        "prediction": 0.5,
        "nothing": None,
        "folder": ["small", []],
        "in the tree": False,
        "tree": [],
        "version": "0.1.0",
        "needs": ["1.2", "2.0"],
    }
    assert (
        "hatch-model: checking the wheel with small.checks:check\nabout to predict\n"
        in built.output
    )
    assert {path.name for path in built.out.iterdir()} - {".gitignore"} == {
        "small-0.1.0-py3-none-any.whl"
    }
    assert list(surroundings.temporary.iterdir()) == []


def test_what_json_cannot_hold_is_not_recorded(
    checked: ModelProject, surroundings: Surroundings
) -> None:
    write_check(checked, "return {1.5, 2}")

    wheel = checked.build(surroundings).wheel

    verify_record(wheel)
    assert json.loads(wheel.read(_RECORD))["check"] == {"entry_point": "small.checks:check"}


def test_a_wheel_from_the_default_build_is_checked(
    checked: ModelProject, surroundings: Surroundings
) -> None:
    write_check(checked, "return 1")

    assert result_of(checked.build(surroundings, "uv build")) == 1


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["{python}", "-m", "zipfile", "-t", "{wheel}"], marks=pytest.mark.frontend),
        pytest.param(["unzip", "-tqq", "{wheel}"], marks=pytest.mark.frontend),
        ["uv", "pip", "install", "--python", "{environment}", "{wheel}"],
        pytest.param(
            ["{environment}", "-m", "pip", "install", "{wheel}"], marks=pytest.mark.frontend
        ),
        pytest.param(["check-wheel-contents", "{wheel}"], marks=pytest.mark.frontend),
    ],
    ids=["zipfile", "unzip", "uv", "pip", "check-wheel-contents"],
)
def test_a_checked_wheel_is_in_order(
    command: list[str], checked: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    """With a script and shared data, so that there is a `.data` folder, too."""
    if shutil.which(command[0].format(python=sys.executable, environment=sys.executable)) is None:
        pytest.skip(f"there is no {command[0]}")
    checked.write("table.csv", "1\n")
    checked.write("run.sh", "#!/bin/sh\n")
    checked.replace(
        "pyproject.toml",
        (
            "[tool.hatch.build.hooks.model]",
            (
                "[tool.hatch.build.targets.wheel.shared-data]\n"
                '"table.csv" = "share/small/table.csv"\n'
                "[tool.hatch.build.targets.wheel.shared-scripts]\n"
                '"run.sh" = "run-small"\n'
                "[tool.hatch.build.hooks.model]"
            ),
        ),
    )
    write_check(checked, "return 1")
    built = checked.build(surroundings)
    assert result_of(built) == 1
    environment = (
        surroundings.make_environment(tmp_path / "environment", "pip")
        if "{environment}" in command
        else None
    )

    surroundings.run(
        *(
            part.format(python=sys.executable, environment=environment, wheel=built.wheel.path)
            for part in command
        ),
        cwd=tmp_path,
    )

    if environment is not None:
        code = "import small.checks; print(small.checks.check())"
        assert surroundings.run(environment, "-c", code, cwd=tmp_path).stdout == "1\n"


# A check that does not ----------------------------------------------------------------------------


def test_what_raises_leaves_no_wheel(checked: ModelProject, surroundings: Surroundings) -> None:
    write_check(checked, "assert 1 == 2, 'unequal'")

    output = refused(checked, surroundings, "small.checks:check raised AssertionError: unequal")

    assert ", line 4, in check\n    assert 1 == 2, 'unequal'\n" in output
    assert "run_check.py" not in output
    assert output.count("Traceback") == 1


def test_an_older_wheel_of_the_same_name_stays_as_it_was(
    checked: ModelProject, surroundings: Surroundings
) -> None:
    write_check(checked, "return 1")
    older = checked.build(surroundings).wheel.path
    content = older.read_bytes()
    write_check(checked, "raise ValueError")

    built = checked.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert [path.name for path in built.out.iterdir()] == [older.name]
    assert older.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "checks_elsewhere:check",
            (
                "checks_elsewhere:check raised ModuleNotFoundError: No module named "
                "'checks_elsewhere'"
            ),
        ),
        (
            "small.checks:check.absent",
            (
                "small.checks:check.absent raised AttributeError: module 'small.checks' has no "
                "attribute 'absent'"
            ),
        ),
    ],
)
def test_what_cannot_be_found_fails(
    name: str, message: str, checked: ModelProject, surroundings: Surroundings
) -> None:
    write_check(checked, "return 1")
    checked.replace("pyproject.toml", ("small.checks:check", name))

    refused(checked, surroundings, message)


@pytest.mark.skipif(os.name == "nt", reason="POSIX's signals")
def test_a_check_that_is_killed_fails(checked: ModelProject, surroundings: Surroundings) -> None:
    write_check(checked, "os.kill(os.getpid(), signal.SIGKILL)", before="import os, signal")

    refused(checked, surroundings, "the process that ran small.checks:check was killed by SIGKILL.")


@pytest.mark.skipif(os.name == "nt", reason="POSIX's signals")
@pytest.mark.parametrize(
    "name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.frontend), "SIGKILL"]
)
def test_a_build_that_is_stopped_while_it_checks_leaves_no_wheel(
    name: str, checked: ModelProject, surroundings: Surroundings
) -> None:
    write_check(
        checked,
        f"os.kill(os.getppid(), signal.{name})",
        "time.sleep(600)",
        before="import os, signal, time",
    )
    sources = tree(checked.folder)

    built = checked.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert list(built.out.glob("*.whl")) == []
    assert tree(checked.folder) == sources


def undeclared(name: str) -> str:
    return (
        f"small.checks:check imported {name}, which the wheel does not require. It is installed "
        f"here only for training or for the build, so users of the wheel would not have it. Add it "
        f"to tool.hatch.metadata.hooks.model.dependencies, and not to build-system.requires, or do not "
        f"import it to predict."
    )


@pytest.mark.parametrize(
    ("imports", "names"),
    [
        ("import plotter", "plotter"),
        ("import packaging.version, anchor, plotter", "packaging"),
        pytest.param("import hatch_model", "hatch-model", marks=pytest.mark.frontend),
    ],
)
def test_a_package_of_a_training_group_or_of_the_build_fails_and_is_named(
    imports: str, names: str, checked: ModelProject, index: Index, surroundings: Surroundings
) -> None:
    make_wheel(index.folder, "plotter", "3.0")
    checked.replace(
        "pyproject.toml",
        (_TRAIN, f'{_TRAIN}\ndependency-groups = ["plots"]'),
        (
            "[tool.hatch.metadata",
            '[dependency-groups]\nplots = ["plotter"]\n\n[tool.hatch.metadata',
        ),
    )
    write_check(checked, imports)

    refused(checked, surroundings, undeclared(names))


def test_a_module_that_the_wheel_does_not_hold_is_not_there(
    checked: ModelProject, surroundings: Surroundings
) -> None:
    """Training finds it, as it finds all that lies beside the package."""
    checked.write("src/helper.py", "")
    checked.replace(
        "src/small/main.py",
        ("from pathlib import Path\n", "from pathlib import Path\nimport helper\n"),
    )
    write_check(checked, "import small.main")

    refused(
        checked,
        surroundings,
        "small.checks:check raised ModuleNotFoundError: No module named 'helper'",
    )


def test_a_module_that_is_reached_in_the_tree_all_the_same_is_named(
    checked: ModelProject, surroundings: Surroundings
) -> None:
    checked.write("lib/helper.py", "")
    write_check(
        checked,
        "sys.path.append(os.environ['LIBRARY'])",
        "import helper",
        before="import os, sys",
    )
    surroundings.environment["LIBRARY"] = str(checked.folder / "lib")

    refused(
        checked,
        surroundings,
        (
            "small.checks:check imported lib/helper.py from the source tree, which the wheel does "
            "not contain. Move it to a package that ships."
        ),
    )


# Without isolation --------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["--wheel"], []], ids=["from the tree", "from the sdist"])
def test_the_tree_is_not_seen_where_the_project_is_installed_from_it_as_editable(
    options: list[str], checked: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    checked.write("src/helper.py", "")
    write_check(
        checked,
        "inside = Path(__file__).resolve().is_relative_to(os.environ['TREE'])",
        "return [inside, importlib.util.find_spec('helper')]",
        before="import importlib.util, os\nfrom pathlib import Path",
    )
    python = make_full_environment(checked, surroundings, tmp_path / "environment")
    seen = "import helper, small.checks; print(small.checks.__file__)"
    shown = surroundings.run(python, "-c", seen, cwd=tmp_path).stdout
    assert Path(shown.strip()) == checked.folder / "src" / "small" / "checks.py"
    surroundings.environment["TREE"] = str(checked.folder)
    out = tmp_path / "dist"

    surroundings.run(
        *("uv", "build", *options, "--no-build-isolation"),
        *("--python", python, "--out-dir", out),
        cwd=checked.folder,
    )

    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert json.loads(archive.read(_RECORD))["check"]["result"] == [False, None]


def test_what_is_installed_within_the_projects_folder_is_no_part_of_the_tree(
    checked: ModelProject, surroundings: Surroundings
) -> None:
    """Where people have their environment, and some systems of automation all temporary files."""
    write_check(checked, "import anchor", "return 1")
    checked.write(".gitignore", ".venv/\ntmp/\n")
    python = make_full_environment(checked, surroundings, checked.folder / ".venv")
    (checked.folder / "tmp").mkdir()
    surroundings.environment["TMPDIR"] = str(checked.folder / "tmp")
    out = checked.folder.parent / "dist"

    surroundings.run(
        *("uv", "build", "--wheel", "--no-build-isolation"),
        *("--python", python, "--out-dir", out),
        cwd=checked.folder,
    )

    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert json.loads(archive.read(_RECORD))["check"]["result"] == 1
    assert list((checked.folder / "tmp").iterdir()) == []


# A model that is returned, and no check

_RETURNS = """\
class Model:
    def predict(self):
        return 0.5

def train():
    return Model()
"""


def _returning(project: ModelProject, main: str, file: str = "src/small/main.py") -> None:
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "joblib"]'))
    project.write(file, main)


def test_a_model_that_is_returned_is_loaded_from_the_wheel(
    project: ModelProject, surroundings: Surroundings
) -> None:
    _returning(project, _RETURNS)

    built = project.build(surroundings)

    assert built.backend_output == (
        "hatch-model: training with small.main:train\n"
        "hatch-model: loading the model from the wheel\n"
    )


def test_a_model_of_a_class_that_the_wheel_does_not_ship_is_an_error(
    project: ModelProject, surroundings: Surroundings
) -> None:
    _returning(project, _RETURNS, "training/fit.py")
    project.replace(
        "pyproject.toml",
        (
            _TRAIN,
            'train = "training.fit:train"\npython-path = ["."]\nartifacts = "src/small/data"',
        ),
    )

    built = project.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert (
        "hatch-model: error: the model cannot be loaded where the wheel is installed: loading "
        "`small/data/model.joblib` needs `training.fit.Model`, which the wheel does not ship "
        "(ModuleNotFoundError: No module named 'training'). Define it in a module of the package that "
        "ships, and import it from there.\n" in built.output
    )
    assert list(built.out.iterdir()) == []


def test_a_model_whose_module_needs_a_training_package_is_an_error(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "plotter", "3.0")
    _returning(project, f"import plotter\n{_RETURNS}")
    project.replace(
        "pyproject.toml",
        (_TRAIN, f'{_TRAIN}\ndependency-groups = ["plots"]'),
        (
            "[tool.hatch.metadata",
            '[dependency-groups]\nplots = ["plotter"]\n\n[tool.hatch.metadata',
        ),
    )

    built = project.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert (
        "hatch-model: error: the wheel does not pass its check: loading `small/data/model.joblib` "
        "imported plotter, which the wheel does not require." in built.output
    )


def test_an_optional_import_of_the_check_fails_softly(
    checked: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "plotter", "3.0")
    checked.replace(
        "pyproject.toml",
        (_TRAIN, f'{_TRAIN}\ndependency-groups = ["plots"]'),
        (
            "[tool.hatch.metadata",
            '[dependency-groups]\nplots = ["plotter"]\n\n[tool.hatch.metadata',
        ),
    )
    write_check(
        checked,
        "from importlib.util import find_spec",
        "from importlib.metadata import packages_distributions",
        "return [find_spec('plotter') is None, 'plotter' in packages_distributions()]",
    )

    wheel = checked.build(surroundings).wheel

    record = json.loads(wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert record["check"]["result"] == [True, False]
