"""The check, run for real by the child script: what passes, what fails, and what it must not find."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from environments import FakeEnvironment
from packaging.utils import canonicalize_name

from hatch_model.check import CheckRequest, CheckResult, Hidden, hidden_from_check, run_check
from hatch_model.entry_point import ObjectReference
from hatch_model.errors import FrontendGoneError, HatchModelError
from hatch_model.installed import Distribution, InstalledEnvironment
from hatch_model.process import RunProcess, run_process

if TYPE_CHECKING:
    from collections.abc import Mapping

_SMALL = canonicalize_name("small")
_DECLARED_IN = "tool.hatch.metadata.hooks.model.dependencies"


@dataclass
class _Check:
    """A module `model` in an unpacked wheel, and what checking with it gives."""

    folder: Path
    """The unpacked wheel."""
    workspace: Path
    root: Path
    """The source tree."""
    site: Path
    """A folder that packages are installed to."""
    python: str = sys.executable
    required: tuple[str, ...] = ("anchor",)
    """What the wheel requires, all told; what else is installed is hidden."""
    models: list[tuple[Path, bool]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    runner: RunProcess = run_process

    def run(self, source: str = "", name: str = "model:check") -> CheckResult:
        """Check with a module of that *source*, or, without a *name*, load the models only."""
        (self.folder / "model.py").write_text(dedent(source), "utf-8")
        module, _, attribute = name.partition(":")
        request = CheckRequest(
            check=ObjectReference(module=module, attribute=attribute) if name else None,
            python=self.python,
            folder=self.folder,
            models=self.models,
            hidden=self.hidden(),
            declared_in=_DECLARED_IN,
        )
        return run_check(request, self.workspace, self.lines.append, run=self.runner)

    def message(self, source: str = "", name: str = "model:check") -> str:
        """Check, which fails, and give what that says."""
        with pytest.raises(HatchModelError) as raised:
            self.run(source, name)
        return str(raised.value)

    def hidden(self) -> Hidden:
        required = [canonicalize_name(name) for name in self.required]
        environment = InstalledEnvironment([str(self.site)])
        return hidden_from_check(self.root, environment, _SMALL, required, self.workspace)

    def install(
        self,
        name: str,
        files: Mapping[str, str],
        *,
        entry_points: str = "",
        editable: Path | None = None,
    ) -> None:
        """Put *files* and the metadata of a distribution into the site folder."""
        info = f"{name.replace('-', '_')}-1.0.dist-info"
        all_files = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n",
            f"{info}/entry_points.txt": entry_points,
        }
        if editable:
            direct_url = {"url": editable.as_uri(), "dir_info": {"editable": True}}
            all_files[f"{info}/direct_url.json"] = json.dumps(direct_url)
        all_files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in all_files)
        write(self.site, all_files)


def write(folder: Path, files: Mapping[str, str]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, "utf-8")


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Check:
    names = ("wheel", "workspace", "source", "site")
    folders = [tmp_path / name for name in names]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    wheel, workspace, root, site = folders
    return _Check(wheel, workspace, root, site)


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


# What fails ---------------------------------------------------------------------------------------


def test_an_exception_is_reported_under_its_traceback(check: _Check) -> None:
    source = """\
        def predict(x):
            return 1 / x

        def check():
            predict(0)
        """

    assert check.message(source) == (
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
    ("source", "name", "reason", "is_shown"),
    [
        ("def check(): assert 1 == 2, 'unequal'", "model:check", "AssertionError: unequal", True),
        ("def check(): raise SystemExit(0)", "model:check", "SystemExit: 0", False),
        ("def check(): raise KeyboardInterrupt", "model:check", "KeyboardInterrupt", True),
        ("raise OSError('no weights')", "model:check", "OSError: no weights", True),
        (
            "def check(x): pass",
            "model:check",
            "TypeError: check() missing 1 required positional argument: 'x'",
            True,
        ),
        (
            "check = 1",
            "model:check",
            "TypeError: it is not an ordinary function but of type `int`",
            False,
        ),
        (
            "async def check(): pass",
            "model:check",
            "TypeError: it is not an ordinary function but of type `async function`",
            False,
        ),
        (
            "def check(): pass",
            "model:absent",
            "AttributeError: module 'model' has no attribute 'absent'",
            False,
        ),
        (
            "",
            "model.absent:check",
            "ModuleNotFoundError: No module named 'model.absent'",
            False,
        ),
        ("", "absent:check", "ModuleNotFoundError: No module named 'absent'", False),
        ("import absent", "model:check", "ModuleNotFoundError: No module named 'absent'", True),
    ],
)
def test_each_way_of_failing_is_told(
    check: _Check, source: str, name: str, reason: str, *, is_shown: bool
) -> None:
    message = check.message(source, name)

    assert message == f"the wheel does not pass its check: {name} raised {reason}"
    assert check.lines[-1:] == ([reason] if is_shown else [])
    assert "call.py" not in "".join(check.lines)
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
    assert check.message(source) == (
        f"the wheel does not pass its check: the process that ran model:check {how}."
    )


@pytest.mark.parametrize("error", [FrontendGoneError, BrokenPipeError])
def test_a_frontend_that_is_gone_ends_the_check(check: _Check, error: type[Exception]) -> None:
    def run(*_: object, **__: object) -> int:
        raise error

    check.runner = run

    assert check.message() == "the build frontend is gone, so model:check was stopped"


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
from hatch_model.check import CheckRequest, run_check
from hatch_model.entry_point import ObjectReference
request = CheckRequest(
    check=ObjectReference(module="model", attribute="check"),
    python=sys.executable, folder=Path({str(check.folder)!r}),
)
run_check(request, Path({str(check.workspace)!r}), print, scratch=Path({str(scratch)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", build]) as process:
        assert pipe.read_bytes() == b""

    assert process.returncode == -signal.SIGKILL
    assert not scratch.exists()


# Where it runs ------------------------------------------------------------------------------------


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


def test_no_module_of_a_user_is_shadowed_by_the_script(check: _Check) -> None:
    (check.folder / "call.py").write_text("value = 1")

    assert check.run("import call\ndef check(): return call.value").returned == 1


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

    assert result == CheckResult(returned=1, is_recordable=True)


def test_the_request_and_the_result_are_what_the_protocol_says(check: _Check) -> None:
    check.install("plotter", {"plotter.py": ""})
    check.models.append((check.folder / "absent.pkl", False))

    check.run("def check(): return 1")

    request = json.loads((check.workspace / "request.json").read_text("utf-8"))
    hidden = check.hidden()
    assert request == {
        "task": "check",
        "predict": None,
        "module": "model",
        "attribute": "check",
        "models": [[str(check.folder / "absent.pkl"), False]],
        "hidden": {
            "files": hidden.files,
            "folders": hidden.folders,
            "shown": hidden.shown,
            "distributions": [[str(check.site), "plotter"]],
        },
        "scratch": str(check.workspace),
    }
    answer = json.loads((check.workspace / "result.json").read_text("utf-8"))
    path = answer.pop("path")
    assert answer == {"outcome": "returned", "value": 1, "missed": {}}
    assert path[:2] == [str(check.folder), str(check.site)]
    assert sorted(path.name for path in check.workspace.iterdir()) == [
        "empty",
        "request.json",
        "result.json",
    ]


# What is installed and not required ---------------------------------------------------------------

_UNDECLARED = (
    "imported plotter, which the wheel does not require. It is installed here only for training or "
    "for the build, so users of the wheel would not have it. Add it to "
    "tool.hatch.metadata.hooks.model.dependencies, and not to build-system.requires, or do not import it "
    "to predict."
)


@pytest.mark.parametrize(
    "source",
    [
        "import plotter\ndef check(): pass",
        "def check(): import plotter",
        "def check(): import plotter.deep",
        "def check(): from plotter.deep import x",
        "def check(): from plotting import x",
        "def check(): import shared.plots",
        "def check(): import anchor.charts",
        "import importlib\ndef check(): importlib.import_module('plotter')",
        """
        def check():
            try:
                import plotter
            except ImportError as error:
                raise RuntimeError("install the extra `plots`") from error
        """,
    ],
)
def test_an_import_of_what_the_wheel_does_not_require_fails_the_check(
    check: _Check, source: str
) -> None:
    check.install(
        "plotter",
        {
            "plotter/__init__.py": "",
            "plotter/deep.py": "x = 1",
            "plotting.py": "x = 1",
            "shared/plots.py": "",
        },
    )
    check.install("anchor", {"anchor/__init__.py": "", "anchor/charts.py": "import plotter"})

    assert check.message(source) == f"the wheel does not pass its check: model:check {_UNDECLARED}"


def test_what_is_required_is_found(check: _Check) -> None:
    check.install("anchor", {"anchor.py": "value = 3"})

    result = check.run(
        """
        import anchor
        from importlib.metadata import version
        def check(): return [anchor.value, version("anchor"), version("Anchor")]
        """
    )

    assert result.returned == [3, "1.0", "1.0"]


def test_an_optional_import_of_what_is_not_required_fails_softly(check: _Check) -> None:
    check.install("plotter", {"plotter/__init__.py": "", "plotter/deep.py": ""})

    result = check.run(
        """
        import importlib.util
        try:
            import plotter
        except ModuleNotFoundError as error:
            plotter = [str(error), error.name]

        def check():
            try:
                from plotter.deep import x
            except ImportError as error:
                return [plotter, str(error), importlib.util.find_spec("plotter")]
        """
    )

    missing = "No module named 'plotter'"
    assert result.returned == [[missing, "plotter"], missing, None]


def test_what_was_looked_for_in_vain_is_told_where_something_else_fails(check: _Check) -> None:
    check.install("plotter", {"plotter.py": ""})
    source = """
        try:
            import plotter
        except ImportError:
            plotter = None
        def check(): return plotter.draw()
        """

    assert check.message(source) == (
        "the wheel does not pass its check: model:check raised AttributeError: 'NoneType' object "
        "has no attribute 'draw'\n"
        "It did not find packages that the wheel does not require: plotter."
    )


_METADATA = """
    from %(metadata)s import PackageNotFoundError, distributions, entry_points, version

    def check():
        found = [each.name for each in entry_points(group="plugins")]
        names = sorted({each.metadata["Name"] for each in distributions()})
        try:
            return version("Plot.Ter")
        except PackageNotFoundError:
            return [found, [name for name in names if name in ("Plot-ter", "anchor")]]
