from sklearn.datasets import load_digits


def load_data():
    digits = load_digits()
    return digits.data / 16, digits.target
