"""Run joblib on the workers of a Dask cluster.

joblib has a backend for Dask, but it waits forever for tasks that fail outside of their function
(joblib 1.6), lets the scheduler import the project's modules, and does not know which workers may get
work. So this is another one, on joblib's and Dask's public interfaces.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import sys
import threading
import time
import uuid
import warnings
import weakref
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import joblib
from dask.sizeof import sizeof
from dask.utils import funcname
from distributed import Client
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, ThreadingBackend

from hatch_model.engines import EngineError, remote
from hatch_model.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_OWN = ("cloudpickle", "dask", "distributed", "joblib")
"""What both sides exchange objects with, so that its versions matter as well."""
_OF_SCHEDULER = ("cloudpickle", "dask", "distributed")
_TICK = 0.5  # seconds between two looks at the cluster
_ANSWER = 5.0  # seconds that the scheduler has for answering such a look
_CLOSING = 5.0
_MARGIN = 2.0  # seconds that Dask may need beyond a timeout of its own
_LARGE = (
    1 << 16
)  # bytes of an argument that is sent once to each worker, rather than with each task
_MOST_DIFFERENCES = 20
_MOST_ATTEMPTS = 3


@contextmanager
def running(options: Mapping[str, Any]) -> Iterator[None]:
    """Have joblib run on the cluster at ``options["address"]``. Raises EngineError."""
    _silence_dask()
    cloudpickle.register_pickle_by_value(remote)
    client = _connect(options)
    try:
        workers, name = _prepare(client, options)
        backend = _Backend(client, workers, options)
        with _watched(backend, workers, options["patience"]):
            try:
                with joblib.parallel_config(backend=backend, n_jobs=options["n_jobs"]):
                    yield
            finally:
                if backend.lost:
                    raise EngineError(backend.lost) from None
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
        client = _within(
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
        _within(timeout + _MARGIN, lambda: client.wait_for_workers(1, timeout=timeout))
    except Exception:  # noqa: BLE001 - Dask's TimeoutError, which has changed its base class
        client.close(timeout=_CLOSING)
        raise EngineError(
            f"{options['key']}.address: the Dask scheduler at {shown} has no workers, and none joined "
            f"within {timeout:g} s. Start workers: `dask worker {shown}`."
        ) from None
    return client


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Call in a thread, as Dask waits forever for a server that accepts a connection and is silent."""
    outcome: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions, which are compared anyway
            try:
                outcome.put((call(), None))
            except Exception as error:  # noqa: BLE001 - raised below
                outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result


def _introduce(client: Client, workers: _Workers, options: Mapping[str, Any]) -> None:
    """Say what training runs on."""
    address = printable(options["address"])
    dashboard = ""
    with suppress(Exception):  # it is made of Dask's configuration and environment variables
        dashboard = client.dashboard_link
    threads = workers.threads
    _say(
        f"training on Dask {version('distributed')} at {address}: "
        f"{_counted(len(workers.admitted), 'worker')}, {_counted(threads, 'thread')}"
        + (f", dashboard {printable(dashboard)}" if dashboard else "")
    )
    if not client.scheduler.address.startswith("tls://"):
        _say(
            f"warning: {address} is not protected by TLS: everybody on its network can run code on the "
            f"scheduler and the workers, and change the model"
        )


def _say(line: str) -> None:
    print(f"hatch-model: {line}", flush=True)  # noqa: T201 - the build shows what training prints


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


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
            _within(_CLOSING, partial(unregister, name))


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
            lines = [f"\n  {line}" for each in differences.values() for line in each]
            more = len(lines) - _MOST_DIFFERENCES
            raise EngineError(
                f"the Dask cluster at {printable(self._options['address'])} is not the environment that "
                f"the wheel will be pinned to:{''.join(lines[:_MOST_DIFFERENCES])}"
                + (f"\n  and {more} more" if more > 0 else "")
                + "\nInstall the same versions there, or lock the versions that it has."
            )
        self.admitted = present

    def refresh(self) -> None:
        """Admit the workers that have joined, unless their versions differ, and forget those that left."""
        present = self._present()
        new = present.keys() - self.admitted.keys() - self._refused
        differences = self._differences(new) if new else {}
        for address, lines in differences.items():
            self._refused.add(address)
            _say(f"warning: a worker that has joined gets no work: {'; '.join(lines)}")
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
            differences[""] = _differing("the scheduler", own, found["scheduler"])
        for address in sorted(addresses):
            name = str(names.get(address, {}).get("name", address))
            title = address if name == address else f"{printable(name)} ({address})"
            differences[address] = _differing(title, self._expected, found["workers"].get(address))
        return {address: lines for address, lines in differences.items() if lines}


