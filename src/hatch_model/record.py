"""The record: how the model was made, as JSON that is the same for the same inputs.

Its schema is model.schema.json. The record contains no time, duration, host or user name, absolute
path, value of an environment variable, or credential.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_model.artifacts import TrainedModel
    from hatch_model.check import CheckResult
    from hatch_model.digests import File
    from hatch_model.git import Commit
    from hatch_model.pins import Pins
    from hatch_model.settings import TrainingSettings

SCHEMA_VERSION = 1
_DEEPEST = 100  # arrays or objects inside each other
RECORD_FILE = "extra_metadata/model.json"
"""Its path in a wheel's dist-info."""
BOM_FILE = "sboms/model.cdx.json"
"""The path of the same as a CycloneDX ML-BOM (PEP 770); see :mod:`hatch_model.sbom`."""
REPORT_FOLDER = "extra_metadata/report"
"""Where the dist-info has the files of the report; see :mod:`hatch_model.report`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What a model is made from in addition to its code, as it is before training."""

    commit: Commit | None
    inputs: Sequence[File]
    script: File | None = None
    """What trains the model, if that is not a function."""
    lock: File | None


def make_record(
    training: TrainingSettings,
    pins: Pins,
    trained: TrainedModel,
    *,
    project: tuple[str, str],
    provenance: Provenance,
    sources: Sequence[File],
    artifacts: Sequence[File],
    report: Sequence[File] = (),
    check: CheckResult | None = None,
) -> dict[str, Any]:
    """Build the record of the model *trained* of *project*, a name and a version."""
    return {
        "schema_version": SCHEMA_VERSION,
        "project": {"name": project[0], "version": project[1]},
        "training": _training(training, provenance.script),
        "metrics": dict(trained.metrics),
        "gates": {metric: gate.text for metric, gate in training.gates.items()},
        "check": _check(training, check),
        "python": _python(),
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "environment": _environment(trained, pins, project[0]),
        "pins": list(pins.lines),
        "lock": as_json(provenance.lock) if provenance.lock else None,
        "git": provenance.commit,
        "inputs": [as_json(file) for file in provenance.inputs],
        "sources": [as_json(file) for file in sources],
        "artifacts": [as_json(file) for file in artifacts],
        **_unless_empty(
            engine=trained.engine,
            extra=pins.extra,
            predict=_predict(training, check),
            report=[as_json(file) for file in report],
        ),
        "generator": {"name": "hatch-model", "version": version("hatch-model")},
    }


def _training(training: TrainingSettings, script: File | None) -> dict[str, Any]:
    named = {"entry_point": str(training.train), "arguments": dict(training.arguments)}
    return {**named, "script": as_json(script)} if script else named


def _unless_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _python() -> dict[str, str]:
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
    }


def name_in_report(path: str) -> str:
    """Return the path in the report of the file at *path* in a wheel, or *path*."""
    return path.partition(f"/{REPORT_FOLDER}/")[2] or path


def _environment(trained: TrainedModel, pins: Pins, project: str) -> list[dict[str, str]]:
    """List every distribution, and whether the model needs it or only training did."""
    runtime: set[str] = set(pins.closure.distributions)
    return [
        {"name": name, "version": version, "use": "runtime" if name in runtime else "training"}
        for name, version in sorted(trained.environment)
        if name != project
    ]


def as_json(file: File) -> dict[str, Any]:
    return {"path": file.path, "sha256": file.sha256, "size": file.size}


def _check(training: TrainingSettings, result: CheckResult | None) -> dict[str, Any] | None:
    if training.check is None:
        return None
    check: dict[str, Any] = {"entry_point": str(training.check)}
    if result is not None and result.is_recordable:
        check["result"] = result.returned
    return check


def _predict(training: TrainingSettings, result: CheckResult | None) -> dict[str, Any]:
    if training.predict is None:
        return {}
    described = result.predict if result is not None and result.predict is not None else {}
    return {"entry_point": str(training.predict), **described}


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """Serialize *record*: sorted keys, UTF-8, one final newline."""
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # A lone surrogate, which UTF-8 cannot encode, is escaped as JSON escapes it.
    return f"{text}\n".encode("utf-8", "backslashreplace")


def _read_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python has a limit
        raise ValueError(f"it holds a number of {len(text)} digits") from None


def read_json(text: str) -> Any:
    """Parse JSON that may be damaged. Raises ValueError with a message."""
    from hatch_model.checking import is_deeper  # noqa: PLC0415 - not to write a record

    try:
        content = json.loads(text, parse_int=_read_int)
        is_too_deep = is_deeper(content, _DEEPEST)
        # Refuses numbers that no record contains, such as NaN.
        json.dumps(content, allow_nan=False)
    except RecursionError:
        content, is_too_deep = None, True
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if is_too_deep:
        raise ValueError("it is nested too deeply")
    return content
