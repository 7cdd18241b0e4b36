# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "catboost",
#     "h5py",
#     "joblib",
#     "lightgbm",
#     "numpy",
#     "pandas",
#     "pyarrow",
#     "scikit-learn",
#     "skl2onnx",
#     "skops",
#     "xgboost",
# ]
# ///
"""Whose files come out byte-identical when a model is trained twice: docs/determinism.md's table.

    uv run benchmarks/byte_identical.py [LIBRARY ...]

Trains and saves each case (default: those of every library) in two fresh processes, with the
variables that hatch-model sets, and compares the files. The processes differ in what differs from
one build to the next: the working directory, the folder that is written to, the time, and how many
threads OpenMP and BLAS may use, one and then two. What a case sets itself holds for both.

Prints the table in Markdown, with the versions found. What is not installed is left out and named
on standard error: some are too large to be fetched unless asked for, by `--with` of `uv run`:
torch, keras, safetensors, gensim, mlflow-skinny, optuna, prophet, spacy and statsmodels."""

# Each case imports its own libraries, which the type checker need not find.
# ruff: noqa: PLC0415
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

VARIABLES = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1580601600"}
"""What hatch-model sets for training."""
THREADS = ("1", "2")
"""OMP_NUM_THREADS of the one training and of the other."""
SECONDS_APART = 2.1
"""The time between the two, at least: zip archives count in steps of two seconds."""

Save = Callable[[Path], object]
"""Trains, and writes files into the folder that it is given."""


