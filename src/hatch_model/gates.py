"""Gates: thresholds that metrics must meet."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_model.errors import HatchModelError, printable
from hatch_model.log import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_model.log import Log

_OPERATORS = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_COMPARISON = re.compile(r"\s*(>=|<=|==|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
_MOST_COMPARISONS = 2


@dataclass(frozen=True, slots=True)
class Gate:
    """A comparison of a metric with a number, or a range made of two comparisons."""

    text: str

    def __post_init__(self) -> None:
        """Raise ValueError unless the text consists of comparisons such as ``>= 0.9, < 1``."""
        parts = self.text.split(",")
        if len(parts) > _MOST_COMPARISONS or not all(map(_COMPARISON.fullmatch, parts)):
            raise ValueError(self.text)

    @property
    def bounds(self) -> tuple[tuple[str, float], ...]:
        """Its comparisons: an operator and a number each."""
        return tuple((each, _number(text)) for each, text in _COMPARISON.findall(self.text))

    @property
    def direction(self) -> int:
        """1 if more is better, -1 if less is better, and 0 if the gate does not tell."""
        sides = {{">": 1, "<": -1}.get(comparison[0], 0) for comparison, _ in self.bounds}
        return sides.pop() if len(sides) == 1 else 0

    def allows(self, value: float) -> bool:
        """Return whether *value* satisfies every comparison."""
        return all(_OPERATORS[comparison](value, limit) for comparison, limit in self.bounds)


def _number(text: str) -> float:
    """Read *text*: integers exactly, because floats are inexact from 2**53 on."""
    try:
        return int(text)
    except ValueError:
        return float(text)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a metric and its gate."""

    metric: str
    value: float | None
    """None if training did not return it."""
    gate: Gate | None

    @property
    def passes(self) -> bool:
        return self.gate is None or (self.value is not None and self.gate.allows(self.value))


def compare(metrics: Mapping[str, float], gates: Mapping[str, Gate]) -> list[Row]:
    """Return a row for every metric and every gate, sorted by the metric's name."""
    return [Row(name, metrics.get(name), gates.get(name)) for name in sorted({*metrics, *gates})]


def table(rows: Sequence[Row]) -> list[str]:
    """Format *rows* as lines of text in columns, without those for gates if there are none."""
    cells: list[tuple[str, ...]] = [("metric", "value", "gate", "")]
    for row in rows:
        verdict = "" if row.gate is None else "ok" if row.passes else "MISSED"
        cells.append(
            (printable(row.metric), _shown(row), row.gate.text if row.gate else "", verdict)
        )
    if not any(row.gate for row in rows):
        cells = [line[:2] for line in cells]
    return columns(cells)


def _shown(row: Row) -> str:
    """Format the value as short as possible without making a missed gate look passed."""
    if row.value is None:
        return "not returned"
    if isinstance(row.value, int):
        return str(row.value)
    short = f"{row.value:.6g}"
    misleads = row.gate is not None and row.gate.allows(float(short)) != row.passes
    return repr(row.value) if misleads else short


def check_gates(
    metrics: Mapping[str, float], gates: Mapping[str, Gate], log: Log, *, is_release: bool
) -> None:
    """Show *metrics* with their *gates*.

    If *is_release*, raises HatchModelError unless every gate is passed.
    """
    rows = compare(metrics, gates)
    missed = [row.metric for row in rows if not row.passes]
    if missed and is_release:
        lines = "".join(f"\n  {line}" for line in table(rows))
        raise HatchModelError(
            f"the model misses its gates ({', '.join(missed)}), so it is not packaged:{lines}"
        )
    for line in table(rows) if rows else ():
        log.info(line)
