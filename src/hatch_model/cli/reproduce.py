"""Build an sdist again as its record describes: with uv, which installs Python and packages."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_model.cli.diff import changed, changes
from hatch_model.cli.open import open_model
from hatch_model.cli.verify import differences, is_of, same_result
from hatch_model.errors import HatchModelError, printable
from hatch_model.uv import find_uv, variables_for_uv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_model.cli.open import ModelFiles

_STANDARD_ERROR = 2
_KINDS = {"wheel": "a wheel", "sdist": "an sdist", "installed": "an installed model"}


class RunUv(Protocol):
    """Runs uv and returns its exit code; tests replace :func:`run_uv` with their own."""

    def __call__(self, arguments: Sequence[str], **variables: str) -> int: ...


def run_uv(arguments: Sequence[str], **variables: str) -> int:
    """Run uv with *arguments* and additional environment *variables*; its output goes to stderr.

    Raises HatchModelError.
    """
    uv = find_uv()
    if uv is None:
        raise HatchModelError(
            "uv is required to rebuild a wheel, and was not found. Install uv, or put its path "
            "into UV."
        )
    # By default, this signal would end the process and leave its temporary folder behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = subprocess.Popen(
        [uv, *arguments], env={**variables_for_uv(), **variables}, stdout=_STANDARD_ERROR
    )
    try:
        return process.wait()
    finally:
        # It writes until it has ended, and would recreate a folder that is removed in the meantime.
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
    """Build the wheel of *sdist* in *folder*, which is empty, with the versions in *record*.

    The caller must close the result. uv uses the user's own settings, such as indexes. *python*
    replaces the recorded Python. Raises HatchModelError.
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
        # A model from the sdist, or one that an earlier build stored, would prove nothing.
        HATCH_MODEL_RETRAIN="1",
        # Nothing of it is kept.
        HATCH_MODEL_CACHE_DIR=str(folder / "store"),
        # All packages come from an index, as they do for the users of the wheel.
        UV_NO_SOURCES="1",
    )
    if returncode != 0:
        raise HatchModelError(
            f"`{sdist}` could not be rebuilt; see uv's output above. If uv cannot find the Python, "
            f"choose another one with `--python`."
        )
    (wheel,) = out.glob("*.whl")
    rebuilt = open_model(str(wheel))
    if rebuilt.record is None:
        rebuilt.close()
        raise _unrecorded(f"what was rebuilt from `{sdist}`")
    return rebuilt


