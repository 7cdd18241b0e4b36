"""A model and what rebuilding it gave, compared: whether it is the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hatch_model.cli._archive import is_of
from hatch_model.cli._diff import changed, changes
from hatch_model.cli._output import printable
from hatch_model.cli._recheck import same_result
from hatch_model.cli._verify import differences
from hatch_model.errors import (
    AlteredModelError,
    OtherSourceError,
    UnrecordedModelError,
    WrongKindError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model.cli._model_files import ModelFiles

Verdict = Literal["identical", "equivalent", "different"]

# 1 and 2 are taken: by what could not be rebuilt, and by commands that are called wrongly.
EXIT_CODES: Mapping[Verdict, int] = {"identical": 0, "equivalent": 3, "different": 4}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    verdict: Verdict
    reason: str
    """Why, to follow the verdict; "" where that says it all."""
    differences: Mapping[str, Mapping[str, tuple[Any, Any]]]
    """By section and name: what is recorded, and what came of the rebuild, None for nothing."""


def recorded_in(wheel: ModelFiles, sdist: ModelFiles) -> Mapping[str, Any]:
    """Give the record of *wheel*, refusing what no rebuild of *sdist* could be compared with.

    Raises WrongKindError, OtherSourceError, UnrecordedModelError and AlteredModelError.
    """
    for model, expected in ((wheel, "wheel"), (sdist, "sdist")):
        if model.kind != expected:
            raise WrongKindError(model.origin, model.kind, expected)
    if wheel.record is None:
        raise UnrecordedModelError(f"`{wheel.origin}`")
    if not is_of(sdist, wheel.name, wheel.version):
        held = [printable(f"{model.name} {model.version}") for model in (wheel, sdist)]
        raise OtherSourceError(wheel.origin, sdist.origin, *held)
    # Records are compared, and this one may say nothing of what the wheel holds by now.
    if found := differences(wheel):
        raise AlteredModelError(wheel.origin, [*map(printable, found)])
    return wheel.record


def compare(wheel: ModelFiles, rebuilt: ModelFiles, tolerance: float) -> Comparison:
    """Compare two wheels that have records: their files, and else their metrics and checks."""
    one, other = wheel.record, rebuilt.record
    assert one is not None  # noqa: S101 - for the type checker
    assert other is not None  # noqa: S101
    found = {
        **{
            section: pairs
            for section, pairs in changes(wheel, rebuilt).items()
            if section != "files"
        },
        **{
            section: changed(pairs, _circumstances(other)[section])
            for section, pairs in _circumstances(one).items()
        },
    }
    verdict, reason = _verdict(
        one, other, tolerance, same_files=not (found["artifacts"] or found["sources"])
    )
    return Comparison(verdict=verdict, reason=reason, differences=found)


def _circumstances(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give what a record tells beyond what :func:`changes` compares."""
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
        return "different", f"files differ, and the {' and the '.join(apart)}, too"
    return "equivalent", f"files differ, but not the {' or the '.join(measured)}"


def _measured(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give what *record* says of how good the model is.

    A check that returns nothing has passed in every wheel that there is, whatever the model is.
    """
    found = {"metrics": record["metrics"], "check's result": (record["check"] or {}).get("result")}
    return {name: value for name, value in found.items() if value not in (None, {})}
