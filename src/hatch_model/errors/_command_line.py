"""Errors of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = {"wheel": "a wheel", "sdist": "an sdist", "installed": "an installed model"}


class ModelNotFoundError(HatchModelError):
    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.origin = origin

    def __str__(self) -> str:
        return (
            f"`{self.origin}` is neither a file nor the name of something that is installed here."
        )


class UnreadableModelError(HatchModelError):
    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(origin, reason)
        self.origin = origin
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.origin}` cannot be read: {self.reason}"


class InterpreterError(HatchModelError):
    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, reason)
        self.command = command
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.command}` does not work as a Python: {self.reason}"


class ProjectError(HatchModelError):
    """hatchling cannot make sense of a project."""

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder = folder
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.folder}` is no project that can be built: {self.reason}"


class WrongKindError(HatchModelError):
    """A model is not in the form that it is needed in, both as ``ModelFiles.kind`` has them."""

    def __init__(self, origin: str, kind: str, expected: str) -> None:
        super().__init__(origin, kind, expected)
        self.origin = origin
        self.kind = kind
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"`{self.origin}` is {_KINDS[self.kind]}, but {_KINDS[self.expected]} is needed here."
        )


class UnrecordedModelError(HatchModelError):
    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model

    def __str__(self) -> str:
        return (
            f"{self.model} holds no record of how it was made, as wheels that hatch-model built do."
        )


class OtherSourceError(HatchModelError):
    """An sdist is not what a wheel was built from; *held* and *offered* are names and versions."""

    def __init__(self, wheel: str, sdist: str, held: str, offered: str) -> None:
        super().__init__(wheel, sdist, held, offered)
        self.wheel = wheel
        self.sdist = sdist
        self.held = held
        self.offered = offered

    def __str__(self) -> str:
        return (
            f"`{self.wheel}` is of {self.held}, but `{self.sdist}` of {self.offered}. Give the sdist "
            f"that the wheel was built from."
        )


class AlteredModelError(HatchModelError):
    """A wheel differs from what it says of itself. *differences* are sentences."""

    def __init__(self, wheel: str, differences: Sequence[str]) -> None:
        super().__init__(wheel, differences)
        self.wheel = wheel
        self.differences = differences

    def __str__(self) -> str:
        more = len(self.differences) - 1
        return (
            f"`{self.wheel}` is not what it says of itself: {self.differences[0]}"
            f"{f', and {more} more' if more else ''}. See `hatch-model verify`."
        )


class UvMissingError(HatchModelError):
    def __str__(self) -> str:
        return (
            "rebuilding a wheel takes uv, which was not found. Install uv, or put its path into UV."
        )


class UnknownPythonError(HatchModelError):
    def __init__(self, python: str) -> None:
        super().__init__(python)
        self.python = python

    def __str__(self) -> str:
        return (
            f"the record says that {self.python} trained the model, which uv has no name for. Name a "
            f"Python with `--python`."
        )


class RebuildError(HatchModelError):
    def __init__(self, sdist: str) -> None:
        super().__init__(sdist)
        self.sdist = sdist

    def __str__(self) -> str:
        return (
            f"`{self.sdist}` could not be rebuilt; uv says above why. If it cannot find the "
            f"Python, name another one with `--python`."
        )
