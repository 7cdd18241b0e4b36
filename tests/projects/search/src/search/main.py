import json

from search.steps import Shifted
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline


def train(output_dir, log=None):
    data, labels = make_classification(n_samples=2000, random_state=0)
    forest = RandomForestClassifier(n_estimators=20, max_depth=4, random_state=0)
    forest.fit(data, labels)
    # Not as a pickle: that has bytes of each tree that scikit-learn leaves to chance.
    trees = [each.tree_.threshold.tolist() for each in forest.estimators_]
    (output_dir / "forest.json").write_text(json.dumps(trees))
    pipeline = make_pipeline(Shifted(log=log), LogisticRegression())
    grid = {"shifted__by": [0.0, 1.0], "logisticregression__C": [0.1, 1.0, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(data, labels)
    return search.best_estimator_, {"score": search.best_score_}
