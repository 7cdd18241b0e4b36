"""What `inspect` and `diff` show of wheels, sdists and installations, and that they only read."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest
from models import (
    FILES,
    INFO,
    MAIN,
    WEIGHTS,
    Ran,
    digest_of,
    install,
    make_model,
    record_of,
    rewrite,
    run,
)
from support import make_wheel, tree

from hatch_model.cli.inspect import next_commands
from hatch_model.cli.open import open_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# inspect


def test_a_wheel_is_shown_as_columns(tmp_path: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        record["metrics"]["loss"] = 0.123456789
        record["training"]["arguments"] |= {"bootstrap": True, "layers": [8, 4]}
        record["git"]["dirty"] = True
        record["lock"] = {"path": "uv.lock", "sha256": 64 * "2", "size": 100}
        record["inputs"].append({"path": "large.csv", "sha256": 64 * "3", "size": 3 << 30})

    wheel = make_model(
        tmp_path, change, requires=["anchor==1.2", 'chain[a]==2 ; python_version < "4"']
    )

    assert run("inspect", wheel) == Ran(
        """\
small 0.1.0
  built by    hatch-model 0.1.0
  trained by  small.main:train
  trained on  CPython 3.12.1, Linux x86_64
  commit      c0ffee0000000000000000000000000000000000 and uncommitted changes
  lock        uv.lock
  checked by  small.main:check
  tags        py3-none-any
  files       7, 2.7 KiB

metrics
  accuracy  0.75  (gate >= 0.7)
  loss      0.123457

arguments
  bootstrap  true
  depth      3
  layers     [8, 4]
  loss       log

requires
  anchor  ==1.2
  chain   [a]==2 ; python_version < "4"

artifacts
  small/data/weights.txt  4 bytes

inputs
  flowers.csv  2.0 KiB
  large.csv    3.0 GiB

""",
        f"Next: uv run --no-project --with {wheel} python -c "
        f'"from small.main import check; print(check())"\n'
        f"Next: hatch-model index add registry {wheel}\n",
        0,
    )


def test_the_next_command_has_the_python_that_a_wheel_is_for() -> None:
    known = {
        "check": {"entry_point": "small.main:Model.check"},
        "python": {"version": "3.12.1"},
        "tags": ["cp312-none-any"],
    }

    predict, publish = next_commands("a b/small.whl", known)
    assert predict == (
        "uv run --python 3.12 --no-project --with 'a b/small.whl' python -c "
        '"from small.main import Model; print(Model.check())"'
    )
    assert publish == "hatch-model index add registry 'a b/small.whl'"


def test_a_wheel_of_another_tool_is_shown_as_far_as_it_tells(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "en-core",
        "3.8.0",
        requires=["spacy>=3.8,<3.9"],
        requires_python=">=3.9",
        files={
            "en_core/__init__.py": "",
            "en_core/meta.json": "{}",
            "en_core/en_core-3.8.0/model": 3000 * "x",
        },
    )

    assert run("inspect", wheel) == Ran(
        """\
en-core 3.8.0
  needs Python  >=3.9
  tags          py3-none-any
  files         6, 3.6 KiB

requires
  spacy  >=3.8,<3.9

largest files
  en_core/en_core-3.8.0/model       2.9 KiB
  en_core-3.8.0.dist-info/RECORD    433 bytes
  en_core-3.8.0.dist-info/METADATA  126 bytes
  en_core-3.8.0.dist-info/WHEEL     76 bytes
  en_core/meta.json                 2 bytes
  en_core/__init__.py               0 bytes

""",
        "",
        0,
    )


def _sdist(folder: Path, members: Mapping[str, bytes]) -> Path:
    sdist = folder / "small-0.1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for path, content in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return sdist


_PKG_INFO = b"Metadata-Version: 2.4\nName: small\nVersion: 0.1.0\nRequires-Python: >=3.10\n"
_COMMIT = {"git": {"commit": 40 * "a", "dirty": False}}


def test_an_sdist_tells_its_commit_and_files(tmp_path: Path) -> None:
    sdist = _sdist(
        tmp_path,
        {
            "small-0.1.0/PKG-INFO": _PKG_INFO,
            "small-0.1.0/.hatch-model.json": json.dumps(_COMMIT).encode(),
            "small-0.1.0/vendored/PKG-INFO": b"Name: other\nVersion: 1\n",
        },
    )

    assert run("inspect", sdist) == Ran(
        f"""\
