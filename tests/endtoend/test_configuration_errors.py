"""A configuration that no model can be built from: what is told, and that nothing else happens."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import FRONTENDS, LFS_POINTER, ModelProject, Surroundings, tree

if TYPE_CHECKING:
    from pathlib import Path

_PYTHON = sys.executable
_PROJECT = """\
[project]
name = "small"
version = "0.1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]
"""
_MODEL = """\
[tool.hatch.metadata.hooks.model]
dependencies = ["anchor>=1"]
"""
_TRAINING = """\
[tool.hatch.build.hooks.model]
train = "small.main:train"
"""


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a project, and what is said of it."""

    message: str
    changes: tuple[tuple[str, str], ...] = ()
    """To pyproject.toml."""
    variables: tuple[tuple[str, str], ...] = ()

    def make(self, project: ModelProject, surroundings: Surroundings) -> None:
        project.replace("pyproject.toml", *self.changes)
        surroundings.environment.update(self.variables)


_SWITCHED_OFF = (
    "hatch-model: error: the build hook is switched off by {}, so this wheel would contain no "
    "model. Switch it on again, or build only an sdist or an editable install this way."
)
MISTAKES = {
    "static dependencies": Mistake(
        "hatch-model: error: project.dependencies is static; move it to "
        'tool.hatch.metadata.hooks.model.dependencies and list "dependencies" in project.dynamic',
        ((('dynamic = ["dependencies"]'), 'dependencies = ["anchor>=1"]'),),
    ),
    "dependencies not listed in dynamic": Mistake(
        'hatch-model: error: project.dynamic: expected "dependencies" among its entries, so that '
        "the build can write the pins there; it is missing",
        (('dynamic = ["dependencies"]\n', ""),),
    ),
    "only the build hook": Mistake(
        "hatch-model: error: tool.hatch.metadata.hooks.model: expected a table with the model's "
        "`dependencies`, as the build hook is on; it is missing",
        ((_MODEL, ""),),
    ),
    "only the metadata hook": Mistake(
        "hatch-model: error: tool.hatch.build.hooks.model: expected a table with `train`, because "
        "a wheel would contain no model without it; it is missing",
        ((_TRAINING, ""),),
    ),
    "only the metadata hook, which hatchling never calls": Mistake(
        "hatch-model: error: 2 problems in the project's configuration:\n"
        "  project.dependencies is static; move it to "
        'tool.hatch.metadata.hooks.model.dependencies and list "dependencies" in project.dynamic\n'
        "  tool.hatch.build.hooks.model: expected a table with `train`, because a wheel would "
        "contain no model without it; it is missing",
        (('dynamic = ["dependencies"]', "dependencies = []"), (_TRAINING, "")),
    ),
    "hooks switched off": Mistake(
        _SWITCHED_OFF.format("HATCH_BUILD_NO_HOOKS"), variables=(("HATCH_BUILD_NO_HOOKS", "true"),)
    ),
    "hook off by default": Mistake(
        _SWITCHED_OFF.format("tool.hatch.build.hooks.model.enable-by-default"),
        ((_TRAINING, f"{_TRAINING}enable-by-default = false\n"),),
    ),
    "the wheel's own hook off by default": Mistake(
        _SWITCHED_OFF.format("tool.hatch.build.targets.wheel.hooks.model.enable-by-default"),
        (
            (
                _TRAINING,
                (
                    "[tool.hatch.build.targets.wheel.hooks.model]\n"
                    'train = "small.main:train"\nenable-by-default = false\n'
                ),
            ),
        ),
    ),
    "several bad settings": Mistake(
        "hatch-model: error: 5 problems in the project's configuration:\n"
        "  tool.hatch.metadata.hooks.model.dependencies[1]: expected a PEP 508 string; "
        'found "not a requirement"\n'
        '  tool.hatch.metadata.hooks.model.pins: expected "all" or "direct" or "extra"; found true\n'
        "  tool.hatch.build.hooks.model.train: expected an object reference "
        '"package.module:function" or the path of a script such as "train.py"; it is missing\n'
        "  tool.hatch.build.hooks.model.artifacts: expected a relative path below the project "
        'root; found "../data"\n'
        "  tool.hatch.build.hooks.model.tran: unknown key; did you mean `train`?",
        (
            ('["anchor>=1"]', '["nowhere>=1", "not a requirement"]\npins = true'),
            ("train = ", 'artifacts = "../data"\ntran = '),
        ),
    ),
    "a group that is not there": Mistake(
        "hatch-model: error: tool.hatch.build.hooks.model.dependency-groups[0]: expected the name "
        'of a group in [dependency-groups]; found "trian"; did you mean `train`?',
        (
            (
                _TRAINING,
                (
                    f'{_TRAINING}dependency-groups = ["trian"]\n\n'
                    '[dependency-groups]\ntrain = ["nowhere"]\n'
                ),
            ),
        ),
    ),
    "a name that no package matches": Mistake(
        "hatch-model: error: hatchling cannot tell which files the wheel ships: no package or "
        'module has the project\'s name, "other". Select the package:\n'
        "\n"
        "[tool.hatch.build.targets.wheel]\n"
        'packages = ["src/small"]',
        (('name = "small"', 'name = "other"'),),
    ),
    "no project table": Mistake(
        "hatch-model: error: project: expected a table with the project's name and version; it is "
        "missing",
        ((_PROJECT, ""),),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_message_and_leaves_nothing_behind(
    mistake: Mistake, project: ModelProject, surroundings: Surroundings
) -> None:
    mistake.make(project, surroundings)
    before = tree(project.folder)

    built = project.build(surroundings, "uv build --wheel", check=False)

    assert built.backend_output == f"{mistake.message}\n"
    assert built.completed.returncode != 0
    assert list(built.out.glob("*.whl")) == []
    assert tree(project.folder) == before
    assert tree(surroundings.temporary) == {}


def test_what_is_said_of_a_module_in_no_package_builds_as_it_is_written(
    project: ModelProject, surroundings: Surroundings
) -> None:
    shutil.move(project.folder / "src" / "small" / "main.py", project.folder / "train.py")
    shutil.rmtree(project.folder / "src")
    project.replace("pyproject.toml", ("small.main:train", "train:train"))

    refused = project.build(surroundings, check=False).backend_output
    selection = refused[refused.index("[tool.hatch.build.targets.wheel]") :]
    (artifacts,) = re.findall(r"tool\.hatch\.build\.hooks\.model\.(artifacts = \S+) and:", refused)
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.build.hooks.model]\n",
            f"{selection}\n[tool.hatch.build.hooks.model]\n{artifacts}\n",
        ),
    )
    built = project.build(surroundings)

    assert built.wheel.files == ["small_model/weights.txt", "train.py"]
    assert "warning" not in built.backend_output


