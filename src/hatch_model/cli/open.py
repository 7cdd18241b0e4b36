"""Open a model: a wheel, an sdist or an installation. Nothing is imported."""

from __future__ import annotations

import csv
import io
import json
import lzma
import math
import sys
import tarfile
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from email.parser import Parser
from functools import cache, partial
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from struct import error as StructError  # noqa: N812 - its name says nothing
from typing import IO, TYPE_CHECKING, Any, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import hatch_model
from hatch_model.cli.zip_format import odd_layout, read_end
from hatch_model.errors import HatchModelError, printable
from hatch_model.log import human_size
from hatch_model.project import CARRIED_FILE
from hatch_model.record import (
    RECORD_FILE,
    REPORT_FOLDER,
    SCHEMA_VERSION,
    name_in_report,
    read_json,
)
from hatch_model.sdist import CARRIED_REPORT, read_carried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from email.message import Message
    from importlib.metadata import Distribution

    from typing_extensions import Self

METADATA = ".dist-info/METADATA"
_SCHEMA = Path(hatch_model.__file__).parent / "model.schema.json"
_LONGEST_REASON = 200  # characters


@dataclass(frozen=True, slots=True)
class _Limit:
    """How large a part of an archive may be, so that reading it is quick."""

    size: int
    """In bytes."""
    count: int = 1
    unit: str = ""
    marks: str = ""
    """Characters, one of which begins or ends each unit: they can be counted before parsing."""


# Each has room for wheels that are several times larger than any that an index has.
_METADATA_LIMIT = _Limit(4 << 20, 100_000, "lines", "\n")
_RECORD_LIMIT = _Limit(32 << 20, 1_000_000, "values", ",:[{")
_LIMITS = {
    "METADATA": _METADATA_LIMIT,
    "PKG-INFO": _METADATA_LIMIT,
    "WHEEL": _Limit(64 << 10, 1_000, "lines", "\n"),
    "RECORD": _Limit(32 << 20, 250_000, "lines", "\n"),
    "model.json": _RECORD_LIMIT,
    CARRIED_FILE: _RECORD_LIMIT,
    "its list of files": _Limit(32 << 20, 250_000, "entries"),
    "the header of a file": _Limit(1 << 20),
    "its list of tags": _Limit(64 << 10, 1_000, "entries"),
    "its list of pins": _Limit(4 << 20, 10_000, "entries"),
}


def check_limit(path: str, size: int, count: int = 1) -> None:
    """Raise ValueError if what is at *path* in an archive is too large to be what its name says."""
    limit = _LIMITS[PurePosixPath(path).name]
    if size > limit.size:
        raise ValueError(f"{path} is larger than {human_size(limit.size)}")
    if count > limit.count:
        raise ValueError(f"{path} has more than {limit.count} {limit.unit}")


def _within_limit(path: str, text: str) -> str:
    marks = _LIMITS[PurePosixPath(path).name].marks
    check_limit(path, len(text), sum(map(text.count, marks)))
    return text


# The limits for zip bombs of package indexes: the minimum size, and the minimum compression ratio.
_BOMB_SIZE, _BOMB_RATIO = 64 << 20, 50

