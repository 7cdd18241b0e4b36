"""uv: which one is run and how, and what it knows of a project and its workspace."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from environments import distribution, roots
from packaging.requirements import Requirement

from hatch_model.digests import File
from hatch_model.errors import HatchModelError
from hatch_model.uv import MEMBER_FILE, UvProject, check_origins, member_content, run_uv, uv_project

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# A stand-in for uv: an interpreter, whose first argument `export` is a script in the folder that
# uv would be run in.
_SCRIPT = """\
import os, sys
print(sys.argv[1:], os.getcwd() == {folder!r}, sorted(key for key in os.environ if os.environ[key] == "set"))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a script called `export`, and neither UV set nor anything on PATH."""
    folder = tmp_path.resolve()
    (folder / "export").write_text(_SCRIPT.format(folder=str(folder)), "utf-8")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(folder / "bin"))
    for variable in ("VIRTUAL_ENV", "UV_PROJECT", "UV_WORKING_DIR", "UV_DEV", "UV_NO_SOURCES"):
        monkeypatch.setenv(variable, "set")
    monkeypatch.setenv("UV_CACHE_DIR", "set")
    return folder


def _put_on_path(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "uv").symlink_to(sys.executable)


def test_the_uv_that_builds_is_run_in_the_project_and_sees_no_build_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", sys.executable)

    output = run_uv(["export", "--frozen"], path="uv.lock", root=folder)

    assert output == "['--frozen'] True ['UV_CACHE_DIR']\n"


@pytest.mark.skipif(os.name == "nt", reason="a link has no ending that Windows would run")
@pytest.mark.parametrize("variable", [None, ""])
def test_without_one_the_uv_on_path_is_run(
    variable: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_on_path(folder)
    if variable is not None:
        monkeypatch.setenv("UV", variable)

    assert run_uv(["export"], path="uv.lock", root=folder) == "[] True ['UV_CACHE_DIR']\n"


@pytest.mark.skipif(os.name == "nt", reason="a link has no ending that Windows would run")
def test_the_uv_that_builds_comes_before_the_one_on_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "uv").touch(mode=0o755)
    monkeypatch.setenv("UV", sys.executable)

    assert run_uv(["export"], path="uv.lock", root=folder) == "[] True ['UV_CACHE_DIR']\n"


def test_where_there_is_no_uv_both_ways_out_are_named(folder: Path) -> None:
    with pytest.raises(HatchModelError) as caught:
        run_uv(["export"], path="uv.lock", root=folder)

    assert str(caught.value) == (
        "uv is required to read `uv.lock`, and is not on PATH. Install uv, or lock in a format that "
        "does not need it: `uv export --format pylock.toml --no-emit-project --output-file pylock.toml`, "
        "and name that file instead."
    )


def test_what_uv_complains_about_is_passed_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "export").write_text('raise SystemExit("error: no such thing\\n")', "utf-8")
    monkeypatch.setenv("UV", sys.executable)

    with pytest.raises(HatchModelError) as caught:
        run_uv(["export"], path="uv.lock", root=folder)

    assert str(caught.value) == (
        "uv cannot export `uv.lock`. It says:\nerror: no such thing\n"
        "Run `uv lock`, or use the version of uv that wrote it."
    )


# The project

_SIBLING = '[project]\nname = "{name}"\nversion = "1.0"\ndependencies = {dependencies}\n'
LOCK = File(path="uv.lock", sha256="ab", size=2)
_SDIST = "Metadata-Version: 2.4\nName: model\nVersion: 1.0\n"


def spelled(lines: Iterable[str]) -> list[str]:
    """Spell requirements as the installed packaging does."""
    return [str(Requirement(line)) for line in lines]


def _write(folder: Path, pyproject: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(pyproject, "utf-8")
    uv_project.cache_clear()
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace of three members, and a folder that is excluded from it."""
    folder = tmp_path.resolve()
    _write(
        folder,
        '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/alone"]\n'
        "[tool.uv.sources]\nAcme_Core = { workspace = true }\n"
        '[tool.uv]\noverride-dependencies = ["anchor==1.0"]\nexclude-dependencies = ["chain"]\n',
    )
    core, features = folder / "packages/core", folder / "packages/features"
    _write(core, _SIBLING.format(name="acme-core", dependencies="[]"))
    _write(
        features, _SIBLING.format(name="Acme.Features", dependencies='["acme-core>=0.5", "numpy"]')
    )
    _write(folder / "packages/model", "[tool.uv.sources]\nacme-features = { workspace = true }\n")
    _write(folder / "packages/alone", "")
    return folder


