import os
import pickle

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from .config import MODEL_DIR, MODEL_PATH


def main():
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=42)
    clf = RandomForestClassifier(n_estimators=20, random_state=42)
    clf.fit(X_train, y_train)
    print("accuracy:", clf.score(X_test, y_test))

    os.makedirs(MODEL_DIR, exist_ok=True)
    plt.bar(range(X.shape[1]), clf.feature_importances_)
    plt.savefig(os.path.join(MODEL_DIR, "importances.png"))
    with open(MODEL_PATH, "wb") as f:
        pickle.dump(clf, f)


if __name__ == "__main__":
    main()
