"""Locks: the exact versions that a team has tested, in any of three formats.

The format of ``uv.lock`` is internal to uv, so it is read through uv's export to ``pylock.toml``
(PEP 751), which ``packaging.pylock`` reads. pip-compile, ``uv pip compile`` and ``uv export`` write
requirements files of exact versions.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_model.errors import HatchModelError
from hatch_model.installed import is_local, reference, without_credentials
from hatch_model.markers import NEVER, condition_of
from hatch_model.uv import run_uv, uv_project

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import PurePath, PurePosixPath

    from packaging.pylock import Package, Pylock
    from packaging.utils import NormalizedName

    from hatch_model.digests import File
    from hatch_model.uv import RunUv, UvProject


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedPackage:
    """A package at one exact version or URL."""

    name: NormalizedName
    version: Version | None
    """None only for a package from a URL whose version the lock omits."""
    marker: Marker | None = None
    address: Mapping[str, Any] | None = None
    """Its origin, as in PEP 610, if not from an index."""
    hashes: frozenset[str] = frozenset()
    """The archives that the lock allows, as ``algorithm:digest``."""

    def holds(self, markers: Mapping[str, str]) -> bool:
        """Return whether it is to be installed for the PEP 508 marker values *markers*."""
        return self.marker is None or self.marker.evaluate(dict(markers))

    def fits(self, requirement: Requirement) -> bool:
        """Return whether its version satisfies *requirement*, as far as it is known."""
        return self.version is None or requirement.specifier.contains(self.version, True)

    @property
    def reference(self) -> str:
        """The URL of a direct reference (PEP 440); empty for a package from an index."""
        return reference(self.address) if self.address else ""

    @property
    def is_local(self) -> bool:
        """Whether the reference is only valid on this machine."""
        return self.address is not None and is_local(self.address)

    @property
    def is_here(self) -> bool:
        """Whether its folder or archive exists, if that can be checked without a network."""
        if not self.address or "vcs_info" in self.address or not self.is_local:
            return True
        try:
            return Path(url2pathname(urlsplit(self.address["url"]).path)).exists()
        except (OSError, ValueError):  # a name that no file can have
            return False

    @property
    def requirement(self) -> str:
        """The exact version, or the URL, for an installer, without the marker."""
        if self.address:
            return f"{self.name} @ {self.reference}"
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The environments that a lock was made for."""

    requires_python: SpecifierSet = SpecifierSet()  # noqa: RUF009 - never changed
    environments: Sequence[Marker] = ()
    """One of these must apply; if empty, every environment is covered."""

    def holds(self, markers: Mapping[str, str]) -> bool:
        """Return whether the PEP 508 marker values *markers* are covered."""
        python = markers["python_full_version"].removesuffix(
            "+"
        )  # a development build of Python ends in "+"
        return self.requires_python.contains(python, prereleases=True) and (
            not self.environments or any(each.evaluate(dict(markers)) for each in self.environments)
        )

    def __str__(self) -> str:
        python = f"Python {self.requires_python}" if self.requires_python else "any Python"
        return f"{python}, {' or '.join(map(str, self.environments)) or 'any platform'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The content of a lock file."""

    path: str
    """Relative to the project root."""
    renewal: str
    """The command that updates the file, for messages."""
    packages: Sequence[LockedPackage]
    """The whole training environment, for every platform that the lock covers."""
    runtime: Sequence[LockedPackage] | None = None
    """What the model needs at run time, if the format has this information; else None."""
    coverage: Coverage | None = None
    """The environments that the whole lock is for; None if the format does not tell."""
    overrides: Mapping[NormalizedName, Sequence[str]] = field(default_factory=dict)
    """What replaces each requirement of a package, whatever the requirement says."""

    def active(self, markers: Mapping[str, str]) -> list[LockedPackage]:
        """Return the packages to install for the PEP 508 marker values *markers*."""
        return [package for package in self.packages if package.holds(markers)]

    def requirements(
        self, markers: Mapping[str, str], by_name: Mapping[NormalizedName, str] | None = None
    ) -> list[str]:
        """Return the same as requirements for an installer.

        If that is uv, *by_name* says how it is asked for what it takes from folders, or "" for what
        it finds by itself. Raises HatchModelError for a folder or archive that does not exist,
        because an sdist does not include it.
        """
        lines = []
        for package in self.active(markers):
            if by_name is not None and package.is_local and package.name in by_name:
                lines.append(by_name[package.name])
            elif package.is_here:
                lines.append(str(Requirement(package.requirement)))
            elif by_name is None or package.name not in by_name:
                raise HatchModelError(
                    f"`{self.path}` takes {package.name} from {package.reference}, which does not "
                    f"exist. An sdist does not contain what is outside of the project: build the "
                    f"wheel from the source tree, as with `python -m build --wheel`, or lock "
                    f"{package.name} from an index or a repository."
                )
        return sorted(filter(None, lines))


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedGroups:
    """A PEP 751 lock, which may contain several dependency groups to choose from."""

    path: str
    """Relative to the project root, for messages."""
    folder: Path
    """The folder that the lock's own paths are relative to."""
    content: Pylock

    @property
    def tells_groups(self) -> bool:
        """Whether it says which groups its packages belong to."""
        return bool(self.content.dependency_groups or self.content.default_groups)

    @property
    def coverage(self) -> Coverage:
        return Coverage(
            requires_python=self.content.requires_python or SpecifierSet(),
            environments=tuple(self.content.environments or ()),
        )

    def packages(self, groups: Collection[str] = ()) -> list[LockedPackage]:
        """Return the packages of the lock's default groups and of *groups*.

        Raises HatchModelError for a package that has neither a version nor a URL.
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
        try:
            address = self._address(package)
            if address is not None:
                Requirement(f"{package.name} @ {reference(address)}")
        except ValueError as error:
            reason = str(error).partition("\n")[0]
            raise _malformed(self.path, f"the address of {package.name}: {reason}") from None
        if address is None and package.version is None:
            raise _malformed(self.path, f"{package.name} has no version")
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

    Raises HatchModelError if packaging cannot read it.
    """
    try:
        # The minimum version of packaging is below 26.0, which added this: only this option needs
        # it.
        from packaging.pylock import Pylock, PylockValidationError  # noqa: PLC0415
    except ImportError:
        raise HatchModelError(
            f"packaging 26.0 or newer is required to read `{path}`, but this environment holds an "
            f"older one. Add `hatch-model[lock]` to build-system.requires; where the lock itself "
            f"holds an older packaging, raise it there, or lock with a requirements file."
        ) from None
    try:
        content = Pylock.from_dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise _malformed(path, str(error)) from None
    except RecursionError:
        raise _malformed(path, "it is nested too deeply") from None
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
    """Return whether *path* is ``pylock.toml`` or ``pylock.NAME.toml``, as in PEP 751."""
    parts = path.name.split(".")
    return parts[0] == "pylock" and parts[-1] == "toml" and len(parts) in {2, 3} and all(parts)


