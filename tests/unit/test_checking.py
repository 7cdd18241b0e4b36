"""The check's child script, run for real, and what belongs to the source tree it must not see."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest
from environments import FakeEnvironment
from packaging.utils import canonicalize_name

from hatch_model._checking import CheckResult, run_check
from hatch_model._checking._source_tree import SourceTree
from hatch_model._environment._distributions import Distribution
from hatch_model._frontend import FrontendGoneError
from hatch_model._settings import ObjectReference
from hatch_model._training._process import RunProcess, run_process
from hatch_model.errors import CheckDiedError, CheckFailedError, HatchModelError, OrphanedError


@dataclass
class _Check:
    """A module `model` in an unpacked wheel, and what checking with it gives."""

    folder: Path
    """The unpacked wheel."""
    workspace: Path
    lines: list[str] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    runner: RunProcess = run_process

    def run(self, source: str, name: str = "model:check") -> CheckResult:
        (self.folder / "model.py").write_text(dedent(source), "utf-8")
        module, _, attribute = name.partition(":")
        return run_check(
            ObjectReference(module=module, attribute=attribute),
            self.workspace,
            self.lines.append,
            python=sys.executable,
            folder=self.folder,
            hidden=self.hidden,
            run=self.runner,
        )

    def message(self, error: type[HatchModelError], source: str, name: str = "model:check") -> str:
        """Check, which fails with *error*, and give what that says."""
        with pytest.raises(error) as raised:
            self.run(source, name)
        assert type(raised.value) is error
        return str(raised.value)


@pytest.fixture
def check(tmp_path: Path) -> _Check:
    folder, workspace = tmp_path / "wheel", tmp_path / "workspace"
    folder.mkdir()
    workspace.mkdir()
    return _Check(folder, workspace)


# What is returned --------------------------------------------------------------------------------


_SCALARS = """
    import collections, enum, math

    class Array:
        def __init__(self, value): self.value = value
        def tolist(self): return self.value

    class Scalar:
        def __init__(self, value): self.value = value
        def item(self): return self.value

    class Frame:
        def to_dict(self): return {"a": [1]}

    class Odd:
        def tolist(self): raise RuntimeError("on another device")

    class Endless:
        def tolist(self): return self

    Pair = collections.namedtuple("Pair", "a b")
