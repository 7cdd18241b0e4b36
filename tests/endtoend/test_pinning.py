"""Pins in finished wheels, over made-up indexes and real installations."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from support import Built, Index, ModelProject, Surroundings, Wheel, make_wheel

from hatch_model.errors import HatchModelError
from hatch_model.installed import InstalledEnvironment
from hatch_model.pins import pin
from hatch_model.settings import PinPolicy
from hatch_model.tables import Root

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


@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.frontend)])
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
        with pytest.raises(HatchModelError) as refused:
            pinned_there(python, name, "error")
        reason = "so others" if name == "from-http" else "an address that is only valid"
        assert str(refused.value).startswith(f"{name} 1.0 was installed {origin}, {reason}")
        assert pinned_there(python, name, "version") == [f"{name}==1.0"]
        if name == "from-http":
            assert pinned_there(python, name, "url") == [
                str(Requirement(f"{name} @ http://{address}/{archive.name}{fragment}"))
            ]
        else:
            with pytest.raises(HatchModelError) as local:
                pinned_there(python, name, "url")
            told = f"{name} 1.0 was installed {origin}, an address that is only valid"
            assert str(local.value).startswith(told)


def pinned_there(python: Path, name: str, direct_references: Any) -> list[str]:
    """Pin the distribution called *name* in the environment of *python*."""
    (site,) = python.parent.parent.glob("**/site-packages")
    root = Root(text=name, origin="dependencies[0]")
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


def test_an_address_with_a_placeholder_for_its_password_is_pinned_as_it_is(
    project: ModelProject, surroundings: Surroundings, workshop: Path
) -> None:
    install(surroundings, workshop, "anchor")
    url = "https://${TOKEN}@h.example/anchor.whl"
    recorded = {"url": url, "archive_info": {}}
    info = site_packages(workshop) / "anchor-1.2.dist-info"
    (info / "direct_url.json").write_text(json.dumps(recorded))
    declare(project, "anchor>=1", direct_references="url")
    allow_direct_references(project)

    assert build_there(project, surroundings, workshop).wheel.requires == [
        str(Requirement(f"anchor @ {url}")),
        "chain==2.0",
    ]


def test_the_version_of_an_editable_package_is_pinned_on_request(
    project: ModelProject, surroundings: Surroundings, workshop: Path, tmp_path: Path
) -> None:
    install(surroundings, workshop, "--editable", write_source(tmp_path / "anchor", "anchor"))
    assert refusal(project, surroundings, workshop).startswith(
        "hatch-model: error: anchor 1.0 was installed as editable at file://"
    )
    declare(project, "anchor>=1", direct_references="version")

    assert build_there(project, surroundings, workshop).wheel.requires == ["anchor==1.0"]


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
        f"asks for `chain>=2`. {ISOLATED} a matching version, or install one first."
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


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("{{ path = '{path}', editable = true }}", "as editable at {uri}"),
        pytest.param("{{ path = '{path}' }}", "from a folder at {uri}", marks=pytest.mark.frontend),
        pytest.param("{{ git = '{uri}' }}", "from git at {uri}", marks=pytest.mark.frontend),
    ],
)
def test_a_source_of_the_projects_own_is_no_index(
    source: str, origin: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    folder = write_source(tmp_path / "anchor", "anchor")
    commit(folder, surroundings)
    uri = folder.as_uri()
    project.replace(
        "pyproject.toml",
        (
            "[build-system]",
            f"[tool.uv.sources]\nanchor = {source.format(path=folder, uri=uri)}\n\n[build-system]",
        ),
    )
    built = project.build(surroundings, "uv build --wheel", check=False)

    assert built.completed.returncode != 0
    (error,) = errors(built.output)
    assert error == (
        f"hatch-model: error: anchor 1.0 was installed {origin.format(uri=uri)}, an address that "
        "is only valid on this machine. Install it from an index or a repository, or set "
        'tool.hatch.metadata.hooks.model.direct-references to "version" (pin the version, which an '
        "index must then have)."
    )


@pytest.mark.parametrize("frontend", WITHOUT_ISOLATION)
def test_nothing_but_the_closure_is_pinned_in_an_environment_full_of_other_tools(
    frontend: str,
    project: ModelProject,
    index: Index,
    surroundings: Surroundings,
    workshop: Path,
) -> None:
    # The package that the model needs asks for the project itself.
    make_wheel(index.folder, "chain", "2.1", requires=["small", "leaf; python_version < '3'"])
    make_wheel(index.folder, "leaf", "1.0")
    make_wheel(index.folder, "unrelated", "1.0", requires=["leaf"])
    install(surroundings, workshop, "editables", "build", "pip", "setuptools", "unrelated")
    install(surroundings, workshop, "--no-build-isolation", "--editable", project.folder)

    built = build_there(project, surroundings, workshop, frontend)

    assert (site_packages(workshop) / "small-0.1.0.dist-info" / "direct_url.json").is_file()
    assert built.wheel.requires == ["anchor==1.2", "chain==2.1"]


HERE = sys.version_info.minor


@dataclass(frozen=True)
class World:
    """An index, what is declared, and how that turns out on a claim of Python 3.9 and later."""

    anchor: list[str]
    """What `anchor` 1.2 requires: `chain` comes in 1.9 and 2.0, and `link` takes both."""
    declared: list[str]
    pins: list[str]
    problem: str = ""
    left: str = ">=3.9"
    chain_python: str = ""
    """What `chain` 2.0 says of Python."""
    uv_refuses: bool = True
    """uv installs in spite of an upper bound, so a warning may be more than it needs."""


WORLDS = {
    "packages that only an older Python needs": World(
        anchor=["chain", f"link; python_version < '3.{HERE}'"],
        declared=["anchor"],
        pins=["anchor==1.2", "chain==2.0"],
    ),
    "packages that every Python needs in another version": World(
        anchor=[f"chain<2; python_version < '3.{HERE}'", f"chain>=2; python_version >= '3.{HERE}'"],
        declared=["anchor"],
        pins=["anchor==1.2", f"chain==2.0; python_version >= '3.{HERE}'"],
    ),
    "a package that an older Python may not have": World(
        anchor=["chain"],
        declared=["anchor"],
        pins=["anchor==1.2", "chain==2.0"],
        problem=f"chain 2.0 needs Python >=3.{HERE}",
        left=f">=3.{HERE}",
        chain_python=f">=3.{HERE}",
    ),
    "a package that a newer Python may not have": World(
        anchor=["chain"],
        declared=["anchor"],
        pins=["anchor==1.2", "chain==2.0"],
        problem=f"chain 2.0 needs Python <3.{HERE + 1}",
        left=f"<3.{HERE + 1},>=3.9",
        chain_python=f"<3.{HERE + 1}",
        uv_refuses=False,
    ),
    "a package that only this Python pins": World(
        anchor=[f"chain; python_version >= '3.{HERE}'"],
        declared=["anchor", "link"],
        pins=["anchor==1.2", f"chain==2.0; python_version >= '3.{HERE}'", "link==1.0"],
        chain_python=f">=3.{HERE}",
    ),
    "a pin that a dependency contradicts on an older Python": World(
        anchor=[f"chain<2; python_version < '3.{HERE}'"],
        declared=["anchor", "chain"],
        pins=["anchor==1.2", "chain==2.0"],
        problem=f'anchor 1.2 needs chain<2; python_version < "3.{HERE}", '
        "but chain is pinned to 2.0",
        left=f">=3.{HERE}",
    ),
    "a pin that an extra contradicts on a newer Python": World(
        anchor=["chain", f"chain<2; python_version > '3.{HERE}' and extra == 'fast'"],
        declared=["anchor[fast]"],
        pins=["anchor[fast]==1.2", "chain==2.0"],
        problem=f'anchor 1.2 needs chain<2; python_version > "3.{HERE}" and extra == "fast", '
        "but chain is pinned to 2.0",
        left=f"<3.{HERE + 1},>=3.9",
    ),
    "a pin that a declared requirement contradicts on an older Python": World(
        anchor=["chain"],
        declared=["anchor", f"chain<2; python_version < '3.{HERE}'"],
        pins=["anchor==1.2", f"chain<2; python_version < '3.{HERE}'", "chain==2.0"],
        problem="chain 2.0 is pinned, but tool.hatch.metadata.hooks.model.dependencies[1] asks for "
        f'`chain<2; python_version < "3.{HERE}"`',
        left=f">=3.{HERE}",
    ),
}


def make_world(world: World, project: ModelProject, index: Index) -> None:
    make_wheel(index.folder, "anchor", "1.2", requires=world.anchor, extras=["fast"])
    make_wheel(index.folder, "chain", "1.9")
    make_wheel(index.folder, "chain", "2.0", requires_python=world.chain_python)
    make_wheel(index.folder, "link", "1.0")
    declare(project, *world.declared)
    project.replace("pyproject.toml", ('requires-python = ">=3.10"', 'requires-python = ">=3.9"'))


def resolves_with_uv(wheel: Wheel, minor: int, surroundings: Surroundings) -> bool:
    requirements = wheel.path.parent / "requirements.in"
    requirements.write_text(f"small @ {wheel.path.as_uri()}\n")
    # Without --python, uv looks for the wanted version everywhere, at length.
    resolved = surroundings.run(
        *("uv", "pip", "compile", "--quiet", "--no-index", "--python", sys.executable),
        *("--python-version", f"3.{minor}", requirements),
        cwd=wheel.path.parent,
        check=False,
    )
    return resolved.returncode == 0


def resolves_with_pip(wheel: Wheel, minor: int, surroundings: Surroundings) -> bool | None:
    """Resolve with pip on a real Python 3.*minor*; None where there is none.

    pip's --python-version is no help: markers are evaluated for the Python that pip runs on.
    """
    found = surroundings.run(
        "uv", "python", "find", "--system", f"3.{minor}", cwd=wheel.path.parent, check=False
    )
    if found.returncode != 0:
        return None
    resolved = surroundings.run(
        *(sys.executable, "-m", "pip", "--python", found.stdout.strip(), "install"),
        *("--dry-run", "--quiet", "--ignore-installed", "--break-system-packages"),
        *("--only-binary=:all:", wheel.path),
        cwd=wheel.path.parent,
        check=False,
    )
    return resolved.returncode == 0


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.frontend)])
def test_a_wheel_resolves_on_every_python_that_it_claims_or_the_build_has_warned(
    installer: str,
    world: World,
    project: ModelProject,
    index: Index,
    surroundings: Surroundings,
) -> None:
    make_world(world, project, index)

    built = project.build(surroundings)

    assert built.wheel.requires == sorted(world.pins)
    assert built.wheel.headers("Requires-Python") == [">=3.9"]
    warning = (
        f'hatch-model: warning: project.requires-python is ">=3.9", but the wheel cannot be '
        f"installed on some of these Pythons:\n"
        f"  {world.problem}\n"
        f'It can be installed on "{world.left}".\n'
    )
    assert (warning in built.output) == bool(world.problem)
    assert ("warning" in built.output) == bool(world.problem)
    resolves = {"uv": resolves_with_uv, "pip": resolves_with_pip}[installer]
    left = SpecifierSet(world.left if installer == "pip" or world.uv_refuses else ">=3.9")
    for minor in (HERE - 1, HERE, HERE + 1):
        resolved = resolves(built.wheel, minor, surroundings)
        assert resolved in {left.contains(f"3.{minor}.99"), None}, f"3.{minor}"


def test_an_extra_that_no_installer_can_install_is_warned_of(
    project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.metadata",
            (
                '[project.optional-dependencies]\nviz = ["anchor<1.1"]\nfine = ["anchor<2"]\n\n'
                "[tool.hatch.metadata"
            ),
        ),
    )

    assert [
        line for line in project.build(surroundings).output.splitlines() if "warning" in line
    ] == [
        (
            "hatch-model: warning: project.optional-dependencies.viz asks for `anchor<1.1`, but "
            "the wheel requires `anchor==1.2`, so that extra cannot be installed. Widen its "
            "requirement, or train the model with a version that it allows."
        )
    ]


@pytest.mark.parametrize("frontend", ["uv build", "uv build --wheel"])
def test_a_dynamic_requires_python_is_narrowed_to_what_the_pins_support(
    frontend: str, project: ModelProject, index: Index, surroundings: Surroundings
) -> None:
    world = WORLDS["a package that an older Python may not have"]
    make_world(world, project, index)
    project.replace(
        "pyproject.toml",
        ('requires-python = ">=3.9"\n', ""),
        ('dynamic = ["dependencies"]', 'dynamic = ["dependencies", "requires-python"]'),
        (
            "\n[tool.hatch.build.hooks.model]",
            'requires-python = ">=3.9"\n\n[tool.hatch.build.hooks.model]',
        ),
    )

    built = project.build(surroundings, frontend)

    assert built.wheel.headers("Requires-Python") == [world.left]
    assert "warning" not in built.output


def test_metadata_is_the_same_to_the_byte_in_every_process(
    project: ModelProject, index: Index, surroundings: Surroundings, tmp_path: Path
) -> None:
    make_everything(index)
    declare(project, *EVERYTHING)
    one = project.build(surroundings).wheel
    declared_backwards = json.dumps(EVERYTHING[::-1])
    project.replace("pyproject.toml", (json.dumps(EVERYTHING), declared_backwards))
    surroundings.environment["PYTHONHASHSEED"] = "7"

    other = project.build(surroundings, out=tmp_path / "again").wheel

    assert other.metadata == one.metadata


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_installer_takes_every_kind_of_pin(
    installer: str,
    project: ModelProject,
    index: Index,
    surroundings: Surroundings,
    tmp_path: Path,
) -> None:
    make_everything(index)
    declare(project, *EVERYTHING)
    wheel = project.build(surroundings).wheel
    python = surroundings.make_environment(tmp_path / "fresh")

    surroundings.run(
        *(part.format(python=python) for part in INSTALLERS[installer]), wheel.path, cwd=tmp_path
    )

    there = {
        each.name: each.raw_version for each in InstalledEnvironment([str(site_packages(python))])
    }
    assert there == {
        "edge": "1.0.post3",
        "leaf": "0.3.dev4",
        "loop": "0.1",
        "ring-one": "1!2.0",
        "ring-two": "1.0rc2",
        "small": "0.1.0",
        "tensors": "2.5.1+cu124",
        "web-server": "1.2",
    }


class TestCopiesOfPinnedModules:
    """What was imported is not what would be pinned, wherever the copy lies."""

    @staticmethod
    def _refused(
        project: ModelProject, surroundings: Surroundings, place: str, **variables: str
    ) -> None:
        project.write(f"{place}/anchor/__init__.py", "")
        project.replace("src/small/main.py", ("from pathlib", "import anchor\nfrom pathlib"))
        surroundings.environment.update(variables)

        built = project.build(surroundings, check=False)

        expected = (
            "hatch-model: error: the wheel would pin anchor 1.2, but training imported `anchor` from "
            f"`{place}/anchor/__init__.py`, which is not that distribution's. Remove or rename that "
            "copy, or take its folder out of tool.hatch.build.hooks.model.python-path or PYTHONPATH."
        )
        assert errors(built.output) == [expected]
        assert not list(built.out.glob("*.whl"))

    def test_in_the_project(self, project: ModelProject, surroundings: Surroundings) -> None:
        packages = '[tool.hatch.build.targets.wheel]\npackages = ["src/small", "src/anchor"]\n\n'
        hook = "[tool.hatch.build.hooks.model]"
        project.replace("pyproject.toml", (hook, packages + hook))
        self._refused(project, surroundings, "src")

    def test_on_python_path(self, project: ModelProject, surroundings: Surroundings) -> None:
        project.replace("pyproject.toml", ("train =", 'python-path = ["vendor", "src"]\ntrain ='))
        self._refused(project, surroundings, "vendor")

    def test_on_pythonpath(self, project: ModelProject, surroundings: Surroundings) -> None:
        folder = str(project.folder / "vendor")
        self._refused(project, surroundings, "vendor", PYTHONPATH=folder)

    def test_on_pythonpath_of_the_settings(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        project.replace(
            "pyproject.toml", ("train =", 'environment = { PYTHONPATH = "vendor" }\ntrain =')
        )
        self._refused(project, surroundings, "vendor")

    def test_by_a_pth_file(
        self, project: ModelProject, surroundings: Surroundings, index: Index
    ) -> None:
        line = f"import sys; sys.path.insert(0, {str(project.folder / 'vendor')!r})\n"
        make_wheel(index.folder, "paths", "1.0", files={"paths.pth": line})
        declare(project, "anchor>=1", "paths")
        self._refused(project, surroundings, "vendor")

    def test_one_that_training_does_not_import_is_none(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        project.write("src/anchor/__init__.py", "")

        assert project.build(surroundings).wheel.requires == ["anchor==1.2", "chain==2.0"]
