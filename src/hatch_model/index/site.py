"""The pages for people: a front page, a page for each model and for each version, and a feed."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from hatch_model.cli.diff import changed_facts, in_order, metric_changes
from hatch_model.log import human_size
from hatch_model.pages.chart import Point, chart, sparkline
from hatch_model.pages.page import (
    Section,
    cause_of,
    environment,
    load_snippet,
    sections_of,
    tiles,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatch_model.cli.diff import MetricChange
    from hatch_model.index.history import Archive, History, Release
    from hatch_model.pages.content import Content
    from hatch_model.pages.page import Tile

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)
_MOST_CHANGES = 30
_MOST_ENTRIES = 50
_MOST_COLUMNS = 4  # of metrics in the table of versions
_NAMESPACE = uuid.UUID("5e1a7a0c-6f0e-4f5e-9a39-0d1c9f1d6e55")
# https://www.w3.org/TR/xml/#charsets
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What differs between a release and the one before it."""

    before: Release
    after: Release
    cause: str
    """In a few words."""
    metrics: Sequence[MetricChange]
    sections: Sequence[Section]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A model on the front page."""

    name: str
    latest: Release
    count: int
    updated: str
    gates_held: bool
    headline: Tile | None
    sparkline: Markup
    search: str


def change_of(history: History, release: Release) -> Change | None:
    """Compare *release* with its baseline; None for the first one."""
    before = history.baseline(release)
    if before is None:
        return None
    differences = changed_facts(before.model, release.model)
    sections = sections_of(differences)
    sizes = human_size(before.size), human_size(release.size)
    if sizes[0] != sizes[1]:
        sections.append(Section(title="Size", rows=[(release.main.path[-3:], *sizes)]))
    return Change(
        before=before,
        after=release,
        cause=cause_of(differences),
        metrics=metric_changes(before.model, release.model),
        sections=sections,
    )


def front_page(histories: Iterable[History], loose: Sequence[Archive]) -> bytes:
    """Return the page that lists all models, and links the archives *loose* at the index's root."""
    models = [_listed(each) for each in sorted(histories, key=lambda each: each.name)]
    return _render(
        "index_front.html", "", [("Model registry", "index.html")], models=models, loose=loose
    )


def _listed(history: History) -> Listed:
    latest = history.latest
    assert latest is not None  # noqa: S101 - a history without releases is not listed
    found = tiles(latest.model)
    headline = found[0] if found else None
    values = [
        (each.model["metrics"] or {}).get(headline.metric)
        for each in history.releases
        if headline and each.yanked is None
    ]
    words = [history.name, latest.summary, *(each.metric for each in found)]
    return Listed(
        name=history.name,
        latest=latest,
        count=len(history.releases),
        updated=_updated(history),
        gates_held=any(each.gate for each in found)
        and all(each.is_held for each in found if each.gate),
        headline=headline,
        sparkline=sparkline(values),
        search=" ".join(words).lower(),
    )


def model_page(history: History, content: Content) -> bytes:
    """Return the page of a model; *content* is its latest release's."""
    latest = history.latest
    assert latest is not None  # noqa: S101 - as above
    gates = {name: gate for each in history.releases for name, gate in _gates(each).items()}
    known = {name for each in history.releases for name in each.model["metrics"] or {}}
    metrics = in_order(known, gates)
    changes = {each.version: change_of(history, each) for each in history.releases}
    told = [each for each in reversed(changes.values()) if each is not None]
    baseline = history.baseline(latest)
    return _render(
        "index_model.html",
        "../../",
        [("Model registry", "../../index.html"), (history.name, "index.html")],
        name=history.name,
        latest=latest,
        releases=history.releases,
        updated=_updated(history),
        known=latest.model,
        content=content,
        tiles=tiles(latest.model, baseline.model if baseline else None),
        **_snippets(history.name, latest, "../../"),
        charts=[
            {
                "metric": each,
                "gate": gates.get(each, ""),
                "svg": chart(each, _points(history, each)),
            }
            for each in metrics
        ],
        has_yanked=any(each.yanked is not None for each in history.releases),
        metrics=metrics[:_MOST_COLUMNS],
        causes={version: each.cause if each else "" for version, each in changes.items()},
        changes=told[:_MOST_CHANGES],
        changes_left=len(told) > _MOST_CHANGES,
    )


