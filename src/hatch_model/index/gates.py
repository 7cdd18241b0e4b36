"""gates.toml: what the metrics of a model must be for `promote` to put it into an index."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_model.cli.output import number
from hatch_model.errors import HatchModelError, Problem, SettingsError
from hatch_model.gates import Gate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_model.index.history import History, Release

GATES_FILE = "gates.toml"
_LATEST = re.compile(r"\blatest\b(?:\s*([+-])\s*(\d+\.?\d*(?:[eE][+-]?\d+)?))?")
_EXPECTED = "comparisons with a number or with `latest`, such as `>= latest` or `>= 0.9, < 1`"


def read_gates(folder: Path) -> dict[str, dict[str, str]]:
    """Return the gates of the index in *folder* by model and metric, none without gates.toml.

    Raises SettingsError for all problems at once.
    """
    file = folder / GATES_FILE
    if not os.path.lexists(file):
        return {}
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HatchModelError(f"`{file}` is not TOML: {error}") from error
    problems = [
        Problem(f"{GATES_FILE}: {model}", "a table of metrics", metrics)
        for model, metrics in content.items()
        if not isinstance(metrics, dict)
    ]
    tables: dict[str, dict[str, Any]] = {
        model: metrics for model, metrics in content.items() if isinstance(metrics, dict)
    }
    problems += [
        Problem(f"{GATES_FILE}: {model}.{metric}", _EXPECTED, gate)
        for model, metrics in tables.items()
        for metric, gate in metrics.items()
        if not _is_gate(gate)
    ]
    names = Counter(map(canonicalize_name, content))
    problems += [
        Problem(
            f"{GATES_FILE}: {model}", statement="is one of several tables of a model: merge them"
        )
        for model in content
        if names[canonicalize_name(model)] > 1
    ]
    if problems:
        raise SettingsError(problems)
    return {canonicalize_name(model): metrics for model, metrics in tables.items()}


def _is_gate(gate: object) -> bool:
    try:
        # Negative, so that `-latest` and `+latest` are refused, too.
        Gate(_LATEST.sub("-1", gate) if isinstance(gate, str) else "")
    except ValueError:
        return False
    return True


def check_promotion(gates: Mapping[str, str], release: Release, target: History) -> list[str]:
    """Return a line for each of *gates* that *release* passes in the index that has *target*.

    `latest` is the value in the latest release there that is neither yanked nor a pre-release;
    without one, a comparison with it holds. Raises HatchModelError for metrics that miss their
    gates.
    """
    latest = target.latest
    if latest is not None and not latest.is_preferred:
        latest = None
    before: Mapping[str, float] = (latest.model["metrics"] or {}) if latest else {}
    passed: list[str] = []
    missed: list[str] = []
    for metric, text in sorted(gates.items()):
        value = (release.model["metrics"] or {}).get(metric)
        of_latest = (
            f" ({number(before[metric])} in {latest.version})"
            if (latest and metric in before and "latest" in text)
            else ""
        )
        shown = "missing" if value is None else number(value)
        line = f"{metric} {shown}: {text}{of_latest}"
        holds = value is not None and all(
            Gate(_resolved(each, before.get(metric, 0))).allows(value)
            for each in text.split(",")
            if metric in before or "latest" not in each
        )
        (passed if holds else missed).append(line)
    if missed:
        lines = "".join(f"\n  {line}" for line in missed)
        raise HatchModelError(
            f"{target.name} {release.version} misses the gates of the index, so it was not "
            f"promoted:{lines}"
        )
    return passed


def _resolved(text: str, latest: float) -> str:
    """Return *text* with numbers in place of `latest`."""

    def value(match: re.Match[str]) -> str:
        sign, distance = match.groups()
        # In decimals, as people reckon, and because an integer may be larger than any float.
        return str(Decimal(repr(latest)) + Decimal(f"{sign}{distance}")) if sign else repr(latest)

    return _LATEST.sub(value, text)
