from __future__ import annotations

from pathlib import Path


def train(output_dir: Path) -> dict[str, float]:
    (output_dir / "weights.txt").write_text("0.5\n")
    return {"accuracy": 0.75}


def predict() -> str:
    return (Path(__file__).parent / "data" / "weights.txt").read_text()
