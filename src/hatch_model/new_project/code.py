"""A project's Python code, read as syntax trees: what it imports, fits, saves, loads and reads.

None of it is imported or run. What only running it would tell is missing, so all of this is a
guess.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from hatch_model.new_project.paths import Paths, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SKIPPED = frozenset(
    {"__pycache__", "build", "dist", "docs", "doc", "node_modules", "site-packages"}
    | {"mlruns", "test", "tests", "venv", "env", "wandb", "examples"}
)
_MOST_FILES = 2_000

Returns = Literal["nothing", "a mapping", "something else"]

# What saves a model, and which of its arguments is the path or the file.
_SAVERS = {
    "joblib.dump": ("joblib", 1),
    "pickle.dump": ("pickle", 1),
    "cloudpickle.dump": ("pickle", 1),
    "dill.dump": ("pickle", 1),
    "torch.save": ("torch", 1),
    "safetensors.torch.save_file": ("safetensors", 1),
    "safetensors.numpy.save_file": ("safetensors", 1),
    "onnx.save": ("onnx", 1),
    "onnx.save_model": ("onnx", 1),
    "skops.io.dump": ("skops", 1),
}
_PICKLING = frozenset({"pickle", "cloudpickle", "dill"})
_SAVING_METHODS = {"save_model": "native", "save_weights": "weights", "save_pretrained": "folder"}
_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".pt", ".pth", ".model", ".bin", ".onnx")
_LOADERS = {
    "joblib.load": "joblib",
    "pickle.load": "pickle",
    "cloudpickle.load": "pickle",
    "dill.load": "pickle",
    "torch.load": "torch",
}
_FITTING = frozenset({"fit", "fit_transform", "partial_fit", "fit_predict", "train_on_batch"})
_PREDICTING = frozenset({"predict", "predict_proba", "decision_function"})
_WRITERS = frozenset(
    {"to_csv", "to_parquet", "to_json", "to_pickle", "to_feather", "to_excel", "to_hdf"}
    | {"savefig", "write_text", "write_bytes", "write_csv", "write_parquet", "save"}
    | {"savez", "savetxt"}
)
_READERS = frozenset(
    {"read_csv", "read_table", "read_parquet", "read_json", "read_excel", "read_feather"}
    | {"read_pickle", "read_hdf", "read_sql", "read_orc", "scan_csv", "scan_parquet"}
    | {"loadtxt", "genfromtxt", "open", "read_text", "read_bytes", "imread", "load_files"}
    | {"load_svmlight_file", "ImageFolder"}
)
_DOWNLOADING = (
    *("requests.", "urllib.request.", "boto3.", "gdown.", "kaggle.", "wget.", "sqlalchemy."),
    *("psycopg2.", "pymysql.", "datasets.load_dataset", "huggingface_hub.", "google.cloud."),
    *("sklearn.datasets.fetch_", "seaborn.load_dataset", "tensorflow_datasets.", "yfinance."),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file that code saves to or loads from, relative to the project's root."""

    path: str
    """Empty where only running the code would tell."""
    format: str
    line: int
    is_relative: bool
    """The code names it relative to the working directory."""
    parameter: str = ""
    """The parameter of the function around it that is the path, so that its calls tell it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A function at the top of a module."""

    name: str
    required: tuple[str, ...]
    """The parameters that have no default."""
    returns: Returns


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """A function that writes to a path that it is given."""

    parameters: tuple[str, ...]
    """Those that can be given by their position."""
    formats: Mapping[str, str]
    """The parameters that are such paths, each with the format of the model; "" for other files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call of one of the project's functions, with the paths that it is given."""

    path: PurePosixPath
    """The module that has the function."""
    name: str
    line: int
    by_position: Mapping[int, str]
    by_name: Mapping[str, str]
    is_relative: bool

    def given(self, writer: Writer) -> dict[str, str]:
        """Return the paths by parameter; "" where only running the code would tell one."""
        by_position = {
            each: self.by_position[at]
            for at, each in enumerate(writer.parameters)
            if at in self.by_position
        }
        return {**by_position, **self.by_name}


