"""What is proposed for projects of the kinds that people have."""

from __future__ import annotations

import subprocess
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from support import PROJECTS

from hatch_model.errors import HatchModelError
from hatch_model.new_project.plan import Choice, Plan
from hatch_model.new_project.planner import make_plan
from hatch_model.new_project.survey import survey

if TYPE_CHECKING:
    from pathlib import Path

_FIT = "import joblib\nfrom sklearn.svm import SVC\nm = SVC().fit(x, y)\n"
_SAVE = f"{_FIT}os.makedirs('models', exist_ok=True)\njoblib.dump(m, 'models/m.joblib')\n"


def plan_of(name: str, **choice: Any) -> Plan:
    return make_plan(survey(PROJECTS / "existing" / name), Choice(**choice))


def plan(folder: Path, files: dict[str, str], **choice: Any) -> Plan:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return make_plan(survey(folder), Choice(**choice))


def new_code(made: Plan) -> str:
    """Give what the script that was written does."""
    assert made.train == "build_model.py"
    text = made.files[PurePosixPath("build_model.py")]
    compile(text, "build_model.py", "exec")
    return text.partition('if __name__ == "__main__":\n')[2]


def test_a_package_with_setup_py_is_called_as_it_is() -> None:
    made = plan_of("setup-py")

    assert (made.train, made.artifacts) == ("tumors.train:main", "models")
    assert made.moved_artifacts == ("models", "tumors/models")
    assert made.files == {}
    assert made.requirements == ["scikit-learn", "pandas"]
    assert made.training == ["matplotlib"]
    assert "".join(made.notes) == (
        "`tumors/predict.py` line 10 loads `models/tumors.pkl`, a path that leads nowhere once the wheel is "
        "installed. Load the model of the wheel like this:\n"
        "    import pickle\n"
        "    from importlib.resources import files\n\n"
        '    with files("tumors").joinpath("models/tumors.pkl").open("rb") as file:\n'
        "        model = pickle.load(file)"
    )


def test_the_stages_of_cookiecutter_run_in_a_row() -> None:
    made = plan_of("cookiecutter")

    assert [*map(str, made.files)] == ["build_model.py", "cookiecutter/__init__.py"]
    assert new_code(made) == (
        "    options = sys.argv[1:]\n"
        '    run("src/data/make_dataset.py")\n'
        '    run("src/features/build_features.py")\n'
        '    run("src/models/train_model.py", options)\n'
    )
    assert (made.artifacts, made.moved_artifacts) == ("models", ("models", "cookiecutter/models"))
    assert made.requirements == ["pandas", "scikit-learn"]
    assert made.training == ["python-dotenv>=0.5.1"]
    assert made.development == ["flake8"]


def test_the_script_that_has_the_data_trains_rather_than_the_function_that_takes_them(
    tmp_path: Path,
) -> None:
    made = plan(
        tmp_path,
        {
            "src/train.py": f"def train_model(x, y):\n    {_SAVE.replace(chr(10), chr(10) + '    ')}return m\n",
            "src/data.py": "def load(): return [[1]], [1]\n",
            "flowers.py": (
                "from src.data import load\nfrom src.train import train_model\n"
                "def main():\n    train_model(*load())\n"
                "if __name__ == '__main__':\n    main()\n"
            ),
        },
    )

    assert (made.train, made.artifacts) == ("flowers.py", "models")


def test_numbers_of_a_returned_mapping_become_metrics() -> None:
    made = plan_of("poetry")

    assert new_code(made) == (
        '    code = importlib.import_module("wine_grades.training.pipeline")\n'
        "    result = code.train(config=code.CONFIG)\n"
        "    # What is no number is no metric.\n"
        "    metrics = {\n"
        "        key: each for key, each in result.items() if isinstance(each, int | float)\n"
        "    }\n"
        '    file = Path(os.environ["HATCH_MODEL_REPORT_DIR"], "metrics.json")\n'
        "    file.write_text(json.dumps(metrics))\n"
    )
    assert (made.artifacts, made.moved_artifacts) == ("wine_grades/artifacts", None)
    assert made.requirements == ["scikit-learn>=1.3,<2", "numpy>=1.24"]
    assert made.training == ["PyYAML"]
    assert made.development == ["pytest>=8.0,<9"]
    assert made.inputs == ["params.yaml"]
    assert made.notes == []


