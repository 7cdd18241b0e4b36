"""The child script, run for real: every outcome of its protocol, and what training comes upon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import joblib
import pytest
from support import tree

from hatch_model.entry_point import ObjectReference
from hatch_model.errors import FrontendGoneError, HatchModelError
from hatch_model.process import _CHILD as CHILD
from hatch_model.process import RunProcess, run_process
from hatch_model.training import Request, Result, train

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEY = "tool.hatch.build.hooks.model"


@dataclass
class _Training:
    """A module `model` in a folder of its own, and what training with it gives."""

    folder: Path
    workspace: Path
    artifacts: Path
    lines: list[str] = field(default_factory=list)
    runner: RunProcess = run_process

    def run(
        self,
        source: str,
        name: str = "model:train",
        *,
        arguments: Mapping[str, Any] | None = None,
        **environment: str,
    ) -> Result:
        (self.folder / "model.py").write_text(dedent(source), "utf-8")
        module, _, attribute = name.partition(":")
        return train(
            Request(
                key=_KEY,
                declared_in="dependency-groups.model",
                train=ObjectReference(module=module, attribute=attribute),
                arguments=arguments or {},
                root=self.folder,
                modules=["model", "model_utils"],
                python_path=[self.folder],
                artifacts_dir=self.artifacts,
                environment=environment,
            ),
            self.workspace,
            self.lines.append,
            self.runner,
        )

    def message(self, source: str, name: str = "model:train", **settings: Any) -> str:
        """Train, which fails, and give what that says."""
        with pytest.raises(HatchModelError) as raised:
            self.run(source, name, **settings)
        return str(raised.value)

    @property
    def output_dir(self) -> Path:
        return self.workspace / "artifacts"


@pytest.fixture
def training(tmp_path: Path) -> _Training:
    folder, workspace = tmp_path / "project", tmp_path / "workspace"
    folder.mkdir()
    workspace.mkdir()
    return _Training(folder, workspace, folder / "data")


# What is returned ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "metrics", "model"),
    [
        pytest.param("None", {}, None, id="nothing"),
        pytest.param("{}", {}, None, id="no metrics"),
        pytest.param("{'accuracy': 0.5, 'n': 3}", {"accuracy": 0.5, "n": 3}, None, id="metrics"),
        pytest.param("types.MappingProxyType({'n': 3})", {"n": 3}, None, id="any mapping"),
        pytest.param("[1, 2]", {}, [1, 2], id="a model"),
        pytest.param("[]", {}, [], id="a model that is false"),
        pytest.param("([1, 2], {'n': 3})", {"n": 3}, [1, 2], id="a model and metrics"),
        pytest.param("({'n': 3}, [1, 2])", {"n": 3}, [1, 2], id="metrics and a model"),
        pytest.param("({'a': 1}, {'n': 3})", {"n": 3}, {"a": 1}, id="a mapping as the model"),
        pytest.param("(None, {'n': 3})", {"n": 3}, None, id="no model, and metrics"),
        pytest.param("([1], [2])", {}, ([1], [2]), id="a pair without metrics is a model"),
        pytest.param("([1], [2], {})", {}, ([1], [2], {}), id="three values are a model"),
    ],
)
@pytest.mark.parametrize("parameters", ["", "output_dir"])
def test_what_is_returned_is_metrics_or_the_model_or_both(
    training: _Training, parameters: str, returned: str, metrics: dict[str, float], model: object
) -> None:
    result = training.run(f"import types\ndef train({parameters}): return {returned}")

    assert (result.metrics, result.model_saved) == (metrics, model is not None)
    assert result.output_dir == training.output_dir
    assert not training.artifacts.exists()
    if model is None:
        assert tree(training.output_dir) == {}
    else:
        assert list(tree(training.output_dir)) == ["model.joblib"]
        assert joblib.load(training.output_dir / "model.joblib") == model


_SCALARS = """
    import decimal, enum, fractions, math

    class Scalar:
        ndim = 0
        def __init__(self, value): self.value = value
        def item(self): return self.value

    class Array(Scalar):
        ndim = 1
        def __repr__(self): return "Array(1.0)"

    class Unshown(float):
        def __float__(self): return math.inf
        def __repr__(self): raise OSError

    class Level(enum.IntEnum):
        HIGH = 3

    def train(): return {"metric": %s}
