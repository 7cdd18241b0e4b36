import sys

import joblib
import pandas as pd

from src.features.build_features import add_ratio

model = joblib.load('models/model.joblib')
print(model.predict(add_ratio(pd.read_csv(sys.argv[1]))))