def test_what_a_script_saves_beside_itself_is_taken_from_there() -> None:
    made = plan_of("flat-scripts")

    assert new_code(made) == (
        '    options = sys.argv[1:]\n    with taken_out():\n        run("train.py", options)\n'
    )
    assert made.artifacts == ""
    assert 'WRITTEN = {"model.pkl": "model.pkl"}' in made.files[PurePosixPath("build_model.py")]
    assert made.requirements == ["numpy", "scikit-learn>=1.3"]
    assert made.development == ["flask", "seaborn"]
    assert made.inputs == ["train.py", "utils.py"]
    assert "from flat_scripts import load" in made.notes[-1]


def test_the_variable_of_a_notebook_is_the_model() -> None:
    made = plan_of("notebook-export")

    assert new_code(made).endswith(
        '    names = {"get_ipython": mock.MagicMock(), "display": print}\n'
        '    result = run("iris.py", options, names=names)\n'
        '    joblib.dump(result["knn"], os.environ["HATCH_MODEL_OUTPUT_DIR"] + "/model.joblib")\n'
    )
    assert made.inputs == ["iris.csv", "iris.py"]
    assert made.environment == {"MPLBACKEND": "Agg"}
    assert made.notes[0] == (
        "imported, but not declared, so added without a version: `matplotlib`, `pandas`, `scikit-learn`"
    )


def test_a_script_that_needs_arguments_gets_them_from_the_settings() -> None:
    with pytest.raises(
        HatchModelError,
        match=r"^`scripts/train.py` cannot be run without `--data`. Say what to train with: --arguments data=…$",
    ):
        plan_of("argparse-script")

    made = plan_of("argparse-script", arguments={"data": "data/homes.csv"})
    assert (made.train, made.artifacts) == ("scripts/train.py", "output")
    assert [*map(str, made.files)] == ["src/argparse_script/__init__.py"]
    assert made.arguments == {"data": "data/homes.csv"}
    assert made.inputs == ["data/homes.csv"]
    assert made.requirements == ["joblib==1.5.2", "pandas==2.3.3", "scikit-learn==1.7.2"]
    assert made.training == ["tqdm==4.67.1"]


def test_a_function_that_returns_the_model_is_called_as_it_is() -> None:
    made = plan_of("src-layout")

    assert (made.train, made.artifacts, made.files) == ("petals.fitting:train", "", {})
    assert made.requirements == ["scikit-learn>=1.3", "typer>=0.9"]
    assert made.training == ["optuna"]


def test_a_model_that_goes_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        HatchModelError,
        match=r"^`train.py` fits a model, but neither saves nor returns it, as far as",
    ):
        plan(
            tmp_path,
            {"train.py": "def main():\n    m.fit(x)\nif __name__ == '__main__':\n    main()\n"},
        )


def test_a_folder_that_only_running_tells_is_asked_for(tmp_path: Path) -> None:
    code = "import joblib, sys\nm.fit(x)\njoblib.dump(m, sys.argv[1])\n"
    with pytest.raises(
        HatchModelError,
        match=r"only running it would tell where\. Name the folder with --artifacts",
    ):
        plan(tmp_path, {"train.py": code})

    assert plan(tmp_path, {}, artifacts="out/models/").artifacts == "out/models"