"""


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0.25", 0.25),
        ("-3", -3),
        ("10 ** 30", 10**30),
        ("10 ** 308", 10**308),
        ("decimal.Decimal('0.25')", 0.25),
        ("1e300", 1e300),
        ("fractions.Fraction(1, 4)", 0.25),
        ("Level.HIGH", 3),
        ("Scalar(0.25)", 0.25),
        ("Scalar(7)", 7),
    ],
)
def test_metrics_are_numbers_of_any_kind(training: _Training, value: str, number: float) -> None:
    metric = training.run(_SCALARS % value).metrics["metric"]

    assert (metric, type(metric)) == (number, type(number))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("True", "True"),
        ("Scalar(False)", "False"),
        ("math.nan", "nan"),
        ("-math.inf", "-inf"),
        ("Scalar(math.nan)", "nan"),
        ("'0.9'", "'0.9'"),
        ("None", "None"),
        ("1j", "1j"),
        ("10 ** 309", f"1{199 * '0'}…"),
        ("10 ** 5000", "an object of type int"),
        ("fractions.Fraction(10 ** 400)", f"Fraction(1{190 * '0'}…"),
        ("decimal.Decimal('1e400')", "Decimal('1E+400')"),
        ("decimal.Decimal('nan')", "Decimal('NaN')"),
        ("decimal.Decimal('snan')", "Decimal('sNaN')"),
        ("Unshown()", "an object of type model.Unshown"),
    ],
)
def test_a_metric_that_is_no_finite_number_is_refused(
    training: _Training, value: str, shown: str
) -> None:
    assert training.message(_SCALARS % value) == (
        f"model:train returned a mapping with 'metric': {shown}, but metrics must map names to "
        f"finite numbers. Leave it out, or write it to a file next to the model."
    )


@pytest.mark.parametrize(
    "returned", ["{'metric': [0.9]}", "{'metric': {'precision': 0.9}}", "{1: 0.5}"]
)
def test_a_mapping_that_may_well_be_the_model_is_told_how_to_be_saved(
    training: _Training, returned: str
) -> None:
    assert training.message(f"def train(): return {returned}").endswith(
        " To save a mapping as the model, return it together with metrics: `return model, {}`."
    )


@pytest.mark.parametrize(
    ("source", "raised", "missing"),
    [
        (
            "import nowhere.deep\ndef train(): pass",
            "ModuleNotFoundError: No module named 'nowhere'",
            "nowhere",
        ),
        (
            (
                "def train():\n    try: import nowhere\n"
                "    except ImportError: raise ImportError('needs nowhere')"
            ),
            "ImportError: needs nowhere",
            "nowhere",
        ),
        (
            "def train():\n    from importlib.metadata import version\n    version('no-where')",
            "importlib.metadata.PackageNotFoundError: No package metadata was found for no-where",
            "no-where",
        ),
    ],
)
def test_a_package_that_training_lacks_is_told_where_it_belongs(
    training: _Training, source: str, raised: str, missing: str
) -> None:
    assert training.message(source) == (
        f"training failed: model:train raised {raised}. `{missing}` is not in the training "
        f"environment. Add the package to dependency-groups.model if the model needs it to predict, or "
        f"else to a group in {_KEY}.dependency-groups, and not to build-system.requires."
    )


_READS = "from pathlib import Path\ndef train(): Path(%s).read_text()"


@pytest.mark.parametrize(
    "path", ["'data/houses.csv'", "'./data/houses.csv'", "Path.cwd() / 'data' / 'houses.csv'"]
)
def test_a_file_that_the_sdist_lacks_is_told_how_it_gets_there(
    training: _Training, path: str
) -> None:
    (training.folder / "PKG-INFO").touch()

    assert training.message(_READS % path).endswith(
        "/houses.csv'. `data/houses.csv` is not in this source distribution, which must include "
        "the files that training reads (or build the wheel from the project itself, with `uv build "
        '--wheel`, or set `sdist = "trained"`).'
    )


@pytest.mark.parametrize(
    ("path", "is_sdist"), [("'data/houses.csv'", False), ("'/nowhere/houses.csv'", True)]
)
def test_a_file_that_is_missing_anyway_is_not_blamed_on_the_sdist(
    training: _Training, path: str, *, is_sdist: bool
) -> None:
    if is_sdist:
        (training.folder / "PKG-INFO").touch()

    assert training.message(_READS % path).endswith("/houses.csv'")


@pytest.mark.parametrize(
    "source",
    [
        "from json import nothing\ndef train(): pass",
        "import model.nothing\ndef train(): pass",
        "def train():\n    try: import nowhere\n    except ImportError: raise KeyError(1)",
    ],
)
def test_what_is_no_missing_package_is_not_called_one(training: _Training, source: str) -> None:
    assert "training environment" not in training.message(source)


def test_without_an_engine_nothing_of_engines_is_imported(training: _Training) -> None:
    result = training.run(
        "import sys\n"
        "def train(output_dir):\n"
        "    names = [name for name in sys.modules if name.startswith(('hatch_model', 'joblib'))]\n"
        "    return {name: 1 for name in names}, [0.5]\n"
    )

    assert (result.metrics, result.model_saved) == ({}, True)


def test_a_metric_has_a_string_for_a_name(training: _Training) -> None:
    assert training.message("def train(): return [], {1: 0.5}") == (
        "model:train returned a mapping with 1: 0.5, but metrics must map names to finite numbers. "
        "Leave it out, or write it to a file next to the model."
    )


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ("0.9", "0.9"),
        ("True", "True"),
        ("'models/m.bin'", "'models/m.bin'"),
        ("pathlib.PurePosixPath('m.bin')", "PurePosixPath('m.bin')"),
        ("(0.9, {'n': 3})", "0.9"),
        ("({'n': 3}, 'm.bin')", "'m.bin'"),
        ("Scalar(0.5)", "Scalar(0.5)"),
    ],
)
@pytest.mark.parametrize("parameters", ["", "output_dir"])
def test_what_nobody_trains_is_no_model(
    training: _Training, parameters: str, returned: str, shown: str
) -> None:
    source = f"""
        import pathlib

        class Scalar:
            ndim = 0
            def __init__(self, value): self.value = value
            def item(self): return self.value
            def __repr__(self): return "Scalar(0.5)"

        def train({parameters}):
            return {returned}
        """

    assert training.message(source) == (
        f"model:train returned {shown}, which is not a model. Return metrics as a mapping, such as "
        f'`{{"accuracy": 0.97}}`. If the function writes the model\'s files itself, return only '
        f"metrics or nothing."
    )


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ("[1], 0.97", "0.97"),
        ("[1], 'm.bin', {'n': 3}", "'m.bin'"),
        ("[1], None", "None"),
        ("(([1], 2), {'n': 3})", "2"),
    ],
)
def test_a_model_and_what_nobody_trains_are_no_model(
    training: _Training, returned: str, shown: str
) -> None:
    assert training.message(f"def train(): return {returned}") == (
        f"model:train returned a tuple with {shown} in it, which is neither a model nor metrics. "
        f'Return the model together with a mapping: `return model, {{"accuracy": 0.97}}`.'
    )


@pytest.mark.parametrize(
    ("wrapper", "arguments", "outcome"),
    [
        ("def wrapper(): return f([0.5])", {}, [0.5]),
        ("def wrapper(rate=1): return f([rate])", {"rate": 2}, [2]),
        ("def wrapper(*args, **kwargs): return f([3], *args, **kwargs)", {}, [3]),
    ],
)
def test_a_wrapper_is_called_as_it_says_itself(
    training: _Training, wrapper: str, arguments: dict[str, Any], outcome: list[float]
) -> None:
    """As with hydra's, which reads the configuration and hands it to the function."""
    source = f"""
        import functools

        def configured(f):
            @functools.wraps(f)
            {wrapper}
            return wrapper

        @configured
        def train(config): return config
        """

    result = training.run(source, arguments=arguments)

    assert joblib.load(result.output_dir / "model.joblib") == outcome


