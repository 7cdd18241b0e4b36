"""docs/docker.md: what its Dockerfile runs, its layer and its folder of wheels, without Docker."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT
from support import ModelProject, interpreter_of, site_packages_of

if TYPE_CHECKING:
    from pathlib import Path

    from support import Index, Surroundings

pytestmark = [
    pytest.mark.frontend,
    pytest.mark.skipif(os.name == "nt", reason="the page is written for bash"),
]

_PAGE = (CHECKOUT / "docs/docker.md").read_text("utf-8")
_PYTHON = ".".join(map(str, sys.version_info[:2]))
_APP = """\
[project]
name = "app"
version = "0.1.0"
requires-python = ">=3.{minor}"
dependencies = ["acme-wine=={version}"]
"""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)


_LOCKED, _FROZEN, _LAYER, _VERIFY, _DOWNLOAD, _PIP, _UV, _SUPPLY, _BUILD = _blocks("bash")


@pytest.fixture
def model(surroundings: Surroundings, index: Index, tmp_path: Path) -> ModelProject:
    """A model whose wheel is on the index."""
    assert index.folder.is_dir()
    surroundings.environment.update({"UV_PYTHON": sys.executable})
    project = ModelProject.copy("pipelines", tmp_path / "model")
    _release(project, surroundings, "0.1.0")
    return project


def _release(project: ModelProject, surroundings: Surroundings, version: str) -> None:
    text = (project.folder / "pyproject.toml").read_text("utf-8")
    project.write(
        "pyproject.toml",
        re.sub(r'^version = ".+"', f'version = "{version}"', text, flags=re.MULTILINE),
    )
    surroundings.run("uv", "lock", "--quiet", cwd=project.folder)
    out = surroundings.index.folder
    surroundings.run("uv", "build", "--quiet", "--wheel", "--out-dir", out, cwd=project.folder)


def _app(folder: Path, surroundings: Surroundings, version: str = "0.1.0") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text("from acme_wine import predict\n\nprint(predict())\n")
    settings = _APP.format(minor=sys.version_info.minor, version=version)
    (folder / "pyproject.toml").write_text(settings, "utf-8")
    surroundings.run("uv", "lock", "--quiet", cwd=folder)
    return folder


@dataclass
class _Image:
    """The Dockerfile's stages as folders, in which its commands run one after the other."""

    context: Path
    stages: Path
    surroundings: Surroundings
    names: list[str] = field(default_factory=list)

    def build(self) -> Path:
        """Give the folder of the last stage."""
        for line in _blocks("dockerfile")[0].splitlines():
            word, _, rest = line.partition(" ")
            step = getattr(self, f"_{word.lower()}", None)
            if step is not None:
                step(rest)
        return self.stages / self.names[-1]

    def _from(self, rest: str) -> None:
        _, _, name = rest.partition(" AS ")
        self.names.append(name or "image")
        (self.stages / self.names[-1]).mkdir(parents=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        assert target == "./"
        folder = self.context
        if sources[0].startswith("--from="):
            folder = self.stages / sources.pop(0).removeprefix("--from=")
        for each in sources:
            shutil.copy(folder / each.removeprefix("/app/"), self.stages / self.names[-1])

    def _run(self, rest: str) -> None:
        command = re.sub(r"^(--mount=\S+ )+", "", rest)
        # The image has one Python. UV_PYTHON would name an environment to install into as well.
        command = command.replace("uv venv", f'uv venv --python "{sys.executable}"')
        stage = self.stages / self.names[-1]
        self.surroundings.run("bash", "-ec", command, cwd=stage, UV_PYTHON="")


def test_the_image_has_the_model_and_a_new_version_leaves_the_packages_layer_as_it_is(
    model: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    images = []
    for version in ("0.1.0", "0.2.0"):
        if version != "0.1.0":
            _release(model, surroundings, version)
        app = _app(tmp_path / "app", surroundings, version)
        images.append(_Image(app, tmp_path / version, surroundings).build())

    first, second = images
    environment = first / ".venv"
    assert surroundings.run(interpreter_of(environment), "app.py", cwd=first).stdout == "0.5\n\n"
    installed = sorted(path.name for path in site_packages_of(environment).glob("*.dist-info"))
    assert installed == [
        "acme_wine-0.1.0.dist-info",
        "anchor-1.2.dist-info",
        "chain-2.0.dist-info",
    ]
    assert (first / "packages.txt").read_text() == (second / "packages.txt").read_text()
    assert "acme-wine" not in (first / "packages.txt").read_text()
    assert "acme-wine==0.2.0" in (second / "all.txt").read_text()


def test_only_a_frozen_lock_is_installed_without_the_code_of_a_model_project(
    model: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(model.folder / name, folder)

    refused = surroundings.run("bash", "-ec", _LOCKED, cwd=folder, check=False)
    assert refused.returncode != 0
    (quoted,) = _blocks("text")
    assert quoted in refused.stdout

    surroundings.run("bash", "-ec", _FROZEN + "\n", cwd=folder)
    installed = sorted(path.name for path in site_packages_of(folder / ".venv").glob("*.dist-info"))
    assert installed == ["anchor-1.2.dist-info", "chain-2.0.dist-info"]


@pytest.mark.usefixtures("model")
def test_the_layer_has_the_model_and_passes_verify(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    app = _app(tmp_path / "app", surroundings)

    surroundings.run("bash", "-ec", _LAYER.replace("3.12", _PYTHON), cwd=app)
    assert (app / "layer.zip").is_file()
    assert sorted(path.name for path in (app / "layer/python").glob("*.dist-info")) == [
        "acme_wine-0.1.0.dist-info",
        "anchor-1.2.dist-info",
        "chain-2.0.dist-info",
    ]
    said = surroundings.run("bash", "-ec", _VERIFY.replace("3.12", _PYTHON), cwd=app).stdout
    assert said.endswith("acme-wine 0.1.0: nothing differs\n")

    (app / "layer/python/acme_wine/data/weights.txt").write_text("0.7\n")
    said = surroundings.run(
        *("bash", "-ec", _VERIFY.replace("3.12", _PYTHON)), cwd=app, check=False
    ).stdout
    assert "acme_wine/data/weights.txt" in said


@pytest.mark.parametrize("install", [_PIP, _UV])
@pytest.mark.usefixtures("model")
def test_a_folder_of_wheels_is_all_that_an_install_needs(
    install: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    surroundings.run(sys.executable, "-m", *_DOWNLOAD.split(), cwd=tmp_path)
    python = surroundings.make_environment(tmp_path / "environment", "pip")

    tool: list[str | Path] = [python, "-m", *install.split()]
    if install is _UV:
        tool = [*install.split(), "--python", python]
    surroundings.run(*tool, cwd=tmp_path, UV_FIND_LINKS="", PIP_FIND_LINKS="")

    predict = "from acme_wine import predict; print(predict())"
    assert surroundings.run(python, "-c", predict, cwd=tmp_path).stdout == "0.5\n\n"


def test_a_folder_of_wheels_is_all_that_a_build_needs(
    model: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "environment", "pip")
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    surroundings.run("bash", "-ec", _SUPPLY, cwd=model.folder, PATH=path)
    surroundings.environment["UV_FIND_LINKS"] = ""
    surroundings.environment["UV_CACHE_DIR"] = str(tmp_path / "cache")
    surroundings.run(*_BUILD.split(), cwd=model.folder)
    assert sorted(path.name for path in model.folder.glob("dist/acme*")) == [
        "acme_wine-0.1.0-py3-none-any.whl",
        "acme_wine-0.1.0.tar.gz",
    ]

    shutil.rmtree(model.folder / "dist")
    next(model.folder.glob("wheels/anchor-*.whl")).unlink()
    refused = surroundings.run(*_BUILD.split(), cwd=model.folder, check=False)
    assert "anchor" in refused.stdout
    assert not [*model.folder.glob("dist/*.whl")]