"""


@pytest.mark.parametrize("metadata", ["importlib.metadata", "importlib_metadata"])
def test_the_metadata_of_what_is_not_required_is_not_found(check: _Check, metadata: str) -> None:
    pytest.importorskip(metadata)
    check.install("Plot-ter", {}, entry_points="[plugins]\nplot = plotter:main\n")
    check.install("anchor", {}, entry_points="[plugins]\nhold = anchor:main\n")

    assert check.run(_METADATA % {"metadata": metadata}).returned == [["hold"], ["anchor"]]


def test_a_version_that_is_asked_for_in_vain_fails_the_check(check: _Check) -> None:
    check.install("plotter", {})
    source = "import importlib.metadata as m\ndef check(): m.version('plotter')"

    assert check.message(source) == (
        f"the wheel does not pass its check: model:check {_UNDECLARED}"
    )


@pytest.mark.parametrize("is_package", [False, True])
def test_a_copy_that_somebody_vendors_is_found(check: _Check, *, is_package: bool) -> None:
    """As setuptools does: the folder is put at the end of the path."""
    name = "plotter/__init__.py" if is_package else "plotter.py"
    check.install("plotter", {name: "where = 'installed'"})
    check.install(
        "anchor",
        {
            "anchor/__init__.py": "import sys\nsys.path.append(__path__[0] + '/_vendor')",
            f"anchor/_vendor/{name}": "where = 'vendored'",
        },
    )

    result = check.run("import anchor, plotter\ndef check(): return plotter.where")

    assert result.returned == "vendored"


def test_a_file_that_a_required_distribution_owns_as_well_is_found(check: _Check) -> None:
    """As with the two variants of OpenCV, or an `__init__.py` that several packages share."""
    check.install("plotter", {"shared/__init__.py": "", "shared/both.py": "", "shared/one.py": ""})
    check.install("anchor", {"shared/__init__.py": "", "shared/both.py": "value = 3"})

    result = check.run(
        """
        from shared.both import value
        def check():
            try:
                import shared.one
            except ImportError:
                return value
        """
    )

    assert result.returned == 3


def test_an_editable_distribution_that_is_not_required_is_not_found(
    check: _Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "plotter", {"src/plotter.py": ""})
    check.install("plotter", {"plotter.pth": ""}, editable=tmp_path / "plotter")
    path = [str(tmp_path / "plotter" / "src"), str(check.site)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))

    assert check.message("import plotter") == (
        f"the wheel does not pass its check: model:check {_UNDECLARED}"
    )


def test_what_pth_files_have_imported_is_not_found_either(check: _Check, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", symlinks=os.name != "nt")
    scheme = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    check.python = str(tmp_path / "env" / scheme)
    (check.site,) = (tmp_path / "env").rglob("site-packages")
    check.install("plotter", {"plotter.py": "", "plotter.pth": "import plotter\n"})
    check.install("anchor", {"anchor.py": "", "anchor.pth": "import anchor\n"})
    source = """
        import sys
        def check(): return sorted({"anchor", "plotter"} & {*sys.modules})
        """

    assert check.run(source).returned == ["anchor"]
    (check.workspace / "empty").rmdir()
    assert check.message("import plotter") == (
        f"the wheel does not pass its check: model:check {_UNDECLARED}"
    )


@pytest.mark.parametrize("method", ["append", "insert"])
def test_finders_that_are_added_later_hide_it_too(check: _Check, method: str) -> None:
    check.install("plotter", {"plotter.py": ""})
    place = "" if method == "append" else "0, "
    source = f"""
        import importlib.util, sys

        class Finder:
            def find_spec(name, path=None, target=None):
                if name == "plotter":
                    return importlib.util.spec_from_file_location(
                        name, {str(check.site / "plotter.py")!r}
                    )

        def check():
            sys.meta_path.{method}({place}Finder)
            seen = Finder in sys.meta_path
            sys.meta_path.remove(Finder)
            sys.meta_path.{method}({place}Finder)
            assert seen
            import plotter
        """

    assert check.message(source) == f"the wheel does not pass its check: model:check {_UNDECLARED}"


# The source tree ----------------------------------------------------------------------------------


def _in_tree(file: str) -> str:
    return (
        f"the wheel does not pass its check: model:check imported {file} from the source tree, "
        f"which the wheel does not contain. Move it to a package that ships."
    )


@pytest.mark.parametrize("way", ["tree", "link", "editable"])
def test_the_source_tree_is_not_found(
    check: _Check, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An sdist is built elsewhere than in the tree that the project is installed from as editable."""
    link, copy = tmp_path / "link", tmp_path / "copy"
    for folder in (check.root, copy):
        write(folder, {"src/small_tools/helper.py": "", "src/model.py": "raise OSError"})
    link.symlink_to(check.root)
    check.install("small", {"small.pth": ""}, editable=copy)
    folder = {"tree": check.root, "link": link, "editable": copy}[way] / "src"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(check.site)]))

    assert check.message("import small_tools.helper") == _in_tree("src/small_tools/helper.py")
    assert "OSError" not in "".join(check.lines)


