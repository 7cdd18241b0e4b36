"""The store among processes, which wait for each other and may be killed at any moment."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from stores import contents_of, find, keep_aged, kept_in, names_in, take

from hatch_model.store import Store
from hatch_model.workspace import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_A = "a" * 64
_B = "b" * 64
_C = "c" * 64

_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")

_PRELUDE = """
import json, os, sys, time
from pathlib import Path, PurePosixPath
from hatch_model.errors import FrontendGoneError
from hatch_model.store import Store

folder = Path(sys.argv[1])
store = Store(folder / "store", 1 << 30)

def say(word):
    print(word, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", 1 << 30)


@contextmanager
def _process(
    store: Store, code: str, *arguments: str, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Run *code* in a process of its own, which is gone at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + code, str(store.folder.parent), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _hear(process: subprocess.Popen[str], *words: str) -> None:
    assert process.stdout is not None
    assert [process.stdout.readline().rstrip("\n") for _ in words] == list(words)


def _tell(process: subprocess.Popen[str], word: str = "on") -> None:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


# Claims

_CLAIM = """
with store.claim("a" * 64, on_wait=lambda: say("waits")):
    say("has it")
    sys.stdin.readline()
"""


def test_who_comes_second_waits_and_says_so_once(store: Store) -> None:
    with _process(store, _CLAIM) as first:
        _hear(first, "has it")
        with _process(store, _CLAIM) as second:
            _hear(second, "waits")
            # Long enough for a few more attempts.
            time.sleep(0.5)
            _tell(first)
            _hear(second, "has it")


def test_another_fingerprint_is_not_waited_for(store: Store) -> None:
    told: list[str] = []
    with (
        _process(store, _CLAIM) as first,
        store.claim(_B, on_wait=lambda: told.append("waits")),
    ):
        _hear(first, "has it")
        with store.claim(_C, on_wait=lambda: told.append("waits")):
            pass

    assert told == []


def test_a_killed_process_has_no_claim(store: Store) -> None:
    told: list[str] = []
    with _process(store, _CLAIM) as first:
        _hear(first, "has it")
        first.kill()
        first.wait()
        with store.claim(_A, on_wait=lambda: told.append("waits")):
            pass

    assert told == []
    assert names_in(store) == []


def test_being_claimed_for_a_moment_is_not_worth_a_word(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is while another process prunes."""
    told: list[str] = []
    store.layout.mkdir(parents=True)
    held = FileLock.acquire(store.layout / f"{_A}.lock")
    assert held is not None
    monkeypatch.setattr(time, "sleep", lambda _: held.release())

    with store.claim(_A, lambda: told.append("waits")):
        pass

    assert told == []


def test_what_another_process_has_claimed_is_not_removed(store: Store) -> None:
    keep_aged(store, a=100, b=200)
    with _process(store, _CLAIM) as process:
        _hear(process, "has it")

        store.prune(0)
        assert kept_in(store) == {"a"}
        store.clear()
        assert names_in(store) == [_A, f"{_A}.lock"]

        process.kill()
        process.wait()
    store.clear()
    assert names_in(store) == []


@_posix
def test_waiting_can_be_interrupted(store: Store) -> None:
    with store.claim(_A), _process(store, _CLAIM, stderr=subprocess.PIPE) as second:
        _hear(second, "waits")
        second.send_signal(signal.SIGINT)
        _, errors = second.communicate(timeout=20)

    assert errors.endswith("KeyboardInterrupt\n")


@_posix
def test_waiting_ends_with_the_process_that_asked_for_the_build(store: Store) -> None:
    build = """
try:
    with store.claim("a" * 64, on_wait=(folder / "waits").touch):
        outcome = "claimed"
except FrontendGoneError:
    outcome = "gone"
(folder / "outcome.partial").write_text(outcome)
(folder / "outcome.partial").replace(folder / "outcome")
"""
    # The frontend starts the build and ends once that waits.
    frontend = """
import subprocess
subprocess.Popen([sys.executable, "-c", sys.stdin.readline().encode().decode("unicode_escape"), str(folder)])
while not (folder / "waits").exists():
    time.sleep(0.02)
"""
    outcome = store.folder.parent / "outcome"
    with store.claim(_A), _process(store, frontend) as process:
        _tell(process, (_PRELUDE + build).encode("unicode_escape").decode())
        process.wait(20)
        deadline = time.monotonic() + 20
        while not outcome.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert outcome.read_text("utf-8") == "gone"


_TRAIN_UNLESS_STORED = """
waits, is_alone = folder / f"waits-{os.getpid()}", folder / "alone"
made = folder / f"made-{os.getpid()}"
made.write_text("weights")
with store.claim("a" * 64, on_wait=lambda: waits.touch(exist_ok=False)) as claim:
    is_alone.mkdir()  # which fails for the second of two at a time
    is_stored = claim.read() is not None
    if not is_stored:
        while len(list(folder.glob("waits-*"))) < int(sys.argv[2]) - 1:
            time.sleep(0.02)
        claim.keep({}, {PurePosixPath("weights"): made}, {})
    is_alone.rmdir()
say(json.dumps({"trained": not is_stored, "waited": waits.exists()}))
"""


def test_of_ten_processes_one_trains_and_the_others_wait_for_it(store: Store) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_process(store, _TRAIN_UNLESS_STORED, "10")) for _ in range(10)
        ]
        told = [json.loads(process.communicate(timeout=60)[0]) for process in processes]

    assert sorted((each["trained"], each["waited"]) for each in told) == [
        *[(False, True)] * 9,
        (True, False),
    ]


_CLAIM_AND_LEAVE_NOTHING = """
say("begins")
for _ in range(200):
    with store.claim("a" * 64):
        (folder / "alone").mkdir()  # which fails for the second of two at a time
        (folder / "alone").rmdir()
"""


def test_nobody_has_a_claim_on_a_lock_file_that_another_has_removed(store: Store) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_process(store, _CLAIM_AND_LEAVE_NOTHING)) for _ in range(3)
        ]
        for process in processes:
            _hear(process, "begins")
        codes = [process.wait(60) for process in processes]

    assert codes == [0, 0, 0]
    assert names_in(store) == []


_KEEP_AND_PRUNE = """
made = folder / f"made-{os.getpid()}"
made.write_bytes(b"x" * 1000)
say("begins")
for number in range(30):
    with store.claim(sys.argv[2] * 63 + "0123456789"[number % 10]) as claim:
        claim.keep({}, {PurePosixPath("weights"): made}, {})
    store.clear()
"""


def test_processes_that_remove_the_same_models_do_not_fail(store: Store) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_process(store, _KEEP_AND_PRUNE, digit)) for digit in "aab"
        ]
        for process in processes:
            _hear(process, "begins")
        codes = [process.wait(60) for process in processes]

    assert codes == [0, 0, 0]
    store.clear()
    assert names_in(store) == []


# Killed while it stores

_KEEP_FOR_EVER = """
from itertools import count
made = {}
with store.claim("b" * 64):  # so that what it takes is imported
    say("keeps")
for version in count(1):
    for number in range(6):
        path = PurePosixPath(f"part-{number % 3}/{number}.bin")
        (folder / "made" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "made" / path).write_bytes(bytes([version % 251]) * 50_000)
        made[path] = folder / "made" / path
    with store.claim("a" * 64) as claim:
        claim.keep({"version": version}, made, {})
"""


@pytest.mark.parametrize("seed", range(20))
def test_a_process_killed_while_it_stores_leaves_the_old_model_or_the_new_one(
    store: Store, tmp_path: Path, seed: int
) -> None:
    moment = random.Random(seed).uniform(0, 0.05)
    with _process(store, _KEEP_FOR_EVER) as process:
        _hear(process, "keeps")
        time.sleep(moment)
        process.kill()
        process.wait()

    store.prune(store.limit)
    entry = find(store, _A)
    if entry is not None:
        assert take(store, _A, tmp_path / "taken") == ""
        expected = bytes([entry.description["version"] % 251]) * 50_000
        assert contents_of(tmp_path / "taken") == {
            PurePosixPath(f"part-{number % 3}/{number}.bin"): expected for number in range(6)
        }
    # Killed when a workspace was just made or all but gone, it leaves an empty one, which has no lock.
    left = [path for path in store.layout.glob(".hatch-model-*") if not (path / "lock").exists()]
    assert [each.name for path in left for each in path.iterdir() if each.name != "lock.new"] == []
    names = set(names_in(store)) - {path.name for path in left} - {f"{_B}.lock"}
    assert names == ({_A, f"{_A}.lock"} if entry is not None else set())


_KEEP_TWICE_AND_STOP = """
made = folder / "made"
for version in (1, 2):
    made.write_text(f"version {version}")
    if version == 2:
        rename = Path.rename
        def stop(path, target):
            if path.name != "entry":
                return rename(path, target)
            say("stops")
            time.sleep(60)
        Path.rename = stop
    with store.claim("a" * 64) as claim:
        claim.keep({"version": version}, {PurePosixPath("weights"): made}, {})
"""


def test_a_process_killed_between_the_old_model_and_the_new_one_leaves_the_old_one(
    store: Store, tmp_path: Path
) -> None:
    with _process(store, _KEEP_TWICE_AND_STOP) as process:
        _hear(process, "stops")
        process.kill()
        process.wait()
    assert find(store, _A) is None

    store.prune(store.limit)

    assert take(store, _A, tmp_path / "taken") == ""
    assert contents_of(tmp_path / "taken") == {PurePosixPath("weights"): b"version 1"}
