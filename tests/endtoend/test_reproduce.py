"""Models that are really rebuilt by uv, and compared with what they were."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

import pytest
from checkout import copy_checkout, online
from models import Ran
from support import Built, ModelProject, Surroundings, interpreter, make_wheel, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support import Index

pytestmark = pytest.mark.frontend

_MAIN = """
import random
from pathlib import Path

def train(output_dir: Path) -> dict[str, float]:
    (output_dir / "weights.txt").write_bytes({weights})
    return {{"accuracy": {accuracy}}}

def check() -> list[float]:
    return [0.5]
"""
_RANDOM = "str(random.random()).encode()"


def _build(
    project: ModelProject,
    surroundings: Surroundings,
    weights: str = "b'0.5\\n'",
    accuracy: str = "0.75",
) -> Built:
    """Build the sdist of *project*, and its wheel from that."""
    project.replace("pyproject.toml", ("\ntrain =", '\ncheck = "small.main:check"\ntrain ='))
    project.write("src/small/main.py", _MAIN.format(weights=weights, accuracy=accuracy))
    return project.build(surroundings, "uv build")


def _with_this_python(variables: Mapping[str, str]) -> dict[str, str]:
    """Have uv find the interpreter that runs the tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    return {**variables, "PATH": path}


def _reproduce(wheel: Path, sdist: Path, variables: Mapping[str, str], *options: str | Path) -> Ran:
    completed = subprocess.run(
        [sys.executable, "-m", "hatch_model", "reproduce", *options, wheel, sdist],
        cwd=wheel.parent,
        env=_with_this_python(variables),
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return Ran(completed.stdout, completed.stderr, completed.returncode)


def _reproduce_built(built: Built, surroundings: Surroundings, *options: str | Path) -> Ran:
    return _reproduce(built.wheel.path, built.sdist, surroundings.variables(), *options)


def test_a_deterministic_model_is_identical_with_the_recorded_versions_though_newer_ones_exist(
    project: ModelProject, index: Index, surroundings: Surroundings
) -> None:
    built = _build(project, surroundings)
    make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.1")
    before = tree(built.out)

    ran = _reproduce_built(built, surroundings)

    assert (ran.out, ran.code) == ("small 0.1.0: identical\n", 0)
    assert "\nhatch-model: training with small.main:train\n" in ran.err
    assert tree(built.out) == before
    assert list(surroundings.temporary.iterdir()) == []


def test_a_model_with_other_bytes_but_the_same_metrics_is_equivalent(
    project: ModelProject, surroundings: Surroundings
) -> None:
    built = _build(project, surroundings, weights=_RANDOM)

    ran = _reproduce_built(built, surroundings)

    assert ran.code == 3
    assert (
        re.sub("[0-9a-f]{12}", "(some digest)", ran.out)
        == """\
small 0.1.0: equivalent: files differ, but not the metrics or the check's result
artifacts
                          recorded      rebuilt
  small/data/weights.txt  (some digest)  (some digest)

"""
    )


def test_a_model_whose_metrics_change_from_training_to_training_is_different(
    project: ModelProject, surroundings: Surroundings
) -> None:
    built = _build(project, surroundings, weights=_RANDOM, accuracy="random.random()")

    ran = _reproduce_built(built, surroundings)
    assert ran.code == 4
    assert ran.out.startswith(
        "small 0.1.0: different: files differ, as well as the metrics\nmetrics\n"
    )

    # Within this tolerance, all that random.random() gives is the same.
    assert _reproduce_built(built, surroundings, "--tolerance", "1").code == 3


def test_an_sdist_of_another_version_is_not_built(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    wheel = _build(project, surroundings).wheel.path
    project.replace("pyproject.toml", ('version = "0.1.0"', 'version = "0.2.0"'))
    sdist = project.build(surroundings, "uv build", "--sdist", out=tmp_path / "newer").sdist

    ran = _reproduce(wheel, sdist, surroundings.variables())

    assert ran == Ran(
        "",
        f"hatch-model: error: `{wheel}` is small 0.1.0, but `{sdist}` is small 0.2.0. Give the "
        "sdist that the wheel was built from.\n",
        1,
    )


def test_a_recorded_version_that_is_nowhere_to_be_found_is_told_by_uv(
    project: ModelProject, index: Index, surroundings: Surroundings
) -> None:
    built = _build(project, surroundings)
    (index.folder / "anchor-1.2-py3-none-any.whl").unlink()
    make_wheel(index.folder, "anchor", "1.3")

    ran = _reproduce_built(built, surroundings)

    assert (ran.out, ran.code) == ("", 1)
    assert "there is no version of anchor==1.2" in ran.err
    assert ran.err.endswith(
        f"hatch-model: error: `{built.sdist}` could not be rebuilt; see uv's output above. If uv "
        f"cannot find the Python, choose another one with `--python`.\n"
    )
    assert list(surroundings.temporary.iterdir()) == []


def test_another_python_is_told(project: ModelProject, surroundings: Surroundings) -> None:
    built = _build(project, surroundings)
    minor = "3.13" if sys.version_info[:2] == (3, 12) else "3.12"

    ran = _reproduce_built(built, surroundings, "--json", "--python", interpreter(minor))

    assert ran.code == 0
    recorded, rebuilt = ran.json["differences"]["summary"]["python"]
    assert recorded == python_version()
    assert rebuilt.startswith(f"{minor}.")


def test_what_was_installed_besides_when_the_model_was_made_is_told(
    project: ModelProject, index: Index, surroundings: Surroundings, tmp_path: Path
) -> None:
    make_wheel(index.folder, "stranger", "7.0")
    python = surroundings.make_environment(
        tmp_path / "active", "hatchling", "hatch-model", "anchor", "stranger"
    )
    dist = tmp_path / "dist"
    active = ("--no-build-isolation", "--python", python)
    completed = surroundings.run(*("uv", "build", "--out-dir", dist, *active), cwd=project.folder)
    built = Built(dist, completed)

    ran = _reproduce_built(built, surroundings)

    assert ran == Ran(
        """\
small 0.1.0: identical
environment
            recorded  rebuilt
  stranger  7.0       -

""",
        ran.err,
        0,
    )


def _to_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def _to_command(number: signal.Signals) -> Callable[[subprocess.Popen[str]], None]:
    return lambda process: process.send_signal(number)


_STOPS: dict[str, Callable[[subprocess.Popen[str]], None]] = {
    "Ctrl-C": _to_group,
    "SIGINT": _to_command(signal.SIGINT),
    "SIGTERM": _to_command(signal.SIGTERM),
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("stop", _STOPS)
def test_a_rebuild_that_is_stopped_leaves_nothing(
    stop: str, project: ModelProject, surroundings: Surroundings
) -> None:
    endless = "__import__('time').sleep(600 if __import__('os').environ.get('ENDLESS') else 0) or 0"
    built = _build(project, surroundings, accuracy=endless)
    process = subprocess.Popen(
        [sys.executable, "-m", "hatch_model", "reproduce", built.wheel.path, built.sdist],
        env={**_with_this_python(surroundings.variables()), "ENDLESS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives to a command
    )
    assert process.stdout is not None
    assert any("training with" in line for line in process.stdout)

    _STOPS[stop](process)

    # The pipe is at its end when every process that holds it is.
    assert process.stdout.read() == "hatch-model: interrupted\n"
    process.stdout.close()
    assert process.wait() == 130
    # What the build itself has there goes with the last process of training, which has no pipe.
    deadline = time.monotonic() + 60
    while list(surroundings.temporary.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_example_is_identical(build_tools: Path, shared_folder: Path, tmp_path: Path) -> None:
    variables = online(shared_folder / "caches")
    example = copy_checkout(tmp_path / "checkout") / "example-project"
    dist = tmp_path / "dist"
    subprocess.run(
        [
            "uv",
            "build",
            "--quiet",
            "--python",
            sys.executable,
            "--out-dir",
            str(dist),
            str(example),
        ],
        env=variables,
        check=True,
    )
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")

    # Of this checkout there is no release, and [tool.uv.sources] would name a folder that is gone.
    ran = _reproduce(wheel, sdist, {**variables, "UV_FIND_LINKS": str(build_tools)})

    report = "report (not part of the verdict)\n  confusion.png  identical\n\n"
    assert (ran.out, ran.code) == (f"iris-model 0.1.0: identical\n{report}", 0)
    assert "held-out flowers are told right" in ran.err
