"""Files that cannot be added to a wheel: there is no new wheel then, and no half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import tree
from wheels import assert_strict, contents, write_wheel

from hatch_model._archives import Member, _reading, add_files
from hatch_model._progress import Progress
from hatch_model.errors import (
    ArchiveNotWrittenError,
    FileChangedError,
    HatchModelError,
    UnreadableFileError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_model._archives import Compression
    from hatch_model._digests import File

_TEXT = b"".join(b"%d words of a vocabulary\n" % number for number in range(60_000))
_RANDOM = hashlib.shake_256(b"weights").digest(3_000_000)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "dist", {"small/__init__.py": b""})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(_RANDOM)
    return path


def _nothing(_: Mapping[str, File]) -> dict[str, bytes]:
    return {}


def add(wheel: Path, *sources: Path, compression: Compression = "auto") -> None:
    members = [Member(path=f"small/{source.name}", source=source) for source in sources]
    add_files(
        wheel, wheel, members, compression=compression, finish=_nothing, progress=Progress(print)
    )


def message_of_failure(wheel: Path, *sources: Path, error: type[HatchModelError]) -> str:
    """Have adding *sources* raise *error*, and see that all else is as it was."""
    before = tree(wheel.parent)
    with pytest.raises(error) as caught:
        add(wheel, *sources)
    assert tree(wheel.parent) == before
    return str(caught.value)


def during(block: int, change: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have *change* called before the block of that number is read."""
    fill, blocks = _reading._fill, iter(range(10**6))

    def changing(*arguments: Any) -> int:
        if next(blocks) == block:
            change()
        return fill(*arguments)

    monkeypatch.setattr(_reading, "_fill", changing)


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
    before = tree(wheel.parent)

    def grow() -> None:
        with weights.open("ab") as stream:
            stream.write(b"1")

    during(block, grow, monkeypatch)
    with pytest.raises(FileChangedError) as caught:
        add(wheel, weights, compression=compression)

    assert str(caught.value) == (
        f"{weights} has grown while it was packaged, so no archive was written. Have training wait "
        f"for everything that it started and close its files before it returns, and build again."
    )
    assert tree(wheel.parent) == before


