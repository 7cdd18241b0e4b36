"""The two TOML tables of a project, parsed once into typed values.

All problems are collected and reported together. Options for a single build are environment
variables, because hatchling does not pass `config_settings` to hooks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, cast

from hatchling.builders.config import env_var_enabled
from hatchling.metadata.core import load_toml
from hatchling.metadata.utils import is_valid_project_name

from hatch_model.entry_point import (
    PASSED_FOLDERS,
    Script,
    meant_reference,
    object_reference,
    read_train,
    unfit_options,
)
from hatch_model.errors import Problem, SettingsError
from hatch_model.tables import (
    Root,
    Table,
    list_,
    one_of,
    path_below_root,
    path_within_root,
    problems_as_json,
    requirement,
    requirements_of_group,
    specifier,
    string,
)
from hatch_model.tables import table as table_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatchling.metadata.core import ProjectMetadata

    from hatch_model.deflate import Compression
    from hatch_model.entry_point import EntryPoint, ObjectReference
    from hatch_model.gates import Gate
    from hatch_model.parallel import Parallel

RETRAIN = "HATCH_MODEL_RETRAIN"
"""Train even if the model is stored."""


def retrain_wanted() -> bool:
    return env_var_enabled(RETRAIN)


@dataclass(frozen=True, kw_only=True, slots=True)
class PinPolicy:
    """The options of the metadata hook's table that control how pins are written."""

    pins: Literal["all", "direct", "extra"] = "all"
    local_versions: Literal["strip", "keep"] = "strip"
    direct_references: Literal["error", "url", "version"] = "error"
    key: str = "tool.hatch.metadata.hooks.model"
    """The full dotted key of the table, for messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """The metadata hook's table."""

    roots: tuple[Root, ...]
    """The requirements, from ``dependencies`` or ``dependency-group``."""
    policy: PinPolicy
    group: str = ""
    """The name of that ``dependency-group``; "" if there is none."""
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The project's own extras, with `pins = "extra"`: PEP 508 strings."""
    requires_python: str = ""
    """A version specifier, if the field is dynamic."""
    python: Literal["any", "minor"] = "any"
    """Whether the wheel installs only on the minor version of Python that it was trained on."""

    @property
    def declared_in(self) -> str:
        """The full key of the array that holds the requirements, for messages."""
        if self.group:
            return f"dependency-groups.{self.group}"
        return f"{self.policy.key}.dependencies"


def read_model_settings(
    key: str, content: object, pyproject: Mapping[str, Any], problems: list[Problem]
) -> ModelSettings:
    """Read the table *content* at *key*, and add its errors to *problems*."""
    table = Table(key, content, problems)
    group = table.get("dependency-group", "the name of a dependency group", string, "")
    settings = ModelSettings(
        roots=tuple(_read_roots(table, group, pyproject.get("dependency-groups", {}))),
        group=group,
        policy=PinPolicy(
            key=key,
            pins=_choice(table, "pins", "all", "direct", "extra"),
            local_versions=_choice(table, "local-versions", "strip", "keep"),
            direct_references=_choice(table, "direct-references", "error", "url", "version"),
        ),
        python=_choice(table, "python", "any", "minor"),
        requires_python=_read_requires_python(table, pyproject.get("project", {})),
    )
    if settings.policy.pins == "extra" or "optional-dependencies" in table:
        extras = _read_extras(table, pyproject.get("project", {}), settings.policy)
        settings = replace(settings, extras=extras)
    table.note_unknown()
    if settings.policy.direct_references == "url":
        reason = f'{key}.direct-references is "url"'
        _check_direct_references_are_allowed(pyproject, key, reason, problems)
    for root in settings.roots:
        if "@" in root.text and root.requirement.url:
            # An editable install requires the dependencies as declared.
            _check_direct_references_are_allowed(
                pyproject, key, f"{root.origin} has an address", problems
            )
    return settings


def _choice(table: Table, name: str, *choices: str) -> Any:
    expected = " or ".join(f'"{choice}"' for choice in choices)
    return table.get(name, expected, one_of(*choices), choices[0])


