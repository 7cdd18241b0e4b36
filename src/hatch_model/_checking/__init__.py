"""The check: the finished wheel's own code, called away from the source tree."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_model._frontend import FrontendGoneError
from hatch_model._training._process import RunProcess, run_process
from hatch_model.errors import CheckDiedError, CheckFailedError, OrphanedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hatch_model._settings import ObjectReference

_CHILD = Path(__file__).parent / "child" / "run_check.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What came of a check that passed."""

    returned: Any
    is_recordable: bool
    """Whether *returned* is what the function returned: JSON can hold it."""
    imported: Sequence[str]
    """The files of the modules that were imported."""
    path: Sequence[str]
    """The process's ``sys.path``."""


def run_check(
    check: ObjectReference,
    workspace: Path,
    emit: Callable[[str], None],
    *,
    python: str,
    folder: Path | None = None,
    hidden: Sequence[Path] = (),
    scratch: Path | None = None,
    run: RunProcess = run_process,
) -> CheckResult:
    """Call *check* with the interpreter *python*, in *workspace*, an empty folder.

    It is imported from *folder* (default: from where it is installed), and nothing from the
    *hidden* folders. If this process is killed, the other one removes *scratch* (default:
    *workspace*). Raises CheckFailedError and CheckDiedError.
    """
    request, result = workspace / "request.json", workspace / "result.json"
    elsewhere = workspace / "empty"
    elsewhere.mkdir()
    request.write_text(
        json.dumps(
            {
                "module": check.module,
                "attribute": check.attribute,
                "hidden": [str(each) for each in hidden],
                "scratch": str(scratch or workspace),
            }
        ),
        "utf-8",
    )
    try:
        returncode = run(
            [python, str(_CHILD), str(request), str(result)],
            cwd=elsewhere,
            environment=_environment(folder),
            emit=emit,
        )
    except (FrontendGoneError, BrokenPipeError):  # nobody is there, or nobody listens
        raise OrphanedError(str(check)) from None
    if not result.is_file():
        raise CheckDiedError(str(check), returncode)
    outcome: Mapping[str, Any] = json.loads(result.read_text("utf-8"))
    if outcome["outcome"] == "failed":
        raise CheckFailedError(str(check), outcome["reason"])
    if returncode != 0:
        raise CheckDiedError(str(check), returncode)
    return CheckResult(
        returned=outcome.get("returned"),
        is_recordable="returned" in outcome,
        imported=outcome["imported"],
        path=outcome["path"],
    )


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
