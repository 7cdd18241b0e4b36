"""Files added to a finished wheel: what is in it then."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from hatchling.builders.utils import normalize_file_permissions
from wheels import INFO, MODEL, assert_strict, contents, write_wheel

from hatch_model import _digests
from hatch_model._archives import LARGE, Member, _deflating, add_files, upload_notice
from hatch_model._archives._reading import BLOCK
from hatch_model._progress import Progress
from hatch_model.errors import DuplicateFileError, ReservedPathError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_model._archives import Compression
    from hatch_model._digests import File

_RANDOM = hashlib.shake_256(b"weights").digest(300_000) * 10
_TEXT = b"".join(b"%d words of a vocabulary\n" % number for number in range(60_000))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "built", {"small/__init__.py": b"", "small/main.py": b"x = 1\n"})


@pytest.fixture(params=["isal", "zlib"])
def _deflated_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setattr(_deflating, "_isal", None)
    else:
        pytest.importorskip("isal")


def add(
    wheel: Path,
    files: Mapping[str, bytes],
    *,
    metadata: Mapping[str, bytes] | None = None,
    compression: Compression = "auto",
    said: list[str] | None = None,
) -> Path:
    """Add *files* to *wheel*, and give the new wheel in a folder beside it."""
    folder = wheel.parent.parent
    members = []
    for number, (path, content) in enumerate(files.items()):
        source = folder / f"source{number}"
        source.write_bytes(content)
        members.append(Member(path=path, source=source))
    target = folder / "dist" / wheel.name
    target.parent.mkdir(exist_ok=True)
    progress = Progress((said if said is not None else []).append)
    add_files(
        wheel,
        target,
        members,
        compression=compression,
        finish=lambda _: metadata or {},
        progress=progress,
    )
    assert_strict(target)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    return target


def entries(wheel: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info for info in archive.infolist()}


@pytest.mark.usefixtures("_deflated_by")
@pytest.mark.parametrize("compression", ["auto", "stored", "deflate"])
def test_every_file_is_what_it_was(compression: Compression, wheel: Path) -> None:
    added = {
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

    written = contents(add(wheel, added, compression=compression))

    assert {path: written[path] for path in added} == added
    assert {path: written[path] for path in contents(wheel) if path != f"{INFO}/RECORD"} == {
        path: content for path, content in contents(wheel).items() if path != f"{INFO}/RECORD"
    }


def test_files_come_before_the_metadata_and_record_last(wheel: Path) -> None:
    added = {"small/z.bin": b"1", "small/a.bin": b"2"}

    written = add(wheel, added, metadata={MODEL: b"{1}", f"{INFO}/sboms/new.json": b"{2}"})

    expected = [
        "small/__init__.py",
        "small/main.py",
        "small/z.bin",
        "small/a.bin",
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/sboms/model.cdx.json",
        MODEL,
        f"{INFO}/sboms/new.json",
        f"{INFO}/RECORD",
    ]
    found = contents(written)
    assert list(found) == expected
    assert [row[0] for row in csv.reader(io.StringIO(found[expected[-1]].decode()))] == expected
    assert (found[MODEL], found[f"{INFO}/sboms/new.json"]) == (b"{1}", b"{2}")


def test_what_a_wheel_installs_elsewhere_stays_before_the_metadata(tmp_path: Path) -> None:
    wheel = write_wheel(
        tmp_path / "built", {"small/__init__.py": b"", "small-1.0.data/scripts/run": b"#!python\n"}
    )

    written = contents(add(wheel, {"small/w.bin": b"1"}))

    assert list(written)[:4] == [
        "small/__init__.py",
        "small-1.0.data/scripts/run",
        "small/w.bin",
        f"{INFO}/METADATA",
    ]


def test_the_metadata_is_made_from_what_was_read(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(_RANDOM)
    seen: dict[str, File] = {}

    def finish(files: Mapping[str, File]) -> dict[str, bytes]:
        seen.update(files)
        return {MODEL: files["small/w.bin"].sha256.encode()}

    add_files(
        wheel,
        wheel,
        [Member(path="small/w.bin", source=tmp_path / "weights")],
        finish=finish,
        progress=Progress(print),
    )

    digest = hashlib.sha256(_RANDOM).hexdigest()
    (file,) = seen.values()
    assert (file.path, file.sha256, file.size) == ("small/w.bin", digest, len(_RANDOM))
    assert contents(wheel)[MODEL] == digest.encode()


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o700, 0o755, 0o711, 0o4755, 0o400, 0o611])
def test_modes_and_times_are_those_that_hatchling_writes(
    mode: int, wheel: Path, tmp_path: Path
) -> None:
    source = tmp_path / "tool"
    source.write_bytes(b"1")
    source.chmod(mode)
    members = [Member(path="small/tool", source=source)]

    add_files(wheel, wheel, members, finish=lambda _: {}, progress=Progress(print))

    entry = entries(wheel)["small/tool"]
    expected = normalize_file_permissions(source.stat().st_mode) & (stat.S_IFREG | 0o777)
    assert entry.external_attr == expected << 16
    assert entry.date_time == (2020, 2, 2, 0, 0, 0)
    assert entry.create_system == entries(wheel)["small/__init__.py"].create_system


@pytest.mark.usefixtures("_deflated_by")
def test_only_what_shrinks_is_deflated(wheel: Path) -> None:
    added = {"weights.bin": _RANDOM, "vocabulary.txt": _TEXT, "a.txt": b"a", "empty": b""}

    written = entries(add(wheel, added))

    assert {path: written[path].compress_type == zipfile.ZIP_DEFLATED for path in added} == {
        "weights.bin": False,
        "vocabulary.txt": True,
        "a.txt": False,
        "empty": False,
    }


def test_a_sample_is_not_only_a_files_head(wheel: Path) -> None:
    added = {"header.bin": _TEXT[: 1 << 16] + _RANDOM, "text.bin": _RANDOM[:5000] + _TEXT * 2}

    written = entries(add(wheel, added))

    assert written["header.bin"].compress_type == zipfile.ZIP_STORED
    assert written["text.bin"].compress_type == zipfile.ZIP_DEFLATED


@pytest.mark.usefixtures("_deflated_by")
def test_deflating_never_makes_a_file_larger(wheel: Path) -> None:
    written = entries(add(wheel, {"w.bin": _RANDOM}, compression="deflate"))

    assert written["w.bin"].compress_size == len(_RANDOM)


@pytest.mark.usefixtures("_deflated_by")
@pytest.mark.parametrize("compression", ["auto", "deflate"])
def test_what_an_index_would_take_for_a_bomb_is_stored(
    compression: Compression, wheel: Path
) -> None:
    """PyPI refuses more than 50 times the size."""
    said: list[str] = []

    written = add(wheel, {"zeros.bin": bytes(LARGE)}, compression=compression, said=said)

    assert written.stat().st_size > LARGE
    (line,) = said
    assert line == (
        "storing zeros.bin as it is: deflated to less than a fortieth, it would look like a "
        "decompression bomb to package indexes"
    )


@pytest.mark.usefixtures("_deflated_by")
def test_the_number_of_cores_changes_nothing(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = {"a.txt": _TEXT, "b.bin": _RANDOM, "c.txt": _TEXT[::-1]}
    written = []
    for cores in (1, 2, 7, 64):
        monkeypatch.setattr(_deflating, "cores", lambda cores=cores: cores)
        written.append(add(wheel, added).read_bytes())

    assert _digests.cores() >= 1
    assert len(set(written)) == 1


@pytest.mark.usefixtures("_deflated_by")
def test_memory_stays_flat(wheel: Path, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(_TEXT * 40)
    members = [Member(path="large", source=source)]
    tracemalloc.start()
    try:
        add_files(wheel, wheel, members, finish=lambda _: {}, progress=Progress(print))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert source.stat().st_size > 60_000_000
    assert peak < 24 << 20


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_the_new_wheel_has_the_mode_of_the_old_one(wheel: Path) -> None:
    wheel.chmod(0o640)

    assert stat.S_IMODE(add(wheel, {"w": b"1"}).stat().st_mode) == 0o640


def test_a_read_only_file_is_added(wheel: Path, tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.write_bytes(_RANDOM)
    source.chmod(0o444)
    members = [Member(path="small/w.bin", source=source)]

    add_files(wheel, wheel, members, finish=lambda _: {}, progress=Progress(print))

    assert contents(wheel)["small/w.bin"] == _RANDOM


def test_a_path_that_the_wheel_has_is_refused(wheel: Path) -> None:
    before = wheel.read_bytes()

    with pytest.raises(DuplicateFileError) as caught:
        add(wheel, {"small/main.py": b"2"})

    assert str(caught.value) == (
        "a second file is being added to small-1.0-py3-none-any.whl at the same path: "
        "small/main.py. Something else ships a file there, most likely a `force-include` or "
        "`shared-data` table: take it out, or have training write under another name."
    )
    assert wheel.read_bytes() == before
    assert not any((wheel.parent.parent / "dist").iterdir())


def test_a_path_given_twice_is_refused(wheel: Path, tmp_path: Path) -> None:
    members = [Member(path="a", source=tmp_path / "a")] * 2
    (tmp_path / "a").touch()

    with pytest.raises(DuplicateFileError):
        add_files(wheel, wheel, members, finish=lambda _: {}, progress=Progress(print))


@pytest.mark.parametrize(
    "path", [f"{INFO}/METADATA", "other-2.0.dist-info/x", "small-1.0.data/x/y"]
)
def test_a_path_that_means_something_to_installers_is_refused(path: str, wheel: Path) -> None:
    with pytest.raises(ReservedPathError) as caught:
        add(wheel, {path: b"2"})

    assert str(caught.value) == (
        f"{path} cannot be a file of the model: installers take what is below "
        f"{path.partition('/')[0]} for something else. Choose another `artifacts` folder."
    )


def test_a_wheel_that_indexes_may_refuse_is_told_of(tmp_path: Path) -> None:
    wheel = tmp_path / "small-1.0-py3-none-any.whl"
    with wheel.open("wb") as stream:
        stream.truncate(100 << 20)
    assert upload_notice(wheel) is None

    with wheel.open("ab") as stream:
        stream.truncate(1200 << 20)
    assert upload_notice(wheel) == (
        "small-1.0-py3-none-any.whl has 1.2 GiB: PyPI takes 100.0 MiB a file unless it was asked "
        "for more, and other indexes have limits, too"
    )
