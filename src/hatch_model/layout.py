"""The layout of a project: which modules the wheel ships, found without importing any.

Whatever is certain to fail for want of a module or function is said before a frontend installs the
training environment.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_model.entry_point import ObjectReference, Script
from hatch_model.errors import HatchModelError, Problem, SettingsError
from hatch_model.phase import is_unpacked_sdist
from hatch_model.settings import PLUGIN

if TYPE_CHECKING:
    import ast
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from hatchling.builders.wheel import WheelBuilder

    from hatch_model.settings import TrainingSettings

INCLUDE_WHAT_IS_READ = (
    "which must include the files that training reads (or build the wheel from the project itself, "
    'with `uv build --wheel`, or set `sdist = "trained"`)'
)
"""What to do where a source distribution lacks a file."""

_WHEEL = "[tool.hatch.build.targets.wheel]"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A source file that hatchling selects for the wheel."""

    path: Path
    tree: PurePosixPath
    """Relative to the project root."""
    wheel: PurePosixPath
    """Its path in the wheel."""

    @property
    def module(self) -> str:
        """The dotted name to import it by once installed; "" if it is not a module."""
        ending = next((each for each in all_suffixes() if self.wheel.name.endswith(each)), "")
        if not ending or ending == ".pyc":
            return ""
        parts = (*self.wheel.parts[:-1], self.wheel.name.removesuffix(ending))
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def import_root(self) -> PurePosixPath | None:
        """The folder in the tree from which it can be imported; None if `sources` renames it."""
        depth = len(self.tree.parts) - len(self.wheel.parts)
        if self.tree.parts[depth:] != self.wheel.parts or depth < 0:
            return None
        return PurePosixPath(*self.tree.parts[:depth])


def source_files(builder: WheelBuilder, training: TrainingSettings) -> list[SourceFile]:
    """List what *builder* ships of the source tree.

    Raises HatchModelError where hatchling finds nothing that goes by the project's name, and says
    what to write for the layout that is there, by where *training* lies.
    """
    try:
        included = list(builder.recurse_included_files())
    except ValueError as error:
        if not str(error).startswith("Unable to determine which files to ship"):
            raise
        raise HatchModelError(
            f"hatchling cannot tell which files the wheel ships: no package or module has the "
            f'project\'s name, "{builder.metadata.core.raw_name}". {_selection(builder, training)}'
        ) from None
    return [
        SourceFile(
            path=Path(each.path),
            tree=PurePosixPath(Path(each.relative_path).as_posix()),
            wheel=PurePosixPath(Path(each.distribution_path).as_posix()),
        )
        for each in included
        if each.relative_path
    ]


def _selection(builder: WheelBuilder, training: TrainingSettings) -> str:
    """Say what to write for the layout that is there: a package, or a module at the top."""
    root, name = Path(builder.root), builder.metadata.name.replace("-", "_")
    train = training.train
    if isinstance(train, Script):
        package = _only_package(root)
        add = f"Add a package for the code that loads the model, such as `src/{name}/__init__.py`."
        return (
            f"Select the package:\n\n{_WHEEL}\npackages = {json.dumps([package])}"
            if package
            else add
        )
    top = train.module.partition(".")[0]
    moved = ".".join([name, *train.module.removeprefix("src.").split(".")])
    move = (
        f"move it to `src/{moved.replace('.', '/')}.py`, and set {training.key}.train to "
        f'"{moved}:{train.attribute}"'
    )
    if top == "src":
        return _src_is_no_package(root, train, training.key, move)
    folder = "src/" if (root / "src").is_dir() and not (root / f"{top}.py").is_file() else ""
    if (root / folder / f"{top}.py").is_file():
        return (
            f"`{folder}{top}.py` is not in a package. Either {move}; or ship it as a module, and "
            f"the model in a folder with a unique name, by {training.key}.artifacts = "
            f'"{folder}{name}_model" and:\n\n{_WHEEL}\npackages = ["{folder}{top}.py"]'
        )
    if top == name and (root / folder / name).is_dir():
        return (
            f"`{folder}{name}` is no package yet: add an empty file `{folder}{name}/__init__.py`."
        )
    package = f"{folder}{top}" if (root / folder / top).is_dir() else _only_package(root)
    packages = json.dumps([package or "src/your_package"])
    return f"Select the package:\n\n{_WHEEL}\npackages = {packages}"