_HASH = re.compile(r"\s--hash[= ](\w+:[0-9a-fA-F]+)")
# As in pip, a comment begins at the start of a line or after white space.
_COMMENT = re.compile(r"(^|\s+)#.*$")


def read_requirements(path: str, text: str) -> list[LockedPackage]:
    """Read the *text* of the requirements file at *path*.

    Raises HatchModelError for the first line that is not an exact version.
    """
    return [_read_line(path, number, line) for number, line in _logical_lines(text)]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with content, continuation lines joined, with the number of the first."""
    start, parts = 1, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            start = number
        # pip does not look for continuations in comments.
        is_comment = line.lstrip().startswith("#")
        parts.append("" if is_comment else line.removesuffix("\\"))
        if line.endswith("\\") and not is_comment:
            continue
        logical = _COMMENT.sub("", " ".join(parts)).strip()
        if logical:
            yield start, logical
        parts = []
    if logical := _COMMENT.sub("", " ".join(parts)).strip():
        yield start, logical


def _read_line(path: str, number: int, line: str) -> LockedPackage:
    hashes = frozenset(digest.lower() for digest in _HASH.findall(line))
    pin = " ".join(_HASH.sub("", line).split())
    try:
        requirement = Requirement(pin)
        version = _exact_version(requirement)
    except (InvalidRequirement, InvalidVersion, ValueError, RecursionError):
        raise HatchModelError(
            f"`{path}`, line {number}: `{pin}` is not an exact version. A requirements file is a "
            f"lock only if each line reads `name==version`, with or without a marker and hashes, "
            f"and no options, as `uv export --no-emit-project` writes it."
        ) from None
    return LockedPackage(
        name=canonicalize_name(requirement.name),
        version=version,
        marker=requirement.marker,
        hashes=hashes,
    )


def _exact_version(requirement: Requirement) -> Version:
    """Return the version of ``name==version``; raises ValueError for anything else."""
    specifiers = list(requirement.specifier)
    if requirement.url or len(specifiers) != 1 or specifiers[0].operator not in {"==", "==="}:
        raise ValueError
    return Version(specifiers[0].version)


def is_shared(path: PurePosixPath, project: UvProject) -> bool:
    """Return whether the lock at *path* in *project* is its workspace's."""
    return project.is_member and str(path) == "uv.lock"


