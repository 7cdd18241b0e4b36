"""A child process: what it prints comes through line by line, and nothing of it stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from support import is_running

from hatch_model.errors import FrontendGoneError
from hatch_model.process import (
    _CHILD,
    LineRelay,
    call,
    how_it_ended,
    run_process,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _relayed(*chunks: bytes) -> list[str]:
    lines: list[str] = []
    relay = LineRelay(lines.append, _Clock())
    for chunk in chunks:
        relay.feed(chunk)
    relay.close()
    return lines


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([b"one\ntwo\n"], ["one", "two"], id="two lines at once"),
        pytest.param([b"on", b"e", b"\ntw", b"o\n"], ["one", "two"], id="a line in pieces"),
        pytest.param([b"one\n\n\ntwo\n"], ["one", "", "", "two"], id="empty lines are lines"),
        pytest.param([b"one\r\ntwo\r\n"], ["one", "two"], id="ends of lines as Windows has them"),
        pytest.param([b"one\r", b"\ntwo"], ["one", "two"], id="such an end in two pieces"),
        pytest.param([b"one\nlast"], ["one", "last"], id="the last line has no end"),
        pytest.param([b"\xc3", b"\xa9t\xc3\xa9\n"], ["été"], id="a character in two pieces"),
        pytest.param([b"a\xffb\n"], ["a�b"], id="bytes that are no UTF-8"),
        pytest.param([b"  indented \t\n"], ["  indented \t"], id="white space is kept"),
    ],
)
def test_bytes_are_cut_into_lines_of_text(chunks: list[bytes], lines: list[str]) -> None:
    assert _relayed(*chunks) == lines


@pytest.mark.parametrize(
    ("states", "end"),
    [
        pytest.param([b"\r 0%", b"\r 50%", b"\r100%"], b"\n", id="as tqdm writes them"),
        pytest.param([b" 0%\r", b" 50%\r", b"100%\r"], b"\n", id="carriage return last"),
        pytest.param([b"\r 0%", b"\r 50%", b"\r100%"], b"", id="never ended"),
        pytest.param([b" 0%\r", b" 50%\r", b"100%\r"], b"", id="carriage return last, never ended"),
    ],
)
def test_a_quick_progress_bar_is_shown_in_its_last_state_only(
    states: list[bytes], end: bytes
) -> None:
    assert _relayed(*states, end) == ["100%"]


@pytest.mark.parametrize("pattern", ["\r{}", "{}\r"])
def test_a_slow_progress_bar_is_shown_once_a_second(pattern: str) -> None:
    clock = _Clock()
    shown: list[tuple[float, str]] = []
    relay = LineRelay(lambda line: shown.append((clock.now - 100, line)), clock)

    for percent in range(0, 100, 10):
        relay.feed(pattern.format(f"{percent}%").encode())
        clock.now += 0.25
    relay.feed(b"\n")
    relay.feed(b"done\n")
    relay.close()

    # A state is shown when the next one has begun: only then it is known to be whole.
    assert shown == [(1.0, "30%"), (2.0, "70%"), (2.5, "90%"), (2.5, "done")]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_state_that_was_shown_is_not_followed_by_an_empty_line(end: bytes) -> None:
    clock = _Clock()
    lines: list[str] = []
    relay = LineRelay(lines.append, clock)

    clock.now += 5
    relay.feed(b"50%\r")
    clock.now += 5
    relay.feed(b"100%\r")
    clock.now += 5
    relay.feed(end)
    relay.close()

    assert lines == ["50%", "100%"]


@pytest.mark.parametrize("after", [b"", b"done\n"])
def test_a_progress_bar_that_wipes_itself_out_leaves_no_blank_line(after: bytes) -> None:
    expected = [line for line in ["done"] if after]

    assert _relayed(b"\r 50%", b"\r100%", b"\r    \r", after) == expected


def test_a_late_end_of_a_line_does_not_make_a_line_of_its_own() -> None:
    clock = _Clock()
    lines: list[str] = []
    relay = LineRelay(lines.append, clock)

    relay.feed(b"one\r")
    clock.now += 5
    relay.feed(b"\ntwo\r\n")
    relay.close()

    assert lines == ["one", "two"]


@pytest.mark.parametrize("character", ["x", "é", "∑", "\U0001f600"])
def test_a_line_without_an_end_is_handed_on_in_pieces_and_nothing_is_lost(character: str) -> None:
    """As where a function prints a large array, or binary data: quickly, and in little memory."""
    text = character * ((32 << 20) // len(character.encode()))
    content = text.encode()
    pieces: list[str] = []
    relay = LineRelay(pieces.append, _Clock())
    started = time.monotonic()

    for start in range(0, len(content), 65536 - 1):
        relay.feed(content[start : start + 65536 - 1])
    relay.feed(b"\nnext\n")
    relay.close()

    assert time.monotonic() - started < 10
    assert pieces[-1] == "next"
    assert "".join(pieces[:-1]) == text
    assert len(pieces) > 100
    assert max(len(piece.encode()) for piece in pieces) < 1 << 19


def _run(code: str, lines: list[str] | None = None, **environment: str) -> int:
    return run_process(
        [sys.executable, "-u", "-c", dedent(code)],
        cwd=Path.cwd(),
        environment={**os.environ, **environment},
        emit=(lines if lines is not None else []).append,
    )


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_given(code: int) -> None:
    assert _run(f"raise SystemExit({code})") == code


@_posix
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM"])
def test_the_signal_that_killed_it_is_given(name: str) -> None:
    number = getattr(signal, name)

    assert _run(f"import os; os.kill(os.getpid(), {number:d})") == -number


def test_the_two_streams_keep_their_order() -> None:
    lines: list[str] = []

    _run(
        """
        import os, sys
        for number in range(50):
            print(number)
            print(-number, file=sys.stderr)
            os.write(1 + number % 2, b"raw\\n")
        """,
        lines,
    )

    assert lines == [text for number in range(50) for text in (str(number), str(-number), "raw")]


def test_the_working_directory_and_the_environment_are_those_asked_for(tmp_path: Path) -> None:
    lines: list[str] = []

    run_process(
        [sys.executable, "-c", "import os; print(os.getcwd()); print(os.environ['COLOUR'])"],
        cwd=tmp_path,
        environment={**os.environ, "COLOUR": "blue"},
        emit=lines.append,
    )

    assert lines == [str(tmp_path), "blue"]


# Starts a process of its own, prints that one's number, and ends or goes on as LAST says.
_PARENT = """
import os, subprocess, sys, time
streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if "QUIET" in os.environ else {}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **streams)
print(child.pid)
exec(os.environ["LAST"])
"""


def _assert_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


@_posix
@pytest.mark.parametrize("quiet", [False, True])
def test_what_training_left_running_is_ended_with_it(*, quiet: bool) -> None:
    """It may hold the pipe of the output open, which must not keep the build waiting."""
    lines: list[str] = []
    started = time.monotonic()

    code = _run(_PARENT, lines, LAST="sys.exit(3)", **({"QUIET": "1"} if quiet else {}))

    assert code == 3
    assert time.monotonic() - started < 15
    _assert_gone(int(lines[0]))


@_posix
def test_an_exception_meanwhile_ends_the_whole_group() -> None:
    lines: list[str] = []

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def emit(line: str) -> None:
        lines.append(line)
        threading.Timer(0.1, interrupt).start()

    with pytest.raises(KeyboardInterrupt):
        run_process(
            [sys.executable, "-u", "-c", _PARENT],
            cwd=Path.cwd(),
            environment={**os.environ, "LAST": "time.sleep(600)"},
            emit=emit,
        )

    _assert_gone(int(lines[0]))


@_posix
def test_what_tidies_up_after_its_parent_has_the_time_to(tmp_path: Path) -> None:
    """As joblib's resource tracker does: it ignores SIGTERM and waits for a pipe to close."""
    code = """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tidy = "echo ready; read line; echo tidy > tidied; sleep 600"
        helper = subprocess.Popen(["sh", "-c", tidy], stdin=subprocess.PIPE)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(600)
        """

    def emit(line: str) -> None:
        assert line == "ready"
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run_process(
            [sys.executable, "-u", "-c", dedent(code)],
            cwd=tmp_path,
            environment=os.environ,
            emit=emit,
        )

    assert (tmp_path / "tidied").read_text("utf-8") == "tidy\n"


