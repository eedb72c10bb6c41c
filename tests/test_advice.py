"""The names that users of micrograd, PyTorch and NumPy type first work, or say what to type."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import advice, ops

X = [[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]]


def leaf():
    return tg.Tensor(X, requires_grad=True)


WORKING = """
    backward data grad item numpy detach shape ndim size dtype T requires_grad
    exp expm1 log log1p sqrt sin cos tanh sigmoid relu abs clip maximum minimum matmul
    sum mean var std max min softmax log_softmax logsumexp all any argmax argmin
    reshape ravel squeeze expand_dims transpose swapaxes broadcast_to astype to
"""


@pytest.mark.parametrize("name", WORKING.split())
def test_a_tensor_has_the_name(name):
    assert hasattr(leaf(), name)


ONE = "exp expm1 sin cos tanh sigmoid relu abs ravel squeeze".split()


@pytest.mark.parametrize("name", [*ONE, "sum", "mean", "var", "std", "max", "min"])
def test_a_method_is_the_operation(name):
    x = leaf()
    method, function = getattr(x, name)(), getattr(ops, name)(x)
    assert method.node.operation is function.node.operation
    assert method.numpy().tolist() == function.numpy().tolist()


@pytest.mark.parametrize(
    ("method", "function"),
    [
        (lambda x: x.clip(0, 1), lambda x: tg.clip(x, 0, 1)),
        (lambda x: x.clip(max=1), lambda x: tg.clip(x, max=1)),
        (lambda x: x.softmax(axis=0), lambda x: tg.softmax(x, axis=0)),
        (lambda x: x.softmax(), tg.softmax),
        (lambda x: x.log_softmax(), tg.log_softmax),
        (lambda x: x.logsumexp(1), lambda x: tg.logsumexp(x, 1)),
        (lambda x: x.maximum(0.0), lambda x: tg.maximum(x, 0.0)),
        (lambda x: x.matmul(x.T), lambda x: x @ x.T),
        (lambda x: x.expand_dims(1), lambda x: x[:, None]),
        (lambda x: x.swapaxes(0, 1), lambda x: x.T),
        (lambda x: x.sum(axis=0, keepdims=True), lambda x: tg.sum(x, 0, True)),
        (lambda x: x.std(0, ddof=1), lambda x: tg.std(x, axis=0, ddof=1)),
        (lambda x: x.broadcast_to((2, 2, 3)), lambda x: tg.broadcast_to(x, (2, 2, 3))),
        (lambda x: x.astype("float32"), lambda x: tg.astype(x, "float32")),
        (lambda x: +x, lambda x: x),
    ],
)
def test_a_method_takes_the_options_of_the_function(method, function):
    x = leaf()
    assert method(x).numpy().tolist() == function(x).numpy().tolist()
    assert method(x).requires_grad


# What is piecewise constant has no gradient


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: (x > 0) & (x < 1), [[False, False, True], [False, True, False]]),
        (lambda x: (x > 0) | (x < -1), [[True, True, True], [True, True, False]]),
        (lambda x: (x > 0) ^ True, [[False, True, False], [False, False, True]]),
        (lambda x: True & (x > 0), [[True, False, True], [True, True, False]]),
        (lambda x: ~(x > 0), [[False, True, False], [False, False, True]]),
        (lambda x: (x > 0).all(), False),
        (lambda x: (x > 0).any(axis=0), [True, True, True]),
        (lambda x: (x > 0).all(axis=(0, 1), keepdims=True), [[False]]),
        (lambda x: x.argmax(), 3),
        (lambda x: x.argmax(axis=1), [0, 0]),
        (lambda x: x.argmin(0), [0, 0, 1]),
        (lambda x: x // 2, [[0, -1, 0], [1, 0, -1]]),
        (lambda x: 7 // x, [[7, -4, 14], [2, 28, -7]]),
        (lambda x: round(x), [[1, -2, 0], [3, 0, -1]]),
        (lambda x: round(x * 0.33, 1), [[0.3, -0.7, 0.2], [1.0, 0.1, -0.3]]),
    ],
)
def test_what_is_piecewise_constant_is_not_recorded(f, expected):
    y = f(leaf())
    assert isinstance(y, tg.Tensor)
    assert not y.requires_grad
    assert y.numpy().tolist() == expected


def test_a_mask_of_floats_is_refused():
    with pytest.raises(TypeError, match="and_? was given: float64"):
        leaf() & leaf()


# The names that are not there


@pytest.mark.parametrize("name", advice.TENSOR)
def test_a_tensor_says_what_to_type(name):
    with pytest.raises(AttributeError, match=f"a Tensor has no '{name}': use "):
        getattr(leaf(), name)


@pytest.mark.parametrize("name", advice.PACKAGE)
def test_the_package_says_what_to_type(name):
    with pytest.raises(AttributeError, match=f"tinygrad_edu has no '{name}': use "):
        getattr(tg, name)


@pytest.mark.parametrize("name", advice.NETWORKS)
def test_networks_say_what_to_type(name):
    with pytest.raises(AttributeError, match=rf"tinygrad_edu\.nn has no '{name}': use "):
        getattr(tg.nn, name)


def test_a_remainder_says_what_to_type():
    for f in (lambda x: x % 2, lambda x: 2 % x):
        with pytest.raises(TypeError, match=r"no %: write x - x // n \* n"):
            f(leaf())


@pytest.mark.parametrize("owner", [leaf(), tg, tg.nn])
def test_other_names_are_simply_not_there(owner):
    assert not hasattr(owner, "nonsense")
    assert not hasattr(owner, "__nonsense__")


def test_what_is_advised_works():
    x, n = leaf(), 2.0
    assert (x - x // n * n).numpy().tolist() == [[1.0, 0.0, 0.5], [1.0, 0.25, 1.0]]
    x = x * x
    for text in advice.TENSOR.values():
        code = text.partition(", or")[0]
        if (
            "…" not in code
            and "cupy" not in code
            and code.startswith(("x.", "x[", "tg.", "-x", "2.0 **", "1 / x"))
        ):
            names = {"x": x, "tg": tg, "np": np, "min": 0, "max": 1, "shape": (2, 2, 3), "axis": 0}
            eval(code, {**names, "indices": [0], "loss": x.sum(), "a": x, "b": x})
