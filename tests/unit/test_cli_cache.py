"""`hatch-model cache`: what is in the store of trained models, and getting rid of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from models import Ran, run
from stores import keep_aged, kept_in

from hatch_model._store import Store

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


def test_size_shows_the_models_and_the_total(store: Store) -> None:
    keep_aged(store, **{"a" * 64: 86400 * 365})

    (entry,) = store.entries()
    kept, used = (f"{time.astimezone():%Y-%m-%d %H:%M}" for time in (entry.kept, entry.used))
    assert run("cache", "size").out == (
        "models\n"
        "  fingerprint   project  size        stored            last used\n"
        f"  aaaaaaaaaaaa  -        1000 bytes  {kept}  {used}\n\n"
        f"1 model, {store.size() / 1024:.1f} KiB of 1.0 MiB\n"
    )


def test_size_of_no_store_is_nothing(store: Store) -> None:
    assert run("cache", "size") == Ran("0 models, 0 bytes of 1.0 MiB\n", "", 0)
    assert run("cache", "size", "--json").json == {"size": 0, "limit": 1 << 20, "models": []}
    assert not store.folder.exists()


def test_size_as_json_has_bytes_and_times(store: Store) -> None:
    keep_aged(store, f1=0)

    printed = run("cache", "size", "--json").json
    (model,) = printed["models"]
    assert (printed["size"], printed["limit"]) == (store.size(), 1 << 20)
    assert datetime.fromisoformat(model.pop("kept")).timestamp() == pytest.approx(
        store.entries()[0].kept.timestamp(), abs=1
    )
    assert model == {
        "fingerprint": "f1",
        "project": None,
        "size": 1000,
        "used": "1970-01-01T00:00:00+00:00",
    }


def test_prune_removes_what_is_beyond_the_limit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_aged(store, f1=100, f2=200, f3=300)
    size = store.size()
    each = size // 3
    assert run("cache", "prune").out == (
        f"Removed 0 models and freed 0 bytes; {size / 1024:.1f} KiB remains.\n"
    )

    assert run("cache", "prune", "--limit", "3 kB").out == (
        f"Removed 1 model and freed {each / 1024:.1f} KiB; {2 * each / 1024:.1f} KiB remains.\n"
    )
    assert kept_in(store) == {"f2", "f3"}
    monkeypatch.setenv("HATCH_MODEL_CACHE_LIMIT", "0")
    assert run("cache", "prune").out == (
        f"Removed 2 models and freed {2 * each / 1024:.1f} KiB; nothing remains.\n"
    )


def test_prune_removes_what_killed_builds_have_left(store: Store) -> None:
    half = store.folder / "v1" / "models" / "f1" / "0123456789abcdef"
    (store.folder / "v1" / "locks").mkdir(parents=True)
    half.mkdir(parents=True)
    (half / "weights.bin").write_bytes(b"x" * 100)

    assert run("cache", "prune").out == ("Removed 0 models and freed 100 bytes; nothing remains.\n")
    assert not half.parent.exists()


def test_clear_leaves_what_is_in_use(store: Store) -> None:
    keep_aged(store, f1=100, f2=200)
    each = store.size() // 2

    with store.claim("f1"):
        assert run("cache", "clear").out == (
            f"Removed 1 model and freed {each / 1024:.1f} KiB; {each / 1024:.1f} KiB remains, which "
            f"is in use.\n"
        )
    assert kept_in(store) == {"f1"}
    assert run("cache", "clear").out == (
        f"Removed 1 model and freed {each / 1024:.1f} KiB; nothing remains.\n"
    )


@pytest.mark.parametrize("limit", ["much", "-1", ""])
def test_prune_refuses_a_limit_that_is_no_size(limit: str, store: Store) -> None:
    keep_aged(store, f1=100)

    ran = run("cache", "prune", "--limit", limit)
    assert ran.code == 2
    assert (
        f"Invalid value for '--limit': {limit!r} is no size, such as '20 GiB', '500MB' or a number "
        f"of bytes."
    ) in ran.err
    assert kept_in(store) == {"f1"}


def test_a_limit_in_the_environment_that_is_no_size_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_LIMIT", "much")

    assert not store.folder.exists()
    for command in ("size", "prune", "clear"):
        ran = run("cache", command)
        assert (ran.out, ran.code) == ("", 1)
        assert ran.err.startswith("hatch-model: error: HATCH_MODEL_CACHE_LIMIT is `much`, but ")


def test_a_store_that_cannot_be_read_is_an_error(store: Store) -> None:
    keep_aged(store, f1=100)
    (store.folder / "v1" / "locks" / "f1.lock").unlink(missing_ok=True)
    (store.folder / "v1" / "locks" / "f1.lock").mkdir()

    ran = run("cache", "clear")
    assert (ran.out, ran.code) == ("", 1)
    assert ran.err.startswith("hatch-model: error: the store of trained models cannot be used: ")
