"""Every operation: its value is NumPy's, and its derivatives are those of finite differences."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functions, ops

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(2, 3, 4))
POSITIVE = RANDOM.uniform(0.5, 2, size=(3, 4))
ROW = RANDOM.uniform(0.5, 2, size=4)
APART = RANDOM.permutation(np.linspace(-2, 2, 12)).reshape(3, 4)  # no ties, and not near 0
MASK = tg.Tensor(A > 0)
LABELS = tg.Tensor(np.array([0, 3, 1]))
PICKS = tg.Tensor(np.array([2, 0, 2]))

# operation: its cases, each a function of Tensors and where to check it
CASES = {
    "add": [(ops.add, [A, ROW]), (lambda x: 1 + x, [A]), (lambda x: x + x, [A])],
    "subtract": [(ops.subtract, [A, ROW]), (lambda x: 1 - x, [A])],
    "negative": [(ops.negative, [A])],
    "multiply": [(ops.multiply, [A, ROW]), (lambda x: 2 * x, [A]), (lambda x: x * x, [A])],
    "divide": [(ops.divide, [A, ROW]), (lambda x: 1 / x, [POSITIVE]), (lambda x: x / 3, [A])],
    "power": [
        (ops.power, [POSITIVE, ROW]),
        (lambda x: x**3, [A]),
        (lambda x: x**-0.5, [POSITIVE]),
        (lambda x: 2.5**x, [A]),
        (lambda x: x**0, [np.array([0.0, 1.0])]),
        (lambda x: x**2, [np.array([0.0, 1.0])]),
    ],
    "exp": [(ops.exp, [A])],
    "log": [(ops.log, [POSITIVE])],
    "expm1": [(ops.expm1, [A])],
    "log1p": [(ops.log1p, [POSITIVE - 0.9])],
    "logaddexp": [(ops.logaddexp, [A, ROW]), (lambda x: ops.logaddexp(x, 0), [A])],
    "sqrt": [(ops.sqrt, [POSITIVE])],
    "sin": [(ops.sin, [A])],
    "cos": [(ops.cos, [A])],
    "tanh": [(ops.tanh, [A])],
    "sigmoid": [(ops.sigmoid, [A])],
    "abs": [(ops.abs, [APART])],
    "select": [(lambda x: ops.select(MASK, x * x), [A])],
    "relu": [(lambda x: ops.relu(x) * x, [APART])],
    "where": [(lambda a, b: ops.where(MASK, a * b, b), [A, ROW])],
    "maximum": [(lambda a, b: ops.maximum(a, b) ** 2, [APART, A]), (ops.maximum, [APART, 0.1])],
    "minimum": [(lambda a, b: ops.minimum(a, b) ** 2, [APART, A]), (ops.minimum, [APART, 0.1])],
    "clip": [
        (lambda x: ops.clip(x * x, 0.1, 1.5), [APART]),
        (lambda x: ops.clip(x * x * x, max=0.3), [APART]),
    ],
    "reshape": [(lambda x: ops.reshape(x * x, (2, -1)), [A])],
    "transpose": [
        (lambda x: ops.transpose(x * x), [A]),
        (lambda x: ops.transpose(x * x, (2, 0, 1)), [RANDOM.normal(size=(2, 3, 2))]),
        (lambda x: ops.transpose(x * x, (-1, 0, -2)), [RANDOM.normal(size=(2, 3, 2))]),
    ],
    "ravel": [(lambda x: ops.ravel(x * x), [A])],
    "squeeze": [
        (lambda x: ops.squeeze(x * x), [RANDOM.normal(size=(1, 3, 1))]),
        (lambda x: ops.squeeze(x * x, axis=-1), [RANDOM.normal(size=(1, 3, 1))]),
    ],
    "expand_dims": [
        (lambda x: ops.expand_dims(x * x, 1), [A]),
        (lambda x: ops.expand_dims(x * x, (0, -1)), [A]),
    ],
    "swapaxes": [(lambda x: ops.swapaxes(x * x, 0, -1), [RANDOM.normal(size=(2, 3, 2))])],
    "broadcast_to": [(lambda x: ops.broadcast_to(x * x, (2, 3, 4)), [ROW])],
    "astype": [(lambda x: ops.astype(x * x, "float64"), [A])],
    "getitem": [
        (lambda x: (x * x)[1], [A]),
        (lambda x: (x * x)[..., 1:3], [A]),
        (lambda x: (x * x)[::-1, None, -1], [A]),
        (lambda x: (x * x)[PICKS], [A]),
        (lambda x: (x * x)[1:, PICKS], [A]),
        (lambda x: (x * x)[PICKS, PICKS], [A]),
        (lambda x: (x * x)[MASK], [A]),
        (lambda x: (x * x)[[0, 0]], [A]),
    ],
    "scatter": [(lambda x: ops.scatter(x * x, PICKS, (5, 4)), [A])],
    "concatenate": [
        (lambda a, b: ops.concatenate([a * a, b, a]), [A, B]),
        (lambda a, b: ops.concatenate([a * b, b], axis=-1), [A, B]),
    ],
    "stack": [
        (lambda a, b: ops.stack([a * b, b]), [A, B]),
        (lambda a, b: ops.stack([a * b, b], axis=-1), [A, B]),
    ],
    "restore_axes": [(lambda x: x / ops.restore_axes(x.sum(axis=0), x, 0), [POSITIVE])],
    "sum": [
        (lambda x: ops.sum(x * x), [A]),
        (lambda x: ops.sum(x * x, axis=0), [A]),
        (lambda x: ops.sum(x * x, (0, -1), True), [A]),
    ],
    "mean": [
        (lambda x: ops.mean(x * x), [A]),
        (lambda x: ops.mean(x * x, axis=-1, keepdims=True), [A]),
    ],
    "var": [
        (lambda x: ops.var(x * x), [A]),
        (lambda x: ops.var(x * x, axis=1, ddof=1), [A]),
        (lambda x: ops.var(x * x, axis=(0, 1), keepdims=True), [A]),
    ],
    "std": [
        (lambda x: ops.std(x * x), [A]),
        (lambda x: ops.std(x * x, axis=1, ddof=1), [A]),
        (lambda x: ops.std(x * x, axis=(0, 1), keepdims=True), [A]),
    ],
    "max": [
        (lambda x: ops.max(x * x * x), [APART]),
        (lambda x: ops.max(x * x * x, axis=0), [APART]),
        (lambda x: ops.max(x * x * x, axis=(0, 1), keepdims=True), [APART]),
    ],
    "min": [
        (lambda x: ops.min(x * x * x), [APART]),
        (lambda x: ops.min(x * x * x, axis=1), [APART]),
    ],
    "matmul": [
        (ops.matmul, [A, B.T]),
        (ops.matmul, [ROW, ROW[::-1]]),
        (ops.matmul, [A, ROW]),
        (ops.matmul, [ROW, A.T]),
        (ops.matmul, [RANDOM.normal(size=(2, 2, 3)), RANDOM.normal(size=(3, 2))]),
        (ops.matmul, [RANDOM.normal(size=(2, 3)), RANDOM.normal(size=(2, 1, 3, 2))]),
        (ops.matmul, [RANDOM.normal(size=(2, 1, 2, 3)), RANDOM.normal(size=3)]),
        (ops.matmul, [RANDOM.normal(size=3), RANDOM.normal(size=(2, 3, 2))]),
    ],
    "linear": [
        (ops.linear, [A, RANDOM.normal(size=(4, 2)), RANDOM.normal(size=2)]),
        (ops.linear, [A, RANDOM.normal(size=(4, 2))]),
        (ops.linear, [ROW, RANDOM.normal(size=(4, 2)), RANDOM.normal(size=2)]),
        (ops.linear, [RANDOM.normal(size=(2, 2, 4)), RANDOM.normal(size=(4, 2)), [0.1, 0.2]]),
        (ops.linear, [RANDOM.normal(size=(1, 2, 4)), RANDOM.normal(size=(4, 2))]),
        (ops.linear, [A, RANDOM.normal(size=(4, 1))]),
    ],
    "logsumexp": [
        (functions.logsumexp, [A]),
        (lambda x: functions.logsumexp(x, axis=-1), [A]),
        (lambda x: functions.logsumexp(x, axis=(0, 1), keepdims=True), [A]),
    ],
    "softmax": [(functions.softmax, [A]), (lambda x: functions.softmax(x, axis=0), [A])],
    "log_softmax": [(functions.log_softmax, [A]), (lambda x: tg.log_softmax(x, axis=0), [A])],
    "cross_entropy": [(lambda x: functions.cross_entropy(x, LABELS), [A])],
    "binary_cross_entropy": [
        (lambda x: functions.binary_cross_entropy(x, MASK.astype(float)), [A]),
        (lambda x, t: functions.binary_cross_entropy(x, t), [A, POSITIVE / 3]),
    ],
    "mse_loss": [(functions.mse_loss, [A, B])],
}


def assert_equal(result, expected):
    """To the last bit on NumPy; CuPy has roundings of its own."""
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    eps = np.finfo(expected.dtype).eps if tg.backend.current() == "cupy" else 0
    np.testing.assert_allclose(result.numpy(), expected, rtol=16 * eps, atol=16 * eps)


def public(module):
    return [
        name
        for name, value in vars(module).items()
        if callable(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


@pytest.mark.parametrize("name", public(ops) + public(functions))
def test_derivatives_equal_finite_differences_to_second_order(name):
    assert name in CASES, f"add cases for {name} to CASES"
    for function, inputs in CASES[name]:
        tg.check_grads(function, inputs, order=2)


@pytest.mark.parametrize("name", ["tanh", "power", "divide", "softmax", "matmul", "cross_entropy"])
def test_third_derivatives_are_right_too(name):
    function, inputs = CASES[name][0]
    tg.check_grads(function, inputs, order=3)


OF_ONE = "negative exp log sqrt sin cos tanh abs transpose sum mean var max min".split()
OF_TWO = "add subtract multiply divide power maximum minimum".split()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", OF_ONE + OF_TWO)
def test_values_and_dtypes_are_those_of_numpy(name, dtype):
    arrays = [POSITIVE.astype(dtype), A.astype(dtype)][: 1 if name in OF_ONE else 2]
    result = getattr(ops, name)(*map(tg.Tensor, arrays))
    expected = getattr(np, name)(*arrays)
    assert_equal(result, expected)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions_take_their_options_by_position(name):
    result = getattr(ops, name)(tg.Tensor(A), 0, True)
    assert_equal(result, getattr(np, name)(A, axis=0, keepdims=True))
    assert ops.var(tg.Tensor(A), 0, 1, True).numpy() == pytest.approx(A.var(0, ddof=1)[None])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_python_numbers_never_widen(dtype):
    x = tg.Tensor(POSITIVE, requires_grad=True, dtype=dtype)
    y = (2 * x + 1.5) / 3 - x**2 + 2**x - (-x) ** 3
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.dtype == dtype


@pytest.mark.parametrize("wide", range(3))
def test_linear_is_as_wide_as_its_widest_operand(wide):
    dtypes = ["float64" if place == wide else "float32" for place in range(3)]
    x, weight, bias = (array.astype(dtype) for array, dtype in zip((A, B.T, ROW[:3]), dtypes))
    result = tg.linear(tg.Tensor(x), tg.Tensor(weight), tg.Tensor(bias))
    assert result.dtype == "float64"
    if tg.backend.current() == "cupy":  # which multiplies in the dtype of x and weight
        np.testing.assert_allclose(result.numpy(), x @ weight + bias, rtol=1e-6)
    else:
        assert_equal(result, x @ weight + bias)


def test_the_sigmoid_of_zero_is_a_half():
    assert tg.sigmoid(tg.Tensor([0.0])).numpy().tolist() == [0.5]


def test_gradients_have_the_shape_and_dtype_of_their_operand():
    narrow = tg.Tensor(ROW, requires_grad=True, dtype="float32")
    wide = tg.Tensor(A, requires_grad=True)
    (narrow * wide).sum().backward()
    assert (narrow.grad.shape, narrow.grad.dtype) == ((4,), "float32")
    assert (wide.grad.shape, wide.grad.dtype) == ((3, 4), "float64")


def gradient(function, x):
    x = tg.Tensor(x, requires_grad=True)
    function(x).sum().backward()
    return x.grad.numpy().tolist()


def test_relu_and_abs_have_slope_zero_at_zero():
    assert gradient(tg.relu, [-1.0, 0.0, 2.0]) == [0, 0, 1]
    assert gradient(tg.abs, [-1.0, 0.0, 2.0]) == [-1, 0, 1]


def test_ties_share_the_gradient_equally():
    assert gradient(tg.max, [1.0, 3.0, 3.0, 3.0]) == [0, 1 / 3, 1 / 3, 1 / 3]
    assert gradient(tg.min, [[1.0, 1.0], [3.0, 2.0]]) == [[1 / 2, 1 / 2], [0, 0]]
    assert gradient(lambda x: tg.maximum(x, 3.0), [1.0, 3.0, 4.0]) == [0, 1 / 2, 1]
    assert gradient(lambda x: tg.minimum(3.0, x), [1.0, 3.0, 4.0]) == [1, 1 / 2, 0]
    assert gradient(lambda x: tg.maximum(x, x), [1.0, 2.0]) == [1, 1]


def test_powers_have_finite_slopes_at_zero():
    assert gradient(lambda x: x**0, [0.0, 2.0]) == [0, 0]
    assert gradient(lambda x: x**1, [0.0, 2.0]) == [1, 1]
    assert gradient(lambda x: x**2, [0.0, 2.0]) == [0, 4]
    assert gradient(lambda x: x ** tg.Tensor([0.0, 1.0, 2.0]), [0.0, 0.0, 0.0]) == [0, 1, 0]
    assert gradient(lambda x: tg.Tensor([0.0, 1.0]) ** x, [2.0, 2.0]) == [0, 0]
    assert gradient(lambda x: tg.Tensor([0.0]) ** x, [0.0]) == [0]
    assert gradient(lambda x: x ** tg.Tensor([-1.0]), [2.0]) == [-1 / 4]


def test_a_negative_base_has_no_slope_along_its_exponent():
    with np.errstate(invalid="ignore"):
        (slope,) = gradient(lambda x: tg.Tensor([-2.0]) ** x, [2.0])
    assert np.isnan(slope)


def test_where_keeps_nan_of_the_branch_not_taken_out():
    assert gradient(lambda x: tg.where(x > 0, tg.log(tg.where(x > 0, x, 1)), 0), [0.0, 2.0]) == [
        0,
        0.5,
    ]
    nan = tg.Tensor([np.nan, 1.0])
    assert gradient(lambda x: tg.where(nan == nan, x, nan), [1.0, 2.0]) == [0, 1]


def test_arrays_are_joined_along_the_first_axis_unless_said():
    assert tg.concatenate([tg.Tensor(A), tg.Tensor(B)]).shape == (6, 4)
    assert tg.stack([tg.Tensor(A), tg.Tensor(B)]).shape == (2, 3, 4)


@pytest.mark.parametrize("axis", range(-3, 3))
def test_the_new_axis_of_a_stack_may_stand_anywhere(axis):
    result = tg.stack([tg.Tensor(A), tg.Tensor(B)], axis)
    np.testing.assert_array_equal(result.numpy(), np.stack([A, B], axis))
    assert tg.stack([tg.Tensor(A)], axis).shape == np.stack([A], axis).shape
    assert tg.stack([tg.Tensor(ROW)] * 2, axis % 2).shape == np.stack([ROW] * 2, axis % 2).shape


def test_repeated_indices_add_up():
    assert gradient(lambda x: x[PICKS], [1.0, 2.0, 3.0]) == [1, 0, 2]
    assert gradient(lambda x: x[[-1, 2]], [1.0, 2.0, 3.0]) == [0, 0, 2]


def test_cross_entropy_is_exact_at_extreme_scores():
    logits = tg.Tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = tg.cross_entropy(logits, tg.Tensor([0, 0]))
    loss.backward()
    assert loss.item() == 1e4
    assert logits.grad.numpy().tolist() == [[0, 0], [-0.5, 0.5]]


def test_softmax_and_logsumexp_do_not_overflow():
    x = tg.Tensor([1e4, 1e4, -1e4])
    assert tg.softmax(x).numpy().tolist() == [0.5, 0.5, 0]
    assert tg.logsumexp(x).item() == pytest.approx(1e4 + np.log(2))
    assert tg.log_softmax(x).numpy()[2] == pytest.approx(-2e4 - np.log(2))
    assert tg.logsumexp(tg.Tensor([-np.inf, -np.inf])).item() == -np.inf


def test_log_softmax_keeps_its_digits_at_large_scores():
    expected = pytest.approx([-np.log(2), -np.log(2)], rel=1e-15, abs=0)
    assert tg.log_softmax(tg.Tensor([1e8, 1e8])).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        *(
            (lambda given=given: tg.linear(*map(tg.Tensor, given)), ValueError, "linear needs")
            for given in [(A, B), (A, RANDOM.normal(size=(5, 2))), (A, A.T, ROW), (A, A.T, ROW[:2])]
        ),
        (lambda: tg.mse_loss(tg.Tensor(A), tg.Tensor(ROW)), ValueError, r"\(3, 4\) and \(4,\)"),
        (lambda: tg.cross_entropy(tg.Tensor(A), tg.Tensor(A)), ValueError, r"one-hot.*argmax"),
        (lambda: tg.cross_entropy(tg.Tensor(A), tg.Tensor(ROW[:3])), TypeError, "float64"),
        (lambda: tg.Tensor(A) @ tg.Tensor(B), ValueError, r"matmul was given.*\(3, 4\)"),
        (lambda: tg.Tensor(A) + tg.Tensor(ROW[:3]), ValueError, r"\(3, ?4\) \(3,\)"),
        (lambda: tg.Tensor(A).reshape(5, 2), ValueError, r"size 12 into shape \(5, ?2\)"),
        (lambda: tg.Tensor(A)[3], IndexError, "out of bounds"),
        (lambda: tg.concatenate([tg.Tensor(A), tg.Tensor(ROW)]), ValueError, r"\(3, 4\).*\(4,\)"),
        (lambda: tg.stack([tg.Tensor(A), tg.Tensor(ROW)]), ValueError, r"\(3, 4\).*\(4,\)"),
    ],
)
def test_errors_say_what_was_given(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("wrong", "dtype"),
    [(-1, "int8"), (-1, "int64"), (300, "int16"), (300, "uint16"), (2**64 - 1, "uint64")],
)
def test_a_label_that_is_no_class_is_named(wrong, dtype):
    labels = np.array([0, wrong, 3], dtype)
    with pytest.raises(ValueError, match=f"labels must be 0 to 299, not {wrong}"):
        tg.cross_entropy(tg.Tensor(np.zeros((3, 300))), labels)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_labels_may_be_integers_of_any_size(dtype):
    scores = tg.Tensor(np.random.default_rng(0).normal(size=(200, 3)), requires_grad=True)
    labels = np.arange(200) % 3
    expected = -tg.log_softmax(scores)[range(200), labels].mean()
    loss = tg.cross_entropy(scores, labels.astype(dtype))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-14)
    (got,), (wanted,) = tg.grad(loss, scores), tg.grad(expected, scores)
    np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-12, atol=1e-15)


def test_cross_entropy_of_a_large_batch_does_not_overflow_float16():
    logits = tg.Tensor(np.zeros((70_000, 10), "float16"), requires_grad=True)
    loss = tg.cross_entropy(logits, tg.Tensor(np.zeros(70_000, int)))
    assert loss.item() == pytest.approx(np.log(10), rel=1e-3)
    (slope,) = tg.grad(loss, logits)
    assert float(slope.data[0, 0]) * 70_000 == pytest.approx(-0.9, rel=0.01)
