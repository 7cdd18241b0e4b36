"""Scripts, run for real by the child script: as Python runs them, and what becomes of what they write."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import joblib
import pytest
from support import tree

from hatch_model.entry_point import Script
from hatch_model.errors import HatchModelError
from hatch_model.training import Request, Result, train

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY = "tool.hatch.build.hooks.model"
_FOLDERS = """
import json, os, pathlib, sys
output = pathlib.Path(os.environ["HATCH_MODEL_OUTPUT_DIR"])
report = pathlib.Path(os.environ["HATCH_MODEL_REPORT_DIR"])
"""


@dataclass
class _Project:
    """A script in a project, and what training with it gives."""

    folder: Path
    workspace: Path
    script: str = "jobs/train.py"
    lines: list[str] = field(default_factory=list)

    @property
    def models(self) -> Path:
        """The folder in the tree that scripts write to."""
        return self.folder / "models"

    def run(
        self, source: str, arguments: Mapping[str, Any] | None = None, **environment: str
    ) -> Result:
        file = self.folder / self.script
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_FOLDERS + dedent(source), "utf-8")
        return train(
            Request(
                key=_KEY,
                declared_in="dependency-groups.model",
                train=Script(path=PurePosixPath(self.script)),
                arguments=arguments or {},
                root=self.folder,
                modules=["model"],
                python_path=[self.folder / "src"],
                artifacts_dir=self.models,
                environment=environment,
            ),
            self.workspace,
            self.lines.append,
        )

    def seen(self, source: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Train, and give what the script has as `seen` at its end."""
        end = "if __name__ == '__main__':\n    (output / 'seen').write_text(json.dumps(seen))"
        result = self.run(f"{dedent(source)}\n{end}", arguments)
        return json.loads((result.output_dir / "seen").read_text())

    def message(self, source: str, arguments: Mapping[str, Any] | None = None) -> str:
        """Train, which fails, and give what that says."""
        with pytest.raises(HatchModelError) as raised:
            self.run(source, arguments)
        return str(raised.value)


@pytest.fixture
def project(tmp_path: Path) -> _Project:
    folder, workspace = tmp_path / "project", tmp_path / "workspace"
    (folder / "src").mkdir(parents=True)
    workspace.mkdir()
    return _Project(folder, workspace)


# How it runs --------------------------------------------------------------------------------------


def test_a_script_is_main_in_the_projects_folder_with_its_own_folder_first(
    project: _Project,
) -> None:
    seen = project.seen(
        """
        main = sys.modules["__main__"]
        seen = {
            "name": __name__, "file": __file__, "main": main.__dict__ is globals(), "spec": __spec__,
            "folder": os.getcwd(), "path": sys.path[:2], "argv": sys.argv,
        }
        """
    )

    jobs = project.folder / "jobs"
    assert seen == {
        "name": "__main__",
        "file": str(jobs / "train.py"),
        "main": True,
        "spec": None,
        "folder": str(project.folder),
        "path": [str(jobs), str(project.folder / "src")],
        "argv": ["jobs/train.py"],
    }


def test_a_script_sees_no_future_that_it_does_not_import(project: _Project) -> None:
    assert project.seen("def f(x: int): ...\nseen = f.__annotations__['x'] is int") is True


def test_a_script_imports_modules_beside_it_and_those_of_the_project(project: _Project) -> None:
    (project.folder / "jobs").mkdir()
    (project.folder / "jobs" / "helper.py").write_text("value = 1")
    (project.folder / "src" / "small.py").write_text("value = 2")

    result = project.run("import helper, small\n(output / 'model').touch()")

    names = {Path(file).name for file in result.imported} - {Path(json.__file__).name}
    assert {"helper.py", "small.py", "train.py"} <= names
    assert str(project.folder / "jobs" / "train.py") in result.imported


