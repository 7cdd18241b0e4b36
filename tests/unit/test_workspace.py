"""A build's own folders: gone when the build is, however it ends, and nobody else's with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_model.workspace import (
    FileLock,
    TemporaryFolder,
    Termination,
    Workspace,
    is_unfinished,
    remove_abandoned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals, and other locks")

_PRELUDE = """
import os, signal, sys, time
from pathlib import Path
from hatch_model.workspace import FileLock, Termination, Workspace

folder = Path(sys.argv[1])

def say(word):
    print(word, flush=True)
"""
_WHEEL = "small-0.1.0-py3-none-any.whl"


@contextmanager
def _process(folder: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """Run *code* in a process of its own, which is gone at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _hear(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().rstrip("\n") == word


def _said_by(folder: Path, code: str) -> str:
    with _process(folder, code) as process:
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        return said


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def _make_wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


def _names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# Locks


def test_a_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    first = FileLock.acquire(tmp_path / "lock")
    assert first is not None
    assert FileLock.acquire(tmp_path / "lock") is None

    first.release()

    second = FileLock.acquire(tmp_path / "lock")
    assert second is not None
    second.release()
    assert _names_in(tmp_path) == ["lock"]


def test_a_lock_file_is_for_the_user_alone_and_can_be_removed_with_the_release(
    tmp_path: Path,
) -> None:
    lock = FileLock.acquire(tmp_path / "lock")
    assert lock is not None
    assert sys.platform == "win32" or (tmp_path / "lock").stat().st_mode & 0o777 == 0o600

    lock.release(remove=True)

    assert sys.platform == "win32" or _names_in(tmp_path) == []


def test_another_process_cannot_take_a_lock(tmp_path: Path) -> None:
    lock = FileLock.acquire(tmp_path / "lock")
    assert lock is not None

    assert _said_by(tmp_path, "say(FileLock.acquire(folder / 'lock'))") == "None\n"
    lock.release()


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    code = "lock = FileLock.acquire(folder / 'lock'); say('has it'); sys.stdin.readline()"
    with _process(tmp_path, code) as process:
        _hear(process, "has it")
        assert FileLock.acquire(tmp_path / "lock") is None
        process.kill()
        process.wait()

        lock = FileLock.acquire(tmp_path / "lock")
    assert lock is not None
    lock.release()


@_posix
def test_who_waits_gets_a_lock_on_a_file_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = FileLock.acquire(path)
    assert first is not None
    got: list[FileLock | None] = []
    waiting = threading.Thread(target=lambda: got.append(FileLock.acquire(path, wait=True)))
    waiting.start()
    waiting.join(0.2)
    assert got == []

    first.release(remove=True)
    waiting.join(20)

    assert path.exists()
    assert FileLock.acquire(path) is None
    (second,) = got
    assert second is not None
    second.release()


@_posix
def test_a_folder_can_be_locked_and_stays(tmp_path: Path) -> None:
    lock = FileLock.acquire(tmp_path)
    assert lock is not None
    assert FileLock.acquire(tmp_path) is None

    lock.release(remove=True)

    assert tmp_path.is_dir()
    again = FileLock.acquire(tmp_path)
    assert again is not None
    again.release()
    assert _names_in(tmp_path) == []


@_posix
def test_a_link_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("somebody's")

    with pytest.raises(OSError, match="symbolic links"):
        FileLock.acquire(tmp_path / "lock")
    assert not (tmp_path / "somebody's").exists()


def test_a_lock_in_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock.acquire(tmp_path / "nothing" / "lock")


# Workspaces


def test_a_workspace_is_a_hidden_folder_for_the_user_alone_until_it_is_closed(
    tmp_path: Path,
) -> None:
    workspace = Workspace(tmp_path)

    assert workspace.path.parent == tmp_path.resolve()
    assert workspace.path.name.startswith(".hatch-model-")
    assert sys.platform == "win32" or workspace.path.stat().st_mode & 0o777 == 0o700
    assert _names_in(workspace.path) == ["lock"]

    _write(workspace.folder("stored") / "deep" / "file.txt", "")
    workspace.close()
    workspace.close()
    assert _names_in(tmp_path) == []


def test_a_workspace_is_in_the_systems_temporary_folder_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    workspace = Workspace()

    assert workspace.path.parent == tmp_path.resolve()
    assert workspace.path.name.startswith("hatch-model-")
    workspace.close()


def test_a_workspaces_lock_is_held(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    code = "print(*(FileLock.acquire(path) for path in folder.glob('.hatch-model-*/lock')))"
    assert _said_by(tmp_path, code) == "None\n"
    workspace.close()


def test_a_workspace_that_is_forgotten_is_closed(tmp_path: Path) -> None:
    Workspace(tmp_path)

    assert _names_in(tmp_path) == []


def test_a_workspace_ends_with_its_process(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "old.txt", "old")

    code = "workspace = Workspace(folder); workspace.set_aside(folder / 'data')"
    assert _said_by(tmp_path, code) == ""

    assert _names_in(tmp_path) == ["data", "data/old.txt"]


@_posix
def test_a_workspace_does_not_end_with_a_process_that_was_forked_from_its_own(
    tmp_path: Path,
) -> None:
    code = """
workspace = Workspace(folder)
forked = os.fork()
if not forked:
    sys.exit()
os.waitpid(forked, 0)
say(workspace.path.exists())
"""
    assert _said_by(tmp_path, code) == "True\n"
    assert _names_in(tmp_path) == []


# What is set aside


def test_what_was_set_aside_comes_back(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    workspace = Workspace(tmp_path)

    aside = workspace.set_aside(tmp_path / "data")

    assert aside == workspace.path / "aside" / "data"
    assert (aside / "old.txt").read_text("utf-8") == "old"
    assert not (tmp_path / "data").exists()
    workspace.close()
    assert _names_in(tmp_path) == ["data", "data/old.txt"]


def _make_folder(path: Path) -> None:
    _write(path / "deep" / "new.txt", "new")


def _make_file(path: Path) -> None:
    _write(path, "new")


def _make_link(path: Path) -> None:
    _write(path.parent / "elsewhere" / "mine.txt", "mine")
    path.symlink_to("elsewhere")


_whatever = pytest.mark.parametrize(
    "make", [_make_folder, _make_file, pytest.param(_make_link, marks=_posix)]
)


@_whatever
def test_a_folder_comes_back_in_place_of_whatever_lies_there(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / "data")
    make(tmp_path / "data")

    workspace.close()

    assert _names_in(tmp_path / "data") == ["old.txt"]
    assert not (tmp_path / "data").is_symlink()
    elsewhere = ["elsewhere", "elsewhere/mine.txt"] if make is _make_link else []
    assert _names_in(tmp_path) == ["data", "data/old.txt", *elsewhere]


@_whatever
def test_a_file_comes_back_in_place_of_whatever_lies_there(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    _write(tmp_path / "data", "old")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / "data")
    make(tmp_path / "data")

    workspace.close()

    assert (tmp_path / "data").read_text("utf-8") == "old"


@_posix
def test_a_link_comes_back_as_a_link(tmp_path: Path) -> None:
    _make_link(tmp_path / "data")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / "data")
    _make_folder(tmp_path / "data")

    workspace.close()

    assert (tmp_path / "data").readlink() == Path("elsewhere")
    assert _names_in(tmp_path) == ["data", "elsewhere", "elsewhere/mine.txt"]


def test_a_wheel_comes_back_in_place_of_an_unfinished_one(tmp_path: Path) -> None:
    _make_wheel(tmp_path / _WHEEL, "old.py")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / _WHEEL)
    _make_wheel(tmp_path / _WHEEL, "new.py", "small-0.1.0.data/unfinished/x")

    workspace.close()

    assert _names_in(tmp_path) == [_WHEEL]
    assert zipfile.ZipFile(tmp_path / _WHEEL).namelist() == ["old.py"]


def test_a_wheel_does_not_come_back_in_place_of_a_finished_one(tmp_path: Path) -> None:
    _make_wheel(tmp_path / _WHEEL, "old.py")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / _WHEEL)
    _make_wheel(tmp_path / _WHEEL, "new.py")

    workspace.close()

    assert _names_in(tmp_path) == [_WHEEL]
    assert zipfile.ZipFile(tmp_path / _WHEEL).namelist() == ["new.py"]


