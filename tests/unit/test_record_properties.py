"""Whatever a record says, the commands show it or say what is wrong with it."""

from __future__ import annotations

import copy
import json
from email.message import Message
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from models import FILES, record_of
from properties import assert_is_message, few_hundred, json_values, names, words

from hatch_model.cli.diff import changes
from hatch_model.cli.inspect import facts, sections
from hatch_model.cli.open import ModelFiles, read_model_json
from hatch_model.cli.output import shown
from hatch_model.cli.reproduce import compare
from hatch_model.cli.verify import differences, same_result
from hatch_model.record import read_json, to_bytes


def _places(value: Any) -> list[tuple[Any, ...]]:
    """Give the path to each value in *value*."""
    if not isinstance(value, (dict, list)):
        return []
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        place
        for key, each in inside
        for place in [(key,), *((key, *rest) for rest in _places(each))]
    ]


_RECORD = record_of(FILES)
_PLACES = _places(_RECORD)


def _changed(changes: dict[int, Any]) -> dict[str, Any]:
    record = copy.deepcopy(_RECORD)
    for number, value in changes.items():
        *outer, last = _PLACES[number]
        target: Any = record
        try:
            for key in outer:
                target = target[key]
            target[last] = value
        except (LookupError, TypeError):  # what is around it was changed
            continue
    return record


_odd_records = st.dictionaries(
    st.integers(0, len(_PLACES) - 1), json_values | words, min_size=1, max_size=3
).map(_changed)


def _model(text: str) -> ModelFiles:
    metadata = Message()
    metadata["Name"], metadata["Version"] = "small", "0.1.0"
    record, fault = read_model_json(text)
    return ModelFiles(
        kind="installed",
        origin="small",
        metadata=metadata,
        record=record,
        record_fault=fault,
        open=lambda _: (_ for _ in ()).throw(KeyError()),
    )


_OURS = _model(to_bytes(_RECORD).decode())


def _show(model: ModelFiles) -> None:
    """Do what the commands do with a model."""
    for line in differences(model):
        assert_is_message(line)
    if model.record_fault:
        assert_is_message(model.record_fault)
        return
    json.dumps(facts(model))
    for _, rows in sections(facts(model)):
        assert all(isinstance(cell, str) for row in rows for cell in row)
    for pairs in changes(_OURS, model).values():
        assert all(isinstance(shown(each), str) for pair in pairs.values() for each in pair)
    if model.record is not None:
        compare(_OURS, model, 1e-6)


@few_hundred
@given(_odd_records)
def test_a_record_with_anything_in_it_is_shown_or_refused(record: dict[str, Any]) -> None:
    _show(_model(json.dumps(record)))


@few_hundred
@given(st.text(max_size=50) | json_values.map(json.dumps))
def test_anything_in_the_place_of_a_record_is_refused(text: str) -> None:
    model = _model(text)

    assert model.record is None
    _show(model)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@few_hundred
@given(
    arguments=st.dictionaries(names, _values),
    metrics=st.dictionaries(
        words, st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    ),
    result=_values,
)
def test_what_a_record_is_made_of_is_what_is_read(
    arguments: dict[str, Any], metrics: dict[str, float], result: Any
) -> None:
    record = copy.deepcopy(_RECORD)
    record["training"]["arguments"] = arguments
    record["metrics"] = metrics
    record["check"]["result"] = result

    text = to_bytes(record).decode()
    model = _model(text)

    assert (model.record_fault, model.record) == ("", record)
    assert to_bytes(read_json(text)).decode() == text
    _show(model)


@few_hundred
@given(json_values, json_values)
def test_results_of_any_kind_are_compared(one: Any, other: Any) -> None:
    assert same_result(one, other, 1e-6) in {True, False}
