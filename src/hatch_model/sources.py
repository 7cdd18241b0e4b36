"""The source files that the wheel ships, and how training sees them: as if they were installed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_model.artifacts import published, refuse_lfs_pointers
from hatch_model.digests import files_of
from hatch_model.errors import HatchModelError, Problem, SettingsError
from hatch_model.log import Progress
from hatch_model.workspace import remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hatchling.builders.plugin.interface import BuilderInterface
    from hatchling.builders.wheel import WheelBuilder

    from hatch_model.digests import File
    from hatch_model.log import Log
    from hatch_model.settings import TrainingSettings

_MODULES = (".py", ".so", ".pyd")
_WHEEL = "[tool.hatch.build.targets.wheel]"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A source file that hatchling selects for the wheel."""

    path: Path
    tree: PurePosixPath
    """Relative to the project root."""
    wheel: PurePosixPath
    """Its path in the wheel."""

    @property
    def module(self) -> str:
        """The dotted name to import it by once installed; "" if it is not a module."""
        if self.wheel.suffix != ".py":
            return ""
        parts = self.wheel.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def import_root(self) -> PurePosixPath | None:
        """The folder in the tree from which it can be imported; None if `sources` renames it."""
        depth = len(self.tree.parts) - len(self.wheel.parts)
        if self.tree.parts[depth:] != self.wheel.parts or depth < 0:
            return None
        return PurePosixPath(*self.tree.parts[:depth])


def source_files(builder: WheelBuilder, training: TrainingSettings) -> list[SourceFile]:
    """List what *builder* ships of the source tree.

    Raises HatchModelError where hatchling finds nothing that goes by the project's name, and says
    what to write for the layout that is there, by where *training* lies.
    """
    try:
        included = list(builder.recurse_included_files())
    except ValueError as error:
        if not str(error).startswith("Unable to determine which files to ship"):
            raise
        raise HatchModelError(
            f"hatchling cannot tell which files the wheel ships: no package or module is called like "
            f'the project, "{builder.metadata.core.raw_name}". {_selection(builder, training)}'
        ) from None
    return [
        SourceFile(
            path=Path(each.path),
            tree=PurePosixPath(Path(each.relative_path).as_posix()),
            wheel=PurePosixPath(Path(each.distribution_path).as_posix()),
        )
        for each in included
        if each.relative_path
    ]


def _selection(builder: WheelBuilder, training: TrainingSettings) -> str:
    """Say what to write for the layout that is there: a package, or a module at the top."""
    root, name = Path(builder.root), builder.metadata.name.replace("-", "_")
    train = training.train
    top = train.module.partition(".")[0]
    moved = ".".join([name, *train.module.removeprefix("src.").split(".")])
    move = (
        f"move it to `src/{moved.replace('.', '/')}.py`, and set {training.key}.train to "
        f'"{moved}:{train.attribute}"'
    )
    if top == "src":
        return (
            f"`src` is the folder that packages lie in: wheels that ship it as a package overwrite each "
            f"other. `{train.module}` needs a package of its own: {move}."
        )
    folder = "src/" if (root / "src").is_dir() and not (root / f"{top}.py").is_file() else ""
    if (root / folder / f"{top}.py").is_file():
        return (
            f"`{folder}{top}.py` lies in no package. Either {move}; or have it ship as it is, and the "
            f"model in a folder with a name of its own:\n\n{_WHEEL}\npackages = "
            f'["{folder}{top}.py"]\n\n[{training.key}]\nartifacts = "{folder}{name}_model"'
        )
    package = f"{folder}{top}" if (root / folder / top).is_dir() else _only_package(root)
    packages = json.dumps([package or "src/your_package"])
    return f"Name the package yourself:\n\n{_WHEEL}\npackages = {packages}"


def _only_package(root: Path) -> str:
    """Return the only package in the usual places, relative to *root*; "" if there is not exactly one."""
    found = [*root.glob("src/*/__init__.py"), *root.glob("*/__init__.py")]
    candidates = {each.parent.relative_to(root).as_posix() for each in found}
    candidates -= {"tests", "test", "docs", "src"}
    return candidates.pop() if len(candidates) == 1 else ""


