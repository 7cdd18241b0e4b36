"""Finished wheels and source distributions: large files added, read again, metadata exchanged.

Knows nothing of hatchling, of training, or of records. What a build calls, in its order:

    add_files(wheel, target, members, finish=finish, progress=Progress(log.info))

writes *target*, which may be *wheel* itself, from the small wheel that hatchling has built and from
*members*, files too large to have been handed to it. `finish` is called once with all of them as
they went into the archive (:class:`File` by path), and gives the metadata files that depend on
that, by path in the archive. `add_files_to_sdist` does the same for a source distribution.

    unpack(wheel, folder)
    exchange(wheel, {path: content})

lay a wheel out as on ``sys.path``, and change metadata of a wheel that nobody else sees yet. And
`upload_notice(archive)` gives a sentence if indexes are likely to refuse it for its size.
"""

from __future__ import annotations

from hatch_model._archives._deflating import Compression
from hatch_model._archives._exchanging import exchange
from hatch_model._archives._reading import LARGE, Member
from hatch_model._archives._sdists import add_files_to_sdist
from hatch_model._archives._unpacking import unpack
from hatch_model._archives._wheels import add_files, upload_notice

__all__ = [
    "LARGE",
    "Compression",
    "Member",
    "add_files",
    "add_files_to_sdist",
    "exchange",
    "unpack",
    "upload_notice",
]
