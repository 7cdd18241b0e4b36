"""Files added to a source distribution."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import subprocess
import sys
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hatchling.builders.sdist import SdistBuilder
from support import tree

from hatch_model._archives import Member, _deflating, _reading, add_files_to_sdist
from hatch_model._archives._reading import BLOCK
from hatch_model._progress import Progress
from hatch_model.errors import DuplicateFileError, FileChangedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_model._archives import Compression
    from hatch_model._digests import File

_RANDOM = hashlib.shake_256(b"weights").digest(1_000_000)
_TEXT = b"".join(b"%d words of a vocabulary\n" % number for number in range(60_000))
_ADDED = {
    "src/small/data/weights.bin": _RANDOM,
    "src/small/data/vocabulary.txt": _TEXT,
    "src/small/data/block.txt": _TEXT[:BLOCK],
    "src/small/data/empty": b"",
    "src/small/data/short, å.txt": b"a",
    f"src/small/data/{'long' * 40}/name.bin": b"b" * 512,
}
_PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "small"
version = "1.0"
"""


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    """A source distribution by hatchling."""
    project = tmp_path / "project"
    (project / "src/small").mkdir(parents=True)
    (project / "src/small/__init__.py").write_text("x = 1\n")
    (project / "src/small/å.txt").write_text("1\n")
    (project / "pyproject.toml").write_text(_PYPROJECT)
    builder = SdistBuilder(str(project))
    (built,) = builder.build(directory=str(tmp_path / "built"), versions=["standard"])
    return tmp_path / "built" / os.path.basename(built)  # noqa: PTH119


def add(
    sdist: Path,
    files: Mapping[str, bytes],
    *,
    further: Mapping[str, bytes] | None = None,
    compression: Compression = "auto",
    mode: int = 0o644,
) -> Path:
    """Add *files* to *sdist*, and give the new one in a folder beside it."""
    folder = sdist.parent.parent
    members = []
    for number, (path, content) in enumerate(files.items()):
        source = folder / f"source{number}"
        source.write_bytes(content)
        source.chmod(mode)
        members.append(Member(path=path, source=source))
    target = folder / "dist" / sdist.name
    target.parent.mkdir(exist_ok=True)
    add_files_to_sdist(
        sdist,
        target,
        members,
        compression=compression,
        finish=lambda _: further or {},
        progress=Progress(print),
    )
    return target


