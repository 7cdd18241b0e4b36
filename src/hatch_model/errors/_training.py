"""Errors in what training does and writes."""

from __future__ import annotations

import signal
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Collection


class TrainingError(HatchModelError):
    """Training did not end in a model. *train* is the object reference in the settings."""

    def __init__(self, train: str, *data: object) -> None:
        super().__init__(train, *data)
        self.train = train


class ModuleNotFoundInTrainingError(TrainingError):
    def __init__(self, train: str, key: str, module: str, modules: Collection[str]) -> None:
        super().__init__(train, key, module, modules)
        self.key = key
        self.module = module
        self.modules = modules
        """The project's own."""

    def __str__(self) -> str:
        return (
            f"{self.key}.train is `{self.train}`, but there is no module `{self.module}` among the "
            f"wheel's files, on `python-path` or in the training environment."
            f"{_suggestion(self.module, self.modules)}"
        )


class FunctionNotFoundError(TrainingError):
    def __init__(self, train: str, key: str, attribute: str, candidates: Collection[str]) -> None:
        super().__init__(train, key, attribute, candidates)
        self.key = key
        self.attribute = attribute
        self.candidates = candidates

    def __str__(self) -> str:
        return (
            f"{self.key}.train is `{self.train}`, but there is no `{self.attribute}` in it."
            f"{_suggestion(self.attribute, self.candidates)}"
        )


class NotCallableError(TrainingError):
    def __init__(self, train: str, key: str, kind: str) -> None:
        super().__init__(train, key, kind)
        self.key = key
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.key}.train is `{self.train}`, but that is no function: it is of type `{self.kind}`."


class SignatureError(TrainingError):
    def __init__(self, train: str, key: str, signature: str, reason: str) -> None:
        super().__init__(train, key, signature, reason)
        self.key = key
        self.signature = signature
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.train} cannot be called with {self.key}.arguments: {self.reason}. Its signature "
            f"is `{self.signature}`."
        )


class RaisedError(TrainingError):
    def __init__(self, train: str, exception: str) -> None:
        super().__init__(train, exception)
        self.exception = exception

    def __str__(self) -> str:
        return f"training failed: {self.train} raised {self.exception}"


class ExitedError(TrainingError):
    def __init__(self, train: str, code: str) -> None:
        super().__init__(train, code)
        self.code = code

    def __str__(self) -> str:
        return (
            f"training failed: {self.train} called sys.exit({self.code}). A training function "
            f"returns when it is done, and raises when it cannot be."
        )


class DiedError(TrainingError):
    """The training process ended without a word."""

    def __init__(self, train: str, returncode: int, *, returned: bool) -> None:
        super().__init__(train, returncode, returned)
        self.returncode = returncode
        self.returned = returned

    def __str__(self) -> str:
        when = "after" if self.returned else "before"
        return (
            f"training failed: the process that ran {self.train} {how_it_ended(self.returncode)} {when} the function "
            f"had returned.{_advice(self.returncode)}"
        )


class UnsavableModelError(TrainingError):
    def __init__(self, train: str, kind: str, reason: str) -> None:
        super().__init__(train, kind, reason)
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.train} returned an object of type `{self.kind}` that could not be saved with "
            f"joblib: {self.reason}. Return one that can be pickled, or take `output_dir` and write "
            f"the model there in a format of your own."
        )


class MetricError(TrainingError):
    def __init__(self, train: str, metric: str, value: str) -> None:
        super().__init__(train, metric, value)
        self.metric = metric
        self.value = value

    def __str__(self) -> str:
        return (
            f"{self.train} returned a mapping with {self.metric}: {self.value}, but a metric is a "
            f"finite number under a string. To save a mapping as the model, return it together "
            f"with metrics: `return model, {{}}`."
        )


class OrphanedError(TrainingError):
    def __str__(self) -> str:
        return f"the build frontend is gone, so {self.train} was stopped"


class ArtifactError(HatchModelError):
    """What training wrote cannot be shipped."""

    def __init__(self, *data: str) -> None:
        super().__init__(*data)
        self.data = data


class NothingWrittenError(ArtifactError):
    def __init__(self, train: str, key: str, folder: str) -> None:
        super().__init__(train, key, folder)
        self.train = train
        self.key = key
        self.folder = folder

    def __str__(self) -> str:
        return (
            f"{self.train} returned no model and wrote nothing to `{self.folder}`, so there is "
            f"nothing to ship. Return the model, take `output_dir` and write there, or set "
            f"{self.key}.artifacts to the folder that it writes to."
        )


class EscapingLinkError(ArtifactError):
    def __init__(self, path: str, target: str) -> None:
        super().__init__(path, target)
        self.path = path
        self.target = target

    def __str__(self) -> str:
        return (
            f"training wrote the symbolic link `{self.path}`, which leads to `{self.target}` "
            f"outside of the artifacts. Write a copy of the file instead."
        )


class UnshippableError(ArtifactError):
    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path, kind)
        self.path = path
        self.kind = kind

    def __str__(self) -> str:
        return f"training wrote `{self.path}`, which is {self.kind} and cannot be put into a wheel."


class UnknownArtifactsFolderError(ArtifactError):
    def __init__(self, train: str, key: str) -> None:
        super().__init__(train, key)
        self.train = train
        self.key = key

    def __str__(self) -> str:
        return (
            f"{self.train} lies outside of the files that the wheel ships, so there is no package "
            f"to put the model into. Set {self.key}.artifacts to a folder inside one of them, such "
            f'as "src/your_package/data".'
        )


def how_it_ended(returncode: int) -> str:
    """Say how a process ended whose *returncode*, as `subprocess` gives it, was unexpected."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"


def _advice(returncode: int) -> str:
    if returncode == -getattr(signal, "SIGKILL", 9):
        return " SIGKILL often means that the machine ran out of memory."
    return ""


def _suggestion(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean `{near[0]}`?" if near else ""
