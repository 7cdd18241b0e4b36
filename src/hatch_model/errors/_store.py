"""Errors of the store of trained models."""

from __future__ import annotations

from hatch_model._sizes import human_size
from hatch_model.errors._root import HatchModelError


class StoreLimitError(HatchModelError):
    """What HATCH_MODEL_CACHE_LIMIT says is no size."""

    def __init__(self, variable: str, value: str) -> None:
        super().__init__(variable, value)
        self.variable = variable
        self.value = value

    def __str__(self) -> str:
        return (
            f"{self.variable} is `{self.value}`, but it has to be a size, such as `20 GiB`, `500MB` "
            f"or a plain number of bytes."
        )


class StoreError(HatchModelError):
    """The store cannot be used as it was meant to be, which is no reason not to build."""


class UnusableStoreError(StoreError):
    """The file system does not let the store be read or written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the store of trained models cannot be used: {self.path}: {self.reason}. "
            f"HATCH_MODEL_CACHE_DIR moves it to another folder."
        )


class TooLargeForStoreError(StoreError):
    """A model that alone exceeds the store's limit."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"the model takes {human_size(self.size)}, more than the {human_size(self.limit)} that "
            f"the store of trained models may hold, so it was not stored. HATCH_MODEL_CACHE_LIMIT "
            f"raises the limit."
        )
