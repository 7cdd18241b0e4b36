"""How far work has come that takes long, told in lines that read well in a log."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from hatch_model._sizes import human_share, human_size

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress:
    """Says a line every few seconds, so none at all for what is quicker.

    A line is like `writing iris/weights.bin: 1.2 of 3.0 GiB, 1.4 GiB/s`. Any thread may advance it.
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
        """Begin with *work*, such as "writing weights.bin", of *total* bytes."""
        self._work = work
        self._total = total
        self._done = 0
        self._since = self._clock()

    def advance(self, size: int) -> None:
        """Have *size* more bytes done."""
        with self._lock:
            self._done += size
            now = self._clock()
            if now < self._due:
                return
            self._due = now + self._seconds
            rate = int(self._done / max(now - self._since, 1e-3))
            line = f"{self._work}: {human_share(self._done, self._total)}, {human_size(rate)}/s"
        self.say(line)
