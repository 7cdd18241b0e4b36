"""Run joblib on the workers of a Dask cluster.

joblib has a backend for Dask, but it waits forever for tasks that fail outside of their function
(joblib 1.6), lets the scheduler import the project's modules, and does not know which workers may get
work. So this is another one, on joblib's and Dask's public interfaces.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
import weakref
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import joblib
from dask.sizeof import sizeof
from distributed import Client

from hatch_model.engines import backend, remote
from hatch_model.engines.backend import (
    LARGE,
    MOST_ATTEMPTS,
    ClusterBackend,
    Failed,
    Job,
    NotSentError,
    call,
    counted,
    differing,
    name_of,
    other_versions,
    say,
    within,
)
from hatch_model.errors import EngineError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OWN = ("cloudpickle", "dask", "distributed", "joblib")
"""What both sides exchange objects with, so that its versions matter as well."""
_OF_SCHEDULER = ("cloudpickle", "dask", "distributed")
_TICK = 0.5  # seconds between two looks at the cluster
_ANSWER = 5.0  # seconds that the scheduler has for answering such a look
_CLOSING = 5.0
_MARGIN = 2.0  # seconds that Dask may need beyond a timeout of its own


@contextmanager
def running(options: Mapping[str, Any]) -> Iterator[None]:
    """Have joblib run on the cluster at ``options["address"]``. Raises EngineError."""
    _silence_dask()
    for module in (backend, remote):
        cloudpickle.register_pickle_by_value(module)
    client = _connect(options)
    try:
        workers, name = _prepare(client, options)
        own = _Backend(client, workers, options)
        with _watched(own, workers, options["patience"]):
            try:
                with joblib.parallel_config(backend=own, n_jobs=options["n_jobs"]):
                    yield
            finally:
                if own.lost:
                    raise EngineError(own.lost) from None
                _remove_modules(client, name)
    finally:
        # The scheduler notices, and removes what is still there.
        with suppress(Exception):
            client.close(timeout=_CLOSING)


def _prepare(client: Client, options: Mapping[str, Any]) -> tuple[_Workers, str]:
    """Check the workers and give them the project's modules. Return the name of what does so, as well."""
    workers = _Workers(client, options)
    try:
        workers.check()
        _introduce(client, workers, options)
        return workers, _put_modules(client, options)
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 - it may be lost at any moment
        raise EngineError(
            f"{options['key']}.address: the Dask cluster at {printable(options['address'])} cannot be "
            f"used: {printable(repr(error))}. Look at the output of the scheduler and of the workers."
        ) from None


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
            f"{options['key']}.address: the Dask scheduler at {shown} has no workers, and none joined "
            f"within {timeout:g} s. Start workers: `dask worker {shown}`."
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
            f"warning: {address} is not protected by TLS: everybody on its network can run code on the "
            f"scheduler and the workers, and change the model"
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
            f"{options['key']}.address: another build is training with {names} on the Dask cluster at "
            f"{printable(options['address'])}. Build again when it has ended, or on another cluster."
        ) from None
    client.register_plugin(remote.Modules(name, digest, archive, packages), name=name)
    return name


def _remove_modules(client: Client, name: str) -> None:
    for unregister in (client.unregister_worker_plugin, client.unregister_scheduler_plugin):
        with suppress(Exception):
            within(_CLOSING, partial(unregister, name))


# The workers


