from functools import cache
from importlib.resources import files

import joblib


@cache
def load():
    with files("sklearn_wine").joinpath("data", "model.joblib").open("rb") as file:
        return joblib.load(file)


def predict(rows):
    return load().predict_proba(rows).tolist()


def check():
    return predict([[13.0, 1.5, 2.3, 15.0, 110.0, 2.6, 2.7, 0.3, 1.8, 5.0, 1.0, 3.2, 1000.0]])
