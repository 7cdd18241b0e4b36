"""What goes with a trained model into its wheel, and the check of the finished wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_model._archives import exchange, unpack
from hatch_model._checking import run_check
from hatch_model._checking._source_tree import SourceTree
from hatch_model._digests import files_of
from hatch_model._environment import InstalledEnvironment, imported_strangers
from hatch_model._record import FILE, make_record, to_bytes, with_check_result
from hatch_model._sbom import FILE as BOM_FILE
from hatch_model._sbom import make_bom
from hatch_model._sources import metadata_name, shipped_files
from hatch_model._training._process import run_process
from hatch_model.errors import (
    SourceTreeImportError,
    UndeclaredImportError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatchling.builders.wheel import WheelBuilder

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
        self._record: Mapping[str, Any] = {}
        self._path: Sequence[str] = ()

    def add(self, trained: TrainedModel, build_data: dict[str, Any]) -> None:
        """Add the record of what *trained* and *build_data* put into the wheel, and its BOM."""
        self._path = trained.path
        self._record = self._describe(trained, build_data)
        file = self._workspace / FILE
        file.write_bytes(to_bytes(self._record))
        build_data["extra_metadata"][str(file)] = metadata_name(self._builder, FILE)
        if self._training.sbom:
            bom = self._workspace / metadata_name(self._builder, BOM_FILE)
            bom.write_bytes(make_bom(self._record))
            build_data["sbom_files"].append(str(bom))

    def _describe(self, trained: TrainedModel, build_data: Mapping[str, Any]) -> dict[str, Any]:
        shipped = sorted(shipped_files(self._builder, build_data).items())
        written = {artifact.source for artifact in trained.artifacts}
        metadata = self._builder.metadata
        return make_record(
            self._training,
            self._pins,
            trained.environment,
            project=(metadata.name, metadata.version),
            metrics=trained.metrics,
            inputs=self._origin.inputs,
            sources=files_of({str(path): file for path, file in shipped if file not in written}),
            artifacts=files_of({str(path): file for path, file in shipped if file in written}),
            lock=self._origin.lock,
            commit=self._origin.commit,
        )

    def check(self, wheel: Path) -> None:
        """Call the check, if there is one, from *wheel*, and record what it returned.

        Raises CheckFailedError, CheckDiedError, UndeclaredImportError and SourceTreeImportError.
        """
        check = self._training.check
        if check is None:
            return
        # The wheel has its name only once it has passed, even if this process is killed.
        unchecked = wheel.with_name(f".{wheel.name}.unchecked")
        wheel.replace(unchecked)
        try:
            self._check(unchecked, check)
            unchecked.replace(wheel)
        finally:
            unchecked.unlink(missing_ok=True)

    def _check(self, wheel: Path, check: ObjectReference) -> None:
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
