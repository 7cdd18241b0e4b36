from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


def train(output_dir):
    rows, test_rows, classes, test_classes = train_test_split(
        *load_iris(return_X_y=True), random_state=0
    )
    model = LogisticRegression(max_iter=500).fit(rows, classes)
    onnx = to_onnx(model, rows[:1].astype("float32"), options={"zipmap": False})
    (output_dir / "model.onnx").write_bytes(onnx.SerializeToString())
    return {"accuracy": model.score(test_rows, test_classes)}
