import pickle

import numpy as np
from flask import Flask, jsonify, request

app = Flask(__name__)
model = pickle.load(open("model.pkl", "rb"))


@app.route("/predict", methods=["POST"])
def predict():
    pixels = np.array(request.json["pixels"]).reshape(1, -1)
    return jsonify(int(model.predict(pixels)[0]))


if __name__ == "__main__":
    app.run()
