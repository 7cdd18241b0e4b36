"""What a model is made from beside its code, as it is before training, which may change the tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_model._digests import file_of, files_of
from hatch_model._git import commit_of
from hatch_model._progress import Progress
from hatch_model.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hatch_model._carried import Commit
    from hatch_model._digests import File
    from hatch_model._log import Log
    from hatch_model._settings import TrainingSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    commit: Commit | None
    inputs: Sequence[File]
    lock: File | None


def origin_of(training: TrainingSettings, root: Path, log: Log) -> Origin:
    """Look at the tree at *root*. Raises SettingsError for `inputs` that match no file."""
    lock = training.lock
    return Origin(
        commit=commit_of(root),
        inputs=_inputs(training, root, Progress(log.info)),
        lock=file_of(str(lock), root / lock) if lock else None,
    )


def _inputs(training: TrainingSettings, root: Path, progress: Progress) -> list[File]:
    found: set[Path] = set()
    problems = []
    for index, pattern in enumerate(training.inputs or ()):
        matched = {path for path in root.glob(pattern) if path.is_file()}
        if not matched:
            key = f"{training.key}.inputs[{index}]"
            problems.append(Problem(key, expected=_expected(root), found=pattern))
        found |= matched
    if problems:
        raise SettingsError(problems)
    sources = {path.relative_to(root).as_posix(): path for path in sorted(found)}
    return files_of(sources, progress, "reading inputs")


def _expected(root: Path) -> str:
    if not (root / "PKG-INFO").is_file():
        return "to match a file"
    # Where git ignores the data, the sdist lacks it.
    return (
        "to match a file of this source distribution, which has to include what training reads (or "
        'build the wheel from the project itself, with `uv build --wheel`, or set `sdist = "trained"`)'
    )
