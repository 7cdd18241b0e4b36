"""A project that exists: its code, what it declares, its data, and which code trains."""

from __future__ import annotations

import ast
import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from hatch_model.git import ignored, last_commit_time
from hatch_model.new_project.code import REMOTE, python_files, read_modules, why_unread
from hatch_model.new_project.declaration import read_declaration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hatch_model.new_project.code import Module
    from hatch_model.new_project.declaration import Declaration

_DECLARING = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile")
_PREDICTING = re.compile(r"predict|infer|serv|scor|(^|_)(app|api|dashboard|demo)($|_)")
_OTHER = re.compile(r"eval|test|tune|search|plot|visual|explor|eda")
_TRAINING = re.compile(r"train|fit|build_model|learn")
# What the template of Cookiecutter Data Science has in `src`, which is no package by itself there.
_STEPS = frozenset({"data", "features", "models", "visualization", "utils", "dataset", "modeling"})

Kind = Literal["present", "missing", "ignored", "absolute", "remote"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """A file that code reads."""

    path: str
    kind: Kind
    place: str
    """Where the code names it: the file and the line."""


class ImportGraph:
    """Which of a project's own modules each of them imports."""

    def __init__(self, modules: Mapping[PurePosixPath, Module]) -> None:
        self._files = {str(path): path for path in modules}
        self._folders = {str(parent) for path in modules for parent in path.parents} - {"."}
        self._imported: dict[PurePosixPath, list[PurePosixPath]] = {}

    def imported(self, module: Module) -> list[PurePosixPath]:
        """Return the files that *module* imports, those of the packages around them included."""
        if module.path not in self._imported:
            around = [f"{each}/__init__.py" for each in module.path.parents]
            found = [self._files[each] for each in around if each in self._files]
            for level, name in sorted(module.imports):
                found += self._own(module, level, name)
            self._imported[module.path] = [
                each for each in dict.fromkeys(found) if each != module.path
            ]
        return self._imported[module.path]

    def is_own(self, module: Module, level: int, name: str) -> bool:
        """Whether an import is of the project's own code."""
        return bool(level) or any(self._has(base, name) for base in self._bases(module, 0))

    def searched(self, module: Module) -> dict[str, str]:
        """Return what *module* imports of the project, each with the folder it is found from."""
        found = {}
        for level, name in module.imports:
            bases = [] if level else self._bases(module, 0)
            base = next((each for each in bases if self._has(each, name)), None)
            if base is not None:
                found[name.partition(".")[0]] = base or "."
        return found

    def _has(self, base: str, name: str) -> bool:
        place = posixpath.join(base, name.partition(".")[0])
        return f"{place}.py" in self._files or place in self._folders

    def _bases(self, module: Module, level: int) -> list[str]:
        """Return the folders that an import may start from, relative to the root, which is ""."""
        if level:
            return ["/".join(module.path.parts[:-level])]
        return list(dict.fromkeys(["/".join(module.path.parts[:-1]), "", "src"]))

    def _own(self, module: Module, level: int, name: str) -> list[PurePosixPath]:
        """Return the files of the project that an import leads to; none for a package of others."""
        parts = name.split(".")
        for base in self._bases(module, level):
            places = [posixpath.join(base, *parts[:depth]) for depth in range(1, len(parts) + 1)]
            files = [file for each in places for file in (f"{each}.py", f"{each}/__init__.py")]
            found = [self._files[each] for each in files if each in self._files]
            if found or places[0] in self._folders:
                return found
        return []


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What is known of a project without running any of it."""

    root: Path
    declaration: Declaration
    modules: Mapping[PurePosixPath, Module]
    graph: ImportGraph
    notebooks: tuple[str, ...]
    unread: tuple[str, ...]
    """Files that are not Python 3, as sentences."""
    committed: str
    """When the last commit was made, in ISO 8601; "" without one."""

    @property
    def name(self) -> str:
        # The template of Cookiecutter Data Science calls every project so.
        declared = "" if self.declaration.name == "src" else self.declaration.name
        return declared or self.root.name

    @property
    def package_name(self) -> str:
        return re.sub(r"\W", "_", canonicalize_name(self.name)).strip("_")

    @property
    def is_src_a_package(self) -> bool:
        """Whether the code imports `src` itself, or runs what is in it as scripts."""
        if PurePosixPath("src/__init__.py") in self.modules:
            return True
        if any(
            f"{name}.".startswith("src.")
            for each in self.modules.values()
            for _, name in each.imports
        ):
            return True
        below = {
            path.parts[1] for path in self.modules if path.parts[0] == "src" and len(path.parts) > 1
        }
        folders = {each for each in below if not each.endswith(".py")}
        return bool(below) and folders <= _STEPS

    def packages(self) -> list[PurePosixPath]:
        """Return the folders of the packages that a wheel could ship."""
        found = []
        for path in self.modules:
            folder = path.parent
            above = folder.parent
            is_top = str(above) == "." or (str(above) == "src" and not self.is_src_a_package)
            is_named = folder.name == self.package_name
            if (
                (path.name == "__init__.py" or is_named)
                and is_top
                and folder.name not in {"src", ""}
            ):
                found.append(folder)
        return sorted(set(found))

    # Which code trains

    def candidates(self) -> list[Module]:
        """Return the modules that train if they are run or called, the most likely ones first."""
        scores = {path: self._score(module) for path, module in self.modules.items()}
        found = [path for path, score in scores.items() if score > 0]
        return [
            self.modules[path] for path in sorted(found, key=lambda path: (-scores[path], path))
        ]

    def _score(self, module: Module) -> int:
        closure = self.closure([module])
        fits = any(each.fitted for each in closure)
        saves = any(each.saved for each in closure)
        is_entry = module.main is not None or "" in module.fitting or self._trainer(module) != ""
        if not is_entry or not (fits or saves):
            return 0
        stem = module.stem.lower()
        score = 10 + 3 * saves + 2 * bool(module.trains) + (module.main is not None)
        score += 4 * bool(_TRAINING.search(stem)) + 2 * ("train" in module.functions)
        score -= 6 * bool(_PREDICTING.search(stem)) + 4 * bool(_OTHER.search(stem))
        # Whoever gives it the data trains, rather than the function that takes them.
        score -= 8 * self._is_helper(module)
        return max(score, 1)

    def _is_helper(self, module: Module) -> bool:
        """Whether *module* only has a function that trains with what others give it."""
        name = self._trainer(module)
        required = module.functions[name].required if name else ()
        runs = module.main is not None or "" in module.fitting
        return not runs and len(constants(module, required)) < len(required)

    def _trainer(self, module: Module) -> str:
        """Return a module's function that trains, by its name and what it does, or ""."""
        functions = list(module.functions.values())
        likely = [each for each in functions if re.match(r"(train|fit|build|main|run)", each.name)]
        likely.sort(key=lambda each: (bool(each.required), each.name not in module.fitting))
        return likely[0].name if likely else ""

    def trainer(self, module: Module) -> str:
        """Return the function to call for a module to train; "" to run it as a script."""
        if "" in module.fitting:
            return ""
        main = module.functions.get(module.main or "")
        if main is not None and not main.required:
            return main.name
        name = self._trainer(module)
        required = module.functions[name].required if name else ()
        is_known = bool(name) and len(constants(module, required)) == len(required)
        needs_block = module.main is not None and not is_known
        return "" if needs_block or module.takes_arguments else name

    def predicting(self) -> list[Module]:
        """Return the modules that use the model and don't train it."""
        return [
            each
            for each in self.modules.values()
            if not each.trains
            and (each.loaded or (each.predicts and _PREDICTING.search(each.stem)))
        ]

    # Imports

    def closure(self, modules: Iterable[Module]) -> list[Module]:
        """Return *modules* and all of the project's own that they import, packages included."""
        found: dict[PurePosixPath, Module] = {}
        waiting = [*modules]
        while waiting:
            module = waiting.pop()
            if module.path in found:
                continue
            found[module.path] = module
            waiting += [self.modules[path] for path in self.graph.imported(module)]
        return list(found.values())

    def foreign(self, modules: Iterable[Module]) -> set[str]:
        """Return what *modules* import that is not the project's own."""
        return {
            name
            for module in modules
            for level, name in module.imports
            if not self.graph.is_own(module, level, name)
        }

    # Data

    def data(self, modules: Iterable[Module]) -> list[Data]:
        """Return the files that *modules* read, and those that they may, by path."""
        listed = [*modules]
        written = {path for each in listed for path in each.written}
        written |= {file.path for each in listed for file in each.saved}
        places = {
            path: f"{each.path}:{line}"
            for each in listed
            for path, line in each.named.items()
            if path not in written
        }
        inside = [path for path in places if _is_inside(path)]
        unshipped = ignored(self.root, inside)
        return [
            Data(path=path, kind=self._kind(path, unshipped), place=place)
            for path, place in sorted(places.items())
            if _is_likely(path, exists=(self.root / path).exists())
        ]

    def is_in_clones(self, folder: str) -> bool:
        """Whether *folder* has a file that git does not ignore, so that clones have the folder."""
        files = [each for each in (self.root / folder).glob("*") if each.is_file()]
        paths = [each.relative_to(self.root).as_posix() for each in files]
        return bool({*paths} - ignored(self.root, paths))

    def _kind(self, path: str, unshipped: set[str]) -> Kind:
        if path.startswith(REMOTE):
            return "remote"
        if not _is_inside(path):
            return "absolute"
        if path in unshipped:
            return "ignored"
        return "present" if (self.root / path).exists() else "missing"

    def stages(self, module: Module) -> list[Module]:
        """Return the modules to run before *module*, since they write what a fresh clone lacks."""
        found: list[Module] = []
        waiting = [module]
        while waiting:
            reader = waiting.pop()
            lacking = {
                each.path
                for each in self.data(self.closure([reader]))
                if each.kind in {"missing", "ignored"}
            }
            for other in self.modules.values():
                is_writer = lacking & other.written and (other.main is not None or _runs(other))
                if is_writer and other is not module and other not in found:
                    found.insert(0, other)
                    waiting.append(other)
        return found


def constants(module: Module, parameters: Iterable[str]) -> dict[str, str]:
    """Return a module's constants called as *parameters*: CONFIG or DEFAULT_CONFIG."""
    names = {
        target.id
        for node in module.tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: dict[str, str] = {}
    for each in parameters:
        for name in (each.upper(), f"DEFAULT_{each.upper()}", f"DEFAULT_{each.upper()}S"):
            if name in names:
                found.setdefault(each, name)
    return found


def _is_inside(path: str) -> bool:
    return "://" not in path and not path.startswith(("/", "..")) and path[1:2] != ":"


def _is_likely(path: str, *, exists: bool) -> bool:
    """Whether a string with a data file's suffix is a path: it exists, or has a folder."""
    return exists or "/" in path


def _runs(module: Module) -> bool:
    """Whether a module does something when it is run that is neither a definition nor an import."""
    definitions = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    return any(
        isinstance(each, ast.Expr) and isinstance(each.value, ast.Call)
        for each in module.tree.body
        if not isinstance(each, definitions)
    )


def is_project(folder: Path) -> bool:
    """Whether *folder* has a project: something that declares one, or code."""
    if any((folder / name).is_file() for name in _DECLARING):
        return True
    return folder.is_dir() and bool(next(python_files(folder), None) or _notebooks(folder))


def _notebooks(root: Path) -> list[str]:
    return [
        path.relative_to(root).as_posix()
        for pattern in ("*.ipynb", "[!.]*/*.ipynb")
        for path in sorted(root.glob(pattern))
    ]


def survey(root: Path) -> Survey:
    """Read the project at *root*. Raises HatchModelError for what cannot be converted."""
    root = root.resolve()
    modules = read_modules(root)
    return Survey(
        root=root,
        declaration=read_declaration(root),
        modules=modules,
        graph=ImportGraph(modules),
        notebooks=tuple(_notebooks(root)),
        unread=tuple(
            reason
            for each in python_files(root)
            if each not in modules and (reason := why_unread(root, each))
        ),
        committed=last_commit_time(root),
    )
