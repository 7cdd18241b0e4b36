"""Run joblib on the nodes of a Ray cluster.

Ray has a backend for joblib, too, but that starts a pool of actors for each call. Here, a batch is a task
of Ray's. The project's modules are the working folder of Ray's runtime environment, which isolates the
tasks of one build from those of others, and removes everything when the build's job has ended.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import weakref
import zipfile
from contextlib import contextmanager, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import joblib

from hatch_model.engines import backend
from hatch_model.engines.backend import (
    LARGE,
    MOST_ATTEMPTS,
    ClusterBackend,
    Failed,
    Job,
    call,
    counted,
    differing,
    name_of,
    other_versions,
    say,
    versions_here,
    within,
)
from hatch_model.errors import EngineError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

_OWN = ("cloudpickle", "joblib", "ray")
"""What both sides exchange objects with, so that its versions matter as well."""
_TICK = 0.5  # seconds between two looks at the cluster
_PREPARING = (
    120.0  # seconds that a node has for its first task, which unpacks the project's modules
)


@contextmanager
def running(options: Mapping[str, Any]) -> Iterator[None]:
    """Have joblib run on the cluster at ``options["address"]``. Raises EngineError."""
    cloudpickle.register_pickle_by_value(backend)
    ray = _connect(options)
    try:
        ray.cloudpickle.register_pickle_by_value(backend)
        nodes = _prepare(ray, options)
        own = _Backend(ray, nodes, options)
        end = threading.Event()
        threading.Thread(target=own.watch, args=(end,), daemon=True).start()
        try:
            with joblib.parallel_config(backend=own, n_jobs=options["n_jobs"]):
                yield
        finally:
            end.set()
            if own.lost:
                raise EngineError(own.lost) from None
    finally:
        ray.shutdown()


def _prepare(ray: ModuleType, options: Mapping[str, Any]) -> _Nodes:
    """Check the nodes, and say what training runs on."""
    nodes, address = _Nodes(ray, options), printable(options["address"])
    try:
        nodes.check()
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 - it may be lost at any moment
        raise EngineError(
            f"{options['key']}.address: the Ray cluster at {address} cannot be used: "
            f"{printable(repr(error))}"
        ) from None
    say(
        f"training on Ray {metadata.version('ray')} at {address}: "
        f"{counted(len(nodes.admitted), 'node')}, {counted(nodes.threads, 'CPU')}"
    )
    say(
        f"warning: {address} is open to everybody on its network, who can run code on the nodes and "
        f"change the model"
    )
    return nodes


def _connect(options: Mapping[str, Any]) -> ModuleType:
    """Connect to the cluster, and return the package ray."""
    address, timeout = options["address"], options["timeout"]
    _knock(options)
    # Read when ray is imported. It ends this process if it loses the cluster for so long.
    seconds = str(max(1, int(options["patience"])))
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", seconds)
    import ray  # noqa: PLC0415 - see above

    folder = Path(options["archive"]).with_suffix("")
    with zipfile.ZipFile(options["archive"]) as archive:
        archive.extractall(folder)
    environment = {
        "working_dir": str(folder),
        "env_vars": {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0")},
    }
    try:
        within(
            timeout + _PREPARING,
            lambda: ray.init(
                address, runtime_env=environment, logging_level="ERROR", log_to_driver=False
            ),
        )
    except Exception as error:  # noqa: BLE001 - Ray's own, and those of sockets
        raise EngineError(
            f"{options['key']}.address: the Ray cluster at {printable(address)} cannot be used: "
            f"{printable(str(error))}"
        ) from None
    package: ModuleType = ray
    return package


def _knock(options: Mapping[str, Any]) -> None:
    """Raise EngineError if nothing answers at the address, where Ray itself would try for minutes."""
    address, timeout = options["address"], options["timeout"]
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:
        raise EngineError(
            f"{options['key']}.address is `{printable(address)}`, but it has to be the host and the port "
            f"of a Ray head, such as `127.0.0.1:6379`."
        )
    try:
        socket.create_connection((host, int(port)), timeout).close()
    except OSError as error:
        raise EngineError(
            f"{options['key']}.address: no Ray head answered at {printable(address)} within "
            f"{timeout:g} s ({error}). Start it, or correct the address."
        ) from None


# The nodes


class _Nodes:
    """The nodes that may get work: those with the versions of this environment."""

    def __init__(self, ray: ModuleType, options: Mapping[str, Any]) -> None:
        self._ray = ray
        self._options = options
        self._expected = {
            **options["versions"],
            **{name: metadata.version(name) for name in _OWN},
        }
        self._refused: set[str] = set()
        self.admitted: dict[str, int] = {}
        """Their processors, by the node's identifier."""

    @property
    def threads(self) -> int:
        return sum(self.admitted.values())

    def check(self) -> None:
        """Admit the nodes of the cluster. Raises EngineError if a version of any of them differs."""
        present = self._present()
        differences = self._differences(present)
        if differences:
            lines = [line for each in differences.values() for line in each]
            raise other_versions("Ray", self._options["address"], lines)
        self.admitted = {name: cpus for name, (_, cpus) in present.items()}

    def refresh(self) -> None:
        """Admit the nodes that have joined, unless their versions differ, and forget those that left."""
        present = self._present()
        new = present.keys() - self.admitted.keys() - self._refused
        differences = self._differences({name: present[name] for name in new})
        for name, lines in differences.items():
            self._refused.add(name)
            say(f"warning: a node that has joined gets no work: {'; '.join(lines)}")
        self.admitted = {
            name: cpus for name, (_, cpus) in present.items() if name not in self._refused
        }

    def _present(self) -> dict[str, tuple[str, int]]:
        """Return the address and the processors of each node that can run tasks, by its identifier."""
        return {
            each["NodeID"]: (each["NodeManagerAddress"], int(each["Resources"]["CPU"]))
            for each in self._ray.nodes()
            if each["Alive"] and each["Resources"].get("CPU")
        }

    def _differences(self, nodes: Mapping[str, tuple[str, int]]) -> dict[str, list[str]]:
        """Return what differs, by the identifier of the node."""
        probe = self._ray.remote(num_cpus=0)(_by_value(versions_here))
        found = {
            name: probe.options(label_selector=_only([name])).remote([*self._expected])
            for name in nodes
        }
        differences = {}
        for name, reference in found.items():
            title = f"node {name[:8]} ({nodes[name][0]})"
            versions = self._ray.get(reference, timeout=_PREPARING)
            differences[name] = differing(title, self._expected, versions)
        return {name: lines for name, lines in differences.items() if lines}


