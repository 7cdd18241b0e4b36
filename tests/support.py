"""Tools of the tests: made-up wheels, copies of the projects under tests/projects, and frontends."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass, field
from email import message_from_bytes, message_from_string
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checkout import online
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROJECTS = Path(__file__).parent / "projects"
_BACKEND = Path(__file__).parent / "backend.py"


@dataclass(frozen=True)
class Index:
    """A folder of made-up wheels, for `--find-links`."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Iterable[str] = (),
    requires_python: str = "",
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a wheel that holds one empty package of its name, or *files* (content by path)."""
    escaped = re.sub(r"[-_.]+", "_", name)
    headers = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        *([f"Requires-Python: {requires_python}"] if requires_python else []),
        *(f"Requires-Dist: {requirement}" for requirement in requires),
        *(f"Provides-Extra: {extra}" for extra in extras),
    ]
    info = f"{escaped}-{version}.dist-info"
    contents = {
        **({f"{escaped.lower()}/__init__.py": ""} if files is None else files),
        f"{info}/METADATA": "\n".join([*headers, "", "A long description.", ""]),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = [f"{path},{_digest(text)},{len(text.encode())}" for path, text in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    wheel = folder / f"{escaped}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def make_sdist(folder: Path, name: str, version: str) -> Path:
    """Write an sdist that holds its metadata and nothing else."""
    sdist = folder / f"{name}-{version}.tar.gz"
    content = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n".encode()
    entry = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
    entry.size = len(content)
    with tarfile.open(sdist, "w:gz") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return sdist


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Everything outside of the project that a frontend comes across."""

    index: Index
    temporary: Path
    """What the frontend and the build take for the system's temporary folder."""
    find_links: list[Path]
    caches: Path
    environment: dict[str, str] = field(default_factory=dict)
    """Variables beside the usual ones."""

    def __post_init__(self) -> None:
        self.temporary.mkdir()

    @property
    def store(self) -> Path:
        """Where models are stored to be reused."""
        return self.index.folder.parent / "store"

    def variables(self) -> dict[str, str]:
        """Give the environment of a subprocess: offline, and with caches of the test run's own."""
        links = [str(folder) for folder in self.find_links]
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("UV_", "PIP_", "HATCH_", "PYTHON", "VIRTUAL_ENV"))
        }
        return {
            **kept,
            "UV_OFFLINE": "1",  # UV_NO_INDEX does not exist; pip has that
            "UV_FIND_LINKS": ",".join(links),
            "UV_CACHE_DIR": str(self.caches / "uv"),
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": " ".join(links),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CACHE_DIR": str(self.caches / "pip"),
            "HATCH_DATA_DIR": str(self.caches / "hatch"),
            "HATCH_CACHE_DIR": str(self.caches / "hatch-cache"),
            "TMPDIR": str(self.temporary),
            "HATCH_MODEL_CACHE_DIR": str(self.store),
            "NO_COLOR": "1",
            "COLUMNS": "1000",  # uv wraps what a backend has said, too
            **self.environment,
        }

    def run(
        self, *command: str | Path, cwd: Path, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run *command*; with *check*, fail with its output unless it succeeds."""
        completed = subprocess.run(
            list(map(str, command)),
            cwd=cwd,
            env={**self.variables(), **variables},
            check=False,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if check and completed.returncode != 0:
            raise AssertionError(f"{command} failed ({completed.returncode}):\n{completed.stdout}")
        return completed

    @property
    def build_environment(self) -> Path:
        """An environment for :mod:`backend`, which holds hatchling and hatch-model, compiled."""
        folder = self.caches / "build-environment"
        with FileLock(f"{folder}.lock"):
            if not (folder / "complete").exists():
                self.caches.mkdir(exist_ok=True)
                self.make_environment(folder, "--compile-bytecode", "hatchling", "hatch-model")
                (folder / "complete").touch()
        return folder

    def call_backend(
        self, kind: str, out: Path, *, cwd: Path, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Have the backend make a wheel, an sdist or an editable wheel (*kind*) of *cwd* in *out*.

        Done in an environment of its own, as frontends do with isolation. What is in all of these
        is found in one place, where it is compiled already.
        """
        environment = Path(tempfile.mkdtemp(prefix="isolated-", dir=self.temporary.parent))
        self.run("uv", "venv", "--quiet", "--python", sys.executable, environment, cwd=cwd)
        python = interpreter_of(environment)
        base = site_packages_of(self.build_environment)
        (site_packages_of(environment) / "base.pth").write_text(f"{base}\n", "utf-8")
        return self.run(python, _BACKEND, kind, out, cwd=cwd, check=check, **variables)

    def make_environment(
        self, folder: Path, *requirements: str | Path, base: str = sys.executable
    ) -> Path:
        """Make a virtual environment of the interpreter *base* and give its own interpreter."""
        self.run("uv", "venv", "--quiet", "--python", base, folder, cwd=folder.parent)
        python = interpreter_of(folder)
        if requirements:
            self.run(
                *("uv", "pip", "install", "--quiet", "--python", python, *requirements),
                cwd=folder.parent,
            )
        return python


class OnlineSurroundings(Surroundings):
    """The same, where the package index of this machine is there, too."""

    def variables(self) -> dict[str, str]:
        links = list(map(str, self.find_links))
        return {
            **online(self.caches),
            "UV_FIND_LINKS": ",".join(links),
            "PIP_FIND_LINKS": " ".join(links),
            "PIP_CACHE_DIR": str(self.caches / "pip-online"),
            "TMPDIR": str(self.temporary),
            **self.environment,
        }


def interpreter_of(environment: Path) -> Path:
    """Give the interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def site_packages_of(environment: Path) -> Path:
    """Give the folder of a virtual environment that packages are installed to."""
    (folder,) = environment.glob("Lib/site-packages" if os.name == "nt" else "lib/*/site-packages")
    return folder


@cache
def interpreter(version: str) -> str:
    """Find a Python of the minor *version*, such as "3.12", or skip the test that asks for it."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [sys.executable, shutil.which(f"python{version}"), _found_by_uv(version)]
    candidates += map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))
    for candidate in candidates:
        # What is found on PATH may be a shim that only says that it is not that version.
        if candidate and _prints(candidate, "-c", _VERSION) == version:
            return candidate
    pytest.skip(f"no Python {version} on this machine")


