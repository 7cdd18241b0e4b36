import numpy as np
from catboost import CatBoostClassifier, Pool


def train(output_dir):
    random = np.random.default_rng(0)
    age, work = random.integers(17, 90, 800), random.choice(["private", "state", "none"], 800)
    rows, classes = (
        [list(each) for each in zip(age, work)],
        ((age > 40) & (work != "none")).astype(int),
    )
    known = Pool(rows[:600], classes[:600], cat_features=[1])
    test = Pool(rows[600:], classes[600:], cat_features=[1])
    # CatBoost writes its logs into the working directory unless told otherwise.
    model = CatBoostClassifier(iterations=100, random_seed=0, verbose=50, allow_writing_files=False)
    model.fit(known, eval_set=test)
    model.save_model(output_dir / "model.cbm")
    return {"accuracy": model.score(test)}
