"""What clusters' engines have in common: joblib's interface, and the comparison of versions.

joblib hands out batches of function calls, and waits until each has called back. A batch travels as
bytes, which only the process that runs it unpacks.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
import traceback
import warnings
import weakref
from abc import ABC, abstractmethod
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

import cloudpickle
import joblib
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, ThreadingBackend

from hatch_model.errors import EngineError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LARGE = 1 << 16
"""Bytes of an argument that is sent once to each worker, rather than with each task."""
MOST_ATTEMPTS = 3
"""How often a job is sent, as its workers were all lost."""
_MOST_DIFFERENCES = 20
_TELLING = 30.0  # seconds between two lines about what is done


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Call in a thread, since engines wait forever for a server that accepts and is silent."""
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


def say(line: str) -> None:
    print(f"hatch-model: {line}", flush=True)  # noqa: T201 - the build shows what training prints


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# Versions


def differing(
    title: str, expected: Mapping[str, str], found: Mapping[str, str | None] | None
) -> list[str]:
    """Return a line for each of the *expected* versions that is not *found*, nor Python's."""
    theirs = found or {}
    minor = "{}.{}".format(*sys.version_info)
    there = ".".join(str(theirs.get("python") or "nothing").split(".")[:2])
    lines = [] if there == minor else [f"{title}: Python: here {minor}, there {there}"]
    for name, here in sorted(expected.items()):
        there = theirs.get(name) or "nothing"
        if here not in (there, there.partition("+")[0]):
            lines.append(f"{title}: {name}: here {here}, there {there}")
    return lines


def other_versions(options: Mapping[str, Any], lines: Sequence[str]) -> EngineError:
    """Return the error for a cluster that differs as *lines* say."""
    more = len(lines) - _MOST_DIFFERENCES
    shown = "".join(f"\n  {line}" for line in lines[:_MOST_DIFFERENCES])
    return EngineError(
        f"{cluster_of(options)} is not the environment that the wheel will be pinned to:{shown}"
        + (f"\n  and {more} more" if more > 0 else "")
        + "\nInstall the same versions there, or lock the versions that it has."
    )


def cluster_of(options: Mapping[str, Any]) -> str:
    """Return what people call the cluster."""
    return f"the {options['backend'].capitalize()} cluster at {printable(options['address'])}"


@contextmanager
def unusable(options: Mapping[str, Any]) -> Iterator[None]:
    """Raise EngineError for whatever goes wrong while the cluster is made ready."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 - it may be lost at any moment
        raise EngineError(
            f"{options['key']}.address: {cluster_of(options)} cannot be used: "
            f"{printable(repr(error))}. Look at the output of the cluster."
        ) from None


def versions_here(names: Sequence[str]) -> dict[str, str | None]:
    """Return the versions of *names*, and of Python, as :func:`differing` takes them."""
    found: dict[str, str | None] = {"python": ".".join(map(str, sys.version_info))}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


class Members(ABC):
    """The workers of a cluster that may get work: those with the versions of this environment."""

    noun = "worker"
    """What it calls a worker."""
    own: tuple[str, ...] = ()
    """What both sides exchange objects with, so that its versions matter as well."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.expected = {
            **options["versions"],
            **{name: metadata.version(name) for name in self.own},
        }
        self.admitted: dict[str, int] = {}
        """How many tasks each runs at the same time, by its address or identifier."""
        self._refused: set[str] = set()

    @property
    def threads(self) -> int:
        return sum(self.admitted.values())

    def check(self) -> None:
        """Admit the workers of the cluster. Raises EngineError if a version of one differs."""
        present = self.present()
        lines = [*self.shared_differences()]
        lines += [line for each in self.differences([*present]).values() for line in each]
        if lines:
            raise other_versions(self.options, lines)
        self.admitted = present

    def refresh(self) -> None:
        """Admit workers that have joined, unless their versions differ; forget those that left."""
        present = self.present()
        new = present.keys() - self.admitted.keys() - self._refused
        for member, lines in (self.differences(sorted(new)) if new else {}).items():
            if lines:
                self._refused.add(member)
                say(f"warning: a {self.noun} that has joined gets no work: {'; '.join(lines)}")
        self.admitted = {
            member: threads for member, threads in present.items() if member not in self._refused
        }

    @abstractmethod
    def present(self) -> dict[str, int]:
        """Return all workers of the cluster, as in `admitted`."""

    @abstractmethod
    def differences(self, members: Sequence[str]) -> dict[str, list[str]]:
        """Return what differs from this environment, for each of *members*."""

    def shared_differences(self) -> list[str]:
        """Return what differs where the cluster has something in common."""
        return []


