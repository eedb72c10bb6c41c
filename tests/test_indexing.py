"""x[index], as NumPy has it: values and gradients, on every backend."""

import collections
import itertools

import numpy as np
import pytest

import tinygrad_edu as tg

T = tg.Tensor
X = np.arange(24.0).reshape(4, 3, 2) + 1


def here(array):
    """An index array where the Tensors are."""
    return T(array).data


class Position:
    """An object that stands for an integer."""

    def __index__(self):
        return 2


# an index as it is written, and how NumPy on its own would be given it
CASES = {
    "nothing": ((), ()),
    "an integer": (1, 1),
    "a negative integer": (-1, -1),
    "NumPy's integer": (np.int32(2), 2),
    "an integer Tensor": (T(2), 2),
    "what stands for an integer": (Position(), 2),
    "slices": ((slice(None, None, -2), slice(1, 3)), (slice(None, None, -2), slice(1, 3))),
    "ellipsis and None": ((..., None, 0), (..., None, 0)),
    "a list": ([0, 0, 3], [0, 0, 3]),
    "a list of lists": ([[0, 0], [3, 3]], [[0, 0], [3, 3]]),
    "an empty list": ([], np.zeros(0, int)),
    "an empty list in a tuple": ((slice(None), []), (slice(None), np.zeros(0, int))),
    "an empty tuple in a tuple": (((), 0), (np.zeros(0, int), 0)),
    "empty lists in a list": ([[], []], np.zeros((2, 0), int)),
    "a tuple in a tuple": (((0, 0),), ([0, 0],)),
    "tuples in a tuple": (((0, 0), (1, 1)), ([0, 0], [1, 1])),
    "a tuple behind a slice": ((slice(None), (2, 2, 0)), (slice(None), [2, 2, 0])),
    "a tuple behind ...": ((..., (1, 1)), (..., [1, 1])),
    "a tuple beside an integer": ((3, (0, 0)), (3, [0, 0])),
    "tuples in a list": ([(0, 0), (1, 1)], [[0, 0], [1, 1]]),
    "a list of tuples in a tuple": (([(0, 0), (0, 3)],), ([[0, 0], [0, 3]],)),
    "a range": (range(3), [0, 1, 2]),
    "a range backwards": (range(3, -1, -2), [3, 1]),
    "an empty range": (range(0), np.zeros(0, int)),
    "a range in a tuple": ((range(2), range(2)), ([0, 1], [0, 1])),
    "a range and a tuple": ((range(2), (0, 0)), ([0, 1], [0, 0])),
    "a deque": (collections.deque([1, 1]), [1, 1]),
    "bytes": (bytearray([1, 1]), [1, 1]),
    "a memoryview": (memoryview(bytearray([1, 1])), [1, 1]),
    "negative numbers that repeat": ([-1, 3, -1], [-1, 3, -1]),
    "an array": (here([0, 0]), [0, 0]),
    "an array of 2 axes": (here([[0, 0], [1, 0]]), [[0, 0], [1, 0]]),
    "an array of the host": (np.array([2, 2]), [2, 2]),
    "an array of bytes": (here(np.array([1, 1], "uint8")), [1, 1]),
    "arrays": ((here([0, 0]), here([1, 1])), ([0, 0], [1, 1])),
    "arrays that broadcast": ((here([[0], [0]]), here([1, 1])), ([[0], [0]], [1, 1])),
    "an array and a list": ((here([0, 0]), [1, 1]), ([0, 0], [1, 1])),
    "an array with a new axis": ((here([0, 0]), None, 1), ([0, 0], None, 1)),
    "arrays apart": (([0, 0], slice(None), [1, 1]), ([0, 0], slice(None), [1, 1])),
    "a Tensor": (T([1, 1]), [1, 1]),
    "Tensors": ((T([0, 0]), T([1, 1])), ([0, 0], [1, 1])),
    "Tensors in a list": ([T(0), T(0), T(3)], [0, 0, 3]),
    "a Tensor in a tuple in a tuple": (((T(0), T(0)), 1), ([0, 0], 1)),
    "a mask": (T(X > 9), X > 9),
    "a mask of the first axis": (here([True, False, True, True]), [True, False, True, True]),
    "a mask as a list": ([True, False, True, False], [0, 2]),
    "a mask as a tuple": ((slice(None), (True, False, True)), (slice(None), [0, 2])),
    "a mask of the host": (np.array([True, False, True, True]), [0, 2, 3]),
    "a mask of nothing": (here(np.zeros(4, bool)), np.zeros(0, int)),
    "a mask and a list": (([True, False, True, False], [1, 1]), ([0, 2], [1, 1])),
    "a mask and an integer": (([True, False, True, False], 1), ([0, 2], 1)),
    "True": (True, True),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_numpy(case):
    index, plain = CASES[case]
    x = T(X, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), X[plain])
    weights = np.arange(1.0, y.size + 1).reshape(y.shape)
    (g,) = tg.grad(y, x, T(weights))
    expected = np.zeros_like(X)
    np.add.at(expected, plain, weights)
    np.testing.assert_array_equal(g.numpy(), expected)
    placed = tg.ops.scatter(T(weights), index, X.shape)
    np.testing.assert_array_equal(placed.numpy(), expected)


