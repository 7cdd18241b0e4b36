"""What is in hatch-model's own archives."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support import Surroundings, Wheel

_CHECKOUT = Path(__file__).parent.parent.parent
_INFO = "hatch_model-0.1.0.dist-info"


@pytest.fixture
def wheel(build_tools: Path) -> Wheel:
    (path,) = build_tools.glob("hatch_model-*.whl")
    return Wheel(path)


@pytest.fixture
def all_files(wheel: Wheel) -> list[str]:
    with zipfile.ZipFile(wheel.path) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_modules_and_templates_of_the_tree_and_nothing_else(
    wheel: Wheel,
) -> None:
    source = _CHECKOUT / "src"
    modules = {path.relative_to(source).as_posix() for path in source.glob("hatch_model/**/*.py")}
    templates = {
        path.relative_to(source).as_posix()
        for folder in ("pages/templates", "new_project/template")
        for path in source.glob(f"hatch_model/{folder}/**/*")
        if path.is_file()
    }

    assert wheel.files == sorted(
        {*modules, *templates, "hatch_model/model.schema.json", "hatch_model/py.typed"}
    )
    assert {
        "hatch_model/__init__.py",
        "hatch_model/build_hook.py",
        "hatch_model/hooks.py",
        "hatch_model/metadata_hook.py",
        "hatch_model/child/call.py",
    } <= modules


def test_the_child_script_has_no_siblings_that_could_shadow_a_users_module(wheel: Wheel) -> None:
    folder = "hatch_model/child/"

    assert [file for file in wheel.files if file.startswith(folder)] == [
        "hatch_model/child/call.py"
    ]


def test_the_wheels_own_metadata_is_complete(all_files: list[str]) -> None:
    assert sorted(name for name in all_files if ".dist-info/" in name) == [
        f"{_INFO}/METADATA",
        f"{_INFO}/RECORD",
        f"{_INFO}/WHEEL",
        f"{_INFO}/entry_points.txt",
        f"{_INFO}/licenses/LICENSE",
    ]


def test_hatchling_finds_the_plugin_and_nothing_else_is_registered(wheel: Wheel) -> None:
    assert wheel.read(f"{_INFO}/entry_points.txt") == (
        "[console_scripts]\nhatch-model = hatch_model.cli:main\n\n"
        "[hatch]\nmodel = hatch_model.hooks\n"
    )


def test_a_build_environment_gets_five_packages_with_low_floors_and_no_caps(wheel: Wheel) -> None:
    assert [line for line in wheel.requires if "extra ==" not in line] == [
        "hatchling>=1.27",
        "importlib-metadata>=7",
        "joblib>=1.3",
        "packaging>=24.2",
        "tomli>=1.2.2; python_version < '3.11'",
    ]
    assert wheel.headers("Provides-Extra") == ["cli", "fast", "lock"]


def test_the_wheel_is_for_every_platform_and_the_pythons_that_are_claimed(wheel: Wheel) -> None:
    python = "Programming Language :: Python :: 3."

    assert wheel.path.name == "hatch_model-0.1.0-py3-none-any.whl"
    assert wheel.headers("Requires-Python") == [">=3.10"]
    assert [each for each in wheel.headers("Classifier") if each.startswith(python)] == [
        f"{python}10",
        f"{python}11",
        f"{python}12",
        f"{python}13",
        f"{python}14",
    ]


def test_the_sdist_makes_the_same_wheel(
    wheel: Wheel, surroundings: Surroundings, tmp_path: Path
) -> None:
    out = tmp_path / "dist"

    surroundings.run("uv", "build", "--python", sys.executable, "--out-dir", out, cwd=_CHECKOUT)

    (from_sdist,) = (Wheel(path) for path in out.glob("*.whl"))
    assert from_sdist.files == wheel.files
    assert from_sdist.metadata == wheel.metadata
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        folders = {name.split("/")[1] for name in archive.getnames() if name.count("/") > 1}
    assert {"src", "tests"} <= folders <= {"benchmarks", "docs", "example-project", "src", "tests"}
