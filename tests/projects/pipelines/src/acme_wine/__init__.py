from importlib.resources import files


def predict():
    return files("acme_wine").joinpath("data", "weights.txt").read_text()
