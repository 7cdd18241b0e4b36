"""What goes wrong in training is said in full, fails the build, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import FRONTENDS, ModelProject, Surroundings, tree

if TYPE_CHECKING:
    from pathlib import Path

_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals and limits")

_KEY = "tool.hatch.build.hooks.model"


@dataclass
class _Failures:
    """Builds that fail, and that leave everything as it was."""

    project: ModelProject
    surroundings: Surroundings

    def message(self, main: str, *settings: str, frontend: str = "uv build --wheel") -> str:
        """Build with *main* in small/main.py, which fails, and give what the backend printed."""
        self.project.write("src/small/main.py", main)
        for each in settings:
            self.project.replace("pyproject.toml", ('train = "small.main:train"', each))
        return self.of_build(frontend)

    def of_build(self, frontend: str = "uv build --wheel") -> str:
        before = tree(self.project.folder)

        built = self.project.build(self.surroundings, frontend, check=False)

        assert built.completed.returncode != 0, built.output
        assert not list(built.out.glob("*.whl"))
        assert tree(self.project.folder) == before
        assert tree(self.surroundings.temporary) == {}
        if frontend.startswith("uv build"):
            return built.backend_output
        return built.output


@pytest.fixture
def failures(project: ModelProject, surroundings: Surroundings) -> _Failures:
    return _Failures(project, surroundings)


_RAISES = """\
def train(output_dir):
    (output_dir / "half.txt").write_text("half")
    load()


def load():
    raise ValueError("no rows")
