"""Errors of the command line."""

from __future__ import annotations

from hatch_model.errors._root import HatchModelError


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
