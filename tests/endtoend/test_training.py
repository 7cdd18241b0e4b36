"""Training functions as people write them, in projects as people lay them out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from support import FRONTENDS, Built, ModelProject, Surroundings, make_wheel, tree

if TYPE_CHECKING:
    from pathlib import Path

_TRAIN = 'train = "small.main:train"'


def _build(project: ModelProject, surroundings: Surroundings, main: str, *settings: str) -> Built:
    """Build a wheel with *main* in small/main.py, and *settings* added to the build hook's table."""
    project.write("src/small/main.py", dedent(main))
    project.replace("pyproject.toml", (_TRAIN, "\n".join([_TRAIN, *settings])))
    return project.build(surroundings)


_OUTPUT_DIR = """\
def train(output_dir):
    (output_dir / "weights.txt").write_text("0.5")
"""
_BESIDE_FILE = """\
from pathlib import Path

def train():
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    (folder / "weights.txt").write_text("0.5")
"""
_BESIDE_REAL_FILE = _BESIDE_FILE.replace("(__file__)", "(__file__).resolve()")
_RETURNED = """\
def train():
    return [0.5]
"""
_DATED = """\
import gzip, os

def train(output_dir):
    time = int(os.environ["SOURCE_DATE_EPOCH"])
    with gzip.GzipFile(output_dir / "colours.gz", "wb", mtime=time) as file:
        file.write(repr({"red", "green", "blue", "yellow"}).encode())
"""


_LAYOUTS = {
    "src": ("src/small", "", "small"),
    "flat": ("small", "", "small"),
    "module": ("", "", ""),
    # The list form of `sources` strips a prefix, the table form renames.
    "stripped": (
        "lib/python/small",
        """
[tool.hatch.build]
sources = ["lib/python"]
[tool.hatch.build.targets.wheel]
include = ["lib/python/small"]
""",
        "small",
    ),
    "renamed": (
        "src/foo",
        """
[tool.hatch.build.targets.wheel]
include = ["src/foo"]
[tool.hatch.build.sources]
"src/foo" = "bar"
""",
        "bar",
    ),
}


def _lay_out(project: ModelProject, layout: str, main: str) -> tuple[str, str]:
    """Move the project's package to where *layout* has it, and give its place in tree and wheel."""
    folder, configuration, package = _LAYOUTS[layout]
    (project.folder / "src" / "small" / "__init__.py").unlink()
    (project.folder / "src" / "small" / "main.py").unlink()
    (project.folder / "src" / "small").rmdir()
    (project.folder / "src").rmdir()
    if layout == "module":
        project.write("small.py", main)
        train = "small:train"
    else:
        project.write(f"{folder}/__init__.py", "")
        project.write(f"{folder}/main.py", main)
        train = f"{package}.main:train"
    project.replace("pyproject.toml", (_TRAIN, f'train = "{train}"\n\n{configuration}'))
    return (f"{folder}/" if folder else "", f"{package}/" if package else "")


@pytest.mark.parametrize(
    ("layout", "main"),
    [
        *((layout, _OUTPUT_DIR) for layout in _LAYOUTS),
        *((layout, _BESIDE_FILE) for layout in _LAYOUTS),
        ("renamed", _BESIDE_REAL_FILE),
    ],
)
def test_artifacts_ship_beside_the_code_in_every_layout(
    layout: str, main: str, project: ModelProject, surroundings: Surroundings
) -> None:
    _, in_wheel = _lay_out(project, layout, main)
    before = tree(project.folder)

    wheel = project.build(surroundings).wheel

    modules = (
        ["small.py"] if layout == "module" else [f"{in_wheel}__init__.py", f"{in_wheel}main.py"]
    )
    assert wheel.files == sorted([*modules, f"{in_wheel}data/weights.txt"])
    assert wheel.read(f"{in_wheel}data/weights.txt") == "0.5"
    assert tree(project.folder) == before
    assert tree(surroundings.temporary) == {}


