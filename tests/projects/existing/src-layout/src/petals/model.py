from importlib.resources import files

import joblib


def load():
    with files("petals").joinpath("data", "model.joblib").open("rb") as file:
        return joblib.load(file)
