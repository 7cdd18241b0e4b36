"""A pyproject.toml with the tables added: what stays, what moves, and that a build takes it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement
from support import PROJECTS

from hatch_model.errors import HatchModelError
from hatch_model.new_project.plan import Choice
from hatch_model.new_project.planner import make_plan
from hatch_model.new_project.pyproject import edited
from hatch_model.new_project.survey import survey
from hatch_model.settings import read_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

_TRAIN = """\
import os
import joblib
import pandas
from sklearn.svm import SVC
import matplotlib.pyplot

model = SVC().fit(x, y)
os.makedirs("models", exist_ok=True)
joblib.dump(model, "models/model.joblib")
"""


def converted(folder: Path, text: str, *, train: str = "src/acme/train.py") -> str:
    """Give the pyproject.toml that a project with *text* for one gets."""
    (folder / "pyproject.toml").write_text(text, "utf-8")
    file = folder / train
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_TRAIN)
    (file.parent / "__init__.py").touch()
    return edited(make_plan(survey(folder), Choice()), text)


def read(text: str) -> dict[str, Any]:
    return tomlkit.parse(text).unwrap()


@pytest.mark.parametrize("name", sorted(each.name for each in (PROJECTS / "existing").iterdir()))
def test_a_build_takes_what_is_written(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(PROJECTS / "existing" / name, tmp_path / name)
    plan = make_plan(survey(folder), Choice(arguments={"data": "data/homes.csv"}))
    file = folder / "pyproject.toml"
    file.write_text(edited(plan, file.read_text() if file.exists() else ""))

    metadata: ProjectMetadata[Any] = ProjectMetadata(str(folder), None)
    settings = read_settings(metadata, needs_training=True)
    assert [*(str(each.requirement) for each in settings.model.roots)] == [
        str(Requirement(each)) for each in plan.requirements
    ]
    assert settings.training is not None
    assert str(settings.training.train) == plan.train


def test_comments_order_and_other_tables_stay(tmp_path: Path) -> None:
    text = """\
# The project.
[project]  # of ours
name = "acme"
version = "1"
requires-python = ">=3.11"
dynamic = [
    "readme",  # by another hook
]
# What it needs.
dependencies = [
    "pandas>=2",  # for frames
    "matplotlib",
    "scikit-learn",
]

[dependency-groups]
training = ["dvc"]  # ours
dev = ["pytest"]

[tool.uv]
index-url = "https://example.org/simple"

