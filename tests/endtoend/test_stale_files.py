"""Files of an earlier time in the artifacts folder never ship as artifacts and never break a build."""

from __future__ import annotations

import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
from support import ModelProject, Surroundings, Wheel, tree

if TYPE_CHECKING:
    from pathlib import Path


_TAKES_FOLDER = """\
def train(output_dir):
    (output_dir / "weights.txt").write_text("fresh")
"""
_WRITES_INTO_TREE = """\
from pathlib import Path

def train():
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    (folder / "weights.txt").write_text("fresh")
"""
_EMPTIES_FOLDER = _WRITES_INTO_TREE.replace(
    "    folder.mkdir",
    "    import shutil; shutil.rmtree(folder, ignore_errors=True)\n    folder.mkdir",
)
_MODULES = ["small/__init__.py", "small/main.py"]


def _with_stale_files(
    project: ModelProject, surroundings: Surroundings, main: str, *, git: str
) -> None:
    """Give *project* files of an earlier training, which git has "committed" or "ignored"."""
    project.write("src/small/main.py", main)
    project.write("src/small/data/weights.txt", "stale")
    project.write("src/small/data/old/epoch-1.txt", "stale")

    def run(*arguments: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        surroundings.run("git", *identity, *arguments, cwd=project.folder)

    run("init", "--quiet")
    if git == "ignored":
        project.write(".gitignore", "src/small/data/\n")
    run("add", ".")
    if git == "committed":
        run("commit", "--quiet", "--message", "The model of an earlier time")


def _warning(path: str) -> str:
    return (
        f"hatch-model: warning: `{path}`: this training did not write it, but it ships with the "
        f"model because hatchling selects it as a source. If it is from an earlier training, "
        f"delete it or have git ignore it. Otherwise, set tool.hatch.build.hooks.model.artifacts "
        f"to another folder for the model.\n"
    )


_TRAINING = "hatch-model: training with small.main:train\n"


@pytest.mark.parametrize("main", [_TAKES_FOLDER, _WRITES_INTO_TREE], ids=["output_dir", "tree"])
@pytest.mark.parametrize("frontend", ["uv build", "uv build --wheel"])
def test_files_that_git_ignores_do_not_ship(
    frontend: str, main: str, project: ModelProject, surroundings: Surroundings
) -> None:
    _with_stale_files(project, surroundings, main, git="ignored")

    built = project.build(surroundings, frontend)

    assert built.wheel.files == sorted([*_MODULES, "small/data/weights.txt"])
    assert built.wheel.read("small/data/weights.txt") == "fresh"
    assert built.backend_output == _TRAINING


@pytest.mark.parametrize("main", [_TAKES_FOLDER, _WRITES_INTO_TREE], ids=["output_dir", "tree"])
@pytest.mark.parametrize("frontend", ["uv build", "uv build --wheel"])
def test_files_that_are_committed_ship_as_sources_with_a_warning(
    frontend: str, main: str, project: ModelProject, surroundings: Surroundings
) -> None:
    _with_stale_files(project, surroundings, main, git="committed")

    built = project.build(surroundings, frontend)

    assert built.wheel.files == sorted(
        [*_MODULES, "small/data/old/epoch-1.txt", "small/data/weights.txt"]
    )
    assert built.wheel.read("small/data/weights.txt") == "fresh"
    assert built.backend_output == _TRAINING + _warning("src/small/data/old/epoch-1.txt")


def test_data_that_training_reads_is_no_earlier_model(
    project: ModelProject, surroundings: Surroundings
) -> None:
    """Where the package's own data lies in the folder that the model goes to."""
    project.write("src/small/data/houses.csv", "rooms\n3\n")
    project.replace(
        "pyproject.toml",
        ('"small.main:train"', '"small.main:train"\ninputs = ["src/small/data/*.csv"]'),
    )

    built = project.build(surroundings)

    assert built.wheel.files == [
        *sorted([*_MODULES, "small/data/houses.csv", "small/data/weights.txt"])
    ]
    assert "warning" not in built.backend_output


def test_a_file_that_is_committed_and_ignored_does_not_ship(
    project: ModelProject, surroundings: Surroundings
) -> None:
    """hatchling goes by .gitignore alone."""
    _with_stale_files(project, surroundings, _TAKES_FOLDER, git="committed")
    project.write(".gitignore", "/src/small/data\n")

    built = project.build(surroundings)

    assert built.wheel.files == sorted([*_MODULES, "small/data/weights.txt"])
    assert built.backend_output == _TRAINING


def test_the_sdist_carries_what_git_does_not_ignore_and_no_more(
    project: ModelProject, surroundings: Surroundings
) -> None:
    _with_stale_files(project, surroundings, _WRITES_INTO_TREE, git="ignored")
    project.write("src/small/notes.txt", "committed or not")

    built = project.build(surroundings, "uv build")

    with tarfile.open(built.sdist) as archive:
        names = sorted(name.partition("/")[2] for name in archive.getnames())
    assert names == [
        ".gitignore",
        "PKG-INFO",
        "pyproject.toml",
        "src/small/__init__.py",
        "src/small/main.py",
        "src/small/notes.txt",
    ]


def test_what_a_function_removes_from_the_folder_is_there_again(
    project: ModelProject, surroundings: Surroundings
) -> None:
    _with_stale_files(project, surroundings, _EMPTIES_FOLDER, git="ignored")
    before = tree(project.folder)

    built = project.build(surroundings)

    assert built.wheel.files == sorted([*_MODULES, "small/data/weights.txt"])
    assert built.wheel.read("small/data/weights.txt") == "fresh"
    assert built.backend_output == _TRAINING
    assert tree(project.folder) == before


@pytest.mark.parametrize("main", [_TAKES_FOLDER, _WRITES_INTO_TREE], ids=["output_dir", "tree"])
def test_building_again_and_again_gives_the_same_wheel(
    main: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    """What the first training left in the tree is stale in the second."""
    project.write("src/small/main.py", main)

    wheels = [
        project.build(surroundings, out=tmp_path / f"dist-{number}").wheel.path.read_bytes()
        for number in range(2)
    ]

    assert wheels[0] == wheels[1]


@pytest.mark.skipif(sys.platform == "win32", reason="links are not for everyone")
@pytest.mark.parametrize("main", [_TAKES_FOLDER, _WRITES_INTO_TREE], ids=["output_dir", "tree"])
def test_stale_links_out_of_the_folder_do_no_harm(
    main: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    """Tools that version data put links to a cache of theirs into the tree."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "rows.csv").write_text("1,2,3\n")
    _with_stale_files(project, surroundings, main, git="ignored")
    (project.folder / "src/small/data/rows.csv").symlink_to(cache / "rows.csv")
    (project.folder / "src/small/data/gone.csv").symlink_to(cache / "gone.csv")

    built = project.build(surroundings)

    assert built.wheel.files == sorted([*_MODULES, "small/data/weights.txt"])
    assert built.backend_output == _TRAINING
    assert list(tree(cache)) == ["rows.csv"]


@pytest.mark.parametrize("git", ["committed", "ignored"])
def test_an_editable_install_leaves_them_alone(
    git: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    _with_stale_files(project, surroundings, _WRITES_INTO_TREE, git=git)
    before = tree(project.folder)

    python = surroundings.make_environment(tmp_path / "environment", "-e", project.folder)

    assert tree(project.folder) == before
    assert _in_installed(surroundings, python, tmp_path) == "stale"


@pytest.mark.parametrize("main", [_TAKES_FOLDER, _WRITES_INTO_TREE], ids=["output_dir", "tree"])
def test_an_editable_install_that_trains_writes_over_them(
    main: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    _with_stale_files(project, surroundings, main, git="committed")
    project.replace(
        "pyproject.toml", ('small.main:train"', 'small.main:train"\neditable = "train"')
    )
    before = tree(project.folder)

    python = surroundings.make_environment(tmp_path / "environment", "-e", project.folder)

    assert _in_installed(surroundings, python, tmp_path) == "fresh"
    after = tree(project.folder)
    assert [path for path in after if after[path] != before.get(path)] == [
        "src/small/data/.gitignore",
        "src/small/data/weights.txt",
    ]
    assert after.keys() == {*before.keys(), "src/small/data/.gitignore"}


def _in_installed(surroundings: Surroundings, python: Path, folder: Path) -> str:
    code = (
        "import small, pathlib\n"
        "print((pathlib.Path(small.__file__).parent / 'data' / 'weights.txt').read_text(), end='')"
    )
    return surroundings.run(python, "-B", "-c", code, cwd=folder).stdout


def test_a_module_in_the_artifacts_folder_is_a_module(
    project: ModelProject, surroundings: Surroundings
) -> None:
    _with_stale_files(project, surroundings, _WRITES_INTO_TREE, git="committed")
    (project.folder / "src/small/data/old/epoch-1.txt").unlink()
    project.write("src/small/data/__init__.py", "")

    built = project.build(surroundings)

    assert built.wheel.files == sorted(
        [*_MODULES, "small/data/__init__.py", "small/data/weights.txt"]
    )
    assert built.backend_output == _TRAINING


def test_stale_files_of_a_renamed_package_ship_under_its_new_name_with_a_warning(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace(
        "pyproject.toml",
        (
            'train = "small.main:train"',
            """\
train = "other.main:train"

[tool.hatch.build.targets.wheel]
include = ["src/small"]

[tool.hatch.build.sources]
"src/small" = "other"
""",
        ),
    )
    _with_stale_files(project, surroundings, _WRITES_INTO_TREE, git="committed")
    before = tree(project.folder)

    built = project.build(surroundings)

    assert built.wheel.files == [
        "other/__init__.py",
        "other/data/old/epoch-1.txt",
        "other/data/weights.txt",
        "other/main.py",
    ]
    assert Wheel(built.wheel.path).read("other/data/weights.txt") == "fresh"
    assert built.backend_output == (
        "hatch-model: training with other.main:train\n" + _warning("src/small/data/old/epoch-1.txt")
    )
    assert tree(project.folder) == before
