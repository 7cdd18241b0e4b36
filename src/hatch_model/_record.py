"""The record: how the model came to be, as JSON that is the same for the same inputs.

Its schema is docs/model.schema.json. No time, duration, host or user name, absolute path,
environment variable's value or credential goes into it.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatch_model._carried import Commit
    from hatch_model._digests import File
    from hatch_model._environment import Pins
    from hatch_model._settings import TrainingSettings

SCHEMA_VERSION = 1
FILE = "model.json"
"""Its name in the wheel's ``extra_metadata``."""


def make_record(
    training: TrainingSettings,
    pins: Pins,
    environment: Iterable[tuple[str, str]],
    *,
    project: tuple[str, str],
    metrics: Mapping[str, float],
    inputs: Sequence[File],
    sources: Sequence[File],
    artifacts: Sequence[File],
    lock: File | None,
    commit: Commit | None,
) -> dict[str, Any]:
    """Put together the record of a model of *project*, a name and a version.

    *environment* is the name and the version of everything that was installed for training.
    """
    name, project_version = project
    return {
        "schema_version": SCHEMA_VERSION,
        "project": {"name": name, "version": project_version},
        "training": {"entry_point": str(training.train), "arguments": dict(training.arguments)},
        "metrics": dict(metrics),
        "gates": {metric: gate.text for metric, gate in training.gates.items()},
        "check": {"entry_point": str(training.check)} if training.check else None,
        "python": {
            "implementation": platform.python_implementation(),
            "version": platform.python_version(),
        },
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "environment": _environment(environment, pins, {name}),
        "pins": list(pins.lines),
        "lock": _as_json(lock) if lock else None,
        "git": commit,
        "inputs": [_as_json(file) for file in inputs],
        "sources": [_as_json(file) for file in sources],
        "artifacts": [_as_json(file) for file in artifacts],
        "generator": {"name": "hatch-model", "version": version("hatch-model")},
    }


def _environment(
    environment: Iterable[tuple[str, str]], pins: Pins, left_out: set[str]
) -> list[dict[str, str]]:
    """List every distribution, marked by whether the model needs it or only training did."""
    runtime: set[str] = set(pins.closure.distributions)
    return [
        {"name": name, "version": version, "use": "runtime" if name in runtime else "training"}
        for name, version in sorted(environment)
        if name not in left_out
    ]


def _as_json(file: File) -> dict[str, Any]:
    return {"path": file.path, "sha256": file.sha256, "size": file.size}


def with_check_result(record: Mapping[str, Any], result: Any) -> dict[str, Any]:
    """Add what the check returned to *record*."""
    return {**record, "check": {**record["check"], "result": result}}


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """Serialize *record*: sorted keys, UTF-8, one final newline."""
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # Half of a surrogate pair, which UTF-8 cannot hold, is escaped as JSON escapes it, too.
    return f"{text}\n".encode("utf-8", "backslashreplace")
