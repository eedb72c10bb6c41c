"""PyTorch, eagerly."""

import os

import torch
from torch import nn

from .inputs import DEPTH, LEARNING_RATE, MOMENTUM, dataset, network, vector
from .inputs import lanczos as lanczos_steps

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
DEVICE = "cuda" if os.environ.get("BENCH_BACKEND") == "cupy" else "cpu"
torch.set_default_device(DEVICE)


def synchronize():
    """Wait until the GPU has done what it was told."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def _network(batch, hidden, inputs, activation):
    images, labels, values = network(batch, hidden, inputs)
    model = nn.Sequential(nn.Linear(inputs, hidden), activation, nn.Linear(hidden, 10))
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.data = torch.from_numpy(value.T.copy()).to(DEVICE)  # it keeps Wᵀ
    images, labels = torch.from_numpy(images).to(DEVICE), torch.from_numpy(labels).to(DEVICE)
    loss_of = nn.functional.cross_entropy
    return (lambda: loss_of(model(images), labels)), list(model.parameters())


def update(batch, optimizer):
    """Update a network once."""
    loss_of, parameters = _network(batch, 100, 784, nn.ReLU())
    momentum = MOMENTUM if optimizer == "Momentum" else 0
    optimizer = torch.optim.SGD(parameters, LEARNING_RATE, momentum)

    def work():
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return work


def loader(batch):
    """Load an epoch in batches."""
    images, labels = map(torch.from_numpy, dataset())
    batches = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, labels),
        batch,
        shuffle=True,
        generator=torch.Generator(DEVICE),
    )
    return lambda: sum(len(labels) for _, labels in batches)


def chain(depth=DEPTH):
    """Record a chain of small operations, and go back."""
    x = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64, requires_grad=True)

    def work():
        y = x
        for _ in range(depth // 3):
            y = torch.tanh(y * 1.01) + x
        (slope,) = torch.autograd.grad(y.sum(), x)
        return slope[0]

    return work


def gradient(batch):
    """Compute one gradient of a tanh network."""
    loss_of, parameters = _network(batch, 100, 784, nn.Tanh())
    return lambda: torch.autograd.grad(loss_of(), parameters)[1][0]


class Hessian:
    """The products, as tinygrad_edu makes them: the gradient's graph is kept."""

    def __init__(self, loss_of, parameters):
        self.parameters = parameters
        self.slopes = torch.autograd.grad(loss_of(), parameters, create_graph=True)
        self.size = sum(parameter.numel() for parameter in parameters)

    def __matmul__(self, v):
        parts = torch.as_tensor(v).split([parameter.numel() for parameter in self.parameters])
        rates = [part.view_as(slope) for part, slope in zip(parts, self.slopes)]
        products = torch.autograd.grad(self.slopes, self.parameters, rates, retain_graph=True)
        return torch.cat([product.reshape(-1) for product in products])


def first_product(batch):
    """Multiply the Hessian with a vector once, from the start."""
    loss_of, parameters = _network(batch, 100, 784, nn.Tanh())
    v = _vector(parameters, 784, 100)
    return lambda: (Hessian(loss_of, parameters) @ v)[0]


def kept_product(batch):
    """Multiply the Hessian with another vector."""
    H = Hessian(*_network(batch, 100, 784, nn.Tanh()))
    v = _vector(H.parameters, 784, 100)
    return lambda: (H @ v)[0]


def _vector(parameters, inputs, hidden):
    # The same direction as the others', for transposed weights.
    v = torch.from_numpy(vector(sum(parameter.numel() for parameter in parameters)))
    parts = v.split([inputs * hidden, hidden, hidden * 10, 10])
    first, second = parts[0].view(inputs, hidden), parts[2].view(hidden, 10)
    flat = [first.T.reshape(-1), parts[1], second.T.reshape(-1), parts[3]]
    return torch.cat(flat).to(DEVICE)


def lanczos(batch):
    """Run 20 steps of Lanczos's method."""
    H = Hessian(*_network(batch, 100, 784, nn.Tanh()))
    return lambda: len(lanczos_steps(lambda q: (H @ q).cpu(), H.size)) - 1


def hessian(batch):
    """Compute the whole Hessian of a small network."""
    loss_of, parameters = _network(batch, 18, 16, nn.Tanh())

    def work():
        H = Hessian(loss_of, parameters)
        return torch.stack([H @ unit for unit in torch.eye(H.size)]).trace()

    return work
