"""Training on locked versions: the lock's way from the project into the wheel, and back out of it."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from indexes import make_simple_index, served
from packaging.requirements import Requirement
from support import (
    FRONTENDS,
    Index,
    ModelProject,
    OnlineSurroundings,
    Surroundings,
    Wheel,
    interpreter,
    make_wheel,
    tree,
)

from hatch_model.pins import marker_environment

if TYPE_CHECKING:
    from pathlib import Path


HOOK = "tool.hatch.build.hooks.model"
UV_LOCK, PYLOCK, REQUIREMENTS = "uv.lock", "locks/pylock.model.toml", "requirements.lock"
COLORAMA = "colorama; sys_platform == 'win32'"
# What is installed from the index as it stands when the lock is made, on each platform.
PINS = [
    "anchor==1.2",
    "ansi==3.0; sys_platform == 'win32'",
    "chain==2.0",
    "colorama==0.4.6; sys_platform == 'win32'",
]
FORMATS = pytest.mark.parametrize("path", [UV_LOCK, PYLOCK, REQUIREMENTS])
# What differs from format to format is where they are read, so one will do in the daily run.
MOSTLY_LONG = pytest.mark.parametrize(
    "path",
    [
        UV_LOCK,
        pytest.param(PYLOCK, marks=pytest.mark.frontend),
        pytest.param(REQUIREMENTS, marks=pytest.mark.frontend),
    ],
)


@dataclass(frozen=True)
class LockedProject:
    """A model project that is locked with uv, though it may be built without."""

    project: ModelProject
    surroundings: Surroundings
    path: str

    def lock(self, *options: str, groups: tuple[str, ...] = ()) -> None:
        """Write the lock, or bring it up to date."""
        folder = self.project.folder
        self.surroundings.run("uv", "lock", *options, cwd=folder)
        if self.path != UV_LOCK:
            (folder / self.path).parent.mkdir(exist_ok=True)
            layout = "pylock.toml" if self.path == PYLOCK else "requirements.txt"
            self.surroundings.run(
                *("uv", "export", "--quiet", "--frozen", "--format", layout),
                *("--no-emit-project", "--no-default-groups", "--output-file", self.path),
                *(f"--group={group}" for group in groups),
                cwd=folder,
            )
            (folder / "uv.lock").unlink()

    def configure(self, hook: str = "", model: str = "", more: str = "") -> None:
        """Add lines to the two hooks' tables and at the end of pyproject.toml."""
        train = 'train = "small.main:train"'
        self.project.replace(
            "pyproject.toml",
            (train, f'{train}\nlock = "{self.path}"\n{hook}\n{more}'),
            ("[tool.hatch.metadata.hooks.model]", f"[tool.hatch.metadata.hooks.model]\n{model}"),
        )

    def require(self, *requirements: str) -> None:
        """Let the model need *requirements* beside `anchor`."""
        self.project.replace("pyproject.toml", ('["anchor>=1"]', str(["anchor>=1", *requirements])))

    def hide_uv(self) -> None:
        """Let nothing that is run from here on find uv."""
        self.surroundings.environment.update(PATH=str(self.surroundings.temporary), UV="")


def make_locked(
    project: ModelProject,
    surroundings: Surroundings,
    path: str,
    *requirements: str,
    hook: str = "",
    model: str = "",
    more: str = "",
) -> LockedProject:
    # Where the tests are run by uv, it has put itself there; here the frontend has to.
    surroundings.environment["UV"] = ""
    locked = LockedProject(project, surroundings, path)
    locked.require(*requirements)
    locked.configure(hook, model, more)
    return locked


@pytest.fixture
def index(index: Index) -> Index:
    """An index with a package for Windows only, that needs another, beside `anchor` and `chain`."""
    make_wheel(index.folder, "colorama", "0.4.6", requires=["ansi"])
    make_wheel(index.folder, "ansi", "3.0")
    return index


def release_everything_anew(index: Index) -> None:
    make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.1")
    make_wheel(index.folder, "colorama", "0.5", requires=["ansi"])
    make_wheel(index.folder, "ansi", "3.1")


def report_versions(project: ModelProject, *names: str) -> None:
    """Let training write down which versions of *names* it found installed."""
    versions = ' + " " + '.join(f'version("{name}")' for name in names)
    project.replace(
        "src/small/main.py",
        ("from pathlib", "from importlib.metadata import version\nfrom pathlib"),
        ('"0.5\\n"', versions),
    )


