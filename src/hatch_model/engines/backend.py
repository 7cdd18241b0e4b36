"""What clusters' engines have in common: joblib's interface, and the comparison of versions.

joblib hands out batches of function calls, and waits until each has called back. A batch travels as bytes,
which only the process that runs it unpacks.
"""

from __future__ import annotations

import queue
import sys
import threading
import traceback
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any

import cloudpickle
import joblib
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, ThreadingBackend

from hatch_model.errors import EngineError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LARGE = 1 << 16
"""Bytes of an argument that is sent once to each worker, rather than with each task."""
MOST_ATTEMPTS = 3
"""How often a job is sent, as its workers were all lost."""
_MOST_DIFFERENCES = 20


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Call in a thread, since engines wait forever for a server that accepts a connection and is silent."""
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


def other_versions(engine: str, address: str, lines: Sequence[str]) -> EngineError:
    """Return the error for a cluster that differs as *lines* say."""
    more = len(lines) - _MOST_DIFFERENCES
    shown = "".join(f"\n  {line}" for line in lines[:_MOST_DIFFERENCES])
    return EngineError(
        f"the {engine} cluster at {printable(address)} is not the environment that the wheel will be "
        f"pinned to:{shown}"
        + (f"\n  and {more} more" if more > 0 else "")
        + "\nInstall the same versions there, or lock the versions that it has."
    )


def versions_here(names: Sequence[str]) -> dict[str, str | None]:
    """Return the versions of the distributions *names*, and of Python, as :func:`differing` takes them."""
    found: dict[str, str | None] = {"python": ".".join(map(str, sys.version_info))}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


# joblib's interface


def call(batch: bytes, *data: Any) -> bytes:
    """Call the functions of *batch*, which the other side packed, and return a pickled outcome.

    It is a pair: whether all of them returned, and either their results, or the error with its traceback.
    Whatever fails, fails here, where it is told: also that a module cannot be imported.
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


class ClusterBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc] # joblib has no types
    """joblib's interface to a cluster.

    Each job ends with a call of its callback, whatever happens to the cluster: joblib waits for that.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1
    MIN_IDEAL_BATCH_DURATION = 0.2
    MAX_IDEAL_BATCH_DURATION = 1.0

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.options = options
        self.jobs: dict[int, Job] = {}
        """Those that have not ended."""
        self.lock = threading.RLock()
        self.lost = ""
        """Why the cluster is of no use any more."""

    # What an engine does

    def threads(self) -> int:
        """Return how many tasks the cluster runs at the same time."""
        raise NotImplementedError

    def send(self, job: Job) -> None:
        """Send *job*. Raises nothing."""
        raise NotImplementedError

    def sent_ahead(self, argument: Any) -> Any:
        """Return what stands for *argument*, if it is sent separately, or None."""
        raise NotImplementedError

    def cancel(self, futures: Sequence[Any]) -> None:
        raise NotImplementedError

    # What joblib calls

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        if n_jobs == 1 or n_jobs is None:
            return 1
        # With 1, joblib would do it all in this process.
        return max(2, n_jobs if n_jobs > 0 else self.threads() + 1 + n_jobs)

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

    # What engines call

    def packed(self, batch: Any) -> tuple[bytes, list[Any]]:
        """Return *batch* as :func:`call` takes it: pickled, with large arguments sent ahead."""
        items: list[Any] = []
        data: list[Any] = []
        for function, args, kwargs in batch.items:
            given: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
            places = {}
            for place, argument in given.items():
                future = self.sent_ahead(argument)
                if future is not None:
                    places[place] = len(data)
                    data.append(future)
            items.append((function, {**given, **dict.fromkeys(places)}, places))
        return cloudpickle.dumps((items, *self.get_nested_backend())), data

    def failed(self, job: Job, error: BaseException) -> None:
        """End *job*, which could not be sent: joblib expects the callback only after that."""
        threading.Thread(target=self.end, args=(job, Failed(error))).start()

    def end(self, job: Job, out: Any) -> None:
        with self.lock:
            is_expected = self.jobs.pop(id(job), None) is not None
        if is_expected:
            job.callback(out)

    def fail(self, reason: str) -> None:
        """End all jobs, as the cluster is of no use any more for some *reason*."""
        self.lost = reason
        with self.lock:
            jobs = [*self.jobs.values()]
        for job in jobs:
            self.end(job, Failed(EngineError(reason)))
