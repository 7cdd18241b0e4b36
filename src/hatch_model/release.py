"""The only way into the wheel: hatchling packs placeholders, which are filled afterwards.

hatchling's rules then decide where each artifact ships, what conflicts with what, and which paths
are reserved. Until the wheel is finished, nobody can install it: it has a requirement that cannot
be satisfied, for resolvers, and a folder below ``.data`` that no installer knows, for all other
tools. An older wheel with the same name is set aside and restored unless the build succeeds.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections import Counter
from email.parser import BytesHeaderParser
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, cast

from hatch_model.artifacts import SAVED_MODEL, folded
from hatch_model.digests import file_of
from hatch_model.errors import HatchModelError
from hatch_model.installed import InstalledEnvironment
from hatch_model.log import Progress, human_size
from hatch_model.model import model_files
from hatch_model.pins import check_metadata
from hatch_model.record import BOM_FILE, RECORD_FILE, REPORT_FOLDER, make_record, to_bytes
from hatch_model.sources import distribution_path, leave_out, shipped_files
from hatch_model.wheel import Record, fill, lay_out, unpack, upload_notice
from hatch_model.workspace import UNFINISHED, Workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hatchling.builders.wheel import WheelBuilder

    from hatch_model.check import CheckResult
    from hatch_model.digests import File
    from hatch_model.model import Model
    from hatch_model.process import RunProcess
    from hatch_model.project import Project

_REQUIREMENT = "unfinished @ file:///the-build-of-this-wheel-was-interrupted"
_REQUIREMENT_LINE = f"Requires-Dist: {_REQUIREMENT}\n".encode()
# A prefix that no other path starts with.
_OWN = ".hatch-model."
# A file that may be loaded with joblib.
_PICKLES = (".joblib", ".pkl", ".pickle")


class Content(Protocol):
    """What goes into a wheel in addition to hatchling's files."""

    def check(self, unpacked: Path) -> None:
        """Check the model on the *unpacked* wheel. Raises HatchModelError."""

    def metadata(self, wheel: Record, artifacts: Mapping[str, File]) -> Mapping[str, bytes]:
        """Return metadata files by their paths in dist-info, for the *artifacts* as written."""

    @property
    def requirements(self) -> Sequence[str]:
        """The requirements that METADATA must have in the end."""

    @property
    def is_checked(self) -> bool:
        """Whether there is something to check."""


