"""The plugin with the oldest releases that it says it works with."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT, online
from hatchling.metadata.core import ProjectMetadata
from indexes import served
from packaging.requirements import Requirement
from packaging.version import Version
from support import Wheel, interpreter, interpreter_of, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support import ModelProject, Surroundings

# Tests of what packaging, joblib and tomli have a part in. Extras raise floors of their own.
UNIT_TESTS = [
    f"tests/unit/test_{name}.py"
    for name in (
        *("closure", "installed", "installed_direct_urls", "layout", "lock_requirements"),
        *("locked_pins", "locked_pins_check", "markers", "pins", "pythons", "settings", "tables"),
        *("training", "uv"),
    )
]
pythons = pytest.mark.parametrize("version", ["3.10", "3.12"])
FLOORS = [
    *("hatchling==1.27.0", "importlib-metadata==7.0.0", "joblib==1.3.0", "packaging==24.2"),
    "tomli==1.2.2",
]

MAIN = """\
from __future__ import annotations

from importlib.metadata import version
from pathlib import Path


def train():
    names = ("hatchling", "importlib-metadata", "joblib", "packaging")
    return {"trained with": [f"{name}=={version(name)}" for name in names]}, {"accuracy": 0.75}


def predict():
    import joblib

    return joblib.load(Path(__file__).parent / "data" / "model.joblib")["trained with"]
"""


@pytest.fixture
def constraints(surroundings: Surroundings, shared_folder: Path, tmp_path: Path) -> Path:
    """A constraints file with the floors, whose wheels the surroundings find."""
    folder = tmp_path / "floors"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary", ":all:", "--dest", str(folder), *FLOORS),
        ],
        check=True,
        env=online(shared_folder),
    )
    surroundings.find_links.append(folder)
    file = tmp_path / "floors.txt"
    file.write_text("\n".join(FLOORS), "utf-8")
    return file


def test_the_floors_are_those_that_the_project_declares() -> None:
    declared = ProjectMetadata(str(CHECKOUT), None).config["project"]["dependencies"]

    assert lowest(declared) == lowest(FLOORS)


def lowest(requirements: list[str]) -> dict[str, Version]:
    """Give the version that each of *requirements* names, which is its only one."""
    return {
        each.name: Version(specifier.version)
        for each in map(Requirement, requirements)
        for specifier in each.specifier
    }


@pytest.mark.network
@pythons
def test_a_model_with_markers_and_direct_references_is_built_with_the_floors(
    version: str,
    constraints: Path,
    project: ModelProject,
    surroundings: Surroundings,
    tmp_path: Path,
) -> None:
    base = interpreter(version)
    files = tmp_path / "served"
    files.mkdir()
    reference = make_wheel(files, "direct", "1.0", requires=["chain; sys_platform != 'nowhere'"])
    made_up = surroundings.index.folder
    make_wheel(made_up, "extended", "3.0rc1", requires=["more; extra == 'fast'"], extras=["fast"])
    make_wheel(made_up, "more", "1!2.0.post1")
    project.write("src/small/main.py", MAIN)
    with served(files) as address:
        project.replace(
            "pyproject.toml",
            (
                '["anchor>=1"]',
                f"""[
    "anchor>=1; python_version >= '3.8'",
    "direct @ {address}/{reference.name} ; python_version >= '3'",
    "elsewhere>=2; sys_platform == 'nowhere'",
    "extended[fast]>=3.0rc1",
    "joblib",
]
direct-references = "url"

[tool.hatch.metadata]
allow-direct-references = true
""",
            ),
        )
        surroundings.run(
            *("uv", "build", "--no-index", "--python", base, "--build-constraints", constraints),
            *("--out-dir", tmp_path / "dist"),
            cwd=project.folder,
            UV_OFFLINE="0",
        )
        (path,) = (tmp_path / "dist").glob("*.whl")
        assert Wheel(path).requires == [
            "anchor==1.2; python_version >= '3.8'",
            "chain==2.0; python_version >= '3' and sys_platform != 'nowhere' or python_version >= '3.8'",
            f"direct@ {address}/{reference.name} ; python_version >= '3'",
            "elsewhere>=2; sys_platform == 'nowhere'",
            "extended[fast]==3.0rc1",
            "joblib==1.3.0",
            "more==1!2.0.post1",
        ]
        python = interpreter_of(tmp_path / "fresh")
        surroundings.run("uv", "venv", "--python", base, tmp_path / "fresh", cwd=tmp_path)
        surroundings.run(
            *("uv", "pip", "install", "--no-index", "--python", python, path),
            cwd=tmp_path,
            UV_OFFLINE="0",
        )

    predicted = surroundings.run(
        python, "-c", "from small.main import predict; print(*predict())", cwd=tmp_path
    )
    assert predicted.stdout.split() == FLOORS[:4]


@pytest.mark.network
@pythons
def test_the_unit_tests_pass_with_the_floors(
    version: str, constraints: Path, build_tools: Path, shared_folder: Path, tmp_path: Path
) -> None:
    environment = {**online(shared_folder), "PYTHONDONTWRITEBYTECODE": "1"}
    python = interpreter_of(tmp_path / "environment")
    (wheel,) = build_tools.glob("hatch_model-*.whl")
    quietly = ("-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning")
    commands: list[list[str | Path]] = [
        ["uv", "venv", "--python", interpreter(version), tmp_path / "environment"],
        ["uv", "pip", "install", "--python", python, "--constraints", constraints, wheel],
        ["uv", "pip", "install", "--python", python, "filelock", "pytest", "pytest-timeout"],
        [python, "-m", "pytest", *quietly, "--basetemp", tmp_path / "tmp", *UNIT_TESTS],
    ]
    for command in commands:
        completed = subprocess.run(
            command, check=False, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert completed.returncode == 0, completed.stdout
    assert " passed in " in completed.stdout
