"""The differences between two models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_model.cli.verify import by_name, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model.cli.open import ModelFiles

SECTIONS = ("summary", "metrics", "arguments", "pins", "artifacts", "inputs", "sources", "files")


def changes(one: ModelFiles, other: ModelFiles) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Return the differences, by section and name: a pair of values, None for a missing value."""
    left, right = _comparable(one), _comparable(other)
    if not (one.record and other.record):
        # Without a record, only RECORD lists the files.
        for model, side in ((one, left), (other, right)):
            side.update(artifacts={}, sources={}, files=_unrecorded_files(model))
    return {section: changed(left[section], right[section]) for section in SECTIONS}


def changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the pairs of values that differ, by name, None for a missing value."""
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
            "uncommitted changes": git.get("dirty"),
            "needs Python": model.metadata["Requires-Python"],
        },
        "metrics": dict(record.get("metrics", {})),
        "arguments": dict(training.get("arguments", {})),
        "pins": _pins(model.requires),
        **{
            kind: {file["path"]: file["sha256"] for file in record.get(kind, [])}
            for kind in ("artifacts", "inputs", "sources", "files")
        },
    }


def _pins(lines: list[str]) -> dict[str, str]:
    """Return the version specifiers of each package; if several lines are about one, all of them."""
    return {
        name: " | ".join(sorted(split(line)[1] for line in group))
        for name, group in by_name(lines).items()
    }


def _unrecorded_files(model: ModelFiles) -> dict[str, str]:
    """Return RECORD's digest of every file except the metadata, which changes with every version."""
    return {
        path: digest
        for path, (digest, _) in model.listed.items()
        if not path.partition("/")[0].endswith(".dist-info")
    }
