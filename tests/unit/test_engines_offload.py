"""Training somewhere else, where that is another folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import is_running

from hatch_model.engines import offload, workplace
from hatch_model.engines.workplace import Workplace, machine
from hatch_model.errors import EngineError
from hatch_model.parallel import Parallel
from hatch_model.process import call

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.name == "nt", reason="engines' workers run on POSIX")

_SCRIPT = Path(offload.__file__).parents[1] / "child/call.py"
_KEY = "tool.hatch.build.hooks.model.parallel"


@dataclass
class _Place(offload.Place):
    """A workplace of this process; *replaced* are methods that do something else."""

    workplace: Workplace
    replaced: dict[str, Any] = field(default_factory=dict)
    worker: str = "one (tcp://127.0.0.1:1)"

    def call(self, method: str, *arguments: Any) -> Any:
        return self.replaced.get(method, getattr(self.workplace, method))(*arguments)

    def start(self, method: str, *arguments: Any) -> Any:
        return self.call(method, *arguments)

    def has_ended(self, future: Any, seconds: float) -> bool:  # noqa: ARG002
        return True

    def result(self, future: Any) -> Any:
        return future


@pytest.fixture
def place(tmp_path: Path) -> Iterator[_Place]:
    (tmp_path / "worker").mkdir()
    workplace = Workplace(str(tmp_path / "worker"))
    yield _Place(workplace)
    workplace.close()


def trained(place: _Place, folder: Path, main: str, **environment: str) -> dict[str, Any]:
    """Have *main* train at *place*, with what it writes brought to *folder*."""
    tree = folder / "tree"
    tree.mkdir()
    (tree / "model.py").write_text(main, "utf-8")
    parallel = Parallel(key=_KEY, backend="dask", address="tcp://u:pw@127.0.0.1:1", offload=True)
    told = parallel.request_to_offload(
        environment,
        train="model:train",
        versions={},
        folders={"tree": (tree, [tree / "model.py"])},
        python_path=["tree"],
        archive=folder / "source.zip",
    )
    request: dict[str, Any] = {
        "module": "model",
        "attribute": "train",
        "task": "train",
        "arguments": {},
        "parallel": told,
        **{name: str(folder / name) for name in ("output_dir", "report_dir")},
    }
    for name in ("output_dir", "report_dir"):
        Path(request[name]).mkdir()
    return offload.train(request, _SCRIPT, place)


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in offload._VARIABLES:
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")


_WRITES = """
import json
def train(output_dir, report_dir):
    print("in training: é")
    (output_dir / "a").mkdir()
    (output_dir / "a/b.bin").write_bytes(b"1" * 100_000)
    (report_dir / "plot.png").write_bytes(b"2")
    return {"accuracy": 0.5}
