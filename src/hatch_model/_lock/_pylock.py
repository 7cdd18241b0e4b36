"""``pylock.toml`` (PEP 751), read by `packaging.pylock`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hatch_model._environment import NEVER, condition_of, without_credentials
from hatch_model._lock._packages import Coverage, LockedPackage
from hatch_model.errors import LockReaderMissingError, MalformedLockError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path, PurePath

    from packaging.pylock import Package, Pylock


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedGroups:
    """A PEP 751 lock, which may hold several dependency groups to choose from."""

    path: str
    """Relative to the project root, for messages."""
    folder: Path
    """What the lock's own paths are relative to."""
    content: Pylock

    @property
    def tells_groups(self) -> bool:
        """Whether it says of its packages which groups they are there for."""
        return bool(self.content.dependency_groups or self.content.default_groups)

    @property
    def coverage(self) -> Coverage:
        return Coverage(
            requires_python=self.content.requires_python or SpecifierSet(),
            environments=tuple(self.content.environments or ()),
        )

    def packages(self, groups: Collection[str] = ()) -> list[LockedPackage]:
        """Give the packages of the lock's default groups and of *groups*.

        Raises MalformedLockError for one that is neither at a version nor at an address.
        """
        chosen = {*map(canonicalize_name, (*groups, *(self.content.default_groups or ())))}
        found = []
        for package in self.content.packages:
            condition = condition_of(package.marker, groups=chosen)
            if condition != NEVER:
                marker = package.marker
                if marker and {"dependency_groups", "extras"} & {*str(marker).split()}:
                    marker = Marker(str(condition)) if str(condition) else None
                found.append(self._locked(package, marker))
        return found

    def _locked(self, package: Package, marker: Marker | None) -> LockedPackage:
        address = self._address(package)
        if address is None and package.version is None:
            raise MalformedLockError(self.path, f"{package.name} has no version")
        return LockedPackage(
            name=package.name,
            version=package.version,
            marker=marker,
            address=address,
            hashes=_hashes(package),
        )

    def _address(self, package: Package) -> dict[str, Any] | None:
        if package.vcs is not None:
            vcs = package.vcs
            return {
                "url": self._url(vcs.url, vcs.path),
                "vcs_info": {"vcs": vcs.type, "commit_id": vcs.commit_id},
                "subdirectory": vcs.subdirectory,
            }
        if package.archive is not None:
            archive = package.archive
            return {
                "url": self._url(archive.url, archive.path),
                "archive_info": {"hashes": dict(archive.hashes)},
                "subdirectory": archive.subdirectory,
            }
        if package.directory is not None:
            return {
                "url": self._url(None, package.directory.path),
                "dir_info": {},
                "subdirectory": package.directory.subdirectory,
            }
        return None

    def _url(self, url: str | None, path: str | None) -> str:
        if url:
            return without_credentials(url)
        return (self.folder / (path or "")).resolve().as_uri()


def read_pylock(path: str, folder: Path, text: str) -> LockedGroups:
    """Read the *text* of the PEP 751 lock at *path*, whose own paths are relative to *folder*.

    Raises MalformedLockError for what is not one that packaging knows how to read.
    """
    try:
        # packaging's floor here is below 26.0, which brought this: only this option needs it.
        from packaging.pylock import Pylock, PylockValidationError  # noqa: PLC0415
    except ImportError:
        raise LockReaderMissingError(path) from None
    try:
        content = Pylock.from_dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise MalformedLockError(path, str(error)) from None
    return LockedGroups(path=path, folder=folder, content=content)


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