def _read_roots(table: Table, group: str, groups: object) -> list[Root]:
    expected = "an array of PEP 508 strings, or `dependency-group` with the name of a group"
    if "dependency-group" in table:
        if "dependencies" in table:
            table.note("dependency-group", "either `dependencies` or this, not both")
        key = table.key_of("dependency-group")
        return requirements_of_group(group, groups, key, table.problems) if group else []
    if "dependencies" not in table:
        table.note_missing("dependencies", expected)
        return []
    texts = table.get_each("dependencies", "a PEP 508 string", requirement)
    return [
        Root(text=text, origin=f"{table.key_of('dependencies')}[{index}]")
        for index, text in enumerate(texts)
    ]


def _read_requires_python(table: Table, project: object) -> str:
    expected = 'a version specifier such as ">=3.10"'
    requires_python = table.get("requires-python", expected, specifier, "")
    dynamic = project.get("dynamic", []) if isinstance(project, dict) else []
    is_dynamic = isinstance(dynamic, list) and "requires-python" in dynamic
    if requires_python and not is_dynamic:
        table.note("requires-python", 'project.dynamic to list "requires-python"')
    if is_dynamic and "requires-python" not in table:
        table.note_missing(
            "requires-python", "a version specifier, as project.dynamic lists the field"
        )
    return requires_python


def _read_extras(table: Table, project: object, policy: PinPolicy) -> dict[str, tuple[str, ...]]:
    """Read the project's extras, which are in the hook's table if the hook adds one."""
    name = "optional-dependencies"
    dynamic = project.get("dynamic", []) if isinstance(project, dict) else []
    if policy.pins != "extra":
        table.note(
            name, 'no such key without pins = "extra"; list extras in project.optional-dependencies'
        )
    elif not isinstance(dynamic, list) or name not in dynamic:
        reason = f'to list "{name}", as pins = "extra" adds an extra'
        if isinstance(project, dict) and name in project:
            reason += f". Move project.{name} to {table.key_of(name)}"
        table.problems.append(Problem("project.dynamic", expected=reason))
    nothing: dict[str, Any] = {}
    content = table.get(name, "a table of arrays of PEP 508 strings", table_value, nothing)
    inside = Table(table.key_of(name), content, table.problems)
    if "pinned" in content:
        inside.note("pinned", 'another name, as pins = "extra" makes this extra')
    return {
        extra: tuple(inside.get_each(extra, "a PEP 508 string", requirement)) for extra in content
    }


def _check_direct_references_are_allowed(
    pyproject: Mapping[str, Any], key: str, reason: str, problems: list[Problem]
) -> None:
    """Require permission for direct references, which hatchling would check after training."""
    metadata = pyproject.get("tool", {}).get("hatch", {}).get("metadata", {})
    if metadata.get("allow-direct-references") is not True:
        allow = f"{key.removesuffix('.hooks.model')}.allow-direct-references"
        problems.append(Problem(allow, expected=f"true, as {reason}"))


# The keys in a hook's table that hatchling itself reads.
HATCHLING_KEYS = frozenset(
    {
        "dependencies",
        "enable-by-default",
        "path",
        "require-runtime-dependencies",
        "require-runtime-features",
    }
)

_MOST_CHARACTERS = 32_767
"""Of an environment variable, on Windows; Linux has room for more."""
_CONTEXT_FIELD = re.compile(r"(?<![${])\{(?:root|home|env)(?::[^{}]*)?\}")
"""Of hatchling's context formatting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """The build hook's table."""

    key: str
    """The full dotted key of the table itself."""
    train: EntryPoint
    artifacts: PurePosixPath | None = None
    """Relative to the project root.

    None for ``data`` inside the package that holds ``train``, or, if that is a script outside of
    packages, inside the only package.
    """
    arguments: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[Root, ...] = ()
    """The requirements of the dependency groups for training."""
    group_names: tuple[str, ...] = ()
    """The names of these groups."""
    lock: PurePosixPath | None = None
    """The lock that the training environment is installed from, relative to the project root."""
    refuses_lock: bool = False
    """Whether a ``uv.lock`` that is there is not to be used."""
    inputs: tuple[str, ...] | None = None
    """Glob patterns of the files that training reads, relative to the project root.

    If not None, training depends only on these files, the code, the arguments and the
    environment.
    """
    gates: Mapping[str, Gate] = field(default_factory=dict)
    check: ObjectReference | None = None
    """The function to call from the finished wheel."""
    predict: ObjectReference | None = None
    """The function that apps call."""
    sbom: bool = False
    """Whether to write a CycloneDX ML-BOM."""
    python_path: tuple[PurePosixPath, ...] = ()
    """Relative to the project root; if empty, the folders that contain the wheel's packages."""
    environment: Mapping[str, str] = field(default_factory=dict)
    editable: Literal["skip", "train"] = "skip"
    sdist: Literal["source", "trained"] = "source"
    """Whether the model is trained when the sdist is built, and included in it."""

    compression: Compression = "auto"
    """How large artifacts are compressed in the wheel."""
    parallel: Parallel | None = None
    """The engine that joblib runs on during training; None for joblib's own choice."""

    @property
    def is_reusable(self) -> bool:
        """Whether a stored model may be used instead of training an identical one."""
        return self.inputs is not None


