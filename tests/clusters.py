"""Dask clusters of real processes on the loopback interface, and builds that run on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import Built, ModelProject, interpreter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BACKEND = Path(__file__).parent / "backend.py"
_STARTING = 30.0  # seconds

_STATE = """
import json, os, sys, threading
from distributed import Client

def of_scheduler(dask_scheduler):
    return {
        "tasks": sorted(map(str, dask_scheduler.tasks)),
        "kinds": sorted(map(str, dask_scheduler.task_prefixes)),
        "plugins": sorted(name for name in dask_scheduler.plugins if "hatch-model" in name),
        "processing": sum(len(each.processing) for each in dask_scheduler.workers.values()),
        "clients": len([each for each in dask_scheduler.clients if each.startswith("Client-")]) - 1,
    }

def of_worker(dask_worker):
    return {
        "path": [each for each in sys.path if "hatch-model" in each],
        "files": [each for each in os.listdir(dask_worker.local_directory) if "hatch-model" in each],
        "modules": sorted(each for each in sys.modules if each.split(".")[0] == "search"),
        "pid": os.getpid(),
    }

with Client(sys.argv[1], timeout=10) as client:
    names = {each["name"]: address for address, each in client.scheduler_info()["workers"].items()}
    workers = client.run(of_worker)
    print(json.dumps({
        **client.run_on_scheduler(of_scheduler),
        "workers": {str(name): workers[address] for name, address in names.items()},
    }))
"""


@dataclass
class Cluster:
    """A scheduler and its workers, each a process, started with the programs of *environment*."""

    environment: Path
    folder: Path
    options: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    address: str = ""

    def start(self, *options: str) -> None:
        """Start the scheduler on a free port of the loopback interface."""
        file = self.folder / "scheduler.json"
        self._start(
            "scheduler",
            *("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)),
            *(*self.options, *(options or ("--dashboard-address", "127.0.0.1:0"))),
        )
        wait_for(lambda: file.exists() and file.read_text("utf-8").endswith("}"))
        self.address = json.loads(file.read_text("utf-8"))["address"]

    def add(self, name: str, *options: str, **variables: str) -> None:
        """Start a worker of one thread, and return when it has joined."""
        self._start(
            name,
            *("worker", self.address, "--name", name, "--nthreads", "1", "--no-dashboard"),
            *("--host", "127.0.0.1", "--local-directory", str(self.folder / name)),
            *(*self.options, *(options or ("--no-nanny",))),
            **variables,
        )
        log = self.folder / f"{name}.log"
        wait_for(lambda: b"Starting established connection" in log.read_bytes())

    def _start(self, name: str, *arguments: str, **variables: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(interpreter_of(self.environment)), "-m", "dask", *arguments],
                cwd=self.folder,
                env={**os.environ, **self.variables, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End the process called *name* at once, and the processes that it started."""
        process = self.processes.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def state(self) -> Any:
        """Give what is on the cluster."""
        return json.loads(
            subprocess.run(
                [interpreter_of(self.environment), "-c", _STATE, self.address],
                check=True,
                capture_output=True,
                env={**os.environ, **self.variables},
            ).stdout
        )

    def pid(self, name: str) -> int:
        return self.processes[name].pid

    def close(self) -> None:
        for name in [*self.processes]:
            self.kill(name)

    # Builds

    def command(self, out: Path) -> list[str]:
        """Give the command that builds the project of its working folder into *out*."""
        return [str(interpreter_of(self.environment)), str(_BACKEND), "wheel", str(out)]

    def build(self, project: ModelProject, out: str = "dist", **variables: str) -> Built:
        """Build a wheel in the environment of the cluster, so that both have the same versions."""
        folder = project.folder.parent / out
        completed = subprocess.run(
            self.command(folder),
            cwd=project.folder,
            env={**os.environ, **self.variables, **variables},
            check=False,
            text=True,
            encoding="utf-8",
            timeout=90,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Built(folder, completed)

    @contextmanager
    def building(
        self, project: ModelProject, until: Callable[[], object]
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a build, and hand it out as soon as *until* is true."""
        process = subprocess.Popen(
            self.command(project.folder.parent / "dist"),
            cwd=project.folder,
            env={**os.environ, **self.variables},
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(lambda: until() or process.poll() is not None)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def on(
    project: ModelProject, cluster: Cluster, main: str | None = None, settings: str = ""
) -> ModelProject:
    """Have *project* train on *cluster*, with more *settings* and with *main* in its training module."""
    parallel = f'parallel = {{ backend = "dask", address = "{cluster.address}"{settings} }}'
    project.replace("pyproject.toml", (TRAIN, f"{TRAIN}\n{parallel}"))
    if main is not None:
        project.write("src/search/main.py", main)
    return project


TRAIN = 'train = "search.main:train"'


def error_of(output: str) -> str:
    """Give what the build ended with."""
    return output.rpartition("hatch-model: error: ")[2].rstrip("\n")


def wait_for(condition: Callable[[], object], seconds: float = _STARTING) -> None:
    """Wait until *condition* is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
