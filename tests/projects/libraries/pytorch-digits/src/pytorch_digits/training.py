import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from pytorch_digits.network import Network


def train(output_dir, epochs):
    torch.manual_seed(0)
    pixels, test_pixels, digits, test_digits = (
        torch.from_numpy(each)
        for each in train_test_split(*load_digits(return_X_y=True), random_state=0)
    )
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(epochs):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(pixels.float()), digits).backward()
        optimizer.step()
    network.eval()
    save_file(network.state_dict(), output_dir / "model.safetensors")
    with torch.inference_mode():
        right = network(test_pixels.float()).argmax(1) == test_digits
    return {"accuracy": right.float().mean()}
