"""The paths in Python code, as far as they can be told without running it.

Paths are relative to the project's root. Code is taken to run there, as a build does, unless it
names paths that begin with `..`: then it runs in the folder of its file.
"""

from __future__ import annotations

import ast
import posixpath
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_DEEPEST = 25  # expressions and names that lead to each other
_MOST_STEPS = 300  # for one path, as names may stand for twice as much each time
_SAME = frozenset({"resolve", "absolute", "expanduser", "as_posix", "open", "abspath", "realpath"})
_OPENING = frozenset({"open", "io.open", "gzip.open", "bz2.open", "lzma.open"})
_SAME_FILE = _OPENING | {"str", "pathlib.Path", "os.fspath"}
_JOINING = frozenset({"join", "Path", "pathlib.Path", "PurePath"})


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for such an expression; "" for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


class Paths:
    """The paths in one module. What names stand for is what was assigned to them last."""

    def __init__(
        self,
        path: PurePosixPath,
        tree: ast.Module,
        bodies: Mapping[PurePosixPath, list[ast.stmt]],
    ) -> None:
        self._path = path
        self._bodies = bodies
        self._names: dict[str, ast.expr] = {}
        self._steps = 0
        self._imported: dict[str, str] = {}
        self._options: dict[str, ast.expr] = {}
        self._calls: dict[str, ast.Call] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self._calls.setdefault(dotted(node.func), node)
                self.option(node)
        self._parameters: frozenset[str] = frozenset()
        is_above = any(each.startswith("../") for each in _first_parts(tree))
        self.folder = path.parent if is_above else PurePosixPath()
        """The working directory that the code is written for."""

    # What names stand for

    def assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            name = dotted(target)
            if name.startswith("self.") and node.value is not None:
                # As it is now, since other methods do not have what it is made of.
                text = self._resolved(node.value)
                self._names[name] = ast.Constant(text)
            elif name and node.value is not None:
                self._names[name] = node.value
                self._parameters -= {name}

    def bind_imports(self, node: ast.Import | ast.ImportFrom) -> None:
        for each in node.names:
            if isinstance(node, ast.ImportFrom):
                full = f"{'.' * node.level}{node.module or ''}:{each.name}"
                self._imported[each.asname or each.name] = full
            elif each.asname:
                self._imported[each.asname] = each.name
            else:
                top = each.name.partition(".")[0]
                self._imported[top] = top

    @contextmanager
    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[None]:
        """Let the parameters stand for what the function is called with, or for their defaults."""
        before, outer = dict(self._names), self._parameters
        arguments = [*node.args.posonlyargs, *node.args.args]
        self._parameters = frozenset(each.arg for each in (*arguments, *node.args.kwonlyargs))
        call = self._calls.get(node.name)
        for each in arguments:
            option = self._options.get(each.arg)
            if option is not None:
                self._names[each.arg] = option
        defaults = node.args.defaults
        for each, default in zip(
            arguments[len(arguments) - len(defaults) :], defaults, strict=True
        ):
            self._names[each.arg] = default
        if call is not None:
            given = {each.arg: value for each, value in zip(arguments, call.args, strict=False)}
            given |= {each.arg: each.value for each in call.keywords if each.arg}
            # A name that stands for itself would lead nowhere.
            self._names |= {key: value for key, value in given.items() if dotted(value) != key}
        yield
        own = {key: value for key, value in self._names.items() if key.startswith("self.")}
        self._names, self._parameters = {**before, **own}, outer

    @contextmanager
    def opened(self, node: ast.With | ast.AsyncWith) -> Iterator[None]:
        before = dict(self._names)
        for item in node.items:
            if isinstance(item.optional_vars, ast.Name):
                self._names[item.optional_vars.id] = item.context_expr
        yield
        self._names = before

    def option(self, node: ast.Call) -> str:
        """Note an option's default (argparse, click). Return its name if it must be given."""
        method = dotted(node.func).rpartition(".")[2]
        if method not in {"add_argument", "option", "argument"}:
            return ""
        flags = [each.value for each in node.args if isinstance(each, ast.Constant)]
        texts = [each for each in flags if isinstance(each, str)]
        long = next((each for each in texts if each.startswith("--")), texts[0] if texts else "")
        keywords = {each.arg: each.value for each in node.keywords}
        name = long.lstrip("-").replace("-", "_")
        if "default" in keywords:
            self._options[name] = keywords["default"]
            return ""
        required = keywords.get("required")
        is_positional = bool(long) and not long.startswith("-") and "nargs" not in keywords
        is_required = isinstance(required, ast.Constant) and required.value is True
        return long if is_positional or is_required else ""

    def called(self, node: ast.expr) -> str:
        """Return the full name of a function, as imported."""
        head, _, rest = dotted(node).partition(".")
        full = self._imported.get(head, head).replace(":", ".")
        return f"{full}.{rest}" if rest else full

    def function_at(self, node: ast.expr) -> tuple[PurePosixPath, str] | None:
        """Return the module and the name of the project's function that *node* names."""
        head, _, rest = dotted(node).partition(".")
        imported = self._imported.get(head)
        if not head or (imported is None and rest):
            return None
        if imported is None:
            return self._path, head
        module, _, attribute = imported.partition(":")
        parts = [each for each in (attribute, *rest.split(".")) if each]
        if not parts:
            return None
        *inner, name = parts
        below = ".".join(inner)
        joined = f"{module}{'.' if module.strip('.') and below else ''}{below}"
        path = self._module_at(joined) if joined else None
        return (path, name) if path is not None else None

    def parameter(self, node: ast.AST) -> str:
        """Return the function's parameter that *node*, or a file opened there, is; or ""."""
        for _ in range(_DEEPEST):
            if isinstance(node, ast.Name) and node.id in self._parameters:
                return node.id
            if isinstance(node, ast.Name) and node.id in self._names:
                node = self._names[node.id]
            elif isinstance(node, ast.Call) and self.called(node.func) in _SAME_FILE and node.args:
                node = node.args[0]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr not in _SAME:
                    return ""
                node = node.func.value
            else:
                return ""
        return ""

    # What expressions are

    def of(self, node: ast.AST | None) -> str:
        """Return the path that *node* is, relative to the project's root; "" if unknown."""
        text = self._resolved(node) if node is not None else None
        if not text or "://" in text:
            return text or ""
        if text.startswith("<file>"):
            return posixpath.normpath(text.replace("<file>", f"./{self._path}", 1))
        if text.startswith("/") or text[1:3] in {":\\", ":/"}:
            return text.replace("\\", "/")
        return posixpath.normpath((self.folder / text.replace("\\", "/")).as_posix())

    def is_anchored(self, node: ast.AST | None) -> bool:
        """Whether the path is absolute or relative to the module's own file."""
        text = (self._resolved(node) if node is not None else None) or ""
        return text.startswith(("<", "/")) or "://" in text

    def writes(self, node: ast.Call) -> bool:
        """Whether a file is opened to be written."""
        name = dotted(node.func)
        is_method = isinstance(node.func, ast.Attribute) and node.func.attr == "open"
        if name not in _OPENING and not is_method:
            return False
        position = 1 if name in _OPENING else 0
        modes = [*node.args[position:], *(each.value for each in node.keywords)]
        texts = [each.value for each in modes if isinstance(each, ast.Constant)]
        return any(isinstance(each, str) and each[:1] in {"w", "a", "x"} for each in texts)

    def _resolved(self, node: ast.AST) -> str | None:
        self._steps = 0
        return self._text(node, 0)

    def _text(self, node: ast.AST, depth: int) -> str | None:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        kinds: dict[type[ast.AST], Callable[[Any, int], str | None]] = {
            ast.Name: self._of_name,
            ast.Attribute: self._of_name,
            ast.BinOp: self._joined,
            ast.JoinedStr: self._formatted,
            ast.Subscript: self._item,
            ast.Call: self._of_call,
        }
        read = kinds.get(type(node))
        return read(node, depth + 1) if read else None

    def _of_name(self, node: ast.Name | ast.Attribute, depth: int) -> str | None:
        name = dotted(node)
        if name == "__file__":
            return "<file>"
        if name in self._names:
            return self._text(self._names[name], depth)
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            return _up(self._text(node.value, depth), 1)
        if isinstance(node, ast.Attribute) and node.attr in self._options:
            return self._text(self._options[node.attr], depth)
        return self._of_import(name, depth)

    def _of_import(self, name: str, depth: int) -> str | None:
        """Return a path that another module of the project assigns to a name."""
        head, _, rest = name.partition(".")
        module, _, attribute = self._imported.get(head, "").partition(":")
        if not module:
            return None
        owner, wanted = module, attribute
        if rest:
            below, _, wanted = rest.rpartition(".")
            owner = ".".join(filter(None, (module, attribute, below)))
        found = self._module_at(owner)
        return self._constant(found, wanted, depth) if found is not None else None

    def _constant(self, path: PurePosixPath, name: str, depth: int) -> str | None:
        tree = ast.Module(body=self._bodies[path], type_ignores=[])
        # Their own options and calls say nothing here.
        other = Paths(path, ast.Module(body=[], type_ignores=[]), self._bodies)
        for statement in tree.body:
            if isinstance(statement, (ast.Assign, ast.AnnAssign)):
                other.assign(statement)
        value = other._names.get(name)
        text = other._text(value, depth) if value is not None else None
        if text and text.startswith("<file>"):
            # Of that file, not of this one: as a path from this module's.
            real = posixpath.normpath(text.replace("<file>", f"./{path}", 1))
            return f"<file>/{posixpath.relpath(real, str(self._path))}"
        return text

    def _module_at(self, name: str) -> PurePosixPath | None:
        level = len(name) - len(name.lstrip("."))
        parts = [each for each in name.split(".") if each]
        bases = [self._path.parent, PurePosixPath(), PurePosixPath("src")]
        if level:
            bases = [PurePosixPath(*self._path.parts[:-level])]
        for base in bases:
            for candidate in (
                PurePosixPath(f"{base.joinpath(*parts)}.py"),
                base.joinpath(*parts, "__init__.py"),
            ):
                if candidate in self._bodies:
                    return candidate
        return None

    def _joined(self, node: ast.BinOp, depth: int) -> str | None:
        left, right = self._text(node.left, depth), self._text(node.right, depth)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div):
            return posixpath.join(left, right)
        return left + right if isinstance(node.op, ast.Add) else None

    def _formatted(self, node: ast.JoinedStr, depth: int) -> str | None:
        values = (
            self._text(each.value if isinstance(each, ast.FormattedValue) else each, depth)
            for each in node.values
        )
        texts = list(values)
        return None if None in texts else "".join(filter(None, texts))

    def _item(self, node: ast.Subscript, depth: int) -> str | None:
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            return _up(
                self._text(node.value.value, depth), index + 1 if isinstance(index, int) else 0
            )
        mapping = self._names.get(dotted(node.value))
        if isinstance(mapping, ast.Dict):
            for key, value in zip(mapping.keys, mapping.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == index:
                    return self._text(value, depth)
        return None

    def _of_call(self, node: ast.Call, depth: int) -> str | None:
        name = dotted(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else name
        arguments = [self._text(each, depth) for each in node.args]
        first = arguments[0] if arguments else None
        is_join = self.called(node.func) == "os.path.join"
        if is_join or name.endswith(("path.join", "joinpath")) or name in _JOINING:
            parts = arguments
            if method == "joinpath" and isinstance(node.func, ast.Attribute):
                parts = [self._text(node.func.value, depth), *arguments]
            texts = [each for each in parts if each is not None]
            return posixpath.join(*texts) if texts and len(texts) == len(parts) else None
        if name in {"os.environ.get", "os.getenv"}:
            return arguments[1] if len(arguments) > 1 else None
        if method == "dirname":
            return _up(first, 1)
        if name in {"str", "os.fspath", *_OPENING} or method in {"abspath", "realpath", "normpath"}:
            return first
        if method in _SAME and isinstance(node.func, ast.Attribute):
            return self._text(node.func.value, depth)
        return "." if name in {"os.getcwd", "Path.cwd", "pathlib.Path.cwd"} else None


def _first_parts(tree: ast.Module) -> Iterator[str]:
    """Yield the strings in *tree* that are not joined to the path of its own file."""
    beside = _names_beside(tree)
    later: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Call):
            is_method = isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath"
            if isinstance(node.func, ast.Attribute) and is_method:
                parts = [node.func.value, *node.args]
            elif dotted(node.func).rpartition(".")[2] in {"join", "Path", "PurePath"}:
                parts = [*node.args]
        if parts and _mentions(parts[0], beside):
            later |= {id(each) for each in parts[1:]}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in later:
            yield node.value


def _names_beside(tree: ast.Module) -> set[str]:
    """Return the names of what is made of the path of the module's own file."""
    names = {"__file__"}
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    for _ in range(5):  # names that lead to each other
        names |= {
            dotted(target)
            for node in assigned
            if _mentions(node.value, names)
            for target in node.targets
        }
    return names - {""}


def _mentions(node: ast.AST, names: set[str]) -> bool:
    return any(
        dotted(each) in names
        for each in ast.walk(node)
        if isinstance(each, (ast.Name, ast.Attribute))
    )


def _up(text: str | None, levels: int) -> str | None:
    """Return the folder that many *levels* above, where "<file>" stands for the module's file."""
    if text is None or not levels:
        return None
    return posixpath.join(text, *[".."] * levels)
