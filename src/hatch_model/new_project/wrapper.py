"""The code that `hatch-model init` writes for an existing project: a training function, and a loader."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_model.new_project.code import File, Returns


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A module of the project that is run or called, so that it trains or prepares for it."""

    path: PurePosixPath
    module: str
    """Its name where the wheel ships it; "" for a file that it does not ship."""
    function: str
    """What to call; "" to run it as a script."""
    returns: Returns
    values: Mapping[str, str]
    """Parameters of the function, and names in the module that have their values."""
    folder: PurePosixPath
    """The working directory that its paths are relative to."""
    reads_arguments: bool
    is_notebook: bool
    exits: bool
    """It is a script that may end in `sys.exit(0)`, which is no failure."""

    @property
    def is_plain(self) -> bool:
        """Whether a build can call it as it is."""
        here = PurePosixPath() == self.folder
        return bool(self.module and self.function) and not self.values and here


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrapper:
    """A training function that runs *stages* in a row."""

    stages: Sequence[Stage]
    variable: str = ""
    """What the last one, a script, leaves the model in, if it does not save it."""
    is_returned: bool = False
    """The last one, a function, returns the model."""
    written: Sequence[str] = ()
    """The files to take, if the stages write them to the project's own folder, which stays as it is."""
    folder: str = ""
    """What the stages write to and do not make, and a clone does not have."""

    @property
    def is_plain(self) -> bool:
        """Whether a build can call the only stage without this wrapper, but for what it returns."""
        is_more = len(self.stages) > 1 or self.variable or self.written or self.folder
        return self.stages[-1].is_plain and not is_more

    def text(self) -> str:
        """Return the module."""
        body = [*self._body()]
        code = "\n".join(f"    {line}".rstrip() for line in body)
        parameters = ["output_dir"] if self.written else []
        parameters += ["**arguments"] if any(each.reads_arguments for each in self.stages) else []
        listed = "".join(f"\n- `{each.path}`" for each in self.stages)
        parts = [
            f'"""Trains the model. Written by `hatch-model init`; change it as you like.\n\nIt runs{listed}\n"""\n',
            *self._imports(code),
            *([_WORKPLACE.format(written=_listed(self.written))] if self.written else []),
            f"\ndef train({', '.join(parameters)}):\n{code}\n",
        ]
        return "\n".join(parts)

    def _imports(self, code: str) -> Iterator[str]:
        names = ["importlib", "os", "runpy", "shutil", "sys", "tempfile"]
        used = code + (_WORKPLACE if self.written else "")
        found = [f"import {name}" for name in names if f"{name}." in used]
        if "mock." in used:
            found.append("from unittest import mock")
        if "Path" in used:
            found.append("from pathlib import Path")
        own = sorted({each.module for each in self.stages if each.function and each.module})
        yield "\n".join(found)
        if own:
            yield ("\n" if found else "") + "\n".join(f"import {name}" for name in own)
        yield ""

    def _body(self) -> Iterator[str]:
        if not self.written:
            yield from self._run("")
            return
        yield "root = Path.cwd()"
        yield "with tempfile.TemporaryDirectory() as name:"
        yield "    folder = Path(name)"
        yield "    lay_out(root, folder)"
        yield "    os.chdir(folder)"
        yield "    try:"
        for line in self._run("folder"):
            yield f"        {line}"
        yield "    finally:"
        yield "        os.chdir(root)"

    def _run(self, folder: str) -> Iterator[str]:
        yield from self._search_path()
        if self.folder:
            yield f'os.makedirs("{self.folder}", exist_ok=True)'
        for stage in self.stages[:-1]:
            yield from self._stage(stage, "")
        last = self.stages[-1]
        is_mapping = bool(last.function) and last.returns == "a mapping" and not self.is_returned
        result = "result" if self.variable or is_mapping or self.is_returned else ""
        yield from self._stage(last, result)
        if folder:
            yield "for path in WRITTEN:"
            yield "    (output_dir / path).parent.mkdir(parents=True, exist_ok=True)"
            yield "    shutil.move(path, output_dir / path)"
        if self.variable:
            yield f'return result["{self.variable}"]'
        elif self.is_returned:
            yield "return result"
        elif is_mapping:
            # What is no number is no metric.
            yield "return {key: value for key, value in result.items() if isinstance(value, (int, float))}"

    def _search_path(self) -> Iterator[str]:
        """Let scripts import their neighbours, as Python does when it runs them."""
        folders = []
        for stage in self.stages:
            if not stage.module:
                folders += [str(stage.path.parent), "."]
        unique = list(dict.fromkeys(folders))
        if unique:
            shown = ", ".join(
                "os.getcwd()" if each == "." else f'os.path.abspath("{each}")' for each in unique
            )
            yield f"sys.path[:0] = [{shown}]"

    def _stage(self, stage: Stage, result: str) -> Iterator[str]:
        if stage.reads_arguments:
            yield "# As on a command line: --key value for each argument in pyproject.toml."
            yield 'options = [part for key, value in arguments.items() for part in (f"--{key}", str(value))]'
            yield f'sys.argv = ["{stage.path}", *options]'
        elif not stage.function:
            yield f'sys.argv = ["{stage.path}"]'
        if stage.is_notebook and not stage.function:
            yield "# What is for a notebook only, such as `%matplotlib inline`, does nothing."
            yield 'names = {"get_ipython": mock.MagicMock(), "display": print}'
        moves = stage.folder != PurePosixPath()
        if moves:
            back = posixpath.relpath(".", str(stage.folder))
            yield f'os.chdir("{stage.folder}")  # which its paths are relative to'
        call = (f"{result} = " if result else "") + self._call(stage)
        yield from _tolerant(call) if stage.exits else [call]
        if moves:
            yield f'os.chdir("{back}")'

    def _call(self, stage: Stage) -> str:
        """Return the expression that runs a stage; its value is what it returns, or a script's names."""
        if not stage.function:
            return _script_call(stage)
        owner = stage.module or f'importlib.import_module("{stage.path.stem}")'
        given = ", ".join(f"{key}={owner}.{value}" for key, value in stage.values.items())
        return f"{owner}.{stage.function}({given})"


