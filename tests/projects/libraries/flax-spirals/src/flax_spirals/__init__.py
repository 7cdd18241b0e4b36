from functools import cache
from importlib.resources import files

import jax
import jax.numpy as jnp
from flax import nnx
from safetensors.numpy import load as load_tensors

from flax_spirals.network import Network, tensors


@cache
def load():
    network = Network(nnx.Rngs(0))
    weights = load_tensors(files("flax_spirals").joinpath("data", "model.safetensors").read_bytes())
    for name, leaf in tensors(network).items():
        leaf[...] = jnp.asarray(weights[name])
    return network


def predict(points):
    return jax.nn.softmax(load()(jnp.asarray(points, jnp.float32))).tolist()


def check():
    return predict([[0.3, -0.2], [0.9, 0.4]])