class Release:
    """A model that is about to be written to a wheel in the folder *directory*."""

    def __init__(self, project: Project, directory: Path) -> None:
        self._project = project
        self._builder = cast("WheelBuilder", project.builder)
        self._directory = directory
        self._files: dict[str, Path] = {}
        """The current location of each artifact, by its path in the wheel."""
        self._mark = f"{self._builder.artifact_project_id}.data/{UNFINISHED}/interrupted"
        self._workspace: Workspace | None = None
        self._content: Content | None = None

    def place(
        self,
        artifacts: Mapping[PurePosixPath, Path],
        content: Content,
        build_data: dict[str, Any],
        left_out: Collection[PurePosixPath] = (),
    ) -> None:
        """Make hatchling reserve the places of *artifacts*, by their paths in the tree.

        Files in the tree at the paths *left_out* do not ship. Raises HatchModelError for a place
        where another file ships.
        """
        self._content = content
        self._files = {
            str(distribution_path(self._builder, place)): file for place, file in artifacts.items()
        }
        folder = self._project.workspace.folder("stand-ins")
        for number, place in enumerate(artifacts):
            stand_in = folder / str(number)
            os.close(os.open(stand_in, os.O_CREAT))
            build_data["force_include"][str(stand_in)] = str(Path(place))
        build_data["dependencies"].append(_REQUIREMENT)
        mark = folder / UNFINISHED
        mark.touch()
        build_data["force_include"][str(mark)] = self._unmoved(self._mark)
        self._refuse_collisions(build_data)
        # After this, hatchling itself must be the next to read the tree.
        leave_out(self._builder, [path for path in left_out if path not in artifacts])
        # hatchling does so itself, unless the placeholders are in a temporary folder below the
        # root.
        self._builder.config.build_reserved_paths.update(str(Path(path)) for path in self._files)
        self._set_older_wheels_aside()

    def _unmoved(self, path: str) -> str:
        """Return the source path of a file that should ship at *path*.

        hatchling treats it as a file of the tree, so a `sources` option that adds a prefix to all
        paths would move it. A rule for this path takes precedence.
        """
        config = self._builder.config
        if config.get_distribution_path(path) == path:
            return path
        rules = {_OWN: "", **config.sources}
        config.sources.clear()
        config.sources.update(rules)
        return f"{_OWN}{path}"

    def _refuse_collisions(self, build_data: Mapping[str, Any]) -> None:
        shipped = Counter(str(place) for place, _ in shipped_files(self._builder, build_data))
        twins = {folded(path): path for path in shipped if path not in self._files}
        for path in self._files:
            twin = twins.get(folded(path))
            if twin is not None:
                raise HatchModelError(
                    f"training wrote `{path}`, and the wheel ships `{twin}` as well, which is the "
                    f"same file on macOS and Windows. Give one of them another name."
                )
            if path.partition("/")[0].endswith((".dist-info", ".data")):
                raise HatchModelError(
                    f"{path} cannot be a file of the model, because installers treat files below "
                    f"{path.partition('/')[0]} differently. Choose another `artifacts` folder."
                )
            if shipped[path] > 1:
                raise HatchModelError(
                    f"a second file is being added to the wheel at the same path: {path}. "
                    f"Something else ships a file there, most likely a `force-include` table: "
                    f"remove it, or have training use another file name."
                )

    def _set_older_wheels_aside(self) -> None:
        # Not earlier: until now, existing wheels are not this build's concern. Not with a link: if
        # its temporary folder is on another file system, hatchling copies into the existing file.
        try:
            self._workspace = Workspace(self._directory)
            for wheel in self._directory.glob(f"{self._builder.artifact_project_id}-*.whl"):
                self._workspace.set_aside(wheel)
        except OSError as error:
            raise self._not_written(error) from error

    def finish(self, wheel: Path) -> None:
        """Check the model, and write *wheel*, which hatchling has built with placeholders, again.

        If this raises HatchModelError, *wheel* is removed and an older one is restored.
        """
        workspace, content = self._workspace, self._content
        assert workspace is not None  # noqa: S101 - place() runs first
        assert content is not None  # noqa: S101
        try:
            # Before the check, which may take an hour: in the meantime, nothing may treat this as a
            # wheel.
            unfinished = wheel.replace(workspace.path / wheel.name)
            with zipfile.ZipFile(unfinished) as archive:
                record = Record.read(archive)
                metadata = self._metadata(archive, record, content)
                more = self._entry_points(archive, record)
            if content.is_checked:
                self._check(unfinished, metadata, record, content)
            finished = workspace.path / f"finished-{wheel.name}"
            fill(
                unfinished,
                finished,
                self._files,
                without=[self._mark],
                compression=self._project.training.compression,
                finish=lambda files: {
                    **content.metadata(record, files),
                    **more,
                    "METADATA": metadata,
                },
                progress=Progress(self._project.log.info),
            )
            finished.rename(wheel)
        except OSError as error:
            raise self._not_written(error) from error
        self._keep_other_wheels(wheel)
        notice = upload_notice(wheel)
        if notice:
            self._project.log.info(notice)

    def _metadata(self, archive: zipfile.ZipFile, record: Record, content: Content) -> bytes:
        """Return the finished METADATA. Raises HatchModelError if another hook changed it."""
        metadata = archive.read(f"{record.info}METADATA").replace(_REQUIREMENT_LINE, b"", 1)
        headers = BytesHeaderParser().parsebytes(metadata)
        lines = [str(line) for line in headers.get_all("Requires-Dist", [])]
        model = self._project.model
        check_metadata(lines, content.requirements, model.roots, model.policy)
        return metadata

    def close(self) -> None:
        """Restore the previous state, except for finished files."""
        if self._workspace is not None:
            self._workspace.close()

    def _entry_points(self, archive: zipfile.ZipFile, record: Record) -> dict[str, bytes]:
        """Return the file with entry points, including `predict`, by its path in dist-info."""
        training = self._project.training
        if training.predict is None:
            return {}
        from hatch_model.predict import ENTRY_POINTS_FILE, entry_points  # noqa: PLC0415 - if needed

        path = f"{record.info}{ENTRY_POINTS_FILE}"
        existing = archive.read(path) if path in archive.namelist() else b""
        name, key = self._project.metadata.name, f"{training.key}.predict"
        return {ENTRY_POINTS_FILE: entry_points(existing, name, training.predict, key)}

    def _keep_other_wheels(self, wheel: Path) -> None:
        """Release the older wheel that *wheel* replaces; those with other tags are restored."""
        assert self._workspace is not None  # noqa: S101
        self._workspace.close()
        assert wheel.is_file()  # noqa: S101 - finished wheels are not removed

    def _check(self, wheel: Path, metadata: bytes, record: Record, content: Content) -> None:
        """Unpack the future wheel and check the model there."""
        unpacked = self._project.workspace.folder("wheel")
        unpack(wheel, unpacked, without=[*self._files, self._mark])
        (unpacked / f"{record.info}METADATA").write_bytes(metadata)
        for path, file in self._files.items():
            lay_out(file, unpacked / path)
        before = {path: _stamp(file) for path, file in self._files.items()}
        content.check(unpacked)
        changed = [path for path, file in self._files.items() if _stamp(file) != before[path]]
        if changed:
            raise HatchModelError(
                f"the check changed {', '.join(changed)}, which is part of the wheel. Have it work "
                f"on a copy."
            )

    def _not_written(self, error: OSError) -> HatchModelError:
        needed = human_size(sum(file.stat().st_size for file in self._files.values()))
        return HatchModelError(
            f"the wheel cannot be written to {self._directory}: {error.strerror or error}. The "
            f"model needs {needed} there. Free some space, or build into another folder."
        )


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


