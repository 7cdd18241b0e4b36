"""An sdist that holds the trained model, and the wheels that are built from it.

The model is made while the sdist is, by building a wheel in a temporary folder: gates, check, BOM and
all. What that wheel holds of the model travels in the sdist, where a wheel that is built from the
sdist takes it from; nothing is trained or installed for that.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatchling.builders.wheel import WheelBuilder

from hatch_model._carried import SDIST_BOM
from hatch_model._digests import files_of
from hatch_model._large_files import LargeFiles, unfinished
from hatch_model._record import FILE, to_bytes
from hatch_model._sbom import FILE as BOM_FILE
from hatch_model._sources import (
    artifacts_folder,
    distribution_path,
    metadata_name,
    shipped_files,
    source_files,
)
from hatch_model.errors import CarriedModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hatchling.bridge.app import Application

    from hatch_model._digests import File
    from hatch_model._log import Log
    from hatch_model._settings import TrainingSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedModel:
    """A model as it lies in an sdist, or is about to."""

    record: Mapping[str, Any]
    artifacts: Mapping[PurePosixPath, Path]
    """By their paths relative to the project root."""
    bom: Path | None


def train_for_sdist(
    training: TrainingSettings, root: Path, app: Application, folder: Path
) -> PackedModel:
    """Make the model of the project at *root*, and lay it out in *folder*, which does not exist."""
    builder = WheelBuilder(str(root), app=app)
    (wheel,) = builder.build(
        directory=str(folder / "wheel"),
        versions=["standard"],
        # These are about the sdist, for which they may be set in the environment.
        hooks_only=False,
        clean=False,
        clean_hooks_after=False,
    )
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (
            name for name in archive.namelist() if _is_metadata(name, "extra_metadata", FILE)
        )
        record: Mapping[str, Any] = json.loads(archive.read(path))
        places = _places(builder, training, record)
        artifacts = {place: _extract(archive, path, folder) for path, place in places.items()}
        boms = [name for name in archive.namelist() if _is_metadata(name, "sboms", BOM_FILE)]
        bom = _extract(archive, boms[0], folder) if boms else None
    Path(wheel).unlink()
    return PackedModel(record=record, artifacts=artifacts, bom=bom)


def _is_metadata(path: str, kind: str, name: str) -> bool:
    info, _, rest = path.partition("/")
    return info.endswith(".dist-info") and rest == f"{kind}/{name}"


def _extract(archive: zipfile.ZipFile, path: str, folder: Path) -> Path:
    """Extract a file with its mode, which zipfile leaves to others."""
    info = archive.getinfo(path)
    file = Path(archive.extract(info, folder))
    file.chmod(info.external_attr >> 16 & 0o777)
    return file


def _places(
    builder: WheelBuilder, training: TrainingSettings, record: Mapping[str, Any]
) -> dict[str, PurePosixPath]:
    """Say where the tree has each artifact of *record*, by its path in the wheel."""
    folder = artifacts_folder(training, source_files(builder), Path(builder.root))
    shipped = distribution_path(builder, folder)
    paths = [PurePosixPath(artifact["path"]) for artifact in record["artifacts"]]
    strays = [
        f"{path}: the settings have artifacts in {shipped}"
        for path in paths
        if not path.is_relative_to(shipped)
    ]
    if strays:
        raise CarriedModelError(strays)
    return {str(path): folder / path.relative_to(shipped) for path in paths}


def packed_in(
    builder: WheelBuilder, training: TrainingSettings, record: Mapping[str, Any]
) -> PackedModel:
    """Give the model of the unpacked sdist that *builder* builds from, which carries *record*."""
    root = Path(builder.root)
    places = _places(builder, training, record).values()
    bom = root / SDIST_BOM
    return PackedModel(
        record=record,
        artifacts={place: root / place for place in places},
        bom=bom if bom.is_file() else None,
    )


class CarriedRelease:
    """A model on its way from an unpacked sdist into a wheel that *builder* makes."""

    def __init__(
        self, packed: PackedModel, training: TrainingSettings, builder: WheelBuilder, *, log: Log
    ) -> None:
        self._packed = packed
        self._training = training
        self._builder = builder
        self._large = LargeFiles(builder, training.compression, log)

    def add(self, build_data: dict[str, Any], folder: Path) -> None:
        """Have hatchling put the model into the wheel, with *folder* for files on their way there.

        Raises CarriedModelError unless all that ships is what it was when the model was trained.
        """
        packed, builder = self._packed, self._builder
        missing = [str(place) for place, file in packed.artifacts.items() if not file.is_file()]
        if missing:
            raise CarriedModelError([f"{place}: missing" for place in missing])
        self._large.place(packed.artifacts, build_data)
        found = [*_changed_settings(builder, self._training, packed.record)]
        shipped = {str(path): file for path, file in shipped_files(builder, build_data).items()}
        shipped = {path: file for path, file in shipped.items() if path not in self._large.paths}
        found += self._changed_files(files_of(shipped), left_out=self._large.paths)
        if found:
            raise CarriedModelError(found)
        record = folder / metadata_name(builder, FILE)
        record.write_bytes(to_bytes(packed.record))
        build_data["extra_metadata"][str(record)] = record.name
        if packed.bom is not None:
            bom = folder / metadata_name(builder, BOM_FILE)
            shutil.copyfile(packed.bom, bom)
            build_data["sbom_files"].append(str(bom))
        self._large.hide()

    def finish(self, wheel: Path) -> None:
        """Add what is large to *wheel*, which hatchling has made without.

        Raises CarriedModelError if that has changed, and what writing an archive raises.
        """
        if self._large.paths:
            with unfinished(wheel) as hidden:
                self._large.add_to(hidden, self._compare_large)

    def _compare_large(self, files: Mapping[str, File]) -> dict[str, bytes]:
        record = self._packed.record
        others = {file["path"] for file in [*record["sources"], *record["artifacts"]]}
        found = self._changed_files(files.values(), left_out=others - files.keys())
        if found:
            raise CarriedModelError(found)
        return {}

    def _changed_files(self, files: Iterable[File], left_out: Collection[str]) -> list[str]:
        """Compare *files* with the record, but for those of it that are *left_out*."""
        record = self._packed.record
        now = {file.path: file.sha256 for file in files}
        then = {file["path"]: file["sha256"] for file in [*record["sources"], *record["artifacts"]]}
        return [
            f"{path}: {'missing' if path not in now else 'added' if path not in then else 'changed'}"
            for path in sorted({*now, *then}.difference(left_out))
            if now.get(path) != then.get(path)
        ]


def _changed_settings(
    builder: WheelBuilder, training: TrainingSettings, record: Mapping[str, Any]
) -> Iterator[str]:
    project, check = record["project"], record["check"]
    settings = {
        "the name": (project["name"], builder.metadata.name),
        "the version": (project["version"], builder.metadata.version),
        f"{training.key}.train": (record["training"]["entry_point"], str(training.train)),
        f"{training.key}.arguments": (record["training"]["arguments"], dict(training.arguments)),
        f"{training.key}.gates": (
            record["gates"],
            {metric: gate.text for metric, gate in training.gates.items()},
        ),
        f"{training.key}.check": (
            check and check["entry_point"],
            str(training.check) if training.check else None,
        ),
    }
    for name, (then, now) in settings.items():
        if then != now:
            yield f"{name}: {json.dumps(now)}, but {json.dumps(then)} then"
