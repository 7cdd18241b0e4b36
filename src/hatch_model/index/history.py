"""The history of a model: its releases and their archives, as history.json holds them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version as installed_version
from pathlib import PurePosixPath
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_model.errors import HatchModelError
from hatch_model.predict import shown_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A wheel or an sdist in the index."""

    path: str
    """Relative to the index, with slashes."""
    sha256: str
    size: int
    """In bytes."""
    uploaded: str
    """When it was added, in UTC, as ISO 8601."""
    requires_python: str | None
    metadata_sha256: str | None
    """Of the file beside a wheel that has its METADATA (PEP 658)."""

    @property
    def filename(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_wheel(self) -> bool:
        return self.path.endswith(".whl")


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A version of a model."""

    version: str
    yanked: str | None
    """The reason (PEP 592); None if the release is not yanked."""
    archives: Sequence[Archive]
    """By file name."""
    summary: str
    model: Mapping[str, Any]
    """The facts about it, see :func:`hatch_model.cli.inspect.facts`, without the environment."""

    @property
    def is_preferred(self) -> bool:
        """Whether installers take it without being told to."""
        return self.yanked is None and not Version(self.version).is_prerelease

    @property
    def uploaded(self) -> str:
        """When its first archive was added."""
        return min(archive.uploaded for archive in self.archives)

    @property
    def size(self) -> int:
        """Of the first wheel, or else the sdist, in bytes."""
        return self.main.size

    @property
    def main(self) -> Archive:
        """The archive that the facts are about."""
        return next((each for each in self.archives if each.is_wheel), self.archives[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """A model and its releases, oldest version first."""

    name: str
    releases: Sequence[Release]

    @property
    def latest(self) -> Release | None:
        """The newest version that installers take, or else the newest; None without a release."""
        preferred = [each for each in self.releases if each.is_preferred]
        kept = [each for each in self.releases if each.yanked is None]
        return next((each[-1] for each in (preferred, kept, self.releases) if each), None)

    def find(self, version: str) -> Release | None:
        """Return the release of *version*, written in any way."""
        return next(
            (each for each in self.releases if Version(each.version) == Version(version)), None
        )

    def baseline(self, release: Release) -> Release | None:
        """Return what to compare *release* with: the last one before it that installers took."""
        before = self.releases[: self.releases.index(release)]
        return next((each for each in reversed(before) if each.is_preferred), None)

    def replaced(self, release: Release) -> History:
        """Return the history with *release* in place of its version, or added."""
        others = [each for each in self.releases if each.version != release.version]
        return replace(
            self,
            releases=sorted([*others, release], key=lambda each: Version(each.version)),
        )

    def without(self, version: str) -> History:
        return replace(self, releases=[each for each in self.releases if each.version != version])

    def as_json(self) -> bytes:
        content = {
            "schema_version": _SCHEMA_VERSION,
            "generator": {"name": "hatch-model", "version": installed_version("hatch-model")},
            "name": self.name,
            "releases": [
                # asdict() would copy all facts.
                {
                    "version": each.version,
                    "yanked": each.yanked,
                    "archives": [asdict(archive) for archive in each.archives],
                    "summary": each.summary,
                    "model": each.model,
                }
                for each in self.releases
            ],
        }
        return to_json(content)


def to_json(content: Mapping[str, Any]) -> bytes:
    """Serialize *content*: the generator comes before what can be long."""
    return f"{json.dumps(content, indent=1)}\n".encode()


def read_history(file: Path) -> History:
    """Read a history.json. Raises HatchModelError for one that this module did not write."""
    try:
        content = json.loads(file.read_bytes())
        if content["schema_version"] == _SCHEMA_VERSION:
            return _read(content, file.parent.name)
        reason = (
            f"its schema_version is {json.dumps(content['schema_version'])}, and this hatch-model "
            f"reads {_SCHEMA_VERSION}"
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise HatchModelError(
        f"`{file}` cannot be read: {reason}. Restore it, or delete it and run `hatch-model index "
        f"update`, which forgets when its versions were added and which are yanked."
    )


def _read(content: Mapping[str, Any], name: str) -> History:
    releases = [_read_release(each) for each in content["releases"]]
    if canonicalize_name(name, validate=True) != content["name"]:
        raise ValueError(content["name"])
    versions = [Version(each.version) for each in releases]
    if versions != sorted(set(versions)):
        raise ValueError("the versions are not in order")
    return History(name=content["name"], releases=releases)


def _read_release(content: Mapping[str, Any]) -> Release:
    """Read a release. Raises ValueError, KeyError or TypeError."""
    if str(Version(content["version"])) != content["version"]:
        raise ValueError(content["version"])
    archives = [_read_fields(Archive, each) for each in content["archives"]]
    for archive in archives:
        path = PurePosixPath(archive.path)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(archive.path)
    if not archives:
        raise ValueError(f"{content['version']} has no archives")
    for key, kind in _FACTS.items():
        if not isinstance(content["model"][key], (kind, NoneType)):
            raise TypeError(f"{key} is {content['model'][key]!r}")
    if content["model"].get("predict") is not None:  # which releases before did not write
        shown_signature(content["model"]["predict"])
    for metric, value in (content["model"]["metrics"] or {}).items():
        if not isinstance(value, (int, float)):
            raise TypeError(f"{metric} is {value!r}")
    return _read_fields(Release, {**content, "archives": archives})


# What pages take apart.
_FACTS = {
    **dict.fromkeys(("arguments", "metrics", "gates", "check", "python", "platform", "git"), dict),
    **dict.fromkeys(("inputs", "sources", "artifacts", "report", "requires"), list),
    **dict.fromkeys(("entry_point", "requires_python"), str),
}
_TYPES: Mapping[str, Any] = {"str": str, "int": int, "str | None": (str, NoneType)}
_T = TypeVar("_T", Archive, Release)


def _read_fields(kind: type[_T], content: Mapping[str, Any]) -> _T:
    """Make an Archive or a Release of *content*. Raises KeyError or TypeError."""
    for field in fields(kind):
        if not isinstance(content[field.name], _TYPES.get(str(field.type), object)):
            raise TypeError(f"{field.name} is {content[field.name]!r}")
    return kind(**content)
