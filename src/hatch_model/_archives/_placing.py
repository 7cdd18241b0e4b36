"""An archive that appears whole under its name, or not at all."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_model._sizes import human_size
from hatch_model.errors import ArchiveNotWrittenError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO


@contextmanager
def written(target: Path, *, like: Path, needed: int) -> Iterator[BinaryIO]:
    """Give a file that becomes *target* in the end, with the mode of *like*, which it may replace.

    If this process is killed, what is left has a hidden name. *needed* is how many bytes it takes
    at most. Raises ArchiveNotWrittenError in place of any OSError.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        try:
            with partial.open("wb") as stream:
                yield stream
            shutil.copymode(like, partial)
            # To rename over a file makes ext4 write all of the new one to the disk first.
            target.unlink(missing_ok=True)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArchiveNotWrittenError(target, human_size(needed), reason) from error
