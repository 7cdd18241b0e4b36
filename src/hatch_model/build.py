"""One build of any kind: metadata, requirements, and the steps before and after hatchling."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from hatchling.builders.config import env_var_enabled
from hatchling.builders.constants import BuildEnvVars

from hatch_model.errors import HatchModelError
from hatch_model.phase import Target, called_by_uv, current_build, is_unpacked_sdist
from hatch_model.project import CARRIED_FILE, pins_before_training
from hatch_model.settings import PLUGIN, declared_lines, read_settings, retrain_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hatchling.builders.plugin.interface import BuilderInterface
    from hatchling.builders.wheel import WheelBuilder
    from hatchling.metadata.core import ProjectMetadata

    from hatch_model import phase
    from hatch_model.project import Project
    from hatch_model.release import Release
    from hatch_model.settings import ModelSettings, Settings, TrainingSettings
    from hatch_model.workspace import Termination


_MOST_NAMED = 5

# The metadata


def refuse_wheel_without_model(build: phase.Build) -> None:
    """Raise HatchModelError if *build* makes a wheel although the build hook is off."""
    if build.makes_wheel and build.builder is not None and not _has_build_hook(build.builder):
        # Without a table for the build hook, this raises an error.
        training = read_settings(build.builder.metadata, needs_training=True).training
        assert training is not None  # noqa: S101 - needs_training
        raise HatchModelError(
            f"the build hook is switched off by {_switch(training.key)}, so this wheel would "
            f"contain no model. Switch it on again, or build only an sdist or an editable install "
            f"this way."
        )


def _refuse_sdist_without_model(build: phase.Build, training: TrainingSettings) -> None:
    """Refuse pins in an sdist that would not contain a model to go with them."""
    if build.makes_sdist and build.builder is not None and not _has_build_hook(build.builder):
        raise HatchModelError(
            f"the build hook is switched off by {_switch(training.key)}, so this source "
            f"distribution would contain no model. Switch it on again, or remove "
            f"{training.key}.sdist."
        )


def _has_build_hook(builder: BuilderInterface[Any, Any]) -> bool:
    return PLUGIN in builder.config.hook_config


def _switch(key: str) -> str:
    """Return what has disabled the build hook; *key* is the key of its table."""
    if env_var_enabled(BuildEnvVars.NO_HOOKS):
        return BuildEnvVars.NO_HOOKS
    return f"{key}.enable-by-default"


def dynamic_metadata(
    build: phase.Build, project: ProjectMetadata[Any], settings: Settings
) -> dict[str, Any]:
    """Return the dynamic fields of the metadata for *build*: pins, or requirements as declared.

    It is empty if the fields stay open. Raises HatchModelError.
    """
    model, training = settings.model, settings.training
    is_exact = training is not None and training.sdist == "trained"
    if (build.target is Target.SDIST or build.shared) and not is_exact:
        return {}  # Left open: a wheel's own build or the build hook requests them again.
    fields: dict[str, Any] = {"dependencies": [root.text for root in model.roots]}
    extras = {name: [*lines] for name, lines in model.extras.items()}
    if model.requires_python:
        fields["requires-python"] = model.requires_python
    if training is not None and (build.makes_wheel or build.makes_sdist):
        _refuse_sdist_without_model(build, training)
        pinned = _pinned(project, model, training)
        if model.policy.pins == "extra":
            from hatch_model.pins import PINNED_EXTRA  # noqa: PLC0415 - as in _pinned()

            extras[PINNED_EXTRA] = pinned["dependencies"]
        else:
            fields.update(pinned)
    if model.policy.pins == "extra":
        fields["optional-dependencies"] = {name: _escaped(each) for name, each in extras.items()}
    return {**fields, "dependencies": _escaped(fields["dependencies"])}


def _escaped(lines: Sequence[str]) -> list[str]:
    """Escape braces, hatchling's context fields: URLs may have `${TOKEN}` (PEP 610)."""
    return [line.replace("{", "{{").replace("}", "}}") for line in lines]


