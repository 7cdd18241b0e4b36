"""``[tool.hatch.build.hooks.model]``: what trains the model, and where it writes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, cast

from hatch_model._gates import Gate
from hatch_model._settings._groups import requirements_of_group
from hatch_model._settings._table import Table, one_of, string
from hatch_model._settings._table import table as table_value
from hatch_model.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_model._archives import Compression
    from hatch_model._environment._closure import Root

# A hook table's keys that hatchling itself reads.
_HATCHLING_KEYS = frozenset(
    {
        "dependencies",
        "enable-by-default",
        "path",
        "require-runtime-dependencies",
        "require-runtime-features",
    }
)

_NAME = r"[^\W\d]\w*"
_OBJECT_REFERENCE = re.compile(rf"\s*({_NAME}(?:\.{_NAME})*)\s*:\s*({_NAME}(?:\.{_NAME})*)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectReference:
    """``package.module:attribute``, as entry points spell it."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """The build hook's table."""

    key: str
    """The full dotted key of the table itself."""
    train: ObjectReference
    artifacts: PurePosixPath | None = None
    """Relative to the project root; None for ``data`` inside the package that holds ``train``."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[Root, ...] = ()
    """What the dependency groups for training ask for."""
    group_names: tuple[str, ...] = ()
    """The names of these groups."""
    lock: PurePosixPath | None = None
    """The lock that the training environment is installed from, relative to the project root."""
    inputs: tuple[str, ...] | None = None
    """Glob patterns of the files that training reads, relative to the project root.

    None says nothing; patterns, or none of them, say that training is a function of these files, the
    code, the arguments and the environment.
    """
    gates: Mapping[str, Gate] = field(default_factory=dict)
    check: ObjectReference | None = None
    """What to call against the finished wheel."""
    sbom: bool = False
    """Whether to write a CycloneDX ML-BOM."""
    python_path: tuple[PurePosixPath, ...] = ()
    """Relative to the project root; empty for where the wheel's packages live."""
    environment: Mapping[str, str] = field(default_factory=dict)
    editable: Literal["skip", "train"] = "skip"
    sdist: Literal["source", "trained"] = "source"
    """Whether the model is trained while the sdist is built, and travels in it."""

    compression: Compression = "auto"
    """How large artifacts are written into the wheel."""

    @property
    def is_reusable(self) -> bool:
        """Whether a model may be taken for one that would be trained from the same things."""
        return self.inputs is not None


def read_training_settings(
    key: str, content: object, pyproject: Mapping[str, Any], problems: list[Problem]
) -> TrainingSettings:
    """Read the table *content* that stands under *key*, noting what is wrong in *problems*."""
    table = Table(key, content, problems)
    groups = table.get_each("dependency-groups", "the name of a dependency group", string)
    settings = TrainingSettings(
        key=key,
        train=_read_train(table),
        artifacts=table.get(
            "artifacts",
            "a relative path below the project root",
            _path_below_root,
            cast("PurePosixPath | None", None),
        ),
        arguments=_read_arguments(table),
        groups=tuple(_read_groups(table, groups, pyproject.get("dependency-groups", {}))),
        group_names=tuple(groups),
        lock=table.get(
            "lock",
            "a relative path below the project root",
            _path_below_root,
            cast("PurePosixPath | None", None),
        ),
        python_path=tuple(
            table.get_each("python-path", "a relative path within the project", _path_within_root)
        ),
        environment=_read_environment(table),
        inputs=_read_inputs(table),
        gates=_read_gates(table),
        check=table.get(
            "check",
            'an object reference "package.module:function"',
            object_reference,
            cast("ObjectReference | None", None),
        ),
        sbom=table.get("sbom", "true or false", one_of(True, False), False),
        editable=table.get(
            "editable",
            '"skip" or "train"',
            one_of("skip", "train"),
            "skip",
        ),
        sdist=_read_sdist(table),
        compression=cast(
            "Compression",
            table.get(
                "compression",
                '"auto" or "stored" or "deflate"',
                one_of("auto", "stored", "deflate"),
                "auto",
            ),
        ),
    )
    table.note_unknown(also_known=_HATCHLING_KEYS)
    return settings


def _read_train(table: Table) -> ObjectReference:
    expected = 'an object reference "package.module:function"'
    unknown = ObjectReference(module="", attribute="")
    if "train" not in table:
        table.note_missing("train", expected)
    return table.get("train", expected, object_reference, unknown)


def object_reference(value: object) -> ObjectReference:
    match = _OBJECT_REFERENCE.fullmatch(string(value))
    if match is None:
        raise ValueError
    return ObjectReference(module=match[1], attribute=match[2])


def _path_within_root(value: object) -> PurePosixPath:
    path = PurePosixPath(string(value))
    if path.is_absolute() or ".." in path.parts or "\\" in str(path) or ":" in str(path):
        raise ValueError
    return path


def _path_below_root(value: object) -> PurePosixPath:
    path = _path_within_root(value)
    if not path.parts:
        raise ValueError
    return path


def _read_arguments(table: Table) -> dict[str, Any]:
    nothing: dict[str, Any] = {}
    arguments = table.get("arguments", "a table", table_value, nothing)
    key = table.key_of("arguments")
    if "output_dir" in arguments:
        table.problems.append(
            Problem(
                f"{key}.output_dir",
                expected="no such argument, as the build passes it itself",
                found=arguments["output_dir"],
            )
        )
    table.problems += [
        Problem(where, expected="a string, boolean, finite number, array or table", found=value)
        for where, value in _without_json(key, arguments)
    ]
    return arguments


def _without_json(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Find what JSON cannot hold, dates among it, in the *value* of *key*."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _without_json(f"{key}.{name}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _without_json(f"{key}[{index}]", each)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield key, value
    elif not isinstance(value, (str, int)):
        yield key, value


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
            f"this table to be {hooks}, as hatchling makes an sdist without a wheel's hooks",
        )
    return cast('Literal["source", "trained"]', sdist)


def _pattern(value: object) -> str:
    """Read a pattern of pathlib's, in what all of its versions understand, and alike."""
    path = _path_below_root(value)
    if any("**" in part and part != "**" for part in path.parts):
        raise ValueError
    return str(path / "*" if path.name == "**" else path)


def _read_gates(table: Table) -> dict[str, Gate]:
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


def _read_environment(table: Table) -> dict[str, str]:
    nothing: dict[str, Any] = {}
    environment = table.get("environment", "a table of strings", table_value, nothing)
    key = table.key_of("environment")
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name:
            expected = "names of environment variables"
            table.problems.append(Problem(key, expected=expected, found=name))
        elif not isinstance(value, str) or "\0" in value:
            expected = "a string without NUL"
            table.problems.append(Problem(f"{key}.{name}", expected=expected, found=value))
    return environment