@pytest.mark.parametrize(
    ("frontend", "path"),
    [
        pytest.param(
            frontend, path, marks=() if frontend == "uv build --wheel" else pytest.mark.frontend
        )
        for path in [UV_LOCK, PYLOCK, REQUIREMENTS]
        for frontend in FRONTENDS
    ],
)
def test_every_frontend_trains_on_what_is_locked_though_there_are_newer_releases(
    frontend: str, path: str, project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    locked = make_locked(project, surroundings, path, COLORAMA)
    report_versions(project, "anchor", "chain")
    locked.lock()
    release_everything_anew(index)

    wheel = project.build(surroundings, frontend).wheel

    assert wheel.requires == PINS
    assert wheel.read("small/data/weights.txt") == "1.2 2.0"


@pytest.mark.parametrize("variable", ["UV_PROJECT", "UV_WORKING_DIR"])
def test_a_build_exports_its_own_lock_whatever_project_uv_is_told(
    variable: str,
    project: ModelProject,
    surroundings: Surroundings,
    index: Index,
    tmp_path: Path,
) -> None:
    locked = make_locked(project, surroundings, UV_LOCK, COLORAMA)
    locked.lock()
    other = tmp_path / "other"
    shutil.copytree(project.folder, other)
    release_everything_anew(index)
    surroundings.run("uv", "lock", "--upgrade", cwd=other)
    surroundings.environment[variable] = str(other)

    assert project.build(surroundings, "python -m build").wheel.requires == PINS


@MOSTLY_LONG
def test_a_build_repeats_until_the_lock_is_upgraded(
    path: str, project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
) -> None:
    locked = make_locked(project, surroundings, path, COLORAMA)
    locked.lock()
    before = project.build(surroundings, out=tmp_path / "before").wheel
    release_everything_anew(index)
    again = project.build(surroundings, out=tmp_path / "again").wheel
    locked.lock("--upgrade")
    after = project.build(surroundings, out=tmp_path / "after").wheel

    assert before.requires == again.requires == PINS
    assert before.path.read_bytes() == again.path.read_bytes()
    assert after.requires == [
        "anchor==1.3",
        "ansi==3.1; sys_platform == 'win32'",
        "chain==2.1",
        "colorama==0.5; sys_platform == 'win32'",
    ]


def test_a_wheel_resolves_to_what_is_locked_on_every_platform(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    locked = make_locked(project, surroundings, REQUIREMENTS, COLORAMA)
    locked.lock()
    release_everything_anew(index)
    wheel = project.build(surroundings).wheel
    project.write("requirements.in", f"small @ {wheel.path.as_uri()}\n")

    resolved = {
        platform: surroundings.run(
            *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
            *("--python-platform", platform, "requirements.in"),
            cwd=project.folder,
        ).stdout.splitlines()
        for platform in ("windows", "macos", "linux")
    }

    small = f"small @ {wheel.path.as_uri()}"
    assert resolved == {
        "windows": ["anchor==1.2", "ansi==3.0", "chain==2.0", "colorama==0.4.6", small],
        "macos": ["anchor==1.2", "chain==2.0", small],
        "linux": ["anchor==1.2", "chain==2.0", small],
    }


class TestSourceDistributions:
    """The lock goes wherever the sources go."""

    @pytest.mark.parametrize(
        ("path", "files"),
        [
            (UV_LOCK, 'include = ["/src"]'),
            (PYLOCK, 'only-include = ["src"]'),
            (PYLOCK, 'include = ["/src", "/locks"]'),
            (REQUIREMENTS, 'exclude = ["*.lock", "/locks", "*.toml"]'),
            (REQUIREMENTS, "ignore-vcs = true"),
        ],
    )
    def test_the_lock_is_in_it_whatever_else_is(
        self, path: str, files: str, project: ModelProject, surroundings: Surroundings
    ) -> None:
        make_locked(project, surroundings, path, more=f"[tool.hatch.build.targets.sdist]\n{files}")
        project.write(path, "")
        project.write(".gitignore", "*.lock\nlocks/\n")
        out = project.folder.parent / "dist"

        surroundings.run("uv", "build", "--sdist", "--out-dir", out, cwd=project.folder)

        (sdist,) = out.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            names = sorted(name.partition("/")[2] for name in archive.getnames())
        # hatchling puts the first three in by itself.
        own = [".gitignore", "PKG-INFO", "pyproject.toml"]
        assert names == sorted([*own, "src/small/__init__.py", "src/small/main.py", path])

    @pytest.mark.parametrize(
        ("frontend", "path"),
        [
            ("pip wheel", PYLOCK),
            pytest.param("pip wheel", REQUIREMENTS, marks=pytest.mark.frontend),
            pytest.param("python -m build", PYLOCK, marks=pytest.mark.frontend),
            pytest.param("python -m build", REQUIREMENTS, marks=pytest.mark.frontend),
        ],
    )
    def test_another_machine_without_uv_trains_on_the_same_versions(
        self,
        *,
        frontend: str,
        path: str,
        project: ModelProject,
        surroundings: Surroundings,
        index: Index,
        tmp_path: Path,
    ) -> None:
        locked = make_locked(project, surroundings, path, COLORAMA)
        locked.lock()
        sent = tmp_path / "sent"
        surroundings.run("uv", "build", "--sdist", "--out-dir", sent, cwd=project.folder)
        (sdist,) = sent.glob("*.tar.gz")
        shutil.unpack_archive(sdist, tmp_path / "received")
        release_everything_anew(index)
        locked.hide_uv()

        received = ModelProject(tmp_path / "received" / "small-0.1.0")
        wheel = received.build(surroundings, frontend).wheel

        assert wheel.requires == PINS


class TestWhatALockMayHold:
    def test_two_versions_of_one_package_by_python(
        self, project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
    ) -> None:
        make_wheel(index.folder, "forked", "1.9", requires_python="<3.12")
        make_wheel(index.folder, "forked", "2.0", requires_python=">=3.12")
        locked = make_locked(project, surroundings, UV_LOCK, "forked")
        locked.lock()
        make_wheel(index.folder, "forked", "1.9.1", requires_python="<3.12")
        make_wheel(index.folder, "forked", "2.0.1", requires_python=">=3.12")

        for version in ("3.11", "3.12"):
            out = tmp_path / version
            surroundings.run(
                *("uv", "build", "--wheel", "--python", interpreter(version), "--out-dir", out),
                cwd=project.folder,
            )
            (path,) = out.glob("*.whl")
            assert Wheel(path).requires == [
                "anchor==1.2",
                "chain==2.0",
                "forked==1.9; python_full_version < '3.12'",
                "forked==2.0; python_full_version >= '3.12'",
            ]

    def test_a_requirement_that_an_override_replaces(
        self, project: ModelProject, surroundings: Surroundings, index: Index
    ) -> None:
        more = (
            '[tool.uv]\noverride-dependencies = ["anchor==1.2", "forked<1; python_version < \'3\'"]'
        )
        make_wheel(index.folder, "anchor", "1.3", requires=["chain>=2", "forked"])
        make_wheel(index.folder, "anchor", "1.2", requires=["chain>=2", "forked"])
        locked = make_locked(project, surroundings, UV_LOCK, "anchor>=1.3", more=more)
        locked.lock()

        built = project.build(surroundings)

        assert built.wheel.requires == ["anchor==1.2", "chain==2.0"]
        assert (
            "warning: anchor 1.2 requires `forked`, which `tool.uv.override-dependencies` overrides in "
            "the lock."
        ) in built.output

    @MOSTLY_LONG
    def test_extras(
        self, path: str, project: ModelProject, surroundings: Surroundings, index: Index
    ) -> None:
        make_wheel(
            index.folder,
            "server",
            "0.30",
            requires=[
                "colorama; sys_platform == 'win32' and extra == 'standard'",
                "fast>=1; extra == 'standard'",
            ],
            extras=["standard"],
        )
        make_wheel(index.folder, "fast", "1.0")
        locked = make_locked(project, surroundings, path, "server[standard]")
        locked.lock()
        make_wheel(index.folder, "fast", "1.1")
        release_everything_anew(index)

        assert project.build(surroundings).wheel.requires == [*PINS, "fast==1.0", "server==0.30"]

    @pytest.mark.parametrize(
        "path", [UV_LOCK, pytest.param(PYLOCK, marks=pytest.mark.frontend), REQUIREMENTS]
    )
    def test_groups_that_include_others_are_installed_and_never_pinned(
        self, path: str, project: ModelProject, surroundings: Surroundings, index: Index
    ) -> None:
        make_wheel(index.folder, "tool", "3.0", requires=["toolbox", "chain"])
        make_wheel(index.folder, "toolbox", "1.0", requires=["winbox; sys_platform == 'win32'"])
        make_wheel(index.folder, "winbox", "1.0")
        make_wheel(index.folder, "unused", "1.0")
        locked = make_locked(
            project,
            surroundings,
            path,
            hook='dependency-groups = ["fit"]',
            more='[dependency-groups]\ntools = ["tool"]\ndev = ["unused"]\n'
            'fit = [{ include-group = "tools" }]',
        )
        report_versions(project, "tool", "toolbox")
        locked.lock(groups=("fit",))
        make_wheel(index.folder, "tool", "3.1", requires=["toolbox", "chain"])
        make_wheel(index.folder, "toolbox", "1.1")

        wheel = project.build(surroundings).wheel

        assert wheel.requires == ["anchor==1.2", "chain==2.0"]
        assert wheel.read("small/data/weights.txt") == "3.0 1.0"

    def test_local_versions_from_an_index_that_only_one_package_uses(
        self, project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
    ) -> None:
        cpu = Index(tmp_path / "cpu")
        make_wheel(cpu.folder, "torch", "2.5.1+cpu")
        make_wheel(cpu.folder, "anchor", "1.2.1")
        make_wheel(index.folder, "torch", "2.5.1")
        locked = make_locked(
            project,
            surroundings,
            UV_LOCK,
            "torch",
            model='local-versions = "keep"',
            more=f"""
[[tool.uv.index]]
name = "cpu"
url = "{cpu.folder.as_posix()}"
format = "flat"
explicit = true

[tool.uv.sources]
torch = {{ index = "cpu", marker = "sys_platform != 'darwin'" }}
""",
        )
        locked.lock()
        make_wheel(cpu.folder, "torch", "2.6+cpu")

        kept = project.build(surroundings, "uv build").wheel
        project.replace("pyproject.toml", ('"keep"', '"strip"'))
        stripped = project.build(surroundings, "uv build --wheel", out=tmp_path / "stripped").wheel

        assert kept.requires == [
            "anchor==1.2",
            "chain==2.0",
            "torch==2.5.1+cpu; sys_platform != 'darwin'",
            "torch==2.5.1; sys_platform == 'darwin'",
        ]
        assert stripped.requires == ["anchor==1.2", "chain==2.0", "torch==2.5.1"]

    @pytest.mark.parametrize("path", [UV_LOCK, pytest.param(PYLOCK, marks=pytest.mark.frontend)])
    def test_an_archive_at_an_address(
        self, path: str, project: ModelProject, surroundings: Surroundings, tmp_path: Path
    ) -> None:
        archive = make_wheel(tmp_path, "lib", "1.5")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        surroundings.environment["UV_OFFLINE"] = "0"
        with served(tmp_path) as address:
            locked = make_locked(
                project,
                surroundings,
                path,
                "lib",
                model='direct-references = "url"',
                more="[tool.hatch.metadata]\nallow-direct-references = true\n"
                f'[tool.uv.sources]\nlib = {{ url = "{address}/{archive.name}" }}',
            )
            locked.lock()

            assert project.build(surroundings).wheel.requires == [
                "anchor==1.2",
                "chain==2.0",
                f"lib @ {address}/{archive.name}#sha256={digest}",
            ]

    @pytest.mark.parametrize(
        ("kind", "path"),
        [
            ("git", UV_LOCK),
            pytest.param("git", PYLOCK, marks=pytest.mark.frontend),
            pytest.param("folder", UV_LOCK, marks=pytest.mark.frontend),
            pytest.param("folder", PYLOCK, marks=pytest.mark.frontend),
            pytest.param("archive", UV_LOCK, marks=pytest.mark.frontend),
            pytest.param("archive", PYLOCK, marks=pytest.mark.frontend),
        ],
    )
    def test_sources_on_this_machine_under_each_policy(
        self,
        *,
        kind: str,
        path: str,
        project: ModelProject,
        surroundings: Surroundings,
        tmp_path: Path,
    ) -> None:
        origin, source = make_library(kind, tmp_path, surroundings)
        locked = make_locked(
            project,
            surroundings,
            path,
            "lib",
            model='direct-references = "version"',
            more="[tool.hatch.metadata]\nallow-direct-references = true\n"
            f"[tool.uv.sources]\nlib = {{ {source} }}",
        )
        locked.lock()

        pinned = project.build(surroundings, out=tmp_path / "pinned").wheel.requires
        project.replace("pyproject.toml", ('references = "version"', 'references = "error"'))
        refused = refused_by(project, surroundings)
        project.replace("pyproject.toml", ('references = "error"', 'references = "url"'))
        refused_as_local = refused_by(project, surroundings)

        key = "tool.hatch.metadata.hooks.model.direct-references"
        assert pinned == ["anchor==1.2", "chain==2.0", "lib==1.5"]
        assert refused == refused_as_local
        assert refused == (
            f"lib 1.5 was installed from {origin}, as the lock says, an address that is only valid "
            f"on this machine. Install it from an index or a repository, or set {key} to "
            '"version" (pin the version, which an index must then have).'
        )

    def test_hashes_of_an_index_that_the_build_installs_from(
        self, project: ModelProject, surroundings: Surroundings, index: Index
    ) -> None:
        locked = make_locked(project, surroundings, REQUIREMENTS, COLORAMA)
        surroundings.find_links.remove(index.folder)
        with served(make_simple_index(index)) as address:
            surroundings.environment.update(UV_OFFLINE="0", UV_DEFAULT_INDEX=f"{address}/simple")
            locked.lock()

            wheel = project.build(surroundings).wheel

        digests = [
            f"    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in sorted(index.folder.glob("*.whl"))
        ]
        lock = (project.folder / REQUIREMENTS).read_text("utf-8").splitlines()
        assert [line for line in lock if "--hash" in line] == digests
        assert wheel.requires == PINS


def make_library(kind: str, folder: Path, surroundings: Surroundings) -> tuple[str, str]:
    """Make a library called `lib`; give its address in a lock, and its entry in tool.uv.sources."""
    if kind == "archive":
        archive = make_wheel(folder, "lib", "1.5")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        return f"{archive.as_uri()}#sha256={digest}", f'path = "../{archive.name}"'
    library = ModelProject(folder / "library")
    library.write("lib/__init__.py", "")
    # uv leaves a dynamic version out of its lock.
    library.write("version.py", '__version__ = "1.5"\n')
    library.write(
        "pyproject.toml",
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "lib"\ndynamic = ["version"]\n'
        '[tool.hatch.version]\nsource = "code"\npath = "version.py"\n',
    )
    address = library.folder.as_uri()
    if kind == "folder":
        return address, 'path = "../library"'
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for command in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "-m", "One")):
        surroundings.run("git", *command, cwd=library.folder)
    commit = surroundings.run("git", "rev-parse", "HEAD", cwd=library.folder).stdout.strip()
    return f"git+{address}@{commit}", f'git = "{address}"'


