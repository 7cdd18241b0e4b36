"""What a project declares about itself, wherever it does: read, never run."""

from __future__ import annotations

import ast
import codecs
import configparser
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from hatch_model.errors import HatchModelError, printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path, PurePosixPath

_OLDEST = (3, 10)


@dataclass(kw_only=True, slots=True)
class Declaration:
    """What `pyproject.toml`, `setup.py`, `setup.cfg` and requirements files say."""

    pyproject: dict[str, Any]
    name: str = ""
    version: str = ""
    description: str = ""
    requires_python: str = ""
    requirements: dict[str, str] = field(default_factory=dict)
    """Each requirement of the project by its normalized name."""
    development: dict[str, str] = field(default_factory=dict)
    """Requirements that were declared for development."""
    extras: dict[str, list[str]] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    readme: str = ""
    version_source: dict[str, str] = field(default_factory=dict)
    """Where setuptools finds the version: an `attr`, a `file`, or git (`scm`)."""
    unread: list[str] = field(default_factory=list)
    """What could not be read, as sentences."""


def is_exact(requirement: str) -> bool:
    specifiers = list(Requirement(requirement).specifier)
    return any(
        each.operator in {"==", "==="} and not each.version.endswith(".*") for each in specifiers
    )


def read_declaration(root: Path) -> Declaration:
    """Read what the project at *root* declares. Raises HatchModelError."""
    declaration = Declaration(pyproject=_pyproject(root))
    _read_project(declaration)
    _read_setuptools(declaration, root)
    _read_poetry(declaration)
    _read_pipfile(declaration, root / "Pipfile")
    _read_setup_cfg(declaration, root / "setup.cfg")
    _read_setup_py(declaration, root / "setup.py")
    _read_requirement_files(declaration, root)
    _find_readme(declaration, root)
    return declaration


def _pyproject(root: Path) -> dict[str, Any]:
    file = root / "pyproject.toml"
    if not file.exists():
        return {}
    try:
        content = tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise HatchModelError(f"`{file}` cannot be read: {error}") from None
    return content


