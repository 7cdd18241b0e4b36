"""A model that is a member of a uv workspace and needs a sibling, in every frontend."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from support import Index, ModelProject, Surroundings, Wheel, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

_SIBLING = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-{name}"
version = "0.3"
requires-python = ">=3.10"
dependencies = {dependencies}
"""
HOOK = "[tool.hatch.build.hooks.model]"
ERROR = "hatch-model: error: "
PINS = ["acme-core==0.3", "acme-features==0.3", "anchor==1.2", "chain==2.0"]


def _add_sibling(workspace: Path, name: str, dependencies: list[str]) -> None:
    folder = workspace / name
    package = folder / "src" / f"acme_{name}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("SCALE = 2\n", "utf-8")
    text = _SIBLING.format(name=name, dependencies=dependencies)
    (folder / "pyproject.toml").write_text(text, "utf-8")


@pytest.fixture
def member(project: ModelProject, surroundings: Surroundings, index: Index) -> ModelProject:
    """A model that needs a sibling, which needs another, and an index with others of these names."""
    workspace = project.folder.parent / "workspace"
    _add_sibling(workspace, "core", [])
    _add_sibling(workspace, "features", ["acme-core"])
    (workspace / "pyproject.toml").write_text(
        '[tool.uv.workspace]\nmembers = ["small", "core", "features"]\n'
        "[tool.uv.sources]\nacme-core = { workspace = true }\n",
        "utf-8",
    )
    shutil.move(project.folder, workspace / "small")
    member = ModelProject(workspace / "small")
    member.replace(
        "pyproject.toml",
        ('["anchor>=1"]', '["anchor>=1", "acme-features"]\ndirect-references = "version"'),
        (HOOK, f"[tool.uv.sources]\nacme-features = {{ workspace = true }}\n\n{HOOK}"),
    )
    member.replace(
        "src/small/main.py", ("from pathlib", "from acme_features import SCALE\nfrom pathlib")
    )
    for name in ("acme-core", "acme-features"):
        make_wheel(index.folder, name, "9.0")  # a stranger's
    surroundings.environment["UV"] = ""
    return member


def _lock(member: ModelProject, surroundings: Surroundings) -> None:
    member.replace("pyproject.toml", (HOOK, f'{HOOK}\nlock = "uv.lock"'))
    surroundings.run("uv", "lock", cwd=member.folder)


