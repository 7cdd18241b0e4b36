"""Training on a Ray cluster. Ray listens on all interfaces, so it runs in a network namespace."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from models import contents, run
from registries import sha256_of
from support import Built, ModelProject, interpreter_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMESPACES = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def _has_namespaces() -> bool:
    """Say whether this process may make what the tests need."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*_NAMESPACES, "true"], check=False, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not _has_namespaces(), reason="no network namespace can be made"),
]

_TRAIN = 'train = "search.main:train"'
_ADDRESS = "127.0.0.1:6399"
_MODEL_JSON = "search-1.0.dist-info/extra_metadata/model.json"
# All processes end with the one that the namespace of processes was made for.
_START = """
set -e
ip link set lo up
node() { ray start --num-cpus "${CPUS:-1}" "$@" --disable-usage-stats > /dev/null 2>&1; }
CPUS=$HEAD_CPUS node --head --node-ip-address 127.0.0.1 --port 6399 --include-dashboard false --temp-dir "$RAY_TMP"
"""


@dataclass(frozen=True)
class Namespace:
    """Where a cluster and builds on it run, from the beginning of a script to its end."""

    environment: Path
    temporary: Path

    def run(self, script: str, project: ModelProject, head_cpus: int = 1) -> str:
        """Start a head with *head_cpus* processors, run *script* in the folder of *project*, and give its output."""
        programs = interpreter_of(self.environment).parent
        backend = Path(__file__).parents[1] / "backend.py"
        return subprocess.run(
            [*_NAMESPACES, "bash", "-c", f"{_START}\nset +e\n{script}"],
            cwd=project.folder,
            env={
                **os.environ,
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "RAY_TMP": str(self.temporary),
                "HEAD_CPUS": str(head_cpus),
                "build": f"python {backend} wheel",
            },
            check=False,
            text=True,
            timeout=90,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ).stdout


@pytest.fixture
def namespace(engine_environment: Path) -> Iterator[Namespace]:
    # Ray's sockets are in this folder, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield Namespace(engine_environment, Path(folder))


@pytest.fixture
def search(tmp_path: Path) -> ModelProject:
    project = ModelProject.copy("search", tmp_path / "search")
    arguments = f'arguments = {{ log = "{tmp_path / "log"}" }}'
    project.replace("pyproject.toml", (_TRAIN, f"{_TRAIN}\n{arguments}"))
    return project


def on_ray(project: ModelProject, settings: str = "") -> None:
    parallel = f'parallel = {{ backend = "ray", address = "{_ADDRESS}"{settings} }}'
    project.replace("pyproject.toml", (_TRAIN, f"{_TRAIN}\n{parallel}"))


def _artifacts(wheel: Path) -> dict[str, str]:
    return {
        name.rpartition("/")[2]: sha256_of(content)
        for name, content in contents(wheel).items()
        if name.startswith("search/data/")
    }


def _built(out: Path, output: str) -> Built:
    return Built(out, subprocess.CompletedProcess((), 0, output))


