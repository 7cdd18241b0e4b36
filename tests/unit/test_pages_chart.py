"""Charts of metrics over versions."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from hatch_model.pages.chart import Point, chart, sparkline


def _points(*values: float | None, gate: str = "") -> list[Point]:
    return [Point(label=f"0.{index}", value=value, gate=gate) for index, value in enumerate(values)]


def _numbers(svg: str) -> list[float]:
    """Return all coordinates in a chart."""
    found = re.findall(r' (?:d|x|y|cx|cy)="([^"]+)"', svg)
    return [float(each) for text in found for each in re.findall(r"-?\d+(?:\.\d+)?", text)]


def _ticks(svg: str) -> list[str]:
    return re.findall(r'<text class="tick end"[^>]*>([^<]*)<', svg)


@pytest.mark.parametrize(
    "values",
    [
        [0.5],
        [0.5, 0.5, 0.5],
        [0],
        [0, 0],
        [1e-12, 2e-12],
        [3e15, 3e15 + 1],
        [-1e308, 1e308],
        [10**400, -(10**400), 1],
        [5e-324, 0],
        [1.0, 1.0 + 2**-52],
        [0.1, None, 0.3, 0.2],
        [None, 0.1, None],
        [float(value) for value in range(200)],
    ],
)
@pytest.mark.parametrize("gate", ["", ">= 0.4", ">= 0.4, <= 1", "== 0.5", "<= 1e300", "about 1"])
def test_every_value_has_a_point_within_the_chart(values: list[float | None], gate: str) -> None:
    svg = str(chart("accuracy", _points(*values, gate=gate)))

    root = ET.fromstring(svg)
    known = [value for value in values if value is not None]
    assert len(root.findall("circle")) == len(known)
    assert all(-1 <= each <= 361 for each in _numbers(svg))
    assert len(set(_ticks(svg))) >= 1


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.91, 0.96], ["0.92", "0.94", "0.96"]),
        ([12, 48], ["10", "20", "30", "40", "50"]),
        ([0.2375, 0.245], ["0.238", "0.240", "0.242", "0.244"]),
        ([1e-12, 3e-12], ["1e-12", "1.5e-12", "2e-12", "2.5e-12", "3e-12"]),
        ([3e15, 3e15 + 2], ["3000000000000000", "3000000000000001", "3000000000000002"]),
        ([2_000_000, 6_000_000], ["2e+06", "3e+06", "4e+06", "5e+06", "6e+06"]),
    ],
)
def test_the_axis_has_a_few_round_numbers(values: list[float], ticks: list[str]) -> None:
    assert _ticks(str(chart("m", _points(*values)))) == ticks


def test_a_missing_value_is_a_gap() -> None:
    svg = str(chart("m", _points(1, 2, None, 3, 4, None, 5)))

    assert svg.count('class="line"') == 2


def test_yanked_versions_are_hollow() -> None:
    points = [
        Point(label="0.1", value=1),
        Point(label="0.2", value=2, is_hollow=True),
    ]

    assert "0.2: 2 (yanked)" in str(chart("m", points))
    assert str(chart("m", points)).count('class="point hollow"') == 1


def test_many_versions_have_no_markers_that_hide_the_line() -> None:
    svg = str(chart("m", _points(*map(float, range(41)))))

    assert svg.count('class="point dense"') == 41


@pytest.mark.parametrize(
    ("gates", "lines", "shades"),
    [
        ([">= 0.5"] * 4, 1, 1),
        ([">= 0.5", ">= 0.5", ">= 0.6", ">= 0.6"], 2, 2),
        (["", "", ">= 0.6", ">= 0.6"], 1, 1),
        ([">= 0.5, <= 0.9"] * 4, 2, 2),
        (["== 0.7"] * 4, 1, 0),
        ([">= -100"] * 4, 0, 0),  # too far away
    ],
)
def test_gates_are_drawn_where_they_applied(gates: list[str], lines: int, shades: int) -> None:
    points = [
        Point(label=str(index), value=0.6 + index / 10, gate=gate)
        for index, gate in enumerate(gates)
    ]

    svg = str(chart("m", points))
    assert (svg.count('class="gate"'), svg.count('class="missed"')) == (lines, shades)


def test_a_chart_is_described_and_escapes_names() -> None:
    points = [
        Point(label="<1>", value=0.5),
        Point(label="2", value=0.7),
        Point(label="3", value=0.6),
    ]

    svg = str(chart('<script>"', points))
    assert "<script>" not in svg
    label = ET.fromstring(svg).attrib["aria-label"]
    assert label == '<script>" over 3 versions: 0.5 in <1>, 0.6 in 3, lowest 0.5, highest 0.7'
    assert "m is 0.5 in 0.0" in str(chart("m", _points(0.5)))


def test_a_long_name_of_a_version_does_not_run_into_others() -> None:
    points = [Point(label=f"2026.11.{day}.post{day}", value=day) for day in range(1, 31)]

    labels = re.findall(r'<text class="tick" [^>]*>([^<]*)<', str(chart("m", points)))
    assert labels[-1] == "2026.11.30.post30"
    assert len(labels) <= 3


def test_a_sparkline_needs_two_values() -> None:
    assert sparkline([0.5]) == sparkline([None, 0.5]) == sparkline([]) == ""
    svg = str(sparkline([1, None, 2, 3]))
    assert ET.fromstring(svg).attrib["aria-hidden"] == "true"
    assert svg.count("<path") == 1
