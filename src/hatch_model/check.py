"""Run the check: it calls the wheel's code, outside the source tree, as a user would.

Everything that the wheel does not require is hidden from imports and from importlib.metadata, so
the result is that of a fresh environment: a missing optional import is handled by the code that
imports it, and a missing required import fails the check.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model.errors import FrontendGoneError, HatchModelError
from hatch_model.installed import editable_folder, is_site_folder
from hatch_model.process import RunProcess, call, how_it_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from packaging.utils import NormalizedName

    from hatch_model.entry_point import ObjectReference
    from hatch_model.installed import Environment

_FAILED = "the wheel does not pass its check: "
_MODULES = (".py", ".pyc", ".so", ".pyd", ".dll")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hidden:
    """What a check must not find; see the child script."""

    files: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    shown: Sequence[str] = ()
    distributions: Sequence[tuple[str, str]] = ()


def hidden_from_check(
    root: Path,
    environment: Environment,
    project: NormalizedName,
    required: Collection[NormalizedName],
    workspace: Path,
) -> Hidden:
    """Hide the tree at *root*, and all in *environment* that the wheel does not require.

    The tree is also the folder from which an editable *project* is installed. Installed packages
    are not part of it, wherever they are, and neither is *workspace*, where the wheel is unpacked.
    A file that also belongs to a *required* distribution is not hidden.
    """
    files: dict[str, str] = {}
    kept: set[str] = set()
    folders, shown = {str(root): ""}, [sys.prefix, sys.base_prefix, str(workspace)]
    distributions = []
    for each in environment:
        paths = [
            os.path.normpath(os.path.join(each.location, path))  # noqa: PTH118 - there are thousands
            for path in each.files()
            if path.endswith(_MODULES)
        ]
        folder = editable_folder(each)
        if each.name in required:
            kept.update(paths)
            shown += [folder] if folder else []
            continue
        distributions.append((os.path.normpath(each.location), str(each.name)))
        files.update(dict.fromkeys(paths, str(each.name)))
        if folder:
            folders[folder] = "" if each.name == project else str(each.name)
    # Installed packages may be inside the tree, or the tree inside a folder of installed packages.
    shown += [entry for entry in sys.path if is_site_folder(entry)]
    return Hidden(
        files={path: name for path, name in files.items() if path not in kept},
        folders=folders,
        shown=shown,
        distributions=distributions,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckRequest:
    """What to check, and where."""

    check: ObjectReference | None
    """The function to call, after the models are loaded."""
    python: str
    """The interpreter."""
    folder: Path | None = None
    """Where the wheel is unpacked; None if it is installed."""
    models: Sequence[tuple[Path, bool]] = ()
    """Files to load with joblib, each with whether loading it must succeed."""
    predict: ObjectReference | None = None
    """The function to describe at the end."""
    hidden: Hidden = field(default_factory=Hidden)
    declared_in: str = ""
    """The full dotted key of the model's requirements, for messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """The result of a check that passed."""

    returned: Any = None
    predict: Mapping[str, Any] | None = None
    """What is known of the function that apps call; see :func:`hatch_model.checking.described`."""
    is_recordable: bool = False
    """Whether *returned* is the function's return value, because it can be stored as JSON."""


def run_check(
    request: CheckRequest,
    workspace: Path,
    emit: Callable[[str], None],
    *,
    scratch: Path | None = None,
    run: RunProcess | None = None,
) -> CheckResult:
    """Carry out *request* in a child process, in *workspace*, an empty folder.

    Each line of the child's output goes to *emit*. If this process is killed, the other one removes
    *scratch* (default: *workspace*). Raises HatchModelError if the wheel fails.
    """
    elsewhere = workspace / "empty"
    elsewhere.mkdir()
    try:
        result, returncode = call(
            _as_json(request, scratch or workspace),
            workspace,
            python=request.python,
            cwd=elsewhere,
            environment=_environment(request.folder),
            emit=emit,
            run=run,
        )
    except FrontendGoneError:
        reason = f"the build frontend is gone, so {request.check} was stopped"
        raise HatchModelError(reason) from None
    if result is not None and result["outcome"] != "returned":
        raise HatchModelError(_failure(request, result))
    if result is None or returncode != 0:
        raise HatchModelError(
            f"{_FAILED}the process that ran {request.check or request.predict or 'it'} "
            f"{how_it_ended(returncode)}."
        )
    return CheckResult(
        returned=result.get("value"),
        is_recordable="value" in result,
        predict=result.get("predict"),
    )