def test_a_model_beside_all_packages_is_warned_of_before_training(
    project: ModelProject, surroundings: Surroundings
) -> None:
    shutil.move(project.folder / "src" / "small" / "main.py", project.folder / "train.py")
    shutil.rmtree(project.folder / "src")
    project.replace(
        "pyproject.toml",
        ("small.main:train", "train:train"),
        (
            "[build-system]",
            '[tool.hatch.build.targets.wheel]\npackages = ["train.py"]\n\n[build-system]',
        ),
    )

    warning, training, *_ = project.build(surroundings).backend_output.splitlines()

    assert warning == (
        "hatch-model: warning: the model ships as `data` at the top of site-packages, where "
        "another wheel may have a folder with this name. Turn the module into a package, or set "
        "tool.hatch.build.hooks.model.artifacts to a folder with a unique name."
    )
    assert training == "hatch-model: training with train:train"


def test_a_package_called_src_is_warned_of(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("src/__init__.py", "")
    project.replace(
        "pyproject.toml",
        ("small.main:train", "src.small.main:train"),
        (
            "[build-system]",
            '[tool.hatch.build.targets.wheel]\npackages = ["src"]\n\n[build-system]',
        ),
    )

    assert (
        "hatch-model: warning: the wheel ships a package called `src`. Other wheels that do so "
        "overwrite its files when they are installed. Move its modules to `src/small/`.\n"
    ) in project.build(surroundings).backend_output


def test_pretrained_weights_that_git_lfs_has_not_fetched_do_not_ship(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("src/small/base/weights.bin", LFS_POINTER)

    built = project.build(surroundings, check=False)

    assert built.backend_output == (
        "hatch-model: error: the wheel ships `small/base/weights.bin`, which is no more than a Git LFS "
        "pointer to the content. Run `git lfs pull`, and build again.\n"
    )


# The first two are found before anything is installed, the others once a wheel is under way.
_IN_EVERY_FRONTEND = [
    "several bad settings",
    "static dependencies",
    "hooks switched off",
    "only the metadata hook",
    "a name that no package matches",
]


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(name, marks=[pytest.mark.frontend] if index else [])
        for index, name in enumerate(_IN_EVERY_FRONTEND)
    ],
)
def test_every_frontend_shows_the_message_and_fails(
    mistake: str, frontend: str, project: ModelProject, surroundings: Surroundings
) -> None:
    MISTAKES[mistake].make(project, surroundings)
    before = tree(project.folder)

    built = project.build(surroundings, frontend, check=False)

    assert shown(built.output) == MISTAKES[mistake].message
    assert "Traceback" not in built.output
    assert built.completed.returncode != 0
    assert list(built.out.glob("*.whl")) == []
    assert tree(project.folder) == before
    assert tree(surroundings.temporary) == {}


