"""Run joblib on the workers of a Dask cluster.

joblib has a backend for Dask, but it waits forever for tasks that fail outside of their function
(joblib 1.6), lets the scheduler import the project's modules, and does not know which workers may
get work. So this is another one, on joblib's and Dask's public interfaces.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import joblib
from dask.sizeof import sizeof
from distributed import Client

from hatch_model.engines import backend, remote, workplace
from hatch_model.engines.backend import (
    MOST_ATTEMPTS,
    ClusterBackend,
    Failed,
    Job,
    Members,
    NotSentError,
    by_value,
    call,
    cluster_of,
    counted,
    differing,
    name_of,
    say,
    unusable,
    within,
)
from hatch_model.engines.offload import Place, lost, no_such_worker, none_is_free
from hatch_model.errors import EngineError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OF_SCHEDULER = ("cloudpickle", "dask", "distributed")
_TICK = 0.5  # seconds between two looks at the cluster
_ANSWER = 5.0  # seconds that the scheduler has for answering such a look
_CLOSING = 5.0
_MARGIN = 2.0  # seconds that Dask may need beyond a timeout of its own


@contextmanager
def running(options: Mapping[str, Any]) -> Iterator[None]:
    """Have joblib run on the cluster at ``options["address"]``. Raises EngineError."""
    with _connected(options) as client:
        with unusable(options):
            workers = _checked(client, options)
            name = _put_modules(client, options)
        own = _Backend(client, workers)
        with _watched(own, workers, options["patience"]):
            try:
                with joblib.parallel_config(backend=own, n_jobs=options["n_jobs"]):
                    yield
            finally:
                if own.lost:
                    raise EngineError(own.lost) from None
                _remove_modules(client, name)


@contextmanager
def placed(options: Mapping[str, Any]) -> Iterator[Place]:
    """Make a workplace on a worker of the cluster. Raises EngineError."""
    with _connected(options) as client:
        with unusable(options):
            workers = _checked(client, options)
            name = f"{remote.PREFIX}{client.id}"
            client.register_plugin(remote.Tenant(name, client.id, []), name=name)
            client.register_plugin(remote.Guest(name), name=name)
            place = _Place(client, workers, name)
        try:
            yield place
        finally:
            _remove_modules(client, name)


@contextmanager
def _connected(options: Mapping[str, Any]) -> Iterator[Client]:
    _silence_dask()
    for module in (backend, remote, workplace):
        cloudpickle.register_pickle_by_value(module)
    client = _connect(options)
    try:
        yield client
    finally:
        # The scheduler notices, and removes what is still there.
        with suppress(Exception):
            client.close(timeout=_CLOSING)


def _checked(client: Client, options: Mapping[str, Any]) -> _Workers:
    """Check the workers, and say what training runs on."""
    workers = _Workers(client, options)
    workers.check()
    _introduce(client, workers, options)
    return workers


def _silence_dask() -> None:
    """Keep Dask from logging tracebacks: what goes wrong is reported here, in one message."""
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "distributed":  # Dask's configuration gives some a handler
            logging.getLogger(name).disabled = True


def _connect(options: Mapping[str, Any]) -> Client:
    address, timeout = options["address"], options["timeout"]
    shown = printable(address)
    try:
        client = within(
            timeout + _MARGIN, lambda: Client(address, timeout=timeout, set_as_default=False)
        )
    except Exception as error:  # noqa: BLE001 - of sockets, TLS, the address's syntax, Dask's configuration
        # Dask's message repeats parts of the address.
        reason = f" ({printable(str(error))})" if shown == address and str(error) else ""
        raise EngineError(
            f"{options['key']}.address: no Dask scheduler answered at {shown} within {timeout:g} s"
            f"{reason}. Start it, or correct the address."
        ) from None
    try:
        within(timeout + _MARGIN, lambda: client.wait_for_workers(1, timeout=timeout))
    except Exception:  # noqa: BLE001 - Dask's TimeoutError, which has changed its base class
        client.close(timeout=_CLOSING)
        raise EngineError(
            f"{options['key']}.address: the Dask scheduler at {shown} has no workers, and none "
            f"joined within {timeout:g} s. Start workers: `dask worker {shown}`."
        ) from None
    return client


def _introduce(client: Client, workers: _Workers, options: Mapping[str, Any]) -> None:
    """Say what training runs on."""
    address = printable(options["address"])
    dashboard = ""
    with suppress(Exception):  # it is made of Dask's configuration and environment variables
        dashboard = client.dashboard_link
    threads = workers.threads
    say(
        f"training on Dask {version('distributed')} at {address}: "
        f"{counted(len(workers.admitted), 'worker')}, {counted(threads, 'thread')}"
        + (f", dashboard {printable(dashboard)}" if dashboard else "")
    )
    if not client.scheduler.address.startswith("tls://"):
        say(
            f"warning: {address} is not protected by TLS: everybody on its network can run code on "
            f"the scheduler and the workers, and change the model"
        )


# The project's modules


def _put_modules(client: Client, options: Mapping[str, Any]) -> str:
    """Put the project's modules on all workers, and on those to come. Return the plugins' name."""
    archive, packages = Path(options["archive"]).read_bytes(), options["packages"]
    digest = hashlib.sha256(archive).hexdigest()
    name = f"{remote.PREFIX}{client.id}"
    try:
        client.register_plugin(remote.Tenant(name, client.id, packages), name=name)
    except Exception as error:
        if remote.TAKEN not in str(error):
            raise
        names = ", ".join(f"`{each}`" for each in packages)
        raise EngineError(
            f"{options['key']}.address: another build is training with {names} on "
            f"{cluster_of(options)}. Build again when it has ended, or on another cluster."
        ) from None
    client.register_plugin(remote.Modules(name, digest, archive, packages), name=name)
    return name


def _remove_modules(client: Client, name: str) -> None:
    for unregister in (client.unregister_worker_plugin, client.unregister_scheduler_plugin):
        with suppress(Exception):
            within(_CLOSING, partial(unregister, name))


# The workers


class _Workers(Members):
    own = ("cloudpickle", "dask", "distributed", "joblib")

    def __init__(self, client: Client, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._client = client

    def present(self) -> dict[str, int]:
        found = self._client.sync(self._client.scheduler.ncores, callback_timeout=_ANSWER)
        return {str(address): int(threads) for address, threads in found.items()}

    def differences(self, members: Sequence[str]) -> dict[str, list[str]]:
        found = self._client.get_versions(packages=list(self.expected))["workers"]
        names = self._client.scheduler_info(n_workers=-1)["workers"]
        differences = {}
        for address in members:
            versions = (found.get(address) or {}).get("packages")
            differences[address] = differing(_title_of(address, names), self.expected, versions)
        return differences

    def shared_differences(self) -> list[str]:
        own = {name: self.expected[name] for name in _OF_SCHEDULER}
        found = self._client.get_versions(packages=list(own))["scheduler"]
        return differing("the scheduler", own, found["packages"])


def _title_of(address: str, known: Mapping[str, Any]) -> str:
    """Return what people call the worker at *address*, of those *known* to the scheduler."""
    name = str(known.get(address, {}).get("name", address))
    return address if name == address else f"{printable(name)} ({address})"


# joblib's backend


class _Backend(ClusterBackend):
    def __init__(self, client: Client, workers: _Workers) -> None:
        super().__init__(workers)
        self._client = client
        self._call = by_value(call)

    def start(self, job: Job, batch: bytes, data: Sequence[Any], workers: Sequence[str]) -> Any:
        key = f"{name_of(job.batch)}-{uuid.uuid4().hex}"
        return self._client.submit(self._call, batch, *data, key=key, workers=workers, pure=False)

    def put(self, argument: Any) -> Any:
        try:
            (future,) = self._client.scatter(
                [argument],
                workers=list(self.members.admitted),
                broadcast=True,
                hash=False,
                timeout=self.options["patience"],
            )
        except Exception as error:
            raise NotSentError from error  # One of the workers may just have gone.
        return future

    def is_held(self, future: Any) -> bool:
        return bool(future.status == "finished")

    def cancel(self, futures: Sequence[Any]) -> None:
        with suppress(Exception):
            self._client.cancel(futures)

    def watch_over(self, job: Job) -> None:
        job.future.add_done_callback(partial(self._done, job))

    @staticmethod
    def size_of(argument: Any) -> int:
        return int(sizeof(argument))

    # What comes of what was sent

    def _done(self, job: Job, future: Any) -> None:
        """Do what is left when *future* has ended: called by a thread of Dask's."""
        if future is not job.future or id(job) not in self.jobs:
            return
        try:
            if future.status == "finished":
                self.end(job, future.result())
            elif future.status == "error":
                self.end(job, Failed(future.exception()))
            elif self._client.status == "running":  # It was cancelled, as data on a worker is gone.
                self._send_again(job, future)
        except Exception as error:  # noqa: BLE001 - joblib has to hear of it
            if self._client.status == "running":
                self.end(job, Failed(error))
        if self._client.status != "running" and self.jobs:
            self.lose("the connection to the scheduler was lost")

    def _send_again(self, job: Job, future: Any) -> None:
        """Send *job* again in place of *future*, unless another thread has done so."""
        with self.lock:
            if job.future is not future:
                return
            job.future = None
        if job.attempts == MOST_ATTEMPTS:
            message = f"all workers that had this task were lost, {MOST_ATTEMPTS} times"
            self.end(job, Failed(RuntimeError(message)))
        else:
            self.send(job)

    # What the watch calls

    @property
    def is_waiting(self) -> bool:
        return bool(self.jobs)

    def move_jobs(self) -> None:
        """Send the jobs that are held, and again those whose workers are all gone."""
        with self.lock:
            jobs = [*self.jobs.values()]
        for job in jobs:
            future = job.future
            if job.is_held:
                self.send(job)
            elif future is not None and not job.workers & self.members.admitted.keys():
                self._send_again(job, future)
                self.cancel([future])

    def lose(self, reason: str) -> None:
        """End all jobs, as the cluster is lost for some *reason*."""
        self.fail(
            f"training failed: {self.options['train']} lost {cluster_of(self.options)}: {reason}. "
            f"Look at the output of the scheduler and of the workers."
        )


