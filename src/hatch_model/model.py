"""Make one model, from the settings to the artifacts: train it, or take it from the store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from packaging.utils import canonicalize_name

from hatch_model import git
from hatch_model.artifacts import Artifact, TrainedModel, publish, refuse_lfs_pointers, written
from hatch_model.closure import closure_of, holds, installed_root
from hatch_model.entry_point import OUTPUT_DIR, Script
from hatch_model.errors import HatchModelError
from hatch_model.gates import check_gates
from hatch_model.installed import (
    InstalledEnvironment,
    imported_copies,
    imported_names,
    imported_strangers,
    is_site_folder,
)
from hatch_model.layout import check_script, python_path, source_files
from hatch_model.log import human_duration, human_size
from hatch_model.phase import is_unpacked_sdist
from hatch_model.pins import check_same_pins, marker_environment, pinned_version
from hatch_model.project import CARRIED_FILE
from hatch_model.record import Provenance
from hatch_model.sources import (
    artifacts_folder,
    distribution_folder,
    input_files,
    is_module,
    lay_out_installed,
    published_in,
    script_file,
    sdist_files,
    shipped_files,
    top_level,
)
from hatch_model.tables import Root
from hatch_model.workspace import remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatchling.builders.wheel import WheelBuilder

    from hatch_model.closure import Closure
    from hatch_model.git import Commit
    from hatch_model.installed import Environment
    from hatch_model.process import RunProcess
    from hatch_model.project import Project
    from hatch_model.training import Result


_MOST_NAMES = 5
_MOST_FILES = 3  # of which a line tells one by one


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model that is ready to ship."""

    trained: TrainedModel
    folder: PurePosixPath
    """The artifacts folder, relative to the project root."""
    provenance: Provenance
    left_out: Sequence[PurePosixPath]
    """Files in the tree that are neither sources nor artifacts: files that training left there, and
    files of `hatch-model train`. Relative to the project root.
    """


def make_model(
    project: Project,
    build_data: Mapping[str, Any],
    *,
    is_release: bool = True,
    run: RunProcess | None = None,
) -> Model:
    """Train or reuse a model, and check that the pins match the versions that it was trained with.

    *build_data* is hatchling's, as filled in by the hooks so far. If not *is_release*, gates
    are shown but not enforced, and there are no warnings about undeclared packages. Raises
    HatchModelError. The source tree is always restored.
    """
    return _Making(project, build_data, run).make(is_release=is_release)


def make_model_in_tree(
    project: Project, build_data: Mapping[str, Any], *, is_release: bool = True
) -> Model:
    """Make the model where an editable install imports it from, ignored by git."""
    model = make_model(project, build_data, is_release=is_release)
    warning = publish(model.trained.artifacts, project.root / model.folder)
    if warning:
        project.log.warning(warning)
    return model


def _commit_of(project: Project) -> Commit | None:
    if (project.root / CARRIED_FILE).is_file():
        from hatch_model.sdist import commit_of  # noqa: PLC0415 - only in an sdist

        return commit_of(project.root, project.log.warning)
    return git.commit_of(project.root, project.log.warning)


