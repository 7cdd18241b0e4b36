"""What training writes to `report_dir` travels with the model, whichever way that goes."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from models import install, run
from support import ModelProject, Surroundings, special, unpack

from hatch_model.cli.open import open_model

if TYPE_CHECKING:
    from collections.abc import Callable

_TRAIN = 'train = "small.main:train"'
_MAIN = """
import os
from pathlib import Path


def train(output_dir: Path, report_dir: Path):
    assert not any(report_dir.iterdir())
    (output_dir / "weights.txt").write_text(os.environ.get("WEIGHTS", "0.5"))
    (report_dir / "tables").mkdir()
    (report_dir / "tables" / "errors.csv").write_bytes(b"a,b\\n")
    (report_dir / "plot.svg").write_text(os.environ.get("PLOT", "<svg/>"))
"""
_SILENT = """
def train(output_dir, report_dir):
    (output_dir / "weights.txt").write_text("0.5")
"""
_REPORT = "small-0.1.0.dist-info/extra_metadata/report"
_PATHS = [f"{_REPORT}/plot.svg", f"{_REPORT}/tables/errors.csv"]
_CARRIED = [".hatch-model.report/plot.svg", ".hatch-model.report/tables/errors.csv"]


@pytest.fixture
def reporting(project: ModelProject) -> ModelProject:
    """A project whose training writes a report."""
    project.write("src/small/main.py", _MAIN)
    return project


def _set(project: ModelProject, *settings: str) -> None:
    project.replace("pyproject.toml", (_TRAIN, "\n".join([_TRAIN, *settings])))


def _contents(wheel: Path) -> dict[str, bytes]:
    """Give the files of the report in *wheel*."""
    with zipfile.ZipFile(wheel) as archive:
        return {path: archive.read(path) for path in archive.namelist() if path.startswith(_REPORT)}


def _record(wheel: Path) -> dict[str, object]:
    with zipfile.ZipFile(wheel) as archive:
        record = json.loads(archive.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert isinstance(record, dict)
    return record


def _build_sdist(project: ModelProject, surroundings: Surroundings, out: Path) -> Path:
    surroundings.call_backend("sdist", out, cwd=project.folder)
    (sdist,) = out.glob("*.tar.gz")
    return sdist


def test_a_report_is_in_the_wheels_metadata_and_in_its_record(
    reporting: ModelProject, surroundings: Surroundings
) -> None:
    built = reporting.build(surroundings)

    wheel = built.wheel
    assert wheel.files == ["small/__init__.py", "small/data/weights.txt", "small/main.py"]
    assert _contents(wheel.path) == dict(zip(_PATHS, [b"<svg/>", b"a,b\n"], strict=True))
    assert _record(wheel.path)["report"] == [
        {
            "path": _PATHS[0],
            "sha256": "d4dc56669143034f31aa309635d4113d9ad76a02b1739da22c965ed2049be9e6",
            "size": 6,
        },
        {
            "path": _PATHS[1],
            "sha256": "5be08c9684a1d25efcee09318204824278b08bbfb4aef973ffefd0b9d7478313",
            "size": 4,
        },
    ]
    assert run("verify", wheel.path).err == "small 0.1.0: nothing differs\n"
    shown = run("inspect", wheel.path).out
    assert "report\n  plot.svg           6 bytes\n  tables/errors.csv  4 bytes\n" in shown
    assert run("inspect", "--json", wheel.path).json["report"] == _record(wheel.path)["report"]


def test_two_builds_with_a_report_give_the_same_bytes(
    reporting: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    one = reporting.build(surroundings, out=tmp_path / "one").wheel
    other = reporting.build(surroundings, out=tmp_path / "other").wheel

    assert one.path.read_bytes() == other.path.read_bytes()


def test_without_a_report_nothing_is_added(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("src/small/main.py", _SILENT)

    built = project.build(surroundings)

    assert "warning" not in built.output
    assert "report" not in _record(built.wheel.path)
    with zipfile.ZipFile(built.wheel.path) as archive:
        assert [path for path in archive.namelist() if "extra_metadata" in path] == [
            "small-0.1.0.dist-info/extra_metadata/model.json"
        ]
    assert run("inspect", "--json", built.wheel.path).json["report"] == []


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are not for everyone")
def test_what_cannot_travel_is_named_once_and_fails_nothing(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write(
        "src/small/main.py",
        "import os\n\ndef train(output_dir, report_dir):\n"
        "    (output_dir / 'weights.txt').write_text('0.5')\n"
        "    os.chdir('/')\n"
        "    (report_dir / '../x').write_text('outside')\n"
        "    (report_dir / 'passwords').symlink_to('/etc/passwd')\n"
        "    os.mkfifo(report_dir / 'pipe')\n"
        "    (report_dir / 'large.png').write_bytes(bytes(11 << 20))\n"
        "    (report_dir / 'Plot.svg').write_text('<svg/>')\n"
        "    (report_dir / 'plot.svg').write_text('<svg/>')\n",
    )

    built = project.build(surroundings)

    assert (
        "hatch-model: warning: files that training wrote to `report_dir` are left out:\n"
        "  `passwords`: a symbolic link to `/etc/passwd` outside of its folder\n"
        "  `pipe`: neither a file nor a folder\n"
        "  `plot.svg`: the same as `Plot.svg` on macOS and Windows\n"
        "  `large.png`: larger than 10.0 MiB\n"
        "A report has up to 100 regular files of up to 10.0 MiB each and 25.0 MiB in all, under names "
        "that every system takes. Write larger files to `output_dir`.\n"
    ) in built.output
    assert built.output.count("warning") == 1
    assert [*_contents(built.wheel.path)] == [f"{_REPORT}/Plot.svg"]
    assert list(surroundings.temporary.iterdir()) == []


def test_a_function_may_remove_its_report_dir(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("src/small/main.py", f"{_SILENT}    report_dir.rmdir()\n")

    built = project.build(surroundings)

    assert "warning" not in built.output
    assert _contents(built.wheel.path) == {}


def test_a_reused_model_has_its_report(
    reporting: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    _set(reporting, "inputs = []")
    sdist = _build_sdist(reporting, surroundings, tmp_path / "sdist")
    trained = unpack(sdist, tmp_path / "unpacked").build(surroundings, out=tmp_path / "one")

    reused = reporting.build(surroundings, out=tmp_path / "other")

    assert "training with" in trained.output
    assert "reusing the model" in reused.output
    assert _contents(reused.wheel.path) == _contents(trained.wheel.path)
    assert _record(reused.wheel.path)["report"] == _record(trained.wheel.path)["report"]
    (place,) = (surroundings.store / "v2").glob("*/report/plot.svg")
    place.write_text("<svg></svg>", "utf-8")
    again = reporting.build(surroundings, out=tmp_path / "again")
    assert (
        "the stored model is damaged: `plot.svg` has changed since it was stored." in again.output
    )
    assert _contents(again.wheel.path) == _contents(trained.wheel.path)


# Trained sdists


@pytest.fixture
def unpacked(reporting: ModelProject, surroundings: Surroundings, tmp_path: Path) -> ModelProject:
    """A trained sdist of the project, in which git ignores everything."""
    _set(reporting, 'sdist = "trained"')
    reporting.write(".gitignore", "*.svg\n*.csv\nreport/\n")
    sdist = _build_sdist(reporting, surroundings, tmp_path / "sdist")
    return unpack(sdist, tmp_path / "unpacked")


def test_every_wheel_from_a_trained_sdist_has_its_report(
    unpacked: ModelProject, surroundings: Surroundings, tmp_path: Path, reporting: ModelProject
) -> None:
    one = unpacked.build(surroundings, out=tmp_path / "one").wheel
    other = unpacked.build(surroundings, out=tmp_path / "other").wheel
    direct = reporting.build(surroundings, out=tmp_path / "direct").wheel

    assert [*_contents(one.path)] == _PATHS
    assert one.path.read_bytes() == other.path.read_bytes() == direct.path.read_bytes()
    assert run("verify", one.path).err == "small 0.1.0: nothing differs\n"


def test_an_sdist_from_an_unpacked_one_has_the_same_report_and_a_retrained_one_its_own(
    unpacked: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    again = _build_sdist(unpacked, surroundings, tmp_path / "again")
    unpacked.write(".hatch-model.report/old.svg", "<svg/>")
    surroundings.environment.update(HATCH_MODEL_RETRAIN="1", PLOT="<svg></svg>")
    retrained = _build_sdist(unpacked, surroundings, tmp_path / "retrained")
    del surroundings.environment["HATCH_MODEL_RETRAIN"]

    for sdist in (again, retrained):
        with tarfile.open(sdist) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
        assert sorted(name for name in names if ".report" in name) == _CARRIED
    project = unpack(retrained, tmp_path / "of retrained")
    wheel = project.build(surroundings, out=tmp_path / "wheel").wheel
    assert _contents(wheel.path)[_PATHS[0]] == b"<svg></svg>"


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda report: (report / "plot.svg").write_text("<g/>"), "plot.svg: changed"),
        (lambda report: (report / "plot.svg").unlink(), "plot.svg: missing"),
        (lambda report: (report / "more.svg").touch(), "more.svg: added"),
        (lambda report: shutil.rmtree(report / "tables"), "tables/errors.csv: missing"),
    ],
)
def test_a_changed_report_is_an_error(
    change: Callable[[Path], object],
    difference: str,
    unpacked: ModelProject,
    surroundings: Surroundings,
    tmp_path: Path,
) -> None:
    change(unpacked.folder / ".hatch-model.report")

    refused = unpacked.build(surroundings, check=False, out=tmp_path / "refused")

    assert refused.completed.returncode != 0
    assert (
        "hatch-model: error: this source distribution has changed since its model was trained:\n"
        f"  .hatch-model.report/{difference}\nUnpack it again" in refused.output
    )


@pytest.mark.parametrize(
    "report",
    [
        3,
        [{"path": "plot.svg"}],
        [{"path": f"{_REPORT}/../../../pyproject.toml", "sha256": "", "size": 1}],
    ],
)
def test_a_record_that_was_tampered_with_is_an_error(
    report: object, unpacked: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    file = unpacked.folder / ".hatch-model.json"
    carried = json.loads(file.read_text("utf-8"))
    carried["record"]["report"] = report
    file.write_text(json.dumps(carried), "utf-8")

    refused = unpacked.build(surroundings, check=False, out=tmp_path / "refused")

    assert refused.completed.returncode != 0
    assert "hatch-model: error: this source distribution has changed" in refused.output
    assert "Traceback" not in refused.output


def test_a_report_can_be_read_from_a_wheel_an_sdist_and_an_installation(
    unpacked: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    wheel = unpacked.build(surroundings, out=tmp_path / "one").wheel.path
    (sdist,) = (tmp_path / "sdist").glob("*.tar.gz")
    install(wheel, tmp_path / "site")

    for origin in (str(wheel), str(sdist), "small"):
        with closing(open_model(origin, [str(tmp_path / "site")])) as model:
            read = {}
            for name, path in model.report.items():
                with model.open(path) as stream:
                    read[name] = stream.read()
        assert read == {"plot.svg": b"<svg/>", "tables/errors.csv": b"a,b\n"}


# The command line


def test_train_keeps_a_report_only_on_request(
    reporting: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "venv", "hatch-model[cli]", "anchor")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "old.svg").touch()

    def train(*options: str | Path) -> list[str]:
        command = (python, "-m", "hatch_model", "train", *options, reporting.folder)
        return special(surroundings.run(*command, cwd=tmp_path).stdout).splitlines()[1:]

    wrote = "hatch-model: wrote src/small/data/weights.txt"
    assert train() == [wrote]
    assert sorted(train("--report-dir", "kept")) == sorted(
        [
            f"hatch-model: wrote {Path('kept', 'plot.svg')}",
            f"hatch-model: wrote {Path('kept', 'tables', 'errors.csv')}",
            "hatch-model: warning: kept also contains `old.svg`, which this training did not write",
            wrote,
        ]
    )
    assert (kept / "tables" / "errors.csv").read_bytes() == b"a,b\n"
    assert not list(reporting.folder.rglob("*.svg"))

    reporting.write("src/small/main.py", _SILENT)
    assert train("--report-dir", "none") == ["hatch-model: training wrote no report", wrote]
    assert not (tmp_path / "none").exists()


@pytest.mark.frontend
def test_uv_and_pip_carry_a_report_to_the_installation(
    reporting: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    wheel = reporting.build(surroundings, "uv build").wheel.path
    python = surroundings.make_environment(tmp_path / "venv")

    surroundings.run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel),
        cwd=tmp_path,
    )

    assert run("verify", "--python", python, "small").err == "small 0.1.0: nothing differs\n"
    assert [
        each["path"]
        for each in run("inspect", "--json", "--python", python, "small").json["report"]
    ] == _PATHS