"""


def test_an_exception_comes_with_the_users_traceback_and_one_sentence(failures: _Failures) -> None:
    file = failures.project.folder / "src" / "small" / "main.py"
    assert failures.message(_RAISES) == (
        "hatch-model: training with small.main:train\n"
        "Traceback (most recent call last):\n"
        f'  File "{file}", line 3, in train\n'
        "    load()\n"
        f'  File "{file}", line 7, in load\n'
        '    raise ValueError("no rows")\n'
        "ValueError: no rows\n"
        "hatch-model: error: training failed: small.main:train raised ValueError: no rows\n"
    )


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_every_frontend_shows_the_message_and_fails(frontend: str, failures: _Failures) -> None:
    output = failures.message(_RAISES, frontend=frontend)

    shown = [line.strip() for line in output.splitlines()]
    # A traceback of the plugin's or of hatchling's would stand before or behind these.
    start = shown.index("hatch-model: training with small.main:train")
    raised = shown.index("ValueError: no rows")
    assert shown[start + 1] == "Traceback (most recent call last):"
    assert shown[raised + 1] == (
        "hatch-model: error: training failed: small.main:train raised ValueError: no rows"
    )
    assert output.count("Traceback") == 1
    frames = [line for line in shown if line.startswith("File ")]
    assert [frame.rpartition(", ")[2] for frame in frames] == ["in train", "in load"]


_RAISED = "training failed: small.main:train raised"
_TELL = "hatch-model: training with small.main:train\nhatch-model: error: "


@pytest.mark.parametrize(
    ("parameters", "body", "message"),
    [
        pytest.param(
            "output_dir",
            "import sys; sys.exit(3)",
            "training failed: small.main:train called sys.exit(3). Return from the function when "
            "it is done, and raise an exception if it fails.",
            id="sys.exit(3)",
        ),
        pytest.param(
            "",
            "import sys; sys.exit()",
            "training failed: small.main:train called sys.exit(). Return from the function when it "
            "is done, and raise an exception if it fails.",
            id="sys.exit()",
        ),
        pytest.param(
            "output_dir",
            "import os; os._exit(3)",
            "training failed: the process that ran small.main:train ended with exit code 3 before "
            "the function had returned.",
            id="os._exit(3)",
        ),
        pytest.param(
            "",
            f"import os; os.kill(os.getpid(), {signal.SIGSEGV:d})",
            "training failed: the process that ran small.main:train was killed by SIGSEGV before "
            "the function had returned.",
            id="SIGSEGV",
            marks=_posix,
        ),
        pytest.param(
            "output_dir",
            "import os; os.kill(os.getpid(), 9)",
            "training failed: the process that ran small.main:train was killed by SIGKILL before "
            "the function had returned. SIGKILL often means that the machine ran out of memory.",
            id="SIGKILL",
            marks=_posix,
        ),
        pytest.param(
            "",
            "return {'accuracy': '0.9'}",
            "small.main:train returned a mapping with 'accuracy': '0.9', but metrics must map "
            "names to finite numbers. Leave it out, or write it to a file next to the model.",
            id="metric is no number",
        ),
        pytest.param(
            "output_dir",
            "return [1], {'accuracy': float('nan')}",
            "small.main:train returned a mapping with 'accuracy': nan, but metrics must map names "
            "to finite numbers. Leave it out, or write it to a file next to the model.",
            id="metric is not a number",
        ),
        pytest.param(
            "",
            "return (each for each in 'abc')",
            "small.main:train returned an object of type `generator` that could not be saved with "
            "joblib: TypeError: cannot pickle 'generator' object. Return one that can be pickled, "
            "or take `output_dir` and write the model there in another format.",
            id="unpicklable",
        ),
        pytest.param(
            "output_dir",
            "pass",
            "small.main:train returned no model and wrote nothing to `src/small/data`, so there "
            "is nothing to ship. Return the model, take `output_dir` and write there, or set "
            "tool.hatch.build.hooks.model.artifacts to the folder that it writes to.",
            id="nothing",
        ),
        pytest.param(
            "",
            "return {'accuracy': 0.9}",
            "small.main:train returned no model and wrote nothing to `src/small/data`, so there "
            "is nothing to ship. Return the model, take `output_dir` and write there, or set "
            "tool.hatch.build.hooks.model.artifacts to the folder that it writes to.",
            id="nothing but metrics",
        ),
    ],
)
def test_training_that_does_not_end_in_a_model_is_told_in_one_sentence(
    failures: _Failures, parameters: str, body: str, message: str
) -> None:
    assert failures.message(f"def train({parameters}): {body}\n") == f"{_TELL}{message}\n"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        pytest.param(
            'train = "small.mian:train"',
            f"hatch-model: error: {_KEY}.train is `small.mian:train`, but there is no module "
            "`small.mian` among the wheel's files or on `python-path`. Did you mean "
            "`small.main`?\n",
            id="module",
        ),
        pytest.param(
            'train = "small.main:trian"',
            f"hatch-model: error: {_KEY}.train is `small.main:trian`, but `small.main` "
            "has no attribute `trian`. Did you mean `train`?\n",
            id="function",
        ),
        pytest.param(
            'train = "small.main:EPOCHS"',
            f"hatch-model: training with small.main:EPOCHS\n"
            f"hatch-model: error: {_KEY}.train is `small.main:EPOCHS`, but that is not an ordinary function: "
            f"it is of type `int`.\n",
            id="not callable",
        ),
        pytest.param(
            'train = "small.main:train"\narguments = { epochs = 3, depht = 2 }',
            "hatch-model: training with small.main:train\n"
            f"hatch-model: error: small.main:train cannot be called with {_KEY}.arguments: got an "
            "unexpected keyword argument 'depht'. Its signature is `(output_dir, epochs, "
            "depth=1)`.\n",
            id="unexpected argument",
        ),
        pytest.param(
            'train = "small.main:train"',
            "hatch-model: training with small.main:train\n"
            f"hatch-model: error: small.main:train cannot be called with {_KEY}.arguments: missing "
            "a required argument: 'epochs'. Its signature is `(output_dir, epochs, depth=1)`.\n",
            id="missing argument",
        ),
        pytest.param(
            'train = "small.main:train"\npython-path = ["lib"]',
            f"hatch-model: error: {_KEY}.python-path[0]: expected a folder that exists; found "
            '"lib"\n',
            id="python-path",
        ),
        pytest.param(
            'train = "wave:open"',
            f"hatch-model: error: wave:open is not among the files that the wheel ships, so there "
            f"is no package for the model. Set {_KEY}.artifacts to a folder inside one of them, "
            f'such as "src/your_package/data".\n',
            id="not shipped",
        ),
    ],
)
def test_settings_that_training_does_not_bear_out_are_refused(
    failures: _Failures, setting: str, message: str
) -> None:
    main = "EPOCHS = 3\ndef train(output_dir, epochs, depth=1): raise AssertionError\n"

    assert failures.message(main, setting) == message


@pytest.mark.parametrize(
    "setting",
    ['train = "small.mian:train"', 'train = "small.main:train"\ninputs = ["data/*.csv"]'],
)
def test_what_is_not_there_is_said_before_anything_is_installed(
    setting: str, project: ModelProject, surroundings: Surroundings
) -> None:
    project.replace(
        "pyproject.toml", ("anchor>=1", "on-no-index"), ('train = "small.main:train"', setting)
    )

    built = project.build(surroundings, "uv build --wheel", check=False)

    assert "hatch-model: error: tool.hatch.build.hooks.model." in built.output
    assert "on-no-index" not in built.output


def test_an_import_that_fails_in_the_users_module_is_the_users(failures: _Failures) -> None:
    file = failures.project.folder / "src" / "small" / "main.py"
    assert failures.message("import numpie\n\ndef train(): ...\n") == (
        "hatch-model: training with small.main:train\n"
        "Traceback (most recent call last):\n"
        f'  File "{file}", line 1, in <module>\n'
        "    import numpie\n"
        "ModuleNotFoundError: No module named 'numpie'\n"
        "hatch-model: error: training failed: small.main:train raised ModuleNotFoundError: No "
        "module named 'numpie'. `numpie` is not in the training environment. Add the package to "
        "tool.hatch.metadata.hooks.model.dependencies if the model needs it to predict, or else to a "
        "group in tool.hatch.build.hooks.model.dependency-groups, and not to build-system.requires.\n"
    )


@_posix
@pytest.mark.parametrize("in_tree", [False, True])
def test_a_link_out_of_the_artifacts_is_refused(failures: _Failures, *, in_tree: bool) -> None:
    (failures.project.folder / "secret.txt").touch()
    target = failures.project.folder / "secret.txt"
    main = (
        "from pathlib import Path\ndef train():\n    output_dir = Path('src/small/data')\n"
        "    output_dir.mkdir()\n"
        if in_tree
        else "def train(output_dir):\n"
    )

    message = failures.message(f"{main}    (output_dir / 'x.txt').symlink_to({str(target)!r})\n")

    assert message == (
        f"{_TELL}training wrote `x.txt`, which is a symbolic link to `{target}` outside of its folder "
        "and cannot be put into a wheel. Write a regular file instead.\n"
    )


_HALF_WAY = """\
from pathlib import Path

