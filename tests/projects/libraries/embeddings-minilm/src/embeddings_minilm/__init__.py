from functools import cache
from pathlib import Path

from sentence_transformers import SentenceTransformer


@cache
def load():
    # A folder of files, which the library reads by its path, from no hub.
    folder = Path(__file__).parent / "data"
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def predict(question, answers):
    model = load()
    scores = model.similarity(model.encode([question]), model.encode(answers))
    return answers[int(scores.argmax())]


def check():
    return predict("Where is my parcel?", ["Shipping times", "Payment problems"])