def test_a_wrapper_that_passes_on_what_it_is_given_passes_the_output_folder_on(
    training: _Training,
) -> None:
    source = """
        import functools

        def logged(f):
            @functools.wraps(f)
            def wrapper(*args, **kwargs): return f(*args, **kwargs)
            return wrapper

        @logged
        def train(output_dir): (output_dir / "weights.txt").write_text("0.5")
        """

    assert list(tree(training.run(source).output_dir)) == ["weights.txt"]


@pytest.mark.parametrize(
    ("returned", "kind", "reason"),
    [
        (
            "lambda: 1",
            "function",
            "PicklingError: Can't pickle ",
        ),
        ("(i for i in 'abc')", "generator", "TypeError: cannot pickle 'generator' object"),
        ("Model()", "model.Model", "ValueError: not me"),
    ],
)
def test_a_model_that_cannot_be_pickled_is_refused(
    training: _Training, returned: str, kind: str, reason: str
) -> None:
    message = training.message(
        f"""
        class Model:
            def __reduce__(self): raise ValueError("not me")

        def train(output_dir): return {returned}
        """,
    )

    start = f"model:train returned an object of type `{kind}` that could not be saved with joblib: "
    end = (
        ". Return one that can be pickled, or take `output_dir` and write the model there in "
        "another format."
    )
    assert message.startswith(start) and message.endswith(end)
    assert reason in message.removeprefix(start).removesuffix(end)


