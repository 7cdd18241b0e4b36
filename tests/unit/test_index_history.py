"""history.json, which programs read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from checkout import CHECKOUT
from registries import model_wheel

import hatch_model.index
from hatch_model.index.folder import Index

if TYPE_CHECKING:
    from pathlib import Path

_DOCS = (CHECKOUT / "docs/registry.md").read_text("utf-8")


def _keys(heading: str) -> set[str]:
    rows = _DOCS.partition(f"| {heading} | value |\n|---|---|\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE))


def test_the_keys_of_a_history_are_documented(tmp_path: Path) -> None:
    Index(tmp_path / "index").add([model_wheel(tmp_path)])

    history = json.loads((tmp_path / "index/models/iris-model/history.json").read_bytes())
    (release,) = history["releases"]
    (archive,) = release["archives"]
    assert history.keys() == _keys("key")
    assert release.keys() == _keys("key of a release")
    (documented,) = re.findall(r"^\| `archives` \| (.*) \|$", _DOCS, re.MULTILINE)
    assert archive.keys() == set(re.findall(r"`(\w+)`", documented))
    assert "environment" not in release["model"]


def test_the_layout_is_documented_where_it_is_written() -> None:
    documented = _DOCS.partition("## Layout\n\n```\n")[2].partition("```")[0]
    names = re.findall(r"[\w./]+(?:html|json|xml|whl|metadata|toml)\b", documented)

    assert names
    assert [name for name in names if name not in (hatch_model.index.__doc__ or "")] == []
