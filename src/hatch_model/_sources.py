"""What the wheel ships of the source tree, and how training imports it from there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_model.errors import (
    ModuleNotFoundInTrainingError,
    Problem,
    SelectionError,
    SettingsError,
    UnknownArtifactsFolderError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatchling.builders.plugin.interface import BuilderInterface
    from hatchling.builders.wheel import WheelBuilder

    from hatch_model._settings import TrainingSettings

_OWN = ".hatch-model."
"""What no path of anybody else's starts with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A file of the source tree that hatchling selects for the wheel."""

    path: Path
    tree: PurePosixPath
    """Relative to the project root."""
    wheel: PurePosixPath
    """Where the wheel has it."""

    @property
    def module(self) -> str:
        """The dotted name that it is imported by once installed; "" for what is no module."""
        if self.wheel.suffix != ".py":
            return ""
        parts = self.wheel.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def import_root(self) -> PurePosixPath | None:
        """The folder of the tree from which it is importable; None where `sources` rewrites it."""
        depth = len(self.tree.parts) - len(self.wheel.parts)
        if self.tree.parts[depth:] != self.wheel.parts or depth < 0:
            return None
        return PurePosixPath(*self.tree.parts[:depth])


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingTree:
    """Where training imports the project from, and where it writes."""

    python_path: Sequence[Path]
    artifacts: PurePosixPath
    """The artifacts folder, relative to the project root."""
    artifacts_dir: Path
    """The same in the tree that is imported, which `sources` may have moved elsewhere."""


def source_files(builder: WheelBuilder) -> list[SourceFile]:
    """List what *builder* ships of the source tree.

    Raises SelectionError where hatchling finds nothing that goes by the project's name.
    """
    root = Path(builder.root)
    try:
        included = list(builder.recurse_included_files())
    except ValueError as error:
        if not str(error).startswith("Unable to determine which files to ship"):
            raise
        raise SelectionError(builder.metadata.core.raw_name, _only_package(root)) from None
    return [
        SourceFile(
            path=Path(each.path),
            tree=PurePosixPath(Path(each.relative_path).as_posix()),
            wheel=PurePosixPath(Path(each.distribution_path).as_posix()),
        )
        for each in included
        if each.relative_path
    ]


def shipped_files(
    builder: WheelBuilder, build_data: Mapping[str, Any]
) -> dict[PurePosixPath, Path]:
    """Give every file that *builder* is about to ship in packages, by its path in the wheel."""
    with builder.config.set_build_data(dict(build_data)):
        return {
            PurePosixPath(Path(each.distribution_path).as_posix()): Path(each.path)
            for each in builder.recurse_included_files()
        }


def metadata_name(builder: WheelBuilder, name: str) -> str:
    """Say what to call a file of the wheel's metadata for it to become *name* there.

    hatchling rewrites it as if it were a file of the tree, so `sources` with a prefix for all would
    move it to a folder of its own. A rule of our own goes before that.
    """
    config = builder.config
    if config.get_distribution_path(name) == name:
        return name
    rules = {_OWN: "", **config.sources}
    config.sources.clear()
    config.sources.update(rules)
    return f"{_OWN}{name}"


def distribution_path(
    builder: BuilderInterface[Any, Any], tree_path: PurePosixPath
) -> PurePosixPath:
    """Say where the wheel or sdist that *builder* makes has what the tree has at *tree_path*."""
    moved = builder.config.get_distribution_path(str(Path(tree_path)))
    return PurePosixPath(Path(moved).as_posix())


def _only_package(root: Path) -> str:
    """Name the one package in the usual places, relative to *root*; "" if there is not just one."""
    found = [*root.glob("src/*/__init__.py"), *root.glob("*/__init__.py")]
    candidates = {each.parent.relative_to(root).as_posix() for each in found}
    candidates -= {"tests", "test", "docs"}
    return candidates.pop() if len(candidates) == 1 else ""


def training_tree(
    settings: TrainingSettings, files: list[SourceFile], builder: WheelBuilder, staging: Path
) -> TrainingTree:
    """Decide where to import from and write to.

    Where `sources` gives a package another name in the wheel than in the tree, the wheel's files
    are linked together in *staging*, a folder that does not exist, under the names they will have.
    """
    root = Path(builder.root)
    python_path = _python_path(settings, root)
    artifacts = artifacts_folder(settings, files, root)
    if python_path:
        return TrainingTree(
            python_path=python_path, artifacts=artifacts, artifacts_dir=root / artifacts
        )
    modules = [each for each in files if each.module]
    roots = {each.import_root for each in modules}
    if None in roots:
        _stage(files, staging, keep_off=artifacts)
        return TrainingTree(
            python_path=[staging],
            artifacts=artifacts,
            artifacts_dir=staging / distribution_path(builder, artifacts),
        )
    return TrainingTree(
        python_path=[root / each for each in sorted(filter(None, roots))] or [root],
        artifacts=artifacts,
        artifacts_dir=root / artifacts,
    )


def _python_path(settings: TrainingSettings, root: Path) -> list[Path]:
    python_path = [root / each for each in settings.python_path]
    problems = [
        Problem(
            f"{settings.key}.python-path[{index}]",
            expected="a folder that exists",
            found=str(settings.python_path[index]),
        )
        for index, folder in enumerate(python_path)
        if not folder.is_dir()
    ]
    if problems:
        raise SettingsError(problems)
    return python_path


def artifacts_folder(
    settings: TrainingSettings, files: list[SourceFile], root: Path
) -> PurePosixPath:
    """Say which folder of the tree at *root* holds the artifacts, relative to it."""
    return settings.artifacts or _default_artifacts(settings, files, _python_path(settings, root))


def _default_artifacts(
    settings: TrainingSettings, files: list[SourceFile], python_path: list[Path]
) -> PurePosixPath:
    """Find `data` beside the module that holds the training function."""
    train = settings.train
    for file in files:
        if file.module == train.module:
            return file.tree.parent / "data"
    modules = {each.module for each in files if each.module}
    package = train.module.partition(".")[0]
    relative = train.module.replace(".", "/")
    outside = any(
        (folder / f"{relative}{ending}").is_file()
        for folder in python_path
        for ending in (".py", "/__init__.py")
    )
    shipped = any(f"{each}.".startswith(f"{package}.") for each in modules)
    if outside or (not shipped and find_spec(package) is not None):
        raise UnknownArtifactsFolderError(str(train), settings.key)
    raise ModuleNotFoundInTrainingError(str(train), settings.key, train.module, modules)


def _stage(files: list[SourceFile], staging: Path, keep_off: PurePosixPath) -> None:
    """Link *files* together as the wheel will have them.

    What lies in *keep_off*, where training writes, is copied: the user's files are not written to.
    So are modules, whose ``Path(__file__).resolve()`` would lead back into the tree.
    """
    for file in files:
        target = staging / file.wheel
        target.parent.mkdir(parents=True, exist_ok=True)
        if not file.module and not file.tree.is_relative_to(keep_off):
            try:
                target.symlink_to(file.path)
                continue
            except OSError:  # Windows gives links to those only who may make them.
                pass
        shutil.copy2(file.path, target)
