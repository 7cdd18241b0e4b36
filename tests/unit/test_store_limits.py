"""The store of trained models: its folder, what it may hold, and what it must not remove."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

import pytest
from stores import (
    CONTENTS,
    NESTED,
    WEIGHTS,
    contents_of,
    keep,
    keep_aged,
    kept_in,
    make,
    slot_of,
)

from hatch_model._store import Freed, Store
from hatch_model.errors import TooLargeForStoreError, UnusableStoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", 1 << 20)


@pytest.fixture
def made(tmp_path: Path) -> dict[PurePosixPath, Path]:
    """A model as training leaves it."""
    return make(tmp_path / "made", CONTENTS)


# Limits


def test_models_are_listed_with_times_and_sizes_the_last_one_first(store: Store) -> None:
    before = datetime.now(timezone.utc)
    keep_aged(store, f1=300, f2=100)
    after = datetime.now(timezone.utc)

    listed = store.entries()
    assert [entry.fingerprint for entry in listed] == ["f2", "f1"]
    assert [entry.size for entry in listed] == [1000, 1000]
    assert before <= listed[1].kept <= listed[0].kept <= after
    assert [entry.used.timestamp() for entry in listed] == [100, 300]


def test_pruning_removes_the_longest_unused_first(store: Store) -> None:
    keep_aged(store, f1=300, f2=100, f3=200)
    size = store.size()

    # A description takes less than another 1000 bytes.
    assert store.prune(size) == Freed(models=0, size=0)
    freed = store.prune(size - 1)
    assert kept_in(store) == {"f1", "f3"}
    assert freed == Freed(models=1, size=size - store.size())
    store.prune(2000)
    assert kept_in(store) == {"f1"}
    assert store.prune(0).models == 1
    assert (kept_in(store), store.size()) == (set(), 0)


def test_holding_a_model_is_using_it(store: Store) -> None:
    keep_aged(store, f1=100, f2=200)
    with store.claim("f1") as claim:
        entry = claim.find()
        assert entry is not None
        entry.hold().release()

    store.prune(store.size() - 1)

    assert kept_in(store) == {"f1"}


def test_keeping_a_model_makes_room_for_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 3000)
    keep_aged(store, f1=300, f2=100)
    keep_aged(store, f3=1)

    assert kept_in(store) == {"f1", "f3"}
    assert store.size() <= 3000


def test_the_model_just_kept_is_never_evicted(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 1000)
    keep_aged(store, f1=300, f2=100)

    # With its description it is larger than the limit.
    assert kept_in(store) == {"f2"}


def test_a_model_larger_than_the_limit_is_not_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 1500)
    keep_aged(store, f1=100)
    large = make(tmp_path / "large", {WEIGHTS: b"x" * 2048})

    with pytest.raises(TooLargeForStoreError) as raised:
        keep(store, "f2", large)
    assert str(raised.value) == (
        "the model takes 2.0 KiB, more than the 1.5 KiB that the store of trained models may hold, "
        "so it was not stored. HATCH_MODEL_CACHE_LIMIT raises the limit."
    )
    assert kept_in(store) == {"f1"}
    assert slot_of(store, "f2") == []


def test_what_is_claimed_or_held_stays(store: Store) -> None:
    keep_aged(store, f1=100, f2=200, f3=300)
    with store.claim("f2") as claim:
        entry = claim.find()
        assert entry is not None
        lease = entry.hold()

    with store.claim("f1"):
        assert store.clear().models == 1
        assert kept_in(store) == {"f1", "f2"}
    assert store.clear().models == 1
    assert kept_in(store) == {"f2"}
    lease.release()
    assert store.clear().models == 1
    assert kept_in(store) == set()


def test_replacing_a_model_leaves_the_old_one_to_its_reader(store: Store, tmp_path: Path) -> None:
    keep(store, "f1", make(tmp_path / "old", {NESTED: b"old"}))
    with store.claim("f1") as claim:
        old = claim.find()
        assert old is not None
        lease = old.hold()
        claim.keep({}, make(tmp_path / "new", {NESTED: b"new"}))

    store.clear()
    assert contents_of(old) == {NESTED: b"old"}
    assert old.damage() == ""
    lease.release()
    store.clear()
    assert not old.folder.exists()


# The folder


def test_the_store_is_a_tagged_folder_for_the_user_alone(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, "f1", made)

    tag = (store.folder / "CACHEDIR.TAG").read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    if sys.platform != "win32":
        assert [path.stat().st_mode & 0o777 for path in (store.folder, store.folder / "v1")] == [
            0o700,
            0o700,
        ]


def test_a_folder_that_holds_more_than_the_store_is_not_tagged_as_a_cache(store: Store) -> None:
    store.folder.mkdir()
    (store.folder / "thesis.tex").touch()
    with store.claim("f1"):
        pass

    assert sorted(path.name for path in store.folder.iterdir()) == ["thesis.tex", "v1"]
    store.clear()
    assert (store.folder / "thesis.tex").exists()


def test_a_later_layout_is_left_alone(store: Store, made: dict[PurePosixPath, Path]) -> None:
    later = make(store.folder / "v2" / "models" / "f1", {PurePosixPath("model.cbor"): b"?"})
    keep(store, "f1", made)

    store.clear()

    assert [path.read_bytes() for path in later.values()] == [b"?"]
    assert (kept_in(store), store.size()) == (set(), 0)


def test_looking_at_a_store_does_not_make_one(store: Store) -> None:
    assert (store.entries(), store.size(), store.clear()) == ([], 0, Freed(models=0, size=0))
    assert not store.folder.exists()


def test_a_store_that_cannot_be_made_is_an_error_with_path_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "store", 1 << 20)

    with pytest.raises(UnusableStoreError) as raised, store.claim("f1"):
        pytest.fail("it was claimed")
    assert Path(raised.value.path).is_relative_to(tmp_path / "file")
    assert str(raised.value) == (
        f"the store of trained models cannot be used: {raised.value.path}: {raised.value.reason}. "
        f"HATCH_MODEL_CACHE_DIR moves it to another folder."
    )


def test_a_store_that_cannot_be_written_to_is_an_error(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    with store.claim("f1") as claim:
        (store.folder / "v1" / "models").touch()
        with pytest.raises(UnusableStoreError):
            claim.keep({}, made)
    lock = store.folder / "v1" / "locks" / "f2.lock"
    lock.mkdir()
    with pytest.raises(UnusableStoreError, match=r"f2\.lock"), store.claim("f2"):
        pytest.fail("it was claimed")


def test_what_the_holder_of_a_claim_raises_is_not_taken_for_the_stores(store: Store) -> None:
    with pytest.raises(FileNotFoundError), store.claim("f1"):
        raise FileNotFoundError
    with store.claim("f1") as claim:  # which has been given back
        assert claim.find() is None


def test_what_the_store_takes_is_imported_only_where_it_is_used(tmp_path: Path) -> None:
    source = (
        "import json, sys; from pathlib import Path; from hatch_model._store import Store\n"
        f"Store(Path({str(tmp_path)!r}), 1).entries()\n"
        "print(json.dumps([name for name in ('filelock', 'platformdirs', 'hatchling', 'subprocess')"
        " if name in sys.modules]))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True
    )

    assert json.loads(completed.stdout) == []
