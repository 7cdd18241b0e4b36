"""A temporary folder that is gone when the build is, however the build ends."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class Workspace:
    """A folder of its own for one build, which is also where hatchling puts its temporary files.

    hatchling does not tell a hook that a build has failed, and leaves the wheel that it was about
    to finish behind, so what is not closed is removed when the process ends.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="hatch-model-")).resolve()
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        self._tempdir, tempfile.tempdir = tempfile.tempdir, str(self.path)

    def close(self) -> None:
        tempfile.tempdir = self._tempdir
        self._remove()