_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:2])))"


def _found_by_uv(version: str) -> str:
    return _prints("uv", "python", "find", "--system", "--no-python-downloads", version)


def _prints(*command: str) -> str:
    """Give what *command* prints, empty where it fails."""
    completed = subprocess.run(command, check=False, capture_output=True, text=True)
    return completed.stdout.strip() if completed.returncode == 0 else ""


LFS_POINTER = """\
version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""
FRONTENDS = {
    # The default of `uv build` and `python -m build`: the sdist, and the wheel from that.
    "uv build": ["uv", "build", "--python", sys.executable, "--out-dir", "{out}"],
    "uv build --wheel": [
        *("uv", "build", "--wheel", "--python", sys.executable, "--out-dir", "{out}"),
    ],
    "python -m build": [sys.executable, "-m", "build", "--outdir", "{out}"],
    "pip wheel": [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", "{out}", "."],
    "hatch build": [sys.executable, "-m", "hatch", "build", "{out}"],
}


@dataclass(frozen=True)
class ModelProject:
    """A model project in a folder of its own."""

    folder: Path

    @classmethod
    def copy(cls, name: str, folder: Path) -> ModelProject:
        """Copy the project called *name* under tests/projects to *folder*."""
        shutil.copytree(PROJECTS / name, folder)
        return cls(folder)

    def replace(self, file: str, *changes: tuple[str, str]) -> None:
        """Replace texts that *file*, relative to the project, must contain."""
        path = self.folder / file
        text = path.read_text("utf-8")
        for old, new in changes:
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new)
        path.write_text(text, "utf-8")

    def write(self, file: str, text: str) -> Path:
        """Write *file*, relative to the project."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def build(
        self,
        surroundings: Surroundings,
        frontend: str = "",
        *options: str,
        check: bool = True,
        out: Path | None = None,
    ) -> Built:
        """Build with *frontend*, a key of FRONTENDS, into `dist` beside the project (or *out*).

        Without one, the backend is called directly for a wheel, which is quicker.
        """
        out = out or self.folder.parent / "dist"
        if not frontend:
            completed = surroundings.call_backend("wheel", out, cwd=self.folder, check=check)
            return Built(out, completed)
        command = [part.format(out=out) for part in FRONTENDS[frontend]]
        completed = surroundings.run(*command, *options, cwd=self.folder, check=check)
        return Built(out, completed)


