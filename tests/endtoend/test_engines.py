"""Training on a Dask cluster: where joblib's tasks run, what is refused, and that nothing stays there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT
from clusters import TRAIN, Cluster, error_of, on, wait_for
from models import contents, run
from registries import sha256_of
from support import ModelProject, interpreter_of, special

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.name == "nt", reason="clusters are ended with POSIX's signals"),
]

_PAGE = (CHECKOUT / "docs/engines.md").read_text("utf-8")
_EMPTY = {"tasks": [], "plugins": [], "processing": 0, "clients": 0}


@pytest.fixture(scope="module")
def two_workers(
    engine_environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster that all tests share that do no harm to it."""
    with closing(Cluster(engine_environment, tmp_path_factory.mktemp("cluster"))) as cluster:
        cluster.start()
        cluster.add("one")
        cluster.add("two")
        yield cluster


@pytest.fixture
def cluster(engine_environment: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler of the test's own, without workers."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    with closing(Cluster(engine_environment, folder)) as cluster:
        cluster.start()
        yield cluster


def log_of(project: ModelProject) -> Path:
    """Have the training function be told of a file that tasks write to."""
    log = project.folder.parent / "log"
    project.replace("pyproject.toml", (TRAIN, f'{TRAIN}\narguments = {{ log = "{log}" }}'))
    return log


# Where tasks run


def test_a_search_and_a_forest_run_on_the_workers_and_the_model_is_the_same(
    search: ModelProject, two_workers: Cluster
) -> None:
    log = log_of(search)
    local = two_workers.build(search, "local")
    log.unlink()

    built = two_workers.build(on(search, two_workers))

    assert built.wheel.read(_MODEL_JSON) != local.wheel.read(_MODEL_JSON)
    assert _artifacts(built.wheel.path) == _artifacts(local.wheel.path)
    lines = log.read_text("utf-8").split()
    pids = {str(two_workers.pid("one")), str(two_workers.pid("two"))}
    # The best pipeline is fitted once more where the search was called.
    assert (len(lines), {*lines[:-1]} == pids, lines[-1] in pids) == (19, True, False)
    state = two_workers.state()
    assert {"fit_and_score", "parallel_build_trees"} <= {*state["kinds"]}
    address = re.escape(two_workers.address)
    version = json.loads(built.wheel.read(_MODEL_JSON))["engine"]["version"]
    assert re.search(
        rf"^hatch-model: training with search.main:train\n"
        rf"hatch-model: training on Dask {version} at {address}: 2 workers, 2 threads, dashboard "
        rf"http://127.0.0.1:\d+/status\n"
        rf"hatch-model: warning: {address} is not protected by TLS: everybody on its network can run "
        rf"code on the scheduler and the workers, and change the model\n"
        rf"hatch-model: metric  value\n",
        special(built.output),
        re.MULTILINE,
    )
    assert run("verify", built.wheel.path).code == 0
    assert f"engine        dask {version}" in run("inspect", built.wheel.path).out


_MODEL_JSON = "search-1.0.dist-info/extra_metadata/model.json"


def _artifacts(wheel: Path) -> dict[str, str]:
    return {
        name.rpartition("/")[2]: sha256_of(content)
        for name, content in contents(wheel).items()
        if name.startswith("search/data/")
    }


def _is_clean(cluster: Cluster) -> bool:
    state = cluster.state()
    own = [(each["path"], each["files"], each["modules"]) for each in state["workers"].values()]
    return {key: state[key] for key in _EMPTY} == _EMPTY and own == [([], [], [])] * len(own)


def test_nothing_stays_on_the_cluster(search: ModelProject, two_workers: Cluster) -> None:
    two_workers.build(on(search, two_workers))

    assert _is_clean(two_workers)


_TELLS = """
from joblib import Parallel, delayed
from search import steps

def train():
    print(Parallel()(delayed(steps.version)() for _ in range(4)))
    return [0.5], {}
"""


def test_changed_code_is_used_at_once_on_the_same_cluster(
    search: ModelProject, two_workers: Cluster
) -> None:
    on(search, two_workers, _TELLS)
    outputs = []
    for version in range(2):
        search.write("src/search/steps.py", f"def version(): return {version}\n")
        outputs.append(two_workers.build(search).output)

    assert ["[0, 0, 0, 0]" in outputs[0], "[1, 1, 1, 1]" in outputs[1]] == [True, True]


def test_a_cluster_of_one_thread_gets_the_tasks(search: ModelProject, cluster: Cluster) -> None:
    cluster.add("only")
    main = _TELLS.replace("_ in range(4)", "_ in range(1)")
    search.write("src/search/steps.py", "import os\ndef version(): return os.getpid()\n")

    built = cluster.build(on(search, cluster, main))

    assert f"[{cluster.pid('only')}]\n" in built.output


# Versions


def test_workers_with_other_versions_are_refused_by_name(
    search: ModelProject, cluster: Cluster
) -> None:
    cluster.add("good")
    cluster.add("old", PYTHONPATH=_other_versions(cluster.folder))
    log = log_of(search)

    built = cluster.build(on(search, cluster))

    old = re.search(r"old \((tcp://[\d.:]+)\)", built.output)
    assert old is not None
    here = _versions(cluster)
    (quoted,) = re.findall(r"^hatch-model: error: (.*?)\n```", _PAGE, re.MULTILINE | re.DOTALL)
    expected = quoted.replace("tcp://127.0.0.1:8786", cluster.address)
    expected = expected.replace("tcp://127.0.0.1:40123", old[1])
    expected = expected.replace("2.5.5, there 2.4.6", f"{here['numpy']}, there 1.0")
    more = f"  {old[0]}: threadpoolctl: here {here['threadpoolctl']}, there 0.1\n"
    assert error_of(built.output) == expected.replace("Install", f"{more}Install")
    assert not log.exists()


def _other_versions(folder: Path) -> str:
    """Give a folder that tells other versions of two distributions than those that are installed."""
    for name, version in (("numpy", "1.0"), ("threadpoolctl", "0.1")):
        info = folder / "other" / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n", "utf-8")
    return str(folder / "other")


def _versions(cluster: Cluster) -> dict[str, str]:
    source = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({each.name: each.version for each in m.distributions()}))"
    )
    command = [str(interpreter_of(cluster.environment)), "-c", source]
    found: dict[str, str] = json.loads(subprocess.check_output(command))
    return found