def test_a_model_that_is_returned_is_saved_with_joblib(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    built = _build(project, surroundings, _RETURNED)

    wheel = built.wheel
    assert wheel.files == ["small/__init__.py", "small/data/model.joblib", "small/main.py"]
    assert built.backend_output == (
        "hatch-model: training with small.main:train\n"
        "hatch-model: warning: the model was saved with joblib, which the wheel does not require. "
        "Add it to tool.hatch.metadata.hooks.model.dependencies, so that the model can be loaded.\n"
    )
    python = surroundings.make_environment(tmp_path / "fresh", wheel.path, "joblib")
    loaded = surroundings.run(
        *(python, "-c"),
        "import joblib, small\nfrom importlib.resources import files\n"
        "print(joblib.load(files(small) / 'data' / 'model.joblib'))",
        cwd=tmp_path,
    )
    assert loaded.stdout == "[0.5]\n"


def test_no_warning_is_due_where_the_wheel_requires_joblib(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "joblib"]'))

    built = _build(project, surroundings, _RETURNED)

    assert built.backend_output == (
        "hatch-model: training with small.main:train\n"
        "hatch-model: loading the model from the wheel\n"
    )


def test_artifacts_go_where_the_settings_say(
    project: ModelProject, surroundings: Surroundings
) -> None:
    built = _build(project, surroundings, _OUTPUT_DIR, 'artifacts = "src/small/weights/best"')

    assert built.wheel.files == [
        "small/__init__.py",
        "small/main.py",
        "small/weights/best/weights.txt",
    ]


def test_a_folder_of_ones_own_in_the_tree_is_the_artifacts_folder(
    project: ModelProject, surroundings: Surroundings
) -> None:
    main = """
        from pathlib import Path

        def train():
            folder = Path("src/small/weights/best")  # the working directory is the project root
            folder.mkdir(parents=True)
            (folder / "weights.txt").write_text("0.5")
            (folder.parent / "log.txt").write_text("not below the artifacts folder")
        """

    built = _build(project, surroundings, main, 'artifacts = "src/small/weights/best"')

    # hatchling selects the log as it does any file of the package that git does not ignore.
    assert built.wheel.files == [
        "small/__init__.py",
        "small/main.py",
        "small/weights/best/weights.txt",
        "small/weights/log.txt",
    ]


def test_training_reads_the_projects_files_by_relative_paths(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("table.csv", "1,2,3\n")
    main = """
        from pathlib import Path

        def train(output_dir):
            (output_dir / "sum.txt").write_text(Path("table.csv").read_text())
        """

    assert _build(project, surroundings, main).wheel.read("small/data/sum.txt") == "1,2,3\n"


def test_arguments_and_environment_reach_training(
    project: ModelProject, surroundings: Surroundings
) -> None:
    main = """
        import json, os

        def train(output_dir, **arguments):
            (output_dir / "given.json").write_text(json.dumps([arguments, os.environ["COLOUR"]]))
        """
    arguments = {"epochs": 3, "rate": 0.1, "name": "é", "shape": [1, [2]], "deep": {"on": True}}

    built = _build(
        project,
        surroundings,
        main,
        'arguments = { epochs = 3, rate = 0.1, name = "é", shape = [1, [2]], deep = { on = true } }',
        'environment = { COLOUR = "blue" }',
    )

    assert json.loads(built.wheel.read("small/data/given.json")) == [arguments, "blue"]


def test_training_code_may_lie_outside_of_what_ships(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("tools/fit.py", "from small.main import predict\n" + _OUTPUT_DIR)
    project.replace(
        "pyproject.toml",
        (
            _TRAIN,
            'train = "fit:train"\npython-path = ["tools", "src"]\nartifacts = "src/small/data"',
        ),
    )

    wheel = project.build(surroundings).wheel

    assert wheel.files == ["small/__init__.py", "small/data/weights.txt", "small/main.py"]


def test_processes_of_joblib_train(project: ModelProject, surroundings: Surroundings) -> None:
    main = """
        import os
        from joblib import Parallel, delayed

        def square(number):
            return number * number, os.getpid()

        def train(output_dir):
            results = Parallel(n_jobs=2, backend="loky")(delayed(square)(n) for n in range(4))
            assert os.getpid() not in {process for _, process in results}
            (output_dir / "squares.txt").write_text(str([number for number, _ in results]))
        """
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "joblib"]'))

    built = _build(project, surroundings, main)

    assert built.wheel.read("small/data/squares.txt") == "[0, 1, 4, 9]"
    assert built.backend_output == "hatch-model: training with small.main:train\n"
    assert tree(surroundings.temporary) == {}


@pytest.mark.parametrize(("backend", "is_own"), [("loky", False), ("threading", True)])
def test_joblib_runs_on_the_engine_of_the_settings(
    backend: str, project: ModelProject, surroundings: Surroundings, *, is_own: bool
) -> None:
    main = """
        import os, threading, time
        from joblib import Parallel, delayed

        def where(number):
            time.sleep(0.1)
            return os.getpid(), threading.get_ident()

        def train(output_dir):
            places = Parallel()(delayed(where)(number) for number in range(8))
            own = os.getpid() in {process for process, _ in places}
            (output_dir / "places.txt").write_text(f"{len({*places})} {own}")
        """
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "joblib"]'))

    built = _build(
        project, surroundings, main, f'parallel = {{ backend = "{backend}", n-jobs = 2 }}'
    )

    assert built.wheel.read("small/data/places.txt") == f"2 {is_own}"
    assert built.backend_output == "hatch-model: training with small.main:train\n"
    record = json.loads(built.wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert "engine" not in record
    assert tree(surroundings.temporary) == {}


@pytest.mark.parametrize("layout", ["src", "renamed"])
def test_processes_that_multiprocessing_spawns_train(
    layout: str, project: ModelProject, surroundings: Surroundings
) -> None:
    main = """\
import multiprocessing

print("imported as", __name__)

def square(number):
    return number * number

def train(output_dir):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        squares = pool.map(square, range(4))
    (output_dir / "squares.txt").write_text(str(squares))
"""
    _, package = _lay_out(project, layout, main)

    built = project.build(surroundings)

    assert built.wheel.read(f"{package}data/squares.txt") == "[0, 1, 4, 9]"
    module = f"{package[:-1]}.main"
    assert built.backend_output == (
        f"hatch-model: training with {module}:train\n"
        f"imported as {module}\n"
        f"imported as {module}\n"  # by the process that was spawned
    )


def test_a_progress_bar_comes_out_as_lines(
    project: ModelProject, surroundings: Surroundings
) -> None:
    """A stand-in that writes to standard error what tqdm writes, when tqdm writes it."""
    bar = dedent(
        """
        import sys

        def bar(values):
            for done, value in enumerate(values):
                sys.stderr.write(f"\\r{done:3}%|{done * '#'}")
                sys.stderr.flush()
                yield value
            sys.stderr.write("\\r100%|##########\\n")
        """
    )
    make_wheel(surroundings.index.folder, "progress", "1", files={"progress/__init__.py": bar})
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "progress"]'))
    main = """
        from progress import bar

        def train():
            print("before")
            for value in bar(range(10)): ...
            print("after")
            return [value], {}
        """

    built = _build(project, surroundings, main)

    lines = built.backend_output.splitlines()
    assert lines[:2] == ["hatch-model: training with small.main:train", "before"]
    # On a slow machine a second passes in between, and states in between are shown, too.
    assert lines[-3:-1] == ["100%|##########", "after"]
    assert "\r" not in built.output


def test_the_real_tqdm_comes_out_as_lines(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--dest", tmp_path / "index", "tqdm"],
        check=True,
    )
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "tqdm"]'))
    main = """
        from tqdm import tqdm

        def train(output_dir):
            for value in tqdm(range(100), ncols=40, bar_format="{percentage:.0f}%"): ...
            (output_dir / "last.txt").write_text(str(value))
        """

    built = _build(project, surroundings, main)

    assert built.backend_output.splitlines()[-1] == "100%"
    assert "\r" not in built.output
    pins = [line.partition("==")[0] for line in built.wheel.requires]
    assert pins == ["anchor", "chain", "tqdm"]


