import argparse
import json
import os
from pathlib import Path

import joblib
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--trees", type=int, default=100)
parser.add_argument("--class-weight")
options = parser.parse_args()

rows, test_rows, classes, test_classes = train_test_split(
    *load_wine(return_X_y=True), test_size=0.3, random_state=0
)
model = RandomForestClassifier(options.trees, class_weight=options.class_weight, random_state=0)
model.fit(rows, classes)
accuracy = model.score(test_rows, test_classes)
print(f"accuracy {accuracy:.2f}")

Path("models").mkdir(exist_ok=True)
joblib.dump(model, "models/model.joblib")

if "HATCH_MODEL_REPORT_DIR" in os.environ:
    metrics = Path(os.environ["HATCH_MODEL_REPORT_DIR"], "metrics.json")
    metrics.write_text(json.dumps({"accuracy": accuracy}))
