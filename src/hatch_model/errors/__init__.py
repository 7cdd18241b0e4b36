"""Everything that hatch-model refuses. An exception holds data; its ``__str__`` is the message."""

from __future__ import annotations

from hatch_model.errors._configuration import (
    Problem,
    SelectionError,
    SettingsError,
    SwitchedOffError,
)
from hatch_model.errors._environment import (
    BrokenDistributionError,
    DirectReferenceError,
    LocalReferenceError,
    NotInstalledError,
    OutOfRangeError,
    PinsChangedError,
    RequirementError,
    SharedMetadataError,
    UnknownExtraError,
)
from hatch_model.errors._root import (
    HatchModelError,
)
from hatch_model.errors._training import (
    ArtifactError,
    DiedError,
    EscapingLinkError,
    ExitedError,
    FunctionNotFoundError,
    MetricError,
    ModuleNotFoundInTrainingError,
    NotCallableError,
    NothingWrittenError,
    OrphanedError,
    RaisedError,
    SignatureError,
    TrainingError,
    UnknownArtifactsFolderError,
    UnsavableModelError,
    UnshippableError,
)

__all__ = [
    "ArtifactError",
    "BrokenDistributionError",
    "DiedError",
    "DirectReferenceError",
    "EscapingLinkError",
    "ExitedError",
    "FunctionNotFoundError",
    "HatchModelError",
    "LocalReferenceError",
    "MetricError",
    "ModuleNotFoundInTrainingError",
    "NotCallableError",
    "NotInstalledError",
    "NothingWrittenError",
    "OrphanedError",
    "OutOfRangeError",
    "PinsChangedError",
    "Problem",
    "RaisedError",
    "RequirementError",
    "SelectionError",
    "SettingsError",
    "SharedMetadataError",
    "SignatureError",
    "SwitchedOffError",
    "TrainingError",
    "UnknownArtifactsFolderError",
    "UnknownExtraError",
    "UnsavableModelError",
    "UnshippableError",
]
