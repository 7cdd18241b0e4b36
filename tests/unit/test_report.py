"""Which files of a report travel, and what is said of the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from support import LFS_POINTER

from hatch_model.artifacts import Artifact
from hatch_model.errors import HatchModelError
from hatch_model.report import collect, save

if TYPE_CHECKING:
    from collections.abc import Mapping

_posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are not for everyone")
_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
_LEFT_OUT = "files that training wrote to `report_dir` are left out:"
_ADVICE = (
    "A report has up to 100 regular files of up to 10.0 MiB each and 25.0 MiB in all, under names "
    "that every system takes. Write larger files to `output_dir`."
)
_MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    return folder


def _write(folder: Path, *names: str, size: int = 1) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * size)


def _collected(folder: Path) -> tuple[list[str], list[str]]:
    """Give the files that travel, and the lines of the warnings."""
    warnings: list[str] = []
    target = folder.with_name("collected")
    report = collect(folder, target, warnings.append)
    assert all(each.source == target / each.path for each in report)
    assert [each.source.read_bytes() for each in report] == [
        (folder / each.path).read_bytes() for each in report
    ]
    assert len(warnings) <= 1
    return [str(each.path) for each in report], [
        line for warning in warnings for line in warning.splitlines()
    ]


def test_files_of_any_kind_travel_in_the_order_of_their_paths(folder: Path) -> None:
    _write(folder, "b.svg", "a/z.png", "a.md", "a/empty", "no suffix")
    (folder / "pointer.csv").write_text(LFS_POINTER, "utf-8")
    (folder / "empty folder").mkdir()

    assert _collected(folder) == (
        ["a/empty", "a/z.png", "a.md", "b.svg", "no suffix", "pointer.csv"],
        [],
    )


def test_there_is_no_report_in_a_folder_that_is_empty_or_gone(folder: Path) -> None:
    assert _collected(folder) == ([], [])
    folder.rmdir()
    assert _collected(folder) == ([], [])


@pytest.mark.parametrize(
    ("sizes", "expected", "lines"),
    [
        pytest.param(
            {"a": 11 * _MIB, "b": 10 * _MIB},
            ["b"],
            ["  `a`: larger than 10.0 MiB"],
            id="a file",
        ),
        pytest.param(
            {"a": 10 * _MIB, "b": 10 * _MIB, "c": 6 * _MIB, "d": 5 * _MIB, "e": 1},
            ["a", "b", "d"],
            [
                "  `c`: with it, the report would be larger than 25.0 MiB",
                "  `e`: with it, the report would be larger than 25.0 MiB",
            ],
            id="all",
        ),
        pytest.param(
            {f"{number:03}": 1 for number in range(102)},
            [f"{number:03}" for number in range(100)],
            [
                "  `100`: with it, the report would have more than 100 files",
                "  `101`: with it, the report would have more than 100 files",
            ],
            id="number",
        ),
    ],
)
def test_what_exceeds_a_limit_is_left_out(
    folder: Path, sizes: Mapping[str, int], expected: list[str], lines: list[str]
) -> None:
    for name, size in sizes.items():
        _write(folder, name, size=size)

    assert _collected(folder) == (expected, [_LEFT_OUT, *lines, _ADVICE])


def test_a_warning_names_twenty_files_at_most(folder: Path) -> None:
    _write(folder, *(f"{number:03}" for number in range(130)))

    report, lines = _collected(folder)

    assert len(report) == 100
    assert lines[20:] == [
        "  `119`: with it, the report would have more than 100 files",
        "  and 10 more",
        _ADVICE,
    ]


@_posix
def test_links_that_stay_inside_travel_as_files_and_all_else_is_left_out(folder: Path) -> None:
    _write(folder, "plot.png", "deep/table.csv")
    (folder / "latest.png").symlink_to("plot.png")
    (folder / "linked").symlink_to("deep")
    (folder / "passwords").symlink_to("/etc/passwd")
    (folder / "system").symlink_to("/etc")
    (folder / "nowhere").symlink_to("nothing")
    (folder / "deep" / "around").symlink_to("..")
    os.mkfifo(folder / "pipe")

    report, lines = _collected(folder)

    assert report == ["deep/table.csv", "latest.png", "linked/table.csv", "plot.png"]
    assert sorted(lines[1:-1]) == [
        "  `deep/around`: a symbolic link to a folder around itself",
        "  `linked/around`: a symbolic link to a folder around itself",
        "  `nowhere`: a symbolic link that leads nowhere",
        "  `passwords`: a symbolic link to `/etc/passwd` outside of its folder",
        "  `pipe`: neither a file nor a folder",
        "  `system`: a symbolic link to `/etc` outside of its folder",
    ]


@_linux
def test_names_that_not_every_system_takes_are_left_out(folder: Path) -> None:
    names = ["A/1.png", "PLOT.png", "a/2.png", "a/3.png", "b\n", "con.svg", "d:e", "plot.png"]
    _write(folder, *names, os.fsdecode(b"\xff.png"))

    report, lines = _collected(folder)

    assert report == ["A/1.png", "PLOT.png"]
    assert lines == [
        _LEFT_OUT,
        r"  `b\n`: a character that cannot be printed",
        "  `con.svg`: `con.svg` is a device on Windows",
        "  `d:e`: Windows allows no :",
        r"  `\udcff.png`: not in UTF-8",
        "  `a`: the same as `A` on macOS and Windows",
        "  `plot.png`: the same as `PLOT.png` on macOS and Windows",
        _ADVICE,
    ]


def test_what_cannot_be_read_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By anyone, root included."""
    _write(folder, "plot.png", "locked.png", "locked/table.csv")
    path_open, scandir = Path.open, os.scandir

    def refuse(path: Any, *_: Any) -> None:
        if Path(path).name.startswith("locked"):
            raise PermissionError(13, "Permission denied")

    def opened(path: Path, *arguments: Any, **options: Any) -> Any:
        refuse(path)
        return path_open(path, *arguments, **options)

    def scanned(path: Any) -> Any:
        refuse(path)
        return scandir(path)

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(os, "scandir", scanned)
    warnings: list[str] = []
    report = collect(folder, folder.with_name("collected"), warnings.append)

    assert [str(each.path) for each in report] == ["plot.png"]
    assert warnings[0].splitlines()[1:-1] == [
        "  `locked`: a folder that cannot be read (Permission denied)",
        "  `locked.png`: it cannot be read (Permission denied)",
    ]