def test_a_member_shares_the_lock_and_the_overrides_of_its_workspace(workspace: Path) -> None:
    project = uv_project(workspace / "packages/model")

    assert project.lock == workspace / "uv.lock"
    assert project.is_member
    assert project.local_names == {"acme-core", "acme-features"}
    assert project.overrides == {
        "anchor": ["anchor==1.0"],
        "chain": ["chain; python_version < '0'"],
    }


def test_the_root_of_a_workspace_is_one_of_its_members(workspace: Path) -> None:
    assert uv_project(workspace).lock == workspace / "uv.lock"


@pytest.mark.parametrize("folder", ["packages/alone", "elsewhere", "packages/model/nested"])
def test_a_project_that_is_no_member_has_a_lock_of_its_own(folder: str, workspace: Path) -> None:
    project = uv_project(_write(workspace / folder, ""))

    assert project.lock == workspace / folder / "uv.lock"
    assert not project.is_member
    assert not project.overrides


def test_siblings_and_what_they_need_of_others_are_required_by_their_folders(
    workspace: Path,
) -> None:
    project = uv_project(workspace / "packages/model")

    lines = project.with_addresses(
        roots("acme-features[fast]>=1; python_version > '3'", "joblib>=1")
    )

    packages = (workspace / "packages").as_uri()
    assert spelled(lines) == spelled(
        [
            f'acme-features[fast] @ {packages}/features ; python_version > "3"',
            f"acme-core @ {packages}/core",
            "joblib>=1",
        ]
    )


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('{ path = "../lib" }', "lib @ {root}/lib"),
        ('{ path = "../lib", editable = true }', "lib @ {root}/lib"),
        ('{ url = "https://h.example/lib.whl" }', "lib @ https://h.example/lib.whl"),
        ('{ git = "https://h.example/lib" }', "lib @ git+https://h.example/lib"),
        (
            '{ git = "https://h.example/lib", tag = "v1", subdirectory = "py" }',
            "lib @ git+https://h.example/lib@v1#subdirectory=py",
        ),
        ('{ index = "internal" }', "lib"),
        (
            "[{ path = '../no', marker = \"sys_platform == 'none'\" }, { path = '../lib' }]",
            "lib @ {root}/lib",
        ),
    ],
)
def test_every_place_that_has_an_address_is_required_by_it(
    source: str, line: str, tmp_path: Path
) -> None:
    root = tmp_path.resolve()
    _write(root / "lib", _SIBLING.format(name="lib", dependencies="[]"))
    project = uv_project(_write(root / "model", f"[tool.uv.sources]\nlib = {source}\n"))

    assert spelled(project.with_addresses(roots("lib"))) == spelled(
        [line.format(root=root.as_uri())]
    )


