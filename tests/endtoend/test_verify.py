"""A model that was really built and installed, held to what it was when it was made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT, copy_checkout, online
from models import run
from support import Index, ModelProject, Surroundings, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

_ARTIFACT = "small/data/weights.txt"
_FINE = "small 0.1.0: nothing differs\n"


_TABLE = """
train = "small.main:train"
arguments = { depth = 3 }
gates = { accuracy = ">= 0.7" }
check = "small.main:check"

[project.scripts]
small = "small.main:predict"
"""
_MAIN = """
from pathlib import Path

def train(output_dir: Path, depth: int) -> dict[str, float]:
    (output_dir / "weights.txt").write_bytes(b"0.5\\n")
    return {"accuracy": 0.75}

def predict() -> str:
    return (Path(__file__).parent / "data" / "weights.txt").read_text()

def check() -> dict[str, float]:
    return {"prediction": float(predict())}
"""


@pytest.fixture(scope="module")
def built(shared_folder: Path, build_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of `small`, with a gate, a check and a script: built once, not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    index = Index(folder / "index")
    make_wheel(index.folder, "anchor", "1.2", requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.0")
    surroundings = Surroundings(
        index=index,
        temporary=folder / "tmp",
        find_links=[build_tools, index.folder],
        caches=shared_folder / "caches",
    )
    project = ModelProject.copy("small", folder / "small")
    project.replace("pyproject.toml", ('\ntrain = "small.main:train"\n', _TABLE))
    project.write("src/small/main.py", _MAIN)
    return project.build(surroundings).wheel.path


@pytest.fixture
def wheel(built: Path, index: Index, tmp_path: Path) -> Path:
    """A wheel of one's own, which what it needs can be found for."""
    assert index.folder.is_dir()
    return Path(shutil.copy(built, tmp_path))


def _install_with_pip(surroundings: Surroundings, python: Path, what: Path | str) -> None:
    # Compiles what it installs, and lists that in RECORD.
    pip = (sys.executable, "-m", "pip", "--python", python)
    surroundings.run(*pip, "install", "--quiet", what, cwd=python.parent)


def _install_with_uv(surroundings: Surroundings, python: Path, what: Path | str) -> None:
    uv = ("uv", "pip", "install", "--python", python, "--compile-bytecode")
    surroundings.run(*uv, "--quiet", what, cwd=python.parent)


_INSTALLERS = {"pip": _install_with_pip, "uv": _install_with_uv}