small 0.1.0
  commit        {40 * "a"}
  needs Python  >=3.10
  files         3, 175 bytes

largest files
  small-0.1.0/.hatch-model.json  79 bytes
  small-0.1.0/PKG-INFO           73 bytes
  small-0.1.0/vendored/PKG-INFO  23 bytes

""",
        "",
        0,
    )
    assert run("inspect", sdist, "--json").json["kind"] == "sdist"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "it has nothing for metadata"),
        ({"small-0.1.0/setup.py": b""}, "it has nothing for metadata"),
        ({"a/PKG-INFO": _PKG_INFO, "b/PKG-INFO": _PKG_INFO}, "it has a, b for metadata"),
        ({"a/PKG-INFO": b"Name: a\n"}, "its metadata has no Version"),
        (
            {"a/PKG-INFO": _PKG_INFO, "a/.hatch-model.json": b"{}"},
            "a/.hatch-model.json: it was not written by hatch-model",
        ),
        (
            {"a/PKG-INFO": _PKG_INFO, "a/.hatch-model.json": b"[]"},
            "a/.hatch-model.json: it was not written by hatch-model",
        ),
        (
            {
                "a/PKG-INFO": _PKG_INFO,
                "a/.hatch-model.json": json.dumps(
                    {
                        "git": None,
                        "record": record_of(FILES, lambda record: record.update(metrics=3)),
                    }
                ).encode(),
            },
            "a/.hatch-model.json: metrics: 3 is not of type 'object'",
        ),
        ({"a/PKG-INFO": bytes(5 << 20)}, "a/PKG-INFO is larger than 4.0 MiB"),
        (
            {"a/PKG-INFO": _PKG_INFO, "a/.hatch-model.json": b"[%s0]" % (500_000 * b"[],")},
            "a/.hatch-model.json has more than 1000000 values",
        ),
        ({"a/PKG-INFO": bytes(70 << 20)}, "it unpacks to 73400320 bytes or more from SIZE"),
    ],
)
def test_an_sdist_that_cannot_be_read_is_told_in_one_line(
    members: dict[str, bytes], reason: str, tmp_path: Path
) -> None:
    sdist = _sdist(tmp_path, members)

    reason = reason.replace("SIZE", str(sdist.stat().st_size))
    assert run("inspect", sdist) == Ran(
        "", f"hatch-model: error: `{sdist}` cannot be read: {reason}\n", 1
    )


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE])
def test_metadata_of_an_sdist_that_is_no_file_in_the_end_is_none(
    kind: bytes, tmp_path: Path
) -> None:
    sdist = _sdist(tmp_path, {"small-0.1.0/PKG-INFO": _PKG_INFO})
    with tarfile.open(sdist) as archive:
        (file,) = archive.getmembers()
    with tarfile.open(sdist, "w:gz") as archive:
        archive.addfile(file, io.BytesIO(_PKG_INFO))
        file.type, file.size, file.linkname = kind, 0, "PKG-INFO"
        archive.addfile(file)

    assert run("inspect", sdist) == Ran(
        "", f"hatch-model: error: `{sdist}` cannot be read: it has nothing for metadata\n", 1
    )


def test_a_file_of_an_sdist_is_read_without_unpacking_what_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {f"small-0.1.0/{number}.bin": b"weights" for number in range(50)}
    sdist = _sdist(tmp_path, {"small-0.1.0/PKG-INFO": _PKG_INFO, **weights})
    found: list[object] = []
    following = tarfile.TarFile.next

    def noted(self: tarfile.TarFile) -> tarfile.TarInfo | None:
        found.append(following(self))
        return cast("tarfile.TarInfo | None", found[-1])

    with closing(open_model(str(sdist))) as model:
        monkeypatch.setattr(tarfile.TarFile, "next", noted)
        with model.open("small-0.1.0/0.bin") as stream:
            assert stream.read() == b"weights"
    assert len(found) <= 1


@pytest.mark.parametrize("number", [10**400, -(10**309)])
def test_a_metric_that_no_float_can_hold_is_shown(number: int, tmp_path: Path) -> None:
    wheel = make_model(tmp_path, lambda record: record["metrics"].update(accuracy=number))

    assert f"  accuracy  {number}  (gate >= 0.7)\n" in run("inspect", wheel).out


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_an_sdist_that_is_larger_than_headers_are_is_not_read(
    kind: bytes, tmp_path: Path
) -> None:
    sdist, header = tmp_path / "small-0.1.0.tar.gz", tarfile.TarInfo("header")
    header.type, header.size = kind, 400 << 20
    with gzip.open(sdist, "wb") as stream:
        stream.write(header.tobuf())

    assert run("inspect", sdist) == Ran(
        "",
        f"hatch-model: error: `{sdist}` cannot be read: the header of a file is larger than 1.0 MiB\n",
        1,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file could not be opened successfully"),
        (b"\0" * 20, "file could not be opened successfully"),
        (None, "Compressed file ended before the end-of-stream marker was reached"),
    ],
)
def test_a_file_that_is_no_archive_is_told_in_one_line(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    noise = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(100))
    file = _sdist(tmp_path, {"small-0.1.0/PKG-INFO": _PKG_INFO, "small-0.1.0/noise": noise})
    file.write_bytes(file.read_bytes()[:1000] if content is None else content)

    assert run("inspect", file) == Ran(
        "", f"hatch-model: error: `{file}` cannot be read: {reason}\n", 1
    )


def test_the_engine_that_training_ran_on_is_shown(tmp_path: Path) -> None:
    engine = {"name": "dask", "version": "2026.8.0"}
    wheel = make_model(tmp_path, lambda record: record.update(engine=engine))

    assert "  engine      dask 2026.8.0\n" in run("inspect", wheel).out
    assert run("inspect", wheel, "--json").json["engine"] == engine


def test_an_installed_model_is_shown_like_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_model(tmp_path)
    monkeypatch.syspath_prepend(install(wheel, tmp_path / "site"))

    of_wheel = run("inspect", wheel, "--json").json
    assert run("inspect", "small", "--json").json == {**of_wheel, "kind": "installed"}
    assert run("inspect", "small").out == run("inspect", wheel).out


# diff


def test_two_versions_are_shown_side_by_side(tmp_path: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        record["project"]["version"] = "0.2.0"
        record["metrics"] = {"accuracy": 0.8, "loss": 0.2}
        record["training"]["arguments"] = {"depth": 4, "loss": "log"}
        record["git"] = {"commit": 40 * "b", "dirty": True}
        record["inputs"] = []

    one = make_model(tmp_path)
    other = make_model(
        tmp_path,
        change,
        files={**FILES, WEIGHTS: "0.6\n", "small/new.py": ""},
        requires=['chain==2; python_version < "4"', "Anchor==1.3"],
        version="0.2.0",
    )

    assert run("diff", one, other) == Ran(
        """\