DAMAGE = (
    *(OSError, EOFError, LookupError, ValueError, RuntimeError, csv.Error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError, StructError),
)
"""The errors that reading a damaged file may raise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """A model's metadata, and a way to read its files. Paths are those of the wheel's RECORD."""

    kind: Literal["wheel", "sdist", "installed"]
    origin: str
    """What the user named."""
    metadata: Message
    record: Mapping[str, Any] | None = None
    """``model.json``; None if hatch-model did not build it. For an sdist, maybe only the commit."""
    record_path: str = ""
    record_fault: str = ""
    """Why ``model.json`` exists but cannot be used."""
    tags: Sequence[str] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    """In bytes, of all files, whether or not RECORD lists them."""
    entries: Sequence[zipfile.ZipInfo] = ()
    """The entries of a wheel, unchanged."""
    odd_layout: Callable[[], Iterable[str]] = field(repr=False, default=tuple)
    """List what is ambiguous in the layout of a wheel, as sentences."""
    packed_size: int | None = None
    """In bytes, of the archive."""
    listed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """RECORD: each path's ``algorithm=digest`` and size, both "" if missing."""
    report_folder: str = ""
    """Where the files of the report are."""
    open: Callable[[str], IO[bytes]] = field(repr=False)
    close: Callable[[], None] = field(repr=False, default=lambda: None)
    """Close the archive, which Windows could not remove before."""

    def __post_init__(self) -> None:
        for header in ("Name", "Version"):
            if not self.metadata[header]:
                raise ValueError(f"its metadata has no {header}")

    @property
    def name(self) -> str:
        return str(self.metadata["Name"])

    @property
    def version(self) -> str:
        return str(self.metadata["Version"])

    @property
    def requires(self) -> list[str]:
        return [str(line) for line in self.metadata.get_all("Requires-Dist", [])]

    @property
    def report(self) -> dict[str, str]:
        """The recorded files of the report by their paths in it: the paths to open them at."""
        recorded = (self.record or {}).get("report", [])
        names = [name_in_report(each["path"]) for each in recorded]
        places = {
            name: f"{self.report_folder}/{name}"
            for name in names
            if ".." not in PurePosixPath(name).parts
        }
        return {name: path for name, path in places.items() if path in self.sizes}

    @property
    def is_bomb(self) -> bool:
        """Whether it would unpack to far more than its packed size."""
        return self.packed_size is not None and unpacks_to_a_bomb(
            sum(self.sizes.values()), self.packed_size
        )


def unpacks_to_a_bomb(size: int, packed: int) -> bool:
    return size > _BOMB_SIZE and size > _BOMB_RATIO * packed


def read_record(text: str) -> Mapping[str, Any]:
    """Parse a record; raises ValueError with a message if model.schema.json does not allow it."""
    return _checked(read_json(_within_limit("model.json", text)))


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow to import, and rarely needed

    return Draft202012Validator(json.loads(_SCHEMA.read_text("utf-8")))


def _checked(record: Any) -> Mapping[str, Any]:
    if isinstance(record, dict) and record.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"its schema_version is {json.dumps(record.get('schema_version'))}, and this "
            f"hatch-model reads {SCHEMA_VERSION}"
        )
    if isinstance(record, dict) and isinstance(record.get("pins"), list):
        check_limit("its list of pins", 0, len(record["pins"]))
    for error in _validator().iter_errors(record):
        if error.validator == "additionalProperties":
            continue  # A later release may add keys.
        where = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in error.path)
        raise ValueError(f"{where.lstrip('.') or 'it'}: {error.message[:_LONGEST_REASON]}")
    for line in record["pins"]:
        try:
            Requirement(line)
        except (InvalidRequirement, RecursionError):
            raise ValueError(f"pins: `{line[:_LONGEST_REASON]}` is not a requirement") from None
    return dict(record)


def read_model_json(text: str | None) -> tuple[Mapping[str, Any] | None, str]:
    """Return the record, or else what is wrong with it."""
    try:
        return (None, "") if text is None else (read_record(text), "")
    except ValueError as error:
        return None, str(error)


def tags_of(wheel: str) -> list[str]:
    """Return the tags in the text of WHEEL. Raises ValueError for more than any wheel has."""
    found = Parser().parsestr(_within_limit("WHEEL", wheel)).get_all("Tag", [])
    tags = [str(tag) for tag in found]
    # "py2.py3-none-any" stands for two.
    counts = [math.prod(part.count(".") + 1 for part in tag.split("-")) for tag in tags]
    check_limit("its list of tags", 0, sum(counts))
    return tags


def listed_in(record: str) -> dict[str, tuple[str, str]]:
    rows = csv.reader(io.StringIO(_within_limit("RECORD", record)))
    return {row[0]: (row[1], row[2]) for row in rows if len(row) > 2}  # noqa: PLR2004 - RECORD's