def _pinned(
    project: ProjectMetadata[Any], model: ModelSettings, training: TrainingSettings
) -> dict[str, Any]:
    # Not needed to request the requirements, which a build does first and in a separate process.
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415

    from hatch_model.pythons import supported_pythons  # noqa: PLC0415

    pins = pins_before_training(project, model, training)
    fields: dict[str, Any] = {"dependencies": pins.lines}
    if model.requires_python:
        claimed = SpecifierSet(model.requires_python)
        fields["requires-python"] = str(supported_pythons(model, claimed, pins))
    return fields


# The build requirements


def build_requirements(project: Project) -> list[str]:
    """Return what the frontend has to install for a build: nothing if the build does not train."""
    record = _carried_record(project)
    trains = _trains(project, record)
    if record is None and project.builder.PLUGIN_NAME == "wheel":
        from hatch_model.layout import check_layout  # noqa: PLC0415 - not for sdists

        check_layout(cast("WheelBuilder", project.builder), project.training, trains=trains)
    if not trains:
        return []
    if project.training.parallel is not None:
        project.training.parallel.address_in(project.training.environment)
    if record is not None and project.training.lock is None:
        # The metadata already lists the pins, and retraining must agree with them.
        groups = project.requirements_of(project.training.groups)
        requirements = [*record["pins"], *groups, *project.tool_requirements()]
    else:
        requirements = project.requirements()
    if requirements:
        _tell_of_installation(project, requirements)
    return requirements


def _tell_of_installation(project: Project, requirements: Sequence[str]) -> None:
    """Say what the frontend does next, which may take minutes without a word."""
    lock = project.training.lock
    if lock:
        count = len(requirements) - len(project.tool_requirements())
        what = f"the {count} packages of `{lock}`"
    elif len(requirements) <= _MOST_NAMED:
        what = ", ".join(requirements)
    else:
        what = f"{', '.join(requirements[:_MOST_NAMED])} and {len(requirements) - _MOST_NAMED} more"
    project.log.info(f"to train, the build environment gets {what}")


def _carried_record(project: Project) -> Mapping[str, Any] | None:
    """Return the record of the model that is already in the tree, as in a trained sdist."""
    if not (project.root / CARRIED_FILE).is_file():
        return None
    from hatch_model.sdist import carried_record  # noqa: PLC0415 - rarely needed

    return carried_record(project.root)


def _trains(project: Project, record: Mapping[str, Any] | None) -> bool:
    if record is not None and not retrain_wanted():
        return False
    target, training = project.builder.PLUGIN_NAME, project.training
    if target != "wheel":
        return target == "sdist" and training.sdist == "trained"
    return current_build().target is not Target.EDITABLE or training.editable == "train"


# The steps


def _tell_of_unused_lock(project: Project, *, trains: bool) -> None:
    """Say that training does not use the lock: once, and not again for a wheel from an sdist."""
    training, root = project.training, project.root
    is_told = trains == (project.builder.PLUGIN_NAME == "sdist") or is_unpacked_sdist(root)
    if training.lock is not None or training.refuses_lock or is_told:
        return
    if not any((folder / "uv.lock").is_file() for folder in (root, *root.parents)):
        return
    from hatch_model.uv import uv_project  # noqa: PLC0415 - not for requirements

    if uv_project(root).lock.is_file():
        project.log.info(
            f"`uv.lock` is not used: the pins may differ from the versions that it holds and that "
            f'`uv sync` installs. Set {training.key}.lock to "uv.lock" to train with these, or to '
            f"false to silence this line."
        )