def contents(sdist: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(sdist) as archive:
        for info in archive:
            stream = archive.extractfile(info)
            assert stream is not None
            found[info.name] = stream.read()
    return found


@pytest.fixture(params=["isal", "zlib"])
def _deflated_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setattr(_deflating, "_isal", None)
    else:
        pytest.importorskip("isal")


@pytest.mark.usefixtures("_deflated_by")
@pytest.mark.parametrize("compression", ["auto", "stored", "deflate"])
def test_every_file_is_what_it_was(compression: Compression, sdist: Path) -> None:
    before = contents(sdist)

    after = contents(add(sdist, _ADDED, further={"model.json": b"{}"}, compression=compression))

    assert list(before) == [
        "small-1.0/src/small/__init__.py",
        "small-1.0/src/small/å.txt",
        "small-1.0/pyproject.toml",
        "small-1.0/PKG-INFO",
    ]
    assert list(after.items()) == [
        *before.items(),
        *((f"small-1.0/{path}", content) for path, content in _ADDED.items()),
        ("small-1.0/model.json", b"{}"),
    ]


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
@pytest.mark.parametrize(("mode", "written"), [(0o600, 0o644), (0o711, 0o755)])
def test_headers_are_as_hatchling_writes_them(mode: int, written: int, sdist: Path) -> None:
    after = add(sdist, {"w.bin": b"1"}, further={"model.json": b"{}"}, mode=mode)

    with tarfile.open(after) as archive:
        infos = {info.name.partition("/")[2]: info for info in archive}
    assert {
        name: (info.mtime, info.uid, info.gid) for name, info in infos.items()
    } == dict.fromkeys(infos, (1580601600, 0, 0))
    assert {info.uname + info.gname for info in infos.values()} == {""}
    assert {name: stat.filemode(info.mode) for name, info in infos.items()} == {
        **dict.fromkeys(infos, "?rw-r--r--"),
        "w.bin": stat.filemode(written),
    }


def test_it_is_one_gzip_member_with_hatchlings_time_and_no_name(sdist: Path) -> None:
    compressed = add(sdist, _ADDED).read_bytes()

    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    archive = decompressor.decompress(compressed)
    assert decompressor.eof
    assert decompressor.unused_data == b""
    assert len(archive) % tarfile.RECORDSIZE == 0
    assert compressed[:8] == sdist.read_bytes()[:8]
    assert compressed[3] == 0


def test_weights_are_stored_and_text_is_deflated(sdist: Path) -> None:
    before = sdist.stat().st_size

    assert add(sdist, {"w.bin": _RANDOM}).stat().st_size < before + len(_RANDOM) * 1.001 + 200
    assert add(sdist, {"w.txt": _TEXT}).stat().st_size < before + len(_TEXT) / 3


@pytest.mark.usefixtures("_deflated_by")
def test_the_number_of_cores_changes_nothing(sdist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    for cores in (1, 2, 64):
        monkeypatch.setattr(_deflating, "cores", lambda cores=cores: cores)
        written.append(add(sdist, _ADDED).read_bytes())

    assert len(set(written)) == 1


def test_further_files_are_made_from_what_was_read(sdist: Path, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(_RANDOM)

    def finish(files: Mapping[str, File]) -> dict[str, bytes]:
        return {"digest": files["w.bin"].sha256.encode()}

    members = [Member(path="w.bin", source=tmp_path / "w")]
    add_files_to_sdist(sdist, sdist, members, finish=finish, progress=Progress(print))

    assert contents(sdist)["small-1.0/digest"] == hashlib.sha256(_RANDOM).hexdigest().encode()


@pytest.mark.parametrize(
    ("added", "further"),
    [({"PKG-INFO": b""}, {}), ({"a": b""}, {"a": b""}), ({}, {"PKG-INFO": b""})],
)
def test_a_second_file_of_a_path_is_refused(
    added: Mapping[str, bytes], further: Mapping[str, bytes], sdist: Path
) -> None:
    before = tree(sdist.parent)

    with pytest.raises(DuplicateFileError):
        add(sdist, added, further=further)

    assert tree(sdist.parent) == before
    assert not any((sdist.parent.parent / "dist").iterdir())


def test_a_file_that_changes_is_refused(
    sdist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "w"
    weights.write_bytes(_RANDOM)
    before = tree(sdist.parent)
    fill = _reading._fill

    def shrinking(*arguments: object) -> int:
        os.truncate(weights, 5)
        return fill(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(_reading, "_fill", shrinking)
    members = [Member(path="w.bin", source=weights)]
    with pytest.raises(FileChangedError):
        add_files_to_sdist(sdist, sdist, members, finish=lambda _: {}, progress=Progress(print))

    assert tree(sdist.parent) == before


@pytest.mark.parametrize("command", [["tar", "tzf"], ["gzip", "-t"]], ids=["tar", "gzip"])
def test_others_read_it(command: list[str], sdist: Path) -> None:
    try:
        completed = subprocess.run(
            [*command, str(add(sdist, _ADDED))], check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]}")

    assert (completed.returncode, completed.stderr) == (0, "")


@pytest.mark.large
@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-index", "-t"],
        ["uv", "pip", "install", "-q", "--no-build-isolation", "--no-cache", "--target"],
    ],
    ids=["pip", "uv"],
)
def test_it_is_installed_as_it_was(command: list[str], sdist: Path, tmp_path: Path) -> None:
    written = add(sdist, _ADDED)

    subprocess.run([*command, str(tmp_path / "out"), str(written)], check=True)

    installed = tmp_path / "out"
    assert {path: (installed / path[4:]).read_bytes() for path in _ADDED} == _ADDED


@pytest.mark.large
def test_a_file_of_more_than_8_gib(sdist: Path, tmp_path: Path) -> None:
    """More than a header of old tar has digits for; and the trailer counts modulo 4 GiB."""
    size = (8 << 30) + 5
    with (tmp_path / "w").open("wb") as stream:
        stream.truncate(size)
    members = [Member(path="w.bin", source=tmp_path / "w")]

    add_files_to_sdist(
        sdist, sdist, members, finish=lambda _: {"z": b"1"}, progress=Progress(print)
    )

    assert sdist.stat().st_size < 1 << 28
    with gzip.open(sdist) as unpacked, tarfile.TarFile(fileobj=unpacked) as archive:
        assert [(info.name, info.size) for info in archive][-2:] == [
            ("small-1.0/w.bin", size),
            ("small-1.0/z", 1),
        ]
