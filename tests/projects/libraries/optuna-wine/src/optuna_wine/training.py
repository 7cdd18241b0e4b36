import optuna
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score


def train(report_dir, trials):
    rows, classes = load_wine(return_X_y=True)

    def objective(trial):
        model = RandomForestClassifier(
            trial.suggest_int("n_estimators", 10, 60),
            max_depth=trial.suggest_int("max_depth", 2, 6),
            random_state=0,
        )
        return cross_val_score(model, rows, classes).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=trials)
    # The search is for people to look at, and no part of the model.
    trials_run = study.trials_dataframe(attrs=("number", "value", "params"))
    trials_run.to_csv(report_dir / "trials.csv", index=False)
    model = RandomForestClassifier(**study.best_params, random_state=0).fit(rows, classes)
    return model, {"accuracy": study.best_value}
