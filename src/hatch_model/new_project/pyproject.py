"""The pyproject.toml of a project that becomes a model project: its own, with what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import tomlkit
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, Table

from hatch_model.errors import HatchModelError
from hatch_model.new_project.declaration import (
    declared_version,
    supported_python,
    version_of_attribute,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tomlkit import TOMLDocument

    from hatch_model.new_project.plan import Plan

_WIDTH = 88
_BACKEND = "hatchling.build"


def edited(plan: Plan, text: str) -> str:
    """Return *text*, a pyproject.toml or nothing, with what *plan* adds. Comments stay.

    Raises HatchModelError if it is written in a way that nothing can be added to.
    """
    if "\r\n" in text and text.count("\r\n") == text.count("\n"):
        return edited(plan, text.replace("\r\n", "\n")).replace("\n", "\r\n")
    try:
        document = tomlkit.parse(text)
        is_scm = _is_versioned_by_scm(document)
        if _build_system(document):
            _resolve_dynamic(document, plan, is_scm=is_scm)
        array = _project(document, plan)
        added = [_requirements(plan, array), _training(document, plan)]
        added += [_wheel(document, plan), _sources(document, plan), _uv(document, plan)]
        _sdist(document, plan)
        _groups(document, plan)
        parts = [tomlkit.dumps(document).strip("\n"), *(each for each in added if each)]
        result = "\n\n".join(parts).lstrip("\n") + "\n"
        tomlkit.parse(result)
    except TOMLKitError as error:
        raise HatchModelError(
            f"the tables of hatch-model cannot be added to "
            f"`{plan.survey.root / 'pyproject.toml'}`: {error}. Write its tables out as [table] "
            f"instead of inline ones, and try again."
        ) from None
    return result


def _build_system(document: TOMLDocument) -> bool:
    """Have hatchling build the project. Return whether something else has, until now."""
    system = document.get("build-system")
    if not isinstance(system, Table):
        system = tomlkit.table()
        system["requires"] = ["hatchling", "hatch-model"]
        system["build-backend"] = _BACKEND
        _insert(document, "build-system", system)
        return True  # setuptools, as PEP 517 has it
    if system.get("build-backend") != _BACKEND:
        system["requires"] = ["hatchling", "hatch-model"]
        system["build-backend"] = _BACKEND
        system.pop("backend-path", None)
        return True
    if not any(_name_of(each) == "hatch-model" for each in system["requires"]):
        _append(system, "requires", "hatch-model")
    return False


def _insert(document: TOMLDocument, key: str, table: Table, after: str = "") -> None:
    """Put *table* behind the table *after*, or else first, after the file's own comments."""
    names = [name for name, _ in document.items()]
    rest = [(name, document[name]) for name in names[names.index(after) + 1 if after else 0 :]]
    for name, _ in rest:
        del document[name]
    document.append(key, table)
    for name, value in rest:
        document.append(name, value)


def _name_of(requirement: object) -> str:
    try:
        return canonicalize_name(Requirement(str(requirement)).name)
    except InvalidRequirement:
        return ""


def _append(table: Table, key: str, value: str) -> None:
    array = table.get(key)
    if not isinstance(array, Array):
        array = tomlkit.array()
        table[key] = array
        array = table[key]
    array.append(value)


def _project(document: TOMLDocument, plan: Plan) -> Array | None:
    """Complete [project], and return the array of its dependencies, which it loses."""
    project = document.get("project")
    if not isinstance(project, Table):
        _insert(document, "project", _new_project(document, plan), after="build-system")
        return None
    dependencies = project.pop("dependencies", None)
    dynamic = project.get("dynamic", [])
    if "dependencies" not in dynamic:
        _append(project, "dynamic", "dependencies")
    if "version" not in project and "version" not in dynamic:
        project["version"] = plan.survey.declaration.version or "0.1.0"
    if "name" not in project:
        project["name"] = _project_name(plan)
    if "requires-python" not in project:
        project["requires-python"] = supported_python(plan.survey.declaration.requires_python)
    _keep_blank_line(project)
    return dependencies if isinstance(dependencies, Array) else None