@pytest.mark.parametrize("case", CASES)
def test_second_derivatives_go_through_an_index(case):
    index, plain = CASES[case]
    x = T(X, requires_grad=True)
    (g,) = tg.grad((x[index] ** 3).sum(), x, create_graph=True)
    (h,) = tg.grad(g.sum(), x)
    count = np.zeros_like(X)
    np.add.at(count, plain, 1)
    np.testing.assert_allclose(h.numpy(), 6 * X * count)


@pytest.mark.parametrize("index", [None, ..., (), (None, ...), True, (None, True)])
def test_a_single_number_can_be_indexed(index):
    x = T(3.0, requires_grad=True)
    y = x[index]
    assert y.shape == np.float64(3)[index].shape
    (y * 2).sum().backward()
    assert (x.grad.shape, x.grad.item()) == ((), 2)


def test_labels_may_be_a_list_a_tuple_or_an_array():
    scores = np.arange(6.0).reshape(3, 2)
    expected = None
    for rows, labels in itertools.product(
        [range(3), [0, 1, 2], (0, 1, 2), np.arange(3), T([0, 1, 2])],
        [[1, 0, 1], (1, 0, 1), np.array([1, 0, 1]), T([1, 0, 1]), [T(1), T(0), T(1)]],
    ):
        x = T(scores, requires_grad=True)
        (-tg.log_softmax(x)[rows, labels]).mean().backward()
        if expected is None:
            y = T(scores, requires_grad=True)
            tg.cross_entropy(y, T([1, 0, 1])).backward()
            expected = y.grad.numpy()
        np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-15)


def test_a_list_that_changes_afterwards_changes_nothing():
    x, index = T([1.0, 2.0, 3.0], requires_grad=True), [0, 0]
    y = x[index]
    index[:] = [2]
    y.sum().backward()
    assert x.grad.numpy().tolist() == [2, 0, 0]


@pytest.mark.parametrize(
    "index",
    [4, -5, [4], (0, 3), ([0, -5],), range(5), (slice(None), (0, 3)), np.array([4]), [[0], [9]]],
)
def test_what_is_out_of_range_is_refused_where_it_can_be_known(index):
    with pytest.raises(IndexError, match="out of bounds"):
        T(X)[index]
    with pytest.raises(IndexError, match="out of bounds"):
        tg.ops.scatter(T(1.0), index, X.shape)


@pytest.mark.parametrize("index", [1.0, [0.5], "a", {0}, {0: 1}, [None], (0, 0, 0, 0), T([1.0])])
def test_what_is_no_index_is_refused(index):
    with pytest.raises(IndexError):
        T(X)[index]


@pytest.mark.parametrize("shape", [(40,), (7, 5), (3, 200), (2, 30, 20), (5000,)])
def test_a_mask_of_the_first_axes_takes_what_numpy_takes(shape):
    generator = np.random.default_rng(0)
    mask, data = generator.random(shape) > 0.4, generator.normal(size=(*shape, 3))
    x = tg.Tensor(data, requires_grad=True)
    y = x[tg.Tensor(mask)]
    np.testing.assert_array_equal(y.numpy(), data[mask])
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * data * mask[..., None])


@pytest.mark.parametrize(("index", "value"), [(False, np.ones(0)), (True, np.ones(1)), ((), 1.0)])
def test_a_single_number_is_indexed_and_put_back(index, value):
    x = tg.Tensor(3.0, requires_grad=True)
    assert x[index].shape == np.shape(value)
    x[index].sum().backward()
    assert (x.grad.shape, x.grad.item()) == ((), np.sum(value))
    put = tg.ops.scatter(tg.Tensor(value), index, ())
    assert (put.shape, put.item()) == ((), np.sum(value))