@dataclass(kw_only=True, slots=True)
class Module:
    """What a Python file does."""

    path: PurePosixPath
    """Relative to the project's root."""
    tree: ast.Module
    folder: PurePosixPath
    """The working directory that it is written for."""
    imports: set[tuple[int, str]] = field(default_factory=set)
    """The level (0: absolute) and the dotted name of all that is imported, attributes included."""
    fitted: list[str] = field(default_factory=list)
    """The module's variables that `fit` is called on, in order; "" for any other object."""
    saved: list[File] = field(default_factory=list)
    loaded: list[File] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    """Paths of other files that it writes."""
    named: dict[str, int] = field(default_factory=dict)
    """Paths and addresses in the code, each with its line."""
    functions: dict[str, Function] = field(default_factory=dict)
    fitting: set[str] = field(default_factory=set)
    """The functions that fit or save a model; "" for the top of the module."""
    main: str | None = None
    """What `if __name__ == "__main__"` calls if it does nothing else; "" for a block of more."""
    takes_arguments: bool = False
    """It reads the command line."""
    required_arguments: tuple[str, ...] = ()
    """Options of the command line that have to be given."""
    makes_folders: bool = False
    unknown_reads: list[int] = field(default_factory=list)
    """The lines that read a file whose path only running the code would tell."""
    variables: dict[str, int] = field(default_factory=dict)
    """The environment variables that have to be set, each with its line."""
    calls: list[Call] = field(default_factory=list)
    writers: dict[str, Writer] = field(default_factory=dict)
    predicts: bool = False
    logs: bool = False
    """It sends a model to MLflow."""
    downloads: bool = False
    classes: tuple[str, ...] = ()
    is_notebook: bool = False

    @property
    def trains(self) -> bool:
        return bool(self.fitted or self.saved)

    @property
    def stem(self) -> str:
        return self.path.stem


def read_modules(root: Path) -> dict[PurePosixPath, Module]:
    """Return the Python files below *root* by path, tests and environments left out.

    A file that is not Python's is left out as well.
    """
    trees = {path: tree for path in python_files(root) if (tree := _parse(root / path))}
    constants = {path: tree.body for path, tree in trees.items()}
    modules = {path: _Reader(path, tree, constants).read() for path, tree in trees.items()}
    for module in modules.values():
        for call in module.calls:
            _follow(module, call, modules[call.path])
    return modules


def _follow(module: Module, call: Call, called: Module) -> None:
    """Note what *module* writes by *call*, of a function in the module *called*."""
    writer = called.writers.get(call.name)
    if writer is None:
        return
    given = call.given(writer)
    for parameter, format_ in writer.formats.items():
        name = f"{call.name}.{parameter}"
        defaults = [each for each in called.saved if each.parameter == name]
        if parameter not in given:
            new = [replace(each, parameter="") for each in defaults]
        else:
            # Its default, if it has one, is not what it writes to here.
            new = [replace(each, path="") for each in defaults if called is not module]
        called.saved = [*(each for each in called.saved if each not in defaults), *new]
        path = given.get(parameter)
        if path is None:
            continue
        module.named.pop(path, None)
        if path and not format_:
            module.written.add(path)
        elif format_:
            file = File(path=path, format=format_, line=call.line, is_relative=call.is_relative)
            module.saved.append(file)


def python_files(root: Path) -> Iterator[PurePosixPath]:
    count = 0
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(each for each in folders if not _is_skipped(Path(parent, each)))
        for name in sorted(names):
            if name.endswith(".py") and not _is_test(name):
                count += 1
                if count > _MOST_FILES:
                    return
                yield PurePosixPath(Path(parent, name).relative_to(root).as_posix())


