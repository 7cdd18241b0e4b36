"""A model in any of its three forms: a wheel, an sdist or an installation. Nothing is imported."""

from __future__ import annotations

import csv
import io
import lzma
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from email.parser import Parser
from struct import error as StructError  # noqa: N812 - its name says nothing
from typing import IO, TYPE_CHECKING, Any, Literal

from hatch_model._recorded import read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from email.message import Message

METADATA = ".dist-info/METADATA"
# What package indexes refuse as a bomb: so many bytes, from so many times fewer.
_BOMB_SIZE, _BOMB_RATIO = 64 << 20, 50

DAMAGE = (
    *(OSError, EOFError, KeyError, ValueError, RuntimeError, csv.Error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError, StructError),
)
"""What reading a damaged file may raise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """A model's metadata, and how to read its files. Paths are those of the wheel's RECORD."""

    kind: Literal["wheel", "sdist", "installed"]
    origin: str
    """What the user named."""
    metadata: Message
    record: Mapping[str, Any] | None = None
    """``model.json``; None for what hatch-model did not build. Of an sdist, only its commit."""
    record_path: str = ""
    record_fault: str = ""
    """Why there is a ``model.json``, but no record."""
    tags: Sequence[str] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    """In bytes, of every file there is, whether RECORD lists it or not."""
    entries: Sequence[zipfile.ZipInfo] = ()
    """A wheel's, as they are."""
    packed_size: int | None = None
    """In bytes, of the archive."""
    listed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """RECORD: each path's ``algorithm=digest`` and size, both "" where it gives none."""
    open: Callable[[str], IO[bytes]] = field(repr=False)
    close: Callable[[], None] = field(repr=False, default=lambda: None)
    """Let go of the archive, which Windows would not remove before."""

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
    def is_bomb(self) -> bool:
        """Whether it would unpack to far more than it takes up."""
        return self.packed_size is not None and unpacks_to_a_bomb(
            sum(self.sizes.values()), self.packed_size
        )


def unpacks_to_a_bomb(size: int, packed: int) -> bool:
    return size > _BOMB_SIZE and size > _BOMB_RATIO * packed


def read_model_json(text: str | None) -> tuple[Mapping[str, Any] | None, str]:
    """Give the record, or else what is wrong with it."""
    try:
        return (None, "") if text is None else (read_record(text), "")
    except ValueError as error:
        return None, str(error)


def tags_of(wheel: str) -> list[str]:
    return [str(tag) for tag in Parser().parsestr(wheel).get_all("Tag", [])]


def listed_in(record: str) -> dict[str, tuple[str, str]]:
    rows = csv.reader(io.StringIO(record))
    return {row[0]: (row[1], row[2]) for row in rows if len(row) > 2}  # noqa: PLR2004 - RECORD's
