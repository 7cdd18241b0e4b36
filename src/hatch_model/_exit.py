"""The one place that turns an error into an exit.

hatchling prints frames of its own above an exception that leaves a hook, and only build hooks have
an ``app`` to abort with; frontends show what the backend printed and that it failed, which is all
that is needed.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_model.errors import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTERRUPTED = 130  # what shells give for SIGINT


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End the process with a message, and no traceback, on what this project raises on purpose."""
    try:
        yield
    except HatchModelError as error:
        _exit(f"error: {error}", 1)
    except KeyboardInterrupt:
        _exit("interrupted", _INTERRUPTED)


def _exit(message: str, code: int) -> None:
    print(f"hatch-model: {message}", file=sys.stderr, flush=True)  # noqa: T201
    raise SystemExit(code)
