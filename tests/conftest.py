"""What end-to-end tests share: an offline index, model projects, and the frontends to build them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from support import Index, ModelProject, OnlineSurroundings, Surroundings, make_wheel

_PYTHON = ".".join(map(str, sys.version_info[:2]))
_CHECKOUT = Path(__file__).parent.parent
# What every isolated build environment of a model project needs, hatch-model itself aside.
# (tomli by name: pip evaluates markers for the Python that it runs on, whatever --python-version.)
_BUILD_TOOLS = [
    "hatchling",
    "importlib-metadata",
    "joblib",
    "editables",
    "build",
    "pip",
    "setuptools",
    "tomli",
]
_BUILD_TOOLS += ["cyclonedx-python-lib"]  # with `sbom = true`
_BUILD_TOOLS += ["platformdirs"]  # with `inputs`
_BUILD_TOOLS += [
    "click",
    "jinja2",
    "jsonschema",
    "markdown-it-py",
    "nh3",
    "rich",
    "tomlkit",
]  # with the command line


def pytest_configure() -> None:
    """Have SIGINT interrupt, which shells have background jobs ignore, and so all that these start."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it needs, where it does not say so itself."""
    tiers = {"frontend", "network", "large", "browser", "library", "engine"}
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if parameters.get("frontend") or parameters.get("installer") == "pip":
            item.add_marker("frontend")
        elif "endtoend" not in item.path.parts:
            item.add_marker("unit")
        elif not tiers & {mark.name for mark in item.iter_markers()}:
            item.add_marker("build")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole run, the same for all of pytest-xdist's workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def build_tools(shared_folder: Path) -> Path:
    """A folder with wheels of hatch-model and of all that it is built and installed with."""
    folder = shared_folder / "build-tools"
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            _run("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(_CHECKOUT))
            for python in sorted({"3.10", "3.13", _PYTHON}):
                _run(
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)),
                    *("--only-binary", ":all:", "--python-version", python, *_BUILD_TOOLS),
                )
            (folder / "complete").touch()
    return folder


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def surroundings(shared_folder: Path, build_tools: Path, tmp_path: Path) -> Surroundings:
    """Everything outside of the project: an environment for subprocesses and where they find wheels."""
    index = Index(tmp_path / "index")
    return Surroundings(
        index=index,
        temporary=tmp_path / "tmp",
        find_links=[build_tools, index.folder],
        caches=shared_folder / "caches",
    )


@pytest.fixture(scope="session")
def engine_environment(
    shared_folder: Path, build_tools: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An environment with what builds, and the processes of clusters, need."""
    folder = shared_folder / "engine-environment"
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            base = tmp_path_factory.mktemp("engines")
            surroundings = OnlineSurroundings(
                index=Index(base / "index"),
                temporary=base / "tmp",
                find_links=[build_tools],
                caches=shared_folder / "caches",
            )
            packages = ("hatch-model", "scikit-learn", "distributed", "ray")
            surroundings.make_environment(folder, "--compile-bytecode", *packages)
            (folder / "complete").touch()
    return folder


@pytest.fixture
def search(tmp_path: Path) -> ModelProject:
    """A project whose training searches with scikit-learn."""
    return ModelProject.copy("search", tmp_path / "search")


@pytest.fixture
def index(surroundings: Surroundings) -> Index:
    """An index of made-up wheels, empty but for `anchor` 1.2, which needs `chain` 2.0."""
    index = surroundings.index
    make_wheel(index.folder, "anchor", "1.2", requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.0")
    return index


@pytest.fixture
def project(index: Index, tmp_path: Path) -> ModelProject:
    """A copy of the smallest model project: it needs `anchor>=1` and writes one file."""
    assert index.folder.is_dir()
    return ModelProject.copy("small", tmp_path / "small")
