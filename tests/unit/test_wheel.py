"""A wheel's RECORD, a wheel laid out, and what is said of its size."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest
from support import make_wheel, tree
from wheels import INFO, MODEL, contents, listed, write_wheel

from hatch_model.digests import File
from hatch_model.wheel import Record, lay_out, unpack, upload_notice

if TYPE_CHECKING:
    from pathlib import Path

# What is larger is linked rather than copied.
_LARGE = 1 << 20


def record_of(wheel: Path) -> Record:
    with zipfile.ZipFile(wheel) as archive:
        return Record.read(archive)


def a_file(path: str, content: bytes) -> File:
    return File(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


# RECORD


def test_a_record_is_read_with_its_place(tmp_path: Path) -> None:
    record = record_of(write_wheel(tmp_path / "dist", {"small/__init__.py": b"x"}))

    assert (record.path, record.info) == (f"{INFO}/RECORD", f"{INFO}/")
    assert record.rows[0] == ["small/__init__.py", listed(b"x"), "1"]
    assert [row[0] for row in record.rows] == [
        "small/__init__.py",
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/sboms/model.cdx.json",
        MODEL,
        f"{INFO}/RECORD",
    ]


def test_the_record_of_metadata_that_a_package_ships_of_others_is_not_taken_for_its_own(
    tmp_path: Path,
) -> None:
    vendored = {"small/_vendor/other-1.0.dist-info/RECORD": b"other/__init__.py,,\n"}

    assert record_of(write_wheel(tmp_path / "dist", vendored)).path == f"{INFO}/RECORD"


def test_the_files_of_a_record_are_those_of_the_project_itself(tmp_path: Path) -> None:
    wheel = write_wheel(
        tmp_path / "dist",
        {
            "small/__init__.py": b"",
            'small/a,b "c".txt': b"1",
            "small/å ∑.txt": b"2",
            "small/weights.data/part.txt": b"3",
            "small-1.0.data/scripts/run": b"#!python\n",
        },
    )

    assert record_of(wheel).files() == [
        a_file("small/__init__.py", b""),
        a_file('small/a,b "c".txt', b"1"),
        a_file("small/å ∑.txt", b"2"),
        a_file("small/weights.data/part.txt", b"3"),
    ]


def test_an_updated_record_keeps_its_order_and_ends_with_itself() -> None:
    record = Record(
        f"{INFO}/RECORD",
        [
            ["small/a", "sha256=a", "1"],
            ["small/b", "sha256=b", "2"],
            ["small/c", "sha256=c", "3"],
            [f"{INFO}/RECORD", "", ""],
        ],
    )

    updated = record.updated(
        [a_file("small/new, too", b"1"), a_file("small/b", b"22")], ["small/a"]
    )

    assert updated.decode() == (
        "small/b,sha256=eF8-x-sy8wuQzQ_PNlfTiLX_Qpfy-XFv9m6bacBd3Qk,2\n"
        "small/c,sha256=c,3\n"
        '"small/new, too",sha256=a4ayc_80_OGda4BO_1o_V0etpOqiLx1JwB5S3beHW0s,1\n'
        f"{INFO}/RECORD,,\n"
    )


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


def test_entries_may_be_left_out_where_a_wheel_is_laid_out(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "small",
        "1.0",
        files={"small/__init__.py": "", "small/w.bin": "1", "small-1.0.data/unfinished/x": ""},
    )

    unpack(wheel, tmp_path / "unpacked", without=["small/w.bin"])

    unpacked = tree(tmp_path / "unpacked")
    assert sorted(path for path, digest in unpacked.items() if digest) == [
        "small-1.0.dist-info/METADATA",
        "small-1.0.dist-info/RECORD",
        "small-1.0.dist-info/WHEEL",
        "small/__init__.py",
    ]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_files_are_unpacked_as_they_were(compression: int, tmp_path: Path) -> None:
    weights = hashlib.shake_256(b"weights").digest(_LARGE)
    files = {"small/data/w.bin": weights, "small-1.0.data/purelib/small/v.bin": weights + b"1"}
    wheel = write_wheel(tmp_path / "dist", files, compression)

    unpack(wheel, tmp_path / "unpacked")

    assert (tmp_path / "unpacked/small/data/w.bin").read_bytes() == weights
    assert (tmp_path / "unpacked/small/v.bin").read_bytes() == weights + b"1"
    assert contents(wheel)["small/data/w.bin"] == weights


# Laid out beside what was unpacked


@pytest.mark.parametrize(("size", "linked"), [(0, False), (_LARGE, False), (_LARGE + 1, True)])
def test_a_large_file_is_laid_out_as_a_link(size: int, linked: bool, tmp_path: Path) -> None:  # noqa: FBT001
    file, target = tmp_path / "w.bin", tmp_path / "out" / "small" / "w.bin"
    file.write_bytes(bytes(size))

    lay_out(file, target)

    assert target.read_bytes() == bytes(size)
    assert file.samefile(target) is linked
    assert not target.is_symlink()


def test_a_large_file_is_copied_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refused)
    file, target = tmp_path / "w.bin", tmp_path / "out" / "w.bin"
    file.write_bytes(bytes(_LARGE + 1))

    lay_out(file, target)

    assert target.read_bytes() == bytes(_LARGE + 1)
    assert not file.samefile(target)


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_a_file_that_is_laid_out_keeps_its_mode(tmp_path: Path) -> None:
    file, target = tmp_path / "tool", tmp_path / "out" / "tool"
    file.write_bytes(b"1")
    file.chmod(0o750)

    lay_out(file, target)

    assert stat.S_IMODE(target.stat().st_mode) == 0o750


# Its size


@pytest.mark.parametrize(
    ("size", "notice"),
    [
        (0, ""),
        (100 << 20, ""),
        (
            (100 << 20) + 1,
            (
                "small-1.0-py3-none-any.whl is 100.0 MiB: PyPI accepts 100.0 MiB per file by "
                "default, and other indexes have similar limits"
            ),
        ),
        (
            1200 << 20,
            (
                "small-1.0-py3-none-any.whl is 1.2 GiB: PyPI accepts 100.0 MiB per file by "
                "default, and other indexes have similar limits"
            ),
        ),
    ],
)
def test_a_wheel_that_indexes_may_refuse_is_told_of(size: int, notice: str, tmp_path: Path) -> None:
    wheel = tmp_path / "small-1.0-py3-none-any.whl"
    with wheel.open("wb") as stream:
        stream.truncate(size)

    assert upload_notice(wheel) == notice
