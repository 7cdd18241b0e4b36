"""The record that a wheel carries: whole, true, the same for the same inputs, and nothing private."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from support import ModelProject, Surroundings, make_wheel, tree, unpack

if TYPE_CHECKING:
    from support import Index, Wheel


_SCHEMA = json.loads(
    (Path(__file__).parents[2] / "src" / "hatch_model" / "model.schema.json").read_text("utf-8")
)
_INFO = "small-0.1.0.dist-info"


def record_in(wheel: Wheel) -> dict[str, Any]:
    """Read the record, which must be valid and the only one."""
    with zipfile.ZipFile(wheel.path) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith("/model.json"))
        assert re.fullmatch(r"[^/]+\.dist-info/extra_metadata/model\.json", path)
        record: dict[str, Any] = json.loads(archive.read(path))
    validator = jsonschema.Draft202012Validator(_SCHEMA)
    validator.check_schema(_SCHEMA)
    validator.validate(record)
    return record


def file(path: str, text: str) -> dict[str, Any]:
    content = text.encode()
    return {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def git(folder: Path, *arguments: str) -> str:
    """Run git without the user's settings."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = {**outside, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env=environment,
        check=True,
        text=True,
        capture_output=True,
    ).stdout.strip()


def commit(folder: Path) -> str:
    """Make a repository of *folder* and give its one commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "One")
    return git(folder, "rev-parse", "HEAD")


def paths(files: list[dict[str, Any]]) -> list[str]:
    return [each["path"] for each in files]


# Everything that it holds -------------------------------------------------------------------------

_RICH = """
[tool.hatch.build.hooks.model]
train = "small.main:train"
check = "small.main:check"
dependency-groups = ["plots"]
inputs = ["data/*.csv", "data/**", "pyproject.toml"]
sbom = true

[tool.hatch.build.hooks.model.gates]
accuracy = ">= 0.7, < 1"

[tool.hatch.build.hooks.model.arguments]
rate = 1e-300
trees = 9223372036854775807
deep = { layers = [64, 32], dropout = false, names = ["é", ""], rows = [[1.5], []] }

[dependency-groups]
plots = ["plotter"]
"""
_RICH_MAIN = """
from pathlib import Path


def train(output_dir: Path, rate, trees, deep):
    (output_dir / "deep").mkdir()
    (output_dir / "deep" / "second.txt").write_text("2")
    (output_dir / "weights.txt").write_text("0.5\\n")
    return {"accuracy": 0.75, "loss": 1e-300, "n": 10**30}


def check():
    weights = Path(__file__).parent / "data" / "weights.txt"
    return {"prediction": [float(weights.read_text())]}
