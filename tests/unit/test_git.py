"""Which commit a source tree was at, and what an sdist carries of it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from support import tree

from hatch_model import git as git_module

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_model.git import Commit


_UNKNOWN = "the record names no commit, although there is a git repository: "


def commit_of(root: Path, *warnings: str) -> Commit | None:
    """Ask for the commit, which has to be with these *warnings*."""
    said: list[str] = []
    commit = git_module.commit_of(root, said.append)
    assert [line.partition("\n")[0] for line in said] == list(warnings)
    return commit


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep git from the user's settings, and from repositories around the temporary folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, text=True, capture_output=True
    ).stdout.strip()


def make_repository(folder: Path) -> str:
    """Commit a project in *folder*, and give the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("[project]\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "One")
    return git(folder, "rev-parse", "HEAD")


def test_a_tree_as_it_was_committed_is_not_dirty(tmp_path: Path) -> None:
    commit = make_repository(tmp_path / "project")

    assert commit_of(tmp_path / "project") == {"commit": commit, "dirty": False}


@pytest.mark.parametrize("change", ["changed", "added", "untracked", "deleted"])
def test_a_tree_that_differs_from_its_commit_is_dirty(change: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    commit = make_repository(project)
    # Whoever switched this off to have a quick `git status` is told of new files all the same.
    git(project, "config", "status.showUntrackedFiles", "no")
    if change == "changed":
        (project / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    elif change == "deleted":
        (project / "pyproject.toml").unlink()
    else:
        (project / "new.py").touch()
    if change == "added":
        git(project, "add", "new.py")

    assert commit_of(project) == {"commit": commit, "dirty": True}


def test_what_git_ignores_makes_no_tree_dirty(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / ".gitignore").write_text("dist/\n")
    commit = make_repository(project)
    (project / "dist").mkdir()
    (project / "dist" / "wheel.whl").touch()

    assert commit_of(project) == {"commit": commit, "dirty": False}


def test_in_a_repository_of_many_projects_only_the_own_folder_counts(tmp_path: Path) -> None:
    make_repository(tmp_path / "one")
    (tmp_path / "one" / "packages" / "two").mkdir(parents=True)
    project = tmp_path / "one" / "packages" / "two"
    (project / "pyproject.toml").touch()
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "Two")
    (tmp_path / "one" / "pyproject.toml").unlink()
    (tmp_path / "one" / "new.py").touch()

    commit = git(project, "rev-parse", "HEAD")
    assert commit_of(project) == {"commit": commit, "dirty": False}


def test_a_project_that_was_never_committed_is_dirty(tmp_path: Path) -> None:
    commit = make_repository(tmp_path / "one")
    project = tmp_path / "one" / "two"
    project.mkdir()
    (project / "pyproject.toml").touch()

    assert commit_of(project) == {"commit": commit, "dirty": True}


def test_a_repository_that_ignores_the_project_says_nothing_of_it(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / ".gitignore").write_text("build/\n")
    make_repository(outer)
    project = outer / "build" / "project"
    project.mkdir(parents=True)
    (project / "pyproject.toml").touch()

    assert commit_of(project) is None


def test_without_a_repository_or_a_commit_there_is_no_telling(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None

    git(tmp_path, "init", "--quiet")
    assert commit_of(tmp_path) is None


def test_without_git_there_is_no_telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_repository(tmp_path / "project")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))

    assert commit_of(tmp_path) is None
    assert commit_of(tmp_path / "project", f"{_UNKNOWN}git is not installed") is None


def test_where_git_refuses_its_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, where the tree often belongs to another user."""
    project = tmp_path / "project"
    make_repository(project)
    # What git's own tests have it take for another owner.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    reason = f"fatal: detected dubious ownership in repository at '{project}'"

    assert commit_of(project, f"{_UNKNOWN}{reason}") is None


def test_a_repository_that_is_damaged_is_told_of(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    reason = "fatal: not a git repository (or any of the parent directories): .git"

    assert commit_of(tmp_path, f"{_UNKNOWN}{reason}") is None


def test_asking_changes_nothing_in_the_repository(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_repository(project)
    os.utime(project / "pyproject.toml", (1, 1))  # git would note this in its index
    before = tree(project)

    commit_of(project)

    assert tree(project) == before


def test_an_sdist_that_carries_nothing_has_no_commit_in_somebody_elses_repository(
    tmp_path: Path,
) -> None:
    make_repository(tmp_path)
    sdist = tmp_path / "small-0.1.0"
    sdist.mkdir()
    (sdist / "PKG-INFO").touch()

    assert commit_of(sdist) is None


def test_a_repository_that_a_variable_of_gits_names_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = make_repository(tmp_path / "project")
    other = tmp_path / "other"
    make_repository(other)
    (other / "more.txt").touch()
    git(other, "add", ".")
    git(other, "commit", "--quiet", "--message", "Two")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))

    assert commit_of(tmp_path / "project") == {"commit": commit, "dirty": False}
