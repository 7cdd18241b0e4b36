"""The record as data, and as bytes that are the same for the same data."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from checkout import CHECKOUT
from environments import LINUX, MODEL, FakeEnvironment, distribution, roots

from hatch_model.artifacts import TrainedModel
from hatch_model.check import CheckResult
from hatch_model.digests import File
from hatch_model.entry_point import ObjectReference
from hatch_model.gates import Gate
from hatch_model.pins import pin
from hatch_model.record import (
    Provenance,
    make_record,
    name_in_report,
    read_json,
    to_bytes,
)
from hatch_model.settings import PinPolicy, TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_model.git import Commit

_SCHEMA = json.loads((CHECKOUT / "src" / "hatch_model" / "model.schema.json").read_text("utf-8"))
_COMMIT: Commit = {"commit": "a" * 40, "dirty": True}
_FILE = File(path="small/data/weights.txt", sha256="0" * 64, size=4)
_FILE_JSON = {"path": "small/data/weights.txt", "sha256": "0" * 64, "size": 4}
_INSTALLED = [
    distribution("zlib-tool", "3.0"),
    distribution("anchor", "1.2", "chain>=2"),
    distribution("chain", "2.0+cpu"),
    distribution("model", "0.1.0"),
]


def made(
    check_result: CheckResult | None = None,
    report: Sequence[File] = (),
    engine: dict[str, str] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Make the record of a model with *settings*, which must be valid."""
    environment = FakeEnvironment(_INSTALLED)
    record = make_record(
        TrainingSettings(
            key="tool.hatch.build.hooks.model",
            train=ObjectReference(module="small.main", attribute="train"),
            **settings,
        ),
        pin(roots("anchor>=1"), environment, PinPolicy(), project=MODEL, markers=LINUX),
        TrainedModel(
            artifacts=[],
            metrics={"accuracy": 0.75},
            environment=[(each.name, each.raw_version) for each in _INSTALLED],
            strangers=[],
            imported=[],
            model_saved=False,
            engine=engine,
        ),
        project=("model", "0.1.0"),
        provenance=Provenance(
            commit=_COMMIT if "check" in settings else None,
            inputs=[],
            lock=_FILE if "lock" in settings else None,
        ),
        sources=[],
        artifacts=[_FILE],
        report=report,
        check=check_result,
    )
    validate(record)
    return record


def validate(record: object) -> None:
    jsonschema.Draft202012Validator.check_schema(_SCHEMA)
    jsonschema.Draft202012Validator(_SCHEMA).validate(record)


def test_everything_that_is_set_is_recorded() -> None:
    record = made(
        arguments={"rate": 0.1},
        gates={"accuracy": Gate(">= 0.7")},
        check=ObjectReference(module="small.main", attribute="Model.check"),
        lock=PurePosixPath("uv.lock"),
    )

    assert record == {
        "schema_version": 1,
        "project": {"name": "model", "version": "0.1.0"},
        "training": {"entry_point": "small.main:train", "arguments": {"rate": 0.1}},
        "metrics": {"accuracy": 0.75},
        "gates": {"accuracy": ">= 0.7"},
        "check": {"entry_point": "small.main:Model.check"},
        "python": {"implementation": "CPython", "version": platform.python_version()},
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "environment": [
            {"name": "anchor", "version": "1.2", "use": "runtime"},
            {"name": "chain", "version": "2.0+cpu", "use": "runtime"},
            {"name": "zlib-tool", "version": "3.0", "use": "training"},
        ],
        "pins": ["anchor==1.2", "chain==2.0"],
        "lock": _FILE_JSON,
        "git": {"commit": "a" * 40, "dirty": True},
        "inputs": [],
        "sources": [],
        "artifacts": [_FILE_JSON],
        "generator": {"name": "hatch-model", "version": version("hatch-model")},
    }


def test_an_engine_is_recorded_only_if_training_ran_on_one() -> None:
    assert "engine" not in made()
    assert made(engine={"name": "dask", "version": "2026.8.0"}) == {
        **made(),
        "engine": {"name": "dask", "version": "2026.8.0"},
    }


