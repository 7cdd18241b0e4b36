"""Run the training function on a worker of a cluster, and bring home what it wrote.

The worker runs the same script as the build does, in a
:class:`~hatch_model.engines.workplace.Workplace`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from abc import ABC, abstractmethod
from contextlib import closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_model.digests import Workers
from hatch_model.engines import workplace
from hatch_model.engines.backend import cluster_of, other_versions, say
from hatch_model.engines.workplace import CHUNK, digest_of
from hatch_model.errors import EngineError, printable
from hatch_model.installed import imported_names
from hatch_model.process import how_it_ended

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = (
    "PYTHONHASHSEED",
    "SOURCE_DATE_EPOCH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONIOENCODING",
    "PYTHONUNBUFFERED",
)
"""What training gets of the build's environment variables, besides those of `environment`."""
_AT_ONCE = 3  # pieces of a file that are on their way
_TICK = 0.2  # seconds between two looks at what training has printed


class Place(ABC):
    """A workplace on a worker, which has the worker's resources while training runs.

    Its methods raise EngineError if the worker is lost, and the OSErrors of the worker.
    """

    worker = ""
    """The worker's name, for people."""

    @abstractmethod
    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the workplace, which returns soon."""

    @abstractmethod
    def start(self, method: str, *arguments: Any) -> Any:
        """Start a call of a method that takes its time, and return its future."""

    @abstractmethod
    def has_ended(self, future: Any, seconds: float) -> bool:
        """Wait for a call, not longer than *seconds*, and return whether it has ended."""

    @abstractmethod
    def result(self, future: Any) -> Any:
        """Return what a call that has ended returned, or raise what it raised."""

    def wait_for(self, method: str, *arguments: Any) -> Any:
        """Call a method that takes its time."""
        future = self.start(method, *arguments)
        while not self.has_ended(future, _TICK):
            pass
        return self.result(future)

    def run(self, *arguments: Any) -> None:
        """Run training there, and print here what it prints."""
        future, position = self.start("run", *arguments), 0
        while True:
            has_ended = self.has_ended(future, _TICK)
            while chunk := self.call("read", "log", position):
                position += len(chunk)
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            if has_ended:
                self.result(future)
                return


def no_such_worker(options: Mapping[str, Any], where: str) -> EngineError:
    """Return the error for resources that no worker offers; *where* says how one does."""
    return EngineError(
        f"{options['key']}.resources asks for {_resources(options)}, which no worker of "
        f"{cluster_of(options)} has. Start one with {where}, or "
        f"ask for less."
    )


def none_is_free(options: Mapping[str, Any]) -> EngineError:
    wanted = f" with {_resources(options)}" if options["resources"] else ""
    return EngineError(
        f"{options['key']}.offload: no worker{wanted} of {cluster_of(options)} "
        f"was free within {options['patience']:g} s. Build again later, or "
        f"set {options['key']}.patience to more."
    )


def _resources(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {amount:g}" for name, amount in options["resources"].items())


def lost(options: Mapping[str, Any], worker: str, reason: str) -> EngineError:
    """Return the error for a worker that is of no use any more for some *reason*."""
    return EngineError(
        f"training failed: {options['train']} lost its worker, {worker} of {cluster_of(options)}: "
        f"{reason}. Nothing is tried a second time. Look at "
        f"the worker's output, and build again."
    )


def train(request: Mapping[str, Any], script: Path, place: Place) -> dict[str, Any]:
    """Have the child *script* carry out *request* at *place*.

    Returns the script's result, as if it had run here: with the names of files here. Raises
    EngineError.
    """
    options = request["parallel"]
    try:
        _check_machine(place, options)
        _send(Path(options["archive"]), place)
        told = {
            **request,
            "parallel": None,
            "is_offloaded": True,
            "output_dir": "output",
            "report_dir": "report",
            "root": "source/tree",
        }
        environment = {name: os.environ[name] for name in (*_VARIABLES, *options["environment"])}
        paths = [f"source/{each}" for each in options["python_path"]]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        place.run(script.read_text("utf-8"), told, environment)
        outcome = place.wait_for("outcome")
        if outcome["result"] is None or outcome["returncode"] != 0:
            raise _died(options, place, outcome)
        if outcome["result"]["outcome"] == "returned":
            _bring_home(outcome["files"], place, request)
    except OSError as error:
        raise EngineError(
            f"training of {options['train']} on {place.worker}: {printable(str(error))}"
        ) from None
    return _as_if_here(outcome, options)


def _check_machine(place: Place, options: Mapping[str, Any]) -> None:
    """Check what the wheel's record says of the machine that trained."""
    here, there = workplace.machine(), place.call("machine")
    lines = [
        f"{place.worker}: {name}: here {here[name]}, there {there[name]}"
        for name in here
        if here[name] != there[name]
    ]
    if lines:
        raise other_versions(options, lines)