def test_arguments_are_options(project: _Project) -> None:
    arguments = {
        "trees": 5,
        "learning-rate": 1e-5,
        "max_depth": 3,
        "shift": -0.5,
        "loss": "log loss",
        "prefix": "-x",
        "fast": True,
        "slow": False,
        "layers": [64, 32],
        "names": [["a"], ["b"]],
    }

    source = """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--trees", type=int)
        parser.add_argument("--learning-rate", type=float)
        parser.add_argument("--max_depth", type=int)
        parser.add_argument("--shift", type=float)
        parser.add_argument("--loss")
        parser.add_argument("--prefix")
        parser.add_argument("--fast", action="store_true")
        parser.add_argument("--slow", action="store_true")
        parser.add_argument("--layers", type=int, nargs="+")
        parser.add_argument("--names", action="append")
        seen = vars(parser.parse_args())
    """
    assert project.seen(source, arguments) == {
        "trees": 5,
        "learning_rate": 1e-5,
        "max_depth": 3,
        "shift": -0.5,
        "loss": "log loss",
        "prefix": "-x",
        "fast": True,
        "slow": False,
        "layers": [64, 32],
        "names": ["a", "b"],
    }


@pytest.mark.parametrize("kind", ["multiprocessing", "loky", "processes"])
def test_worker_processes_import_the_script_and_have_its_functions(
    project: _Project, kind: str
) -> None:
    pool = {
        "multiprocessing": "with multiprocessing.get_context('spawn').Pool(2) as pool: "
        "seen = pool.map(double, [1, 2])",
        "loky": "seen = joblib.Parallel(n_jobs=2)(joblib.delayed(double)(n) for n in [1, 2])",
        "processes": "with concurrent.futures.ProcessPoolExecutor("
        "2, multiprocessing.get_context('spawn')) as pool: seen = list(pool.map(double, [1, 2]))",
    }[kind]

    assert project.seen(
        f"""
        import concurrent.futures, joblib, multiprocessing
        from pathlib import Path
        def double(number):
            assert Path(os.environ["HATCH_MODEL_OUTPUT_DIR"]).is_dir()
            return 2 * number
        if __name__ == "__main__":
            {pool}
        """
    ) == [2, 4]


# How it ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["sys.exit()", "sys.exit(0)", "sys.exit(False)", "exit()", ""])
def test_a_script_may_end_by_exiting_without_a_fault(project: _Project, end: str) -> None:
    result = project.run(f"(output / 'model').touch()\n{end}")

    assert list(tree(result.output_dir)) == ["model"]
    assert project.lines == []


@pytest.mark.parametrize(
    ("code", "lines"), [("1", []), ("True", []), ("'no data'", ["no data"]), ("-1", [])]
)
def test_any_other_exit_is_a_failure(project: _Project, code: str, lines: list[str]) -> None:
    assert project.message(f"sys.exit({code})", {"loss": "log loss"}) == (
        f"training failed: jobs/train.py called sys.exit({code}). It was run as "
        f"`python jobs/train.py --loss 'log loss'`."
    )
    assert project.lines == lines


def test_an_option_that_a_script_does_not_have_is_said_by_its_parser(project: _Project) -> None:
    message = project.message(
        "import argparse\nargparse.ArgumentParser().parse_args()", {"trees": 5}
    )

    assert message == (
        "training failed: jobs/train.py called sys.exit(2). It was run as "
        "`python jobs/train.py --trees 5`."
    )
    assert project.lines[-1] == "train.py: error: unrecognized arguments: --trees 5"


def test_an_exception_is_shown_from_the_scripts_first_line_on(project: _Project) -> None:
    message = project.message("def fail():\n    raise ValueError('no data')\nfail()")

    script = project.folder / "jobs" / "train.py"
    assert message == "training failed: jobs/train.py raised ValueError: no data"
    assert [line for line in project.lines if "^" not in line] == [
        "Traceback (most recent call last):",
        f'  File "{script}", line 7, in <module>',
        "    fail()",
        f'  File "{script}", line 6, in fail',
        "    raise ValueError('no data')",
        "ValueError: no data",
    ]


