"""Wheels at the limits of the ZIP format, and what others make of the wheels that are written.

The large files are sparse, so that they take time but little room, and the wheels of them are
deleted as soon as they were looked at.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import tree
from wheels import assert_strict, contents, write_wheel

from hatch_model.digests import file_of, files_of
from hatch_model.log import Progress
from hatch_model.wheel import fill, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_model.deflate import Compression
    from hatch_model.digests import File

_TEXT = b"".join(b"%d words of a vocabulary\n" % number for number in range(60_000))
_RANDOM = hashlib.shake_256(b"weights").digest(3_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def sparse(path: Path, size: int) -> Path:
    """Write a file of *size* bytes: zeros, and something else here and there."""
    with path.open("wb") as stream:
        for place in range(0, size, size // 5):
            stream.seek(place)
            stream.write(b"weights")
        stream.truncate(size)
    return path


def filled(folder: Path, sources: Mapping[str, Path], compression: Compression = "auto") -> Path:
    """Write a wheel with *sources* in it to a new folder in *folder*."""
    files = {"small/__init__.py": b"", **dict.fromkeys(sources, b"")}
    wheel = write_wheel(folder / "built", files)
    target = folder / "dist" / wheel.name
    target.parent.mkdir()
    fill(
        wheel,
        target,
        sources,
        compression=compression,
        finish=lambda _: {},
        progress=Progress(print),
    )
    assert_strict(target)
    return target


def digests(wheel: Path, names: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Read *names* from *wheel*, through their CRCs."""
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            digest, size = hashlib.sha256(), 0
            with archive.open(name) as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
            found[name] = (digest.hexdigest(), size)
    return found


def assert_holds(wheel: Path, files: Sequence[File]) -> None:
    assert digests(wheel, [file.path for file in files]) == {
        file.path: (file.sha256, file.size) for file in files
    }


def install_with_uv(wheel: Path, folder: Path) -> None:
    command = ["uv", "pip", "install", "-q", "--offline", "--no-cache", "--target"]
    subprocess.run([*command, str(folder), str(wheel)], check=True)


@pytest.mark.large
@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([(2 << 30) - 1], id="2 GiB - 1", marks=pytest.mark.nightly),
        pytest.param([2 << 30], id="2 GiB", marks=pytest.mark.nightly),
        pytest.param([(4 << 30) - 1], id="4 GiB - 1"),
        pytest.param([4 << 30], id="4 GiB", marks=pytest.mark.nightly),
        pytest.param([(5 << 30) + 3], id="5 GiB + 3"),
        pytest.param([1 << 30, (3 << 30) + 1, 1 << 20, 1 << 20], id="offsets beyond 4 GiB"),
    ],
)
def test_files_and_offsets_of_gigabytes(sizes: list[int], folder: Path) -> None:
    sources = {
        f"small/{number}.bin": sparse(folder / str(number), size)
        for number, size in enumerate(sizes)
    }

    wheel = filled(folder, sources, "stored")

    assert wheel.stat().st_size > sum(sizes)
    files = files_of(sources)
    assert_holds(wheel, files)
    # Once more: now they are entries that are copied.
    copied = folder / "copied.whl"
    fill(wheel, copied, {}, finish=lambda _: {}, progress=Progress(print))
    wheel.unlink()
    copied.rename(wheel)
    assert_strict(wheel)
    assert_holds(wheel, files)
    if sum(sizes) <= 4 << 30:
        return  # Other programs are slow: those that are beyond all limits will do for them.
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tqq", wheel], check=True)
    install_with_uv(wheel, folder / "uv")
    assert files_of({path: folder / "uv" / path for path in sources}) == files


