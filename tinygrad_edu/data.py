"""Batches (批次): a dataset, and a loader that shuffles (打乱) it every epoch (回合)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.tensor import Tensor


class TensorDataset:
    """Arrays of equal length, say images and labels. `dataset[index]` is a Tensor of each.

    Parameters
    ----------
    *arrays : array_like
        They go to the current backend, and are not copied on NumPy. Those that live in a file
        (`np.memmap`) stay there, and each batch of them is read when it is needed.

    Raises
    ------
    ValueError
        If there are none, or their lengths differ.

    Examples
    --------
    >>> dataset = TensorDataset([[0.0], [1.0], [2.0]], [0, 1, 1])
    >>> len(dataset)
    3
    >>> inputs, labels = dataset[1:]
    >>> inputs
    Tensor([[1.],
            [2.]], dtype=float64)
    >>> labels.data
    array([1, 1])
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = tuple(
            array if isinstance(array, np.memmap) else Tensor(array).data for array in arrays
        )
        shapes = [array.shape for array in self.arrays]
        if not shapes or any(not shape or shape[0] != shapes[0][0] for shape in shapes):
            raise ValueError(f"a dataset needs arrays of one length, but got the shapes {shapes}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(Tensor(array[index]) for array in self.arrays)


class DataLoader:
    """Batches of a dataset: `for x, y in loader` is one epoch, in which each sample comes once.

    The order of an epoch is a pure function of (seed, epoch). So the same seed gives the same
    batches, and to repeat an epoch, or to go on with an interrupted run, set `epoch`.

    Parameters
    ----------
    dataset : TensorDataset
    batch_size : int
        Samples in a batch. The last batch has what is left over.
    shuffle : bool
        Draw a new order for every epoch; otherwise keep the dataset's.
    drop_last : bool
        Leave out the last batch if it is smaller.
    seed : int, optional
        Not negative. If none is given, one is drawn; read it from `loader.seed`.

    Attributes
    ----------
    epoch : int
        The number of the epoch that the next `iter(loader)` starts, from 0 on.

    Raises
    ------
    ValueError
        If the batch size or the seed is impossible.

    Examples
    --------
    >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2, shuffle=True, seed=0)
    >>> [batch.numpy().tolist() for (batch,) in loader]
    [[0, 3], [2, 1], [4]]
    >>> [batch.numpy().tolist() for (batch,) in loader]
    [[4, 3], [2, 0], [1]]
    """

    def __init__(
        self,
        dataset: TensorDataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
    ) -> None:
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"batch_size must be 1, 2, 3, …, but is {batch_size}")
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ValueError(f"seed must be 0, 1, 2, … or None, but is {seed}")
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = int(np.random.default_rng().integers(2**63) if seed is None else seed)
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of batches, and so of updates, in an epoch: ⌈N/B⌉."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """Return the order of the samples in this epoch.

        Each epoch has its own generator, so none depends on how many came before it.
        """
        if not self.shuffle:
            return np.arange(len(self.dataset))
        child = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        return np.random.default_rng(child).permutation(len(self.dataset))

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = self.order(self.epoch)
        self.epoch += 1
        return self._batches(order)

    def _batches(self, order: np.ndarray[Any, Any]) -> Iterator[tuple[Tensor, ...]]:
        # The order goes to each device once an epoch; there, a batch is one gathering copy.
        orders = {
            name: backend.move(order, name) for name in map(backend.name_of, self.dataset.arrays)
        }
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = self._share(start, min(start + self.batch_size, len(order)))
            yield tuple(
                Tensor(array[orders[backend.name_of(array)][batch] if self.shuffle else batch])
                for array in self.dataset.arrays
            )

    def _share(self, start: int, stop: int) -> slice:
        # All of the batch: only with several processes, each has a share of it.
        return slice(start, stop)
