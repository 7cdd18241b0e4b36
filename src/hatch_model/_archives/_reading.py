"""Files read once: in blocks, with their digests made meanwhile."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hatch_model.errors import FileChangedError, UnreadableFileError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    class Hash(Protocol):
        def update(self, data: memoryview, /) -> None: ...
        def hexdigest(self) -> str: ...


BLOCK = 1 << 19
"""How much is read at a time: little enough for a processor to keep it close for the next thread."""

LARGE = 8 << 20
"""From this size on, a file is worth being kept from hatchling's writer."""

_SAMPLES = 16
_SMALL_SAMPLE = 1 << 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A file that is to go into an archive."""

    path: str
    """In the archive."""
    source: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A member as it was found before anything was written."""

    path: str
    """In the archive."""
    file: Path
    size: int
    mode: int
    """As installers are to set it: 0o644, or 0o755 for what its owner may execute."""


def found(members: Sequence[Member]) -> list[Source]:
    """Look at *members*. Raises FileChangedError for what is not there any more."""
    sources = []
    for member in members:
        with _errors_of(member.source):
            status = member.source.stat()
        mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        sources.append(Source(path=member.path, file=member.source, size=status.st_size, mode=mode))
    return sources


def sample(source: Source) -> bytes:
    """Read a block's worth from places all over *source*, the same ones every time."""
    size = BLOCK // _SAMPLES
    last = max(source.size - size, 0)
    with _errors_of(source.file), source.file.open("rb", buffering=0) as stream:
        pieces = []
        for place in range(_SAMPLES):
            stream.seek(last * place // (_SAMPLES - 1))
            pieces.append(stream.read(size))
    return b"".join(pieces)


def whole(source: Source) -> bytes:
    """Read a small *source* at once."""
    with _errors_of(source.file):
        content = source.file.read_bytes()
    _refuse_other_size(source, len(content))
    return content


def excerpt(content: bytes) -> bytes:
    """Give a sample of a small file's *content*, from its middle."""
    start = max(len(content) - _SMALL_SAMPLE, 0) // 2
    return content[start : start + _SMALL_SAMPLE]


class Reader:
    """Reads file after file into the same few buffers."""

    def __init__(self, ahead: int) -> None:
        """Keep every block as it is until *ahead* further ones are asked for."""
        self._buffers = [memoryview(bytearray(BLOCK)) for _ in range(ahead + 1)]
        # hashlib lets go of the interpreter's lock, so this is a second core's work.
        self._hasher = ThreadPoolExecutor(1)

    def close(self) -> None:
        self._hasher.shutdown()

    def blocks(self, source: Source, digest: Hash) -> Iterator[memoryview]:
        """Give *source* in full blocks but for the last, none if it is empty.

        *digest* has had all of them by the time that they are exhausted.
        """
        hashed: list[Future[None]] = []
        with _errors_of(source.file):
            stream = source.file.open("rb", buffering=0)
        with stream:
            for index, start in enumerate(range(0, source.size, BLOCK)):
                if index >= len(self._buffers):
                    hashed.pop(0).result()
                buffer = self._buffers[index % len(self._buffers)]
                block = buffer[: min(BLOCK, source.size - start)]
                with _errors_of(source.file):
                    count = _fill(block, stream)
                _refuse_other_size(source, start + count if count < len(block) else source.size)
                hashed.append(self._hasher.submit(digest.update, block))
                yield block
            with _errors_of(source.file):
                _refuse_other_size(source, source.size + len(stream.read(1)))
        for update in hashed:
            update.result()


def _fill(block: memoryview, stream: io.FileIO) -> int:
    """Read until *block* is full or *stream* at its end, and say how many bytes that were."""
    done = 0
    while count := stream.readinto(block[done:]):
        done += count
    return done


def _refuse_other_size(source: Source, size: int) -> None:
    if size != source.size:
        raise FileChangedError(source.file, "has grown" if size > source.size else "has shrunk")


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FileChangedError(file, "has vanished") from None
    except OSError as error:
        raise UnreadableFileError(file, error.strerror or str(error)) from error