def refused_by(project: ModelProject, surroundings: Surroundings, *options: str | Path) -> str:
    """Give the error that `uv build` ends with, having checked that nothing but that is left."""
    before = tree(project.folder)
    out = project.folder.parent / "refused"
    completed = surroundings.run(
        *("uv", "build", "--out-dir", out, *(options or ["--wheel"])),
        cwd=project.folder,
        check=False,
    )
    assert completed.returncode != 0, completed.stdout
    assert tree(project.folder) == before
    assert tree(surroundings.temporary) == {}
    assert {*tree(out)} <= {".gitignore"}
    return error_in(completed.stdout)


def error_in(output: str) -> str:
    """Give what hatch-model says in the *output* of `uv build`, ahead of what uv makes of it."""
    prefix, end = "hatch-model: error: ", "error: Failed to build"
    assert prefix in output and end in output, output
    return output.partition(prefix)[2].partition(end)[0].strip()


def uv_refuses(project: ModelProject, surroundings: Surroundings, *options: str) -> str:
    """Give the message for what uv itself has to say of the lock."""
    said = surroundings.run(
        *("uv", "export", "--quiet", "--frozen", "--format", "pylock.toml", *options),
        cwd=project.folder,
        check=False,
    )
    assert said.returncode != 0, said.stdout
    return (
        f"uv cannot export `uv.lock`. It says:\n{said.stdout.strip()}\nRun `uv lock`, or use the "
        "version of uv that wrote it."
    )


