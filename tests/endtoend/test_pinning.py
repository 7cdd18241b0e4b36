"""Pins in finished wheels, over made-up indexes and real installations."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import Built, Index, ModelProject, Surroundings, make_wheel

from hatch_model._environment import InstalledEnvironment, PinPolicy, Root, pin
from hatch_model.errors import DirectReferenceError, LocalReferenceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def declare(project: ModelProject, *requirements: str, **options: str) -> None:
    """Have the project's metadata hook ask for *requirements*, with *options* in its table."""
    lines = [
        f"dependencies = {json.dumps(requirements)}",
        *(f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in options.items()),
    ]
    project.replace("pyproject.toml", ('dependencies = ["anchor>=1"]', "\n".join(lines)))


def errors(output: str) -> list[str]:
    """Give what hatch-model said was wrong."""
    return [line for line in output.splitlines() if line.startswith("hatch-model: error: ")]


def make_everything(index: Index) -> None:
    """Make wheels for every kind of name, version and edge."""
    for name, version, requires in (
        ("ring.One", "1!2.0", ["ring_two>=1.0rc1; python_version >= '3.8'"]),
        ("ring-two", "1.0rc2", ["RING-ONE", "edge; sys_platform != 'win32'"]),
        ("edge", "1.0.post3", ["leaf", "absent; sys_platform == 'never'"]),
        ("leaf", "0.3.dev4", []),
        ("tensors", "2.5.1+cu124", ["edge; python_version < '3.99'"]),
        ("loop", "0.1", []),
    ):
        make_wheel(index.folder, name, version, requires=requires)
    make_wheel(
        index.folder,
        "Web_Server",
        "1.2",
        requires=["loop; extra == 'Standard_Things'", "absent; extra == 'other'"],
        extras=["Standard_Things", "other"],
    )


EVERYTHING = (
    "Ring_One>=1!1",
    "ring-two>=1.0rc1",
    "leaf>=0.3.dev0",
    "tensors",
    "web.server[standard.things]",
    "Nowhere[Odd_Extra]>=1.0RC1,<2; sys_platform == 'never'",
)
EVERYTHING_PINNED = [
    "edge==1.0.post3; python_version < '3.99' or sys_platform != 'win32'",
    "leaf==0.3.dev4",
    "loop==0.1",
    "nowhere[odd-extra]<2,>=1.0rc1; sys_platform == 'never'",
    "ring-one==1!2.0",
    "ring-two==1.0rc2",
    "tensors==2.5.1",
    "web-server[standard-things]==1.2",
]


@pytest.mark.parametrize("local_versions", ["strip", "keep"])
def test_a_wheel_is_pinned_to_the_closure_of_its_requirements(
    local_versions: str, project: ModelProject, index: Index, surroundings: Surroundings
) -> None:
    make_everything(index)
    declare(project, *EVERYTHING, local_versions=local_versions)

    wheel = project.build(surroundings).wheel

    tensors = {"strip": "tensors==2.5.1", "keep": "tensors==2.5.1+cu124"}[local_versions]
    assert wheel.requires == [
        tensors if line.startswith("tensors") else line for line in EVERYTHING_PINNED
    ]


def write_source(folder: Path, name: str) -> Path:
    """Write a project without a model, version 1.0."""
    module = folder / name.replace("-", "_") / "__init__.py"
    module.parent.mkdir(parents=True)
    module.touch()
    (folder / "pyproject.toml").write_text(
        "[build-system]\n"
        'requires = ["hatchling"]\n'
        'build-backend = "hatchling.build"\n'
        "[project]\n"
        f'name = "{name}"\n'
        'version = "1.0"\n'
    )
    return folder