_SLOW = """
import os, time
import numpy
from joblib import Parallel, delayed
from pathlib import Path

def wait(number, log, seconds, data):
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(seconds)
    return number + data.sum()

def train(log):
    # Large enough to be sent ahead of the tasks.
    data = numpy.arange(100_000)
    parallel = Parallel(pre_dispatch=2)
    sums = parallel(delayed(wait)(n, log, SECONDS, data=data) for n in range(TASKS))
    assert sums == [n + data.sum() for n in range(TASKS)]
    return [0.5], {}
"""


def _slow(seconds: float, tasks: int) -> str:
    return _SLOW.replace("SECONDS", str(seconds)).replace("TASKS", str(tasks))


def test_a_worker_that_joins_is_checked_before_it_gets_work(
    search: ModelProject, cluster: Cluster
) -> None:
    cluster.add("first")
    log = log_of(search)
    on(search, cluster, _slow(0.5, 20))

    with cluster.building(search, log.exists) as process:
        cluster.add("old", PYTHONPATH=_other_versions(cluster.folder))
        cluster.add("good")
        output, _ = process.communicate()

    assert process.returncode == 0
    assert re.search(
        r"^hatch-model: warning: a worker that has joined gets no work: old \(tcp://[\d.:]+\): "
        r"numpy: here \S+, there 1.0; old \(tcp://[\d.:]+\): threadpoolctl: here \S+, there 0.1$",
        output,
        re.MULTILINE,
    )
    assert {*log.read_text("utf-8").split()} == {
        str(cluster.pid("first")),
        str(cluster.pid("good")),
    }


# What happens to a cluster


def test_a_second_build_of_the_project_is_refused(
    search: ModelProject, two_workers: Cluster, tmp_path: Path
) -> None:
    log = log_of(search)
    on(search, two_workers, _slow(0.5, 12))
    other = ModelProject.copy("search", tmp_path / "other" / "search")

    with two_workers.building(search, log.exists) as process:
        built = two_workers.build(on(other, two_workers))
        process.communicate()

    assert error_of(built.output) == (
        f"tool.hatch.build.hooks.model.parallel.address: another build is training with `search` on the "
        f"Dask cluster at {two_workers.address}. Build again when it has ended, or on another cluster."
    )
    assert process.returncode == 0
    assert _is_clean(two_workers)