def shipped_files(
    builder: WheelBuilder, build_data: Mapping[str, Any]
) -> list[tuple[PurePosixPath, Path]]:
    """Return every file that *builder* is about to ship in packages, with its path in the wheel."""
    with builder.config.set_build_data(dict(build_data)):
        return [
            (PurePosixPath(Path(each.distribution_path).as_posix()), Path(each.path))
            for each in builder.recurse_included_files()
        ]


def distribution_path(
    builder: BuilderInterface[Any, Any], tree_path: PurePosixPath
) -> PurePosixPath:
    """Return the path in the wheel or sdist of *builder* for *tree_path* in the tree."""
    moved = builder.config.get_distribution_path(str(Path(tree_path)))
    return PurePosixPath(Path(moved).as_posix())


def leave_out(builder: BuilderInterface[Any, Any], paths: Collection[PurePosixPath]) -> None:
    """Make hatchling leave out the files or folders at *paths* in the tree.

    Call this at the end of `initialize`: hatchling keeps such a list for force-included files,
    and resets it after it has read the tree once.
    """
    reserved = builder.config.build_reserved_paths
    for path in paths:
        # Files are excluded by their path in the archive, and folders by their path in the tree.
        reserved.update({str(Path(path)), str(Path(distribution_path(builder, path)))})


def published_in(root: Path, folder: PurePosixPath) -> list[PurePosixPath]:
    """Return the files that `hatch-model train` has written to the tree at *root*."""
    found = published(root / folder)
    return [*(folder / path for path in found), *([folder / ".gitignore"] if found else [])]


def leave_out_of_sdist(builder: BuilderInterface[Any, Any], names: Collection[str]) -> None:
    """Leave out of an sdist the files called *names* at the top, and the model of `hatch-model train`.

    Call this when :func:`leave_out` may be called.
    """
    root, models = Path(builder.root), []
    workspaces = set()
    for each in builder.recurse_included_files():
        path = PurePosixPath(Path(each.relative_path).as_posix())
        if path.name == ".gitignore":
            models += published_in(root, path.parent)
        workspaces |= {part for part in path.parents if part.name.startswith(".hatch-model-")}
    for workspace in workspaces:  # of a running or killed build
        remove_abandoned((root / workspace).parent)
    leave_out(builder, [*map(PurePosixPath, names), *models, *workspaces])


# Artifacts folder and import path


def artifacts_folder(
    settings: TrainingSettings, files: Sequence[SourceFile], root: Path
) -> PurePosixPath:
    """Return the artifacts folder of the tree at *root*, relative to it.

    The default is `data` next to the module that contains the training function.
    """
    if settings.artifacts is not None:
        return settings.artifacts
    train = settings.train
    for file in files:
        if file.module == train.module:
            return file.tree.parent / "data"
    modules = {each.module for each in files if each.module}
    package = train.module.partition(".")[0]
    relative = train.module.replace(".", "/")
    outside = any(
        (root / folder / f"{relative}{ending}").is_file()
        for folder in settings.python_path
        for ending in (".py", "/__init__.py")
    )
    shipped = any(f"{each}.".startswith(f"{package}.") for each in modules)
    if outside or (not shipped and find_spec(package) is not None):
        raise HatchModelError(
            f"{train} lies outside of the files that the wheel ships, so there is no package to put "
            f"the model into. Set {settings.key}.artifacts to a folder inside one of them, such as "
            f'"src/your_package/data".'
        )
    from hatch_model.training import module_not_found  # noqa: PLC0415 - only for a message

    raise HatchModelError(module_not_found(train, settings.key, train.module, modules))


def python_path(settings: TrainingSettings, files: Sequence[SourceFile], root: Path) -> list[Path]:
    """Return the folders of the tree at *root* that training imports from. Raises SettingsError."""
    if settings.python_path:
        problems = [
            Problem(
                f"{settings.key}.python-path[{index}]",
                expected="a folder that exists",
                found=str(path),
            )
            for index, path in enumerate(settings.python_path)
            if not (root / path).is_dir()
        ]
        if problems:
            raise SettingsError(problems)
        return [root / each for each in settings.python_path]
    roots = {each.import_root for each in files if each.module}
    return [root / each for each in sorted(filter(None, roots))] or [root]


