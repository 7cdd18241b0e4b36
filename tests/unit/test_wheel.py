"""A finished wheel unpacked, and a metadata file of it exchanged."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from support import make_wheel, tree
from wheels import INFO, MODEL, contents, write_wheel

from hatch_model._archives import LARGE, exchange, unpack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel as hatchling writes it: metadata at the end, the record last but for RECORD."""
    return write_wheel(
        tmp_path / "dist", {"small/__init__.py": b"", "small/data/w.bin": b"\0" * 99}
    )


# Exchanged


def test_one_file_is_exchanged_and_record_mended(wheel: Path) -> None:
    before = contents(wheel)

    exchange(wheel, {MODEL: b'{"check": 1}\n'})

    after = contents(wheel)
    assert {path for path in after if after[path] != before[path]} == {MODEL, f"{INFO}/RECORD"}
    assert after[MODEL] == b'{"check": 1}\n'
    assert list(after) == list(before)
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]


def test_what_comes_after_an_exchanged_file_stays_as_it_is(wheel: Path) -> None:
    before = contents(wheel)

    exchange(wheel, {f"{INFO}/METADATA": b"Metadata-Version: 2.4\nName: small\nVersion: 2.0\n"})

    after = contents(wheel)
    assert list(after) == list(before)
    assert {path for path in after if after[path] != before[path]} == {
        f"{INFO}/METADATA",
        f"{INFO}/RECORD",
    }


def test_entries_keep_their_times_modes_and_compression(wheel: Path) -> None:
    names = ["filename", "date_time", "external_attr", "create_system", "compress_type"]

    def described(wheel: Path) -> list[tuple[object, ...]]:
        with zipfile.ZipFile(wheel) as archive:
            return [tuple(getattr(info, name) for name in names) for info in archive.infolist()]

    before = described(wheel)

    exchange(wheel, {MODEL: b"other\n"})

    assert described(wheel) == before


def test_the_same_exchange_gives_the_same_bytes(wheel: Path) -> None:
    original = wheel.read_bytes()
    exchange(wheel, {MODEL: b"other\n"})
    first = wheel.read_bytes()
    wheel.write_bytes(original)
    exchange(wheel, {MODEL: b"other\n"})

    assert wheel.read_bytes() == first


