"""The pages for installers, as the standards have them and an independent reader sees them."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

from hatch_model.index.history import Archive, History, Release
from hatch_model.index.simple import project_detail, project_list

_WHEEL = Archive(
    path="files/m/m-1!1.0+cpu-py3-none-any.whl",
    sha256=64 * "a",
    size=500_000_000,
    uploaded="2026-01-02T03:04:05Z",
    requires_python=">=3.10, <4",
    metadata_sha256=64 * "b",
)
_SDIST = replace(
    _WHEEL, path='odd "folder"/m-1!1.0+cpu.tar.gz', requires_python=None, metadata_sha256=None
)
_RELEASE = Release(
    version="1!1.0+cpu", yanked=None, archives=[_WHEEL, _SDIST], summary="", model={}
)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


def _links(html: bytes) -> list[dict[str, str | None]]:
    links = _Links()
    links.feed(html.decode())
    return links.found


def test_a_project_is_a_page_of_links_with_all_that_installers_read() -> None:
    pages = project_detail(History(name="m", releases=[_RELEASE]))

    assert _links(pages["index.html"]) == [
        {
            "href": f"../../files/m/m-1%211.0%2Bcpu-py3-none-any.whl#sha256={64 * 'a'}",
            "data-requires-python": ">=3.10, <4",
            "data-core-metadata": f"sha256={64 * 'b'}",
            "data-dist-info-metadata": f"sha256={64 * 'b'}",
            "data-size": "500000000",
            "data-upload-time": "2026-01-02T03:04:05Z",
        },
        {
            "href": f"../../odd%20%22folder%22/m-1%211.0%2Bcpu.tar.gz#sha256={64 * 'a'}",
            "data-size": "500000000",
            "data-upload-time": "2026-01-02T03:04:05Z",
        },
    ]


def test_the_same_is_json_for_servers_that_negotiate() -> None:
    pages = project_detail(History(name="m", releases=[replace(_RELEASE, yanked="")]))

    content = json.loads(pages["index.json"])
    wheel, sdist = content.pop("files")
    assert content == {
        "meta": {"api-version": "1.1", "_generator": "hatch-model"},
        "name": "m",
        "versions": ["1!1.0+cpu"],
    }
    assert wheel == {
        "filename": "m-1!1.0+cpu-py3-none-any.whl",
        "url": "../../files/m/m-1%211.0%2Bcpu-py3-none-any.whl",
        "hashes": {"sha256": 64 * "a"},
        "requires-python": ">=3.10, <4",
        "core-metadata": {"sha256": 64 * "b"},
        "dist-info-metadata": {"sha256": 64 * "b"},
        "size": 500_000_000,
        "upload-time": "2026-01-02T03:04:05Z",
        "yanked": True,
    }
    assert "requires-python" not in sdist
    assert sdist["core-metadata"] is False


def test_a_yanked_release_has_its_reason_or_none() -> None:
    for reason, value in (('"bad" <labels>', '"bad" <labels>'), ("", True)):
        pages = project_detail(History(name="m", releases=[replace(_RELEASE, yanked=reason)]))

        assert [link["data-yanked"] for link in _links(pages["index.html"])] == [reason, reason]
        files = json.loads(pages["index.json"])["files"]
        assert [file["yanked"] for file in files] == [value, value]


def test_projects_are_listed_by_name() -> None:
    pages = project_list(["b-model", "a-model"])

    assert [link["href"] for link in _links(pages["index.html"])] == ["a-model/", "b-model/"]
    assert json.loads(pages["index.json"])["projects"] == [{"name": "a-model"}, {"name": "b-model"}]
    assert b'<meta name="pypi:repository-version" content="1.1">' in pages["index.html"]
