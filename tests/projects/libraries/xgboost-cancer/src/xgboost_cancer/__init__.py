from functools import cache
from importlib.resources import as_file, files

import numpy as np
from xgboost import XGBClassifier


@cache
def load():
    model = XGBClassifier()
    with as_file(files("xgboost_cancer").joinpath("data", "model.json")) as path:
        model.load_model(path)
    return model


def predict(rows):
    return load().predict_proba(np.asarray(rows))[:, 1].tolist()


def check():
    return predict(np.linspace(0, 50, 60).reshape(2, 30))
