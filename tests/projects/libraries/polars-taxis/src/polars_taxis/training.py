import numpy as np
import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def train():
    random = np.random.default_rng(0)
    trips = pl.DataFrame(
        {
            "kilometres": random.uniform(1, 30, 500),
            "zone": random.choice(["airport", "centre"], 500),
        }
    ).with_columns(
        price=pl.col("kilometres") * 1.8
        + pl.when(pl.col("zone") == "airport").then(12.0).otherwise(4.0)
    )
    encode = make_column_transformer((OneHotEncoder(), ["zone"]), remainder="passthrough")
    model = make_pipeline(encode, Ridge()).fit(trips[:400].drop("price"), trips[:400]["price"])
    predicted = model.predict(trips[400:].drop("price"))
    return model, {"r2": r2_score(trips[400:]["price"], predicted)}