class TrainedContent:
    """The record, the BOM and the check of a model that this build has trained."""

    def __init__(self, project: Project, model: Model, run: RunProcess | None = None) -> None:
        self._project = project
        self._model = model
        self._run = run
        self._result: CheckResult | None = None

    @property
    def requirements(self) -> Sequence[str]:
        return self._project.pins().lines

    @property
    def is_checked(self) -> bool:
        training = self._project.training
        return bool(training.check or training.predict or self._pickles())

    def _pickles(self) -> list[tuple[str, bool]]:
        """Return the artifacts to load without another check, and whether each must load.

        These are the model that training has just returned, and other files that look like pickles,
        if their classes ship. Without joblib, which the wheel may not require, users could not load
        either of them.
        """
        project, trained = self._project, self._model.trained
        if project.training.check or trained.is_reused:
            return []
        if "joblib" not in project.pins().closure.distributions:
            return []
        builder = cast("WheelBuilder", project.builder)
        return [
            (
                str(distribution_path(builder, self._model.folder / artifact.path)),
                trained.model_saved and str(artifact.path) == SAVED_MODEL,
            )
            for artifact in trained.artifacts
            if artifact.path.suffix in _PICKLES
        ]

    def check(self, unpacked: Path) -> None:
        from hatch_model.check import (  # noqa: PLC0415 - not for reused models
            CheckRequest,
            hidden_from_check,
            run_check,
        )

        project, check = self._project, self._project.training.check
        pins, pickles = project.pins(), self._pickles()
        if check or pickles:
            what = (
                f"checking the wheel with {check}" if check else "loading the model from the wheel"
            )
            project.log.info(what)
        request = CheckRequest(
            check=check,
            python=sys.executable,
            folder=unpacked,
            models=[(unpacked / path, is_needed) for path, is_needed in pickles],
            predict=project.training.predict,
            hidden=hidden_from_check(
                project.root,
                InstalledEnvironment(),
                project.name,
                pins.closure.distributions,
                project.workspace.path,
            ),
            declared_in=project.model.declared_in,
        )
        self._result = run_check(
            request,
            project.workspace.folder("check"),
            project.log.output,
            scratch=project.workspace.path,
            run=self._run,
        )

    def metadata(self, wheel: Record, artifacts: Mapping[str, File]) -> dict[str, bytes]:
        project, trained = self._project, self._model.trained
        report = {f"{REPORT_FOLDER}/{file.path}": file.source for file in trained.report}
        record = make_record(
            project.training,
            project.pins(),
            trained,
            project=(project.metadata.name, project.metadata.version),
            provenance=self._model.provenance,
            sources=[
                file
                for file in sorted(wheel.files(), key=lambda file: PurePosixPath(file.path))
                if file.path not in artifacts
            ],
            artifacts=sorted(artifacts.values(), key=lambda file: PurePosixPath(file.path)),
            report=[file_of(f"{wheel.info}{path}", file) for path, file in report.items()],
            check=self._result,
        )
        written = {RECORD_FILE: to_bytes(record)}
        if project.training.sbom:
            from hatch_model.sbom import make_bom  # noqa: PLC0415 - only for this option

            written[BOM_FILE] = make_bom(record)
        return {**written, **{path: file.read_bytes() for path, file in report.items()}}


def release_trained(
    project: Project, model: Model, directory: Path, build_data: dict[str, Any]
) -> Release:
    """Add *model* to the wheel that hatchling is about to write to *directory*."""
    release = Release(project, directory)
    content = TrainedContent(project, model)
    release.place(model_files(model), content, build_data, model.left_out)
    return release
