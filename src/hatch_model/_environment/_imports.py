"""Which installed distributions a set of imported files belongs to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hatch_model.errors import BrokenDistributionError

if TYPE_CHECKING:
    from collections.abc import Collection

    from packaging.utils import NormalizedName

    from hatch_model._environment._distributions import Distribution, Environment


def imported_strangers(
    imported: Collection[str], environment: Environment, known: Collection[NormalizedName]
) -> list[NormalizedName]:
    """Name the distributions outside *known* that own one of the *imported* files, sorted.

    *imported* are absolute paths of modules. Ownership is read from RECORD, and for an editable
    install from its folder (PEP 610).
    """
    below: dict[str, frozenset[str]] = {}
    strangers = []
    for distribution in environment:
        if distribution.name in known:
            continue
        location = distribution.location
        if location not in below:
            below[location] = _relative(imported, location)
        owned = {line.partition(",")[0] for line in distribution.read_record().splitlines()}
        folder = editable_folder(distribution)
        if owned & below[location] or _holds_sources(folder, imported):
            strangers.append(distribution.name)
    return sorted(strangers)


def _relative(paths: Collection[str], folder: str) -> frozenset[str]:
    """Give those of *paths* that are below *folder*, relative to it and as RECORD spells them."""
    start = folder.rstrip(os.sep) + os.sep
    return frozenset(
        path[len(start) :].replace(os.sep, "/") for path in paths if path.startswith(start)
    )


def _holds_sources(folder: str, imported: Collection[str]) -> bool:
    """Say whether an editable install's *folder* holds one of *imported*.

    A virtual environment inside the folder is another matter.
    """
    below = _relative(imported, folder) if folder else ()
    return any("site-packages/" not in path for path in below)


def editable_folder(distribution: Distribution) -> str:
    """Give the folder that *distribution* is installed from as editable; "" if it is not."""
    try:
        direct_url = distribution.direct_url or {}
    except BrokenDistributionError:
        return ""  # Only what is pinned must be in order.
    if not direct_url.get("dir_info", {}).get("editable"):
        return ""
    # Brings all of HTTP and TLS along, which no other part of a build needs.
    from urllib.request import url2pathname  # noqa: PLC0415

    return url2pathname(urlsplit(direct_url["url"]).path)