def _is_versioned_by_scm(document: TOMLDocument) -> bool:
    """Whether another backend takes the version from git."""
    requires = _at(document, "build-system", "requires") or []
    pdm = _at(document, "tool", "pdm", "version", "source")
    return pdm == "scm" or any(_name_of(each) == "setuptools-scm" for each in requires)


def _resolve_dynamic(document: TOMLDocument, plan: Plan, *, is_scm: bool) -> None:
    """Write the fields of [project] that another backend has found."""
    project = document.get("project")
    dynamic = project.get("dynamic") if isinstance(project, Table) else None
    if not isinstance(project, Table) or not isinstance(dynamic, Array):
        return
    declaration = plan.survey.declaration
    known: dict[str, Any] = {
        "readme": declaration.readme,
        "description": declaration.description,
        "optional-dependencies": declaration.extras,
        "scripts": declaration.scripts,
    }
    for index in reversed(range(len(dynamic))):
        field = str(dynamic[index])
        if field == "version":
            source = {"source": "vcs"} if is_scm else _version_file(document, plan)
            if is_scm:
                _append(document["build-system"], "requires", "hatch-vcs")
                plan.notes.append(
                    "hatch-vcs finds the version in git now: settings of setuptools-scm are not "
                    "taken over"
                )
            if source:
                _hatch(document)["version"] = source
                continue
            plan.notes.append(
                "the version was not found, so it is 0.1.0 now: correct project.version"
            )
        elif field == "dependencies":
            continue
        elif known.get(field):
            project[field] = known[field]
        else:
            plan.notes.append(
                f"project.{field} was found by another build backend, and is left out now"
            )
        del dynamic[index]


def _version_file(document: TOMLDocument, plan: Plan) -> dict[str, str]:
    """Return where hatchling finds a version that is in a file."""
    root = plan.survey.root
    given = _at(document, "tool", "setuptools", "dynamic", "version")
    given = dict(given if isinstance(given, Mapping) else plan.survey.declaration.version_source)
    files: Any = given.get("file", [])
    for each in [files] if isinstance(files, str) else files:
        if (root / each).is_file():
            return {"path": str(each), "pattern": "(?P<version>.+)"}
    found = version_of_attribute(root, str(given.get("attr", "")))
    if found:
        return found
    literal = declared_version(root, plan.packages)
    return {"path": str(literal)} if literal else {}


def _keep_blank_line(table: object) -> None:
    """Have an empty line before the next table, where the last key was added at the end."""
    if isinstance(table, Table) and not tomlkit.dumps(table).endswith("\n\n"):
        table.add(tomlkit.nl())


def _project_name(plan: Plan) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plan.survey.name).strip("-._") or "model"


def _new_project(document: TOMLDocument, plan: Plan) -> Table:
    declaration = plan.survey.declaration
    project = tomlkit.table()
    project["name"] = _project_name(plan)
    dynamic = ["dependencies"]
    source = _version_file(document, plan)
    if declaration.version_source.get("scm"):
        source = {"source": "vcs"}
        _append(document["build-system"], "requires", "hatch-vcs")
    if declaration.version:
        project["version"] = declaration.version
    elif source:
        dynamic.append("version")
        _hatch(document)["version"] = source
    else:
        project["version"] = "0.1.0"
    if declaration.description:
        project["description"] = declaration.description
    if declaration.readme:
        project["readme"] = declaration.readme
    project["requires-python"] = supported_python(declaration.requires_python)
    project["dynamic"] = dynamic
    for key, value in (
        ("optional-dependencies", declaration.extras),
        ("scripts", declaration.scripts),
    ):
        if value:
            project[key] = value
    return project


def _hatch(document: TOMLDocument) -> Any:
    tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
    return tool.setdefault("hatch", tomlkit.table(is_super_table=True))