class _Workers:
    """The workers that may get work: those with the versions of this environment."""

    def __init__(self, client: Client, options: Mapping[str, Any]) -> None:
        self._client = client
        self._options = options
        self._expected = {**options["versions"], **{name: version(name) for name in _OWN}}
        self._refused: set[str] = set()
        self.admitted: dict[str, int] = {}
        """Their threads, by address."""

    @property
    def threads(self) -> int:
        return sum(self.admitted.values())

    def check(self) -> None:
        """Admit the workers of the cluster. Raises EngineError if a version of any of them differs."""
        present = self._present()
        differences = self._differences(present, with_scheduler=True)
        if differences:
            lines = [line for each in differences.values() for line in each]
            raise other_versions("Dask", self._options["address"], lines)
        self.admitted = present

    def refresh(self) -> None:
        """Admit the workers that have joined, unless their versions differ, and forget those that left."""
        present = self._present()
        new = present.keys() - self.admitted.keys() - self._refused
        differences = self._differences(new) if new else {}
        for address, lines in differences.items():
            self._refused.add(address)
            say(f"warning: a worker that has joined gets no work: {'; '.join(lines)}")
        self.admitted = {
            address: threads for address, threads in present.items() if address not in self._refused
        }

    def _present(self) -> dict[str, int]:
        """Return the threads of all workers, by address."""
        found = self._client.sync(self._client.scheduler.ncores, callback_timeout=_ANSWER)
        return {str(address): int(threads) for address, threads in found.items()}

    def _differences(self, addresses: Any, *, with_scheduler: bool = False) -> dict[str, list[str]]:
        """Return what differs, by the address of the worker, with "" for the scheduler."""
        found = self._client.get_versions(packages=list(self._expected))
        names = self._client.scheduler_info(n_workers=-1)["workers"]
        differences = {}
        if with_scheduler:
            own = {name: self._expected[name] for name in _OF_SCHEDULER}
            differences[""] = differing("the scheduler", own, found["scheduler"]["packages"])
        for address in sorted(addresses):
            name = str(names.get(address, {}).get("name", address))
            title = address if name == address else f"{printable(name)} ({address})"
            differences[address] = differing(
                title, self._expected, (found["workers"].get(address) or {}).get("packages")
            )
        return {address: lines for address, lines in differences.items() if lines}


# joblib's backend


class _Backend(ClusterBackend):
    def __init__(self, client: Client, workers: _Workers, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._client = client
        self._workers = workers
        # A copy is no attribute of the module, and so goes by value.
        self._call = cloudpickle.loads(cloudpickle.dumps(call))
        self._data: dict[int, tuple[Any, Any]] = {}

    def threads(self) -> int:
        return self._workers.threads

    def cancel(self, futures: Sequence[Any]) -> None:
        with suppress(Exception):
            self._client.cancel(futures)

    def stop_call(self) -> None:
        self._data.clear()

    # Sending, and what comes of it

    def send(self, job: Job) -> None:
        """Send *job* to the workers, or let it wait until there are any."""
        job.workers = workers = frozenset(self._workers.admitted)
        job.is_held = not workers
        if job.is_held:
            return
        job.attempts += 1
        try:
            with self.lock:
                batch, data = self.packed(job.batch)
                job.future = self._client.submit(
                    self._call,
                    batch,
                    *data,
                    key=f"{name_of(job.batch)}-{uuid.uuid4().hex}",
                    workers=list(workers),
                    pure=False,
                )
            job.future.add_done_callback(partial(self._done, job))
        except Exception as error:  # noqa: BLE001 - it may not be possible to pickle it
            job.is_held = isinstance(error, NotSentError) and job.attempts < MOST_ATTEMPTS
            if not job.is_held:
                self.failed(job, error.__cause__ or error)

    def sent_ahead(self, argument: Any) -> Any:
        """Return the future of *argument* if it is large, which is sent to the workers only once."""
        known = self._data.get(id(argument))
        if known is not None and known[1].status == "finished":
            return known[1]
        try:
            forget = partial(self._forget, id(argument))
            reference = weakref.ref(argument, forget)
            if sizeof(argument) < LARGE:
                return None
        except TypeError:
            return None  # Lists and other objects without weak references go with each task.
        try:
            (future,) = self._client.scatter(
                [argument],
                workers=list(self._workers.admitted),
                broadcast=True,
                hash=False,
                timeout=self.options["patience"],
            )
        except Exception as error:
            raise NotSentError from error  # One of the workers may just have gone.
        self._data[id(argument)] = reference, future
        return future

    def _forget(self, key: int, _: Any) -> None:
        self._data.pop(key, None)

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
            elif future is not None and not job.workers & self._workers.admitted.keys():
                self._send_again(job, future)
                self.cancel([future])

    def lose(self, reason: str) -> None:
        """End all jobs, as the cluster is lost for some *reason*."""
        self.fail(
            f"training failed: {self.options['train']} lost the Dask cluster at "
            f"{printable(self.options['address'])}: {reason}. Look at the output of the scheduler and "
            f"of the workers."
        )


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
