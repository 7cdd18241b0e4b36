"""With `sdist = "trained"`, the sdist holds the model, and wheels from it are made without training."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from models import run
from support import ModelProject, Surroundings, Wheel, make_wheel, pkg_info, special, tree, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from support import Index

_PYTHON = sys.executable
# Two trainings never give the same model, and each leaves a mark.
_MAIN = """
import os
from pathlib import Path


def train(output_dir: Path):
    with Path(os.environ["MARKS"]).open("a") as file:
        file.write("x")
    (output_dir / "deep").mkdir()
    (output_dir / "deep" / "weights.txt").write_text(os.urandom(8).hex())
    (output_dir / "deep" / "weights.txt").chmod(0o755)
    return {"accuracy": 0.75}


def check():
    import anchor

    print("checked")
    return len((Path(__file__).parent / "data" / "deep" / "weights.txt").read_text())
"""
_MODEL = ["small/__init__.py", "small/data/deep/weights.txt", "small/main.py"]
_PINS = ["anchor==1.2", "chain==2.0"]
_TRAIN = '[tool.hatch.build.hooks.model]\ntrain = "small.main:train"\n'
_TRAINED = f'{_TRAIN}sdist = "trained"\ncheck = "small.main:check"\n'


@pytest.fixture
def marks(project: ModelProject, surroundings: Surroundings, tmp_path: Path) -> Path:
    """Have the project train for its sdist, and leave marks in a file."""
    project.replace("pyproject.toml", (_TRAIN, _TRAINED))
    project.write("src/small/main.py", _MAIN)
    project.write(".gitignore", "data/\n")
    marks = tmp_path / "marks"
    surroundings.environment["MARKS"] = str(marks)
    return marks


@pytest.fixture
def sdist(project: ModelProject, surroundings: Surroundings, marks: Path, index: Index) -> Path:
    """The trained sdist, with nothing left on the index that training needs."""
    surroundings.run(
        *("uv", "build", "--sdist", "--python", _PYTHON, "--out-dir", marks.parent / "sdist"),
        cwd=project.folder,
    )
    assert marks.read_text("utf-8") == "x"
    for wheel in index.folder.glob("*.whl"):
        wheel.unlink()
    (path,) = (marks.parent / "sdist").glob("*.tar.gz")
    return path


def build_wheel(source: Path, surroundings: Surroundings, out: str) -> Wheel:
    """Build a wheel from *source*, an sdist or an unpacked one."""
    folder = surroundings.index.folder.parent / out
    surroundings.run(
        *("uv", "build", "--wheel", "--python", _PYTHON, "--out-dir", folder, source),
        cwd=folder.parent,
    )
    (path,) = folder.glob("*.whl")
    return Wheel(path)


def test_an_sdist_holds_the_model_its_record_and_its_pins(
    sdist: Path, project: ModelProject
) -> None:
    with tarfile.open(sdist) as archive:
        held = [name.partition("/")[2] for name in archive.getnames()]

    assert sorted(held) == [
        ".gitignore",
        ".hatch-model.json",
        "PKG-INFO",
        "pyproject.toml",
        "src/small/__init__.py",
        "src/small/data/deep/weights.txt",
        "src/small/main.py",
    ]
    assert pkg_info(sdist) == {"Dynamic": [], "Requires-Dist": _PINS}
    assert not (project.folder / "src" / "small" / "data").exists()
    shown = run("inspect", "--json", sdist).json
    assert shown["metrics"] == {"accuracy": 0.75}
    assert shown["check"] == {"entry_point": "small.main:check", "result": 16}
    assert [each["path"] for each in shown["artifacts"]] == ["small/data/deep/weights.txt"]


def test_every_wheel_from_it_is_the_same_and_trains_nothing(
    sdist: Path, surroundings: Surroundings, marks: Path
) -> None:
    one = build_wheel(sdist, surroundings, "one")
    other = build_wheel(unpack(sdist, marks.parent / "unpacked").folder, surroundings, "other")

    assert one.files == _MODEL
    assert one.requires == _PINS
    assert one.path.read_bytes() == other.path.read_bytes()
    assert marks.read_text("utf-8") == "x"
    assert run("verify", one.path).err == "small 0.1.0: nothing differs\n"
    with tarfile.open(sdist) as archive:
        (member,) = (each for each in archive.getmembers() if each.name.endswith("weights.txt"))
        packed = archive.extractfile(member)
        assert packed is not None
        assert one.read("small/data/deep/weights.txt").encode() == packed.read()
    if sys.platform != "win32":
        assert member.mode & 0o777 == 0o755
        with zipfile.ZipFile(one.path) as wheel:
            mode = wheel.getinfo("small/data/deep/weights.txt").external_attr >> 16
        assert mode & 0o777 == 0o755


def test_the_wheel_is_the_one_that_was_checked(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    built = project.build(surroundings, "uv build")

    told, _, then = special(built.output).partition("Building wheel from source distribution...\n")
    assert told == (
        "Building source distribution...\n"
        "hatch-model: training with small.main:train\n"
        "hatch-model: metric    value\n"
        "hatch-model: accuracy  0.75\n"
        "hatch-model: checking the wheel with small.main:check\n"
        "checked\n"
    )
    assert then.startswith(
        "hatch-model: the model was trained when this source distribution was made\n"
        "Successfully built "
    )
    record = json.loads(
        next(
            built.wheel.read(f"small-0.1.0.dist-info/extra_metadata/{name}")
            for name in ["model.json"]
        )
    )
    assert record["check"]["result"] == 16
    assert marks.read_text("utf-8") == "x"
    assert list(surroundings.temporary.iterdir()) == []


def test_a_folder_that_the_wheel_has_elsewhere_travels_in_the_sdist(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    moved = '[tool.hatch.build.targets.wheel.sources]\n"models" = "small/data"\n'
    project.replace("pyproject.toml", (_TRAINED, f'{_TRAINED}artifacts = "models"\n\n{moved}'))

    built = project.build(surroundings, "uv build")
    assert marks.read_text("utf-8") == "x"
    with tarfile.open(built.sdist) as archive:
        held = [name.partition("/")[2] for name in archive.getnames()]
    assert "models/deep/weights.txt" in held
    assert built.wheel.files == _MODEL


@pytest.mark.parametrize("frontend", ["python -m build", "uv build"])
def test_other_frontends_train_once(
    frontend: str, project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    built = project.build(surroundings, frontend)

    assert built.wheel.files == _MODEL
    assert built.wheel.requires == _PINS
    assert pkg_info(built.sdist)["Requires-Dist"] == _PINS
    assert marks.read_text("utf-8") == "x"


def test_with_inputs_even_hatch_build_trains_once(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    """It builds the wheel from the tree, not from the sdist."""
    project.replace("pyproject.toml", ('sdist = "trained"\n', 'sdist = "trained"\ninputs = []\n'))

    built = project.build(surroundings, "hatch build")

    assert built.wheel.requires == _PINS
    assert marks.read_text("utf-8") == "x"
    assert build_wheel(built.sdist, surroundings, "again").read(_MODEL[1]) == built.wheel.read(
        _MODEL[1]
    )


def test_plain_hatchling_writes_the_pins_for_both(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    """It reads the metadata once for the sdist and the wheel."""
    python = surroundings.make_environment(
        marks.parent / "full", "hatchling", "hatch-model", "anchor"
    )

    surroundings.run(python, "-m", "hatchling", "build", cwd=project.folder)

    (sdist,) = (project.folder / "dist").glob("*.tar.gz")
    (wheel,) = (project.folder / "dist").glob("*.whl")
    assert pkg_info(sdist)["Requires-Dist"] == _PINS
    assert Wheel(wheel).requires == _PINS


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_installing_it_trains_nothing(
    installer: str, sdist: Path, surroundings: Surroundings, marks: Path, index: Index
) -> None:
    python = surroundings.make_environment(marks.parent / "fresh")
    make_wheel(index.folder, "anchor", "1.2", requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.0")
    make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2"])
    commands: dict[str, list[str | Path]] = {
        "uv": ["uv", "pip", "install", "--python", python, sdist],
        "pip": [_PYTHON, "-m", "pip", "--python", python, "install", sdist],
    }

    surroundings.run(*commands[installer], cwd=marks.parent)

    script = "import importlib.metadata as m; print(m.version('anchor'), m.version('small'))"
    said = surroundings.run(
        python, "-c", f"{script}; import small.main as s; s.check()", cwd=marks.parent
    )
    assert said.stdout == "1.2 0.1.0\nchecked\n"
    assert marks.read_text("utf-8") == "x"


def test_an_sdist_from_an_unpacked_one_holds_the_same_model(
    sdist: Path, surroundings: Surroundings, marks: Path
) -> None:
    unpacked = unpack(sdist, marks.parent / "unpacked")
    out = marks.parent / "again"

    surroundings.run(
        *("uv", "build", "--sdist", "--python", _PYTHON, "--out-dir", out), cwd=unpacked.folder
    )

    (again,) = out.glob("*.tar.gz")
    assert _contents(again) == _contents(sdist)


def _contents(sdist: Path) -> dict[str, bytes]:
    with tarfile.open(sdist) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


# Tampering

_CHANGES = {
    "a source": ("src/small/main.py", "# changed\n", "small/main.py: changed"),
    "an artifact": (
        "src/small/data/deep/weights.txt",
        "0",
        "small/data/deep/weights.txt: changed",
    ),
    "a new source": ("src/small/more.py", "", "small/more.py: added"),
}


@pytest.mark.parametrize("what", _CHANGES)
def test_a_changed_file_is_an_error(
    what: str, sdist: Path, surroundings: Surroundings, marks: Path
) -> None:
    file, content, difference = _CHANGES[what]
    unpacked = unpack(sdist, marks.parent / "unpacked")
    unpacked.write(file, content)
    before = tree(unpacked.folder)

    refused = unpacked.build(surroundings, check=False)

    assert refused.completed.returncode != 0
    assert (
        f"hatch-model: error: this source distribution has changed since its model was trained:\n  "
        f"{difference}\nUnpack it again, or set HATCH_MODEL_RETRAIN=1 to train a new model from "
        f"the current files.\n" in refused.output
    )
    assert not list((marks.parent / "dist").glob("*.whl"))
    assert tree(unpacked.folder) == before


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (
            ('version = "0.1.0"', 'version = "0.2.0"'),
            'the version: "0.2.0", but "0.1.0" then',
        ),
        (
            ("check =", "arguments = { depth = 3 }\ncheck ="),
            'tool.hatch.build.hooks.model.arguments: {"depth": 3}, but {} then',
        ),
        (
            ("check =", 'gates = { accuracy = ">= 0.1" }\ncheck ='),
            'tool.hatch.build.hooks.model.gates: {"accuracy": ">= 0.1"}, but {} then',
        ),
        (
            ("check =", 'inputs = ["src/small/main.py"]\ncheck ='),
            "tool.hatch.build.hooks.model.inputs: changed",
        ),
        (
            ("check =", 'environment = { TOKEN = "hunter2" }\ncheck ='),
            "tool.hatch.build.hooks.model.environment: changed",
        ),
        (
            ('"anchor>=1"', '"anchor>=1.1"'),
            "tool.hatch.metadata.hooks.model.dependencies: changed",
        ),
        (
            (
                "[tool.hatch.metadata.hooks.model]",
                '[tool.hatch.metadata.hooks.model]\npins = "direct"',
            ),
            "tool.hatch.metadata.hooks.model.pins: changed",
        ),
        (
            ("check =", 'artifacts = "src/small/elsewhere"\ncheck ='),
            "small/data/deep/weights.txt: the settings have artifacts in small/elsewhere",
        ),
    ],
)
def test_changed_settings_are_an_error(
    change: tuple[str, str],
    difference: str,
    sdist: Path,
    surroundings: Surroundings,
    marks: Path,
) -> None:
    unpacked = unpack(sdist, marks.parent / "unpacked")
    unpacked.replace("pyproject.toml", change)

    refused = unpacked.build(surroundings, check=False)

    assert refused.completed.returncode != 0
    assert f"was trained:\n  {difference}\n" in refused.output
    assert "hunter2" not in refused.output


def test_a_changed_input_is_an_error_and_a_missing_one_is_not(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    project.write("data/train.csv", "1")
    project.replace("pyproject.toml", ("check =", 'inputs = ["data/*.csv"]\ncheck ='))
    out = marks.parent / "sdist"
    surroundings.run("uv", "build", "--sdist", "--out-dir", out, cwd=project.folder)
    (path,) = out.glob("*.tar.gz")
    unpacked = unpack(path, marks.parent / "unpacked")

    unpacked.write("data/train.csv", "2")
    refused = unpacked.build(surroundings, check=False)
    assert "was trained:\n  data/train.csv: changed\n" in refused.output

    (unpacked.folder / "data" / "train.csv").unlink()
    assert unpacked.build(surroundings).wheel.requires == _PINS


def test_a_missing_artifact_is_an_error(
    sdist: Path, surroundings: Surroundings, marks: Path
) -> None:
    unpacked = unpack(sdist, marks.parent / "unpacked")
    (unpacked.folder / "src/small/data/deep/weights.txt").unlink()

    refused = unpacked.build(surroundings, check=False)

    assert "was trained:\n  src/small/data/deep/weights.txt: missing\n" in refused.output


def test_a_record_that_cannot_be_read_is_an_error(
    sdist: Path, surroundings: Surroundings, marks: Path
) -> None:
    unpacked = unpack(sdist, marks.parent / "unpacked")
    unpacked.write(".hatch-model.json", "{")

    refused = unpacked.build(surroundings, check=False)

    assert "was trained:\n  .hatch-model.json: it is not JSON: " in refused.output


def test_changed_pins_are_an_error(sdist: Path, surroundings: Surroundings, marks: Path) -> None:
    unpacked = unpack(sdist, marks.parent / "unpacked")
    unpacked.replace("PKG-INFO", ("anchor==1.2", "anchor==1.3"))

    refused = unpacked.build(surroundings, check=False)

    assert (
        "the dependencies in the wheel's metadata are not the versions that trained the model"
        in refused.output
    )


def test_pins_that_are_not_the_recorded_environment_are_an_error(
    sdist: Path, surroundings: Surroundings, marks: Path
) -> None:
    unpacked = unpack(sdist, marks.parent / "unpacked")
    file = unpacked.folder / ".hatch-model.json"
    carried = json.loads(file.read_text("utf-8"))
    (anchor,) = (each for each in carried["record"]["environment"] if each["name"] == "anchor")
    anchor["version"] = "1.3"
    file.write_text(json.dumps(carried), "utf-8")

    refused = unpacked.build(surroundings, check=False)

    assert "\n  anchor: 1.3 trained the model, but the pin is anchor==1.2\n" in refused.output


# Training again


def test_retraining_takes_the_versions_that_it_was_trained_with(
    sdist: Path, surroundings: Surroundings, marks: Path, index: Index
) -> None:
    for version in ("1.2", "1.3"):
        make_wheel(index.folder, "anchor", version, requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.0")
    surroundings.environment["HATCH_MODEL_RETRAIN"] = "1"

    wheel = build_wheel(sdist, surroundings, "again")

    assert marks.read_text("utf-8") == "xx"
    assert wheel.requires == _PINS


# What it is made with


def test_a_missed_gate_leaves_no_sdist(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    project.replace("pyproject.toml", ("check =", 'gates = { accuracy = ">= 0.9" }\ncheck ='))

    refused = project.build(surroundings, "uv build", check=False)

    assert refused.completed.returncode != 0
    assert "MISSED" in refused.output
    assert not list((marks.parent / "dist").glob("small*"))
    assert list(surroundings.temporary.iterdir()) == []


def test_the_bom_the_lock_and_the_tag_travel_along(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    project.replace(
        "pyproject.toml",
        ("check =", 'sbom = true\nlock = "locked.txt"\ncheck ='),
        ('dependencies = ["anchor>=1"]', 'dependencies = ["anchor>=1"]\npython = "minor"'),
    )
    project.write("locked.txt", "anchor==1.2\nchain==2.0\n")

    built = project.build(surroundings, "uv build")

    assert marks.read_text("utf-8") == "x"
    assert built.wheel.path.name == f"small-0.1.0-cp3{sys.version_info.minor}-none-any.whl"
    bom = json.loads(built.wheel.read("small-0.1.0.dist-info/sboms/model.cdx.json"))
    assert bom["metadata"]["component"]["name"] == "small"
    record = json.loads(built.wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert record["lock"]["path"] == "locked.txt"


def test_build_hooks_that_are_switched_off_are_an_error(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    surroundings.environment["HATCH_BUILD_NO_HOOKS"] = "true"

    refused = surroundings.run(
        *("uv", "build", "--sdist", "--python", _PYTHON), cwd=project.folder, check=False
    )

    assert (
        "hatch-model: error: the build hook is switched off by HATCH_BUILD_NO_HOOKS, so this "
        "source distribution would contain no model. Switch it on again, or remove "
        "tool.hatch.build.hooks.model.sdist.\n" in refused.stdout
    )
    assert not marks.exists()


def test_a_table_for_wheels_alone_cannot_train_for_the_sdist(
    project: ModelProject, surroundings: Surroundings, marks: Path
) -> None:
    key = "tool.hatch.build.targets.wheel.hooks.model"
    project.replace("pyproject.toml", ("[tool.hatch.build.hooks.model]", f"[{key}]"))

    refused = project.build(surroundings, check=False)

    assert (
        f"hatch-model: error: {key}.sdist: expected this option in tool.hatch.build.hooks.model, "
        f'because hatchling builds an sdist without the wheel target\'s hooks; found "trained"\n'
        in refused.output
    )
    assert not marks.exists()


def test_an_editable_install_of_it_has_the_model(
    sdist: Path, surroundings: Surroundings, marks: Path, index: Index
) -> None:
    make_wheel(index.folder, "anchor", "1.2", requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.0")
    unpacked = unpack(sdist, marks.parent / "unpacked")

    python = surroundings.make_environment(marks.parent / "fresh", "--editable", unpacked.folder)

    said = surroundings.run(python, "-c", "import small.main as s; s.check()", cwd=marks.parent)
    assert said.stdout == "checked\n"
    assert marks.read_text("utf-8") == "x"