def test_what_is_installed_within_the_source_tree_is_found(
    check: _Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = check.root
    site = root / ".venv" / "lib" / "site-packages"
    write(
        root,
        {
            ".venv/lib/site-packages/installed.py": "",
            "packages/anchor/anchor.py": "",
            "helper.py": "",
        },
    )
    check.install("anchor", {"anchor.pth": ""}, editable=root / "packages" / "anchor")
    check.folder = root / "build" / "wheel"
    check.folder.mkdir(parents=True)
    check.workspace = root / "build"
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    path = [site, root / "packages" / "anchor", root]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, path)))

    assert check.run("import anchor, installed\ndef check(): return 1").returned == 1
    (check.workspace / "empty").rmdir()
    assert check.message("import helper") == _in_tree("helper.py")


def test_what_is_hidden_is_listed_by_whom_it_belongs_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/env")
    monkeypatch.setattr(sys, "base_prefix", "/python")
    monkeypatch.setattr(sys, "path", ["/src", "/env/lib/site-packages"])

    def distribution(name: str, record: str, editable: str = "") -> Distribution:
        url = {"url": f"file://{editable}", "dir_info": {"editable": True}}
        return Distribution(
            name=canonicalize_name(name),
            raw_version="1.0",
            raw_direct_url=json.dumps(url) if editable else "",
            location="/env/lib/site-packages",
            read_record=lambda: record,
        )

    environment = FakeEnvironment(
        [
            distribution("plotter", "plotter.py,,\nshared.py,,\nplotter.txt,,\n../../bin/p.py,,\n"),
            distribution("anchor", "anchor.py,,\nshared.py,,\n"),
            distribution("tools", "tools.pth,,\n", "/tools"),
            distribution("chain", "chain.pth,,\n", "/chain"),
            distribution("small", "small.pth,,\n", "/copy"),
        ]
    )
    required = [canonicalize_name(name) for name in ("anchor", "chain")]

    hidden = hidden_from_check(tmp_path, environment, _SMALL, required, Path("/tmp/w"))  # noqa: S108

    assert hidden == Hidden(
        files={"/env/lib/site-packages/plotter.py": "plotter", "/env/bin/p.py": "plotter"},
        folders={str(tmp_path): "", "/tools": "tools", "/copy": ""},
        shown=["/env", "/python", "/tmp/w", "/chain", "/env/lib/site-packages"],  # noqa: S108
        distributions=[
            ("/env/lib/site-packages", "plotter"),
            ("/env/lib/site-packages", "tools"),
            ("/env/lib/site-packages", "small"),
        ],
    )


