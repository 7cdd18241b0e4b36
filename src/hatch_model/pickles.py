"""What pickles refer to, found by loading them.

The child script reads this file without importing hatch_model, which may not be there, so it
imports nothing but the standard library and, once it loads something, joblib.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickletools
import zipfile
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MAIN = b"__main__"
_CHUNK = 1 << 20
# How files begin. joblib compresses with all of these, and with what is no part of Python.
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x5d\x00\x00": lzma.open,
}
_ZLIB, _ZIP, _PICKLE = b"\x78", b"PK\x03\x04", b"\x80"
_SUFFIXES = (".joblib", ".pickle", ".pkl")


def load(path: str, unknown: list[str]) -> None:
    """Load the pickle at *path* with joblib, which reads those of others as well.

    Raises whatever unpickling does. What it refers to and is not there, as ``module.name``, is
    added to *unknown*.
    """

    def find(find_class: Any, unpickler: Any, module: str, name: str) -> Any:
        try:
            # The child script is __main__ here; users of the model have another one.
            other = module if module != "__main__" else "__main__ of training"
            return find_class(unpickler, other, name)
        except (ImportError, AttributeError):
            unknown.append(f"{module}.{name}")
            raise

    with _finding(find) as joblib:
        joblib.load(path)


@contextmanager
def _finding(find: Callable[..., Any]) -> Iterator[Any]:
    """Have joblib, which is returned, look for what pickles refer to with *find*."""
    import joblib  # noqa: PLC0415 - may be hidden by then
    from joblib.numpy_pickle import NumpyUnpickler  # noqa: PLC0415

    find_class = NumpyUnpickler.find_class
    NumpyUnpickler.find_class = lambda self, module, name: find(find_class, self, module, name)
    try:
        yield joblib
    finally:
        NumpyUnpickler.find_class = find_class


def names_in_main(file: Path) -> list[str]:
    """Return the names in ``__main__`` that *file*, a pickle or PyTorch's, refers to.

    A pickle may contain what ``__main__`` defines, as cloudpickle's do, which is another matter. So
    those that mention it are loaded.
    """
    with file.open("rb") as opened:
        start = opened.read(6)
    if start.startswith(_ZIP):
        return _names_in_zip(file)
    is_pickle = start.startswith(_PICKLE) or file.suffix in _SUFFIXES
    opener = next((each for magic, each in _OPENERS.items() if start.startswith(magic)), None)
    if not (is_pickle or opener or start.startswith(_ZLIB)) or not _mentions_main(
        file, start, opener
    ):
        return []
    names: dict[str, None] = {}

    def find(find_class: Any, unpickler: Any, module: str, name: str) -> Any:
        if module == "__main__":
            names[name] = None
        return find_class(unpickler, module, name)

    # Unpickling may raise anything, and what cannot be loaded is not said to be a model.
    with _finding(find) as joblib, suppress(Exception, SystemExit):
        joblib.load(file)
    return [*names]


def _mentions_main(file: Path, start: bytes, opener: Callable[[Path], Any] | None) -> bool:
    decompress = zlib.decompressobj().decompress if start.startswith(_ZLIB) else bytes
    before = b""
    try:
        with opener(file) if opener else file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                content = before + decompress(chunk)
                if _MAIN in content:
                    return True
                before = content[-len(_MAIN) :]
    except (EOFError, OSError, lzma.LZMAError, zlib.error):
        pass  # not one of these after all
    return False


def _names_in_zip(file: Path) -> list[str]:
    names: dict[str, None] = {}
    errors = (NotImplementedError, OSError, ValueError, zipfile.BadZipFile, zlib.error)
    with suppress(*errors), zipfile.ZipFile(file) as archive:
        for path in archive.namelist():
            # PyTorch pickles by a protocol that has names in one piece.
            codes = pickletools.genops(archive.read(path)) if path.endswith("/data.pkl") else ()
            for code, argument, _ in codes:
                module, _, name = str(argument).partition(" ")
                if code.name == "GLOBAL" and module == "__main__":
                    names[name] = None
    return [*names]
