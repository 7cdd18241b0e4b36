from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel

from iris_model import predict

app = FastAPI(title="Iris")


class Flower(BaseModel):
    """Measurements in centimetres."""

    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


@app.post("/predict")
def species_of(flower: Flower) -> dict[str, str]:
    return {"species": predict(**flower.model_dump())}