def _exact_versions(environment: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for each in environment:
        try:
            name, version = canonicalize_name(each["name"], validate=True), Version(each["version"])
        except (InvalidName, InvalidVersion):
            # Not a name or version from an index. Options in these lines would also be read.
            continue
        yield f"{name}=={version}\n"


def _name(python: Mapping[str, str]) -> str:
    """Return uv's name for *python*; raises HatchModelError for a name that could be a path."""
    name = f"{python['implementation']}@{python['version']}".lower()
    if not re.fullmatch(r"[a-z]+@[0-9][0-9a-z.]*", name):
        shown = printable(f"{python['implementation']} {python['version']}")
        raise HatchModelError(
            f"the record says that {shown} trained the model, which uv cannot provide. Choose a "
            f"Python with `--python`."
        )
    return name


Verdict = Literal["identical", "equivalent", "different"]

# 1 and 2 are used for failed rebuilds and for wrong usage.
EXIT_CODES: Mapping[Verdict, int] = {"identical": 0, "equivalent": 3, "different": 4}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    verdict: Verdict
    reason: str
    """The reason, shown after the verdict; "" if there is none."""
    differences: Mapping[str, Mapping[str, tuple[Any, Any]]]
    """By section and name: the recorded and the rebuilt value, None for a missing value."""
    report: Mapping[str, str]
    """How each file of the report came out, which is no part of the verdict."""


def recorded_in(wheel: ModelFiles, sdist: ModelFiles) -> Mapping[str, Any]:
    """Return the record of *wheel*. Refuse one that no rebuild of *sdist* can be compared with.

    Raises HatchModelError.
    """
    for model, expected in ((wheel, "wheel"), (sdist, "sdist")):
        if model.kind != expected:
            raise HatchModelError(
                f"`{model.origin}` is {_KINDS[model.kind]}, but {_KINDS[expected]} is needed here."
            )
    if wheel.record is None:
        raise _unrecorded(f"`{wheel.origin}`")
    if not is_of(sdist, wheel.name, wheel.version):
        held = [printable(f"{model.name} {model.version}") for model in (wheel, sdist)]
        raise HatchModelError(
            f"`{wheel.origin}` is {held[0]}, but `{sdist.origin}` is {held[1]}. Give the sdist "
            f"that the wheel was built from."
        )
    # Records are compared, and this one may no longer describe the wheel's content.
    if found := differences(wheel):
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise HatchModelError(
            f"`{wheel.origin}` does not match its metadata: {printable(found[0])}{more}. See "
            f"`hatch-model verify`."
        )
    return wheel.record


def compare(wheel: ModelFiles, rebuilt: ModelFiles, tolerance: float) -> Comparison:
    """Compare two wheels that have records: their files, and otherwise their metrics and checks."""
    one, other = wheel.record, rebuilt.record
    assert one is not None  # noqa: S101 - for the type checker
    assert other is not None  # noqa: S101
    found = {
        **{
            section: pairs
            for section, pairs in changes(wheel, rebuilt).items()
            if section not in {"files", "report"}
        },
        **{
            section: changed(pairs, _circumstances(other)[section])
            for section, pairs in _circumstances(one).items()
        },
    }
    verdict, reason = _verdict(
        one, other, tolerance, same_files=not (found["artifacts"] or found["sources"])
    )
    return Comparison(
        verdict=verdict, reason=reason, differences=found, report=_compare_reports(wheel, rebuilt)
    )


def _compare_reports(wheel: ModelFiles, rebuilt: ModelFiles) -> dict[str, str]:
    differences = changes(wheel, rebuilt)["report"]
    names = sorted({*wheel.report, *rebuilt.report})
    return {
        name: _outcome(*differences[name]) if name in differences else "identical" for name in names
    }


def _outcome(recorded: str | None, rebuilt: str | None) -> str:
    return "missing" if rebuilt is None else "new" if recorded is None else "different"


def _unrecorded(model: str) -> HatchModelError:
    return HatchModelError(
        f"{model} contains no record of how it was made. Wheels that hatch-model builds contain "
        f"one."
    )


def _circumstances(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parts of a record that :func:`changes` does not compare."""
    return {
        "check": record["check"] or {},
        "gates": record["gates"],
        "environment": {each["name"]: each["version"] for each in record["environment"]},
        "platform": {**record["platform"], "implementation": record["python"]["implementation"]},
        "lock": record["lock"] or {},
    }


def _verdict(
    one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float, *, same_files: bool
) -> tuple[Verdict, str]:
    if same_files:
        return "identical", ""
    before, after = _measured(one), _measured(other)
    measured = [name for name in ("metrics", "check's result") if name in {*before, *after}]
    if not measured:
        return (
            "different",
            "files differ, and there are no metrics and no check's result to compare",
        )
    apart = [
        name for name in measured if not same_result(before.get(name), after.get(name), tolerance)
    ]
    if apart:
        return "different", f"files differ, as well as the {' and the '.join(apart)}"
    return "equivalent", f"files differ, but not the {' or the '.join(measured)}"


def _measured(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of *record* that measure the quality of the model.

    A check that returns nothing is no evidence: it has passed in every wheel.
    """
    found = {"metrics": record["metrics"], "check's result": (record["check"] or {}).get("result")}
    return {name: value for name, value in found.items() if value not in (None, {})}