def read_training_settings(
    key: str, content: object, pyproject: Mapping[str, Any], problems: list[Problem]
) -> TrainingSettings:
    """Read the table *content* at *key*, and add its errors to *problems*."""
    table = Table(key, content, problems)
    train = read_train(table)
    groups = table.get_each("dependency-groups", "the name of a dependency group", string)
    lock = _read_lock(table)
    settings = TrainingSettings(
        key=key,
        train=train,
        artifacts=_read_path(table, "artifacts"),
        arguments=_read_arguments(table, train),
        groups=tuple(_read_groups(table, groups, pyproject.get("dependency-groups", {}))),
        group_names=tuple(groups),
        lock=lock or None,
        refuses_lock=lock is False,
        python_path=tuple(
            table.get_each("python-path", "a relative path within the project", path_within_root)
        ),
        environment=_read_environment(table),
        inputs=_read_inputs(table),
        gates=_read_gates(table),
        check=_read_reference(table, "check"),
        predict=_read_reference(table, "predict"),
        sbom=table.get("sbom", "true or false", one_of(True, False), False),
        editable=_choice(table, "editable", "skip", "train"),
        sdist=_read_sdist(table),
        compression=_choice(table, "compression", "auto", "stored", "deflate"),
        parallel=_read_parallel(table),
    )
    table.note_unknown(also_known=HATCHLING_KEYS)
    return settings


def _read_reference(table: Table, name: str) -> ObjectReference | None:
    expected = 'an object reference "package.module:function"'
    unset = cast("ObjectReference | None", None)
    return table.get(name, expected, object_reference, unset, meant_reference)


def _read_lock(table: Table) -> PurePosixPath | Literal[False] | None:
    return table.get(
        "lock",
        'a relative path below the project root, where "uv.lock" may be the workspace\'s, or false',
        _lock_path,
        cast("PurePosixPath | Literal[False] | None", None),
    )


def _lock_path(value: object) -> PurePosixPath | Literal[False]:
    return False if value is False else path_below_root(value)


def _read_path(table: Table, name: str) -> PurePosixPath | None:
    expected = "a relative path below the project root"
    return table.get(name, expected, path_below_root, cast("PurePosixPath | None", None))


def _read_arguments(table: Table, train: EntryPoint) -> dict[str, Any]:
    nothing: dict[str, Any] = {}
    arguments = table.get("arguments", "a table", table_value, nothing)
    key = table.key_of("arguments")
    if isinstance(train, Script):
        table.problems += unfit_options(key, arguments)
    else:
        table.problems += [
            Problem(
                f"{key}.{name}",
                expected="no such argument, as the build passes it itself",
                found=arguments[name],
            )
            for name in PASSED_FOLDERS
            if name in arguments
        ]
    table.problems += problems_as_json(key, arguments)
    return arguments


def _read_groups(table: Table, names: list[str], groups: object) -> list[Root]:
    return [
        root
        for index, name in enumerate(names)
        for root in requirements_of_group(
            name, groups, f"{table.key_of('dependency-groups')}[{index}]", table.problems
        )
    ]


def _read_inputs(table: Table) -> tuple[str, ...] | None:
    patterns = table.get_each("inputs", "a glob pattern below the project root", _pattern)
    return tuple(patterns) if "inputs" in table else None


