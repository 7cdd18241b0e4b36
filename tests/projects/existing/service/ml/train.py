import argparse
import logging
from pathlib import Path

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.features import NightHours

logger = logging.getLogger(__name__)


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("data/transactions.csv"))
    parser.add_argument("--C", type=float, default=1.0)
    parser.add_argument("--output-dir", type=Path, default=Path("app/models"))
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    df = pd.read_csv(args.data)
    model = make_pipeline(NightHours(), StandardScaler(), LogisticRegression(C=args.C))
    model.fit(df.drop(columns="label"), df["label"])
    logger.info("trained")
    joblib.dump(model, args.output_dir / "fraud.joblib")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()
