# /// script
# requires-python = ">=3.11"
# dependencies = ["uv"]
# ///
"""What each backend call of a build costs, in processor seconds, beside plain hatchling's.

    uv run benchmarks/backend_calls.py [--rounds 15]

A frontend makes a new environment for each build, in which nothing is compiled, and calls the
backend in processes of their own. So each call is measured as one, with its children, in an
environment without bytecode that writes none: asking what to install, and building the wheel of a
tiny model that was trained before and is reused. Both projects are the same but for hatch-model;
plain hatchling packs the model as package data. The calls of both take turns. The script fails if
the wheel's pins are not what is installed."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CALLS = {
    "get_requires_for_build_sdist": "get_requires_for_build_sdist()",
    "build_sdist": "build_sdist(sys.argv[1])",
    "get_requires_for_build_wheel": "get_requires_for_build_wheel()",
    "build_wheel": "build_wheel(sys.argv[1])",
}
PLAIN = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["joblib"]
"""
MODEL = """\
[build-system]
requires = ["hatchling", "hatch-model"]
build-backend = "hatchling.build"

[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.hatch.metadata.hooks.model]
dependencies = ["joblib"]

[tool.hatch.build.hooks.model]
train = "tiny:train"
inputs = []
"""
CODE = """\
def train(output_dir):
    (output_dir / "weights.txt").write_text("0.5")
"""


def write_project(folder: Path, pyproject: str) -> Path:
    (folder / "src" / "tiny").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "src" / "tiny" / "__init__.py").write_text(CODE)
    if pyproject == PLAIN:
        (folder / "src" / "tiny" / "data").mkdir()
        (folder / "src" / "tiny" / "data" / "weights.txt").write_text("0.5")
    return folder


def call(python: Path, project: Path, name: str, out: Path, variables: dict[str, str]) -> float:
    """Give the processor seconds that the backend call *name* takes, children included."""
    code = f"import sys; sys.path.pop(0); from hatchling import build; build.{CALLS[name]}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [python, "-c", code, str(out)],
        cwd=project,
        env=variables,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def check_pins(wheel: Path, python: Path) -> None:
    """Fail unless the wheel requires just what is installed."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(path).decode().splitlines()
    pins = {line.split()[1] for line in lines if line.startswith("Requires-Dist:")}
    listed = subprocess.run(
        ["uv", "pip", "freeze", "--python", str(python)], check=True, capture_output=True, text=True
    ).stdout.split()
    if not pins or not pins <= set(listed):
        sys.exit(f"the pins {sorted(pins)} are not what is installed: {listed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="backend-calls-") as name:
        folder = Path(name)
        environment = folder / "environment"
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, environment], check=True)
        python = environment / "bin" / "python"
        install = ["uv", "pip", "install", "-q", "--python", str(python)]
        subprocess.run([*install, str(CHECKOUT), "platformdirs"], check=True)
        for cache in environment.rglob("__pycache__"):
            shutil.rmtree(cache)
        variables = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "HATCH_MODEL_CACHE_DIR": str(folder / "store"),
        }
        projects = {
            "plain": write_project(folder / "plain", PLAIN),
            "model": write_project(folder / "model", MODEL),
        }
        call(python, projects["model"], "build_wheel", folder / "first", variables)
        check_pins(next((folder / "first").glob("*.whl")), python)
        print(f"{'processor seconds':32}{'plain':>8}{'ours':>8}{'more':>8}{'ratio':>8}")
        for each in CALLS:
            seconds: dict[str, list[float]] = {"plain": [], "model": []}
            for _ in range(rounds):
                for kind, project in projects.items():
                    seconds[kind].append(call(python, project, each, folder / "dist", variables))
            plain, ours = (statistics.median(seconds[kind]) for kind in ("plain", "model"))
            print(f"{each:32}{plain:8.3f}{ours:8.3f}{ours - plain:8.3f}{ours / plain:8.2f}")


if __name__ == "__main__":
    main()
