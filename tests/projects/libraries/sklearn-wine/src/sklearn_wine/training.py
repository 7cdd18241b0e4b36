from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_wine.features import Logarithm


def train():
    rows, test_rows, classes, test_classes = train_test_split(
        *load_wine(return_X_y=True), test_size=0.3, random_state=0
    )
    model = make_pipeline(Logarithm(), StandardScaler(), LogisticRegression())
    model.fit(rows, classes)
    return model, {"accuracy": model.score(test_rows, test_classes)}
