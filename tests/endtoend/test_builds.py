"""What each build does: the requirements it adds, what it says of dependencies, whether it trains."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hatchling.metadata.core import load_toml
from support import (
    FRONTENDS,
    Built,
    ModelProject,
    Surroundings,
    Wheel,
    make_wheel,
    pkg_info,
    timeless,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from support import Index

_PYTHON = sys.executable
# `anchor` leaves a mark whenever an interpreter starts in an environment that it is installed in,
# and training leaves one whenever it runs.
_ANCHOR = {
    "anchor/__init__.py": "",
    "anchor_mark.pth": "import os; open(os.path.join(os.environ['MARKS'], 'anchor'), 'a').close()\n",
}
_MAIN = """
import os
from pathlib import Path


def train(output_dir: Path) -> None:
    with Path(os.environ["MARKS"], "trained").open("a") as file:
        file.write("x")
    (output_dir / "weights.txt").write_text("0.5\\n")
"""
_SOURCES = ["small/__init__.py", "small/main.py"]
_MODEL = ["small/__init__.py", "small/data/weights.txt", "small/main.py"]
_PINS = ["anchor==1.2", "chain==2.0"]
_RANGES = ["anchor>=1"]


@dataclass(frozen=True)
class Marks:
    folder: Path

    @property
    def trainings(self) -> int:
        file = self.folder / "trained"
        return len(file.read_text()) if file.exists() else 0

    def anchor_was_installed(self) -> bool:
        return (self.folder / "anchor").exists()


@pytest.fixture
def marks(surroundings: Surroundings, index: Index, project: ModelProject, tmp_path: Path) -> Marks:
    """Have training, and the package that it needs, leave marks outside of everything else."""
    folder = tmp_path / "marks"
    folder.mkdir()
    surroundings.environment["MARKS"] = str(folder)
    make_wheel(index.folder, "anchor", "1.2", requires=["chain>=2"], files=_ANCHOR)
    project.write("src/small/main.py", _MAIN)
    return Marks(folder)


@pytest.fixture
def full_environment(surroundings: Surroundings, marks: Marks, tmp_path: Path) -> Path:
    """Make an environment that has everything, and give its interpreter."""
    python = surroundings.make_environment(
        tmp_path / "full", "hatchling", "hatch-model", "anchor", "build", "editables"
    )
    assert marks.trainings == 0
    return python


def build_sdist(project: ModelProject, surroundings: Surroundings) -> Path:
    out = project.folder.parent / "sdist"
    surroundings.run(
        *("uv", "build", "--sdist", "--python", _PYTHON, "--out-dir", out), cwd=project.folder
    )
    (sdist,) = out.glob("*.tar.gz")
    return sdist


def installed_requires(surroundings: Surroundings, python: Path) -> list[str]:
    """Give Requires-Dist of the installed model."""
    script = "import importlib.metadata as m, json; print(json.dumps(m.requires('small')))"
    requires: list[str] = json.loads(
        surroundings.run(python, "-c", script, cwd=python.parent).stdout
    )
    return requires


def requires_in_lock(folder: Path, name: str) -> list[str]:
    """Give what `uv.lock` says that the package called *name* declares."""
    (package,) = (each for each in packages_in_lock(folder) if each["name"] == name)
    return [f"{each['name']}{each['specifier']}" for each in package["metadata"]["requires-dist"]]


def packages_in_lock(folder: Path) -> list[dict[str, Any]]:
    packages: list[dict[str, Any]] = load_toml(str(folder / "uv.lock"))["package"]
    return packages


def versions_in_lock(folder: Path) -> dict[str, str]:
    return {each["name"]: each["version"] for each in packages_in_lock(folder)}


# An sdist


@pytest.mark.parametrize(
    "command",
    [
        ["uv", "build", "--sdist", "--python", _PYTHON, "--out-dir", "{out}"],
        pytest.param(
            [_PYTHON, "-m", "build", "--sdist", "--outdir", "{out}"], marks=pytest.mark.frontend
        ),
        pytest.param(
            [_PYTHON, "-m", "hatch", "build", "-t", "sdist", "{out}"], marks=pytest.mark.frontend
        ),
        ["{full}", "-m", "hatchling", "build", "-t", "sdist", "-d", "{out}"],
    ],
    ids=["uv build --sdist", "python -m build --sdist", "hatch build -t sdist", "hatchling build"],
)
def test_an_sdist_leaves_the_dependencies_open_and_trains_nothing(
    command: list[str],
    request: pytest.FixtureRequest,
    project: ModelProject,
    surroundings: Surroundings,
    marks: Marks,
) -> None:
    full = request.getfixturevalue("full_environment") if "{full}" in command else None
    out = project.folder.parent / "dist"

    surroundings.run(*(part.format(out=out, full=full) for part in command), cwd=project.folder)

    (sdist,) = out.glob("*.tar.gz")
    assert pkg_info(sdist) == {"Dynamic": ["Requires-Dist"], "Requires-Dist": []}
    assert list(out.glob("*.whl")) == []
    assert marks.trainings == 0
    assert marks.anchor_was_installed() is (full is not None)


# A wheel


@pytest.mark.parametrize(
    "frontend",
    [
        frontend if "uv" in frontend else pytest.param(frontend, marks=pytest.mark.frontend)
        for frontend in FRONTENDS
    ],
)
def test_a_wheel_is_trained_once_and_pinned(
    frontend: str, project: ModelProject, surroundings: Surroundings, marks: Marks
) -> None:
    wheel = project.build(surroundings, frontend).wheel

    assert wheel.files == _MODEL
    assert wheel.requires == _PINS
    assert wheel.headers("Dynamic") == []
    assert marks.trainings == 1
    assert marks.anchor_was_installed()


@pytest.mark.parametrize("options", [[], ["--wheel"]], ids=["sdist and wheel", "wheel"])
def test_without_isolation_the_active_environment_trains(
    options: list[str],
    project: ModelProject,
    surroundings: Surroundings,
    full_environment: Path,
    marks: Marks,
) -> None:
    out = project.folder.parent / "dist"

    surroundings.run(
        *("uv", "build", "--no-build-isolation", *options),
        *("--python", full_environment, "--out-dir", out),
        cwd=project.folder,
    )

    (path,) = out.glob("*.whl")
    assert Wheel(path).files == _MODEL
    assert Wheel(path).requires == _PINS
    assert marks.trainings == 1


@pytest.mark.parametrize(
    "targets",
    [[], ["-t", "sdist", "-t", "wheel"], ["-t", "wheel", "-t", "sdist"]],
    ids=["default", "sdist first", "wheel first"],
)
def test_one_hatchling_process_builds_an_open_sdist_and_a_pinned_wheel(
    targets: list[str],
    project: ModelProject,
    surroundings: Surroundings,
    full_environment: Path,
    marks: Marks,
) -> None:
    out = project.folder.parent / "dist"

    surroundings.run(
        full_environment, "-m", "hatchling", "build", "-d", out, *targets, cwd=project.folder
    )

    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    assert pkg_info(sdist) == {"Dynamic": ["Requires-Dist"], "Requires-Dist": []}
    assert Wheel(wheel).requires == _PINS
    assert Wheel(wheel).headers("Dynamic") == []
    assert Wheel(wheel).files == _MODEL
    assert marks.trainings == 1


_INSTALLERS = {
    "uv pip install": ["uv", "pip", "install", "--python", "{python}"],
    "pip install": [_PYTHON, "-m", "pip", "--python", "{python}", "install"],
}


@pytest.mark.parametrize("source", ["tree", "sdist"])
@pytest.mark.parametrize(
    "installer", ["uv pip install", pytest.param("pip install", marks=pytest.mark.frontend)]
)
def test_installing_from_source_trains_and_pins(
    installer: str, source: str, project: ModelProject, surroundings: Surroundings, marks: Marks
) -> None:
    path = project.folder if source == "tree" else build_sdist(project, surroundings)
    python = surroundings.make_environment(project.folder.parent / "target")

    command = [part.format(python=python) for part in _INSTALLERS[installer]]
    surroundings.run(*command, path, cwd=python.parent)

    assert marks.trainings == 1
    assert installed_requires(surroundings, python) == _PINS
    script = "import pathlib, small; print(*pathlib.Path(small.__file__).parent.glob('data/*'))"
    (weights,) = surroundings.run(python, "-c", script, cwd=python.parent).stdout.split()
    assert weights.endswith("weights.txt")
    assert Path(weights).read_text() == "0.5\n"


def test_uv_pip_compile_sees_the_pins(
    project: ModelProject, surroundings: Surroundings, marks: Marks
) -> None:
    compiled = surroundings.run(
        *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--python", _PYTHON, "pyproject.toml"),
        cwd=project.folder,
    )

    assert compiled.stdout == "anchor==1.2\nchain==2.0\n"
    assert marks.trainings == 1


def test_a_consumers_lock_of_a_path_sees_the_pins(
    surroundings: Surroundings, marks: Marks, tmp_path: Path
) -> None:
    consumer = ModelProject(tmp_path / "consumer")
    consumer.write(
        "pyproject.toml",
        '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.10"\n'
        'dependencies = ["small"]\n[tool.uv.sources]\nsmall = { path = "../small" }\n',
    )

    surroundings.run("uv", "lock", "--python", _PYTHON, cwd=consumer.folder)

    assert requires_in_lock(consumer.folder, "small") == _PINS
    assert marks.trainings == 1


def test_a_wheel_from_the_sdist_and_one_from_the_tree_require_the_same(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    from_sdist = project.build(surroundings, "uv build", out=tmp_path / "from-sdist").wheel
    from_tree = project.build(surroundings, "uv build --wheel", out=tmp_path / "from-tree").wheel

    assert from_sdist.metadata == from_tree.metadata
    assert from_tree.requires == _PINS


def test_a_wheel_from_an_sdist_is_pinned_to_the_environment_it_is_built_in(
    project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
) -> None:
    here = project.build(surroundings, "uv build")
    make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2.1"])
    make_wheel(index.folder, "chain", "2.1")

    out = tmp_path / "elsewhere"
    surroundings.run(
        *("uv", "build", "--wheel", "--python", _PYTHON, "--out-dir", out, here.sdist),
        cwd=tmp_path,
    )

    (elsewhere,) = out.glob("*.whl")
    assert here.wheel.requires == ["anchor==1.2", "chain==2.0"]
    assert Wheel(elsewhere).requires == ["anchor==1.3", "chain==2.1"]


# An editable install


def test_uv_lock_sees_ranges_and_neither_trains_nor_installs_what_training_needs(
    project: ModelProject, surroundings: Surroundings, marks: Marks
) -> None:
    surroundings.run("uv", "lock", "--python", _PYTHON, cwd=project.folder)

    assert requires_in_lock(project.folder, "small") == _RANGES
    assert versions_in_lock(project.folder) == {"anchor": "1.2", "chain": "2.0", "small": "0.1.0"}
    assert marks.trainings == 0
    assert not marks.anchor_was_installed()


def test_uv_lock_moves_versions_when_it_is_asked_to(
    project: ModelProject, surroundings: Surroundings, index: Index, marks: Marks
) -> None:
    surroundings.run("uv", "lock", "--python", _PYTHON, cwd=project.folder)
    make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2.1"])
    make_wheel(index.folder, "chain", "2.1")

    surroundings.run("uv", "lock", "--python", _PYTHON, cwd=project.folder)
    kept = versions_in_lock(project.folder)
    surroundings.run("uv", "lock", "--upgrade", "--python", _PYTHON, cwd=project.folder)
    moved = versions_in_lock(project.folder)

    assert kept == {"anchor": "1.2", "chain": "2.0", "small": "0.1.0"}
    assert moved == {"anchor": "1.3", "chain": "2.1", "small": "0.1.0"}
    assert marks.trainings == 0


_EDITABLE = {
    "uv sync": ["uv", "sync", "--python", _PYTHON],
    "uv pip install -e": ["uv", "pip", "install", "--python", "{python}", "-e", "."],
    "pip install -e": [_PYTHON, "-m", "pip", "--python", "{python}", "install", "-e", "."],
}


@pytest.fixture(
    params=[
        "uv sync",
        "uv pip install -e",
        pytest.param("pip install -e", marks=pytest.mark.frontend),
    ]
)
def install_editable(
    request: pytest.FixtureRequest, project: ModelProject, surroundings: Surroundings
) -> Callable[[], Path]:
    """Give what installs the project as editable into `.venv`, and gives its interpreter."""
    python = surroundings.make_environment(project.folder / ".venv")
    command = [part.format(python=python) for part in _EDITABLE[request.param]]

    def install() -> Path:
        surroundings.run(*command, cwd=project.folder)
        return python

    return install


def test_an_editable_install_neither_trains_nor_installs_what_training_needs_for_its_build(
    install_editable: Callable[[], Path],
    surroundings: Surroundings,
    project: ModelProject,
    marks: Marks,
) -> None:
    python = install_editable()

    assert marks.trainings == 0
    assert not marks.anchor_was_installed()
    assert installed_requires(surroundings, python) == _RANGES
    # Now that the installed interpreter has run, with `anchor` beside the project:
    assert marks.anchor_was_installed()
    assert not (project.folder / "src/small/data").exists()


def test_an_editable_install_trains_into_the_tree_where_that_is_asked_for(
    install_editable: Callable[[], Path],
    surroundings: Surroundings,
    project: ModelProject,
    marks: Marks,
) -> None:
    project.replace("pyproject.toml", ('train = "', 'editable = "train"\ntrain = "'))

    python = install_editable()

    assert marks.trainings == 1
    assert marks.anchor_was_installed()
    assert installed_requires(surroundings, python) == _RANGES
    assert (project.folder / "src/small/data/weights.txt").read_text() == "0.5\n"
    # uv leaves the file behind that it locks an environment with.
    assert [each for each in surroundings.temporary.iterdir() if each.suffix != ".lock"] == []


@pytest.mark.parametrize(
    ("keys", "told"), [("", 1), ('cache-keys = [{ file = "src/**/*.py" }]', 0)]
)
def test_uv_does_not_notice_changed_code_unless_it_is_told_what_to_look_at(
    keys: str, told: int, project: ModelProject, surroundings: Surroundings
) -> None:
    hook = "[tool.hatch.build.hooks.model]"
    project.replace("pyproject.toml", (hook, f'[tool.uv]\n{keys}\n\n{hook}\neditable = "train"'))
    surroundings.environment["UV"] = ""

    output = surroundings.run("uv", "sync", "--verbose", cwd=project.folder).stdout

    message = "uv trains again only after pyproject.toml has changed, unless `tool.uv.cache-keys`"
    assert output.count(f"hatch-model: {message}") == told


def test_data_that_git_ignores_is_missed_when_the_sdist_is_made(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    project.write("data/houses.csv", "1,2\n")
    project.write(".gitignore", "/data/\n")
    project.replace(
        "src/small/main.py", ('"0.5\\n"', 'Path("data", "houses.csv").read_text() + "0.5\\n"')
    )
    surroundings.run("git", "init", "--quiet", cwd=project.folder)

    told = project.build(surroundings, "uv build", check=False)
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.metadata",
            '[tool.hatch.build.targets.sdist]\nartifacts = ["/data/*.csv"]\n\n[tool.hatch.metadata',
        ),
    )
    mended = project.build(surroundings, "uv build", out=tmp_path / "mended")

    warning = (
        "hatch-model: warning: the project names `data/houses.csv`, which this source distribution"
    )
    assert told.output.count(warning) == 1
    assert "`data/houses.csv` is not in this source distribution" in told.output
    assert "warning" not in mended.output
    assert mended.wheel.read("small/data/weights.txt") == "1,2\n0.5\n"


# Metadata only

_METADATA = (
    "import build.util, json, sys; "
    "metadata = build.util.project_wheel_metadata('.', isolated={}); "
    "print(json.dumps(metadata.get_all('Requires-Dist')))"
)


def test_metadata_alone_has_the_pins_and_trains_nothing(
    project: ModelProject, surroundings: Surroundings, marks: Marks
) -> None:
    asked = surroundings.run(_PYTHON, "-c", _METADATA.format(True), cwd=project.folder)

    assert json.loads(asked.stdout.splitlines()[-1]) == _PINS
    assert marks.anchor_was_installed()
    assert marks.trainings == 0


def test_hatchlings_metadata_command_shows_the_ranges(
    project: ModelProject, surroundings: Surroundings, full_environment: Path, marks: Marks
) -> None:
    asked = surroundings.run(
        full_environment, "-m", "hatchling", "metadata", "dependencies", cwd=project.folder
    )

    assert json.loads(asked.stdout) == _RANGES
    assert marks.trainings == 0


# Traps on the way


@pytest.fixture
def optional_dependencies(project: ModelProject) -> None:
    """From such a project's sdist hatchling reads that there are no dependencies."""
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.metadata",
            '[project.optional-dependencies]\ngpu = ["cuda>=12"]\n\n[tool.hatch.metadata',
        ),
    )


