"""Whoever stops a build stops all of it: the training process and everything that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support import FRONTENDS, ModelProject, Surroundings, is_running, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.frontend,  # the file as a whole takes minutes
    pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc are POSIX's"),
]

_SECONDS = 60

# Training that writes into the tree, starts what it can, says who they are and never ends.
_MAIN = """\
import json, os, subprocess, sys, time
from pathlib import Path

def wait(_):
    time.sleep(600)

def train():
    data = Path(__file__).parent / "data"
    data.mkdir(exist_ok=True)
    (data / "kept.txt").write_text("overwritten")
    (data / "half.txt").write_text("half")
    processes = {started}
    started = Path({started_file!r})
    ids = json.dumps({{"training": os.getpid(), "build": os.getppid(), "others": processes}})
    started.with_suffix(".partial").write_text(ids)
    started.with_suffix(".partial").replace(started)
    {meanwhile}
"""

_SLEEPERS = """[
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **streams).pid
        for streams in ({}, {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL})
    ]"""
_SLEEP = "time.sleep(600)"
_CHATTER = """while True:
        print("a line that fills the pipe when nobody reads it " * 100)"""


class _Interrupted:
    """A build that has been training for a while and is about to be stopped."""

    def __init__(self, process: subprocess.Popen[str], started: Path) -> None:
        self.frontend = process
        deadline = time.monotonic() + _SECONDS
        while not started.exists():
            assert process.poll() is None, "the build ended before it trained"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        ids = json.loads(started.read_text("utf-8"))
        self.build: int = ids["build"]
        self.others: list[int] = [ids["training"], *ids["others"]]

    def assert_gone(self) -> None:
        processes = [self.build, *self.others]
        _await(lambda: not any(map(is_running, processes)), "what training started is gone")
        _await(lambda: self.frontend.poll() is not None, "the frontend is gone")
        assert self.frontend.returncode != 0


def _await(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def _to_group(build: _Interrupted) -> None:
    os.killpg(build.frontend.pid, signal.SIGINT)


def _to_frontend(number: signal.Signals) -> Callable[[_Interrupted], None]:
    def send(build: _Interrupted) -> None:
        build.frontend.send_signal(number)

    return send


_STOPS: dict[str, Callable[[_Interrupted], None]] = {
    "Ctrl-C": _to_group,
    "SIGINT": _to_frontend(signal.SIGINT),
    "SIGTERM": _to_frontend(signal.SIGTERM),
    "SIGKILL": _to_frontend(signal.SIGKILL),
}


def _start(
    frontend: str,
    project: ModelProject,
    surroundings: Surroundings,
    *,
    processes: str = _SLEEPERS,
    meanwhile: str = _SLEEP,
) -> _Interrupted:
    started = project.folder.parent / "started.json"
    project.write(
        "src/small/main.py",
        _MAIN.format(started=processes, started_file=str(started), meanwhile=meanwhile),
    )
    command = [part.format(out=project.folder.parent / "dist") for part in FRONTENDS[frontend]]
    if frontend == "python -m build":
        command.append("--wheel")  # from the tree, which is what must stay as it was
    with (project.folder.parent / "output.txt").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=project.folder,
            env=surroundings.variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a process group of its own, as a shell gives to a command
        )
    return _Interrupted(process, started)


def _temporary_folders(surroundings: Surroundings) -> list[str]:
    return [path.name for path in surroundings.temporary.glob("hatch-model-*")]


@pytest.mark.parametrize(
    ("frontend", "stop"),
    [
        *(("uv build --wheel", stop) for stop in _STOPS),
        *(("python -m build", stop) for stop in ("Ctrl-C", "SIGINT")),
        *(
            pytest.param("python -m build", stop, marks=pytest.mark.frontend)
            for stop in ("SIGTERM", "SIGKILL")
        ),
    ],
)
def test_a_build_that_is_stopped_leaves_no_process_and_no_file(
    frontend: str, stop: str, project: ModelProject, surroundings: Surroundings
) -> None:
    kept = project.write("src/small/data/kept.txt", "from an earlier time")
    build = _start(frontend, project, surroundings)
    assert len(_temporary_folders(surroundings)) == 1
    assert kept.read_text("utf-8") == "overwritten"

    _STOPS[stop](build)

    build.assert_gone()
    assert _temporary_folders(surroundings) == []
    assert list((project.folder.parent / "dist").glob("*.whl")) == []
    assert list(tree(kept.parent)) == ["kept.txt"]
    assert kept.read_text("utf-8") == "from an earlier time"


def test_ctrl_c_is_answered_in_two_words(project: ModelProject, surroundings: Surroundings) -> None:
    build = _start("python -m build", project, surroundings)

    _to_group(build)

    build.assert_gone()
    output = (project.folder.parent / "output.txt").read_text("utf-8")
    # What follows is the traceback of `build` itself.
    assert output.partition("hatch-model: training with small.main:train\n")[2].startswith(
        "hatch-model: interrupted\n"
    )
    assert "hatch_model" not in output


def test_training_that_prints_without_end_is_stopped_when_nobody_reads_it(
    project: ModelProject, surroundings: Surroundings
) -> None:
    build = _start("uv build --wheel", project, surroundings, meanwhile=_CHATTER)

    build.frontend.kill()

    build.assert_gone()
    assert _temporary_folders(surroundings) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_backend_that_is_stopped_takes_training_along_and_leaves_the_tree_as_it_was(
    name: str, project: ModelProject, surroundings: Surroundings
) -> None:
    """Where it is killed, it is the training process that puts the tree back."""
    kept = project.write("src/small/data/kept.txt", "from an earlier time")
    before = kept.stat()
    # What nohup has ignored stays ignored, in a build as well.
    ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        build = _start("uv build --wheel", project, surroundings)
    finally:
        signal.signal(signal.SIGHUP, ignored)

    os.kill(build.build, getattr(signal, name))

    build.assert_gone()
    assert _temporary_folders(surroundings) == []
    assert list(tree(kept.parent)) == ["kept.txt"]
    assert kept.read_text("utf-8") == "from an earlier time"
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [path.name for path in kept.parent.parent.iterdir() if path.name[0] == "."] == []


def test_the_next_build_puts_back_what_everybody_who_was_killed_has_left(
    project: ModelProject, surroundings: Surroundings
) -> None:
    kept = project.write("src/small/data/kept.txt", "from an earlier time")
    build = _start("uv build --wheel", project, surroundings)
    for process in (*build.others, build.build):
        os.kill(process, signal.SIGSTOP)
    for process in (*build.others, build.build):
        os.kill(process, signal.SIGKILL)
    build.assert_gone()
    assert kept.read_text("utf-8") == "overwritten"
    assert len(_temporary_folders(surroundings)) == 1
    project.write("src/small/main.py", "def train(output_dir):\n    (output_dir / 'w').touch()\n")

    wheel = project.build(surroundings).wheel

    assert wheel.files == [
        "small/__init__.py",
        "small/data/kept.txt",
        "small/data/w",
        "small/main.py",
    ]
    assert kept.read_text("utf-8") == "from an earlier time"
    assert list(tree(kept.parent)) == ["kept.txt"]
    assert _temporary_folders(surroundings) == []


_LOKY = """(
        __import__("joblib").Parallel(n_jobs=2)(
            __import__("joblib").delayed(os.getpid)() for _ in range(8)
        )
    )"""


def test_workers_of_joblib_are_stopped(project: ModelProject, surroundings: Surroundings) -> None:
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "joblib"]'))
    build = _start("uv build --wheel", project, surroundings, processes=_LOKY)
    training, *workers = build.others
    assert set(workers) != {training}

    _to_group(build)

    build.assert_gone()
    assert _temporary_folders(surroundings) == []


@pytest.mark.parametrize("frontend", ["uv build", "hatch build", "pip wheel"])
@pytest.mark.frontend
def test_every_other_frontend_stops_too(
    frontend: str, project: ModelProject, surroundings: Surroundings
) -> None:
    build = _start(frontend, project, surroundings)

    _to_group(build)

    build.assert_gone()
    assert _temporary_folders(surroundings) == []
    assert list((project.folder.parent / "dist").glob("*.whl")) == []
