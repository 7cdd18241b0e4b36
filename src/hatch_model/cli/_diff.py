"""Two models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model.cli._model_files import ModelFiles

SECTIONS = ("summary", "metrics", "arguments", "pins", "artifacts", "inputs", "sources")


def changes(one: ModelFiles, other: ModelFiles) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Give what differs, by section and name: a pair of values, None for what one has not."""
    left, right = _comparable(one), _comparable(other)
    return {section: _changed(left[section], right[section]) for section in SECTIONS}


def _changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (one.get(name), other.get(name))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    }


def _comparable(model: ModelFiles) -> dict[str, dict[str, Any]]:
    record: Mapping[str, Any] = model.record or {}
    training: Mapping[str, Any] = record.get("training", {})
    python: Mapping[str, Any] = record.get("python", {})
    git: Mapping[str, Any] = record.get("git") or {}
    return {
        "summary": {
            "name": model.name,
            "version": model.version,
            "entry point": training.get("entry_point"),
            "python": python.get("version"),
            "commit": git.get("commit"),
            "needs Python": model.metadata["Requires-Python"],
        },
        "metrics": dict(record.get("metrics", {})),
        "arguments": dict(training.get("arguments", {})),
        "pins": _pins(model.requires),
        **{
            kind: {file["path"]: file["sha256"] for file in record.get(kind, [])}
            for kind in ("artifacts", "inputs", "sources")
        },
    }


def _pins(lines: list[str]) -> dict[str, str]:
    """Give what is required of each package; where several lines are about one, all of them."""
    pins: dict[str, list[str]] = {}
    for line in lines:
        requirement = Requirement(line)
        rest = str(requirement)[len(requirement.name) :]
        pins.setdefault(canonicalize_name(requirement.name), []).append(rest.strip())
    return {name: " | ".join(sorted(rests)) for name, rests in pins.items()}
