"""A folder on a worker in which a training function runs, in a process of its own.

It is sent there by value, as hatch-model is not installed there, so it uses nothing else of
hatch-model.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK = 8 << 20
"""Bytes of a file that travel at a time."""

# Removes the folder, and ends what training left, as soon as the process that started it is gone or
# closes the pipe. As a grandchild, it outlives engines that end all children of a worker.
_JANITOR = """
import os, shutil, sys
if os.fork():
    os._exit(0)
sys.stdin.buffer.read()
try:
    with open(os.path.join(sys.argv[1], "group")) as file:
        os.killpg(int(file.read()), 9)
except (OSError, ValueError):
    pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class Workplace:
    """The folder: the project in `source`, what training writes in `output` and `report`."""

    def __init__(self, parent: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hatch-model-", dir=parent)).resolve()
        self._janitor = subprocess.Popen(
            [sys.executable, "-c", _JANITOR, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._janitor.wait()  # of the two, the one that remains is nobody's child
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def machine() -> dict[str, str]:
        """Return what :func:`machine` does, of the worker."""
        return machine()

    @staticmethod
    def node() -> str:
        """Return the identifier of the node of Ray that this is on."""
        import ray  # noqa: PLC0415 - only there

        return str(ray.get_runtime_context().get_node_id())

    def append(self, content: bytes) -> None:
        """Add *content* to the archive with the project's files."""
        with (self.folder / "source.zip").open("ab") as stream:
            stream.write(content)

    def unpack(self, sha256: str) -> None:
        """Unpack the archive, which must have this digest."""
        archive = self.folder / "source.zip"
        if digest_of(archive) != sha256:
            raise OSError(f"{archive} has arrived damaged")
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(self.folder / "source")
        archive.unlink()

    def run(self, script: str, request: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Have the child *script* carry out *request*; what it prints goes to the file `log`.

        *request* and the PYTHONPATH in *environment* name paths relative to the folder.
        """
        folder = self.folder
        (folder / "call.py").write_text(script, "utf-8")
        own = {name: str(folder / request[name]) for name in ("output_dir", "report_dir")}
        for path in own.values():
            Path(path).mkdir()
        told = {**request, **own, "scratch": str(folder), "artifacts_dir": str(folder / "none")}
        (folder / "request.json").write_text(json.dumps(told), "utf-8")
        paths = environment["PYTHONPATH"].split(os.pathsep)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(folder / "call.py"), str(folder)],
                cwd=folder / request["root"],
                env={
                    **os.environ,
                    **environment,
                    "PYTHONPATH": os.pathsep.join(str(folder / each) for each in paths),
                },
                stdin=subprocess.PIPE,  # its end tells the script that this process is gone
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (folder / "group").write_text(str(self._process.pid), "utf-8")
        self._process.wait()
        self._end()

    def outcome(self) -> dict[str, Any]:
        """Return the exit code, the script's result or None, the files, and the place."""
        assert self._process is not None  # noqa: S101 - run() comes first
        file = self.folder / "result.json"
        result = json.loads(file.read_text("utf-8")) if file.is_file() else None
        return {
            "returncode": self._process.returncode,
            "result": result,
            "files": [
                _described(self.folder, path)
                for kind in ("output", "report")
                for path in sorted((self.folder / kind).rglob("*"))
                if path.is_symlink() or path.is_file()
            ],
            "folder": str(self.folder),
            "site": site(),
            # An engine may add folders of its own to the path of this process.
            "environment": installed(result["path"]) if result else [],
            "owners": metadata.packages_distributions(),
        }

    def read(self, path: str, start: int) -> bytes:
        """Return a chunk of a file in the folder: shorter at the end, empty without the file."""
        if not (self.folder / path).exists():
            return b""
        with (self.folder / path).open("rb") as stream:
            stream.seek(start)
            return stream.read(CHUNK)

    def close(self) -> None:
        """End training and remove the folder."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert self._janitor.stdin is not None  # noqa: S101 - for the type checker
        self._janitor.stdin.close()

    def _end(self) -> None:
        """End the process and those that it started."""
        process = self._process
        if process is None:
            return
        with suppress(OSError):  # there are none
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None  # noqa: S101 - for the type checker
        process.stdin.close()
        (self.folder / "group").unlink(missing_ok=True)


def _described(folder: Path, path: Path) -> dict[str, Any]:
    described: dict[str, Any] = {"path": path.relative_to(folder).as_posix()}
    if path.is_symlink():
        return {**described, "link": str(path.readlink())}
    status = path.stat()
    return {
        **described,
        "size": status.st_size,
        "sha256": digest_of(path),
        "is_executable": bool(status.st_mode & stat.S_IXUSR),
    }


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(1 << 18))
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def site() -> dict[str, str]:
    """Return the folders that Python imports installed packages and its own modules from."""
    paths = sysconfig.get_paths()
    return {kind: os.path.join(paths[kind], "") for kind in ("purelib", "platlib", "stdlib")}  # noqa: PTH118


def installed(path: list[str]) -> list[list[str]]:
    """Return the name and the version of each distribution in the folders of *path*."""
    distributions = metadata.distributions(path=path)
    found = {str(each.metadata["Name"]): each.version for each in reversed([*distributions])}
    return [[name, version] for name, version in sorted(found.items())]


def machine() -> dict[str, str]:
    """Return what is in the wheel's record, and so must be the same where the wheel is built."""
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
    }
