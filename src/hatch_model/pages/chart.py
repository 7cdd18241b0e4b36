"""Charts as inline SVG: no script, colours of the page's style, and a text for screen readers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from markupsafe import Markup

from hatch_model.cli.output import number
from hatch_model.gates import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH, _HEIGHT = 360, 200
_RIGHT, _TOP, _BOTTOM = 14, 22, 26
_MOST_MARKERS = 40
_LETTER = 7.2  # the width of a character, at most, in the units of the view box
_TICKS = 5
_PLAIN = 1e6  # from here on, ticks are written with an exponent
_MOST_DECIMALS = 6
_MOST_DIGITS = 16  # that a float tells apart
_FAR = 3  # a gate that is further away than this many times the data's span is not drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A version and the value that a metric has there."""

    label: str
    value: float | None
    gate: str = ""
    is_hollow: bool = False
    """The version was yanked."""


class _Scale:
    """From values to the units of the view box."""

    def __init__(self, low: float, high: float, count: int) -> None:
        self.low, self.high, self._count = low, high, count
        self.ticks = _ticks(low, high)
        widest = max((len(text) for _, text in self.ticks), default=0)
        self.left = round(14 + widest * _LETTER)

    def x(self, index: float) -> float:
        return self.left + (_WIDTH - self.left - _RIGHT) * (index + 0.5) / self._count

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)


def chart(metric: str, points: Sequence[Point]) -> Markup:
    """Draw *metric* over the versions *points*, of which at least one has a value."""
    drawn = [_finite(each.value) for each in points]
    values = [each for each in drawn if each is not None]
    limits = [[limit for _, limit in _bounds(each.gate)] for each in points]
    low, high = _range(values, [limit for each in limits for limit in each])
    scale = _Scale(low, high, len(points))
    parts = [
        *_grid(scale),
        *_gates(points, scale),
        *_lines(drawn, scale),
        *_markers(points, drawn, scale),
        *_labels([each.label for each in points], scale),
    ]
    title = Markup("<title>{}</title><desc>{}</desc>").format(metric, described(metric, points))
    body = Markup().join(parts)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
    ).format(_WIDTH, _HEIGHT, described(metric, points), title, body)


def described(metric: str, points: Sequence[Point]) -> str:
    """Describe what the chart shows in a sentence."""
    known = [(each.label, each.value) for each in points if each.value is not None]
    (first, start), (last, end) = known[0], known[-1]
    if len(known) == 1:
        return f"{metric} is {number(start)} in {first}"
    values = [value for _, value in known]
    return (
        f"{metric} over {len(known)} versions: {number(start)} in {first}, {number(end)} in "
        f"{last}, lowest {number(min(values))}, highest {number(max(values))}"
    )


def sparkline(values: Sequence[float | None]) -> Markup:
    """Draw *values* as a line without axes, for a list. Empty without two of them."""
    drawn = [_finite(value) for value in values]
    known = [value for value in drawn if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - one is no line
        return Markup()
    low, high = _range(known, [])
    width, height = 140, 36
    x = [4 + (width - 10) * index / (len(drawn) - 1) for index in range(len(drawn))]
    y = [
        None if value is None else 4 + (height - 8) * (1 - (value - low) / (high - low))
        for value in drawn
    ]
    paths = Markup().join(
        Markup('<path class="line" d="{}"/>').format(path) for path in _paths(x, y)
    )
    end = max(index for index, value in enumerate(y) if value is not None)
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {} {}" aria-hidden="true">{}'
        '<circle class="point" cx="{}" cy="{}" r="3"/></svg>'
    ).format(width, height, paths, _short(x[end]), _short(y[end] or 0))


def _finite(value: float | None) -> float | None:
    """Return *value* as a float that can be drawn."""
    try:
        if value is None or abs(value) < 1e-300:  # noqa: PLR2004 - nearly the least that floats can hold
            return None if value is None else 0.0
        return max(min(float(value), 1e300), -1e300)
    except OverflowError:  # an integer that no float can hold
        return 1e300 if value and value > 0 else -1e300


def _bounds(gate: str) -> tuple[tuple[str, float], ...]:
    try:
        return tuple((each, _finite(limit) or 0.0) for each, limit in Gate(gate).bounds)
    except ValueError:  # there is none
        return ()