def _differing(title: str, expected: Mapping[str, str], found: Any) -> list[str]:
    """Return a line for each of the *expected* versions that is not *found*, as Dask reports it."""
    theirs = (found or {}).get("packages") or {}
    minor = "{}.{}".format(*sys.version_info)
    there = ".".join(str(theirs.get("python") or "nothing").split(".")[:2])
    lines = [] if there == minor else [f"{title}: Python: here {minor}, there {there}"]
    for name, here in sorted(expected.items()):
        there = theirs.get(name) or "nothing"
        if here not in (there, there.partition("+")[0]):
            lines.append(f"{title}: {name}: here {here}, there {there}")
    return lines


# joblib's backend


class _Job:
    """A batch of joblib's that is on its way."""

    def __init__(self, batch: Any, callback: Callable[[Any], None]) -> None:
        self.batch = batch
        self.callback = callback
        self.attempts = 0
        self.workers: frozenset[str] = frozenset()
        """Those that it was sent to; empty as long as it waits for one."""
        self.future: Any = None


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _NotSentError(Exception):
    """Data could not be sent to the workers."""


class _RemoteTraceback(Exception):  # noqa: N818 - shown as the cause of an error
    def __init__(self, text: str) -> None:
        super().__init__(f"\n{text}")


class _Backend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc] # joblib has no types
    """joblib's interface to the cluster.

    Each job ends with a call of its callback, whatever happens to the cluster: joblib waits for that.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1
    MIN_IDEAL_BATCH_DURATION = 0.2
    MAX_IDEAL_BATCH_DURATION = 1.0

    def __init__(self, client: Client, workers: _Workers, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._client = client
        self._workers = workers
        self._options = options
        # A copy is no attribute of the module, and so goes by value.
        self._call = cloudpickle.loads(cloudpickle.dumps(remote.call))
        self._jobs: dict[int, _Job] = {}
        self._lock = threading.RLock()
        self._data: dict[int, tuple[Any, Any]] = {}
        self.lost = ""
        """Why the cluster is of no use any more."""

    # What joblib calls

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        if n_jobs == 1 or n_jobs is None:
            return 1
        # With 1, joblib would do it all in this process.
        return max(2, n_jobs if n_jobs > 0 else self._workers.threads + 1 + n_jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def get_nested_backend(self) -> tuple[Any, None]:
        return ThreadingBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def submit(self, func: Any, callback: Callable[[Any], None]) -> _Job:
        job = _Job(func, callback)
        with self._lock:
            self._jobs[id(job)] = job
        self._send(job)
        return job

    def retrieve_result_callback(self, out: Any) -> Any:
        if isinstance(out, _Failed):
            raise out.error
        succeeded, content = cloudpickle.loads(out)
        if succeeded:
            return content
        error, text = content
        error.__cause__ = _RemoteTraceback(text)
        raise error

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - joblib's
        with self._lock:
            jobs, self._jobs = [*self._jobs.values()], {}
        with suppress(Exception):
            self._client.cancel([job.future for job in jobs if job.future is not None])

    def stop_call(self) -> None:
        self._data.clear()

    # Sending, and what comes of it

    def _send(self, job: _Job) -> None:
        """Send *job* to the workers, or let it wait until there are any."""
        workers = frozenset(self._workers.admitted)
        job.workers, job.future = workers, None
        if not workers:
            return
        job.attempts += 1
        try:
            with self._lock:
                batch, data = self._packed(job.batch, workers)
                name = funcname(job.batch.items[0][0]).rpartition(".")[2]
                job.future = self._client.submit(
                    self._call,
                    batch,
                    data,
                    key=f"{name}-{uuid.uuid4().hex}",
                    workers=list(workers),
                    pure=False,
                )
            job.future.add_done_callback(partial(self._done, job))
        except Exception as error:  # noqa: BLE001 - it may not be possible to pickle it
            is_temporary = isinstance(error, _NotSentError) and job.attempts < _MOST_ATTEMPTS
            if is_temporary:
                job.workers = frozenset()  # so that the watch sends it again
            else:
                # joblib does not expect the callback before this call returns.
                reason = error.__cause__ or error
                threading.Thread(target=self._end, args=(job, _Failed(reason))).start()

    def _packed(self, batch: Any, workers: frozenset[str]) -> tuple[bytes, list[Any]]:
        """Return *batch* as :func:`remote.call` takes it: pickled, with large arguments sent ahead."""
        items: list[Any] = []
        data: list[Any] = []
        for function, args, kwargs in batch.items:
            given: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
            places = {}
            for place, argument in given.items():
                future = self._sent_ahead(argument, workers)
                if future is not None:
                    places[place] = len(data)
                    data.append(future)
            items.append((function, {**given, **dict.fromkeys(places)}, places))
        return cloudpickle.dumps((items, *self.get_nested_backend())), data

    def _sent_ahead(self, argument: Any, workers: frozenset[str]) -> Any:
        """Return the future of *argument* if it is large, which is sent to *workers* only once."""
        known = self._data.get(id(argument))
        if known is not None and known[1].status == "finished":
            return known[1]
        try:
            forget = partial(self._forget, id(argument))
            reference = weakref.ref(argument, forget)
            if sizeof(argument) < _LARGE:
                return None
        except TypeError:
            return None  # Lists and other objects without weak references go with each task.
        try:
            (future,) = self._client.scatter(
                [argument],
                workers=list(workers),
                broadcast=True,
                hash=False,
                timeout=self._options["patience"],
            )
        except Exception as error:
            raise _NotSentError from error  # One of the workers may just have gone.
        self._data[id(argument)] = reference, future
        return future

    def _forget(self, key: int, _: Any) -> None:
        self._data.pop(key, None)

    def _done(self, job: _Job, future: Any) -> None:
        """Do what is left when *future* has ended: called by a thread of Dask's."""
        if future is not job.future or id(job) not in self._jobs:
            return
        try:
            if future.status == "finished":
                self._end(job, future.result())
            elif future.status == "error":
                self._end(job, _Failed(future.exception()))
            elif self._client.status == "running":  # It was cancelled, as data on a worker is gone.
                self._send_again(job)
        except Exception as error:  # noqa: BLE001 - joblib has to hear of it
            if self._client.status == "running":
                self._end(job, _Failed(error))
        if self._client.status != "running" and self._jobs:
            self.fail("the connection to the scheduler was lost")

    def _send_again(self, job: _Job) -> None:
        if job.attempts == _MOST_ATTEMPTS:
            message = f"all workers that had this task were lost, {_MOST_ATTEMPTS} times"
            self._end(job, _Failed(RuntimeError(message)))
        else:
            self._send(job)

    def _end(self, job: _Job, out: Any) -> None:
        with self._lock:
            is_expected = self._jobs.pop(id(job), None) is not None
        if is_expected:
            job.callback(out)

    # What the watch calls

    @property
    def is_waiting(self) -> bool:
        return bool(self._jobs)

    def move_jobs(self) -> None:
        """Send the jobs again whose workers are all gone."""
        with self._lock:
            jobs = [*self._jobs.values()]
        for job in jobs:
            if not job.workers & self._workers.admitted.keys():
                future = job.future
                if job.workers:
                    self._send_again(job)
                else:
                    self._send(job)
                if future is not None:
                    with suppress(Exception):
                        self._client.cancel([future])

    def fail(self, reason: str) -> None:
        """End all jobs, as the cluster is of no use any more for some *reason*."""
        self.lost = (
            f"training failed: {self._options['train']} lost the Dask cluster at "
            f"{printable(self._options['address'])}: {reason}. Look at the output of the scheduler and "
            f"of the workers."
        )
        with self._lock:
            jobs = [*self._jobs.values()]
        for job in jobs:
            self._end(job, _Failed(EngineError(self.lost)))


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
            backend.fail(f"{reason} for {patience:g} s")
            return