"""


@pytest.mark.parametrize(
    ("returned", "recorded"),
    [
        ("None", None),
        ("True", True),
        ("0.1 + 0.2", 0.30000000000000004),
        ("1e-300", 1e-300),
        ("10 ** 400", 10**400),
        ("'é\\U0001f600'", "é\U0001f600"),
        ("'\\ud800'", "\ud800"),
        ("{'b': [1, 2.5], 'a': None}", {"b": [1, 2.5], "a": None}),
        ("{3: 'three', None: 0}", {"3": "three", "null": 0}),
        ("(1, 2)", [1, 2]),
        ("Pair(1, 2)", [1, 2]),
        ("Array([1, 2])", [1, 2]),
        ("{'p': [Scalar(0.5), Array([[1], [2]])]}", {"p": [0.5, [[1], [2]]]}),
        ("Frame()", {"a": [1]}),
        ("Array(Scalar(1))", 1),
    ],
)
def test_what_json_can_hold_is_recorded(check: _Check, returned: str, recorded: object) -> None:
    result = check.run(f"{dedent(_SCALARS)}\ndef check(): return {returned}")

    assert (result.is_recordable, result.returned) == (True, recorded)


@pytest.mark.parametrize(
    "returned",
    [
        *("{1, 2}", "b'bytes'", "object()", "math.nan", "[math.inf]", "{(1, 2): 3}", "1j"),
        *("Scalar", "Array({1})", "Odd()", "Endless()", "Array(float('nan'))"),
        "(around := []).append(around) or around",
    ],
)
def test_what_json_cannot_hold_passes_and_is_not_recorded(check: _Check, returned: str) -> None:
    result = check.run(f"{dedent(_SCALARS)}\ndef check(): return {returned}")

    assert (result.is_recordable, result.returned) == (False, None)
    assert check.lines == []


def test_what_is_nested_too_deeply_passes_and_is_not_recorded(check: _Check) -> None:
    result = check.run(
        """
        def check():
            nested = []
            for _ in range(100_000):
                nested = [nested]
            return nested
        """
    )

    assert not result.is_recordable


def test_a_method_of_a_class_is_called(check: _Check) -> None:
    source = "class Model:\n    @classmethod\n    def check(cls): return cls.__name__"

    assert check.run(source, "model:Model.check").returned == "Model"


# What fails --------------------------------------------------------------------------------------


def test_an_exception_is_reported_under_its_traceback(check: _Check) -> None:
    source = """\
        def predict(x):
            return 1 / x

        def check():
            predict(0)
        """

    message = check.message(CheckFailedError, source)

    assert message == (
        "the wheel does not pass its check: model:check raised ZeroDivisionError: division by zero"
    )
    text = [line for line in check.lines if set(line.strip()) - {"~", "^"}]
    assert text == [
        "Traceback (most recent call last):",
        f'  File "{check.folder / "model.py"}", line 5, in check',
        "    predict(0)",
        f'  File "{check.folder / "model.py"}", line 2, in predict',
        "    return 1 / x",
        "ZeroDivisionError: division by zero",
    ]


@pytest.mark.parametrize(
    ("source", "name", "reason"),
    [
        ("def check(): assert 1 == 2, 'unequal'", "model:check", "AssertionError: unequal"),
        ("def check(): raise SystemExit(0)", "model:check", "SystemExit: 0"),
        ("def check(): raise KeyboardInterrupt", "model:check", "KeyboardInterrupt"),
        ("raise OSError('no weights')", "model:check", "OSError: no weights"),
        (
            "def check(x): pass",
            "model:check",
            "TypeError: check() missing 1 required positional argument: 'x'",
        ),
        ("check = 1", "model:check", "TypeError: 'int' object is not callable"),
        (
            "def check(): pass",
            "model:absent",
            "AttributeError: module 'model' has no attribute 'absent'",
        ),
        ("", "model.absent:check", None),
        ("", "absent:check", "ModuleNotFoundError: No module named 'absent'"),
    ],
)
def test_each_way_of_failing_is_told(
    check: _Check, source: str, name: str, reason: str | None
) -> None:
    reason = reason or (
        "ModuleNotFoundError: No module named 'model.absent'; 'model' is not a package"
    )

    message = check.message(CheckFailedError, source, name)

    assert message == f"the wheel does not pass its check: {name} raised {reason}"
    assert check.lines[-1] == reason
    assert "run_check.py" not in "".join(check.lines)
    assert "importlib" not in "".join(check.lines)


@pytest.mark.parametrize(
    ("source", "how"),
    [
        pytest.param(
            "import os, signal\ndef check(): os.kill(os.getpid(), signal.SIGKILL)",
            "was killed by SIGKILL",
            marks=pytest.mark.skipif(os.name == "nt", reason="POSIX's signals"),
        ),
        ("import os\ndef check(): os._exit(3)", "ended with exit code 3"),
        ("import os\ndef check(): os._exit(0)", "ended with exit code 0"),
        (
            "import atexit, os\ndef check(): atexit.register(os._exit, 5)",
            "ended with exit code 5",
        ),
    ],
    ids=["killed", "exits", "exits without an error", "dies after it has returned"],
)
def test_a_process_that_ends_by_itself_fails_the_check(
    check: _Check, source: str, how: str
) -> None:
    assert check.message(CheckDiedError, source) == (
        f"the wheel does not pass its check: the process that ran model:check {how}."
    )


@pytest.mark.parametrize("error", [FrontendGoneError, BrokenPipeError])
def test_a_frontend_that_is_gone_ends_the_check(check: _Check, error: type[Exception]) -> None:
    def run(*_: object, **__: object) -> int:
        raise error

    check.runner = run

    assert check.message(OrphanedError, "") == (
        "the build frontend is gone, so model:check was stopped"
    )


@pytest.mark.skipif(os.name == "nt", reason="POSIX's signals")
def test_a_build_that_is_killed_takes_the_check_and_its_scratch_folder_along(
    check: _Check, tmp_path: Path
) -> None:
    """The check kills the build, and this test waits for the end of a pipe that the check holds."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    scratch = tmp_path / "scratch"
    check.workspace = scratch / "workspace"
    check.workspace.mkdir(parents=True)
    (check.folder / "model.py").write_text(
        "import os, signal, time\n"
        "def check():\n"
        f"    with open({str(pipe)!r}, 'w'):\n"
        "        os.kill(os.getppid(), signal.SIGKILL)\n"
        "        time.sleep(600)\n"
    )
    build = f"""
import sys
from pathlib import Path
from hatch_model._checking import run_check
from hatch_model._settings import ObjectReference
run_check(
    ObjectReference(module="model", attribute="check"), Path({str(check.workspace)!r}), print,
    python=sys.executable, folder=Path({str(check.folder)!r}), scratch=Path({str(scratch)!r}),
)
"""
    with subprocess.Popen([sys.executable, "-c", build]) as process:
        assert pipe.read_bytes() == b""

    assert process.returncode == -signal.SIGKILL
    assert not scratch.exists()


# Where it runs -----------------------------------------------------------------------------------


def test_it_runs_in_an_empty_folder_with_no_arguments_and_its_output_is_passed_on(
    check: _Check,
) -> None:
    result = check.run(
        """
        import os, sys
        def check():
            print("é")
            print("wrong", file=sys.stderr)
            return [os.getcwd(), os.listdir(), sys.argv[1:], __file__]
        """
    )

    empty = str(check.workspace / "empty")
    assert result.returned == [empty, [], [], str(check.folder / "model.py")]
    assert check.lines == ["é", "wrong"]


def test_it_leaves_no_bytecode_in_the_wheel(check: _Check) -> None:
    check.run("def check(): pass")

    assert [path.name for path in check.folder.rglob("*")] == ["model.py"]


