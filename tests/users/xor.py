"""A network of two layers learns XOR, as the first program that many write."""

import tinygrad_edu as tg


class Network(tg.nn.Module):
    def __init__(self) -> None:
        self.hidden = tg.nn.Linear(2, 8, seed=1)
        self.output = tg.nn.Linear(8, 1, seed=2)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.output(self.hidden(x).tanh()).sigmoid()


inputs = tg.Tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
targets = tg.Tensor([[0], [1], [1], [0]], dtype="float32")
network = Network()
optimizer = tg.Momentum(network.parameters(), lr=0.5)
loss = tg.mse_loss(network(inputs), targets)
for _ in range(300):
    loss = tg.mse_loss(network(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
answers = [round(answer) for answer in network(inputs).reshape(-1).numpy().tolist()]
print(answers, f"{loss.item():.4f}")
assert answers == [0, 1, 1, 0]
