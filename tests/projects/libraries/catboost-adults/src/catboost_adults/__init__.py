from functools import cache
from importlib.resources import files

from catboost import CatBoostClassifier


@cache
def load():
    content = files("catboost_adults").joinpath("data", "model.cbm").read_bytes()
    return CatBoostClassifier().load_model(blob=content)


def predict(age, work):
    return load().predict_proba([[age, work]])[0].tolist()


def check():
    return predict(44, "private")