def _src_is_no_package(root: Path, train: ObjectReference, key: str, move: str) -> str:
    package, _, rest = train.module.removeprefix("src.").partition(".")
    if rest and (root / "src" / package).is_dir():
        return (
            f"`src` is the folder for packages: wheels that ship it as a package overwrite each "
            f"other's files. Import `{package}` without it, set {key}.train to "
            f'"{package}.{rest}:{train.attribute}", and select the package:\n\n{_WHEEL}\npackages '
            f'= ["src/{package}"]'
        )
    return (
        f"`src` is the folder for packages: wheels that ship it as a package overwrite each "
        f"other's files. `{train.module}` has to be in a package: {move}."
    )


def _only_package(root: Path) -> str:
    """Return the only package in the usual places, relative to *root*; "" for none or several."""
    found = [*root.glob("src/*/__init__.py"), *root.glob("*/__init__.py")]
    candidates = {each.parent.relative_to(root).as_posix() for each in found}
    candidates -= {"tests", "test", "docs", "src"}
    return candidates.pop() if len(candidates) == 1 else ""


# What the settings name


def check_layout(builder: WheelBuilder, training: TrainingSettings, *, trains: bool = True) -> None:
    """Check that something ships and, if the build *trains*, that what *training* names exists.

    Does nothing if other hooks or `force-include` may still supply it. Raises HatchModelError.
    """
    if _has_other_suppliers(builder) or (not trains and builder.config.dev_mode_dirs):
        return
    root = Path(builder.root)
    files = source_files(builder, training)
    if not trains:
        return
    python_path(training, files, root)
    check_inputs(training, root)
    _check_references(training, files, root)


def python_path(settings: TrainingSettings, files: Sequence[SourceFile], root: Path) -> list[Path]:
    """Return the folders of the tree at *root* that training imports from. Raises SettingsError."""
    if settings.python_path:
        problems = [
            Problem(
                f"{settings.key}.python-path[{index}]",
                expected="a folder that exists",
                found=str(path),
            )
            for index, path in enumerate(settings.python_path)
            if not (root / path).is_dir()
        ]
        if problems:
            raise SettingsError(problems)
        return [root / each for each in settings.python_path]
    roots = {each.import_root for each in files if each.module}
    return [root / each for each in sorted(filter(None, roots))] or [root]


def check_inputs(settings: TrainingSettings, root: Path) -> None:
    """Raise SettingsError unless each pattern of `inputs` matches a file below *root*."""
    expected = "to match a file"
    if is_unpacked_sdist(root):
        # If git ignores the data, it is not in the sdist.
        expected = f"to match a file of this source distribution, {INCLUDE_WHAT_IS_READ}"
    problems = [
        Problem(f"{settings.key}.inputs[{index}]", expected=expected, found=pattern)
        for index, pattern in enumerate(settings.inputs or ())
        if not any(path.is_file() for path in root.glob(pattern))
    ]
    if problems:
        raise SettingsError(problems)


def _check_references(training: TrainingSettings, files: Sequence[SourceFile], root: Path) -> None:
    """Raise HatchModelError if `train`, `check` or `predict` names what cannot be there.

    A module from outside of the project may still be installed.
    """
    modules = {file.module: file.path for file in files if file.module}
    options = {"train": training.train, "check": training.check, "predict": training.predict}
    for option, reference in options.items():
        if isinstance(reference, Script):
            check_script(training, root)
        if not isinstance(reference, ObjectReference):
            continue
        key, module = f"{training.key}.{option}", reference.module
        file = _on_path(module, training, root) or modules.get(module)
        parts = module.split(".")
        # Only a package with an `__init__` is not shared with other distributions.
        is_own = any(".".join(parts[:depth]) in modules for depth in range(1, len(parts)))
        # Without a package of the wheel's own, there is no place for the model.
        is_lost = option == "train" and training.artifacts is None and not _is_installed(module)
        if file is not None:
            _check_attribute(key, reference, file, modules)
        elif is_own:
            raise HatchModelError(module_not_found(reference, key, module, modules))
        elif is_lost:
            hint = (
                f" If an installed package has it, set {training.key}.artifacts to a folder inside "
                f"a package that the wheel ships."
            )
            raise HatchModelError(module_not_found(reference, key, module, modules) + hint)