@pytest.mark.parametrize(("parameters", "folder"), [("", "'data'"), ("output_dir", "output_dir")])
def test_a_model_is_written_or_returned_but_not_both(
    training: _Training, parameters: str, folder: str
) -> None:
    source = f"""
        from pathlib import Path

        def train({parameters}):
            folder = Path({folder})
            folder.mkdir(exist_ok=True)
            (folder / "model.joblib").write_bytes(b"1")
            return [1, 2]
        """

    assert training.message(source) == (
        "model:train wrote `model.joblib` and also returned a model, which is saved under that "
        "name. Do only one of these."
    )
    assert list(tree(training.folder)) == ["model.py"]


def test_a_model_of_an_earlier_training_is_in_nobodys_way(training: _Training) -> None:
    training.artifacts.mkdir()
    (training.artifacts / "model.joblib").write_bytes(b"old")

    training.run("def train(): return [1, 2]")

    assert joblib.load(training.output_dir / "model.joblib") == [1, 2]
    assert (training.artifacts / "model.joblib").read_bytes() == b"old"


def test_a_model_may_be_written_as_model_joblib(training: _Training) -> None:
    source = """
        def train(output_dir):
            (output_dir / "model.joblib").write_bytes(b"1")
            return {"n": 3}
        """

    result = training.run(source)

    assert (result.metrics, result.model_saved) == ({"n": 3}, False)
    assert (training.output_dir / "model.joblib").read_bytes() == b"1"


# What goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "module", "suggestion"),
    [
        ("modle:train", "modle", " Did you mean `model`?"),
        ("model.main:train", "model.main", " Did you mean `model`?"),
        ("quite.other:train", "quite", ""),
    ],
)
def test_a_module_that_does_not_exist_is_named(
    training: _Training, name: str, module: str, suggestion: str
) -> None:
    assert training.message("", name) == (
        f"{_KEY}.train is `{name}`, but there is no module `{module}` among the wheel's files, on "
        f"`python-path` or in the training environment.{suggestion}"
    )


@pytest.mark.parametrize(
    ("name", "owner", "attribute", "suggestion"),
    [
        ("model:trian", "model", "trian", " Did you mean `train`?"),
        ("model:zzz", "model", "zzz", ""),
        ("model:Trainer.fti", "model.Trainer", "fti", " Did you mean `fit`?"),
        ("model:Trainr.fit", "model", "Trainr", " Did you mean `Trainer`?"),
    ],
)
def test_a_function_that_does_not_exist_is_named(
    training: _Training, name: str, owner: str, attribute: str, suggestion: str
) -> None:
    source = """
        def train(): ...

        class Trainer:
            @staticmethod
            def fit(): ...
        """

    assert training.message(source, name) == (
        f"{_KEY}.train is `{name}`, but `{owner}` has no attribute `{attribute}`.{suggestion}"
    )


@pytest.mark.parametrize(
    ("value", "kind"), [("3", "int"), ("Settings()", "model.Settings"), ("None", "NoneType")]
)
def test_what_is_no_function_to_call_is_refused(training: _Training, value: str, kind: str) -> None:
    source = f"""
        class Settings: ...

        train = {value}
        """

    assert training.message(source) == (
        f"{_KEY}.train is `model:train`, but that is not an ordinary function: it is of type `{kind}`."
    )


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("async def train(output_dir): pass", "async function"),
        ("async def train(output_dir): yield", "async function"),
        ("def train(output_dir): yield", "generator function"),
    ],
)
def test_a_function_that_only_makes_something_to_run_is_refused(
    training: _Training, source: str, kind: str
) -> None:
    assert training.message(source) == (
        f"{_KEY}.train is `model:train`, but that is not an ordinary function: it is of type `{kind}`."
    )