class Build:
    """One build, from hatchling's `initialize` to its `finalize`."""

    def __init__(self, project: Project, directory: Path, app: Any) -> None:
        self._project = project
        self._directory = directory
        self._app = app
        self._record = _carried_record(project)
        self._release: Release | None = None
        self._filled_in: int | None = None
        """Where `project.dynamic` listed the dependencies, if they were filled in."""
        self._termination: Termination | None = None

    def start(self, version: str, build_data: dict[str, Any]) -> None:
        """Run the steps before hatchling writes the archive. Raises HatchModelError."""
        from hatch_model.workspace import Termination  # noqa: PLC0415 - not for requirements

        project = self._project
        self._termination = Termination()
        trains = _trains(project, self._record)
        if trains:
            from hatch_model.installed import InstalledEnvironment  # noqa: PLC0415 - as above

            project.check_tools(InstalledEnvironment())
        _tell_of_unused_lock(project, trains=trains)
        if project.builder.PLUGIN_NAME == "sdist":
            self._start_sdist(build_data, trains=trains)
        elif project.builder.PLUGIN_NAME != "wheel":
            pass  # Another target has its own idea of what it holds.
        elif version == "editable":
            self._start_editable(build_data, trains=trains)
        elif trains:
            self._start_wheel(build_data)
        else:
            self._start_wheel_of_carried(build_data)

    def finish(self, artifact: Path) -> None:
        """Run the steps after hatchling has written *artifact*. Raises HatchModelError."""
        if self._release is not None:
            self._release.finish(artifact)
            from hatch_model.log import human_size  # noqa: PLC0415 - not for requirements

            size = human_size(artifact.stat().st_size)
            self._project.log.info(
                f"made {artifact.name}, {size}: `hatch-model inspect` shows what it holds"
            )

    def close(self) -> None:
        """Restore the previous state, except for finished files."""
        with ExitStack() as stack:  # all of it, whatever fails; the last one first
            if self._termination is not None:
                stack.callback(self._termination.close)
            if self._filled_in is not None:
                dynamic = self._project.metadata.core.dynamic
                stack.callback(dynamic.insert, self._filled_in, "dependencies")
                self._filled_in = None
            stack.callback(self._project.close)
            if self._release is not None:
                stack.callback(self._release.close)

    def _start_sdist(self, build_data: dict[str, Any], *, trains: bool) -> None:
        from hatch_model import sdist, sources  # noqa: PLC0415 - wheels are built more often

        project, packed = self._project, None
        before = sources.top_level(project.root)
        if self._record is not None and not trains and project.training.sdist == "trained":
            packed = sdist.packed_in(project, self._record)
        elif trains:
            packed = sdist.train_for_sdist(project, self._app)
        left = sorted(sources.top_level(project.root) - before)
        if packed is not None:
            self._write_dependencies(packed.record["pins"], build_data)
        elif "dependencies" not in project.metadata.core.dynamic:
            raise HatchModelError(
                f"another metadata hook writes project.dependencies, which an sdist must leave "
                f"open. Move the table {project.model.policy.key} below those of the others."
            )
        else:
            sdist.warn_of_missing_data(project)
        sdist.add_to_sdist(project, build_data, packed)
        # Of an unpacked sdist, whose model has been trained again.
        sources.leave_out_of_sdist(project.builder, [*left, sdist.CARRIED_REPORT])

    def _start_editable(self, build_data: dict[str, Any], *, trains: bool) -> None:
        self._fill_in_dependencies(declared_lines(self._project.model.roots), build_data)
        if trains:
            from hatch_model.model import make_model_in_tree  # noqa: PLC0415 - rarely needed
            from hatch_model.uv import uv_table  # noqa: PLC0415 - as above

            make_model_in_tree(self._project, build_data)
            if called_by_uv() and "cache-keys" not in uv_table(self._project.root):
                self._project.log.info(
                    "uv trains again only after pyproject.toml has changed, unless "
                    "`tool.uv.cache-keys` names the files that training depends on"
                )

    def _start_wheel(self, build_data: dict[str, Any]) -> None:
        # Only imported when a model is trained: every build first asks for its requirements in a
        # separate process.
        from hatch_model.model import make_model  # noqa: PLC0415
        from hatch_model.release import release_trained  # noqa: PLC0415

        project = self._project
        self._check_metadata(build_data)
        if project.model.python == "minor":
            import platform  # noqa: PLC0415 - only for this option

            _tag(build_data, platform.python_implementation(), platform.python_version())
        model = make_model(project, build_data)
        self._release = release_trained(project, model, self._directory, build_data)

    def _start_wheel_of_carried(self, build_data: dict[str, Any]) -> None:
        from hatch_model.release import Release  # noqa: PLC0415 - as above
        from hatch_model.sdist import CarriedContent, packed_in  # noqa: PLC0415

        project, record = self._project, self._record
        assert record is not None  # noqa: S101 - otherwise it would be trained
        project.log.info("the model was trained when this source distribution was made")
        packed = packed_in(project, record)
        self._write_dependencies(record["pins"], build_data)
        if project.model.python == "minor":
            _tag(build_data, **record["python"])
        self._release = Release(project, self._directory)
        self._release.place(packed.artifacts, CarriedContent(packed), build_data)

    # Metadata

    def _check_metadata(self, build_data: dict[str, Any]) -> None:
        """Check that hatchling will write the pins, or add them if it has no dependencies."""
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - as above

        from hatch_model.pins import contradictions  # noqa: PLC0415 - as above
        from hatch_model.pythons import unsupported_pythons_warning  # noqa: PLC0415 - as above

        project, core = self._project, self._project.metadata.core
        pins = project.pins()
        self._write_dependencies(pins.lines, build_data)
        if project.model.requires_python and not core.requires_python:
            raise _left_open("requires-python")
        if pins.unlocked:
            names = ", ".join(f"`{line}`" for line in pins.unlocked)
            project.log.warning(
                f"the lock has no version of {names} for some platforms or Pythons, so the wheel "
                f"also requires what was declared. To pin it, make the lock for all of them."
            )
        for package, requirement in pins.contradicted:
            project.log.warning(
                f"{package} requires `{requirement}`, which `tool.uv.override-dependencies` "
                f"overrides in the lock. Installers know nothing of that: only where it is "
                f"overridden again can the wheel be installed as it was trained."
            )
        if project.model.policy.pins == "extra":
            return
        for extra, wanted, pin in contradictions(core.optional_dependencies, pins.lines):
            project.log.warning(
                f"project.optional-dependencies.{extra} asks for `{wanted}`, but the wheel "
                f"requires `{pin}`, so that extra cannot be installed. Widen its requirement, or "
                f"train the model with a version that it allows."
            )
        claimed = SpecifierSet(core.requires_python or "")
        warning = unsupported_pythons_warning(project.model, claimed, pins)
        if warning:
            project.log.warning(warning)

    def _write_dependencies(self, lines: Sequence[str], build_data: dict[str, Any]) -> None:
        """Check that hatchling will write *lines*, or add them if it has no dependencies."""
        from hatch_model.pins import (  # noqa: PLC0415 - as above
            PINNED_EXTRA,
            check_same_pins,
            same_lines,
        )

        if self._project.model.policy.pins == "extra":
            extras = self._project.metadata.core.optional_dependencies
            if PINNED_EXTRA not in extras:
                raise _left_open("optional-dependencies")
            check_same_pins(extras[PINNED_EXTRA], lines)
            lines = declared_lines(self._project.model.roots)
        self._fill_in_dependencies(lines, build_data)
        found = self._project.metadata.core.dependencies
        if self._filled_in is None and not same_lines(found, lines):
            check_same_pins(found, lines)

    def _fill_in_dependencies(self, lines: Sequence[str], build_data: dict[str, Any]) -> None:
        """Write *lines* if hatchling has none: a plain `hatchling build` of several targets.

        The targets share one metadata object, in which an sdist needs the dependencies left open.
        """
        dynamic = self._project.metadata.core.dynamic
        if "dependencies" in dynamic:
            build_data["dependencies"].extend(lines)
            self._filled_in = dynamic.index("dependencies")
            dynamic.remove("dependencies")


def _left_open(field: str) -> HatchModelError:
    return HatchModelError(
        "hatchling reads the metadata once for both the sdist and the wheel here, but an sdist "
        f"must leave the dynamic `{field}` open. Build the targets one by one: `hatchling build -t "
        "sdist`, then `hatchling build -t wheel`."
    )


def _tag(build_data: dict[str, Any], implementation: str, version: str) -> None:
    """Make installers refuse the wheel on any minor version of Python other than that of *version*.

    Not all installers respect the upper bound of Requires-Python, but all respect the tag.
    """
    from packaging.tags import INTERPRETER_SHORT_NAMES  # noqa: PLC0415 - rarely needed

    if not build_data["infer_tag"]:  # An inferred tag is even more specific.
        name = INTERPRETER_SHORT_NAMES.get(implementation.lower(), implementation.lower())
        minor = "".join(version.split(".")[:2])
        build_data.setdefault("tag", f"{name}{minor}-none-any")
