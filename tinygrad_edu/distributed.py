"""Data parallelism: one large batch (批次), split over several processes that MPI starts.

    mpiexec -n 4 python train.py

runs the script four times. The processes, called *ranks*, share no memory. Each has the whole
network, and a part of every batch, its *shard*. The gradient of a batch is a mean over its samples,
and a mean can be put together from the means of the parts, weighted with how many samples n they
have:

    g = (n₀g₀ + n₁g₁ + …) / (n₀ + n₁ + …)

So the ranks start from the same state (`broadcast`), take the gradients of their shards, average
them (`average_gradients`) and make the same step. It is the step that one process would have made
with the whole batch. The second derivatives are means, too (`ShardedHessian`).

What MPI leaves to its user is that all ranks do the same at the same time: if one waits for a
message that no other sends, it waits for ever. So before each exchange the ranks tell each other
what they are about to do (`_agree`), and when one fails, all end.

    from tinygrad_edu import distributed

Not imported with the package, since it needs MPI. Import it at the top of the script: from there
on, an error on one rank ends all.
"""

from __future__ import annotations

import atexit
import faulthandler
import math
import os
import shutil
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

import numpy as np

from tinygrad_edu import backend, graph, training
from tinygrad_edu.backend import Array
from tinygrad_edu.curvature import HessianOperator, Loss
from tinygrad_edu.data import DataLoader, Dataset, TensorDataset
from tinygrad_edu.optim import SGD
from tinygrad_edu.parameters import flatten, leaves, matched, split
from tinygrad_edu.state import Number
from tinygrad_edu.tensor import Tensor

INSTALL = 'python -m pip install "tinygrad_edu[distributed]"'

# A rank that fails before it gets here never joins: the others give up after so many seconds.
START = float(os.environ.get("TINYGRAD_EDU_MPI_START", "60"))
faulthandler.dump_traceback_later(START, exit=True, file=sys.__stderr__ or sys.stderr)
try:
    from mpi4py import MPI

    world = MPI.COMM_WORLD  # all the ranks: world.size of them; this one is number world.rank
    world.Barrier()
except (ImportError, RuntimeError) as error:  # mpi4py is missing, or finds no MPI library
    raise ImportError(f"data parallelism needs MPI and mpi4py: {INSTALL} ({error})") from error
finally:
    faulthandler.cancel_dump_traceback_later()

# Ranks that another MPI's mpiexec started do not know of each other: each would train alone.
started = os.environ.get("PMI_SIZE") or os.environ.get("OMPI_COMM_WORLD_SIZE") or "1"
if int(started) != world.size:
    raise ImportError(
        f"mpiexec started {started} ranks, but MPI knows of {world.size}: mpi4py uses "
        f"{MPI.get_vendor()[0]}, so use its mpiexec, say the one in {sys.prefix}/bin"
    )


def command(ranks: int, *arguments: str) -> list[str]:
    """Return the command that runs Python on so many ranks, as `subprocess.run` takes it.

    Raises
    ------
    FileNotFoundError
        If mpiexec, the program that starts the ranks, is neither beside Python nor on the PATH.

    Examples
    --------
    >>> command(4, "train.py")
    ['...mpiexec...', '-n', '4', '...python...', 'train.py']
    """
    beside = os.path.dirname(sys.executable)  # of the virtual environment, activated or not
    mpiexec = shutil.which("mpiexec", path=beside) or shutil.which("mpiexec")
    if mpiexec is None:
        raise FileNotFoundError(
            f"there is no mpiexec, which starts the ranks, in {beside} or on the PATH: {INSTALL}"
        )
    return [mpiexec, "-n", str(ranks), sys.executable, *arguments]


# ── All, or none ─────────────────────────────────────────────────────────────────────────────────


def _agree(doing: str, samples: int = 0) -> list[int]:
    """Tell all ranks what this one does next, and for how many samples; return the samples of each.

    One short message: a checksum of the words stands for them. Only if the checksums differ are the
    words themselves exchanged, and then all ranks raise the same error.
    """
    mine = np.array([zlib.crc32(doing.encode()), samples])
    table = np.empty((world.size, 2), mine.dtype)
    world.Allgather(mine, table)
    if (table[:, 0] != mine[0]).any():
        first, *others = world.allgather(doing)
        number, other = next(pair for pair in enumerate(others, 1) if pair[1] != first)
        raise RuntimeError(
            f"all ranks must do the same, but rank 0 {first}, and rank {number} {other}"
        )
    counts: list[int] = table[:, 1].tolist()
    return counts


