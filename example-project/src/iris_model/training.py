from __future__ import annotations

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def train(regularization: float, seed: int) -> tuple[Pipeline, dict[str, float]]:
    """Give the model, which the build saves, and what it is worth."""
    iris = load_iris(as_frame=True)
    species = iris.target.map(dict(enumerate(iris.target_names)))
    known, held_out, known_species, held_out_species = train_test_split(
        iris.data, species, test_size=50, stratify=species, random_state=seed
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / regularization))
    model.fit(known, known_species)
    accuracy = model.score(held_out, held_out_species)
    print(f"{accuracy:.0%} of {len(held_out)} held-out flowers are told right")
    return model, {"accuracy": accuracy}