def test_a_syntax_error_is_shown_with_its_line(project: _Project) -> None:
    message = project.message("x = = 1")

    script = project.folder / "jobs" / "train.py"
    said = f'  File "{script}", line 5\n    x = = 1\n        ^\nSyntaxError: invalid syntax'
    assert project.lines == said.splitlines()
    assert message == (
        "training failed: jobs/train.py raised SyntaxError: invalid syntax (train.py, line 5)"
    )


def test_a_package_that_a_script_lacks_is_told_where_it_belongs(project: _Project) -> None:
    assert project.message("import absent") == (
        "training failed: jobs/train.py raised ModuleNotFoundError: No module named 'absent'. "
        "`absent` is not in the training environment. Add the package to dependency-groups.model if "
        "the model needs it to predict, or else to a group in "
        "tool.hatch.build.hooks.model.dependency-groups, and not to build-system.requires."
    )


def test_a_process_that_dies_has_not_ended(project: _Project) -> None:
    assert project.message("os._exit(0)") == (
        "training failed: the process that ran jobs/train.py ended with exit code 0 before the "
        "script had ended."
    )


# What it writes -----------------------------------------------------------------------------------


def test_what_a_script_writes_into_the_tree_is_taken_out_and_the_tree_restored(
    project: _Project,
) -> None:
    project.models.mkdir()
    (project.models / "old").write_text("old")
    (project.models / "kept").write_text("kept")

    result = project.run(
        """
        models = pathlib.Path("models")
        (models / "old").write_text("new")
        (models / "best").mkdir()
        (models / "best" / "model").touch()
        (output / "vocabulary").touch()
        """
    )

    assert [*tree(result.output_dir)] == ["best", "best/model", "old", "vocabulary"]
    assert (result.output_dir / "old").read_text() == "new"
    assert {path.name: path.read_text() for path in project.models.iterdir()} == {
        "old": "old",
        "kept": "kept",
    }


def test_the_tree_is_restored_when_a_script_fails(project: _Project) -> None:
    project.models.mkdir()
    (project.models / "model").write_text("old")

    assert project.message("pathlib.Path('models/model').write_text('new')\nsys.exit(3)")
    assert (project.models / "model").read_text() == "old"


def test_a_file_that_is_written_to_both_folders_is_refused(project: _Project) -> None:
    message = project.message(
        """
        pathlib.Path("models").mkdir()
        for folder in (output, pathlib.Path("models")):
            (folder / "model").touch()
        """
    )

    assert message == (
        f"training wrote `model` twice, in the folder that it was given and in {project.models}. Do "
        f"only one of these."
    )
    assert not project.models.exists()


def test_metrics_are_read_from_the_report_and_stay_in_it(project: _Project) -> None:
    result = project.run(
        """
        (report / "metrics.json").write_text('{"accuracy": 0.75, "n": 3}')
        (report / "plot.svg").touch()
        """
    )

    assert result.metrics == {"accuracy": 0.75, "n": 3}
    assert [*tree(result.report_dir)] == ["metrics.json", "plot.svg"]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            '{"accuracy": NaN}',
            (
                "with 'accuracy': nan, but metrics must map names to finite numbers. Leave it out, or "
                "write it to another file of the report."
            ),
        ),
        (
            '{"matrix": [[1, 0], [0, 1]]}',
            (
                "with 'matrix': [[1, 0], [0, 1]], but metrics must map names to finite numbers. Leave it "
                "out, or write it to another file of the report."
            ),
        ),
        (
            "[0.75]",
            "that cannot be used: it holds [0.75]. Metrics must map names to finite numbers.",
        ),
        (
            "accuracy: 0.75",
            (
                "that cannot be used: it is not JSON: Expecting value: line 1 column 1 (char 0). Metrics "
                "must map names to finite numbers."
            ),
        ),
    ],
)
def test_metrics_that_are_none_are_refused(project: _Project, metrics: str, message: str) -> None:
    assert project.message(f"(report / 'metrics.json').write_text({metrics!r})") == (
        f"jobs/train.py wrote a `metrics.json` {message}"
    )


