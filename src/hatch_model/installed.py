"""Installed distributions, their origins and their files.

``importlib_metadata`` finds the distributions in the same way on all Pythons. Of each, only
METADATA's headers are parsed, and only requirements without an extra are parsed immediately: long
descriptions and hundreds of optional requirements would make this slow.
"""

from __future__ import annotations

import ast
import csv
import importlib
import json
import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import all_suffixes
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_model.errors import HARMLESS_USER, BrokenDistributionError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from importlib_metadata import Distribution as Source
    from packaging.utils import NormalizedName

_MODULE_SUFFIXES = tuple(all_suffixes())
_SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})


def parse_direct_url(text: str) -> dict[str, Any]:
    """Parse a ``direct_url.json``. Raises ValueError if it is not valid according to PEP 610."""
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
    """Remove user and password from *url*, except those that PEP 610 considers safe."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or HARMLESS_USER.fullmatch(user):
        return url
    return parts._replace(netloc=host).geturl()


def is_local(direct_url: Mapping[str, Any]) -> bool:
    """Return whether *direct_url* is only valid on this machine."""
    return urlsplit(str(direct_url["url"])).scheme == "file"


def describe(direct_url: Mapping[str, Any]) -> str:
    """Return how it was installed, in the words of a message: "from git at https://…"."""
    url = without_credentials(direct_url["url"])
    if "vcs_info" in direct_url:
        return f"from {direct_url['vcs_info']['vcs']} at {url}"
    if "dir_info" in direct_url:
        editable = direct_url["dir_info"].get("editable", False)
        return f"{'as editable' if editable else 'from a folder'} at {url}"
    return f"from the archive {url}"


def reference(direct_url: Mapping[str, Any]) -> str:
    """Return the URL of a PEP 508 direct reference that installs exactly the same file."""
    url = without_credentials(direct_url["url"])
    fragments = []
    hashes = archive_hashes(direct_url)
    if "vcs_info" in direct_url:
        vcs = direct_url["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif hashes:
        # Prefer sha256, which every installer supports, or else the last by name, usually the
        # longest.
        algorithm = "sha256" if "sha256" in hashes else max(hashes)
        fragments.append(f"{algorithm}={hashes[algorithm]}")
    if direct_url.get("subdirectory"):
        fragments.append(f"subdirectory={direct_url['subdirectory']}")
    return f"{url}#{'&'.join(fragments)}" if fragments else url


def archive_hashes(direct_url: Mapping[str, Any]) -> dict[str, str]:
    """Return an archive's digests by algorithm; ``hash`` is PEP 610's older key for one."""
    archive: Mapping[str, Any] = direct_url.get("archive_info", {})
    if archive.get("hashes"):
        return dict(archive["hashes"])
    algorithm, _, digest = archive.get("hash", "").partition("=")
    return {algorithm: digest} if digest else {}


# Parts of a marker with an extra that may apply without an extra.
_WIDENING = re.compile(r"\bor\b|!|\bnot\b")

# Includes continuation lines (RFC 822). Skips the licence, which is long.
_HEADER = re.compile(
    r"^(name|version|requires-python|requires-dist|provides-extra):(.*(?:\n[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)


class Environment(Protocol):
    """Installed distributions by normalized name."""

    def find(self, name: NormalizedName) -> Distribution | None: ...

    def __iter__(self) -> Iterator[Distribution]: ...


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """An installed distribution, as its own metadata describes it."""

    name: NormalizedName
    raw_version: str
    raw_requirements: tuple[str, ...] = ()
    extras: frozenset[NormalizedName] = frozenset()
    raw_requires_python: str = ""
    raw_direct_url: str = ""
    """``direct_url.json`` (PEP 610), empty if installed from an index."""
    location: str = ""
    """The folder that the paths in RECORD are relative to."""
    read_record: Callable[[], str] = str
    """Returns RECORD's text, empty if the installer wrote none: it is long and rarely needed."""

    def files(self) -> Iterator[str]:
        """Return the paths that RECORD lists, relative to the location."""
        return (row[0] for row in csv.reader(self.read_record().splitlines()) if row)

    @cached_property
    def version(self) -> Version:
        try:
            return Version(self.raw_version)
        except InvalidVersion:
            raise self._broken("Version", self.raw_version) from None

    @cached_property
    def requires_python(self) -> SpecifierSet:
        """The supported Pythons: any, if the specifier cannot be read.

        Older packages use specifiers such as ``>=3.6.*``, which installers accept.
        """
        try:
            return SpecifierSet(self.raw_requires_python)
        except InvalidSpecifier:
            return SpecifierSet()

    @cached_property
    def direct_url(self) -> dict[str, Any] | None:
        """The PEP 610 data of a distribution that was not installed from an index."""
        try:
            return parse_direct_url(self.raw_direct_url) if self.raw_direct_url else None
        except ValueError:
            # Its text may contain a password.
            raise self._broken("direct_url.json", "…") from None

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """Requirements that may apply without an extra."""
        return tuple(self._parse(raw) for raw in self.raw_requirements if not _needs_extra(raw))

    @cached_property
    def optional_requirements(self) -> tuple[Requirement, ...]:
        """Requirements that may apply with an extra."""
        return tuple(self._parse(raw) for raw in self.raw_requirements if _mentions_extra(raw))

    def _broken(self, header: str, value: str) -> BrokenDistributionError:
        return BrokenDistributionError(
            f"the installed {self.name} says `{header}: {value}`, which is not valid. Install "
            f"another release of it, or tell its maintainers."
        )

    def _parse(self, raw: str) -> Requirement:
        try:
            return Requirement(raw)
        except InvalidRequirement:
            raise self._broken("Requires-Dist", raw) from None