@_posix
def test_a_line_that_cannot_be_handed_on_ends_the_run() -> None:
    """A reader that has stopped would leave the child waiting for ever in front of a full pipe."""
    lines: list[str] = []

    def emit(line: str) -> None:
        lines.append(line)
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_process(
            [sys.executable, "-u", "-c", _PARENT],
            cwd=Path.cwd(),
            environment={**os.environ, "LAST": "while True: print('x' * 1000)"},
            emit=emit,
        )

    _assert_gone(int(lines[0]))


def test_a_last_line_that_cannot_be_handed_on_is_not_passed_over() -> None:
    def emit(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match=r"^last$"):
        run_process(
            [sys.executable, "-c", "print('last')"],
            cwd=Path.cwd(),
            environment=os.environ,
            emit=emit,
        )


@_posix
def test_the_end_of_the_frontend_ends_the_run(tmp_path: Path) -> None:
    """The frontend here is a process that starts the build and ends at once."""
    build = dedent(
        """
        import os, sys
        from pathlib import Path
        from hatch_model.errors import FrontendGoneError
        from hatch_model.process import run_process

        seen = Path("seen")
        def emit(line):
            seen.with_suffix(".partial").write_text(line)
            seen.with_suffix(".partial").replace(seen)
        try:
            run_process(
                [sys.executable, "-u", "-c", os.environ["PARENT"]],
                cwd=Path.cwd(),
                environment=os.environ,
                emit=emit,
            )
        except FrontendGoneError:
            Path("outcome").write_text("gone")
        """
    )
    frontend = (
        "import subprocess, sys, time, pathlib\n"
        "subprocess.Popen([sys.executable, '-c', sys.argv[1]])\n"
        "while not pathlib.Path('seen').exists(): time.sleep(0.02)\n"
    )

    subprocess.run(
        [sys.executable, "-c", frontend, build],
        cwd=tmp_path,
        env={**os.environ, "PARENT": _PARENT, "LAST": "time.sleep(600)"},
        check=True,
        timeout=60,
    )

    _assert_gone(int((tmp_path / "seen").read_text("utf-8")))
    deadline = time.monotonic() + 20
    while not (tmp_path / "outcome").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# The child script


