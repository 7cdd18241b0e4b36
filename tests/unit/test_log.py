"""What a build prints, and how far long work has come."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hatch_model.log import AppLog, Progress


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