# The project as if it were installed


def lay_out_installed(
    builder: WheelBuilder,
    build_data: Mapping[str, Any],
    shipped: Collection[tuple[PurePosixPath, Path]],
    folder: Path,
) -> None:
    """Write to *folder*, which must be first on the path, what the tree alone does not have.

    These are the project's metadata, and the modules that the wheel gets from outside the tree,
    from another hook, or under another name. Modules whose names are the same in the tree are imported
    from there, so that paths relative to their ``__file__`` work.
    """
    info = folder / f"{builder.artifact_project_id}.dist-info"
    info.mkdir(parents=True)
    metadata = builder.config.core_metadata_constructor(
        builder.metadata, extra_dependencies=build_data["dependencies"]
    )
    (info / "METADATA").write_text(metadata, "utf-8")
    modules = {place: file for place, file in shipped if place.suffix in _MODULES}
    tops = sorted({place.parts[0].partition(".")[0] for place in modules})
    (info / "top_level.txt").write_text("".join(f"{top}\n" for top in tops), "utf-8")
    entry_points = builder.construct_entry_points_file()
    if entry_points:
        (info / "entry_points.txt").write_text(entry_points, "utf-8")
    _lay_out_modules(modules, Path(builder.root), folder)


# Runs the package's own file, under its own path. importlib sets `_initializing` on a module that is
# being imported, so that other threads wait for it.
_PACKAGE = """\
import importlib.util as _util, sys as _sys
_spec = _util.spec_from_file_location(__name__, {file!r}, submodule_search_locations={path!r})
_spec._initializing = True
__spec__, __loader__ = _spec, _spec.loader
__file__, __path__ = _spec.origin, _spec.submodule_search_locations
del _util, _spec
try:
    __loader__.exec_module(_sys.modules[__name__])
finally:
    __spec__._initializing = False
"""


def _lay_out_modules(modules: Mapping[PurePosixPath, Path], root: Path, folder: Path) -> None:
    elsewhere = {
        place
        for place, file in modules.items()
        if file.parts[-len(place.parts) :] != place.parts or not file.is_relative_to(root)
    }
    packages = {package for place in elsewhere for package in place.parents if package.parts}
    for package in packages:
        (folder / package).mkdir(parents=True, exist_ok=True)
        init = modules.get(package / "__init__.py")
        if init is not None:
            path = [str(folder / package), str(init.parent)]
            (folder / package / "__init__.py").write_text(
                _PACKAGE.format(file=str(init), path=path), "utf-8"
            )
    for place in elsewhere:
        target, init = folder / place, modules.get(place.parent / "__init__.py")
        is_beside = init is not None and modules[place] == init.parent / place.name
        if not target.exists() and not is_beside:
            _link(modules[place], target)


def _link(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(file)
    except OSError:  # On Windows, links require a permission.
        shutil.copyfile(file, target)


# Inputs, and files that training leaves behind


def input_files(settings: TrainingSettings, root: Path, log: Log) -> list[File]:
    """Read the files that `inputs` names. Raises SettingsError for a pattern without matches."""
    found: set[Path] = set()
    problems = []
    for index, pattern in enumerate(settings.inputs or ()):
        matched = {path for path in root.glob(pattern) if path.is_file()}
        if not matched:
            key = f"{settings.key}.inputs[{index}]"
            problems.append(Problem(key, expected=_expected(root), found=pattern))
        found |= matched
    if problems:
        raise SettingsError(problems)
    sources = {path.relative_to(root).as_posix(): path for path in sorted(found)}
    refuse_lfs_pointers(sources, f"{settings.key}.inputs names")
    return files_of(sources, Progress(log.info), "reading inputs")


def _expected(root: Path) -> str:
    if not (root / "PKG-INFO").is_file():
        return "to match a file"
    from hatch_model.training import INCLUDE_WHAT_IS_READ  # noqa: PLC0415 - only for a message

    # If git ignores the data, it is not in the sdist.
    return f"to match a file of this source distribution, {INCLUDE_WHAT_IS_READ}"


def top_level(root: Path) -> set[str]:
    """Return the names at the top of the tree at *root*."""
    return {each.name for each in root.iterdir()}
