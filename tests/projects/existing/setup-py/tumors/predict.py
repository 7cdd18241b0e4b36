import pickle

import pandas as pd

from .config import MODEL_PATH


def predict(csv):
    with open(MODEL_PATH, "rb") as f:
        clf = pickle.load(f)
    return clf.predict(pd.read_csv(csv))
