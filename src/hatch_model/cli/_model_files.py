"""A model in any of its three forms: a wheel, an sdist or an installation. Nothing is imported."""

from __future__ import annotations

import csv
import io
import json
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from email.parser import Parser
from importlib.metadata import distributions
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name

from hatch_model._record import FILE
from hatch_model.errors import ModelNotFoundError, UnreadableModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from email.message import Message

# METADATA and model.json are read whole; more than this is no metadata.
_MOST_METADATA = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """A model's metadata, and how to read its files. Paths are those of the wheel's RECORD."""

    kind: Literal["wheel", "sdist", "installed"]
    origin: str
    """What the user named."""
    metadata: Message
    record: Mapping[str, Any] | None
    """``model.json``; None for what hatch-model did not build."""
    tags: Sequence[str] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    """In bytes, of every file there is, whether RECORD lists it or not."""
    packed: Mapping[str, int] = field(default_factory=dict)
    """In bytes, what a wheel's files take up in it."""
    listed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """RECORD: each path's ``algorithm=digest`` and size, both "" where it gives none."""
    open: Callable[[str], IO[bytes]] = field(repr=False)
    folder: Path | None = None
    """Where it is installed."""

    @property
    def name(self) -> str:
        return str(self.metadata["Name"])

    @property
    def version(self) -> str:
        return str(self.metadata["Version"])

    @property
    def requires(self) -> list[str]:
        return [str(line) for line in self.metadata.get_all("Requires-Dist", [])]


def open_model(origin: str, path: Sequence[str] | None = None) -> ModelFiles:
    """Open the wheel or sdist at *origin*, or else what is installed on *path* under that name.

    Raises ModelNotFoundError and UnreadableModelError.
    """
    file = Path(origin)
    try:
        if file.suffix == ".whl" or (file.is_file() and zipfile.is_zipfile(file)):
            return _open_wheel(file)
        if file.is_file():
            return _open_sdist(file)
    except FileNotFoundError:
        raise ModelNotFoundError(origin) from None
    except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UnreadableModelError(origin, str(error) or type(error).__name__) from None
    return _open_installed(origin, path)


def _open_wheel(file: Path) -> ModelFiles:
    archive = zipfile.ZipFile(file)
    entries = [info for info in archive.infolist() if not info.is_dir()]
    sizes = {info.filename: info.file_size for info in entries}
    (info,) = {name.partition("/")[0] for name in sizes if name.endswith(".dist-info/METADATA")}
    record = f"{info}/extra_metadata/{FILE}"

    def read(path: str) -> str:
        if sizes.get(path, 0) > _MOST_METADATA:
            raise UnreadableModelError(str(file), f"{path} is too large to be metadata")
        return archive.read(path).decode()

    return ModelFiles(
        kind="wheel",
        origin=str(file),
        metadata=Parser().parsestr(read(f"{info}/METADATA")),
        record=json.loads(read(record)) if record in sizes else None,
        tags=Parser().parsestr(read(f"{info}/WHEEL")).get_all("Tag", []),
        sizes=sizes,
        packed={info.filename: info.compress_size for info in entries},
        listed=_listed(read(f"{info}/RECORD") if f"{info}/RECORD" in sizes else ""),
        open=archive.open,
    )


def _open_sdist(file: Path) -> ModelFiles:
    archive = tarfile.open(file)  # noqa: SIM115 - open as long as its files may be read
    sizes = {info.name: info.size for info in archive.getmembers() if info.isfile()}
    (pkg_info,) = (name for name in sizes if name.count("/") == 1 and name.endswith("/PKG-INFO"))

    def open_member(path: str) -> IO[bytes]:
        stream = archive.extractfile(path)
        if stream is None:
            raise KeyError(path)
        return stream

    return ModelFiles(
        kind="sdist",
        origin=str(file),
        metadata=Parser().parsestr(open_member(pkg_info).read(_MOST_METADATA).decode()),
        record=None,
        sizes=sizes,
        open=open_member,
    )


def _open_installed(name: str, path: Sequence[str] | None) -> ModelFiles:
    search = list(sys.path if path is None else path)
    found = next(iter(distributions(name=canonicalize_name(name), path=search)), None)
    metadata = found.read_text("METADATA") if found is not None else None
    if found is None or metadata is None:
        raise ModelNotFoundError(name)
    folder = Path(str(found.locate_file("")))
    record = found.read_text(f"extra_metadata/{FILE}")
    listed = _listed(found.read_text("RECORD") or "")
    return ModelFiles(
        kind="installed",
        origin=name,
        metadata=Parser().parsestr(metadata),
        record=json.loads(record) if record else None,
        tags=Parser().parsestr(found.read_text("WHEEL") or "").get_all("Tag", []),
        sizes=_sizes(folder, listed),
        listed=listed,
        open=lambda path: (folder / path).open("rb"),
        folder=folder,
    )


def _sizes(folder: Path, listed: Mapping[str, object]) -> dict[str, int]:
    """Find the installed files: those that are listed, and what lies beside them in packages."""
    packages = {
        Path(path).parts[0] for path in listed if len(Path(path).parts) > 1 and path[0] not in "./"
    }
    there = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for package in packages
        # A package that shares its folder with other distributions has files of theirs in it.
        if f"{package}/__init__.py" in listed
        for file in (folder / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    for path in listed:
        if path not in there and (folder / path).is_file():
            there[path] = (folder / path).stat().st_size
    return there


def _listed(record: str) -> dict[str, tuple[str, str]]:
    rows = csv.reader(io.StringIO(record))
    return {row[0]: (row[1], row[2]) for row in rows if len(row) > 2}  # noqa: PLR2004 - RECORD's