def test_extras_and_repositories_of_a_sibling_are_followed(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    _write(root / "other", _SIBLING.format(name="other", dependencies="[]"))
    _write(
        root / "lib",
        _SIBLING.format(name="lib", dependencies='["private"]')
        + '[project.optional-dependencies]\nfast = ["other", "numpy"]\nslow = ["absent"]\n'
        + '[tool.uv.sources]\nother = { path = "../other" }\nabsent = { path = "../absent" }\n'
        + 'private = { git = "https://h.example/private" }\n',
    )
    project = uv_project(_write(root / "model", '[tool.uv.sources]\nlib = { path = "../lib" }\n'))

    assert spelled(project.with_addresses(roots("lib[fast]"))) == spelled(
        [
            f"lib[fast] @ {root.as_uri()}/lib",
            "private @ git+https://h.example/private",
            f"other @ {root.as_uri()}/other",
        ]
    )


def test_a_folder_that_a_dynamic_sibling_may_not_need_may_be_missing(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    _write(
        root / "lib",
        '[project]\nname = "lib"\ndynamic = ["dependencies"]\n'
        '[tool.uv.sources]\ndevtool = { path = "../not-checked-out" }\n',
    )
    project = uv_project(_write(root / "model", '[tool.uv.sources]\nlib = { path = "../lib" }\n'))

    assert spelled(project.with_addresses(roots("lib"))) == spelled([f"lib @ {root.as_uri()}/lib"])


def test_a_member_that_is_no_source_is_still_never_taken_from_an_index(workspace: Path) -> None:
    _write(workspace / "packages/model", '[project]\nname = "model"\n')
    project = uv_project(workspace / "packages/model")

    assert spelled(project.with_addresses(roots("acme-features"))) == spelled(
        [
            f"acme-features @ {(workspace / 'packages').as_uri()}/features",
            f"acme-core @ {(workspace / 'packages').as_uri()}/core",
        ]
    )
    assert project.by_name(roots("acme-features[fast]", "acme-core[x]")) == {
        "acme-features": "",
        "acme-core": "acme-core[x]",
    }


def test_a_member_may_be_a_link_and_the_root_a_pattern(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    _write(root, '[tool.uv.workspace]\nmembers = [".", "./packages/*"]\n')
    member = _write(root / "real/model", '[project]\nname = "model"\n')
    (root / "packages").mkdir()
    (root / "packages/model").symlink_to(member, target_is_directory=True)

    assert uv_project(member).lock == root / "uv.lock"
    assert uv_project(root / "packages/model").lock == root / "uv.lock"


class TestOrigins:
    """What is to come from a folder was not taken from an index."""

    @pytest.fixture
    def project(self, workspace: Path) -> UvProject:
        return uv_project(workspace / "packages/model")

    def test_a_strangers_package_is_refused(
        self, project: UvProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("UV_NO_SOURCES", raising=False)
        with pytest.raises(HatchModelError) as caught:
            check_origins(project, [distribution("numpy", "2.0"), distribution("acme-core", "9.0")])

        assert str(caught.value) == (
            "acme-core 9.0 was installed from an index, but tool.uv.sources.Acme_Core takes it from "
            "the source tree, and a package of that name on an index may be someone else's. Build the "
            "wheel from the source tree. If the index is meant, set the variable UV_NO_SOURCES=1."
        )

    def test_an_index_can_be_meant(
        self, project: UvProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UV_NO_SOURCES", "1")

        check_origins(project, [distribution("acme-core", "9.0")])

    def test_a_folder_is_in_order(self, project: UvProject) -> None:
        folder = {"url": "file:///x", "dir_info": {}}

        check_origins(project, [distribution("acme-core", "1.0", direct_url=folder)])


def test_two_projects_that_need_each_other_come_to_an_end(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    for name, other in (("one", "two"), ("two", "one")):
        _write(
            root / name,
            _SIBLING.format(name=name, dependencies=[other])
            + f'[tool.uv.sources]\n{other} = {{ path = "../{other}" }}\n',
        )

    lines = uv_project(root / "one").with_addresses(roots("two"))

    assert spelled(lines) == spelled([f"two @ {root.as_uri()}/two", f"one @ {root.as_uri()}/one"])


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    project = uv_project(_write(tmp_path, '[tool.uv.sources]\nlib = { path = "../no-lib" }\n'))

    with pytest.raises(HatchModelError) as caught:
        list(project.with_addresses(roots("lib")))

    assert str(caught.value) == ("tool.uv.sources.lib: the folder or file does not exist.")


class TestTheSourceDistributionOfAMember:
    """It is without its workspace, and says what that knew."""

    @staticmethod
    def _sdist(workspace: Path, content: bytes | None = None) -> Path:
        member = uv_project(workspace / "packages/model")
        folder = _write(workspace.parent / "unpacked", "")
        (folder / "PKG-INFO").write_text(_SDIST, "utf-8")
        content = member_content(member, LOCK, ["a", "b"]) if content is None else content
        (folder / MEMBER_FILE).write_bytes(content)
        return folder

    def test_what_the_workspace_knew_is_known(self, workspace: Path) -> None:
        project = uv_project(self._sdist(workspace))

        assert project.is_member
        assert project.local_names == {"acme-core", "acme-features"}
        assert project.overrides == uv_project(workspace / "packages/model").overrides
        assert project.carried is not None
        assert project.carried["exports"] == ["a", "b"]

    def test_a_sibling_is_not_in_it_and_never_taken_from_an_index(self, workspace: Path) -> None:
        with pytest.raises(HatchModelError) as caught:
            list(uv_project(self._sdist(workspace)).with_addresses(roots("acme-core")))

        assert str(caught.value) == (
            "this source distribution does not contain acme-core, which tool.uv.sources.acme-core takes "
            "from the source tree. Build the wheel from the source tree, as with `python -m build "
            "--wheel`, or with uv."
        )

    @pytest.mark.parametrize(
        "content",
        [b"", b"[]", b"{}", b'{"sources": [1], "overrides": {}, "lock": null, "exports": []}'],
    )
    def test_another_file_of_that_name_is_refused(self, content: bytes, workspace: Path) -> None:
        with pytest.raises(HatchModelError) as caught:
            uv_project(self._sdist(workspace, content))

        assert str(caught.value) == (
            ".hatch-model.uv.json is not what hatch-model writes. Unpack this source distribution "
            "again."
        )

    def test_in_a_tree_such_a_file_counts_for_nothing(self, workspace: Path) -> None:
        (workspace / "packages/model" / MEMBER_FILE).write_text(json.dumps([]), "utf-8")

        assert uv_project(workspace / "packages/model").carried is None
