"""What all libraries work on: the same numbers in every process."""

import numpy as np

INPUTS, HIDDEN, OUTPUTS = 784, 100, 10
LEARNING_RATE, MOMENTUM = 0.01, 0.9
SAMPLES = 60_000
DEPTH = 300


def network(batch, hidden=HIDDEN, inputs=INPUTS):
    """Return images, labels and parameters of a network of two layers."""
    generator = np.random.default_rng(0)
    shapes = (inputs, hidden), hidden, (hidden, OUTPUTS), OUTPUTS
    parameters = [generator.uniform(-0.1, 0.1, shape).astype("float32") for shape in shapes]
    images = generator.random((batch, inputs), dtype="float32")
    return images, generator.integers(OUTPUTS, size=batch), parameters


def dataset():
    """Return images and labels to load, as many as MNIST has."""
    generator = np.random.default_rng(0)
    return (
        generator.random((SAMPLES, INPUTS), dtype="float32"),
        generator.integers(OUTPUTS, size=SAMPLES),
    )


def vector(size):
    """Return a direction to multiply the Hessian with."""
    return np.random.default_rng(1).normal(size=size).astype("float32")


def lanczos(product, size, steps=20):
    """Orthogonalize steps products in NumPy, for libraries that have no Lanczos of their own."""
    q = vector(size)
    basis = [q / np.linalg.norm(q)]
    for _ in range(steps):
        w = np.asarray(product(basis[-1]))
        for _ in range(2):
            w = w - (np.stack(basis) @ w) @ np.stack(basis)
        basis.append(w / np.linalg.norm(w))
    return basis
