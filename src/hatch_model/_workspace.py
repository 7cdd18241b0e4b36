"""A temporary folder that is gone when the build is, however the build ends."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class Workspace:
    """A folder of its own for one build.

    hatchling does not tell a hook that a build has failed, so what is not closed is removed when
    the process ends.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="hatch-model-")).resolve()
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def close(self) -> None:
        self._remove()
