"""Build output and progress."""

from __future__ import annotations

import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

from hatch_model.errors import painted, printable_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatchling.bridge.app import Application


class Log(Protocol):
    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def output(self, line: str) -> None:
        """Print a line that training printed, as it is."""
        ...


class AppLog:
    """Prints through hatchling's application, which knows the verbosity."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def info(self, message: str) -> None:
        self._app.display_info(painted(f"hatch-model: {printable_message(message)}", sys.stdout))

    def warning(self, message: str) -> None:
        line = f"hatch-model: warning: {printable_message(message)}"
        self._app.display_warning(painted(line, sys.stderr))

    def output(self, line: str) -> None:
        self._app.display_info(line)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Format *rows*, all of the same length, as lines with columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


class Progress:
    """Prints a line every few seconds, so fast operations print nothing.

    A line looks like `writing iris/weights.bin: 1.2 of 3.0 GiB, 1.4 GiB/s`. Thread-safe.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = 4,
    ) -> None:
        self.say = say
        self._clock = clock
        self._seconds = seconds
        self._due = clock() + seconds
        self._lock = threading.Lock()
        self.start("", 0)

    def start(self, work: str, total: int) -> None:
        """Start *work*, such as "writing weights.bin", of *total* bytes."""
        self._work = work
        self._total = total
        self._done = 0
        self._since = self._clock()

    def advance(self, size: int) -> None:
        """Record that *size* more bytes are done."""
        with self._lock:
            self._done += size
            now = self._clock()
            if now < self._due:
                return
            self._due = now + self._seconds
            rate = int(self._done / max(now - self._since, 1e-3))
            line = f"{self._work}: {human_share(self._done, self._total)}, {human_size(rate)}/s"
        self.say(line)


_UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_LONGEST_SIZE = 30  # characters of its number
_SHOWN_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Parse a size such as ``20 GiB``, ``500MB`` or ``1000`` to bytes; raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get((match[2] or "B").upper()) if match else None
    if match is None or unit is None or len(match[1]) > _LONGEST_SIZE:
        raise ValueError(text)
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def exact_size(size: int) -> str:
    """Format *size* in bytes."""
    return "1 byte" if size == 1 else f"{size} bytes"


def human_size(size: int) -> str:
    """Format *size*, in bytes, with a suitable unit."""
    unit = _unit(size)
    return f"{_in(unit, size)} {_SHOWN_UNITS[unit]}" if unit else exact_size(size)


def human_share(done: int, total: int) -> str:
    """Format *done* of *total*, both in bytes, with one unit: ``1.2 of 3.0 GiB``."""
    unit = _unit(total)
    if not unit:
        return f"{done} of {exact_size(total)}"
    return f"{_in(unit, done)} of {_in(unit, total)} {_SHOWN_UNITS[unit]}"


def human_duration(seconds: float) -> str:
    """Format *seconds* with suitable units: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:  # noqa: PLR2004 - shown as less than 10
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _unit(size: int) -> int:
    return min(max(size.bit_length() - 1, 0) // 10, len(_SHOWN_UNITS) - 1)


def _in(unit: int, size: int) -> str:
    return f"{size / (1 << 10 * unit):.1f}"
