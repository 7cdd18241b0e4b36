"""uv: the program, and what only uv knows of a project.

uv takes packages from places that other frontends do not know of (``tool.uv.sources``), overrides
what packages require, and shares one lock among the members of a workspace. A member's sdist is
without its workspace, so what that knows of the member travels in the file MEMBER_FILE:

``sources``, ``members``
    The names of the packages that uv takes from a folder by ``tool.uv.sources``, and of the other
    members of the workspace.
``overrides``
    The requirements that replace those of a package, by its name.
``lock``
    The digest of the workspace's ``uv.lock``: ``sha256`` and ``size`` in bytes; null if not used.
``exports``
    The packages that this lock holds for the member, as ``pylock.toml`` (PEP 751): without the
    groups for training, and with them.

https://docs.astral.sh/uv/concepts/projects/workspaces/
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from hatchling.metadata.utils import normalize_project_name

from hatch_model.errors import HatchModelError
from hatch_model.phase import is_unpacked_sdist

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName

    from hatch_model.digests import File
    from hatch_model.installed import Distribution
    from hatch_model.tables import Root

MEMBER_FILE = ".hatch-model.uv.json"


# The program


def find_uv() -> str | None:
    """Return the uv that runs this build (the variable ``UV``), or one on PATH, or None."""
    return shutil.which(os.environ.get("UV") or "uv")


# What would have uv use another project or environment than the one it is run in.
_ELSEWHERE = frozenset({"VIRTUAL_ENV", "UV_PROJECT", "UV_WORKING_DIR"})
# What would have it export something else than it is asked for.
_CHOICES = frozenset({"UV_DEV", "UV_NO_GROUP", "UV_NO_SOURCES", "UV_NO_SOURCES_PACKAGE"})


def variables_for_uv() -> dict[str, str]:
    """Return this process's environment without what would have uv work elsewhere."""
    return {key: value for key, value in os.environ.items() if key not in _ELSEWHERE}


class RunUv(Protocol):
    """Runs uv in a folder and returns its output; tests replace :func:`run_uv` with their own."""

    def __call__(self, arguments: Sequence[str], *, path: str, root: Path) -> str: ...