def _carried_digest(path: PurePosixPath, project: UvProject) -> Mapping[str, Any] | None:
    """Return the digest of the workspace's lock, where *project* is the sdist of a member."""
    shared = project.carried if is_shared(path, project) else None
    return shared["lock"] if shared else None


def uv_exports(
    path: PurePosixPath, project: UvProject, groups: Sequence[str] = (), run: RunUv = run_uv
) -> list[str]:
    """Return what the uv.lock at *path* holds for *project*, as the text of PEP 751 locks.

    The first is without the *groups* for training, and the second, if there are any, with them.
    Raises HatchModelError if there is no uv, or it fails.
    """
    if project.carried is not None and _carried_digest(path, project):
        return [*project.carried["exports"]]
    command = [
        *("export", "--quiet", "--frozen", "--format", "pylock.toml", "--python", sys.executable),
        *("--no-header", "--no-emit-project", "--no-default-groups"),
    ]
    # For a member, uv itself finds the lock of the workspace.
    folder = (project.root / path).parent
    chosen = [f"--group={group}" for group in groups]
    return [
        run([*command, *options], path=str(path), root=folder)
        for options in ([[], chosen] if groups else [[]])
    ]


def _find_lock(path: PurePosixPath, project: UvProject, *, key: str, groups: Sequence[str]) -> Path:
    """Return the file at *path* in *project*; *key* is the TOML key that names it, for messages."""
    shared = is_shared(path, project)
    file = project.lock if shared else project.root / path
    if not file.is_file():
        where = " at the root of its workspace" if shared else ""
        raise HatchModelError(
            f"{key} is `{path}`, but there is no such file{where}. Write the lock: "
            f"`{_renewal(path, groups)}`; or remove the key."
        )
    return file


def digest_of_lock(
    path: PurePosixPath, project: UvProject, *, key: str, groups: Sequence[str]
) -> File:
    """Return the digest of the lock at *path* in *project*, listed under that path."""
    from hatch_model.digests import File, file_of  # noqa: PLC0415 - not to ask for requirements

    carried = _carried_digest(path, project)
    if carried is not None:
        return File(path=str(path), **carried)
    return file_of(str(path), _find_lock(path, project, key=key, groups=groups))


def read_lock(
    path: PurePosixPath,
    root: Path,
    *,
    key: str,
    project: NormalizedName,
    groups: Sequence[str],
    model_group: str = "",
    run: RunUv = run_uv,
) -> Lock:
    """Read the lock at *path*, relative to *root*. Its name determines the format.

    *key* is the TOML key that names it, for messages. *groups* are the dependency groups for
    training, and *model_group* is the one with the model's requirements, if any. The *project*
    itself is left out.
    """
    of_uv = uv_project(root)
    if _carried_digest(path, of_uv) is None:
        file = _find_lock(path, of_uv, key=key, groups=groups)
    coverage = runtime = None
    if path.name == "uv.lock":
        texts = uv_exports(path, of_uv, groups, run)
        exports = [read_pylock(str(path), (root / path).parent, text) for text in texts]
        coverage, runtime = exports[0].coverage, exports[0].packages()
        packages = exports[-1].packages()
    elif is_pylock(path):
        content = read_pylock(str(path), file.parent, _text(file, path))
        coverage, packages = content.coverage, content.packages([model_group, *groups])
        runtime = content.packages([model_group]) if content.tells_groups else None
    else:
        packages = read_requirements(str(path), _text(file, path))
    return Lock(
        path=str(path),
        renewal=_renewal(path, groups),
        packages=[package for package in packages if package.name != project],
        runtime=runtime and [package for package in runtime if package.name != project],
        coverage=coverage,
        overrides=of_uv.overrides,
    )


def _renewal(path: PurePosixPath, groups: Sequence[str]) -> str:
    """Return a command that writes the lock at *path* from the requirements and *groups*.

    Not `uv pip compile`, which requests the metadata of a wheel, and so the pins of the lock.
    """
    if path.name == "uv.lock":
        return "uv lock"
    layout = "pylock.toml" if is_pylock(path) else "requirements.txt"
    chosen = "".join(f" --group {group}" for group in groups)
    return (
        f"uv export --format {layout} --no-emit-project --no-default-groups{chosen} "
        f"--output-file {path}"
    )


def _text(file: Path, path: PurePosixPath) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise _malformed(str(path), "it is not encoded as UTF-8") from None


def _malformed(path: str, reason: str) -> HatchModelError:
    return HatchModelError(f"`{path}` cannot be read as a lock: {reason}. Write it again.")
