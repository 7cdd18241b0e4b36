"""What a project requires, by what it imports: to predict, to train, and to be developed."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hatch_model.new_project.code import Module
    from hatch_model.new_project.plan import Plan

# The first one is proposed where none of them is declared.
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "PIL": ("pillow",),
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "category_encoders": ("category-encoders",),
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
    "dateutil": ("python-dateutil",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("pymupdf",),
    "git": ("gitpython",),
    "google.protobuf": ("protobuf",),
    "hydra": ("hydra-core",),
    "imblearn": ("imbalanced-learn", "imblearn"),
    "lightning": ("lightning", "pytorch-lightning"),
    "mpl_toolkits": ("matplotlib",),
    "psycopg2": ("psycopg2-binary", "psycopg2"),
    "pytorch_lightning": ("pytorch-lightning",),
    "sentence_transformers": ("sentence-transformers",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn", "sklearn"),
    "skopt": ("scikit-optimize",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-gpu"),
    "tf_keras": ("tf-keras",),
    "torch_geometric": ("torch-geometric",),
    "umap": ("umap-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "yaml": ("pyyaml",),
}
_LIBRARIES = frozenset(
    {"catboost", "category_encoders", "feature_engine", "flax", "gensim", "hdbscan"}
    | {"imblearn", "jax", "keras", "lifelines", "lightgbm", "lightning", "mapie", "mlxtend"}
    | {"ngboost", "onnxruntime", "prophet", "pygam", "pytorch_lightning", "pytorch_tabnet"}
    | {"sentence_transformers", "scipy", "skimage", "sklearn", "sklearn_pandas", "sktime"}
    | {"skorch", "spacy", "statsmodels", "tensorflow", "tf_keras", "timm", "torch"}
    | {"torch_geometric", "torchvision", "transformers", "umap", "xgboost"}
)
"""Packages that a saved model is made of, so that loading it imports them."""
_DATA_LIBRARIES = frozenset(
    {"joblib", "numpy", "pandas", "polars", "pyarrow", "PIL", "cv2", "nltk"}
)
_PANDAS_READERS = frozenset(
    {"pyarrow", "fastparquet", "openpyxl", "xlrd", "tables", "lxml", "h5py"}
)
"""What pandas imports to read a file, so that no code names it."""
_DEVELOPMENT = frozenset(
    {"autopep8", "black", "bumpversion", "coverage", "flake8", "ipykernel", "ipython"}
    | {"isort", "jupyter", "jupyterlab", "mypy", "nbconvert", "notebook", "nox"}
    | {"pip-tools", "pre-commit", "pylint", "pytest", "pytest-cov", "ruff", "setuptools"}
    | {"sphinx", "tox", "twine", "wheel"}
)
"""Distributions that neither training nor prediction imports."""
_COMMON = frozenset(
    {
        "altair",
        "boto3",
        "bokeh",
        "cloudpickle",
        "dagshub",
        "dask",
        "datasets",
        "dill",
        "dvc",
        "dvclive",
    }
    | {"emoji", "evidently", "fire", "hyperopt", "imageio", "kagglehub", "langdetect", "loguru"}
    | {"matplotlib", "networkx", "nltk", "numba", "omegaconf", "onnx", "openai", "optuna", "patsy"}
    | {"plotly", "pydantic", "pymongo", "pytest", "requests", "rich", "safetensors", "seaborn"}
    | {"shap", "skl2onnx", "skops", "sqlalchemy", "tabulate", "textblob", "tokenizers", "tqdm"}
    | {"typer", "wandb", "wordcloud", "yellowbrick", "yfinance"}
)
"""Other packages that such projects import, and that are called as their distributions."""
_SERVERS = frozenset(
    {"bentoml", "celery", "chainlit", "dash", "django", "fastapi", "flask", "flask_cors"}
    | {"gradio", "gunicorn", "panel", "sanic", "starlette", "streamlit", "uvicorn"}
)
"""What apps around a model are made of."""
_CLIENTS = frozenset({"mlflow", "requests"})
"""What fetches a model or rows, so that it is of no use to a wheel that has the model."""


_CALLED_ALIKE = _LIBRARIES | _DATA_LIBRARIES | _PANDAS_READERS | _SERVERS | _CLIENTS | _COMMON
"""What is called as its distribution is."""


# It reads the metadata and the list of files of all that is installed.
_installed = cache(packages_distributions)


def distribution_of(name: str, declared: Collection[str]) -> str:
    """Return the normalized name of the distribution that the import *name* is from.

    "" for the standard library. Where several have it, one of those *declared* (normalized) is
    taken.
    """
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or not top:
        return ""
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):  # such as google.cloud.storage
        dotted = ".".join(parts[:depth])
        known = [canonicalize_name(each) for each in _KNOWN.get(dotted, ())]
        likely = (*known, canonicalize_name(dotted.replace(".", "-")))
        found = next((each for each in likely if each in declared), None)
        if found:
            return found
        if known:
            return known[0]
    for candidate in _installed().get(top, ()):
        return canonicalize_name(candidate)
    own = canonicalize_name(top)
    if top in _CALLED_ALIKE:
        return own
    # Such as levenshtein of python-levenshtein.
    return next((each for each in sorted(declared) if own in each.split("-")), own)


def is_known(name: str) -> bool:
    """Whether the distribution of the import *name* is known, rather than only called alike.

    An index may have a package of that name that is somebody else's.
    """
    top = name.partition(".")[0]
    dotted = any(name == each or name.startswith(f"{each}.") for each in _KNOWN)
    return dotted or top in _CALLED_ALIKE or top in _installed()


def is_part_of_models(name: str) -> bool:
    """Whether a model that was saved after importing *name* may need it to be loaded."""
    return name.partition(".")[0] in _LIBRARIES


def is_for_apps(name: str) -> bool:
    """Whether *name* is for an app that uses the model, rather than for the model."""
    return is_server(name) or name.partition(".")[0] in _CLIENTS


def is_server(name: str) -> bool:
    """Whether code that imports *name* is an app."""
    return name.partition(".")[0] in _SERVERS


def is_needed_to_predict(name: str) -> bool:
    """Whether *name*, which training imports, is of use to predict, judging by its name."""
    return is_part_of_models(name) or name.partition(".")[0] in _DATA_LIBRARIES


def divide(plan: Plan, closure: Sequence[Module], formats: Collection[str]) -> None:
    """Divide the requirements into what prediction imports, what only training does, and the rest.

    *closure* trains; what loads the model loads *formats*.
    """
    survey = plan.survey
    declared = survey.declaration.requirements
    extras = [Requirement(each) for lines in survey.declaration.extras.values() for each in lines]
    optional: dict[str, str] = {canonicalize_name(each.name): str(each) for each in extras}
    names = {*declared, *survey.declaration.development, *optional}
    trained = {name: distribution_of(name, names) for name in survey.foreign(closure)}
    using = survey.closure(_users(plan, closure))
    predicted = {*formats} & {"joblib", "torch"} | {
        distribution_of(name, names)
        for name in survey.foreign(using)
        if not is_for_apps(name) or _is_imported_by_shipped(plan, using, name)
    }
    is_needed = is_part_of_models if survey.predicting() else is_needed_to_predict
    predicted |= {distribution for name, distribution in trained.items() if is_needed(name)}
    needed = {*trained.values(), *predicted} - {"", canonicalize_name(survey.name)}
    needed -= _strangers(plan, needed - names, survey.foreign([*closure, *using]), names)
    if "scikit-learn" in needed and "joblib" not in names:
        needed.discard("joblib")  # scikit-learn requires it
    if needed - names:
        listed = ", ".join(f"`{name}`" for name in sorted(needed - names))
        plan.notes.append(f"imported, but not declared, so added without a version: {listed}")
    libraries = {distribution_of(each, names) for each in _LIBRARIES}
    if libraries & needed:
        libraries.clear()  # Otherwise, a configuration may name what is imported.
    lines: dict[str, str] = {**optional, **survey.declaration.development, **declared}
    for name in [*declared, *sorted(needed - {*declared})]:
        line = lines.get(name, name)
        if name in predicted or (name in libraries and name in declared):
            plan.requirements.append(line)
        elif name in needed or (name in _PANDAS_READERS and "pandas" in needed):
            plan.training.append(line)
        elif name not in _DEVELOPMENT or name not in survey.declaration.development:
            plan.development.append(line)
    others = (line for name, line in survey.declaration.development.items() if name not in needed)
    plan.development = list(dict.fromkeys((*plan.development, *others)))


def _strangers(
    plan: Plan, undeclared: set[str], imported: Collection[str], names: Collection[str]
) -> set[str]:
    """Return those of the distributions *undeclared* that may be somebody else's, and note them."""
    sure = {distribution_of(each, names) for each in imported if is_known(each)}
    strange = undeclared - sure - {"joblib", "torch"}
    if strange:
        plan.notes.append(
            f"imported, but neither declared nor known: "
            f"{', '.join(f'`{each}`' for each in sorted(strange))}. A package of that name on an "
            f"index may be somebody else's, so it was not added: declare it, if it is the right one"
        )
    return strange


def _is_imported_by_shipped(plan: Plan, modules: Sequence[Module], name: str) -> bool:
    return any(
        name in plan.survey.foreign([each]) for each in modules if plan.module_name(each.path)
    )


def _users(plan: Plan, closure: Sequence[Module]) -> list[Module]:
    """Return the modules that run where the wheel is installed: they predict, or are commands."""
    survey = plan.survey
    stages = {each.path for each in closure if each.trains}
    shipped = [each / "__init__.py" for each in plan.packages]
    targets = {
        value.partition(":")[0].replace(".", "/") for value in survey.declaration.scripts.values()
    }
    shipped += [package.parent / f"{target}.py" for package in plan.packages for target in targets]
    found = [
        survey.modules[path] for path in shipped if path in survey.modules and path not in stages
    ]
    predicting = survey.predicting()
    inside = [each for each in predicting if plan.module_name(each.path)]
    # An app beside the package is not shipped: only what it does with the model counts.
    return [*found, *(inside or predicting)]
