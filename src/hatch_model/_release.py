"""What goes with a trained model into its wheel, and the check of the finished wheel."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_model._archives import exchange, unpack
from hatch_model._digests import files_of
from hatch_model._environment import InstalledEnvironment, imported_strangers
from hatch_model._large_files import LargeFiles, unfinished
from hatch_model._record import FILE, make_record, to_bytes, with_check_result
from hatch_model._sources import metadata_name, shipped_files
from hatch_model._training._process import run_process
from hatch_model.errors import (
    SourceTreeImportError,
    UndeclaredImportError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatchling.builders.wheel import WheelBuilder

    from hatch_model._digests import File
    from hatch_model._environment import Pins
    from hatch_model._log import Log
    from hatch_model._origin import Origin
    from hatch_model._settings import ObjectReference, TrainingSettings
    from hatch_model._trained import TrainedModel
    from hatch_model._training._process import RunProcess


class Release:
    """A model on its way into a wheel that *builder* makes.

    What it needs on the way goes to a folder called `release` in *workspace*.
    """

    def __init__(
        self,
        training: TrainingSettings,
        pins: Pins,
        builder: WheelBuilder,
        *,
        origin: Origin,
        workspace: Path,
        log: Log,
        run: RunProcess = run_process,
    ) -> None:
        self._training = training
        self._pins = pins
        self._builder = builder
        self._origin = origin
        self._root = Path(builder.root)
        self._scratch = workspace
        self._workspace = workspace / "release"
        self._workspace.mkdir()
        self._log = log
        self._run = run
        self._large = LargeFiles(builder, training.compression, log)
        self._trained: TrainedModel | None = None
        self._sources: Sequence[File] = ()
        self._record: Mapping[str, Any] = {}
        self._path: Sequence[str] = ()

    def add(self, trained: TrainedModel, build_data: dict[str, Any]) -> None:
        """Add what *trained* gave and, as far as that is known by now, its record and BOM."""
        self._path = trained.path
        folder = trained.tree.artifacts
        artifacts = {folder / artifact.path: artifact.source for artifact in trained.artifacts}
        placed = self._large.place(artifacts, build_data)
        shipped = sorted(shipped_files(self._builder, build_data).items())
        self._sources = files_of(
            {str(path): file for path, file in shipped if str(path) not in placed}
        )
        self._trained = trained
        if self._large.paths:
            self._large.hide()
            return
        for path, content in self._metadata(files_of(placed)).items():
            kind, _, name = path.partition("/")
            file = self._workspace / metadata_name(self._builder, name)
            file.write_bytes(content)
            if kind == "sboms":
                build_data["sbom_files"].append(str(file))
            else:
                build_data["extra_metadata"][str(file)] = file.name

    def _metadata(self, artifacts: Iterable[File]) -> dict[str, bytes]:
        """Give the record and the BOM by their paths in dist-info, once the *artifacts* are known."""
        assert self._trained is not None  # noqa: S101 - add() comes first
        metadata = self._builder.metadata
        self._record = make_record(
            self._training,
            self._pins,
            self._trained.environment,
            project=(metadata.name, metadata.version),
            metrics=self._trained.metrics,
            inputs=self._origin.inputs,
            sources=self._sources,
            artifacts=sorted(artifacts, key=lambda file: PurePosixPath(file.path)),
            lock=self._origin.lock,
            commit=self._origin.commit,
        )
        written = {f"extra_metadata/{FILE}": to_bytes(self._record)}
        if self._training.sbom:
            from hatch_model._sbom import FILE as BOM_FILE  # noqa: PLC0415 - only for this option
            from hatch_model._sbom import make_bom  # noqa: PLC0415

            written[f"sboms/{BOM_FILE}"] = make_bom(self._record)
        return written

    def finish(self, wheel: Path) -> None:
        """Add what is large to *wheel*, which hatchling has made without, and call the check.

        Raises CheckFailedError, CheckDiedError, UndeclaredImportError, SourceTreeImportError, and
        what writing an archive raises.
        """
        check = self._training.check
        if check is None and not self._large.paths:
            return
        with unfinished(wheel) as hidden:
            if self._large.paths:
                self._large.add_to(hidden, self._finished_metadata)
            if check is not None:
                self._check(hidden, check)

    def _finished_metadata(self, large: Mapping[str, File]) -> dict[str, bytes]:
        info = f"{self._builder.artifact_project_id}.dist-info"
        metadata = self._metadata(large.values())
        return {f"{info}/{path}": content for path, content in metadata.items()}

    def _check(self, wheel: Path, check: ObjectReference) -> None:
        from hatch_model._checking import run_check  # noqa: PLC0415 - only for this option
        from hatch_model._checking._source_tree import SourceTree  # noqa: PLC0415

        project = canonicalize_name(self._builder.metadata.name)
        environment = InstalledEnvironment(self._path)
        tree = SourceTree(self._root, project, environment, self._workspace)
        unpacked, elsewhere = self._workspace / "wheel", self._workspace / "check"
        unpack(wheel, unpacked)
        elsewhere.mkdir()
        self._log.info(f"checking the wheel with {check}")
        result = run_check(
            check,
            elsewhere,
            self._log.output,
            python=sys.executable,
            folder=unpacked,
            hidden=tree.entries(self._path),
            scratch=self._scratch,
            run=self._run,
        )
        from_tree = [file for file in map(Path, result.imported) if tree.holds(file)]
        if from_tree:
            raise SourceTreeImportError(str(check), sorted(map(tree.relative, from_tree)))
        known = {project, *self._pins.closure.distributions}
        strangers = imported_strangers(result.imported, InstalledEnvironment(result.path), known)
        if strangers:
            raise UndeclaredImportError(str(check), strangers, self._pins.policy.key)
        if result.is_recordable:
            (info,) = (path.name for path in unpacked.iterdir() if path.suffix == ".dist-info")
            content = to_bytes(with_check_result(self._record, result.returned))
            exchange(wheel, {f"{info}/extra_metadata/{FILE}": content})
