"""The differences between two models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hatch_model.cli.inspect import facts
from hatch_model.cli.output import number
from hatch_model.cli.verify import by_name, split
from hatch_model.gates import Gate
from hatch_model.predict import shown_signature
from hatch_model.record import name_in_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model.cli.open import ModelFiles

SECTIONS = (
    "summary",
    "metrics",
    "arguments",
    "pins",
    "artifacts",
    "report",
    "inputs",
    "sources",
    "files",
)
Differences = dict[str, dict[str, tuple[Any, Any]]]
"""By section and name: a pair of values that differ, None for a missing value."""

Verdict = Literal["better", "worse", "unchanged", "changed"]


def changes(one: ModelFiles, other: ModelFiles) -> Differences:
    """Return the differences between two models."""
    found = changed_facts(facts(one), facts(other))
    if not (one.record and other.record):
        # Without a record, only RECORD lists the files.
        files = changed(_unrecorded_files(one), _unrecorded_files(other))
        found.update(artifacts={}, report={}, sources={}, files=files)
    return found


def changed_facts(one: Mapping[str, Any], other: Mapping[str, Any]) -> Differences:
    """Compare two models' facts, see :func:`hatch_model.cli.inspect.facts`."""
    left, right = _comparable(one), _comparable(other)
    return {section: changed(left.get(section, {}), right.get(section, {})) for section in SECTIONS}


def changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the pairs of values that differ, by name, None for a missing value."""
    return {
        name: (one.get(name), other.get(name))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    }


def _comparable(known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    git = known["git"] or {}
    return {
        "summary": {
            "name": known["name"],
            "version": known["version"],
            "entry point": known["entry_point"],
            "python": (known["python"] or {}).get("version"),
            "commit": git.get("commit"),
            "uncommitted changes": git.get("dirty"),
            "predicts by": known.get("predict") and shown_signature(known["predict"]),
            "needs Python": known["requires_python"],
        },
        "metrics": dict(known["metrics"] or {}),
        "arguments": dict(known["arguments"] or {}),
        "pins": _pins(known["requires"]),
        # Their paths in the wheel contain the version.
        "report": {name_in_report(each["path"]): each["sha256"] for each in known["report"] or []},
        **{
            kind: {file["path"]: file["sha256"] for file in known[kind] or []}
            for kind in ("artifacts", "inputs", "sources")
        },
    }


def _pins(lines: list[str]) -> dict[str, str]:
    """Return the version specifiers of each package, from all lines about it."""
    return {
        name: " | ".join(sorted(split(line)[1] for line in group))
        for name, group in by_name(lines).items()
    }


def _unrecorded_files(model: ModelFiles) -> dict[str, str]:
    """Return RECORD's digest of each file except the metadata, which changes with each version."""
    return {
        path: digest
        for path, (digest, _) in model.listed.items()
        if not path.partition("/")[0].endswith(".dist-info")
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricChange:
    """A metric of two models, changed or not."""

    metric: str
    before: float | None
    """None if that model does not have it."""
    after: float | None
    gate: str | None
    """Of the second model, or else of the first."""

    @property
    def verdict(self) -> Verdict | None:
        """Better or worse only where a one-sided gate tells which; None if a value is missing."""
        if self.before is None or self.after is None:
            return None
        if self.before == self.after:
            return "unchanged"
        direction = _direction(self.gate or "")
        if not direction:
            return "changed"
        return "better" if (self.after > self.before) == (direction > 0) else "worse"

    @property
    def change(self) -> float | None:
        if self.before is None or self.after is None:
            return None
        try:
            difference = self.after - self.before
            return difference if math.isfinite(difference) else None
        except OverflowError:  # an integer that no float can hold
            return None

    def as_json(self) -> dict[str, Any]:
        return {
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "verdict": self.verdict,
            "gate": self.gate,
        }

    @property
    def row(self) -> tuple[str, str, str, str]:
        """For people: the metric, both values, and the change with the verdict."""
        before, after = (
            "-" if value is None else number(value) for value in (self.before, self.after)
        )
        return self.metric, before, after, self.shown

    @property
    def shown(self) -> str:
        """The change and the verdict, for people: ``+0.02 better``."""
        if self.verdict is None:
            return "new" if self.before is None else "gone"
        if self.verdict == "unchanged" or self.change is None:
            return self.verdict
        verdict = "" if self.verdict == "changed" else f" {self.verdict}"
        return f"{number(self.change, digits=3, sign=True)}{verdict}"


def _direction(gate: str) -> int:
    try:
        return Gate(gate).direction
    except ValueError:  # there is none, or another release wrote it
        return 0


def metric_changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[MetricChange]:
    """Return all metrics of two models' facts: those with a gate first, then by name."""
    before, after = one["metrics"] or {}, other["metrics"] or {}
    gates = {**(one["gates"] or {}), **(other["gates"] or {})}
    return [
        MetricChange(
            metric=name, before=before.get(name), after=after.get(name), gate=gates.get(name)
        )
        for name in in_order({*before, *after}, gates)
    ]


def in_order(metrics: set[str], gates: Mapping[str, Any]) -> list[str]:
    """Order *metrics* for people: the gated ones matter most, and the record sorts by name."""
    return sorted(metrics, key=lambda name: (name not in gates, name))
