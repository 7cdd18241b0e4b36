"""Which distribution an import is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hatch_model.new_project.plan import Choice, Plan
from hatch_model.new_project.planner import make_plan
from hatch_model.new_project.requirements import distribution_of
from hatch_model.new_project.survey import survey

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "declared", "distribution"),
    [
        ("os.path", [], ""),
        ("sklearn.svm.SVC", [], "scikit-learn"),
        ("sklearn.svm", ["sklearn"], "sklearn"),
        ("cv2", [], "opencv-python-headless"),
        ("cv2", ["opencv-python"], "opencv-python"),
        ("yaml", [], "pyyaml"),
        ("PIL.Image", [], "pillow"),
        ("google.cloud.storage", ["google-cloud-storage"], "google-cloud-storage"),
        ("my_lib", ["my-lib"], "my-lib"),
        ("never_heard_of", [], "never-heard-of"),
        ("hydra", ["hydra-core"], "hydra-core"),
        ("jose", ["python-jose", "jo"], "python-jose"),
        ("git", [], "gitpython"),
        ("torch", ["torch-geometric"], "torch"),
        ("pandas", ["pandas-profiling"], "pandas"),
        ("attr", [], "attrs"),
        ("_pytest", [], "pytest"),  # as installed
    ],
)
def test_imports_lead_to_distributions(name: str, declared: list[str], distribution: str) -> None:
    assert distribution_of(name, declared) == distribution


def _plan(folder: Path, code: str, declared: str) -> Plan:
    (folder / "train.py").write_text(code)
    (folder / "requirements.txt").write_text(declared)
    return make_plan(survey(folder), Choice())


_SAVE = "import os, joblib\nos.makedirs('m', exist_ok=True)\njoblib.dump(m, 'm/m.joblib')\n"


def test_a_package_that_may_be_a_strangers_is_told_and_not_added(tmp_path: Path) -> None:
    code = f"import common, seaborn\nfrom sklearn.svm import SVC\nm = SVC().fit(x, y)\n{_SAVE}"

    plan = _plan(tmp_path, code, "scikit-learn\n")
    assert plan.requirements == ["scikit-learn"]
    assert plan.training == ["seaborn"]
    (note,) = (each for each in plan.notes if "common" in each)
    assert note == (
        "imported, but neither declared nor known: `common`. A package of that name on an index may be somebody "
        "else's, so it was not added: declare it, if it is the right one"
    )


def test_a_library_that_only_a_configuration_names_is_required(tmp_path: Path) -> None:
    code = f"import hydra\nm = hydra.utils.instantiate(c).fit(x, y)\n{_SAVE}"

    plan = _plan(tmp_path, code, "hydra-core\nscikit-learn\njoblib\n")
    assert plan.requirements == ["scikit-learn", "joblib"]
    assert plan.training == ["hydra-core"]
