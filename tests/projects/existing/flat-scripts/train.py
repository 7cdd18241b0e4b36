import pickle

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from utils import load_data


def main():
    X, y = load_data()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = LogisticRegression(max_iter=300)
    model.fit(X_train, y_train)
    print(f"Test accuracy: {model.score(X_test, y_test):.3f}")
    pickle.dump(model, open("model.pkl", "wb"))


if __name__ == "__main__":
    main()
