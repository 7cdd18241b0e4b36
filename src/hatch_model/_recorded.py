"""``model.json`` as it is found, which may be damaged, or not hatch-model's at all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from hatch_model._record import SCHEMA_VERSION, to_bytes
from hatch_model._settings import object_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Check = Callable[[Any, str], None]


def read_record(text: str) -> Mapping[str, Any]:
    """Parse a record; raises ValueError, with a sentence, for what docs/model.schema.json forbids."""
    record = _parsed(text)
    _check_record(record)
    return dict(record)


def _parsed(text: str) -> Any:
    try:
        content = json.loads(text)
        to_bytes(content)  # Refuses what is in no record: NaN, half of a character.
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    return content


def _check_record(record: Any) -> None:
    _table(record, "it")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"its schema_version is {json.dumps(record.get('schema_version'))}, and this "
            f"hatch-model reads {SCHEMA_VERSION}"
        )
    _record(record, "")


def read_carried(text: str, path: str) -> Mapping[str, Any]:
    """Parse what an sdist carries, at *path*: ``git`` and, of a trained model, ``record``.

    Raises ValueError as above.
    """
    try:
        carried = _parsed(text)
        _carried_origin(carried, "")
        if "record" in carried:
            _check_record(carried["record"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return dict(carried)


def _is(expected: str, test: Callable[[Any], bool]) -> _Check:
    def check(value: Any, where: str) -> None:
        if not test(value):
            raise ValueError(f"{where} is not {expected}")

    return check


def _object(**members: _Check) -> _Check:
    def check(value: Any, where: str) -> None:
        _table(value, where or "it")
        for name, check_member in members.items():
            place = f"{where}.{name}" if where else name
            if name not in value:
                raise ValueError(f"{place} is missing")
            check_member(value[name], place)

    return check


def _array(check_item: _Check) -> _Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise ValueError(f"{where} is not an array")  # noqa: TRY004 - callers expect this one
        for index, item in enumerate(value):
            check_item(item, f"{where}[{index}]")

    return check


def _map(check_value: _Check) -> _Check:
    def check(value: Any, where: str) -> None:
        _table(value, where)
        for name, each in value.items():
            check_value(each, f"{where}.{name}")

    return check


def _or_null(check: _Check) -> _Check:
    return lambda value, where: None if value is None else check(value, where)


def _parses(parse: Callable[[str], object]) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        try:
            parse(value)
        except (TypeError, ValueError):
            return False
        return True

    return test


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_table = _is("an object", lambda value: isinstance(value, dict))
_string = _is("a string", lambda value: isinstance(value, str))
_boolean = _is("true or false", lambda value: isinstance(value, bool))
_number = _is("a number", _is_number)
_size = _is("a size", lambda value: _is_number(value) and isinstance(value, int) and value >= 0)
_digest = _is(
    "a SHA-256 digest",
    lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
)
_reference = _is("an object reference", _parses(object_reference))
_requirement = _is("a requirement", _parses(Requirement))
_package = _object(name=_string, version=_string)
_file = _object(path=_string, sha256=_digest, size=_size)
_carried_origin = _object(git=_or_null(_object(commit=_string, dirty=_boolean)))
_record = _object(
    project=_package,
    training=_object(entry_point=_reference, arguments=_table),
    metrics=_map(_number),
    gates=_map(_string),
    check=_or_null(_object(entry_point=_reference)),
    python=_object(implementation=_string, version=_string),
    platform=_object(system=_string, machine=_string),
    environment=_array(_object(name=_string, version=_string, use=_string)),
    pins=_array(_requirement),
    lock=_or_null(_file),
    git=_or_null(_object(commit=_string, dirty=_boolean)),
    inputs=_array(_file),
    sources=_array(_file),
    artifacts=_array(_file),
    generator=_package,
)
