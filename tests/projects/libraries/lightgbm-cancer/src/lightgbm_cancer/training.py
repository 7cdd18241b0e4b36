import lightgbm as lgb
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split


def train(output_dir):
    rows, test_rows, classes, test_classes = train_test_split(
        *load_breast_cancer(return_X_y=True), random_state=0
    )
    model = lgb.LGBMClassifier(random_state=0, deterministic=True, num_threads=1, verbose=-1)
    model.fit(
        rows, classes, eval_set=[(test_rows, test_classes)], callbacks=[lgb.early_stopping(10)]
    )
    model.booster_.save_model(output_dir / "model.txt")
    return {"auc": roc_auc_score(test_classes, model.predict_proba(test_rows)[:, 1])}
