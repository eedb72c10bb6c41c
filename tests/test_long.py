"""Many updates, deep graphs, several threads: the memory stays flat, and the numbers the same.

Each test has a quick version, and one that takes up to minutes: pytest --long
"""

import ctypes
import gc
import itertools
import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_edu as tg


def counts(quick, long):
    return pytest.mark.parametrize("count", [quick, pytest.param(long, marks=pytest.mark.long)])


class Heap(ctypes.Structure):
    """What glibc's mallinfo2 tells."""

    FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = tuple((name, ctypes.c_size_t) for name in FIELDS.split())


def memory():
    """Return how many blocks Python holds, and how many MB C does (0 where glibc cannot tell).

    Not the memory of the process: that grows for some rounds, as freed blocks of a large graph
    leave holes between others.
    """
    gc.collect()
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return sys.getallocatedblocks(), 0
    mallinfo.restype = Heap
    heap = mallinfo()
    return sys.getallocatedblocks(), (heap.uordblks + heap.hblkhd) / 1e6


def check_flat(work):
    """Do ten rounds of work; after the first two, a warm-up, nothing may be left over."""
    for number in range(10):
        work()
        if number == 1:
            before = memory()
    blocks, heap = (now - then for now, then in zip(memory(), before, strict=True))
    print(f"grown by {blocks} blocks and {heap:.3f} MB, from {before}")
    assert blocks < 300  # some are for what else happens in the process
    assert heap < 0.1


def classifier(seed=0, make=tg.Momentum):
    generator = np.random.default_rng(seed)
    model = tg.nn.Sequential(
        tg.nn.Linear(3, 4, generator), tg.nn.Tanh(), tg.nn.Linear(4, 2, generator)
    )
    x = generator.normal(size=(8, 3)).astype("float32")
    dataset = tg.TensorDataset(x, (x[:, 0] > x[:, 1]).astype("int64"))
    return model, make(model.parameters(), 0.05), dataset


def losses(model, optimizer, dataset, seed, epochs):
    """Train for epochs of two updates, and yield the loss of each update."""
    loader = tg.DataLoader(dataset, 4, shuffle=True, seed=seed)
    for _ in range(epochs):
        for x, labels in loader:
            loss = tg.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


# Flat memory


@counts(1000, 1_000_000)
def test_memory_is_flat_over_many_updates(count):
    model, optimizer, dataset = classifier()

    def updates():
        for loss in losses(model, optimizer, dataset, seed=0, epochs=count // 20):
            assert math.isfinite(loss)

    check_flat(updates)


@counts(1000, 100_000)
def test_memory_is_flat_over_deep_graphs(count):
    x = tg.Tensor(1.0, requires_grad=True)

    def graph():
        y = x
        for _ in range(count):
            y = y * x
        y.backward()
        assert x.grad.item() == count + 1  # of x to the power of count + 1, at 1
        x.grad = None

    check_flat(graph)


@counts(1000, 100_000)
def test_memory_is_flat_over_deep_graphs_of_second_derivatives(count):
    x = tg.Tensor(1.0, requires_grad=True)

    def graph():
        y = x
        for _ in range(count):
            y = y * x
        (slope,) = tg.grad(y, x, create_graph=True)
        (bend,) = tg.grad(slope, x)
        assert (slope.item(), bend.item()) == (count + 1, (count + 1) * count)

    check_flat(graph)


@counts(500, 100_000)
def test_memory_is_flat_over_many_hessian_products(count):
    model, _, dataset = classifier()
    x, labels = dataset[:]
    v = None

    def products():
        nonlocal v
        for _ in range(count // 10):
            H = tg.HessianOperator(lambda: tg.cross_entropy(model(x), labels), model.parameters())
            v = H @ (H.gradient if v is None else v)
            v = v / (v * v).sum() ** 0.5

    check_flat(products)


# Threads

JOBS = list(itertools.product(range(2), [tg.SGD, tg.Momentum]))


def job(seed, make, epochs):
    """Train, look at the whole dataset after each update, and return all the numbers."""
    model, optimizer, dataset = classifier(seed, make)
    numbers = []
    for loss in losses(model, optimizer, dataset, seed, epochs):
        with tg.no_grad():
            guesses = model(dataset[:][0])
            assert not guesses.requires_grad
        numbers.append((loss, guesses.numpy().tolist()))
    return numbers


@counts(100, 20_000)
def test_threads_that_train_at_once_have_the_numbers_of_one_alone(count):
    alone = [job(*each, epochs=count // 2) for each in JOBS]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that they take turns within each operation
    try:
        with ThreadPoolExecutor(len(JOBS)) as threads:
            jobs = [threads.submit(job, *each, epochs=count // 2) for each in JOBS]
            assert [each.result() for each in jobs] == alone
    finally:
        sys.setswitchinterval(interval)