def test_a_worker_that_is_killed_changes_nothing(search: ModelProject, cluster: Cluster) -> None:
    cluster.add("one")
    cluster.add("two")
    log = log_of(search)
    on(search, cluster, _slow(0.5, 8))

    with cluster.building(search, log.exists) as process:
        cluster.kill("one")
        output, _ = process.communicate()

    assert (process.returncode, "error" in output) == (0, False), output
    assert str(cluster.pid("two")) in log.read_text("utf-8").split()


def test_workers_that_come_back_take_over(search: ModelProject, cluster: Cluster) -> None:
    cluster.add("one")
    log = log_of(search)
    on(search, cluster, _slow(0.5, 8))

    with cluster.building(search, log.exists) as process:
        cluster.kill("one")
        cluster.add("two")
        output, _ = process.communicate()

    assert (process.returncode, "error" in output) == (0, False), output
    assert str(cluster.pid("two")) in log.read_text("utf-8").split()


_LOST = "training failed: search.main:train lost the Dask cluster at {address}: {reason}. Look at the output of the scheduler and of the workers."


def test_a_build_ends_when_all_workers_are_gone(search: ModelProject, cluster: Cluster) -> None:
    cluster.add("one")
    log = log_of(search)
    on(search, cluster, _slow(60, 8), ", patience = 1")

    with cluster.building(search, log.exists) as process:
        cluster.kill("one")
        output, _ = process.communicate(timeout=10)

    assert process.returncode == 1
    assert "Traceback" not in output, output
    assert error_of(output) == _LOST.format(
        address=cluster.address, reason="no worker was left for 1 s"
    )


def test_a_build_ends_when_the_scheduler_is_gone(search: ModelProject, cluster: Cluster) -> None:
    cluster.add("one")
    log = log_of(search)
    on(search, cluster, _slow(60, 8))

    with cluster.building(search, log.exists) as process:
        cluster.kill("scheduler")
        output, _ = process.communicate(timeout=15)

    assert process.returncode == 1
    assert "Traceback" not in output, output
    assert error_of(output) == _LOST.format(
        address=cluster.address, reason="the connection to the scheduler was lost"
    )


def test_a_build_ends_when_the_scheduler_hangs(search: ModelProject, cluster: Cluster) -> None:
    cluster.add("one")
    log = log_of(search)
    on(search, cluster, _slow(60, 8), ", patience = 1")

    with cluster.building(search, log.exists) as process:
        os.kill(cluster.pid("scheduler"), signal.SIGSTOP)
        output, _ = process.communicate(timeout=25)

    assert process.returncode == 1
    assert "Traceback" not in output, output
    assert error_of(output) == _LOST.format(
        address=cluster.address, reason="the scheduler did not answer for 1 s"
    )


def test_a_task_that_cannot_be_loaded_on_a_worker_fails_the_build(
    search: ModelProject, two_workers: Cluster
) -> None:
    search.write("tools/helpers.py", "def help_out(): return 1\n")
    main = _TELLS.replace("from search import steps", "import helpers").replace(
        "steps.version", "helpers.help_out"
    )
    on(search, two_workers, main)
    search.replace("pyproject.toml", (TRAIN, f'{TRAIN}\npython-path = ["tools", "src"]'))

    built = two_workers.build(search)

    assert error_of(built.output).startswith(
        "training failed: search.main:train raised ModuleNotFoundError: No module named 'helpers'"
    )
    assert _is_clean(two_workers)


def test_an_error_in_a_task_is_raised_in_training_with_its_traceback(
    search: ModelProject, two_workers: Cluster
) -> None:
    search.write("src/search/steps.py", "def version(): raise ValueError('no version')\n")

    built = two_workers.build(on(search, two_workers, _TELLS))

    assert error_of(built.output) == (
        "training failed: search.main:train raised ValueError: no version"
    )
    assert "def version(): raise ValueError('no version')" in built.output


