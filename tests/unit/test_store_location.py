"""Where the store is, and how much it may hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from hatch_model._store import store_folder, store_limit
from hatch_model.errors import StoreLimitError, UnusableStoreError

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.skipif(sys.platform == "win32", reason="every user has a home there")
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

    with pytest.raises(UnusableStoreError) as raised:
        store_folder()
    assert str(raised.value) == (
        f"the store of trained models cannot be used: {raised.value.path}: the user has no home "
        f"directory. HATCH_MODEL_CACHE_DIR moves it to another folder."
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

    with pytest.raises(StoreLimitError) as raised:
        store_limit()
    assert str(raised.value) == (
        "HATCH_MODEL_CACHE_LIMIT is `much`, but it has to be a size, such as `20 GiB`, `500MB` or a "
        "plain number of bytes."
    )
