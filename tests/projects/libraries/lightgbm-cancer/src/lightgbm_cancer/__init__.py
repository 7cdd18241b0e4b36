from functools import cache
from importlib.resources import files

import lightgbm as lgb
import numpy as np


@cache
def load():
    return lgb.Booster(model_str=files("lightgbm_cancer").joinpath("data", "model.txt").read_text())


def predict(rows):
    return load().predict(np.asarray(rows)).tolist()


def check():
    return predict(np.linspace(0, 50, 60).reshape(2, 30))