def open_installed(name: str, path: Sequence[str]) -> ModelFiles:
    """Open what is installed on *path* as *name*; raises HatchModelError."""
    found, metadata = _find(name, path)
    folder = Path(str(found.locate_file("")))
    listed = listed_in(found.read_text("RECORD") or "")
    info = next((name.partition("/")[0] for name in listed if name.endswith(METADATA)), "")
    record, fault = read_model_json(found.read_text(RECORD_FILE))
    return ModelFiles(
        kind="installed",
        origin=name,
        metadata=Parser().parsestr(_within_limit("METADATA", metadata)),
        record=record,
        record_path=f"{info}/{RECORD_FILE}",
        record_fault=fault,
        tags=tags_of(found.read_text("WHEEL") or ""),
        sizes=_sizes(folder, info, listed),
        listed=listed,
        report_folder=f"{info}/{REPORT_FOLDER}",
        open=lambda path: (folder / path).open("rb"),
    )


def _find(name: str, path: Sequence[str]) -> tuple[Distribution, str]:
    """Return the distribution that an import would use, and its METADATA."""
    # An empty name would find everything.
    for found in distributions(name=canonicalize_name(name), path=list(path)) if name else ():
        metadata = found.read_text("METADATA")
        # An interrupted uninstall leaves folders without it.
        if metadata is not None:
            return found, metadata
    raise _not_found(name)


def _sizes(folder: Path, info: str, listed: Mapping[str, object]) -> dict[str, int]:
    """Find the installed files: those that are listed, and others next to them in packages.

    Folders without an ``__init__.py`` may be shared with other distributions, whose files are
    there.
    """
    packages = {PurePosixPath(path).parent for path in listed if path.endswith("/__init__.py")}
    own = [each for each in packages if not packages.intersection(each.parents)]
    beside = {
        file.relative_to(folder).as_posix()
        for each in [*own, *([PurePosixPath(info)] if info else [])]
        for file in (folder / each).rglob("*")
        if "__pycache__" not in file.relative_to(folder).parts
    }
    if not beside <= listed.keys():
        # Some distributions share a folder in spite of an __init__.py.
        beside -= _listed_by_any(folder)
    return {
        path: (folder / path).stat().st_size
        for path in sorted(beside | listed.keys())
        if (folder / path).is_file()
    }


def _listed_by_any(folder: Path) -> set[str]:
    records = (each.read_text("RECORD") for each in distributions(path=[str(folder)]))
    return {path for record in records for path in listed_in(record or "")}


def open_model(origin: str, path: Sequence[str] | None = None) -> ModelFiles:
    """Open the wheel or sdist at *origin*, or else the distribution *origin* installed on *path*.

    Raises HatchModelError.
    """
    file = Path(origin)
    try:
        if file.suffix == ".whl" or (file.is_file() and zipfile.is_zipfile(file)):
            return _open_wheel(file)
        if file.is_file():
            return _open_sdist(file)
        return open_installed(origin, sys.path if path is None else path)
    except FileNotFoundError:
        raise _not_found(origin) from None
    except DAMAGE as error:
        # KeyError's text is the repr of its message; tarfile's lists every compression format.
        reason = str(error.args[0]) if isinstance(error, KeyError) else str(error)
        reason = reason.partition(":\n")[0] or type(error).__name__
        raise unreadable(origin, reason) from None


def _not_found(origin: str) -> HatchModelError:
    return HatchModelError(
        f"`{printable(origin)}` is neither a file nor the name of something that is installed here."
    )


def unreadable(origin: str, reason: str) -> HatchModelError:
    return HatchModelError(f"`{printable(origin)}` cannot be read: {printable(reason)}")


def _open_wheel(file: Path) -> ModelFiles:
    with ExitStack() as stack:
        stream = stack.enter_context(file.open("rb"))
        end = read_end(stream)
        if end is not None:
            # zipfile reads all of it.
            check_limit("its list of files", end.size, end.count)
        archive = stack.enter_context(zipfile.ZipFile(stream))
        model = _read_wheel(file, archive)
        odd = partial(odd_layout, stream, model.entries)
        return replace(model, odd_layout=odd, close=stack.pop_all().close)


