"""A child process: its output passed on as it comes, and nothing of it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import IO

_POLL = 0.5  # seconds between looks at whether the frontend is still there
# What start_new_session is elsewhere, where it means nothing on Windows; 0 elsewhere.
_NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_PROGRESS = 1.0  # seconds between two states of a progress bar


class RunProcess(Protocol):
    """Runs a command to its end; a stand-in for :func:`run_process` in tests."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        emit: Callable[[str], None],
    ) -> int: ...


class FrontendGoneError(Exception):
    """The process that asked for the build no longer exists."""


def run_process(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    emit: Callable[[str], None],
) -> int:
    """Run *command*, handing each line of its output to *emit* as it comes.

    Standard output and error go through one pipe, so that they keep their order. Gives the exit
    code, or minus the signal's number (as ``subprocess`` does). Raises FrontendGoneError if this
    process's own parent ends meanwhile. Whatever is raised, the command and all that it started
    are gone by then.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        # The child takes the end of this pipe as the end of the build; see the child script.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A group of its own, so that it can be ended with all that it started.
        start_new_session=True,
        creationflags=_NEW_GROUP,
    )
    assert process.stdin is not None  # noqa: S101 - for the type checker
    assert process.stdout is not None  # noqa: S101
    lines = LineRelay(emit)
    reader = threading.Thread(target=_relay, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        _wait(process, reader)
    except BaseException:
        _kill_group(process)
        raise
    finally:
        process.wait()
        process.stdin.close()
        # Something that training left running may hold the pipe open: its output is not awaited.
        reader.join(_POLL)
        if reader.is_alive():
            _kill_group(process)
            reader.join(_POLL)
    lines.close()
    process.stdout.close()
    return process.returncode


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(process.pid)],  # noqa: S607
            check=False,
            capture_output=True,
        )
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _wait(process: subprocess.Popen[bytes], reader: threading.Thread) -> None:
    """Wait for the end of *process*, noticing when whoever asked for the build is gone."""
    frontend = os.getppid()
    while reader.is_alive() and process.poll() is None:
        # A thread is waited for without polling, unlike a process with a timeout.
        reader.join(_POLL)
        if os.getppid() != frontend:
            raise FrontendGoneError
    process.wait()


def _relay(output: IO[bytes], lines: LineRelay) -> None:
    descriptor = output.fileno()
    while chunk := os.read(descriptor, 65536):
        lines.feed(chunk)


class LineRelay:
    """Cuts a stream of bytes into lines of text and hands them on.

    A progress bar rewrites its line after a carriage return and ends it once: of its states, one a
    second is handed on as a line, and the last one in any case.
    """

    def __init__(
        self, emit: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._pending = b""
        self._shown_at = clock()

    def feed(self, chunk: bytes) -> None:
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            self._show(line.removesuffix(b"\r").rpartition(b"\r")[2])
        self._show_progress()

    def close(self) -> None:
        """Hand on what the stream ended with, if it did not end with a line's end."""
        if self._pending:
            self._show(self._pending.removesuffix(b"\r").rpartition(b"\r")[2])
            self._pending = b""

    def _show_progress(self) -> None:
        """Hand on the last whole state of an unfinished line, if it is time for one."""
        states, carriage_return, unfinished = self._pending.rpartition(b"\r")
        if not carriage_return:
            return
        state = states.rpartition(b"\r")[2]
        if state.strip() and self._clock() - self._shown_at >= _PROGRESS:
            self._show(state)
            state = b""
        self._pending = state + b"\r" + unfinished

    def _show(self, line: bytes) -> None:
        self._shown_at = self._clock()
        self._emit(line.decode("utf-8", "replace"))
