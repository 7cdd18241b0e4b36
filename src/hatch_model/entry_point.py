"""What is run to train a model: a function, or a script; and what is run to check one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_model.errors import Problem
from hatch_model.tables import Table, check_names, path_below_root, string

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import PurePosixPath

PASSED_FOLDERS = ("output_dir", "report_dir")
"""The parameters of a training function that the build passes itself, as the child script does."""
OUTPUT_DIR = "HATCH_MODEL_OUTPUT_DIR"
"""The environment variable by which the child script tells a script where to write the model."""

_NAME = r"[^\W\d]\w*"
_OBJECT_REFERENCE = re.compile(rf"\s*({_NAME}(?:\.{_NAME})*)\s*:\s*({_NAME}(?:\.{_NAME})*)\s*")
_DOTTED = re.compile(rf"({_NAME}(?:\.{_NAME})+)\.({_NAME})")
_FILE_AND_FUNCTION = re.compile(rf"(?:\./)?(?:src/)?({_NAME}(?:/{_NAME})*)\.py:({_NAME})")
_OPTION = re.compile(r"[^\W_][\w.-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectReference:
    """``package.module:attribute``, as entry points spell it."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A Python file that is run as ``__main__``."""

    path: PurePosixPath
    """Relative to the project root."""

    def __str__(self) -> str:
        return str(self.path)

    def command_line(self, arguments: Mapping[str, Any]) -> list[str]:
        """Return its ``sys.argv`` for *arguments*, which must be without :func:`unfit_options`.

        Each is an option of the same name: true is a flag, false is left out, an array is several
        values, and an array of arrays is the option several times.
        """
        options = [each for name, value in arguments.items() for each in _option(name, value)]
        return [str(self), *options]


EntryPoint = ObjectReference | Script


def _option(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield from [f"--{name}"] if value else []
    elif isinstance(value, list) and value and all(isinstance(each, list) for each in value):
        for each in value:
            yield from _option(name, each)
    elif isinstance(value, list):
        yield from (f"--{name}", *map(str, value))
    elif str(value).startswith("-"):
        # Parsers would take it for another option.
        yield f"--{name}={value}"
    else:
        yield from (f"--{name}", str(value))


def unfit_options(key: str, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Find *arguments*, the value of *key*, that cannot be options of a script."""
    for name, value in arguments.items():
        if not _OPTION.fullmatch(name):
            yield Problem(key, expected="names of options, as `train` is a script", found=name)
        elif not _fits(value):
            yield Problem(
                f"{key}.{name}",
                expected="a string, number, boolean, or array of strings and numbers, as `train` "
                "is a script",
                found=value,
            )


def _fits(value: Any) -> bool:
    if isinstance(value, list) and value and all(isinstance(each, list) for each in value):
        return all(_is_flat(each) for each in value)
    return _is_flat(value) if isinstance(value, list) else not isinstance(value, dict)


def _is_flat(values: list[Any]) -> bool:
    return not any(isinstance(each, (bool, dict, list)) for each in values)


def object_reference(value: object) -> ObjectReference:
    match = _OBJECT_REFERENCE.fullmatch(string(value))
    if match is None:
        raise ValueError
    check_names(match[0], match[0].replace(":", ".").split("."))
    return ObjectReference(module=match[1], attribute=match[2])


def meant_reference(value: object) -> str:
    """Return the object reference that *value*, which is none, most likely means, or "".

    This is so for `package.module.function`, `src/package/module.py:function`, a call, and hyphens.
    """
    if not isinstance(value, str):
        return ""
    text = value.removesuffix("()").replace("-", "_")
    match = (
        _OBJECT_REFERENCE.fullmatch(text)
        or _DOTTED.fullmatch(text)
        or _FILE_AND_FUNCTION.fullmatch(text)
    )
    if match is None:
        return ""
    try:
        return str(object_reference(f"{match[1].replace('/', '.')}:{match[2]}"))
    except ValueError:  # a name that is too long, for example
        return ""


def entry_point(value: object) -> EntryPoint:
    text = string(value)
    return Script(path=path_below_root(text)) if text.endswith(".py") else object_reference(text)


def read_train(table: Table) -> EntryPoint:
    """Read the key `train` of the build hook's *table*, and add errors to its problems."""
    expected = (
        'an object reference "package.module:function" or the path of a script such as "train.py"'
    )
    unknown: EntryPoint = ObjectReference(module="", attribute="")
    if "train" not in table:
        table.note_missing("train", expected)
    train = table.get("train", expected, entry_point, unknown, meant_reference)
    if isinstance(train, ObjectReference) and train.module.endswith(".py"):
        script = f"{train.module.removesuffix('.py').replace('.', '/')}.py"
        module = train.module.removesuffix(".py")
        table.note("train", f'"{script}" to run a script, or "{module}:{train.attribute}"')
    return train
