"""The code that `hatch-model init` writes for an existing project: a script and a loader."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_model.new_project.code import File


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A file that is run, or a function in it that is called, to train or to prepare for it."""

    path: PurePosixPath
    module: str = ""
    """Its name where the wheel ships it; "" for a file that it does not ship."""
    function: str = ""
    """What to call; "" to run the file as a script."""
    values: Mapping[str, str] | None = None
    """Parameters of the function, and the code of their values, where `code` is the module."""
    folder: PurePosixPath = field(default_factory=PurePosixPath)
    """The working directory that its paths are relative to."""
    is_notebook: bool = False
    is_module: bool = False
    """It has to be run as a module of its package."""

    @property
    def is_simple(self) -> bool:
        """Whether a build can run or call it as it is."""
        if self.function:
            return bool(self.module) and not self.values and self.folder == PurePosixPath()
        return not (self.is_notebook or self.is_module) and self.folder == PurePosixPath()

    @property
    def entry_point(self) -> str:
        return f"{self.module}:{self.function}" if self.function else str(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrapper:
    """A script that takes *steps* in a row, for what a build cannot run or call as it is."""

    steps: Sequence[Step]
    variable: str = ""
    """What the last one, a script, leaves the model in, if it does not save it."""
    result: Literal["", "model", "metrics"] = ""
    """What the last one, a function, returns."""
    written: Mapping[str, str] = field(default_factory=dict)
    """The model's files beside code, with their names in the artifacts folder."""
    folder: str = ""
    """What the steps write to and do not make, and a clone does not have."""

    @property
    def entry_point(self) -> str:
        """What a build can run or call without this wrapper; "" if there is no such thing."""
        is_more = len(self.steps) > 1 or bool(self.variable or self.written or self.folder)
        is_more = is_more or self.result == "metrics"
        last = self.steps[-1]
        is_lost = self.result == "model" and not last.is_simple
        return "" if is_more or is_lost or not last.is_simple else last.entry_point

    def text(self) -> str:
        """Return the script."""
        body = "\n".join(f"    {line}".rstrip() for line in self._body())
        parts = [_RUN] if " run(" in body else []
        parts += [_WRITTEN.format(written=repr(dict(self.written)).replace("'", '"'))] * bool(
            self.written
        )
        parts.append(f'if __name__ == "__main__":\n{body}\n')
        code = "\n\n".join(parts)
        known = ["contextlib", "importlib", "json", "os", "runpy", "shutil", "sys"]
        imports = [f"import {name}" for name in known if f"{name}." in code]
        imports += ["from pathlib import Path"] * ("Path(" in code)
        imports += ["from unittest import mock"] * ("mock." in code)
        imports += ["", "import joblib"] * ("joblib." in code)
        head = '"""Trains the model. Written by `hatch-model init`; change it as you like."""'
        return "\n".join([head, "", *imports, "", "", code])

    def _body(self) -> Iterator[str]:
        if any(not each.function for each in self.steps[-1:]):
            yield "options = sys.argv[1:]"
        if self.folder:
            yield f'os.makedirs("{self.folder}", exist_ok=True)'
        for step in self.steps[:-1]:
            yield from _step(step)
        result = "result = " if self.variable or self.result else ""
        last = [*_step(self.steps[-1], result, "options")]
        if self.written:
            yield "with taken_out():"
            yield from (f"    {line}" for line in last)
        else:
            yield from last
        if self.variable or self.result == "model":
            value = f'result["{self.variable}"]' if self.variable else "result"
            yield f'joblib.dump({value}, os.environ["HATCH_MODEL_OUTPUT_DIR"] + "/model.joblib")'
        elif self.result == "metrics":
            yield "# What is no number is no metric."
            yield "metrics = {"
            yield "    key: each for key, each in result.items() if isinstance(each, int | float)"
            yield "}"
            yield 'file = Path(os.environ["HATCH_MODEL_REPORT_DIR"], "metrics.json")'
            yield "file.write_text(json.dumps(metrics))"


def _step(step: Step, result: str = "", options: str = "") -> Iterator[str]:
    """Yield the lines that take a step. *result* gets what it returns, or a script's names."""
    if step.function:
        module = step.module or step.path.stem
        if not step.module:
            yield f'sys.path.insert(0, os.path.abspath("{step.path.parent}"))'
        yield f'code = importlib.import_module("{module}")'
        given = ", ".join(f"{key}={value}" for key, value in (step.values or {}).items())
        if step.folder != PurePosixPath():
            yield f'os.chdir("{step.folder}")'
        yield f"{result}code.{step.function}({given})"
        return
    if step.is_module:
        yield f'sys.argv = ["{step.path}"{", *options" if options else ""}]'
        yield f'{result}runpy.run_module("{step.module}", run_name="__main__", alter_sys=True)'
        return
    if step.is_notebook:
        yield "# What is for a notebook only, such as `%matplotlib inline`, does nothing."
        yield 'names = {"get_ipython": mock.MagicMock(), "display": print}'
    parts = [f'"{step.path}"']
    parts += [options] if options else []
    parts += [f'folder="{step.folder}"'] if step.folder != PurePosixPath() else []
    parts += ["names=names"] if step.is_notebook else []
    yield f"{result}run({', '.join(parts)})"


_RUN = '''\
def run(script, options=(), folder=".", names=None):
    """Run a script as `python` does, in *folder*."""
    root, file = os.getcwd(), os.path.abspath(script)
    sys.argv = [script, *options]
    os.chdir(folder)
    try:
        sys.path.insert(0, os.path.dirname(file))
        return runpy.run_path(file, names, run_name="__main__")
    except SystemExit as end:
        if end.code:  # otherwise, it is no failure
            raise
    finally:
        os.chdir(root)
'''
_WRITTEN = '''\
WRITTEN = {written}


@contextlib.contextmanager
def taken_out():
    """Take the model out of the project's folder, whose own files stay as they are."""
    before = {{path: Path(path).read_bytes() for path in WRITTEN if Path(path).exists()}}
    for path in before:
        Path(path).unlink()
    try:
        yield
        for path, name in WRITTEN.items():
            target = Path(os.environ["HATCH_MODEL_OUTPUT_DIR"], name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
    finally:
        for path, content in before.items():
            Path(path).write_bytes(content)
'''


# Loading


def loader(name: str, package: str, files: Sequence[File]) -> str:
    """Return the `__init__.py` of a new package with the model *files*, by their paths there.

    One that ends with a slash is a folder, whose files nobody knows yet.
    """
    likely = [each for each in files if not is_beside_model(each.path)] or files
    main = next((each for each in likely if "model" in PurePosixPath(each.path).name), likely[0])
    others = ", ".join(f"`{each.path}`" for each in files if each is not main)
    is_known = not main.path.endswith("/")
    code = _LOAD if main.format in _CALLS else _FILE
    return f'"""The model of {name}."""\n\n' + code.format(
        package=package,
        parameter=f'name="{main.path}"' if is_known else "name",
        path=main.path,
        imports=_imports(main.format, "files"),
        load=_CALLS.get(main.format),
        what="the model that is in this package"
        if is_known
        else f"a file of this package, in `{main.path}`",
        others=f" Other files of it: {others}." if others else "",
    )


def is_beside_model(path: str) -> bool:
    """Whether a file is called like something that is saved beside a model, such as a scaler."""
    return bool(_HELPING.search(PurePosixPath(path).stem))


def snippet(package: str, file: File) -> str:
    """Return lines that load a model from an installed package, in any working directory."""
    place = f'files("{package}").joinpath("{file.path}")'
    if file.format in _CALLS:
        head = f'{_imports(file.format, "files")}\nwith {place}.open("rb") as file:\n'
        return f"{head}    model = {_CALLS[file.format]}\n"
    head = f"{_imports('', 'as_file, files')}\nwith as_file({place}) as path:\n"
    return f"{head}    model = ...  # load it from this path\n"


def _imports(library: str, names: str) -> str:
    own = f"from importlib.resources import {names}\n"
    if library == "pickle":
        return f"import pickle\n{own}"
    return f"{own}\nimport {library}\n" if library in _CALLS else own


_HELPING = re.compile(
    r"scal|encod|vectori|preproc|transform|imput|label|column|feature|metric|param|classes|target"
    r"|meta|config|report",
    re.IGNORECASE,
)
_CALLS = {
    "joblib": "joblib.load(file)",
    "pickle": "pickle.load(file)",
    "torch": 'torch.load(file, map_location="cpu")',
}
_LOAD = '''\
{imports}

def load({parameter}):
    """Load {what}.{others}"""
    with files("{package}").joinpath(name).open("rb") as file:
        return {load}
'''
_FILE = '''\
from importlib.resources import files


def model_file():
    """Return the model in this package. `importlib.resources.as_file` gives its path."""
    return files("{package}").joinpath("{path}")
'''
