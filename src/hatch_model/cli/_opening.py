"""From what the user names to a model's files. Nothing is imported."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hatch_model._carried import SDIST_FILE
from hatch_model._record import FILE
from hatch_model._recorded import read_carried
from hatch_model.cli._installed import open_installed
from hatch_model.cli._model_files import (
    DAMAGE,
    METADATA,
    ModelFiles,
    listed_in,
    read_model_json,
    tags_of,
    unpacks_to_a_bomb,
)
from hatch_model.cli._output import printable
from hatch_model.errors import ModelNotFoundError, UnreadableModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# METADATA and model.json are read whole; more than this is no metadata.
_MOST_METADATA = 64 << 20


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
        return open_installed(origin, sys.path if path is None else path)
    except FileNotFoundError:
        raise ModelNotFoundError(origin) from None
    except DAMAGE as error:
        # KeyError's text is the repr of its message; tarfile's goes on about every compression.
        reason = str(error.args[0]) if isinstance(error, KeyError) else str(error)
        reason = reason.partition(":\n")[0] or type(error).__name__
        raise UnreadableModelError(origin, printable(reason)) from None


def _open_wheel(file: Path) -> ModelFiles:
    archive = zipfile.ZipFile(file)
    sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
    info = _only_one([name for name in sizes if name.endswith(METADATA)])

    def read(path: str) -> str:
        with archive.open(path) as stream:
            return _read_metadata(stream, path)

    record_path = f"{info}/extra_metadata/{FILE}"
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
        entries=archive.infolist(),
        packed_size=file.stat().st_size,
        listed=listed_in(read(f"{info}/RECORD") if f"{info}/RECORD" in sizes else ""),
        open=archive.open,
        close=archive.close,
    )


def _open_sdist(file: Path) -> ModelFiles:
    packed_size = file.stat().st_size
    sizes: dict[str, int] = {}
    total = 0
    with tarfile.open(file) as archive:
        for entry in archive:
            total += entry.size
            # Before the next entry is looked for, which unpacks this one.
            if unpacks_to_a_bomb(total, packed_size):
                raise ValueError(f"it unpacks to {total} bytes or more from {packed_size}")
            if entry.isfile():
                sizes[entry.name] = entry.size
        folder = _only_one([name for name in sizes if name.endswith("/PKG-INFO")])

        def read(path: str) -> str:
            stream = archive.extractfile(path)
            assert stream is not None  # noqa: S101 - it is a file
            return _read_metadata(stream, path)

        carried = f"{folder}/{SDIST_FILE}"
        return ModelFiles(
            kind="sdist",
            origin=str(file),
            metadata=Parser().parsestr(read(f"{folder}/PKG-INFO")),
            record=_carried_record(read(carried), carried) if carried in sizes else None,
            sizes=sizes,
            packed_size=packed_size,
            open=_closed,
        )


def _carried_record(text: str, path: str) -> Mapping[str, Any]:
    carried = read_carried(text, path)
    # Of an sdist without a model, nothing else is known.
    record: Mapping[str, Any] = carried.get("record", {"git": carried["git"]})
    return record


def _only_one(paths: Sequence[str]) -> str:
    """Give the folder that holds the metadata, which is at the top, of the *paths* found."""
    folders = sorted({path.partition("/")[0] for path in paths if path.count("/") == 1})
    if len(folders) != 1:
        raise ValueError(f"it has {', '.join(folders) or 'nothing'} for metadata")
    return folders[0]


def _read_metadata(stream: IO[bytes], path: str) -> str:
    content = stream.read(_MOST_METADATA + 1)
    if len(content) > _MOST_METADATA:
        raise ValueError(f"{path} is too large to be metadata")
    return content.decode()


def _closed(path: str) -> IO[bytes]:
    raise KeyError(path)
