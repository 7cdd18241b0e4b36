"""What lies under a wheel's name while it is built, and what other hooks add to it."""

from __future__ import annotations

import signal
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from support import Wheel, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support import Index, ModelProject, Surroundings

_HOOK = "[tool.hatch.build.hooks.model]"
_WHEEL = "small-0.1.0-py3-none-any.whl"
_CUSTOM = """\
import os, signal
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        {initialize}
    def finalize(self, version, build_data, artifact_path):
        {finalize}
"""


def _add_hook(
    project: ModelProject, initialize: str = "pass", finalize: str = "pass", *, last: str = ""
) -> None:
    """Give *project* a build hook of its own, whose table stands before or after that of the model."""
    project.write("hatch_build.py", _CUSTOM.format(initialize=initialize, finalize=finalize))
    own = "[tool.hatch.build.hooks.custom]\n"
    if last:
        text = (project.folder / "pyproject.toml").read_text("utf-8")
        project.write("pyproject.toml", f"{text}\n{own}")
    else:
        project.replace("pyproject.toml", (_HOOK, f"{own}\n{_HOOK}"))


_PIP = (sys.executable, "-m", "pip", "--python", "{python}", "install")
_INSTALLERS: dict[str, tuple[str, ...]] = {
    "uv": ("uv", "pip", "install", "--python", "{python}"),
    "uv --no-deps": ("uv", "pip", "install", "--no-deps", "--python", "{python}"),
    "pip": _PIP,
    "pip --no-deps": (*_PIP, "--no-deps"),
}


