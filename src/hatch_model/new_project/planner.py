"""What becomes of a project: how it trains, what it requires, and the files to write for that."""

from __future__ import annotations

import keyword
import posixpath
import re
import sys
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_model.errors import HatchModelError, printable
from hatch_model.new_project.advice import advise, advise_of_classes, feed
from hatch_model.new_project.code import File
from hatch_model.new_project.plan import Choice, Plan
from hatch_model.new_project.requirements import divide, is_server
from hatch_model.new_project.survey import constants
from hatch_model.new_project.wrapper import Step, Wrapper, is_beside_model, loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatch_model.new_project.code import Module
    from hatch_model.new_project.survey import Survey

_SUFFIXES = {
    "joblib": (".joblib", ".pkl", ".pickle", ".sav", ".model"),
    "pickle": (".pkl", ".pickle", ".p", ".sav", ".model", ".bin"),
    "torch": (".pt", ".pth", ".bin"),
    "native": (".json", ".ubj", ".bin", ".model", ".cbm", ".keras", ".h5", ".txt"),
}
"""What files of a format are usually called. Other formats have their own names."""


def make_plan(survey: Survey, choice: Choice) -> Plan:
    """Plan how the project in *survey* becomes a model project. Raises HatchModelError."""
    _refuse_model_project(survey)
    module, function = chosen(survey, choice)
    package, is_new = _package(survey, module)
    plan = Plan(
        survey=survey,
        package=package,
        packages=_shipped(survey, package, module),
        trained_by=str(module.path),
        source=choice.source,
    )
    before = survey.stages(module)
    earlier = [each for each in before if not each.required_arguments]
    plan.notes += [
        f"`{each.path}` writes what training reads, but needs arguments, so training does not run "
        f"it"
        for each in before
        if each not in earlier
    ]
    closure = survey.closure([*earlier, module])
    is_saved = any(each.saved for each in closure)
    steps = [
        _step(plan, each, "" if each.main is not None else survey.trainer(each), is_saved=True)
        for each in earlier
    ]
    if module.main == "" and ":" not in choice.train and not plan.module_name(module.path):
        function = ""  # its main block does more than to call it
    steps.append(_step(plan, module, function, choice.arguments, is_saved=is_saved))
    saved = _train(plan, steps, module, closure, choice)
    if is_new:
        plan.files[package / "__init__.py"] = loader(survey.name, package.name, saved)
    divide(plan, closure, {each.format for each in saved} if is_new else set())
    feed(plan, closure)
    advise(plan, saved, is_new=is_new)
    advise_of_classes(plan, closure, [each.path for each in steps if not each.function], saved)
    return plan


def _refuse_model_project(survey: Survey) -> None:
    hatch = survey.declaration.pyproject.get("tool", {}).get("hatch", {})
    if "model" in hatch.get("metadata", {}).get("hooks", {}):
        raise HatchModelError(
            f"`{survey.root}` is a model project already: its pyproject.toml has "
            f"[tool.hatch.metadata.hooks.model]."
        )


# Which code trains


def chosen(survey: Survey, choice: Choice) -> tuple[Module, str]:
    """Return the module that trains, and its function: the user's choice, or the likeliest."""
    if choice.train:
        return _named(survey, choice.train)
    candidates = survey.candidates()
    if candidates:
        return candidates[0], survey.trainer(candidates[0])
    hint = (
        "Name the code that trains with --train, such as `--train train.py` or `--train "
        "package.module:function`; or choose an empty folder, where `hatch-model init FOLDER` "
        "writes a new project."
    )
    if survey.unread:
        hint = f"{survey.unread[0].rstrip('.?!')}. Mend that, and try again."
    if survey.notebooks:
        hint = (
            f"Save a notebook that trains as a script (`jupyter nbconvert --to script "
            f"{printable(survey.notebooks[0])}`), and try again."
        )
    raise HatchModelError(
        f"no code that trains was found in `{survey.root}`: no Python file there fits or saves a "
        f"model. {hint}"
    )


def _named(survey: Survey, train: str) -> tuple[Module, str]:
    place, _, function = train.partition(":")
    path = PurePosixPath(posixpath.normpath(place.replace("\\", "/")))
    dotted = place.replace(".", "/")
    for each in (path, PurePosixPath(f"{dotted}.py"), PurePosixPath(f"src/{dotted}.py")):
        module = survey.modules.get(each)
        if module is None:
            continue
        if function and function not in module.functions:
            raise HatchModelError(
                f"--train is `{printable(train)}`, but `{each}` has no function "
                f"`{printable(function)}`."
            )
        return module, function or survey.trainer(module)
    raise HatchModelError(
        f"--train is `{printable(train)}`, but there is no such Python file in `{survey.root}`."
    )


