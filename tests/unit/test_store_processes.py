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
from stores import NESTED, contents_of, find, keep, keep_aged, kept_in, make, slot_of

from hatch_model._store import Store
from hatch_model._store._locks import try_lock, wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")

_PRELUDE = """
import json, os, sys, time
from pathlib import Path, PurePosixPath
from hatch_model._frontend import FrontendGoneError
from hatch_model._store import Store

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
with store.claim("f1", on_wait=lambda: say("waits")):
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
        store.claim("f2", on_wait=lambda: told.append("waits")),
    ):
        _hear(first, "has it")
        with store.claim("f3", on_wait=lambda: told.append("waits")):
            pass

    assert told == []


def test_a_killed_process_has_no_claim(store: Store) -> None:
    told: list[str] = []
    with _process(store, _CLAIM) as first:
        _hear(first, "has it")
        first.kill()
        first.wait()
        with store.claim("f1", on_wait=lambda: told.append("waits")):
            pass

    assert told == []


def test_being_claimed_for_a_moment_is_not_worth_a_word(tmp_path: Path) -> None:
    """As it is while another process prunes."""
    told: list[str] = []
    held = try_lock(tmp_path / "lock")
    assert held is not None

    lock = wait_for_lock(
        tmp_path / "lock", lambda: told.append("waits"), pause=lambda _: held.release()
    )
    lock.release()

    assert told == []


@_posix
def test_waiting_can_be_interrupted(store: Store) -> None:
    with store.claim("f1"), _process(store, _CLAIM, stderr=subprocess.PIPE) as second:
        _hear(second, "waits")
        second.send_signal(signal.SIGINT)
        _, errors = second.communicate(timeout=20)

    assert errors.endswith("KeyboardInterrupt\n")


@_posix
def test_waiting_ends_with_the_process_that_asked_for_the_build(store: Store) -> None:
    build = """
try:
    with store.claim("f1", on_wait=(folder / "waits").touch):
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
    with store.claim("f1"), _process(store, frontend) as process:
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
with store.claim("f1", on_wait=lambda: waits.touch(exist_ok=False)) as claim:
    is_alone.mkdir()  # which fails for the second of two at a time
    is_stored = claim.find() is not None
    if not is_stored:
        while len(list(folder.glob("waits-*"))) < int(sys.argv[2]) - 1:
            time.sleep(0.02)
        claim.keep({}, {PurePosixPath("weights"): made})
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


# What is in use

_HOLD = """
with store.claim("f1") as claim:
    claim.find().hold()
say("holds it")
sys.stdin.readline()
"""


def test_what_a_process_holds_is_never_evicted_until_it_is_gone(store: Store) -> None:
    keep_aged(store, f1=100, f2=200)
    small = Store(store.folder, 1000)
    with _process(store, _HOLD) as process:
        _hear(process, "holds it")

        store.prune(0)
        assert kept_in(store) == {"f1"}
        store.clear()
        assert kept_in(store) == {"f1"}
        keep_aged(small, f3=300)
        assert kept_in(store) == {"f1", "f3"}

        process.kill()
        process.wait()
    assert len(slot_of(store, "f1")) == 3  # with a lease that is nobody's
    keep_aged(small, f3=300)
    assert kept_in(store) == {"f3"}
    assert slot_of(store, "f1") == []


def test_a_process_that_ends_leaves_no_lease(store: Store) -> None:
    keep_aged(store, f1=100)
    before = slot_of(store, "f1")
    with _process(store, _HOLD) as process:
        _hear(process, "holds it")
        assert len(slot_of(store, "f1")) == len(before) + 1
        _tell(process)
        process.wait()

    assert slot_of(store, "f1") == before


def test_replacing_what_a_process_reads_leaves_it_its_files(store: Store, tmp_path: Path) -> None:
    keep(store, "f1", make(tmp_path / "old", {NESTED: b"old"}))
    old = find(store, "f1")
    assert old is not None
    with _process(store, _HOLD) as process:
        _hear(process, "holds it")

        keep(store, "f1", make(tmp_path / "new", {NESTED: b"new"}))
        store.clear()
        assert kept_in(store) == set()
        assert contents_of(old) == {NESTED: b"old"}

        process.kill()
        process.wait()
    store.clear()
    assert slot_of(store, "f1") == []


# Killed while it stores

_KEEP_FOR_EVER = """
from itertools import count
made = {}
with store.claim("f0"):  # so that what it takes is imported
    say("keeps")
for version in count(1):
    for number in range(6):
        path = PurePosixPath(f"part-{number % 3}/{number}.bin")
        (folder / "made" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "made" / path).unlink(missing_ok=True)
        (folder / "made" / path).write_bytes(bytes([version % 251]) * 50_000)
        made[path] = folder / "made" / path
    with store.claim("f1") as claim:
        claim.keep({"version": version}, made, may_link=version % 2 == 0)
"""


@pytest.mark.parametrize("seed", range(20))
def test_a_process_killed_while_it_stores_leaves_the_old_model_or_the_new_one(
    store: Store, seed: int
) -> None:
    moment = random.Random(seed).uniform(0, 0.05)  # noqa: S311 - a moment is no secret
    with _process(store, _KEEP_FOR_EVER) as process:
        _hear(process, "keeps")
        time.sleep(moment)
        process.kill()
        process.wait()

    entry = find(store, "f1")
    if entry is not None:
        assert entry.damage() == ""
        expected = bytes([entry.description["version"] % 251]) * 50_000
        assert contents_of(entry) == {
            PurePosixPath(f"part-{number % 3}/{number}.bin"): expected for number in range(6)
        }
    store.prune(store.limit)
    assert slot_of(store, "f1") == (["model.json", entry.folder.name] if entry is not None else [])