def test_a_project_without_training_is_told_of_its_notebooks(tmp_path: Path) -> None:
    with pytest.raises(HatchModelError, match="no code that trains was found"):
        plan(tmp_path, {"a.py": "x = 1\n"})
    with pytest.raises(
        HatchModelError, match=r"\(`jupyter nbconvert --to script notebooks/a\.ipynb`\)"
    ):
        plan(tmp_path, {"notebooks/a.ipynb": "{}"})


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("fit.py", r"^--train is `fit.py`, but there is no such Python file in `"),
        ("train.py:fit", r"^--train is `train.py:fit`, but `train.py` has no function `fit`\.$"),
    ],
)
def test_a_choice_that_is_not_there_is_refused(train: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(HatchModelError, match=message):
        plan(tmp_path, {"train.py": _SAVE}, train=train)


@pytest.mark.parametrize("train", ["acme/b.py:fit_all", "acme.b:fit_all"])
def test_a_choice_comes_before_what_is_likely(train: str, tmp_path: Path) -> None:
    files = {
        "acme/__init__.py": "",
        "acme/train.py": _SAVE,
        "acme/b.py": "def fit_all():\n    return m.fit(x)\n",
    }

    assert plan(tmp_path, files, train=train).train == "acme.b:fit_all"


def test_data_that_a_build_may_not_find_is_pointed_out(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    code = "a = pd.read_csv('data/a.csv')\nb = pd.read_csv('/srv/b.csv')\nc = pd.read_csv('https://example.org/c.csv')\n"
    made = plan(
        tmp_path,
        {
            "train.py": f"import pandas as pd\n{code}{_SAVE}",
            "data/a.csv": "",
            ".gitignore": "data/\n",
        },
    )

    assert made.notes[1:4] == [
        "`/srv/b.csv` (train.py:3) is outside of the project, where other machines have no such file",
        '`data/a.csv` (train.py:2) is ignored by git, so it is not in a source distribution: the model is trained when the source distribution is built (sdist = "trained")',
        "`https://example.org/c.csv` (train.py:4) is downloaded, so that the same commit may train another model",
    ]
    assert made.is_trained_for_sdist
    assert made.inputs is None


def test_training_that_downloads_has_no_inputs(tmp_path: Path) -> None:
    made = plan(tmp_path, {"train.py": f"from sklearn.datasets import fetch_openml\n{_SAVE}"})

    assert made.inputs is None
    assert made.notes[1].startswith(
        "training downloads data, which may change: `inputs` was left out"
    )


def test_classes_that_the_wheel_does_not_ship_are_pointed_out(tmp_path: Path) -> None:
    files = {
        "train.py": f"from src.features import Scale\n{_SAVE}",
        "src/features.py": "class Scale: ...\n",
    }

    assert plan(tmp_path, files).notes[-1] == (
        f"`src/features.py` has classes, and the wheel does not ship it: if the saved model refers to one, move it into "
        f"`{tmp_path.name}`"
    )


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("json", "src/json_model"),
        ("sklearn", "src/sklearn_model"),
        ("train", "src/train_model"),
        ("2 wines", "src/model_2_wines"),
    ],
)
def test_a_new_package_hides_no_other_module(name: str, package: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()

    assert str(plan(tmp_path / name, {"train.py": _SAVE}).package) == package


def test_inputs_are_left_out_if_it_is_not_known_what_is_read(tmp_path: Path) -> None:
    code = f"import pandas, sys\nx = pandas.read_csv(sys.argv[1])\n{_SAVE}"
    made = plan(tmp_path, {"train.py": code, "requirements.txt": "pandas\nscikit-learn\n"})

    assert made.inputs is None
    assert made.notes[0] == (
        "`train.py` line 2 reads a file, but only running it would tell which: `inputs` was left out, so that every "
        "build trains"
    )


def test_what_prediction_reads_of_training_ships_with_the_model(tmp_path: Path) -> None:
    files = {
        "train.py": f"{_SAVE.replace('models/', '')}open('labels.json', 'w').write('')\nopen('log.txt', 'w')\n",
        "predict.py": "m = joblib.load('m.joblib')\nnames = open('labels.json')\n",
    }
    made = plan(tmp_path, files)

    assert 'WRITTEN = {"m.joblib": "m.joblib", "labels.json": "labels.json"}' in "".join(
        made.files.values()
    )


def test_modules_with_classes_beside_a_script_ship_for_the_saved_model(tmp_path: Path) -> None:
    files = {"train.py": f"import steps\n{_SAVE}", "steps.py": "class Scale: ...\n"}
    made = plan(tmp_path, files)

    assert [*map(str, made.packages)] == [f"src/{tmp_path.name}", "steps.py"]


def test_a_folder_with_classes_ships_for_the_saved_model_and_an_app_does_not() -> None:
    made = plan_of("service")

    assert [*map(str, made.packages)] == ["src/service", "ml"]
    assert made.moved_artifacts == ("app/models", "service/models")
    assert made.development == ["fastapi>=0.100", "uvicorn[standard]"]
    assert made.notes[-1] == (
        "`ml` has classes that the saved model may refer to, so the wheel ships it under this name, which another "
        "wheel may have as well. Move it into `src/service` before other projects install the wheel"
    )


@pytest.mark.parametrize("known", ["artifacts", "predict.py"])
def test_a_file_that_only_running_tells_is_the_one_that_is_named_or_loaded(
    known: str, tmp_path: Path
) -> None:
    files = {"src/train.py": f"{_FIT}joblib.dump(m, config['path'])\n"}
    if known == "artifacts":
        made = plan(tmp_path, files, artifacts="m.joblib")
    else:
        made = plan(tmp_path, {**files, "src/predict.py": "m = joblib.load('m.joblib')\n"})

    assert 'WRITTEN = {"m.joblib": "m.joblib"}' in made.files[PurePosixPath("build_model.py")]
    assert made.python_path == []


def test_a_folder_that_clones_lack_is_made(tmp_path: Path) -> None:
    code = f"{_FIT}joblib.dump(m, 'models/m.joblib')\n"
    assert 'os.makedirs("models", exist_ok=True)' in new_code(plan(tmp_path, {"train.py": code}))
    (tmp_path / "models").mkdir()
    (tmp_path / "models/.gitkeep").touch()
    assert plan(tmp_path, {"train.py": code}).train == "train.py"


def test_a_script_that_saves_to_a_folder_is_run_as_it_is(tmp_path: Path) -> None:
    made = plan(tmp_path, {"train.py": f"import click\n{_SAVE}"})

    assert (made.train, made.artifacts) == ("train.py", "models")
    assert [path.name for path in made.files] == ["__init__.py"]
    assert made.inputs == []


def test_options_are_spelled_as_the_script_spells_them(tmp_path: Path) -> None:
    parser = "import argparse\np = argparse.ArgumentParser()\n"
    code = f"{parser}p.add_argument('--learning-rate', required=True)\n{_SAVE}"

    assert plan(tmp_path, {"train.py": code}, arguments={"learning_rate": 1}).arguments == {
        "learning-rate": 1
    }


def test_arguments_by_position_are_refused(tmp_path: Path) -> None:
    parser = "import argparse\np = argparse.ArgumentParser()\n"
    with pytest.raises(
        HatchModelError,
        match=r"^`train.py` takes `data` by its position, but a build gives arguments by name\. Make it an option: `--data`\.$",
    ):
        plan(tmp_path, {"train.py": f"{parser}p.add_argument('data')\n{_SAVE}"})


def test_classes_of_a_script_are_pointed_out_before_a_build_refuses_them(tmp_path: Path) -> None:
    made = plan(tmp_path, {"train.py": f"class Scale: ...\n{_SAVE}"})

    assert made.notes[-1] == (
        f"`train.py` defines classes (`Scale`), which are in `__main__` while it runs: the build refuses a saved model "
        f"that refers to them. Before you build, move them to a module such as `src/{tmp_path.name}/classes.py`, and import "
        f"them from `{tmp_path.name}.classes`"
    )


def test_code_that_is_imported_from_the_root_is_found_there(tmp_path: Path) -> None:
    files = {"ml/train.py": f"from ml.data import load\n{_SAVE}", "ml/data.py": "def load(): ...\n"}

    made = plan(tmp_path, files)
    assert (made.train, made.python_path) == ("ml/train.py", [".", "src"])


@pytest.mark.parametrize(
    ("code", "neighbour"), [("from . import data", "data"), ("import acme.logging", "logging")]
)
def test_a_module_that_needs_its_package_runs_in_it(
    code: str, neighbour: str, tmp_path: Path
) -> None:
    files = {"acme/__init__.py": "", "acme/train.py": f"{code}\n{_SAVE}"}
    made = plan(tmp_path, {**files, f"acme/{neighbour}.py": ""})

    assert new_code(made) == (
        "    options = sys.argv[1:]\n"
        '    sys.argv = ["acme/train.py", *options]\n'
        '    runpy.run_module("acme.train", run_name="__main__", alter_sys=True)\n'
    )


def test_a_command_in_a_package_gets_its_options(tmp_path: Path) -> None:
    body = f"p = argparse.ArgumentParser()\n{_SAVE}".strip().replace("\n", "\n    ")
    code = f"import argparse\ndef main():\n    {body}\nif __name__ == '__main__':\n    main()\n"
    files = {"acme/__init__.py": "", "acme/train.py": code}
    made = plan(tmp_path, files, arguments={"trees": 5})

    assert (made.train, made.arguments) == ("acme/train.py", {"trees": 5})


def test_a_folder_with_a_dot_is_no_file(tmp_path: Path) -> None:
    code = f"{_FIT}joblib.dump(m, config['path'])\n"

    assert plan(tmp_path, {"train.py": code}, artifacts="models/v1.0").artifacts == "models/v1.0"


def test_a_model_beside_code_is_taken_from_there(tmp_path: Path) -> None:
    files = {"code/train.py": _SAVE.replace("models", "code"), "code/util.py": ""}
    made = plan(tmp_path, files)

    assert 'WRITTEN = {"code/m.joblib": "m.joblib"}' in made.files[PurePosixPath("build_model.py")]


def test_the_package_that_a_script_imports_gets_the_model(tmp_path: Path) -> None:
    made = plan(
        tmp_path, {"train.py": "import lib.fit\n", "lib/__init__.py": "", "lib/fit.py": _SAVE}
    )

    assert str(made.package) == "lib"


def test_what_training_reads_again_is_no_part_of_the_model(tmp_path: Path) -> None:
    files = {
        "prepare.py": "import pandas as pd\npd.read_csv('data/raw.csv').to_csv('data/clean.csv')\n",
        "train.py": f"import pandas as pd\npd.read_csv('data/clean.csv')\n{_SAVE}",
        "evaluate.py": "import joblib\npd.read_csv('data/clean.csv')\njoblib.load('models/m.joblib')\n",
    }

    made = plan(tmp_path, files)
    assert made.artifacts == "models"
    assert "WRITTEN" not in made.files[PurePosixPath("build_model.py")]


def test_a_path_beside_the_code_is_no_reason_for_another_folder(tmp_path: Path) -> None:
    code = "import os\nHERE = os.path.dirname(__file__)\nopen('c/l.json')\n" + _SAVE.replace(
        "'models/m.joblib'", "os.path.join(HERE, '../models/m.joblib')"
    )

    made = plan(tmp_path, {"src/train.py": code, "c/l.json": "{}"})
    assert (made.train, made.artifacts) == ("src/train.py", "models")
    assert made.inputs == ["c/l.json"]


def test_a_path_that_a_function_of_the_project_writes_to_is_known_where_it_is_called(
    tmp_path: Path,
) -> None:
    files = {
        "util.py": (
            "import os, pickle\nimport pandas as pd\n"
            "def save_object(file_path, obj):\n"
            "    os.makedirs(os.path.dirname(file_path), exist_ok=True)\n"
            "    with open(file_path, 'wb') as file:\n        pickle.dump(obj, file)\n"
            "def keep(table, to=None):\n    table.to_csv(to)\n"
        ),
        "train.py": (
            "from sklearn.svm import SVC\nfrom util import keep, save_object\nm = SVC().fit(x, y)\n"
            "keep(x, to='out/rows.csv')\nsave_object(obj=m, file_path='out/svc.pkl')\n"
            "save_object('out/scaler.pkl', s)\n"
        ),
        ".gitignore": "out/\n",
    }
    subprocess.run(["git", "init", "-q", tmp_path], check=True)

    made = plan(tmp_path, files)
    assert (made.train, made.artifacts) == ("train.py", "out")
    assert not made.is_trained_for_sdist
    text = made.files[made.package / "__init__.py"]
    assert 'def load(name="out/svc.pkl")' in text
    assert "Other files of it: `out/scaler.pkl`" in text


def test_a_pickle_that_is_written_as_bytes_is_the_model(tmp_path: Path) -> None:
    code = (
        "import pathlib\nimport pickle\nfrom sklearn.svm import SVC\n\ndef main():\n"
        "    p = pathlib.Path('outputs')\n    p.mkdir(exist_ok=True)\n"
        "    p.joinpath('svc.pkl').write_bytes(pickle.dumps(SVC().fit(x, y)))\n\n"
        "if __name__ == '__main__':\n    main()\n"
    )

    made = plan(tmp_path, {"train.py": code})
    assert (made.train, made.artifacts) == ("train.py", "outputs")
    assert 'load(name="outputs/svc.pkl")' in made.files[made.package / "__init__.py"]


def test_variables_that_training_needs_are_told(tmp_path: Path) -> None:
    code = (
        "import os\nos.environ['A'] = '1'\nopen(os.environ['DATA'])\nos.environ.get('B')\n" + _SAVE
    )

    notes = [
        each for each in plan(tmp_path, {"train.py": code}).notes if "environment variable" in each
    ]
    assert [each.partition(":")[0] for each in notes] == [
        "`train.py` line 3 needs the environment variable `DATA`"
    ]


def test_a_model_that_only_goes_to_mlflow_is_told_of(tmp_path: Path) -> None:
    code = f"{_FIT}import mlflow\nmlflow.sklearn.log_model(m, 'model')\n".replace("m = ", "")

    with pytest.raises(HatchModelError, match=r"It logs one to MLflow, which keeps it elsewhere\."):
        plan(
            tmp_path,
            {"train.py": "def f():\n    " + code.replace("\n", "\n    ")},
            train="train.py",
        )
    made = plan(tmp_path, {"train.py": f"{_SAVE}mlflow.sklearn.log_model(m, 'model')\n"})
    assert any("`train.py` logs a model to MLflow" in each for each in made.notes)


@pytest.mark.parametrize("there", [True, False])
def test_files_that_only_running_tells_are_looked_for(there: bool, tmp_path: Path) -> None:  # noqa: FBT001
    files = {"train.py": f"{_FIT}joblib.dump(m, config['model'])\n"}
    if there:
        files |= {"out/forest.joblib": "", "out/scaler.joblib": "", "out/notes.txt": ""}

    made = plan(tmp_path, files, artifacts="out")
    text = made.files[made.package / "__init__.py"]
    assert ('def load(name="out/forest.joblib"):' if there else "def load(name):") in text
    assert "Other files of it: `out/scaler.joblib`" in text if there else "in `out/`" in text
    assert any("look into the wheel after the first build" in each for each in made.notes)


def test_what_prediction_loads_is_the_model_where_only_running_tells_some_names(
    tmp_path: Path,
) -> None:
    files = {
        "train.py": (
            f"{_FIT}os.makedirs('models', exist_ok=True)\nfor n in names:\n    joblib.dump(m, f'models/{{n}}.joblib')\n"
            "joblib.dump(s, 'models/scaler.joblib')\n"
        ),
        "predict.py": "import joblib\njoblib.load('models/scaler.joblib')\njoblib.load('models/logreg.joblib')\n",
    }

    made = plan(tmp_path, files)
    assert 'load(name="models/logreg.joblib")' in made.files[made.package / "__init__.py"]


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("def save(path):\n    joblib.dump(m, path)\nsave('o/m.joblib')", "o/m.joblib"),
        ("def save(path):\n    joblib.dump(m, path)\nsave(config['path'])", ""),
        ("class T:\n    def save(self, path):\n        joblib.dump(m, path)", ""),
    ],
)
def test_a_saver_of_the_project_tells_the_path_where_it_is_called(
    code: str, path: str, tmp_path: Path
) -> None:
    files = {"train.py": f"{_FIT}os.makedirs('o', exist_ok=True)\n{code}\n"}
    if path:
        assert plan(tmp_path, files).artifacts == "o"
    else:
        with pytest.raises(HatchModelError, match="saves a model, but only running it would tell"):
            plan(tmp_path, files)