metrics
            small 0.1.0  small 0.2.0  change
  accuracy  0.75         0.8          +0.05 better
  loss      -            0.2          new

summary
                       small 0.1.0                               small 0.2.0
  commit               c0ffee0000000000000000000000000000000000  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
  uncommitted changes  false                                     true
  version              0.1.0                                     0.2.0

arguments
         small 0.1.0  small 0.2.0
  depth  3            4

pins
          small 0.1.0  small 0.2.0
  anchor  ==1.2        ==1.3
  chain   -            ==2; python_version < "4"

artifacts
                          small 0.1.0   small 0.2.0
  small/data/weights.txt  8d5c1b5a87c5  aad816ea0706

inputs
               small 0.1.0   small 0.2.0
  flowers.csv  111111111111  -

sources
                small 0.1.0  small 0.2.0
  small/new.py  -            e3b0c44298fc

""",
        "",
        0,
    )


_NOTHING_DIFFERS = """\
nothing differs
metrics
            small 0.1.0  small 0.1.0  change
  accuracy  0.75         0.75         unchanged

"""


def test_a_model_does_not_differ_from_itself(tmp_path: Path) -> None:
    wheel = make_model(tmp_path)

    assert run("diff", wheel, wheel) == Ran(_NOTHING_DIFFERS, "", 0)
    assert run("diff", "--json", wheel, wheel).json == {
        "summary": {},
        "metrics": {},
        "arguments": {},
        "pins": {},
        "artifacts": {},
        "report": {},
        "inputs": {},
        "sources": {},
        "files": {},
        "metric_changes": {
            "accuracy": {
                "before": 0.75,
                "after": 0.75,
                "change": 0.0,
                "verdict": "unchanged",
                "gate": ">= 0.7",
            }
        },
    }


def test_an_installed_model_does_not_differ_from_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_model(tmp_path)
    monkeypatch.syspath_prepend(install(wheel, tmp_path / "site"))

    assert run("diff", "small", wheel) == Ran(_NOTHING_DIFFERS, "", 0)


def test_differences_of_two_models_are_told_as_json(tmp_path: Path) -> None:
    one = make_model(tmp_path / "one")
    other = make_model(tmp_path / "other", lambda record: record["metrics"].update(accuracy=0.8))

    changed = run("diff", "--json", one, other).json
    assert changed.pop("metrics") == {"accuracy": [0.75, 0.8]}
    assert changed.pop("metric_changes")["accuracy"]["verdict"] == "better"
    assert not any(changed.values())


def test_reports_of_two_versions_are_compared_by_their_paths_in_them(tmp_path: Path) -> None:
    report = {"plot.svg": "1", "table.csv": "1"}
    one = make_model(tmp_path, report=report)
    other = make_model(tmp_path, report={**report, "plot.svg": "2"}, version="0.2.0")

    assert run("diff", "--json", one, other).json["report"] == {
        "plot.svg": [hashlib.sha256(content).hexdigest() for content in (b"1", b"2")]
    }


def test_wheels_of_other_tools_are_compared_by_their_files(tmp_path: Path) -> None:
    files = {"en/__init__.py": "", "en/model": "1"}
    one = make_wheel(tmp_path, "en", "1", files=files, requires=["spacy>=3"])
    other = make_wheel(tmp_path, "en", "2", files={**files, "en/model": "2"}, requires=["spacy>=4"])

    assert run("diff", "--json", one, other).json == {
        "summary": {"version": ["1", "2"]},
        "metrics": {},
        "arguments": {},
        "pins": {"spacy": [">=3", ">=4"]},
        "artifacts": {},
        "report": {},
        "inputs": {},
        "sources": {},
        "files": {"en/model": [digest_of(b"1"), digest_of(b"2")]},
        "metric_changes": {},
    }
    assert run("diff", one, other).out.endswith(
        """\