def test_output_is_shown_in_the_order_it_was_written(
    project: ModelProject, surroundings: Surroundings
) -> None:
    main = """
        import os, subprocess, sys

        print("module level")

        def train(output_dir):
            print("one")
            print("two", file=sys.stderr)
            print("three")
            subprocess.run([sys.executable, "-c", "print('four')"], check=True)
            os.write(2, b"five\\n")
            print("Grüße 🌸")
            print("no end of the line", end="")
            (output_dir / "weights.txt").touch()
        """

    assert _build(project, surroundings, main).backend_output == (
        "hatch-model: training with small.main:train\n"
        "module level\none\ntwo\nthree\nfour\nfive\nGrüße 🌸\nno end of the line\n"
    )


@pytest.mark.parametrize(
    "frontend",
    ["uv build --wheel", pytest.param("python -m build", marks=pytest.mark.frontend)],
)
def test_output_is_shown_while_training_goes_on(
    frontend: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    """Training waits for a file that appears once its first line has been seen here."""
    seen = tmp_path / "seen"
    main = f"""\
import time
from pathlib import Path

def train(output_dir):
    print("epoch 1")
    deadline = time.monotonic() + 60
    while not Path({str(seen)!r}).exists():
        assert time.monotonic() < deadline, "nobody has seen the line"
        time.sleep(0.02)
    (output_dir / "weights.txt").touch()
    print("epoch 2")
"""
    project.write("src/small/main.py", main)
    command = [part.format(out=tmp_path / "dist") for part in FRONTENDS[frontend]]

    with subprocess.Popen(
        command,
        cwd=project.folder,
        env=surroundings.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "epoch 1\n":
                assert process.poll() is None
                seen.touch()

    assert process.returncode == 0, "".join(lines)
    assert lines.index("epoch 1\n") < lines.index("epoch 2\n")


@pytest.mark.parametrize("stranger", ["packaging", "pluggy"])
def test_a_package_that_only_the_build_tools_brought_is_named(
    stranger: str, project: ModelProject, surroundings: Surroundings
) -> None:
    main = f"import {stranger}\n" + _OUTPUT_DIR

    assert _build(project, surroundings, main).backend_output == (
        f"hatch-model: training with small.main:train\n"
        f"hatch-model: warning: training imported {stranger}, which is in the training environment "
        f"only because the build tools require it. Add it to "
        f"tool.hatch.metadata.hooks.model.dependencies if the model needs it to predict, or else "
        f"to a group in tool.hatch.build.hooks.model.dependency-groups.\n"
    )


@pytest.mark.parametrize(
    "configuration",
    [
        ('dependencies = ["anchor>=1"]', 'dependencies = ["anchor>=1", "packaging"]'),
        (
            _TRAIN,
            f'{_TRAIN}\ndependency-groups = ["fit"]\n\n[dependency-groups]\nfit = ["packaging"]',
        ),
    ],
)
def test_a_package_that_the_project_asks_for_is_not_named(
    configuration: tuple[str, str], project: ModelProject, surroundings: Surroundings
) -> None:
    project.write("src/small/main.py", "import packaging\nimport small\n" + _OUTPUT_DIR)
    project.replace("pyproject.toml", configuration)

    built = project.build(surroundings)

    assert built.backend_output == "hatch-model: training with small.main:train\n"


@pytest.mark.parametrize(
    "main", [_OUTPUT_DIR, _RETURNED, _DATED], ids=["written", "returned", "dated"]
)
def test_two_builds_in_different_places_give_the_same_wheel(
    main: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    project.write("src/small/main.py", main)
    other = tmp_path / "somewhere" / "else"
    shutil.copytree(project.folder, other)

    one = project.build(surroundings).wheel.path
    two = ModelProject(other).build(surroundings, out=tmp_path / "other-dist").wheel.path

    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_a_hundred_files_in_folders_ship_as_they_are(
    project: ModelProject, surroundings: Surroundings
) -> None:
    main = """
        def train(output_dir):
            for number in range(100):
                folder = output_dir / f"shard {number % 3}" / "ü"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{number}.bin").write_bytes(bytes([number]))
            (output_dir / "empty").mkdir()
            (output_dir / ".hidden").touch()
            (output_dir / "code.py").touch()
        """

    assert _build(project, surroundings, main).wheel.files == sorted(
        [
            "small/__init__.py",
            "small/main.py",
            "small/data/.hidden",
            "small/data/code.py",
            *(f"small/data/shard {number % 3}/ü/{number}.bin" for number in range(100)),
        ]
    )
