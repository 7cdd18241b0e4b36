"""A model card in the form of the Hugging Face Hub: Markdown with metadata in YAML.

https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hatch_model.cli.diff import in_order
from hatch_model.cli.inspect import sections
from hatch_model.pages.markdown import without_front_matter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_model.pages.content import Content

_SPDX_IDENTIFIER = re.compile(r"(?!LicenseRef-)[\w.+-]+")
_NOT_ASCII = re.compile(r"[^ -~]")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def model_card(content: Content) -> str:
    """Return the card of a model: its metadata, its README, and its facts as tables.

    The record tells neither the task nor the data of a metric, which the metadata needs: `other`,
    and the inputs of training, if any are recorded.
    """
    readme = without_front_matter(content.readme).strip() if content.readme_is_markdown else ""
    parts = [
        "---\n" + "".join(f"{line}\n" for line in _metadata(content)) + "---",
        readme or f"# {_escaped(content.name)}\n\n{_escaped(content.summary)}".strip(),
        f"## Install\n\n```\npip install {content.name}=={content.version}\n```",
        *(_table(title, rows) for title, rows in sections(content.facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(content: Content) -> Iterator[str]:
    if content.license:
        if _SPDX_IDENTIFIER.fullmatch(content.license):
            yield f"license: {_yaml(content.license.lower())}"
        else:
            yield "license: other"
            yield f"license_name: {_yaml(content.license)}"
    yield "tags:"
    yield "- hatch-model"
    known: Mapping[str, Any] = content.facts
    metrics = known["metrics"] or {}
    if not metrics:
        return
    names = in_order(set(metrics), known["gates"] or {})
    inputs = ", ".join(file["path"] for file in known["inputs"] or [])
    yield "metrics:"
    yield from (f"- {_yaml(name)}" for name in names)
    yield "model-index:"
    yield f"- name: {_yaml(content.name)}"
    yield "  results:"
    yield "  - task:\n      type: other"
    yield "    dataset:\n      type: other"
    yield f"      name: {_yaml(inputs or 'not recorded')}"
    yield "    metrics:"
    for name in names:
        yield f"    - type: {_yaml(name)}"
        yield f"      name: {_yaml(name)}"
        yield f"      value: {_yaml(metrics[name])}"


def _yaml(value: object) -> str:
    """Return *value* in YAML, which JSON is nearly a part of."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        # YAML does not join the two escapes that JSON has for one character.
        return _NOT_ASCII.sub(lambda match: f"\\U{ord(match[0]):08x}", text)
    # Without a point, 1e-05 is a string (https://yaml.org/type/float.html).
    return text.replace("e", ".0e") if "." not in text else text


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {_escaped(name)} | {_escaped(value)} |" for name, value in rows]
    return "\n".join([f"## {_escaped(title)}", "", "| | |", "|---|---|", *lines])


def _escaped(text: str) -> str:
    """Return *text* as Markdown that shows it on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