@pytest.mark.parametrize(
    ("signature", "arguments", "reason"),
    [
        ("(output_dir, depth)", {}, "missing a required argument: 'depth'"),
        ("(depth)", {}, "missing a required argument: 'depth'"),
        ("()", {"depth": 3}, "got an unexpected keyword argument 'depth'"),
        ("(output_dir)", {"depth": 3}, "got an unexpected keyword argument 'depth'"),
        ("(*, depth: int = 3)", {"detph": 3}, "got an unexpected keyword argument 'detph'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    training: _Training, signature: str, arguments: dict[str, Any], reason: str
) -> None:
    message = training.message(f"def train{signature}: raise AssertionError", arguments=arguments)

    assert message == (
        f"model:train cannot be called with {_KEY}.arguments: {reason}. Its signature is "
        f"`{signature}`."
    )


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("sys.exit()", ""),
        ("sys.exit(None)", ""),
        ("sys.exit(0)", "0"),
        ("sys.exit(3)", "3"),
        ("sys.exit('too few rows')", "'too few rows'"),
        ("raise SystemExit(3)", "3"),
    ],
)
@pytest.mark.parametrize("place", ["function", "module"])
def test_a_call_of_exit_is_a_failure_whatever_the_code(
    training: _Training, place: str, statement: str, shown: str
) -> None:
    body = f"def train(): {statement}" if place == "function" else statement

    assert training.message(f"import sys\n{body}") == (
        f"training failed: model:train called sys.exit({shown}). Return from the function when it "
        f"is done, and raise an exception if it fails."
    )


