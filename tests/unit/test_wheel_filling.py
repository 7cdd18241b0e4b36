"""A wheel whose stand-ins are filled: what is in it then."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hatchling.builders.utils import normalize_file_permissions
from wheels import INFO, MODEL, assert_strict, contents, write_wheel

from hatch_model import deflate, digests
from hatch_model.log import Progress
from hatch_model.wheel import _BLOCK as BLOCK
from hatch_model.wheel import fill

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hatch_model.deflate import Compression
    from hatch_model.digests import File

_RANDOM = hashlib.shake_256(b"weights").digest(300_000) * 10
_TEXT = b"".join(b"%d words of a vocabulary\n" % number for number in range(60_000))
_CODE = {"small/__init__.py": b"", "small/main.py": b"x = 1\n"}


@pytest.fixture(params=["isal", "zlib"])
def _deflated_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setattr(deflate, "_isal", None)
    else:
        pytest.importorskip("isal")


def write_empty(folder: Path, paths: Collection[str], **other: bytes) -> Path:
    """Write a wheel as hatchling does, with empty stand-ins at *paths*."""
    files = {**_CODE, **dict.fromkeys(paths, b""), **other}
    return write_wheel(folder, files)


def filled(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    metadata: Mapping[str, bytes] | None = None,
    without: Collection[str] = (),
    compression: Compression = "auto",
    said: list[str] | None = None,
    wheel: Path | None = None,
) -> Path:
    """Fill the stand-ins of *files* in *wheel*, and give the new wheel in a folder of its own."""
    wheel = wheel or write_empty(folder / "built", files)
    before = wheel.read_bytes()
    stand_ins = {}
    for number, (path, content) in enumerate(files.items()):
        stand_ins[path] = folder / f"source{number}"
        stand_ins[path].write_bytes(content)
    target = folder / "dist" / wheel.name
    target.parent.mkdir()
    fill(
        wheel,
        target,
        stand_ins,
        without=without,
        compression=compression,
        finish=lambda _: metadata or {},
        progress=Progress((said if said is not None else []).append),
    )
    assert_strict(target)
    assert wheel.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    return target


def fill_with(wheel: Path, source: Path, path: str = "small/w.bin") -> Path:
    target = wheel.parent / "filled.whl"
    fill(wheel, target, {path: source}, finish=lambda _: {}, progress=Progress(print))
    return target


def entries(wheel: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info for info in archive.infolist()}


# What is in it


@pytest.mark.usefixtures("_deflated_by")
@pytest.mark.parametrize("compression", ["auto", "stored", "deflate"])
def test_every_file_is_what_it_was(compression: Compression, tmp_path: Path) -> None:
    files = {
        "small/data/weights.bin": _RANDOM,
        "small/data/vocabulary.txt": _TEXT,
        "small/data/one-block.bin": _RANDOM[:BLOCK],
        "small/data/one-more-byte.bin": _RANDOM[: BLOCK + 1],
        "small/data/two-blocks.txt": _TEXT[: 2 * BLOCK],
        "small/data/short.txt": b"a",
        "small/data/empty": b"",
        'small/data/a, "b" c.txt': _TEXT[:1000],
        "small/data/å ∑.txt": _TEXT[:1000],
    }

    written = contents(filled(tmp_path, files, compression=compression))

    old = contents(tmp_path / "built" / "small-1.0-py3-none-any.whl")
    record = f"{INFO}/RECORD"
    assert written == {**old, **files, record: written[record]}


def test_files_come_before_the_metadata_and_record_last(tmp_path: Path) -> None:
    files = {"small/z.bin": b"1", "small/a.bin": b"2"}

    written = filled(
        tmp_path,
        files,
        metadata={"extra_metadata/model.json": b"{1}", "sboms/new.json": b"{2}"},
    )

    expected = [
        "small/__init__.py",
        "small/main.py",
        "small/a.bin",
        "small/z.bin",
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/sboms/model.cdx.json",
        MODEL,
        f"{INFO}/sboms/new.json",
        f"{INFO}/RECORD",
    ]
    found = contents(written)
    assert list(found) == expected
    assert (found[MODEL], found[f"{INFO}/sboms/new.json"]) == (b"{1}", b"{2}")
    rows = [row[0] for row in csv.reader(io.StringIO(found[expected[-1]].decode()))]
    assert rows == [
        "small/__init__.py",
        "small/main.py",
        "small/z.bin",
        "small/a.bin",
        *expected[4:],
    ]


def test_what_a_wheel_installs_elsewhere_stays_before_the_metadata(tmp_path: Path) -> None:
    wheel = write_wheel(
        tmp_path / "built",
        {**_CODE, "small/w.bin": b"", "small-1.0.data/scripts/run": b"#!python\n"},
    )

    written = contents(filled(tmp_path, {"small/w.bin": b"1"}, wheel=wheel))

    assert list(written)[:5] == [
        "small/__init__.py",
        "small/main.py",
        "small-1.0.data/scripts/run",
        "small/w.bin",
        f"{INFO}/METADATA",
    ]


def test_entries_that_are_not_wanted_are_left_out(tmp_path: Path) -> None:
    mark = "small-1.0.data/unfinished/x"
    wheel = write_wheel(tmp_path / "built", {**_CODE, "small/w.bin": b"", mark: b"1"})

    written = filled(tmp_path, {"small/w.bin": b"1"}, without=[mark], wheel=wheel)

    assert list(contents(written)) == [
        "small/__init__.py",
        "small/main.py",
        "small/w.bin",
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/sboms/model.cdx.json",
        MODEL,
        f"{INFO}/RECORD",
    ]


def test_a_wheel_may_have_no_stand_ins(tmp_path: Path) -> None:
    written = filled(tmp_path, {}, metadata={"extra_metadata/model.json": b"{1}"})

    old = contents(tmp_path / "built" / written.name)
    found = contents(written)
    assert {path for path in found if found[path] != old[path]} == {MODEL, f"{INFO}/RECORD"}
    assert list(found) == list(old)


def test_a_file_that_nothing_stands_in_for_is_written_all_the_same(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "built", _CODE)

    assert contents(filled(tmp_path, {"small/w.bin": b"1"}, wheel=wheel))["small/w.bin"] == b"1"


def test_metadata_is_made_from_what_was_read(tmp_path: Path) -> None:
    wheel = write_empty(tmp_path / "built", ["small/w.bin", "small/v.bin"])
    (tmp_path / "weights").write_bytes(_RANDOM)
    (tmp_path / "small").write_bytes(b"1")
    seen: dict[str, File] = {}

    def finish(files: Mapping[str, File]) -> dict[str, bytes]:
        seen.update(files)
        return {"extra_metadata/model.json": files["small/w.bin"].sha256.encode()}

    fill(
        wheel,
        tmp_path / "new.whl",
        {"small/w.bin": tmp_path / "weights", "small/v.bin": tmp_path / "small"},
        finish=finish,
        progress=Progress(print),
    )

    digest = hashlib.sha256(_RANDOM).hexdigest()
    assert seen == {
        "small/v.bin": digests.file_of("small/v.bin", tmp_path / "small"),
        "small/w.bin": digests.file_of("small/w.bin", tmp_path / "weights"),
    }
    assert contents(tmp_path / "new.whl")[MODEL] == digest.encode()


def test_metadata_that_a_package_ships_of_others_is_left_alone(tmp_path: Path) -> None:
    vendored = "small/_vendor/other-1.0.dist-info/RECORD"
    wheel = write_wheel(
        tmp_path / "built", {**_CODE, vendored: b"other/__init__.py,,\n", "small/w.bin": b""}
    )

    written = contents(filled(tmp_path, {"small/w.bin": b"1"}, wheel=wheel))

    assert written[vendored] == b"other/__init__.py,,\n"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("is_model", [False, True])
def test_an_archive_as_the_last_file_is_not_taken_for_the_wheel_itself(
    compression: int, tmp_path: Path, *, is_model: bool
) -> None:
    """Many formats of weights are ZIP archives, and deflating leaves what is random as it is."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("arr_0.npy", hashlib.shake_256(b"weights").digest(70_000))
        archive.comment = hashlib.shake_256(b"comment").digest(60_000)
    content = inner.getvalue()
    files = {**_CODE, "zz/w.npz": b"" if is_model else content}
    wheel = write_wheel(tmp_path / "dist0", files, compression)

    written = filled(tmp_path, {"zz/w.npz": content} if is_model else {}, wheel=wheel)

    assert contents(written)["zz/w.npz"] == content
    assert "arr_0.npy" not in contents(written)