def commit(folder: Path, surroundings: Surroundings) -> str:
    """Make a repository of *folder* and give the commit."""
    git = ("git", "-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "All")):
        surroundings.run(*git, *command, cwd=folder)
    return surroundings.run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder over HTTP, and give it with its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        threading.Thread(target=http_server.serve_forever).start()
        yield folder, f"127.0.0.1:{http_server.server_port}"
        http_server.shutdown()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


INSTALLERS = {
    "uv": ["uv", "pip", "install", "--quiet", "--no-index", "--python", "{python}"],
    "pip": [sys.executable, "-m", "pip", "--python", "{python}", "install", "--quiet"],
}


@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.long)])
def test_what_installers_record_of_origins_is_understood(
    installer: str, surroundings: Surroundings, server: tuple[Path, str], tmp_path: Path
) -> None:
    served, address = server
    archive = make_wheel(served, "from-http", "1.0")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    file = make_wheel(tmp_path, "from-file", "1.0")
    folder = write_source(tmp_path / "folder", "from-folder")
    editable = write_source(tmp_path / "editable", "from-editable")
    repository = write_source(tmp_path / "repository", "from-git")
    commit(repository, surroundings)
    python = surroundings.make_environment(tmp_path / "venv")
    surroundings.run(
        *(part.format(python=python) for part in INSTALLERS[installer]),
        f"from-http @ http://me:secret@{address}/{archive.name}#sha256={digest}",
        f"from-file @ {file.as_uri()}",
        f"from-folder @ {folder.as_uri()}",
        f"from-git @ git+{repository.as_uri()}",
        *("--editable", editable),
        cwd=tmp_path,
        UV_OFFLINE="0",
    )

    # uv does not record an archive's hash.
    fragment = f"#sha256={digest}" if installer == "pip" else ""
    origins = {
        "from-http": f"from the archive http://{address}/{archive.name}",
        "from-file": f"from the archive {file.as_uri()}",
        "from-folder": f"from a folder at {folder.as_uri()}",
        "from-git": f"from git at {repository.as_uri()}",
        "from-editable": f"as editable at {editable.as_uri()}",
    }
    for name, origin in origins.items():
        with pytest.raises(DirectReferenceError) as refused:
            pinned_there(python, name, "error")
        assert refused.value.origin == origin
        assert pinned_there(python, name, "version") == [f"{name}==1.0"]
        if name == "from-http":
            assert pinned_there(python, name, "url") == [
                str(Requirement(f"{name} @ http://{address}/{archive.name}{fragment}"))
            ]
        else:
            with pytest.raises(LocalReferenceError) as local:
                pinned_there(python, name, "url")
            assert local.value.origin == origin


def pinned_there(python: Path, name: str, direct_references: Any) -> list[str]:
    """Pin the distribution called *name* in the environment of *python*."""
    (site,) = python.parent.parent.glob("**/site-packages")
    root = Root(requirement=Requirement(name), origin="dependencies[0]")
    policy = PinPolicy(direct_references=direct_references)
    environment = InstalledEnvironment([str(site)])
    return list(pin((root,), environment, policy, project=canonicalize_name("model")).lines)


@pytest.fixture
def workshop(surroundings: Surroundings, index: Index, tmp_path: Path) -> Path:
    """Make an environment to build in without isolation, and give its interpreter."""
    assert index.folder.is_dir()
    return surroundings.make_environment(tmp_path / "workshop", "hatchling", "hatch-model")


def install(surroundings: Surroundings, python: Path, *what: str | Path) -> None:
    surroundings.run(
        *("uv", "pip", "install", "--quiet", "--no-index", "--python", python, *what),
        cwd=python.parent,
        UV_OFFLINE="0",  # which means this machine's server, too
    )


def allow_direct_references(project: ModelProject) -> None:
    hooks, allowed = "[tool.hatch.build.hooks.model]", "allow-direct-references = true"
    project.replace("pyproject.toml", (hooks, f"[tool.hatch.metadata]\n{allowed}\n\n{hooks}"))


WITHOUT_ISOLATION = {
    "uv build": [
        *("uv", "build", "--wheel", "--no-build-isolation"),
        *("--python", "{python}", "--out-dir", "{out}"),
    ],
    "python -m build": [
        *("{python}", "-m", "build", "--wheel", "--no-isolation", "--outdir", "{out}"),
    ],
    "pip wheel": [
        *("{python}", "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"),
        *("-w", "{out}", "."),
    ],
}


def build_there(
    project: ModelProject,
    surroundings: Surroundings,
    python: Path,
    frontend: str = "uv build",
    *,
    check: bool = True,
) -> Built:
    """Build a wheel in the environment of *python*, as it is."""
    out = project.folder.parent / "dist"
    command = [part.format(python=python, out=out) for part in WITHOUT_ISOLATION[frontend]]
    return Built(out, surroundings.run(*command, cwd=project.folder, check=check))


def refusal(project: ModelProject, surroundings: Surroundings, python: Path) -> str:
    """Build, and give the error in which that ends."""
    built = build_there(project, surroundings, python, check=False)
    assert built.completed.returncode != 0
    assert not list(built.out.glob("*.whl"))
    assert "Traceback" not in built.output
    (error,) = errors(built.output)
    return error


