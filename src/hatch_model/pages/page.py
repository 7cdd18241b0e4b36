"""The pages of models: one of a model, and one of two models side by side.

Each is a single file that loads nothing, so that it can be read offline, sent by mail, and printed.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import islice, zip_longest
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hatch_model.cli.diff import changed_facts, in_order, metric_changes
from hatch_model.cli.output import number, shown
from hatch_model.cli.verify import split
from hatch_model.gates import Gate
from hatch_model.log import human_size
from hatch_model.pages.markdown import render
from hatch_model.predict import shown_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_model.cli.diff import Differences, MetricChange
    from hatch_model.pages.content import Content, ReportFile

_TEMPLATES = Path(__file__).parent / "templates"
_BREAKS = re.compile(r"([_/.\-=:@]+)")
_MOST_ROWS, _MOST_COLUMNS = 200, 20
_LONGEST_VALUE = 300  # characters

_TITLES = {
    "summary": "Training",
    "arguments": "Arguments",
    "pins": "Pins",
    "inputs": "Inputs",
    "artifacts": "Artifacts",
    "sources": "Sources",
}
_CAUSES = {"arguments": "argument", "pins": "pin", "inputs": "input", "sources": "source file"}
_IN_HEADINGS = frozenset({"name", "version"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A metric, in large letters."""

    metric: str
    value: str
    change: MetricChange | None
    gate: str
    """"" for none."""
    is_held: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What differs between two models in one respect."""

    title: str
    rows: Sequence[tuple[str, str, str]]
    """A name, and both values."""


@cache
def environment() -> Environment:
    """Return the templates, which escape everything and refuse names that they are not given."""
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        breakable=breakable,
        signature=shown_signature,
        size=human_size,
        number=number,
        cut=_cut,
        shown=_shown,
        digest=lambda text: text[:12],
        markdown=render,
        split=split,
    )
    found.globals.update(
        generator=f"hatch-model {version('hatch-model')}",
        plural=plural,
        table_of=table_of,
    )
    return found


def static(name: str) -> str:
    """Return the text of a file that pages use: ``style.css`` or ``script.js``."""
    return (_TEMPLATES / name).read_text("utf-8")


def report_page(content: Content) -> str:
    """Return the page of one model."""
    return _single_file("report.html", content=content, **model_context(content))


def comparison_page(one: Content, other: Content) -> str:
    """Return the page of two models, what changed first."""
    differences = changed_facts(one.facts, other.facts)
    by_path = ({file.path: file for file in each.pictures} for each in (one, other))
    left, right = by_path
    return _single_file(
        "comparison.html",
        one=one,
        other=other,
        metrics=metric_changes(one.facts, other.facts),
        sections=sections_of(differences),
        same=[_TITLES[name].lower() for name in _TITLES if not differences[name]],
        pictures=[(path, left.get(path), right.get(path)) for path in sorted({*left, *right})],
        sides=[(each, model_context(each)) for each in (one, other)],
    )


def _single_file(template: str, **context: Any) -> str:
    style = static("style.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 - our own
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            f"base-uri 'none'; form-action 'none'",
            **context,
        )
    )


def model_context(content: Content, baseline: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what templates need besides a model's content, compared with *baseline*."""
    return {
        "known": content.facts,
        "tiles": tiles(content.facts, baseline),
        "load": load_snippet(content.facts),
    }


def tiles(known: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> list[Tile]:
    """Return the metrics of a model, gated ones first, and their change since *baseline*."""
    metrics, gates = known["metrics"] or {}, known["gates"] or {}
    changed = {each.metric: each for each in metric_changes(baseline, known)} if baseline else {}
    return [
        Tile(
            metric=name,
            value=number(metrics[name]),
            change=changed.get(name),
            gate=gates.get(name, ""),
            is_held=holds(gates.get(name, ""), metrics[name]),
        )
        for name in in_order(set(metrics), gates)
    ]


def holds(gate: str, value: float) -> bool:
    try:
        return Gate(gate).allows(value)
    except ValueError:  # there is none, or another release wrote it
        return False


def sections_of(differences: Differences) -> list[Section]:
    """Return the differences other than of metrics, without sections in which nothing differs."""
    sections = [
        Section(
            title=title,
            rows=[
                (label, _shown(before), _shown(after))
                for label, (before, after) in differences[name].items()
                if name != "summary" or label not in _IN_HEADINGS
            ],
        )
        for name, title in _TITLES.items()
    ]
    return [each for each in sections if each.rows]


def cause_of(differences: Differences) -> str:
    """Say in a few words why one model differs from another: ``1 argument, 5 pins``."""
    counted = [
        plural(len(differences[name]), one) for name, one in _CAUSES.items() if differences[name]
    ]
    others = [name for name in ("entry point", "python") if name in differences["summary"]]
    if counted or others:
        return ", ".join([*others, *counted])
    left = next((name for name in ("artifacts", "metrics") if differences[name]), "")
    return f"only the {left}" if left else "nothing"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _shown(value: object) -> str:
    return _cut(shown(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def breakable(text: str) -> Markup:
    """Let a browser break *text*, a name or path, after punctuation. Very long ones are cut."""
    # No entity that escape() writes has such a character in it.
    return Markup(_BREAKS.sub(r"\1<wbr>", str(escape(_cut(text)))))  # noqa: S704 - escaped


@dataclass(frozen=True, slots=True)
class Table:
    """The head of a CSV file."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_cut: bool


def table_of(file: ReportFile) -> Table | None:
    """Parse a CSV file, or return None for something else."""
    delimiter = "\t" if PurePosixPath(file.path).suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(file.content), delimiter=delimiter)
    try:
        lines = list(islice(filter(None, reader), _MOST_ROWS + 2))
    except csv.Error:
        return None
    if not lines:
        return None
    width = max(map(len, lines))
    columns, *rows = [
        [cell for cell, _ in islice(zip_longest(line, range(width), fillvalue=""), _MOST_COLUMNS)]
        for line in lines
    ]
    return Table(
        [str(each) for each in columns],
        [[str(cell) for cell in row] for row in rows[:_MOST_ROWS]],
        is_cut=len(rows) > _MOST_ROWS or width > _MOST_COLUMNS,
    )


_LOADERS = {
    ".joblib": ("joblib", "model = joblib.load(path)"),
    ".onnx": ("onnxruntime", "model = onnxruntime.InferenceSession(path)"),
    ".skops": ("skops.io", "model = skops.io.load(path)  # see its `trusted`"),
    ".npy": ("numpy", "weights = numpy.load(path)"),
    ".json": ("", "text = path.read_text()"),
}
_OTHER_LOADER = ("", "print(path)")


def load_snippet(known: Mapping[str, Any]) -> str:
    """Return Python code that loads the largest artifact of a model's facts; "" without one."""
    artifacts = known["artifacts"] or []
    if not artifacts:
        return ""
    ranked = sorted(
        artifacts,
        key=lambda file: (PurePosixPath(file["path"]).suffix not in _LOADERS, -file["size"]),
    )
    path = PurePosixPath(ranked[0]["path"])
    package = next((each for each in path.parts[:-1] if each.isidentifier()), "")
    if path.parts[0] != package:
        return ""  # it is in no package
    module, load = _LOADERS.get(path.suffix, _OTHER_LOADER)
    inner = " / ".join(json.dumps(part, ensure_ascii=False) for part in path.parts[1:])
    lines = [
        "from importlib.resources import as_file, files",
        *([f"\nimport {module}"] if module else []),
        f'\nresource = files("{package}") / {inner}',
        f"with as_file(resource) as path:\n    {load}",
    ]
    return "\n".join(lines)