_DUMP = "import pickle\ndef dump(obj, path):\n    with open(path, 'wb') as f:\n        pickle.dump(obj, f)\n"
_SAVE_TO = "import joblib\ndef save_to(m, path='models/model.pkl'):\n    joblib.dump(m, path)\n"
_BELOW = (
    "def below(m, path):\n    path = os.path.join(path, 'm.joblib')\n    joblib.dump(m, path)\n"
)


@pytest.mark.parametrize(
    ("helper", "code", "artifacts", "main"),
    [
        (_DUMP, "dump(m, 'o/m.pkl')\njson.dump({}, open('r/x.json', 'w'))", "o", "m.pkl"),
        (_DUMP, "dump(m, 'o/m.pkl')\nimg.dump('plots/a.png')", "o", "m.pkl"),
        (_SAVE_TO, "save_to(m, 'o/svc.pkl')", "o", "svc.pkl"),
        (_SAVE_TO, "save_to(m)", "models", "model.pkl"),
        (f"import joblib\n{_BELOW}", "below(m, 'artifacts')", "", ""),
    ],
)
def test_only_the_function_that_is_called_tells_what_is_written(
    helper: str, code: str, artifacts: str, main: str, tmp_path: Path
) -> None:
    files = {
        "util.py": helper,
        "other.py": "def dump(text, path):\n    open(path, 'w').write(text)\n",
        "train.py": (
            "import json, os\nfrom sklearn.svm import SVC\nfrom util import *\n"
            f"from util import {code.partition('(')[0]}\nm = SVC().fit(x, y)\nos.makedirs('o')\n{code}\n"
        ),
    }
    if not main:
        with pytest.raises(HatchModelError, match=r"only running it would tell|neither saves nor"):
            plan(tmp_path, files)
        return
    made = plan(tmp_path, files)
    assert made.artifacts == artifacts
    assert f'{main}"' in made.files[made.package / "__init__.py"]


