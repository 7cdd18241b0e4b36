# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""What a model costs that has not changed: its build, and the digests that tell so.

    uv run benchmarks/reuse.py [--rounds 9] [--mebibytes 0 64] [--gibibytes 10]

In turns:

- `uv build --wheel` of a copy of example-project, without its lock and its check and with
  `inputs = []`, whose model is in the store already; with plain hatchling, in a build environment
  with the same training packages, of the same files. An environment is fresh in that Python
  compiles everything anew that a build imports. That once for the model as it is, of a few KiB, and
  once with float32 weights of 64 MiB beside it: hatchling deflates them, hatch-model does not. The
  store is in HATCH_MODEL_CACHE_DIR, so a build does not import platformdirs, as it does otherwise.
- The digests of that many files of 1 GiB, as hatch-model takes them of inputs; by
  `hashlib.file_digest` in as many threads as there are cores. Each is a process of its own, whose
  imports are not counted. The files are in the page cache, if they fit there.

Files that the disk has no room for are left out. All are deleted in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from _example import CHECKOUT, TRAINING, Example

if TYPE_CHECKING:
    from collections.abc import Callable

GIBIBYTE = 1 << 30
SPARED = 2 * GIBIBYTE  # of the disk, for everybody else

# Each of these runs in a process of its own, with the files as arguments, and prints JSON.
DIGESTS = """\
import hashlib, json, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
{definition}
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
status = Path("/proc/self/status")  # getrusage() counts the process that this one was forked from
lines = status.read_text().splitlines() if status.is_file() else []
peak = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
print(json.dumps([seconds, peak, digests]))
"""
HATCH_MODEL = DIGESTS.format(
    definition="from hatch_model.digests import files_of",
    statement="digests = [each.sha256 for each in files_of({each: Path(each) for each in "
    "sys.argv[1:]})]",
)
FILE_DIGEST = DIGESTS.format(
    definition="""\
def digest(name):
    with open(name, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
""",
    statement="""\
with ThreadPoolExecutor(os.cpu_count()) as pool:
    digests = list(pool.map(digest, sys.argv[1:]))
""",
)


# A training function that gives its model some weight.
HEAVY = """\
import numpy as np
from {module} import {function} as train_light
def train(**arguments):
    model, metrics = train_light(**arguments)
    return (model, np.random.default_rng(0).standard_normal({mebibytes} << 18, np.float32)), metrics
"""


class Builds:
    def __init__(self, folder: Path, mebibytes: int) -> None:
        folder.mkdir()
        self.example = Example(folder, options="inputs = []\n")
        self.store = folder / "store"
        if mebibytes:
            module, _, function = TRAINING["train"].partition(":")
            heavy = HEAVY.format(module=module, function=function, mebibytes=mebibytes)
            package = module.partition(".")[0]
            (folder / f"plugin/src/{package}/heavy.py").write_text(heavy, "utf-8")
            settings = folder / "plugin/pyproject.toml"
            text = settings.read_text("utf-8")
            settings.write_text(text.replace(TRAINING["train"], f"{package}.heavy:train"), "utf-8")

    def prepare(self) -> None:
        """Train the model, and give the plain project all that its wheel ships."""
        self.reuse()
        (wheel,) = self.example.out.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if ".dist-info/" not in name]
            archive.extractall(self.example.folder / "plain/src", names)
        self.example.build("plain")
        os.environ["UV_OFFLINE"] = "1"

    def reuse(self) -> float:
        return self.example.build("plugin", HATCH_MODEL_CACHE_DIR=str(self.store))

    def measure(self, rounds: int) -> dict[str, list[float]]:
        stored = self.stored()
        times = in_turns(
            {"hatch-model": self.reuse, "hatchling": lambda: self.example.build("plain")}, rounds
        )
        if self.stored() != stored:
            raise SystemExit("the model was trained again")
        return times

    def stored(self) -> list[Path]:
        """List the store: a model that is trained again goes to another folder in it."""
        return sorted(self.store.rglob("*"))


class Digests:
    def __init__(self, folder: Path, count: int) -> None:
        room = (shutil.disk_usage(folder).free - SPARED) // GIBIBYTE
        self.files = [folder / str(number) for number in range(min(count, room))]
        self.peaks: dict[str, list[float]] = {"hatch-model": [], "file_digest": []}
        self.found: set[tuple[str, ...]] = set()

    def prepare(self) -> None:
        """Write the files: holes would be read faster than what is really there."""
        for number, file in enumerate(self.files):
            content = random.Random(number).randbytes(1 << 20)  # noqa: S311 - only incompressible
            with file.open("wb") as stream:
                for _ in range(GIBIBYTE // len(content)):
                    stream.write(content)

    def measure(self, rounds: int) -> dict[str, list[float]]:
        times = in_turns(
            {
                "hatch-model": lambda: self.run("hatch-model", HATCH_MODEL),
                "file_digest": lambda: self.run("file_digest", FILE_DIGEST),
            },
            rounds,
        )
        if len(self.found) > 1:
            raise SystemExit("the digests differ")
        return times

    def run(self, name: str, script: str) -> float:
        completed = subprocess.run(
            [sys.executable, "-c", script, *map(str, self.files)],
            check=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        )
        seconds, peak, digests = json.loads(completed.stdout)
        if peak is not None:
            self.peaks[name].append(peak)
        self.found.add(tuple(digests))
        return float(seconds)


def in_turns(steps: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure *steps* in *rounds*, in an order that changes from round to round."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        for name in list(steps) if number % 2 else reversed(steps):
            times[name].append(steps[name]())
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    print(f"\n{title}\n")
    for name, values in times.items():
        print(f"{name:<20}{statistics.median(values):8.3f} s  (least {min(values):.3f} s)")
    ours, others = times.values()
    ratio = statistics.median(one / other for one, other in zip(ours, others, strict=True))
    print(f"round by round {ratio:.3f} times as long, least by least {min(ours) / min(others):.3f}")


def report_peaks(peaks: dict[str, list[float]]) -> None:
    for name, values in peaks.items():
        if values:
            print(f"{name:<20}{max(values):8.1f} MiB at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mebibytes", type=int, nargs="+", default=[0, 64], metavar="N")
    parser.add_argument("--gibibytes", type=int, default=10, metavar="N")
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, medians of {arguments.rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="reuse-") as folder:
        for mebibytes in arguments.mebibytes:
            builds = Builds(Path(folder, f"builds{mebibytes}"), mebibytes)
            builds.prepare()
            beside = f" with {mebibytes} MiB of weights" if mebibytes else ""
            title = f"uv build --wheel of an unchanged model{beside}"
            report(title, builds.measure(arguments.rounds))
            os.environ.pop("UV_OFFLINE")
        digests = Digests(Path(folder), arguments.gibibytes)
        if digests.files:
            digests.prepare()
            report(f"digests of {len(digests.files)} GiB", digests.measure(arguments.rounds))
            report_peaks(digests.peaks)


if __name__ == "__main__":
    main()
