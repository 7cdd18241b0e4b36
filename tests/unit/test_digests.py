"""Files by their content."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from hatch_model.digests import File, file_of, files_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_described_by_its_content(tmp_path: Path) -> None:
    content = os.urandom(3 << 20) + b"end"
    (tmp_path / "weights.bin").write_bytes(content)

    assert file_of("small/weights.bin", tmp_path / "weights.bin") == File(
        path="small/weights.bin", sha256=hashlib.sha256(content).hexdigest(), size=(3 << 20) + 3
    )


def test_an_empty_file_has_a_digest_too(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    assert file_of("empty", tmp_path / "empty").sha256 == hashlib.sha256().hexdigest()


def test_a_large_file_is_never_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "weights.bin").open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        file_of("weights.bin", tmp_path / "weights.bin")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20


def test_many_files_are_described_in_the_order_that_they_are_given_in(tmp_path: Path) -> None:
    contents = {"b": b"second", "a": b"x" * 100_000, "c": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)

    found = files_of({f"small/{name}": tmp_path / name for name in contents})

    assert found == [file_of(f"small/{name}", tmp_path / name) for name in ("b", "a", "c")]
    assert files_of({}) == []


def test_one_file_of_many_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(FileNotFoundError):
        files_of({"a": tmp_path / "a", "b": tmp_path / "missing"})