class _Making:
    def __init__(
        self, project: Project, build_data: Mapping[str, Any], run: RunProcess | None
    ) -> None:
        self._project = project
        self._training = project.training
        self._builder = cast("WheelBuilder", project.builder)
        self._run = run
        self._pins = project.pins()
        self._check_installed()
        check_script(project.training, project.root)
        self._files = source_files(self._builder, project.training)
        self._folder = artifacts_folder(project.training, self._files, project.root)
        if remove_abandoned((project.root / self._folder).parent):
            # As they were before that build was killed.
            self._files = source_files(self._builder, project.training)
        self._python_path = python_path(project.training, self._files, project.root)
        self._shipped = shipped_files(self._builder, build_data)
        refuse_lfs_pointers({str(place): file for place, file in self._shipped}, "the wheel ships")
        self._installed = project.workspace.path / "installed"
        lay_out_installed(self._builder, build_data, self._shipped, self._installed)

    def make(self, *, is_release: bool) -> Model:
        project, training, root = self._project, self._training, self._project.root
        # Before training, which may change the tree.
        provenance = Provenance(
            commit=_commit_of(project),
            inputs=input_files(training, root, project.log),
            script=script_file(training, root),
            lock=project.lock_digest(),
        )
        old = published_in(root, self._folder)
        before = top_level(root)
        self._warn_of_shared_folder()
        trained = self._obtain(provenance)
        left = self._left_behind(before)
        check_gates(trained.metrics, training.gates, project.log, is_release=is_release)
        if is_release:
            self._warn_of_strangers(trained)
        self._warn_of_stale_files(trained, provenance, old)
        return Model(
            trained=trained, folder=self._folder, provenance=provenance, left_out=[*old, *left]
        )

    def _obtain(self, provenance: Provenance) -> TrainedModel:
        if not self._training.is_reusable:
            return self._train()
        from hatch_model import reuse  # noqa: PLC0415 - only for this option

        project, environment = self._project, InstalledEnvironment()
        for_training = self._closure_for_training(environment)
        old = {project.root / path for path in published_in(project.root, self._folder)}
        ingredients = reuse.ingredients_of(
            self._training,
            {place: file for place, file in self._shipped if file not in old},
            (self._folder, distribution_folder(self._builder, self._folder)),
            provenance.inputs,
            {**self._pins.closure.distributions, **for_training.distributions},
            root=project.root,
            workspace=project.workspace.path,
            environment=environment,
            project=project.name,
        )
        return reuse.reuse_or_train(
            ingredients,
            partial(self._train),
            project=project.name,
            folder=project.workspace.folder("stored"),
            log=project.log,
        )

    def _train(self) -> TrainedModel:
        """Train in a separate process."""
        from hatch_model.training import Request, train  # noqa: PLC0415 - not to reuse a model

        project, training = self._project, self._training
        request = Request(
            key=training.key,
            declared_in=project.model.declared_in,
            train=training.train,
            arguments=training.arguments,
            root=project.root,
            python_path=[self._installed, *self._python_path],
            artifacts_dir=project.root / self._folder,
            environment=training.environment,
            parallel=self._parallel(),
            modules=[file.module for file in self._files if file.module],
        )
        project.log.info(f"training with {training.train}")
        start = time.monotonic()
        result = train(request, project.workspace.path, project.log.output, self._run)
        artifacts = self._artifacts(result)
        duration = human_duration(time.monotonic() - start)
        project.log.info(f"trained in {duration}: {_listed(artifacts)}")
        # Files that the build laid out for training are not part of the environment.
        path = [each for each in result.path if each != str(self._installed)]
        pins = project.pins_on(path)
        check_same_pins(self._pins.lines, pins.lines)
        self._check_imported_as_pinned(result, pins.closure)
        environment = InstalledEnvironment(path)
        return TrainedModel(
            artifacts=artifacts,
            metrics=result.metrics,
            environment=result.environment
            or [(each.name, each.raw_version) for each in environment],
            strangers=self._strangers(result, environment),
            imported=result.imported,
            model_saved=result.model_saved,
            report=self._report(result),
            engine=self._engine(environment),
        )

    def _parallel(self) -> Mapping[str, Any] | None:
        """Return what the child is told of the engine that training runs on."""
        parallel, training = self._training.parallel, self._training
        if parallel is None:
            return None
        archive = self._project.workspace.path / "source.zip"
        train, versions = str(training.train), self._versions(self._pins.closure)
        if not parallel.offload:
            return parallel.request(
                training.environment,
                train=train,
                versions=versions,
                modules=[(place, file) for place, file in self._shipped if is_module(place)],
                archive=archive,
            )
        # What only training imports has to be there, too.
        versions |= self._versions(self._closure_for_training(InstalledEnvironment()))
        root, installed = self._project.root, self._installed
        inputs = [path for each in training.inputs or () for path in root.glob(each)]
        files = {*sdist_files(root), *(path for path in inputs if path.is_file())}
        if isinstance(training.train, Script):
            files.add(root / training.train.path)
        return parallel.request_to_offload(
            training.environment,
            train=train,
            versions=versions,
            folders={
                "tree": (root, sorted(files)),
                "installed": (installed, sorted(installed.rglob("*"))),
            },
            python_path=[
                "installed",
                *(f"tree/{each.relative_to(root).as_posix()}" for each in self._python_path),
            ],
            archive=archive,
        )

    def _versions(self, closure: Closure) -> dict[str, str]:
        return {
            name: pinned_version(each.version, self._pins.policy)
            for name, each in closure.distributions.items()
        }

    def _engine(self, environment: Environment) -> Mapping[str, str] | None:
        parallel = self._training.parallel
        if parallel is None or not parallel.distribution:
            return None
        found = environment.find(canonicalize_name(parallel.distribution))
        assert found is not None  # noqa: S101 - Project.check_tools()
        return {"name": parallel.backend, "version": found.raw_version}

    def _artifacts(self, result: Result) -> list[Artifact]:
        artifacts = written(result.output_dir)
        if not artifacts and isinstance(self._training.train, Script):
            raise HatchModelError(self._nothing_from(self._training.train))
        if not artifacts:
            raise HatchModelError(
                f"{self._training.train} returned no model and wrote nothing to `{self._folder}`, "
                f"so there is nothing to ship. Return the model, take `output_dir` and write "
                f"there, or set {self._training.key}.artifacts to the folder that it writes to."
            )
        return artifacts

    def _nothing_from(self, script: Script) -> str:
        parallel = self._training.parallel
        if parallel and parallel.offload:
            return (
                f"{script} wrote nothing to the folder that the environment variable {OUTPUT_DIR} "
                f"names, so there is nothing to ship. What it writes elsewhere on a worker is lost."
            )
        return (
            f"{script} wrote nothing to `{self._folder}`, so there is nothing to ship. Have it "
            f"write the model to the folder that the environment variable {OUTPUT_DIR} names, or "
            f"set {self._training.key}.artifacts to the folder that it writes to."
        )

    def _report(self, result: Result) -> list[Artifact]:
        if not (result.report_dir.is_dir() and any(result.report_dir.iterdir())):
            return []
        from hatch_model.report import collect  # noqa: PLC0415 - few models have one

        return collect(
            result.report_dir,
            self._project.workspace.folder("collected"),
            self._project.log.warning,
        )

    def _check_imported_as_pinned(self, result: Result, closure: Closure) -> None:
        """Check that the modules of pinned distributions were not imported from elsewhere."""
        copies = imported_copies(result.top_level, closure.distributions.values())
        for distribution, module, file in copies:
            root, path = self._project.root, Path(file)
            place = path.relative_to(root).as_posix() if path.is_relative_to(root) else file
            raise HatchModelError(
                f"the wheel would pin {distribution.name} {distribution.raw_version}, but training "
                f"imported `{module}` from `{place}`, which is not that distribution's. Remove or "
                f"rename that copy, or take its folder out of {self._training.key}.python-path or "
                f"PYTHONPATH."
            )

    def _closure_for_training(self, environment: Environment, *more: Root) -> Closure:
        return closure_of(
            (*self._training.groups, *more),
            environment,
            marker_environment(),
            project=self._project.name,
            strict=False,
        )

    def _check_installed(self) -> None:
        environment, markers = InstalledEnvironment(), marker_environment()
        for root in self._training.groups:
            if holds(root.requirement, markers):
                installed_root(environment, root)
        for closure in (self._pins.closure, self._closure_for_training(environment)):
            self._project.check_origins(closure.distributions.values())

    def _strangers(self, result: Result, environment: Environment) -> list[str]:
        """Return the distributions that training imported but that only the build tools require."""
        parallel = self._training.parallel
        needed = parallel.requirements if parallel else ()
        for_engine = [Root(text=each, origin=f"{self._training.key}.parallel") for each in needed]
        for_training = self._closure_for_training(environment, *for_engine)
        known = {
            self._project.name,
            *self._pins.closure.distributions,
            *for_training.distributions,
        }
        own = [file for file in result.imported if not is_site_folder(file)]
        names = imported_names(own)
        return [*imported_strangers(result.imported, environment, known, names)]

    # Messages

    def _left_behind(self, before: set[str]) -> list[PurePosixPath]:
        """Find files that training left in its working directory, and warn about them."""
        root = self._project.root
        new = sorted(
            name for name in top_level(root) - before if not name.startswith(".hatch-model-")
        )
        # An unpacked sdist is removed, and what git ignores disturbs nobody.
        is_sdist = is_unpacked_sdist(root)
        told = [] if is_sdist else sorted({*new} - git.ignored(root, new))
        if told:
            names = ", ".join(
                f"`{name}/`" if (root / name).is_dir() else f"`{name}`" for name in told
            )
            self._project.log.warning(
                f"training left {names} in the project's folder, and no archive of this build "
                f"contains it. Have git ignore it, or have training write to `output_dir`."
            )
        return [PurePosixPath(name) for name in new]

    def _warn_of_strangers(self, trained: TrainedModel) -> None:
        declared_in, training_key = self._project.model.declared_in, self._training.key
        for name in trained.strangers:
            self._project.log.warning(
                f"training imported {name}, which is in the training environment only because the "
                f"build tools require it. Add it to {declared_in} if the model needs it to "
                f"predict, or else to a group in {training_key}.dependency-groups."
            )
        if trained.model_saved and "joblib" not in self._pins.closure.distributions:
            self._project.log.warning(
                f"the model was saved with joblib, which the wheel does not require. Add it to "
                f"{declared_in}, so that the model can be loaded."
            )

    def _warn_of_stale_files(
        self, trained: TrainedModel, provenance: Provenance, old: Sequence[PurePosixPath]
    ) -> None:
        """Warn of what ships beside the artifacts, and may be of an earlier training."""
        known = {self._folder / artifact.path for artifact in trained.artifacts}
        known |= {*old, *(PurePosixPath(file.path) for file in provenance.inputs)}
        stale = [
            f"`{file.tree}`"
            for file in self._files
            if file.tree.is_relative_to(self._folder) and not file.module and file.tree not in known
        ]
        if stale:
            others = f" and {len(stale) - _MOST_NAMES} more" if len(stale) > _MOST_NAMES else ""
            self._project.log.warning(
                f"{', '.join(stale[:_MOST_NAMES])}{others}: this training did not write it, but it "
                f"ships with the model because hatchling selects it as a source. If it is from an "
                f"earlier training, delete it or have git ignore it. Otherwise, set "
                f"{self._training.key}.artifacts to another folder for the model."
            )

    def _warn_of_shared_folder(self) -> None:
        """Warn of files that land where another wheel may well have files of the same name."""
        if any(file.module and file.wheel.parts[0] == "src" for file in self._files):
            own = f"src/{self._project.name.replace('-', '_')}/"
            self._project.log.warning(
                f"the wheel ships a package called `src`. Other wheels that do so overwrite its "
                f"files when they are installed. Move its modules to `{own}`."
            )
        folder = distribution_folder(self._builder, self._folder)
        package = folder.parts[0]
        is_own = any(file.module and file.wheel.parts[0] == package for file in self._files)
        if isinstance(self._training.train, Script) and not is_own:
            packages = {
                file.wheel.parts[0] for file in self._files if file.wheel.name == "__init__.py"
            }
            own = min(packages, default="your_package")
            self._project.log.warning(
                f"the model ships as `{folder}` at the top of site-packages, where another wheel "
                f"may have a folder with this name. Ship it in the package, by:\n\n"
                f"[tool.hatch.build.targets.wheel.sources]\n"
                f'"{self._folder}" = "{own}/{self._folder.name}"'
            )
        elif self._training.artifacts is None and not is_own:
            self._project.log.warning(
                f"the model ships as `{folder}` at the top of site-packages, where another wheel "
                f"may have a folder with this name. Turn the module into a package, or set "
                f"{self._training.key}.artifacts to a folder with a unique name."
            )


def _listed(artifacts: Sequence[Artifact]) -> str:
    if len(artifacts) <= _MOST_FILES:
        return "; ".join(f"{each.path}, {human_size(each.size)}" for each in artifacts)
    return f"{len(artifacts)} files, {human_size(sum(each.size for each in artifacts))}"


def model_files(model: Model) -> dict[PurePosixPath, Path]:
    """Return the current location of each artifact of *model*, by its path in the tree."""
    return {model.folder / each.path: each.source for each in model.trained.artifacts}