"""


def test_a_result_is_as_if_training_had_run_here(
    place: _Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = trained(place, tmp_path, _WRITES)

    assert (tmp_path / "output_dir/a/b.bin").read_bytes() == b"1" * 100_000
    assert (tmp_path / "report_dir/plot.png").read_bytes() == b"2"
    assert capfd.readouterr().out == "in training: é\n"
    assert (result["outcome"], result["metrics"]) == ("returned", {"accuracy": 0.5})
    assert result["path"] == sys.path
    assert result["top_level"]["model"] == str(tmp_path / "tree/model.py")
    assert str(tmp_path / "tree/model.py") in result["imported"]
    assert ("pytest", pytest.__version__) in result["environment"]


def test_what_only_the_worker_has_is_named(
    place: _Place,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workplace, "installed", lambda _: [["joblib", "1"]])

    trained(place, tmp_path, "import joblib, iniconfig\ndef train(output_dir): ...")

    assert capfd.readouterr().out == (
        "hatch-model: warning: training imported iniconfig, which the worker has and the training "
        "environment has not. Add it to the model's requirements if the model needs it to predict, or else "
        "to a group in tool.hatch.build.hooks.model.dependency-groups.\n"
    )


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"path": "output/../../evil"}, "sent a file called `output/../../evil`"),
        ({"path": "/evil"}, "sent a file called `/evil`"),
    ],
)
def test_files_stay_in_their_folder(
    file: dict[str, str], message: str, place: _Place, tmp_path: Path
) -> None:
    place.replaced["outcome"] = lambda: {**place.workplace.outcome(), "files": [file]}

    with pytest.raises(EngineError) as error:
        trained(place, tmp_path, _WRITES)

    assert str(error.value) == f"{place.worker} {message}"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        *("output_dir", "report_dir", "source.zip", "tree", "worker"),
    ]


def test_a_damaged_file_is_told(place: _Place, tmp_path: Path) -> None:
    read = place.workplace.read
    place.replaced["read"] = lambda path, start: read(path, start).replace(b"11", b"12")

    with pytest.raises(EngineError) as error:
        trained(place, tmp_path, _WRITES)

    assert str(error.value) == (
        f"`output/a/b.bin` has changed on its way from {place.worker}. Build again."
    )


def test_a_damaged_archive_is_told(place: _Place, tmp_path: Path) -> None:
    append = place.workplace.append
    place.replaced["append"] = lambda content: append(content[:-1])

    with pytest.raises(EngineError, match=r"on one \(tcp.*: .*source\.zip has arrived damaged$"):
        trained(place, tmp_path, _WRITES)


def test_a_full_disk_there_is_told(place: _Place, tmp_path: Path) -> None:
    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    place.replaced["append"] = full

    with pytest.raises(EngineError) as error:
        trained(place, tmp_path, _WRITES)
    assert str(error.value) == (
        f"training of model:train on {place.worker}: [Errno 28] No space left on device"
    )


def test_another_machine_is_refused(place: _Place, tmp_path: Path) -> None:
    place.replaced["machine"] = lambda: {**machine(), "Python": "CPython 3.1.4"}

    with pytest.raises(EngineError) as error:
        trained(place, tmp_path, _WRITES)
    assert str(error.value) == (
        "the Dask cluster at tcp://…@127.0.0.1:1 is not the environment that the wheel will be pinned "
        f"to:\n  {place.worker}: Python: here {machine()['Python']}, there CPython 3.1.4\n"
        "Install the same versions there, or lock the versions that it has."
    )


_STARTS = """
import os, subprocess, sys
def train(output_dir):
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (output_dir / "pid").write_text(str(helper.pid))
"""


def test_what_training_left_running_is_ended(place: _Place, tmp_path: Path) -> None:
    trained(place, tmp_path, _STARTS)

    _assert_ends(int((tmp_path / "output_dir/pid").read_text("utf-8")))


_OWNER = """
import json, os, sys, threading, time
from pathlib import Path
from hatch_model.engines.workplace import Workplace
place = Workplace(sys.argv[1])
place.append(b"1")
(place.folder / "source/tree").mkdir(parents=True)
(place.folder / "source/tree/model.py").write_text(
    "import time, os\\ndef train(output_dir):\\n    open('begun', 'w')\\n    time.sleep(600)\\n")
request = {"task": "train", "module": "model", "attribute": "train", "arguments": {}, "parallel": None,
    "output_dir": "output", "report_dir": "report", "root": "source/tree"}
run = threading.Thread(target=place.run, args=(Path(sys.argv[2]).read_text(), request, {"PYTHONPATH": "source/tree"}))
if sys.argv[3] == "training":
    run.start()
    while not (place.folder / "source/tree/begun").exists():
        time.sleep(0.01)
print((place.folder / "group").read_text() if run.is_alive() else 0, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("when", ["before", "training"])
def test_the_folder_and_training_go_with_the_process_that_made_them(
    when: str, tmp_path: Path
) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", _OWNER, tmp_path, _SCRIPT, when],
        capture_output=True,
        check=False,
        text=True,
    )

    assert completed.returncode == -9, completed.stderr
    if int(completed.stdout):
        _assert_ends(int(completed.stdout))
    deadline = time.monotonic() + 20
    while [*tmp_path.iterdir()]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _assert_ends(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_function_without_output_dir_is_refused_there(place: _Place, tmp_path: Path) -> None:
    assert trained(place, tmp_path, "def train(): ...") == {
        "outcome": "no-output-dir",
        "path": sys.path,
    }


def test_the_script_itself_writes_nothing_of_engines(tmp_path: Path) -> None:
    """The protocol of the child is the same, wherever it runs."""
    (tmp_path / "model.py").write_text("def train(output_dir): ...", "utf-8")
    (tmp_path / "out").mkdir()
    request: dict[str, Any] = {
        "task": "train",
        "module": "model",
        "attribute": "train",
        "arguments": {},
        "parallel": None,
        "is_offloaded": True,
        "output_dir": str(tmp_path / "out"),
        "report_dir": str(tmp_path / "out"),
        "artifacts_dir": str(tmp_path / "none"),
        "scratch": str(tmp_path / "scratch"),
    }
    result, code = call(
        request, tmp_path, cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)}, emit=print
    )

    assert code == 0 and result is not None
    assert json.loads((tmp_path / "result.json").read_text("utf-8")) == result
    assert not [each for each in result["imported"] if "hatch_model" in each]
