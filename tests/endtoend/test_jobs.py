"""docs/jobs.md: builds as jobs of real engines and launchers, and predictions on their workers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from checkout import CHECKOUT, online
from filelock import FileLock
from indexes import free_port, torch_links
from support import ModelProject, Surroundings, Wheel, interpreter_of, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the page's commands are for bash"),
]

_DOCS = (CHECKOUT / "docs/jobs.md").read_text("utf-8")
_MODEL = """\
from functools import cache
from importlib.resources import files


def train(output_dir):
    (output_dir / "weights.txt").write_text("0.5")


@cache
def load():
    return float(files("small").joinpath("data", "weights.txt").read_text())


def predict(value):
    return value * load()
"""
_PREDICTED = str([[0.5 * number, 0.5 * (number + 0.5)] for number in range(100)])


_TRAINING, _PREDICTING = _DOCS.split("\n## Predict on many machines\n")


def _block(heading: str, language: str, page: str = _TRAINING) -> str:
    """Give the block of code under a heading of a part of the page, for the tests' model."""
    (block,) = _blocks(heading, language, page)
    return block


def _blocks(heading: str, language: str, page: str = _TRAINING) -> list[str]:
    under = re.split(rf"^##+ {heading}$", page, flags=re.MULTILINE)[1].partition("\n##")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```$", under, re.MULTILINE | re.DOTALL)
    return [each.replace("acme_iris", "small").replace("acme-iris", "small") for each in found]


@pytest.fixture
def project(surroundings: Surroundings, tmp_path: Path) -> ModelProject:
    project = ModelProject.copy("small", tmp_path / "project")
    project.write("src/small/main.py", _MODEL)
    project.write("src/small/__init__.py", "from small.main import predict\n")
    make_wheel(surroundings.index.folder, "anchor", "1.2")
    return project


@pytest.fixture(scope="session")
def engine(shared_folder: Path) -> Path:
    """An environment with the engines, in which `uv` is, too."""
    folder = shared_folder / "engines"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            variables = online(shared_folder)
            uv = ("uv", "venv", "--quiet", "--python", sys.executable, folder)
            subprocess.run(uv, env=variables, check=True)
            packages = ("distributed", "ray[default]", "uv", "kubernetes-validate")
            install = (
                "uv",
                "pip",
                "install",
                "--quiet",
                "--python",
                interpreter_of(folder),
                *packages,
            )
            done = subprocess.run(
                install, env=variables, check=False, capture_output=True, text=True
            )
            if done.returncode and "No matching distribution" in done.stderr:
                shutil.rmtree(folder)
                pytest.skip(f"the engines are not made for this Python: {done.stderr}")
            assert done.returncode == 0, done.stderr
    return folder


def _variables(surroundings: Surroundings, engine: Path, **more: str) -> dict[str, str]:
    variables = surroundings.variables()
    path = f"{interpreter_of(engine).parent}{os.pathsep}{variables['PATH']}"
    return {**variables, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0", **more}


def _run(
    *command: str | Path, cwd: Path, environment: dict[str, str], seconds: int = 180
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def _wheel_of(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def _same_as_locally(wheel: Path, project: ModelProject, surroundings: Surroundings) -> bool:
    out = project.folder.parent / "local"
    surroundings.run("uv", "build", "--wheel", "--out-dir", out, cwd=project.folder)
    return wheel.read_bytes() == _wheel_of(out).read_bytes()


# Ray: its head listens on all interfaces, so that it gets a network of its own.

_RAY = """\
set -eu
ip link set lo up
mkdir "$1"
export TMPDIR="$1"  # whose path is short, since there are sockets below it
ray start --head --node-ip-address 127.0.0.1 --port 6399 --dashboard-host 127.0.0.1 \\
    --dashboard-port 8265 --num-cpus 2 --temp-dir "$1" --block > ray.log 2>&1 &
trap 'kill $!' EXIT
for try in $(seq 120); do
    curl --silent --fail --output /dev/null http://127.0.0.1:8265/api/version && break
    sleep 0.5
done
"""


def _on_ray(script: str, folder: Path, environment: dict[str, str], temporary: Path) -> str:
    """Run *script* beside a Ray head of its own, in namespaces that end with everything in them."""
    probe = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "true")
    if (
        shutil.which("unshare") is None
        or subprocess.run(probe, check=False, capture_output=True).returncode
    ):
        pytest.skip(
            "no network namespace can be made here, and Ray's head listens on all interfaces"
        )
    (folder / "job.sh").write_text(_RAY + script)
    done = _run(
        *probe[:-1], "bash", "job.sh", temporary, cwd=folder, environment=environment, seconds=300
    )
    return done.stdout


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """A short path, since Ray makes sockets below it."""
    folder = Path(f"/tmp/ray-{os.getpid()}")  # noqa: S108
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_ray_job_builds_the_wheel_that_a_local_build_makes(
    project: ModelProject,
    surroundings: Surroundings,
    engine: Path,
    ray_folder: Path,
    tmp_path: Path,
) -> None:
    shared = tmp_path / "shared"
    command = _block("Ray", "bash").replace("/shared/wheels", str(shared))

    said = _on_ray(command, project.folder, _variables(surroundings, engine), ray_folder)
    assert "hatch-model: training with small.main:train" in said
    (project.folder / "job.sh").unlink()
    (project.folder / "ray.log").unlink()
    assert _same_as_locally(_wheel_of(shared), project, surroundings)


def test_the_wheel_predicts_on_ray_as_it_does_here(
    project: ModelProject,
    surroundings: Surroundings,
    engine: Path,
    ray_folder: Path,
    tmp_path: Path,
) -> None:
    surroundings.run(
        "uv", "build", "--wheel", "--out-dir", surroundings.index.folder, cwd=project.folder
    )
    (tmp_path / "predict.py").write_text(_block("Ray", "python", _PREDICTING))

    variables = _variables(surroundings, engine, RAY_ADDRESS="127.0.0.1:6399")
    said = _on_ray("python predict.py\n", tmp_path, variables, ray_folder)
    assert _PREDICTED in said.splitlines()


# Dask


@contextmanager
def _started(*command: str | Path, cwd: Path, environment: dict[str, str]) -> Iterator[None]:
    with (cwd / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(
            [*map(str, command)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        # uv's worker is a child of the command.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _scheduler(engine: Path, cwd: Path, environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    dask = interpreter_of(engine).with_name("dask")
    command = (
        dask,
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--dashboard-address",
        "127.0.0.1:0",
    )
    with _started(*map(str, command), cwd=cwd, environment=environment):
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.1)
        yield f"tcp://127.0.0.1:{port}"


def test_a_dask_worker_builds_the_wheel_that_a_local_build_makes(
    project: ModelProject, surroundings: Surroundings, engine: Path, tmp_path: Path
) -> None:
    variables = _variables(surroundings, engine)
    (tmp_path / "dask_job.py").write_text(_block("Dask", "python"))
    sdist, build = _block("Dask", "bash").splitlines()

    with _scheduler(engine, tmp_path, variables) as address:
        worker = (
            interpreter_of(engine).with_name("dask"),
            "worker",
            address,
            "--nthreads",
            "1",
            "--no-dashboard",
        )
        with _started(*worker, cwd=tmp_path, environment=variables):
            _run(*sdist.split(), cwd=project.folder, environment=variables)
            command = build.replace("tcp://127.0.0.1:8786", address).replace(
                "dask_job.py", str(tmp_path / "dask_job.py")
            )
            _run(*command.split(), cwd=project.folder, environment=variables)

    assert _same_as_locally(_wheel_of(project.folder / "dist"), project, surroundings)


def test_the_wheel_predicts_on_dask_as_it_does_here(
    project: ModelProject,
    surroundings: Surroundings,
    engine: Path,
    shared_folder: Path,
    tmp_path: Path,
) -> None:
    surroundings.run(
        "uv", "build", "--wheel", "--out-dir", surroundings.index.folder, cwd=project.folder
    )
    variables = _variables(surroundings, engine)

    with _scheduler(engine, tmp_path, variables) as address:
        links = {"UV_FIND_LINKS": surroundings.variables()["UV_FIND_LINKS"]}
        worker = (
            _block("Dask", "bash", _PREDICTING).replace("tcp://127.0.0.1:8786", address).split()
        )
        worker += ["--nthreads", "1", "--no-dashboard"]
        worker[2:2] = ["--python", sys.executable]
        with _started(*worker, cwd=tmp_path, environment={**online(shared_folder), **links}):
            program = _block("Dask", "python", _PREDICTING).replace("tcp://127.0.0.1:8786", address)
            (tmp_path / "predict.py").write_text(program)
            said = _run(
                interpreter_of(engine), "predict.py", cwd=tmp_path, environment=variables
            ).stdout
    assert said.strip() == _PREDICTED


# Launchers


def test_the_slurm_script_builds_the_wheel_and_cleans_up(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    script = tmp_path / "train.sh"
    script.write_text(_block("Slurm", "bash"))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "srun").write_text('#!/bin/sh\nexec "$@"\n')
    (programs / "srun").chmod(0o755)
    variables = surroundings.variables()

    # A job's script runs in a copy elsewhere, with the folder that it was submitted from in a variable.
    environment = {
        **variables,
        "PATH": f"{programs}{os.pathsep}{variables['PATH']}",
        "SLURM_SUBMIT_DIR": str(project.folder),
    }
    before = sorted(Path(variables["TMPDIR"]).iterdir())
    _run("bash", script, cwd=tmp_path, environment=environment)

    assert _same_as_locally(_wheel_of(project.folder / "dist"), project, surroundings)
    assert sorted(Path(variables["TMPDIR"]).iterdir()) == before


def test_the_kubernetes_job_is_valid(engine: Path, tmp_path: Path, shared_folder: Path) -> None:
    (tmp_path / "job.yaml").write_text(_block("Kubernetes", "yaml"))

    validate = interpreter_of(engine).with_name("kubernetes-validate")
    _run(validate, "--strict", "job.yaml", cwd=tmp_path, environment=online(shared_folder))
    broken = (tmp_path / "job.yaml").read_text().replace("backoffLimit", "backofLimit")
    (tmp_path / "broken.yaml").write_text(broken)
    refused = subprocess.run(
        [validate, "--strict", "broken.yaml"], cwd=tmp_path, check=False, capture_output=True
    )
    assert refused.returncode
    job = yaml.safe_load(_block("Kubernetes", "yaml"))
    (command,) = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "uv build\nuv publish --index models\n" in command


def test_the_skypilot_file_has_the_keys_of_a_task() -> None:
    task = yaml.safe_load(_block("SkyPilot", "yaml"))

    # https://docs.skypilot.co/en/latest/reference/yaml-spec.html
    assert task.keys() <= {
        "name",
        "resources",
        "workdir",
        "num_nodes",
        "envs",
        "file_mounts",
        "setup",
        "run",
    }
    assert task["resources"].keys() <= {"accelerators", "cpus", "memory", "disk_size", "cloud"}
    assert "uv build --wheel --out-dir /wheels" in task["run"]
    assert list(task["file_mounts"]) == ["/wheels"]


# Several processes on one machine, by PyTorch's launchers


@pytest.mark.parametrize("launcher", ["torch.distributed.run", "torch.multiprocessing.spawn"])
def test_the_processes_of_a_launcher_train_one_model(
    launcher: str,
    surroundings: Surroundings,
    shared_folder: Path,
    tmp_path: Path,
) -> None:
    torch_folder = torch_links()
    (wheel,) = torch_folder.glob("torch-*+cpu-*.whl")
    version = wheel.name.split("-")[1].partition("+")[0]
    project = ModelProject.copy("small", tmp_path / "project")
    project.replace("pyproject.toml", ("anchor>=1", f"torch=={version}"))
    with (project.folder / "pyproject.toml").open("a") as file:
        file.write("arguments = { processes = 2 }\n")
    worker, by_run, by_spawn = _blocks("Several processes on one machine", "python")
    project.write("src/small/worker.py", worker)
    project.write("src/small/main.py", by_run if launcher.endswith("run") else by_spawn)
    links = f"{torch_folder},{surroundings.variables()['UV_FIND_LINKS']}"

    out = tmp_path / "dist"
    environment = {**online(shared_folder), "UV_FIND_LINKS": links}
    command = ("uv", "build", "--wheel", "--python", sys.executable, "--out-dir", out)
    _run(*command, cwd=project.folder, environment=environment, seconds=600)
    files = [name for name in Wheel(_wheel_of(out)).files if "/data/" in name]
    assert files == ["small/data/model.pt"]
    assert f"torch=={version}" in Wheel(_wheel_of(out)).requires
