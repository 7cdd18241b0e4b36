"""What to tell the user: what training reads, and what a build may not find."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hatch_model.errors import printable
from hatch_model.new_project.wrapper import snippet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_model.new_project.code import File, Module
    from hatch_model.new_project.plan import Plan
    from hatch_model.new_project.survey import Data

# What it reads


def feed(plan: Plan, closure: Sequence[Module]) -> None:
    """Declare the inputs where all of them are known, and say what a build will not find."""
    data = plan.survey.data(closure)
    made = {path for each in closure for path in each.written}
    data = [each for each in data if each.path not in made]
    lost = [each for each in data if each.kind in {"ignored", "absolute", "remote"}]
    for each in lost:
        plan.notes.append(_lost(each))
    plan.is_trained_for_sdist = any(each.kind == "ignored" for each in lost)
    _note_needs(plan, closure)
    downloads = any(each.downloads for each in closure)
    if downloads:
        plan.notes.append(
            "training downloads data, which may change: `inputs` was left out, so that every build "
            "trains"
        )
    unknown = _unknown_read(plan, closure)
    if unknown:
        plan.notes.append(
            f"{unknown} reads a file, but only running it would tell which: `inputs` was left out, "
            f"so that every build trains"
        )
    if any(name.startswith(("matplotlib", "seaborn")) for name in plan.survey.foreign(closure)):
        plan.environment["MPLBACKEND"] = "Agg"  # a build has no display
    if downloads or unknown or any(each.kind in {"absolute", "remote"} for each in lost):
        return
    read = [each.path for each in data if each.kind in {"present", "ignored"}]
    read += [each for each in plan.arguments.values() if isinstance(each, str) and each]
    present = [each for each in read if (plan.survey.root / each).exists()]
    # The wheel does not ship these files, and running one is no import.
    code = [str(each.path) for each in closure if not plan.module_name(each.path)]
    code = [each for each in code if each != plan.train]
    folders = [each for each in present if (plan.survey.root / each).is_dir()]
    plan.inputs = sorted({f"{each}/**" if each in folders else each for each in (*present, *code)})


def _note_needs(plan: Plan, closure: Sequence[Module]) -> None:
    for module in closure:
        for name, line in module.variables.items():
            plan.notes.append(
                f"`{module.path}` line {line} needs the environment variable `{printable(name)}`: "
                f"set it where you build, or, if it is no secret, in "
                f"tool.hatch.build.hooks.model.environment"
            )
        if module.logs:
            plan.notes.append(
                f"`{module.path}` logs a model to MLflow, which keeps it elsewhere: the wheel "
                f"ships only what is saved to a folder"
            )


def _unknown_read(plan: Plan, closure: Sequence[Module]) -> str:
    """Return where training reads what is not known; "" if there is no such place."""
    using = [each.path for each in plan.survey.predicting()]
    return next(
        (
            f"`{each.path}` line {each.unknown_reads[0]}"
            for each in closure
            # What is given on the command line is known.
            if each.unknown_reads and each.path not in using and not each.required_arguments
        ),
        "",
    )


def _lost(data: Data) -> str:
    place = f"`{printable(data.path)}` ({data.place})"
    if data.kind == "ignored":
        return (
            f"{place} is ignored by git, so it is not in a source distribution: the model is "
            'trained when the source distribution is built (sdist = "trained")'
        )
    if data.kind == "absolute":
        return f"{place} is outside of the project, where other machines have no such file"
    return f"{place} is downloaded, so that the same commit may train another model"


# What to look at


def advise(plan: Plan, saved: Sequence[File], *, is_new: bool) -> None:
    """Note what could not be read, and how to load the model."""
    survey = plan.survey
    for line in survey.declaration.unread:
        plan.notes.append(line)
    relative = [
        f"`{module.path}` line {file.line} loads `{file.path}`"
        for module in survey.predicting()
        for file in module.loaded
        if file.is_relative or (file.path and not plan.module_name(PurePosixPath(file.path)))
    ]
    code = snippet(plan.import_name, saved[0])
    if is_new:
        given = f'"{saved[0].path}…"' if saved[0].path.endswith("/") else ""
        code = (
            f"from {plan.import_name} import load\n\nmodel = load({given})\n"
            if "def load" in _init(plan)
            else code
        )
    indented = "".join("\n" + f"    {line}".rstrip() for line in code.splitlines())
    if relative:
        plan.notes.append(
            f"{', '.join(relative)}, a path that leads nowhere once the wheel is installed. Load "
            f"the model of the wheel like this:{indented}"
        )
    elif not any(each.loaded for each in survey.predicting()):
        plan.notes.append(f"load the model of the wheel like this:{indented}")


def advise_of_classes(
    plan: Plan,
    closure: Sequence[Module],
    scripts: Sequence[PurePosixPath],
    saved: Sequence[File],
) -> None:
    """Note classes that a saved model may refer to, and that nobody who loads it can import."""
    if not any(each.format in {"joblib", "pickle", "torch"} for each in saved):
        return
    having = [each for each in closure if each.classes]
    others = [each for each in plan.packages if each != plan.package]
    alone = [f"`{each}`" for each in others if each / "__init__.py" not in plan.survey.modules]
    if alone:
        plan.notes.append(
            f"{', '.join(alone)} has classes that the saved model may refer to, so the wheel ships "
            f"it under this name, which another wheel may have as well. Move it into "
            f"`{plan.package}` before other projects install the wheel"
        )
    lost = [
        f"`{each.path}`"
        for each in having
        if each.path not in scripts and not plan.module_name(each.path)
    ]
    if lost:
        plan.notes.append(
            f"{', '.join(lost)} has classes, and the wheel does not ship it: if the saved model "
            f"refers to one, move it into `{plan.package}`"
        )
    for each in having:
        if each.path in scripts:
            names = ", ".join(f"`{name}`" for name in each.classes)
            plan.notes.append(
                f"`{each.path}` defines classes ({names}), which are in `__main__` while it runs: "
                f"the build refuses a saved model that refers to them. Before you build, move them "
                f"to a module such as `{plan.package}/classes.py`, and import them from "
                f"`{plan.import_name}.classes`"
            )


def _init(plan: Plan) -> str:
    return plan.files.get(plan.package / "__init__.py", "")