_ENDS = ("error: Failed to build", "hint: ", "TIP pass", "ERROR Backend", "[end of output]")


def shown(output: str) -> str:
    """Give what hatch-model said, without the frontend's indentation and what it says itself."""
    lines = output.splitlines()
    (first,) = (index for index, line in enumerate(lines) if "hatch-model: error:" in line)
    after = [index for index in range(first, len(lines)) if lines[index].lstrip().startswith(_ENDS)]
    told = lines[first : min(after, default=len(lines))]
    return textwrap.dedent("\n".join(told)).rstrip()


_INSTALLERS = {
    "uv lock": ["uv", "lock", "--python", _PYTHON],
    "uv sync": ["uv", "sync", "--python", _PYTHON],
    "uv pip compile": ["uv", "pip", "compile", "--python", _PYTHON, "pyproject.toml"],
    "uv pip install": ["uv", "pip", "install", "--python", "{python}", "."],
    "uv pip install -e": ["uv", "pip", "install", "--python", "{python}", "-e", "."],
    "pip install": [_PYTHON, "-m", "pip", "--python", "{python}", "install", "."],
    "pip install -e": [_PYTHON, "-m", "pip", "--python", "{python}", "install", "-e", "."],
}


@pytest.mark.parametrize(
    "installer",
    [
        pytest.param(name, marks=[pytest.mark.frontend] if name.startswith("pip") else [])
        for name in _INSTALLERS
    ],
)
def test_whatever_installs_the_project_shows_the_message_and_fails(
    installer: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    mistake = MISTAKES["several bad settings"]
    mistake.make(project, surroundings)
    python = surroundings.make_environment(tmp_path / "target")
    surroundings.environment["UV_PROJECT_ENVIRONMENT"] = str(tmp_path / "target")
    surroundings.environment["COLUMNS"] = "1000"  # uv wraps what it quotes
    before = tree(project.folder)

    command = [part.format(python=python) for part in _INSTALLERS[installer]]
    completed = surroundings.run(*command, cwd=project.folder, check=False)

    assert shown(completed.stdout) == mistake.message
    assert completed.returncode != 0
    assert tree(project.folder) == before
    assert not list((tmp_path / "target").rglob("*.dist-info"))


def test_bad_settings_are_refused_before_anything_is_installed(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace("pyproject.toml", ("anchor>=1", "nowhere>=1"))
    unknown_to_the_index = project.build(surroundings, check=False).output
    project.replace("pyproject.toml", ("train = ", "editable = true\ntrain = "))

    built = project.build(surroundings, check=False)

    assert "nowhere" in unknown_to_the_index
    assert built.backend_output == (
        'hatch-model: error: tool.hatch.build.hooks.model.editable: expected "skip" or "train"; '
        "found true\n"
    )
    assert "nowhere" not in built.output


def test_an_sdist_is_refused_with_bad_settings_too(
    project: ModelProject, surroundings: Surroundings
) -> None:
    MISTAKES["several bad settings"].make(project, surroundings)

    built = project.build(surroundings, "uv build", check=False)

    assert shown(built.output) == MISTAKES["several bad settings"].message
    assert list(built.out.glob("*.tar.gz")) == []


def test_one_hatchling_process_cannot_build_both_where_the_python_range_is_open(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    project.replace(
        "pyproject.toml",
        ('requires-python = ">=3.10"\n', ""),
        ('dynamic = ["dependencies"]', 'dynamic = ["dependencies", "requires-python"]'),
        (_MODEL, f'{_MODEL}requires-python = ">=3.10"\n'),
    )
    python = surroundings.make_environment(tmp_path / "full", "hatchling", "hatch-model", "anchor")

    completed = surroundings.run(
        python, "-m", "hatchling", "build", cwd=project.folder, check=False
    )

    assert shown(completed.stdout) == (
        "hatch-model: error: hatchling reads the metadata once for both the sdist and the wheel "
        "here, but an sdist must leave the dynamic `requires-python` open. Build the targets one "
        "by one: `hatchling build -t sdist`, then `hatchling build -t wheel`."
    )
    assert completed.returncode == 1
    assert list((project.folder / "dist").glob("*.whl")) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('name = "small"\n', ""),
            "hatch-model: error: project.name: expected the project's name; it is missing",
        ),
        (
            ('dynamic = ["dependencies"]', "dynamic = 5"),
            "hatch-model: error: project.dynamic: expected an array; found 5",
        ),
    ],
)
def test_what_uv_refuses_itself_is_told_with_pip(
    change: tuple[str, str], message: str, project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace("pyproject.toml", change)

    built = project.build(surroundings, "pip wheel", check=False)

    assert shown(built.output) == message
    assert built.completed.returncode != 0
