"""Errors that keep a model from being released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError
from hatch_model.errors._training import how_it_ended

if TYPE_CHECKING:
    from collections.abc import Sequence


class MissedGateError(HatchModelError):
    """A metric is not what its gate asks for. *table* is all of them, as lines of text."""

    def __init__(self, missed: Sequence[str], table: Sequence[str]) -> None:
        super().__init__(missed, table)
        self.missed = missed
        self.table = table

    def __str__(self) -> str:
        lines = "".join(f"\n  {line}" for line in self.table)
        return (
            f"the model misses its gates ({', '.join(self.missed)}), so it is not packaged:{lines}"
        )


class CheckFailedError(HatchModelError):
    """The check raised, or could not be found."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(check, reason)
        self.check = check
        self.reason = reason

    def __str__(self) -> str:
        return f"the wheel does not pass its check: {self.check} raised {self.reason}"


class CheckDiedError(HatchModelError):
    def __init__(self, check: str, returncode: int) -> None:
        super().__init__(check, returncode)
        self.check = check
        self.returncode = returncode

    def __str__(self) -> str:
        return (
            f"the wheel does not pass its check: the process that ran {self.check} "
            f"{how_it_ended(self.returncode)}."
        )


class UndeclaredImportError(HatchModelError):
    """The check needs what an installation of the wheel would not bring."""

    def __init__(self, check: str, names: Sequence[str], key: str) -> None:
        super().__init__(check, names, key)
        self.check = check
        self.names = names
        self.key = key

    def __str__(self) -> str:
        names = ", ".join(self.names)
        return (
            f"the wheel does not pass its check: {self.check} imported {names}, which the wheel does "
            f"not require. It is installed here only for training or for the build, so whoever "
            f"installs the wheel would not have it: add it to {self.key}.dependencies, or do "
            f"without it when predicting."
        )


class SourceTreeImportError(HatchModelError):
    """The check imported a module of the source tree that the wheel does not hold."""

    def __init__(self, check: str, files: Sequence[str]) -> None:
        super().__init__(check, files)
        self.check = check
        self.files = files

    def __str__(self) -> str:
        return (
            f"the wheel does not pass its check: {self.check} imported {', '.join(self.files)} from "
            f"the source tree, which the wheel does not hold."
        )


class MissingToolsError(HatchModelError):
    """The build environment lacks what an *option* takes."""

    def __init__(self, option: str, requirements: Sequence[str]) -> None:
        super().__init__(option, requirements)
        self.option = option
        self.requirements = requirements

    def __str__(self) -> str:
        return (
            f"`{self.option}` takes {' and '.join(self.requirements)}. Build with isolation, so that "
            f"the frontend installs that, or install it first."
        )
