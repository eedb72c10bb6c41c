"""Several arrays as one: each formula does to all of them what it does to one."""

import itertools

import numpy as np
import pytest
from specimens import device, host, leaf
from test_ops import CASES

import tinygrad_edu as tg
from tinygrad_edu import curvature
from tinygrad_edu.stacked import Stacked

RANDOM = np.random.default_rng(0)
DTYPES = ["float16", "float32", "float64"]


@pytest.fixture
def passes(monkeypatch):
    """Count the backward passes that products with a Hessian take."""
    calls = []
    grad = curvature.grad

    def counting(*arguments, **options):
        calls.append(arguments)
        return grad(*arguments, **options)

    monkeypatch.setattr(curvature, "grad", counting)
    return calls


def products_agree(f, params, passes, count=5):
    """Whether products with several vectors at once are those one by one; in how many passes."""
    H = tg.HessianOperator(f, params)
    V = device(RANDOM.normal(size=(H.shape[0], count)).astype(H.dtype))
    passes.clear()
    together = host(H @ V)
    number = len(passes)
    one_by_one = np.stack([host(H @ v) for v in V.T], axis=1)
    scale = np.abs(one_by_one).max(initial=0)
    epsilon = np.finfo(H.dtype).eps
    np.testing.assert_allclose(together, one_by_one, rtol=0, atol=20 * epsilon * scale)
    assert together.dtype == H.dtype
    return number


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_every_operation_takes_several_vectors_at_once(name, dtype, passes):
    for function, inputs in CASES[name]:
        params = [leaf(np.asarray(array, dtype)) for array in inputs]

        def f(function=function, params=params):
            y = function(*params)
            return (y * y / 10).sum()

        assert products_agree(f, params, passes) <= 1


MATRICES = [(3,), (4, 3), (2, 4, 3), (2, 1, 4, 3), (1, 3)]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(MATRICES, repeat=2)))
def test_products_of_matrices_of_any_shapes(a, b, passes):
    x, y = leaf(RANDOM.normal(size=a)), leaf(RANDOM.normal(size=b if len(b) == 1 else b[::-1][:2]))
    if len(b) > 2:
        y = leaf(RANDOM.normal(size=(*b[:-2], 3, 5)))
    assert products_agree(lambda: ((x @ y) ** 2).sum(), [x, y], passes) == 1


INDICES = [
    (1,), (slice(None, 1),), (..., 0), (None, 1), (..., slice(1, 3)), ([0, 1, 0],),
    (slice(None), [0, 0]), ([0, 1], slice(None), [1, 1]), (0, slice(None), [2, 2, 0]),
    ([[0, 1]], [[1], [2]]), (slice(None), 0, [1, 1]), ([1, 1], ..., 0), (None, [0, 0], ..., [1, 3]),
    (RANDOM.random((2, 3, 4)) > 0.5,), (slice(None), RANDOM.random((3, 4)) > 0.5), (True, [1]),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indices_of_every_kind(index, passes):
    x = leaf(RANDOM.normal(size=(2, 3, 4)))
    index = tuple(device(part) if isinstance(part, np.ndarray) else part for part in index)
    assert products_agree(lambda: ((x * x)[index] ** 2).sum(), [x], passes) == 1


def test_single_numbers_empty_arrays_and_parameters_that_are_not_used(passes):
    a, b, empty, unused = leaf(2.0), leaf(3.0), leaf(np.ones((0, 3))), leaf(np.ones(2))
    params = [a, b, empty, unused]
    assert products_agree(lambda: a * b * b + (empty**2).sum(), params, passes) == 1
    assert products_agree(lambda: 3 * a + unused.sum(), params, passes) == 0  # linear: all zeros
    w = leaf(np.ones(0))
    assert (tg.HessianOperator(lambda: (w * w).sum(), [w]) @ device(np.ones((0, 3)))).shape == (
        0,
        3,
    )


def test_whole_networks(passes):
    images, labels = tg.datasets.digits()[0][:20]
    model = tg.nn.perceptron(64, 5, 10, seed=0)
    for loss in (
        tg.cross_entropy,
        lambda scores, labels: tg.log_softmax(scores)[range(20), 3].sum(),
    ):
        f = lambda loss=loss: loss(model(images), labels)  # noqa: E731
        assert products_agree(f, model.parameters(), passes, count=70) == 2  # 64 and 6


def test_a_formula_of_ones_own_that_does_not_take_them_gets_one_by_one(passes):
    @tg.op(lambda g, y, x: cumulated_back(g))
    def cumulated(x):
        return np.cumsum(x)

    @tg.op(lambda g, y, x: cumulated(g))
    def cumulated_back(x):
        return np.cumsum(x[::-1])[::-1]

    @tg.op(lambda g, y, x: g * 3 * x**2 if bool((g == g).all()) else g)
    def cubed(x):
        return x**3

    w = leaf(np.array([1.0, 2.0, 3.0]))
    assert products_agree(lambda: (cumulated(w) ** 2 / 2).sum(), [w], passes) == 1 + 5
    assert products_agree(lambda: (cubed(w) ** 2).sum(), [w], passes) == 1 + 5


def test_what_is_wrong_with_a_formula_is_said():
    @tg.op(lambda g, y, x: g.no_such_method())
    def broken(x):
        return x * 1.0

    w = leaf(np.array([1.0, 2.0]))
    H = tg.HessianOperator(lambda: (w * w).sum(), [w])
    assert host(H @ device(np.eye(2))).tolist() == [[2, 0], [0, 2]]
    with pytest.raises(AttributeError, match="no_such_method") as caught:
        tg.HessianOperator(lambda: broken(w * w).sum(), [w])
    assert "VJP 1 of broken" in caught.value.__notes__[0]


def test_lists_are_aligned_as_arrays_are():
    pair = Stacked(np.array([1.0, 10.0]))  # two numbers
    for both in (pair * [1.0, 2.0], np.where(True, pair, [3.0, 4.0]) * [1.0, 2.0]):
        assert both.array.tolist() == [[1, 2], [10, 20]]


def test_what_would_mix_the_arrays_is_refused():
    pair = Stacked(device(np.ones((2, 3))))
    for call in (lambda: bool(pair), lambda: np.asarray(pair), lambda: np.cumsum(pair)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError):
        pair += 1
    assert (pair.shape, pair.ndim, pair.size, pair.dtype) == ((3,), 1, 3, np.float64)