def _send(archive: Path, place: Place) -> None:
    with archive.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            place.call("append", chunk)
    place.wait_for("unpack", digest_of(archive))


def _died(options: Mapping[str, Any], place: Place, outcome: Mapping[str, Any]) -> EngineError:
    returncode, when = outcome["returncode"], "before" if outcome["result"] is None else "after"
    advice = ""
    if returncode == -9:  # noqa: PLR2004 - SIGKILL
        advice = " SIGKILL often means that the worker ran out of memory."
    return EngineError(
        f"training failed: the process that ran {options['train']} on {place.worker} "
        f"{how_it_ended(returncode)} {when} the function had returned.{advice}"
    )


def _bring_home(files: list[dict[str, Any]], place: Place, request: Mapping[str, Any]) -> None:
    """Write what training wrote there to the same folders here."""
    folders = {"output": request["output_dir"], "report": request["report_dir"]}
    for file in files:
        path = PurePosixPath(file["path"])
        if path.is_absolute() or ".." in path.parts:
            raise EngineError(f"{place.worker} sent a file called `{printable(file['path'])}`")
        target = Path(folders[path.parts[0]], *path.parts[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        if "link" in file:
            target.symlink_to(file["link"])
            continue
        if _fetch(file, target, place) != file["sha256"]:
            raise EngineError(
                f"`{printable(file['path'])}` has changed on its way from {place.worker}. Build "
                f"again."
            )
        if file["is_executable"]:
            target.chmod(0o755)


def _fetch(file: Mapping[str, Any], target: Path, place: Place) -> str:
    """Write *file* of the worker to *target*, and return its SHA-256 as hexadecimal digits."""
    digest = hashlib.sha256()
    with target.open("xb") as stream, closing(Workers(most=_AT_ONCE)) as workers:
        read = partial(place.call, "read", file["path"])
        for chunk in workers.map(read, range(0, file["size"], CHUNK)):
            digest.update(chunk)
            stream.write(chunk)
    return digest.hexdigest()


def _as_if_here(outcome: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the script's result with the names that its files have here."""
    result = {**outcome["result"], "path": [*sys.path]}
    if result["outcome"] != "returned":
        return result
    here = workplace.site()
    folders = {outcome["site"][kind]: here[kind] for kind in here}
    source = os.path.join(outcome["folder"], "source", "")  # noqa: PTH118 - Path drops the separator
    for name, folder in options["folders"].items():
        folders[f"{source}{name}/"] = os.path.join(folder, "")  # noqa: PTH118
    result["imported"] = [_moved(file, folders) for file in result["imported"]]
    result["top_level"] = {
        name: _moved(file, folders) for name, file in result["top_level"].items()
    }
    own = [
        file for file in result["imported"] if file.startswith(tuple(options["folders"].values()))
    ]
    _warn_of_other_packages(outcome, imported_names(own), options)
    result["environment"] = [
        (canonicalize_name(name), version) for name, version in outcome["environment"]
    ]
    return result


def _moved(file: str, folders: Mapping[str, str]) -> str:
    """Return *file* with the innermost of the *folders* that it is in replaced."""
    for there in sorted(folders, key=len, reverse=True):
        if file.startswith(there):
            return folders[there] + file[len(there) :]
    return file


def _warn_of_other_packages(
    outcome: Mapping[str, Any], names: set[str], options: Mapping[str, Any]
) -> None:
    """Warn of what the project's modules import, by *names*, that only the worker has."""
    here = {canonicalize_name(name) for name, _ in workplace.installed(sys.path)}
    found = {
        owner
        for module in names & outcome["result"]["top_level"].keys()
        for owner in outcome["owners"].get(module, ())
        if canonicalize_name(owner) not in here
    }
    for name in sorted(found):
        say(
            f"warning: training imported {name}, which the worker has and the training environment "
            f"has not. Add it to the model's requirements if the model needs it to predict, or "
            f"else to a group in {options['key'].rpartition('.')[0]}.dependency-groups."
        )
