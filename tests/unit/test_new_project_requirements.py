"""Which distribution an import is from."""

from __future__ import annotations

import pytest

from hatch_model.new_project.requirements import distribution_of


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
        ("attr", [], "attrs"),
        ("_pytest", [], "pytest"),  # as installed
    ],
)
def test_imports_lead_to_distributions(name: str, declared: list[str], distribution: str) -> None:
    assert distribution_of(name, declared) == distribution
