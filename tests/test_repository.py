"""What this repository claims of itself, in several places, is one and the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from checkout import CHECKOUT
from hatchling.metadata.core import ProjectMetadata

from hatch_model.pythons import NEWEST

if TYPE_CHECKING:
    from pathlib import Path

    from support import Surroundings

PYPROJECT = ProjectMetadata(str(CHECKOUT), None).config
WORKFLOWS = sorted(path.name for path in CHECKOUT.glob(".github/workflows/*"))
# Nobody installs these: what tests and users need of the repository is elsewhere.
NOT_IN_SDIST = (".ci/", ".github/")

in_git_checkout = pytest.mark.skipif(
    not (CHECKOUT / ".git").exists() or shutil.which("git") is None, reason="no clone of git's"
)


def claimed_pythons() -> list[str]:
    """Give the minor versions that the classifiers name."""
    prefix = "Programming Language :: Python :: "
    classifiers = [each.removeprefix(prefix) for each in PYPROJECT["project"]["classifiers"]]
    return [each for each in classifiers if re.fullmatch(r"3\.\d+", each)]


def workflow(name: str) -> dict[Any, Any]:
    content = yaml.safe_load((CHECKOUT / ".github/workflows" / name).read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def steps(content: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in content["jobs"].values() for step in job["steps"]]


def repository_files() -> list[str]:
    """Give the paths of all files that git tracks, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    return [path for path in listed.stdout.split("\0") if path and (CHECKOUT / path).exists()]


def test_the_claimed_pythons_are_those_from_3_10_to_3_14() -> None:
    assert claimed_pythons() == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert PYPROJECT["project"]["requires-python"] == ">=3.10"


def test_nothing_is_warned_of_beyond_the_newest_claimed_python() -> None:
    assert claimed_pythons()[-1] == f"3.{NEWEST}"


def test_linters_and_type_checker_take_the_oldest_claimed_python() -> None:
    oldest = claimed_pythons()[0]

    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest


def test_there_are_workflows_for_tests_for_releases_and_for_what_takes_long() -> None:
    assert WORKFLOWS == ["nightly.yml", "release.yml", "test.yml"]


def test_every_claimed_python_is_tested_on_every_system() -> None:
    job = workflow("test.yml")["jobs"]["test"]

    assert job["strategy"]["matrix"] == {
        "os": ["ubuntu-latest", "macos-latest", "windows-latest"],
        "python": claimed_pythons(),
    }
    assert job["runs-on"] == "${{ matrix.os }}"
    assert {"python-version": "${{ matrix.python }}"} in [step.get("with") for step in job["steps"]]


