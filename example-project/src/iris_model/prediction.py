from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import joblib
import pandas as pd

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def predict(
    sepal_length: float, sepal_width: float, petal_length: float, petal_width: float
) -> str:
    """Name the species of a flower from its measurements in centimetres."""
    model = load()
    flower = [[sepal_length, sepal_width, petal_length, petal_width]]
    species = model.predict(pd.DataFrame(flower, columns=model.feature_names_in_))
    return str(species[0])


@cache
def load() -> Pipeline:
    with files("iris_model").joinpath("data", "model.joblib").open("rb") as file:
        return joblib.load(file)


def check() -> str:
    """Predict for a flower that is told right: called on every wheel, and by `verify`."""
    return predict(6.1, 2.8, 4.7, 1.2)