"""


@pytest.fixture
def rich(project: ModelProject, index: Index) -> ModelProject:
    """A project that says all that a record can hold."""
    make_wheel(index.folder, "plotter", "3.0")
    project.replace(
        "pyproject.toml",
        ('[tool.hatch.build.hooks.model]\ntrain = "small.main:train"\n', _RICH),
    )
    project.write("src/small/main.py", _RICH_MAIN)
    project.write("data/b.csv", "1\n")
    project.write("data/deep/a.csv", "2\n")
    return project


def test_a_record_says_all_there_is_to_say(
    rich: ModelProject, surroundings: Surroundings, build_tools: Path
) -> None:
    commit_id = commit(rich.folder)

    record = record_in(rich.build(surroundings, "uv build").wheel)

    (plugin,) = build_tools.glob("hatch_model-*.whl")
    version = plugin.name.split("-")[1]
    environment = record.pop("environment")
    assert record == {
        "schema_version": 1,
        "project": {"name": "small", "version": "0.1.0"},
        "training": {
            "entry_point": "small.main:train",
            "arguments": {
                "rate": 1e-300,
                "trees": 2**63 - 1,
                "deep": {
                    "layers": [64, 32],
                    "dropout": False,
                    "names": ["é", ""],
                    "rows": [[1.5], []],
                },
            },
        },
        "metrics": {"accuracy": 0.75, "loss": 1e-300, "n": 10**30},
        "gates": {"accuracy": ">= 0.7, < 1"},
        "check": {"entry_point": "small.main:check", "result": {"prediction": [0.5]}},
        "python": {"implementation": "CPython", "version": platform.python_version()},
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "pins": ["anchor==1.2", "chain==2.0"],
        "lock": None,
        "git": {"commit": commit_id, "dirty": False},
        "inputs": [
            file("data/b.csv", "1\n"),
            file("data/deep/a.csv", "2\n"),
            file("pyproject.toml", (rich.folder / "pyproject.toml").read_text("utf-8")),
        ],
        "sources": [file("small/__init__.py", ""), file("small/main.py", _RICH_MAIN)],
        "artifacts": [
            file("small/data/deep/second.txt", "2"),
            file("small/data/weights.txt", "0.5\n"),
        ],
        "generator": {"name": "hatch-model", "version": version},
    }
    named = {each["name"]: (each["version"], each["use"]) for each in environment}
    assert list(named) == sorted(named)
    assert {name for name, (_, use) in named.items() if use == "runtime"} == {"anchor", "chain"}
    assert named["anchor"] == ("1.2", "runtime")
    assert named["plotter"] == ("3.0", "training")
    assert named["hatch-model"] == (version, "training")
    assert {"hatchling", "joblib", "packaging", "pathspec"} < named.keys()
    assert "small" not in named


def test_a_record_of_next_to_nothing_is_valid(
    project: ModelProject, surroundings: Surroundings
) -> None:
    record = record_in(project.build(surroundings).wheel)

    assert [key for key, value in record.items() if not value] == [
        "check",
        "gates",
        "git",
        "inputs",
        "lock",
    ]
    assert record["training"]["arguments"] == {}


def test_a_lock_is_recorded_by_its_digest(
    project: ModelProject, surroundings: Surroundings
) -> None:
    locked = "anchor==1.2\nchain==2.0\n"
    project.write("locks/requirements.txt", locked)
    project.replace(
        "pyproject.toml",
        (
            'train = "small.main:train"',
            'train = "small.main:train"\nlock = "locks/requirements.txt"',
        ),
    )

    record = record_in(project.build(surroundings).wheel)

    assert record["lock"] == file("locks/requirements.txt", locked)


# The same, byte for byte --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frontend", "variables"),
    [
        ("uv build --wheel", {}),
        # What only zip entries are dated by, and what Python's sets are ordered by.
        ("uv build --wheel", {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"}),
        pytest.param("pip wheel", {}, marks=pytest.mark.frontend),
        pytest.param("python -m build", {}, marks=pytest.mark.frontend),
    ],
    ids=["uv", "uv elsewhere", "pip", "build"],
)
def test_two_builds_from_one_sdist_are_byte_identical(
    frontend: str,
    variables: dict[str, str],
    rich: ModelProject,
    surroundings: Surroundings,
    tmp_path: Path,
) -> None:
    commit(rich.folder)
    built = rich.build(surroundings, "uv build")
    elsewhere = unpack(built.sdist, tmp_path / "another folder")
    surroundings.environment.update(variables)
    options = ["--wheel"] if frontend == "python -m build" else []

    again = elsewhere.build(surroundings, frontend, *options, out=tmp_path / "again").wheel

    with zipfile.ZipFile(again.path) as archive:
        assert archive.namelist() == [
            "small/__init__.py",
            "small/main.py",
            "small/data/deep/second.txt",
            "small/data/weights.txt",
            f"{_INFO}/METADATA",
            f"{_INFO}/WHEEL",
            f"{_INFO}/extra_metadata/model.json",
            f"{_INFO}/sboms/model.cdx.json",
            f"{_INFO}/RECORD",
        ]
    assert again.path.read_bytes() == built.wheel.path.read_bytes()


def test_the_date_that_entries_are_given_is_not_in_the_record(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    first = project.build(surroundings).wheel
    surroundings.environment["SOURCE_DATE_EPOCH"] = "1000000000"
    second = project.build(surroundings, out=tmp_path / "again").wheel

    assert second.path.read_bytes() != first.path.read_bytes()
    assert second.read(f"{_INFO}/extra_metadata/model.json") == first.read(
        f"{_INFO}/extra_metadata/model.json"
    )


def test_nothing_private_gets_into_a_wheel_or_an_sdist(
    rich: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    commit(rich.folder)
    git(rich.folder, "remote", "add", "origin", "https://user:p4ssw0rd@git.example.org/small.git")
    home = tmp_path / "home-of-mrs-private"
    home.mkdir()
    surroundings.environment.update(
        {
            "API_TOKEN": "t0ken-of-mrs-private",
            "AWS_SECRET_ACCESS_KEY": "aws-of-mrs-private",
            "PIP_EXTRA_INDEX_URL": "https://user:p4ssw0rd@pypi.example.org/simple",
            "HOME": str(home),
            "USER": "mrs-private",
            "LOGNAME": "mrs-private",
            "HOSTNAME": "host-of-mrs-private",
        }
    )
    rich.replace(
        "pyproject.toml",
        ("sbom = true", 'sbom = true\nenvironment = { TOKEN = "env-t0ken" }'),
        ('"data/**", "pyproject.toml"]', '"data/**"]'),
    )

    built = rich.build(surroundings, "uv build")

    with zipfile.ZipFile(built.wheel.path) as archive:
        contents = {name: archive.read(name).decode() for name in archive.namelist()}
    made = {name: text for name, text in contents.items() if name.startswith(_INFO)}
    for name, text in contents.items():
        for private in (
            *("private", "p4ssw0rd", "t0ken", str(tmp_path), str(home), sys.prefix),
            *(str(Path.home()), str(surroundings.caches), tempfile.gettempdir(), "/home/"),
        ):
            assert private not in text, f"{private} is in {name}"
    for name, text in made.items():
        words = set(re.split(r"[^\w.-]", text))
        assert words.isdisjoint({socket.gethostname(), platform.node()} - {"localhost"}), name
    with tarfile.open(built.sdist) as sdist:
        carried = sdist.extractfile("small-0.1.0/.hatch-model.json")
        assert carried is not None
        assert set(json.load(carried)) == {"git"}


# The commit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frontend",
    [
        "uv build",
        pytest.param("uv build --wheel", marks=pytest.mark.frontend),
        pytest.param("python -m build", marks=pytest.mark.frontend),
        pytest.param("pip wheel", marks=pytest.mark.frontend),
        pytest.param("hatch build", marks=pytest.mark.frontend),
    ],
)
@pytest.mark.parametrize("state", ["clean", "dirty"])
def test_the_commit_is_recorded_whatever_the_frontend(
    frontend: str, state: str, project: ModelProject, surroundings: Surroundings
) -> None:
    commit_id = commit(project.folder)
    if state == "dirty":
        project.write("src/small/new.py", "")

    wheel = project.build(surroundings, frontend).wheel

    assert record_in(wheel)["git"] == {"commit": commit_id, "dirty": state == "dirty"}
    assert ".hatch-model.json" not in wheel.files


@pytest.mark.parametrize(
    "frontend",
    ["uv build --wheel", pytest.param("pip wheel", marks=pytest.mark.frontend)],
)
def test_an_sdist_keeps_its_commit_in_somebody_elses_repository(
    frontend: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    commit_id = commit(project.folder)
    sdist = project.build(surroundings, "uv build").sdist
    other = tmp_path / "other"
    other.mkdir()
    (other / "README").touch()
    assert commit(other) != commit_id

    wheel = unpack(sdist, other).build(surroundings, frontend, out=tmp_path / "again").wheel

    assert record_in(wheel)["git"] == {"commit": commit_id, "dirty": False}


def test_an_sdist_of_an_sdist_keeps_the_commit(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    commit_id = commit(project.folder)
    first = project.build(surroundings, "uv build")

    second = unpack(first.sdist, tmp_path / "unpacked").build(
        surroundings, "uv build", out=tmp_path / "again"
    )

    assert record_in(second.wheel)["git"] == {"commit": commit_id, "dirty": False}
    assert second.wheel.path.read_bytes() == first.wheel.path.read_bytes()


def test_without_a_repository_nothing_is_carried_and_null_recorded(
    project: ModelProject, surroundings: Surroundings
) -> None:
    built = project.build(surroundings, "uv build")

    assert record_in(built.wheel)["git"] is None
    with tarfile.open(built.sdist) as sdist:
        assert sorted(sdist.getnames()) == [
            "small-0.1.0/PKG-INFO",
            "small-0.1.0/pyproject.toml",
            "small-0.1.0/src/small/__init__.py",
            "small-0.1.0/src/small/main.py",
        ]


def test_without_git_the_commit_is_null(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    commit(project.folder)
    uv = shutil.which("uv")
    assert uv is not None
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").symlink_to(uv)
    surroundings.environment["PATH"] = str(programs)

    assert record_in(project.build(surroundings, "uv build").wheel)["git"] is None


def test_training_into_the_tree_makes_no_commit_dirty(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write(
        "src/small/main.py",
        """
        from pathlib import Path

        def train():
            folder = Path(__file__).parent / "data"
            folder.mkdir(exist_ok=True)
            (folder / "weights.txt").write_text("0.5")
        """.replace("\n        ", "\n"),
    )
    commit_id = commit(project.folder)

    wheel = project.build(surroundings).wheel

    assert wheel.files == ["small/__init__.py", "small/data/weights.txt", "small/main.py"]
    assert record_in(wheel)["git"] == {"commit": commit_id, "dirty": False}


# What ships, under the paths that it ships under --------------------------------------------------


def test_an_artifact_in_place_of_a_source_is_an_artifact(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("src/small/data/weights.txt", "old")

    wheel = project.build(surroundings).wheel

    record = record_in(wheel)
    assert record["artifacts"] == [file("small/data/weights.txt", "0.5\n")]
    assert paths(record["sources"]) == ["small/__init__.py", "small/main.py"]


def test_every_file_of_the_packages_is_a_source_or_an_artifact(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    """Also what another hook makes, what comes from outside, and what training adds or deletes."""
    (tmp_path / "outside.txt").write_text("outside")
    project.write("notes/guide.md", "guide")
    project.write("src/small/gone.txt", "gone")
    project.write(
        "hatch_build.py",
        "from pathlib import Path\n"
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Hook(BuildHookInterface):\n"
        "    def initialize(self, version, build_data):\n"
        "        Path(self.root, 'src/small/_version.py').write_text('version = 1')\n"
        "        build_data['artifacts'].append('src/small/_version.py')\n",
    )
    project.write(".gitignore", "_version.py\n")
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.build.hooks.model]",
            (
                "[tool.hatch.build.hooks.custom]\n"
                "[tool.hatch.build.targets.wheel.force-include]\n"
                '"../outside.txt" = "small/outside.txt"\n"notes" = "small/notes"\n'
                "[tool.hatch.build.hooks.model]"
            ),
        ),
    )
    project.replace(
        "src/small/main.py",
        (
            "    return",
            (
                '    Path("src/small/gone.txt").unlink()\n'
                '    Path("src/small/added.txt").write_text("added")\n'
                "    return"
            ),
        ),
    )

    wheel = project.build(surroundings).wheel

    record = record_in(wheel)
    recorded = [*paths(record["sources"]), *paths(record["artifacts"])]
    assert (
        sorted(recorded)
        == wheel.files
        == [
            "small/__init__.py",
            "small/_version.py",
            "small/added.txt",
            "small/data/weights.txt",
            "small/main.py",
            "small/notes/guide.md",
            "small/outside.txt",
        ]
    )
    assert paths(record["artifacts"]) == ["small/data/weights.txt"]


@pytest.mark.parametrize(
    ("sources", "folder"),
    [
        ('{ "src/small" = "renamed" }', "renamed"),
        pytest.param('{ "src" = "deep/er" }', "deep/er/small", marks=pytest.mark.frontend),
        ('{ "" = "prefix" }', "prefix/src/small"),
    ],
)
def test_paths_are_those_in_the_wheel(
    sources: str, folder: str, project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace(
        "pyproject.toml",
        (
            'train = "small.main:train"',
            (
                f'train = "{folder.replace("/", ".")}.main:train"\n'
                f'check = "{folder.replace("/", ".")}.main:predict"\n'
                "sbom = true\n"
                'artifacts = "src/small/data"\n'
                "[tool.hatch.build.targets.wheel]\n"
                'only-include = ["src/small"]\n'
                f"sources = {sources}"
            ),
        ),
    )

    wheel = project.build(surroundings).wheel

    record = record_in(wheel)
    assert paths(record["artifacts"]) == [f"{folder}/data/weights.txt"]
    assert json.loads(wheel.read(f"{_INFO}/sboms/model.cdx.json"))["bomFormat"] == "CycloneDX"
    assert paths(record["sources"]) == [f"{folder}/__init__.py", f"{folder}/main.py"]
    assert record["check"]["result"] == "0.5\n"


def test_a_project_that_keeps_its_spelling_has_its_record_in_its_own_folder(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace(
        "pyproject.toml",
        ('name = "small"', 'name = "My.Small-Model"'),
        (
            "[tool.hatch.build.hooks.model]",
            (
                "[tool.hatch.build.targets.wheel]\n"
                'strict-naming = false\npackages = ["src/small"]\n\n'
                "[tool.hatch.build.hooks.model]\n"
                'check = "small.main:predict"'
            ),
        ),
    )

    wheel = project.build(surroundings).wheel

    assert wheel.path.name == "My.Small_Model-0.1.0-py3-none-any.whl"
    assert json.loads(wheel.read("My.Small_Model-0.1.0.dist-info/extra_metadata/model.json")) == (
        record_in(wheel)
    )
    assert record_in(wheel)["project"] == {"name": "my-small-model", "version": "0.1.0"}
    assert record_in(wheel)["check"]["result"] == "0.5\n"


# Inputs -------------------------------------------------------------------------------------------


def test_inputs_that_are_not_there_are_refused_before_training(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("data/a.csv", "")
    project.replace(
        "pyproject.toml",
        (
            'train = "small.main:train"',
            'train = "small.main:train"\ninputs = ["data/*.csv", "data", "raw/*.csv"]',
        ),
    )
    before = tree(project.folder)

    built = project.build(surroundings, check=False)

    assert built.completed.returncode != 0
    assert (
        "hatch-model: error: 2 problems in the project's configuration:\n"
        '  tool.hatch.build.hooks.model.inputs[1]: expected to match a file; found "data"\n'
        '  tool.hatch.build.hooks.model.inputs[2]: expected to match a file; found "raw/*.csv"\n'
    ) in built.output
    assert "training with" not in built.output
    assert tree(project.folder) == before
    assert list(surroundings.temporary.iterdir()) == []


def test_inputs_are_recorded_as_they_were_before_training(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("data/a.csv", "before")
    project.replace(
        "pyproject.toml",
        ('train = "small.main:train"', 'train = "small.main:train"\ninputs = ["data/*"]'),
    )
    project.replace(
        "src/small/main.py",
        (
            "    return {",
            (
                '    Path("data/a.csv").write_text("after")\n'
                '    Path("data/b.csv").write_text("new")\n'
                "    return {"
            ),
        ),
    )

    assert record_in(project.build(surroundings).wheel)["inputs"] == [file("data/a.csv", "before")]


def test_of_inputs_outside_of_the_project_only_their_digests_are_known(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "a.csv").write_text("secret numbers")
    (project.folder / "data").symlink_to(tmp_path / "lake")
    project.replace(
        "pyproject.toml",
        ('train = "small.main:train"', 'train = "small.main:train"\ninputs = ["data/*.csv"]'),
    )

    wheel = project.build(surroundings).wheel

    assert record_in(wheel)["inputs"] == [file("data/a.csv", "secret numbers")]
    with zipfile.ZipFile(wheel.path) as archive:
        assert not any(b"secret numbers" in archive.read(name) for name in archive.namelist())
        assert not any(b"lake" in archive.read(name) for name in archive.namelist())