# Pickles ------------------------------------------------------------------------------------------

_SCALER = """
import bz2, cloudpickle, gzip, joblib, lzma, pickle, zipfile, zlib
class Scaler:
    def scale(self, value): return 2 * value
def read(text): return text
"""
_REFERS = (
    "This is there only while the script runs, so nobody could load the model. Move the definition to a "
    "module of the package, and import it from there."
)


@pytest.mark.parametrize(
    "dump",
    [
        "joblib.dump(Scaler(), output / 'model')",
        "joblib.dump(Scaler(), output / 'model', compress=3)",
        "joblib.dump(Scaler(), output / 'model', compress=('gzip', 3))",
        "joblib.dump(Scaler(), output / 'model', compress=('bz2', 3))",
        "joblib.dump(Scaler(), output / 'model', compress=('lzma', 3))",
        "joblib.dump(Scaler(), output / 'model', compress=('xz', 3))",
        "(output / 'model').write_bytes(pickle.dumps(Scaler()))",
        "(output / 'model').write_bytes(pickle.dumps(Scaler(), 2))",
        "pickle.dump({'where': __name__, 'scaler': Scaler()}, open(output / 'model', 'wb'))",
        "joblib.dump([bytes(3 << 20), Scaler()], output / 'model')",
        "joblib.dump([bytes((1 << 20) - 60 + n) for n in range(3)] + [Scaler()], output / 'model')",
        """
with zipfile.ZipFile(output / 'model', 'w') as archive:
    archive.writestr('model/data.pkl', pickle.dumps(Scaler(), 2))
""",
    ],
)
def test_a_pickle_that_refers_to_the_script_is_refused(project: _Project, dump: str) -> None:
    assert project.message(f"{_SCALER}\n{dump}") == (
        f"jobs/train.py wrote `model`, which refers to `__main__.Scaler`. {_REFERS}"
    )


def test_a_pickle_of_an_old_protocol_is_known_by_its_name(project: _Project) -> None:
    source = f"{_SCALER}\n(output / 'model.pkl').write_bytes(pickle.dumps([Scaler(), read], 0))"

    assert project.message(source) == (
        f"jobs/train.py wrote `model.pkl`, which refers to `__main__.Scaler`, `__main__.read`. {_REFERS}"
    )


@pytest.mark.parametrize(
    "dump",
    [
        "cloudpickle.dump({'scaler': Scaler(), 'read': read}, open(output / 'model', 'wb'))",
        "joblib.dump({'name': __name__}, output / 'model', compress=3)",
        "(output / 'model').write_bytes(b'\\x80\\x05 no pickle, but __main__')",
        "(output / 'model').write_bytes(b'\\x78 no pickle, but __main__')",
        "(output / 'model').write_bytes(b'BZh no pickle, but __main__')",
        "(output / 'model').write_bytes(b'PK\\x03\\x04 no archive, but __main__')",
        "(output / 'model').write_text('__main__')",
        "(output / 'model.pkl').write_text('')",
    ],
)
def test_what_does_not_refer_to_the_script_is_taken(project: _Project, dump: str) -> None:
    result = project.run(f"{_SCALER}\n{dump}")

    assert len(tree(result.output_dir)) == 1
    assert project.lines == []


def test_what_cloudpickle_wrote_loads_without_the_script(project: _Project) -> None:
    result = project.run(f"{_SCALER}\ncloudpickle.dump(Scaler(), open(output / 'model', 'wb'))")

    assert joblib.load(result.output_dir / "model").scale(2) == 4