def site_packages(python: Path) -> Path:
    (site,) = python.parent.parent.glob("**/site-packages")
    return site


ISOLATED = "Build with isolation, so that the frontend installs"


def test_an_extra_that_does_not_exist_ends_the_build(
    project: ModelProject, surroundings: Surroundings
) -> None:
    declare(project, "anchor[fast]>=1")

    built = project.build(surroundings, check=False)

    assert built.completed.returncode != 0
    (error,) = errors(built.output)
    assert error == (
        "hatch-model: error: tool.hatch.metadata.hooks.model.dependencies[0] asks for "
        "`anchor[fast]>=1`, but anchor 1.2 has no extra `fast`; it has no extras at all."
    )


def test_a_requirement_that_is_not_installed_ends_the_build(
    project: ModelProject, surroundings: Surroundings, workshop: Path
) -> None:
    assert refusal(project, surroundings, workshop) == (
        "hatch-model: error: anchor is not installed in the training environment, but "
        "tool.hatch.metadata.hooks.model.dependencies[0] asks for `anchor>=1`. "
        f"{ISOLATED} it, or install it first."
    )


def test_a_distribution_whose_own_requirement_is_not_installed_ends_the_build(
    project: ModelProject, surroundings: Surroundings, workshop: Path
) -> None:
    install(surroundings, workshop, "--no-deps", "anchor")

    assert refusal(project, surroundings, workshop) == (
        "hatch-model: error: chain is not installed in the training environment, but anchor 1.2 "
        f"asks for `chain>=2`. {ISOLATED} it, or install it first."
    )


def test_a_version_outside_of_its_range_ends_the_build(
    project: ModelProject, index: Index, surroundings: Surroundings, workshop: Path
) -> None:
    make_wheel(index.folder, "chain", "1.9")
    install(surroundings, workshop, "--no-deps", "anchor", "chain<2")

    assert refusal(project, surroundings, workshop) == (
        "hatch-model: error: chain 1.9 is installed in the training environment, but anchor 1.2 "
        f"asks for `chain>=2`. {ISOLATED} what fits, or install it first."
    )


@pytest.mark.parametrize("broken", ["Version: 2.0-final-x", "Requires-Dist: leaf (>=1"])
def test_broken_metadata_of_an_installed_package_ends_the_build(
    broken: str, project: ModelProject, surroundings: Surroundings, workshop: Path
) -> None:
    install(surroundings, workshop, "anchor")
    metadata = site_packages(workshop) / "chain-2.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Name: chain\n", f"Name: chain\n{broken}\n"))

    assert refusal(project, surroundings, workshop) == (
        f"hatch-model: error: the installed chain says `{broken}`, which is not valid. Install "
        "another release of it, or tell its maintainers."
    )


def test_leftovers_are_not_pinned_and_an_egg_info_is(
    project: ModelProject, surroundings: Surroundings, workshop: Path
) -> None:
    install(surroundings, workshop, "--no-deps", "anchor")
    site = site_packages(workshop)
    (site / "chain-1.0.dist-info").mkdir()
    (site / "chain-1.0.dist-info" / "RECORD").touch()
    egg_info = site / "chain-2.1.egg-info"
    egg_info.mkdir()
    (egg_info / "PKG-INFO").write_text("Metadata-Version: 1.1\nName: Chain\nVersion: 2.1\n")
    (site / "~roken-1.0.dist-info").mkdir()

    assert build_there(project, surroundings, workshop).wheel.requires == [
        "anchor==1.2",
        "chain==2.1",
    ]


def test_an_address_is_pinned_without_its_password(
    project: ModelProject,
    surroundings: Surroundings,
    workshop: Path,
    server: tuple[Path, str],
    tmp_path: Path,
) -> None:
    served, address = server
    archive = make_wheel(served, "anchor", "1.5", requires=["chain"])
    url = f"{address}/{archive.name}"
    install(surroundings, workshop, f"anchor @ http://me:secret@{url}")
    declare(project, "anchor>=1", direct_references="url")
    allow_direct_references(project)

    built = build_there(project, surroundings, workshop)

    assert built.wheel.requires == [str(Requirement(f"anchor @ http://{url}")), "chain==2.0"]
    assert "secret" not in built.wheel.metadata + built.output
    # An installer gets the very same archive.
    fresh = surroundings.make_environment(tmp_path / "fresh")
    install(surroundings, fresh, built.wheel.path)
    assert (site_packages(fresh) / "anchor-1.5.dist-info").is_dir()