@pytest.mark.large
def test_a_deflated_file_of_more_than_4_gib(folder: Path) -> None:
    source = folder / "text"
    with source.open("wb") as stream:
        for _ in range((4 << 30) // len(_TEXT) + 2):
            stream.write(_TEXT)

    wheel = filled(folder, {"small/text": source})

    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo("small/text")
    assert (info.compress_type, info.compress_size < 2 << 30) == (zipfile.ZIP_DEFLATED, True)
    assert_holds(wheel, [file_of("small/text", source)])


@pytest.mark.large
@pytest.mark.parametrize(
    "count", [65_535 - 6, 65_535 - 5, pytest.param(70_000, marks=pytest.mark.nightly)]
)
def test_more_files_than_the_old_format_counts(count: int, folder: Path) -> None:
    (folder / "files").mkdir()
    sources = {}
    for number in range(count):
        path = folder / "files" / str(number)
        path.write_bytes(b"%d" % number)
        sources[f"small/{number}"] = path

    wheel = filled(folder, sources)

    written = contents(wheel)
    assert len(written) == count + 6
    assert all(written[f"small/{number}"] == b"%d" % number for number in range(count))
    assert list(written)[-1] == "small-1.0.dist-info/RECORD"
    install_with_uv(wheel, folder / "uv")
    assert len(list((folder / "uv/small").iterdir())) == count + 1


# What others make of them

_MANY = {
    "small/data/weights.bin": _RANDOM,
    "small/data/vocabulary.txt": _TEXT * 7,
    "small/data/short.txt": b"a",
    "small/data/empty": b"",
    'small/data/a, "b" c.txt': _TEXT[:1000],
    "small/data/å ∑.txt": _TEXT[:2000],
}


@pytest.fixture
def many(folder: Path) -> Path:
    """A wheel with files of all kinds."""
    sources = {}
    for number, (path, content) in enumerate(_MANY.items()):
        sources[path] = folder / f"source{number}"
        sources[path].write_bytes(content)
    return filled(folder, sources)


@pytest.mark.skipif(os.name == "nt", reason="names that Windows has no files of")
@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "zipfile", "-t", "{wheel}"],
        ["unzip", "-tqq", "{wheel}"],
        [sys.executable, "-m", "twine", "check", "--strict", "{wheel}"],
        ["check-wheel-contents", "{wheel}"],
        ["uv", "tool", "run", "wheel", "unpack", "--dest", "{out}", "{wheel}"],
    ],
    ids=["zipfile", "unzip", "twine", "check-wheel-contents", "wheel"],
)
@pytest.mark.large
def test_others_accept_the_wheel(command: list[str], many: Path, tmp_path: Path) -> None:
    filled = [part.format(wheel=many, out=tmp_path) for part in command]
    try:
        completed = subprocess.run(filled, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]}")

    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.large
@pytest.mark.skipif(os.name == "nt", reason="names that Windows has no files of")
@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-compile", "-t"],
        ["uv", "pip", "install", "-q", "--offline", "--no-cache", "--target"],
    ],
    ids=["pip", "uv"],
)
def test_installed_files_are_what_they_were(command: list[str], many: Path, tmp_path: Path) -> None:
    subprocess.run([*command, str(tmp_path / "out"), str(many)], check=True)

    installed = tmp_path / "out"
    assert {path: (installed / path).read_bytes() for path in _MANY} == _MANY


@pytest.mark.skipif(os.name == "nt", reason="names that Windows has no files of")
def test_it_is_unpacked_as_it_was(many: Path, tmp_path: Path) -> None:
    unpack(many, tmp_path / "out")

    assert {path: (tmp_path / "out" / path).read_bytes() for path in _MANY} == _MANY
    assert sum(1 for digest in tree(tmp_path / "out").values() if digest) == len(_MANY) + 6


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no second file system")  # noqa: S108
def test_files_and_wheels_may_be_on_other_file_systems(folder: Path) -> None:
    source = folder / "weights"
    source.write_bytes(_RANDOM)
    wheel = write_wheel(folder / "built", {"small/__init__.py": b"", "small/w.bin": b""})
    elsewhere = Path(f"/dev/shm/{folder.name}-{os.getpid()}")  # noqa: S108
    elsewhere.mkdir()
    target = elsewhere / wheel.name
    try:
        fill(wheel, target, {"small/w.bin": source}, finish=lambda _: {}, progress=Progress(print))
        assert contents(target)["small/w.bin"] == _RANDOM
    finally:
        shutil.rmtree(elsewhere)
