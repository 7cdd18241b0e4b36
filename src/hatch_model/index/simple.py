"""The pages for installers: the simple repository API, as HTML and JSON.

https://packaging.python.org/specifications/simple-repository-api/, with the metadata of wheels (PEP
658), yanked releases (PEP 592), sizes and upload times (PEP 700, and as attributes that uv reads in
HTML). Servers that do not negotiate serve the HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hatch_model.index.history import to_json
from hatch_model.pages.page import environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_model.index.history import Archive, History, Release

_META = {"api-version": "1.1", "_generator": "hatch-model"}


def project_list(names: Iterable[str]) -> dict[str, bytes]:
    """Return the files of ``simple/``, by name."""
    ordered = sorted(names)
    html = environment().get_template("simple_list.html").render(names=ordered)
    content = {"meta": _META, "projects": [{"name": name} for name in ordered]}
    return {"index.html": html.encode(), "index.json": to_json(content)}


def project_detail(history: History) -> dict[str, bytes]:
    """Return the files of ``simple/NAME/``, by name."""
    files = [
        {**_file(archive, release), "release": release}
        for release in history.releases
        for archive in release.archives
    ]
    html = environment().get_template("simple_detail.html").render(name=history.name, files=files)
    content = {
        "meta": _META,
        "name": history.name,
        "versions": [release.version for release in history.releases],
        "files": [
            {key: value for key, value in file.items() if key != "release" and value is not None}
            for file in files
        ],
    }
    return {"index.html": html.encode(), "index.json": to_json(content)}


def _file(archive: Archive, release: Release) -> dict[str, Any]:
    """Describe *archive* with the keys of the JSON API; None is left out."""
    metadata = {"sha256": archive.metadata_sha256} if archive.metadata_sha256 else False
    return {
        "filename": archive.filename,
        "url": f"../../{quote(archive.path)}",
        "hashes": {"sha256": archive.sha256},
        "requires-python": archive.requires_python,
        "core-metadata": metadata,
        "dist-info-metadata": metadata,
        "size": archive.size,
        "upload-time": archive.uploaded,
        "yanked": (release.yanked or True) if release.yanked is not None else False,
    }
