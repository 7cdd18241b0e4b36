from flax import nnx


class Network(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(2, 32, rngs=rngs)
        self.out = nnx.Linear(32, 2, rngs=rngs)

    def __call__(self, points):
        return self.out(nnx.relu(self.hidden(points)))


def tensors(network):
    """Name each weight: hidden.kernel, out.bias, …"""
    return {
        ".".join(map(str, path)): leaf
        for path, leaf in nnx.to_flat_state(nnx.state(network, nnx.Param))
    }
