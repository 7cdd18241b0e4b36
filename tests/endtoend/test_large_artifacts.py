"""Artifacts that are too large for hatchling's writer are in the wheel like all others."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from models import run
from support import ModelProject, Surroundings, tree, unpack

if TYPE_CHECKING:
    from support import Built

_PYTHON = sys.executable
# One file that is stored, one that is deflated, one that hatchling packs.
_MAIN = """
import os
from pathlib import Path


def train(output_dir: Path):
    (output_dir / "deep").mkdir(parents=True, exist_ok=True)
    (output_dir / "deep" / "random.bin").write_bytes(os.urandom(9 << 20))
    (output_dir / "text.txt").write_bytes(
        b"".join(b"%d setosa, versicolor or virginica?\\n" % n for n in range(300_000))
    )
    (output_dir / "small.txt").write_text("0.5")
    return {"accuracy": 0.75}


def check():
    data = Path(__file__).parent / "data"
    return {file.name: file.stat().st_size for file in sorted(data.rglob("*.*"))}
"""
_TRAIN = '[tool.hatch.build.hooks.model]\ntrain = "small.main:train"\n'
_RENAMED = """
[tool.hatch.build.targets.wheel]
only-include = ["src/small"]
sources = { "src/small" = "renamed" }
"""
_FORCED = """
[tool.hatch.build.targets.wheel.force-include]
"other.txt" = "small/data/text.txt"
"""
_MODEL = [
    "small/__init__.py",
    "small/data/deep/random.bin",
    "small/data/small.txt",
    "small/data/text.txt",
    "small/main.py",
]


@pytest.fixture
def large(project: ModelProject) -> ModelProject:
    """A project with large artifacts."""
    project.write("src/small/main.py", _MAIN)
    return project


def entries(built: Built) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(built.wheel.path) as archive:
        assert archive.testzip() is None
        return {info.filename: info for info in archive.infolist()}


def test_large_artifacts_are_packed_recorded_and_verified(
    large: ModelProject, surroundings: Surroundings
) -> None:
    built = large.build(surroundings)

    assert built.wheel.files == _MODEL
    found = entries(built)
    infos = ["small-0.1.0.dist-info/" in name for name in found]
    assert infos == sorted(infos)
    assert list(found)[-1] == "small-0.1.0.dist-info/RECORD"
    assert found["small/data/deep/random.bin"].compress_type == zipfile.ZIP_STORED
    assert found["small/data/text.txt"].compress_type == zipfile.ZIP_DEFLATED
    record = json.loads(built.wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert [(each["path"], each["size"]) for each in record["artifacts"]] == [
        (path, found[path].file_size) for path in _MODEL if "/data/" in path
    ]
    with zipfile.ZipFile(built.wheel.path) as archive:
        for each in record["artifacts"]:
            content = archive.read(each["path"])
            assert hashlib.sha256(content).hexdigest() == each["sha256"]
    assert run("verify", built.wheel.path).err == "small 0.1.0: nothing differs\n"
    assert [path.name for path in built.out.iterdir() if path.suffix == ".whl"] == [
        built.wheel.path.name
    ]
    assert list(surroundings.temporary.iterdir()) == []


@pytest.mark.parametrize("compression", ["stored", "deflate"])
def test_compression_can_be_chosen(
    compression: str, large: ModelProject, surroundings: Surroundings
) -> None:
    large.replace("pyproject.toml", (_TRAIN, f'{_TRAIN}compression = "{compression}"\n'))

    found = entries(large.build(surroundings))

    expected = zipfile.ZIP_STORED if compression == "stored" else zipfile.ZIP_DEFLATED
    assert found["small/data/text.txt"].compress_type == expected


def test_a_check_sees_large_artifacts_and_its_result_is_recorded(
    large: ModelProject, surroundings: Surroundings
) -> None:
    large.replace("pyproject.toml", (_TRAIN, f'{_TRAIN}check = "small.main:check"\nsbom = true\n'))

    built = large.build(surroundings)

    found = entries(built)
    record = json.loads(built.wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert record["check"]["result"] == {
        "random.bin": 9 << 20,
        "small.txt": 3,
        "text.txt": found["small/data/text.txt"].file_size,
    }
    bom = json.loads(built.wheel.read("small-0.1.0.dist-info/sboms/model.cdx.json"))
    assert [each["name"] for each in bom["metadata"]["component"]["components"]] == [
        path for path in _MODEL if "/data/" in path
    ]
    assert run("verify", built.wheel.path).err == "small 0.1.0: nothing differs\n"


def test_what_training_wrote_into_the_tree_ships_once(
    large: ModelProject, surroundings: Surroundings
) -> None:
    """hatchling selects the files, since git does not ignore them."""
    large.replace(
        "src/small/main.py",
        ("output_dir: Path", ""),
        ("    (output_dir /", '    output_dir = Path(__file__).parent / "data"\n    (output_dir /'),
    )
    before = tree(large.folder)
    for _ in range(2):
        built = large.build(surroundings)

        assert tree(large.folder) == before
        assert built.wheel.files == _MODEL
        assert "hatch-model: warning" not in built.output
        assert run("verify", built.wheel.path).err == "small 0.1.0: nothing differs\n"


def test_sources_move_large_artifacts_as_they_move_all(
    large: ModelProject, surroundings: Surroundings
) -> None:
    large.replace(
        "pyproject.toml",
        (_TRAIN, _TRAIN.replace("small.main", "renamed.main")),
        ("[tool.hatch.metadata", f"{_RENAMED}\n[tool.hatch.metadata"),
    )

    built = large.build(surroundings)

    assert built.wheel.files == [path.replace("small/", "renamed/", 1) for path in _MODEL]


def test_a_file_that_something_else_ships_at_the_same_place_is_an_error(
    large: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    large.write("other.txt", "text")
    large.replace(
        "pyproject.toml",
        ("[tool.hatch.metadata", f"{_FORCED}\n[tool.hatch.metadata"),
    )

    refused = large.build(surroundings, check=False)

    assert refused.completed.returncode != 0
    assert (
        "hatch-model: error: a second file is being added to the wheel at the same path: "
        "small/data/text.txt. " in refused.output
    )
    assert not list((tmp_path / "dist").glob("**/*whl*"))


def test_a_source_that_is_the_same_file_on_other_systems_is_an_error(
    large: ModelProject, surroundings: Surroundings
) -> None:
    large.write("src/small/data/Text.TXT", "text")

    refused = large.build(surroundings, check=False)

    assert refused.completed.returncode != 0
    assert (
        "hatch-model: error: training wrote `small/data/text.txt`, and the wheel ships "
        "`small/data/Text.TXT` as well, which is the same file on macOS and Windows. Give one of them "
        "another name.\n" in refused.output
    )


def test_an_unchanged_model_makes_the_same_wheel(
    large: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    large.replace("pyproject.toml", (_TRAIN, f"{_TRAIN}inputs = []\n"))

    one = large.build(surroundings).wheel.path.read_bytes()
    other = large.build(surroundings, "uv build", out=tmp_path / "other").wheel.path.read_bytes()

    assert one == other


def test_a_trained_sdist_carries_large_artifacts(
    large: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    large.replace("pyproject.toml", (_TRAIN, f'{_TRAIN}sdist = "trained"\n'))

    built = large.build(surroundings, "uv build")

    assert built.wheel.files == _MODEL
    assert run("verify", built.wheel.path).err == "small 0.1.0: nothing differs\n"
    unpacked = unpack(built.sdist, tmp_path / "unpacked")
    content = (unpacked.folder / "src/small/data/deep/random.bin").read_bytes()
    with zipfile.ZipFile(built.wheel.path) as archive:
        assert archive.read("small/data/deep/random.bin") == content

    for number, command in enumerate([["uv", "pip", "install"], [_PYTHON, "-m", "pip", "install"]]):
        target = tmp_path / f"installed{number}"
        surroundings.run(*command, "--no-deps", "--target", target, built.sdist, cwd=tmp_path)
        assert (target / "small/data/deep/random.bin").read_bytes() == content

    with (unpacked.folder / "src/small/data/deep/random.bin").open("r+b") as file:
        file.write(b"changed")
    refused = unpacked.build(surroundings, check=False, out=tmp_path / "refused")
    assert "was trained:\n  small/data/deep/random.bin: changed\n" in refused.output
    assert not list((tmp_path / "refused").glob("*whl*"))


@pytest.mark.skipif(os.name == "nt", reason="a limit of POSIX's")
def test_a_full_disk_leaves_nothing_behind(
    large: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    """The limit on the size of a file stands in for it: above each artifact, below the wheel."""
    large.replace("src/small/main.py", ("os.urandom(9 << 20)", "os.urandom(20 << 20)"))
    large.replace("pyproject.toml", (_TRAIN, f'{_TRAIN}compression = "stored"\n'))
    out = tmp_path / "dist"
    command = f"ulimit -f {25 << 10}; exec uv build --wheel --python {_PYTHON} --out-dir {out}"

    refused = subprocess.run(
        ["bash", "-c", command],
        cwd=large.folder,
        env=surroundings.variables(),
        check=False,
        capture_output=True,
        text=True,
    )

    assert refused.returncode != 0
    assert f"hatch-model: error: the wheel cannot be written to {out}: " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not [path for path in out.iterdir() if path.name != ".gitignore"]
    assert list(surroundings.temporary.iterdir()) == []


_OTHER = Path("/dev/shm")  # noqa: S108 - in memory, and so another file system than the disk's


@pytest.mark.skipif(
    not _OTHER.is_dir() or _OTHER.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev,
    reason="there is no other file system that is known to be writable",
)
@pytest.mark.parametrize("elsewhere", ["temporary folder", "output folder", "store"])
def test_folders_may_be_on_different_file_systems(
    elsewhere: str, large: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    large.replace(
        "src/small/main.py",
        ("    return {", '    (output_dir / "small.txt").chmod(0o444)\n    return {'),
    )
    large.replace("pyproject.toml", (_TRAIN, f"{_TRAIN}inputs = []\n"))
    with tempfile.TemporaryDirectory(dir=_OTHER) as folder:
        name = {"temporary folder": "TMPDIR", "store": "HATCH_MODEL_CACHE_DIR"}.get(elsewhere, "")
        surroundings.environment[name or "UNUSED"] = folder
        out = Path(folder) if elsewhere == "output folder" else tmp_path / "dist"
        for _ in range(2):
            built = large.build(surroundings, out=out)

            assert built.wheel.files == _MODEL
            assert run("verify", built.wheel.path).err == "small 0.1.0: nothing differs\n"
            assert [path.suffix for path in out.glob("[!.]*")] == [".whl"]
        assert "hatch-model: reusing the model" in built.output