def test_a_search_and_a_forest_run_on_the_nodes_and_the_model_is_the_same(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    local = _built(tmp_path / "local", namespace.run(f"$build {tmp_path / 'local'}", search))
    own = {*log.read_text("utf-8").split()}
    log.unlink()
    on_ray(search)
    steps = (search.folder / "src/search/steps.py").read_text("utf-8")
    changed_steps = steps.replace("{os.getpid()}", "{os.getpid()}-changed")
    (tmp_path / "changed.py").write_text(changed_steps, "utf-8")

    output = namespace.run(
        f"node --address {_ADDRESS}\n$build {tmp_path / 'dist'}\n"
        f"cp {tmp_path / 'changed.py'} src/search/steps.py; $build {tmp_path / 'again'}",
        search,
    )

    built = _built(tmp_path / "dist", output)
    assert _artifacts(built.wheel.path) == _artifacts(local.wheel.path)
    version = json.loads(built.wheel.read(_MODEL_JSON))["engine"]["version"]
    assert (
        f"hatch-model: training on Ray {version} at {_ADDRESS}: 2 nodes, 2 CPUs\n"
        f"hatch-model: warning: {_ADDRESS} is open to everybody on its network, who can run code on the "
        f"nodes and change the model\n"
    ) in output
    lines = log.read_text("utf-8").splitlines()
    # The best pipeline is fitted once more where the search was called.
    first, changed = lines[:19], lines[19:]
    assert (len(own), len({*first}), len(changed)) == (1, 3, 19)
    assert all(line.endswith("-changed") for line in changed)
    assert run("verify", built.wheel.path).code == 0
    assert f"engine        ray {version}" in run("inspect", built.wheel.path).out


def test_a_node_with_other_versions_is_refused_by_name(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    on_ray(search)

    output = namespace.run(
        f"PYTHONPATH={_other_numpy(tmp_path)} node --address {_ADDRESS}\n$build {tmp_path / 'dist'}",
        search,
    )

    assert re.search(
        rf"hatch-model: error: the Ray cluster at {_ADDRESS} is not the environment that the wheel will "
        rf"be pinned to:\n"
        rf"  node [0-9a-f]{{8}} \([\d.]+\): numpy: here \S+, there 1.0\n"
        rf"Install the same versions there, or lock the versions that it has.\n$",
        output,
    )
    assert not (tmp_path / "log").exists()


_SLOW = """
import os, time
from joblib import Parallel, delayed
from pathlib import Path

def wait(number, log):
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(1)
    return number

def train(log):
    assert Parallel()(delayed(wait)(n, log) for n in range(TASKS)) == [*range(TASKS)]
    return [0.5], {}
"""
_BEGUN = """
$build {out} > {out}.log 2>&1 & build_pid=$!
for i in $(seq 200); do test -s {log} && break; sleep 0.1; done
"""


def _begun(tmp_path: Path) -> str:
    return _BEGUN.format(out=tmp_path / "dist", log=tmp_path / "log")


def test_a_node_that_joins_is_checked_before_it_gets_work(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    search.write("src/search/main.py", _SLOW.replace("TASKS", "24"))
    on_ray(search)

    namespace.run(
        f"{_begun(tmp_path)}\n"
        f"PYTHONPATH={_other_numpy(tmp_path)} node --address {_ADDRESS} --node-name old\n"
        f"node --address {_ADDRESS} --node-name good\nwait $build_pid",
        search,
    )

    said = (tmp_path / "dist.log").read_text("utf-8")
    assert re.search(
        r"^hatch-model: warning: a node that has joined gets no work: node [0-9a-f]{8} \([\d.]+\): "
        r"numpy: here \S+, there 1.0$",
        said,
        re.MULTILINE,
    )
    assert "error" not in said
    # Ray keeps the process of the first node, and the node that joined has another.
    assert len({*(tmp_path / "log").read_text("utf-8").split()}) == 2


def _other_numpy(folder: Path) -> Path:
    """Make a folder that tells another version of numpy than the one that is installed."""
    info = folder / "other" / "numpy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: numpy\nVersion: 1.0\n", "utf-8")
    return info.parent


def test_a_worker_that_is_killed_changes_nothing(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    search.write("src/search/main.py", _SLOW.replace("TASKS", "4"))
    on_ray(search)

    output = namespace.run(
        f"{_begun(tmp_path)}\nkill -9 $(head -n 1 {tmp_path / 'log'})\nwait $build_pid; echo ended $?",
        search,
    )

    assert output.endswith("ended 0\n"), (tmp_path / "dist.log").read_text("utf-8")
    assert len({*(tmp_path / "log").read_text("utf-8").split()}) >= 2


def test_a_build_that_is_interrupted_leaves_no_task(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    search.write("src/search/main.py", _SLOW.replace("TASKS", "60"))
    on_ray(search)

    output = namespace.run(
        f"set -m\n{_begun(tmp_path)}\nkill -INT $build_pid; wait $build_pid; echo ended $?; sleep 5\n"
        f"kill -0 $(tail -n 1 {tmp_path / 'log'}) 2> /dev/null && echo a worker is left",
        search,
    )

    assert output.endswith("ended 130\n"), output


def test_a_build_ends_when_the_head_is_gone(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    search.write("src/search/main.py", _SLOW.replace("TASKS", "60"))
    on_ray(search, ", patience = 2")

    output = namespace.run(
        f"{_begun(tmp_path)}\nkill -9 $(pgrep gcs_server); wait $build_pid; echo ended $?", search
    )

    assert output.endswith("ended 1\n"), output
    said = (tmp_path / "dist.log").read_text("utf-8")
    assert said.rpartition("\nhatch-model: error: ")[2] == (
        "training failed: the process that ran search.main:train ended with exit code 1 before the "
        "function had returned. Ray ends a process that has lost its cluster. Look at the logs of Ray.\n"
    )


def test_a_build_ends_when_all_nodes_with_processors_are_gone(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    search.write("src/search/main.py", _SLOW.replace("TASKS", "60"))
    on_ray(search, ", patience = 2")

    output = namespace.run(
        f"node --address {_ADDRESS}\n{_begun(tmp_path)}\n"
        f"kill -9 $(pgrep -n raylet); wait $build_pid; echo ended $?",
        search,
        head_cpus=0,
    )

    assert output.endswith("ended 1\n"), output
    said = (tmp_path / "dist.log").read_text("utf-8")
    assert said.rpartition("\nhatch-model: error: ")[2] == (
        f"training failed: search.main:train lost the Ray cluster at {_ADDRESS}: no node was left for "
        f"2 s. Look at the logs of Ray.\n"
    )


# Training on a node


_WAITS = """
import os, time
from pathlib import Path

def train(output_dir, log):
    Path(log).write_text(f"{os.getpid()} {os.getppid()}")
    print("begun", flush=True)
    time.sleep(60)
"""


def test_training_on_a_node_makes_the_model_that_is_made_here(
    search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    (tmp_path / "of-node").mkdir()
    local = _built(tmp_path / "local", namespace.run(f"$build {tmp_path / 'local'}", search))
    on_ray(search, ", offload = true, resources = { CPU = 1, disk = 0.5 }")

    output = namespace.run(
        f"TMPDIR={tmp_path / 'of-node'} node --address {_ADDRESS} --resources '{{\"disk\": 1}}'\n"
        f"$build {tmp_path / 'dist'}\nls {tmp_path / 'of-node'}",
        search,
    )

    built = _built(tmp_path / "dist", output)
    assert _artifacts(built.wheel.path) == _artifacts(local.wheel.path)
    here, there = (json.loads(each.read(_MODEL_JSON)) for each in (local.wheel, built.wheel))
    assert there.pop("engine")["name"] == "ray"
    assert there == here
    assert "hatch-model-" not in output
    assert run("verify", built.wheel.path).code == 0


@pytest.mark.parametrize(
    ("victim", "code"),
    [
        # Ray takes a minute to notice.
        pytest.param("$(cut -d ' ' -f 2 LOG)", 1, id="its worker", marks=pytest.mark.nightly),
        pytest.param("-9 $(cut -d ' ' -f 1 LOG)", 1, id="training"),
        pytest.param("-9 $build_pid", 137, id="the build"),
    ],
)
def test_what_is_killed_leaves_nothing_on_the_node(
    victim: str, code: int, search: ModelProject, namespace: Namespace, tmp_path: Path
) -> None:
    search.write("src/search/main.py", _WAITS)
    on_ray(search, ", offload = true")
    (tmp_path / "of-node").mkdir()
    log = tmp_path / "log"

    output = namespace.run(
        f"TMPDIR={tmp_path / 'of-node'} node --address {_ADDRESS}\n{_begun(tmp_path)}\n"
        f"kill {victim.replace('LOG', str(log))}; wait $build_pid; echo ended $?\n"
        f"for i in $(seq 100); do ls {tmp_path / 'of-node'} | grep -q . || break; sleep 0.1; done\n"
        f"kill -0 $(cut -d ' ' -f 1 {log}) 2> /dev/null && echo training is left\n"
        f"ls {tmp_path / 'of-node'}",
        search,
        head_cpus=0,
    )

    assert output.endswith(f"ended {code}\n"), output
    error = (tmp_path / "dist.log").read_text("utf-8").rpartition("\nhatch-model: error: ")[2]
    if "build" not in victim:
        assert re.match(
            r"training failed: (search\.main:train lost its worker, node \w{8} \([\d.]+\) of the Ray "
            rf"cluster at {_ADDRESS}: .*Nothing is tried a second time"
            r"|the process that ran search\.main:train on node \w{8} \([\d.]+\) was killed by SIGKILL)",
            error,
        ), error


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:1",
            (
                ": no Ray head answered at 127.0.0.1:1 within 1 s ([Errno 111] Connection refused). Start "
                "it, or correct the address."
            ),
        ),
        (
            "ray://me:s3cret@127.0.0.1:1",
            (
                " is `ray://…@127.0.0.1:1`, but it has to be the host and the port of a Ray head, such as "
                "`127.0.0.1:6379`."
            ),
        ),
    ],
)
def test_an_address_that_is_of_no_use_is_told_at_once(
    address: str, message: str, search: ModelProject, engine_environment: Path, tmp_path: Path
) -> None:
    search.replace(
        "pyproject.toml", (_TRAIN, f'{_TRAIN}\nparallel = {{ backend = "ray", timeout = 1 }}')
    )
    python, backend = interpreter_of(engine_environment), Path(__file__).parents[1] / "backend.py"

    completed = subprocess.run(
        [python, backend, "wheel", tmp_path / "dist"],
        cwd=search.folder,
        env={**os.environ, "RAY_ADDRESS": address},
        check=False,
        capture_output=True,
        text=True,
    )

    assert completed.stderr.endswith(
        f"hatch-model: error: tool.hatch.build.hooks.model.parallel.address{message}\n"
    )
    assert "s3cret" not in completed.stdout + completed.stderr