def _package(survey: Survey, module: Module) -> tuple[PurePosixPath, bool]:
    """Return the package for the model, and whether it is a new one."""
    packages = survey.packages()
    around = [each for each in packages if module.path.is_relative_to(each)]
    named = [each for each in packages if each.name == survey.package_name]
    closure = survey.closure([module])
    imported = [each for each in packages if any(one.path.is_relative_to(each) for one in closure)]
    for found in (around, named, imported):
        if found:
            return found[0], False
    name = survey.package_name
    # A package that would hide a module of the standard library, or what its own code imports.
    names = {each.partition(".")[0] for each in survey.foreign(survey.modules.values())}
    taken = {*sys.stdlib_module_names, *names, *(path.stem for path in survey.modules)}
    if name in taken or keyword.iskeyword(name) or not name.isidentifier():
        name = f"{name}_model" if name[:1].isalpha() else f"model_{name}"
    # Beside a package called `src`, it is found where that is.
    return PurePosixPath(name if survey.is_src_a_package else f"src/{name}"), True


def _shipped(survey: Survey, package: PurePosixPath, module: Module) -> list[PurePosixPath]:
    """Return *package*, and the others that training or prediction imports from."""
    training = survey.closure([module])
    predicting = [
        each for each in survey.predicting() if not any(map(is_server, survey.foreign([each])))
    ]
    closure = survey.closure([*training, *predicting])
    packages = [
        each
        for each in survey.packages()
        if each != package and any(one.path.is_relative_to(each) for one in closure)
    ]
    # A saved model looks for its classes where they were.
    having = [each.path for each in training if each.classes and each is not module]
    for each in training:
        for top, base in survey.graph.searched(each).items():
            place = PurePosixPath(base, top)
            files = [
                path
                for path in having
                if path in {place.with_suffix(".py"), *_below(place, having)}
            ]
            known = [package, *packages]
            if files and top != "src" and not any(files[0].is_relative_to(one) for one in known):
                packages.append(place if files[0].is_relative_to(place) else files[0])
    return [package, *sorted(packages)]


