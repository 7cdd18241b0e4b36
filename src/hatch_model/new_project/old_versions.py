"""A lock of the versions that a project was last used with, as far as that can still be told."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from datetime import datetime
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hatch_model.new_project.declaration import is_exact, supported_python

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_model.new_project.plan import Plan

LOCK = "requirements.lock"
_FIRST_MINOR, _FIRST_YEAR = 10, 2021  # a new Python is released each October
_MONTHS_TO_ARRIVE = 6  # until most packages support it


class Compile(Protocol):
    """Runs `uv pip compile` on *text*. Returns its exit code, output and errors."""

    def __call__(self, arguments: Sequence[str], text: str) -> tuple[int, str, str]: ...


def uv_compile(uv: str, root: Path) -> Compile:
    def run(arguments: Sequence[str], text: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [uv, "pip", "compile", *arguments, "-"],
            cwd=root,
            input=text,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done.returncode, done.stdout, done.stderr

    return run


def old_versions(plan: Plan, run: Compile) -> tuple[str, str]:
    """Return a requirements file of exact versions as of the last commit, or "" and what uv says.

    What is pinned stays so. Versions are within the bounds of hatch-model, which is installed
    beside them.
    """
    committed = plan.survey.committed
    python = oldest_python(plan.survey.declaration.requires_python)
    with tempfile.TemporaryDirectory(prefix="hatch-model-") as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("\n".join([*_floors(), *_pins(plan), ""]), "utf-8")
        arguments = ["--universal", "--quiet", "--no-header", "--no-annotate"]
        arguments += ["--no-python-downloads", "--python-version", python]
        arguments += ["--constraints", str(constraints)]
        arguments += ["--exclude-newer", committed] if committed else []
        floors = _floors()
        if committed and run(arguments, "\n".join([*floors, ""]))[0]:
            # At that time, there was no version that hatch-model takes. uv would look for a version
            # of the others that does without, such as a scikit-learn that has a joblib of its own.
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            for name in map(_name_of, floors):
                arguments += ["--exclude-newer-package", f"{name}={now}"]
        text = "\n".join([*plan.requirements, *plan.training, ""])
        code, output, errors = run(arguments, text)
        if code:
            return "", errors.strip()
        _, _, unbuilt = run([*arguments, "--only-binary", ":all:"], text)
    without_wheels = sorted(set(re.findall(r"(\S+==\S+) has no usable wheels", unbuilt)))
    if without_wheels:
        plan.notes.append(
            f"{', '.join(f'`{each}`' for each in without_wheels)} has no wheel for Python {python} "
            f"or newer, so a build compiles it, and may fail. If it does, allow a newer version"
        )
    return f"{_header(committed)}{output}", ""


def _header(committed: str) -> str:
    if not committed:
        return (
            "# The newest versions that fit, by `hatch-model init`. Remove this file to lock in "
            "another way.\n"
        )
    return f"# Versions as of the last commit ({committed[:10]}), by `hatch-model init`.\n"


def _floors() -> list[str]:
    """Return hatch-model's own requirements."""
    return [
        each.partition(";")[0].strip()
        for each in requires("hatch-model") or ()
        if "extra ==" not in each
    ]


def _name_of(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _pins(plan: Plan) -> list[str]:
    """Return exact versions that the project knows of packages that it does not ask for itself."""
    declaration = plan.survey.declaration
    own = {*map(_name_of, (*plan.requirements, *plan.training))}
    tools = {*map(_name_of, _floors())}
    lines = [*declaration.requirements.values(), *_poetry_lock(plan.survey.root)]
    return [each for each in lines if is_exact(each) and _name_of(each) not in own | tools]


def _poetry_lock(root: Path) -> list[str]:
    try:
        content = tomllib.loads((root / "poetry.lock").read_text("utf-8"))
    except (OSError, ValueError):
        return []
    packages = content.get("package", [])
    return [
        f"{each['name']}=={each['version']}" for each in packages if {"name", "version"} <= {*each}
    ]


def oldest_python(specifier: str) -> str:
    """Return the oldest minor version of Python in *specifier* that hatch-model supports."""
    allowed = SpecifierSet(supported_python(specifier))
    minors = range(_FIRST_MINOR, _FIRST_MINOR + 30)
    return next(
        (
            f"3.{each}"
            for each in minors
            if any(allowed.contains(f"3.{each}.{patch}") for patch in (0, 99))
        ),
        f"3.{_FIRST_MINOR}",
    )


def python_of(committed: str) -> str:
    """Return the newest Python that most packages supported at that time: "3.11"."""
    match = re.match(r"(\d{4})-(\d\d)", committed)
    if not match:
        return ""
    months = (int(match[1]) - _FIRST_YEAR) * 12 + int(match[2]) - 10 - _MONTHS_TO_ARRIVE
    return f"3.{max(_FIRST_MINOR + months // 12, _FIRST_MINOR)}"
