"""The loop that trains, and how well it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tinygrad_edu.data import DataLoader, TensorDataset
from tinygrad_edu.functions import cross_entropy
from tinygrad_edu.nn import Module
from tinygrad_edu.optim import SGD
from tinygrad_edu.recording import no_grad
from tinygrad_edu.tensor import Tensor


def updates(
    loss: Callable[..., Tensor], loader: DataLoader, optimizer: SGD
) -> Iterator[tuple[Tensor, ...]]:
    """Train, one update for each batch, epoch after epoch; yield each batch with its loss.

    There is no end to it: take as many as you want. An epoch (回合) is `len(loader)` of them, and
    `itertools.islice(updates(...), 3000)` are three thousand.

    Parameters
    ----------
    loss : callable
        Computes the loss of a batch: `lambda x, labels: tg.cross_entropy(model(x), labels)`.
    loader : DataLoader
    optimizer : SGD
        Over the parameters that the loss is made of.

    Yields
    ------
    tuple of Tensors
        The loss before the update, without its history, and then the batch.

    Raises
    ------
    ValueError
        If the loader has no batch, when the first update is asked for.

    Examples
    --------
    >>> from itertools import islice
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(0.0, requires_grad=True)
    >>> loader = tg.DataLoader(tg.TensorDataset([4.0]))
    >>> steps = tg.updates(lambda x: ((w - x) ** 2).sum(), loader, tg.SGD([w], lr=0.25))
    >>> [loss.item() for loss, x in islice(steps, 3)]  # each halves the distance
    [16.0, 4.0, 1.0]
    """
    if not len(loader):
        raise ValueError(
            f"the loader has no batch: {len(loader.dataset)} samples, batch_size "
            f"{loader.batch_size}, drop_last={loader.drop_last}"
        )
    while True:
        for batch in loader:
            value = loss(*batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            yield value.detach(), *batch


class Score(NamedTuple):
    """How well a network does on a dataset."""

    loss: float  # the cross-entropy
    accuracy: float  # the share of the samples whose own label has the highest score


def evaluate(model: Module, dataset: TensorDataset) -> Score:
    """Score a network that classifies, on a whole dataset of inputs and labels.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> identity = tg.nn.Sequential()
    >>> score = tg.evaluate(identity, tg.TensorDataset([[9.0, 0.0], [9.0, 0.0]], [0, 1]))
    >>> score.accuracy
    0.5
    """
    inputs, labels = dataset[:]
    with no_grad():
        scores = model(inputs)
        loss = cross_entropy(scores, labels).item()
    return Score(loss, float((scores.data.argmax(axis=1) == labels.data).mean()))