def _read_sdist(table: Table) -> Literal["source", "trained"]:
    sdist = table.get("sdist", '"source" or "trained"', one_of("source", "trained"), "source")
    if sdist == "trained" and ".targets.wheel." in table.key:
        hooks = table.key.replace(".targets.wheel.", ".")
        table.note(
            "sdist",
            f"this option in {hooks}, because hatchling builds an sdist without the wheel target's "
            f"hooks",
        )
    return cast('Literal["source", "trained"]', sdist)


def _pattern(value: object) -> str:
    """Parse a glob pattern that all versions of pathlib understand in the same way."""
    path = path_below_root(value)
    if any("**" in part and part != "**" for part in path.parts):
        raise ValueError
    return str(path / "*" if path.name == "**" else path)


def _read_gates(table: Table) -> dict[str, Gate]:
    if "gates" not in table:
        return {}
    from hatch_model.gates import Gate  # noqa: PLC0415 - only for this option

    nothing: dict[str, Any] = {}
    content = table.get("gates", "a table of strings", table_value, nothing)
    gates = Table(table.key_of("gates"), content, table.problems)
    expected = 'a comparison such as ">= 0.9", or two such as ">= 0.9, < 1"'
    unreadable = cast("Gate | None", None)
    read = {
        metric: gates.get(metric, expected, lambda value: Gate(string(value)), unreadable)
        for metric in content
    }
    return {metric: gate for metric, gate in read.items() if gate is not None}


def _read_parallel(table: Table) -> Parallel | None:
    if "parallel" not in table:
        return None
    from hatch_model.parallel import read_parallel  # noqa: PLC0415 - only for this option

    return read_parallel(table)


def _read_environment(table: Table) -> dict[str, str]:
    nothing: dict[str, Any] = {}
    environment = table.get("environment", "a table of strings", table_value, nothing)
    key = table.key_of("environment")
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name:
            expected = "names of environment variables"
            table.problems.append(Problem(key, expected=expected, found=name))
        # Without the value, which may be a secret.
        elif not isinstance(value, str):
            reason = f"must be a string, and is of type {type(value).__name__}"
            table.problems.append(Problem(f"{key}.{name}", statement=reason))
        elif "\0" in value:
            table.problems.append(Problem(f"{key}.{name}", statement="must not contain NUL"))
        elif len(name) + len(value) > _MOST_CHARACTERS:
            reason = f"must have at most {_MOST_CHARACTERS} characters, including the name"
            table.problems.append(Problem(f"{key}.{name}", statement=reason))
    return environment


PLUGIN = "model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings of a model project."""

    model: ModelSettings
    training: TrainingSettings | None
    """None if no build hook is configured for wheels."""


def read_settings(metadata: ProjectMetadata[Any], *, needs_training: bool) -> Settings:
    """Read the project's settings.

    Raises SettingsError with all problems. With *needs_training*, a missing build hook is one.
    """
    problems: list[Problem] = []
    model_key, model_table = _model_table(metadata)
    _check_project(metadata.config, _declared_in(model_key, model_table), problems)
    training_key, training_table = _training_table(metadata)
    pyproject = {**metadata.config, "tool": {"hatch": metadata.hatch.config}}
    model_table = _with_context(metadata, model_key, model_table, problems)
    if model_table is None:
        problems.append(
            Problem(
                model_key,
                expected="a table with the model's `dependencies`, as the build hook is on",
            )
        )
        model_table = {"dependencies": []}
    if training_table is None and needs_training:
        problems.append(
            Problem(
                training_key,
                expected="a table with `train`, because a wheel would contain no model without it",
            )
        )
    settings = Settings(
        model=read_model_settings(model_key, model_table, pyproject, problems),
        training=None
        if training_table is None
        else read_training_settings(training_key, training_table, pyproject, problems),
    )
    if problems:
        # A dependency group may have been read twice, with the same problems.
        raise SettingsError(list({str(problem): problem for problem in problems}.values()))
    return settings


