"""A model that has been trained, by this build or by an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_model._artifacts import Artifact
    from hatch_model._sources import TrainingTree


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    artifacts: Sequence[Artifact]
    tree: TrainingTree
    metrics: Mapping[str, float]
    environment: Sequence[tuple[str, str]]
    """The name and version of every distribution there was when it was trained."""
    strangers: Sequence[str]
    """Those of them that training imported although nothing that is declared asks for them."""
    imported: Sequence[str]
    """The files of the modules that training imported; empty for a model that was trained earlier."""
    path: Sequence[str]
    """A ``sys.path`` that leads to the project and to all that it was trained with."""
    model_saved: bool
    """A model was returned and saved with joblib."""
    in_tree: bool
    """The artifacts lie in the tree, where training wrote them."""