def run_uv(arguments: Sequence[str], *, path: str, root: Path) -> str:
    """Run uv with *arguments* in *root*, to read the lock at *path*. Raises HatchModelError."""
    import subprocess  # noqa: PLC0415 - only to read a lock

    uv = find_uv()
    if uv is None:
        raise HatchModelError(
            f"uv is required to read `{path}`, and is not on PATH. Install uv, or lock in a format "
            f"that does not need it: `uv export --format pylock.toml --no-emit-project "
            f"--output-file pylock.toml`, and name that file instead."
        )
    completed = subprocess.run(
        [uv, *arguments],
        cwd=root,
        env={key: each for key, each in variables_for_uv().items() if key not in _CHOICES},
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if completed.returncode != 0:
        raise HatchModelError(
            f"uv cannot export `{path}`. It says:\n{completed.stderr.strip()}\nRun `uv lock`, or "
            f"use the version of uv that wrote it."
        )
    return completed.stdout


# The project


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where uv takes a package from, if not from an index: an entry of ``tool.uv.sources``."""

    key: str
    """The TOML key, for messages."""
    table: Mapping[str, Any]
    base: Path
    """The folder that a path in the table is relative to."""
    folder: Path | None = None
    """For a member of the workspace: its folder, or None if there is none of that name."""
    is_declared: bool = True
    """Whether there is such an entry, or else it is only a member of the workspace."""

    @property
    def is_local(self) -> bool:
        """Whether it is a folder or file on this machine."""
        return "path" in self.table or "workspace" in self.table

    @property
    def path(self) -> Path | None:
        """Its folder or archive on this machine."""
        return (self.base / self.table["path"]).resolve() if "path" in self.table else self.folder

    @property
    def reference(self) -> str:
        """The URL of a direct reference (PEP 440); "" if there is none."""
        if self.is_local:
            return self.path.as_uri() if self.path and self.path.exists() else ""
        url = str(self.table.get("git") or self.table.get("url") or "")
        if "git" in self.table:
            revision = next(
                (self.table[k] for k in ("rev", "tag", "branch") if k in self.table), ""
            )
            url = f"git+{url}" + (f"@{revision}" if revision else "")
        subdirectory = self.table.get("subdirectory")
        return f"{url}#subdirectory={subdirectory}" if url and subdirectory else url


@dataclass(frozen=True, kw_only=True, slots=True)
class UvProject:
    """A project with what uv reads from its ``pyproject.toml`` and from its workspace's."""

    root: Path
    workspace: Path | None = None
    """The root of the workspace that the project is in, if it is in one."""
    sources: Mapping[NormalizedName, Source] = field(default_factory=dict)
    """Of the packages that uv takes here from elsewhere than an index."""
    overrides: Mapping[NormalizedName, Sequence[str]] = field(default_factory=dict)
    """What replaces each requirement of a package, by ``tool.uv.override-dependencies``."""
    carried: Mapping[str, Any] | None = None
    """The content of MEMBER_FILE, for the sdist of a workspace member."""

    @property
    def is_member(self) -> bool:
        """Whether it is in a workspace, or is the sdist of a project that is."""
        return self.workspace is not None or self.carried is not None

    @property
    def lock(self) -> Path:
        """Where uv keeps the lock of this project."""
        return (self.workspace or self.root) / "uv.lock"

    @property
    def local_names(self) -> set[NormalizedName]:
        """The packages that are to come from a folder or file, and never from an index."""
        return {name for name, source in self.sources.items() if source.is_local}

    def by_name(self, roots: Iterable[Root]) -> dict[NormalizedName, str]:
        """Return how uv is asked for each local package, with the extras in *roots*.

        It is empty for a member of the workspace that is no source of this project: uv only accepts
        it as what another package requires.
        """
        extras: dict[NormalizedName, set[str]] = {}
        for requirement in (root.requirement for root in roots):
            extras.setdefault(_normalized(requirement.name), set()).update(requirement.extras)
        return {
            name: f"{name}{_bracketed(extras.get(name, ()))}"
            if self.sources[name].is_declared
            else ""
            for name in self.local_names
        }

    def with_addresses(self, roots: Iterable[Root]) -> list[str]:
        """Return what *roots* require, for installers that know nothing of ``tool.uv.sources``.

        They would take a package of that name from an index, where it may be somebody else's.
        Raises HatchModelError for what cannot be had here.
        """
        if not self.sources:
            return [root.text for root in roots]
        lines: dict[str, None] = {}
        for root in roots:
            _add_address(root.requirement, self, lines)
        return [*lines]


def _add_address(requirement: Requirement, project: UvProject, lines: dict[str, None]) -> None:
    """Add *requirement* of *project* to *lines*, with its address, and what its folder requires."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - only for sources

    source = project.sources.get(_normalized(requirement.name))
    if source is None or requirement.url:
        lines[str(requirement)] = None
        return
    if not source.reference:
        raise HatchModelError(_not_here(requirement.name, source, project))
    name = f"{requirement.name}{_bracketed(requirement.extras)}"
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    line = str(Requirement(f"{name} @ {source.reference}{marker}"))
    folder = source.path if source.is_local else None
    if line in lines:
        return
    lines[line] = None
    if folder is not None and folder.is_dir():
        sibling = uv_project(folder)
        for each in _requirements(sibling, requirement.extras):
            if _normalized(each.name) in sibling.sources:
                _add_address(each, sibling, lines)


def _bracketed(extras: Iterable[str]) -> str:
    return f"[{','.join(sorted(extras))}]" if extras else ""


def _not_here(name: str, source: Source, project: UvProject) -> str:
    if is_unpacked_sdist(project.root):
        return (
            f"this source distribution does not contain {name}, which {source.key} takes from the "
            f"source tree. Build the wheel from the source tree, as with `python -m build "
            f"--wheel`, or with uv."
        )
    return f"{source.key}: the folder or file does not exist."


def _requirements(project: UvProject, extras: Iterable[str]) -> list[Requirement]:
    """Return what *project*, with *extras*, requires: if that is dynamic, whatever has a source."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - only for sources

    table = _tables(project.root).get("project", {})
    optional = table.get("optional-dependencies", {})
    lines = _strings(table.get("dependencies"))
    for extra, required in optional.items() if isinstance(optional, dict) else ():
        if _normalized(extra) in {*map(_normalized, extras)}:
            lines += _strings(required)
    if "dependencies" in _strings(table.get("dynamic")):
        lines += [
            name
            for name, source in project.sources.items()
            if source.is_declared and source.reference
        ]
    found = []
    for line in lines:
        with suppress(InvalidRequirement):  # Whoever installs it will say so.
            found.append(Requirement(line))
    return found


def check_origins(project: UvProject, distributions: Iterable[Distribution]) -> None:
    """Check that none of the *distributions* is from an index although it is to come from a folder.

    uv ignores ``tool.uv.sources`` for an sdist that it is given as a file, with `--no-sources`, and
    for entries with a group. Somebody else's package of that name would train the model.
    """
    if os.environ.get("UV_NO_SOURCES"):
        return  # This is what was asked for.
    for distribution in distributions:
        if distribution.name in project.local_names and distribution.direct_url is None:
            raise HatchModelError(
                f"{distribution.name} {distribution.raw_version} was installed from an index, but "
                f"{project.sources[distribution.name].key} takes it from the source tree, and a "
                f"package of that name on an index may be someone else's. Build the wheel from the "
                f"source tree. If the index is meant, set the variable UV_NO_SOURCES=1."
            )


@lru_cache
def uv_project(root: Path) -> UvProject:
    """Read what uv knows of the project at *root*."""
    carried, own = _read_carried(root), uv_table(root)
    workspace = _workspace_of(root)
    settings = uv_table(workspace) if workspace else own
    members = {_name(each): each for each in (_members(workspace, settings) if workspace else [])}
    for name in (_name(root), _normalized("")):  # a root need not be a project
        members.pop(name, None)
    beside = dict.fromkeys([*members, *(carried["members"] if carried else ())])
    sources = {
        name: Source(
            key="tool.uv.workspace",
            table=_MEMBER,
            base=root,
            folder=members.get(name),
            is_declared=False,
        )
        for name in beside
    }
    above: object = settings.get("sources") if workspace else None
    if carried is not None:
        above = dict.fromkeys(carried["sources"], _MEMBER)
    sources.update(_sources(above, workspace or root, members))
    sources.update(_sources(own.get("sources"), root, members))
    return UvProject(
        root=root,
        workspace=workspace,
        sources={name: source for name, source in sources.items() if "index" not in source.table},
        overrides=carried["overrides"] if carried else _overrides(settings),
        carried=carried,
    )


_MEMBER = {"workspace": True}


def _sources(
    content: object, base: Path, members: Mapping[NormalizedName, Path]
) -> Iterator[tuple[NormalizedName, Source]]:
    for name, entries in content.items() if isinstance(content, dict) else ():
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, dict) and _holds(entry.get("marker")):
                yield (
                    _normalized(name),
                    Source(
                        key=f"tool.uv.sources.{name}",
                        table=entry,
                        base=base,
                        folder=members.get(_normalized(name)),
                    ),
                )
                break


