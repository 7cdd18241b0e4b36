"""What engines have in common, with a cluster that is a thread of this process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import joblib
import pytest

from hatch_model.engines.backend import (
    LARGE,
    ClusterBackend,
    Job,
    Members,
    call,
    counted,
    differing,
    name_of,
    other_versions,
    versions_here,
    within,
)
from hatch_model.engines.engine import running
from hatch_model.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized


class _Members(Members):
    def present(self) -> dict[str, int]:
        return {"one": 2, "two": 1}

    def differences(self, members: Sequence[str]) -> dict[str, list[str]]:
        return {member: [] for member in members}


class _Backend(ClusterBackend):
    """Runs each job in a thread of its own, or none of them."""

    def __init__(self, *, works: bool = True) -> None:
        super().__init__(_Members({"versions": {}}))
        self.members.check()
        self.works = works
        self.cancelled: list[Any] = []
        self.names: list[str] = []
        self.sent: list[Any] = []

    def start(self, job: Job, batch: bytes, data: Sequence[Any], workers: Sequence[str]) -> Any:
        self.names.append(name_of(job.batch))
        if self.works:
            threading.Thread(target=lambda: self.end(job, call(batch, *data))).start()
        return workers

    def put(self, argument: Any) -> Any:
        self.sent.append(argument)
        return argument

    def cancel(self, futures: Sequence[Any]) -> None:
        self.cancelled += futures


class Rows:
    """Data as large as it says, to which there can be weak references, as to arrays."""

    nbytes = LARGE

    def __len__(self) -> int:
        return self.nbytes


def add(number: int, data: Sized = (), *, more: bytes = b"") -> tuple[int, bytes]:
    return number + len(data), more


def fail(number: int) -> None:
    raise ValueError(number)


def nested(number: int) -> list[int]:
    results = joblib.Parallel()(joblib.delayed(abs)(-each) for each in range(number))
    return list(results)


def _parallel(backend: ClusterBackend, *calls: Any) -> Any:
    with joblib.parallel_config(backend=backend, n_jobs=-1):
        return joblib.Parallel()(calls)


def test_calls_run_elsewhere_and_come_back_in_their_order() -> None:
    backend, data = _Backend(), Rows()

    results = _parallel(
        backend,
        *(joblib.delayed(add)(number, data, more=b"cd") for number in range(9)),
        joblib.delayed(nested)(3),
    )

    assert results == [*((number + LARGE, b"cd") for number in range(9)), [0, 1, 2]]
    assert backend.jobs == {}
    assert {*backend.names} == {"add", "nested"}
    assert [each is data for each in backend.sent] == [True]


def test_an_error_is_raised_with_the_traceback_of_the_other_side() -> None:
    with pytest.raises(ValueError, match=r"^3$") as raised:
        _parallel(_Backend(), joblib.delayed(fail)(3))

    assert "in fail\n    raise ValueError(number)" in str(raised.value.__cause__)


def test_what_cannot_be_pickled_is_an_error() -> None:
    lock = threading.Lock()

    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        _parallel(_Backend(), joblib.delayed(id)(lock))


def test_a_cluster_that_is_lost_ends_all_calls() -> None:
    backend = _Backend(works=False)

    def lose() -> None:
        while len(backend.jobs) < 3:
            time.sleep(0.01)
        backend.fail("the cluster is gone")

    threading.Thread(target=lose).start()
    with pytest.raises(EngineError, match=r"^the cluster is gone$"):
        _parallel(backend, *(joblib.delayed(add)(number) for number in range(3)))

    assert (backend.lost, backend.jobs) == ("the cluster is gone", {})


def test_a_cluster_gets_work_unless_one_job_is_asked_for() -> None:
    backend = _Backend()

    wanted = [1, None, 2, 5, -1, -2, -9]
    assert [backend.effective_n_jobs(each) for each in wanted] == [1, 1, 2, 5, 3, 2, 2]


def test_how_far_a_search_is_is_said_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("hatch_model.engines.backend.time.monotonic", lambda: now[0])
    backend = _Backend()
    for seconds in (29.0, 31.0, 32.0, 62.0):
        _parallel(backend, joblib.delayed(add)(1), joblib.delayed(add)(2))
        now[0] = seconds
        backend.tell()
    now[0] = 100.0
    backend.tell()
    backend.tell()

    assert capsys.readouterr().out == "hatch-model: 4 tasks done\nhatch-model: 8 tasks done\n"


def test_versions_differ_by_name_and_a_local_version_only_if_it_is_pinned() -> None:
    found = {
        **versions_here(["joblib", "nothing-of-this-name"]),
        "numpy": "2.4.6",
        "torch": "2.5.1+cu124",
        "other": "1.0+cpu",
    }
    expected = {
        "joblib": joblib.__version__,
        "nothing-of-this-name": "1",
        "numpy": "2.5.5",
        "torch": "2.5.1",
        "other": "1.0+cu124",
    }

    assert differing("old", expected, found) == [
        "old: nothing-of-this-name: here 1, there nothing",
        "old: numpy: here 2.5.5, there 2.4.6",
        "old: other: here 1.0+cu124, there 1.0+cpu",
    ]
    (python, *_) = differing("old", {}, {"python": "2.7.18.final.0"})
    assert python.startswith("old: Python: here 3.") and python.endswith(", there 2.7")


def test_many_differences_are_counted() -> None:
    error = other_versions(
        {"backend": "dask", "address": "tcp://u:pw@h:1"}, [f"line {number}" for number in range(25)]
    )

    lines = str(error).splitlines()
    assert lines[0] == (
        "the Dask cluster at tcp://…@h:1 is not the environment that the wheel will be pinned to:"
    )
    assert lines[1:21] == [f"  line {number}" for number in range(20)]
    assert lines[21:] == [
        "  and 5 more",
        "Install the same versions there, or lock the versions that it has.",
    ]


def test_a_call_that_does_not_return_is_given_up() -> None:
    released = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            within(0.01, released.wait)
    finally:
        released.set()
    assert within(5, lambda: 3) == 3
    with pytest.raises(KeyError, match="gone"):
        within(5, lambda: {"here": 3}["gone"])


def test_numbers_are_counted() -> None:
    assert [counted(number, "worker") for number in (0, 1, 2)] == [
        "0 workers",
        "1 worker",
        "2 workers",
    ]


def test_threads_of_joblib_are_an_engine_too() -> None:
    with running({"backend": "threading", "n_jobs": 2}):
        assert joblib.effective_n_jobs() == 2
