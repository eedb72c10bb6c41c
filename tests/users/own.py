"""An operation, a layer and an optimizer of one's own; the optimizer goes on from a file."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_edu as tg


@tg.op(lambda g, y, x: g * tg.sigmoid(x))
def softplus(x: Any, /) -> Any:
    return np.logaddexp(x, 0)


class Layer(tg.nn.Module):
    def __init__(self, inputs: int, outputs: int, seed: int) -> None:
        self.linear = tg.nn.Linear(inputs, outputs, seed)

    def forward(self, x: tg.Tensor, scale: float = 1.0) -> tg.Tensor:
        return softplus(self.linear(x)) * scale


class Adam(tg.SGD):
    """Kingma and Ba (2015)."""

    def __init__(self, params: Iterable[tg.Tensor], lr: float = 0.01) -> None:
        super().__init__(params, lr)
        self.t = 0
        self.m = [np.zeros_like(param.data) for param in self.params]
        self.v = [np.zeros_like(param.data) for param in self.params]

    def step(self) -> None:
        self.t += 1
        for i, param in enumerate(self.params):
            if param.grad is None:
                continue
            g = param.grad.data
            self.m[i] = 0.9 * self.m[i] + 0.1 * g
            self.v[i] = 0.999 * self.v[i] + 0.001 * g * g
            m, v = self.m[i] / (1 - 0.9**self.t), self.v[i] / (1 - 0.999**self.t)
            param.data = param.data - self.lr * m / (np.sqrt(v) + 1e-8)


def train(layer: Layer, optimizer: Adam, steps: int) -> float:
    x = tg.Tensor(np.random.default_rng(0).normal(size=(64, 3)).astype("float32"))
    target = softplus(x.sum(axis=1, keepdims=True))
    loss = tg.mse_loss(layer(x), target)
    for _ in range(steps):
        loss = tg.mse_loss(layer(x, scale=1.0), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


tg.check_grads(softplus, [tg.Tensor([-2.0, 0.0, 3.0], requires_grad=True)])
whole = Layer(3, 1, seed=0)
twenty = train(whole, Adam(whole.parameters()), 20)

layer = Layer(3, 1, seed=0)
optimizer = Adam(layer.parameters())
train(layer, optimizer, 10)
with tempfile.TemporaryDirectory() as folder:
    tg.save(layer.state_dict(), Path(folder) / "layer.npz")
    tg.save(optimizer.state_dict(), Path(folder) / "adam.npz")
    layer = Layer(3, 1, seed=9)
    layer.load_state_dict(tg.load(Path(folder) / "layer.npz"))
    optimizer = Adam(layer.parameters())
    optimizer.load_state_dict(tg.load(Path(folder) / "adam.npz"))
again = train(layer, optimizer, 10)
print(twenty, again)
assert again == twenty