def test_a_helper_that_reads_what_only_running_tells_leaves_inputs_out(tmp_path: Path) -> None:
    files = {
        "util.py": (
            "import joblib\nimport pandas as pd\ndef save(m, path):\n    joblib.dump(m, path)\n"
            "def load(path):\n    return joblib.load(path)\ndef read(path):\n    return pd.read_csv(path)\n"
        ),
        "train.py": (
            "from sklearn.svm import SVC\nfrom util import read, save\nx = read(config['data'])\n"
            "save(SVC().fit(x, y), 'o/m.joblib')\n"
        ),
    }

    made = plan(tmp_path, files)
    assert made.artifacts == "o"
    assert made.inputs is None


def test_a_function_of_the_same_name_elsewhere_changes_no_input(tmp_path: Path) -> None:
    files = {
        "report.py": "def process(path):\n    table.to_csv(path)\n",
        "train.py": (
            f"import pandas as pd\ndef process(path):\n    return pd.read_csv(path)\nprocess('d/t.csv')\n{_SAVE}"
        ),
        "d/t.csv": "",
    }

    assert plan(tmp_path, files).inputs == ["d/t.csv", "train.py"] or plan(
        tmp_path, files
    ).inputs == ["d/t.csv"]


@pytest.mark.parametrize(
    ("first", "folder"),
    [
        ("os.getcwd()", "notebooks"),
        ("os.path.dirname(__file__)", ""),
        ("osp.dirname(osp.abspath(__file__))", ""),
    ],
)
def test_a_path_above_the_working_directory_is_no_path_above_the_file(
    first: str, folder: str, tmp_path: Path
) -> None:
    code = (
        f"import os.path as osp\n{_FIT}HERE = {first}\n"
        "open(osp.join(HERE, '../x.csv'))\njoblib.dump(m, osp.join(HERE, '../models/m.joblib'))\n"
    )

    made = plan(tmp_path, {"notebooks/train.py": code, "models/x": "", "x.csv": ""})
    assert made.artifacts == "models"
    assert (f'folder="{folder}"' in made.files.get(PurePosixPath(made.train), "")) == bool(folder)


def test_variables_that_need_not_be_set_are_not_told(tmp_path: Path) -> None:
    code = (
        "import os\nos.environ['A'] = '1'\nos.environ['A']\nos.environ['HOME']\n"
        "if 'B' in os.environ:\n    os.environ['B']\n"
    )

    notes = plan(tmp_path, {"train.py": code + _SAVE}).notes
    assert not any("environment variable" in each for each in notes)


def test_a_scaler_is_not_taken_for_the_model_whose_name_only_running_tells(tmp_path: Path) -> None:
    code = f"{_FIT}joblib.dump(m, config['model'])\njoblib.dump(s, 'models/scaler.joblib')\n"

    made = plan(tmp_path, {"train.py": code})
    text = made.files[made.package / "__init__.py"]
    assert "def load(name):" in text
    assert "in `models/`. Other files of it: `models/scaler.joblib`." in text


def test_a_report_is_not_taken_for_the_model_in_a_named_folder(tmp_path: Path) -> None:
    files = {"train.py": f"{_FIT}joblib.dump(m, config['model'])\n", "out/model_meta.json": "{}"}

    made = plan(tmp_path, files, artifacts="out")
    assert "def load(name):" in made.files[made.package / "__init__.py"]
