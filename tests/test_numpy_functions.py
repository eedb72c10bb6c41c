"""The door out: NumPy's own functions on Tensors."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import advice, numpy_functions

A = np.array([[0.5, 1.5, 2.0], [1.25, 0.25, 3.0]])
B = np.array([[2.0, 0.5, 1.0], [1.0, 1.25, 0.5]])

# a call of NumPy's, and the operation that it records
RECORDED = {
    "add": (lambda x: np.add(x, B), "add"),
    "subtract": (lambda x: np.subtract(B, x), "subtract"),
    "negative": (np.negative, "negative"),
    "multiply": (lambda x: np.multiply(x, x), "multiply"),
    "square": (np.square, "multiply"),
    "divide": (lambda x: np.divide(1.0, x), "divide"),
    "true_divide": (lambda x: np.true_divide(x, 2), "divide"),
    "power": (lambda x: np.power(x, 3), "power"),
    "exp": (np.exp, "exp"),
    "log": (np.log, "log"),
    "expm1": (np.expm1, "expm1"),
    "log1p": (np.log1p, "log1p"),
    "logaddexp": (lambda x: np.logaddexp(x, B), "logaddexp"),
    "sqrt": (np.sqrt, "sqrt"),
    "sin": (np.sin, "sin"),
    "cos": (np.cos, "cos"),
    "tanh": (np.tanh, "tanh"),
    "abs": (np.abs, "abs"),
    "absolute": (np.absolute, "abs"),
    "maximum": (lambda x: np.maximum(x, 1.1), "maximum"),
    "minimum": (lambda x: np.minimum(B, x), "minimum"),
    "matmul": (lambda x: np.matmul(x, B.T), "matmul"),
    "where": (lambda x: np.where(A > 1, x, B), "where"),
    "where by name": (lambda x: np.where(x > 1, 0.0, x), "where"),
    "reshape": (lambda x: np.reshape(x, (3, 2)), "reshape"),
    "transpose": (np.transpose, "transpose"),
    "transpose axes": (lambda x: np.transpose(x, axes=(1, 0)), "transpose"),
    "broadcast_to": (lambda x: np.broadcast_to(x, shape=(2, 2, 3)), "broadcast_to"),
    "concatenate": (lambda x: np.concatenate([x, B], axis=1), "concatenate"),
    "concatenate flat": (lambda x: np.concatenate([B, x], axis=None), "concatenate"),
    "stack": (lambda x: np.stack([x, B], axis=-1), "stack"),
    "ravel": (np.ravel, "ravel"),
    "squeeze": (lambda x: np.squeeze(x[None], axis=0), "squeeze"),
    "expand_dims": (lambda x: np.expand_dims(x, -1), "expand_dims"),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 1), "swapaxes"),
    "clip": (lambda x: np.clip(x, 0.75, 2.5), "clip"),
    "clip by name": (lambda x: np.clip(x, a_min=None, a_max=1.75), "clip"),
    "std": (lambda x: np.std(x, axis=0, ddof=1), "std"),
    "sum": (np.sum, "sum"),
    "sum axis": (lambda x: np.sum(x, axis=0), "sum"),
    "sum by position": (lambda x: np.sum(x, 1, None, None, True), "sum"),
    "mean": (lambda x: np.mean(x, axis=(0, 1), keepdims=True), "mean"),
    "var": (lambda x: np.var(x, axis=0, ddof=1), "var"),
    "var by position": (lambda x: np.var(x, 0, None, None, 1), "var"),
    "max": (lambda x: np.max(x, axis=1), "max"),
    "amax": (lambda x: np.amax(x), "max"),
    "min": (lambda x: np.min(x, 0), "min"),
    "amin": (lambda x: np.amin(x, keepdims=True), "min"),
    "add.reduce": (lambda x: np.add.reduce(x), "sum"),
    "maximum.reduce": (lambda x: np.maximum.reduce(x, axis=1), "max"),
    "array + x": (lambda x: B + x, "add"),
    "array @ x": (lambda x: B.T @ x, "matmul"),
    "number * x": (lambda x: np.float64(2) * x, "multiply"),
}


def leaf():
    return tg.Tensor(A, requires_grad=True)


@pytest.mark.parametrize("name", RECORDED)
def test_numpys_function_has_numpys_value_and_is_recorded(name):
    f, operation = RECORDED[name]
    y = f(leaf())
    assert y.node.operation.name == operation
    np.testing.assert_allclose(y.numpy(), f(A), rtol=1e-15)
    tg.check_grads(lambda x: f(x) * 1.0, A)


@pytest.mark.parametrize(
    "f", [np.exp, np.tanh, np.square, np.sum, np.mean, np.max, np.transpose, lambda x: np.add(x, x)]
)
def test_numpys_name_is_ours_on_every_backend(f):
    y = f(leaf())
    np.testing.assert_allclose(y.numpy(), f(A), rtol=1e-14)
    assert y.requires_grad


def test_every_name_of_the_tables_is_there():
    names = len(numpy_functions.UFUNCS) + len(numpy_functions.FUNCTIONS)
    assert names > 30
    for ours in [*numpy_functions.UFUNCS.values(), *numpy_functions.FUNCTIONS.values()]:
        assert callable(ours)


@pytest.mark.parametrize("name", "floor ceil rint trunc sign signbit isfinite isnan isinf".split())
def test_what_is_piecewise_constant_is_a_tensor_without_a_gradient(name):
    y = getattr(np, name)(leaf())
    assert isinstance(y, tg.Tensor)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), getattr(np, name)(A))


LOOKS = {
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "allclose": lambda x: np.allclose(x, A),
    "isclose": lambda x: np.isclose(x, A),
    "array_equal": lambda x: np.array_equal(x, A),
    "argmax": np.argmax,
    "argsort": lambda x: np.argsort(x, axis=0),
    "any": lambda x: np.any(x > 2),
    "all": lambda x: np.all(x > 2),
    "count_nonzero": np.count_nonzero,
    "nonzero": np.nonzero,
    "where": lambda x: np.where(x > 1),
    "zeros_like": np.zeros_like,
    "result_type": lambda x: np.result_type(x, np.float32),
    "array2string": lambda x: np.array2string(x, precision=2),
    "shares_memory": lambda x: np.shares_memory(x, A),
    "iscomplexobj": np.iscomplexobj,
}


@pytest.mark.parametrize("name", LOOKS)
def test_what_only_looks_works_with_and_without_a_gradient(name):
    expected = LOOKS[name](A)
    for x in (leaf(), tg.Tensor(A)):
        result = LOOKS[name](x)
        assert not isinstance(result, tg.Tensor) or not result.requires_grad
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("name", "f"),
    [
        (name, getattr(np, name))
        for name in advice.FUNCTIONS
        if getattr(np, name, np.square) not in (*numpy_functions.UFUNCS, *numpy_functions.FUNCTIONS)
    ]
    + [("linalg.norm", np.linalg.norm), ("median", np.median), ("cumsum", np.cumsum)],
)
def test_what_would_lose_the_gradient_is_refused_with_advice(name, f):
    arguments = {
        "dot": [A.T], "inner": [A], "vdot": [A], "tensordot": [A], "outer": [A], "hypot": [A],
        "float_power": [2], "mod": [2], "remainder": [2], "moveaxis": [0, 1], "take": [0],
        "tile": [2],
    }.get(name, [])  # fmt: skip
    call = (lambda x: f([x, x])) if name in ("hstack", "vstack") else lambda x: f(x, *arguments)
    if name == "einsum":
        call = lambda x: np.einsum("ij->i", x)  # noqa: E731
    message = rf"np\.(linalg\.)?{f.__name__} .*would not be recorded: use .*detach\(\)"
    with pytest.raises(TypeError, match=message):
        call(leaf())
    np.testing.assert_array_equal(call(tg.Tensor(A)), call(A))  # a constant has none to lose


def test_options_of_numpys_that_ours_have_not_are_refused_unless_they_change_nothing():
    x = leaf()
    assert np.sum(x, dtype=None, out=None).item() == A.sum()
    for call, option in [
        (lambda: np.sum(x, dtype="float32"), "dtype"),
        (lambda: np.max(x, initial=5.0), "initial"),
        (lambda: np.mean(x, where=A > 1), "where"),
        (lambda: np.add.reduce(x, initial=1.0), "initial"),
    ]:
        with pytest.raises(TypeError, match=f"takes no {option}="):
            call()
    with pytest.raises(TypeError, match="cannot write a Tensor into an array: write a = a"):
        np.add(A, x, out=np.zeros_like(A))
    total = np.zeros_like(A)
    with pytest.raises(TypeError, match="cannot write a Tensor into an array: write a = a"):
        total += x
    assert not total.any()
