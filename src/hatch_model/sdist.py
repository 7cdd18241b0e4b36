"""What hatch-model adds to an sdist: the lock, the commit, and the model of a trained sdist.

A wheel that is built from the sdist uses this commit and model: an sdist has no repository, and an
existing model needs no training and no training environment. To train such a model, the sdist build
builds a wheel in a temporary folder, including gates, check and BOM.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import InvalidRequirement, Requirement

from hatch_model import git
from hatch_model.digests import file_of
from hatch_model.entry_point import Script
from hatch_model.errors import HatchModelError
from hatch_model.project import CARRIED_FILE
from hatch_model.record import (
    BOM_FILE,
    RECORD_FILE,
    REPORT_FOLDER,
    as_json,
    name_in_report,
    read_json,
    to_bytes,
)
from hatch_model.settings import declared_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hatch_model.digests import File
    from hatch_model.git import Commit
    from hatch_model.project import Project
    from hatch_model.wheel import Record

_MOST_NAMES = 5
_CARRIED_BOM = ".hatch-model.cdx.json"
CARRIED_REPORT = ".hatch-model.report"
"""The folder with the report, at the top of a trained sdist."""


# Data in an unpacked sdist


def carried_in(root: Path) -> Mapping[str, Any] | None:
    """Read the data in the unpacked sdist at *root*; None if it is not an sdist or has no data.

    Raises HatchModelError if the data cannot be read.
    """
    file = root / CARRIED_FILE
    if not file.is_file():
        return None
    try:
        return read_carried(file.read_text("utf-8"), CARRIED_FILE)
    except ValueError as error:
        raise _altered([str(error)]) from None


def read_carried(text: str, path: str) -> Mapping[str, Any]:
    """Parse the data of an sdist, at *path*. Raises ValueError with a message."""
    try:
        content = read_json(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not _is_carried(content):
        raise ValueError(f"{path}: it was not written by hatch-model")
    return cast("Mapping[str, Any]", content)


def _is_carried(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    if not all(isinstance(content.get(name, {}), dict) for name in ("record", "settings")):
        return False
    git = content.get("git", "")
    if not isinstance(git, dict):
        return git is None
    return isinstance(git.get("commit"), str) and isinstance(git.get("dirty"), bool)


def carried_record(root: Path) -> Mapping[str, Any] | None:
    """Return the record of the model that is in the tree at *root*, as in a trained sdist."""
    record = (carried_in(root) or {}).get("record")
    if record is not None and not _is_record(record):
        raise _altered([f"{CARRIED_FILE}: its record is not what hatch-model writes"])
    return cast("Mapping[str, Any] | None", record)


def _is_record(record: Any) -> bool:
    """Return whether a build finds in *record* what it uses."""
    try:
        files = [*record["artifacts"], *record["sources"], *record["inputs"]]
        files += record.get("report", [])
        texts = [each[name] for each in files for name in ("path", "sha256")]
        texts += [record["python"]["implementation"], record["python"]["version"]]
        return isinstance(record["pins"], list) and all(
            isinstance(each, str) for each in (*texts, *map(str, map(Requirement, record["pins"])))
        )
    except (InvalidRequirement, KeyError, RecursionError, TypeError):
        return False


def commit_of(root: Path, warn: Callable[[str], None]) -> Commit | None:
    """Return the commit of the tree at *root*, as its sdist says, or else git; None if unknown.

    If git should know it and fails, *warn* gets the reason.
    """
    carried = carried_in(root)
    return git.commit_of(root, warn) if carried is None else cast("Commit | None", carried["git"])


# Adding to an sdist


def add_to_sdist(project: Project, build_data: dict[str, Any], packed: PackedModel | None) -> None:
    """Include the lock, a script, the commit and the model *packed*. Raises HatchModelError."""
    root, include = project.root, build_data["force_include"]
    _add_lock(project, include)
    _add_script(project, include)
    commit = commit_of(root, project.log.warning)
    if commit is not None or packed is not None:
        carried: dict[str, Any] = {"git": commit}
        if packed is not None:
            carried["record"] = packed.record
            carried["settings"] = _settings_beside_the_record(project)
        file = project.workspace.path / CARRIED_FILE
        file.write_text(json.dumps(carried, indent=2, sort_keys=True) + "\n", "utf-8")
        include[str(file)] = CARRIED_FILE
    if packed is not None:
        include.update({str(file): str(Path(place)) for place, file in packed.artifacts.items()})
        if packed.bom is not None:
            include[str(packed.bom)] = _CARRIED_BOM
        report = packed.report.items()
        include.update({str(file): str(Path(CARRIED_REPORT, name)) for name, file in report})


def _add_lock(project: Project, include: dict[str, str]) -> None:
    """Include the lock, or the workspace's part of it: an sdist is without its workspace."""
    from hatch_model.uv import MEMBER_FILE, member_content, uv_project  # noqa: PLC0415 - not for wheels

    uv, training, digest = uv_project(project.root), project.training, project.lock_digest()
    exports: list[str] = []
    if training.lock is not None:
        from hatch_model.lock import is_shared, uv_exports  # noqa: PLC0415 - only for this option

        if is_shared(training.lock, uv):
            exports = uv_exports(training.lock, uv, training.group_names)
        else:
            digest = None
            include[str(project.root / training.lock)] = str(Path(training.lock))
    if exports or (uv.is_member and (uv.local_names or uv.overrides)):
        file = project.workspace.path / MEMBER_FILE
        file.write_bytes(member_content(uv, digest, exports))
        include[str(file)] = MEMBER_FILE