class InstalledEnvironment:
    """The distributions that an interpreter finds on its *path* (default: this interpreter's)."""

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._path = sys.path if path is None else list(path)
        self._found: dict[NormalizedName, Distribution | None] = {}
        # Packages may have been installed since this process last looked.
        importlib.invalidate_caches()

    def find(self, name: NormalizedName) -> Distribution | None:
        """Return the distribution called *name* that an import would use; None if there is none."""
        if name not in self._found:
            candidates = _distributions(name=name, path=self._path)
            self._found[name] = next(filter(None, map(_read, candidates)), None)
        return self._found[name]

    def __iter__(self) -> Iterator[Distribution]:
        """Yield every distribution, the first one found of each name."""
        for each in _distributions(path=self._path):
            distribution = _read(each)
            if distribution is not None and distribution.name not in self._found:
                self._found[distribution.name] = distribution
        return iter([each for each in self._found.values() if each is not None])


def _distributions(**context: Any) -> Iterable[Any]:
    # Imported where it is used: a build first asks for its requirements, which does not need it.
    import importlib_metadata  # noqa: PLC0415

    return importlib_metadata.distributions(**context)


def _read(source: Source) -> Distribution | None:
    """Read *source*; None for the remains of an interrupted uninstall."""
    text = source.read_text("METADATA")
    if text is None:
        return _read_egg(source)
    headers: dict[str, list[str]] = {}
    # The first empty line ends the headers. A line of spaces, as in folded licence texts, does not.
    for key, value in _HEADER.findall(text.partition("\n\n")[0]):
        headers.setdefault(key.lower(), []).append(value.replace("\n", "").strip())
    if "name" not in headers or "version" not in headers:
        return None
    return Distribution(
        name=canonicalize_name(headers["name"][0]),
        raw_version=headers["version"][0],
        raw_requirements=tuple(headers.get("requires-dist", ())),
        extras=frozenset(map(canonicalize_name, headers.get("provides-extra", ()))),
        raw_requires_python=headers.get("requires-python", [""])[0],
        raw_direct_url=source.read_text("direct_url.json") or "",
        location=str(source.locate_file("")),
        read_record=lambda: source.read_text("RECORD") or "",
    )


def _read_egg(source: Source) -> Distribution | None:
    """Read an ``egg-info``, as written by ``setup.py develop`` and Debian packages."""
    try:
        metadata = source.metadata
    except FileNotFoundError:  # newer versions of importlib_metadata raise this for None
        return None
    if metadata is None or "Name" not in metadata or "Version" not in metadata:
        return None
    return Distribution(
        name=canonicalize_name(metadata["Name"]),
        raw_version=metadata["Version"],
        raw_requirements=tuple(source.requires or ()),
        extras=frozenset(map(canonicalize_name, metadata.get_all("Provides-Extra", ()))),
        # Looking up a missing header is deprecated since Python 3.12.
        raw_requires_python="".join(metadata.get_all("Requires-Python", ())),
    )


def _mentions_extra(raw_requirement: str) -> bool:
    return "extra" in raw_requirement


def _needs_extra(raw_requirement: str) -> bool:
    """Return, without parsing, whether *raw_requirement* certainly needs an extra."""
    if "extra" not in raw_requirement or " @ " in raw_requirement:
        return False
    marker = raw_requirement.partition(";")[2]
    return "extra" in marker and _WIDENING.search(marker) is None