def by_value(function: Any) -> Any:
    """Return a copy of *function*: it is no attribute of its module, and so is sent as it is."""
    return cloudpickle.loads(cloudpickle.dumps(function))


# joblib's interface


def call(batch: bytes, *data: Any) -> bytes:
    """Call the functions of *batch*, which the other side packed, and return a pickled outcome.

    It is a pair: whether all of them returned, and either their results, or the error with its
    traceback. Whatever fails, fails here, where it is told: also that a module cannot be imported.
    """
    try:
        items, backend, n_jobs = cloudpickle.loads(batch)
        with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
            results = []
            for function, given, places in items:
                given.update({place: data[index] for place, index in places.items()})
                args = [given.pop(place) for place in [*given] if isinstance(place, int)]
                results.append(function(*args, **given))
        outcome: bytes = cloudpickle.dumps((True, results))
    except BaseException as error:  # noqa: BLE001 - raised again on the other side
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            outcome = cloudpickle.dumps((False, (error, text)))
        except Exception:  # noqa: BLE001 - an error that cannot be pickled
            outcome = cloudpickle.dumps((False, (RuntimeError(repr(error)), text)))
    return outcome


def name_of(batch: Any) -> str:
    """Return the name of the function that is called first in *batch*, for people."""
    function = batch.items[0][0]
    function = getattr(function, "function", function)  # scikit-learn wraps it
    return str(getattr(function, "__name__", type(function).__name__))


class Job:
    """A batch of joblib's that is on its way."""

    def __init__(self, batch: Any, callback: Callable[[Any], None]) -> None:
        self.batch = batch
        self.callback = callback
        self.attempts = 0
        self.workers: frozenset[str] = frozenset()
        """Those that it was sent to."""
        self.future: Any = None
        self.is_held = False
        """It could not be sent yet, and the watch sends it as soon as there are workers."""


class Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class NotSentError(Exception):
    """Data could not be sent to the workers."""


class _RemoteTraceback(Exception):  # noqa: N818 - shown as the cause of an error
    def __init__(self, text: str) -> None:
        super().__init__(f"\n{text}")


