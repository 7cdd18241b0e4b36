"""Errors in what an sdist carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Sequence


class CarriedModelError(HatchModelError):
    """An unpacked sdist is not what it was when its model was trained. *differences* are sentences."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__(differences)
        self.differences = differences

    def __str__(self) -> str:
        lines = "".join(f"\n  {difference}" for difference in self.differences)
        return (
            f"this source distribution is not what it was when its model was trained:{lines}\n"
            f"Unpack it anew; or set HATCH_MODEL_RETRAIN=1, which trains another model from what is "
            f"here."
        )
