"""uv: the program, and what only uv knows of a project.

uv takes packages from places that other frontends do not know of (``tool.uv.sources``), overrides what
packages require, and shares one lock among the members of a workspace. A member's sdist is without
its workspace, so what that knows of the member travels in the file MEMBER_FILE:

``sources``
    The names of the packages that uv takes from a folder.
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
    from hatch_model.tables import Root

MEMBER_FILE = ".hatch-model.uv.json"


# The program


def find_uv() -> str | None:
    """Return the uv that runs this build, from the variable ``UV``, or else one on PATH, or None."""
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
            f"uv is required to read `{path}`, and is not on PATH. Install uv, or lock in a format that "
            f"does not need it: `uv export --format pylock.toml --no-emit-project --output-file pylock.toml`, "
            f"and name that file instead."
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
            f"uv cannot export `{path}`. It says:\n{completed.stderr.strip()}\nRun `uv lock`, or use the "
            f"version of uv that wrote it."
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

    @property
    def is_local(self) -> bool:
        """Whether it lies in a folder or file beside the project, which is in no sdist."""
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
        """The packages that uv takes from a folder or file beside the project."""
        return {name for name, source in self.sources.items() if source.is_local}

    def with_addresses(self, roots: Iterable[Root]) -> Iterator[str]:
        """Yield what *roots* require, for installers that know nothing of ``tool.uv.sources``.

        They would take a package of that name from an index, where it may be somebody else's.
        Raises HatchModelError for what cannot be had here.
        """
        done: set[str] = set()
        for root in roots:
            if self.sources:
                yield from self._with_address(root.requirement, done)
            else:
                yield root.text

    def _with_address(self, requirement: Requirement, done: set[str]) -> Iterator[str]:
        from packaging.requirements import Requirement  # noqa: PLC0415 - only for sources

        name = _normalized(requirement.name)
        source = self.sources.get(name)
        if source is None or requirement.url:
            yield str(requirement)
            return
        if not source.reference:
            raise HatchModelError(
                _not_here(requirement.name, source, is_sdist=_is_sdist(self.root))
            )
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        line = str(Requirement(f"{requirement.name}{extras} @ {source.reference}{marker}"))
        if line in done:
            return
        done.add(line)
        yield line
        folder = source.path if source.is_local else None
        if folder is not None and folder.is_dir():
            sibling = uv_project(folder)
            for each in _requirements(folder, sibling.sources):
                if _normalized(each.name) in sibling.local_names:
                    yield from sibling._with_address(each, done)  # noqa: SLF001 - of the same class


def _not_here(name: str, source: Source, *, is_sdist: bool) -> str:
    if is_sdist:
        return (
            f"{name} lies beside the project in its source tree ({source.key}), and is not in this source "
            f"distribution. Build the wheel from the source tree, as with `python -m build --wheel`, or "
            f"with uv; or have {name} come from an index."
        )
    return f"{source.key}: there is no such folder or file to take {name} from."


def _requirements(folder: Path, sources: Iterable[str]) -> list[Requirement]:
    """Return what the project in *folder* requires; if that is dynamic, all of its *sources*."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - as above

    project = _tables(folder).get("project", {})
    declared = project.get("dependencies") if isinstance(project, dict) else None
    lines = sources if declared is None else [each for each in declared if isinstance(each, str)]
    found = []
    for line in lines:
        try:
            found.append(Requirement(line))
        except InvalidRequirement:
            continue  # Whoever installs it will say so.
    return found


@lru_cache
def uv_project(root: Path) -> UvProject:
    """Read what uv knows of the project at *root*."""
    carried, own = _read_carried(root), uv_table(root)
    workspace = None if _is_sdist(root) else _workspace_of(root)
    settings = uv_table(workspace) if workspace else own
    sources: dict[NormalizedName, Source] = {}
    if carried is not None:
        above = {name: {"workspace": True} for name in carried["sources"]}
        sources.update(_sources(above, root, {}))
    if workspace is not None:
        members = {_name(folder): folder for folder in _members(workspace, settings)}
        sources.update(_sources(settings.get("sources"), workspace, members))
        sources.update(_sources(own.get("sources"), root, members))
    else:
        sources.update(_sources(own.get("sources"), root, {}))
    return UvProject(
        root=root,
        workspace=workspace,
        sources={name: source for name, source in sources.items() if "index" not in source.table},
        overrides=carried["overrides"] if carried else _overrides(settings),
        carried=carried,
    )


def _sources(
    content: object, base: Path, members: Mapping[str, Path]
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
    for folder in (root, *root.parents):
        settings = uv_table(folder)
        if "workspace" in settings:
            return folder if folder == root or root in _members(folder, settings) else None
    return None


def _members(workspace: Path, settings: Mapping[str, Any]) -> set[Path]:
    table = settings["workspace"] if isinstance(settings["workspace"], dict) else {}
    excluded = set(_matches(workspace, table.get("exclude")))
    members = {workspace, *_matches(workspace, table.get("members"))} - excluded
    return {folder for folder in members if (folder / "pyproject.toml").is_file()}


def _matches(folder: Path, patterns: object) -> Iterator[Path]:
    for pattern in _strings(patterns):
        with suppress(ValueError, NotImplementedError):  # uv says that it is not valid.
            yield from folder.glob(pattern.removeprefix("./").rstrip("/"))


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _name(folder: Path) -> str:
    project = _tables(folder).get("project")
    return _normalized(str(project.get("name", ""))) if isinstance(project, dict) else ""


def _normalized(name: str) -> NormalizedName:
    return cast("NormalizedName", normalize_project_name(name))


def uv_table(folder: Path) -> Mapping[str, Any]:
    """Return the table ``tool.uv`` of the project in *folder*; empty if there is none."""
    tool = _tables(folder).get("tool")
    table = tool.get("uv") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else {}


def _tables(folder: Path) -> Mapping[str, Any]:
    """Return the content of the pyproject.toml in *folder*; empty if there is none that can be read."""
    try:
        return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _is_sdist(root: Path) -> bool:
    return (root / "PKG-INFO").is_file()


# The sdist of a member


def _read_carried(root: Path) -> Mapping[str, Any] | None:
    file = root / MEMBER_FILE
    if not file.is_file() or not _is_sdist(root):
        return None
    try:
        content = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        content = None
    match content:
        case {
            "sources": list(sources),
            "overrides": dict(),
            "lock": None | {"sha256": str(), "size": int()},
            "exports": list(exports),
        } if all(isinstance(each, str) for each in (*sources, *exports)):
            return dict(content)
    raise HatchModelError(
        f"{MEMBER_FILE} is not what hatch-model writes. Unpack this source distribution again."
    )


def member_content(project: UvProject, lock: File | None, exports: Sequence[str]) -> bytes:
    """Return the content of MEMBER_FILE for *project*; *exports* are of its *lock*."""
    content = {
        "sources": sorted(project.local_names),
        "overrides": {name: [*lines] for name, lines in project.overrides.items()},
        "lock": {"sha256": lock.sha256, "size": lock.size} if lock else None,
        "exports": [*exports],
    }
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
