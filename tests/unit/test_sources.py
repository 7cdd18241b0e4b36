"""What the wheel ships of the tree, and where training imports it from and writes to."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from textwrap import dedent
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from support import tree

from hatch_model._settings import ObjectReference, TrainingSettings
from hatch_model._sources import (
    SourceFile,
    TrainingTree,
    distribution_path,
    source_files,
    training_tree,
)
from hatch_model.errors import (
    HatchModelError,
    ModuleNotFoundInTrainingError,
    SelectionError,
    SettingsError,
    UnknownArtifactsFolderError,
)

_KEY = "tool.hatch.build.hooks.model"


def _builder(root: Path, files: str, wheel: str = "") -> WheelBuilder:
    """Lay out a project named `iris` with *files* (paths) and the table *wheel* for its target."""
    for file in files.split():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {file}\n", "utf-8")
    (root / "pyproject.toml").write_text(
        dedent(
            f"""
            [project]
            name = "iris"
            version = "1"

            [tool.hatch.build.targets.wheel]
            {wheel}
            """
        ),
        "utf-8",
    )
    return WheelBuilder(str(root))


def _training_tree(builder: WheelBuilder, train: str, **settings: Any) -> TrainingTree:
    module, _, attribute = train.partition(":")
    return training_tree(
        TrainingSettings(
            key=_KEY, train=ObjectReference(module=module, attribute=attribute), **settings
        ),
        source_files(builder),
        builder,
        Path(builder.root) / "staging",
    )


@pytest.mark.parametrize(
    ("wheel", "module"),
    [
        ("iris/main.py", "iris.main"),
        ("iris/__init__.py", "iris"),
        ("iris.py", "iris"),
        ("iris/sub/__init__.py", "iris.sub"),
        ("iris/data.csv", ""),
        ("iris/py.typed", ""),
        ("iris/fast.pyi", ""),
    ],
)
def test_a_module_is_named_as_it_is_imported_once_installed(wheel: str, module: str) -> None:
    file = SourceFile(path=Path(), tree=PurePosixPath(), wheel=PurePosixPath(wheel))

    assert file.module == module


@pytest.mark.parametrize(
    ("tree_path", "wheel", "import_root"),
    [
        ("iris/main.py", "iris/main.py", "."),
        ("src/iris/main.py", "iris/main.py", "src"),
        ("a/b/iris.py", "iris.py", "a/b"),
        ("src/iris/main.py", "flowers/main.py", None),
        ("main.py", "iris/main.py", None),
        ("srciris/main.py", "iris/main.py", None),
    ],
)
def test_a_module_is_importable_from_the_tree_unless_it_was_renamed(
    tree_path: str, wheel: str, import_root: str | None
) -> None:
    file = SourceFile(path=Path(), tree=PurePosixPath(tree_path), wheel=PurePosixPath(wheel))

    assert file.import_root == (None if import_root is None else PurePosixPath(import_root))


@pytest.mark.parametrize(
    ("files", "wheel", "train", "python_path", "artifacts"),
    [
        pytest.param(
            "src/iris/__init__.py src/iris/main.py", "", "iris.main:train", "src", "src/iris/data",
            id="src layout",
        ),
        pytest.param(
            "iris/__init__.py iris/main.py", "", "iris.main:train", ".", "iris/data",
            id="flat layout",
        ),
        pytest.param("iris.py", "", "iris:train", ".", "data", id="single module"),
        pytest.param(
            "src/iris/__init__.py", "", "iris:train", "src", "src/iris/data",
            id="function in the package itself",
        ),
        pytest.param(
            "src/iris/__init__.py src/iris/fit/__init__.py src/iris/fit/forest.py", "",
            "iris.fit.forest:train", "src", "src/iris/fit/data",
            id="function in a sub-package",
        ),
        pytest.param(
            "lib/iris/main.py lib/other/main.py", 'packages = ["lib/iris", "lib/other"]',
            "other.main:train", "lib", "lib/other/data",
            id="two packages, neither with an __init__",
        ),
        pytest.param(
            "a/iris/main.py b/other/main.py", 'packages = ["a/iris", "b/other"]',
            "iris.main:train", "a b", "a/iris/data",
            id="two packages in two places",
        ),
        pytest.param(
            "python/iris/main.py", 'include = ["python"]\nsources = ["python"]',
            "iris.main:train", "python", "python/iris/data",
            id="sources that strip a prefix",
        ),
    ],
)  # fmt: skip
def test_training_imports_from_the_tree_and_writes_beside_its_module(
    tmp_path: Path, *, files: str, wheel: str, train: str, python_path: str, artifacts: str
) -> None:
    found = _training_tree(_builder(tmp_path, files, wheel), train)

    assert list(found.python_path) == [tmp_path / each for each in python_path.split()]
    assert found.artifacts == PurePosixPath(artifacts)
    assert found.artifacts_dir == tmp_path / artifacts
    assert not (tmp_path / "staging").exists()


@pytest.mark.parametrize(
    ("files", "wheel", "staged", "artifacts", "artifacts_dir"),
    [
        pytest.param(
            "src/foo/__init__.py src/foo/main.py src/foo/words.txt",
            'include = ["src/foo"]\n[tool.hatch.build.targets.wheel.sources]\n"src/foo" = "iris"',
            ["iris", "iris/__init__.py", "iris/main.py", "iris/words.txt"],
            "src/foo/data",
            "iris/data",
            id="a package gets another name",
        ),
        pytest.param(
            "main.py extra.py",
            'include = ["*.py"]\n[tool.hatch.build.targets.wheel.sources]\n"" = "iris"',
            ["iris", "iris/extra.py", "iris/main.py"],
            "data",
            "iris/data",
            id="modules get a package",
        ),
    ],
)
def test_where_sources_renames_a_package_training_imports_it_under_its_new_name(
    tmp_path: Path,
    *,
    files: str,
    wheel: str,
    staged: list[str],
    artifacts: str,
    artifacts_dir: str,
) -> None:
    found = _training_tree(_builder(tmp_path, files, wheel), "iris.main:train")

    staging = tmp_path / "staging"
    assert list(found.python_path) == [staging]
    assert found.artifacts == PurePosixPath(artifacts)
    assert found.artifacts_dir == staging / artifacts_dir
    assert list(tree(staging)) == staged


def test_the_renamed_package_finds_itself_by_its_real_path_and_its_data(tmp_path: Path) -> None:
    """`Path(__file__).resolve().parent / "data"` is common, and must not lead back to the tree."""
    builder = _builder(
        tmp_path,
        "src/foo/main.py src/foo/words.txt src/foo/data/old.txt",
        'include = ["src/foo"]\n[tool.hatch.build.targets.wheel.sources]\n"src/foo" = "iris"',
    )

    _training_tree(builder, "iris.main:train")

    staged = tmp_path / "staging" / "iris"
    assert (staged / "main.py").resolve() == (tmp_path / "staging" / "iris" / "main.py").resolve()
    assert not (staged / "main.py").is_symlink()
    assert (staged / "words.txt").read_text("utf-8") == "# src/foo/words.txt\n"
    # What training is going to write over is a copy: the user's file stays as it is.
    assert not (staged / "data" / "old.txt").is_symlink()


def test_a_custom_artifacts_folder_is_moved_with_the_sources(tmp_path: Path) -> None:
    builder = _builder(
        tmp_path,
        "src/foo/main.py",
        'include = ["src/foo"]\n[tool.hatch.build.targets.wheel.sources]\n"src/foo" = "iris"',
    )

    found = _training_tree(builder, "iris.main:train", artifacts=PurePosixPath("src/foo/weights"))

    assert found.artifacts_dir == tmp_path / "staging" / "iris" / "weights"
    assert distribution_path(builder, found.artifacts) == PurePosixPath("iris/weights")


def test_a_python_path_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    builder = _builder(tmp_path, "src/iris/__init__.py src/iris/main.py tools/fit.py")

    found = _training_tree(
        builder,
        "fit:train",
        python_path=(PurePosixPath("tools"), PurePosixPath("src")),
        artifacts=PurePosixPath("src/iris/data"),
    )

    assert list(found.python_path) == [tmp_path / "tools", tmp_path / "src"]
    assert found.artifacts_dir == tmp_path / "src" / "iris" / "data"


def _message(error: type[HatchModelError], builder: WheelBuilder, train: str, **given: Any) -> str:
    with pytest.raises(error) as raised:
        _training_tree(builder, train, **given)
    return str(raised.value)


def test_a_python_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    builder = _builder(tmp_path, "src/iris/__init__.py")

    message = _message(
        SettingsError,
        builder,
        "iris.main:train",
        python_path=(PurePosixPath("src"), PurePosixPath("lib")),
    )

    assert message == f'{_KEY}.python-path[1]: expected a folder that exists; found "lib"'


@pytest.mark.parametrize("train", ["fit:train", "wave:open"])
def test_training_code_that_is_not_shipped_needs_a_place_for_its_artifacts(
    tmp_path: Path, train: str
) -> None:
    builder = _builder(tmp_path, "src/iris/__init__.py src/iris/main.py tools/fit.py")

    message = _message(
        UnknownArtifactsFolderError, builder, train, python_path=(PurePosixPath("tools"),)
    )

    assert message == (
        f"{train} lies outside of the files that the wheel ships, so there is no package to put "
        f"the model into. Set {_KEY}.artifacts to a folder inside one of them, such as "
        f'"src/your_package/data".'
    )


@pytest.mark.parametrize(
    ("train", "suggestion"),
    [("iris.mian:train", " Did you mean `iris.main`?"), ("zzz:train", "")],
)
def test_a_module_that_nothing_has_is_not_found_before_training(
    tmp_path: Path, train: str, suggestion: str
) -> None:
    builder = _builder(tmp_path, "src/iris/__init__.py src/iris/main.py")

    module = train.partition(":")[0]
    assert _message(ModuleNotFoundInTrainingError, builder, train) == (
        f"{_KEY}.train is `{train}`, but there is no module `{module}` among the wheel's files, on "
        f"`python-path` or in the training environment.{suggestion}"
    )


@pytest.mark.parametrize(
    ("files", "packages"),
    [
        ("src/flowers/__init__.py", "src/flowers"),
        ("flowers/__init__.py tests/__init__.py", "flowers"),
        ("src/flowers/__init__.py src/trees/__init__.py", "src/your_package"),
        ("notes.txt", "src/your_package"),
    ],
)
def test_a_project_that_no_package_is_named_after_is_told_what_to_write(
    tmp_path: Path, files: str, packages: str
) -> None:
    with pytest.raises(SelectionError) as raised:
        source_files(_builder(tmp_path, files))

    assert str(raised.value) == (
        "hatchling cannot tell which files the wheel ships: no package or module is called like "
        'the project, "iris". Name the package yourself:\n\n[tool.hatch.build.targets.wheel]\n'
        f'packages = ["{packages}"]'
    )