def test_a_check_finds_nothing_of_hatch_model_imported(check: _Check) -> None:
    source = """
        import sys
        def check():
            parts = ("hatch_model", "hatchling", "checking", "pickles", "joblib")
            return sorted(name for name in sys.modules if name.startswith(parts))
    """

    assert check.run(source).returned == []


# Models -------------------------------------------------------------------------------------------


def add_model(check: _Check, name: str, *, is_needed: bool) -> None:
    """Ship a pickle of what is called *name*, such as `module.Class`, or of what calling it gives."""
    file = check.folder / "small" / "data" / "model.pkl"
    file.parent.mkdir(parents=True)
    module, _, attribute = name.removesuffix("()").rpartition(".")
    call = "(tR" if name.endswith("()") else ""
    file.write_text(f"c{module}\n{attribute}\n{call}.")
    check.models.append((file, is_needed))


_MODULE = """
class Model: pass
def fail(): raise ValueError("of another version")
def end(): raise SystemExit(0)
def check(): return 1
"""


@pytest.mark.parametrize("is_needed", [False, True])
@pytest.mark.parametrize("name", ["model:check", ""])
def test_a_model_that_can_be_loaded_passes(check: _Check, name: str, *, is_needed: bool) -> None:
    add_model(check, "model.Model", is_needed=is_needed)

    result = check.run(_MODULE, name)

    assert result == CheckResult(returned=1 if name else None, is_recordable=bool(name))
    assert check.lines == []