@pytest.mark.frontend
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("sources", ["", '[tool.hatch.build.targets.wheel.sources]\n"" = "deep"\n'])
def test_what_a_killed_build_leaves_under_the_wheels_name_is_installed_by_nobody(
    sources: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    if sources:
        text = (project.folder / "pyproject.toml").read_text("utf-8")
        project.write("pyproject.toml", text.replace("small.main", "deep.src.small.main") + sources)
    _add_hook(project, finalize="os.kill(os.getpid(), signal.SIGKILL)")
    out = tmp_path / "dist"

    built = project.build(surroundings, check=False, out=out)

    assert built.completed.returncode == -signal.SIGKILL
    assert (out / _WHEEL).is_file()
    for number, name in enumerate(_INSTALLERS):
        python = surroundings.make_environment(tmp_path / str(number))
        command = [each.format(python=python) for each in _INSTALLERS[name]]
        refused = surroundings.run(*command, out / _WHEEL, cwd=tmp_path, check=False)
        assert refused.returncode != 0, name


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_the_next_build_puts_back_the_older_wheel_that_a_killed_one_had_set_aside(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    out = tmp_path / "dist"
    older = project.build(surroundings, out=out).wheel.path
    content = older.read_bytes()
    _add_hook(project, finalize="os.kill(os.getpid(), signal.SIGKILL)")
    project.build(surroundings, check=False, out=out)
    assert older.read_bytes() != content

    _add_hook_that_fails = "raise SystemExit('no')"
    project.write(
        "hatch_build.py", _CUSTOM.format(initialize="pass", finalize=_add_hook_that_fails)
    )
    refused = project.build(surroundings, check=False, out=out)

    assert refused.completed.returncode != 0
    assert older.read_bytes() == content
    assert [path.name for path in out.iterdir()] == [_WHEEL]


@pytest.mark.parametrize("last", ["", "last"])
def test_a_requirement_that_another_hook_adds_is_no_pin(
    last: str, project: ModelProject, surroundings: Surroundings
) -> None:
    _add_hook(project, initialize='build_data["dependencies"].append("requests")', last=last)

    built = project.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert (
        "hatch-model: error: the dependencies in the wheel's metadata are not the versions that "
        "trained the model:\n  in the metadata: requests\n" in built.output
    )
    assert list(built.out.iterdir()) == []


@pytest.mark.parametrize("last", ["", "last"])
def test_training_sees_what_another_hook_makes_whatever_the_order_of_the_tables(
    last: str, project: ModelProject, surroundings: Surroundings
) -> None:
    _add_hook(
        project,
        initialize=(
            'Path(self.directory, "v.py").write_text("number = 7\\n"); '
            'build_data["force_include"][str(Path(self.directory, "v.py"))] = "src/small/v.py"'
        ),
        last=last,
    )
    project.write(
        "src/small/main.py",
        "from small.v import number\n"
        "def train(output_dir):\n    (output_dir / 'number.txt').write_text(str(number))\n",
    )

    wheel = project.build(surroundings).wheel

    assert wheel.files == [
        "small/__init__.py",
        "small/data/number.txt",
        "small/main.py",
        "small/v.py",
    ]
    assert wheel.read("small/data/number.txt") == "7"


_WAYS = {
    "output_dir": "def train(output_dir):\n    (output_dir / 'w.txt').write_text('0.5')\n",
    "tree": (
        "from pathlib import Path\n"
        "def train():\n    folder = Path(__file__).parent / 'data'\n    folder.mkdir(exist_ok=True)\n"
        "    (folder / 'w.txt').write_text('0.5')\n"
    ),
    "returned": "def train():\n    return {'a': 1}, {'accuracy': 0.5}\n",
}


@pytest.mark.parametrize("main", _WAYS.values(), ids=_WAYS)
def test_two_wheels_from_a_clean_commit_are_identical_and_the_tree_stays_clean(
    main: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    project.write("src/small/main.py", main)
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "One"]):
        surroundings.run(*git, *arguments, cwd=project.folder)
    wheels = []
    for number in range(2):
        built = project.build(surroundings, out=tmp_path / f"dist{number}")
        wheels.append(built.wheel)
        status = surroundings.run(*git, "status", "--porcelain", cwd=project.folder).stdout
        assert status == ""

    assert wheels[0].path.read_bytes() == wheels[1].path.read_bytes()
    record = wheels[0].read("small-0.1.0.dist-info/extra_metadata/model.json")
    assert '"dirty": false' in record


def test_a_model_that_is_written_and_returned_is_an_error(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write(
        "src/small/main.py",
        "def train(output_dir):\n    (output_dir / 'model.joblib').touch()\n    return [1]\n",
    )

    built = project.build(surroundings, check=False)

    assert built.backend_output == (
        "hatch-model: training with small.main:train\n"
        "hatch-model: error: small.main:train wrote `model.joblib` and also returned a model, "
        "which is saved under that name. Do only one of these.\n"
    )


def test_the_projects_own_version_is_known_to_its_training(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    """Where project and package have one name, what is not found looks like a module."""
    make_wheel(index.folder, "other", "1")
    project.write(
        "src/small/__init__.py",
        "from importlib.metadata import version\n__version__ = version('small')\n",
    )
    project.write(
        "src/small/main.py",
        "import small\n"
        "def train(output_dir):\n    (output_dir / 'v.txt').write_text(small.__version__)\n",
    )

    assert project.build(surroundings).wheel.read("small/data/v.txt") == "0.1.0"


def test_what_training_leaves_in_its_working_directory_is_named_and_in_no_archive(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    project.replace("pyproject.toml", ('train"', 'train"\nsdist = "trained"'))
    project.write(
        "src/small/main.py",
        "from pathlib import Path\n"
        "def train(output_dir):\n    (output_dir / 'w.txt').write_text('0.5')\n"
        "    Path('catboost_info').mkdir()\n    Path('catboost_info/log.tsv').touch()\n",
    )

    built = project.build(surroundings, "uv build", out=tmp_path / "dist")

    assert (
        "hatch-model: warning: training left `catboost_info/` in the project's folder, and no "
        "archive of this build contains it. Have git ignore it, or have training write to "
        "`output_dir`.\n" in built.output
    )
    assert built.wheel.files == ["small/__init__.py", "small/data/w.txt", "small/main.py"]
    listed = surroundings.run("tar", "tzf", built.sdist, cwd=tmp_path).stdout
    assert "catboost_info" not in listed
    assert (project.folder / "catboost_info" / "log.tsv").is_file()


def test_what_git_ignores_is_left_in_the_working_directory_without_a_word(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write(".gitignore", "catboost_info/\n")
    project.write(
        "src/small/main.py",
        "from pathlib import Path\n"
        "def train(output_dir):\n    (output_dir / 'w.txt').write_text('0.5')\n"
        "    Path('catboost_info').mkdir()\n    Path('runs').mkdir()\n",
    )
    surroundings.run("git", "init", "--quiet", cwd=project.folder)

    in_tree = project.build(surroundings)
    (project.folder / "runs").rmdir()
    (project.folder / "catboost_info").rmdir()
    from_sdist = project.build(surroundings, "uv build")

    assert "training left `runs/` in the project's folder" in in_tree.output
    assert "catboost_info" not in in_tree.output
    assert "training left" not in from_sdist.output


def test_modes_and_times_hold(project: ModelProject, surroundings: Surroundings) -> None:
    project.write(
        "src/small/main.py",
        "def train(output_dir):\n    file = output_dir / 'run.sh'\n    file.write_text('#!/bin/sh')\n"
        "    file.chmod(0o755)\n    (output_dir / 'plain.txt').write_text('1')\n",
    )

    wheel: Wheel = project.build(surroundings).wheel

    with zipfile.ZipFile(wheel.path) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        times = {info.date_time for info in archive.infolist()}
    assert modes["small/data/run.sh"] == 0o100755
    assert modes["small/data/plain.txt"] == 0o100644
    assert times == {(2020, 2, 2, 0, 0, 0)}


def test_a_link_that_others_put_under_the_name_of_the_wheel_is_not_followed(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    out, victim = tmp_path / "dist", tmp_path / "victim"
    victim.write_text("mine", "utf-8")
    out.mkdir(mode=0o777)
    (out / "small-0.1.0-py3-none-any.whl").symlink_to(victim)

    wheel = project.build(surroundings, out=out).wheel

    assert victim.read_text("utf-8") == "mine"
    assert not wheel.path.is_symlink()
    assert wheel.requires == ["anchor==1.2", "chain==2.0"]
