"""Metadata of a finished wheel exchanged."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from hatch_model._archives._entries import in_their_order, write_rest
from hatch_model._archives._listing import record_of, with_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def exchange(wheel: Path, changes: Mapping[str, bytes]) -> None:
    """Exchange files of *wheel*'s metadata, by their paths in the archive, and mend its RECORD.

    Done in place, from the first of them on, so nobody else should see the wheel yet: a failure
    leaves the old one, but a killed process half of one. What comes after the first is held in
    memory, so they should be near the end, as metadata is.
    """
    with wheel.open("r+b") as stream:
        with zipfile.ZipFile(stream) as old:
            record = record_of(old)
            listing = with_files(old.read(record), record, (), changes)
            contents = {**changes, record: listing}
            infos = in_their_order(old)
            first = next(index for index, info in enumerate(infos) if info.filename in contents)
            for info in infos[first:]:
                contents.setdefault(info.filename, old.read(info))
        start = infos[first].header_offset
        stream.seek(start)
        before = stream.read()
        try:
            stream.seek(start)
            write_rest(
                stream, infos[:first], [(info, contents[info.filename]) for info in infos[first:]]
            )
            stream.truncate()
        except BaseException:
            stream.seek(start)
            stream.write(before)
            stream.truncate()
            raise
