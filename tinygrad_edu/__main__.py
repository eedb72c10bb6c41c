"""Train one network twice on real digits, with SGD and with Momentum, and compare.

python -m tinygrad_edu --help
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import itertools
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

import tinygrad_edu as tg

DATASETS = {
    "digits": tg.datasets.digits,
    "fashion-mnist": tg.datasets.fashion_mnist,
    "mnist": tg.datasets.mnist,
}
TITLES = {"SGD": ":  θ ← θ − ηg", "Momentum": ", λ = {:g}:  m ← λm − ηg,  θ ← θ + m"}
SIGPIPE = 13  # Windows has no name for it
CURVATURE_IMAGES = 2000  # of the training data, at most: the Hessian of so many takes seconds


class Epoch(NamedTuple):
    """What one epoch came to: the mean training loss on its way, the test accuracy, the time."""

    loss: float
    accuracy: float
    seconds: float


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tinygrad_edu",
        description="Train one network twice on real images, with SGD and with Momentum, from the "
        "same weights and over the same batches, and compare.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", choices=DATASETS, default="digits", help="what to learn")
    add("--epochs", type=int, default=10, metavar="N", help="passes over the training data")
    add("--batch-size", type=int, default=32, metavar="B", help="samples for one update")
    add("--lr", type=float, default=0.05, metavar="η", help="learning rate, the same for both")
    add("--momentum", type=float, default=0.9, metavar="λ", help="share of the last step kept")
    add("--hidden", type=int, default=64, metavar="H", help="units in the hidden layer")
    add("--seed", type=int, default=0, metavar="S", help="for the weights and the batches")
    add("--backend", choices=["numpy", "cupy"], default="numpy", help="CPU or GPU")
    add("--plot", metavar="FILE", help="draw both runs into FILE (.png, .svg, .pdf)")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error(f"--epochs must be 1 or more, but is {arguments.epochs}")
    if arguments.seed < 0:
        parser.error(f"--seed must be 0 or more, but is {arguments.seed}")
    return arguments


def train(
    model: tg.nn.Sequential,
    optimizer: tg.SGD,
    loader: tg.DataLoader,
    test_data: tg.TensorDataset,
    count: int,
) -> list[Epoch]:
    """Train a network for so many epochs, and print each as it ends."""

    def loss_of(images: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
        return tg.cross_entropy(model(images), labels)

    print("  epoch   training loss   test accuracy   seconds", flush=True)
    epochs = []
    updates = tg.updates(loss_of, loader, optimizer)
    for number in range(1, count + 1):
        start = time.perf_counter()
        total = tg.Tensor(0.0)
        for loss, _, labels in itertools.islice(updates, len(loader)):
            total += loss * len(labels)
        seconds = time.perf_counter() - start
        accuracy = tg.evaluate(model, test_data).accuracy
        epoch = Epoch(total.item() / len(loader.dataset), accuracy, seconds)
        print(
            f"  {number:5}   {epoch.loss:13.4f}   {epoch.accuracy:13.1%}   {seconds:7.3f}",
            flush=True,
        )
        epochs.append(epoch)
    print()
    return epochs


def compare(sgd: list[Epoch], momentum: list[Epoch]) -> str:
    """Say in words how the two runs differ."""
    if not math.isfinite(momentum[-1].loss):
        alone = math.isfinite(sgd[-1].loss)
        why = "its steps grow up to 1/(1 − λ) times as long" if alone else "so did SGD"
        return f"Momentum diverged: {why}. Try a smaller --lr."
    if not math.isfinite(sgd[-1].loss):
        return "SGD diverged. Try a smaller --lr."
    goal, count = sgd[-1].loss, len(sgd)
    all_epochs = f"{count} epochs" if count > 1 else "1 epoch"
    reached = next((n for n, epoch in enumerate(momentum, 1) if epoch.loss <= goal), None)
    if reached is None:
        first = f"Momentum did not come down to the loss that SGD ended with, {goal:.4f}."
    else:
        first = (
            f"Momentum needed {reached} of {all_epochs} for the loss SGD ended with, {goal:.4f}."
        )
    return (
        f"{first}\nAfter {all_epochs} SGD got {sgd[-1].accuracy:.1%} of the test images right, "
        f"Momentum {momentum[-1].accuracy:.1%}."
    )


def describe(name: str, model: tg.nn.Sequential, dataset: tg.TensorDataset) -> str:
    """Say in words what kind of point a run has stopped at."""
    images, labels = dataset[:CURVATURE_IMAGES]
    H = WatchedHessian(lambda: tg.cross_entropy(model(images), labels), model.parameters())
    point = tg.classify_critical_point(H, H.gradient)
    if point.kind != "not a critical point":
        verdict = f"This is a critical point: {point.kind}."
    elif point.lowest < -point.tolerance:
        verdict = "Not a critical point; the loss bends both up and down, as around a saddle point."
    else:
        verdict = "Not a critical point; the loss bends down in no direction."
    return (
        f"Where {name} stopped, the gradient has length {point.gradient_norm:.2g}, and the "
        f"Hessian's {H.shape[0]}\n  eigenvalues go from {point.lowest:.2g} to "
        f"{point.highest:.2g}.\n  {verdict}\n  ({point.why or point.whereabouts})"
    )


def plot(runs: dict[str, list[Epoch]], file: str) -> None:
    """Draw loss and accuracy of the runs over the epochs."""
    from matplotlib.figure import Figure  # here, since few runs need it

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, epochs), color, marker in zip(
        runs.items(), ("#0072B2", "#D55E00"), "os", strict=True
    ):
        numbers = range(1, len(epochs) + 1)
        left.semilogy(numbers, [e.loss for e in epochs], marker=marker, color=color, label=name)
        right.plot(numbers, [100 * e.accuracy for e in epochs], marker=marker, color=color)
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="test accuracy (%)")
    left.legend(frameon=False)
    figure.savefig(file, dpi=150)
    print(f"Drawn into {file}.")


def check_plot(file: str) -> None:
    """Raise what would hinder `plot`, before anything is trained."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError('--plot needs Matplotlib: python -m pip install "tinygrad_edu[plot]"')
    from matplotlib.figure import Figure

    path, suffixes = Path(file).absolute(), Figure().canvas.get_supported_filetypes()
    if path.suffix.lower()[1:] not in suffixes:
        raise ValueError(f"--plot {file} must end in one of .{', .'.join(sorted(suffixes))}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder for --plot {file}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PermissionError(f"--plot {file} cannot be written")


class WatchedHessian(tg.HessianOperator):
    """A Hessian that shows, where a person watches, how many products have been taken."""

    products = 0

    def __matmul__(self, v: Any) -> Any:
        """Return Hv, and count it."""
        self.products += 1
        if sys.stderr is not None and sys.stderr.isatty():
            print(f"\r{self.products} products with the Hessian", end="\r", file=sys.stderr)
        return super().__matmul__(v)


def run(arguments: argparse.Namespace) -> None:
    """Train with both, compare, and look at where they stopped."""
    if arguments.plot is not None:
        check_plot(arguments.plot)
    train_data, test_data = DATASETS[arguments.dataset]()
    inputs = train_data.arrays[0].shape[1]
    models = {
        name: tg.nn.perceptron(inputs, arguments.hidden, 10, seed=arguments.seed)
        for name in ("SGD", "Momentum")
    }
    optimizers = {
        "SGD": tg.SGD(models["SGD"].parameters(), arguments.lr),
        "Momentum": tg.Momentum(models["Momentum"].parameters(), arguments.lr, arguments.momentum),
    }
    loaders = {
        name: tg.DataLoader(train_data, arguments.batch_size, shuffle=True, seed=arguments.seed)
        for name in models
    }
    print(
        f"{arguments.dataset}: {len(train_data)} images to train with, {len(test_data)} to test. "
        f"Batches of {arguments.batch_size}: {len(loaders['SGD'])} updates an epoch.\n"
    )
    runs = {}
    for name, model in models.items():
        print(f"{name}, η = {arguments.lr:g}" + TITLES[name].format(arguments.momentum))
        runs[name] = train(model, optimizers[name], loaders[name], test_data, arguments.epochs)
    print(compare(runs["SGD"], runs["Momentum"]))
    longer = 1 / (1 - arguments.momentum)
    ahead = runs["Momentum"][-1].loss < runs["SGD"][-1].loss  # and neither has diverged
    if arguments.momentum and ahead and math.isfinite(runs["SGD"][-1].loss):
        print(
            f"Part of that is the longer step: down a steady slope Momentum's grows {longer:.3g} "
            "times as long.\n"
            f"To see the rest, look at what SGD does with --lr {arguments.lr * longer:.3g}."
        )
    if arguments.plot is not None:
        plot(runs, arguments.plot)
    print(flush=True)
    for name, epochs in runs.items():
        if math.isfinite(epochs[-1].loss):
            print(describe(name, models[name], train_data), flush=True)


def main() -> None:
    """Read the command line, and run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # some terminals have no Greek letters
    arguments = read_arguments()
    try:
        with tg.use(arguments.backend), np.errstate(all="ignore"):  # `compare` says what diverged
            run(arguments)
        print(end="", flush=True)
    except KeyboardInterrupt:
        end("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        end("nobody reads the output any more", 128 + SIGPIPE)
    except MemoryError as error:
        end(f"there is not enough memory: {error}", 1)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        end(str(error), 1)


def end(why: str, status: int) -> NoReturn:
    """Say why in one line, and end with an exit status as a shell expects it."""
    try:
        print(end="", flush=True)
    except OSError:  # Python would try once more, and fail with words of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(f"python -m tinygrad_edu: {' '.join(why.split())}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
