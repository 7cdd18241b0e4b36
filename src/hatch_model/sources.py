"""How training sees the project, as if it were installed, and the data that it reads."""

from __future__ import annotations

import ast
import re
import shutil
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_model.artifacts import published, refuse_lfs_pointers
from hatch_model.digests import file_of, files_of
from hatch_model.entry_point import Script
from hatch_model.errors import HatchModelError
from hatch_model.layout import SEARCHED, check_inputs, module_not_found
from hatch_model.log import Progress
from hatch_model.workspace import remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from hatchling.builders.plugin.interface import BuilderInterface
    from hatchling.builders.wheel import WheelBuilder

    from hatch_model.digests import File
    from hatch_model.layout import SourceFile
    from hatch_model.log import Log
    from hatch_model.settings import TrainingSettings

_MODULES = (".py", ".so", ".pyd")


def is_module(place: PurePosixPath) -> bool:
    """Whether the file at *place* in a wheel is one that can be imported."""
    return place.suffix in _MODULES


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


def distribution_folder(
    builder: BuilderInterface[Any, Any], folder: PurePosixPath
) -> PurePosixPath:
    """Return where the files in *folder* in the tree are in the wheel or sdist of *builder*."""
    # A rule of `sources` for exactly this folder applies only to what is in it.
    return distribution_path(builder, folder / "file").parent


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
    """Leave *names*, at the top, and the model of `hatch-model train` out of an sdist.

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

    The default is `data` next to the module that contains the training function, or next to a
    script in a package, or else in the only package.
    """
    if settings.artifacts is not None:
        return settings.artifacts
    train = settings.train
    if isinstance(train, Script):
        return _folder_beside(train, settings, files) / "data"
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
            f"{train} is not among the files that the wheel ships, so there is no package for the "
            f"model. Set {settings.key}.artifacts to a folder inside one of them, such as "
            f'"src/your_package/data".'
        )
    raise HatchModelError(
        module_not_found(train, f"{settings.key}.train", train.module, modules, places=SEARCHED)
    )


def _folder_beside(
    script: Script, settings: TrainingSettings, files: Sequence[SourceFile]
) -> PurePosixPath:
    """Return the folder of the package that contains *script*, or else of the only one."""
    packages = {
        file.wheel.parent: file.tree.parent
        for file in files
        if file.module and len(file.wheel.parts) > 1
    }
    own = script.path.parent
    if own in packages.values():
        return own
    outermost = [
        folder
        for place, folder in packages.items()
        if not any(parent in packages for parent in place.parents)
    ]
    if len(outermost) != 1:
        number = "several packages" if outermost else "no package"
        raise HatchModelError(
            f"the wheel ships {number}, so there is no telling which one gets the model of "
            f"{script}. Set {settings.key}.artifacts to a folder inside a package, such as "
            f'"src/your_package/data".'
        )
    return outermost[0]


# The project as if it were installed


def lay_out_installed(
    builder: WheelBuilder,
    build_data: Mapping[str, Any],
    shipped: Collection[tuple[PurePosixPath, Path]],
    folder: Path,
) -> None:
    """Write to *folder*, which must be first on the path, what the tree alone does not have.

    These are the project's metadata, and the modules that the wheel gets from outside the tree,
    from another hook, or under another name. Modules whose names are the same in the tree are
    imported from there, so that paths relative to their ``__file__`` work.
    """
    info = folder / f"{builder.artifact_project_id}.dist-info"
    info.mkdir(parents=True)
    metadata = builder.config.core_metadata_constructor(
        builder.metadata, extra_dependencies=build_data["dependencies"]
    )
    (info / "METADATA").write_text(metadata, "utf-8")
    modules = {place: file for place, file in shipped if is_module(place)}
    tops = sorted({place.parts[0].partition(".")[0] for place in modules})
    (info / "top_level.txt").write_text("".join(f"{top}\n" for top in tops), "utf-8")
    entry_points = builder.construct_entry_points_file()
    if entry_points:
        (info / "entry_points.txt").write_text(entry_points, "utf-8")
    _lay_out_modules(modules, Path(builder.root), folder)


