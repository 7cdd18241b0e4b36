"""What was installed from somewhere other than an index (PEP 610), written as a direct reference."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

# PEP 610 lets these stand: no secrets are in them.
_HARMLESS_USER = re.compile(r"git|\$\{[A-Za-z0-9-_]+\}(:\$\{[A-Za-z0-9-_]+\})?")


def parse(text: str) -> dict[str, Any]:
    """Parse a ``direct_url.json``. Raises ValueError for what PEP 610 does not allow."""
    match json.loads(text):
        case (
            {"url": str(), "vcs_info": {"vcs": str(), "commit_id": str()}}
            | {"url": str(), "archive_info": {}}
            | {"url": str(), "dir_info": {}}
        ) as direct_url:
            return dict(direct_url)
        case _:
            raise ValueError(text)


def without_credentials(url: str) -> str:
    """Strip user and password from *url*, but for what PEP 610 calls safe."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or _HARMLESS_USER.fullmatch(user):
        return url
    return parts._replace(netloc=host).geturl()


def is_local(direct_url: Mapping[str, Any]) -> bool:
    """Say whether *direct_url* means something on this machine only."""
    return urlsplit(str(direct_url["url"])).scheme == "file"


def describe(direct_url: Mapping[str, Any]) -> str:
    """Say how it was installed, in the words of a message: "from git at https://…"."""
    url = without_credentials(direct_url["url"])
    if "vcs_info" in direct_url:
        return f"from {direct_url['vcs_info']['vcs']} at {url}"
    if "dir_info" in direct_url:
        editable = direct_url["dir_info"].get("editable", False)
        return f"{'as editable' if editable else 'from a folder'} at {url}"
    return f"from the archive {url}"


def reference(direct_url: Mapping[str, Any]) -> str:
    """Give the URL of a PEP 508 direct reference that installs the very same thing."""
    url = without_credentials(direct_url["url"])
    fragments = []
    hashes = archive_hashes(direct_url)
    if "vcs_info" in direct_url:
        vcs = direct_url["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif hashes:
        # What every installer knows, or else the last by name: of the usual ones, the longest.
        algorithm = "sha256" if "sha256" in hashes else max(hashes)
        fragments.append(f"{algorithm}={hashes[algorithm]}")
    if direct_url.get("subdirectory"):
        fragments.append(f"subdirectory={direct_url['subdirectory']}")
    return f"{url}#{'&'.join(fragments)}" if fragments else url


def archive_hashes(direct_url: Mapping[str, Any]) -> dict[str, str]:
    """Give an archive's digests by algorithm; ``hash`` is how PEP 610 wrote a single one at first."""
    archive: Mapping[str, Any] = direct_url.get("archive_info", {})
    if archive.get("hashes"):
        return dict(archive["hashes"])
    algorithm, _, digest = archive.get("hash", "").partition("=")
    return {algorithm: digest} if digest else {}
