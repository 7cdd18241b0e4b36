"""Which build is under way, as seen from hooks that hatchling itself calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import hatchling.build
import pytest
from hatchling.cli.build import build_impl
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from hatch_model.phase import Build, Target, current_build

if TYPE_CHECKING:
    from collections.abc import Callable

_PYPROJECT = """
[project]
name = "watched"
version = "1"
dynamic = ["dependencies"]
[tool.hatch.metadata.hooks.custom]
[tool.hatch.build]
dev-mode-dirs = ["."]
[tool.hatch.build.hooks.custom]
[tool.hatch.build.targets.custom]
"""
# Writes down what current_build() says, whenever hatchling calls one of the hooks.
_HOOKS = """
import json
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface
from hatch_model.phase import current_build

def note(where):
    build = current_build()
    name = build.builder.PLUGIN_NAME if build.builder else None
    seen = [where, build.target.value, name]
    seen += [key for key in ("collects_requirements", "shared", "makes_wheel") if getattr(build, key)]
    with open("seen.jsonl", "a") as file:
        file.write(json.dumps(seen) + "\\n")

class Metadata(MetadataHookInterface):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        note("metadata hook made")
    def update(self, metadata):
        note("metadata")
        metadata["dependencies"] = []

class Build(BuildHookInterface):
    def dependencies(self):
        note("dependencies")
        return []
    def initialize(self, version, build_data):
        note("initialize")

class Builder(BuilderInterface):
    def get_version_api(self):
        return {"standard": lambda directory, **build_data: directory}

def get_metadata_hook(): return Metadata
def get_build_hook(): return Build
def get_builder(): return Builder
"""


@pytest.fixture(autouse=True)
def watched_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a project whose hooks write down what they see to `seen.jsonl`."""
    (tmp_path / "pyproject.toml").write_text(_PYPROJECT, "utf-8")
    (tmp_path / "hatch_build.py").write_text(_HOOKS, "utf-8")
    (tmp_path / "watched.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)


def seen() -> list[list[str | None]]:
    return list(map(json.loads, Path("seen.jsonl").read_text("utf-8").splitlines()))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            hatchling.build.get_requires_for_build_sdist,
            [["dependencies", "sdist", "sdist", "collects_requirements"]],
        ),
        (
            hatchling.build.get_requires_for_build_wheel,
            [["dependencies", "wheel", "wheel", "collects_requirements"]],
        ),
        (
            hatchling.build.get_requires_for_build_editable,
            [["dependencies", "editable", "wheel", "collects_requirements"]],
        ),
        (
            lambda: hatchling.build.build_sdist("dist"),
            [
                ["metadata hook made", "sdist", "sdist"],
                ["metadata", "sdist", "sdist"],
                ["initialize", "sdist", "sdist"],
            ],
        ),
        (
            lambda: hatchling.build.build_wheel("dist"),
            [
                ["metadata hook made", "wheel", "wheel", "makes_wheel"],
                ["metadata", "wheel", "wheel", "makes_wheel"],
                ["initialize", "wheel", "wheel", "makes_wheel"],
            ],
        ),
        (
            lambda: hatchling.build.build_editable("dist"),
            [
                ["metadata hook made", "editable", "wheel"],
                ["metadata", "editable", "wheel"],
                ["initialize", "editable", "wheel"],
            ],
        ),
        (
            lambda: hatchling.build.prepare_metadata_for_build_wheel("."),
            [
                ["metadata hook made", "wheel", "wheel", "makes_wheel"],
                ["metadata", "wheel", "wheel", "makes_wheel"],
            ],
        ),
        (
            lambda: hatchling.build.prepare_metadata_for_build_editable("."),
            [
                ["metadata hook made", "editable", "wheel"],
                ["metadata", "editable", "wheel"],
            ],
        ),
    ],
    ids=[
        "get_requires_for_build_sdist",
        "get_requires_for_build_wheel",
        "get_requires_for_build_editable",
        "build_sdist",
        "build_wheel",
        "build_editable",
        "prepare_metadata_for_build_wheel",
        "prepare_metadata_for_build_editable",
    ],
)
def test_a_backend_call_tells_what_is_built(
    call: Callable[[], object], expected: list[list[str | None]]
) -> None:
    call()

    assert seen() == expected


def _hatchling_build(*targets: str, show_dynamic_deps: bool = False) -> None:
    build_impl(
        called_by_app=False,
        directory="dist",
        targets=list(targets),
        hooks_only=False,
        no_hooks=False,
        clean=False,
        clean_hooks_after=False,
        clean_only=False,
        show_dynamic_deps=show_dynamic_deps,
    )


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (
            "sdist",
            [
                ["metadata hook made", "sdist", "sdist"],
                ["metadata", "sdist", "sdist"],
                ["initialize", "sdist", "sdist"],
            ],
        ),
        (
            "wheel",
            [
                ["metadata hook made", "wheel", "wheel", "makes_wheel"],
                ["metadata", "wheel", "wheel", "makes_wheel"],
                ["initialize", "wheel", "wheel", "makes_wheel"],
            ],
        ),
        (
            "wheel:editable",
            [
                ["metadata hook made", "editable", "wheel"],
                ["metadata", "editable", "wheel"],
                ["initialize", "editable", "wheel"],
            ],
        ),
        (
            "",
            [
                ["metadata hook made", "sdist", "sdist", "shared", "makes_wheel"],
                ["metadata", "sdist", "sdist", "shared", "makes_wheel"],
                ["initialize", "sdist", "sdist", "shared", "makes_wheel"],
                ["initialize", "wheel", "wheel", "shared", "makes_wheel"],
            ],
        ),
        (
            "wheel sdist",
            [
                ["metadata hook made", "wheel", "wheel", "shared", "makes_wheel"],
                ["metadata", "wheel", "wheel", "shared", "makes_wheel"],
                ["initialize", "wheel", "wheel", "shared", "makes_wheel"],
                ["initialize", "sdist", "sdist", "shared", "makes_wheel"],
            ],
        ),
        (
            "custom",
            [
                ["metadata hook made", "other", "custom"],
                ["metadata", "other", "custom"],
                ["initialize", "other", "custom"],
            ],
        ),
    ],
)
def test_hatchlings_own_command_tells_what_is_built(
    targets: str, expected: list[list[str | None]]
) -> None:
    _hatchling_build(*targets.split())

    assert seen() == expected


def test_hatch_asks_for_build_requirements_outside_of_any_build() -> None:
    _hatchling_build("wheel", show_dynamic_deps=True)

    assert seen() == [["dependencies", "other", None]]


def test_metadata_that_is_read_for_its_own_sake_is_no_build() -> None:
    metadata = ProjectMetadata(str(Path.cwd()), PluginManager())

    assert metadata.core.dependencies == []
    assert seen() == [["metadata hook made", "other", None], ["metadata", "other", None]]


def test_without_hatchling_there_is_no_build() -> None:
    assert current_build() == Build(target=Target.OTHER)
