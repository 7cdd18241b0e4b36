"""Which modules the wheel ships, and what is known of those that the settings name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from layouts import KEY as _KEY
from layouts import training_settings as _settings
from layouts import wheel_builder as _builder

from hatch_model.entry_point import ObjectReference
from hatch_model.errors import HatchModelError, SettingsError
from hatch_model.layout import (
    INCLUDE_WHAT_IS_READ,
    SourceFile,
    check_layout,
    check_script,
    source_files,
)

if TYPE_CHECKING:
    from hatchling.builders.wheel import WheelBuilder


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
    ("files", "train", "packages"),
    [
        ("src/flowers/__init__.py", "flowers.main:train", "src/flowers"),
        ("src/flowers/__init__.py", "nowhere:train", "src/flowers"),
        ("src/flowers/main.py", "flowers.main:train", "src/flowers"),
        ("flowers/main.py trees/__init__.py", "flowers.main:train", "flowers"),
        ("flowers/__init__.py tests/__init__.py", "nowhere:train", "flowers"),
        ("src/__init__.py notes.txt", "nowhere:train", "src/your_package"),
        ("src/flowers/__init__.py src/trees/__init__.py", "nowhere:train", "src/your_package"),
        ("notes.txt", "flowers:train", "src/your_package"),
    ],
)
def test_a_project_that_no_package_is_named_after_is_told_what_to_write(
    tmp_path: Path, files: str, train: str, packages: str
) -> None:
    assert _selection(tmp_path, files, train) == (
        f'Select the package:\n\n[tool.hatch.build.targets.wheel]\npackages = ["{packages}"]'
    )


@pytest.mark.parametrize("folder", ["src/iris", "iris"])
def test_a_folder_with_the_name_of_the_project_only_lacks_its_init(
    tmp_path: Path, folder: str
) -> None:
    advice = _selection(tmp_path, f"{folder}/main.py", "iris.main:train")

    assert advice == f"`{folder}` is no package yet: add an empty file `{folder}/__init__.py`."


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (
            "src/flowers/__init__.py train.py",
            'Select the package:\n\n[tool.hatch.build.targets.wheel]\npackages = ["src/flowers"]',
        ),
        (
            "train.py",
            "Add a package for the code that loads the model, such as `src/iris/__init__.py`.",
        ),
    ],
)
def test_a_script_alone_is_no_package(tmp_path: Path, files: str, advice: str) -> None:
    assert _selection(tmp_path, files, "train.py") == advice


@pytest.mark.parametrize(
    ("train", "files", "message"),
    [
        ("jobs/fit.py", "jobs/fit.py", ""),
        ("trian.py", "train.py", "in the project. Did you mean `train.py`?"),
        ("train.py", "jobs/train.py", "in the project. Did you mean `jobs/train.py`?"),
        (
            "jobs/deep/fti.py",
            "jobs/deep/fit.py",
            "in the project. Did you mean `jobs/deep/fit.py`?",
        ),
        ("train.py", "src/iris/__init__.py .venv/train.py", "in the project."),
        (
            "train.py",
            "PKG-INFO train.txt",
            f"in this source distribution, {INCLUDE_WHAT_IS_READ}.",
        ),
        (
            "trian.py",
            "PKG-INFO train.py",
            f"in this source distribution, {INCLUDE_WHAT_IS_READ}. Did you mean `train.py`?",
        ),
    ],
)
def test_a_script_has_to_be_there(tmp_path: Path, train: str, files: str, message: str) -> None:
    _builder(tmp_path, files)
    if not message:
        check_script(_settings(train), tmp_path)
        return
    with pytest.raises(HatchModelError) as raised:
        check_script(_settings(train), tmp_path)

    assert str(raised.value) == f"{_KEY}.train is `{train}`, but there is no such file {message}"


@pytest.mark.parametrize("folder", ["", "src/"])
def test_a_module_in_no_package_is_told_where_it_may_go_and_how_it_ships_as_it_is(
    tmp_path: Path, folder: str
) -> None:
    assert _selection(tmp_path, f"{folder}train.py {folder}helper.py", "train:fit") == (
        f"`{folder}train.py` is not in a package. Either move it to `src/iris/train.py`, and set "
        f'{_KEY}.train to "iris.train:fit"; or ship it as a module, and the model in a folder with '
        f'a unique name, by {_KEY}.artifacts = "{folder}iris_model" and:\n\n'
        f'[tool.hatch.build.targets.wheel]\npackages = ["{folder}train.py"]'
    )


def test_nobody_is_told_to_ship_src_as_a_package(tmp_path: Path) -> None:
    files = "src/__init__.py src/models/__init__.py src/models/fit.py"

    assert _selection(tmp_path, files, "src.models.fit:train") == (
        "`src` is the folder for packages: wheels that ship it as a package overwrite each other's "
        f"files. Import `models` without it, set {_KEY}.train to "
        '"models.fit:train", and select the package:\n\n[tool.hatch.build.targets.wheel]\n'
        'packages = ["src/models"]'
    )
    assert _selection(tmp_path / "other", "src/__init__.py src/fit.py", "src.fit:train") == (
        "`src` is the folder for packages: wheels that ship it as a package overwrite each other's "
        "files. `src.fit` has to be in a package: move it to `src/iris/fit.py`, and set "
        f'{_KEY}.train to "iris.fit:train".'
    )


def _selection(root: Path, files: str, train: str) -> str:
    """Give what is said after the reason, where nothing is called like the project."""
    with pytest.raises(HatchModelError) as raised:
        source_files(_builder(root, files), _settings(train))
    reason, _, said = str(raised.value).partition('"iris". ')
    assert reason == (
        "hatchling cannot tell which files the wheel ships: no package or module has the project's "
        "name, "
    )
    return said


class TestReferences:
    """`train` and `check`, looked up in the files."""

    FILES = "src/iris/__init__.py src/iris/main.py"

    @staticmethod
    def _refused(builder: WheelBuilder, train: str, **options: Any) -> str:
        with pytest.raises(HatchModelError) as caught:
            check_layout(builder, _settings(train, **options))
        return str(caught.value)

    @pytest.mark.parametrize(
        "text",
        [
            "def train(): ...",
            "async def train(): ...",
            "class train: ...",
            "train = 1",
            "train: object = None",
            "one, (train, *rest) = 1, (2, 3)",
            "if True:\n    pass\nelse:\n    train = 1",
            "try:\n    import train\nexcept ImportError:\n    pass",
            "from other import train",
            "from other import fit as train",
            "import train.deep",
            "from other import *",
            "def __getattr__(name): ...",
            "globals()['train'] = 1",
            "import sys\nsys.modules[__name__] = object()",
            "def main():\n    global train\n    train = 1",
            "with open('x') as train: ...",
            "for train in []: ...",
            "(train := 1)",
            "match 1:\n    case train: ...",
            "match {}:\n    case {**train}: ...",
            "locals()['train'] = 1",
            "this is no Python",
        ],
    )
    def test_what_may_be_there_is_left_to_training(self, text: str, tmp_path: Path) -> None:
        builder = _builder(tmp_path, self.FILES)
        (tmp_path / "src/iris/main.py").write_text(text, "utf-8")

        check_layout(builder, _settings("iris.main:train"))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "def main():\n    def train(): ...",
            "class Model:\n    def train(self): ...",
            "import iris.train",
            "train",
            "print(train)",
            "lambda train: train",
        ],
    )
    def test_a_function_that_is_not_there_is_named(self, text: str, tmp_path: Path) -> None:
        builder = _builder(tmp_path, self.FILES)
        (tmp_path / "src/iris/main.py").write_text(f"def tran(): ...\n{text}\n", "utf-8")

        for option, settings in {
            "train": {"train": "iris.main:train"},
            "check": {"train": "iris.main:tran", "check": "iris.main:train"},
        }.items():
            check = settings.pop("check", "")
            module, _, attribute = check.partition(":")
            reference = ObjectReference(module=module, attribute=attribute) if check else None
            assert self._refused(builder, **settings, check=reference) == (
                f"{_KEY}.{option} is `iris.main:train`, but `iris.main` has no attribute `train`. Did you mean "
                "`tran`?"
            )

    @pytest.mark.parametrize(
        ("train", "suggestion"),
        [
            ("iris.mian:train", " Did you mean `iris.main`?"),
            (
                "zzz:train",
                (
                    f" If an installed package has it, set {_KEY}.artifacts to a folder inside a "
                    "package that the wheel ships."
                ),
            ),
        ],
    )
    def test_a_module_that_is_not_there_is_named(
        self, train: str, suggestion: str, tmp_path: Path
    ) -> None:
        module = train.partition(":")[0]

        assert self._refused(_builder(tmp_path, self.FILES), train) == (
            f"{_KEY}.train is `{train}`, but there is no module `{module}` among the wheel's files or "
            f"on `python-path`.{suggestion}"
        )

    def test_a_namespace_that_others_share_may_have_it(self, tmp_path: Path) -> None:
        files = "src/acme/iris/__init__.py"
        builder = _builder(tmp_path, files, 'only-include = ["src/acme"]\nsources = ["src"]')
        artifacts = PurePosixPath("src/acme/iris/data")

        check_layout(builder, _settings("acme.common.train:main", artifacts=artifacts))

    def test_an_attribute_that_another_module_sets_may_be_there(self, tmp_path: Path) -> None:
        builder = _builder(tmp_path, self.FILES)
        (tmp_path / "src/iris/__init__.py").write_text("from . import main\nmain.train = print\n")

        check_layout(builder, _settings("iris.main:train"))

    def test_a_subpackage_without_an_init_is_an_attribute(self, tmp_path: Path) -> None:
        builder = _builder(tmp_path, f"{self.FILES} src/iris/sub/fit.py")

        check_layout(builder, _settings("iris:sub.fit.train"))

    def test_python_path_comes_before_what_the_wheel_ships(self, tmp_path: Path) -> None:
        builder = _builder(
            tmp_path, "src/helpers.py tools/helpers.py", 'packages = ["src/helpers.py"]'
        )
        (tmp_path / "tools/helpers.py").write_text("def train(): ...\n")

        check_layout(builder, _settings("helpers:train", python_path=(PurePosixPath("tools"),)))

    def test_an_editable_install_of_a_folder_needs_no_package(self, tmp_path: Path) -> None:
        builder = _builder(tmp_path, "main.py", '\n[tool.hatch.build]\ndev-mode-dirs = ["."]')

        check_layout(builder, _settings("main:train"), trains=False)

    def test_a_check_in_another_package_may_be_installed(self, tmp_path: Path) -> None:
        builder = _builder(tmp_path, "src/iris/__init__.py")
        (tmp_path / "src/iris/__init__.py").write_text("train = 1\n", "utf-8")
        check = ObjectReference(module="checks", attribute="run")

        check_layout(builder, _settings("iris:train", check=check))

    def test_training_in_another_package_may_be_installed_if_the_model_has_a_place(
        self, tmp_path: Path
    ) -> None:
        builder = _builder(tmp_path, self.FILES)

        check_layout(builder, _settings("lab.fit:train", artifacts=PurePosixPath("src/iris/data")))

    def test_modules_on_python_path_and_submodules_count(self, tmp_path: Path) -> None:
        builder = _builder(tmp_path, f"{self.FILES} tools/fit.py")
        (tmp_path / "tools/fit.py").write_text("def run(): ...\n", "utf-8")
        options: dict[str, Any] = {
            "artifacts": PurePosixPath("src/iris/data"),
            "python_path": (PurePosixPath("tools"),),
        }

        check_layout(builder, _settings("fit:run", **options))
        check_layout(builder, _settings("iris:main.train"))
        assert "no attribute `rnu`. Did you mean `run`?" in self._refused(
            builder, "fit:rnu", **options
        )

    def test_an_extension_module_is_a_module(self, tmp_path: Path) -> None:
        builder = _builder(tmp_path, f"{self.FILES} src/iris/fast.abi3.so")

        check_layout(builder, _settings("iris.fast:train"))

    @pytest.mark.parametrize(
        "wheel", ['force-include = { "made.py" = "iris/made.py" }', "hooks.custom = {}"]
    )
    def test_what_may_still_be_supplied_is_left_to_training(
        self, wheel: str, tmp_path: Path
    ) -> None:
        check_layout(_builder(tmp_path, self.FILES, wheel), _settings("iris.made:train"))

    def test_inputs_and_folders_that_are_not_there_are_named(self, tmp_path: Path) -> None:
        builder = _builder(tmp_path, self.FILES)

        for options in ({"inputs": ("data/*.csv",)}, {"python_path": (PurePosixPath("lib"),)}):
            with pytest.raises(SettingsError):
                check_layout(builder, _settings("iris.main:train", **options))
