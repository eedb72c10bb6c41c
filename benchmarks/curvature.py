"""What the Hessian costs: a product in gradients, and a Lanczos run in seconds and megabytes.

python benchmarks/curvature.py --rounds 15
"""

import argparse
import os
import statistics
import time
import tracemalloc

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported

import numpy as np

import tinygrad_edu as tg


def network(hidden, batch, activation):
    """Return the loss of a 784-hidden-10 network on random images, and its parameters."""
    generator = np.random.default_rng(0)
    model = tg.nn.Sequential(
        tg.nn.Linear(784, hidden, generator), activation, tg.nn.Linear(hidden, 10, generator)
    )
    images = tg.Tensor(generator.random((batch, 784), dtype="float32"))
    labels = tg.Tensor(generator.integers(0, 10, batch))
    return (lambda: tg.cross_entropy(model(images), labels)), model.parameters()


def seconds(call):
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds

    print(
        "A product with the gradient's history kept, in gradients (median of rounds, in turns):\n"
    )
    print("activation   batch   gradient (ms)   product (ms)   product / gradient")
    for activation in (tg.nn.ReLU(), tg.nn.Tanh()):
        for batch in (100, 1000, 10_000):
            f, params = network(100, batch, activation)
            H = tg.HessianOperator(f, params)
            v = np.random.default_rng(1).normal(size=H.shape[0]).astype(H.dtype)
            calls = (lambda: tg.grad(f(), params), lambda: H @ v)  # noqa: B023 (called right here)
            times = [[seconds(call) for call in calls] for _ in range(rounds + 2)][2:]
            gradient, product = (statistics.median(column) for column in zip(*times))
            ratio = statistics.median(product / gradient for gradient, product in times)
            print(
                f"{type(activation).__name__:10}   {batch:5}   {gradient * 1e3:13.2f}   "
                f"{product * 1e3:12.2f}   {ratio:18.2f}"
            )

    f, params = network(126, 1000, tg.nn.Tanh())
    H = tg.HessianOperator(f, params)
    print(f"\n20 Lanczos steps, {H.shape[0]} parameters, 1000 images:")
    tracemalloc.start()
    taken = seconds(lambda: tg.lanczos(H, 20))
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    print(
        f"{taken:.2f} s; {peak:.0f} MB at most, {20 * H.shape[0] * 4 / 1e6:.0f} of them the basis"
    )


if __name__ == "__main__":
    main()