def _call(
    folder: Path, code: int = 0, *, result: str | None = None, error: Exception | None = None
) -> tuple[dict[str, object] | None, int]:
    """Have a stand-in for the child script end with *code*, and leave *result* behind."""

    def run(
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        emit: Callable[[str], None],
    ) -> int:
        assert command == ["some-python", str(_CHILD), str(folder)]
        assert (cwd, environment) == (folder.parent, {"COLOUR": "blue"})
        assert json.loads((folder / "request.json").read_text("utf-8")) == {"task": "é", "n": [1]}
        emit("a line")
        if error is not None:
            raise error
        if result is not None:
            (folder / "result.json").write_text(result, "utf-8")
        return code

    lines: list[str] = []
    try:
        return call(
            {"task": "é", "n": [1]},
            folder,
            python="some-python",
            cwd=folder.parent,
            environment={"COLOUR": "blue"},
            emit=lines.append,
            run=run,
        )
    finally:
        assert lines == ["a line"]


@pytest.mark.parametrize("code", [0, 3, -9])
def test_the_result_of_a_call_comes_with_the_exit_code(code: int, tmp_path: Path) -> None:
    assert _call(tmp_path, code, result='{"outcome": "returned"}') == (
        {"outcome": "returned"},
        code,
    )


def test_a_call_may_end_without_a_result(tmp_path: Path) -> None:
    assert _call(tmp_path, -9) == (None, -9)


@pytest.mark.parametrize("error", [BrokenPipeError(), FrontendGoneError()])
def test_a_call_ends_when_nobody_listens_any_more(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(FrontendGoneError):
        _call(tmp_path, error=error)


def test_any_other_error_of_a_call_gets_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _call(tmp_path, error=FileNotFoundError())


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        pytest.param(-9, "was killed by SIGKILL", marks=_posix),
        (-200, "was killed by signal 200"),
    ],
)
def test_an_end_is_told_in_words(code: int, how: str) -> None:
    assert how_it_ended(code) == how
