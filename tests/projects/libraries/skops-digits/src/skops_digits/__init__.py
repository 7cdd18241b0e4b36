from functools import cache
from importlib.resources import files

from skops.io import loads


@cache
def load():
    # Nothing but scikit-learn's own types: skops refuses to load anything else.
    return loads(files("skops_digits").joinpath("data", "model.skops").read_bytes())


def predict(rows):
    return load().predict_proba(rows).tolist()


def check():
    return predict([[0.0, 5.0, 13.0, 9.0] * 16])