def _table(content: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        found = content.get(key)
        content = found if isinstance(found, dict) else {}
    return dict(content)


def _read_project(declaration: Declaration) -> None:
    project = _table(declaration.pyproject, "project")
    declaration.name = str(project.get("name", ""))
    declaration.version = str(project.get("version", ""))
    declaration.requires_python = str(project.get("requires-python", ""))
    declaration.scripts = {key: str(value) for key, value in _table(project, "scripts").items()}
    if project.get("dependencies"):
        _add(declaration, project["dependencies"], "project.dependencies")


def _add(declaration: Declaration, lines: Iterable[object], source: str) -> None:
    """Add the requirements *lines* unless an earlier source has them."""
    for line in lines:
        requirement = _parsed(str(line))
        if requirement is None:
            declaration.unread.append(f"`{line}` in {source} is not a requirement")
            continue
        name = canonicalize_name(requirement.name)
        text = str(line)
        if name == "sklearn":
            text = "scikit-learn"
            name = canonicalize_name(text)
            declaration.unread.append(
                f"`{line}` in {source} is a package that cannot be installed, so scikit-learn "
                f"takes its place"
            )
        known = declaration.requirements.get(name)
        # The same package with different markers stays on one line each, which no mapping has.
        declaration.requirements[name] = text if known is None else known


def _parsed(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


# Poetry


def _read_poetry(declaration: Declaration) -> None:
    poetry = _table(declaration.pyproject, "tool", "poetry")
    declaration.name = declaration.name or str(poetry.get("name", ""))
    declaration.version = declaration.version or str(poetry.get("version", ""))
    declaration.description = str(poetry.get("description", ""))
    dependencies = _table(poetry, "dependencies")
    python = dependencies.pop("python", None)
    if python and not declaration.requires_python:
        declaration.requires_python = _poetry_range(str(python))
    if dependencies:
        needed = {key: each for key, each in dependencies.items() if not _is_optional(each)}
        lines = [_poetry_line(declaration, *each) for each in needed.items()]
        _add(declaration, filter(None, lines), "tool.poetry.dependencies")
    groups = [_table(poetry, "dev-dependencies")]
    groups += [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    for extra, names in _table(poetry, "extras").items():
        optional = [_poetry_line(declaration, each, dependencies.get(each, "*")) for each in names]
        declaration.extras.setdefault(extra, [*filter(None, optional)])
    for group in groups:
        for name, value in group.items():
            line = _poetry_line(declaration, name, value)
            if line:
                declaration.development.setdefault(canonicalize_name(name), line)
    for name, value in _table(poetry, "scripts").items():
        if isinstance(value, str):
            declaration.scripts.setdefault(name, value)


def _is_optional(value: object) -> bool:
    return isinstance(value, dict) and bool(value.get("optional"))


def _read_pipfile(declaration: Declaration, file: Path) -> None:
    try:
        content = tomllib.loads(_text_of(file))
    except OSError:
        return
    except ValueError:
        declaration.unread.append("Pipfile is malformed")
        return
    # What a version means is the same as Poetry's but for `^` and `~`, which Pipenv does not know.
    lines = [
        _poetry_line(declaration, *each, "Pipfile") for each in _table(content, "packages").items()
    ]
    if not declaration.requirements:
        _add(declaration, filter(None, lines), "Pipfile")
    for name, value in _table(content, "dev-packages").items():
        line = _poetry_line(declaration, name, value, "Pipfile")
        if line:
            declaration.development.setdefault(canonicalize_name(name), line)
    python = _table(content, "requires").get("python_version")
    if python and not declaration.requires_python:
        declaration.requires_python = f">={python}"


def _poetry_line(
    declaration: Declaration, name: str, value: object, source: str = "tool.poetry"
) -> str:
    """Write a dependency of Poetry's as a requirement; "" where there is none."""
    extras, marker, version = "", "", value
    if isinstance(value, dict):
        version = value.get("version")
        extras = f"[{','.join(value['extras'])}]" if value.get("extras") else ""
        # Pipenv has keys for markers.
        markers = [f"{key} {value[key]}" for key in ("os_name", "sys_platform") if key in value]
        markers += [value["markers"]] if value.get("markers") else []
        marker = f"; {' and '.join(markers)}" if markers else ""
    if not isinstance(version, str):
        declaration.unread.append(f"{source} has `{name}` without a version from an index")
        return ""
    return f"{name}{extras}{_poetry_range(version)}{marker}"


_RELEASE = re.compile(r"(\^|~(?!=))\s*(\d+(?:\.\d+)*)")


def _poetry_range(text: str) -> str:
    """Write a version of Poetry's as a specifier: `^1.2` as `>=1.2,<2`."""
    parts = []
    for each in text.split("||", maxsplit=1)[0].split(","):
        part = each.strip()
        match = _RELEASE.fullmatch(part)
        if match:
            parts += [f">={match[2]}", f"<{_next(match[2], caret=match[1] == '^')}"]
        elif part and part != "*":
            parts.append(part if part[0] in "<>=!~" else f"=={part}")
    try:
        SpecifierSet(",".join(parts))
    except InvalidSpecifier:
        return ""
    return ",".join(parts)


def _next(version: str, *, caret: bool) -> str:
    """Return the first version that `^` (for *caret*) or `~` does not allow."""
    numbers = [int(each) for each in version.split(".")]
    if caret:
        # The first number that is not zero may not change.
        kept = next((place for place, each in enumerate(numbers) if each), len(numbers) - 1)
    else:
        kept = min(1, len(numbers) - 1)
    return ".".join(map(str, [*numbers[:kept], numbers[kept] + 1]))


# setuptools


def _read_setuptools(declaration: Declaration, root: Path) -> None:
    """Read the files that setuptools takes dynamic fields from."""
    dynamic = _table(declaration.pyproject, "tool", "setuptools", "dynamic")
    for file in _files(dynamic.get("dependencies")):
        _add(declaration, _requirement_lines(declaration, root / file, set()), file)
    extras = _table(dynamic, "optional-dependencies")
    declaration.extras = {
        extra: [
            line
            for file in _files(value)
            for line in _requirement_lines(declaration, root / file, set())
        ]
        for extra, value in extras.items()
    }
    declaration.readme = next(iter(_files(dynamic.get("readme"))), "")


def _files(value: object) -> list[str]:
    found = value.get("file", []) if isinstance(value, dict) else []
    return [found] if isinstance(found, str) else [str(each) for each in found]


def _read_setup_cfg(declaration: Declaration, file: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if file.is_file():
            parser.read_string(_text_of(file))
    except (configparser.Error, OSError):
        declaration.unread.append("setup.cfg is malformed")
        return
    metadata = dict(parser["metadata"]) if parser.has_section("metadata") else {}
    options = dict(parser["options"]) if parser.has_section("options") else {}
    literal = {
        key: value for key, value in metadata.items() if not value.startswith(("file:", "attr:"))
    }
    _fill(declaration, literal, options.get("python_requires", ""))
    kind, _, place = metadata.get("version", "").partition(":")
    if place and kind in {"attr", "file"}:
        declaration.version_source = {kind: place.strip()}
    required = options.get("install_requires", "").strip()
    if required and not required.startswith("file:"):
        _add(declaration, filter(None, map(str.strip, required.splitlines())), "setup.cfg")


def _fill(declaration: Declaration, metadata: Mapping[str, Any], python: object) -> None:
    """Fill in what is not known yet."""
    for key in ("name", "version", "description"):
        value = metadata.get(key)
        if isinstance(value, str) and not getattr(declaration, key):
            setattr(declaration, key, value.strip())
    if isinstance(python, str) and python and not declaration.requires_python:
        declaration.requires_python = python


def _read_setup_py(declaration: Declaration, file: Path) -> None:
    if not file.is_file():
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        declaration.unread.append("setup.py is not Python that can be read")
        return
    names = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"setup", "setuptools.setup"}:
            given = {each.arg: _literal(each.value, names) for each in node.keywords if each.arg}
            written = {each.arg for each in node.keywords}
            _from_setup(declaration, given, written)


def _literal(node: ast.expr, names: Mapping[str, ast.expr]) -> Any:
    """Return the value of an expression; None if only running it would tell."""
    if isinstance(node, ast.Name) and node.id in names and names[node.id] is not node:
        node = names[node.id]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None


def _from_setup(
    declaration: Declaration, given: Mapping[str, Any], written: set[str | None]
) -> None:
    if "ext_modules" in written:
        raise HatchModelError(
            "setup.py has `ext_modules`, which hatchling does not compile. Keep them in a "
            "distribution of their own that the model requires."
        )
    _fill(declaration, given, given.get("python_requires"))
    if "use_scm_version" in written:
        declaration.version_source = {"scm": "git"}
    required = given.get("install_requires")
    if isinstance(required, (list, tuple)):
        _add(declaration, required, "setup.py")
    extras = given.get("extras_require")
    if isinstance(extras, dict):
        declaration.extras = {
            key: [str(each) for each in value]
            for key, value in extras.items()
            if isinstance(value, (list, tuple))
        }
    entry_points = given.get("entry_points")
    scripts = entry_points.get("console_scripts", ()) if isinstance(entry_points, dict) else ()
    for line in scripts:
        name, _, target = str(line).partition("=")
        declaration.scripts.setdefault(name.strip(), target.strip())


# Requirements files


def _read_requirement_files(declaration: Declaration, root: Path) -> None:
    if not declaration.requirements:
        lines = [*_requirement_lines(declaration, root / "requirements.txt", set())]
        if lines:
            _add(declaration, lines, "requirements.txt")
    for name in ("requirements-dev.txt", "requirements_dev.txt", "dev-requirements.txt"):
        for line in _requirement_lines(declaration, root / name, {root / "requirements.txt"}):
            declaration.development.setdefault(canonicalize_name(Requirement(line).name), line)
    if (root / "environment.yml").exists() and not declaration.requirements:
        declaration.unread.append("environment.yml is conda's and was not read")


def _requirement_lines(declaration: Declaration, file: Path, seen: set[Path]) -> Iterator[str]:
    """Yield the requirements in *file* and in those that it includes."""
    if file in seen or not file.is_file():
        return
    seen.add(file)
    text = _text_of(file).replace("\\\n", " ")
    for raw in text.splitlines():
        line = re.sub(r"(^|\s)#.*|\s--hash=\S+", "", raw).strip()
        included = re.fullmatch(r"(?:-r|--requirement)[\s=]*(\S+)", line)
        if included:
            yield from _requirement_lines(declaration, file.parent / included[1], seen)
        elif line.startswith("-"):
            if line not in {"-e .", "-e ./"}:
                declaration.unread.append(f"`{printable(line)}` in {file.name} was left out")
        elif line and line != ".":
            if _parsed(line) is None:
                declaration.unread.append(
                    f"`{printable(line)}` in {file.name} is not a requirement"
                )
            else:
                yield line


def _text_of(file: Path) -> str:
    """Return a file's text: in UTF-16 if Windows PowerShell has written it, as in pip."""
    content = file.read_bytes()
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_wide else "utf-8-sig", "replace")


def _find_readme(declaration: Declaration, root: Path) -> None:
    names = [declaration.readme, "README.md", "README.rst", "README.txt"]
    found = next((each for each in names if each and (root / each).is_file()), "")
    try:
        if found:
            (root / found).read_text("utf-8")
    except ValueError:
        declaration.unread.append(
            f"{found} is not in UTF-8, so the wheel's description leaves it out"
        )
        found = ""
    declaration.readme = found


def supported_python(specifier: str) -> str:
    """Return *specifier*, unless it allows a Python that is too old for hatch-model."""
    oldest = ".".join(map(str, _OLDEST))
    if not specifier:
        return f">={oldest}"
    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        return f">={oldest}"
    older = [f"3.{minor}.99" for minor in range(_OLDEST[1])] + ["2.7.18"]
    if not any(allowed.contains(each) for each in older):
        return specifier
    upper = [str(each) for each in allowed if each.operator in {"<", "<=", "!="}]
    return ",".join([f">={oldest}", *sorted(upper)])


def version_of_attribute(root: Path, attribute: str) -> dict[str, str]:
    """Return where hatchling finds the version in *attribute*, such as `a.b.__version__`."""
    module, _, name = attribute.rpartition(".")
    place = module.replace(".", "/")
    for path in (f"{base}{place}{end}" for base in ("", "src/") for end in (".py", "/__init__.py")):
        if not module or not (root / path).is_file():
            continue
        pattern = rf"^{re.escape(name)}\s*(?::\s*str\s*)?=\s*['\"](?P<version>[^'\"]+)['\"]"
        if re.search(pattern, (root / path).read_text("utf-8", "replace"), re.MULTILINE):
            usual = name in {"__version__", "VERSION"}
            return {"path": path} if usual else {"path": path, "pattern": f"(?m){pattern}"}
    return {}


def declared_version(root: Path, packages: Iterable[PurePosixPath]) -> PurePosixPath | None:
    """Return the file of a package that has a literal `__version__`, which hatchling can read."""
    for package in packages:
        for name in ("__init__.py", "__about__.py", "_version.py", "version.py"):
            file = root / package / name
            if file.is_file() and re.search(
                r"^__version__\s*(:\s*str\s*)?=\s*['\"][^'\"]+['\"]",
                file.read_text("utf-8", "replace"),
                re.MULTILINE,
            ):
                return package / name
    return None