def _read_wheel(file: Path, archive: zipfile.ZipFile) -> ModelFiles:
    entries = archive.infolist()
    check_limit("its list of files", 0, len(entries))
    sizes = {
        entry.filename: entry.file_size for entry in entries if not entry.filename.endswith("/")
    }
    info = _only_one([name for name in sizes if name.endswith(METADATA)])

    def read(path: str) -> str:
        with archive.open(path) as stream:
            return _read_metadata(stream, path)

    record_path = f"{info}/{RECORD_FILE}"
    record, fault = read_model_json(read(record_path) if record_path in sizes else None)
    return ModelFiles(
        kind="wheel",
        origin=str(file),
        metadata=Parser().parsestr(read(f"{info}/METADATA")),
        record=record,
        record_path=record_path,
        record_fault=fault,
        tags=tags_of(read(f"{info}/WHEEL")),
        sizes=sizes,
        entries=entries,
        packed_size=file.stat().st_size,
        listed=listed_in(read(f"{info}/RECORD") if f"{info}/RECORD" in sizes else ""),
        report_folder=f"{info}/{REPORT_FOLDER}",
        open=archive.open,
    )


# tarfile reads their content when it looks for the next entry.
_READ_WHOLE = frozenset(
    {
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    }
)


class _Entry(tarfile.TarInfo):
    """An entry of an sdist, whose header is not larger than headers are."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in _READ_WHOLE:
            check_limit("the header of a file", entry.size)
        return entry


def _open_sdist(file: Path) -> ModelFiles:
    packed_size = file.stat().st_size
    files: dict[str, tarfile.TarInfo] = {}
    total = 0
    with tarfile.open(file, tarinfo=_Entry) as archive:
        for number, entry in enumerate(archive):
            check_limit("its list of files", 0, number)
            total += entry.size
            # Checked before searching for the next entry, which unpacks this one.
            if unpacks_to_a_bomb(total, packed_size):
                raise ValueError(f"it unpacks to {total} bytes or more from {packed_size}")
            # The last one of a name replaces the others.
            files.pop(entry.name, None)
            if entry.isfile():
                files[entry.name] = entry
        folder = _only_one([name for name in files if name.endswith("/PKG-INFO")])

        def read(path: str) -> str:
            stream = archive.extractfile(files[path])
            assert stream is not None  # noqa: S101 - it is a file
            return _read_metadata(stream, path)

        carried = f"{folder}/{CARRIED_FILE}"
        return ModelFiles(
            kind="sdist",
            origin=str(file),
            metadata=Parser().parsestr(read(f"{folder}/PKG-INFO")),
            record=_carried_record(read(carried), carried) if carried in files else None,
            sizes={path: entry.size for path, entry in files.items()},
            packed_size=packed_size,
            report_folder=f"{folder}/{CARRIED_REPORT}",
            open=lambda path: _open_in_sdist(file, files[path]),
        )


def _carried_record(text: str, path: str) -> Mapping[str, Any]:
    carried = read_carried(text, path)
    if "record" not in carried:
        # An sdist without a model has no other facts.
        return {"git": carried["git"]}
    try:
        return _checked(carried["record"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _only_one(paths: Sequence[str]) -> str:
    """Return the folder that contains the metadata, at the top of the *paths* found."""
    folders = sorted({path.partition("/")[0] for path in paths if path.count("/") == 1})
    if len(folders) != 1:
        raise ValueError(f"it has {', '.join(folders) or 'nothing'} for metadata")
    return folders[0]


def _read_metadata(stream: IO[bytes], path: str) -> str:
    limit = _LIMITS[PurePosixPath(path).name]
    content = stream.read(limit.size + 1)
    check_limit(path, len(content))
    return _within_limit(path, content.decode())


def _open_in_sdist(sdist: Path, entry: tarfile.TarInfo) -> IO[bytes]:
    """Read *entry* of *sdist* to memory: unlike a wheel, it is not kept open.

    An entry that is looked for by its name would be found by unpacking all of the sdist.
    """
    with tarfile.open(sdist, tarinfo=_Entry) as archive:
        stream = archive.extractfile(entry)
        assert stream is not None  # noqa: S101 - it is a file
        return io.BytesIO(stream.read())