def check_script(training: TrainingSettings, root: Path) -> None:
    """Raise HatchModelError if `train` is a script that is not below *root*."""
    script = training.train
    if not isinstance(script, Script) or (root / script.path).is_file():
        return
    named = f"{training.key}.train is `{script}`, but there is no such file"
    patterns = ("*.py", "[!.]*/*.py", f"{script.path.parent}/*.py")
    scripts = [each for pattern in patterns for each in root.glob(pattern)]
    near = {each.relative_to(root).as_posix() for each in scripts}
    where = "the project"
    if is_unpacked_sdist(root):
        where = f"this source distribution, {INCLUDE_WHAT_IS_READ}"
    raise HatchModelError(f"{named} in {where}.{_suggestion(str(script), near)}")


def _has_other_suppliers(builder: WheelBuilder) -> bool:
    """Return whether modules may be in the wheel that are not among the files yet."""
    config = builder.config
    # These two write one file each, which says the version.
    hooks = config.hook_config.keys() - {PLUGIN, "vcs", "version"}
    return bool(hooks or config.force_include)


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 - rarely needed

    return find_spec(module.partition(".")[0]) is not None


def _on_path(module: str, training: TrainingSettings, root: Path) -> Path | None:
    relative = module.replace(".", "/")
    for folder in training.python_path:
        for ending in ("/__init__.py", *all_suffixes()):
            file = root / folder / f"{relative}{ending}"
            if file.is_file():
                return file
    return None


def _check_attribute(
    key: str, reference: ObjectReference, file: Path, modules: Mapping[str, Path]
) -> None:
    name = reference.attribute.partition(".")[0]
    names = None if file.suffix != ".py" else _names_in(file)
    if names is None or name in names:
        return
    submodule = f"{reference.module}.{name}."
    set_elsewhere = re.compile(rf"\.{name}\b[^=\n]*=[^=]".encode())
    if not any(f"{each}.".startswith(submodule) for each in modules) and not any(
        path.suffix == ".py" and set_elsewhere.search(path.read_bytes())
        for path in modules.values()
    ):
        raise HatchModelError(attribute_not_found(reference, key, name, names))


def _names_in(file: Path) -> set[str] | None:
    """Return the names that the module in *file* binds; None if it may have others."""
    import ast  # noqa: PLC0415 - only to check references

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None  # Importing it says more.
    names = set(_bound(tree))
    return None if "*" in names else names


# What binds names without spelling them.
_DYNAMIC = frozenset(
    {"__dict__", "__getattr__", "exec", "globals", "locals", "modules", "setattr", "vars"}
)


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yield the names that are bound outside of functions and classes, and "*" for unknown ones."""
    import ast  # noqa: PLC0415 - as above

    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        found = (getattr(node, key, None) for key in ("id", "attr", "name", "asname", "rest"))
        names = {each for each in found if isinstance(each, str)}
        if names & _DYNAMIC:
            yield "*"
        if isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif not isinstance(node, (ast.Attribute, ast.Name)) or isinstance(node.ctx, ast.Store):
            yield from names
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


# Messages

SEARCHED = "among the wheel's files, on `python-path` or in the training environment"


def module_not_found(
    reference: ObjectReference,
    key: str,
    module: str,
    modules: Collection[str],
    *,
    places: str = "among the wheel's files or on `python-path`",
) -> str:
    return (
        f"{key} is `{reference}`, but there is no module `{module}` {places}."
        f"{_suggestion(module, modules)}"
    )


def attribute_not_found(
    reference: ObjectReference, key: str, name: str, candidates: Collection[str]
) -> str:
    names = reference.attribute.split(".")
    owner = ".".join([reference.module, *names[: names.index(name)]])
    return (
        f"{key} is `{reference}`, but `{owner}` has no attribute `{name}`."
        f"{_suggestion(name, candidates)}"
    )


def _suggestion(name: str, names: Collection[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a message

    near = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean `{near[0]}`?" if near else ""