@pytest.mark.parametrize("is_needed", [False, True])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("notebook.Model", "ModuleNotFoundError: No module named 'notebook'"),
        (
            "model.deep.Model",
            "ModuleNotFoundError: No module named 'model.deep'; 'model' is not a package",
        ),
        (
            "model.Absent",
            "AttributeError: module 'model' has no attribute 'Absent'",
        ),
    ],
)
def test_a_model_of_a_class_that_does_not_ship_is_refused(
    check: _Check, name: str, reason: str, *, is_needed: bool
) -> None:
    add_model(check, name, is_needed=is_needed)

    assert check.message(_MODULE) == (
        f"the model cannot be loaded where the wheel is installed: loading `small/data/model.pkl` "
        f"needs `{name}`, which the wheel does not ship ({reason}). Define it in a module of the "
        f"package that ships, and import it from there."
    )
    assert check.lines == []


@pytest.mark.parametrize("name", ["__main__.Model", "__main__.main"])
def test_a_model_of_a_class_of_main_is_refused(check: _Check, name: str) -> None:
    add_model(check, name, is_needed=False)

    assert check.message(_MODULE) == (
        f"the model cannot be loaded where the wheel is installed: loading `small/data/model.pkl` "
        f"needs `{name}`, which the wheel does not ship. Define it in a module of the package that "
        f"ships, and import it from there."
    )