# How hatchling's entries are


def test_entries_of_hatchlings_are_copied_byte_by_byte(tmp_path: Path) -> None:
    """Among them ones that zipfile would write in another way."""
    names = ["small/w.bin"]
    files = {**_CODE, "small/text.txt": _TEXT, "small/w.bin": b"", "small/å.bin": _RANDOM[:999]}
    wheel = write_wheel(tmp_path / "built", files)

    written = filled(tmp_path, dict.fromkeys(names, b"1"), wheel=wheel)

    old, new, kept = entries(wheel), entries(written), [name for name in files if name not in names]
    data = [(wheel.read_bytes(), old), (written.read_bytes(), new)]
    for name in kept:
        before, after = (
            content[info[name].header_offset :][
                : 30 + len(name.encode()) + info[name].compress_size
            ]
            for content, info in data
        )
        assert before == after
        assert before.startswith(b"PK\3\4")


def test_entries_keep_their_times_modes_and_compression(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "plain", {**_CODE, "small/tool": b"#!\n" * 99})
    other = tmp_path / "built.whl"
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(other, "w") as changed:
        for number, info in enumerate(archive.infolist()):
            copy = zipfile.ZipInfo(info.filename, (2020 + number, 1, 2, 3, 4, 6))
            copy.external_attr = (stat.S_IFREG | (0o755 if number % 2 else 0o644)) << 16
            kind = zipfile.ZIP_STORED if number % 3 else zipfile.ZIP_DEFLATED
            changed.writestr(copy, archive.read(info), compress_type=kind)

    target = tmp_path / "new.whl"
    fill(
        other,
        target,
        {},
        finish=lambda _: {"extra_metadata/model.json": b"other\n"},
        progress=Progress(print),
    )

    names = ["filename", "date_time", "external_attr", "create_system", "compress_type"]
    before, after = (
        [[getattr(info, name) for name in names] for info in entries(path).values()]
        for path in (other, target)
    )
    assert after == before
    assert contents(target)[MODEL] == b"other\n"