def test_the_wheel_goes_before_all_else_and_hidden_folders_are_not_seen(
    check: _Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_tree, other = tmp_path / "source", tmp_path / "other"
    for folder in (source_tree, other):
        folder.mkdir()
        (folder / "model.py").write_text("raise OSError")
    (source_tree / "helper.py").touch()
    (other / "tool.py").touch()
    link = tmp_path / "link"
    link.symlink_to(source_tree)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, [source_tree, link, other])))
    check.hidden.append(source_tree)

    result = check.run(
        """
        import importlib.util, tool
        def check(): return importlib.util.find_spec("helper")
        """
    )

    assert result.returned is None
    assert str(other / "tool.py") in result.imported
    assert str(check.folder / "model.py") in result.imported


def test_no_module_of_a_user_is_shadowed_by_the_script(check: _Check) -> None:
    (check.folder / "run_check.py").write_text("value = 1")

    assert check.run("import run_check\ndef check(): return run_check.value").returned == 1


def test_odd_modules_and_paths_break_nothing(check: _Check) -> None:
    result = check.run(
        """
        import os, sys, types
        from pathlib import Path

        class Lazy(types.ModuleType):
            def __getattribute__(self, name):
                raise ImportError("cannot load itself")

        def check():
            sys.modules["lazy"] = Lazy("lazy")
            sys.modules["none"] = None
            numbered = types.ModuleType("numbered")
            numbered.__file__ = 3
            sys.modules["numbered"] = numbered
            sys.path.append(Path("/a"))
            os.chdir("..")
            return 1
        """
    )

    assert result.returned == 1
    assert "/a" not in result.path


def test_the_request_and_the_result_are_what_the_protocol_says(check: _Check) -> None:
    check.hidden.append(check.workspace)

    result = check.run("def check(): return 1")

    request = json.loads((check.workspace / "request.json").read_text("utf-8"))
    assert request == {
        "module": "model",
        "attribute": "check",
        "hidden": [str(check.workspace)],
        "scratch": str(check.workspace),
    }
    answer = json.loads((check.workspace / "result.json").read_text("utf-8"))
    assert answer == {
        "outcome": "passed",
        "returned": 1,
        "imported": list(result.imported),
        "path": list(result.path),
    }
    assert sorted(path.name for path in check.workspace.iterdir()) == [
        "empty",
        "request.json",
        "result.json",
    ]


# The source tree ---------------------------------------------------------------------------------


def source_tree(
    root: Path, *editable: tuple[str, Path], workspace: Path = Path("/nowhere")
) -> SourceTree:
    environment = FakeEnvironment(
        [
            Distribution(
                name=canonicalize_name(name),
                raw_version="1.0",
                raw_direct_url=json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}}),
            )
            for name, folder in editable
        ]
    )
    return SourceTree(root, canonicalize_name("small"), environment, workspace)


def test_the_project_and_where_it_is_installed_from_as_editable_are_the_source_tree(
    tmp_path: Path,
) -> None:
    root, working_copy = tmp_path / "sdist", tmp_path / "copy"
    found = source_tree(root, ("small", working_copy), ("other", tmp_path / "other"))

    assert found.holds(root / "src" / "small" / "main.py")
    assert found.holds(working_copy / "src" / "helper.py")
    assert not found.holds(tmp_path / "other" / "other.py")
    assert not found.holds(tmp_path / "sdist-too" / "a.py")
    assert found.relative(root / "src" / "small" / "main.py") == "src/small/main.py"
    assert found.relative(working_copy / "src" / "helper.py") == "src/helper.py"


def test_what_is_installed_within_the_projects_folder_is_not_the_source_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "python"))
    found = source_tree(
        tmp_path, ("lib", tmp_path / "packages" / "lib"), workspace=tmp_path / "tmp" / "w"
    )

    for inside in ("packages/app/app.py", "tmp/a.py", "python-too/a.py"):
        assert found.holds(tmp_path / inside)
    for installed in (
        ".venv/lib/python3.12/site-packages/numpy/__init__.py",
        "env/lib/python3.12/json/__init__.py",
        "python/lib/python3.12/json/__init__.py",
        "packages/lib/src/lib/__init__.py",
        "tmp/w/wheel/small/main.py",
    ):
        assert not found.holds(tmp_path / installed)


def test_what_is_installed_around_the_project_takes_nothing_of_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a container has it below the folder that Python is installed to."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    root = tmp_path / "app"

    assert source_tree(root, ("monorepo", tmp_path), ("twin", root)).holds(root / "main.py")


def test_links_to_the_source_tree_are_followed(tmp_path: Path) -> None:
    root, link = tmp_path / "project", tmp_path / "link"
    root.mkdir()
    link.symlink_to(root)

    assert source_tree(root).holds(link / "main.py")
    assert source_tree(link).holds(root / "main.py")
    assert source_tree(link).relative(root / "main.py") == "main.py"


def test_the_entries_of_a_path_that_lead_into_the_source_tree_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    path = ["", "src", str(tmp_path / "project"), str(tmp_path / "lib"), *sys.path]

    assert source_tree(tmp_path / "project").entries(path) == [
        tmp_path / "project" / "src",
        tmp_path / "project",
    ]