class TestDrift:
    """Lock, requirements and environment that disagree: said in full, and nothing is left behind."""

    def test_a_lock_for_some_environments_leaves_the_others_as_declared(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        here = f"python_version == '{sys.version_info[0]}.{sys.version_info[1]}'"
        environments = f"sys_platform == '{sys.platform}' and {here}"
        more = f'[tool.uv]\nenvironments = ["{environments}"]'
        locked = make_locked(project, surroundings, UV_LOCK, more=more)
        locked.lock()

        built = project.build(surroundings)

        lines = built.wheel.requires
        assert [line.partition(";")[0] for line in lines] == [
            "anchor==1.2",
            "anchor>=1",
            "chain==2.0",
        ]
        assert ["sys_platform" in line for line in lines] == [True, False, True]
        assert "has no version of `anchor>=1` for some platforms or Pythons" in built.output

    @pytest.mark.parametrize(
        ("path", "renewal"),
        [
            (UV_LOCK, "uv lock"),
            pytest.param(
                PYLOCK,
                "uv export --format pylock.toml --no-emit-project --no-default-groups "
                f"--group fit --output-file {PYLOCK}",
                marks=pytest.mark.frontend,
            ),
            (
                REQUIREMENTS,
                (
                    "uv export --format requirements.txt --no-emit-project --no-default-groups "
                    f"--group fit --output-file {REQUIREMENTS}"
                ),
            ),
        ],
    )
    def test_a_lock_that_is_older_than_the_requirements_is_renewed_as_the_message_says(
        self,
        *,
        path: str,
        renewal: str,
        project: ModelProject,
        surroundings: Surroundings,
        index: Index,
    ) -> None:
        make_wheel(index.folder, "tool", "3.0")
        locked = make_locked(
            project,
            surroundings,
            path,
            hook='dependency-groups = ["fit"]',
            more='[dependency-groups]\nfit = ["tool"]',
        )
        locked.lock(groups=("fit",))
        release_everything_anew(index)
        project.replace("pyproject.toml", ("anchor>=1", "anchor>=1.3"))

        assert refused_by(project, surroundings) == (
            f"`{path}` is older than the requirements: tool.hatch.metadata.hooks.model."
            "dependencies[0] asks for `anchor>=1.3`, and the lock holds 1.2. Renew it: "
            f"`{renewal}`."
        )

        surroundings.run(*shlex.split(renewal), cwd=project.folder)
        # uv keeps what is still good of a uv.lock, which the others did not leave.
        chain = "chain==2.0" if path == UV_LOCK else "chain==2.1"
        assert project.build(surroundings).wheel.requires == ["anchor==1.3", chain]

    @FORMATS
    def test_a_group_that_is_newer_than_the_lock(
        self, path: str, project: ModelProject, surroundings: Surroundings
    ) -> None:
        locked = make_locked(project, surroundings, path)
        locked.lock()
        project.replace("pyproject.toml", ('lock = "', 'dependency-groups = ["fit"]\nlock = "'))
        pyproject = (project.folder / "pyproject.toml").read_text("utf-8")
        project.write("pyproject.toml", f'{pyproject}[dependency-groups]\nfit = ["tool"]\n')

        told = refused_by(project, surroundings)

        if path == UV_LOCK:
            assert told == uv_refuses(project, surroundings, "--group=fit")
            assert "`fit`" in told
        else:
            layout = "pylock.toml" if path == PYLOCK else "requirements.txt"
            assert told == (
                f"`{path}` is incomplete: dependency-groups.fit[0] asks for "
                f"`tool`, and the lock does not hold it. Renew it: `uv export --format {layout} "
                f"--no-emit-project --no-default-groups --group fit --output-file {path}`."
            )

    def test_a_requirement_for_another_platform_that_is_newer_than_the_lock(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        locked = make_locked(project, surroundings, UV_LOCK)
        locked.lock()
        project.replace("pyproject.toml", ("['anchor>=1']", f'["anchor>=1", "{COLORAMA}"]'))

        assert refused_by(project, surroundings) == (
            "`uv.lock` is incomplete: tool.hatch.metadata.hooks.model."
            'dependencies[1] asks for `colorama; sys_platform == "win32"`, and the lock does not '
            "hold it. Renew it: `uv lock`."
        )

    def test_a_lock_for_this_platform_alone_leaves_others_as_declared_and_says_so(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        make_locked(project, surroundings, REQUIREMENTS, COLORAMA)
        project.write(REQUIREMENTS, "anchor==1.2\nchain==2.0\n")

        built = project.build(surroundings)

        assert built.wheel.requires == ["anchor==1.2", "chain==2.0", COLORAMA]
        assert built.backend_output == (
            'hatch-model: warning: the lock has no version of `colorama; sys_platform == "win32"` '
            "for some platforms or Pythons, so the wheel also requires what was declared. To pin it, "
            "make the lock for all of them.\n"
            "hatch-model: training with small.main:train\n"
            "hatch-model: metric    value\n"
            "hatch-model: accuracy  0.75\n"
        )

    @pytest.mark.parametrize(
        ("path", "renewal"),
        [
            (UV_LOCK, "uv lock"),
            (
                PYLOCK,
                (
                    "uv export --format pylock.toml --no-emit-project --no-default-groups "
                    f"--output-file {PYLOCK}"
                ),
            ),
        ],
    )
    @pytest.mark.parametrize("option", ["--wheel", "--sdist"])
    def test_a_lock_that_is_not_there(
        self,
        *,
        option: str,
        path: str,
        renewal: str,
        project: ModelProject,
        surroundings: Surroundings,
    ) -> None:
        make_locked(project, surroundings, path)

        assert refused_by(project, surroundings, option) == (
            f"{HOOK}.lock is `{path}`, but there is no such file. Write the lock: `{renewal}`; or "
            f"remove the key."
        )

    @pytest.mark.parametrize(
        "change", [("version = 1\n", "version = 99\n"), ("[[package]]", "[[package")]
    )
    def test_a_uv_lock_that_uv_does_not_understand(
        self, change: tuple[str, str], project: ModelProject, surroundings: Surroundings
    ) -> None:
        locked = make_locked(project, surroundings, UV_LOCK)
        locked.lock()
        project.replace(UV_LOCK, change)

        assert refused_by(project, surroundings) == uv_refuses(project, surroundings)

    @pytest.mark.parametrize(
        ("path", "text", "expected"),
        [
            (
                PYLOCK,
                'lock-version = "2.0"\ncreated-by = "tomorrow"\npackages = []\n',
                (
                    f"`{PYLOCK}` cannot be read as a lock: pylock version 2.0 is not supported. Write "
                    "it again."
                ),
            ),
            (
                PYLOCK,
                "lock-version = \n",
                (
                    f"`{PYLOCK}` cannot be read as a lock: Invalid value (at line 1, column 16). Write "
                    "it again."
                ),
            ),
            (
                REQUIREMENTS,
                "anchor==1.2\n-r other.txt\n",
                (
                    f"`{REQUIREMENTS}`, line 2: `-r other.txt` is not an exact version. A "
                    "requirements file is a lock only if each line reads `name==version`, with or without "
                    "a marker and hashes, and no options, as `uv export --no-emit-project` writes it."
                ),
            ),
            (
                REQUIREMENTS,
                "anchor==1.2\n",
                (
                    f"`{REQUIREMENTS}` is incomplete: anchor 1.2 asks for `chain>=2`, "
                    "and the lock does not hold it. Renew it: `uv export --format requirements.txt "
                    f"--no-emit-project --no-default-groups --output-file {REQUIREMENTS}`."
                ),
            ),
        ],
    )
    def test_a_lock_that_cannot_be_used(
        self,
        *,
        path: str,
        text: str,
        expected: str,
        project: ModelProject,
        surroundings: Surroundings,
    ) -> None:
        make_locked(project, surroundings, path)
        project.write(path, text)

        assert refused_by(project, surroundings) == expected

    def test_uv_that_is_not_to_be_found(
        self, project: ModelProject, surroundings: Surroundings
    ) -> None:
        locked = make_locked(project, surroundings, UV_LOCK)
        locked.lock()
        locked.hide_uv()

        built = project.build(surroundings, "pip wheel", check=False)

        assert built.completed.returncode == 1
        assert (
            "hatch-model: error: uv is required to read `uv.lock`, and is not on PATH. Install uv, "
            "or lock in a format that does not need it: `uv export --format pylock.toml "
            "--no-emit-project --output-file pylock.toml`, and name that file instead.\n"
        ) in built.output
        assert not list(built.out.glob("*.whl"))

    @pytest.mark.frontend
    def test_what_lies_outside_of_the_project_does_not_reach_the_sdist(
        self, project: ModelProject, surroundings: Surroundings, tmp_path: Path
    ) -> None:
        archive = make_wheel(tmp_path, "lib", "1.5")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        locked = make_locked(
            project,
            surroundings,
            UV_LOCK,
            "lib",
            more=f'[tool.uv.sources]\nlib = {{ path = "../{archive.name}" }}',
        )
        locked.lock()

        built = project.build(surroundings, "python -m build", check=False)

        assert not list(built.out.glob("*.whl"))
        assert (
            f"`uv.lock` takes lib from file:///{archive.name}#sha256={digest}, which does not "
            "exist. An sdist does not contain what is outside of the project: build the wheel from the "
            "source tree, as with `python -m build --wheel`, or lock lib from an index or a "
            "repository."
        ) in re.sub(r"file://\S*/", "file:///", built.output)


class TestWithoutIsolation:
    """Nothing is installed: what is there has to be what is locked."""

    def test_an_environment_that_differs_is_refused_until_the_lock_is_installed(
        self, project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
    ) -> None:
        make_locked(project, surroundings, REQUIREMENTS)
        project.write(REQUIREMENTS, "anchor==1.2\nchain==2.0\ntool==3.0\n")
        make_wheel(index.folder, "tool", "3.0")
        release_everything_anew(index)
        python = _environment(surroundings, tmp_path, "anchor")

        assert refused_by(project, surroundings, *_active(python)) == (
            f"the training environment is not what `{REQUIREMENTS}` says:\n"
            "  anchor: locked 1.2, found 1.3\n"
            "  chain: locked 2.0, found 2.1\n"
            "  tool: locked 3.0, found nothing\n"
            "Build with isolation, so that the frontend installs it, or install the lock first."
        )

        surroundings.run(
            *("uv", "pip", "install", "--python", python, "--requirements", REQUIREMENTS),
            cwd=project.folder,
        )
        assert _built_in(python, project, surroundings).requires == ["anchor==1.2", "chain==2.0"]

    def test_an_editable_checkout_is_not_the_release_that_is_locked(
        self, project: ModelProject, surroundings: Surroundings, tmp_path: Path
    ) -> None:
        address, _ = make_library("folder", tmp_path, surroundings)
        make_locked(project, surroundings, REQUIREMENTS, "lib")
        project.write(REQUIREMENTS, "anchor==1.2\nchain==2.0\nlib==1.5\n")
        python = _environment(surroundings, tmp_path, "anchor", "--editable", "library")

        assert refused_by(project, surroundings, *_active(python)) == (
            f"the training environment is not what `{REQUIREMENTS}` says:\n"
            f"  lib: locked 1.5, found 1.5 as editable at {address}\n"
            "Build with isolation, so that the frontend installs it, or install the lock first."
        )

    def test_an_archive_that_was_installed_by_its_path_has_to_be_one_that_is_locked(
        self, project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
    ) -> None:
        downloads = Index(tmp_path / "downloads")
        archive = make_wheel(
            downloads.folder, "anchor", "1.2", requires=["chain>=2"], extras=["tampered"]
        )
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        locked = hashlib.sha256((index.folder / archive.name).read_bytes()).hexdigest()
        make_locked(project, surroundings, REQUIREMENTS)
        lock = f"anchor==1.2 --hash=sha256:{locked}\nchain==2.0\n"
        project.write(REQUIREMENTS, lock)
        python = _environment(surroundings, tmp_path, "chain")
        # Unlike uv, pip writes down the hash of what it installs from a path.
        surroundings.run(
            *(sys.executable, "-m", "pip", "--python", python, "install", archive), cwd=tmp_path
        )

        assert refused_by(project, surroundings, *_active(python)) == (
            f"anchor was installed from an archive with sha256:{found}, which is none of those "
            f"that `{REQUIREMENTS}` allows. Install what is locked."
        )

        project.write(REQUIREMENTS, lock.replace("\n", f" --hash=sha256:{found}\n", 1))
        assert _built_in(python, project, surroundings).requires == ["anchor==1.2", "chain==2.0"]


def _environment(surroundings: Surroundings, folder: Path, *requirements: str) -> Path:
    return surroundings.make_environment(
        folder / "active", "hatchling", "hatch-model", *requirements
    )


def _active(python: Path) -> list[str | Path]:
    return ["--wheel", "--no-build-isolation", "--python", python]


def _built_in(python: Path, project: ModelProject, surroundings: Surroundings) -> Wheel:
    out = project.folder.parent / "built"
    surroundings.run("uv", "build", *_active(python), "--out-dir", out, cwd=project.folder)
    (path,) = out.glob("*.whl")
    return Wheel(path)


ON_SCIKIT_LEARN = """\
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier


def train():
    samples, species = load_iris(return_X_y=True)
    model = DecisionTreeClassifier(random_state=0).fit(samples, species)
    return model, {"accuracy": model.score(samples, species)}
"""


@pytest.fixture
def online_surroundings(shared_folder: Path, build_tools: Path, tmp_path: Path) -> Surroundings:
    """Surroundings with the package index that this machine uses, and this checkout's hatch-model."""
    return OnlineSurroundings(
        index=Index(tmp_path / "index"),
        temporary=tmp_path / "tmp",
        find_links=[build_tools],
        caches=shared_folder / "caches",
        environment={"UV": ""},
    )


def normalized(lines: list[str]) -> list[str]:
    return sorted(str(Requirement(line)) for line in lines)


def on(platform: str, system: str, lines: list[str]) -> list[str]:
    """Give the names and versions in *lines* that are meant for a platform."""
    markers = {**marker_environment(), "sys_platform": platform, "platform_system": system}
    markers |= {"os_name": "nt" if platform == "win32" else "posix"}
    requirements = map(Requirement, lines)
    return [
        f"{each.name}{each.specifier}"
        for each in requirements
        if each.marker is None or each.marker.evaluate(dict(markers))
    ]


@pytest.mark.network
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="scikit-learn 1.6.1 has no wheels for it")
@pytest.mark.parametrize(
    "path",
    [UV_LOCK, *(pytest.param(each, marks=pytest.mark.nightly) for each in (PYLOCK, REQUIREMENTS))],
)
def test_scikit_learn_as_it_is_locked_is_what_trains_and_what_every_platform_gets(
    path: str, online_surroundings: Surroundings, tmp_path: Path
) -> None:
    surroundings = online_surroundings
    project = ModelProject.copy("small", tmp_path / "small")
    project.write("src/small/main.py", ON_SCIKIT_LEARN)
    project.replace(
        "pyproject.toml",
        ('["anchor>=1"]', '["scikit-learn>=1.5", "pandas>=2.2"]'),
        (
            'train = "',
            f'lock = "{path}"\ntrain = "',
        ),
    )
    pyproject = (project.folder / "pyproject.toml").read_text("utf-8")
    constraint = '\n[tool.uv]\nconstraint-dependencies = ["scikit-learn==1.6.1"]\n'
    project.write("pyproject.toml", pyproject + constraint)
    exporting = ("uv", "export", "--quiet", "--frozen", "--no-emit-project", "--no-default-groups")
    surroundings.run("uv", "lock", cwd=project.folder)
    expected = surroundings.run(
        *(*exporting, "--no-hashes", "--no-header", "--no-annotate"), cwd=project.folder
    ).stdout.splitlines()
    locked = LockedProject(project, surroundings, path)
    locked.lock()
    project.write("pyproject.toml", pyproject)  # The newer ones are free to be taken.
    frontends = ["uv build", "python -m build", "pip wheel"]
    if path != UV_LOCK:
        frontends.remove("uv build")
        locked.hide_uv()

    wheels = {
        frontend: project.build(surroundings, frontend, out=tmp_path / str(number)).wheel
        for number, frontend in enumerate(frontends)
    }

    assert "scikit-learn==1.6.1" in expected
    for wheel in wheels.values():
        assert normalized(wheel.requires) == normalized(expected)
    surroundings.environment.pop("PATH", None)
    model = f"small @ {wheels['pip wheel'].path.as_uri()}"
    project.write("requirements.in", f"{model}\n")
    for option, platform, system in (
        ("windows", "win32", "Windows"),
        ("macos", "darwin", "Darwin"),
    ):
        resolved = surroundings.run(
            *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
            *("--python", sys.executable, "--python-platform", option, "requirements.in"),
            cwd=project.folder,
        ).stdout.splitlines()
        assert sorted(resolved) == sorted([*on(platform, system, expected), model])
