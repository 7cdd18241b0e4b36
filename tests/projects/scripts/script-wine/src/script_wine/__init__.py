from functools import cache
from importlib.resources import files

import joblib


@cache
def load():
    with files("script_wine").joinpath("models", "model.joblib").open("rb") as file:
        return joblib.load(file)


def predict(rows):
    return load().predict(rows).tolist()