def _holds(marker: object) -> bool:
    if marker is None:
        return True
    from packaging.markers import InvalidMarker, Marker  # noqa: PLC0415 - as above

    try:
        return Marker(str(marker)).evaluate()
    except InvalidMarker:
        return True  # uv says that it is not valid.


def _overrides(settings: Mapping[str, Any]) -> dict[NormalizedName, list[str]]:
    excluded = _strings(settings.get("exclude-dependencies"))
    lines = [
        *_strings(settings.get("override-dependencies")),
        *(f"{name}; python_version < '0'" for name in excluded),
    ]
    found: dict[NormalizedName, list[str]] = {}
    if not lines:
        return found
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - as above

    for line in lines:
        with suppress(InvalidRequirement):  # uv refuses it.
            found.setdefault(_normalized(Requirement(line).name), []).append(line)
    return found


def _workspace_of(root: Path) -> Path | None:
    """Return the root of the workspace that has *root* as a member."""
    root = root.resolve()
    # What is around an unpacked sdist is not its workspace, which may be in it.
    for folder in [root] if is_unpacked_sdist(root) else [root, *root.parents]:
        settings = uv_table(folder)
        if "workspace" in settings:
            return folder if root in _members(folder, settings) else None
    return None


def _members(workspace: Path, settings: Mapping[str, Any]) -> list[Path]:
    table = settings["workspace"] if isinstance(settings["workspace"], dict) else {}
    excluded = {*_matches(workspace, table.get("exclude"))} - {workspace}
    return sorted({workspace, *_matches(workspace, table.get("members"))} - excluded)


def _matches(folder: Path, patterns: object) -> Iterator[Path]:
    for pattern in _strings(patterns):
        # "." has no parts. uv says what else is not valid.
        with suppress(ValueError, NotImplementedError, IndexError):
            yield from (path.resolve() for path in folder.glob(pattern.rstrip("/")))


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _name(folder: Path) -> NormalizedName:
    return _normalized(str(_tables(folder).get("project", {}).get("name", "")))


def _normalized(name: str) -> NormalizedName:
    return cast("NormalizedName", normalize_project_name(name))


def uv_table(folder: Path) -> Mapping[str, Any]:
    """Return the table ``tool.uv`` of the project in *folder*; empty if there is none."""
    tool = _tables(folder).get("tool")
    table = tool.get("uv") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else {}


def _tables(folder: Path) -> Mapping[str, Any]:
    """Return the content of the pyproject.toml in *folder*; empty if unreadable."""
    try:
        content = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, dict)}


# The sdist of a member


def _read_carried(root: Path) -> Mapping[str, Any] | None:
    file = root / MEMBER_FILE
    if not file.is_file() or not is_unpacked_sdist(root):
        return None
    try:
        content = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        content = None
    match content:
        case {
            "sources": list(sources),
            "members": list(members),
            "overrides": dict(overrides),
            "lock": None | {"sha256": str(), "size": int()} as lock,
            "exports": list(exports),
        } if (
            all(isinstance(each, str) for each in (*sources, *members, *exports))
            and all(
                isinstance(each, list) and each == _strings(each) for each in overrides.values()
            )
            and bool(exports) == (lock is not None)
        ):
            return dict(content)
    raise HatchModelError(
        f"{MEMBER_FILE} is not what hatch-model writes. Unpack this source distribution again."
    )


def member_content(project: UvProject, lock: File | None, exports: Sequence[str]) -> bytes:
    """Return the content of MEMBER_FILE for *project*; *exports* are of its *lock*."""
    content = {
        "sources": sorted(
            name for name in project.local_names if project.sources[name].is_declared
        ),
        "members": sorted(
            name for name in project.local_names if not project.sources[name].is_declared
        ),
        "overrides": {name: [*lines] for name, lines in project.overrides.items()},
        "lock": {"sha256": lock.sha256, "size": lock.size} if lock else None,
        "exports": [*exports],
    }
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
