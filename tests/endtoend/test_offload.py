"""Training on a worker of a Dask cluster: what it gets, what comes home, and that nothing stays there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clusters import TRAIN, Cluster, error_of, on, wait_for
from models import contents, run
from support import ModelProject, is_running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.name == "nt", reason="clusters are ended with POSIX's signals"),
]


@pytest.fixture(scope="module")
def two_workers(
    engine_environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster that all tests share that do no harm to it; one worker has what the other has not."""
    with closing(Cluster(engine_environment, tmp_path_factory.mktemp("cluster"))) as cluster:
        cluster.start()
        cluster.add("plain")
        cluster.add("gpu", "--no-nanny", "--resources", "GPU=1")
        yield cluster


@pytest.fixture
def cluster(engine_environment: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of the test's own, with one worker that is started again whenever it ends."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    with closing(Cluster(engine_environment, folder)) as cluster:
        cluster.start()
        cluster.add("one", "--nanny")
        yield cluster


def offloaded(
    project: ModelProject, cluster: Cluster, main: str | None = None, settings: str = ""
) -> ModelProject:
    return on(project, cluster, main, f", offload = true{settings}")


def left_on(cluster: Cluster) -> list[str]:
    """Give what builds have left in the workers' folders, and on the scheduler."""
    state = cluster.state()
    return [
        *(str(each) for each in cluster.folder.rglob("hatch-model-*")),
        *(each for each in state["tasks"]),
        *(each for each in state["plugins"]),
    ]


# What it gets, and what comes home


def test_the_model_is_the_one_that_is_trained_here(
    search: ModelProject, two_workers: Cluster
) -> None:
    local = contents(two_workers.build(search, "local").wheel.path)

    built = two_workers.build(offloaded(search, two_workers))

    changed = {name for name, held in contents(built.wheel.path).items() if local[name] != held}
    assert changed == {
        "search-1.0.dist-info/extra_metadata/model.json",
        "search-1.0.dist-info/RECORD",
    }
    here, there = (
        json.loads(each["search-1.0.dist-info/extra_metadata/model.json"])
        for each in (local, contents(built.wheel.path))
    )
    assert there.pop("engine")["name"] == "dask"
    assert there == here
    assert run("verify", built.wheel.path).code == 0
    assert left_on(two_workers) == []


_SCRIPT = """
import json, os, pickle, sys
from pathlib import Path

class Model: pass

if __name__ == "__main__":
    output, report = (Path(os.environ[f"HATCH_MODEL_{name}_DIR"]) for name in ("OUTPUT", "REPORT"))
    (output / "argv").write_text(json.dumps(sys.argv))
    (report / "metrics.json").write_text('{"accuracy": 0.5}')
    print("on", os.getcwd())
    if "--refers" in sys.argv:
        pickle.dump(Model(), (output / "model.pkl").open("wb"))
"""


def scripted(project: ModelProject, cluster: Cluster, arguments: str) -> ModelProject:
    """Have a script train on a worker of *cluster*, which the sdist's own selection leaves out."""
    offloaded(project, cluster)
    settings = f'train = "jobs/train.py"\narguments = {arguments}'
    project.replace("pyproject.toml", (TRAIN, settings))
    file = project.folder / "pyproject.toml"
    only = '\n[tool.hatch.build.targets.sdist]\nonly-include = ["src"]\n'
    file.write_text(file.read_text() + only)
    project.write("jobs/train.py", _SCRIPT)
    return project


def test_a_script_runs_there_and_what_it_was_told_to_write_comes_home(
    search: ModelProject, two_workers: Cluster
) -> None:
    built = two_workers.build(scripted(search, two_workers, "{ depth = 3 }"))

    held = contents(built.wheel.path)
    assert held["search/data/argv"] == b'["jobs/train.py", "--depth", "3"]'
    record = json.loads(held["search-1.0.dist-info/extra_metadata/model.json"])
    assert (record["training"]["entry_point"], record["metrics"]) == (
        "jobs/train.py",
        {"accuracy": 0.5},
    )
    (folder,) = re.findall(r"^on (.+)$", built.output, re.MULTILINE)
    assert Path(folder).is_relative_to(two_workers.folder)
    assert left_on(two_workers) == []


def test_a_pickle_of_what_a_script_defines_there_is_refused_here(
    search: ModelProject, two_workers: Cluster
) -> None:
    built = two_workers.build(scripted(search, two_workers, "{ refers = true }"))

    assert error_of(built.output).startswith(
        "jobs/train.py wrote `model.pkl`, which refers to `__main__.Model`."
    )


_LOOKS = """
import json, os, sys
from pathlib import Path
from joblib import Parallel, delayed
from helpers import answer
from search import steps

def train(output_dir, report_dir, depth):
    print("rows", Path("data/rows.csv").read_text(), Path("ignored/more.csv").read_text())
    places = Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(4))
    seen = {
        "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgrp(), "depth": depth,
        "cwd": os.getcwd(), "answer": answer(), "argv": sys.argv[1:], "stdin": sys.stdin.read(),
        "own": os.getpid() in places, "steps": steps.__name__,
        "variables": {name: os.environ.get(name) for name in
            ("PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "LEVEL", "SECRET")},
    }
    (output_dir / "deep").mkdir()
    (output_dir / "deep/weights.bin").write_bytes(bytes(range(256)) * (1 << 16))
    (output_dir / "empty.bin").write_bytes(b"")
    program = output_dir / "run.sh"
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    (report_dir / "seen.json").write_text(json.dumps(seen))
    return {"accuracy": 0.5}
"""


def test_training_has_the_projects_files_and_only_its_own_variables(
    search: ModelProject, two_workers: Cluster
) -> None:
    offloaded(search, two_workers, _LOOKS)
    settings = (
        'inputs = ["data/*.csv", "ignored/*.csv"]\narguments = { depth = 3 }\n'
        'python-path = ["src", "lib"]\nenvironment = { LEVEL = "9" }\n'
    )
    search.replace("pyproject.toml", (TRAIN, f"{settings}{TRAIN}"))
    search.write("data/rows.csv", "1,2")
    search.write(".gitignore", "ignored/")
    search.write("ignored/more.csv", "3,4")
    search.write("lib/helpers.py", "def answer(): return 42\n")

    built = two_workers.build(search, SECRET="of the build", HATCH_MODEL_CACHE_DIR="off")

    assert "hatch-model: training with search.main:train\n" in built.output
    assert "\nrows 1,2 3,4\n" in built.output
    held = contents(built.wheel.path)
    assert held["search/data/deep/weights.bin"] == bytes(range(256)) * (1 << 16)
    assert held["search/data/empty.bin"] == b""
    with zipfile.ZipFile(built.wheel.path) as archive:
        assert archive.getinfo("search/data/run.sh").external_attr >> 16 & 0o111
    seen = json.loads(held["search-1.0.dist-info/extra_metadata/report/seen.json"])
    assert seen["parent"] == two_workers.pid("plain") or seen["parent"] == two_workers.pid("gpu")
    assert Path(seen["cwd"]).is_relative_to(two_workers.folder)
    assert seen["group"] == seen["pid"]
    assert (seen["depth"], seen["answer"], seen["argv"], seen["stdin"]) == (3, 42, [], "")
    assert (seen["own"], seen["steps"]) == (False, "search.steps")
    variables = seen["variables"]
    assert (variables["PYTHONHASHSEED"], variables["LEVEL"]) == ("0", "9")
    assert variables["SOURCE_DATE_EPOCH"].isdigit() and variables["SECRET"] is None
    assert left_on(two_workers) == []


_PACED = """
import sys, time
from pathlib import Path

def train(output_dir, flag):
    with open(f"{flag}.runs", "a") as runs:
        runs.write("run")
    print("begun", flush=True)
    sys.stderr.write("50%\\r100%\\n")
    while not Path(flag).exists():
        time.sleep(0.02)
    output_dir.joinpath("model.bin").write_bytes(b"1")
    print("done")
"""


def paced(project: ModelProject, cluster: Cluster, settings: str = "") -> Path:
    """Have training wait for the file whose path is returned."""
    flag = project.folder.parent / "flag"
    offloaded(project, cluster, _PACED, settings)
    project.replace("pyproject.toml", (TRAIN, f'{TRAIN}\narguments = {{ flag = "{flag}" }}'))
    return flag


def test_lines_are_shown_as_they_come(search: ModelProject, two_workers: Cluster) -> None:
    flag = paced(search, two_workers)
    with two_workers.building(search, until=lambda: True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "100%\n":
            lines.append(process.stdout.readline())
            assert lines[-1]
        flag.touch()
        rest, _ = process.communicate()

    assert "begun\n" in lines
    assert rest.startswith("done\n")
    assert process.returncode == 0


def test_the_worker_has_the_resources(search: ModelProject, two_workers: Cluster) -> None:
    main = "import os\ndef train(output_dir): (output_dir / 'pid').write_text(str(os.getppid()))\n"
    offloaded(search, two_workers, main, ", resources = { GPU = 1 }")

    built = two_workers.build(search)

    assert built.wheel.read("search/data/pid") == str(two_workers.pid("gpu"))


# What ends it


def test_resources_that_no_worker_has_are_named(search: ModelProject, two_workers: Cluster) -> None:
    offloaded(search, two_workers, settings=", resources = { GPU = 2, disk = 0.5 }")

    built = two_workers.build(search)

    assert error_of(built.output) == (
        "tool.hatch.build.hooks.model.parallel.resources asks for GPU = 2, disk = 0.5, which no worker of "
        f"the Dask cluster at {two_workers.address} has. Start one with `dask worker --resources`, or "
        "ask for less."
    )
    assert [*built.out.glob("*")] == []


def test_a_cluster_without_a_free_worker_is_given_up(
    search: ModelProject, cluster: Cluster, tmp_path: Path
) -> None:
    flag = paced(search, cluster, ", patience = 2")
    other = ModelProject.copy("search", tmp_path / "other")
    offloaded(other, cluster, settings=", patience = 2")
    with cluster.building(search, until=lambda: list(cluster.folder.rglob("group"))) as process:
        built = cluster.build(other, "waiting")
        flag.touch()
        output, _ = process.communicate()

    assert error_of(built.output) == (
        f"tool.hatch.build.hooks.model.parallel.offload: no worker of the Dask cluster at "
        f"{cluster.address} was free within 2 s. Build again later, or set "
        f"tool.hatch.build.hooks.model.parallel.patience to more."
    )
    assert (process.returncode, "done\n" in output) == (0, True)
    assert left_on(cluster) == []


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (
            "def train(): ...",
            (
                "tool.hatch.build.hooks.model.parallel.offload: search.main:train does not take `output_dir`, "
                "so what it writes on a worker would be lost. Give it that parameter, and have it write the "
                "model there."
            ),
        ),
        (
            "def train(output_dir): raise ValueError('no rows')",
            "training failed: search.main:train raised ValueError: no rows",
        ),
        (
            "import sys\ndef train(output_dir): sys.exit(3)",
            (
                "training failed: search.main:train called sys.exit(3). Return from the function when it is "
                "done, and raise an exception if it fails."
            ),
        ),
        (
            "import os\ndef train(output_dir): os.kill(os.getpid(), 9)",
            (
                "training failed: the process that ran search.main:train on WORKER was killed by SIGKILL "
                "before the function had returned. SIGKILL often means that the worker ran out of memory."
            ),
        ),
        (
            "def train(output_dir): (output_dir / 'link').symlink_to('/nowhere')",
            None,
        ),
        ("def train(output_dir): ...", None),
    ],
)
def test_what_training_does_wrong_is_told_as_it_is_here(
    main: str, message: str | None, search: ModelProject, two_workers: Cluster
) -> None:
    local = None
    if message is None:
        search.write("src/search/main.py", main)
        local = error_of(two_workers.build(search, "local").output)

    built = two_workers.build(offloaded(search, two_workers, main))

    worker = r"(?:plain|gpu) \(tcp://[\d.:]+\)"
    assert re.sub(worker, "WORKER", error_of(built.output)) == (message or local)
    assert [*built.out.glob("*")] == []
    assert left_on(two_workers) == []


