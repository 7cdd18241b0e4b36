import statsmodels.api as sm
from statsmodels.tsa.ar_model import AutoReg


def train(output_dir):
    activity = sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    result = AutoReg(activity[:-20], lags=9).fit()
    result.save(output_dir / "model.pickle")
    forecast = result.forecast(20)
    return {"mae": float(abs(forecast - activity[-20:]).mean())}