@pytest.mark.parametrize(
    ("statement", "end"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os._exit(0)", "ended with exit code 0"),
        *(
            []
            if sys.platform == "win32"
            else [
                ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
                ("os.abort()", "was killed by SIGABRT"),
            ]
        ),
    ],
)
def test_a_process_that_dies_is_told_apart_from_a_function_that_fails(
    training: _Training, statement: str, end: str
) -> None:
    source = f"""
        import os, resource, signal
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        def train(): {statement}
        """

    assert training.message(source) == (
        f"training failed: the process that ran model:train {end} before the function had returned."
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_sigkill_comes_with_its_usual_reason(training: _Training) -> None:
    source = "import os\ndef train(): os.kill(os.getpid(), 9)"

    assert training.message(source) == (
        "training failed: the process that ran model:train was killed by SIGKILL before the "
        "function had returned. SIGKILL often means that the machine ran out of memory."
    )


def test_a_process_may_die_after_the_function_has_returned(training: _Training) -> None:
    source = """
        import atexit, os
        def train(): atexit.register(os._exit, 3)
        """

    assert training.message(source) == (
        "training failed: the process that ran model:train ended with exit code 3 after the "
        "function had returned."
    )


def test_an_exception_is_shown_from_the_users_first_frame_on(training: _Training) -> None:
    message = training.message(
        """\
        def train(output_dir):
            return load(output_dir)

        def load(folder):
            raise ValueError("no rows")
        """,
    )

    assert message == "training failed: model:train raised ValueError: no rows"
    assert [line for line in training.lines if "^^^" not in line] == [
        "Traceback (most recent call last):",
        f'  File "{training.folder / "model.py"}", line 2, in train',
        "    return load(output_dir)",
        f'  File "{training.folder / "model.py"}", line 5, in load',
        '    raise ValueError("no rows")',
        "ValueError: no rows",
    ]


@pytest.mark.parametrize(
    ("source", "raised", "frames"),
    [
        (
            "import no_such_package\n",
            "ModuleNotFoundError: No module named 'no_such_package'",
            ["import no_such_package"],
        ),
        ("1 / 0\n", "ZeroDivisionError: division by zero", ["1 / 0"]),
        # Its own name, but not its own absence.
        ("import model.no_such\n", None, ["import model.no_such"]),
    ],
)
def test_an_exception_while_the_module_is_imported_is_the_users(
    training: _Training, source: str, raised: str | None, frames: list[str]
) -> None:
    message = training.message(source)

    if raised is None:
        raised = "ModuleNotFoundError: No module named 'model.no_such'; 'model' is not a package"
    assert message.startswith(f"training failed: model:train raised {raised}")
    shown = [line for line in training.lines if "^^^" not in line and "~~" not in line]
    assert shown == [
        "Traceback (most recent call last):",
        f'  File "{training.folder / "model.py"}", line 1, in <module>',
        *(f"    {frame}" for frame in frames),
        raised,
    ]


def test_a_syntax_error_is_shown_with_its_line_and_nothing_else(training: _Training) -> None:
    message = training.message("def train(:\n    pass\n")

    assert message == (
        "training failed: model:train raised SyntaxError: invalid syntax (model.py, line 1)"
    )
    assert training.lines == [
        f'  File "{training.folder / "model.py"}", line 1',
        "    def train(:",
        "              ^",
        "SyntaxError: invalid syntax",
    ]


def test_what_is_no_exception_does_not_get_past_either(training: _Training) -> None:
    source = "def train(): raise KeyboardInterrupt"

    assert training.message(source) == ("training failed: model:train raised KeyboardInterrupt")


def test_an_attribute_that_is_made_on_demand_may_fail(training: _Training) -> None:
    source = "def __getattr__(name): raise ImportError('not today')"

    assert training.message(source) == (
        "training failed: model:train raised ImportError: not today"
    )


@pytest.mark.parametrize("broken", [FrontendGoneError, BrokenPipeError])
def test_training_stops_when_nobody_is_there_or_nobody_listens(
    tmp_path: Path, broken: type[Exception]
) -> None:
    def run(command: object, **_: object) -> int:
        raise broken(command)

    training = _Training(tmp_path, tmp_path, tmp_path / "data", runner=run)

    assert training.message("") == ("the build frontend is gone, so model:train was stopped")


# What training comes upon -------------------------------------------------------------------------


def test_training_runs_in_the_project_with_its_modules_first(training: _Training) -> None:
    result = training.run(
        """
        import json, os, sys

        def train(output_dir):
            print(os.getcwd())
            print(json.dumps(sys.path))
            print(json.dumps(sys.argv[1:]))
            print(json.dumps(sys.stdin.read()))
            print(output_dir.exists(), list(output_dir.iterdir()))
        """
    )

    folder, path, arguments, stdin, output = training.lines
    assert folder == str(training.folder)
    assert json.loads(path) == list(result.path)
    assert result.path[0] == str(training.folder)
    assert str(CHILD.parent) not in result.path
    # A training function may well read its options with argparse.
    assert (json.loads(arguments), json.loads(stdin)) == ([], "")
    assert output == "True []"


def test_arguments_keep_their_values(training: _Training) -> None:
    arguments = {"depth": 3, "rate": 0.1, "name": "é", "shape": [1, [2]], "deep": {"on": True}}

    training.run("def train(**given): print(given)", arguments=arguments)

    assert training.lines == [str(arguments)]


def test_a_path_in_sys_path_that_is_no_string_does_no_harm(training: _Training) -> None:
    result = training.run(
        "import sys, pathlib\ndef train(): sys.path.insert(0, pathlib.Path.cwd())"
    )

    assert result.path[0] == str(training.folder)
    assert all(isinstance(entry, str) for entry in result.path)


def test_the_files_of_imported_modules_are_listed(training: _Training) -> None:
    (training.folder / "helper.py").touch()
    source = """
        import sys, types
        import wave  # this one no interpreter has loaded before

        class Lazy(types.ModuleType):
            @property
            def __file__(self): raise ImportError("not installed")

        def train():
            import helper
            sys.modules["lazy"] = Lazy("lazy")
            sys.modules["odd"] = None
        """

    imported = training.run(source).imported

    assert {file for file in imported if "project" in file} == {
        str(training.folder / "helper.py"),
        str(training.folder / "model.py"),
    }
    assert any(file.endswith("wave.py") for file in imported)
    assert str(CHILD) not in imported


def test_workers_of_multiprocessing_are_not_taken_for_imports(training: _Training) -> None:
    source = """
        import multiprocessing

        def square(number): return number * number

        def train():
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                print(pool.map(square, [1, 2, 3]))
        """

    result = training.run(source)

    assert training.lines == ["[1, 4, 9]"]
    assert str(CHILD) not in result.imported


@pytest.mark.parametrize(
    ("inherited", "settings", "seen"),
    [
        ({}, {}, ["0", "1580601600"]),
        ({"PYTHONHASHSEED": "3", "SOURCE_DATE_EPOCH": "1000000000"}, {}, ["3", "1000000000"]),
        ({"SOURCE_DATE_EPOCH": "1000000000"}, {"SOURCE_DATE_EPOCH": "7"}, ["0", "7"]),
        ({"PYTHONHASHSEED": "3"}, {"PYTHONHASHSEED": "random"}, ["random", "1580601600"]),
    ],
    ids=["by default", "as inherited", "time as set", "hashes as set"],
)
def test_hashes_and_the_time_are_the_same_in_every_run_unless_asked_otherwise(
    training: _Training,
    monkeypatch: pytest.MonkeyPatch,
    inherited: dict[str, str],
    settings: dict[str, Any],
    seen: list[str],
) -> None:
    for name in ("PYTHONHASHSEED", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)

    training.run(
        """
        import os

        def train():
            print(os.environ["PYTHONHASHSEED"], os.environ["SOURCE_DATE_EPOCH"])
        """,
        **settings,
    )

    assert training.lines == [" ".join(seen)]


def test_variables_of_the_settings_reach_training(training: _Training) -> None:
    training.run("import os\ndef train(): print(os.environ['EPOCHS'])", EPOCHS="3")

    assert training.lines == ["3"]


def test_no_bytecode_is_written_into_the_source_tree(training: _Training) -> None:
    (training.folder / "helper.py").touch()
    training.run("import helper\ndef train(): ...")

    assert list(tree(training.folder)) == ["helper.py", "model.py"]


# Where training writes, and what is kept ------------------------------------------------------------


_WRITES = """
    import os
    from pathlib import Path

    class Model:
        def __reduce__(self): raise ValueError("not me")

    def train():
        folder = Path("data")
        (folder / "nested").mkdir(parents=True, exist_ok=True)
        (folder / "old.txt").write_text("new")
        (folder / "nested" / "new.txt").write_text("new")
        (folder / "nested" / "gone.txt").unlink(missing_ok=True)
        %s
"""


def test_what_was_written_to_the_tree_is_moved_out_of_it(training: _Training) -> None:
    (training.artifacts / "nested").mkdir(parents=True)
    for name in ("old.txt", "kept.txt", "nested/gone.txt", "nested/same.txt"):
        (training.artifacts / name).write_text("old", "utf-8")
    before = tree(training.artifacts)
    source = _WRITES % "(folder / 'nested' / 'same.txt').write_text('old')"

    result = training.run(source)

    assert list(tree(result.output_dir)) == [
        "nested",
        "nested/new.txt",
        "nested/same.txt",
        "old.txt",
    ]
    assert (result.output_dir / "old.txt").read_text("utf-8") == "new"
    assert tree(training.artifacts) == before
    assert sorted(path.name for path in training.folder.iterdir()) == ["data", "model.py"]


@pytest.mark.parametrize("present", [False, True])
@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("return {'n': 3}", ""),
        ("return [1]", ""),
        (
            "raise ValueError('no rows')",
            "training failed: model:train raised ValueError: no rows",
        ),
        (
            "raise SystemExit(3)",
            (
                "training failed: model:train called sys.exit(3). Return from the function when it "
                "is done, and raise an exception if it fails."
            ),
        ),
        (
            "os._exit(3)",
            (
                "training failed: the process that ran model:train ended with exit code 3 before the "
                "function had returned."
            ),
        ),
        pytest.param(
            "os.kill(os.getpid(), 9)",
            (
                "training failed: the process that ran model:train was killed by SIGKILL before the "
                "function had returned. SIGKILL often means that the machine ran out of memory."
            ),
            marks=pytest.mark.skipif(sys.platform == "win32", reason="there are no signals"),
        ),
        (
            "return {'n': None}",
            (
                "model:train returned a mapping with 'n': None, but metrics must map names to "
                "finite numbers. Leave it out, or write it to a file next to the model."
            ),
        ),
        (
            "return Model()",
            (
                "model:train returned an object of type `model.Model` that could not be saved with "
                "joblib: ValueError: not me. Return one that can be pickled, or take `output_dir` "
                "and write the model there in another format."
            ),
        ),
        pytest.param(
            "(folder / 'link').symlink_to('/nowhere')",
            (
                "training wrote `link`, which is a symbolic link that leads nowhere and cannot be put "
                "into a wheel. Write a regular file instead."
            ),
            marks=pytest.mark.skipif(sys.platform == "win32", reason="links are a privilege"),
        ),
    ],
)
def test_the_tree_is_as_it_was_before_whatever_comes_of_training(
    training: _Training, end: str, message: str, *, present: bool
) -> None:
    source = _WRITES % end
    (training.folder / "model.py").write_text(dedent(source), "utf-8")
    if present:
        (training.artifacts / "nested").mkdir(parents=True)
        (training.artifacts / "old.txt").write_text("old", "utf-8")
        (training.artifacts / "nested" / "gone.txt").write_text("old", "utf-8")
    before = tree(training.folder)

    if message:
        assert training.message(source) == message
    else:
        training.run(source)

    assert tree(training.folder) == before


