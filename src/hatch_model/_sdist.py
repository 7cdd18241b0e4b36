"""What an sdist takes along beside its own list of files, for wheels that are built from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model._carried import SDIST_BOM, SDIST_FILE, Carried, write_carried
from hatch_model._git import commit_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchling.builders.plugin.interface import BuilderInterface

    from hatch_model._large_files import LargeFiles
    from hatch_model._log import Log
    from hatch_model._settings import TrainingSettings
    from hatch_model._trained_sdist import PackedModel


class SdistRelease:
    """The lock, the commit and, if there is one, the model on their way into an sdist."""

    def __init__(
        self, training: TrainingSettings, builder: BuilderInterface[Any, Any], *, log: Log
    ) -> None:
        self._training = training
        self._builder = builder
        self._log = log
        self._large: LargeFiles | None = None

    def add(
        self, packed: PackedModel | None, build_data: dict[str, Any], folder: Callable[[], Path]
    ) -> None:
        """Have hatchling include them; *folder* gives one for files on their way there.

        Raises LockMissingError.
        """
        root = Path(self._builder.root)
        include = build_data["force_include"]
        if self._training.lock is not None:
            from hatch_model._lock import find_lock  # noqa: PLC0415 - only for this option

            key, groups = f"{self._training.key}.lock", self._training.group_names
            lock = find_lock(self._training.lock, root, key=key, groups=groups)
            include[str(lock)] = str(Path(self._training.lock))
        commit = commit_of(root)
        if commit is not None or packed is not None:
            carried = Carried(commit=commit, record=packed.record if packed else None)
            include[str(write_carried(carried, folder()))] = SDIST_FILE
        if packed is not None:
            self._add_model(packed, build_data)

    def _add_model(self, packed: PackedModel, build_data: dict[str, Any]) -> None:
        from hatch_model._large_files import LargeFiles  # noqa: PLC0415 - only with a model

        if packed.bom is not None:
            build_data["force_include"][str(packed.bom)] = SDIST_BOM
        self._large = LargeFiles(self._builder, self._training.compression, self._log)
        self._large.place(packed.artifacts, build_data)
        self._large.hide()

    def finish(self, sdist: Path) -> None:
        """Add what is large to *sdist*, which hatchling has made without.

        Raises what writing an archive raises.
        """
        if self._large is None or not self._large.paths:
            return
        from hatch_model._archives import add_files_to_sdist  # noqa: PLC0415 - as above
        from hatch_model._large_files import unfinished  # noqa: PLC0415

        with unfinished(sdist) as hidden:
            self._large.add_to(hidden, lambda _: {}, add_files_to_sdist)