def test_an_exchange_for_the_same_content_gives_the_same_bytes(wheel: Path) -> None:
    original = wheel.read_bytes()

    exchange(wheel, {MODEL: b"{}\n"})

    assert wheel.read_bytes() == original


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_the_wheel_keeps_its_mode(wheel: Path) -> None:
    wheel.chmod(0o640)

    exchange(wheel, {MODEL: b"other\n"})

    assert stat.S_IMODE(wheel.stat().st_mode) == 0o640


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_as_the_last_file_is_not_taken_for_the_wheel_itself(
    compression: int, tmp_path: Path
) -> None:
    """Many formats of weights are ZIP archives, and deflating leaves what is random as it is."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("arr_0.npy", hashlib.shake_256(b"weights").digest(70_000))
        archive.comment = hashlib.shake_256(b"comment").digest(60_000)
    files = {"small/__init__.py": b"", "zz/w.npz": inner.getvalue()}
    # In the order of the archive, so that the entry before the exchanged one is the inner archive.
    wheel = write_wheel(tmp_path / "dist", files, compression)

    exchange(wheel, {f"{INFO}/METADATA": b"Metadata-Version: 2.4\nName: small\nVersion: 2.0\n"})

    assert contents(wheel)["zz/w.npz"] == inner.getvalue()
    assert "arr_0.npy" not in contents(wheel)


def test_metadata_that_a_package_ships_of_others_is_left_alone(tmp_path: Path) -> None:
    vendored = {"small/_vendor/other-1.0.dist-info/RECORD": b"other/__init__.py,,\n"}
    wheel = write_wheel(tmp_path / "dist", vendored)

    exchange(wheel, {MODEL: b"other\n"})

    assert contents(wheel)[MODEL] == b"other\n"
    assert contents(wheel)["small/_vendor/other-1.0.dist-info/RECORD"] == b"other/__init__.py,,\n"


def test_paths_that_record_has_to_quote_are_found(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "dist", {'small/a,b "c".txt': b"1", "small/å.txt": b"2"})

    exchange(wheel, {MODEL: b"other\n"})

    assert contents(wheel)['small/a,b "c".txt'] == b"1"


def test_large_files_are_never_held_in_memory(tmp_path: Path) -> None:
    weights = b"\0" * (64 << 20)
    wheel = write_wheel(tmp_path / "dist", {"small/w.bin": weights}, zipfile.ZIP_STORED)
    tracemalloc.start()
    try:
        exchange(wheel, {MODEL: b"other\n"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        assert archive.read("small/w.bin") == weights


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "zipfile", "-t", "{wheel}"],
        ["unzip", "-tqq", "{wheel}"],
        pytest.param(
            [sys.executable, "-m", "pip", "install", "-q", "--no-index", "-t", "{out}", "{wheel}"],
            marks=pytest.mark.network,
        ),
        ["uv", "pip", "install", "-q", "--offline", "--target", "{out}", "{wheel}"],
    ],
    ids=["zipfile", "unzip", "pip", "uv"],
)
def test_others_read_the_wheel(command: list[str], wheel: Path, tmp_path: Path) -> None:
    exchange(wheel, {MODEL: b"other\n"})

    filled = [part.format(wheel=wheel, out=tmp_path / "out") for part in command]
    try:
        completed = subprocess.run(filled, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]}")

    assert completed.returncode == 0, completed.stdout + completed.stderr
    if (tmp_path / "out").exists():
        assert (tmp_path / "out" / MODEL).read_text() == "other\n"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize(
    "moment", ["zipfile.ZipFile.writestr", "zipfile.ZipFile._write_end_record"]
)
def test_an_interrupted_exchange_leaves_the_old_wheel_and_nothing_else(
    moment: str,
    interruption: type[BaseException],
    wheel: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = tree(wheel.parent)

    def interrupt(*_: object, **__: object) -> None:
        raise interruption

    monkeypatch.setattr(moment, interrupt)
    with pytest.raises(interruption):
        exchange(wheel, {MODEL: b"other\n"})

    assert tree(wheel.parent) == before


# Unpacked


def test_a_wheel_is_laid_out_as_it_is_imported(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "small",
        "1.0",
        files={
            "small/__init__.py": "",
            "small/weights.data/part.txt": "1",
            "small/notes.data": "2",
            "small-1.0.data/purelib/small/pure.py": "",
            "small-1.0.data/platlib/small/native.so": "",
            "small-1.0.data/data/share/small/table.csv": "",
            "small-1.0.data/scripts/small": "#!python\n",
            "small-1.0.data/headers/small.h": "",
        },
    )

    unpack(wheel, tmp_path / "unpacked")

    unpacked = tree(tmp_path / "unpacked")
    assert sorted(path for path, digest in unpacked.items() if digest) == [
        "small-1.0.dist-info/METADATA",
        "small-1.0.dist-info/RECORD",
        "small-1.0.dist-info/WHEEL",
        "small/__init__.py",
        "small/native.so",
        "small/notes.data",
        "small/pure.py",
        "small/weights.data/part.txt",
    ]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_files_are_laid_out_as_they_were(compression: int, tmp_path: Path) -> None:
    weights = hashlib.shake_256(b"weights").digest(LARGE)
    files = {"small/data/w.bin": weights, "small-1.0.data/purelib/small/v.bin": weights + b"1"}
    wheel = write_wheel(tmp_path / "dist", files, compression)

    unpack(wheel, tmp_path / "unpacked")

    assert (tmp_path / "unpacked/small/data/w.bin").read_bytes() == weights
    assert (tmp_path / "unpacked/small/v.bin").read_bytes() == weights + b"1"