# The tables of the hooks


def _requirements(plan: Plan, array: Array | None) -> str:
    """Return the metadata hook's table. What [project] had stays as it was written there."""
    if array is None:
        body = f"dependencies = {_array(plan.requirements)}"
    else:
        wanted = list(plan.requirements)
        for index in reversed(range(len(array))):
            if str(array[index]) in wanted:
                wanted.remove(str(array[index]))
            else:
                del array[index]
        for line in wanted:
            array.append(line)
        body = f"dependencies = {array.as_string()}"
    return f"[tool.hatch.metadata.hooks.model]\n# What the model needs to predict.\n{body}"


def _training(document: TOMLDocument, plan: Plan) -> str:
    groups = [_group_name(document)] if plan.training else []
    values = {
        "train": json.dumps(plan.train),
        "artifacts": json.dumps(plan.artifacts) if plan.artifacts else "",
        "arguments": _inline(plan.arguments) if plan.arguments else "",
        "dependency-groups": _array(groups) if groups else "",
        "lock": json.dumps(plan.lock) if plan.lock else "",
        "inputs": _array(plan.inputs) if plan.inputs is not None else "",
        "sdist": '"trained"' if plan.is_trained_for_sdist else "",
        "python-path": _array(plan.python_path) if plan.python_path else "",
        "environment": _inline(plan.environment) if plan.environment else "",
    }
    lines = [f"{key} = {value}" for key, value in values.items() if value]
    comment = "# All that training reads: an unchanged model is not trained again.\n"
    lines = [f"{comment}{each}" if each.startswith("inputs") else each for each in lines]
    return "\n".join(["[tool.hatch.build.hooks.model]", *lines])


def _group_name(document: TOMLDocument) -> str:
    """Return a name for the group of what only training needs that no other group has."""
    groups = document.get("dependency-groups", {})
    return next(
        each
        for each in ("training", "model-training", "hatch-model-training")
        if each not in groups
    )


def _groups(document: TOMLDocument, plan: Plan) -> None:
    groups = {_group_name(document): plan.training} if plan.training else {}
    if plan.development:
        groups["dev"] = plan.development
    if not groups:
        return
    if "dependency-groups" not in document:
        _insert(document, "dependency-groups", tomlkit.table(), after="project")
    target: Any = document["dependency-groups"]
    for name, lines in groups.items():
        array = target.get(name)
        if isinstance(array, Array):
            known = {_name_of(each) for each in array}
            for line in lines:
                if _name_of(line) not in known:
                    array.append(line)
        else:
            target[name] = tomlkit.parse(f"x = {_array(lines)}")["x"]
    _keep_blank_line(target)


# The wheel, and uv


def _wheel(document: TOMLDocument, plan: Plan) -> str:
    """Select the packages, unless hatchling finds them or the project selects them."""
    wheel = _at(document, "tool", "hatch", "build", "targets", "wheel")
    name = re.sub(r"[-_.]+", "_", _project_name(plan)).lower()
    usual = [PurePosixPath(name), PurePosixPath("src") / name]
    is_found = len(plan.packages) == 1 and plan.packages[0] in usual
    if wheel is not None:
        if not {"packages", "include", "only-include"} & {*wheel} and not is_found:
            wheel["packages"] = [*map(str, plan.packages)]
            _keep_blank_line(wheel)
        return ""
    if is_found:
        return ""
    return f"[tool.hatch.build.targets.wheel]\npackages = {_array([*map(str, plan.packages)])}"


def _sources(document: TOMLDocument, plan: Plan) -> str:
    """Have the artifacts folder in the package, where it is not in the tree."""
    moved = plan.moved_artifacts
    if moved is None:
        return ""
    tree, place = moved
    wheel = _at(document, "tool", "hatch", "build", "targets", "wheel")
    if wheel is not None and isinstance(wheel.get("sources"), list):
        raise HatchModelError(
            "tool.hatch.build.targets.wheel.sources is an array; write it as a table, in which "
            f'"{tree}" = "{place}" puts the model into the package.'
        )
    sources = _at(document, "tool", "hatch", "build", "targets", "wheel", "sources")
    if sources is not None:
        sources[tree] = place
        _keep_blank_line(sources)
        return ""
    header = "[tool.hatch.build.targets.wheel.sources]"
    return f'{header}\n# Training writes there, and the wheel has it here.\n"{tree}" = "{place}"'


