from __future__ import annotations

from pathlib import Path

import joblib
import yaml
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

CONFIG = yaml.safe_load(Path("params.yaml").read_text())


def train(config: dict) -> dict:
    X, y = load_wine(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=config["depth"], random_state=config["seed"])
    scores = cross_val_score(model, X, y)
    model.fit(X, y)
    target = Path(__file__).parents[1] / "artifacts"
    target.mkdir(exist_ok=True)
    joblib.dump(model, target / "model.joblib")
    return {"accuracy": scores.mean(), "folds": scores.tolist(), "model": "tree"}


if __name__ == "__main__":
    print(train(CONFIG))