def _folder(python: Path, surroundings: Surroundings) -> Path:
    """Give where *python* has its packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(surroundings.run(python, "-c", code, cwd=python.parent).stdout.strip())


@pytest.mark.parametrize("install", _INSTALLERS.values(), ids=_INSTALLERS)
def test_an_installed_model_passes_until_a_byte_of_its_artifact_or_a_package_beside_it_is_changed(
    install: Callable[[Surroundings, Path, Path | str], None],
    wheel: Path,
    index: Index,
    surroundings: Surroundings,
    tmp_path: Path,
) -> None:
    python = surroundings.make_environment(tmp_path / "fresh")
    install(surroundings, python, wheel)
    site = _folder(python, surroundings)
    assert not list(site.glob("click*")) + list(site.glob("hatch*"))

    ran = run("verify", "small", "--python", python)
    assert (ran.out, ran.err, ran.code) == ("", _FINE, 0)
    assert run("verify", "small", "--json", "--python", python).json["checked"] is True

    (site / _ARTIFACT).write_bytes(b"0.4\n")
    ran = run("verify", "small", "--python", python)
    assert ran.out == f"{_ARTIFACT}: its content is not what RECORD says\n"
    assert (ran.err, ran.code) == ("small 0.1.0: 1 difference\n", 1)

    (site / _ARTIFACT).write_bytes(b"0.5\n")
    make_wheel(index.folder, "anchor", "1.3")
    # pip says on standard error that this breaks `small`.
    _install_with_uv(surroundings, python, "anchor==1.3")
    ran = run("verify", "small", "--python", python.parent.parent)
    assert ran.out == "anchor: required as `anchor==1.2`, but 1.3 is installed\n"
    assert ran.code == 1


def test_a_wheel_passes_until_a_byte_of_its_artifact_is_changed(wheel: Path) -> None:
    ran = run("verify", wheel)
    assert (ran.out, ran.err, ran.code) == ("", _FINE, 0)

    content = wheel.read_bytes()
    at = content.index(_ARTIFACT.encode()) + len(_ARTIFACT) + 2
    wheel.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    ran = run("verify", wheel)
    assert ran.out.startswith(f"{_ARTIFACT}: cannot be read: ")
    assert (ran.err, ran.code) == ("small 0.1.0: 1 difference\n", 1)


def test_a_check_that_predicts_otherwise_where_it_is_installed_is_a_difference(
    wheel: Path, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "fresh", wheel)
    site = _folder(python, surroundings)
    # The files are what they were, but not what they are imported with.
    (site / "other.py").write_text("import builtins\nbuiltins.float = lambda text: 0.25\n", "utf-8")
    (site / "other.pth").write_text("import other\n", "utf-8")

    ran = run("verify", "small", "--python", python)
    assert ran.out == (
        'small.main:check returned {"prediction": 0.25}, but {"prediction": 0.5} when the model '
        "was made\n"
    )
    assert ran.code == 1


def test_a_model_beside_the_command_line_is_verified_by_its_name(
    wheel: Path, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "fresh", wheel)
    tools = [sysconfig.get_path("purelib"), str(CHECKOUT / "src")]
    (_folder(python, surroundings) / "tools.pth").write_text("\n".join(tools), "utf-8")

    completed = surroundings.run(python, "-m", "hatch_model", "verify", "small", cwd=tmp_path)
    assert completed.stdout == _FINE


def test_what_is_shown_of_a_model_is_the_same_as_a_wheel_and_installed(
    wheel: Path, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "fresh", wheel)

    of_wheel = run("inspect", "--json", wheel).json
    installed = run("inspect", "--json", "small", "--python", python).json
    for key in ("kind", "files"):
        del of_wheel[key], installed[key]
    assert installed == of_wheel
    assert of_wheel["metrics"] == {"accuracy": 0.75}
    assert of_wheel["gates"] == {"accuracy": ">= 0.7"}
    assert of_wheel["arguments"] == {"depth": 3}
    assert of_wheel["check"] == {"entry_point": "small.main:check", "result": {"prediction": 0.5}}
    assert of_wheel["requires"] == ["anchor==1.2", "chain==2.0"]
    assert [file["path"] for file in of_wheel["artifacts"]] == [_ARTIFACT]
    assert run("diff", wheel, "small", "--python", python).out.startswith("nothing differs\n")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is what tells the commit")
def test_an_sdist_tells_the_commit_that_its_wheel_tells(
    project: ModelProject, surroundings: Surroundings
) -> None:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "Begin")):
        surroundings.run("git", *command, cwd=project.folder)
    commit = surroundings.run("git", "rev-parse", "HEAD", cwd=project.folder).stdout.strip()

    built = project.build(surroundings, "uv build")
    expected = {"commit": commit, "dirty": False}
    assert json.loads(run("inspect", "--json", built.sdist).out)["git"] == expected
    assert run("inspect", "--json", built.wheel.path).json["git"] == expected


@pytest.mark.network
def test_the_example_installed_by_pip_passes_until_a_byte_of_its_model_is_changed(
    shared_folder: Path, tmp_path: Path
) -> None:
    environment = online(shared_folder / "caches")
    example = copy_checkout(tmp_path / "checkout") / "example-project"
    python = tmp_path / "fresh" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    for command in (
        ["uv", "build", "--quiet", "--out-dir", str(tmp_path / "dist"), str(example)],
        ["uv", "venv", "--quiet", "--python", sys.executable, str(tmp_path / "fresh")],
    ):
        subprocess.run(command, env=environment, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, str(wheel)], env=environment, check=True)

    assert run("verify", wheel).code == 0
    ran = run("verify", "iris-model", "--python", python)
    assert (ran.out, ran.err, ran.code) == ("", "iris-model 0.1.0: nothing differs\n", 0)

    path = run("inspect", "--json", wheel).json["artifacts"][0]["path"]
    (artifact,) = (tmp_path / "fresh").rglob(path)
    content = artifact.read_bytes()
    artifact.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    ran = run("verify", "iris-model", "--python", python)
    assert ran.out == f"{path}: its content is not what RECORD says\n"
    assert (ran.err, ran.code) == ("iris-model 0.1.0: 1 difference\n", 1)
