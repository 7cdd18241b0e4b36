# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""What a Dask cluster costs when it is reached through `parallel`.

    uv run benchmarks/engines.py [--fits 120] [--seconds 1] [--rounds 5] [--mebibytes 1024]

A scheduler and two workers of one thread each run on the loopback interface. In turns, each in a
process of its own, on one worker and on two:

- a search of scikit-learn's with `joblib.parallel_config("dask")`, joblib's own backend;
- the same search on the engine of `parallel`.

Each fit waits rather than computes, so that the times differ by what the backends cost, and not by
what else the machine does. Setting up is what comes before the search: connecting, and on the
engine of `parallel` the comparison of versions and the project's modules.

Before that, a file comes home from a worker, as with `offload = true`, and as many bytes go through
a socket of the loopback interface, written by one process and read by another one."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _example import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 1 << 20

SEARCH = """
import json, sys, time
from contextlib import contextmanager, nullcontext

import joblib
import numpy
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

options = json.loads(sys.argv[1])
fits, seconds = int(sys.argv[2]), float(sys.argv[3])

class Waiting(BaseEstimator):
    def __init__(self, number=0, seconds=0.0):
        self.number, self.seconds = number, seconds
    def fit(self, data, labels):
        import time
        time.sleep(self.seconds)
        return self
    def predict(self, data):
        return data[:, 0]
    def score(self, data, labels):
        return 1.0

@contextmanager
def plain():
    from distributed import Client
    with Client(options["address"]) as client:
        client.wait_for_workers(1)
        with joblib.parallel_config("dask", n_jobs=-1):
            yield

def ours():
    from hatch_model.engines import engine
    return engine.running(options)

start = time.perf_counter()
with plain() if sys.argv[4] == "plain" else ours():
    begun = time.perf_counter()
    search = GridSearchCV(
        Waiting(seconds=seconds), {"number": list(range(fits // 2))}, cv=2, refit=False
    )
    search.fit(numpy.zeros((100, 2)), numpy.zeros(100))
    done = time.perf_counter()
print(json.dumps([begun - start, done - begun]))
"""

OFFLOAD = """
import json, sys, time, resource
from pathlib import Path
from hatch_model.engines import dask, offload

request, script = json.loads(sys.argv[1]), Path(sys.argv[2])
with dask.placed(request["parallel"]) as place:
    start = time.perf_counter()
    offload.train(request, script, place)
    seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
MODEL = """
def train(output_dir, mebibytes):
    block = open("/dev/urandom", "rb").read(1 << 20)
    with (output_dir / "weights.bin").open("wb") as stream:
        for _ in range(mebibytes):
            stream.write(block)
"""
# What happens on the worker before anything comes home.
LOCAL = """
import hashlib, json, sys, time
from pathlib import Path
start = time.perf_counter()
block = open("/dev/urandom", "rb").read(1 << 20)
with open(sys.argv[2], "wb") as stream:
    for _ in range(int(sys.argv[1])):
        stream.write(block)
with open(sys.argv[2], "rb") as stream:
    hashlib.file_digest(stream, "sha256")
print(json.dumps([time.perf_counter() - start, 0]))
"""
# The reader's process starts the writer's.
LOOPBACK = """
import json, multiprocessing, socket, sys, time

def write(port, size):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        block = bytes(1 << 20)
        for _ in range(size):
            connection.sendall(block)

with socket.create_server(("127.0.0.1", 0)) as server:
    port, size = server.getsockname()[1], int(sys.argv[1])
    writer = multiprocessing.get_context("fork").Process(target=write, args=(port, size))
    writer.start()
    connection, _ = server.accept()
    start, buffer = time.perf_counter(), bytearray(1 << 20)
    while connection.recv_into(buffer):
        pass
    print(json.dumps([time.perf_counter() - start, 0]))
    writer.join()