def imported_strangers(
    imported: Collection[str],
    environment: Environment,
    known: Collection[NormalizedName],
    names: Collection[str],
) -> list[NormalizedName]:
    """Return the distributions outside *known* that own one of the *imported* files, sorted.

    *imported* are absolute paths of modules. *names* are the top-level modules that count, because
    optional imports of libraries are not the project's concern. Ownership is read from RECORD, and
    for an editable install from its folder (PEP 610).
    """
    below: dict[str, frozenset[str]] = {}
    strangers = []
    for distribution in environment:
        if distribution.name in known:
            continue
        location = distribution.location
        if location not in below:
            below[location] = _relative(imported, location)
        owned = {*distribution.files()} & below[location]
        tops = {path.partition("/")[0].partition(".")[0] for path in owned}
        folder = editable_folder(distribution)
        if not tops.isdisjoint(names) or _holds_sources(folder, imported):
            strangers.append(distribution.name)
    return sorted(strangers)


# Top-level modules that some distributions ship by mistake, and that projects have of their own.
_INCIDENTAL = frozenset(
    [
        "benchmarks",
        "common",
        "config",
        "conftest",
        "core",
        "data",
        "doc",
        "docs",
        "example",
        "examples",
        "helpers",
        "lib",
        "main",
        "models",
        "scripts",
        "setup",
        "src",
        "test",
        "tests",
        "tools",
        "util",
        "utils",
    ]
)
# How a package is shared among distributions in the way of before PEP 420.
_NAMESPACE = re.compile(rb"pkgutil.*extend_path|declare_namespace")


def imported_copies(
    imported: Mapping[str, str], pinned: Iterable[Distribution]
) -> Iterator[tuple[Distribution, str, str]]:
    """Find modules of *pinned* distributions imported from elsewhere, such as vendored copies.

    *imported* are the absolute paths of top-level modules, by name. Yields the distribution, the
    module and its file.
    """
    pinned = list(pinned)
    locations = {os.path.realpath(each.location) for each in pinned if each.location}
    for module, file in sorted(imported.items()):
        folder, name = os.path.split(file)
        if name.startswith("__init__."):
            folder = os.path.dirname(folder)  # noqa: PTH120 - as it is spelled in sys.modules
        if module in _INCIDENTAL or os.path.realpath(folder) in locations or _is_namespace(file):
            continue
        for distribution in pinned:
            own = editable_folder(distribution)
            if not (own and _relative([file], own)) and module in _top_level(distribution, module):
                yield distribution, module, file


def _is_namespace(file: str) -> bool:
    try:
        return bool(_NAMESPACE.search(Path(file).read_bytes()))
    except OSError:
        return False


def _top_level(distribution: Distribution, module: str) -> set[str]:
    """Return the top-level modules of *distribution*; none if *module* is not among them."""
    if not distribution.location:
        return set()
    start = os.path.join(distribution.location, module)  # noqa: PTH118 - quick
    # RECORD may be long.
    if not any(os.path.exists(f"{start}{each}") for each in ("", *all_suffixes())):  # noqa: PTH110
        return set()
    files = (PurePosixPath(path) for path in distribution.files())
    return {
        path.parts[0].partition(".")[0] for path in files if path.name.endswith(_MODULE_SUFFIXES)
    }


def imported_names(files: Iterable[str]) -> set[str]:
    """Return the top-level modules that the Python *files* import, other than for type checkers."""
    names: set[str] = set()
    for file in files:
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        waiting: list[ast.AST] = [tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                waiting += node.orelse
            else:
                waiting += ast.iter_child_nodes(node)
            names.update(name.partition(".")[0] for name in _imported_by(node))
    return names


def _imported_by(node: ast.AST) -> list[str]:
    """Return the modules that *node* imports, except relative to its own."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(name), level=0):
            return [name]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ) if name and not name.startswith("."):
            return [name]
        case _:
            return []


def _relative(paths: Collection[str], folder: str) -> frozenset[str]:
    """Return those of *paths* that are below *folder*, relative to it and spelled as in RECORD."""
    start = folder.rstrip(os.sep) + os.sep
    return frozenset(
        path[len(start) :].replace(os.sep, "/") for path in paths if path.startswith(start)
    )


def is_site_folder(path: str) -> bool:
    """Return whether *path* is a site-packages folder; Debian uses another name."""
    return not _SITE_FOLDERS.isdisjoint(path.replace("\\", "/").split("/"))


def _holds_sources(folder: str, imported: Collection[str]) -> bool:
    """Return whether an editable install's *folder* contains one of *imported*.

    A virtual environment inside the folder does not count.
    """
    below = _relative(imported, folder) if folder else ()
    return any(not is_site_folder(path) for path in below)


def editable_folder(distribution: Distribution) -> str:
    """Return the folder that *distribution* is installed from as editable, or ""."""
    try:
        direct_url = distribution.direct_url or {}
    except BrokenDistributionError:
        return ""  # Only pinned distributions need valid metadata.
    if not direct_url.get("dir_info", {}).get("editable"):
        return ""
    # Imports all of HTTP and TLS, which no other part of a build needs.
    from urllib.request import url2pathname  # noqa: PLC0415

    return url2pathname(urlsplit(direct_url["url"]).path)