@dataclass(frozen=True, kw_only=True)
class Case:
    library: str
    model: str
    saved_with: str
    remark: str
    environment: Mapping[str, str]
    save: Save

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Give library, model, way of saving and remark as the table has them."""
        settings = ", ".join(f"`{name}={value}`" for name, value in self.environment.items())
        model = f"{self.model}, {settings}" if settings else self.model
        return self.library, model, self.saved_with, self.remark


CASES: list[Case] = []


def case(
    library: str, model: str, saved_with: str, remark: str = "", **environment: str
) -> Callable[[Save], Save]:
    """Add a case; *environment* is what a project would set in the table of that name."""

    def add(save: Save) -> Save:
        CASES.append(
            Case(
                library=library,
                model=model,
                saved_with=saved_with,
                remark=remark,
                environment=environment,
                save=save,
            )
        )
        return save

    return add


def samples() -> tuple[Any, Any]:
    from sklearn.datasets import make_classification

    features, classes = make_classification(
        n_samples=4000, n_features=100, n_informative=20, n_classes=3, random_state=0
    )
    return features, classes


def dump(model: Any, folder: Path, **options: Any) -> None:
    import joblib

    joblib.dump(model.fit(*samples()), folder / "model.joblib", **options)


# scikit-learn


@case("scikit-learn", "`LogisticRegression()`", "`joblib.dump`")
def logistic_regression(folder: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    dump(LogisticRegression(), folder)


@case(
    "scikit-learn",
    "`RandomForestClassifier()`",
    "`joblib.dump`",
    "nothing seeds it; see the next row",
)
def random_forest_without_seed(folder: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    dump(RandomForestClassifier(n_estimators=20), folder)


@case("scikit-learn", "`RandomForestClassifier(random_state=0)`", "`joblib.dump`")
def random_forest(folder: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    dump(RandomForestClassifier(n_estimators=20, random_state=0), folder)


@case("scikit-learn", "`RandomForestClassifier(random_state=0, n_jobs=2)`", "`joblib.dump`")
def random_forest_on_two_cores(folder: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    dump(RandomForestClassifier(n_estimators=20, random_state=0, n_jobs=2), folder)


@case(
    "scikit-learn",
    "`HistGradientBoostingClassifier(random_state=0)`",
    "`joblib.dump`",
    "keeps the number of threads; see the next row",
)
def gradient_boosting(folder: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    dump(HistGradientBoostingClassifier(max_iter=20, random_state=0), folder)


@case(
    "scikit-learn",
    "`HistGradientBoostingClassifier(random_state=0)`",
    "`joblib.dump`",
    OMP_NUM_THREADS="1",
)
def gradient_boosting_on_one_thread(folder: Path) -> None:
    gradient_boosting(folder)


@case(
    "scikit-learn",
    "`KMeans(random_state=0)`",
    "`joblib.dump`",
    "keeps the number of threads, which its sums depend on; see the next row",
)
def k_means(folder: Path) -> None:
    from sklearn.cluster import KMeans

    dump(KMeans(random_state=0), folder)


@case("scikit-learn", "`KMeans(random_state=0)`", "`joblib.dump`", OMP_NUM_THREADS="1")
def k_means_on_one_thread(folder: Path) -> None:
    k_means(folder)


# Without it, whether its sums are the same depends on the processor that BLAS picks its code for.
@case("scikit-learn", "`MLPClassifier(random_state=0)`", "`joblib.dump`", OMP_NUM_THREADS="1")
def perceptron(folder: Path) -> None:
    from sklearn.neural_network import MLPClassifier

    dump(MLPClassifier(max_iter=5, tol=0, n_iter_no_change=9, random_state=0), folder)


# joblib


@case("joblib", "a random forest", "`joblib.dump(…, compress=3)`")
def joblib_zlib(folder: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    dump(RandomForestClassifier(n_estimators=5, random_state=0), folder, compress=3)


@case("joblib", "a random forest", '`joblib.dump(…, compress=("xz", 3))`')
def joblib_xz(folder: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    dump(RandomForestClassifier(n_estimators=5, random_state=0), folder, compress=("xz", 3))


@case("joblib", "a random forest", '`joblib.dump(…, compress=("gzip", 3))`')
def joblib_gzip(folder: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    dump(RandomForestClassifier(n_estimators=5, random_state=0), folder, compress=("gzip", 3))


# skops


@case(
    "skops",
    "a logistic regression",
    "`skops.io.dump`",
    "addresses in memory, and the time; `joblib.dump` has neither",
)
def skops_dump(folder: Path) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    skops.io.dump(LogisticRegression().fit(*samples()), folder / "model.skops")


# numpy


@case("numpy", "an array", "`numpy.save`")
def numpy_save(folder: Path) -> None:
    import numpy as np

    np.save(folder / "weights.npy", samples()[0])


@case("numpy", "arrays", "`numpy.savez`")
def numpy_savez(folder: Path) -> None:
    import numpy as np

    features, classes = samples()
    np.savez(folder / "weights.npz", features=features, classes=classes)


@case("numpy", "arrays", "`numpy.savez_compressed`")
def numpy_savez_compressed(folder: Path) -> None:
    import numpy as np

    features, classes = samples()
    np.savez_compressed(folder / "weights.npz", features=features, classes=classes)


# pandas


def frame() -> Any:
    import pandas as pd

    features, classes = samples()
    return pd.DataFrame(features[:, :5], columns=list("abcde")).assign(species=classes.astype(str))


@case("pandas", "a data frame", "`to_parquet` (pyarrow)")
def parquet(folder: Path) -> None:
    frame().to_parquet(folder / "frame.parquet")


@case("pandas", "a data frame", "`to_csv`")
def csv(folder: Path) -> None:
    frame().to_csv(folder / "frame.csv")


@case("pandas", "a data frame", '`to_csv("….csv.gz")`', "the time; see the next row")
def csv_gz(folder: Path) -> None:
    frame().to_csv(folder / "frame.csv.gz")


@case("pandas", "a data frame", '`to_csv("….csv.gz", compression={"method": "gzip", "mtime": 1})`')
def csv_gz_dated(folder: Path) -> None:
    frame().to_csv(folder / "frame.csv.gz", compression={"method": "gzip", "mtime": 1})


@case("pandas", "a data frame", "`to_pickle`")
def pandas_pickle(folder: Path) -> None:
    frame().to_pickle(folder / "frame.pickle")


# XGBoost


def xgboost_model() -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=10, subsample=0.5, random_state=0).fit(*samples())


@case("xgboost", "`XGBClassifier`", '`save_model("….json")`')
def xgboost_json(folder: Path) -> None:
    xgboost_model().save_model(folder / "model.json")


@case("xgboost", "`XGBClassifier`", '`save_model("….ubj")`')
def xgboost_ubj(folder: Path) -> None:
    xgboost_model().save_model(folder / "model.ubj")


@case("xgboost", "`XGBClassifier`", "`joblib.dump`")
def xgboost_joblib(folder: Path) -> None:
    import joblib

    joblib.dump(xgboost_model(), folder / "model.joblib")


# LightGBM


def lightgbm_model(**options: Any) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=10, subsample=0.5, subsample_freq=1, random_state=0, verbose=-1, **options
    ).fit(*samples())


@case("lightgbm", "`LGBMClassifier`", "`booster_.save_model`")
def lightgbm_text(folder: Path) -> None:
    lightgbm_model().booster_.save_model(folder / "model.txt")


@case("lightgbm", "`LGBMClassifier`", "`joblib.dump`")
def lightgbm_joblib(folder: Path) -> None:
    import joblib

    joblib.dump(lightgbm_model(), folder / "model.joblib")


# CatBoost


def catboost_model(**options: Any) -> Any:
    from catboost import CatBoostClassifier

    classifier = CatBoostClassifier(
        iterations=10, random_seed=0, verbose=False, allow_writing_files=False, **options
    )
    return classifier.fit(*samples())


@case(
    "catboost",
    "`CatBoostClassifier(random_seed=0)`",
    '`save_model("….cbm")`',
    "the time, a UUID and the number of threads; see the next row",
)
def catboost_cbm(folder: Path) -> None:
    # CatBoost does not ask OpenMP how many threads there are.
    threads = int(os.environ["OMP_NUM_THREADS"])
    catboost_model(thread_count=threads).save_model(folder / "model.cbm")


@case(
    "catboost",
    "`CatBoostClassifier(random_seed=0, thread_count=2)`",
    '`save_model("….cbm")`, `train_finish_time` and `model_guid` in `get_metadata()` set to `""`',
)
def catboost_cbm_without_time(folder: Path) -> None:
    model = catboost_model(thread_count=2)
    metadata = model.get_metadata()
    metadata["train_finish_time"] = metadata["model_guid"] = ""
    model.save_model(folder / "model.cbm")


# PyTorch


def network() -> Any:
    import torch

    features, classes = samples()
    inputs, targets = torch.from_numpy(features).float(), torch.from_numpy(classes)
    model = torch.nn.Sequential(torch.nn.Linear(100, 256), torch.nn.ReLU(), torch.nn.Linear(256, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return model


@case("torch", "a network", "`torch.save`", "nothing seeds it; see the next row")
def torch_without_seed(folder: Path) -> None:
    import torch

    torch.save(network().state_dict(), folder / "model.pt")


@case("torch", "a network after `torch.manual_seed(0)`", "`torch.save`")
def torch_save(folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    torch_without_seed(folder)


@case("safetensors", "a network of torch, likewise", "`safetensors.torch.save_file`")
def safetensors_save(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(network().state_dict(), folder / "model.safetensors")


# Keras


def keras_network() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*samples(), verbose=0)
    return model


@case(
    "keras",
    "a network after `keras.utils.set_random_seed(0)`",
    '`save("….keras")`',
    "the time; see the next row",
    KERAS_BACKEND="torch",
)
def keras_save(folder: Path) -> None:
    keras_network().save(folder / "model.keras")


@case(
    "keras",
    "a network after `keras.utils.set_random_seed(0)`",
    '`save_weights("….weights.h5")`',
    KERAS_BACKEND="torch",
)
def keras_save_weights(folder: Path) -> None:
    keras_network().save_weights(folder / "model.weights.h5")


# ONNX


@case("skl2onnx", "a random forest", "`SerializeToString`")
def onnx(folder: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    features, classes = samples()
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(features, classes)
    content = to_onnx(model, features[:1]).SerializeToString()
    (folder / "model.onnx").write_bytes(content)


# HDF5


def hdf5(folder: Path, **options: Any) -> None:
    import h5py

    with h5py.File(folder / "weights.h5", "w") as file:
        file.create_group("layer").create_dataset("weights", data=samples()[0], **options)


@case("h5py", "an array", "`create_dataset`")
def h5py_dataset(folder: Path) -> None:
    hdf5(folder)


@case("h5py", "an array", "`create_dataset(…, track_times=True)`", "the time; see above")
def h5py_dataset_with_times(folder: Path) -> None:
    hdf5(folder, track_times=True)


# statsmodels


@case("statsmodels", "`AutoReg(…).fit()`", '`save("….pickle")`')
def statsmodels_save(folder: Path) -> None:
    import statsmodels.api as sm
    from statsmodels.tsa.ar_model import AutoReg

    activity = sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    AutoReg(activity, lags=9).fit().save(folder / "model.pickle")


# Prophet


@case("prophet", "`Prophet().fit(…, seed=0)`", "`prophet.serialize.model_to_json`")
def prophet_json(folder: Path) -> None:
    import numpy as np
    import pandas as pd
    from prophet import Prophet
    from prophet.serialize import model_to_json

    days = pd.date_range("2026-01-01", periods=200)
    values = np.sin(np.arange(200) / 7) + np.arange(200) / 50
    model = Prophet().fit(pd.DataFrame({"ds": days, "y": values}), seed=0)
    (folder / "model.json").write_text(model_to_json(model))


# spaCy


@case("spacy", "a text categorizer after `spacy.util.fix_random_seed(0)`", "`to_disk`")
def spacy_to_disk(folder: Path) -> None:
    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    pipeline = spacy.blank("en")
    pipeline.add_pipe("textcat")
    examples = [
        Example.from_dict(pipeline.make_doc(text), {"cats": {"good": good, "bad": not good}})
        for text, good in (("a wonderful day", True), ("an awful day", False))
    ]
    optimizer = pipeline.initialize(lambda: examples)
    for _ in range(5):
        pipeline.update(examples, sgd=optimizer)
    pipeline.to_disk(folder / "pipeline")


# gensim


def word_vectors(**options: Any) -> Any:
    from gensim.models import Word2Vec

    texts = [["rain", "wind", "snow"], ["team", "match", "goal"], ["rain", "match"]] * 200
    return Word2Vec(texts, vector_size=20, min_count=1, seed=0, **options)


@case(
    "gensim",
    "`Word2Vec(seed=0, workers=1)`",
    "`save`",
    "the time, in `lifecycle_events`; see the next row",
)
def gensim_save(folder: Path) -> None:
    word_vectors(workers=1).save(str(folder / "model"))


@case("gensim", "`Word2Vec(seed=0, workers=1)`", "`wv.save_word2vec_format`")
def gensim_vectors(folder: Path) -> None:
    word_vectors(workers=1).wv.save_word2vec_format(str(folder / "vectors.txt"))


# MLflow


@case(
    "mlflow-skinny", "a logistic regression", "`mlflow.sklearn.save_model`", "a UUID and the time"
)
def mlflow_save(folder: Path) -> None:
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(*samples())
    mlflow.sklearn.save_model(model, folder / "model", serialization_format="pickle")


# Optuna


def study(storage: str | None) -> Any:
    import optuna

    found = optuna.create_study(
        study_name="search", storage=storage, sampler=optuna.samplers.TPESampler(seed=0)
    )
    found.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)
    return found


@case("optuna", "a study", "SQLite as its storage", "the times of the trials; see the next row")
def optuna_sqlite(folder: Path) -> None:
    study(f"sqlite:///{folder}/study.db")


@case("optuna", "a study", '`trials_dataframe(attrs=("number", "value", "params")).to_csv`')
def optuna_csv(folder: Path) -> None:
    found = study(None).trials_dataframe(attrs=("number", "value", "params"))
    found.to_csv(folder / "trials.csv", index=False)


# Python


@case("Python", "a set of strings", "`pickle.dump`")
def pickled_set(folder: Path) -> None:
    import pickle

    with (folder / "words.pickle").open("wb") as file:
        pickle.dump({"setosa", "versicolor", "virginica"}, file)


@case("Python", "any bytes", "`gzip.open`", "the time; see the next row")
def gzip_open(folder: Path) -> None:
    import gzip

    with gzip.open(folder / "weights.gz", "wb") as file:
        file.write(bytes(1000))


@case("Python", "any bytes", '`gzip.GzipFile(…, mtime=int(os.environ["SOURCE_DATE_EPOCH"]))`')
def gzip_dated(folder: Path) -> None:
    import gzip

    mtime = int(os.environ["SOURCE_DATE_EPOCH"])
    with gzip.GzipFile(folder / "weights.gz", "wb", mtime=mtime) as file:
        file.write(bytes(1000))


@case(
    "Python",
    "any bytes",
    '`zipfile.ZipFile.writestr("…", …)`',
    "the time, before Python 3.14; see the next row",
)
def zip_writestr(folder: Path) -> None:
    import zipfile

    with zipfile.ZipFile(folder / "weights.zip", "w") as archive:
        archive.writestr("weights", bytes(1000))


@case("Python", "any bytes", '`zipfile.ZipFile.writestr(ZipInfo("…"), …)`')
def zip_dated(folder: Path) -> None:
    import zipfile

    with zipfile.ZipFile(folder / "weights.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("weights"), bytes(1000))


# The measurement


def installed_version(library: str) -> str:
    """Give the version of *library*; "" if it is not installed."""
    if library == "Python":
        return platform.python_version()
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def train(each: Case, threads: str, folder: Path) -> dict[str, str]:
    """Train and save in a fresh process, and give the digests of the files by their names."""
    written, working_directory = folder / "written", folder / "working-directory"
    written.mkdir(parents=True)
    working_directory.mkdir()
    completed = subprocess.run(
        [sys.executable, __file__, "--save", str(CASES.index(each)), str(written)],
        check=False,
        cwd=working_directory,
        env={**os.environ, **VARIABLES, "OMP_NUM_THREADS": threads, **each.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if completed.returncode:
        sys.stdout.buffer.write(completed.stdout)
        raise SystemExit(completed.returncode)
    files = (file for file in written.rglob("*") if file.is_file())
    return {
        file.relative_to(written).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def measure(cases: list[Case]) -> list[bool]:
    """Say of each of *cases* whether both trainings wrote the same."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="byte-identical-") as folder:
        for threads in THREADS:
            rounds.append(
                [
                    train(each, threads, Path(folder, threads, str(index)))
                    for index, each in enumerate(cases)
                ]
            )
            time.sleep(SECONDS_APART)
    return [one == other for one, other in zip(*rounds, strict=True)]


def report(cases: list[Case], same: list[bool]) -> None:
    print("| library | model | saved with | same bytes? | remark |")
    print("|---|---|---|---|---|")
    for each, is_same in zip(cases, same, strict=True):
        library, model, saved_with, remark = each.cells
        found = f"{library} {installed_version(library)}"
        verdict = "yes" if is_same else "no"
        print(f"| {found} | {model} | {saved_with} | {verdict} | {remark} |".replace("  ", " "))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    libraries = list(dict.fromkeys(each.library for each in CASES))
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=", ".join(libraries))
    parser.add_argument("--save", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.save:
        index, folder = arguments.save
        CASES[int(index)].save(Path(folder))
        return
    chosen = arguments.libraries or libraries
    if unknown := set(chosen) - set(libraries):
        parser.error(f"no such library: {', '.join(sorted(unknown))}")
    for library in chosen:
        if not installed_version(library):
            print(f"{library} is not installed", file=sys.stderr)
    cases = [each for each in CASES if each.library in chosen and installed_version(each.library)]
    report(cases, measure(cases))


if __name__ == "__main__":
    main()
