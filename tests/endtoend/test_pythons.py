"""From a model project to a prediction on each Python that is claimed and found on this machine."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from checkout import online
from support import ModelProject, Surroundings, Wheel, interpreter, interpreter_of

if TYPE_CHECKING:
    from pathlib import Path

pythons = pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])

PREDICT = "from small.main import predict; print(predict())"

ON_SCIKIT_LEARN = """\
from __future__ import annotations

from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier


def train():
    samples, species = load_iris(return_X_y=True)
    model = DecisionTreeClassifier(random_state=0).fit(samples, species)
    return model, {"accuracy": model.score(samples, species)}


def predict() -> int:
    model = joblib.load(Path(__file__).parent / "data" / "model.joblib")
    return int(model.predict([[5.1, 3.5, 1.4, 0.2]])[0])
"""

INSTALLED = """\
from importlib.metadata import distributions
for each in distributions():
    print(f"{each.metadata['Name'].lower()}=={each.version}")
"""


@pythons
def test_a_model_is_trained_by_the_python_that_builds_it(
    version: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    base = interpreter(version)
    project.replace(
        "src/small/main.py",
        (
            "from pathlib import Path",
            "from pathlib import Path\nfrom platform import python_version",
        ),
        ('"0.5\\n"', "python_version()"),
    )
    out = tmp_path / "dist"

    surroundings.run("uv", "build", "--python", base, "--out-dir", out, cwd=project.folder)

    (path,) = out.glob("*.whl")
    assert path.name == "small-0.1.0-py3-none-any.whl"
    assert Wheel(path).files == ["small/__init__.py", "small/data/weights.txt", "small/main.py"]
    assert Wheel(path).requires == ["anchor==1.2", "chain==2.0"]
    python = surroundings.make_environment(tmp_path / "fresh", path, base=base)
    predicted = surroundings.run(python, "-c", PREDICT, cwd=tmp_path).stdout
    assert re.fullmatch(rf"{re.escape(version)}\.\S+\n", predicted)


@pytest.mark.network
@pythons
def test_a_model_of_scikit_learn_predicts_on_the_python_that_trained_it(
    version: str, build_tools: Path, shared_folder: Path, tmp_path: Path
) -> None:
    base = interpreter(version)
    project = ModelProject.copy("small", tmp_path / "small")
    project.replace("pyproject.toml", ('"anchor>=1"', '"scikit-learn>=1.5"'))
    project.write("src/small/main.py", ON_SCIKIT_LEARN)
    environment = {**online(shared_folder), "UV_FIND_LINKS": str(build_tools)}

    def run(*command: str | Path) -> str:
        completed = subprocess.run(
            command,
            cwd=project.folder,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return completed.stdout

    run("uv", "build", "--wheel", "--python", base, "--out-dir", tmp_path)
    (path,) = tmp_path.glob("*.whl")
    run("uv", "venv", "--python", base, tmp_path / "fresh")
    python = interpreter_of(tmp_path / "fresh")
    run("uv", "pip", "install", "--python", python, path)

    assert run(python, "-c", PREDICT) == "0\n"
    requires = Wheel(path).requires
    names = {each.partition("==")[0] for each in requires}
    assert {"joblib", "numpy", "scikit-learn", "scipy", "threadpoolctl"} <= names
    assert sorted(run(python, "-c", INSTALLED).split()) == sorted([*requires, "small==0.1.0"])