def _add_script(project: Project, include: dict[str, str]) -> None:
    """Include the script that trains the model, which the sdist's own selection may leave out."""
    train = project.training.train
    if isinstance(train, Script) and (project.root / train.path).is_file():
        include[str(project.root / train.path)] = str(Path(train.path))


def warn_of_missing_data(project: Project) -> None:
    """Warn of data that training seems to read and that the sdist leaves out, as git ignores it."""
    from hatch_model import sources  # noqa: PLC0415 - sources of all sdists import this module
    from hatch_model.layout import source_files  # noqa: PLC0415 - as above

    root, training = project.root, project.training
    try:
        files = source_files(WheelBuilder(str(root)), training)
        folder = sources.artifacts_folder(training, files, root)
    except (HatchModelError, OSError):
        return  # A build of the wheel says more.
    packed = {
        Path(each.relative_path).as_posix() for each in project.builder.recurse_included_files()
    }
    missing = [
        path
        for path in sources.data_in_no_sdist(training, root, files, packed)
        if not PurePosixPath(path).is_relative_to(folder)
    ]
    if missing:
        names = ", ".join(f"`{path}`" for path in missing[:_MOST_NAMES])
        more = f" and {len(missing) - _MOST_NAMES} more" if len(missing) > _MOST_NAMES else ""
        project.log.warning(
            f"the project names {names}{more}, which this source distribution does not contain, as "
            f"git ignores it or the settings exclude it. To train from the source distribution, "
            f"add it to [tool.hatch.build.targets.sdist] artifacts. Or build the wheel from the "
            f"source tree (`uv build --wheel`), and name the data in {training.key}.inputs for the "
            f"record."
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedModel:
    """A model in an sdist."""

    record: Mapping[str, Any]
    artifacts: Mapping[PurePosixPath, Path]
    """By their paths relative to the project root."""
    bom: Path | None
    report: Mapping[str, Path]
    """By their paths below the report's folder."""


def train_for_sdist(project: Project, app: Any) -> PackedModel:
    """Make the model of *project*, by building its wheel in the workspace."""
    folder = project.workspace.folder("sdist")
    builder = WheelBuilder(str(project.root), app=app)
    (wheel,) = builder.build(
        directory=str(folder / "wheel"),
        versions=["standard"],
        # These options of the environment are for the sdist.
        hooks_only=False,
        clean=False,
        clean_hooks_after=False,
    )
    with zipfile.ZipFile(wheel) as archive:
        info = f"{builder.artifact_project_id}.dist-info"
        record: Mapping[str, Any] = json.loads(archive.read(f"{info}/{RECORD_FILE}"))
        places = _places(builder, project, record)
        artifacts = {place: _extract(archive, path, folder) for path, place in places.items()}
        has_bom = f"{info}/{BOM_FILE}" in archive.namelist()
        bom = _extract(archive, f"{info}/{BOM_FILE}", folder) if has_bom else None
        report = {
            name_in_report(each["path"]): _extract(archive, each["path"], folder)
            for each in record.get("report", [])
        }
    Path(wheel).unlink()
    return PackedModel(record=record, artifacts=artifacts, bom=bom, report=report)


def _extract(archive: zipfile.ZipFile, path: str, folder: Path) -> Path:
    """Extract a file with its mode, which zipfile ignores."""
    info = archive.getinfo(path)
    file = Path(archive.extract(info, folder))
    file.chmod(info.external_attr >> 16 & 0o777)
    return file


def _places(
    builder: WheelBuilder, project: Project, record: Mapping[str, Any]
) -> dict[str, PurePosixPath]:
    """Return where the tree has each artifact of *record*, by its path in the wheel."""
    from hatch_model import sources  # noqa: PLC0415 - sources of all sdists import this module
    from hatch_model.layout import source_files  # noqa: PLC0415 - as above

    folder = sources.artifacts_folder(
        project.training, source_files(builder, project.training), project.root
    )
    shipped = sources.distribution_folder(builder, folder)
    try:
        paths = [PurePosixPath(artifact["path"]) for artifact in record["artifacts"]]
    except (KeyError, TypeError):
        raise _altered([f"{CARRIED_FILE}: its record was not written by hatch-model"]) from None
    strays = [
        f"{path}: the settings have artifacts in {shipped}"
        for path in paths
        if not path.is_relative_to(shipped)
    ]
    if strays:
        raise _altered(strays)
    return {str(path): folder / path.relative_to(shipped) for path in paths}


# Building from an unpacked sdist


def packed_in(project: Project, record: Mapping[str, Any]) -> PackedModel:
    """Return the model of the unpacked sdist *project*, which contains *record*.

    Raises HatchModelError for a model that is missing, or was trained with other settings.
    """
    builder = project.builder
    if not isinstance(builder, WheelBuilder):
        builder = WheelBuilder(str(project.root))
    places = _places(builder, project, record).values()
    missing = [f"{place}: missing" for place in places if not (project.root / place).is_file()]
    differences = missing or [
        *_contradictions(record),
        *_changed_settings(project, record),
        *_changed_inputs(project, record),
        *_changed_report(project.root / CARRIED_REPORT, record),
    ]
    if differences:
        raise _altered(differences)
    bom = project.root / _CARRIED_BOM
    return PackedModel(
        record=record,
        artifacts={place: project.root / place for place in places},
        bom=bom if bom.is_file() else None,
        # All of them are there, and nothing else.
        report={name: project.root / CARRIED_REPORT / name for name in _digests_of_report(record)},
    )


def _digests_of_report(record: Mapping[str, Any]) -> dict[str, str]:
    return {name_in_report(each["path"]): each["sha256"] for each in record.get("report", [])}


def _changed_report(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """Find the files in *folder* that are not those of the report in *record*."""
    files = {
        file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if not file.is_dir()
    }
    now = {
        name: file_of(name, file).sha256 if file.is_file() else "no file"
        for name, file in files.items()
    }
    return _differences(_digests_of_report(record), now, f"{CARRIED_REPORT}/")


def _contradictions(record: Mapping[str, Any]) -> Iterator[str]:
    """Find pins in *record* that are not the versions in its environment."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - rarely needed
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - as above

    from hatch_model.pins import allows  # noqa: PLC0415 - as above

    trained = {each["name"]: each["version"] for each in record["environment"]}
    pins: dict[str, list[Requirement]] = {}
    for pin in map(Requirement, record["pins"]):
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for name, lines in pins.items():
        version = trained.get(name)
        # A lock may have one pin for each platform.
        if version and not any(allows(pin, version) for pin in lines):
            yield f"{name}: {version} trained the model, but the pin is {lines[0]}"


class CarriedContent:
    """The content of a wheel from a trained sdist: only what was made together with the model."""

    is_checked = False

    def __init__(self, packed: PackedModel) -> None:
        self._packed = packed

    @property
    def requirements(self) -> Sequence[str]:
        return [*self._packed.record["pins"]]

    def check(self, unpacked: Path) -> None:
        """Do nothing: it was checked when it was trained, and its requirements may be missing."""

    def metadata(self, wheel: Record, artifacts: Mapping[str, File]) -> dict[str, bytes]:
        """Return the record. Raises HatchModelError unless all files that ship are unchanged."""
        sources = [file for file in wheel.files() if file.path not in artifacts]
        differences = self._changed_files([*sources, *artifacts.values()])
        if differences:
            raise _altered(differences)
        written = {RECORD_FILE: to_bytes(self._packed.record)}
        if self._packed.bom is not None:
            written[BOM_FILE] = self._packed.bom.read_bytes()
        report = self._packed.report.items()
        return {
            **written,
            **{f"{REPORT_FOLDER}/{name}": file.read_bytes() for name, file in report},
        }

    def _changed_files(self, files: Iterable[File]) -> list[str]:
        record = self._packed.record
        now = {file.path: as_json(file)["sha256"] for file in files}
        then = {file["path"]: file["sha256"] for file in [*record["sources"], *record["artifacts"]]}
        return [*_differences(then, now)]


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any], folder: str = ""
) -> Iterator[str]:
    for path in sorted({*now, *then}):
        if now.get(path) != then.get(path):
            change = "missing" if path not in now else "added" if path not in then else "changed"
            yield f"{folder}{path}: {change}"


def _changed_settings(project: Project, record: Mapping[str, Any]) -> Iterator[str]:
    training, metadata = project.training, project.metadata
    try:
        recorded, check = record["project"], record["check"]
        settings = {
            "the name": (recorded["name"], metadata.name),
            "the version": (recorded["version"], metadata.version),
            f"{training.key}.train": (record["training"]["entry_point"], str(training.train)),
            f"{training.key}.arguments": (
                record["training"]["arguments"],
                dict(training.arguments),
            ),
            f"{training.key}.gates": (
                record["gates"],
                {metric: gate.text for metric, gate in training.gates.items()},
            ),
            f"{training.key}.check": (
                check and check["entry_point"],
                str(training.check) if training.check else None,
            ),
            f"{training.key}.predict": (
                record.get("predict", {}).get("entry_point"),
                str(training.predict) if training.predict else None,
            ),
        }
    except (AttributeError, KeyError, TypeError):
        yield f"{CARRIED_FILE}: its record was not written by hatch-model"
        return
    for name, (then, now) in settings.items():
        if then != now:
            yield f"{name}: {json.dumps(now)}, but {json.dumps(then)} then"

    carried, settings = carried_in(project.root) or {}, _settings_beside_the_record(project)
    then = carried.get("settings", {})
    for name in sorted({*settings, *then}):
        # Without the values, as variables may be secret.
        if settings.get(name) != then.get(name):
            yield f"{name}: changed"


def _settings_beside_the_record(project: Project) -> dict[str, Any]:
    """Return what a model depends on and its record does not contain, by key."""
    training, model = project.training, project.model
    return {
        f"{training.key}.inputs": [*(training.inputs or [])],
        f"{training.key}.environment": dict(training.environment),
        f"{training.key}.dependency-groups": declared_lines(training.groups),
        model.declared_in: declared_lines(model.roots),
        f"{model.policy.key}.pins": model.policy.pins,
        f"{model.policy.key}.local-versions": model.policy.local_versions,
        f"{model.policy.key}.direct-references": model.policy.direct_references,
        f"{model.policy.key}.python": model.python,
    }


def _changed_inputs(project: Project, record: Mapping[str, Any]) -> Iterator[str]:
    """Find inputs, or a script, that are in the sdist but are not what was read."""
    try:
        script = record["training"].get("script")
        files = [*record["inputs"], *([script] if script else [])]
        recorded = [(each["path"], each["sha256"]) for each in files]
    except (AttributeError, KeyError, TypeError):
        yield f"{CARRIED_FILE}: its record was not written by hatch-model"
        return
    for path, digest in recorded:
        file = project.root / path
        if file.is_file() and file_of(path, file).sha256 != digest:
            yield f"{path}: changed"


def _altered(differences: Sequence[str]) -> HatchModelError:
    lines = "".join(f"\n  {difference}" for difference in differences)
    return HatchModelError(
        f"this source distribution has changed since its model was trained:{lines}\nUnpack it "
        f"again, or set HATCH_MODEL_RETRAIN=1 to train a new model from the current files."
    )
