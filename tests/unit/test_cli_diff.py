"""How a metric of two models is compared."""

from __future__ import annotations

import pytest

from hatch_model.cli.diff import MetricChange, metric_changes


def _change(before: float | None, after: float | None, gate: str | None = None) -> MetricChange:
    return MetricChange(metric="accuracy", before=before, after=after, gate=gate)


@pytest.mark.parametrize(
    ("before", "after", "gate", "verdict", "shown"),
    [
        (0.9, 0.95, ">= 0.8", "better", "+0.05 better"),
        (0.9, 0.85, "> 0.8", "worse", "-0.05 worse"),
        (2.5, 2.25, "<= 3", "better", "-0.25 better"),
        (2.5, 2.75, "< 3, < 4", "worse", "+0.25 worse"),
        (0.9, 0.95, ">= 0.8, < 1", "changed", "+0.05"),
        (3, 4, "== 3", "changed", "+1"),
        (0.9, 0.95, None, "changed", "+0.05"),
        (0.9, 0.95, "about 1", "changed", "+0.05"),
        (0.9, 0.9, ">= 0.8", "unchanged", "unchanged"),
        (0.9, 0.9, None, "unchanged", "unchanged"),
        (None, 0.9, ">= 0.8", None, "new"),
        (0.9, None, ">= 0.8", None, "gone"),
        (0.957, 0.9570001, None, "changed", "+1e-07"),
        (1, 10**400, ">= 1", "better", "better"),
        (0.5, 10**400, ">= 1", "better", "better"),
        (-1.7e308, 1.7e308, None, "changed", "changed"),
    ],
)
def test_a_gate_on_one_side_tells_whether_a_metric_is_better_or_worse(
    before: float | None, after: float | None, gate: str | None, verdict: str | None, shown: str
) -> None:
    change = _change(before, after, gate)

    assert (change.verdict, change.shown) == (verdict, shown)


def test_metrics_with_a_gate_come_first_and_the_newer_gate_counts() -> None:
    one = {"metrics": {"accuracy": 1, "zeal": 1}, "gates": {"zeal": ">= 1", "gone": ">= 1"}}
    other = {"metrics": {"loss": 2, "zeal": 2}, "gates": {"zeal": "<= 3"}}

    found = metric_changes(one, other)
    assert [each.metric for each in found] == ["zeal", "accuracy", "loss"]
    assert [each.verdict for each in found] == ["worse", None, None]


def test_models_without_a_record_have_no_metrics() -> None:
    assert metric_changes({"metrics": None, "gates": None}, {"metrics": None, "gates": None}) == []
