"""Where a build says what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hatchling.bridge.app import Application


class Log(Protocol):
    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def output(self, line: str) -> None:
        """Pass on a line that training printed."""
        ...


class AppLog:
    """Speaks through hatchling's application, which knows how quiet to be."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def info(self, message: str) -> None:
        self._app.display_info(f"hatch-model: {message}")

    def warning(self, message: str) -> None:
        self._app.display_warning(f"hatch-model: warning: {message}")

    def output(self, line: str) -> None:
        self._app.display_info(line)