# Training on a worker


class _Place(Place):
    def __init__(self, client: Client, workers: _Workers, name: str) -> None:
        self._client = client
        self._workers = workers
        self._name = name
        self._options = workers.options
        self._address = self._settle()
        names = client.scheduler_info(n_workers=-1)["workers"]
        self.worker = _title_of(self._address, names)

    def _settle(self) -> str:
        """Have the scheduler choose a worker for the workplace, and return its address."""
        options, resources = self._options, self._options["resources"]
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        fit = [
            address
            for address in sorted(self._workers.admitted)
            if all(
                known.get(address, {}).get("resources", {}).get(name, 0) >= amount
                for name, amount in resources.items()
            )
        ]
        if not fit:
            raise no_such_worker(options, "`dask worker --resources`")
        future = self._submit("settle", (), fit)
        try:
            return str(future.result(timeout=options["patience"]))
        except TimeoutError:
            raise none_is_free(options) from None

    def _submit(self, method: str, arguments: tuple[Any, ...], workers: Sequence[str]) -> Any:
        return self._client.submit(
            remote.call_guest,
            self._name,
            method,
            arguments,
            key=f"{method}-{uuid.uuid4().hex}",
            workers=list(workers),
            resources=self._options["resources"] or None,
            pure=False,
        )

    def call(self, method: str, *arguments: Any) -> Any:
        run = partial(
            self._client.run,
            remote.call_guest,
            self._name,
            method,
            arguments,
            workers=[self._address],
        )
        try:
            return within(self._options["patience"], run)[self._address]
        except Exception as error:
            self._check()
            if isinstance(error, TimeoutError) or not isinstance(error, OSError):
                raise self._lost(printable(repr(error))) from None
            raise

    def start(self, method: str, *arguments: Any) -> Any:
        return self._submit(method, arguments, [self._address])

    def has_ended(self, future: Any, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not future.done() and time.monotonic() < end:
            time.sleep(min(seconds, 0.02))
        if not future.done():
            self._check()
        return bool(future.done())

    def result(self, future: Any) -> Any:
        try:
            return future.result(timeout=_ANSWER)
        except Exception as error:
            self._check()
            if isinstance(error, TimeoutError) or not isinstance(error, OSError):
                raise self._lost(printable(repr(error))) from None
            raise

    def _check(self) -> None:
        """Raise EngineError if the worker is not there any more."""
        try:
            present = self._workers.present()
        except Exception:  # noqa: BLE001 - whatever it is, there was no answer
            raise self._lost("the scheduler did not answer") from None
        if self._address not in present:
            raise self._lost("the worker has ended")

    def _lost(self, reason: str) -> EngineError:
        return lost(self._options, self.worker or self._address, reason)


# The watch over the cluster


@contextmanager
def _watched(backend: _Backend, workers: _Workers, patience: float) -> Iterator[None]:
    """Watch the cluster in a thread meanwhile, since Dask itself waits forever for workers."""
    end = threading.Event()
    thread = threading.Thread(
        target=_watch,
        args=(backend, workers, patience, end),
        name="hatch-model-cluster",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(_ANSWER)


def _watch(backend: _Backend, workers: _Workers, patience: float, end: threading.Event) -> None:
    alone_since = None
    while not end.wait(_TICK):
        backend.tell()
        reason = "no worker was left"
        try:
            workers.refresh()
        except Exception:  # noqa: BLE001 - whatever it is, there was no answer
            reason = "the scheduler did not answer"
        else:
            if workers.admitted:
                backend.move_jobs()
        if reason.startswith("no worker") and (workers.admitted or not backend.is_waiting):
            alone_since = None
            continue
        now = time.monotonic()
        alone_since = now if alone_since is None else alone_since
        if now - alone_since >= patience:
            backend.lose(f"{reason} for {patience:g} s")
            return
