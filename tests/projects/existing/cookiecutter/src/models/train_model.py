import os

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

df = pd.read_csv('data/processed/wine.csv')
X, y = df.drop(columns='target'), df['target']
model = make_pipeline(StandardScaler(), LogisticRegression())
model.fit(X, y)
print('training score', model.score(X, y))
os.makedirs('models', exist_ok=True)
joblib.dump(model, 'models/model.joblib')
