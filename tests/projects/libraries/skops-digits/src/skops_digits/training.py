from skops.io import dump
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler


def train(output_dir):
    rows, test_rows, classes, test_classes = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )
    model = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500)).fit(rows, classes)
    dump(model, output_dir / "model.skops")
    return {"accuracy": model.score(test_rows, test_classes)}
