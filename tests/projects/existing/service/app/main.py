import joblib
import pandas as pd
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("app/models/fraud.joblib")


@app.post("/score")
def score(amount: float, hour: int):
    frame = pd.DataFrame([{"amount": amount, "hour": hour}])
    return {"fraud": float(model.predict_proba(frame)[0, 1])}