def test_a_report_is_recorded_only_if_there_is_one() -> None:
    plot = File(path="m-1.dist-info/extra_metadata/report/plot.svg", sha256="0" * 64, size=4)

    assert "report" not in made()
    assert made(report=[plot]) == {
        **made(),
        "report": [{"path": plot.path, "sha256": "0" * 64, "size": 4}],
    }
    assert name_in_report(plot.path) == "plot.svg"


def test_what_is_not_set_is_null_or_empty() -> None:
    record = made()

    assert [key for key, value in record.items() if value is None] == ["check", "lock", "git"]
    assert record["gates"] == record["training"]["arguments"] == {}


@pytest.mark.parametrize("result", [None, 1e-300, {"a": [1, None]}, "é", []])
def test_the_result_of_the_check_goes_beside_its_name(result: object) -> None:
    check = ObjectReference(module="small", attribute="check")

    recorded = made(CheckResult(returned=result, is_recordable=True), check=check)

    assert recorded["check"] == {"entry_point": "small:check", "result": result}


def test_a_result_that_json_cannot_hold_is_left_out() -> None:
    check = ObjectReference(module="small", attribute="check")

    assert made(CheckResult(), check=check)["check"] == {"entry_point": "small:check"}


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"host": "example.org"},
        {"metrics": {"accuracy": "high"}},
        {"gates": {"accuracy": 0.9}},
        {"check": {"result": 1}},
        {"check": {"entry_point": "small"}},
        {"git": {"commit": "main", "dirty": False}},
        {"git": {"commit": "a" * 40}},
        {"artifacts": [{**_FILE_JSON, "sha256": "0"}]},
        {"artifacts": [{**_FILE_JSON, "size": -1}]},
        {"environment": [{"name": "anchor", "version": "1.2", "use": "sometimes"}]},
    ],
)
def test_the_schema_refuses_what_no_record_is(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate({**made(), **change})


@pytest.mark.parametrize("key", made())
def test_the_schema_asks_for_every_key(key: str) -> None:
    record = made()
    del record[key]

    with pytest.raises(jsonschema.ValidationError):
        validate(record)


# As bytes -----------------------------------------------------------------------------------------


def test_keys_are_sorted_and_the_text_is_utf_8_with_one_final_newline() -> None:
    assert to_bytes({"b": ["é", {"z": 1, "a": 1e-300}], "a": 10**30}).decode("utf-8") == (
        "{\n"
        '  "a": 1000000000000000000000000000000,\n'
        '  "b": [\n'
        '    "é",\n'
        "    {\n"
        '      "a": 1e-300,\n'
        '      "z": 1\n'
        "    }\n"
        "  ]\n"
        "}\n"
    )


@pytest.mark.parametrize(
    "text", ["\ud800", "\udfff\ud800", "\U0001f600", '"\\', "\x00\x1f", "\u2028"]
)
def test_any_text_comes_back_as_it_was(text: str) -> None:
    assert json.loads(to_bytes({text: text})) == {text: text}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_has_no_word_for_is_an_error(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        to_bytes({"value": value})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("NaN", "it is not JSON: Out of range float values are not JSON compliant"),
        ("1e400", "it is not JSON: Out of range float values are not JSON compliant"),
        ("9" * 5000, "it is not JSON: it holds a number of 5000 digits"),
        (101 * "[" + 101 * "]", "it is nested too deeply"),
        (101 * '{"a":' + "1" + 101 * "}", "it is nested too deeply"),
        (100_000 * "[", "it is nested too deeply"),
    ],
)
def test_json_that_no_record_is_made_of_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        read_json(text)


@pytest.mark.parametrize("text", ["1e308", "9" * 4000, 100 * "[" + 100 * "]", '"\\ud800"'])
def test_json_that_a_record_may_be_made_of_is_read(text: str) -> None:
    assert json.dumps(read_json(text)).encode() in {text.encode(), b"1e+308"}