def _as_json(request: CheckRequest, scratch: Path) -> dict[str, Any]:
    """Return *request* as the child script takes it."""
    check, predict, hidden = request.check, request.predict, request.hidden
    return {
        "task": "check",
        "module": check and check.module,
        "attribute": check and check.attribute,
        "predict": predict and {"module": predict.module, "attribute": predict.attribute},
        "models": [(str(path), is_needed) for path, is_needed in request.models],
        "hidden": {
            "files": hidden.files,
            "folders": hidden.folders,
            "shown": hidden.shown,
            "distributions": hidden.distributions,
        },
        "scratch": str(scratch),
    }


def _environment(folder: Path | None) -> dict[str, str]:
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
    }
    if folder is None:
        return environment
    inherited = environment.get("PYTHONPATH")
    path = [str(folder), *([inherited] if inherited else [])]
    return {**environment, "PYTHONPATH": os.pathsep.join(path)}


def _failure(request: CheckRequest, result: Mapping[str, Any]) -> str:
    """Return why the wheel fails the check."""
    if result["outcome"] == "refused":
        return str(result["message"])
    missed: Mapping[str, tuple[str, str]] = result["missed"]
    called = request.predict if result.get("subject") == "predict" else request.check
    subject = str(called)
    if result["outcome"] == "unloadable":
        path, folder = Path(result["file"]), request.folder
        subject = f"loading `{path.relative_to(folder).as_posix() if folder else path}`"
        if result["unknown"] and not any(name in missed for name in result["modules"]):
            return _unknown_object(subject, result["unknown"][0], result["reason"])
    undeclared, in_tree = _missing_imports(result, request.hidden)
    if undeclared:
        return (
            f"{_FAILED}{subject} imported {', '.join(undeclared)}, which the wheel does not "
            f"require. It is installed here only for training or for the build, so users of the "
            f"wheel would not have it. Add it to {request.declared_in}, and not to "
            f"build-system.requires, or do not import it to predict."
        )
    if in_tree:
        return (
            f"{_FAILED}{subject} imported {', '.join(in_tree)} from the source tree, which the "
            f"wheel does not contain. Move it to a package that ships."
        )
    others = sorted({name for name, _ in missed.values() if name})
    hint = (
        f"\nIt did not find packages that the wheel does not require: {', '.join(others)}."
        if others
        else ""
    )
    return f"{_FAILED}{subject} raised {_reason(result, called.module if called else '')}{hint}"


def _unknown_object(subject: str, name: str, error: str) -> str:
    """Return the message for a model that refers to an object, *name*, which does not ship."""
    reason = "" if name.startswith("__main__.") else f" ({error})"
    return (
        f"the model cannot be loaded where the wheel is installed: {subject} needs `{name}`, "
        f"which the wheel does not ship{reason}. Define it in a module of the package that ships, "
        f"and import it from there."
    )


def _missing_imports(result: Mapping[str, Any], hidden: Hidden) -> tuple[list[str], list[str]]:
    """Return what the check failed to import: distributions, and files of the source tree."""
    modules = result.get("modules", ())
    wanted = {*modules, *(name.partition(".")[0] for name in modules)}
    undeclared: set[str] = set()
    in_tree: set[str] = set()
    for module, (name, origin) in result["missed"].items():
        if module in wanted:
            (undeclared if name else in_tree).add(name or _relative(origin, hidden))
    return sorted(undeclared), sorted(in_tree)


def _reason(result: Mapping[str, Any], module: str) -> str:
    reasons = {
        "module-not-found": lambda: f"ModuleNotFoundError: No module named {result['module']!r}",
        "attribute-not-found": lambda: (
            f"AttributeError: module {module!r} has no attribute {result['attribute']!r}"
        ),
        "not-callable": lambda: (
            f"TypeError: it is not an ordinary function but of type `{result['type']}`"
        ),
        "raised": lambda: str(result["exception"]),
        "exited": lambda: f"SystemExit: {result['code']}",
        "unloadable": lambda: str(result["reason"]),
    }
    return reasons[result["outcome"]]()


def _relative(path: str, hidden: Hidden) -> str:
    """Return *path*, a file in the source tree, relative to the tree."""
    real = Path(path).resolve()
    for folder, name in hidden.folders.items():
        if not name and real.is_relative_to(Path(folder).resolve()):
            return real.relative_to(Path(folder).resolve()).as_posix()
    return path
