"""An sdist, built once more as a record says that it was: by uv, which gets Python and versions."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_model._uv import find_uv, variables_for_uv
from hatch_model.cli._opening import open_model
from hatch_model.cli._output import printable
from hatch_model.errors import (
    RebuildError,
    UnknownPythonError,
    UnrecordedModelError,
    UvMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_model.cli._model_files import ModelFiles

_STANDARD_ERROR = 2


class RunUv(Protocol):
    """Runs uv and gives its exit code; a stand-in for :func:`run_uv` in tests."""

    def __call__(self, arguments: Sequence[str], **variables: str) -> int: ...


def run_uv(arguments: Sequence[str], **variables: str) -> int:
    """Run uv with *arguments* and more environment *variables*; what it says goes to stderr.

    Raises UvMissingError.
    """
    uv = find_uv()
    if uv is None:
        raise UvMissingError
    # By default, this signal would end the process with its temporary folder left behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = subprocess.Popen(
        [uv, *arguments], env={**variables_for_uv(), **variables}, stdout=_STANDARD_ERROR
    )
    try:
        return process.wait()
    finally:
        # It writes until it is gone, and would make anew a folder that is removed meanwhile.
        process.kill()
        process.wait()
        signal.signal(signal.SIGTERM, before)


def rebuild(
    sdist: str,
    record: Mapping[str, Any],
    folder: Path,
    *,
    python: str | None = None,
    run: RunUv = run_uv,
) -> ModelFiles:
    """Build the wheel of *sdist* in *folder*, which is empty, with what *record* says of versions.

    It is for the caller to close. uv honours the user's own settings, such as indexes; *python*
    takes the place of the recorded Python. Raises UvMissingError, UnknownPythonError, RebuildError
    and UnrecordedModelError.
    """
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(_exact_versions(record["environment"])), "utf-8")
    out = folder / "dist"
    returncode = run(
        [
            *("build", "--wheel", "--no-sources", "--python", python or _name(record["python"])),
            *("--build-constraints", str(constraints), "--out-dir", str(out)),
            str(Path(sdist).absolute()),
        ],
        # What travels in the sdist, or was stored by an earlier build, would prove nothing.
        HATCH_MODEL_RETRAIN="1",
    )
    if returncode != 0:
        raise RebuildError(sdist)
    (wheel,) = out.glob("*.whl")
    rebuilt = open_model(str(wheel))
    if rebuilt.record is None:
        rebuilt.close()
        raise UnrecordedModelError(f"what was rebuilt from `{sdist}`")
    return rebuilt


def _exact_versions(environment: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for each in environment:
        try:
            name, version = canonicalize_name(each["name"], validate=True), Version(each["version"])
        except (InvalidName, InvalidVersion):
            # Nothing that an index has. Options would be read from these lines, too.
            continue
        yield f"{name}=={version}\n"


def _name(python: Mapping[str, str]) -> str:
    """Name *python* as uv does; raises UnknownPythonError for what could be a path instead."""
    name = f"{python['implementation']}@{python['version']}".lower()
    if not re.fullmatch(r"[a-z]+@[0-9][0-9a-z.]*", name):
        raise UnknownPythonError(printable(f"{python['implementation']} {python['version']}"))
    return name
