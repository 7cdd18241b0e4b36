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
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from _example import REQUIREMENTS, TRAINING, Example, run

if TYPE_CHECKING:
    from collections.abc import Callable

TRAIN_ALONE = f"""\
import joblib, tempfile
from pathlib import Path
from {TRAINING["train"].partition(":")[0]} import {TRAINING["train"].partition(":")[2]} as train
report = Path(tempfile.mkdtemp(dir="."))
model, metrics = train(report_dir=report, **{TRAINING.get("arguments", {})})
joblib.dump(model, "model.joblib")
"""


class Benchmark(Example):
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
