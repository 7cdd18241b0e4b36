"""docs/newer-versions.md: the bots' files are valid, and a renewed lock gives a model that says what changed."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT
from support import PROJECTS, ModelProject, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support import Index, Surroundings

pytestmark = pytest.mark.frontend

_PAGE = (CHECKOUT / "docs/newer-versions.md").read_text("utf-8")
_PROJECT = PROJECTS / "pipelines"
_BOTS = {"renovate.json": "vendor.renovate", ".github/dependabot.yml": "vendor.dependabot"}


@pytest.mark.parametrize("file", _BOTS)
def test_the_file_is_what_the_schema_of_the_bot_allows(
    file: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    command = ["check-jsonschema", "--builtin-schema", _BOTS[file]]
    surroundings.run(*command, _PROJECT / file, cwd=tmp_path)

    broken = tmp_path / "broken.yml"
    text = (_PROJECT / file).read_text("utf-8")
    broken.write_text(re.sub(r"(groupName|interval)(.*?:) .+", r"\1\2 []", text), "utf-8")
    refused = surroundings.run(*command, broken, cwd=tmp_path, check=False)
    assert "Schema validation errors were encountered" in refused.stdout


def test_the_page_shows_the_files_as_they_are_tested() -> None:
    shown = re.findall(
        r"^`([^`\n]+)`:\n\n```(?:json|yaml)\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL
    )

    assert shown == [(file, (_PROJECT / file).read_text("utf-8")) for file in _BOTS]


@pytest.fixture
def project(surroundings: Surroundings, index: Index, tmp_path: Path) -> ModelProject:
    """A locked project that wants the older one of two versions of a package."""
    surroundings.environment["UV_PYTHON"] = sys.executable
    for version in ("1.0", "2.0"):
        make_wheel(index.folder, "leaf", version)
    project = ModelProject.copy("pipelines", tmp_path / "project")
    project.replace("pyproject.toml", ('["anchor>=1"]', '["anchor>=1", "leaf<2"]'))
    surroundings.run("uv", "lock", cwd=project.folder)
    return project


def test_a_renewed_lock_gives_another_wheel_and_diff_says_what_changed(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    project.build(surroundings, "uv build", out=tmp_path / "old")
    old = next(tmp_path.glob("old/*.whl"))
    project.replace("pyproject.toml", (', "leaf<2"', ', "leaf"'))
    lock, build, diff = re.findall(r"^```bash\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)[
        0
    ].splitlines()

    said = surroundings.run(*lock.split(), cwd=project.folder).stdout
    assert "training" not in said
    surroundings.run(*build.split(), cwd=project.folder)
    compare = diff.replace("released.whl", str(old)).split()
    said = surroundings.run(*compare, cwd=project.folder).stdout
    assert re.search(r"leaf +(==)?1\.0 +(==)?2\.0\n", said), said


def test_an_app_gets_newer_versions_with_the_model_or_overrides_a_pin(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    out = surroundings.index.folder
    surroundings.run("uv", "build", "--wheel", "--out-dir", out, cwd=project.folder)
    app = tmp_path / "app"
    app.mkdir()
    settings = (
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.10"\n'
        'dependencies = ["acme-wine"]\n'
    )

    def locked(more: str = "") -> str:
        (app / "pyproject.toml").write_text(settings + more, "utf-8")
        surroundings.run("uv", "lock", "--upgrade", cwd=app)
        (version,) = re.findall(
            r'^name = "leaf"\nversion = "(.+)"', (app / "uv.lock").read_text(), re.MULTILINE
        )
        return str(version)

    assert locked() == "1.0"
    assert locked('[tool.uv]\noverride-dependencies = ["leaf>=2"]\n') == "2.0"
