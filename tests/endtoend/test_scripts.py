"""Models that a script trains: what ships, what is recorded, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from checkout import CHECKOUT, online, output_of
from models import run
from support import (
    FRONTENDS,
    ModelProject,
    Surroundings,
    interpreter_of,
    special,
    timeless,
    tree,
    unpack,
)

if TYPE_CHECKING:
    from pathlib import Path

    from support import Built, Index

_SCHEMA = json.loads((CHECKOUT / "src" / "hatch_model" / "model.schema.json").read_text("utf-8"))
_RECORD = "small-0.1.0.dist-info/extra_metadata/model.json"
_METRICS = "small-0.1.0.dist-info/extra_metadata/report/metrics.json"
_TRAIN = 'train = "small.main:train"\n'
_SCRIPT = """\
import argparse
import json
import os
from pathlib import Path

import anchor

parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int, default=1)
parser.add_argument("--fast", action="store_true")
options = parser.parse_args()

models = Path("models")
models.mkdir(exist_ok=True)
(models / "weights.txt").write_text(f"{options.depth} {options.fast}")
report = Path(os.environ["HATCH_MODEL_REPORT_DIR"])
(report / "metrics.json").write_text(json.dumps({"accuracy": 0.75}))
print("accuracy 0.75")
"""
_SETTINGS = """\
train = "train.py"
artifacts = "models"
arguments = { depth = 3, fast = true }
gates = { accuracy = ">= 0.5" }

