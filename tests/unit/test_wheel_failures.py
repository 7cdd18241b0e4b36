"""Files that cannot be written into a wheel: there is no new wheel then, and no half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import tree
from wheels import assert_strict, contents, write_wheel

from hatch_model import digests
from hatch_model import wheel as module
from hatch_model.errors import HatchModelError
from hatch_model.log import Progress
from hatch_model.wheel import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_model.deflate import Compression
    from hatch_model.digests import File

_TEXT = b"".join(b"%d words of a vocabulary\n" % number for number in range(60_000))
_RANDOM = hashlib.shake_256(b"weights").digest(3_000_000)
_ADVICE = (
    "while it was packaged, so no wheel was written. Have training wait for everything that it "
    "started and close its files before it returns, and build again."
)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "dist", {"small/__init__.py": b"", "small/weights.bin": b""})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(_RANDOM)
    return path


def _nothing(_: Mapping[str, File]) -> dict[str, bytes]:
    return {}


def filled(wheel: Path, *sources: Path, compression: Compression = "auto") -> None:
    fill(
        wheel,
        wheel.parent / "new.whl",
        {f"small/{source.name}": source for source in sources},
        compression=compression,
        finish=_nothing,
        progress=Progress(print),
    )


def message_of_failure(wheel: Path, *sources: Path, compression: Compression = "auto") -> str:
    """Have filling fail, and see that all else is as it was."""
    before = tree(wheel.parent)
    with pytest.raises(HatchModelError) as caught:
        filled(wheel, *sources, compression=compression)
    assert tree(wheel.parent) == before
    return str(caught.value)


def during(block: int, change: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have *change* called before the block of that number is read."""
    read, blocks = module._read_into, iter(range(10**6))

    def changing(*arguments: Any) -> int:
        if next(blocks) == block:
            change()
        return read(*arguments)

    monkeypatch.setattr(module, "_read_into", changing)


# The file that is read