@pytest.mark.parametrize(("end", "code"), [("SIGINT", 130), ("SIGKILL", -9)])
def test_a_build_that_is_stopped_leaves_nothing_on_the_cluster(
    end: str, code: int, search: ModelProject, two_workers: Cluster
) -> None:
    log = log_of(search)
    on(search, two_workers, _slow(1, 30))

    with two_workers.building(search, log.exists) as process:
        os.kill(process.pid, signal.Signals[end])
        process.communicate(timeout=5)
        assert process.returncode == code

    wait_for(lambda: _is_clean(two_workers), 10)
    # Dask cannot interrupt a task: those of the two threads have ended, and no other has begun.
    assert len(log.read_text("utf-8").split()) <= 4


# Security


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_tls_is_taken_from_the_configuration_of_dask(
    search: ModelProject, engine_environment: Path, tmp_path: Path
) -> None:
    cluster = Cluster(engine_environment, tmp_path, options=("--protocol", "tls"))
    cluster.variables.update(_tls(tmp_path))
    on(search, cluster, _TELLS)
    search.write("src/search/steps.py", "def version(): return 1\n")
    try:
        cluster.start()
        cluster.add("one")
        address = {"DASK_SCHEDULER_ADDRESS": cluster.address}
        search.replace("pyproject.toml", (', address = ""', ", timeout = 1"))
        built = cluster.build(search, **address)
        cluster.variables["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"] = _tls(tmp_path / "other")[_CA]
        refused = cluster.build(search, "refused", **address)
    finally:
        cluster.close()

    assert cluster.address.startswith("tls://127.0.0.1:")
    assert f" at {cluster.address}: 1 worker, 1 thread" in built.output
    assert "TLS" not in built.output
    assert "[1, 1, 1, 1]" in built.output
    assert f"no Dask scheduler answered at {cluster.address} within 1 s" in error_of(refused.output)


_CA = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE"


def _tls(folder: Path) -> dict[str, str]:
    """Make a CA and a certificate of it, and give the configuration that uses them."""
    folder.mkdir(exist_ok=True)
    request = ("openssl", "req", "-newkey", "rsa:2048", "-nodes")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "2", "-days", "2")
    for command in (
        (
            *request,
            "-x509",
            "-subj",
            "/CN=A CA",
            "-days",
            "2",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ),
        (*request, "-subj", "/CN=127.0.0.1", "-keyout", "own.key", "-out", "own.csr"),
        ("openssl", "x509", "-req", "-in", "own.csr", *sign, "-out", "own.pem"),
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    roles = {f"{prefix}{role}__CERT": "own.pem" for role in ("CLIENT", "SCHEDULER", "WORKER")}
    files = {**roles, **{name.replace("__CERT", "__KEY"): "own.key" for name in roles}}
    return {name: str(folder / file) for name, file in {_CA: "ca.pem", **files}.items()}


# The address


def test_nothing_at_the_address_is_told_in_time_and_without_its_password(
    search: ModelProject, two_workers: Cluster
) -> None:
    search.replace(
        "pyproject.toml", (TRAIN, f'{TRAIN}\nparallel = {{ backend = "dask", timeout = 1 }}')
    )
    address = "tcp://me:s3cret@127.0.0.1:1"

    built = two_workers.build(search, DASK_SCHEDULER_ADDRESS=address)

    assert error_of(built.output) == (
        "tool.hatch.build.hooks.model.parallel.address: no Dask scheduler answered at "
        "tcp://…@127.0.0.1:1 within 1 s. Start it, or correct the address."
    )
    assert "s3cret" not in built.output


def test_a_server_that_says_nothing_is_given_up_in_time(
    search: ModelProject, two_workers: Cluster
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = Cluster(
            two_workers.environment, two_workers.folder, address=f"tcp://127.0.0.1:{port}"
        )
        built = two_workers.build(on(search, silent, settings=", timeout = 1"))

    assert error_of(built.output) == (
        f"tool.hatch.build.hooks.model.parallel.address: no Dask scheduler answered at {silent.address} "
        f"within 1 s. Start it, or correct the address."
    )


def test_a_cluster_without_workers_is_told_in_time(search: ModelProject, cluster: Cluster) -> None:
    built = cluster.build(on(search, cluster, settings=", timeout = 1"))

    assert error_of(built.output) == (
        f"tool.hatch.build.hooks.model.parallel.address: the Dask scheduler at {cluster.address} has no "
        f"workers, and none joined within 1 s. Start workers: `dask worker {cluster.address}`."
    )