def test_a_wheel_comes_back_where_there_is_none(tmp_path: Path) -> None:
    _make_wheel(tmp_path / _WHEEL, "old.py")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / _WHEEL)

    workspace.close()

    assert _names_in(tmp_path) == [_WHEEL]


def test_what_is_forgotten_does_not_come_back(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / "data")

    workspace.forget_aside()
    workspace.close()

    assert _names_in(tmp_path) == []


@_posix
def test_what_a_process_was_killed_while_forgetting_does_not_come_back(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    code = """
import shutil
workspace = Workspace(folder)
workspace.set_aside(folder / "data")
shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
workspace.forget_aside()
"""
    with _process(tmp_path, code) as process:
        assert process.wait(20) == -signal.SIGKILL

    assert remove_abandoned(tmp_path) == 1
    assert _names_in(tmp_path) == []


@_posix
def test_a_workspace_that_a_process_was_killed_while_removing_is_removed_by_the_next(
    tmp_path: Path,
) -> None:
    code = """
import shutil
workspace = Workspace(folder)
for name in ("a", "z"):
    workspace.folder(name)
rmtree = shutil.rmtree
def stop(path, **options):
    if Path(path) != workspace.path:
        return rmtree(path, **options)
    os.kill(os.getpid(), signal.SIGKILL)
shutil.rmtree = stop
workspace.close()
"""
    with _process(tmp_path, code) as process:
        assert process.wait(20) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert _names_in(left) == ["lock"]

    assert remove_abandoned(tmp_path) == 1
    assert _names_in(tmp_path) == []


def test_there_may_be_nothing_to_forget(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    workspace.forget_aside()

    assert _names_in(workspace.path) == ["lock"]
    workspace.close()


@pytest.mark.parametrize(
    ("names", "unfinished"),
    [
        (["small-0.1.0.data/unfinished/x"], True),
        (["small/__init__.py", "small-0.1.0.data/unfinished/x"], True),
        (["small/__init__.py", "small-0.1.0.data/scripts/x"], False),
        (["small/unfinished/x"], False),
        ([], False),
    ],
)
def test_a_wheel_with_an_unfinished_scheme_is_unfinished(
    tmp_path: Path, names: list[str], *, unfinished: bool
) -> None:
    assert is_unfinished(_make_wheel(tmp_path / _WHEEL, *names)) is unfinished


def test_what_is_no_wheel_is_not_unfinished(tmp_path: Path) -> None:
    assert is_unfinished(_write(tmp_path / _WHEEL, "no zip")) is False
    assert is_unfinished(tmp_path / "nothing.whl") is False
    assert is_unfinished(tmp_path) is False


# What was not there


@pytest.mark.parametrize("path", ["data", "model/deep/data"])
@_whatever
def test_what_was_not_there_goes_and_the_empty_folders_around_it(
    tmp_path: Path, path: str, make: Callable[[Path], None]
) -> None:
    workspace = Workspace(tmp_path)
    workspace.note_absent(tmp_path / path)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    make(tmp_path / path)
    if make is _make_link:
        (tmp_path / path).parent.joinpath("elsewhere").rename(tmp_path / "elsewhere")

    workspace.close()

    elsewhere = ["elsewhere", "elsewhere/mine.txt"] if make is _make_link else []
    assert _names_in(tmp_path) == elsewhere


def test_what_else_came_to_the_folders_around_it_stays(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.note_absent(tmp_path / "model" / "deep" / "data")
    _write(tmp_path / "model" / "deep" / "data" / "new.txt", "new")
    _write(tmp_path / "model" / "notes.txt", "mine")

    workspace.close()

    assert _names_in(tmp_path) == ["model", "model/notes.txt"]


def test_what_was_not_there_may_still_not_be_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.note_absent(tmp_path / "model" / "data")

    workspace.close()

    assert _names_in(tmp_path) == []


# What killed processes leave

_ALL_ASIDE = """
workspace = Workspace(folder)
workspace.set_aside(folder / "data")
(folder / "data").mkdir()
(folder / "data" / "new.txt").touch()
workspace.note_absent(folder / "model" / "data")
(folder / "model" / "data").mkdir(parents=True)
say("has it")
sys.stdin.readline()
"""


@_posix
def test_what_a_killed_process_left_goes_with_the_next_workspace_and_its_things_come_back(
    tmp_path: Path,
) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    with _process(tmp_path, _ALL_ASIDE) as process:
        _hear(process, "has it")
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert len(list(tmp_path.glob(".hatch-model-*"))) == 1
    assert _names_in(tmp_path / "data") == ["new.txt"]

    workspace = Workspace(tmp_path)

    assert list(tmp_path.glob(".hatch-model-*")) == [workspace.path]
    workspace.close()
    assert _names_in(tmp_path) == ["data", "data/old.txt"]


@_posix
def test_what_killed_processes_left_is_counted(tmp_path: Path) -> None:
    code = "workspace = Workspace(folder); say('has it'); sys.stdin.readline()"
    with _process(tmp_path, code) as first, _process(tmp_path, code) as second:
        for process in (first, second):
            _hear(process, "has it")
        assert remove_abandoned(tmp_path) == 0
        for process in (first, second):
            process.kill()
            process.wait()

    assert remove_abandoned(tmp_path) == 2
    assert remove_abandoned(tmp_path) == 0
    assert _names_in(tmp_path) == []


def test_the_workspace_of_a_live_process_is_left_alone(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    with _process(tmp_path, _ALL_ASIDE) as process:
        _hear(process, "has it")
        (live,) = tmp_path.glob(".hatch-model-*")

        Workspace(tmp_path).close()

        assert _names_in(live) == ["absent", "aside", "aside/data", "aside/data/old.txt", "lock"]
        assert _names_in(tmp_path / "data") == ["new.txt"]
        process.communicate("on\n", timeout=20)
        assert process.returncode == 0
    assert _names_in(tmp_path) == ["data", "data/old.txt"]


def test_nothing_is_removed_where_there_is_no_folder(tmp_path: Path) -> None:
    assert remove_abandoned(tmp_path / "nothing") == 0
    assert remove_abandoned(_write(tmp_path / "file", "")) == 0


@_posix
def test_what_only_looks_like_a_workspace_is_left_alone(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    _write(tmp_path / "somebody's" / "lock", "")
    _write(parent / "hatch-model-notes" / "notes.txt", "without a lock")
    _write(parent / ".hatch-model-file", "a plain file")
    _write(parent / "my-hatch-model-x" / "lock", "")
    _write(parent / "..hatch-model-x" / "lock", "")
    (parent / ".hatch-model-x").symlink_to(tmp_path / "somebody's")
    (parent / ".hatch-model-folder" / "lock").mkdir(parents=True)
    (parent / ".hatch-model-link").mkdir()
    (parent / ".hatch-model-link" / "lock").symlink_to(tmp_path / "somebody's" / "lock")
    before = _names_in(tmp_path)

    assert remove_abandoned(parent) == 0
    Workspace(parent).close()

    assert _names_in(tmp_path) == before


@pytest.mark.parametrize("absent", ["../data", "link/data", "..", ".", "", "{tmp_path}/data"])
def test_a_workspace_that_came_with_a_copied_folder_reaches_nothing_outside_of_it(
    absent: str, tmp_path: Path
) -> None:
    data, folder = tmp_path / "data", tmp_path / "copied"
    for each in (data, folder):
        each.mkdir()
        (each / "old.txt").write_text("old", "utf-8")
    (folder / "link").symlink_to(tmp_path)
    workspace = folder / ".hatch-model-abcdefgh"
    workspace.mkdir()
    (workspace / "lock").touch()
    (workspace / "absent").write_text(absent.format(tmp_path=tmp_path), "utf-8")
    (workspace / "aside").symlink_to(data)

    assert remove_abandoned(folder) == 1
    assert _names_in(data) == ["old.txt"]
    assert _names_in(folder) == ["link", "old.txt"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes folders for others"
)
def test_what_belongs_to_another_user_is_left_alone(tmp_path: Path) -> None:
    _write(tmp_path / ".hatch-model-x" / "lock", "")
    os.chown(tmp_path / ".hatch-model-x", 12345, 12345)

    assert remove_abandoned(tmp_path) == 0
    assert _names_in(tmp_path) == [".hatch-model-x", ".hatch-model-x/lock"]


@_posix
def test_what_cannot_be_put_back_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    workspace = Workspace(tmp_path)
    workspace.set_aside(tmp_path / "data")

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        workspace.close()
    assert (workspace.path / "aside" / "data" / "old.txt").read_text("utf-8") == "old"

    assert remove_abandoned(tmp_path) == 1
    assert _names_in(tmp_path) == ["data", "data/old.txt"]


# Signals

_TERMINATED = """
signal.signal(signal.SIGHUP, signal.SIG_DFL)
termination = Termination()
workspace = Workspace(folder)
workspace.set_aside(folder / "data")
try:
    say("has it")
    time.sleep(20)
except SystemExit as error:
    say(error.code)
    raise
"""


@_posix
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_that_ends_a_process_exits_and_leaves_no_workspace(
    tmp_path: Path, name: str, code: int
) -> None:
    _write(tmp_path / "data" / "old.txt", "old")
    with _process(tmp_path, _TERMINATED) as process:
        _hear(process, "has it")
        process.send_signal(signal.Signals[name])
        _hear(process, str(code))
        assert process.wait(20) == code

    assert _names_in(tmp_path) == ["data", "data/old.txt"]


@_posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path, name: str) -> None:
    code = f"""
signal.signal(signal.{name}, signal.SIG_IGN)
termination = Termination()
os.kill(os.getpid(), signal.{name})
say("goes on")
termination.close()
say(signal.getsignal(signal.{name}) is signal.SIG_IGN)
"""
    assert _said_by(tmp_path, code) == "goes on\nTrue\n"


@_posix
def test_a_second_signal_does_not_interrupt_the_cleaning_up(tmp_path: Path) -> None:
    code = """
termination = Termination()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
except SystemExit:
    os.kill(os.getpid(), signal.SIGTERM)
    say("cleans up")
"""
    assert _said_by(tmp_path, code) == "cleans up\n"


@_posix
def test_signals_are_handled_as_before_once_it_is_closed(tmp_path: Path) -> None:
    code = """
def handle(*_):
    pass

numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, handle)
before = [signal.getsignal(number) for number in numbers]
termination = Termination()
during = [signal.getsignal(number) for number in numbers]
say([old is new for old, new in zip(before, during)])
termination.close()
say([signal.getsignal(number) for number in numbers] == before)
"""
    assert _said_by(tmp_path, code) == "[False, True, True]\nTrue\n"


def test_signals_are_left_alone_in_another_thread_than_the_main_one() -> None:
    before = signal.getsignal(signal.SIGTERM)
    made: list[Termination] = []
    thread = threading.Thread(target=lambda: made.append(Termination()))
    thread.start()
    thread.join()

    assert signal.getsignal(signal.SIGTERM) is before
    made[0].close()


# Temporary files


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_temporary_files_are_made_in_the_folder_until_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", before)

    temporary = TemporaryFolder(tmp_path)
    assert Path(tempfile.mkdtemp()).parent == tmp_path
    temporary.close()

    assert tempfile.tempdir == before