def test_folders_on_the_way_to_the_artifacts_go_as_they_came(training: _Training) -> None:
    training.artifacts = training.folder / "a" / "b" / "data"
    source = """
        from pathlib import Path

        def train():
            Path("a/b/data").mkdir(parents=True)
            Path("a/b/data/w.txt").touch()
        """

    training.run(source)

    assert list(tree(training.output_dir)) == ["w.txt"]
    assert list(tree(training.folder)) == ["model.py"]


def test_what_lies_in_the_tree_is_there_for_training_to_read(training: _Training) -> None:
    (training.artifacts / "nested").mkdir(parents=True)
    (training.artifacts / "nested" / "words.txt").write_text("setosa", "utf-8")
    (training.artifacts / "link").symlink_to("nested/words.txt")

    training.run(
        "def train(): print(open('data/nested/words.txt').read(), open('data/link').read())"
    )

    assert training.lines == ["setosa setosa"]
    assert tree(training.output_dir) == {}
    assert list(tree(training.artifacts)) == ["link", "nested", "nested/words.txt"]
    assert (training.artifacts / "link").is_symlink()


@pytest.mark.parametrize(
    ("source", "written"),
    [
        pytest.param("def train(report_dir): write(report_dir); return [1]", "", id="returned"),
        pytest.param(
            "def train(*, output_dir, report_dir=None):"
            " write(report_dir); (output_dir / 'w.txt').touch()",
            "w.txt",
            id="output_dir",
        ),
        pytest.param(
            "def train(report_dir):"
            " write(report_dir); os.mkdir('data'); open('data/w.txt', 'w').close(); os.chdir('/')",
            "w.txt",
            id="tree",
        ),
        pytest.param(
            """
            def inner(report_dir): write(report_dir); return [1]

            @functools.wraps(inner)
            def train(**arguments): return inner(**arguments)
            """,
            "",
            id="wrapped",
        ),
    ],
)
def test_a_report_goes_to_a_folder_of_its_own_whatever_else_is_written(
    training: _Training, source: str, written: str
) -> None:
    setup = """
import functools, os, pathlib

def write(folder):
    assert isinstance(folder, pathlib.Path) and folder.is_absolute() and not [*folder.iterdir()]
    (folder / "plot.svg").touch()

"""
    result = training.run(setup + dedent(source))

    assert list(tree(result.report_dir)) == ["plot.svg"]
    assert list(tree(training.output_dir)) == [written or "model.joblib"]
    assert not result.report_dir.is_relative_to(training.folder)
    assert not training.artifacts.exists()