[build-system]
requires = ["hatchling", "hatch-fancy-pypi-readme"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/acme"]

[tool.hatch.build.targets.wheel.sources]
"a" = "b"
"""
    assert converted(tmp_path, text) == (
        """\
# The project.
[project]  # of ours
name = "acme"
version = "1"
requires-python = ">=3.11"
dynamic = [
    "readme",  # by another hook
    "dependencies",
]
# What it needs.

[dependency-groups]
training = ["dvc"]  # ours
dev = ["pytest"]
model-training = ["matplotlib"]

[tool.uv]
index-url = "https://example.org/simple"
cache-keys = [{ file = "pyproject.toml" }, { file = "src/**/*.py" }]

[build-system]
requires = ["hatchling", "hatch-fancy-pypi-readme", "hatch-model"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/acme"]

[tool.hatch.build.targets.wheel.sources]
"a" = "b"
models = "acme/models"

[tool.hatch.metadata.hooks.model]
# What the model needs to predict.
dependencies = [
    "pandas>=2",  # for frames
    "scikit-learn",
]

[tool.hatch.build.hooks.model]
train = "src/acme/train.py"
artifacts = "models"
dependency-groups = ["model-training"]
# All that training reads: an unchanged model is not trained again.
inputs = []
environment = { MPLBACKEND = "Agg" }
"""
    )


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "acme"\nversion = "1"',
        '[project]\r\nname = "acme"\r\nversion = "1"\r\ndependencies = ["pandas"]\r\n',
        'project = { name = "acme", version = "1" }\n',
        '[project]\nname = "acme"\nversion = "1"\ndependencies = []\n[tool]\nuv = { package = false }\n',
        '[project]\nname = "acme"\ndynamic = ["version", "dependencies"]\n[tool.hatch.version]\npath = "a.py"\n',
        '[tool.poetry]\nname = "acme"\nversion = "1"\n[[tool.poetry.source]]\nname = "x"\n',
        "[tool.black]\nline-length = 1\n",
        "project.name = 'acme'\nproject.version = '1'\n[tool.black]\n",
    ],
)
def test_every_way_of_writing_it_is_added_to_or_refused(text: str, tmp_path: Path) -> None:
    try:
        result = converted(tmp_path, text)
    except HatchModelError as error:
        assert "cannot be added to" in str(error)  # noqa: PT017 - one of two outcomes
        return
    assert ("\r\n" in text) == (result.count("\r\n") == result.count("\n"))
    content = read(result)
    assert content["build-system"]["requires"] == ["hatchling", "hatch-model"]
    assert "dependencies" in content["project"]["dynamic"]
    assert "dependencies" not in content["project"]
    model = content["tool"]["hatch"]["metadata"]["hooks"]["model"]
    assert sorted(model["dependencies"]) == ["pandas", "scikit-learn"]
    assert content["tool"]["hatch"]["build"]["hooks"]["model"]["train"] == "src/acme/train.py"
    assert content["tool"].get("uv", {}).get("package") is not False


def test_a_package_with_another_name_is_selected(tmp_path: Path) -> None:
    result = converted(
        tmp_path, '[project]\nname = "other"\nversion = "1"\n', train="lib_of_ours/train.py"
    )

    wheel = read(result)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["lib_of_ours"], "sources": {"models": "lib_of_ours/models"}}


_DYNAMIC = """\
[build-system]
requires = ["setuptools>=64"{more}]
build-backend = "setuptools.build_meta"

[project]
name = "acme"
dynamic = ["version", "dependencies", "optional-dependencies", "readme", "classifiers"]

[tool.setuptools.dynamic]
dependencies = {{ file = ["needed.txt"] }}
optional-dependencies.dev = {{ file = ["dev.txt"] }}
readme = {{ file = ["README.rst"] }}
{version}
"""


@pytest.mark.parametrize(
    ("version", "more", "expected"),
    [
        ('version = {attr = "acme.__version__"}', "", {"path": "src/acme/__init__.py"}),
        ('version = {file = "VERSION"}', "", {"path": "VERSION", "pattern": "(?P<version>.+)"}),
        ("[tool.setuptools_scm]", ', "setuptools-scm>=8"', {"source": "vcs"}),
        ("", "", None),
    ],
)
def test_what_setuptools_found_is_found_by_hatchling(
    version: str, more: str, expected: dict[str, str] | None, tmp_path: Path
) -> None:
    for name, text in {
        "needed.txt": "scikit-learn\npandas\njoblib\n",
        "dev.txt": "pytest\n",
        "README.rst": "Acme\n",
        "VERSION": "1.2\n",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "src/acme").mkdir(parents=True)
    (tmp_path / "src/acme/__init__.py").write_text(
        '__version__ = "1.2"\n' if "attr" in version else ""
    )

    content = read(converted(tmp_path, _DYNAMIC.format(more=more, version=version)))
    project = content["project"]
    assert project["readme"] == "README.rst"
    assert project["optional-dependencies"] == {"dev": ["pytest"]}
    assert project["dynamic"] == [*(["version"] if expected else []), "dependencies"]
    assert content["tool"]["hatch"].get("version") == expected
    assert ("hatch-vcs" in content["build-system"]["requires"]) == (expected == {"source": "vcs"})
    assert project.get("version") == (None if expected else "0.1.0")
    assert content["tool"]["hatch"]["metadata"]["hooks"]["model"]["dependencies"] == [
        *("scikit-learn", "pandas", "joblib")
    ]


def test_a_source_distribution_that_lists_its_files_gets_what_training_reads(
    tmp_path: Path,
) -> None:
    (tmp_path / "rows.csv").write_text("")
    text = (
        '[project]\nname = "acme"\nversion = "1"\n'
        '[tool.hatch.build.targets.sdist]\ninclude = ["/src"]\n'
    )
    (tmp_path / "train.py").write_text(f"pandas.read_csv('rows.csv')\n{_TRAIN}")
    (tmp_path / "pyproject.toml").write_text(text)

    content = read(edited(make_plan(survey(tmp_path), Choice()), text))
    assert content["tool"]["hatch"]["build"]["targets"]["sdist"]["include"] == [
        *("/src", "/rows.csv", "/train.py")
    ]


@pytest.mark.parametrize(
    ("attribute", "code", "expected"),
    [
        ("acme.about.__version__", '__version__ = "1.2"\n', {"path": "src/acme/about.py"}),
        (
            "acme.about.release",
            'release: str = "1.2"\n',
            {
                "path": "src/acme/about.py",
                "pattern": "(?m)^release\\s*(?::\\s*str\\s*)?=\\s*['\\\"](?P<version>[^'\\\"]+)['\\\"]",
            },
        ),
        ("acme.about.release", "release = read()\n", None),
    ],
)
@pytest.mark.parametrize("place", ["pyproject.toml", "setup.cfg"])
def test_a_version_that_is_assigned_anywhere_is_found_there(
    attribute: str, code: str, expected: dict[str, str] | None, place: str, tmp_path: Path
) -> None:
    (tmp_path / "src/acme").mkdir(parents=True)
    (tmp_path / "src/acme/about.py").write_text(code)
    text = ""
    if place == "setup.cfg":
        (tmp_path / place).write_text(f"[metadata]\nname = acme\nversion = attr: {attribute}\n")
    else:
        text = (
            '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            '[project]\nname = "acme"\ndynamic = ["version"]\n'
            f'[tool.setuptools.dynamic]\nversion = {{ attr = "{attribute}" }}\n'
        )

    content = read(converted(tmp_path, text))
    assert content["tool"]["hatch"].get("version") == expected
    assert content["project"].get("version") == (None if expected else "0.1.0")
    if expected:
        folder = tmp_path
        (folder / "pyproject.toml").write_text(tomlkit.dumps(content))
        assert ProjectMetadata(str(folder), PluginManager()).version == "1.2"


@pytest.mark.parametrize(
    "uv",
    [
        "[tool]\nuv = { package = false }\n",
        "[tool.uv]\npackage = false\n",
        "tool.uv.package = false\n",
        '[[tool.uv.index]]\nname = "a"\nurl = "https://example.org/simple/"\n',
        '[tool.uv.sources]\nother = { path = "../other" }\n',
        '[tool.uv]\ndev-dependencies = []\n[tool.uv.sources]\nother = { path = "../other" }\n',
        "",
    ],
)
def test_uv_finds_hatch_model_whatever_its_table_looks_like(uv: str, tmp_path: Path) -> None:
    text = f'{uv}[project]\nname = "acme"\nversion = "1"\n'
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    (tmp_path / "train.py").write_text(_TRAIN)

    source = {"path": "../hatch-model"}
    content = tomllib.loads(edited(make_plan(survey(tmp_path), Choice(source=source)), text))
    assert content["tool"]["uv"]["sources"]["hatch-model"] == source
    assert ("other" in content["tool"]["uv"]["sources"]) == ("other" in uv)
    assert content["tool"]["uv"]["cache-keys"]


def test_a_pattern_of_a_source_distribution_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.csv").write_text("")
    text = (
        '[project]\nname = "acme"\nversion = "1"\n'
        '[tool.hatch.build.targets.sdist]\ninclude = ["/da", "*.md", "*.py"]\n'
    )
    (tmp_path / "train.py").write_text(f"pandas.read_csv('data/rows.csv')\n{_TRAIN}")
    (tmp_path / "pyproject.toml").write_text(text)

    content = read(edited(make_plan(survey(tmp_path), Choice()), text))
    assert content["tool"]["hatch"]["build"]["targets"]["sdist"]["include"] == [
        *("/da", "*.md", "*.py", "/data/rows.csv")
    ]