# Runs the package's own file, under its own path. importlib sets `_initializing` on a module that
# is being imported, so that other threads wait for it.
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
    check_inputs(settings, root)
    found = {path for each in settings.inputs or () for path in root.glob(each) if path.is_file()}
    sources = {path.relative_to(root).as_posix(): path for path in sorted(found)}
    refuse_lfs_pointers(sources, f"{settings.key}.inputs names")
    return files_of(sources, Progress(log.info), "reading inputs")


def script_file(settings: TrainingSettings, root: Path) -> File | None:
    """Return the script below *root* that trains the model; None if a function does."""
    if not isinstance(settings.train, Script):
        return None
    return file_of(str(settings.train.path), root / settings.train.path)


def top_level(root: Path) -> set[str]:
    """Return the names at the top of the tree at *root*."""
    return {each.name for each in root.iterdir()}


def sdist_files(root: Path) -> Iterator[Path]:
    """Yield the files of the tree at *root* that a source distribution would contain."""
    from hatchling.builders.sdist import SdistBuilder  # noqa: PLC0415 - rarely needed

    for each in SdistBuilder(str(root)).recurse_included_files():
        if each.relative_path and not each.relative_path.startswith(".hatch-model-"):
            yield Path(each.path)


# Data that an sdist lacks


def data_in_no_sdist(
    training: TrainingSettings, root: Path, files: Sequence[SourceFile], packed: Collection[str]
) -> list[str]:
    """Find data files that training seems to read and that are not *packed* in the sdist.

    These are what `inputs` names, and existing files that a call such as ``read_csv`` or ``open``
    in the modules among *files*, or in a script, names, whole or below a folder. Paths are relative
    to *root*.
    """
    names: set[str] = set()
    texts: set[str] = set()
    modules = {file.path for file in files if file.module and file.path.suffix == ".py"}
    if isinstance(training.train, Script):
        modules.add(root / training.train.path)
    for module in modules:
        read, others = _paths_in(module)
        names |= read
        texts |= others
    folders = [text for text in texts if _is(Path.is_dir, root / text)]
    if len(names) * len(folders) > _MOST_PATHS:
        folders = []
    found = {
        path
        for path in [
            *(root / name for name in names),
            *(root / folder / name for folder in folders for name in names),
            *(path for pattern in training.inputs or () for path in root.glob(pattern)),
        ]
        if _is(Path.is_file, path)
    }
    relative = {path.relative_to(root) for path in found}
    # A name with a dot is a setting, and may hold secrets.
    data = {path for path in relative if not any(part.startswith(".") for part in path.parts)}
    return sorted({path.as_posix() for path in data} - {*packed})


_MOST_PATHS = 10_000  # to look for
_READS = re.compile(r"(read|load|open$|scan_|from_|genfromtxt|imread|fromfile|glob|rglob)")
_WRITING_MODE = re.compile(r"[rbt]*[wax][bt+]*")


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # not every text can be a path
        return False


def _paths_in(file: Path) -> tuple[set[str], set[str]]:
    """Return the texts in *file* that name what is read, and all texts that may be paths."""
    try:
        nodes = [*ast.walk(ast.parse(file.read_bytes()))]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set(), set()
    read = [
        each
        for node in nodes
        if isinstance(node, ast.Call) and _is_read(node)
        for each in ast.walk(node)
    ]
    variables = {node.id for node in read if isinstance(node, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.Assign):
            targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if targets & variables:
                read += ast.walk(node.value)
    return _texts(read), _texts(nodes)


def _texts(nodes: Iterable[ast.AST]) -> set[str]:
    values = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return {
        value
        for value in values
        if isinstance(value, str) and 0 < len(value) < 256 and not Path(value).is_absolute()  # noqa: PLR2004
    }


def _is_read(call: ast.Call) -> bool:
    name: str = getattr(call.func, "attr", "") or getattr(call.func, "id", "")
    values = [getattr(each, "value", None) for each in (*call.args, *call.keywords)]
    modes = [getattr(value, "value", value) for value in values]  # of a keyword, its constant
    writes = any(isinstance(mode, str) and _WRITING_MODE.fullmatch(mode) for mode in modes)
    return bool(_READS.match(name)) and not (name == "open" and writes)
