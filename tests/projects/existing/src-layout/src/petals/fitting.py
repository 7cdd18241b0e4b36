import optuna
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC


def train(trials=3):
    X, y = load_iris(return_X_y=True)
    X = X[:, 2:3]

    def objective(trial):
        return cross_val_score(SVC(C=trial.suggest_float("C", 0.1, 10)), X, y).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=trials)
    model = SVC(**study.best_params)
    return model.fit(X, y)
