"""Batches (批次): a dataset, and a loader that shuffles (打乱) it every epoch (回合)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.tensor import Tensor


class Dataset(Protocol):
    """What a loader needs: a length, and a sample for each index from 0 on."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...


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
    batches, and to repeat an epoch, set `epoch`. To go on in the middle of one, in another process
    say, take the loader's `state_dict` along.

    Parameters
    ----------
    dataset : TensorDataset
        Or anything that has a length, and for each index a sample: a number, an array or a Tensor,
        or a tuple of them. A subclass of TensorDataset that draws its samples in a `__getitem__` of
        its own is asked for single samples, too.
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
        If one of these is impossible, also when it is set later. An epoch that has begun goes on
        with what it has begun with.

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
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = int(np.random.default_rng().integers(2**63)) if seed is None else seed
        self.epoch = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("batch_size", "seed", "epoch"):
            value = _count(name, value, least=1 if name == "batch_size" else 0)
        elif name in ("shuffle", "drop_last"):
            value = _switch(name, value)
        super().__setattr__(name, value)
        if name == "epoch":
            self._start, self._position = 0, (value, 0)

    def __len__(self) -> int:
        """Return the number of batches, and so of updates, in an epoch: ⌈N/B⌉."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __repr__(self) -> str:
        names = ("batch_size", "shuffle", "drop_last", "seed")
        settings = "".join(f", {name}={getattr(self, name)}" for name in names)
        return f"{type(self).__name__}({len(self.dataset)} samples{settings})"

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """Return the order of the samples in this epoch.

        Each epoch has its own generator, so none depends on how many came before it.
        """
        if not self.shuffle:
            return np.arange(len(self.dataset))
        child = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        return np.random.default_rng(child).permutation(len(self.dataset))

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        epoch, start, order = self.epoch, self._start, self.order(self.epoch)
        stop = len(order)
        if self.drop_last:
            stop -= (stop - start) % self.batch_size
        self.epoch += 1
        self._position = epoch, start
        starts = range(start, stop, self.batch_size)
        in_order = not self.shuffle and type(self).order is DataLoader.order
        return self._batches(epoch, starts, stop, _picker(self.dataset, order, in_order))

    def _batches(
        self, epoch: int, starts: range, stop: int, pick: Callable[[slice], tuple[Tensor, ...]]
    ) -> Iterator[tuple[Tensor, ...]]:
        for start in starts:
            end = min(start + starts.step, stop)
            batch = pick(self._share(start, end))
            self.__dict__["_position"] = (epoch, end) if end < stop else (epoch + 1, 0)
            yield batch

    def _share(self, start: int, stop: int) -> slice:
        # All of the batch: only with several processes, each has a share of it.
        return slice(start, stop)

    def state_dict(self) -> dict[str, Any]:
        """Return where the latest epoch is: seed, epoch, and how many of its samples have come.

        A batch has come as soon as the loop has it.

        Examples
        --------
        >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2, seed=7)
        >>> batches = iter(loader)
        >>> first = next(batches)
        >>> state = loader.state_dict()
        >>> state
        {'seed': 7, 'epoch': 0, 'samples': 2}
        >>> other = DataLoader(TensorDataset(np.arange(5)), batch_size=2)
        >>> other.load_state_dict(state)
        >>> [batch.numpy().tolist() for (batch,) in other]
        [[2, 3], [4]]
        """
        epoch, samples = self._position
        words = range(0, max(self.seed.bit_length(), 1), 63)  # an array has numbers below 2⁶³ only
        seed = [self.seed >> word & (2**63 - 1) for word in words]
        return {"seed": seed[0] if len(seed) == 1 else seed, "epoch": epoch, "samples": samples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next `iter(loader)` go on from a `state_dict`; later ones begin new epochs.

        Raises
        ------
        ValueError
            If it is not such a state, or the dataset has not so many samples; nothing has changed
            then.
        """
        if state.keys() != {"seed", "epoch", "samples"}:
            raise ValueError(f"a loader's state has seed, epoch and samples, and not {[*state]}")
        words = [_count("seed", word, 0) for word in np.ravel(state["seed"])]
        epoch, samples = (_count(name, state[name], 0) for name in ("epoch", "samples"))
        if samples > len(self.dataset):
            raise ValueError(f"{samples} samples have come, of a dataset of {len(self.dataset)}")
        self.seed = sum(word << 63 * place for place, word in enumerate(words))
        self.epoch = epoch
        self._start, self._position = samples, (epoch, samples)


def _count(name: str, value: Any, least: int) -> int:
    try:  # a whole number, be it Python's, NumPy's or an array of shape ()
        if not isinstance(value, bool) and (number := operator.index(value)) >= least:
            return number
    except TypeError:
        pass
    raise ValueError(f"{name} must be {least}, {least + 1}, {least + 2}, …, but is {value}")


def _switch(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    array = np.asarray(value)
    if array.shape == () and array.dtype.kind in "biu" and array in (0, 1):
        return bool(array)
    raise ValueError(f"{name} must be True or False, but is {value}")


def _picker(
    dataset: Any, order: np.ndarray[Any, Any], in_order: bool
) -> Callable[[slice], tuple[Tensor, ...]]:
    """Return the function that makes a batch of a dataset, given its part of the order."""
    if getattr(type(dataset), "__getitem__", None) is not TensorDataset.__getitem__:
        return lambda part: _stacked(dataset, order[part].tolist())
    arrays, homes = dataset.arrays, [backend.name_of(array) for array in dataset.arrays]
    if in_order:
        return lambda part: tuple([Tensor(array[part]) for array in arrays])
    # The order goes to each device once an epoch; there, a batch is one gathering copy.
    orders = {name: backend.move(order, name) for name in set(homes)}
    pairs = [(array, orders[name]) for array, name in zip(arrays, homes)]
    return lambda part: tuple([Tensor(array[own[part]]) for array, own in pairs])


def _stacked(dataset: Any, indices: list[int]) -> tuple[Tensor, ...]:
    samples = []
    for index in indices or [0]:  # for no samples, too, a batch has as many Tensors
        sample = dataset[index]
        samples.append(sample if isinstance(sample, tuple | list) else (sample,))
    return tuple(
        Tensor(np.stack([Tensor(part).data for part in parts])[: len(indices)])
        for parts in zip(*samples, strict=True)
    )
