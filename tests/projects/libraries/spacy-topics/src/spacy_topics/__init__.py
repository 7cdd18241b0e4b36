from functools import cache
from pathlib import Path

import spacy


@cache
def load():
    return spacy.load(Path(__file__).parent / "data" / "pipeline")


def predict(text):
    return load()(text).cats


def check():
    return predict("rain and wind")