def test_large_entries_of_hatchlings_are_never_held_in_memory(tmp_path: Path) -> None:
    weights = b"\0" * (64 << 20)
    wheel = write_wheel(tmp_path / "built", {"small/w.bin": weights}, zipfile.ZIP_STORED)
    tracemalloc.start()
    try:
        fill(wheel, tmp_path / "new.whl", {}, finish=lambda _: {}, progress=Progress(print))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 12 << 20
    with zipfile.ZipFile(tmp_path / "new.whl") as archive:
        assert archive.testzip() is None
        assert archive.read("small/w.bin") == weights


# How the model's entries are


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
@pytest.mark.parametrize("size", [1, BLOCK + 1])
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o700, 0o755, 0o711, 0o4755, 0o400, 0o611])
def test_modes_and_times_are_those_that_hatchling_writes(
    mode: int, size: int, tmp_path: Path
) -> None:
    source = tmp_path / "tool"
    source.write_bytes(bytes(size))
    source.chmod(mode)
    wheel = write_empty(tmp_path / "built", ["small/tool"])

    found = entries(fill_with(wheel, source, "small/tool"))

    expected = normalize_file_permissions(source.stat().st_mode) & (stat.S_IFREG | 0o777)
    assert found["small/tool"].external_attr == expected << 16
    assert found["small/tool"].date_time == (2020, 2, 2, 0, 0, 0)
    assert found["small/tool"].create_system == found["small/__init__.py"].create_system


@pytest.mark.usefixtures("_deflated_by")
def test_only_what_shrinks_is_deflated(tmp_path: Path) -> None:
    files = {"weights.bin": _RANDOM, "vocabulary.txt": _TEXT, "a.txt": b"a", "empty": b""}

    written = entries(filled(tmp_path, files))

    assert {path: written[path].compress_type == zipfile.ZIP_DEFLATED for path in files} == {
        "weights.bin": False,
        "vocabulary.txt": True,
        "a.txt": False,
        "empty": False,
    }


