"""What package indexes refuse in the layout of a wheel, `verify` finds."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from models import INFO, WEIGHTS, Ran, contents, make_model, run

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_model(tmp_path / "dist")


class _Pipe(io.RawIOBase):
    """A stream that nothing can be changed in afterwards."""

    def __init__(self, target: Path) -> None:
        self._file = target.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _streamed(wheel: Path) -> None:
    held = contents(wheel)
    with _Pipe(wheel) as pipe, zipfile.ZipFile(pipe, "w") as archive:
        for path, content in held.items():
            archive.writestr(path, content)


def _compressed(method: int) -> Callable[[Path], None]:
    def compress(wheel: Path) -> None:
        held = contents(wheel)
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, content in held.items():
                archive.writestr(path, content, method if path == WEIGHTS else None)

    return compress


def _with_comment(wheel: Path) -> None:
    held = contents(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in held.items():
            entry = zipfile.ZipInfo(path)
            entry.comment = b"trained on Monday" if path == WEIGHTS else b""
            archive.writestr(entry, content)


def _with_gap(*, before: str) -> Callable[[Path], None]:
    def leave_gap(wheel: Path) -> None:
        held = contents(wheel)
        with zipfile.ZipFile(wheel, "w") as archive:
            stream: Any = archive.fp
            for path, content in [*held.items(), ("", b"")]:
                if path == before:
                    stream.write(b"gap")
                    archive.start_dir = stream.tell()
                if path:
                    archive.writestr(path, content)

    return leave_gap


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda wheel: wheel.write_bytes(change(wheel.read_bytes()))


def _in_header(offset: int, value: bytes) -> Callable[[Path], object]:
    """Change the header before the content of the artifact."""

    def change(content: bytes) -> bytes:
        begin = content.index(WEIGHTS.encode()) - 30 + offset
        return content[:begin] + value + content[begin + len(value) :]

    return _bytes(change)


def _without_name(content: bytes) -> bytes:
    """Let the name of the first file begin with NUL, where zipfile ends it."""
    begin, in_list = content.index(b"small/"), content.rindex(b"small/__init__.py")
    return b"\0".join([content[:begin], content[begin + 1 : in_list], content[in_list + 1 :]])


_FILES = len(["__init__.py", "main.py", "weights.txt", "model.json", "METADATA", "WHEEL", "RECORD"])
_ODD: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a byte after it": (
        _bytes(lambda content: content + b"x"),
        ["after the end of the archive: 1 byte of something else"],
    ),
    "a script before it": (
        _bytes(lambda content: b"#!/bin/sh\n" + content),
        ["before the archive: 10 bytes of something else"],
    ),
    "an archive before it": (
        _bytes(lambda content: content + content),
        ["before the archive: SIZE bytes of something else"],
    ),
    "another name in the header": (
        _in_header(30, b"small/data/\xffeights.txt"),
        [
            f"{WEIGHTS}: its header calls it small/data/\\xffeights.txt",
        ],
    ),
    "a file without a name": (
        _bytes(_without_name),
        [
            "\\x00mall/__init__.py: a control character in its name",
            "small/__init__.py: missing",
            ": not listed in RECORD",
        ],
    ),
    "another size in the header": (
        _in_header(18, struct.pack("<L", 3)),
        [f"{WEIGHTS}: its header and the list of files do not agree on its size"],
    ),
    "another method in the header": (
        _in_header(8, struct.pack("<H", 12)),
        [f"{WEIGHTS}: neither stored nor deflated"],
    ),
    "a byte cut off its beginning": (
        _bytes(lambda content: content[1:]),
        [
            "at the beginning of the archive: 1 byte missing",
        ],
    ),
    "no header": (
        _in_header(0, b"PK\7\7"),
        [
            f"{WEIGHTS}: it has no header",
        ],
    ),
    "bzip2": (
        _compressed(zipfile.ZIP_BZIP2),
        [f"{WEIGHTS}: neither stored nor deflated"],
    ),
    "lzma": (
        _compressed(zipfile.ZIP_LZMA),
        [f"{WEIGHTS}: neither stored nor deflated"],
    ),
    "a comment": (_with_comment, [f"{WEIGHTS}: a comment"]),
    "a gap between files": (
        _with_gap(before=WEIGHTS),
        [f"{WEIGHTS}: its header is not right after the file before it"],
    ),
    "a gap after the files": (
        _with_gap(before=""),
        ["the list of files is not right after the last file"],
    ),
    "another number of files": (
        _bytes(lambda content: content[:-12] + struct.pack("<H", 9) + content[-10:]),
        [f"the end of the archive counts 9 files, but {_FILES} are listed"],
    ),
}


@pytest.mark.parametrize(("change", "lines"), _ODD.values(), ids=_ODD)
def test_an_archive_that_tools_may_read_differently_differs(
    change: Callable[[Path], object], lines: list[str], wheel: Path
) -> None:
    size = wheel.stat().st_size
    change(wheel)

    ran = run("verify", wheel)
    # What zipfile cannot read either is up to its version.
    told = [line for line in ran.out.splitlines() if ": cannot be read: " not in line]
    assert told == [line.replace("SIZE", str(size)) for line in lines]
    assert ran.code == 1


def test_sizes_that_are_told_after_the_files_differ(wheel: Path) -> None:
    _streamed(wheel)

    assert run("verify", wheel).out.splitlines()[:1] == [
        "small/__init__.py: its size is only told after it, in a data descriptor"
    ]


def test_a_file_of_more_than_4_gib_may_say_so_in_its_header(wheel: Path) -> None:
    held = contents(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in held.items():
            with archive.open(path, "w", force_zip64=True) as stream:
                stream.write(content)

    assert run("verify", wheel) == Ran("", "small 0.1.0: nothing differs\n", 0)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed there")
@pytest.mark.parametrize(
    "damage",
    [b"", b"PK\5\6" + bytes(18), None, b"\x1f\x8b"],
    ids=["empty", "an empty archive", "no metadata", "no tar"],
)
def test_a_file_that_cannot_be_opened_is_not_left_open(damage: bytes | None, wheel: Path) -> None:
    if damage is None:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{INFO}/METADATA", "")
            archive.writestr(f"{INFO}/WHEEL", "")
    else:
        wheel.write_bytes(damage)
    names = {str(wheel): wheel, "sdist": wheel.with_suffix(".tar.gz")}
    names["sdist"].write_bytes(wheel.read_bytes())

    codes = [run("inspect", file).code for file in names.values()]
    opened = [each.resolve() for each in Path("/proc/self/fd").iterdir()]
    assert (codes, [each for each in opened if each in names.values()]) == ([1, 1], [])
