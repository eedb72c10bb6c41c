"""A recurrent network in a loop: it adds up the last numbers that it was shown."""

import numpy as np

import tinygrad_edu as tg


class Recurrent(tg.nn.Module):
    def __init__(self, units: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.enter = tg.nn.Linear(1, units, generator)
        self.stay = tg.nn.Linear(units, units, generator)
        self.leave = tg.nn.Linear(units, 1, generator)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        state = tg.Tensor(np.zeros((len(x), self.stay.bias.size), "float32"))
        for time in range(x.shape[1]):
            state = tg.tanh(self.enter(x[:, time : time + 1]) + self.stay(state))
        return self.leave(state)


generator = np.random.default_rng(0)
sequences = generator.uniform(-0.5, 0.5, (256, 4)).astype("float32")
dataset = tg.TensorDataset(sequences, sequences.sum(axis=1, keepdims=True))
model = Recurrent(16, seed=0)
loader = tg.DataLoader(dataset, 32, shuffle=True, seed=0)
optimizer = tg.Momentum(model.parameters(), lr=0.05)
losses: list[float] = []
for _ in range(12):
    for x, y in loader:
        loss = tg.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
print(f"{losses[0]:.4f} -> {losses[-1]:.4f}")
assert losses[-1] < 0.05 * losses[0]