def _below(folder: PurePosixPath, paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    return [each for each in paths if each.is_relative_to(folder)]


def _step(
    plan: Plan,
    module: Module,
    function: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    is_saved: bool,
) -> Step:
    """Return how *module* is run, or its *function* called. The plan gets the arguments."""
    arguments = arguments or {}
    name = plan.module_name(module.path)
    found = module.functions.get(function)
    returns = found.returns if found else "nothing"
    is_run = function == module.main and (
        returns != "a mapping" if is_saved else returns == "nothing"
    )
    if found is None or (is_run and (not name or module.takes_arguments or returns != "nothing")):
        plan.arguments = _options(module, arguments)
        return Step(
            path=module.path,
            module=name,
            folder=module.folder,
            is_notebook=module.is_notebook,
            is_module=bool(name) and _needs_package(plan.survey, module),
        )
    values = {key: f"code.{value}" for key, value in constants(module, found.required).items()}
    unknown = {*found.required} - {*values, *arguments, "output_dir", "report_dir"}
    if unknown:
        raise _lacking(module, [each for each in found.required if each in unknown])
    if name and not values and returns != "a mapping":
        plan.arguments = arguments
    else:
        values |= {key: repr(value) for key, value in arguments.items()}
    return Step(
        path=module.path, module=name, function=function, values=values, folder=module.folder
    )


def _needs_package(survey: Survey, module: Module) -> bool:
    """Whether *module* needs `python -m`: for relative imports, or for neighbours' names."""
    beside = {path.stem for path in survey.modules if path.parent == module.path.parent}
    return any(level for level, _ in module.imports) or bool(beside & sys.stdlib_module_names)


def _options(module: Module, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return *arguments* as the options of a script, as it spells those that it requires."""
    required = [each.lstrip("-") for each in module.required_arguments if module.takes_arguments]
    spelled = {each.replace("-", "_"): each for each in required}
    options = {spelled.get(key.replace("-", "_"), key): each for key, each in arguments.items()}
    unnamed = [each for each in required if each in module.required_arguments]
    if unnamed:
        raise HatchModelError(
            f"`{module.path}` takes `{unnamed[0]}` by its position, but a build gives arguments by "
            f"name. Make it an option: `--{unnamed[0]}`."
        )
    lacking = [each for each in required if each not in options]
    if lacking:
        raise _lacking(module, [f"--{each}" for each in lacking])
    return options


def _lacking(module: Module, names: Sequence[str]) -> HatchModelError:
    options = " ".join(f"--arguments {each.lstrip('-')}=…" for each in names)
    return HatchModelError(
        f"`{module.path}` cannot be run without {', '.join(f'`{each}`' for each in names)}. Say "
        f"what to train with: {options}"
    )


# What it writes


def _train(
    plan: Plan, steps: list[Step], module: Module, closure: Sequence[Module], choice: Choice
) -> list[File]:
    """Settle the entry point and the artifacts. Return the model's files by their paths there."""
    named = posixpath.normpath(choice.artifacts) if choice.artifacts else ""
    is_file = bool(re.search(r"\.[A-Za-z]\w*$", named)) and not (plan.survey.root / named).is_dir()
    saved = _saved(plan, closure, named if is_file else "", steps[-1].function)
    is_saved = any(each.saved for each in closure)
    wrapper = Wrapper(steps=steps) if is_saved else _unsaved(steps, module)
    found = module.functions.get(steps[-1].function)
    if is_saved and found is not None and found.returns == "a mapping":
        wrapper = replace(wrapper, result="metrics")
    default = f"{plan.package}/data"
    if named and not is_file:
        plan.artifacts = named
    elif is_saved and not saved:
        raise _unknown_folder(closure)
    else:
        plan.artifacts = _folder(saved, plan) if saved else default
        if not plan.artifacts:
            plan.artifacts = default
            wrapper = replace(wrapper, written=_names(saved))
    is_made = any(each.makes_folders for each in closure) or not is_saved or bool(wrapper.written)
    if not is_made and not plan.survey.is_in_clones(plan.artifacts):
        wrapper = replace(wrapper, folder=plan.artifacts)
    plan.train = wrapper.entry_point
    if not plan.train:
        plan.train = _free_name(plan)
        plan.files[PurePosixPath(plan.train)] = wrapper.text()
    if wrapper.steps[-1].function and wrapper.entry_point:
        default = posixpath.join(str(module.path.parent), "data")
    unknown = "" if saved or not is_saved else _format(closure)
    files = _in_package(plan, saved, unknown)
    files = [*_hidden(saved, files, closure), *files]
    plan.artifacts = "" if plan.artifacts == default and len(plan.packages) == 1 else plan.artifacts
    plan.python_path = _python_path(plan, steps, closure)
    return files


def _python_path(plan: Plan, steps: Sequence[Step], closure: Sequence[Module]) -> list[str]:
    """Return the folders that training imports code from, unless the wheel ships all of it."""
    shipped = {str(each.parent) for each in plan.packages}
    # Python itself looks beside a script.
    scripts = [PurePosixPath(plan.train)] if plan.train.endswith(".py") else []
    scripts += [each.path for each in steps if not (each.function or each.is_module)]
    beside = {str(each.parent) for each in scripts}
    used = {folder for each in closure for folder in plan.survey.graph.searched(each).values()}
    return sorted(used | shipped) if used - shipped - beside else []


def _unknown_folder(closure: Sequence[Module]) -> HatchModelError:
    place = next(f"line {file.line} of `{each.path}`" for each in closure for file in each.saved)
    return HatchModelError(
        f"{place} saves a model, but only running it would tell where. Name the folder with "
        f"--artifacts, such as `--artifacts models`; or the file, such as `--artifacts model.pkl`, "
        f"if it is beside other files."
    )


def _saved(plan: Plan, closure: Sequence[Module], named: str, function: str) -> list[File]:
    """Return the files of the model whose paths are known, each once.

    *named* is what the user says; *function* is what a build calls, if it calls one.
    """
    survey = plan.survey
    found: dict[str, File] = {}
    saved = [file for module in closure for file in module.saved]
    # Where a function saves to is known from its calls. Its default is what the build uses, or
    # nobody.
    own = f"{function}."
    sure = [each for each in saved if not each.parameter or each.parameter.startswith(own)]
    saved = sure or [each for each in saved if each.path] or saved
    if saved and named:
        saved = [replace(saved[0], path=named)]
    elif not all(each.path for each in saved):
        saved += _loaded_instead(plan, saved)
    for file in saved:
        path = file.path
        if path.startswith(f"{survey.root}/"):
            path = posixpath.relpath(path, str(survey.root))
        if path and "://" not in path and not path.startswith(("/", "..")):
            found.setdefault(path, replace(file, path=path))
    # What prediction reads and training only writes belongs to the model, such as names of classes.
    read = {path for module in survey.predicting() for path in module.named}
    read -= {path for module in closure for path in module.named}
    written = {path for module in closure for path in module.written}
    for path in sorted(read & written) if found else ():
        found.setdefault(path, File(path=path, format="data", line=0, is_relative=True))
    return list(found.values())


def _loaded_instead(plan: Plan, saved: Sequence[File]) -> list[File]:
    """Return the files that prediction loads, in the formats of *saved*, some of them unknown."""
    formats = {each.format for each in saved}
    known = {each.path for each in saved}
    loading = [
        (module.path, file)
        for module in plan.survey.predicting()
        for file in module.loaded
        if file.path not in known and file.format in formats
    ]
    plan.notes += [
        f"only running the code would tell where it saves the model: `{file.path}` is what "
        f"`{path}` loads. Say it with --artifacts if that is something else"
        for path, file in loading
    ]
    return [file for _, file in loading]


def _names(saved: Sequence[File]) -> dict[str, str]:
    """Return the paths of *saved*, and those below the folder that has all of them."""
    common = posixpath.commonpath([posixpath.dirname(each.path) for each in saved])
    return {each.path: posixpath.relpath(each.path, common or ".") for each in saved}


def _folder(saved: Sequence[File], plan: Plan) -> str:
    """Return the folder that all of *saved* are in; "" if there is none, or it has other code."""
    folders = {
        each.path
        if each.format == "folder" and "/" not in each.path
        else posixpath.dirname(each.path)
        for each in saved
    }
    common = posixpath.commonpath(sorted(folders)) if "" not in folders else "."
    below = [path for path in plan.survey.modules if path.is_relative_to(common)]
    is_of_code = any(not plan.module_name(each) for each in below)
    return "" if is_of_code or common in {"", "."} else common


def _unsaved(steps: Sequence[Step], module: Module) -> Wrapper:
    """Take the model from what the last step returns, or from a variable of the script."""
    function = module.functions.get(steps[-1].function)
    if function is not None and function.returns == "something else":
        return Wrapper(steps=steps, result="model")
    variables = [each for each in module.fitted if each]
    if function is None and variables:
        return Wrapper(steps=steps, variable=variables[-1])
    logged = " It logs one to MLflow, which keeps it elsewhere." if module.logs else ""
    raise HatchModelError(
        f"`{module.path}` fits a model, but neither saves nor returns it, as far as reading it "
        f'tells.{logged} Save it, for example with `joblib.dump(model, "models/model.joblib")`, '
        f"and try again."
    )


def _free_name(plan: Plan) -> str:
    names = ("build_model", "build_this_model", "hatch_model_training")
    taken = {path.stem for path in plan.survey.modules} | {plan.package.name}
    return next(f"{each}.py" for each in names if each not in taken)


def _hidden(saved: list[File], files: list[File], closure: Sequence[Module]) -> list[File]:
    """Return the folder of a model whose name is unknown, if *saved* are beside it."""
    formats = {each.format for each in saved}
    unknown = [
        file
        for each in closure
        for file in each.saved
        if file.format in formats and not (file.path or file.parameter)
    ]
    if not unknown or not all(is_beside_model(each.path) for each in saved):
        return []
    return [replace(unknown[0], path=f"{PurePosixPath(files[0].path).parent}/")]


def _format(closure: Sequence[Module]) -> str:
    return next(file.format for each in closure for file in each.saved)


def _in_package(plan: Plan, saved: Sequence[File], unknown: str) -> list[File]:
    """Return *saved*, or what a returned model is saved as, by the paths in the package.

    *unknown* is the format of files whose names only running the code would tell: what lies in the
    folder now is taken for them, or else the folder, with a slash at the end.
    """
    tree = PurePosixPath(plan.artifacts)
    place = (
        tree.relative_to(plan.package)
        if tree.is_relative_to(plan.package)
        else PurePosixPath(tree.name)
    )
    if unknown:
        found = sorted(
            each.name for each in (plan.survey.root / tree).glob("*.*") if each.is_file()
        )
        plan.notes.append(
            f"only running the code would tell what it saves in `{tree}`: look into the wheel "
            f"after the first build"
        )
        suffixes = _SUFFIXES.get(unknown, (f".{unknown}",))
        names = [each for each in found if each.endswith(suffixes)] or [""]
        return [
            File(path=f"{place}/{each}", format=unknown, line=0, is_relative=False)
            for each in names
        ]
    if not saved:
        return [File(path=f"{place}/model.joblib", format="joblib", line=0, is_relative=False)]
    inner = _names(saved)
    if all(PurePosixPath(each).is_relative_to(tree) for each in inner):
        inner = {each: str(PurePosixPath(each).relative_to(tree)) for each in inner}
    return [replace(each, path=str(place / inner[each.path])) for each in saved]
