"""Run a child process: its output is shown immediately, and it is always cleaned up."""

from __future__ import annotations

import codecs
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hatch_model.errors import FrontendGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

_POLL = 0.5  # seconds between checks whether the frontend still exists
# Seconds that processes have for cleaning up when they are stopped. On Ctrl-C, `python -m
# build` gives a backend no more than 0.25 in total.
_GRACE = 0.15
# The equivalent of start_new_session on Windows; 0 elsewhere.
_NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_PROGRESS = 1.0  # seconds between two states of a progress bar
_LONGEST_LINE = 1 << 18  # bytes; longer lines are passed on in pieces
_CHILD = Path(__file__).parent / "child" / "call.py"


def call(
    request: Mapping[str, Any],
    folder: Path,
    *,
    python: str = sys.executable,
    cwd: Path,
    environment: Mapping[str, str],
    emit: Callable[[str], None],
    run: RunProcess | None = None,
) -> tuple[dict[str, Any] | None, int]:
    """Make the child script carry out *request*, with *folder* for the files they exchange.

    The script's docstring is the protocol. Returns its result, None if it ended without one, and
    its exit code as ``subprocess`` does. Each line of its output goes to *emit*. Raises
    FrontendGoneError if the frontend ends or stops reading the output in the meantime.
    """
    (folder / "request.json").write_text(json.dumps({**request}), "utf-8")
    try:
        returncode = (run or run_process)(
            [python, str(_CHILD), str(folder)], cwd=cwd, environment=environment, emit=emit
        )
    except BrokenPipeError:
        raise FrontendGoneError from None
    result = folder / "result.json"
    if not result.is_file():
        return None, returncode
    content: dict[str, Any] = json.loads(result.read_text("utf-8"))
    return content, returncode


def how_it_ended(returncode: int) -> str:
    """Return how a process with the unexpected *returncode*, as in `subprocess`, ended."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"


class RunProcess(Protocol):
    """Runs a command to its end; tests replace :func:`run_process` with their own."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        emit: Callable[[str], None],
    ) -> int: ...


def run_process(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    emit: Callable[[str], None],
) -> int:
    """Run *command*, passing each line of its output to *emit* immediately.

    Standard output and error share one pipe, so that they keep their order. Returns the exit
    code, or minus the signal's number (as ``subprocess`` does). Raises FrontendGoneError if this
    process's parent ends in the meantime. Whatever is raised, the command and all processes that
    it started have been ended by then.
    """
    process = _start(command, cwd, environment)
    assert process.stdin is not None  # noqa: S101 - for the type checker
    assert process.stdout is not None  # noqa: S101
    lines = LineRelay(emit)
    reader = _Reader(process.stdout, lines)
    reader.start()
    try:
        _wait(process, reader)
    except BaseException:
        # Helpers such as joblib's resource tracker clean up and end by themselves after this.
        _signal_group(process, kill=False)
        reader.finished.wait(_GRACE)
        raise
    finally:
        # Processes that training left running may keep the pipe open: don't wait long.
        reader.finished.wait(_POLL)
        _signal_group(process, kill=True)
        process.wait()
        reader.finished.wait(_POLL)
        process.stdin.close()
        if reader.finished.is_set():
            process.stdout.close()
    if reader.error is not None:
        raise reader.error
    lines.close()
    return process.returncode


def _start(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        # The child treats the end of this pipe as the end of the build; see the child script.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A separate group, so that the child can be ended with everything that it started.
        start_new_session=True,
        creationflags=_NEW_GROUP,
    )


def _signal_group(process: subprocess.Popen[bytes], *, kill: bool) -> None:
    """End *process* and the processes that it started; with *kill*, they cannot clean up."""
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(
                ["taskkill", "/T", "/F", "/PID", str(process.pid)],  # noqa: S607
                check=False,
                capture_output=True,
            )
        return
    # On macOS, this is raised for a group that only contains zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes], reader: _Reader) -> None:
    """Wait for the end of *process*, and notice when the frontend is gone."""
    frontend = os.getppid()
    while process.poll() is None:
        # Unlike a process with a timeout, this is waited for without polling.
        reader.finished.wait(_POLL)
        if reader.error is not None:
            raise reader.error
        if os.getppid() != frontend:
            raise FrontendGoneError
        if reader.finished.is_set():
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL)


class _Reader(threading.Thread):
    """Reads to the end in any case, because a process blocks on a full pipe."""

    def __init__(self, output: IO[bytes], lines: LineRelay) -> None:
        super().__init__(daemon=True)
        # Up to Python 3.12, a join() that Ctrl-C interrupts marks the thread as ended.
        self.finished = threading.Event()
        self.error: Exception | None = None
        """Why lines are no longer passed on."""
        self._output = output
        self._lines = lines

    def run(self) -> None:
        descriptor = self._output.fileno()
        while chunk := os.read(descriptor, 65536):
            if self.error is None:
                try:
                    self._lines.feed(chunk)
                except Exception as error:  # noqa: BLE001 - raised where the process is waited for
                    self.error = error
        self.finished.set()


class LineRelay:
    """Splits a stream of bytes into lines of text and passes them on.

    A progress bar rewrites its line after a carriage return. Of its states, one per
    second is passed on as a line, and always the last one.
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
            self._show(_last_state(line))
        if len(self._pending) > _LONGEST_LINE:
            # Wait for the rest of an incomplete character.
            _, size = codecs.utf_8_decode(self._pending, "replace")
            self._show(self._pending[:size])
            self._pending = self._pending[size:]
        self._show_progress()

    def close(self) -> None:
        """Pass on the end of the stream, if it did not end with a line break."""
        state, self._pending = _last_state(self._pending), b""
        if state.strip():
            self._show(state)

    def _show_progress(self) -> None:
        """Pass on the last complete state of an unfinished line, if it is time for one.

        The text before a trailing carriage return is not shown yet: the return may be the first
        half of a line break, or the text may be the line's final state.
        """
        begun = self._pending.rstrip(b"\r")
        states, carriage_return, unfinished = begun.rpartition(b"\r")
        if not carriage_return:
            return
        state = _last_state(states)
        if state.strip() and self._clock() - self._shown_at >= _PROGRESS:
            self._show(state)
            state = b""
        self._pending = state + b"\r" + unfinished + self._pending[len(begun) :]

    def _show(self, line: bytes) -> None:
        self._shown_at = self._clock()
        self._emit(line.decode("utf-8", "replace"))


def _last_state(line: bytes) -> bytes:
    """Return approximately what a terminal finally shows of *line*."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]