def test_the_traceback_names_the_users_file(search: ModelProject, two_workers: Cluster) -> None:
    built = two_workers.build(offloaded(search, two_workers, "def train(output_dir):\n    1 / 0\n"))

    assert 'src/search/main.py", line 2, in train\n' in built.output
    assert "call.py" not in built.output


def test_a_worker_that_dies_ends_the_build_and_nothing_is_tried_again(
    search: ModelProject, cluster: Cluster
) -> None:
    runs = Path(f"{paced(search, cluster)}.runs")
    with cluster.building(search, until=runs.exists) as process:
        (group,) = cluster.folder.rglob("group")
        training = int(group.read_text("utf-8"))
        os.kill(_parent_of(training), signal.SIGKILL)
        output, _ = process.communicate()

    assert re.fullmatch(
        r"training failed: search\.main:train lost its worker, one \(tcp://[\d.:]+\) of the Dask cluster "
        rf"at {re.escape(cluster.address)}: .+\. Nothing is tried a second time\. Look at the worker's "
        r"output, and build again\.",
        error_of(output),
    )
    wait_for(lambda: not is_running(training))
    wait_for(lambda: left_on(cluster) == [])
    assert runs.read_text("utf-8") == "run"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_stopped_leaves_nothing(
    end: signal.Signals, search: ModelProject, two_workers: Cluster
) -> None:
    paced(search, two_workers)
    folder = two_workers.folder
    with two_workers.building(search, until=lambda: list(folder.rglob("group"))) as process:
        (group,) = folder.rglob("group")
        training = int(group.read_text("utf-8"))
        process.send_signal(end)
        process.communicate()

    assert process.returncode != 0
    wait_for(lambda: not is_running(training))
    wait_for(lambda: left_on(two_workers) == [])
    assert [*(search.folder.parent / "dist").glob("*")] == []


def test_another_python_is_refused(search: ModelProject, cluster: Cluster) -> None:
    """As the wheel's record says which one trained; here, the worker only says that it is another one."""
    folder = cluster.folder / "other"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import platform\nplatform.machine = lambda: 'riscv64'\n", "utf-8"
    )
    cluster.kill("one")
    cluster.add("two", PYTHONPATH=str(folder))

    built = cluster.build(offloaded(search, cluster))

    assert re.search(
        r"is not the environment that the wheel will be pinned to:\n  two \(tcp://[\d.:]+\): platform: "
        r"here \w+ \w+, there \w+ riscv64\n",
        built.output,
    )
    assert left_on(cluster) == []


def _parent_of(pid: int) -> int:
    listed = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True, text=True
    )
    return int(listed.stdout)
