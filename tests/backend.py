"""Calls hatchling's backend as a build frontend does, in the environment that runs this script.

``python backend.py wheel|sdist|editable FOLDER`` in a project's folder: asks what the build requires,
has uv install that here, and builds into FOLDER. It is what `uv build` does without starting anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Python has put this script's folder there, which is no part of a build environment.
sys.path.pop(0)

from hatchling import build
from packaging.requirements import Requirement


def _is_missing(line: str) -> bool:
    requirement = Requirement(line)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return False
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return True
    return bool(requirement.url) or not requirement.specifier.contains(found, prereleases=True)


def main(kind: str, folder: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    required = getattr(build, f"get_requires_for_build_{kind}")()
    missing = [line for line in required if _is_missing(line)]
    if missing:
        uv = os.environ.get("UV") or "uv"
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, *missing]
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(code)
    getattr(build, f"build_{kind}")(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