def test_a_report_is_no_artifact(training: _Training) -> None:
    result = training.run("def train(report_dir): (report_dir / 'plot.svg').touch()")

    assert tree(training.output_dir) == {}
    assert list(tree(result.report_dir)) == ["plot.svg"]


def test_the_tree_is_left_alone_for_a_function_that_takes_output_dir(training: _Training) -> None:
    training.artifacts.mkdir()
    identity = training.artifacts.stat().st_ino
    source = f"""
        import os

        def train(output_dir):
            print(os.stat({str(training.artifacts)!r}).st_ino)
            (output_dir / "w.txt").touch()
        """

    training.run(source)

    assert training.lines == [str(identity)]
    assert list(tree(training.output_dir)) == ["w.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_stale_pipe_in_the_artifacts_folder_is_passed_over(training: _Training) -> None:
    training.artifacts.mkdir()
    os.mkfifo(training.artifacts / "pipe")
    (training.artifacts / "old.txt").touch()

    training.run("import os\ndef train(): print(os.listdir('data'))")

    assert training.lines == ["['old.txt']"]
    assert tree(training.output_dir) == {}
    assert sorted(path.name for path in training.artifacts.iterdir()) == ["old.txt", "pipe"]
    assert (training.artifacts / "pipe").is_fifo()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_training_ends_with_a_build_that_ends_without_a_word(training: _Training) -> None:
    """Its standard input closes; nobody is left to remove its files or to end its processes."""
    training.artifacts.mkdir()
    (training.artifacts / "old.txt").write_text("old", "utf-8")
    training.run("def train(): ...")  # leaves a request to run again
    (training.folder / "model.py").write_text(
        dedent(
            """
            import subprocess, sys, time

            def train():
                open("data/old.txt", "w").write("new")
                helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                print(helper.pid, flush=True)
                time.sleep(600)
            """
        ),
        "utf-8",
    )
    build = subprocess.Popen(
        [sys.executable, CHILD, training.workspace],
        cwd=training.folder,
        env={**os.environ, "PYTHONPATH": str(training.folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with build:
        assert build.stdin is not None and build.stdout is not None
        assert int(build.stdout.readline()) > 0

        build.stdin.close()

        # The helper holds the same pipe: it has ended when the pipe has.
        assert build.stdout.read() == ""
        assert build.wait(20) == -9
    assert not training.workspace.exists()
    assert sorted(path.name for path in training.folder.iterdir()) == ["data", "model.py"]
    assert (training.artifacts / "old.txt").read_text("utf-8") == "old"