_GPU = "cuda>=12; extra == 'gpu'"


@pytest.mark.usefixtures("optional_dependencies")
def test_optional_dependencies_stay_beside_the_pins(
    project: ModelProject, surroundings: Surroundings
) -> None:
    built = project.build(surroundings, "uv build")

    assert pkg_info(built.sdist) == {"Dynamic": ["Requires-Dist"], "Requires-Dist": [_GPU]}
    assert built.wheel.requires == [*_PINS, _GPU]
    assert built.wheel.headers("Dynamic") == []


@pytest.mark.usefixtures("optional_dependencies")
def test_an_unpacked_sdist_with_optional_dependencies_is_as_open_as_its_tree(
    project: ModelProject, surroundings: Surroundings, full_environment: Path, tmp_path: Path
) -> None:
    unpacked = unpack(build_sdist(project, surroundings), tmp_path / "unpacked")

    metadata = surroundings.run(
        full_environment, "-c", _METADATA.format(False), cwd=unpacked.folder
    )
    script = "import hatchling.build as b; b.build_sdist('dist'); b.build_editable('dist')"
    surroundings.run(full_environment, "-c", script, cwd=unpacked.folder)
    (again,), (editable,) = (unpacked.folder.glob(f"dist/*{end}") for end in (".tar.gz", ".whl"))

    assert json.loads(metadata.stdout) == [*_PINS, _GPU]
    assert pkg_info(again) == {"Dynamic": ["Requires-Dist"], "Requires-Dist": [_GPU]}
    assert Wheel(editable).requires == [*_RANGES, _GPU]