def _is_skipped(folder: Path) -> bool:
    return (
        folder.name in _SKIPPED
        or folder.name.startswith(".")
        or folder.name.endswith(".egg-info")
        or folder.is_symlink()
        or (folder / "pyvenv.cfg").exists()
    )


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name in {"conftest.py", "setup.py", "noxfile.py"}


def why_unread(root: Path, path: PurePosixPath) -> str:
    """Return why the code at *path* could not be read."""
    try:
        ast.parse((root / path).read_bytes())
    except SyntaxError as error:
        return f"`{path}` is not Python 3 in line {error.lineno}: {error.msg}"
    except (OSError, ValueError, RecursionError) as error:
        return f"`{path}` cannot be read: {error}"
    return ""


def _parse(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


class _Reader(ast.NodeVisitor):
    """Reads one module, with the values that its names have where they are used."""

    def __init__(
        self,
        path: PurePosixPath,
        tree: ast.Module,
        bodies: Mapping[PurePosixPath, list[ast.stmt]],
    ) -> None:
        self._paths = Paths(path, tree, bodies)
        self._module = Module(path=path, tree=tree, folder=self._paths.folder)
        self._function = ""
        self._writes: dict[str, str] = {}
        self._is_in_class = False
        self._optional: set[str] = set()

    def read(self) -> Module:
        module = self._module
        self.visit(module.tree)
        for node in module.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                module.functions[node.name] = _function(node)
            elif isinstance(node, ast.If) and _is_main(node.test):
                module.main = _only_call(node.body)
        module.classes = tuple(
            each.name for each in module.tree.body if isinstance(each, ast.ClassDef)
        )
        handled = {file.path for file in (*module.saved, *module.loaded)}
        for path in (*handled, *module.written):
            module.named.pop(path, None)
        return module

    def visit_Import(self, node: ast.Import) -> None:
        self._module.imports |= {(0, each.name) for each in node.names}
        self._paths.bind_imports(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = f"{node.module}." if node.module else ""
        names = {(node.level, f"{base}{each.name}") for each in node.names}
        self._module.imports |= names
        if not node.level:
            self._module.downloads |= any(name.startswith(_DOWNLOADING) for _, name in names)
        self._paths.bind_imports(node)

    def visit_If(self, node: ast.If) -> None:
        if dotted(node.test).rpartition(".")[2] == "TYPE_CHECKING":
            return
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, self._function = self._function, self._function or node.name
        with self._paths.function(node):
            self.generic_visit(node)
        if not outer:
            if self._writes and not self._is_in_class:
                names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
                self._module.writers[node.name] = Writer(
                    parameters=tuple(names), formats=self._writes
                )
            self._writes = {}
        self._function = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._is_in_class = self._is_in_class, True
        self.generic_visit(node)
        self._is_in_class = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        with self._paths.opened(node):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        self._paths.assign(node)
        if isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            # `model = Model().fit(…)`, whose call has no variable of its own
            fitted = self._module.fitted
            if fitted and fitted[-1] == "" and _method(node.value) in _FITTING:
                fitted[-1] = "" if self._function else node.targets[0].id

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self._paths.assign(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._name(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not self._name(node):
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        is_read = isinstance(node.ctx, ast.Load) and isinstance(key, str)
        is_ours = str(key).startswith("HATCH_MODEL_")
        if key in _USUAL_VARIABLES or is_ours or self._paths.called(node.value) != "os.environ":
            pass
        elif is_read and str(key) not in self._optional:
            self._module.variables.setdefault(str(key), node.lineno)
        else:
            self._optional.add(str(key))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if isinstance(node.left, ast.Constant) and any(
            self._paths.called(each) == "os.environ" for each in node.comparators
        ):
            self._optional.add(str(node.left.value))
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name, method = self._paths.called(node.func), _method(node)
        module = self._module
        module.downloads |= name.startswith(_DOWNLOADING)
        module.predicts |= method in _PREDICTING
        module.makes_folders |= method in {"makedirs", "mkdir"}
        self._command_line(node, name, method)
        self._note_call(node)
        if method in _FITTING and isinstance(node.func, ast.Attribute):
            receiver = node.func.value
            is_variable = isinstance(receiver, ast.Name) and not self._function
            module.fitted.append(dotted(receiver) if is_variable else "")
            module.fitting.add(self._function)
        module.logs |= method == "log_model"
        saver = _saver(node, name, method, self._paths)
        if saver:
            format_, argument = saver
            parameter = self._note_writing(argument, format_)
            file = self._file(node, format_, argument)
            module.saved.append(replace(file, parameter=parameter) if parameter else file)
            module.fitting.add(self._function)
        elif name in _LOADERS or method == "load_model":
            module.loaded.append(self._file(node, _LOADERS.get(name, "native"), _argument(node, 0)))
        elif method in _WRITERS or self._paths.writes(node):
            module.written |= {path for each in self._candidates(node) if (path := each)}
            self._note_writing(node.args[0] if node.args else None, "")
        elif (method or name) in _READERS and not any(self._candidates(node)):
            module.unknown_reads.append(node.lineno)
        if not self._name(node):
            self.generic_visit(node)

    def _note_writing(self, path: ast.AST | None, format_: str) -> str:
        """Note the parameter of the function that *path* is, if it is one. Return both names."""
        parameter = self._paths.parameter(path) if path is not None else ""
        if not parameter or self._is_in_class:
            return ""
        self._writes[parameter] = format_ or self._writes.get(parameter, "")
        return f"{self._function}.{parameter}"

    def _note_call(self, node: ast.Call) -> None:
        """Note a call of one of the project's functions, with the paths that it is given."""
        found = self._paths.function_at(node.func)
        if found is None:
            return
        named = {each.arg: each.value for each in node.keywords if each.arg}
        call = Call(
            path=found[0],
            name=found[1],
            line=node.lineno,
            by_position={at: self._paths.of(each) for at, each in enumerate(node.args)},
            by_name={key: self._paths.of(each) for key, each in named.items()},
            is_relative=not any(map(self._paths.is_anchored, [*node.args, *named.values()])),
        )
        self._module.calls.append(call)

    def _candidates(self, node: ast.Call) -> Iterator[str]:
        yield self._paths.of(node)
        if isinstance(node.func, ast.Attribute):
            yield self._paths.of(node.func.value)
        for each in node.args[:1]:
            yield self._paths.of(each)

    def _file(self, node: ast.Call, format_: str, argument: ast.expr | None) -> File:
        path = self._paths.of(argument) if argument else ""
        return File(
            path=path,
            format=format_,
            line=node.lineno,
            is_relative=bool(path) and not self._paths.is_anchored(argument),
        )

    def _name(self, node: ast.expr) -> bool:
        """Note the path that *node* is, if it looks like one. Return whether it does."""
        path = self._paths.of(node)
        if not _looks_like_data(path):
            return False
        self._module.named.setdefault(path, node.lineno)
        return True

    def _command_line(self, node: ast.Call, name: str, method: str) -> None:
        module = self._module
        if name.endswith("get_ipython"):
            module.is_notebook = True
        if name.startswith(("argparse.ArgumentParser", "click.command", "typer.", "fire.Fire")):
            module.takes_arguments = True
        if method in {"add_argument", "option", "argument"}:
            option = self._paths.option(node)
            if option and option not in module.required_arguments:
                module.required_arguments += (option,)


_USUAL_VARIABLES = frozenset({"HOME", "PATH", "PWD", "TMPDIR", "USER"})
_PATHS = frozenset({"filename", "file", "f", "path", "filepath"})


def _argument(node: ast.Call, position: int) -> ast.expr | None:
    """Return the argument that is the path or the file to write to."""
    if len(node.args) > position:
        return node.args[position]
    return next((each.value for each in node.keywords if each.arg in _PATHS), None)


def _method(node: ast.Call) -> str:
    return dotted(node.func).rpartition(".")[2] or (
        node.func.attr if isinstance(node.func, ast.Attribute) else ""
    )


def _saver(
    node: ast.Call, name: str, method: str, paths: Paths
) -> tuple[str, ast.expr | None] | None:
    """Return the format and the path, or the file, if *node* saves a model."""
    if name in _SAVERS:
        format_, position = _SAVERS[name]
        return format_, _argument(node, position)
    argument = _argument(node, 0)
    if not isinstance(node.func, ast.Attribute) or argument is None:
        return None
    if method in _SAVING_METHODS:
        return _SAVING_METHODS[method], argument
    receiver = dotted(node.func.value).lower()
    if method == "save" and (paths.of(argument).endswith(_MODEL_SUFFIXES) or "model" in receiver):
        return "native", argument
    # `file.write(onnx.SerializeToString())`: the file is what `write` belongs to.
    if method in {"write", "write_bytes"} and isinstance(argument, ast.Call):
        made = paths.called(argument.func).rpartition(".")
        format_ = "onnx" if _method(argument) == "SerializeToString" else ""
        format_ = "pickle" if (made[0] in _PICKLING and made[2] == "dumps") else format_
        if format_:
            return format_, node.func.value
    return None


def _is_main(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and {dotted(test.left), *map(dotted, test.comparators)} >= {"__name__"}
        and "__main__" in ast.dump(test)
    )


def _only_call(body: list[ast.stmt]) -> str:
    """Return the function that *body* calls without arguments, if that is all that it does."""
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        return ""
    call = body[0].value
    if isinstance(call, ast.Call) and dotted(call.func) in {"sys.exit", "exit"} and call.args:
        call = call.args[0]
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return ""
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    arguments = node.args
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    optional = len(arguments.defaults)
    keywords = [
        each.arg
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return Function(
        name=node.name,
        required=(*positional[: len(positional) - optional], *keywords),
        returns=_returns(node),
    )


def _returns(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Returns:
    values = [
        node.value
        for node in _own(function)
        if isinstance(node, ast.Return) and node.value is not None and not _is_nothing(node.value)
    ]
    if not values:
        return "nothing"
    annotation = ast.dump(function.returns).lower() if function.returns else ""
    metrics = ("metric", "score", "result", "report", "stat")
    is_mapping = "'dict'" in annotation or "'mapping'" in annotation
    is_mapping = is_mapping or all(
        isinstance(each, (ast.Dict, ast.DictComp))
        or dotted(each).startswith(metrics)
        or (isinstance(each, ast.Call) and dotted(each.func) == "dict")
        for each in values
    )
    return "a mapping" if is_mapping else "something else"


def _is_nothing(value: ast.expr) -> bool:
    """Whether a function that returns *value* returns nothing, or an exit code."""
    return isinstance(value, ast.Constant) and value.value in {None, 0}


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, those of the functions in it left out."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield node
            yield from _own(node)


_DATA_SUFFIXES = frozenset(
    {".csv", ".tsv", ".parquet", ".json", ".jsonl", ".ndjson", ".xlsx", ".xls"}
    | {".feather", ".npy", ".npz", ".h5", ".hdf5", ".db", ".sqlite", ".arff", ".data"}
    | {".txt", ".zip", ".gz", ".pkl", ".pickle", ".joblib", ".yaml", ".yml", ".toml"}
    | {".ini", ".arrow", ".svm"}
)
REMOTE = ("http://", "https://", "s3://", "gs://", "ftp://", "abfs://", "hf://", "az://")


def _looks_like_data(path: str) -> bool:
    if not path or len(path) > 300 or "\n" in path:  # noqa: PLR2004 - no path is longer
        return False
    suffix = PurePosixPath(path.lower()).suffix
    if "://" in path:
        is_remote = path.startswith(REMOTE)
        return is_remote and (suffix in _DATA_SUFFIXES or path.startswith(REMOTE[2:]))
    is_file = suffix in _DATA_SUFFIXES and PurePosixPath(path).stem.strip(".*") != ""
    return is_file and not any(each in path for each in '<>|{}"')
