"""Builds of the example project, with the plugin and without, for benchmarks of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import tomllib  # type: ignore[import-not-found] # mypy checks for Python 3.10

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLE = CHECKOUT / "example-project"
PYPROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))
NAME = PYPROJECT["project"]["name"]
REQUIREMENTS = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["model"]["dependencies"]
TRAINING = PYPROJECT["tool"]["hatch"]["build"]["hooks"]["model"]
GROUPS = [
    each for name in TRAINING["dependency-groups"] for each in PYPROJECT["dependency-groups"][name]
]

PLAIN = f"""\
[build-system]
requires = {["hatchling", *REQUIREMENTS, *GROUPS]}
build-backend = "hatchling.build"

[project]
name = "{NAME}"
version = "0.1.0"
readme = "README.md"
requires-python = ">=3.10"
dependencies = {REQUIREMENTS}
"""


class Example:
    """Two copies of the example in *folder*, `plugin` and `plain`, and a wheel of this checkout.

    The first is without its lock, for both to have the same releases, and without its check, which
    is a second process that imports the model's packages and which the other has none of. The
    second is built by plain hatchling, in a build environment with the same training packages.
    """

    def __init__(self, folder: Path, *, options: str = "") -> None:
        """Make them, with *options* as more lines of the build hook's table."""
        self.folder = folder
        self.wheels = folder / "wheels"
        self.out = folder / "out"
        run("uv", "build", "--quiet", "--wheel", "--out-dir", self.wheels, CHECKOUT, cwd=folder)
        for copy in ("plugin", "plain"):
            shutil.copytree(EXAMPLE / "src", folder / copy / "src")
            shutil.copy(EXAMPLE / "README.md", folder / copy)
        (folder / "plain/pyproject.toml").write_text(PLAIN, "utf-8")
        pyproject = (EXAMPLE / "pyproject.toml").read_text("utf-8")
        pyproject = re.sub("^(lock|check) = .*\n", "", pyproject, flags=re.MULTILINE)
        pyproject = re.sub("^train = .*\n", rf"\g<0>{options}", pyproject, flags=re.MULTILINE)
        (folder / "plugin/pyproject.toml").write_text(pyproject, "utf-8")

    def build(self, copy: str, **variables: str) -> float:
        """Build a wheel of *copy* to the folder `out`, and give the seconds it took."""
        shutil.rmtree(self.out, ignore_errors=True)
        return run(
            *("uv", "build", "--quiet", "--wheel", "--python", sys.executable, "--no-sources"),
            *("--find-links", self.wheels, "--out-dir", self.out),
            cwd=self.folder / copy,
            **variables,
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