def _end_all(why: str) -> None:
    sys.stdout.flush()
    said = f"{why}\nrank {world.rank} of {world.size} has failed, so all ranks end\n"
    print(said, end="", file=sys.stderr, flush=True)  # in one piece, for others may print, too
    time.sleep(1)  # mpiexec passes on what was printed, but only as long as it runs
    world.Abort(1)


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # Otherwise the other ranks would wait for this one for ever.
    _end_all("".join(traceback.format_exception(kind, error, trace)).rstrip())


def _on_exit() -> None:
    # To end is something that all ranks must do together, too.
    if not MPI.Is_finalized():
        try:
            _agree("has ended")
        except RuntimeError as error:
            _end_all(str(error))


if world.size > 1:
    sys.excepthook = _on_error
    atexit.register(_on_exit)


# ── Gradients ────────────────────────────────────────────────────────────────────────────────────

# A GPU's memory can be given to MPI if MPI says so; otherwise, arrays go through the host's.
CUDA_AWARE = "cuda" in (world.Get_info().get("mpi_memory_alloc_kinds") or "")


def _exchange(array: Array, exchange: Callable[[Array], None]) -> Array:
    """Let MPI write into an array, or into its copy on the host; return what was written."""
    buffer = array if CUDA_AWARE else backend.move(array, "numpy")
    if backend.name_of(buffer) == "cupy":
        buffer.device.synchronize()  # MPI knows nothing of what the GPU has still to compute
    exchange(buffer)
    return backend.move(buffer, backend.name_of(array))


def _mean(array: Array, samples: int, doing: str) -> Array:
    """Average an array over all samples, given its mean over this rank's samples."""
    if samples < 0:
        raise ValueError(f"a rank has 0, 1, 2, … samples, not {samples}")
    total = sum(_agree(f"{doing} {backend.describe(array)}", samples))
    if not total:
        raise ValueError("no rank has a sample, so there is no mean")
    # Each rank weighs its own part, and MPI adds: Σ (nᵣ/n)·gᵣ. (0 · NaN would be NaN.)
    part = array * (samples / total) if samples else np.zeros_like(array)
    return _exchange(part, lambda buffer: world.Allreduce(MPI.IN_PLACE, buffer))


def mean(value: Any, samples: int) -> float:
    """Average a number, say a loss, over the samples of all ranks.

    Parameters
    ----------
    value : Tensor or float
        The mean over this rank's samples. Without samples it does not count.
    samples : int
        How many they are.

    Examples
    --------
    >>> mean(3.0, samples=2)  # on a single rank
    3.0
    """
    return float(_mean(np.array([float(value)]), samples, "averages a number")[0])


def _words(arrays: Iterable[Array]) -> str:
    return f"[{', '.join(map(backend.describe, arrays))}]"