def release_page(history: History, release: Release, content: Content) -> bytes:
    """Return the page of a version, whose *content* is that of its first wheel."""
    baseline = history.baseline(release)
    return _render(
        "index_release.html",
        "../../../",
        [
            ("Model registry", "../../../index.html"),
            (history.name, "../index.html"),
            (release.version, "index.html"),
        ],
        name=history.name,
        release=release,
        known=content.facts,
        content=content,
        tiles=tiles(release.model, baseline.model if baseline else None),
        change=change_of(history, release),
        **_snippets(history.name, release, "../../../"),
    )


def feed(histories: Iterable[History]) -> bytes:
    """Return the newest versions of all models as an Atom feed (RFC 4287)."""
    releases = [(each, release) for each in histories for release in each.releases]
    newest = sorted(
        releases,
        key=lambda pair: (pair[1].uploaded, pair[0].name, pair[1].version),
        reverse=True,
    )[:_MOST_ENTRIES]
    entries = [
        {
            "id": uuid.uuid5(_NAMESPACE, f"{history.name} {release.version}").urn,
            "name": history.name,
            "version": release.version,
            "updated": release.uploaded,
            "summary": _NOT_IN_XML.sub("", _told(history, release)),
        }
        for history, release in newest
    ]
    text = (
        environment()
        .get_template("feed.xml")
        .render(
            id=_NAMESPACE.urn,
            updated=newest[0][1].uploaded if newest else "1970-01-01T00:00:00Z",
            entries=entries,
        )
    )
    return text.encode()


def _told(history: History, release: Release) -> str:
    """Say in a sentence what a release is and what changed."""
    metrics = ", ".join(f"{tile.metric} {tile.value}" for tile in tiles(release.model))
    change = change_of(history, release)
    parts = [release.summary, metrics, f"changed: {change.cause}" if change else ""]
    return ". ".join(filter(None, parts))


def _render(template: str, root: str, crumbs: Sequence[tuple[str, str]], **context: Any) -> bytes:
    text = (
        environment()
        .get_template(template)
        .render(policy=_POLICY, root=root, crumbs=crumbs, **context)
    )
    return text.encode("utf-8", "replace")


def _updated(history: History) -> str:
    return max(each.uploaded for each in history.releases)


def _gates(release: Release) -> dict[str, str]:
    return dict(release.model["gates"] or {})


def _points(history: History, metric: str) -> list[Point]:
    return [
        Point(
            label=each.version,
            value=(each.model["metrics"] or {}).get(metric),
            gate=_gates(each).get(metric, ""),
            is_hollow=each.yanked is not None,
        )
        for each in history.releases
    ]


_UV = Markup("""\
[project]
dependencies = ["{name}=={version}"]

[[tool.uv.index]]
name = "models"
url = "{address}"
explicit = true
cache-control = {{ api = "no-cache" }}

[tool.uv.sources]
{name} = {{ index = "models" }}""")


def _snippets(name: str, release: Release, root: str) -> dict[str, Any]:
    """Return how to install and load a release; the script writes the index's address into them."""
    archive = release.main
    address = Markup('<span data-address="{}">{}</span>').format(
        f"{root}simple/", "https://YOUR-INDEX/simple/"
    )
    path = f"{quote(archive.path)}#sha256={archive.sha256}"
    url = Markup('<span data-address="{}" data-hash="#sha256={}">{}</span>').format(
        f"{root}{quote(archive.path)}", archive.sha256, f"https://YOUR-INDEX/{path}"
    )
    return {
        "uv_snippet": _UV.format(name=name, version=release.version, address=address),
        "pip_snippet": Markup('pip install "{} @ {}"').format(name, url),
        "load": load_snippet(release.model),
    }
