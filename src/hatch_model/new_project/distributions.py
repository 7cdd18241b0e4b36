"""Which distribution an import is from: by what is declared, by well-known names, or as installed."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# The first one is proposed where none of them is declared.
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "Bio": ("biopython",),
    "Crypto": ("pycryptodome",),
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
    "imblearn": ("imbalanced-learn", "imblearn"),
    "jwt": ("pyjwt",),
    "lightning": ("lightning", "pytorch-lightning"),
    "mpl_toolkits": ("matplotlib",),
    "mysql": ("mysql-connector-python",),
    "psycopg2": ("psycopg2-binary", "psycopg2"),
    "pytorch_lightning": ("pytorch-lightning",),
    "sentence_transformers": ("sentence-transformers",),
    "serial": ("pyserial",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn", "sklearn"),
    "skopt": ("scikit-optimize",),
    "slugify": ("python-slugify",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-gpu"),
    "tf_keras": ("tf-keras",),
    "torch_geometric": ("torch-geometric",),
    "umap": ("umap-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "yaml": ("pyyaml",),
}
_LIBRARIES = frozenset(
    {"catboost", "category_encoders", "feature_engine", "flax", "gensim", "hdbscan", "imblearn"}
    | {"jax", "keras", "lifelines", "lightgbm", "lightning", "mapie", "mlxtend", "ngboost"}
    | {
        "onnxruntime",
        "prophet",
        "pygam",
        "pytorch_lightning",
        "pytorch_tabnet",
        "sentence_transformers",
    }
    | {"scipy", "skimage", "sklearn", "sklearn_pandas", "sktime", "skorch", "spacy", "statsmodels"}
    | {"tensorflow", "tf_keras", "timm", "torch", "torch_geometric", "torchvision", "transformers"}
    | {"umap", "xgboost"}
)
"""Packages that a saved model is made of, so that loading it imports them."""
_DATA_LIBRARIES = frozenset(
    {"joblib", "numpy", "pandas", "polars", "pyarrow", "PIL", "cv2", "nltk"}
)
DEVELOPMENT = frozenset(
    {"autopep8", "black", "bumpversion", "coverage", "flake8", "ipykernel", "ipython", "isort"}
    | {"jupyter", "jupyterlab", "mypy", "nbconvert", "notebook", "nox", "pip-tools", "pre-commit"}
    | {"pylint", "pytest", "pytest-cov", "ruff", "setuptools", "sphinx", "tox", "twine", "wheel"}
)
"""Distributions that neither training nor prediction imports."""
_SERVERS = frozenset(
    {"bentoml", "celery", "chainlit", "dash", "django", "fastapi", "flask", "flask_cors", "gradio"}
    | {"gunicorn", "mlflow", "panel", "requests", "sanic", "starlette", "streamlit", "uvicorn"}
)
"""What apps around a model are made of."""


def distribution_of(name: str, declared: Collection[str]) -> str:
    """Return the normalized name of the distribution that the import *name* is from.

    "" for the standard library. Where several have it, one of those *declared* (normalized) is taken.
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
    for candidate in packages_distributions().get(top, ()):
        return canonicalize_name(candidate)
    return canonicalize_name(top)


def is_part_of_models(name: str) -> bool:
    """Whether a model that was saved after importing *name* may need it to be loaded."""
    return name.partition(".")[0] in _LIBRARIES


def is_for_apps(name: str) -> bool:
    """Whether *name* is for an app that uses the model, rather than for the model."""
    return name.partition(".")[0] in _SERVERS


def is_needed_to_predict(name: str) -> bool:
    """Whether *name*, which training imports, is of use for predicting, as far as its name tells."""
    return is_part_of_models(name) or name.partition(".")[0] in _DATA_LIBRARIES
