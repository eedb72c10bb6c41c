"""The loop that trains, and how well it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from tinygrad_edu.data import DataLoader, Dataset
from tinygrad_edu.functions import cross_entropy
from tinygrad_edu.optim import SGD
from tinygrad_edu.recording import no_grad
from tinygrad_edu.tensor import Tensor


def updates(
    loss: Callable[..., Tensor],
    loader: DataLoader,
    optimizer: SGD,
    before_step: Callable[..., None] | None = None,
) -> Iterator[tuple[Tensor, ...]]:
    """Train, one update for each batch, epoch after epoch; yield each batch with its loss.

    There is no end to it: take as many as you want. An epoch (回合) is `len(loader)` of them, and
    `itertools.islice(updates(...), 3000)` are three thousand. Called again with the same loader, it
    goes on with the batch after the last one.

    Parameters
    ----------
    loss : callable
        Computes the loss of a batch: `lambda x, labels: tg.cross_entropy(model(x), labels)`.
    loader : DataLoader
    optimizer : SGD
        Over the parameters that the loss is made of.
    before_step : callable, optional
        Called with the loss and the batch when the gradients are there, and before the step is
        taken, say to clip them.

    Yields
    ------
    tuple of Tensors
        The loss before the update, without its graph, and then the batch.

    Raises
    ------
    ValueError
        If the loader has no batch, at the first update or at any later epoch.

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
    if isinstance(loader, DataLoader):
        loader.load_state_dict(loader.state_dict())
    empty = 0  # epochs on end: of one that was left, there may be no batch any more
    while empty < 2:
        empty += 1
        for batch in loader:
            empty = 0
            value = loss(*batch)
            optimizer.zero_grad()
            value.backward()
            if before_step is not None:
                before_step(value, *batch)
            optimizer.step()
            yield value.detach(), *batch
    raise ValueError(f"there is no batch in {loader!r}")


class Score(NamedTuple):
    """How well a network does on a dataset."""

    loss: float  # the cross-entropy
    accuracy: float  # the share of the samples whose own label has the highest score


def evaluate(model: Callable[[Tensor], Tensor], dataset: Dataset) -> Score:
    """Score a network that classifies, on a whole dataset of inputs and labels.

    Where a score is NaN, the sample is not right.

    Raises
    ------
    ValueError
        If the dataset is empty.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> identity = tg.nn.Sequential()
    >>> score = tg.evaluate(identity, tg.TensorDataset([[9.0, 0.0], [9.0, 0.0]], [0, 1]))
    >>> score.accuracy
    0.5
    """
    if not len(dataset):
        raise ValueError("the dataset is empty, so there is nothing to score")
    ((inputs, labels),) = DataLoader(dataset, batch_size=len(dataset), seed=0)
    with no_grad():
        scores = model(inputs)
        loss = cross_entropy(scores, labels).item()
    right = scores.data.argmax(axis=1) == labels.data
    right &= ~np.isnan(scores.data).any(axis=1)  # there, argmax says where the NaN is
    return Score(loss, float(right.mean()))
