"""The metadata hooks of others beside ours, made up and real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import OnlineSurroundings

if TYPE_CHECKING:
    from pathlib import Path

    from support import Built, ModelProject, Surroundings

OURS = "[tool.hatch.metadata.hooks.model]"
CUSTOM = "[tool.hatch.metadata.hooks.custom]\n\n"
PINS = ["anchor==1.2", "chain==2.0"]
_HOOK = """\
from hatchling.metadata.plugin.interface import MetadataHookInterface

class Hook(MetadataHookInterface):
    def update(self, metadata):
        metadata.update({fields!r})
"""


def _add_hook(project: ModelProject, *, before: bool = True, **fields: object) -> None:
    """Have a metadata hook of the project's own write *fields*."""
    supplied = {name.replace("_", "-"): value for name, value in fields.items()}
    project.write("hatch_build.py", _HOOK.format(fields=supplied))
    project.replace(
        "pyproject.toml",
        ('["dependencies"]', str(sorted({"dependencies", *supplied}))),
        (OURS, CUSTOM + OURS if before else OURS),
    )
    if not before:
        project.replace("pyproject.toml", ("[tool.hatch.build", f"{CUSTOM}[tool.hatch.build"))


@pytest.mark.parametrize("before", [True, False])
def test_extras_of_another_hook_are_in_a_wheel_from_a_tree_and_from_an_sdist(
    *, before: bool, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    _add_hook(project, before=before, optional_dependencies={"viz": ["leaf<2"]})

    wheels = [
        project.build(surroundings, frontend, out=tmp_path / str(number)).wheel
        for number, frontend in enumerate(["", "uv build"])
    ]

    for wheel in wheels:
        assert wheel.requires == [*PINS, "leaf<2; extra == 'viz'"]
        assert wheel.headers("Provides-Extra") == ["viz"]


@pytest.mark.parametrize("frontend", ["", "uv build"])
def test_dependencies_that_both_declare_are_pinned(
    frontend: str, project: ModelProject, surroundings: Surroundings
) -> None:
    _add_hook(project, dependencies=["Anchor >= 1"])

    assert project.build(surroundings, frontend).wheel.requires == PINS


@pytest.mark.parametrize("frontend", ["", "uv build"])
def test_a_dependency_that_only_the_other_declares_would_not_be_pinned(
    frontend: str, project: ModelProject, surroundings: Surroundings
) -> None:
    _add_hook(project, dependencies=["anchor>=1", "leaf"])

    assert (
        "hatch-model: error: another metadata hook has `leaf` in project.dependencies, which "
        "tool.hatch.metadata.hooks.model writes. Add it to "
        "tool.hatch.metadata.hooks.model.dependencies.\n"
    ) in _refused(project, surroundings, frontend).output


def test_a_later_hook_that_writes_dependencies_is_refused(
    project: ModelProject, surroundings: Surroundings
) -> None:
    _add_hook(project, before=False, dependencies=["anchor>=1"])

    assert (
        "hatch-model: error: another metadata hook writes project.dependencies, which an sdist must "
        "leave open. Move the table tool.hatch.metadata.hooks.model below those of the others.\n"
    ) in _refused(project, surroundings, "uv build").output


def _refused(project: ModelProject, surroundings: Surroundings, frontend: str) -> Built:
    built = project.build(surroundings, frontend, check=False)
    assert not list(built.out.glob("*.whl"))
    return built


@pytest.mark.network
class TestRealOnes:
    @staticmethod
    def _use(project: ModelProject, name: str, table: str, *, before: bool = True) -> None:
        project.replace(
            "pyproject.toml",
            ('"hatch-model"]', f'"hatch-model", "{name}"]'),
            ('["dependencies"]', '["dependencies", "optional-dependencies"]'),
        )
        where = OURS if before else "[tool.hatch.build.hooks.model]"
        project.replace("pyproject.toml", (where, f"[tool.hatch.metadata.hooks.{table}\n{where}"))

    @pytest.fixture
    def surroundings(self, surroundings: Surroundings, tmp_path: Path) -> Surroundings:
        return OnlineSurroundings(
            index=surroundings.index,
            temporary=tmp_path / "tmp-online",
            find_links=surroundings.find_links,
            caches=surroundings.caches,
        )

    def test_hatch_requirements_txt(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        project.write("requirements.txt", "anchor>=1\n")
        project.write("viz.txt", "leaf<2\n")
        table = 'requirements_txt]\nfiles = ["requirements.txt"]\n'
        extras = 'optional-dependencies = { viz = ["viz.txt"] }\n'
        self._use(project, "hatch-requirements-txt", table + extras)

        assert project.build(surroundings, "uv build").wheel.requires == [
            *PINS,
            "leaf<2; extra == 'viz'",
        ]

    def test_hatch_docstring_description(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        project.write("src/small/__init__.py", '"""A small model."""\n')
        self._use(project, "hatch-docstring-description", "docstring-description]\n")
        project.replace("pyproject.toml", ('"optional-dependencies"', '"description"'))

        wheel = project.build(surroundings, "uv build").wheel

        assert wheel.headers("Summary") == ["A small model."]
        assert wheel.requires == PINS

    def test_uv_dynamic_versioning(self, project: ModelProject, surroundings: Surroundings) -> None:
        extras = (
            'uv-dynamic-versioning]\noptional-dependencies = { viz = ["leaf=={{ version }}"] }\n'
        )
        self._use(project, "uv-dynamic-versioning", extras)
        git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["tag", "v1.2.3"]):
            surroundings.run(*git, *command, cwd=project.folder)

        built = project.build(surroundings, "uv build --wheel")
        from_sdist = project.build(surroundings, "uv build", check=False)

        assert built.wheel.requires == [*PINS, "leaf==1.2.3; extra == 'viz'"]
        assert "reads the version from the repository again" in from_sdist.output

    @pytest.mark.parametrize(
        ("name", "table", "message"),
        [
            ("hatch-requirements-txt", "requirements_txt", "has to come before"),
            ("uv-dynamic-versioning", "uv-dynamic-versioning", "has to come before"),
            ("hatch-pinned-extra", "pinned_extra", "Take it out"),
        ],
    )
    def test_what_cannot_work_is_refused_by_name(
        self,
        name: str,
        table: str,
        message: str,
        project: ModelProject,
        surroundings: Surroundings,
    ) -> None:
        self._use(project, name, f"{table}]\n", before=False)

        built = _refused(project, surroundings, "uv build")

        (error,) = (
            line for line in built.output.splitlines() if line.startswith("hatch-model: error: ")
        )
        assert f"tool.hatch.metadata.hooks.{table} " in error
        assert message in error