def test_the_test_workflow_runs_all_that_the_local_script_does() -> None:
    script = (CHECKOUT / ".ci/run").read_text("utf-8")
    parts = set(re.findall(r"^(\w+)\(\) {", script, re.MULTILINE)) - {"programs", "part"}
    ran = [step.get("run", "") for step in steps(workflow("test.yml"))]

    assert parts == {"lint", "fast", "slow"}
    assert [each for each in ran if each] == ["bash .ci/run fast slow", "bash .ci/run lint"]
    assert 'for each in "${@:-lint fast slow}"' in script


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_to_a_commit_and_say_which_release_that_is(name: str) -> None:
    text = (CHECKOUT / ".github/workflows" / name).read_text("utf-8")
    actions = re.findall(r"uses: (.*)", text)

    assert len(actions) == sum("uses" in step for step in steps(workflow(name))) > 0
    pinned = r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
    assert [each for each in actions if not re.fullmatch(pinned, each)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_job_may_write_to_the_repository_and_each_ends_in_time(name: str) -> None:
    content = workflow(name)
    jobs = content["jobs"].values()

    assert content["permissions"] in ({}, {"contents": "read"})
    assert {"write-all", "write"} & {
        value
        for job in jobs
        for key, value in job.get("permissions", {}).items()
        if key != "id-token"
    } == set()
    assert [job["name"] for job in jobs if "timeout-minutes" not in job] == []


def test_a_tag_is_published_once_it_is_tested_and_without_a_token_of_ours() -> None:
    content = workflow("release.yml")
    test, build, publish = (content["jobs"][name] for name in ("test", "build", "publish"))
    commands = [step["run"] for step in build["steps"] if "run" in step]

    assert content[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 takes `on` for a truth value
    assert commands == [
        'test "v$(uv version --short)" = "$GITHUB_REF_NAME"',
        "uv build",
        "uv run --isolated --only-group release-checks twine check --strict dist/*",
        "uv run --isolated --only-group release-checks check-wheel-contents dist/*.whl",
    ]
    assert [step["run"] for step in test["steps"] if "run" in step] == ["bash .ci/run"]
    assert (build["needs"], publish["needs"]) == ("test", "build")
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"]["name"] == "pypi"
    assert [
        step.get("run", step.get("uses", "").partition("@")[0]) for step in publish["steps"]
    ] == [
        "actions/download-artifact",
        "astral-sh/setup-uv",
        "uv publish --trusted-publishing always dist/*",
    ]
    assert "secrets." not in (CHECKOUT / ".github/workflows/release.yml").read_text("utf-8")


@in_git_checkout
def test_the_one_lock_that_is_tracked_names_no_address() -> None:
    locks = [
        path
        for path in repository_files()
        if re.fullmatch(r".*\.lock|pylock.*\.toml", PurePosixPath(path).name)
    ]

    assert locks == ["example-project/requirements.lock"]
    lines = (CHECKOUT / locks[0]).read_text("utf-8").splitlines()
    forms = (
        r"[a-z0-9-]+==[0-9.]+( ; python_full_version [<>=]+ '[0-9.*]+')? \\",
        r" {4}--hash=sha256:[0-9a-f]{64}( \\)?",
        r" {4}# (via( [a-z-]+)?|  [a-z-]+)",
    )
    options = "--python 3.10 --format requirements.txt --no-emit-project --group plots"
    assert [line for line in lines if not any(re.fullmatch(form, line) for form in forms)] == [
        "# This file was autogenerated by uv via the following command:",
        f"#    uv export {options} --output-file requirements.lock",
    ]


@in_git_checkout
def test_the_sdist_holds_the_repository(surroundings: Surroundings, tmp_path: Path) -> None:
    command = ("uv", "build", "--sdist", "--quiet", "--out-dir", tmp_path / "dist", CHECKOUT)
    surroundings.run(*command, cwd=tmp_path)

    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    assert sdist.name == f"hatch_model-{PYPROJECT['project']['version']}.tar.gz"
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    expected = {path for path in repository_files() if not path.startswith(NOT_IN_SDIST)}
    assert sorted(held - expected) == ["PKG-INFO"]
    assert sorted(expected - held) == []


@pytest.mark.frontend
def test_archives_pass_what_releases_are_checked_with(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    surroundings.run(
        "uv", "build", "--quiet", "--out-dir", tmp_path / "dist", CHECKOUT, cwd=tmp_path
    )
    archives = sorted((tmp_path / "dist").glob("hatch_model-*"))

    assert len(archives) == 2
    surroundings.run("twine", "check", "--strict", *archives, cwd=tmp_path)
    surroundings.run("check-wheel-contents", archives[0], cwd=tmp_path)


def test_every_unit_test_is_named_after_the_module_that_it_tests() -> None:
    source = CHECKOUT / "src/hatch_model"
    modules = {
        path.relative_to(source).with_suffix("").as_posix().replace("/", "_")
        for path in source.rglob("*.py")
    }
    names = [
        path.stem.removeprefix("test_") for path in (CHECKOUT / "tests/unit").glob("test_*.py")
    ]

    assert [
        name for name in names if not any(f"{name}_".startswith(f"{each}_") for each in modules)
    ] == []


def test_contributing_has_every_module_once() -> None:
    source = CHECKOUT / "src" / "hatch_model"
    modules = {path.relative_to(source).with_suffix("").as_posix() for path in source.rglob("*.py")}
    table = (CHECKOUT / "CONTRIBUTING.md").read_text("utf-8").partition("## Where things are")[2]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`([\w/]+)`", row)]

    assert sorted(listed) == sorted(modules - {"__init__", "__main__"})
