# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
"""How long it takes to find what a model needs among much that is installed.

    uv run benchmarks/closure_walk.py [--rounds 15] [PACKAGE ...]

Installs scikit-learn, pandas and mlflow (or each PACKAGE), and this checkout beside them, into a
temporary environment of about 95 distributions, and takes the time of

- hatch-model's walk over the closure, and of its pins: the same walk, and the lines;
- the same closure through `importlib.metadata.distribution(...).requires`, as one writes it first;
- `uv pip freeze`, which lists the environment, whole and without following anything, as a process.

Each time is that of a first call in a fresh process, imports not counted. The script fails if the
two walks do not find the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

# Each of these runs in the environment, with the requirements as arguments, and prints JSON.
WALK = """\
import json, sys, time
from packaging.requirements import Requirement
from hatch_model.closure import closure_of
from hatch_model.tables import Root
from hatch_model.installed import InstalledEnvironment
from hatch_model.pins import marker_environment, pin
from hatch_model.settings import PinPolicy
roots = tuple(Root(text=each, origin="") for each in sys.argv[1:])
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted(closure.distributions)]))
"""
CLOSURE = WALK.format(
    statement="closure = closure_of(roots, InstalledEnvironment(), marker_environment(), "
    'project="")',
)
PINS = WALK.format(
    statement='closure = pin(roots, InstalledEnvironment(), PinPolicy(), project="").closure',
)
NAIVE = """\
import json, sys, time
from importlib.metadata import distribution
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
start = time.perf_counter()
pending = [(canonicalize_name(name), "") for name in sys.argv[1:]]
nodes = set(pending)
while pending:
    name, extra = pending.pop()
    for requirement in map(Requirement, distribution(name).requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for wanted in ("", *requirement.extras):
                node = canonicalize_name(requirement.name), wanted
                if node not in nodes:
                    nodes.add(node)
                    pending.append(node)
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({name for name, _ in nodes})]))
"""


def make_environment(folder: Path, packages: list[str]) -> Path:
    environment = folder / "environment"
    run("uv", "venv", "--quiet", "--python", sys.executable, environment)
    run("uv", "pip", "install", "--quiet", "--python", environment, CHECKOUT, *packages)
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(*command: str | Path) -> str:
    completed = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, encoding="utf-8"
    )
    if completed.returncode:
        raise SystemExit(completed.stderr)
    return completed.stdout


def freeze(python: Path) -> tuple[float, list[str]]:
    start = time.perf_counter()
    lines = run("uv", "pip", "freeze", "--python", python).splitlines()
    return time.perf_counter() - start, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE")
    arguments = parser.parse_args()
    packages = arguments.packages or ["scikit-learn", "pandas", "mlflow"]
    scripts = {
        "hatch-model, closure": CLOSURE,
        "hatch-model, pins": PINS,
        "importlib.metadata, naively": NAIVE,
    }
    times: dict[str, list[float]] = {name: [] for name in (*scripts, "uv pip freeze")}
    with tempfile.TemporaryDirectory(prefix="closure-walk-") as folder:
        python = make_environment(Path(folder), packages)
        for _ in range(arguments.rounds):
            found = {}
            for name, script in scripts.items():
                seconds, found[name] = json.loads(run(python, "-c", script, *packages))
                times[name].append(seconds)
            seconds, installed = freeze(python)
            times["uv pip freeze"].append(seconds)
    closure, pinned, naive = found.values()
    if not closure == pinned == naive:
        raise SystemExit(f"the walks differ in {sorted(set(closure) ^ set(naive))}")
    print(
        f"{len(closure)} of {len(installed)} distributions, Python {sys.version.split()[0]}, "
        f"medians of {arguments.rounds} processes\n"
    )
    base = statistics.median(times["hatch-model, closure"])
    for name, values in times.items():
        median = statistics.median(values)
        least = f"(least {1000 * min(values):.1f} ms)"
        print(f"{name:<30}{1000 * median:7.1f} ms  {least:<18}{median / base:7.2f} times as long")


if __name__ == "__main__":
    main()
