import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from safetensors.numpy import save_file

from flax_spirals.network import Network, tensors


def train(output_dir):
    points = jax.random.uniform(jax.random.key(0), (400, 2), minval=-1, maxval=1)
    inside = (jnp.hypot(points[:, 0], points[:, 1]) < 0.7).astype(int)
    network = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(network, optimizer):
        def loss(network):
            return optax.softmax_cross_entropy_with_integer_labels(network(points), inside).mean()

        optimizer.update(network, nnx.grad(loss)(network))

    for _ in range(300):
        step(network, optimizer)
    weights = {name: np.asarray(leaf[...]) for name, leaf in tensors(network).items()}
    save_file(weights, output_dir / "model.safetensors")
    return {"accuracy": float((network(points).argmax(1) == inside).mean())}
