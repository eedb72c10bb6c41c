"""The library of this project."""

import os

import tinygrad_edu as tg

from .inputs import DEPTH, LEARNING_RATE, MOMENTUM, dataset, network, vector

tg.use(os.environ.get("BENCH_BACKEND", "numpy"))


def synchronize():
    """Wait until the GPU has done what it was told."""
    if tg.backend.current() == "cupy":
        import cupy

        cupy.cuda.Device().synchronize()


def _network(batch, hidden, inputs, activation):
    images, labels, values = network(batch, hidden, inputs)
    first, second = tg.nn.Linear(inputs, hidden), tg.nn.Linear(hidden, 10)
    model = tg.nn.Sequential(first, activation, second)
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.data = tg.Tensor(value).data
    images, labels = tg.Tensor(images), tg.Tensor(labels)
    return (lambda: tg.cross_entropy(model(images), labels)), model.parameters()


def update(batch, optimizer):
    """Update a network once."""
    loss_of, parameters = _network(batch, 100, 784, tg.nn.ReLU())
    options = {"momentum": MOMENTUM} if optimizer == "Momentum" else {}
    optimizer = getattr(tg, optimizer)(parameters, LEARNING_RATE, **options)

    def work():
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return work


def loader(batch):
    """Load an epoch in batches."""
    batches = tg.DataLoader(tg.TensorDataset(*dataset()), batch, shuffle=True, seed=0)
    return lambda: sum(len(labels) for _, labels in batches)


def chain(depth=DEPTH):
    """Record a chain of small operations, and go back."""
    x = tg.Tensor([0.1, 0.2, 0.3], requires_grad=True)

    def work():
        y = x
        for _ in range(depth // 3):
            y = tg.tanh(y * 1.01) + x
        (slope,) = tg.grad(y.sum(), x)
        return slope.data[0]

    return work


def gradient(batch):
    """Compute one gradient of a tanh network."""
    loss_of, parameters = _network(batch, 100, 784, tg.nn.Tanh())
    return lambda: tg.grad(loss_of(), parameters)[1].data[0]


def first_product(batch):
    """Multiply the Hessian with a vector once, from the start."""
    loss_of, parameters = _network(batch, 100, 784, tg.nn.Tanh())
    v = vector(sum(parameter.size for parameter in parameters))
    return lambda: tg.hvp(loss_of, parameters, v)[0]


def kept_product(batch):
    """Multiply the Hessian with another vector."""
    H = tg.HessianOperator(*_network(batch, 100, 784, tg.nn.Tanh()))
    v = vector(H.shape[0])
    return lambda: (H @ v)[0]


def lanczos(batch):
    """Run 20 steps of Lanczos's method."""
    H = tg.HessianOperator(*_network(batch, 100, 784, tg.nn.Tanh()))
    return lambda: len(tg.lanczos(H, 20)[0])


def hessian(batch):
    """Compute the whole Hessian of a small network."""
    loss_of, parameters = _network(batch, 18, 16, tg.nn.Tanh())
    return lambda: tg.hessian(loss_of, parameters).trace()
