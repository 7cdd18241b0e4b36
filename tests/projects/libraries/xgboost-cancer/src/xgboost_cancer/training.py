from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier


def train(output_dir):
    rows, test_rows, classes, test_classes = train_test_split(
        *load_breast_cancer(return_X_y=True), random_state=0
    )
    model = XGBClassifier(n_estimators=200, early_stopping_rounds=10, random_state=0)
    model.fit(rows, classes, eval_set=[(test_rows, test_classes)], verbose=50)
    model.save_model(output_dir / "model.json")
    return {"auc": roc_auc_score(test_classes, model.predict_proba(test_rows)[:, 1])}