def _tolerant(call: str) -> Iterator[str]:
    yield "try:"
    yield f"    {call}"
    yield "except SystemExit as end:  # as its command line does"
    yield "    if end.code:"
    yield "        raise"


def _script_call(stage: Stage) -> str:
    """Run a script as `python` does. A setting that names a script would take the place of this."""
    if stage.module:
        return f'runpy.run_module("{stage.module}", run_name="__main__", alter_sys=True)'
    path = posixpath.relpath(str(stage.path), str(stage.folder))
    if stage.is_notebook:
        return f'runpy.run_path("{path}", names, run_name="__main__")'
    return f'runpy.run_path("{path}", run_name="__main__")'


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(f'"{path}"' for path in paths)


_WORKPLACE = '''\
WRITTEN = [{written}]


def lay_out(root, folder):
    """Give *folder* what the project has, so that the project itself stays as it is."""
    copies = os.name == "nt"  # where links need a permission
    for each in root.iterdir():
        if each.name.startswith(".") or each.name in {{path.partition("/")[0] for path in WRITTEN}}:
            continue
        if each.is_dir():
            (shutil.copytree if copies else os.symlink)(each, folder / each.name)
        elif copies or each.suffix == ".py":  # code may follow its links back to the project
            shutil.copy2(each, folder / each.name)
        else:
            os.symlink(each, folder / each.name)
    for path in WRITTEN:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
'''


# Loading


def loader(name: str, package: str, files: Sequence[File]) -> str:
    """Return the `__init__.py` of a new package whose model is *files*, by their paths in the package."""
    main = next((each for each in files if "model" in each.path), files[0])
    if main.format not in _OPENABLE:
        return _FILE.format(name=name, package=package, path=main.path)
    same = [each for each in files if each.format == main.format]
    text = _LOAD.format(
        name=name,
        package=package,
        imports=f"import {main.format}",
        path=main.path,
        load=_call_of(main.format),
        others="" if len(same) == 1 else f" The others are {_names(same, main)}.",
    )
    return text if main.format != "pickle" else _sorted_imports(text)


def _names(files: Sequence[File], main: File) -> str:
    return ", ".join(f"`{each.path}`" for each in files if each is not main)


def _call_of(format_: str) -> str:
    return {"torch": 'torch.load(file, map_location="cpu")'}.get(format_, f"{format_}.load(file)")


def _sorted_imports(text: str) -> str:
    """Put the standard library's `pickle` where it belongs."""
    old = "from importlib.resources import files\n\nimport pickle\n"
    return text.replace(old, "import pickle\nfrom importlib.resources import files\n")


def snippet(package: str, file: File) -> str:
    """Return lines that load a model from an installed package, whatever the working directory is."""
    place = f'files("{package}").joinpath("{file.path}")'
    if file.format in _OPENABLE:
        return (
            f"import {file.format}\nfrom importlib.resources import files\n\n"
            f'with {place}.open("rb") as file:\n    model = {_call_of(file.format)}\n'
        )
    return (
        "from importlib.resources import as_file, files\n\n"
        f"with as_file({place}) as path:\n    model = ...  # load it from this path\n"
    )


_OPENABLE = frozenset({"joblib", "pickle", "torch"})
_LOAD = '''\
"""The model of {name}."""

from importlib.resources import files

{imports}


def load(name="{path}"):
    """Load the model that is in this package.{others}"""
    with files("{package}").joinpath(name).open("rb") as file:
        return {load}
'''
_FILE = '''\
"""The model of {name}."""

from importlib.resources import files


def model_file():
    """Return the model that is in this package. `importlib.resources.as_file` gives a path for it."""
    return files("{package}").joinpath("{path}")
'''
