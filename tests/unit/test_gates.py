"""What a gate lets through, and the table of metrics, values and gates."""

from __future__ import annotations

import re

import pytest

from hatch_model.errors import HatchModelError
from hatch_model.gates import Gate, check_gates, compare, table

_ULP = 2**-53


@pytest.mark.parametrize(
    ("gate", "allowed", "refused"),
    [
        (">= 0.9", [0.9, 0.95, 1], [0.9 - _ULP, 0, -1]),
        ("> 0.9", [0.9 + 2 * _ULP, 1], [0.9, 0.5]),
        ("<= 0.1", [0.1, 0, -5], [0.1 + _ULP, 1]),
        ("< 0.1", [0.1 - _ULP, -5], [0.1, 1]),
        ("== 3", [3, 3.0], [2, 3.5]),
        (">= 0.9, < 1", [0.9, 0.99], [0.89, 1]),
        ("< 1, >= 0.9", [0.9, 0.99], [0.89, 1]),
        (">0,<=10", [0.5, 10], [0, 11]),
        ("  >=  -2.5  ", [-2.5, 0], [-3]),
        ("<= +.5", [0.5], [0.6]),
        ("> 1.", [1.5], [1]),
        ("> 1e-300", [2e-300], [1e-300, 0]),
        (">= 1E+3", [1000], [999]),
        ("== 9007199254740993", [2**53 + 1], [2**53, float(2**53)]),
        ("< 1", [-(10**400)], [10**400]),
    ],
)
def test_a_gate_lets_through_what_satisfies_each_comparison(
    gate: str, allowed: list[float], refused: list[float]
) -> None:
    assert [value for value in [*allowed, *refused] if Gate(gate).allows(value)] == allowed


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ">=", "0.9", "=> 0.9", "= 0.9", "!= 0.9", "~= 0.9", "<> 0.9", "> = 0.9"),
        *(">= high", ">= 0.9.1", ">= 1_000", ">= 0x1", ">= 90%", ">= 0,9", ">= -", ">= nan"),
        *("<= inf", ">= 0.5 < 1", ">= 0.5 and < 1", ">= 0.5,", ", < 1", "> 0, < 1, == 0.5"),
        ">= 0.5; < 1",
    ],
)
def test_what_is_no_comparison_cannot_become_a_gate(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Gate(text)


def test_the_table_holds_every_metric_and_every_gate_by_name() -> None:
    rows = compare(
        {"recall": 0.5, "accuracy": 0.912345678, "loss": 1e-300, "trees": 1234567},
        {"trees": Gate("> 0"), "f1": Gate(">= 0.8, < 1"), "accuracy": Gate(">= 0.9")},
    )

    assert table(rows) == [
        "metric    value         gate",
        "accuracy  0.912346      >= 0.9       ok",
        "f1        not returned  >= 0.8, < 1  MISSED",
        "loss      1e-300",
        "recall    0.5",
        "trees     1234567       > 0          ok",
    ]


def test_without_gates_the_table_is_of_metrics_alone() -> None:
    assert table(compare({"accuracy": 0.75, "n": 3}, {})) == [
        "metric    value",
        "accuracy  0.75",
        "n         3",
    ]


def test_a_value_is_written_out_where_rounding_would_belie_the_verdict() -> None:
    rows = compare(
        {"accuracy": 0.89999999, "loss": 0.10000001, "exact": 0.90000001},
        {"accuracy": Gate(">= 0.9"), "loss": Gate("<= 0.1"), "exact": Gate("> 0.9")},
    )

    assert table(rows) == [
        "metric    value       gate",
        "accuracy  0.89999999  >= 0.9  MISSED",
        "exact     0.90000001  > 0.9   ok",
        "loss      0.10000001  <= 0.1  MISSED",
    ]


def test_a_whole_number_that_no_float_can_hold_is_shown() -> None:
    assert (
        table(compare({"n": 10**400}, {"n": Gate("> 0")}))[1] == f"n       1{400 * '0'}  > 0   ok"
    )


class _Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str) -> None:
        self.lines.append(message)

    warning = output = info


def test_gates_that_are_all_passed_are_shown() -> None:
    log = _Log()

    check_gates({"accuracy": 0.9, "loss": 7}, {"accuracy": Gate(">= 0.9")}, log, is_release=True)
    check_gates({}, {}, log, is_release=True)

    assert log.lines == [
        "metric    value  gate",
        "accuracy  0.9    >= 0.9  ok",
        "loss      7",
    ]


def test_the_error_names_what_is_missed_and_shows_the_table() -> None:
    metrics = {"accuracy": 0.75, "recall": 0.9}
    gates = {"accuracy": Gate(">= 0.8"), "f1": Gate("> 0"), "recall": Gate(">= 0.9")}
    log = _Log()

    with pytest.raises(HatchModelError) as missed:
        check_gates(metrics, gates, log, is_release=True)

    assert str(missed.value) == (
        "the model misses its gates (accuracy, f1), so it is not packaged:\n"
        "  metric    value         gate\n"
        "  accuracy  0.75          >= 0.8  MISSED\n"
        "  f1        not returned  > 0     MISSED\n"
        "  recall    0.9           >= 0.9  ok"
    )
    assert log.lines == []


def test_where_nothing_is_released_a_missed_gate_is_only_shown() -> None:
    log = _Log()

    check_gates({"accuracy": 0.75}, {"accuracy": Gate(">= 0.8")}, log, is_release=False)

    assert log.lines == ["metric    value  gate", "accuracy  0.75   >= 0.8  MISSED"]
