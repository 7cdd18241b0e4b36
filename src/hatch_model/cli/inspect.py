"""The facts about a model, for people and for programs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from hatch_model.cli.output import number, shown
from hatch_model.cli.verify import split
from hatch_model.log import human_size
from hatch_model.predict import shown_signature
from hatch_model.record import name_in_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_model.cli.open import ModelFiles


# How many files to list if it is unknown which of them are the model.
_LARGEST = 10


def facts(model: ModelFiles) -> dict[str, Any]:
    """Return everything that is known about *model*; facts from the record are None without one."""
    record: Mapping[str, Any] = model.record or {}
    training: Mapping[str, Any] = record.get("training", {})
    return {
        "name": model.name,
        "version": model.version,
        "kind": model.kind,
        "built_by": record.get("generator"),
        "requires_python": model.metadata["Requires-Python"],
        "tags": sorted(model.tags),
        "entry_point": training.get("entry_point"),
        "arguments": training.get("arguments"),
        "engine": record.get("engine"),
        "metrics": record.get("metrics"),
        "gates": record.get("gates"),
        "check": record.get("check"),
        "predict": record.get("predict"),
        "python": record.get("python"),
        "platform": record.get("platform"),
        "git": record.get("git"),
        "lock": record.get("lock"),
        "requires": model.requires,
        "environment": record.get("environment"),
        "inputs": record.get("inputs"),
        "sources": _sources(record),
        "artifacts": record.get("artifacts"),
        "report": record.get("report", [] if "artifacts" in record else None),
        "files": {
            "count": len(model.sizes),
            "size": sum(model.sizes.values()),
            "largest": _largest(model.sizes),
        },
    }


def _sources(record: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Return the sources, of which a script need not be one that the wheel ships."""
    sources, script = record.get("sources"), record.get("training", {}).get("script")
    return sources if sources is None or script is None else [*sources, script]


def sections(known: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Format *known*, as returned by :func:`facts`, as titled tables of two columns."""
    metrics, gates = known["metrics"] or {}, known["gates"] or {}
    every_section = [
        (f"{known['name']} {known['version']}", _summary(known)),
        (
            "metrics",
            [(name, _metric(value, gates.get(name))) for name, value in sorted(metrics.items())],
        ),
        (
            "arguments",
            [(name, shown(value)) for name, value in sorted((known["arguments"] or {}).items())],
        ),
        ("requires", [split(line) for line in known["requires"]]),
        ("artifacts", _sized(known["artifacts"])),
        ("report", _sized(known["report"], name_in_report)),
        ("inputs", _sized(known["inputs"])),
        ("largest files", [] if known["artifacts"] else _sized(known["files"]["largest"])),
    ]
    return [(title, rows) for title, rows in every_section if rows]


def next_commands(wheel: str, known: Mapping[str, Any]) -> list[str]:
    """Return what to do with *wheel*, a file: predict as its check does, and publish it."""
    file = shlex.quote(wheel)
    commands = [f"hatch-model index add registry {file}"]
    if known["check"]:
        module, _, function = known["check"]["entry_point"].partition(":")
        version = ".".join(known["python"]["version"].split(".")[:2])
        is_for_one = not any(tag.startswith("py3-") for tag in known["tags"])
        python = f"--python {version} " if is_for_one else ""
        code = f"from {module} import {function.partition('.')[0]}; print({function}())"
        commands.insert(0, f'uv run {python}--no-project --with {file} python -c "{code}"')
    return commands


def _summary(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    git, python, built_by, check = known["git"], known["python"], known["built_by"], known["check"]
    system, engine = known["platform"], known["engine"]
    rows = [
        ("built by", built_by and f"{built_by['name']} {built_by['version']}"),
        ("trained by", known["entry_point"]),
        (
            "trained on",
            python
            and f"{python['implementation']} {python['version']}, "
            f"{system['system']} {system['machine']}",
        ),
        ("engine", engine and f"{engine['name']} {engine['version']}"),
        ("commit", git and f"{git['commit']}{' and uncommitted changes' if git['dirty'] else ''}"),
        ("lock", known["lock"] and known["lock"]["path"]),
        ("checked by", check and check["entry_point"]),
        ("predicts by", known["predict"] and shown_signature(known["predict"])),
        ("needs Python", known["requires_python"]),
        ("tags", ", ".join(known["tags"])),
        ("files", f"{known['files']['count']}, {human_size(known['files']['size'])}"),
    ]
    return [(name, value) for name, value in rows if value]


def _metric(value: float, gate: str | None) -> str:
    short = number(value)
    return f"{short}  (gate {gate})" if gate else short


def _largest(sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST]
    return [{"path": path, "size": size} for path, size in largest]


def _sized(
    files: list[Mapping[str, Any]] | None, named: Callable[[str], str] = str
) -> list[tuple[str, str]]:
    return [(named(file["path"]), human_size(file["size"])) for file in files or []]