def test_training_groups_are_installed_for_training_and_never_pinned(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "profiler", "3.1", requires=["sampler"])
    make_wheel(index.folder, "sampler", "0.4")
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.metadata",
            '[dependency-groups]\nfit = ["profiler>=3"]\n\n[tool.hatch.metadata',
        ),
        ('train = "', 'dependency-groups = ["fit"]\ntrain = "'),
    )
    project.replace("src/small/main.py", ("from pathlib", "import profiler, sampler\nfrom pathlib"))

    wheel = project.build(surroundings).wheel

    assert wheel.files == _MODEL
    assert wheel.requires == _PINS


def test_the_requirements_may_be_a_dependency_group(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.metadata",
            '[dependency-groups]\nmodel = ["anchor>=1"]\n\n[tool.hatch.metadata',
        ),
        ('dependencies = ["anchor>=1"]', 'dependency-group = "model"'),
    )

    assert project.build(surroundings).wheel.requires == _PINS


def test_a_base_range_of_requires_python_is_left_open_in_the_sdist(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "chain", "2.0", requires_python="<3.30")
    project.replace(
        "pyproject.toml",
        ('requires-python = ">=3.10"\n', ""),
        ('dynamic = ["dependencies"]', 'dynamic = ["dependencies", "requires-python"]'),
        (
            'dependencies = ["anchor>=1"]',
            'dependencies = ["anchor>=1"]\nrequires-python = ">=3.10"',
        ),
    )

    built = project.build(surroundings, "uv build")

    assert pkg_info(built.sdist) == {
        "Dynamic": ["Requires-Dist", "Requires-Python"],
        "Requires-Dist": [],
    }
    assert built.wheel.headers("Requires-Python") == ["<3.30,>=3.10"]
    assert built.wheel.requires == _PINS


