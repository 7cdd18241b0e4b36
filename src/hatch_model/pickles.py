"""What a pickle refers to, found by loading it.

The child script reads this file without importing hatch_model, which may not be there.
"""

from __future__ import annotations

from typing import Any


def load(path: str, unknown: list[str]) -> None:
    """Load the pickle at *path* with joblib, which reads those of others as well.

    Raises whatever unpickling does. What it refers to and is not there, as ``module.name``, is added to
    *unknown*.
    """
    import joblib  # noqa: PLC0415 - may be hidden by then
    from joblib.numpy_pickle import NumpyUnpickler  # noqa: PLC0415

    find_class = NumpyUnpickler.find_class

    def find(self: Any, module: str, name: str) -> Any:
        try:
            # The child script is __main__ here; users of the model have another one.
            return find_class(
                self, module if module != "__main__" else "__main__ of training", name
            )
        except (ImportError, AttributeError):
            unknown.append(f"{module}.{name}")
            raise

    NumpyUnpickler.find_class = find
    try:
        joblib.load(path)
    finally:
        NumpyUnpickler.find_class = find_class
