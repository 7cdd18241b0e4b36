"""How uv is told to rebuild an sdist, and what is printed of it in the end."""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from models import FILES, WEIGHTS, Ran, make_model, record_of, run, stand_in_for_uv
from support import make_sdist, make_wheel, tree

from hatch_model.cli.reproduce import rebuild
from hatch_model.errors import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models import Change


class _Uv:
    """Builds like uv, by *make*, which writes a wheel into a folder."""

    def __init__(self, make: Callable[[Path], object] = make_model) -> None:
        self._make = make
        self.arguments: list[str] = []
        self.constraints = ""
        self.variables: dict[str, str] = {}

    def __call__(self, arguments: Sequence[str], **variables: str) -> int:
        options = dict(pairwise(arguments))
        self.arguments, self.variables = [*arguments], variables
        self.constraints = Path(options["--build-constraints"]).read_text("utf-8")
        self._make(Path(options["--out-dir"]))
        return 0


def _rebuild(folder: Path, uv: _Uv, *changes: Change, python: str | None = None) -> None:
    folder.mkdir()
    rebuild("small-0.1.0.tar.gz", record_of(FILES, *changes), folder, python=python, run=uv).close()


def test_uv_gets_the_recorded_python_and_versions_and_is_to_train_and_keep_nothing(
    tmp_path: Path,
) -> None:
    uv = _Uv()

    _rebuild(tmp_path / "new", uv)

    assert uv.arguments == [
        *("build", "--wheel", "--no-sources", "--python", "cpython@3.12.1"),
        *("--build-constraints", str(tmp_path / "new" / "constraints.txt")),
        *("--out-dir", str(tmp_path / "new" / "dist")),
        str(Path.cwd() / "small-0.1.0.tar.gz"),
    ]
    assert uv.constraints == "anchor==1.2\njoblib==1.5.0\n"
    assert uv.variables == {
        "HATCH_MODEL_RETRAIN": "1",
        "HATCH_MODEL_CACHE_DIR": str(tmp_path / "new" / "store"),
        "UV_NO_SOURCES": "1",
    }


def test_another_python_takes_the_place_of_the_recorded_one(tmp_path: Path) -> None:
    uv = _Uv()

    _rebuild(tmp_path / "new", uv, python="bin/python")

    assert uv.arguments[uv.arguments.index("--python") + 1] == "bin/python"


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("2.5.1+cpu", "anchor==2.5.1+cpu\n"),
        ("1!2.0rc1", "anchor==1!2.0rc1\n"),
        ("2011k-debian", ""),
        ("1.2\n--index-url https://example.org", ""),
    ],
)
def test_versions_are_asked_for_as_they_are_unless_no_index_has_them(
    version: str, line: str, tmp_path: Path
) -> None:
    uv = _Uv()

    _rebuild(tmp_path / "new", uv, lambda record: record["environment"][0].update(version=version))

    assert uv.constraints == f"{line}joblib==1.5.0\n"


@pytest.mark.parametrize(
    "name", ["--index-url", "anchor\n--index-url=x", "a @ https://example.org/"]
)
def test_names_that_no_project_has_are_not_asked_for(name: str, tmp_path: Path) -> None:
    uv = _Uv()

    _rebuild(tmp_path / "new", uv, lambda record: record["environment"][0].update(name=name))

    assert uv.constraints == "joblib==1.5.0\n"


@pytest.mark.parametrize(
    ("implementation", "version"),
    [("CPython", "3.14.0+"), ("./bin/python", "3.12.1"), ("", "3.12")],
)
def test_a_python_that_uv_has_no_name_for_must_be_named(
    implementation: str, version: str, tmp_path: Path
) -> None:
    def change(record: dict[str, Any]) -> None:
        record["python"] = {"implementation": implementation, "version": version}

    with pytest.raises(HatchModelError) as caught:
        _rebuild(tmp_path / "one", _Uv(), change)

    assert str(caught.value) == (
        f"the record says that {implementation} {version} trained the model, which uv cannot "
        f"provide. Choose a Python with `--python`."
    )
    _rebuild(tmp_path / "other", _Uv(), change, python="3.14")


def test_a_build_that_fails_is_told_with_a_way_out(tmp_path: Path) -> None:
    def fail(arguments: Sequence[str], **variables: str) -> int:
        return len(arguments) + len(variables)

    with pytest.raises(HatchModelError) as caught:
        rebuild("dist/small-0.1.0.tar.gz", record_of(FILES), tmp_path, run=fail)

    assert str(caught.value) == (
        "`dist/small-0.1.0.tar.gz` could not be rebuilt; see uv's output above. If uv cannot find "
        "the Python, choose another one with `--python`."
    )


