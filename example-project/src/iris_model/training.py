from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from pathlib import Path


def train(regularization: float, seed: int, report_dir: Path) -> tuple[Pipeline, dict[str, float]]:
    """Give the model, which the build saves, and what it is worth; draw what it mixes up."""
    iris = load_iris(as_frame=True)
    species = iris.target.map(dict(enumerate(iris.target_names)))
    known, held_out, known_species, held_out_species = train_test_split(
        iris.data, species, test_size=50, stratify=species, random_state=seed
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / regularization))
    model.fit(known, known_species)
    accuracy = model.score(held_out, held_out_species)
    print(f"{accuracy:.0%} of {len(held_out)} held-out flowers are told right")
    figure = Figure(figsize=(4.8, 3.6), layout="constrained")
    ConfusionMatrixDisplay.from_estimator(
        model, held_out, held_out_species, ax=figure.add_subplot(), cmap="Blues", colorbar=False
    )
    figure.savefig(report_dir / "confusion.png", dpi=150)
    return model, {
        "accuracy": accuracy,
        "log_loss": round(log_loss(held_out_species, model.predict_proba(held_out)), 6),
    }
