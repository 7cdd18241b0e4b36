"""What a build prints, and how far long work has come."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from hatch_model.errors import painted
from hatch_model.log import AppLog, Progress, human_duration


class _Clock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def test_long_work_says_how_far_and_how_fast(clock: _Clock) -> None:
    said: list[str] = []
    progress = Progress(said.append, clock=clock, seconds=4)
    progress.start("writing iris/data/weights.bin", 3 << 30)
    for _ in range(12):
        clock.now += 1
        progress.advance(256 << 20)

    assert said == [
        "writing iris/data/weights.bin: 1.0 of 3.0 GiB, 256.0 MiB/s",
        "writing iris/data/weights.bin: 2.0 of 3.0 GiB, 256.0 MiB/s",
        "writing iris/data/weights.bin: 3.0 of 3.0 GiB, 256.0 MiB/s",
    ]


def test_quick_work_says_nothing(clock: _Clock) -> None:
    said: list[str] = []
    progress = Progress(said.append, clock=clock, seconds=4)
    progress.start("hashing", 1 << 20)
    clock.now += 3.9
    progress.advance(1 << 20)

    assert said == []


def test_many_quick_files_say_a_line_every_few_seconds(clock: _Clock) -> None:
    said: list[str] = []
    progress = Progress(said.append, clock=clock, seconds=4)
    for number in range(10):
        progress.start(f"reading {number}", 10)
        clock.now += 1
        progress.advance(10)

    assert said == [
        "reading 3: 10 of 10 bytes, 10 bytes/s",
        "reading 7: 10 of 10 bytes, 10 bytes/s",
    ]


class _App:
    def __init__(self) -> None:
        self.shown: list[str] = []
        self.display_info = self.display_warning = self.shown.append


def test_only_what_training_printed_is_printed_as_it_is() -> None:
    app = _App()
    log = AppLog(cast("Any", app))
    log.info("wrote\n\t\x1b[2J.bin")
    log.warning("\u202e is in no archive")
    log.output("\x1b[32mepoch 1\x1b[0m")

    assert app.shown == [
        "hatch-model: wrote\n\t\\x1b[2J.bin",
        "hatch-model: warning: \\u202e is in no archive",
        "\x1b[32mepoch 1\x1b[0m",
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7_510, "2 h 5 min"),
    ],
)
def test_a_duration_has_a_suitable_unit(seconds: float, shown: str) -> None:
    assert human_duration(seconds) == shown


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


_SAID = "hatch-model: error: the model misses its gates, error: no:\n  recall  0.1  >= 0.9  MISSED"


@pytest.mark.parametrize(
    ("variables", "stream", "is_coloured"),
    [
        ({}, io.StringIO(), False),
        ({}, _Terminal(), True),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"FORCE_COLOR": ""}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, _Terminal(), False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, io.StringIO(), False),
        ({"NO_COLOR": ""}, _Terminal(), True),
    ],
)
def test_what_must_not_be_overlooked_has_a_colour_where_there_are_colours(
    variables: dict[str, str],
    stream: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_coloured: bool,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    red = "\033[1;31m"
    coloured = _SAID.replace("hatch-model: error:", f"hatch-model: {red}error:\033[0m").replace(
        "MISSED", f"{red}MISSED\033[0m"
    )
    assert painted(_SAID, stream) == (coloured if is_coloured else _SAID)


def test_warnings_and_gates_that_hold_have_colours_of_their_own() -> None:
    said = "hatch-model: warning: ok\nhatch-model: accuracy  1  >= 0.9  ok"

    assert painted(said, _Terminal()) == (
        "hatch-model: \033[1;33mwarning:\033[0m ok\n"
        "hatch-model: accuracy  1  >= 0.9  \033[32mok\033[0m"
    )