def train():
    data = Path(__file__).parent / "data"
    (data / "deep").mkdir(parents=True, exist_ok=True)
    (data / "new.txt").write_text("half")
    (data / "deep" / "new.txt").write_text("half")
    (data / "kept.txt").write_text("overwritten")
    (data / "deleted.txt").unlink(missing_ok=True)
    {end}
"""


@pytest.mark.parametrize(
    ("existing", "end"),
    [
        ([], "raise ValueError"),
        (["kept.txt"], "import os; os._exit(1)"),
        (["kept.txt", "deleted.txt"], "return {'accuracy': None}"),
        (["deleted.txt", "deep/kept.txt"], "return (each for each in 'abc')"),
    ],
)
def test_what_training_wrote_into_the_tree_before_it_failed_is_undone(
    failures: _Failures, existing: list[str], end: str
) -> None:
    for name in existing:
        failures.project.write(f"src/small/data/{name}", "from an earlier time")

    message = failures.message(_HALF_WAY.format(end=end))

    assert "hatch-model: error: " in message


# What a full disk does, without filling one: writing beyond this many bytes of a file fails.
_LIMIT = 256 * 1024
_FULL = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({_LIMIT}, {_LIMIT}))"


@_posix
def test_a_disk_that_is_full_while_training_writes_leaves_nothing(failures: _Failures) -> None:
    file = failures.project.folder / "src" / "small" / "main.py"

    message = failures.message(
        "def train(output_dir):\n"
        f"    {_FULL}\n"
        "    with (output_dir / 'weights.bin').open('wb', buffering=0) as file:\n"
        f"        while file.write(bytes({_LIMIT})): ...\n"
    )

    assert [line for line in message.splitlines(keepends=True) if "^^^" not in line] == [
        "hatch-model: training with small.main:train\n",
        "Traceback (most recent call last):\n",
        f'  File "{file}", line 4, in train\n',
        f"    while file.write(bytes({_LIMIT})): ...\n",
        "OSError: [Errno 27] File too large\n",
        f"hatch-model: error: {_RAISED} OSError: [Errno 27] File too large\n",
    ]


@_posix
def test_a_disk_that_is_full_while_the_model_is_saved_leaves_nothing(failures: _Failures) -> None:
    message = failures.message(
        f"def train():\n    {_FULL}\n    return bytes({2 * _LIMIT})\n",
    )

    assert message == (
        f"{_TELL}small.main:train returned an object of type `bytes` that could not be saved with "
        f"joblib: OSError: [Errno 27] File too large. Return one that can be pickled, or take "
        f"`output_dir` and write the model there in another format.\n"
    )


@_posix
def test_a_disk_that_is_full_once_training_is_done_leaves_nothing(failures: _Failures) -> None:
    message = failures.message(
        "import asyncio, unittest.mock, xml.dom.minidom\n"
        "def train():\n"
        f"    {_FULL.replace(str(_LIMIT), '4096')}\n"
        "    return [1], {}\n",
    )

    assert re.fullmatch(
        f"{re.escape(_TELL.partition('error: ')[0])}error: the result of small.main:train cannot be written "
        r"to \S+: File too large\. Make room, or set TMPDIR to another folder\.\n",
        message,
    )


@_posix
def test_a_disk_that_is_full_while_the_wheel_is_written_leaves_nothing(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    limit = 2 * 1024 * 1024
    project.write(
        "src/small/main.py",
        "import os\n"
        "def train(output_dir):\n"
        "    for number in range(3):\n"
        f"        (output_dir / f'{{number}}.bin').write_bytes(os.urandom({limit // 2}))\n",
    )
    limited = (
        "import os, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    before = tree(project.folder)
    command = [part.format(out=tmp_path / "dist") for part in FRONTENDS["uv build --wheel"]]

    completed = surroundings.run(
        *(sys.executable, "-c", limited, *command), cwd=project.folder, check=False
    )

    assert completed.returncode != 0
    assert (
        f"hatch-model: error: the wheel cannot be written to {tmp_path / 'dist'}: File too large. "
        f"The model needs 3.0 MiB there. Free some space, or build into another folder.\n"
        in completed.stdout
    )
    assert tree(project.folder) == before
    assert tree(surroundings.temporary) == {}
    assert list((tmp_path / "dist").glob("*.whl")) == []
