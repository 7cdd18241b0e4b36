# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""What the plugin costs: a model's build against plain hatchling plus the training run alone.

    uv run benchmarks/build_overhead.py [--rounds 9]

`uv build --wheel` builds copies of example-project, without its lock and its check, in turns:

- with hatch-model, which trains;
- with plain hatchling, in a build environment with the same training packages, where the artifacts
  lie in the tree already. To this comes the training run alone: the same function, called by the
  interpreter of a fresh environment with the same packages, its model saved by joblib. Making that
  environment is not counted, as plain hatchling's build has made one with the same packages.

An environment is fresh in that nothing in it has been imported yet: Python compiles scikit-learn
anew every time, without and with the plugin. Downloads are not measured: one round goes before,
and fills uv's cache.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import tomllib  # type: ignore[import-not-found] # mypy checks for Python 3.10

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLE = CHECKOUT / "example-project"
PYPROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))
NAME = PYPROJECT["project"]["name"]
REQUIREMENTS = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["model"]["dependencies"]
TRAINING = PYPROJECT["tool"]["hatch"]["build"]["hooks"]["model"]

PLAIN = f"""\
[build-system]
requires = {["hatchling", *REQUIREMENTS]}
build-backend = "hatchling.build"

[project]
name = "{NAME}"
version = "0.1.0"
readme = "README.md"
requires-python = ">=3.10"
dependencies = {REQUIREMENTS}
"""

TRAIN_ALONE = f"""\
import joblib
from {TRAINING["train"].partition(":")[0]} import {TRAINING["train"].partition(":")[2]} as train
model, metrics = train(**{TRAINING.get("arguments", {})})
joblib.dump(model, "model.joblib")
"""


class Benchmark:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        run("uv", "build", "--quiet", "--wheel", "--out-dir", self.wheels, CHECKOUT, cwd=folder)
        for copy in ("plugin", "plain"):
            shutil.copytree(EXAMPLE / "src", folder / copy / "src")
            shutil.copy(EXAMPLE / "README.md", folder / copy)
        (folder / "plain/pyproject.toml").write_text(PLAIN, "utf-8")
        # Without its lock, for all to have the same releases, and without its check, which is a
        # second process that imports the model's packages and which the other side has none of.
        pyproject = (EXAMPLE / "pyproject.toml").read_text("utf-8")
        pyproject = re.sub("^(lock|check) = .*\n", "", pyproject, flags=re.MULTILINE)
        (folder / "plugin/pyproject.toml").write_text(pyproject, "utf-8")

    def prepare(self) -> None:
        """Do everything once, and give the plain project the artifacts that it is to ship."""
        self.build("plugin")
        self.train_alone()
        (package,) = (self.folder / "plain/src").iterdir()
        (package / "data").mkdir()
        shutil.move(self.folder / "model.joblib", package / "data")
        self.build("plain")
        os.environ["UV_OFFLINE"] = "1"

    def measure(self, number: int) -> dict[str, float]:
        """Measure one round, in an order that changes from round to round."""
        steps: dict[str, Callable[[], float]] = {
            "plugin": lambda: self.build("plugin"),
            "plain": lambda: self.build("plain"),
            "training": self.train_alone,
        }
        names = list(steps)
        turn = number % len(names)
        return {name: steps[name]() for name in [*names[turn:], *names[:turn]]}

    def build(self, project: str) -> float:
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        return run(
            *("uv", "build", "--quiet", "--wheel", "--python", sys.executable, "--no-sources"),
            *("--find-links", self.wheels, "--out-dir", out),
            cwd=self.folder / project,
        )

    def train_alone(self) -> float:
        environment = self.folder / "environment"
        shutil.rmtree(environment, ignore_errors=True)
        run("uv", "venv", "--quiet", "--python", sys.executable, environment, cwd=self.folder)
        run(
            *("uv", "pip", "install", "--quiet", "--python", environment),
            *("--find-links", self.wheels, "hatchling", "hatch-model", *REQUIREMENTS),
            cwd=self.folder,
        )
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        return run(
            *(python, "-c", TRAIN_ALONE),
            cwd=self.folder,
            PYTHONPATH=str(self.folder / "plugin/src"),
            PYTHONDONTWRITEBYTECODE="1",  # the plugin's training spends no time on that either
        )


def run(*command: str | Path, cwd: Path, **variables: str) -> float:
    """Run *command*, with its output only if it fails, and give the seconds it took."""
    inherited = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
    start = time.perf_counter()
    completed = subprocess.run(
        list(map(str, command)),
        check=False,
        cwd=cwd,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    seconds = time.perf_counter() - start
    if completed.returncode:
        sys.stdout.buffer.write(completed.stdout)
        raise SystemExit(completed.returncode)
    return seconds


def report(rounds: list[dict[str, float]]) -> None:
    def line(title: str, values: list[float]) -> None:
        print(f"{title:<52}{statistics.median(values):7.3f} s  (least {min(values):.3f} s)")

    plugin = [each["plugin"] for each in rounds]
    both = [each["plain"] + each["training"] for each in rounds]
    print(f"Python {sys.version.split()[0]}, medians of {len(rounds)} rounds\n")
    line("uv build --wheel with hatch-model", plugin)
    line("plain hatchling plus training alone", both)
    line("  uv build --wheel with plain hatchling", [each["plain"] for each in rounds])
    line("  the training run alone", [each["training"] for each in rounds])
    ratio = statistics.median(one / other for one, other in zip(plugin, both, strict=True))
    difference = statistics.median(one - other for one, other in zip(plugin, both, strict=True))
    print(f"\nround by round: {ratio:.3f} times as long, {1000 * difference:+.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="build-overhead-") as folder:
        benchmark = Benchmark(Path(folder))
        benchmark.prepare()
        report([benchmark.measure(number) for number in range(arguments.rounds)])


if __name__ == "__main__":
    main()