def _with_context(
    metadata: ProjectMetadata[Any], key: str, content: object, problems: list[Problem]
) -> object:
    """Fill in hatchling's context fields, such as `{root:uri}`, as it does in project.dependencies.

    Other braces are left alone: an address may hold `${TOKEN}`.
    """
    if not isinstance(content, dict) or not isinstance(content.get("dependencies"), list):
        return content

    filled = []
    for index, each in enumerate(content["dependencies"]):
        text = each
        if isinstance(each, str):
            try:
                text = _CONTEXT_FIELD.sub(lambda field: metadata.context.format(field[0]), each)
            except ValueError as error:
                place = f"{key}.dependencies[{index}]"
                problems.append(
                    Problem(place, expected=f"fields with a value ({error})", found=each)
                )
        filled.append(text)
    return {**content, "dependencies": filled}


def _declared_in(key: str, content: object) -> str:
    """Name the array that is to hold the model's requirements, by what the table *content* says."""
    group = content.get("dependency-group") if isinstance(content, dict) else None
    return f"dependency-groups.{group}" if isinstance(group, str) else f"{key}.dependencies"


def _is_static(project: Mapping[str, Any], declared_in: str) -> str:
    """Say what to do about a static list of dependencies, which belongs to *declared_in*."""
    dynamic = project.get("dynamic")
    if not isinstance(dynamic, list) or "dependencies" not in dynamic:
        return f'is static; move it to {declared_in} and list "dependencies" in project.dynamic'
    # What `uv add PACKAGE` makes of the table, before it builds the project.
    group = declared_in.removeprefix("dependency-groups.")
    advice = f"`uv add --group {group} PACKAGE` adds to it"
    if group == declared_in:
        advice = (
            "to use `uv add --group NAME PACKAGE`, keep the requirements in a group, and name it "
            "with `dependency-group`"
        )
    return (
        f'is static, although project.dynamic lists "dependencies"; move it to {declared_in} '
        f"({advice})"
    )


def _check_project(pyproject: Mapping[str, Any], declared_in: str, problems: list[Problem]) -> None:
    """Check what the pins are written with, and that hatchling will ask for them at all.

    *declared_in* is the TOML key that the requirements belong to.
    """
    if "project" not in pyproject:
        problems.append(Problem("project", expected="a table with the project's name and version"))
        return
    project = Table("project", pyproject["project"], problems)
    if "name" not in project:
        project.note_missing("name", "the project's name")
    project.get("name", "a valid name", _project_name, "")
    if "dependencies" in project:
        statement = _is_static(pyproject["project"], declared_in)
        problems.append(Problem(project.key_of("dependencies"), statement=statement))
        return
    expected = '"dependencies" among its entries, so that the build can write the pins there'
    if "dynamic" not in project:
        project.note_missing("dynamic", expected)
    elif "dependencies" not in project.get("dynamic", "an array", list_, ["dependencies"]):
        project.note("dynamic", expected)


def _project_name(value: object) -> str:
    name = string(value)
    if not is_valid_project_name(name):
        raise ValueError
    return name


def _model_table(metadata: ProjectMetadata[Any]) -> tuple[str, object]:
    hooks = metadata.hatch.metadata.hook_config
    return f"{_prefix(metadata, 'metadata')}.hooks.{PLUGIN}", hooks.get(PLUGIN)


def _training_table(metadata: ProjectMetadata[Any]) -> tuple[str, object]:
    """Find the build hook's table: in hatchling, the wheel's table replaces the global one."""
    prefix = _prefix(metadata, "build")
    of_target = _table_at(metadata.hatch.build_targets, "wheel", "hooks")
    if PLUGIN in of_target:
        return f"{prefix}.targets.wheel.hooks.{PLUGIN}", of_target[PLUGIN]
    return f"{prefix}.hooks.{PLUGIN}", _table_at(metadata.hatch.build_config, "hooks").get(PLUGIN)


def _table_at(content: object, *names: str) -> Mapping[str, Any]:
    """Follow *names*; empty if there is no table, which hatchling reports itself."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _prefix(metadata: ProjectMetadata[Any], table: str) -> str:
    """Return where hatchling found *table*: a key in hatch.toml overrides pyproject.toml's."""
    file = Path(metadata.root, "hatch.toml")
    if file.is_file() and table in load_toml(str(file)):
        return f"hatch.toml: {table}"
    return f"tool.hatch.{table}"


def declared_lines(roots: Iterable[Root]) -> list[str]:
    """Return the requirements as declared, in the spelling of ``packaging``."""
    return [str(root.requirement) for root in roots]
