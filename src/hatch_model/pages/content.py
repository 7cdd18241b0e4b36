"""What a page shows of a model: its facts, its README, and what training drew."""

from __future__ import annotations

import base64
import re
from dataclasses import asdict, dataclass, fields
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from hatch_model.cli.inspect import facts
from hatch_model.cli.open import DAMAGE
from hatch_model.record import name_in_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_model.cli.open import ModelFiles

# More than this, encoded in a page, would make it slow to load.
_LARGEST_PICTURE = 2 << 20
_LARGEST_TEXT = 200 << 10
_LARGEST_CONTENT = 8 << 20
_LONGEST_SUMMARY = 500  # characters
_LONGEST_MARKDOWN = 100_000  # what is longer could take seconds to render

Kind = Literal["picture", "table", "markdown", "text", "other"]

# The first bytes of each, as patterns.
_RASTER = {
    rb"\x89PNG\r\n\x1a\n": "image/png",
    rb"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF....WEBP": "image/webp",
}
_TEXT: Mapping[str, Kind] = {
    ".csv": "table",
    ".tsv": "table",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".json": "text",
    ".log": "text",
    ".yaml": "text",
    ".yml": "text",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFile:
    """A file of the report that training wrote, as far as a page can show it."""

    path: str
    """In the report."""
    size: int
    kind: Kind
    """`other` if the page names the file without its content."""
    content: str = ""
    """An address with the data of a picture, or the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """A model, with everything that pages show of it. Nothing in it is trusted."""

    facts: Mapping[str, Any]
    """See :func:`hatch_model.cli.inspect.facts`."""
    summary: str
    license: str
    readme: str
    readme_is_markdown: bool
    packed_size: int | None
    """In bytes, of the archive."""
    files: Sequence[ReportFile]

    @property
    def name(self) -> str:
        return str(self.facts["name"])

    @property
    def version(self) -> str:
        return str(self.facts["version"])

    @property
    def pictures(self) -> list[ReportFile]:
        return [file for file in self.files if file.kind == "picture"]

    @property
    def texts(self) -> list[ReportFile]:
        return [file for file in self.files if file.kind not in {"picture", "other"}]

    @property
    def others(self) -> list[ReportFile]:
        return [file for file in self.files if file.kind == "other"]

    def as_json(self) -> dict[str, Any]:
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**known, "files": [asdict(file) for file in self.files]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Content:
        """Read what :meth:`as_json` returned. Raises KeyError or TypeError for anything else."""
        files = [ReportFile(**file) for file in content["files"]]
        return cls(**{**content, "files": files})


def content_of(model: ModelFiles) -> Content:
    """Read what pages show of *model*."""
    readme = str(model.metadata.get_payload() or model.metadata["Description"] or "")
    kind = str(model.metadata["Description-Content-Type"] or "")
    return Content(
        facts=facts(model),
        summary=str(model.metadata["Summary"] or "")[:_LONGEST_SUMMARY],
        license=str(model.metadata["License-Expression"] or "")[:_LONGEST_SUMMARY],
        readme=_cut(readme),
        readme_is_markdown=kind.partition(";")[0].strip().lower() == "text/markdown",
        packed_size=model.packed_size,
        files=list(_files(model)),
    )


def _cut(readme: str) -> str:
    if len(readme) <= _LONGEST_MARKDOWN:
        return readme
    return f"{readme[:_LONGEST_MARKDOWN]}\n\n… (the rest is in the archive)"


def _files(model: ModelFiles) -> Iterator[ReportFile]:
    left = _LARGEST_CONTENT
    for file in (model.record or {}).get("report", []):
        name = name_in_report(file["path"])
        kind, content = _shown(model, model.report.get(name, ""), min(left, _LARGEST_PICTURE))
        left -= len(content)
        yield ReportFile(path=name, size=file["size"], kind=kind, content=content)


def _shown(model: ModelFiles, path: str, limit: int) -> tuple[Kind, str]:
    """Return how a page shows the file at *path* in *model*, "" if missing, and its content."""
    suffix = PurePosixPath(path).suffix.lower()
    kind = _TEXT.get(suffix)
    limit = min(limit, _LARGEST_TEXT) if kind else limit
    try:
        if model.sizes.get(path, 0) > limit:
            return "other", ""
        with model.open(path) as stream:
            content = stream.read(limit + 1)
    except DAMAGE:
        return "other", ""
    if len(content) > limit:
        return "other", ""
    if kind:
        text = content.decode("utf-8", "replace")
        return (
            (kind, text) if kind != "markdown" or len(text) <= _LONGEST_MARKDOWN else ("text", text)
        )
    # An SVG picture runs no scripts in an <img>. Other types go by their first bytes.
    types = (each for mark, each in _RASTER.items() if re.match(mark, content, re.DOTALL))
    mime = "image/svg+xml" if suffix == ".svg" else next(types, "")
    if not mime:
        return "other", ""
    return "picture", f"data:{mime};base64,{base64.b64encode(content).decode()}"