@pytest.mark.parametrize("block", [0, 2, 5])
@pytest.mark.parametrize("compression", ["stored", "deflate"])
def test_a_file_that_grows_is_refused(
    block: int,
    compression: Compression,
    wheel: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def grow() -> None:
        with weights.open("ab") as stream:
            stream.write(b"1")

    during(block, grow, monkeypatch)

    assert message_of_failure(wheel, weights, compression=compression) == (
        f"{weights} has grown {_ADVICE}"
    )


@pytest.mark.parametrize("size", [0, 1 << 18, 2_999_999])
def test_a_file_that_shrinks_is_refused(
    size: int, wheel: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during(1, lambda: os.truncate(weights, size), monkeypatch)

    assert message_of_failure(wheel, weights) == f"{weights} has shrunk {_ADVICE}"


@pytest.mark.parametrize(("size", "change"), [(5, "has grown"), (0, "has shrunk")])
def test_a_small_file_that_changes_is_refused(
    size: int, change: str, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small.txt"
    small.write_bytes(b"1234")
    read = Path.read_bytes

    def changed(path: Path) -> bytes:
        if path == small:
            os.truncate(path, size)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", changed)

    assert message_of_failure(wheel, small) == f"{small} {change} {_ADVICE}"


def test_a_file_that_vanishes_is_refused(
    wheel: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "x_second.bin"
    second.write_bytes(_RANDOM)
    during(2, second.unlink, monkeypatch)

    message = message_of_failure(wheel, weights, second)

    assert message == f"{second} has vanished {_ADVICE}"


def test_a_file_that_was_never_there_is_refused(wheel: Path, tmp_path: Path) -> None:
    message = message_of_failure(wheel, tmp_path / "none")

    assert message == f"{tmp_path / 'none'} has vanished {_ADVICE}"


@pytest.mark.parametrize("size", [4, 3_000_000])
def test_a_file_that_cannot_be_read_is_named(
    size: int, wheel: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by its mode: root reads it all the same."""
    os.truncate(weights, size)
    read = Path.read_bytes

    def refused(path: object, *_: object) -> bytes:
        if isinstance(path, Path) and path != weights:
            return read(path)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    monkeypatch.setattr(module, "_read_into", refused)

    assert message_of_failure(wheel, weights) == (
        f"{weights} is part of the wheel, but cannot be read: Permission denied"
    )


@pytest.mark.skipif(os.name == "nt", reason="folders are opened as files on POSIX")
def test_a_folder_is_no_file(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    assert message_of_failure(wheel, folder) == (
        f"{folder} is part of the wheel, but cannot be read: Is a directory"
    )


# The wheel that is written


@pytest.mark.skipif(os.name == "nt", reason="limits are POSIX's")
@pytest.mark.parametrize("compression", ["stored", "deflate"])
@pytest.mark.parametrize("room", [0, 500, 300_000, 2_999_999, 3_000_300])
def test_a_full_disk_leaves_nothing_behind(
    room: int, compression: str, wheel: Path, weights: Path
) -> None:
    before = tree(wheel.parent)
    script = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
    )

    # Coverage would write a file, too.
    variables = {name: value for name, value in os.environ.items() if name[:3] != "COV"}
    completed = subprocess.run(
        _filling(wheel, weights, compression, script),
        env=variables,
        check=False,
        capture_output=True,
        text=True,
    )

    assert (completed.stdout, completed.stderr) == ("File too large\n", "")
    assert tree(wheel.parent) == before


def test_a_target_that_is_there_already_is_not_written_over(wheel: Path, weights: Path) -> None:
    filled(wheel, weights)
    before = tree(wheel.parent)

    with pytest.raises(FileExistsError):
        filled(wheel, weights)

    assert tree(wheel.parent) == before


def test_a_folder_that_is_not_there_is_the_systems_error(
    wheel: Path, weights: Path, tmp_path: Path
) -> None:
    target = tmp_path / "none" / wheel.name

    with pytest.raises(FileNotFoundError) as caught:
        fill(wheel, target, {"small/w.bin": weights}, finish=_nothing, progress=Progress(print))

    assert caught.value.filename == str(target)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, HatchModelError])
def test_a_failure_where_metadata_is_made_leaves_nothing_behind(
    error: type[BaseException], wheel: Path, weights: Path
) -> None:
    before = tree(wheel.parent)

    def finish(_: Mapping[str, File]) -> dict[str, bytes]:
        raise error

    with pytest.raises(error):
        fill(
            wheel,
            wheel.parent / "new.whl",
            {"small/weights.bin": weights},
            finish=finish,
            progress=Progress(print),
        )

    assert tree(wheel.parent) == before


@pytest.mark.parametrize(
    "moment",
    [
        "zipfile.ZipFile.open",
        "zipfile.ZipFile.writestr",
        "hatch_model.wheel._read_into",
        "hatch_model.wheel._copy_entries",
        "hatch_model.wheel._write_rest",
        "hatch_model.wheel.crc32",
        "hatch_model.deflate.Deflater.run",
        "hatch_model.wheel.Record.updated",
        "zipfile.ZipFile._write_end_record",
        "shutil.copymode",
    ],
)
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_an_interruption_leaves_nothing_behind(
    moment: str,
    interruption: type[BaseException],
    wheel: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = tree(wheel.parent)

    def interrupt(*_: object, **__: object) -> None:
        raise interruption

    monkeypatch.setattr(moment, interrupt)
    # What cannot be read is named, and so is not an OSError any more.
    with pytest.raises((interruption, HatchModelError)):
        filled(wheel, weights, compression="deflate")

    monkeypatch.undo()
    assert tree(wheel.parent) == before


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_thread_outlives_an_interruption_while_it_starts(
    number: int, wheel: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would wait for it forever when it ends, as the pool does not know of it."""
    start, threads = threading.Thread.start, list[threading.Thread]()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        threads.append(thread)
        if len(threads) > number:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    # A second core, so that there is a third thread.
    monkeypatch.setattr(digests, "cores", lambda: 2)
    # Its traceback, which is kept until Python ends, keeps the pool.
    with pytest.raises(KeyboardInterrupt) as caught:
        filled(wheel, weights, compression="deflate")

    assert caught.tb is not None
    for thread in threads:
        thread.join(10)
    assert [thread.is_alive() for thread in threads] == [False] * (number + 1)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("compression", ["stored", "deflate"])
@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT"])
def test_a_process_that_dies_never_touches_the_old_wheel(
    end: str, compression: str, wheel: Path, tmp_path: Path
) -> None:
    """At 8 moments of the whole: with SIGINT, there is half a wheel at none of them."""
    text = tmp_path / "text.txt"
    text.write_bytes(_TEXT * 30)
    old = wheel.read_bytes()
    target = wheel.parent / "new.whl"
    command = _filling(wheel, text, compression, "print('ready', flush=True)")
    outcomes = set()
    for number in range(8):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.04 * number)
            process.send_signal(getattr(signal, end))
            process.communicate()
        assert wheel.read_bytes() == old
        outcomes.add(target.exists())
        if target.exists() and (end == "SIGINT" or process.returncode == 0):
            assert_strict(target)
            assert len(contents(target)) == 8
        target.unlink(missing_ok=True)
        assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]
    assert end == "SIGKILL" or False in outcomes


def _filling(wheel: Path, source: Path, compression: str, first: str) -> list[str]:
    """Give a command that runs the statement *first* and then writes *source* into *wheel*."""
    script = f"""
from pathlib import Path
from hatch_model.wheel import fill
from hatch_model.log import Progress
{first}
try:
    fill(
        Path({str(wheel)!r}),
        Path({str(wheel.parent / "new.whl")!r}),
        {{"small/w.bin": Path({str(source)!r})}},
        compression={compression!r},
        finish=lambda _: {{}},
        progress=Progress(print),
    )
except OSError as error:
    print(error.strerror)
"""
    return [sys.executable, "-c", script]
