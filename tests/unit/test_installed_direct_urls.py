"""PEP 610's direct_url.json, read and written as a direct reference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hatch_model.installed import (
    describe,
    is_local,
    parse_direct_url,
    reference,
    without_credentials,
)

COMMIT = "7c1f0e5b2a9d4c3e8f6a1b0d9c8e7f6a5b4c3d2e"


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://h.example/a.whl", "https://h.example/a.whl"),
        ("https://user:secret@h.example:8443/a.whl", "https://h.example:8443/a.whl"),
        ("https://token@h.example/a.whl?x=1#egg=a", "https://h.example/a.whl?x=1#egg=a"),
        ("https://user:p%40ss@h.example/a@b.whl", "https://h.example/a@b.whl"),
        ("https://user:p@ss@h.example/a.whl", "https://h.example/a.whl"),
        ("https://:secret@h.example/a.whl", "https://h.example/a.whl"),
        ("https://git:secret@h.example/a.git", "https://h.example/a.git"),
        ("ssh://me@h.example/a.git", "ssh://h.example/a.git"),
        # PEP 610 lets these stand.
        ("ssh://git@h.example/a.git", "ssh://git@h.example/a.git"),
        ("https://${USER}:${PASS_1}@h.example/a.whl", "https://${USER}:${PASS_1}@h.example/a.whl"),
        ("https://${TOKEN}@h.example/a.whl", "https://${TOKEN}@h.example/a.whl"),
        ("https://${USER}:secret@h.example/a.whl", "https://h.example/a.whl"),
        ("https://user:secret@[::1]:8080/a.whl", "https://[::1]:8080/a.whl"),
        ("file:///srv/a%20b@c.whl", "file:///srv/a%20b@c.whl"),
    ],
)
def test_credentials_are_stripped(url: str, stripped: str) -> None:
    assert without_credentials(url) == stripped


@pytest.mark.parametrize(
    ("direct_url", "description", "written"),
    [
        (
            {
                "url": "https://user:secret@h.example/a.git",
                "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT},
            },
            "from git at https://h.example/a.git",
            f"git+https://h.example/a.git@{COMMIT}",
        ),
        (
            {
                "url": "ssh://git@h.example/a.git",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT},
                "subdirectory": "python/a",
            },
            "from git at ssh://git@h.example/a.git",
            f"git+ssh://git@h.example/a.git@{COMMIT}#subdirectory=python/a",
        ),
        (
            {"url": "https://h.example/a", "vcs_info": {"vcs": "hg", "commit_id": "1f2e"}},
            "from hg at https://h.example/a",
            "hg+https://h.example/a@1f2e",
        ),
        (
            {"url": "https://user:secret@h.example/a.whl", "archive_info": {}},
            "from the archive https://h.example/a.whl",
            "https://h.example/a.whl",
        ),
        (
            {"url": "https://h.example/a.whl", "archive_info": {"hash": "sha256=0a1b"}},
            "from the archive https://h.example/a.whl",
            "https://h.example/a.whl#sha256=0a1b",
        ),
        (
            {
                "url": "https://h.example/a.tar.gz",
                "archive_info": {
                    "hash": "md5=00",
                    "hashes": {"md5": "00", "sha256": "0a1b", "sha512": "ff"},
                },
                "subdirectory": "python",
            },
            "from the archive https://h.example/a.tar.gz",
            "https://h.example/a.tar.gz#sha256=0a1b&subdirectory=python",
        ),
        (
            {
                "url": "https://h.example/a.whl",
                "archive_info": {"hashes": {"md5": "00", "sha384": "aa", "sha512": "ff"}},
            },
            "from the archive https://h.example/a.whl",
            "https://h.example/a.whl#sha512=ff",
        ),
    ],
)
def test_a_reference_installs_the_very_same_thing(
    direct_url: dict[str, Any], description: str, written: str
) -> None:
    assert parse_direct_url(json.dumps(direct_url)) == direct_url
    assert not is_local(direct_url)
    assert describe(direct_url) == description
    assert reference(direct_url) == written


@pytest.mark.parametrize(
    ("direct_url", "description"),
    [
        ({"url": "file:///srv/a", "dir_info": {}}, "from a folder at file:///srv/a"),
        (
            {"url": "file:///srv/a", "dir_info": {"editable": True}},
            "as editable at file:///srv/a",
        ),
        (
            {"url": "file:///srv/a", "dir_info": {"editable": False}},
            "from a folder at file:///srv/a",
        ),
        (
            {"url": "file:///srv/a.whl", "archive_info": {"hash": "sha256=0a1b"}},
            "from the archive file:///srv/a.whl",
        ),
        (
            {"url": "file:///srv/a", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            "from git at file:///srv/a",
        ),
    ],
)
def test_an_address_of_this_machine_is_told_apart(
    direct_url: dict[str, Any], description: str
) -> None:
    assert parse_direct_url(json.dumps(direct_url)) == direct_url
    assert is_local(direct_url)
    assert describe(direct_url) == description


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '{"url": "https://h.example/a.whl"}',
        '{"url": 1, "archive_info": {}}',
        '{"archive_info": {}}',
        '{"url": "file:///srv/a", "dir_info": true}',
        '{"url": "https://h.example/a.git", "vcs_info": {"vcs": "git"}}',
        '{"url": "https://h.example/a.git", "vcs_info": {"commit_id": "1f2e"}}',
    ],
)
def test_what_pep_610_does_not_allow_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller writes the message
        parse_direct_url(text)
