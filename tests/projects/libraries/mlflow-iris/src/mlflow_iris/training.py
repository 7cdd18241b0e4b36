import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


def train(output_dir):
    rows, test_rows, classes, test_classes = train_test_split(
        *load_iris(return_X_y=True, as_frame=True), random_state=0
    )
    model = LogisticRegression(max_iter=500).fit(rows, classes)
    # A folder with MLmodel, as registries have it; the wheel takes a registry's place.
    mlflow.sklearn.save_model(
        model, output_dir / "mlflow", pip_requirements=[], serialization_format="pickle"
    )
    return {"accuracy": model.score(test_rows, test_classes)}
