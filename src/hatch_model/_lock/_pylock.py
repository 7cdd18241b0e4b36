"""``pylock.toml`` (PEP 751), read by `packaging.pylock`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hatch_model._environment import reference, without_credentials
from hatch_model._lock._packages import LockedPackage
from hatch_model.errors import LockReaderMissingError, MalformedLockError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePath

    from packaging.pylock import Package


def read_pylock(path: str, text: str) -> list[LockedPackage]:
    """Read the *text* of the PEP 751 lock at *path*.

    Raises MalformedLockError for what is not one that packaging knows how to read.
    """
    try:
        # packaging's floor here is below 26.0, which brought this: only this option needs it.
        from packaging.pylock import Pylock, PylockValidationError  # noqa: PLC0415
    except ImportError:
        raise LockReaderMissingError(path) from None
    try:
        pylock = Pylock.from_dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise MalformedLockError(path, str(error)) from None
    return [_locked(path, package) for package in pylock.packages]


def _locked(path: str, package: Package) -> LockedPackage:
    address = _address(package)
    if not address and package.version is None:
        raise MalformedLockError(path, f"{package.name} has no version")
    return LockedPackage(
        name=package.name,
        version=package.version,
        marker=package.marker,
        reference=reference(address) if address else "",
        is_local=bool(address) and urlsplit(address["url"]).scheme in {"", "file"},
        hashes=_hashes(package),
    )


def _address(package: Package) -> dict[str, Any]:
    """Give where *package* comes from, in the terms of PEP 610; empty for an index."""
    if package.vcs is not None:
        vcs = package.vcs
        info: dict[str, Any] = {"vcs_info": {"vcs": vcs.type, "commit_id": vcs.commit_id}}
        return _with_url(vcs.url or vcs.path, vcs.subdirectory, info)
    if package.archive is not None:
        archive = package.archive
        info = {"archive_info": {"hashes": dict(archive.hashes)}}
        return _with_url(archive.url or archive.path, archive.subdirectory, info)
    if package.directory is not None:
        directory = package.directory
        return _with_url(directory.path, directory.subdirectory, {"dir_info": {}})
    return {}


def _with_url(url: str | None, subdirectory: str | None, info: Mapping[str, Any]) -> dict[str, Any]:
    address = {**info, "url": without_credentials(url or "")}
    return {**address, "subdirectory": subdirectory} if subdirectory else address


def _hashes(package: Package) -> frozenset[str]:
    archives = [package.archive, package.sdist, *(package.wheels or ())]
    return frozenset(
        f"{algorithm}:{digest.lower()}"
        for archive in archives
        if archive is not None
        for algorithm, digest in archive.hashes.items()
    )


def is_pylock(path: PurePath) -> bool:
    """Say whether *path* is named as PEP 751 wants: ``pylock.toml`` or ``pylock.NAME.toml``."""
    parts = path.name.split(".")
    return parts[0] == "pylock" and parts[-1] == "toml" and len(parts) in {2, 3} and all(parts)