@dataclass(frozen=True)
class Built:
    """What a frontend left, and said."""

    out: Path
    completed: subprocess.CompletedProcess[str]

    @property
    def output(self) -> str:
        return self.completed.stdout

    @property
    def backend_output(self) -> str:
        """What the build backend printed while `uv build` had it make the wheel, other than every time."""
        told = re.split(r"^Building wheel.*\n", self.output, maxsplit=1, flags=re.MULTILINE)[-1]
        told = re.split(r"^(?:error|Successfully built)", told, maxsplit=1, flags=re.MULTILINE)[0]
        return special(told)

    @property
    def wheel(self) -> Wheel:
        (path,) = self.out.glob("*.whl")
        return Wheel(path)

    @property
    def sdist(self) -> Path:
        (path,) = self.out.glob("*.tar.gz")
        return path


@dataclass(frozen=True)
class Wheel:
    path: Path

    @property
    def files(self) -> list[str]:
        """The paths in the archive, dist-info left out, sorted."""
        with zipfile.ZipFile(self.path) as archive:
            return sorted(name for name in archive.namelist() if ".dist-info/" not in name)

    def read(self, path: str) -> str:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(path).decode()

    @property
    def metadata(self) -> str:
        with zipfile.ZipFile(self.path) as archive:
            (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return archive.read(path).decode()

    def headers(self, name: str) -> list[str]:
        """Give the values of a header of METADATA, in their order."""
        return [str(value) for value in message_from_string(self.metadata).get_all(name, [])]

    @property
    def requires(self) -> list[str]:
        """The values of Requires-Dist, in their order."""
        return self.headers("Requires-Dist")


def special(output: str) -> str:
    """Leave out of what a build said the lines that every training has, other than the first."""
    usual = r"^hatch-model: (?:to train, the build|trained in|made) .*\n"
    return re.sub(usual, "", output, flags=re.MULTILINE)


def timeless(output: str) -> str:
    """Leave out of what a build said how long training took, and how many packages and bytes there are."""
    output = re.sub(r"(?<=gets the )\d+(?= packages)", "…", output)
    output = re.sub(r"(?<=^hatch-model: trained in )[^:]+", "…", output, flags=re.MULTILINE)
    return re.sub(r"(?<=, )[\d.]+ (?:bytes|[KM]iB)", "…", output)


def is_running(pid: int) -> bool:
    """Whether the process *pid* runs; a zombie that nobody has waited for yet runs no more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return not status.read_text("utf-8").rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return not status.parent.parent.is_dir()


def pkg_info(sdist: Path) -> dict[str, list[str]]:
    """Give what PKG-INFO says of dependencies."""
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert member is not None
        headers = message_from_bytes(member.read())
    return {name: headers.get_all(name, []) for name in ("Dynamic", "Requires-Dist")}


def unpack(sdist: Path, folder: Path) -> ModelProject:
    """Unpack *sdist* to *folder*, as frontends do."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return ModelProject(folder / sdist.name.removesuffix(".tar.gz"))


def tree(folder: Path) -> dict[str, str]:
    """Give the digest of every file below *folder* by path, and "" for every folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
    }