"""


@contextmanager
def cluster(python: Path, folder: Path, workers: int) -> Iterator[str]:
    """Run a scheduler and *workers*, and yield the scheduler's address."""
    file = folder / f"scheduler-{workers}.json"
    local = ("--host", "127.0.0.1")
    dask = (str(python), "-m", "dask")
    scheduler = ("scheduler", "--port", "0", "--scheduler-file", str(file), "--no-dashboard")
    worker = ("worker", "--scheduler-file", str(file), "--no-nanny", "--no-dashboard")
    commands: list[tuple[str, ...]] = [(*dask, *scheduler, *local)]
    commands += [(*dask, *worker, *local, "--nthreads", "1")] * workers
    processes = []
    try:
        for command in commands:
            with (folder / "cluster.log").open("ab") as log:
                processes.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))
            while not (file.exists() and file.read_text("utf-8").endswith("}")):
                time.sleep(0.05)
        yield json.loads(file.read_text("utf-8"))["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait()
        file.unlink(missing_ok=True)


def measured(python: Path, script: str, *arguments: object) -> list[float]:
    """Run *script*, and give the numbers on the last line that it prints."""
    command = [str(python), "-c", script, *map(str, arguments)]
    completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    numbers: list[float] = json.loads(completed.stdout.splitlines()[-1])
    return numbers


def options(address: str, archive: Path, **more: Any) -> dict[str, Any]:
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("tree/model.py", MODEL)
    return {
        "backend": "dask",
        "n_jobs": -1,
        "key": "parallel",
        "train": "model:train",
        "address": address,
        "timeout": 10,
        "patience": 60,
        "versions": {},
        "archive": str(archive),
        "packages": ["tree"],
        **more,
    }


def search(python: Path, folder: Path, workers: int, given: argparse.Namespace) -> None:
    times: dict[str, list[list[float]]] = {"plain": [], "ours": []}
    with cluster(python, folder, workers) as address:
        told = json.dumps(options(address, folder / "source.zip"))
        for kind in ("plain", "ours") * given.rounds:
            found = measured(python, SEARCH, told, given.fits, given.seconds, kind)
            times[kind].append(found)
    setting_up, searching = (
        {kind: [each[place] for each in found] for kind, found in times.items()} for place in (0, 1)
    )
    ratios = [one / other for one, other in zip(searching["ours"], searching["plain"], strict=True)]
    print(
        f"{given.fits} fits of {given.seconds} s on {workers} worker{'s' if workers > 1 else ''}: "
        f"joblib's own backend {statistics.median(searching['plain']):.2f} s, `parallel` "
        f"{statistics.median(searching['ours']):.2f} s; {statistics.median(ratios):.4f} times "
        f"({min(ratios):.4f} to {max(ratios):.4f}). Setting up: "
        f"{statistics.median(setting_up['plain']):.2f} s and "
        f"{statistics.median(setting_up['ours']):.2f} s"
    )


def offload(python: Path, folder: Path, given: argparse.Namespace) -> None:
    script = CHECKOUT / "src/hatch_model/child/call.py"
    sizes = (0, given.mebibytes)
    times: dict[int, list[float]] = {size: [] for size in sizes}
    memory: dict[int, float] = {}
    loopback, local = [], []
    with cluster(python, folder, 1) as address:
        for number in range(given.rounds):
            loopback.append(measured(python, LOOPBACK, given.mebibytes)[0])
            local.append(measured(python, LOCAL, given.mebibytes, folder / "local.bin")[0])
            for mebibytes in sizes:
                home = folder / f"home-{number}-{mebibytes}"
                told = options(
                    address,
                    folder / "source.zip",
                    resources={},
                    environment=[],
                    python_path=["tree"],
                    folders={"tree": str(folder)},
                )
                request = {
                    "task": "train",
                    "module": "model",
                    "attribute": "train",
                    "arguments": {"mebibytes": mebibytes},
                    "parallel": told,
                    "output_dir": str(home),
                    "report_dir": str(home / "report"),
                }
                seconds, memory[mebibytes] = measured(python, OFFLOAD, json.dumps(request), script)
                times[mebibytes].append(seconds)
                shutil.rmtree(home)
    more = min(times[given.mebibytes]) - min(times[0]) - min(local)
    print(
        f"{given.mebibytes} MiB home from a worker, with a digest and written: {more:.2f} s, "
        f"{more / min(loopback):.1f} times what a socket takes; "
        f"{memory[given.mebibytes] - memory[0]:.0f} MiB more of memory"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fits", type=int, default=120)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mebibytes", type=int, default=1024)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            ["uv", "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True
        )
        python = folder / "venv/bin/python"
        packages = [str(CHECKOUT), "distributed", "scikit-learn"]
        subprocess.run(["uv", "pip", "install", "--quiet", "-p", python, *packages], check=True)
        offload(python, folder, given)
        for workers in (1, 2):
            search(python, folder, workers, given)


if __name__ == "__main__":
    for name in ("PYTHONHASHSEED", "SOURCE_DATE_EPOCH"):
        os.environ.setdefault(name, "0")
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", PYTHONIOENCODING="utf-8", PYTHONUNBUFFERED="1")
    main()
