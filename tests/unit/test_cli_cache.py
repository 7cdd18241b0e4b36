"""`hatch-model cache`: what is in the store of trained models, and getting rid of it."""

from __future__ import annotations

import errno
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from models import Ran, run
from stores import keep_aged, kept_in

from hatch_model.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("HATCH_MODEL_CACHE_LIMIT", "1 MiB")
    return Store(tmp_path / "store", 1 << 20)


def test_dir_prints_the_folder(store: Store) -> None:
    assert run("cache", "dir") == Ran(f"{store.folder}\n", "", 0)
    assert not store.folder.exists()


def test_list_shows_the_models_and_the_total(store: Store) -> None:
    keep_aged(store, a=86400 * 365)

    (entry,) = store.entries()
    kept, used = (f"{time.astimezone():%Y-%m-%d %H:%M}" for time in (entry.kept, entry.used))
    assert run("cache", "list").out == (
        "models\n"
        "  fingerprint   project  size        stored            last used\n"
        f"  aaaaaaaaaaaa  -        1000 bytes  {kept}  {used}\n\n"
        f"1 model, {store.size() / 1024:.1f} KiB of 1.0 MiB\n"
    )


def test_list_of_no_store_is_nothing(store: Store) -> None:
    assert run("cache", "list") == Ran("0 models, 0 bytes of 1.0 MiB\n", "", 0)
    assert run("cache", "list", "--json").json == {"size": 0, "limit": 1 << 20, "models": []}
    assert not store.folder.exists()


def test_list_as_json_has_bytes_and_times(store: Store) -> None:
    keep_aged(store, a=0)

    printed = run("cache", "list", "--json").json
    (model,) = printed["models"]
    assert (printed["size"], printed["limit"]) == (store.size(), 1 << 20)
    assert datetime.fromisoformat(model.pop("kept")).timestamp() == pytest.approx(
        store.entries()[0].kept.timestamp(), abs=1
    )
    assert model == {
        "fingerprint": "a" * 64,
        "project": None,
        "size": 1000,
        "used": "1970-01-01T00:00:00+00:00",
    }


def test_clear_leaves_what_is_in_use(store: Store) -> None:
    keep_aged(store, a=100, b=200)
    each = store.size() // 2

    with store.claim("a" * 64):
        assert run("cache", "clear").out == (
            f"Removed 1 model and freed {each / 1024:.1f} KiB; {each / 1024:.1f} KiB remains, which "
            f"is in use.\n"
        )
    assert kept_in(store) == {"a"}
    assert run("cache", "clear").out == (
        f"Removed 1 model and freed {each / 1024:.1f} KiB; nothing remains.\n"
    )


def test_a_limit_in_the_environment_that_is_no_size_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_LIMIT", "much")

    assert not store.folder.exists()
    for command in ("list", "clear"):
        ran = run("cache", command)
        assert (ran.out, ran.code) == ("", 1)
        assert ran.err == (
            "hatch-model: error: HATCH_MODEL_CACHE_LIMIT is `much`, but must be a size, such as "
            "`20 GiB`, `500MB` or a plain number of bytes.\n"
        )


@pytest.mark.skipif(sys.platform == "win32", reason="errors are others there")
def test_a_store_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", str(tmp_path / "file" / "store"))

    assert run("cache", "list") == Ran(
        "",
        f"hatch-model: error: the store of trained models cannot be used: "
        f"{tmp_path / 'file' / 'store'}: {os.strerror(errno.ENOTDIR)}. HATCH_MODEL_CACHE_DIR moves "
        f"it to another folder.\n",
        1,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")
def test_a_store_that_anybody_may_write_to_is_an_error(store: Store) -> None:
    keep_aged(store, a=100)
    store.folder.chmod(0o777)

    assert run("cache", "list") == Ran(
        "",
        f"hatch-model: error: the store of trained models cannot be used: {store.folder}: it "
        f"belongs to the user with the id {os.geteuid()} and has the mode 0777, so others could "
        f"have put models there. HATCH_MODEL_CACHE_DIR moves it to another folder.\n",
        1,
    )


@pytest.mark.parametrize("command", ["size", "prune"])
def test_there_is_no_other_command(store: Store, command: str) -> None:
    ran = run("cache", command)

    assert (ran.out, ran.code) == ("", 2)
    assert f"No such command '{command}'." in ran.err
    assert not store.folder.exists()