def test_an_sdist_that_another_tool_builds_is_told(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        folder.mkdir()
        make_wheel(folder, "small", "0.1.0")

    with pytest.raises(HatchModelError) as caught:
        _rebuild(tmp_path / "new", _Uv(make))

    assert str(caught.value) == (
        "what was rebuilt from `small-0.1.0.tar.gz` contains no record of how it was made. Wheels "
        "that hatch-model builds contain one."
    )


# The command


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is taken for the system's temporary folder."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def dist(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wheel and its sdist, which is the current one, and no uv that is real."""
    assert temporary.is_dir()
    folder = tmp_path / "dist"
    make_model(folder)
    make_sdist(folder, "small", "0.1.0")
    stand_in_for_uv(folder, monkeypatch)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    return folder


_ARGUMENTS = ("reproduce", "small-0.1.0-py3-none-any.whl", "small-0.1.0.tar.gz")


def _worse(record: dict[str, Any]) -> None:
    record["metrics"]["accuracy"] = 0.5
    record["environment"][0]["version"] = "1.3"
    del record["environment"][1]


_OTHER = {**FILES, WEIGHTS: "0.6\n"}


def test_an_identical_model_is_told_and_nothing_is_left(
    dist: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_model(dist / "rebuilt")
    before = tree(dist)

    assert run(*_ARGUMENTS) == Ran("small 0.1.0: identical\n", "", 0)
    assert capfd.readouterr() == (
        "",
        "uv on stdout\nuv on stderr 1 False\n".replace("\n", os.linesep),
    )
    assert tree(dist) == before
    assert list(temporary.iterdir()) == []


def test_an_equivalent_model_is_told(dist: Path) -> None:
    make_model(dist / "rebuilt", files=_OTHER)

    assert run(*_ARGUMENTS) == Ran(
        """\
small 0.1.0: equivalent: files differ, but not the metrics or the check's result
artifacts
                          recorded      rebuilt
  small/data/weights.txt  8d5c1b5a87c5  aad816ea0706

""",
        "",
        3,
    )


def test_a_different_model_is_told_with_all_that_differs(dist: Path) -> None:
    make_model(dist / "rebuilt", _worse, files=_OTHER)

    assert run(*_ARGUMENTS) == Ran(
        """\
small 0.1.0: different: files differ, as well as the metrics
metrics
            recorded  rebuilt
  accuracy  0.75      0.5

artifacts
                          recorded      rebuilt
  small/data/weights.txt  8d5c1b5a87c5  aad816ea0706

environment
          recorded  rebuilt
  anchor  1.2       1.3
  joblib  1.5.0     -

""",
        "",
        4,
    )


def test_the_verdict_is_told_as_json(dist: Path) -> None:
    make_model(dist / "rebuilt", _worse, files=_OTHER)

    ran = run(*_ARGUMENTS, "--json")
    assert ran.code == 4
    differences = ran.json["differences"]
    assert ran.json == {
        "name": "small",
        "version": "0.1.0",
        "verdict": "different",
        "report": {},
        "differences": differences,
    }
    assert differences["environment"] == {"anchor": ["1.2", "1.3"], "joblib": ["1.5.0", None]}
    assert differences["metrics"] == {"accuracy": [0.75, 0.5]}
    assert differences["check"] == {}


def test_each_file_of_the_report_is_told_and_changes_no_verdict(dist: Path) -> None:
    make_model(dist, report={"date.svg": "1", "gone.csv": "1", "plot.svg": "1"})
    make_model(dist / "rebuilt", report={"date.svg": "2", "more.csv": "1", "plot.svg": "1"})

    assert run(*_ARGUMENTS) == Ran(
        "small 0.1.0: identical\n"
        "report (not part of the verdict)\n"
        "  date.svg  different\n"
        "  gone.csv  missing\n"
        "  more.csv  new\n"
        "  plot.svg  identical\n"
        "\n",
        "",
        0,
    )
    assert run(*_ARGUMENTS, "--json").json["report"] == {
        "date.svg": "different",
        "gone.csv": "missing",
        "more.csv": "new",
        "plot.svg": "identical",
    }


def test_the_tolerance_can_be_set(dist: Path) -> None:
    make_model(dist / "rebuilt", _worse, files=_OTHER)

    assert run(*_ARGUMENTS, "--tolerance", "0.3").code == 3
    assert run(*_ARGUMENTS, "--tolerance", "-1").code == 2


@pytest.mark.usefixtures("dist")
def test_a_failed_rebuild_exits_with_1_and_leaves_nothing(temporary: Path) -> None:
    ran = run(*_ARGUMENTS)
    assert (ran.out, ran.code) == ("", 1)
    assert ran.err.startswith("hatch-model: error: `small-0.1.0.tar.gz` could not be rebuilt; ")
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("dist")
def test_a_uv_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "elsewhere/uv")

    assert run(*_ARGUMENTS).err == (
        "hatch-model: error: uv is required to rebuild a wheel, and was not found. Install uv, or put its "
        "path into UV.\n"
    )