def _only(nodes: Sequence[str]) -> dict[str, str]:
    """Return Ray's selector for *nodes*."""
    return {"ray.io/node-id": f"in({','.join(nodes)})"}


def _by_value(function: Any) -> Any:
    """Return a copy of *function*: it is no attribute of its module, and so is sent as it is."""
    return cloudpickle.loads(cloudpickle.dumps(function))


# joblib's backend


class _Backend(ClusterBackend):
    def __init__(self, ray: ModuleType, nodes: _Nodes, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._ray = ray
        self._nodes = nodes
        self._call = ray.remote(_by_value(call))
        self._data: dict[int, tuple[Any, Any]] = {}

    def threads(self) -> int:
        return self._nodes.threads

    def cancel(self, futures: Sequence[Any]) -> None:
        for future in futures:
            with suppress(Exception):
                self._ray.cancel(future, force=True)

    def stop_call(self) -> None:
        self._data.clear()

    def send(self, job: Job) -> None:
        """Send *job* to the nodes, or let it wait until there are any."""
        job.workers = nodes = frozenset(self._nodes.admitted)
        job.is_held = not nodes
        if job.is_held:
            return
        job.attempts += 1
        try:
            with self.lock:
                batch, data = self.packed(job.batch)
                task = self._call.options(
                    label_selector=_only(sorted(nodes)), name=name_of(job.batch)
                )
                job.future = task.remote(batch, *data)
        except Exception as error:  # noqa: BLE001 - it may not be possible to pickle it
            self.failed(job, error)

    def sent_ahead(self, argument: Any) -> Any:
        """Return the reference of *argument* if it is large, which is stored only once."""
        known = self._data.get(id(argument))
        if known is not None:
            return known[1]
        size = max(sys.getsizeof(argument), getattr(argument, "nbytes", 0))
        if size < LARGE:
            return None
        try:
            reference = weakref.ref(argument, partial(self._forget, id(argument)))
        except TypeError:
            return None  # Lists and other objects without weak references go with each task.
        self._data[id(argument)] = reference, self._ray.put(argument)
        return self._data[id(argument)][1]

    def _forget(self, key: int, _: Any) -> None:
        self._data.pop(key, None)

    def watch(self, end: threading.Event) -> None:
        """Take what is done, and give up a cluster without nodes, until *end*."""
        alone_since, looked_at = None, 0.0
        while not end.is_set():
            self._take()
            now = time.monotonic()
            if now - looked_at < _TICK:
                continue
            looked_at = now
            with suppress(Exception):  # It is lost, which ends the tasks as well.
                self._nodes.refresh()
                self._move_jobs()
            if self._nodes.admitted or not self.jobs:
                alone_since = None
            elif alone_since is None:
                alone_since = now
            elif now - alone_since >= self.options["patience"]:
                self._lose()

    def _take(self) -> None:
        with self.lock:
            by_future = {job.future: job for job in self.jobs.values() if job.future is not None}
        if not by_future:
            time.sleep(0.01)
            return
        done, _ = self._ray.wait(
            [*by_future], num_returns=len(by_future), timeout=0.02, fetch_local=True
        )
        for future in done:
            job = by_future[future]
            try:
                out = self._ray.get(future)
            except self._ray.exceptions.TaskUnschedulableError as error:  # Its nodes are gone.
                job.future, job.is_held = None, job.attempts < MOST_ATTEMPTS
                if job.is_held:
                    continue
                out = Failed(error)
            except Exception as error:  # noqa: BLE001 - such as a worker that was killed too often
                out = Failed(error)
            self.end(job, out)

    def _move_jobs(self) -> None:
        """Send the jobs that are held, and again those whose nodes are all gone."""
        with self.lock:
            jobs = [*self.jobs.values()]
        for job in jobs:
            is_lost = job.future is not None and not job.workers & self._nodes.admitted.keys()
            if (job.is_held or is_lost) and self._nodes.admitted:
                self.send(job)

    def _lose(self) -> None:
        self.fail(
            f"training failed: {self.options['train']} lost the Ray cluster at "
            f"{printable(self.options['address'])}: no node was left for "
            f"{self.options['patience']:g} s. Look at the logs of Ray."
        )
