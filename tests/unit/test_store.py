"""The store of trained models: what is found is what was kept, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from stores import (
    CONTENTS,
    NESTED,
    WEIGHTS,
    contents_of,
    entry_of,
    find,
    keep,
    make,
    slot_of,
)
from support import tree

from hatch_model._digests import File
from hatch_model._store import Store
from hatch_model.errors import UnusableStoreError

_posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no executable bit")


def _no_links(source: Path, target: Path, /) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", 1 << 20)


@pytest.fixture
def made(tmp_path: Path) -> dict[PurePosixPath, Path]:
    """A model as training leaves it."""
    return make(tmp_path / "made", CONTENTS)


# What is kept is found


@pytest.mark.parametrize("may_link", [True, False])
def test_a_model_is_found_as_it_was_kept(
    store: Store, made: dict[PurePosixPath, Path], *, may_link: bool
) -> None:
    description: dict[str, Any] = {
        "metrics": {"accuracy": 0.1 + 0.2},
        "ü": [None, True, 10**20, "\ud800", {}],
    }

    with store.claim("f1") as claim:
        assert claim.find() is None
        claim.keep(description, made, may_link=may_link)
        found = claim.find()

    assert found is not None
    assert found.fingerprint == "f1"
    assert found.description == description
    assert contents_of(found) == CONTENTS
    assert found.damage() == ""
    assert found.size == sum(map(len, CONTENTS.values()))
    assert found.files[NESTED].is_relative_to(store.folder)
    assert made[WEIGHTS].samefile(found.files[WEIGHTS]) is may_link


def test_what_training_wrote_may_go_once_it_is_kept(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, "f1", made)
    for file in made.values():
        file.unlink()

    assert contents_of(entry_of(store, "f1")) == CONTENTS


def test_files_are_copied_where_there_are_no_hard_links(
    tmp_path: Path, made: dict[PurePosixPath, Path]
) -> None:
    store = Store(tmp_path / "store", 1 << 20, link=_no_links)
    keep(store, "f1", made)
    made[WEIGHTS].write_bytes(b"changed")

    entry = entry_of(store, "f1")
    assert (entry.damage(), contents_of(entry)) == ("", CONTENTS)


@_posix
@pytest.mark.parametrize("may_link", [True, False])
def test_an_executable_bit_survives(
    store: Store, made: dict[PurePosixPath, Path], *, may_link: bool
) -> None:
    made[NESTED].chmod(0o755)
    with store.claim("f1") as claim:
        claim.keep({}, made, may_link=may_link)

    entry = entry_of(store, "f1")
    modes = {path: os.access(file, os.X_OK) for path, file in entry.files.items()}
    assert modes == {WEIGHTS: False, NESTED: True, PurePosixPath("empty"): False}
    entry.files[NESTED].chmod(0o644)
    assert entry.damage() == "`parts/one.txt` is no longer executable."


@_posix
def test_a_symbolic_link_is_stored_as_the_file_that_it_leads_to(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(made[WEIGHTS])
    keep(store, "f1", {WEIGHTS: link})

    stored = entry_of(store, "f1").files[WEIGHTS]
    assert not stored.is_symlink()
    assert stored.read_bytes() == CONTENTS[WEIGHTS]


def test_known_digests_are_what_the_files_are_held_to(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    known = {
        path: File(
            path=f"small/data/{path}", sha256=hashlib.sha256(content).hexdigest(), size=len(content)
        )
        for path, content in CONTENTS.items()
    }
    wrong = {**known, NESTED: File(path="any", sha256=hashlib.sha256(b"2\n").hexdigest(), size=2)}

    for digests, damage in (
        (known, ""),
        (wrong, "`parts/one.txt` has another content than when it was stored."),
    ):
        with store.claim("f1") as claim:
            claim.keep({}, made, digests)
        assert entry_of(store, "f1").damage() == damage


def test_a_model_kept_anew_takes_the_place_of_the_old_one(
    store: Store, made: dict[PurePosixPath, Path], tmp_path: Path
) -> None:
    keep(store, "f1", made, version=1)
    keep(store, "f1", make(tmp_path / "new", {NESTED: b"2\n"}), version=2)

    entry = entry_of(store, "f1")
    assert entry.description == {"version": 2}
    assert contents_of(entry) == {NESTED: b"2\n"}
    assert slot_of(store, "f1") == ["model.json", entry.folder.name]


def test_a_model_without_files_can_be_kept(store: Store) -> None:
    keep(store, "f1", {})

    assert (entry_of(store, "f1").files, entry_of(store, "f1").damage()) == ({}, "")


# Damage


@pytest.mark.parametrize(
    ("content", "damage"),
    [
        pytest.param(
            b"\x01" + CONTENTS[WEIGHTS][1:],
            "`weights.bin` has another content than when it was stored.",
            id="flipped bit",
        ),
        pytest.param(b"\x00", "`weights.bin` has 1 bytes rather than 800.", id="truncated"),
        pytest.param(None, "`weights.bin` cannot be read: {}.", id="missing"),
    ],
)
@pytest.mark.parametrize("files", [[WEIGHTS], list(CONTENTS)])
def test_a_damaged_file_is_named(
    store: Store,
    made: dict[PurePosixPath, Path],
    content: bytes | None,
    damage: str,
    files: list[PurePosixPath],
) -> None:
    keep(store, "f1", {path: made[path] for path in files})
    entry = entry_of(store, "f1")
    entry.files[WEIGHTS].unlink()
    if content is not None:
        entry.files[WEIGHTS].write_bytes(content)

    assert entry.damage() == damage.format(os.strerror(errno.ENOENT))


def test_a_change_through_a_hard_link_is_noticed(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, "f1", made)
    made[NESTED].write_bytes(b"2\n")

    assert entry_of(store, "f1").damage() == (
        "`parts/one.txt` has another content than when it was stored."
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: b"", id="empty, as a power failure leaves it"),
        pytest.param(lambda content: content[:-10], id="truncated"),
        pytest.param(lambda content: content.replace(b"0.75", b"0.95"), id="another metric"),
        pytest.param(lambda _: b"[]", id="no object"),
        pytest.param(lambda _: b"\xff", id="no text"),
    ],
)
def test_a_description_that_cannot_be_read_is_no_model(
    store: Store, made: dict[PurePosixPath, Path], change: Any
) -> None:
    keep(store, "f1", made, accuracy=0.75)
    description = entry_of(store, "f1").folder.parent / "model.json"
    description.write_bytes(change(description.read_bytes()))

    assert find(store, "f1") is None
    assert store.entries() == []
    assert store.prune(1 << 20).models == 0
    assert slot_of(store, "f1") == []


# Whole or not at all


class _Interrupting:
    """Makes hard links until the one after *made* files."""

    def __init__(self, made: int) -> None:
        self.made = made

    def __call__(self, source: Path, target: Path, /) -> None:
        if not self.made:
            raise KeyboardInterrupt
        self.made -= 1
        os.link(source, target)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_interrupting_leaves_what_was_there(
    store: Store, made: dict[PurePosixPath, Path], count: int
) -> None:
    interrupted = Store(store.folder, store.limit, link=_Interrupting(count))
    with pytest.raises(KeyboardInterrupt):
        keep(interrupted, "f1", made)
    assert (find(store, "f1"), slot_of(store, "f1")) == (None, [])

    keep(store, "f1", made, version=1)
    before = tree(store.folder)
    interrupted = Store(store.folder, store.limit, link=_Interrupting(count))
    with pytest.raises(KeyboardInterrupt):
        keep(interrupted, "f1", made, version=2)
    assert tree(store.folder) == before


def test_a_failure_in_the_middle_leaves_what_was_there(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, "f1", made, version=1)
    before = tree(store.folder)

    # No folder can be made where a file is.
    impossible = {PurePosixPath("a"): made[WEIGHTS], PurePosixPath("a/b"): made[NESTED]}
    with pytest.raises(UnusableStoreError) as raised:
        keep(store, "f1", impossible, version=2)

    assert Path(raised.value.path).is_relative_to(store.folder / "v1" / "models" / "f1")
    assert tree(store.folder) == before


def test_a_description_that_json_cannot_hold_leaves_what_was_there(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    keep(store, "f1", made, version=1)
    before = tree(store.folder)

    with pytest.raises(TypeError):
        keep(store, "f1", made, version=object())
    assert tree(store.folder) == before


def test_what_killed_builds_left_goes_with_the_next_model_that_is_kept(
    store: Store, made: dict[PurePosixPath, Path]
) -> None:
    models = store.folder / "v1" / "models"
    for fingerprint in ("f1", "f2"):
        keep(store, fingerprint, made)
        make(models / fingerprint, {PurePosixPath("0123456789abcdef/half"): b"half"})
        make(models / fingerprint, {PurePosixPath("0123456789abcdef.json"): b"{"})
        make(models / fingerprint, {PurePosixPath("0123456789abcdef.ff.lease"): b""})
    make(models / "f3", {PurePosixPath("0123456789abcdef/half"): b"half"})

    keep(store, "f1", made)

    assert {path.name: len(slot_of(store, path.name)) for path in models.iterdir()} == {
        "f1": 2,
        "f2": 2,
    }
    assert [each.damage() for each in store.entries()] == ["", ""]