@pytest.mark.parametrize("size", [0, 1 << 18, 2_999_999])
def test_a_file_that_shrinks_is_refused(
    size: int, wheel: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during(1, lambda: os.truncate(weights, size), monkeypatch)

    message = message_of_failure(wheel, weights, error=FileChangedError)

    assert message.startswith(f"{weights} has shrunk while it was packaged, ")


@pytest.mark.parametrize("size", [5, 0])
def test_a_small_file_that_changes_is_refused(
    size: int, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.txt").write_bytes(b"1234")
    read = Path.read_bytes

    def changed(path: Path) -> bytes:
        os.truncate(path, size)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", changed)
    with pytest.raises(FileChangedError) as caught:
        add(wheel, tmp_path / "small.txt")

    assert caught.value.change == ("has grown" if size else "has shrunk")


def test_a_file_that_vanishes_is_refused(
    wheel: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second.bin"
    second.write_bytes(_RANDOM)
    during(2, second.unlink, monkeypatch)

    message = message_of_failure(wheel, weights, second, error=FileChangedError)

    assert message.startswith(f"{second} has vanished while it was packaged, ")


def test_a_file_that_was_never_there_is_refused(wheel: Path, tmp_path: Path) -> None:
    message = message_of_failure(wheel, tmp_path / "none", error=FileChangedError)

    assert message.startswith(f"{tmp_path / 'none'} has vanished")


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
    monkeypatch.setattr(_reading, "_fill", refused)
    message = message_of_failure(wheel, weights, error=UnreadableFileError)

    assert message == f"{weights} is to be packaged, and cannot be read: Permission denied"


# The wheel that is written


@pytest.mark.skipif(os.name == "nt", reason="limits are POSIX's")
@pytest.mark.parametrize("compression", ["stored", "deflate"])
@pytest.mark.parametrize("room", [0, 700, 300_000, 2_999_999, 3_000_300])
def test_a_full_disk_leaves_the_old_wheel(
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
        _adding(wheel, weights, compression, script),
        env=variables,
        check=False,
        capture_output=True,
        text=True,
    )

    assert completed.stdout == (
        f"{wheel.name} cannot be written to {wheel.parent}: File too large. It takes up to 2.9 MiB "
        f"there: make room, or build into another folder.\n"
    )
    assert completed.stderr == ""
    assert tree(wheel.parent) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_told_of_in_the_systems_words(
    wheel: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_open = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any) -> Any:
        return to_open(Path("/dev/full") if mode == "wb" else path, mode, *arguments)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ArchiveNotWrittenError) as caught:
        add(wheel, weights)

    assert caught.value.reason == "No space left on device"


def test_a_folder_that_is_not_there_is_named(wheel: Path, weights: Path, tmp_path: Path) -> None:
    members = [Member(path="small/w.bin", source=weights)]
    target = tmp_path / "none" / wheel.name

    with pytest.raises(ArchiveNotWrittenError) as caught:
        add_files(wheel, target, members, finish=_nothing, progress=Progress(print))

    assert (caught.value.target, caught.value.reason) == (target, "No such file or directory")


@pytest.mark.parametrize(
    "moment",
    [
        "zipfile.ZipFile.open",
        "hatch_model._archives._reading._fill",
        "hatch_model._archives._deflating.Deflater.run",
        "hatch_model._archives._wheels.crc32",
        "hatch_model._archives._wheels.with_files",
        "zipfile.ZipFile._write_end_record",
        "shutil.copymode",
        "pathlib.Path.unlink",
    ],
)
def test_an_interruption_leaves_the_old_wheel(
    moment: str, wheel: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(wheel.parent)
    unlink = Path.unlink

    def interrupt(*_: object, **__: object) -> None:
        monkeypatch.setattr(Path, "unlink", unlink)  # what follows cleans up
        raise KeyboardInterrupt

    monkeypatch.setattr(moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        add(wheel, weights, compression="deflate")

    assert tree(wheel.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("compression", ["stored", "deflate"])
@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT"])
def test_a_process_that_dies_never_leaves_half_a_wheel(
    end: str, compression: str, wheel: Path, tmp_path: Path
) -> None:
    """At 12 moments of the whole: with SIGINT, there is no hidden file left, either."""
    text = tmp_path / "text.txt"
    text.write_bytes(_TEXT * 30)
    old = wheel.read_bytes()
    command = _adding(wheel, text, compression, "print('ready', flush=True)")
    outcomes = set()
    for number in range(12):
        wheel.write_bytes(old)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.03 * number)
            process.send_signal(getattr(signal, end))
        if wheel.exists():  # between unlinking the old and renaming the new, there is none
            assert_strict(wheel)
            outcomes.add(len(contents(wheel)))
        hidden = [path for path in wheel.parent.iterdir() if path != wheel]
        assert {path.name for path in hidden} <= (
            {f".{wheel.name}.partial"} if end == "SIGKILL" else set()
        )
        for path in hidden:
            path.unlink()
    assert outcomes <= {6, 7} and 6 in outcomes


def _adding(wheel: Path, source: Path, compression: str, first: str) -> list[str]:
    """Give a command that runs the statement *first* and then adds *source* to *wheel*."""
    script = f"""
from pathlib import Path
from hatch_model._archives import Member, add_files
from hatch_model._progress import Progress
from hatch_model.errors import HatchModelError
{first}
try:
    add_files(
        Path({str(wheel)!r}),
        Path({str(wheel)!r}),
        [Member(path="small/w.bin", source=Path({str(source)!r}))],
        compression={compression!r},
        finish=lambda _: {{}},
        progress=Progress(print),
    )
except HatchModelError as error:
    print(error)
"""
    return [sys.executable, "-c", script]
