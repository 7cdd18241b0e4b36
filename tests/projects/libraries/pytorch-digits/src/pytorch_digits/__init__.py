from functools import cache
from importlib.resources import files

import torch
from safetensors.torch import load as load_tensors

from pytorch_digits.network import Network


@cache
def load():
    network = Network()
    weights = files("pytorch_digits").joinpath("data", "model.safetensors").read_bytes()
    network.load_state_dict(load_tensors(weights))
    return network.eval()


@torch.inference_mode()
def predict(pixels):
    return load()(torch.tensor(pixels)).softmax(-1).tolist()


def check():
    return predict([[0.0, 5.0, 13.0, 9.0] * 16])