files
            en 1          en 2
  en/model  a4ayc_80_OGd  1HNeOiZeFu7g

"""
    )


def test_a_model_is_compared_with_what_has_no_record_by_files(tmp_path: Path) -> None:
    one = make_model(tmp_path / "one")
    other = make_wheel(tmp_path, "small", "0.1.0", files={**FILES, WEIGHTS: "0.6\n"})

    changed = run("diff", "--json", one, other).json
    assert changed["files"] == {WEIGHTS: [digest_of(b"0.5\n"), digest_of(b"0.6\n")]}
    assert changed["artifacts"] == changed["sources"] == {}
    assert changed["metrics"] == {"accuracy": [0.75, None]}


# Nothing is run


_WRITES = "open({path!r}, 'w').close()\n"
# A pickle (protocol 0) that calls open() when it is loaded.
_PICKLE = "cbuiltins\nopen\n(V{path}\nVw\ntR."


def test_nothing_of_a_model_is_imported_or_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "written"
    code, data = _WRITES.format(path=str(written)), _PICKLE.format(path=written)
    files = {
        "small/__init__.py": code,
        MAIN: code,
        "small/data/model.pkl": data,
        "small/data/model.joblib": data,
    }
    wheel = make_model(tmp_path / "dist", lambda record: record.update(check=None), files=files)
    wheel = rewrite(
        wheel, {f"{INFO}/entry_points.txt": b"[hatch]\nsmall = small.main\n"}, record=True
    )
    site = install(wheel, tmp_path / "site")
    install(make_wheel(tmp_path, "anchor", "1.2"), site)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    before = tree(tmp_path)

    for command in (
        *(["inspect", wheel], ["inspect", "small"], ["inspect", "small", "--json"]),
        *(["diff", wheel, "small"], ["verify", wheel], ["verify", "small"]),
    ):
        assert run(*command).code == 0

    assert tree(tmp_path) == before
    exec(code)  # noqa: S102 - it would have been seen
    assert written.exists()
