"""What the wheel ships of the tree, and where training imports it from and writes to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath
from textwrap import dedent
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from layouts import KEY as _KEY
from layouts import training_settings as _settings
from layouts import wheel_builder as _builder

from hatch_model.errors import HatchModelError, SettingsError
from hatch_model.layout import python_path, source_files
from hatch_model.sources import (
    artifacts_folder,
    data_in_no_sdist,
    distribution_folder,
    distribution_path,
    lay_out_installed,
    shipped_files,
)


def _found(builder: WheelBuilder, train: str, **options: Any) -> tuple[list[Path], PurePosixPath]:
    """Give where training imports from, and the artifacts folder."""
    settings = _settings(train, **options)
    files, root = source_files(builder, settings), Path(builder.root)
    return python_path(settings, files, root), artifacts_folder(settings, files, root)


@pytest.mark.parametrize(
    ("files", "wheel", "train", "path", "artifacts"),
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
        pytest.param(
            "train.py src/iris/__init__.py src/iris/deep/__init__.py", "", "train.py",
            "src", "src/iris/data",
            id="a script outside of the package",
        ),
        pytest.param(
            "src/iris/__init__.py src/iris/fit/train.py", "", "src/iris/fit/train.py",
            "src", "src/iris/fit/data",
            id="a script in a package",
        ),
        pytest.param(
            "jobs/train.py space/iris/main.py", 'packages = ["space"]', "jobs/train.py",
            ".", "space/iris/data",
            id="a script outside of a namespace package",
        ),
    ],
)  # fmt: skip
def test_training_imports_from_the_tree_and_writes_beside_its_module(
    tmp_path: Path, *, files: str, wheel: str, train: str, path: str, artifacts: str
) -> None:
    assert _found(_builder(tmp_path, files, wheel), train) == (
        [tmp_path / each for each in path.split()],
        PurePosixPath(artifacts),
    )


@pytest.mark.parametrize(
    ("files", "wheel", "number"),
    [
        ("iris.py train.py", "", "no package"),
        ("a/x.py b/x.py train.py", 'packages = ["a", "b"]', "several packages"),
    ],
)
def test_a_script_needs_one_package_for_its_model(
    tmp_path: Path, files: str, wheel: str, number: str
) -> None:
    with pytest.raises(HatchModelError) as raised:
        _found(_builder(tmp_path, files, wheel), "train.py")

    assert str(raised.value) == (
        f"the wheel ships {number}, so there is no telling which one gets the model of train.py. Set "
        f"{_KEY}.artifacts to a folder inside a package, such as "
        f'"src/your_package/data".'
    )


def test_what_is_in_a_folder_that_sources_moves_is_moved(tmp_path: Path) -> None:
    table = '[tool.hatch.build.targets.wheel.sources]\nmodels = "iris/models"'
    builder = _builder(tmp_path, "src/iris/__init__.py", table)

    moved = [distribution_folder(builder, PurePosixPath(each)) for each in ("models", "models/a")]

    assert moved == [PurePosixPath("iris/models"), PurePosixPath("iris/models/a")]


def test_a_custom_artifacts_folder_is_moved_with_the_sources(tmp_path: Path) -> None:
    builder = _builder(
        tmp_path,
        "src/foo/main.py",
        'include = ["src/foo"]\n[tool.hatch.build.targets.wheel.sources]\n"src/foo" = "iris"',
    )

    _, artifacts = _found(builder, "iris.main:train", artifacts=PurePosixPath("src/foo/weights"))

    assert distribution_path(builder, artifacts) == PurePosixPath("iris/weights")


def test_a_python_path_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    builder = _builder(tmp_path, "src/iris/__init__.py src/iris/main.py tools/fit.py")

    path, artifacts = _found(
        builder,
        "fit:train",
        python_path=(PurePosixPath("tools"), PurePosixPath("src")),
        artifacts=PurePosixPath("src/iris/data"),
    )

    assert path == [tmp_path / "tools", tmp_path / "src"]
    assert artifacts == PurePosixPath("src/iris/data")


# The project as if it were installed


def _run(
    builder: WheelBuilder, folder: Path, code: str, *path: Path, **build_data: Any
) -> list[str]:
    """Lay the project out in *folder*, and give the lines that *code* prints with that on the path."""
    data = builder.get_default_build_data()
    builder.set_build_data_defaults(data)
    data.update(build_data)
    lay_out_installed(builder, data, shipped_files(builder, data), folder)
    completed = subprocess.run(
        [sys.executable, "-c", dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [folder, *path]))},
        check=False,
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return completed.stdout.splitlines()


def test_the_project_has_its_metadata(tmp_path: Path) -> None:
    root = tmp_path / "project"
    builder = _builder(root, "src/iris/__init__.py")
    (root / "pyproject.toml").write_text(
        '[project]\nname = "iris"\nversion = "1.5"\nscripts = { iris = "iris:main" }\n', "utf-8"
    )
    builder = WheelBuilder(str(root))

    assert _run(
        builder,
        tmp_path / "installed",
        """
        from importlib.metadata import entry_points, packages_distributions, version
        print(version("iris"), packages_distributions()["iris"])
        print([each.value for each in entry_points(group="console_scripts", name="iris")])
        import iris
        print(iris.__file__)
        """,
        root / "src",
    ) == ["1.5 ['iris']", "['iris:main']", str(root / "src" / "iris" / "__init__.py")]


def test_a_renamed_package_is_imported_from_the_tree_under_its_new_name(tmp_path: Path) -> None:
    root = tmp_path / "project"
    builder = _builder(
        root,
        "src/foo/__init__.py src/foo/main.py src/foo/sub/__init__.py src/foo/words.txt",
        'include = ["src/foo"]\n[tool.hatch.build.targets.wheel.sources]\n"src/foo" = "iris"',
    )
    (root / "src/foo/__init__.py").write_text(
        "from importlib.resources import files\nfrom pathlib import Path\n"
        "here = Path(__file__).resolve().parent\nfrom . import main\n",
        "utf-8",
    )

    foo = root / "src" / "foo"
    assert _run(
        builder,
        tmp_path / "installed",
        """
        import iris, iris.sub, inspect, importlib
        print(iris.here, iris.main.__file__, iris.sub.__name__, sep="\\n")
        print((iris.files("iris") / "words.txt").read_text().strip())
        print(inspect.getsourcefile(iris), importlib.reload(iris).__name__)
        """,
    ) == [
        str(foo),
        str(foo / "main.py"),
        "iris.sub",
        "# src/foo/words.txt",
        f"{foo / '__init__.py'} iris",
    ]


def test_modules_from_elsewhere_are_found_beside_those_of_the_tree(tmp_path: Path) -> None:
    root = tmp_path / "project"
    outside = [tmp_path / f"{number}.py" for number in range(3)]
    for file in outside:
        file.write_text("name = __name__\n", "utf-8")
    builder = _builder(root, "src/iris/__init__.py src/iris/main.py src/iris/deep/__init__.py")

    assert _run(
        builder,
        tmp_path / "installed",
        """
        import iris, iris.main, iris.version, iris.deep.extra, more.module
        print(iris.__file__, iris.version.name, iris.deep.extra.name, more.module.name, sep="\\n")
        """,
        root / "src",
        force_include={
            str(outside[0]): "src/iris/version.py",
            str(outside[1]): "src/iris/deep/extra.py",
            str(outside[2]): "more/module.py",
        },
    ) == [
        str(root / "src" / "iris" / "__init__.py"),
        "iris.version",
        "iris.deep.extra",
        "more.module",
    ]


def _message(error: type[HatchModelError], builder: WheelBuilder, train: str, **given: Any) -> str:
    with pytest.raises(error) as raised:
        _found(builder, train, **given)
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

    message = _message(HatchModelError, builder, train, python_path=(PurePosixPath("tools"),))

    assert message == (
        f"{train} is not among the files that the wheel ships, so there is no package for the "
        f"model. Set {_KEY}.artifacts to a folder inside one of them, such as "
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
    assert _message(HatchModelError, builder, train) == (
        f"{_KEY}.train is `{train}`, but there is no module `{module}` among the wheel's files, on "
        f"`python-path` or in the training environment.{suggestion}"
    )


class TestDataInNoSdist:
    FILES = "src/iris/__init__.py src/iris/main.py data/a.csv data/deep/b.csv metrics.json .env"

    def _found(self, root: Path, text: str, *packed: str, **options: Any) -> list[str]:
        builder = _builder(root, self.FILES)
        (root / "src/iris/main.py").write_text(text, "utf-8")
        settings = _settings("iris.main:train", **options)
        return data_in_no_sdist(settings, root, source_files(builder, settings), packed)

    @pytest.mark.parametrize(
        "text",
        [
            "pandas.read_csv('data/a.csv')",
            "pandas.read_csv(Path('data') / 'a.csv')",
            "open(os.path.join('data', 'a.csv'), encoding='utf-8')",
            "open(file='data/a.csv', mode='rb')",
            "Path('out').write_text(Path('data/a.csv').read_text())",
            "DATA = 'data/a.csv'\ndef train(): return read_csv(DATA)",
            "DATA = Path(__file__).parents[2] / 'data'\ndef train(): return load(DATA / 'a.csv')",
        ],
    )
    def test_a_file_that_the_code_names_is_found(self, text: str, tmp_path: Path) -> None:
        assert self._found(tmp_path, text) == ["data/a.csv"]
        assert self._found(tmp_path, text, "data/a.csv") == []

    @pytest.mark.parametrize(
        "text",
        [
            "frame.to_csv('metrics.json')",
            "Path('metrics.json').write_text(text)",
            "open('metrics.json', 'w')",
            "joblib.dump(model, Path('metrics.json'))",
            "joblib.dump(model, os.path.join('.', 'metrics.json'))",
            "open('metrics.json', mode='wb')",
            "load_dotenv('.env')",
            "OUT = 'metrics.json'\nopen(OUT, 'w')",
            "METRICS = Path('data') / 'a.csv'",
            "logging.basicConfig(filename='metrics.json')",
            "sqlite3.connect('metrics.json')",
            "export(model, 'metrics.json')",
            "'data', 'absent.csv', '', '/', '\\0', '../iris', " + repr("x" * 5000),
            "this is no Python: 'data/a.csv'",
        ],
    )
    def test_what_is_written_secret_or_not_there_is_not(self, text: str, tmp_path: Path) -> None:
        assert self._found(tmp_path, text) == []

    def test_inputs_are_found(self, tmp_path: Path) -> None:
        assert self._found(tmp_path, "", "data/a.csv", inputs=("data/**/*.csv",)) == [
            "data/deep/b.csv"
        ]

    def test_many_texts_take_no_time(self, tmp_path: Path) -> None:
        names = "\n".join(f"read_csv('{number}.csv')" for number in range(20_000))
        folders = "\n".join(f"'data/../{number * './'}data'" for number in range(20))

        assert self._found(tmp_path, f"{names}\n{folders}\nread_csv('data/a.csv')") == [
            "data/a.csv"
        ]