@pytest.mark.parametrize("is_needed", [False, True])
@pytest.mark.parametrize("name", ["plotter.Model", "charts.Model"])
def test_a_model_of_a_package_that_is_not_required_is_refused(
    check: _Check, name: str, *, is_needed: bool
) -> None:
    check.install("plotter", {"plotter.py": "class Model: pass"})
    write(check.folder, {"charts.py": "from plotter import Model"})
    add_model(check, name, is_needed=is_needed)

    assert check.message(_MODULE) == (
        f"the wheel does not pass its check: loading `small/data/model.pkl` {_UNDECLARED}"
    )


def test_a_model_of_a_module_of_the_source_tree_is_refused(
    check: _Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(check.root, {"helper.py": "class Model: pass"})
    monkeypatch.setenv("PYTHONPATH", str(check.root))
    add_model(check, "helper.Model", is_needed=False)

    assert check.message(_MODULE) == (
        "the wheel does not pass its check: loading `small/data/model.pkl` imported helper.py from "
        "the source tree, which the wheel does not contain. Move it to a package that ships."
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [("model.fail()", "ValueError: of another version"), ("model.end()", "SystemExit: 0")],
)
def test_a_model_that_fails_for_another_reason_is_refused_if_it_is_needed(
    check: _Check, name: str, reason: str
) -> None:
    add_model(check, name, is_needed=True)

    assert check.message(_MODULE) == (
        f"the wheel does not pass its check: loading `small/data/model.pkl` raised {reason}"
    )
    assert check.lines[0] == "Traceback (most recent call last):"
    assert check.lines[-1] == reason


@pytest.mark.parametrize("name", ["model.fail()", "model.end()"])
def test_a_file_that_only_looks_like_a_model_may_fail(check: _Check, name: str) -> None:
    add_model(check, name, is_needed=False)

    assert check.run(_MODULE).returned == 1
    assert check.lines == []


def test_a_file_that_is_no_pickle_may_look_like_one(check: _Check) -> None:
    file = check.folder / "weights.pkl"
    file.write_bytes(b"\xff weights")
    check.models.append((file, False))

    assert check.run(_MODULE).returned == 1