@pytest.mark.parametrize(
    ("compression", "size", "deflated"),
    [
        *(("auto", BLOCK, True), ("auto", BLOCK + 1, True)),
        *(("stored", BLOCK, False), ("stored", BLOCK + 1, False)),
        *(("deflate", BLOCK, True), ("deflate", BLOCK + 1, True)),
    ],
)
def test_the_setting_decides_for_small_and_large_files_alike(
    compression: Compression,
    size: int,
    deflated: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    written = entries(filled(tmp_path, {"a.txt": _TEXT[:size]}, compression=compression))

    assert (written["a.txt"].compress_type == zipfile.ZIP_DEFLATED) is deflated


def test_a_sample_is_not_only_a_files_head(tmp_path: Path) -> None:
    files = {"header.bin": _TEXT[: 1 << 16] + _RANDOM, "text.bin": _RANDOM[:5000] + _TEXT * 2}

    written = entries(filled(tmp_path, files))

    assert written["header.bin"].compress_type == zipfile.ZIP_STORED
    assert written["text.bin"].compress_type == zipfile.ZIP_DEFLATED


@pytest.mark.usefixtures("_deflated_by")
@pytest.mark.parametrize("size", [1000, len(_RANDOM)])
def test_deflating_never_makes_a_file_larger(size: int, tmp_path: Path) -> None:
    written = entries(filled(tmp_path, {"w.bin": _RANDOM[:size]}, compression="deflate"))

    assert written["w.bin"].compress_size == size


@pytest.mark.usefixtures("_deflated_by")
@pytest.mark.parametrize("compression", ["auto", "deflate"])
def test_what_an_index_would_take_for_a_bomb_is_stored(
    compression: Compression, tmp_path: Path
) -> None:
    """PyPI refuses more than 50 times the size."""
    said: list[str] = []

    written = filled(tmp_path, {"zeros.bin": bytes(1 << 20)}, compression=compression, said=said)

    assert written.stat().st_size > 1 << 20
    (line,) = said
    assert line == (
        "storing zeros.bin uncompressed: compressed to less than a fortieth of its size, it would "
        "look like a decompression bomb to package indexes"
    )


@pytest.mark.usefixtures("_deflated_by")
def test_the_number_of_cores_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"a.txt": _TEXT, "b.bin": _RANDOM, "c.txt": _TEXT[::-1], "d.txt": _TEXT[:1000]}
    written = []
    for cores in (1, 2, 7, 64):
        monkeypatch.setattr(digests, "cores", lambda cores=cores: cores)
        (tmp_path / str(cores)).mkdir()
        written.append(filled(tmp_path / str(cores), files).read_bytes())

    assert digests.cores() >= 1
    assert len(set(written)) == 1


@pytest.mark.usefixtures("_deflated_by")
def test_memory_stays_flat(tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(_TEXT * 40)
    wheel = write_empty(tmp_path / "built", ["large"])
    tracemalloc.start()
    try:
        fill_with(wheel, source, "large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert source.stat().st_size > 60_000_000
    assert peak < 24 << 20


def test_what_is_being_written_is_told(tmp_path: Path) -> None:
    wheel = write_empty(tmp_path / "built", ["small/a", "small/b", "small/w.bin"])
    sources = {"small/a": b"1", "small/b": b"22", "small/w.bin": _RANDOM}
    for path, content in sources.items():
        (tmp_path / Path(path).name).write_bytes(content)
    said: list[str] = []

    fill(
        wheel,
        tmp_path / "new.whl",
        {path: tmp_path / Path(path).name for path in sources},
        finish=lambda _: {},
        progress=Progress(said.append, clock=lambda: 100.0, seconds=0),
    )

    assert said[:2] == [
        "writing 2 small files: 1 of 3 bytes, 1000 bytes/s",
        "writing 2 small files: 3 of 3 bytes, 2.9 KiB/s",
    ]
    assert said[-1] == "writing small/w.bin: 2.9 of 2.9 MiB, 2.8 GiB/s"


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_the_new_wheel_has_the_mode_of_the_old_one(tmp_path: Path) -> None:
    wheel = write_empty(tmp_path / "built", ["w"])
    wheel.chmod(0o640)

    assert stat.S_IMODE(filled(tmp_path, {"w": b"1"}, wheel=wheel).stat().st_mode) == 0o640


def test_a_read_only_file_is_written(tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.write_bytes(_RANDOM)
    source.chmod(0o444)
    wheel = write_empty(tmp_path / "built", ["small/w.bin"])

    assert contents(fill_with(wheel, source))["small/w.bin"] == _RANDOM


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    files = {"small/w.bin": _RANDOM, "small/a": b"1"}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    one, two = (filled(tmp_path / name, files).read_bytes() for name in ("one", "two"))

    assert one == two


# What others make of it


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
def test_others_read_the_wheel(command: list[str], tmp_path: Path) -> None:
    wheel = filled(
        tmp_path,
        {"small/w.bin": _RANDOM, "small/a.txt": _TEXT[:1000]},
        metadata={"extra_metadata/model.json": b"other\n"},
    )

    completed_command = [part.format(wheel=wheel, out=tmp_path / "out") for part in command]
    try:
        completed = subprocess.run(completed_command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]}")

    assert completed.returncode == 0, completed.stdout + completed.stderr
    if (tmp_path / "out").exists():
        assert (tmp_path / "out" / MODEL).read_bytes() == b"other\n"
        assert (tmp_path / "out" / "small/w.bin").read_bytes() == _RANDOM