[tool.hatch.build.targets.wheel.sources]
models = "small/models"
"""


@pytest.fixture
def scripted(project: ModelProject) -> ModelProject:
    """A project that a script at its top trains, which writes into a folder there."""
    project.replace("pyproject.toml", (_TRAIN, _SETTINGS))
    project.write("train.py", _SCRIPT)
    (project.folder / "src" / "small" / "main.py").unlink()
    return project


def record_of(built: Built) -> Any:
    """Read the record, which must be valid."""
    record = json.loads(built.wheel.read(_RECORD))
    jsonschema.Draft202012Validator(_SCHEMA).validate(record)
    return record


def error_of(built: Built) -> str:
    """Give what a build said that had to fail."""
    assert built.completed.returncode != 0
    assert "Traceback" not in built.output
    assert [*built.out.glob("*.whl")] == []
    (message,) = re.findall(r"^hatch-model: error: (.*)$", built.output, flags=re.MULTILINE)
    return str(message)


@pytest.mark.parametrize("frontend", ["", *FRONTENDS])
def test_every_frontend_has_the_script_train(
    scripted: ModelProject, surroundings: Surroundings, frontend: str
) -> None:
    before = tree(scripted.folder)

    built = scripted.build(surroundings, frontend)

    assert built.wheel.files == ["small/__init__.py", "small/models/weights.txt"]
    assert built.wheel.read("small/models/weights.txt") == "3 True"
    assert built.wheel.read(_METRICS) == '{"accuracy": 0.75}'
    assert built.wheel.requires == ["anchor==1.2", "chain==2.0"]
    assert tree(scripted.folder) == before
    assert frontend == "hatch build" or "warning" not in built.output


def test_the_output_of_a_script_is_shown_between_what_the_build_says(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    assert special(scripted.build(surroundings).output) == (
        "hatch-model: training with train.py\n"
        "accuracy 0.75\n"
        "hatch-model: metric    value  gate\n"
        "hatch-model: accuracy  0.75   >= 0.5  ok\n"
    )


def test_the_record_has_the_script_and_its_options(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    built = scripted.build(surroundings)

    content = _SCRIPT.encode()
    script = {
        "path": "train.py",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    record = record_of(built)
    assert record["training"] == {
        "entry_point": "train.py",
        "arguments": {"depth": 3, "fast": True},
        "script": script,
    }
    assert record["metrics"] == {"accuracy": 0.75}
    assert [each["path"] for each in record["sources"]] == ["small/__init__.py"]
    assert run("verify", built.wheel.path).code == 0
    assert "trained by    train.py" in run("inspect", built.wheel.path).out
    known = json.loads(run("inspect", "--json", built.wheel.path).out)
    assert script in known["sources"]


def test_without_artifacts_the_model_ships_in_the_package(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.replace("pyproject.toml", ('artifacts = "models"\n', ""))
    scripted.replace(
        "train.py", ('Path("models")', 'Path(os.environ["HATCH_MODEL_OUTPUT_DIR"]) / "best"')
    )

    built = scripted.build(surroundings)

    assert built.wheel.files == ["small/__init__.py", "small/data/best/weights.txt"]


def test_a_script_in_a_package_ships_and_is_one_of_the_sources(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    (scripted.folder / "train.py").unlink()
    scripted.write("src/small/fit/__init__.py", "")
    scripted.write("src/small/fit/train.py", _SCRIPT.replace('"models"', "'src/small/fit/data'"))
    changes = ('"train.py"\nartifacts = "models"', '"src/small/fit/train.py"')
    scripted.replace("pyproject.toml", changes)

    built = scripted.build(surroundings)

    assert built.wheel.files == [
        "small/__init__.py",
        "small/fit/__init__.py",
        "small/fit/data/weights.txt",
        "small/fit/train.py",
    ]
    assert run("verify", built.wheel.path).code == 0


def test_a_model_at_the_top_of_site_packages_is_warned_of(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    table = '\n[tool.hatch.build.targets.wheel.sources]\nmodels = "small/models"\n'
    scripted.replace("pyproject.toml", (table, ""))

    built = scripted.build(surroundings)

    assert built.wheel.files == ["models/weights.txt", "small/__init__.py"]
    assert (
        "hatch-model: warning: the model ships as `models` at the top of site-packages, where another "
        "wheel may have a folder with this name. Ship it in the package, by:\n\n"
        "[tool.hatch.build.targets.wheel.sources]\n"
        '"models" = "small/models"\n'
    ) in built.output


# The projects of the documentation

_PROJECTS = CHECKOUT / "tests/projects/scripts"
_SAMPLE = "[[13.0, 1.5, 2.3, 15.0, 110.0, 2.6, 2.7, 0.3, 1.8, 5.0, 1.0, 3.2, 1000.0]]"


@pytest.mark.network
@pytest.mark.parametrize("name", ["script-wine", "notebook-wine"])
def test_a_project_of_the_page_is_built_installed_and_predicts(
    name: str, build_tools: Path, shared_folder: Path, tmp_path: Path
) -> None:
    project = ModelProject.copy(f"scripts/{name}", tmp_path / "project")
    environment = {
        **online(shared_folder),
        "UV_FIND_LINKS": str(build_tools),
        "UV_PYTHON": sys.executable,
        "HATCH_MODEL_CACHE_DIR": str(tmp_path / "store"),
    }

    def call(*command: str | Path, cwd: Path = project.folder) -> str:
        return output_of(*command, cwd=cwd, environment=environment)

    call("uv", "lock", "--quiet")
    before = tree(project.folder)
    said = call("uv", "build")
    assert "hatch-model: training with train.py\n" in said
    assert re.search(r"^hatch-model: accuracy +\S+ +>= 0\.9 +ok$", said, re.MULTILINE)
    assert "warning" not in said
    (wheel,) = (project.folder / "dist").glob("*.whl")
    environment["HATCH_MODEL_RETRAIN"] = "1"
    call("uv", "build", "--out-dir", tmp_path / "again")
    assert wheel.read_bytes() == (tmp_path / "again" / wheel.name).read_bytes()
    shutil.rmtree(project.folder / "dist")
    assert tree(project.folder) == before

    call("uv", "venv", "--quiet", tmp_path / "venv")
    python = interpreter_of(tmp_path / "venv")
    call("uv", "pip", "install", "--quiet", "--python", python, tmp_path / "again" / wheel.name)
    predict = f"from {name.replace('-', '_')} import predict; print(predict({_SAMPLE}))"
    assert call(python, "-c", predict, cwd=tmp_path) == "[0]\n"


def test_the_page_shows_the_projects_as_they_are_tested() -> None:
    page = (CHECKOUT / "docs/scripts.md").read_text("utf-8")
    shown = re.findall(r"^```(?:python|toml)\n(.*?)```$", page, re.MULTILINE | re.DOTALL)
    notebook = json.loads((_PROJECTS / "notebook-wine/train.ipynb").read_text("utf-8"))
    cells = ["".join(each["source"]) for each in notebook["cells"] if each["cell_type"] == "code"]

    files = {
        path.relative_to(_PROJECTS).as_posix(): path.read_text("utf-8")
        for path in _PROJECTS.rglob("*")
        if path.suffix in {".py", ".toml"}
    }
    assert sorted(shown) == sorted([*files.values(), "\n\n".join(cells) + "\n"])
    assert all(each.get("outputs", []) == [] for each in notebook["cells"])


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_runs_on_what_the_settings_say(
    scripted: ModelProject, surroundings: Surroundings, backend: str
) -> None:
    scripted.replace(
        "pyproject.toml",
        ("gates =", f'parallel = {{ backend = "{backend}", n-jobs = 2 }}\ngates ='),
    )
    scripted.write(
        "train.py",
        "import os, pathlib\nimport joblib\n\n"
        "def place(n): return n, os.getpid()\n\n"
        "if __name__ == '__main__':\n"
        "    found = joblib.Parallel()(joblib.delayed(place)(n) for n in range(4))\n"
        "    assert [n for n, _ in found] == [0, 1, 2, 3]\n"
        "    output = pathlib.Path(os.environ['HATCH_MODEL_OUTPUT_DIR'])\n"
        "    (output / 'here').write_text(str({pid for _, pid in found} == {os.getpid()}))\n"
        "    (pathlib.Path(os.environ['HATCH_MODEL_REPORT_DIR']) / 'metrics.json').write_text("
        "'{\"accuracy\": 1}')\n",
    )

    built = scripted.build(surroundings)

    assert built.wheel.read("small/models/here") == str(backend == "threading")


# What is refused


def test_a_script_that_is_not_there_is_said_before_anything_is_installed(
    scripted: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    scripted.replace("pyproject.toml", ('"train.py"', '"trian.py"'))
    (index.folder / "anchor-1.2-py3-none-any.whl").unlink()

    assert error_of(scripted.build(surroundings, "uv build --wheel", check=False)) == (
        "tool.hatch.build.hooks.model.train is `trian.py`, but there is no such file in the project. "
        "Did you mean `train.py`?"
    )


def test_a_gate_that_is_missed_ends_the_build(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.replace("train.py", ('"accuracy": 0.75', '"accuracy": 0.25'))

    built = scripted.build(surroundings, check=False)
    assert error_of(built) == "the model misses its gates (accuracy), so it is not packaged:"
    assert "  accuracy  0.25   >= 0.5  MISSED\n" in built.output


def test_a_script_that_writes_nothing_is_told_where_to_write(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.write("train.py", "")

    assert error_of(scripted.build(surroundings, check=False)) == (
        "train.py wrote nothing to `models`, so there is nothing to ship. Have it write the model to the "
        "folder that the environment variable HATCH_MODEL_OUTPUT_DIR names, or set "
        "tool.hatch.build.hooks.model.artifacts to the folder that it writes to."
    )


@pytest.mark.parametrize("check", ["", 'check = "small:check"\n'])
def test_a_pickle_of_what_the_script_defines_ends_the_build(
    scripted: ModelProject, surroundings: Surroundings, check: str
) -> None:
    scripted.replace("pyproject.toml", ('artifacts = "models"\n', f'artifacts = "models"\n{check}'))
    scripted.write("src/small/__init__.py", "def check(): pass\n")
    scripted.write(
        "train.py",
        "import os, pickle\nclass Model: pass\nos.mkdir('models')\n"
        "pickle.dump(Model(), open('models/model.pkl', 'wb'))\n",
    )

    message = error_of(scripted.build(surroundings, check=False))
    assert message == (
        "train.py wrote `model.pkl`, which refers to `__main__.Model`. This is there only while the "
        "script runs, so nobody could load the model. Move the definition to a module of the package, "
        "and import it from there."
    )
    assert f"\n  hatch-model: error: {message}\n" in (CHECKOUT / "docs/scripts.md").read_text(
        "utf-8"
    )


def test_an_import_that_nothing_declares_is_warned_of(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.write("train.py", f"import pluggy\n{_SCRIPT}")

    assert "hatch-model: warning: training imported pluggy" in scripted.build(surroundings).output


def test_a_copy_of_a_pinned_package_beside_the_script_is_refused(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.write("anchor.py", "")

    assert error_of(scripted.build(surroundings, check=False)).startswith(
        "the wheel would pin anchor 1.2, but training imported `anchor` from `anchor.py`"
    )


# Source distributions


def test_an_sdist_has_the_script_whatever_it_selects(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.write(
        "pyproject.toml",
        (scripted.folder / "pyproject.toml").read_text()
        + '\n[tool.hatch.build.targets.sdist]\nonly-include = ["src"]\n',
    )

    built = scripted.build(surroundings, "uv build")

    with tarfile.open(built.sdist) as archive:
        names = archive.getnames()
    assert sorted(names) == [
        "small-0.1.0/PKG-INFO",
        "small-0.1.0/pyproject.toml",
        "small-0.1.0/src/small/__init__.py",
        "small-0.1.0/train.py",
    ]
    assert built.wheel.read("small/models/weights.txt") == "3 True"


def test_data_that_a_script_reads_and_an_sdist_lacks_is_warned_of(
    scripted: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    scripted.write("train.py", f'{_SCRIPT}\nopen("data/rows.csv")\n')
    scripted.write("data/rows.csv", "1")
    scripted.write(".gitignore", "data/\n")

    said = surroundings.call_backend("sdist", tmp_path / "out", cwd=scripted.folder).stdout

    assert (
        "hatch-model: warning: the project names `data/rows.csv`, which this source distribution does "
        "not contain"
    ) in said


def test_a_trained_sdist_holds_what_the_script_wrote_and_notices_that_it_changed(
    scripted: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    scripted.replace("pyproject.toml", ("train.py", 'train.py"\nsdist = "trained'))
    surroundings.call_backend("sdist", tmp_path / "out", cwd=scripted.folder)
    (sdist,) = (tmp_path / "out").glob("*.tar.gz")
    unpacked = unpack(sdist, tmp_path)

    built = unpacked.build(surroundings)

    assert built.wheel.read("small/models/weights.txt") == "3 True"
    assert "training with" not in built.output
    unpacked.write("train.py", "")
    built.wheel.path.unlink()
    refused = unpacked.build(surroundings, check=False)
    assert "\n  train.py: changed\n" in refused.output


# Reuse


def test_a_model_is_reused_until_the_script_changes(
    scripted: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    scripted.replace("pyproject.toml", ("gates =", "inputs = []\ngates ="))
    scripted.build(surroundings)

    again = scripted.build(surroundings)
    assert "reusing the model" in again.output
    assert again.wheel.read("small/models/weights.txt") == "3 True"
    assert again.wheel.read(_METRICS) == '{"accuracy": 0.75}'
    moved = ModelProject(scripted.folder.rename(tmp_path / "elsewhere"))
    assert "reusing the model" in moved.build(surroundings).output

    moved.write("train.py", f"{_SCRIPT}\n# changed")
    changed = moved.build(surroundings)
    assert "changed since the last training:\nhatch-model:   source train.py: changed\n" in (
        changed.output
    )
    assert "training with train.py" in changed.output


def test_what_a_script_imports_from_beside_it_is_noticed(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.replace("pyproject.toml", ("gates =", "inputs = []\ngates ="))
    scripted.write("helper.py", "")
    scripted.write("train.py", f"import helper\n{_SCRIPT}")
    scripted.build(surroundings)
    scripted.write("helper.py", "1")

    assert "training code helper.py: changed" in scripted.build(surroundings).output


# Development


def test_the_command_trains_into_the_tree_with_other_arguments(
    scripted: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(
        tmp_path / "venv", "hatch-model[cli]", "--editable", scripted.folder
    )
    command = (python, "-m", "hatch_model", "train")

    trained = surroundings.run(*command, "--argument", "depth=5", cwd=scripted.folder)

    assert timeless(trained.stdout) == (
        "hatch-model: argument depth is 5, for this training only\n"
        "hatch-model: training with train.py\n"
        "accuracy 0.75\n"
        "hatch-model: trained in …: weights.txt, …\n"
        "hatch-model: metric    value  gate\n"
        "hatch-model: accuracy  0.75   >= 0.5  ok\n"
        "hatch-model: wrote models/weights.txt\n"
    )
    assert (scripted.folder / "models" / "weights.txt").read_text() == "5 True"
    refused = surroundings.run(
        *command, "--argument", 'depth={"a": 1}', cwd=scripted.folder, check=False
    )
    assert refused.stdout.splitlines()[-1] == (
        "hatch-model: error: --argument.depth: expected a string, number, boolean, or array of strings "
        "and numbers, as `train` is a script; found a table"
    )


def test_a_table_in_the_arguments_is_refused_with_its_key(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.replace("pyproject.toml", ("depth = 3", "depth = { a = 1 }"))

    assert error_of(scripted.build(surroundings, check=False)) == (
        "tool.hatch.build.hooks.model.arguments.depth: expected a string, number, boolean, or array of "
        "strings and numbers, as `train` is a script; found a table"
    )


def test_what_another_package_ships_is_no_place_for_the_model(
    scripted: ModelProject, surroundings: Surroundings
) -> None:
    scripted.replace("pyproject.toml", ('artifacts = "models"\n', ""))
    scripted.write("src/other/__init__.py", "")
    packages, table = '["src/small", "src/other"]', "[tool.hatch.build.targets.wheel.sources]"
    scripted.replace(
        "pyproject.toml",
        (
            table,
            f"[tool.hatch.build.targets.wheel]\npackages = {packages}\n{table}",
        ),
    )

    assert error_of(scripted.build(surroundings, check=False)) == (
        "the wheel ships several packages, so there is no telling which one gets the model of train.py. "
        "Set tool.hatch.build.hooks.model.artifacts to a folder inside a package, such as "
        '"src/your_package/data".'
    )