@pytest.mark.frontend
@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize(
    "frontend", ["uv build", "uv build --wheel", "pip wheel", "python -m build"]
)
def test_siblings_are_those_of_the_workspace_and_never_a_strangers(
    *, frontend: str, locked: bool, member: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    if locked:
        _lock(member, surroundings)
        make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2"])
    options = ["--wheel"] if frontend == "python -m build" else []

    wheel = member.build(surroundings, frontend, *options).wheel

    assert wheel.requires == PINS
    record = json.loads(wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert (record["lock"] or {}).get("path") == ("uv.lock" if locked else None)


@pytest.mark.frontend
@pytest.mark.parametrize("locked", [False, True])
def test_an_sdist_without_its_workspace_is_refused_by_other_frontends(
    *, locked: bool, member: ModelProject, surroundings: Surroundings
) -> None:
    if locked:
        _lock(member, surroundings)

    built = member.build(surroundings, "python -m build", check=False)

    assert not list(built.out.glob("*.whl"))
    (error,) = (line for line in built.output.splitlines() if line.startswith(ERROR))
    assert ("this source distribution does not contain acme-features" in error) is not locked
    assert ("An sdist does not contain what is outside of the project" in error) is locked


def test_the_slice_of_the_lock_in_an_sdist_gives_the_wheel_that_the_tree_gives(
    member: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    _lock(member, surroundings)
    uv = ("uv", "build", "--out-dir")
    surroundings.run(*uv, tmp_path / "both", cwd=member.folder)
    surroundings.run(*uv, tmp_path / "tree", "--wheel", cwd=member.folder)

    (both,), (tree,) = (tmp_path / "both").glob("*.whl"), (tmp_path / "tree").glob("*.whl")
    assert both.read_bytes() == tree.read_bytes()
    assert Wheel(both).requires == PINS
    (sdist,) = (tmp_path / "both").glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path / "sdist")
    files = {each.name for each in (tmp_path / "sdist" / "small-0.1.0").iterdir()}
    assert files == {".hatch-model.uv.json", "PKG-INFO", "pyproject.toml", "src"}


def test_an_editable_sibling_is_pinned_by_its_version_or_not_at_all(
    member: ModelProject, surroundings: Surroundings
) -> None:
    member.replace("pyproject.toml", ('direct-references = "version"', ""))

    built = member.build(surroundings, check=False)

    assert "an address that is only valid on this machine." in built.output
    assert 'or set tool.hatch.metadata.hooks.model.direct-references to "version"' in built.output


def test_a_missing_lock_of_a_workspace_is_looked_for_at_its_root(
    member: ModelProject, surroundings: Surroundings
) -> None:
    member.replace("pyproject.toml", (HOOK, f'{HOOK}\nlock = "uv.lock"'))
    (member.folder / "uv.lock").touch()

    built = member.build(surroundings, check=False)

    assert (
        f"{ERROR}tool.hatch.build.hooks.model.lock is `uv.lock`, but there is no such file at the root "
        "of its workspace. Write the lock: `uv lock`; or remove the key."
    ) in built.output


@pytest.mark.parametrize("no_sources", [None, "1"])
def test_uv_takes_a_strangers_package_for_an_archive_and_is_refused_unless_that_is_meant(
    no_sources: str | None, member: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    # uv itself refuses an entry of this project's own, but ignores those of the workspace's root.
    member.replace("pyproject.toml", ("acme-features = { workspace = true }", ""))
    root = member.folder.parent / "pyproject.toml"
    root.write_text(root.read_text("utf-8") + "acme-features = { workspace = true }\n", "utf-8")
    surroundings.run("uv", "build", "--sdist", "--out-dir", tmp_path, cwd=member.folder)
    (sdist,) = tmp_path.glob("*.tar.gz")
    if no_sources:
        surroundings.environment["UV_NO_SOURCES"] = no_sources

    command = ("uv", "build", "--wheel", "--out-dir", tmp_path, sdist)
    built = surroundings.run(*command, cwd=tmp_path, check=False)

    # The stranger's is empty, and training needs what the sibling has.
    assert built.returncode != 0
    assert ("cannot import name 'SCALE'" in built.stdout) is bool(no_sources)
    message = (
        "acme-features 9.0 was installed from an index, but tool.uv.sources.acme-features takes"
    )
    assert (message in built.stdout) is not bool(no_sources)


@pytest.mark.parametrize("extra", [False, True])
def test_what_a_sibling_needs_is_found_by_uv_in_a_locked_build(
    *, extra: bool, member: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    root, features = member.folder.parent / "pyproject.toml", member.folder.parent / "features"
    root.write_text(root.read_text("utf-8").partition("[tool.uv.sources]")[0], "utf-8")
    text = (features / "pyproject.toml").read_text("utf-8")
    if extra:
        text = text.replace("['acme-core']", '[]\noptional-dependencies = { fast = ["acme-core"] }')
        member.replace("pyproject.toml", ('"acme-features"]', '"acme-features[fast]"]'))
    source = "\n[tool.uv.sources]\nacme-core = { workspace = true }\n"
    (features / "pyproject.toml").write_text(text + source, "utf-8")
    _lock(member, surroundings)

    for number, options in enumerate([[], ["--wheel"]]):
        out = tmp_path / str(number)
        surroundings.run("uv", "build", "--out-dir", out, *options, cwd=member.folder)
        (wheel,) = out.glob("*.whl")
        assert Wheel(wheel).requires == PINS


class TestALockThatIsNotUsed:
    TOLD = (
        "hatch-model: `uv.lock` is not used: the pins may differ from the versions that it holds and "
        'that `uv sync` installs. Set tool.hatch.build.hooks.model.lock to "uv.lock" to train with '
        "these, or to false to silence this line.\n"
    )

    @pytest.mark.parametrize("options", [[], ["--wheel"]])
    def test_a_build_says_so_once(
        self, options: list[str], project: ModelProject, surroundings: Surroundings
    ) -> None:
        surroundings.run("uv", "lock", cwd=project.folder)

        built = project.build(surroundings, "uv build", *options)

        assert built.output.count(self.TOLD) == 1

    def test_that_of_the_workspace_counts(
        self, member: ModelProject, surroundings: Surroundings
    ) -> None:
        surroundings.run("uv", "lock", cwd=member.folder)

        assert member.build(surroundings, "uv build").output.count(self.TOLD) == 1

    @pytest.mark.parametrize("lock", ["false", '"uv.lock"'])
    def test_it_can_be_used_or_refused(
        self, lock: str, project: ModelProject, surroundings: Surroundings
    ) -> None:
        surroundings.run("uv", "lock", cwd=project.folder)
        project.replace("pyproject.toml", (HOOK, f"{HOOK}\nlock = {lock}"))

        assert "is not used" not in project.build(surroundings).output
