"""The store of trained models: what is taken is what was kept, and what is not its own stays."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from stores import (
    CONTENTS,
    NESTED,
    WEIGHTS,
    contents_of,
    entry_of,
    find,
    keep,
    keep_aged,
    kept_in,
    make,
    names_in,
    take,
)
from support import tree

from hatch_model import store as store_module
from hatch_model.digests import File
from hatch_model.errors import HatchModelError, StoreError
from hatch_model.store import Freed, Store, store_folder, store_limit

if TYPE_CHECKING:
    from collections.abc import Callable

_A = "a" * 64
_B = "b" * 64

_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="modes, links and users are others there"
)
_as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes folders for others"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", 1 << 20)


@pytest.fixture
def made(tmp_path: Path) -> dict[PurePosixPath, Path]:
    """A model as training leaves it."""
    return make(tmp_path / "made", CONTENTS)


# What is kept can be taken


def test_a_model_is_taken_as_it_was_kept(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    description: dict[str, Any] = {
        "metrics": {"accuracy": 0.1 + 0.2},
        "ü": [None, True, 10**20, "\ud800", {}],
    }
    (tmp_path / "taken").mkdir()

    with store.claim(_A) as claim:
        assert claim.read() is None
        claim.keep(description, made, {})
        found = claim.read()
        assert found is not None
        assert claim.take(found, tmp_path / "taken", tmp_path / "report") == ""

    assert contents_of(tmp_path / "taken") == CONTENTS
    assert found.fingerprint == _A
    assert found.description == description
    assert found.size == 802
    assert found.files == {
        WEIGHTS: File(
            path="weights.bin",
            sha256="e49e71825404303154ab3e46da49ee9728b35ae7bbbcdf3ef6bea6b52bdb69b7",
            size=800,
        ),
        NESTED: File(
            path="parts/one.txt",
            sha256="4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865",
            size=2,
        ),
        PurePosixPath("empty"): File(
            path="empty",
            sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            size=0,
        ),
    }


def test_a_report_is_taken_apart_from_the_model(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    plots = {PurePosixPath("deep/plot.svg"): b"<svg/>", WEIGHTS: b"not the weights"}
    keep(store, _A, made, make(tmp_path / "plots", plots))

    assert take(store, _A, tmp_path / "taken") == ""
    assert contents_of(tmp_path / "taken") == CONTENTS
    assert contents_of(tmp_path / "report of taken") == plots
    assert entry_of(store, _A).size == 802 + 21

    (store.layout / _A / "report" / WEIGHTS).write_bytes(b"the weights, not")
    damage = "`weights.bin` has changed since it was stored."
    assert take(store, _A, tmp_path / "again") == damage


def test_an_entry_without_a_report_is_what_earlier_releases_wrote(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, _A, made)

    model = json.loads((store.layout / _A / "entry.json").read_bytes())["model"]
    assert [*model] == ["description", "kept", "files", "executable"]
    assert [*model["files"][0]] == ["path", "sha256", "size"]
    assert entry_of(store, _A).report == {}


def test_what_training_wrote_may_change_and_go_once_it_is_kept(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    keep(store, _A, made)
    made[WEIGHTS].write_bytes(b"changed")
    made[NESTED].unlink()

    assert take(store, _A, tmp_path / "taken") == ""
    assert contents_of(tmp_path / "taken") == CONTENTS


def test_what_was_taken_may_change_without_the_store(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    keep(store, _A, made)
    take(store, _A, tmp_path / "first")
    (tmp_path / "first" / WEIGHTS).write_bytes(b"changed")

    assert take(store, _A, tmp_path / "second") == ""
    assert contents_of(tmp_path / "second") == CONTENTS


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="it is not used there anyway")
def test_files_are_copied_where_the_kernel_does_not_do_it(
    store: Store,
    made: dict[PurePosixPath, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    keep(store, _A, made)

    assert take(store, _A, tmp_path / "taken") == ""
    assert contents_of(tmp_path / "taken") == CONTENTS


@_posix
def test_an_executable_bit_survives(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    made[NESTED].chmod(0o755)
    keep(store, _A, made)
    take(store, _A, tmp_path / "taken")

    modes = {str(path): os.access(tmp_path / "taken" / path, os.X_OK) for path in CONTENTS}
    assert modes == {"weights.bin": False, "parts/one.txt": True, "empty": False}
    assert entry_of(store, _A).executable == {NESTED}


@_posix
def test_a_symbolic_link_is_stored_as_the_file_that_it_leads_to(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(made[WEIGHTS])
    keep(store, _A, {WEIGHTS: link})
    take(store, _A, tmp_path / "taken")

    assert not (store.layout / _A / "files" / WEIGHTS).is_symlink()
    assert not (tmp_path / "taken" / WEIGHTS).is_symlink()
    assert contents_of(tmp_path / "taken") == {WEIGHTS: CONTENTS[WEIGHTS]}


def test_a_model_kept_anew_takes_the_place_of_the_old_one(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    keep(store, _A, made, version=1)
    keep(store, _A, make(tmp_path / "new", {NESTED: b"2\n"}), version=2)

    assert entry_of(store, _A).description == {"version": 2}
    assert take(store, _A, tmp_path / "taken") == ""
    assert contents_of(tmp_path / "taken") == {NESTED: b"2\n"}
    assert list(tree(store.layout / _A)) == [
        "entry.json",
        "files",
        "files/parts",
        "files/parts/one.txt",
    ]


def test_a_model_without_files_can_be_kept(store: Store, tmp_path: Path) -> None:
    keep(store, _A, {})

    assert (entry_of(store, _A).files, entry_of(store, _A).size) == ({}, 0)
    assert take(store, _A, tmp_path / "taken") == ""
    assert contents_of(tmp_path / "taken") == {}


# Damage


@pytest.mark.parametrize(
    ("content", "damage"),
    [
        pytest.param(
            b"\x01" + CONTENTS[WEIGHTS][1:],
            "`weights.bin` has changed since it was stored.",
            id="flipped bit",
        ),
        pytest.param(b"\x00", "`weights.bin` has changed since it was stored.", id="truncated"),
        pytest.param(None, f"its files cannot be read: {os.strerror(errno.ENOENT)}.", id="missing"),
    ],
)
@pytest.mark.parametrize("files", [[WEIGHTS], list(CONTENTS)])
def test_damage_is_named(
    store: Store,
    made: dict[PurePosixPath, Path],
    content: bytes | None,
    damage: str,
    files: list[PurePosixPath],
) -> None:
    keep(store, _A, {path: made[path] for path in files})
    stored = store.layout / _A / "files" / WEIGHTS
    if content is None:
        stored.unlink()
    else:
        stored.write_bytes(content)

    assert take(store, _A, store.folder.parent / "taken") == damage


def _edited(**changes: object) -> Callable[[bytes], bytes]:
    """Change the description of the first file, and the digest of the whole with it."""

    def edit(entry: bytes) -> bytes:
        document = json.loads(entry)
        document["model"]["files"][0].update(changes)
        text = json.dumps(document["model"])
        return json.dumps(
            {**document, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        ).encode()

    return edit


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: b"", id="empty, as a power failure leaves it"),
        pytest.param(lambda content: content[:-10], id="truncated"),
        pytest.param(lambda content: content.replace(b"0.75", b"0.95"), id="another metric"),
        pytest.param(lambda content: content.replace(b'"hatch-model"', b'"other"'), id="another's"),
        pytest.param(lambda _: b"[]", id="no object"),
        pytest.param(lambda _: b"{}", id="an empty object"),
        pytest.param(lambda _: b"\xff", id="no text"),
        pytest.param(lambda _: b"[" * 100_000, id="deeply nested"),
        pytest.param(_edited(path="../../evil"), id="a path that leads out"),
        pytest.param(_edited(path="/evil"), id="an absolute path"),
        pytest.param(_edited(path=3), id="no path"),
        pytest.param(_edited(size="large"), id="no size"),
    ],
)
def test_a_description_that_cannot_be_read_is_no_model_and_can_be_kept_anew_and_cleared(
    store: Store,
    made: dict[PurePosixPath, Path],
    change: Callable[[bytes], bytes],
) -> None:
    keep(store, _A, made, accuracy=0.75)
    mark = store.layout / _A / "entry.json"
    damaged = change(mark.read_bytes())
    mark.write_bytes(damaged)

    assert find(store, _A) is None
    assert store.entries() == []
    keep(store, _A, made, accuracy=0.8)
    assert entry_of(store, _A).description == {"accuracy": 0.8}
    mark.write_bytes(damaged)
    assert store.clear().models == 1
    assert names_in(store) == []


# Whole or not at all


@pytest.mark.parametrize("count", [0, 1, 2])
def test_interrupting_the_copying_leaves_what_was_there(
    store: Store,
    made: dict[PurePosixPath, Path],
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    copy, copied = store_module._copy, 0

    def interrupted(source: Path, target: Path) -> None:
        nonlocal copied
        if copied == count:
            raise KeyboardInterrupt
        copied += 1
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_copy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            keep(store, _A, made)
    assert (copied, names_in(store)) == (count, [])

    keep(store, _A, made, version=1)
    before, copied = tree(store.folder), 0
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_copy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            keep(store, _A, made, version=2)
    assert tree(store.folder) == before


@pytest.mark.parametrize("raised", [KeyboardInterrupt, PermissionError])
@pytest.mark.parametrize("name", [_A, "entry"])
def test_interrupting_the_replacement_leaves_what_was_there(
    store: Store,
    made: dict[PurePosixPath, Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    raised: type[BaseException],
) -> None:
    keep(store, _A, made, version=1)
    before, rename = tree(store.folder), Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == name:
            raise raised
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(StoreError if raised is PermissionError else raised):
            keep(store, _A, made, version=2)
    assert tree(store.folder) == before


def test_a_failure_in_the_middle_leaves_what_was_there(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, _A, made, version=1)
    before = tree(store.folder)

    # No folder can be made where a file is.
    impossible = {PurePosixPath("a"): made[WEIGHTS], PurePosixPath("a/b"): made[NESTED]}
    with pytest.raises(StoreError) as raised:
        keep(store, _A, impossible, version=2)

    assert str(raised.value) == (
        f"the store of trained models cannot be used: {store.folder}: "
        f"{os.strerror(errno.EEXIST)}. HATCH_MODEL_CACHE_DIR moves it to another folder."
    )
    assert tree(store.folder) == before


def test_a_description_that_json_cannot_hold_leaves_what_was_there(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, _A, made, version=1)
    before = tree(store.folder)

    with pytest.raises(TypeError):
        keep(store, _A, made, version=object())
    assert tree(store.folder) == before


def test_what_killed_builds_left_goes_with_the_next_model_that_is_kept(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, _A, made)
    half = {PurePosixPath("lock"): b"", PurePosixPath("entry/files/half"): b"half"}
    make(store.layout / ".hatch-model-0123abcd", half)

    keep(store, _B, made)

    assert names_in(store) == [_A, f"{_A}.lock", _B, f"{_B}.lock"]


# Limits


def test_models_are_listed_with_times_and_sizes_the_last_one_first(store: Store) -> None:
    before = datetime.now(timezone.utc)
    keep_aged(store, a=300, b=100)
    after = datetime.now(timezone.utc)

    listed = store.entries()
    assert [entry.fingerprint for entry in listed] == [_B, _A]
    assert [entry.size for entry in listed] == [1000, 1000]
    assert before <= listed[1].kept <= listed[0].kept <= after
    assert [entry.used.timestamp() for entry in listed] == [100, 300]


def test_pruning_removes_the_longest_unused_first(store: Store) -> None:
    keep_aged(store, a=300, b=100, c=200)
    size = store.size()

    # A description takes less than another 1000 bytes.
    assert store.prune(size) == Freed(models=0, size=0)
    freed = store.prune(size - 1)
    assert kept_in(store) == {"a", "c"}
    assert freed == Freed(models=1, size=size - store.size())
    store.prune(2000)
    assert kept_in(store) == {"a"}
    assert store.prune(0).models == 1
    assert (kept_in(store), store.size(), names_in(store)) == (set(), 0, [])


def test_pruning_spares_the_model_that_it_is_told_to(store: Store) -> None:
    keep_aged(store, a=300, b=100, c=200)

    assert store.prune(0, spared=_B).models == 2
    assert kept_in(store) == {"b"}


def test_taking_a_model_is_using_it(store: Store, tmp_path: Path) -> None:
    keep_aged(store, a=100, b=200)
    before = datetime.now(timezone.utc)
    assert take(store, _A, tmp_path / "taken") == ""

    store.prune(store.size() - 1)

    assert kept_in(store) == {"a"}
    (entry,) = store.entries()
    assert (entry.used - before).total_seconds() > -1


def test_keeping_a_model_makes_room_for_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 3000)
    keep_aged(store, a=300, b=100)
    keep_aged(store, c=1)

    assert kept_in(store) == {"a", "c"}
    assert store.size() <= 3000


def test_the_model_just_kept_is_never_evicted(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 1000)
    keep_aged(store, a=300, b=100)

    # With its description it is larger than the limit.
    assert kept_in(store) == {"b"}


def test_a_model_larger_than_the_limit_is_not_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 1500)
    keep_aged(store, a=100)
    large = make(tmp_path / "large", {WEIGHTS: b"x" * 2048})

    with pytest.raises(StoreError) as raised:
        keep(store, _B, large)
    assert str(raised.value) == (
        "the model takes 2.0 KiB, more than the 1.5 KiB that the store of trained models may "
        "contain, so it was not stored. HATCH_MODEL_CACHE_LIMIT raises the limit."
    )
    assert kept_in(store) == {"a"}
    assert names_in(store) == [_A, f"{_A}.lock"]


def test_what_is_claimed_stays(store: Store) -> None:
    keep_aged(store, a=100, b=200)

    with store.claim(_A):
        assert store.clear().models == 1
        assert kept_in(store) == {"a"}
        assert names_in(store) == [_A, f"{_A}.lock"]
    assert store.clear().models == 1
    assert (kept_in(store), names_in(store)) == (set(), [])


def test_what_another_process_removes_meanwhile_is_passed_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_aged(store, a=100, b=200)
    places = store._places()
    other = Store(store.folder, store.limit)
    other.clear()
    monkeypatch.setattr(store, "_places", lambda: places)

    assert store.prune(-1) == Freed(models=0, size=0)
    assert names_in(store) == []


# What is not the store's own


def test_clearing_leaves_no_lock_files(store: Store) -> None:
    keep_aged(store, a=100, b=200)
    (store.layout / f"{'c' * 64}.lock").touch()

    assert store.clear().models == 2
    assert names_in(store) == []


def test_a_claim_on_what_is_not_kept_leaves_no_lock_file(store: Store) -> None:
    with store.claim(_A):
        assert names_in(store) == [f"{_A}.lock"]

    assert names_in(store) == []


def _foreign(name: str) -> Callable[[Store], None]:
    def put(store: Store) -> None:
        make(store.layout / name, {PurePosixPath("entry.json"): b"{}", WEIGHTS: b"mine"})

    return put


def _without_a_mark(store: Store) -> None:
    make(store.layout / _B, {PurePosixPath("files/weights.bin"): b"mine"})


def _whose_mark_is_a_folder(store: Store) -> None:
    make(store.layout / _B, {PurePosixPath("entry.json/weights.bin"): b"mine"})


def _link_to_somebodys_folder(store: Store) -> None:
    somebodys = store.folder.parent / "somebody's"
    make(somebodys, {PurePosixPath("entry.json"): b"{}", WEIGHTS: b"mine"})
    (store.layout / _B).symlink_to(somebodys)


def _whose_mark_is_a_link(store: Store) -> None:
    make(store.layout / _B, {WEIGHTS: b"mine"})
    (store.layout / _B / "entry.json").symlink_to(store.layout / _A / "entry.json")


def _older_layout(store: Store) -> None:
    entry = {PurePosixPath("model.json"): b"{}", PurePosixPath("0123/weights.bin"): b"old"}
    make(store.folder / "v1" / "models" / _A, entry)
    make(store.folder / "v1" / "locks", {PurePosixPath(f"{_A}.lock"): b""})


def _later_layout(store: Store) -> None:
    make(store.folder / "v3" / _A, {PurePosixPath("entry.cbor"): b"?"})


def _files(store: Store) -> None:
    make(store.folder, {PurePosixPath("thesis.tex"): b"mine"})
    make(store.layout, {PurePosixPath("notes.lock"): b"mine", PurePosixPath(_B): b"mine"})


@pytest.mark.parametrize(
    "put",
    [
        pytest.param(_foreign("thesis"), id="another name"),
        pytest.param(_foreign("B" * 64), id="upper case"),
        pytest.param(_foreign("b" * 63), id="63 digits"),
        pytest.param(_foreign("b" * 65), id="65 digits"),
        pytest.param(_foreign("g" * 64), id="no hexadecimal digits"),
        pytest.param(_foreign("b" * 64 + "\n"), id="a line's end", marks=_posix),
        _without_a_mark,
        _whose_mark_is_a_folder,
        pytest.param(_link_to_somebodys_folder, marks=_posix),
        pytest.param(_whose_mark_is_a_link, marks=_posix),
        _older_layout,
        _later_layout,
        _files,
    ],
)
@pytest.mark.parametrize("remove", [Store.clear, lambda store: store.prune(0)])
def test_what_is_not_provably_an_entry_survives(
    tmp_path: Path, put: Callable[[Store], None], remove: Callable[[Store], Freed]
) -> None:
    store = Store(tmp_path / "store", 1 << 20)
    store.layout.mkdir(parents=True)
    put(store)
    before = tree(tmp_path)
    keep_aged(store, a=100)
    assert kept_in(store) == {"a"}

    assert remove(store).models == 1

    after = {path: digest for path, digest in tree(tmp_path).items() if "made-a" not in path}
    assert after == before
    assert (kept_in(store), store.size()) == (set(), 0)


@_posix
@pytest.mark.parametrize("put", [_without_a_mark, _link_to_somebodys_folder])
def test_nothing_is_kept_in_place_of_what_is_no_entry(
    store: Store, made: dict[PurePosixPath, Path], put: Callable[[Store], None]
) -> None:
    store.layout.mkdir(parents=True)
    put(store)
    before = tree(store.folder.parent)

    assert find(store, _B) is None
    with pytest.raises(StoreError, match=r"^the store of trained models cannot be used: "):
        keep(store, _B, made)

    (store.layout / f"{_B}.lock").unlink()
    assert tree(store.folder.parent) == before


# The folder


def test_the_store_is_a_tagged_folder_for_the_user_alone(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, _A, made)

    tag = (store.folder / "CACHEDIR.TAG").read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert sorted(path.name for path in store.folder.iterdir()) == ["CACHEDIR.TAG", "v2"]
    if sys.platform != "win32":
        modes = [path.stat().st_mode & 0o777 for path in (store.folder, store.folder / "v2")]
        assert modes == [0o700, 0o700]


def test_a_folder_that_holds_more_than_the_store_is_not_tagged_as_a_cache(store: Store) -> None:
    store.folder.mkdir()
    (store.folder / "thesis.tex").touch()
    with store.claim(_A):
        pass

    assert sorted(path.name for path in store.folder.iterdir()) == ["thesis.tex", "v2"]


def test_looking_at_a_store_does_not_make_one(store: Store) -> None:
    assert (store.entries(), store.size(), store.clear()) == ([], 0, Freed(models=0, size=0))
    assert store.prune(0) == Freed(models=0, size=0)
    assert not store.folder.exists()


@_posix
@pytest.mark.parametrize("layout", ["", "v2"])
def test_a_store_that_anybody_may_write_to_is_refused(store: Store, layout: str) -> None:
    keep_aged(store, a=100)
    (store.folder / layout).chmod(0o777)
    message = (
        f"the store of trained models cannot be used: {store.folder / layout}: it belongs to the "
        f"user with the id {os.geteuid()} and has the mode 0777, so others could have put models "
        f"there. HATCH_MODEL_CACHE_DIR moves it to another folder."
    )

    with pytest.raises(StoreError) as raised, store.claim(_A):
        pytest.fail("it was claimed")
    assert str(raised.value) == message
    with pytest.raises(StoreError) as raised:
        store.entries()
    assert str(raised.value) == message


@_as_root
@pytest.mark.parametrize("layout", ["", "v2"])
def test_a_store_of_another_user_is_refused(store: Store, layout: str) -> None:
    keep_aged(store, a=100)
    os.chown(store.folder / layout, 12345, 12345)
    message = (
        f"the store of trained models cannot be used: {store.folder / layout}: it belongs to the "
        f"user with the id 12345 and has the mode 0700, so others could have put models there. "
        f"HATCH_MODEL_CACHE_DIR moves it to another folder."
    )

    with pytest.raises(StoreError) as raised, store.claim(_A):
        pytest.fail("it was claimed")
    assert str(raised.value) == message
    with pytest.raises(StoreError) as raised:
        store.entries()
    assert str(raised.value) == message


@_posix
def test_a_store_that_the_users_group_may_write_to_is_fine(store: Store) -> None:
    keep_aged(store, a=100)
    for folder in (store.folder, store.layout):
        folder.chmod(0o775)

    assert kept_in(store) == {"a"}
    assert find(store, _A) is not None


def test_a_store_that_cannot_be_made_is_an_error_with_path_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "store", 1 << 20)

    with pytest.raises(StoreError) as raised, store.claim(_A):
        pytest.fail("it was claimed")
    assert sys.platform == "win32" or str(raised.value) == (
        f"the store of trained models cannot be used: {store.folder}: "
        f"{os.strerror(errno.ENOTDIR)}. HATCH_MODEL_CACHE_DIR moves it to another folder."
    )


@_posix
def test_a_store_that_cannot_be_looked_at_is_an_error_with_path_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "store", 1 << 20)

    with pytest.raises(StoreError) as raised:
        store.entries()
    assert str(raised.value) == (
        f"the store of trained models cannot be used: {store.folder}: "
        f"{os.strerror(errno.ENOTDIR)}. HATCH_MODEL_CACHE_DIR moves it to another folder."
    )


@_posix
def test_a_lock_file_that_is_a_link_is_an_error_and_leads_nowhere(store: Store) -> None:
    keep_aged(store, a=100)
    lock = store.layout / f"{_B}.lock"
    lock.symlink_to(store.folder.parent / "mine")

    with pytest.raises(StoreError) as raised, store.claim(_B):
        pytest.fail("it was claimed")
    assert str(raised.value) == (
        f"the store of trained models cannot be used: {store.folder}: "
        f"{os.strerror(errno.ELOOP)}. HATCH_MODEL_CACHE_DIR moves it to another folder."
    )
    store.clear()
    assert lock.is_symlink()
    assert not (store.folder.parent / "mine").exists()


def test_what_the_holder_of_a_claim_raises_is_not_taken_for_the_stores(store: Store) -> None:
    with pytest.raises(FileNotFoundError), store.claim(_A):
        raise FileNotFoundError
    with store.claim(_A) as claim:  # which has been given back
        assert claim.read() is None


def test_what_the_store_takes_is_imported_only_where_it_is_used(tmp_path: Path) -> None:
    source = (
        "import json, sys; from pathlib import Path; from hatch_model.store import Store\n"
        f"Store(Path({str(tmp_path)!r}), 1).entries()\n"
        "print(json.dumps([name for name in ('filelock', 'platformdirs', 'hatchling')"
        " if name in sys.modules]))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True
    )

    assert json.loads(completed.stdout) == []


# Where it is, and how much it may hold


def test_the_store_is_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", str(tmp_path / "models"))
    assert store_folder() == tmp_path / "models"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", "models")
    assert store_folder() == tmp_path / "models"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
@pytest.mark.parametrize("said", ["", None])
def test_the_store_is_in_the_users_cache_directory_otherwise(
    said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", said or "")
    if said is None:
        monkeypatch.delenv("HATCH_MODEL_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert store_folder() == tmp_path / ".cache" / "hatch-model"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert store_folder() == tmp_path / "caches" / "hatch-model"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places and homes")
def test_without_a_home_there_is_no_store_rather_than_one_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd  # noqa: PLC0415 - not on Windows

    def nobody(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    for variable in ("HATCH_MODEL_CACHE_DIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)

    with pytest.raises(StoreError) as raised:
        store_folder()
    assert str(raised.value) == (
        "the store of trained models cannot be used: ~/.cache/hatch-model: the user has no home "
        "directory. HATCH_MODEL_CACHE_DIR moves it to another folder."
    )


@pytest.mark.parametrize(
    ("said", "limit"),
    [(None, 20 << 30), ("", 20 << 30), ("500MB", 500_000_000), ("1.5 GiB", 3 << 29), ("0", 0)],
)
def test_the_limit_is_what_the_variable_says(
    said: str | None, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_LIMIT", said or "")
    if said is None:
        monkeypatch.delenv("HATCH_MODEL_CACHE_LIMIT")

    assert store_limit() == limit


def test_a_limit_that_is_no_size_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_LIMIT", "much")

    with pytest.raises(HatchModelError) as raised:
        store_limit()
    assert str(raised.value) == (
        "HATCH_MODEL_CACHE_LIMIT is `much`, but must be a size, such as `20 GiB`, `500MB` or a "
        "plain number of bytes."
    )


def test_a_full_disk_does_not_make_a_stored_model_a_damaged_one(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    keep(store, _A, made)
    monkeypatch.setattr(store_module, "_copy", fail)

    with pytest.raises(HatchModelError) as raised:
        take(store, _A, tmp_path / "taken")
    assert str(raised.value) == (
        f"the stored model cannot be copied to {tmp_path / 'taken'}: No space left on device. It takes "
        f"802 bytes there: make room, or set TMPDIR to another folder."
    )