# A folder of the user


def _report(folder: Path, *names: str) -> list[Artifact]:
    _write(folder, *names)
    return [Artifact(path=PurePosixPath(name), source=folder / name) for name in names]


def test_a_report_replaces_its_own_files_and_leaves_and_names_the_others(
    folder: Path, tmp_path: Path
) -> None:
    report = _report(folder, "deep/plot.png", "table.csv")
    kept = tmp_path / "kept"
    _write(kept, "table.csv", "old.png", "deep/older.png", size=3)

    assert save(report, kept) == ["deep/older.png", "old.png"]

    assert {
        each.relative_to(kept).as_posix(): each.stat().st_size for each in kept.rglob("*.*")
    } == {
        "deep/older.png": 3,
        "deep/plot.png": 1,
        "old.png": 3,
        "table.csv": 1,
    }


@_posix
def test_a_link_in_the_place_of_a_report_is_replaced(folder: Path, tmp_path: Path) -> None:
    report = _report(folder, "plot.png")
    _write(tmp_path, "elsewhere", size=3)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "plot.png").symlink_to("../elsewhere")

    assert save(report, tmp_path / "kept") == []

    assert (tmp_path / "elsewhere").stat().st_size == 3
    assert not (tmp_path / "kept" / "plot.png").is_symlink()


def test_a_folder_in_the_place_of_a_file_is_an_error(folder: Path, tmp_path: Path) -> None:
    report = _report(folder, "plot.png")
    _write(tmp_path / "kept", "plot.png/old")

    with pytest.raises(
        HatchModelError, match=r"^the report cannot be written to .*kept: "
    ) as raised:
        save(report, tmp_path / "kept")
    assert str(raised.value).endswith(". Choose another folder.")