def _sdist(document: TOMLDocument, plan: Plan) -> None:
    """Add what training reads and runs, if the project lists the files of its sdists."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - hatchling's, and rarely needed

    sdist = _at(document, "tool", "hatch", "build", "targets", "sdist") or {}
    script = plan.train if plan.train.endswith(".py") else ""
    needed = [*(plan.inputs or ()), *filter(None, [script, plan.trained_by])]
    for key in ("include", "only-include"):
        listed = sdist.get(key)
        if not isinstance(listed, Array):
            continue
        for path in dict.fromkeys(needed):
            lines = [str(each) for each in listed]
            spec = GitIgnoreSpec.from_lines(lines)
            if not spec.match_file(path.replace("**", "x")):
                listed.append(path if key == "only-include" else f"/{path}")


def _uv(document: TOMLDocument, plan: Plan) -> str:
    code = [each / "x" if not each.suffix else each for each in plan.packages]
    code += [PurePosixPath(plan.trained_by)]
    folders = sorted({f"{each.parts[0]}/**/*.py" for each in code if len(each.parts) > 1})
    at_top = any(len(path.parts) == 1 for path in (*plan.survey.modules, *plan.files))
    patterns = ["pyproject.toml", *folders, *(["*.py"] if at_top else [])]
    keys = ", ".join(f'{{ file = "{each}" }}' for each in patterns)
    uv = _at(document, "tool", "uv")
    why = "# Build again when the code changes, in projects that use this one from its folder."
    table = f"[tool.uv]\n{why}\ncache-keys = [{keys}]"
    comment = "# Where hatch-model was installed from. Not needed once it comes from an index."
    source = f"hatch-model = {_inline(plan.source)}" if plan.source else ""
    is_implied = isinstance(uv, Table) and uv.is_super_table()
    if uv is None or (is_implied and all(isinstance(each, (AoT, Table)) for each in uv.values())):
        sources = _at(document, "tool", "uv", "sources")
        if source and sources is not None:
            sources.setdefault("hatch-model", tomlkit.parse(source)["hatch-model"])
        elif source:
            table = f"{table}\n\n[tool.uv.sources]\n{comment}\n{source}"
        return table
    if source and "sources" in uv:
        uv["sources"].setdefault("hatch-model", tomlkit.parse(source)["hatch-model"])
    elif source:
        uv["sources"] = tomlkit.parse(f"x = {{ {source} }}")["x"]
    if "cache-keys" not in uv:
        uv["cache-keys"] = tomlkit.parse(f"x = [{keys}]")["x"]
    if uv.get("package") is False:
        uv["package"] = True
    _keep_blank_line(uv)
    return ""


def _at(document: TOMLDocument, *keys: str) -> Any:
    found: Any = document
    for key in keys:
        if not hasattr(found, "get") or key not in found:
            return None
        found = found[key]
    return found


def _array(lines: Sequence[str]) -> str:
    """Write strings as an array: on one line if it is short."""
    values = [json.dumps(each, ensure_ascii=False) for each in lines]
    short = f"[{', '.join(values)}]"
    if len(short) <= _WIDTH - len("dependencies = "):
        return short
    return "\n".join(["[", *(f"    {each}," for each in values), "]"])


def _inline(table: Mapping[str, Any]) -> str:
    pairs: Iterable[str] = (
        f"{tomlkit.key(key).as_string()} = {tomlkit.item(value).as_string()}"
        for key, value in table.items()
    )
    return f"{{ {', '.join(pairs)} }}"
