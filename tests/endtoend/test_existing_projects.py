"""Projects of the kinds that people have: converted, built, and used from the wheel alone."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import online, output_of
from support import PROJECTS, Wheel, tree

if TYPE_CHECKING:
    from pathlib import Path

    from support import Surroundings

pytestmark = pytest.mark.network


def _run(folder: Path, environment: dict[str, str], *command: str | Path) -> str:
    return output_of(*command, cwd=folder, environment=environment)


def _commit(folder: Path, environment: dict[str, str]) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    _run(folder, environment, "git", "init", "--quiet")
    _run(folder, environment, "git", "add", "--all")
    _run(folder, environment, "git", *who, "commit", "--quiet", "--message", "x")


class Converted:
    """A project under tests/projects/existing that was converted and built."""

    def __init__(
        self, name: str, surroundings: Surroundings, shared: Path, folder: Path, *options: str
    ) -> None:
        self.project = shutil.copytree(PROJECTS / "existing" / name, folder / name)
        self.environment = {
            **online(shared),
            "UV_FIND_LINKS": surroundings.variables()["UV_FIND_LINKS"],
            "UV_PYTHON": sys.executable,
            "HATCH_MODEL_CACHE_DIR": str(surroundings.store),
        }
        _commit(self.project, self.environment)
        code = {path: digest for path, digest in tree(self.project).items() if ".git/" not in path}
        command = (sys.executable, "-m", "hatch_model", "init", "--yes", *options)
        self.said = _run(self.project, self.environment, *command)
        self.built = _run(self.project, self.environment, "uv", "build")
        # None of the code has changed, and the build has left nothing but `dist`.
        after = tree(self.project)
        changed = {path for path, digest in code.items() if after[path] != digest}
        assert changed <= {"pyproject.toml"}
        (path,) = (self.project / "dist").glob("*.whl")
        self.wheel = Wheel(path)
        self._elsewhere = folder / "elsewhere"
        self._elsewhere.mkdir()

    @property
    def required(self) -> set[str]:
        return {line.partition("=")[0] for line in self.wheel.requires}

    def use(self, code: str) -> str:
        """Run *code* where nothing but the wheel is installed."""
        python = ("uv", "run", "--quiet", "--no-project", "--isolated", "--with", self.wheel.path)
        return _run(self._elsewhere, self.environment, *python, "python", "-c", code)


def test_a_package_with_setup_py(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    made = Converted("setup-py", surroundings, shared_folder, tmp_path, "--no-lock")

    assert made.wheel.files == [
        "tumors/__init__.py",
        "tumors/config.py",
        "tumors/models/importances.png",
        "tumors/models/tumors.pkl",
        "tumors/predict.py",
        "tumors/train.py",
    ]
    assert {"scikit-learn", "pandas"} <= made.required
    assert "matplotlib" not in made.required
    snippet = made.said.partition("Load the model of the wheel like this:\n")[2].partition(
        "\n\n- "
    )[0]
    lines = [line.removeprefix("    ") for line in snippet.splitlines() if line.startswith("    ")]
    assert made.use("\n".join([*lines, "print(model.predict([[1.0] * 30]).shape)"])) == "(1,)\n"


def test_the_stages_of_cookiecutter(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    made = Converted("cookiecutter", surroundings, shared_folder, tmp_path)

    assert made.wheel.files == [
        "cookiecutter/__init__.py",
        "cookiecutter/models/model.joblib",
    ]
    assert "training score 1.0" in made.built
    locked = (made.project / "requirements.lock").read_text("utf-8")
    assert {line.partition(";")[0].strip() for line in made.wheel.requires} <= {
        line.partition(";")[0].strip() for line in locked.splitlines()
    }
    assert "python-dotenv" not in made.required
    code = "from cookiecutter import load; print(len(load().feature_names_in_))"
    assert made.use(code) == "14\n"


def test_a_project_of_poetry(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    made = Converted("poetry", surroundings, shared_folder, tmp_path, "--no-lock")

    assert "wine_grades/artifacts/model.joblib" in made.wheel.files
    assert "hatch-model: accuracy  0." in made.built
    assert "pyyaml" not in made.required
    assert made.use("from wine_grades import grade; print(len(grade([[13.0] * 13])))") == "1\n"


def test_scripts_that_save_beside_themselves(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    made = Converted("flat-scripts", surroundings, shared_folder, tmp_path, "--no-lock")

    assert made.wheel.files == [
        "flat_scripts/__init__.py",
        "flat_scripts/data/model.pkl",
    ]
    assert not {"flask", "seaborn"} & made.required
    code = "from flat_scripts import load; print(load().predict([[0.0] * 64]).shape)"
    assert made.use(code) == "(1,)\n"
    # A build of the wheel from the tree leaves it alone as well.
    before = tree(made.project)
    _run(made.project, made.environment, "uv", "build", "--wheel", "--out-dir", tmp_path / "again")
    assert tree(made.project) == before


def test_the_variable_of_a_notebook(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    made = Converted("notebook-export", surroundings, shared_folder, tmp_path, "--no-lock")

    assert "notebook_export/data/model.joblib" in made.wheel.files
    assert "matplotlib" not in made.required
    code = (
        "import pandas, notebook_export; frame = pandas.DataFrame([[1.4, 0.2]], "
        "columns=['petal_length', 'petal_width']); print(notebook_export.load().predict(frame))"
    )
    assert made.use(code) == "['setosa']\n"


@pytest.mark.skipif(os.name == "nt", reason="scikit-learn's pins have wheels for few Pythons")
def test_a_script_with_arguments(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    if not (3, 10) <= sys.version_info < (3, 14):
        pytest.skip("the pinned versions have no wheels for this Python")
    options = ("--arguments", "data=data/homes.csv", "--arguments", "alpha=0.5")
    made = Converted("argparse-script", surroundings, shared_folder, tmp_path, *options)

    assert "scikit-learn==1.7.2" in made.wheel.requires
    assert "scipy==1.15.3" in [line.partition(";")[0].strip() for line in made.wheel.requires]
    assert "tqdm" not in made.required
    code = "import argparse_script as a; print(round(a.load().intercept_))"
    assert made.use(code) == "15\n"


def test_a_service_whose_training_is_beside_it(
    surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    made = Converted("service", surroundings, shared_folder, tmp_path, "--no-lock")

    assert made.wheel.files == [
        "ml/features.py",
        "ml/train.py",
        "service/__init__.py",
        "service/models/fraud.joblib",
    ]
    assert not {"fastapi", "uvicorn"} & made.required
    code = (
        "import pandas, service; frame = pandas.DataFrame([[900.0, 2]], columns=['amount', 'hour']); "
        "print(service.load().predict(frame))"
    )
    assert made.use(code) == "[1]\n"
