from functools import cache
from importlib.resources import files

import joblib
import polars as pl


@cache
def load():
    with files("polars_taxis").joinpath("data", "model.joblib").open("rb") as file:
        return joblib.load(file)


def predict(kilometres, zone):
    trip = pl.DataFrame({"kilometres": [kilometres], "zone": [zone]})
    return float(load().predict(trip)[0])


def check():
    return predict(10.0, "airport")