# joblib has no types.
class ClusterBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """joblib's interface to a cluster.

    Each job ends with a call of its callback, whatever happens to the cluster: joblib waits for
    that.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1
    MIN_IDEAL_BATCH_DURATION = 0.2
    MAX_IDEAL_BATCH_DURATION = 1.0

    def __init__(self, members: Members) -> None:
        super().__init__()
        self.members = members
        self.options = members.options
        self.jobs: dict[int, Job] = {}
        """Those that have not ended."""
        self.lock = threading.RLock()
        self._data: dict[int, tuple[Any, Any]] = {}
        """What was sent ahead, by the argument's identity: a reference to it, and the future."""
        self._ended = 0  # calls since training began
        self._told = 0
        self._told_at = time.monotonic()
        self.lost = ""
        """Why the cluster is of no use any more."""

    # What an engine does

    @abstractmethod
    def start(self, job: Job, batch: bytes, data: Sequence[Any], workers: Sequence[str]) -> Any:
        """Run ``call(batch, *data)`` for *job* on one of *workers*, and return its future."""

    @abstractmethod
    def put(self, argument: Any) -> Any:
        """Send *argument* to all workers, and return its future. Raises NotSentError."""

    @abstractmethod
    def cancel(self, futures: Sequence[Any]) -> None:
        """Stop what has not ended. Raises nothing."""

    def is_held(self, future: Any) -> bool:  # noqa: ARG002 - most engines keep what they have
        """Return whether the workers still have the data of *future*."""
        return True

    def watch_over(self, job: Job) -> None:
        """Have *job*, which was started, end when its future does."""

    @staticmethod
    def size_of(argument: Any) -> int:
        """Return how many bytes *argument* has."""
        return max(sys.getsizeof(argument), getattr(argument, "nbytes", 0))

    # What joblib calls

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        if n_jobs == 1 or n_jobs is None:
            return 1
        # With 1, joblib would do it all in this process.
        return max(2, n_jobs if n_jobs > 0 else self.members.threads + 1 + n_jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def get_nested_backend(self) -> tuple[Any, None]:
        return ThreadingBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Job:
        job = Job(func, callback)
        with self.lock:
            self.jobs[id(job)] = job
        self.send(job)
        return job

    def retrieve_result_callback(self, out: Any) -> Any:
        if isinstance(out, Failed):
            raise out.error
        succeeded, content = cloudpickle.loads(out)
        if succeeded:
            return content
        error, text = content
        error.__cause__ = _RemoteTraceback(text)
        raise error

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - joblib's
        with self.lock:
            jobs, self.jobs = [*self.jobs.values()], {}
        self.cancel([job.future for job in jobs if job.future is not None])

    def stop_call(self) -> None:
        self._data.clear()

    # Sending

    def send(self, job: Job) -> None:
        """Send *job* to the workers, or let it wait until there are any. Raises nothing."""
        job.workers = workers = frozenset(self.members.admitted)
        job.is_held = not workers
        if job.is_held:
            return
        job.attempts += 1
        try:
            with self.lock:
                batch, data = self._packed(job.batch)
                job.future = self.start(job, batch, data, sorted(workers))
            self.watch_over(job)
        except NotSentError as error:
            job.is_held = job.attempts < MOST_ATTEMPTS
            if not job.is_held:
                self._failed(job, error.__cause__ or error)
        except Exception as error:  # noqa: BLE001 - it may not be possible to pickle it
            self._failed(job, error)

    def _packed(self, batch: Any) -> tuple[bytes, list[Any]]:
        """Return *batch* as :func:`call` takes it: pickled, with large arguments sent ahead."""
        items: list[Any] = []
        data: list[Any] = []
        for function, args, kwargs in batch.items:
            given: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
            places = {}
            for place, argument in given.items():
                future = self._sent_ahead(argument)
                if future is not None:
                    places[place] = len(data)
                    data.append(future)
            items.append((function, {**given, **dict.fromkeys(places)}, places))
        return cloudpickle.dumps((items, *self.get_nested_backend())), data

    def _sent_ahead(self, argument: Any) -> Any:
        """Return the future of *argument* if it is large, which is sent only once, or None."""
        known = self._data.get(id(argument))
        if known is not None and self.is_held(known[1]):
            return known[1]
        try:
            reference = weakref.ref(argument, partial(self._forget, id(argument)))
            if self.size_of(argument) < LARGE:
                return None
        except TypeError:
            return None  # Lists and other objects without weak references go with each task.
        future = self.put(argument)
        self._data[id(argument)] = reference, future
        return future

    def _forget(self, key: int, _: Any) -> None:
        self._data.pop(key, None)

    def _failed(self, job: Job, error: BaseException) -> None:
        """End *job*, which could not be sent: joblib expects the callback only after that."""
        threading.Thread(target=self.end, args=(job, Failed(error))).start()

    # What engines call

    def end(self, job: Job, out: Any) -> None:
        with self.lock:
            is_expected = self.jobs.pop(id(job), None) is not None
        if is_expected:
            self._ended += len(job.batch)
            job.callback(out)

    def tell(self) -> None:
        """Say from time to time how far the calls are; nobody knows how many are still to come."""
        now = time.monotonic()
        if self._ended > self._told and now - self._told_at >= _TELLING:
            self._told, self._told_at = self._ended, now
            say(f"{counted(self._ended, 'task')} done")

    def fail(self, reason: str) -> None:
        """End all jobs, as the cluster is of no use any more for some *reason*."""
        self.lost = reason
        with self.lock:
            jobs = [*self.jobs.values()]
        for job in jobs:
            self.end(job, Failed(EngineError(reason)))