# Where the tables stand


def test_the_tables_may_stand_in_hatch_toml(
    project: ModelProject, surroundings: Surroundings
) -> None:
    text = (project.folder / "pyproject.toml").read_text("utf-8")
    pyproject, tables = text.split("[tool.hatch.metadata", 1)
    project.write("pyproject.toml", pyproject)
    project.write("hatch.toml", f"[metadata{tables.replace('[tool.hatch.', '[')}")

    wheel = project.build(surroundings, "uv build").wheel

    assert wheel.files == _MODEL
    assert wheel.requires == _PINS


def test_the_build_hook_may_be_the_wheels_own(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace("pyproject.toml", ("build.hooks.model", "build.targets.wheel.hooks.model"))

    built = project.build(surroundings, "uv build")

    assert pkg_info(built.sdist) == {"Dynamic": ["Requires-Dist"], "Requires-Dist": []}
    assert built.wheel.files == _MODEL
    assert built.wheel.requires == _PINS


def test_a_hook_that_is_off_by_default_may_be_switched_on(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace("pyproject.toml", ('train = "', 'enable-by-default = false\ntrain = "'))
    surroundings.environment["HATCH_BUILD_HOOK_ENABLE_MODEL"] = "true"

    wheel = project.build(surroundings).wheel

    assert wheel.files == _MODEL
    assert wheel.requires == _PINS


@pytest.mark.parametrize(("call", "requires"), [("build_sdist", []), ("build_editable", [_RANGES])])
def test_switched_off_hooks_leave_what_holds_no_model_anyway(
    call: str,
    requires: list[list[str]],
    project: ModelProject,
    surroundings: Surroundings,
    full_environment: Path,
) -> None:
    script = f"import hatchling.build; hatchling.build.{call}('dist')"
    surroundings.environment["HATCH_BUILD_NO_HOOKS"] = "true"

    surroundings.run(full_environment, "-c", script, cwd=project.folder)

    assert [Wheel(path).requires for path in project.folder.glob("dist/*.whl")] == requires


def test_another_build_target_is_left_alone(
    project: ModelProject, surroundings: Surroundings, marks: Marks
) -> None:
    project.write("src/small/main.py", _MAIN)
    project.write(
        "hatch_build.py",
        "from pathlib import Path\n"
        "from hatchling.builders.plugin.interface import BuilderInterface\n"
        "class Listing(BuilderInterface):\n"
        "    PLUGIN_NAME = 'custom'\n"
        "    def get_version_api(self):\n"
        "        return {'standard': self.build_standard}\n"
        "    def build_standard(self, directory, **build_data):\n"
        "        listing = Path(directory, 'listing.txt')\n"
        "        files = self.recurse_included_files()\n"
        "        names = sorted(Path(file.distribution_path).as_posix() for file in files)\n"
        "        listing.write_text('\\n'.join(names))\n"
        "        return str(listing)\n",
    )
    project.replace(
        "pyproject.toml",
        ("[build-system]", "[tool.hatch.build.targets.custom]\n\n[build-system]"),
    )
    for arguments in (["init"], ["add", "."], ["commit", "--message", "One"]):
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        surroundings.run("git", *identity, *arguments, cwd=project.folder)

    surroundings.run(_PYTHON, "-m", "hatchling", "build", "-t", "custom", cwd=project.folder)

    listing = (project.folder / "dist" / "listing.txt").read_text("utf-8").splitlines()
    assert listing == [
        "hatch_build.py",
        "pyproject.toml",
        "src/small/__init__.py",
        "src/small/main.py",
    ]
    assert marks.trainings == 0


@pytest.mark.frontend
def test_hatch_keeps_what_it_installed_until_that_no_longer_fits(
    project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
) -> None:
    first = project.build(surroundings, "hatch build", out=tmp_path / "first").wheel
    make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2"])
    second = project.build(surroundings, "hatch build", out=tmp_path / "second").wheel
    project.replace("pyproject.toml", ('"anchor>=1"', '"anchor>=1.3"'))
    third = project.build(surroundings, "hatch build", out=tmp_path / "third").wheel

    assert first.requires == second.requires == _PINS
    assert third.requires == ["anchor==1.3", "chain==2.0"]


# What a build says of itself


def _steps(built: Built) -> list[str]:
    """Give the lines of the steps that every training has."""
    usual = re.compile(r"hatch-model: (?:to train, the build|training with|trained in|made) .*")
    return [line for line in timeless(built.output).splitlines() if usual.fullmatch(line)]


@pytest.mark.frontend
def test_a_build_says_what_it_does_next_what_it_made_and_how_to_look_at_it(
    project: ModelProject, surroundings: Surroundings, marks: Marks
) -> None:
    built = project.build(surroundings, "uv build --wheel")

    assert marks.trainings == 1
    assert _steps(built) == [
        "hatch-model: to train, the build environment gets anchor>=1",
        "hatch-model: training with small.main:train",
        "hatch-model: trained in …: weights.txt, …",
        "hatch-model: made small-0.1.0-py3-none-any.whl, …: `hatch-model inspect` shows what it holds",
    ]
    assert built.output.index("to train, the build") < built.output.index("training with")


@pytest.mark.frontend
def test_many_requirements_and_files_are_counted(
    project: ModelProject, surroundings: Surroundings, marks: Marks, index: Index
) -> None:
    for name in "abcdef":
        make_wheel(index.folder, name, "1")
    project.replace("pyproject.toml", ('["anchor>=1"]', str(["anchor>=1", *"abcdef"])))
    project.replace(
        "src/small/main.py",
        ("(output_dir /", "[(output_dir / n).touch() for n in 'xyz']\n    (output_dir /"),
    )

    steps = _steps(project.build(surroundings, "uv build --wheel"))

    assert (steps[0], steps[2]) == (
        "hatch-model: to train, the build environment gets anchor>=1, a, b, c, d and 2 more",
        "hatch-model: trained in …: 4 files, …",
    )
    assert marks.trainings == 1


def test_a_build_that_trains_nothing_says_nothing_of_it(
    project: ModelProject, surroundings: Surroundings
) -> None:
    completed = surroundings.call_backend("sdist", project.folder.parent, cwd=project.folder)

    assert _steps(Built(project.folder.parent, completed)) == []
