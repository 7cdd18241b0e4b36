"""Run joblib on the nodes of a Ray cluster.

Ray has a backend for joblib, too, but that starts a pool of actors for each call. Here, a batch is
a task of Ray's. The project's modules are the working folder of Ray's runtime environment, which
isolates the tasks of one build from those of others, and removes everything when the build's job
has ended.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import zipfile
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import joblib

from hatch_model.engines import backend, workplace
from hatch_model.engines.backend import (
    MOST_ATTEMPTS,
    ClusterBackend,
    Failed,
    Job,
    Members,
    by_value,
    call,
    cluster_of,
    counted,
    differing,
    name_of,
    say,
    unusable,
    versions_here,
    within,
)
from hatch_model.engines.offload import Place, lost, no_such_worker, none_is_free
from hatch_model.engines.workplace import Workplace
from hatch_model.errors import EngineError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

_TICK = 0.5  # seconds between two looks at the cluster
_CLOSING = 5.0
_PREPARING = (
    120.0  # seconds that a node has for its first task, which unpacks the project's modules
)


@contextmanager
def running(options: Mapping[str, Any]) -> Iterator[None]:
    """Have joblib run on the cluster at ``options["address"]``. Raises EngineError."""
    cloudpickle.register_pickle_by_value(backend)
    folder = Path(options["archive"]).with_suffix("")
    with zipfile.ZipFile(options["archive"]) as archive:
        archive.extractall(folder)
    ray = _connect(options, working_dir=str(folder))
    try:
        ray.cloudpickle.register_pickle_by_value(backend)
        nodes = _prepare(ray, options)
        own = _Backend(ray, nodes)
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


@contextmanager
def placed(options: Mapping[str, Any]) -> Iterator[Place]:
    """Make a workplace on a node of the cluster. Raises EngineError."""
    cloudpickle.register_pickle_by_value(backend)
    ray = _connect(options)
    try:
        for module in (backend, workplace):
            ray.cloudpickle.register_pickle_by_value(module)
        place = _Place(ray, _prepare(ray, options))
        try:
            yield place
        finally:
            place.close()
    finally:
        ray.shutdown()


def _prepare(ray: ModuleType, options: Mapping[str, Any]) -> _Nodes:
    """Check the nodes, and say what training runs on."""
    nodes, address = _Nodes(ray, options), printable(options["address"])
    with unusable(options):
        nodes.check()
    say(
        f"training on Ray {metadata.version('ray')} at {address}: "
        f"{counted(len(nodes.admitted), 'node')}, {counted(nodes.threads, 'CPU')}"
    )
    say(
        f"warning: {address} is open to everybody on its network, who can run code on the nodes "
        f"and change the model"
    )
    return nodes


def _connect(options: Mapping[str, Any], **environment: str) -> ModuleType:
    """Connect to the cluster, with Ray's runtime *environment*, and return the package ray."""
    address, timeout = options["address"], options["timeout"]
    _knock(options)
    # Read when ray is imported. It ends this process if it loses the cluster for so long.
    seconds = str(max(1, int(options["patience"])))
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", seconds)
    import ray  # noqa: PLC0415 - see above

    told = {
        **environment,
        "env_vars": {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0")},
    }
    with unusable(options):
        within(
            timeout + _PREPARING,
            lambda: ray.init(address, runtime_env=told, logging_level="ERROR", log_to_driver=False),
        )
    package: ModuleType = ray
    return package


def _knock(options: Mapping[str, Any]) -> None:
    """Raise EngineError if nothing answers at the address: Ray itself would try for minutes."""
    address, timeout = options["address"], options["timeout"]
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:
        raise EngineError(
            f"{options['key']}.address is `{printable(address)}`, but it has to be the host and "
            f"the port of a Ray head, such as `127.0.0.1:6379`."
        )
    try:
        socket.create_connection((host, int(port)), timeout).close()
    except OSError as error:
        raise EngineError(
            f"{options['key']}.address: no Ray head answered at {printable(address)} within "
            f"{timeout:g} s ({error}). Start it, or correct the address."
        ) from None


# The nodes


class _Nodes(Members):
    noun = "node"
    own = ("cloudpickle", "joblib", "ray")

    def __init__(self, ray: ModuleType, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._ray = ray

    def present(self) -> dict[str, int]:
        return {
            each["NodeID"]: int(each["Resources"]["CPU"])
            for each in self._ray.nodes()
            if each["Alive"] and each["Resources"].get("CPU")
        }

    def differences(self, members: Sequence[str]) -> dict[str, list[str]]:
        probe = self._ray.remote(num_cpus=0)(by_value(versions_here))
        addresses = {each["NodeID"]: each["NodeManagerAddress"] for each in self._ray.nodes()}
        found = {
            node: probe.options(label_selector=_only([node])).remote([*self.expected])
            for node in members
        }
        differences = {}
        for node, reference in found.items():
            title = f"node {node[:8]} ({addresses.get(node)})"
            versions = self._ray.get(reference, timeout=_PREPARING)
            differences[node] = differing(title, self.expected, versions)
        return differences


def _only(nodes: Sequence[str]) -> dict[str, str]:
    """Return Ray's selector for *nodes*."""
    return {"ray.io/node-id": f"in({','.join(nodes)})"}


# joblib's backend


class _Backend(ClusterBackend):
    def __init__(self, ray: ModuleType, nodes: _Nodes) -> None:
        super().__init__(nodes)
        self._ray = ray
        self._call = ray.remote(by_value(call))

    def start(self, job: Job, batch: bytes, data: Sequence[Any], workers: Sequence[str]) -> Any:
        task = self._call.options(label_selector=_only(workers), name=name_of(job.batch))
        return task.remote(batch, *data)

    def put(self, argument: Any) -> Any:
        return self._ray.put(argument)

    def cancel(self, futures: Sequence[Any]) -> None:
        for future in futures:
            with suppress(Exception):
                self._ray.cancel(future, force=True)

    def watch(self, end: threading.Event) -> None:
        """Take what is done, and give up a cluster without nodes, until *end*."""
        alone_since, looked_at = None, 0.0
        while not end.is_set():
            self._take()
            now = time.monotonic()
            if now - looked_at < _TICK:
                continue
            looked_at = now
            self.tell()
            with suppress(Exception):  # It is lost, which ends the tasks as well.
                self.members.refresh()
                self._move_jobs()
            if self.members.admitted or not self.jobs:
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
            is_lost = job.future is not None and not job.workers & self.members.admitted.keys()
            if (job.is_held or is_lost) and self.members.admitted:
                self.send(job)

    def _lose(self) -> None:
        self.fail(
            f"training failed: {self.options['train']} lost {cluster_of(self.options)}: no node "
            f"was left for {self.options['patience']:g} s. Look at the logs of Ray."
        )


# Training on a node


class _Place(Place):
    def __init__(self, ray: ModuleType, nodes: _Nodes) -> None:
        self._ray = ray
        self._options = options = nodes.options
        wanted = {"CPU": 1, **options["resources"]}
        fit = [
            each
            for each in ray.nodes()
            if each["NodeID"] in nodes.admitted
            and all(each["Resources"].get(name, 0) >= amount for name, amount in wanted.items())
        ]
        if not fit:
            raise no_such_worker(options, "`ray start --resources`")
        others = {name: wanted[name] for name in wanted if name not in {"CPU", "GPU"}}
        guest = ray.remote(by_value(Workplace)).options(
            num_cpus=wanted["CPU"],
            num_gpus=wanted.get("GPU"),
            resources=others,
            label_selector=_only([each["NodeID"] for each in fit]),
            max_restarts=0,
            max_concurrency=2,  # it is read from while training runs
        )
        self._guest = guest.remote()
        try:
            node = ray.get(self._guest.node.remote(), timeout=options["patience"] + _PREPARING)
        except ray.exceptions.GetTimeoutError:
            ray.kill(self._guest)
            raise none_is_free(options) from None
        (address,) = [each["NodeManagerAddress"] for each in fit if each["NodeID"] == node]
        self.worker = f"node {node[:8]} ({address})"

    def close(self) -> None:
        with suppress(Exception):
            self._ray.get(self._guest.close.remote(), timeout=_CLOSING)
            self._ray.kill(self._guest)

    def call(self, method: str, *arguments: Any) -> Any:
        return self._get(self.start(method, *arguments), self._options["patience"])

    def start(self, method: str, *arguments: Any) -> Any:
        return getattr(self._guest, method).remote(*arguments)

    def has_ended(self, future: Any, seconds: float) -> bool:
        done, _ = self._ray.wait([future], timeout=seconds)
        return bool(done)

    def result(self, future: Any) -> Any:
        return self._get(future, self._options["patience"])

    def _get(self, future: Any, seconds: float) -> Any:
        try:
            return self._ray.get(future, timeout=seconds)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, OSError):
                raise cause from None
            reason = str(error).partition("\n")[0]
            raise lost(self._options, self.worker, printable(reason)) from None