def _range(values: Sequence[float], limits: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value to draw, with gates that are not far away."""
    low, high = min(values), max(values)
    span = (high - low) or abs(high) * 0.1 or 1.0
    near = [each for each in limits if low - _FAR * span <= each <= high + _FAR * span]
    low, high = min([low, *near]), max([high, *near])
    margin = ((high - low) or abs(high) * 0.1 or 1.0) * 0.12
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return about five round numbers between *low* and *high*, with their texts."""
    raw = (high - low) / _TICKS
    power = math.floor(math.log10(raw))
    factor = next(each for each in (1, 2, 2.5, 5, 10) if each * 10.0**power >= raw * 0.999)
    step = factor * 10.0**power
    decimals = max(0, -power + (factor == 2.5))  # noqa: PLR2004 - one of the factors
    largest = max(abs(low), abs(high))
    is_plain = largest < _PLAIN and decimals <= _MOST_DECIMALS
    digits = min(max(math.floor(math.log10(largest)) - power + 2, 1), _MOST_DIGITS)
    first = math.ceil(low / step)
    values = [index * step for index in range(first, first + 2 * _TICKS)]
    ticks = [
        (each, f"{each:.{decimals}f}" if is_plain else number(each, digits=digits))
        for each in values
        if low <= each <= high
    ]
    # Halves of large integers have no text of their own.
    return [(each, text) for each, text in ticks if abs(float(text) - each) < step / 4]


def _grid(scale: _Scale) -> Iterator[Markup]:
    for value, text in scale.ticks:
        y = _short(scale.y(value))
        yield Markup('<path class="grid" d="M{} {}H{}"/>').format(scale.left, y, _WIDTH - _RIGHT)
        yield Markup('<text class="tick end" x="{}" y="{}">{}</text>').format(
            scale.left - 7, _short(scale.y(value) + 4), text
        )


def _gates(points: Sequence[Point], scale: _Scale) -> Iterator[Markup]:
    """Draw the limits of the gates: a line, and a shade where no model may be."""
    first = 0
    for gate, run in groupby(point.gate for point in points):
        left, first = first, first + len(list(run))
        start, end = _short(scale.x(left - 0.5)), _short(scale.x(first - 0.5))
        for comparison, limit in _bounds(gate):
            if not scale.low <= limit <= scale.high:
                continue
            y = _short(scale.y(limit))
            edge = {">": _HEIGHT - _BOTTOM, "<": _TOP}.get(comparison[0])
            if edge is not None:
                yield Markup('<path class="missed" d="M{} {}H{}V{}H{}Z"/>').format(
                    start, y, end, edge, start
                )
            yield Markup('<path class="gate" d="M{} {}H{}"/>').format(start, y, end)


def _lines(drawn: Sequence[float | None], scale: _Scale) -> Iterator[Markup]:
    x = [scale.x(index) for index in range(len(drawn))]
    y = [None if value is None else scale.y(value) for value in drawn]
    for path in _paths(x, y):
        yield Markup('<path class="line" d="{}"/>').format(path)


def _paths(x: Sequence[float], y: Sequence[float | None]) -> Iterator[str]:
    """Return a path for each run of values, since a missing one is a gap."""
    run: list[str] = []
    for across, down in [*zip(x, y, strict=True), (0.0, None)]:
        if down is not None:
            run.append(f"{_short(across)} {_short(down)}")
            continue
        if len(run) > 1:
            yield f"M{'L'.join(run)}"
        run = []


def _markers(
    points: Sequence[Point], drawn: Sequence[float | None], scale: _Scale
) -> Iterator[Markup]:
    """Draw a marker for each value, without its own shape among many, and name the last value."""
    is_dense = len(points) > _MOST_MARKERS
    last = max(index for index, value in enumerate(drawn) if value is not None)
    for index, (point, value) in enumerate(zip(points, drawn, strict=True)):
        if value is None:
            continue
        x, y = _short(scale.x(index)), _short(scale.y(value))
        note = " (yanked)" if point.is_hollow else ""
        yield Markup(
            '<circle class="point{}" cx="{}" cy="{}" r="{}"><title>{}: {}{}</title></circle>'
        ).format(
            *(f"{' hollow' * point.is_hollow}{' dense' * is_dense}", x, y, 1 if is_dense else 4),
            *(point.label, number(point.value or 0), note),
        )
        if index == last:
            text = number(point.value or 0, digits=5)
            is_near_edge = scale.x(index) + len(text) * _LETTER / 2 > _WIDTH
            before = next((each for each in reversed(drawn[:index]) if each is not None), value)
            yield Markup('<text class="value{}" x="{}" y="{}">{}</text>').format(
                " end" if is_near_edge else "",
                _WIDTH - 2 if is_near_edge else x,
                _short(scale.y(value) + (15 if before > value else -9)),
                text,
            )


def _labels(labels: Sequence[str], scale: _Scale) -> Iterator[Markup]:
    """Write as many versions below the chart as fit, the last one among them."""
    longest = max(map(len, labels)) * _LETTER + 10
    step = max(1, math.ceil(longest * len(labels) / (_WIDTH - scale.left - _RIGHT)))
    for index in range((len(labels) - 1) % step, len(labels), step):
        half = len(labels[index]) * _LETTER / 2
        x = min(max(scale.x(index), half), _WIDTH - half)
        yield Markup('<text class="tick" x="{}" y="{}">{}</text>').format(
            _short(x), _HEIGHT - 7, labels[index]
        )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