def _checksum(arrays: Iterable[Array], most: int = 2**63) -> str:
    """Return a checksum of arrays; of those of more bytes than `most`, only of rows in between."""
    total = 0
    for array in arrays:
        rows = array[:: array.nbytes // most + 1] if array.ndim else array
        host = np.ascontiguousarray(backend.move(rows, "numpy"))
        total = zlib.crc32(host.reshape(-1).view(np.uint8).data, total)
    return f"{total:08x}"


def broadcast(owner: Any) -> None:
    """Give every rank the values that rank 0 has.

    Parameters
    ----------
    owner : iterable of Tensors, or Module, optimizer or loader
        Parameters; or anything with a `state_dict`, all of which is given. A Module's has its
        frozen layers and constants, too.

    Raises
    ------
    RuntimeError
        If their number, order, shapes or dtypes are not the same on all ranks, nor the names and
        the class of what has a state.

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> broadcast([w])  # changes nothing on rank 0
    >>> w
    Tensor([1., 2.], dtype=float64, requires_grad=True)
    """
    if hasattr(owner, "state_dict"):
        state = owner.state_dict()
        names = ", ".join(f"{name}: {backend.describe(value)}" for name, value in state.items())
        _agree(f"broadcasts a {type(owner).__name__} with {names}")
        owner.load_state_dict(_from_rank_0(state))
    else:
        params = leaves(owner)
        _agree(f"broadcasts {_words(param.data for param in params)}")
        state = {str(place): param.data for place, param in enumerate(params)}
        for place, array in matched(state, _from_rank_0(state)).items():
            params[int(place)].data = array


def _from_rank_0(state: Mapping[str, Any]) -> dict[str, Any]:
    host = {name: backend.move(value, "numpy") for name, value in state.items()}
    received: dict[str, Any] = world.bcast(host if world.rank == 0 else None)
    return received


def average_gradients(params: Iterable[Tensor], samples: int) -> None:
    """Replace each gradient by its mean over the samples of all ranks, in one exchange for all.

    Call it between `backward` and `step`. A parameter without a gradient here counts with zeros, if
    it has one elsewhere; it is left alone if it has none on any rank that has samples.

    Parameters
    ----------
    params : iterable of Tensors
    samples : int
        How many the gradients here are the mean of; 0 if this rank had nothing to do.

    Raises
    ------
    RuntimeError
        If the gradients' number, shapes or dtypes are not the same on all ranks.
    ValueError
        If no rank has a sample.

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> average_gradients([w], samples=1)  # changes nothing on a single rank
    >>> w.grad
    Tensor([2., 4.], dtype=float64)
    """
    params = leaves(params)
    parts = [np.zeros_like(p.data) if p.grad is None else p.grad.data for p in params]
    # All in one array, since a message of k numbers is far cheaper than k messages; and it crosses
    # between a GPU and the host once each way.
    flat = flatten(parts)
    home = backend.name_of(flat)
    if not CUDA_AWARE:
        flat = backend.move(flat, "numpy")
    # Behind the gradients, a 1 for each that is there; float32, so that float16 is promoted.
    flags = np.asarray([param.grad is not None for param in params], np.float32, like=flat)
    flat = _mean(flatten([flat, flags]), samples, f"averages the gradients {_words(parts)} as")
    there = backend.move(flat[-len(params) :], "numpy") > 0
    averages = split(backend.move(flat[: -len(params)], home), parts)
    for param, average, is_there in zip(params, averages, there):
        param.grad = Tensor(average) if is_there else None


# ── Batches ──────────────────────────────────────────────────────────────────────────────────────


def shard(start: int, stop: int) -> slice:
    """Return this rank's part of the samples from start to stop.

    The parts of all ranks follow each other, and their lengths differ by 1 at most.

    >>> shard(0, 10)  # on a single rank
    slice(0, 10, None)
    """
    count = stop - start
    first, last = (start + count * rank // world.size for rank in (world.rank, world.rank + 1))
    return slice(first, last)


class ShardedLoader(DataLoader):
    """The batches of a `DataLoader`, of which each rank gets its shard.

    All ranks draw the same order from the same seed and epoch, so nobody has to send it.

    Parameters
    ----------
    dataset : TensorDataset
        The whole of it, on every rank.
    batch_size : int
        Of the whole batch, over all ranks. A shard is empty where there are more ranks than
        samples, as may happen in the last batch.
    shuffle, drop_last, seed
        As for `DataLoader`. Without a seed, rank 0 draws one for all.

    Raises
    ------
    RuntimeError
        If they are not the same on all ranks, now or at the start of an epoch. The content of a
        TensorDataset is compared, too: of arrays of more than 64 MB, a part.

    Examples
    --------
    >>> loader = ShardedLoader(TensorDataset(np.arange(5)), batch_size=2, shuffle=True, seed=0)
    >>> [batch.numpy().tolist() for (batch,) in loader]  # on a single rank
    [[0, 3], [2, 1], [4]]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, batch_size, shuffle, drop_last, seed)
        told = f"{len(dataset)} samples, {batch_size=}, {shuffle=}, {drop_last=}, {seed=}"
        content = ""
        if isinstance(dataset, TensorDataset):
            content = f"{_words(dataset.arrays)} with checksum {_checksum(dataset.arrays, 2**26)}"
        _agree(f"loads {told}, {content}")
        self.seed = world.bcast(self.seed)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        _agree(f"starts epoch {self.epoch} of {self!r} at sample {self._start}")
        return super().__iter__()

    _share = staticmethod(shard)


def _agree_on_uses(loss: Tensor, params: list[Tensor]) -> None:
    """Raise if equally shaped parameters come in another order on another rank.

    A rank may leave some out, and one without samples all of them.
    """
    index: dict[Any, int] = {param: number for number, param in enumerate(params)}
    first, *others = world.allgather([index[v] for v in graph.recorded(loss) if v in index])
    for rank, uses in enumerate(others, 1):
        if [number for number in first if number in uses] != [n for n in uses if n in first]:
            raise RuntimeError(
                f"all ranks must do the same, but rank 0 computes its loss from the parameters "
                f"{first}, in this order, and rank {rank} from {uses}"
            )


def updates(
    loss: Callable[..., Tensor], loader: ShardedLoader, optimizer: SGD
) -> Iterator[tuple[Any, ...]]:
    """Train as `tinygrad_edu.updates` does, with each batch split over the ranks.

    The optimizer's parameters and state, and where the loader is, are those of rank 0. Give a
    Module that has frozen layers or constants to `broadcast` before. In every update the ranks
    compare the optimizer's class and settings; at the start of every epoch, a checksum of the
    weights and of the optimizer's arrays, and the order in which the loss uses its parameters.

    Yields
    ------
    tuple
        The loss before the update, over the whole batch, and then this rank's shard.

    Raises
    ------
    RuntimeError
        If something is not the same on all ranks. Then this update has moved nothing.
    ValueError
        If the loader has no batch, at the first update or at any later epoch.

    Examples
    --------
    >>> from itertools import islice
    >>> w = Tensor(0.0, requires_grad=True)
    >>> loader = ShardedLoader(TensorDataset([4.0]))
    >>> steps = updates(lambda x: ((w - x) ** 2).mean(), loader, SGD([w], lr=0.25))
    >>> [loss for loss, x in islice(steps, 3)]
    [16.0, 4.0, 1.0]
    """
    for owner in (optimizer.params, optimizer, loader):
        broadcast(owner)
    total, epoch = math.nan, -1

    def of_shard(*shard: Tensor) -> Tensor:
        # An empty shard has no mean, and no part in the gradients.
        return loss(*shard) if len(shard[0]) else Tensor(0.0, requires_grad=True)

    def average(value: Tensor, *shard: Tensor) -> None:
        nonlocal total, epoch
        state, samples = optimizer.state_dict(), len(shard[0])
        doing = f"trains in epoch {loader.epoch - 1} with {type(optimizer).__name__}"
        if begins := loader.epoch != epoch:
            epoch = loader.epoch
            arrays = [value for value in state.values() if not isinstance(value, Number)]
            arrays += [param.data for param in optimizer.params]
            doing += f" from weights and a state with checksum {_checksum(arrays)}"
        settings = {name: value for name, value in state.items() if isinstance(value, Number)}
        doing += f" {settings}, and averages a loss"
        total = float(_mean(np.array([value.item()]), samples, doing)[0])
        if begins:
            _agree_on_uses(value, optimizer.params)
        average_gradients(optimizer.params, samples)

    for _, *shard in training.updates(of_shard, loader, optimizer, average):
        yield total, *shard


# ── Curvature ────────────────────────────────────────────────────────────────────────────────────


class ShardedHessian(HessianOperator):
    """The Hessian of a mean over the samples of all ranks, known by its products with vectors.

    Every rank takes the product with the Hessian of its own samples, and their mean is the product
    with the whole. `lanczos` and all that is built on it run on every rank alike, with the same
    numbers.

    Parameters
    ----------
    f : callable
        Computes the mean loss over this rank's samples.
    params : iterable of Tensors
        With the same values on all ranks; see `broadcast`.
    samples : int
        How many this rank has: 1 at least.

    Raises
    ------
    ValueError, RuntimeError
        As `HessianOperator`, and if a rank has no samples, or the ranks' parameters, or the vectors
        that they multiply with, are not the same: as with another seed, or with another k.

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> H = ShardedHessian(lambda: (w**3).sum(), [w], samples=1)
    >>> H @ np.array([1.0, 1.0])
    array([ 6., 12.])
    """

    def __init__(self, f: Loss, params: Iterable[Tensor], samples: int) -> None:
        if samples < 1:
            raise ValueError(f"rank {world.rank} has {samples} samples: start fewer ranks")
        super().__init__(f, params)
        self._samples = samples
        self.gradient = _mean(self.gradient, samples, "averages a gradient")
        weights = _checksum(param.data for param in self.params)
        _agree(f"takes the Hessian at weights with checksum {weights}")

    def __matmul__(self, v: Any) -> Array:
        """Return Hv for a flat vector v of length n, the same on all ranks."""
        v = v.data if isinstance(v, Tensor) else v if hasattr(v, "dtype") else np.asarray(v)
        doing = f"multiplies the Hessian with a vector with checksum {_checksum([v])}, and averages"
        return _mean(super().__matmul__(v), self._samples, doing)
