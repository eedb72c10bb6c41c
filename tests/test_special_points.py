"""Derivatives where formulas break: zeros, ties, infinities, empty axes, the ends of float16.

What is expected is written down, or comes from a closed form in exact or 400-digit arithmetic.
"""

import contextlib
import decimal
import itertools
import math
import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # 1/0 on purpose
INF, NAN = math.inf, math.nan


def leaf(data, dtype="float64"):
    return tg.Tensor(data, requires_grad=True, dtype=dtype)


def gradient(f, x, g=None, dtype="float64"):
    """The gradient of one operand, given the gradient g of the result: ones unless said."""
    x = leaf(x, dtype)
    y = f(x)
    return tg.grad(y, x, np.broadcast_to(np.asarray(1.0 if g is None else g, y.dtype), y.shape))[0]


def derivatives(f, x, order, dtype="float64"):
    """[f, f′, f″, …] at a single number."""
    x, values = leaf(x, dtype), []
    y = f(x)
    for _ in range(order + 1):
        values.append(y.item())
        if not y.requires_grad:
            break
        (y,) = tg.grad(y, x, create_graph=True, allow_unused=True)
        if y is None:
            break
    return values + [0.0] * (order + 1 - len(values))


# ── Powers ───────────────────────────────────────────────────────────────────────────────────────


def power_derivative(a, b, m, n):
    """∂ᵐ⁺ⁿ aᵇ / ∂aᵐ∂bⁿ = Σₖ C(n, k) · dᵏ[b(b−1)…(b−m+1)]/dbᵏ · aᵇ⁻ᵐ · (log a)ⁿ⁻ᵏ, for a > 0."""
    falling = np.atleast_1d(np.poly(np.arange(m)))
    return sum(
        math.comb(n, k)
        * np.polyval(np.polyder(falling, k), b)
        * a ** (b - m)
        * math.log(a) ** (n - k)
        for k in range(n + 1)
    )


@pytest.mark.parametrize("b", [-2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("a", [0.5, 1.0, 2.0, 3.0])
def test_all_mixed_derivatives_of_a_power(a, b):
    for order in range(1, 5):
        for along in itertools.product((0, 1), repeat=order):
            variables = leaf(a), leaf(b)
            y = variables[0] ** variables[1]
            for which in along:
                (y,) = tg.grad(y, variables[which], create_graph=True)
            expected = power_derivative(a, b, along.count(0), along.count(1))
            assert y.item() == pytest.approx(expected, rel=1e-12, abs=1e-12), along


@pytest.mark.parametrize("exponent", ["number", "array"])
@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (0.0, 0, [1, 0, 0, 0]),
        (0.0, 1, [0, 1, 0, 0]),
        (0.0, 2, [0, 0, 2, 0]),
        (0.0, 3, [0, 0, 0, 6]),
        (0.0, 4, [0, 0, 0, 0]),
        (0.0, 0.5, [0, INF]),
        (0.0, 1.5, [0, 0, INF]),
        (0.0, -1, [INF, -INF]),
        (-2.0, 0, [1, 0, 0, 0]),
        (-2.0, 1, [-2, 1, 0, 0]),
        (-2.0, 2, [4, -4, 2, 0]),
        (-2.0, 3, [-8, 12, -12, 6]),
        (-2.0, -1, [-0.5, -0.25, -0.25, -0.375]),
        (1.0, 2, [1, 2, 2, 0]),
        (INF, 2, [INF, INF, 2, 0]),
        (INF, 0, [1, 0, 0, 0]),
    ],
)
def test_derivatives_of_a_power_along_its_base(a, b, expected, exponent):
    exponent = b if exponent == "number" else tg.Tensor(b, dtype=float)
    assert derivatives(lambda x: x**exponent, a, len(expected) - 1) == expected


@pytest.mark.parametrize("exponent", [0, 0.0, tg.Tensor(0.0), leaf(0.0), tg.Tensor([0.0, 0.0])])
@pytest.mark.parametrize("g", [INF, -INF, NAN])
def test_what_is_constant_passes_no_infinity_on(exponent, g):
    assert np.all(gradient(lambda x: x**exponent, [0.0, 2.0], g).numpy() == 0) or np.isnan(g)


# ── Elementary functions, to third order ─────────────────────────────────────────────────────────


def of_sigmoid(x):
    """σ, σ′, σ″ and σ‴ by p = 1/(1 + e⁻ˣ) and q = 1/(1 + eˣ), each exact."""
    p, q = 1 / (1 + math.exp(-x)), 1 / (1 + math.exp(x))
    return [p, p * q, p * q * (q - p), p * q * ((q - p) ** 2 - 2 * p * q)]


def of_tanh(x):
    t, s = math.tanh(x), 1 / math.cosh(x) ** 2
    return [t, s, -2 * t * s, s * (4 * t * t - 2 * s)]


# operation: f, [f, f′, f″, f‴] at an ordinary x, and the limits
ELEMENTARY = {
    "exp": (tg.exp, lambda x: [math.exp(x)] * 4, {INF: [INF] * 4, -INF: [0] * 4}),
    "expm1": (
        tg.expm1,
        lambda x: [math.expm1(x), *[math.exp(x)] * 3],
        {INF: [INF] * 4, -INF: [-1, 0, 0, 0]},
    ),
    "log": (
        tg.log,
        lambda x: [math.log(x), 1 / x, -1 / x**2, 2 / x**3],
        {0.0: [-INF, INF, -INF, INF], INF: [INF, 0, 0, 0]},
    ),
    "log1p": (
        tg.log1p,
        lambda x: [math.log1p(x), 1 / (1 + x), -1 / (1 + x) ** 2, 2 / (1 + x) ** 3],
        {-1.0: [-INF, INF, -INF, INF], INF: [INF, 0, 0, 0]},
    ),
    "sqrt": (
        tg.sqrt,
        lambda x: [math.sqrt(x), 0.5 * x**-0.5, -0.25 * x**-1.5, 0.375 * x**-2.5],
        {0.0: [0, INF, -INF, INF], INF: [INF, 0, 0, 0]},
    ),
    "sin": (
        tg.sin,
        lambda x: [math.sin(x), math.cos(x), -math.sin(x), -math.cos(x)],
        {INF: [NAN] * 4},
    ),
    "cos": (
        tg.cos,
        lambda x: [math.cos(x), -math.sin(x), -math.cos(x), math.sin(x)],
        {-INF: [NAN] * 4},
    ),
    "tanh": (tg.tanh, of_tanh, {INF: [1, 0, 0, 0], -INF: [-1, 0, 0, 0]}),
    "sigmoid": (tg.sigmoid, of_sigmoid, {INF: [1, 0, 0, 0], -INF: [0] * 4}),
    "logaddexp": (
        lambda x: tg.logaddexp(x, 0),
        lambda x: [math.log1p(math.exp(x)), *of_sigmoid(x)[:3]],
        {INF: [INF, 1, 0, 0], -INF: [0] * 4},
    ),
    "reciprocal": (
        lambda x: 1 / x,
        lambda x: [1 / x, -1 / x**2, 2 / x**3, -6 / x**4],
        {0.0: [INF, -INF, INF, -INF], INF: [0] * 4, -INF: [0] * 4},
    ),
    "reciprocal of −x": (  # at −0
        lambda x: 1 / -x,
        lambda x: [-1 / x, 1 / x**2, -2 / x**3, 6 / x**4],
        {0.0: [-INF, INF, -INF, INF], INF: [0] * 4},
    ),
    "divide": (
        lambda x: x / 4,
        lambda x: [x / 4, 0.25, 0, 0],
        {INF: [INF, 0.25, 0, 0], -INF: [-INF, 0.25, 0, 0]},
    ),
    "multiply": (
        lambda x: x * x,
        lambda x: [x * x, 2 * x, 2, 0],
        {INF: [INF, INF, 2, 0], -INF: [INF, -INF, 2, 0]},
    ),
    "add": (
        lambda x: x + x,
        lambda x: [2 * x, 2, 0, 0],
        {INF: [INF, 2, 0, 0], -INF: [-INF, 2, 0, 0]},
    ),
    "subtract": (lambda x: 1 - x, lambda x: [1 - x, -1, 0, 0], {INF: [-INF, -1, 0, 0]}),
    "negative": (lambda x: -x, lambda x: [-x, -1, 0, 0], {INF: [-INF, -1, 0, 0]}),
    "matmul": (
        lambda x: tg.stack([x, x]) @ tg.stack([x, x]),
        lambda x: [2 * x * x, 4 * x, 4, 0],
        {INF: [INF, INF, 4, 0]},
    ),
    "mean": (
        lambda x: tg.stack([x, x * x]).mean(),
        lambda x: [(x + x * x) / 2, 0.5 + x, 1, 0],
        {INF: [INF, INF, 1, 0]},
    ),
    "sum": (
        lambda x: tg.stack([x, x * x]).sum(axis=0),
        lambda x: [x + x * x, 1 + 2 * x, 2, 0],
        {INF: [INF, INF, 2, 0]},
    ),
    "var": (
        lambda x: tg.stack([x, -x]).var(),
        lambda x: [x * x, 2 * x, 2, 0],
        {},
    ),
    "mse_loss": (
        lambda x: tg.mse_loss(x, tg.Tensor(1, dtype=x.dtype)),
        lambda x: [(x - 1) ** 2, 2 * (x - 1), 2, 0],
        {-INF: [INF, -INF, 2, 0]},
    ),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions_to_third_order(name, dtype):
    f, closed_form, limits = ELEMENTARY[name]
    numbers = np.finfo(dtype)
    largest, smallest = float(numbers.max), float(numbers.tiny)
    tolerance = {"rel": 60 * float(numbers.eps), "abs": smallest}
    cases = dict(limits)
    for x in (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, largest, smallest, -smallest):
        if x not in cases:
            with contextlib.suppress(ValueError, OverflowError, ZeroDivisionError, TypeError):
                cases[x] = closed_form(x)  # where there is one
    assert len(cases) >= 5
    for x, expected in cases.items():
        with np.errstate(over="ignore"):
            expected = np.array(expected, dtype).astype(float).tolist()
        found = derivatives(f, x, 3, dtype)
        assert found == pytest.approx(expected, nan_ok=True, **tolerance), x


# ── Choosing: what was not chosen receives 0, even of ∞ ──────────────────────────────────────────

X = np.array([-2.0, 0.0, 3.0])
# operation, x, and the slope at each element: 1 or −1 where it was chosen, ½ at a tie, else 0
CHOICES = {
    "relu": (tg.relu, X, [0, 0, 1]),
    "abs": (tg.abs, X, [-1, 0, 1]),
    "maximum with a number": (lambda x: tg.maximum(x, 0.0), X, [0, 0.5, 1]),
    "a number with maximum": (lambda x: tg.maximum(0.0, x), X, [0, 0.5, 1]),
    "maximum with an array": (lambda x: tg.maximum(x, tg.Tensor([-3.0, 1.0, 3.0])), X, [1, 0, 0.5]),
    "minimum with a number": (lambda x: tg.minimum(x, 0.0), X, [1, 0.5, 0]),
    "an array with minimum": (lambda x: tg.minimum(tg.Tensor([0.0, 0.0, 0.0]), x), X, [1, 0.5, 0]),
    "max": (tg.max, X, [0, 0, 1]),
    "max along an axis": (lambda x: tg.max(x, axis=-1), X, [0, 0, 1]),
    "max with keepdims": (lambda x: tg.max(x, axis=0, keepdims=True), X, [0, 0, 1]),
    "min": (tg.min, X, [1, 0, 0]),
    "min along an axis": (lambda x: x.min(axis=0), X, [1, 0, 0]),
    "max of a tie": (tg.max, [3.0, 1.0, 3.0], [0.5, 0, 0.5]),
    "min of a tie": (tg.min, [1.0, 1.0, 3.0], [0.5, 0.5, 0]),
    "max of ∞": (tg.max, [1.0, INF, 3.0], [0, 1, 0]),
    "min of −∞": (tg.min, [1.0, -INF, 3.0], [0, 1, 0]),
    "where, first": (lambda x: tg.where([True, False, True], x, 1.0), X, [1, 0, 1]),
    "where, second": (lambda x: tg.where([True, False, True], 1.0, x), X, [0, 1, 0]),
    "where by numbers": (lambda x: tg.where([2.0, 0.0, -1.0], x, 1.0), X, [1, 0, 1]),
    "where by itself": (lambda x: tg.where(x > 0, x, 0.0), X, [0, 0, 1]),
    "select": (lambda x: ops.select(tg.Tensor([True, False, True]), x), X, [1, 0, 1]),
    "a slice": (lambda x: x[1:], X, [0, 1, 1]),
    "an index": (lambda x: x[[2]], X, [0, 0, 1]),
    "a mask": (lambda x: x[x > 0], X, [0, 0, 1]),
    "clipped": (lambda x: tg.minimum(tg.maximum(x, -1.0), 1.0), X, [0, 1, 0]),
    "a power of 0": (lambda x: x**0, X, [0, 0, 0]),
    "a power of zeros": (lambda x: x ** tg.Tensor([0.0, 0.0, 0.0]), X, [0, 0, 0]),
}


@pytest.mark.parametrize("g", [INF, -INF, 1.0, 0.0])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", CHOICES)
def test_what_was_not_chosen_receives_zero(name, dtype, g):
    f, x, slopes = CHOICES[name]
    expected = [slope * g if slope else 0.0 for slope in slopes]
    assert gradient(f, x, g, dtype).numpy().tolist() == expected


@pytest.mark.parametrize("name", [name for name in CHOICES if name != "a power of zeros"])
def test_the_same_holds_one_order_later(name):
    f, x, slopes = CHOICES[name]
    x = leaf(x)
    y = f(x)
    g = leaf(np.ones(y.shape))
    (first,) = tg.grad(y, x, g, create_graph=True)
    # `first` is linear in g. Infinities that meet only what was not chosen must not come through.
    weights = np.where(np.array(slopes) == 0, INF, 1.0)
    (second,) = tg.grad(first, g, weights, allow_unused=True)
    assert second is None or np.isfinite(second.numpy()).all()


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: tg.sqrt(tg.relu(x)), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(tg.maximum(x, 0.0)), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(-tg.minimum(0.0, x)), 1.0, [0, 0, 0, 0]),
        (lambda x: tg.log(tg.relu(x)), -1.0, [-INF, 0, 0, 0]),
        (lambda x: 1 / tg.relu(x), -1.0, [INF, 0, 0, 0]),
        (lambda x: tg.relu(x) ** 0.5, -1.0, [0, 0, 0, 0]),
        (lambda x: tg.relu(x) ** 1.5, -1.0, [0, 0, 0, 0]),
        (lambda x: tg.relu(x) ** 1.5, 4.0, [8, 3, 0.375, -0.046875]),
        (lambda x: tg.relu(x) ** tg.Tensor(0.5), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(tg.where(x > 0, x, 0.0)), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(ops.select(x > 0, x)), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(tg.max(tg.stack([x, tg.Tensor(0.0)]))), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(tg.concatenate([x.reshape(1), [0.0]]).max()), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(tg.stack([x, 0.0])[1]), -1.0, [0, 0, 0, 0]),
        (lambda x: tg.sqrt(tg.abs(x)), 4.0, [2, 0.25, -0.03125, 0.01171875]),
        (lambda x: tg.sqrt(tg.abs(x)), -4.0, [2, -0.25, -0.03125, -0.01171875]),
        (lambda x: tg.sqrt(x**0 - 1), 2.0, [0, 0, 0, 0]),
    ],
)
def test_an_infinite_slope_behind_a_dead_unit_is_no_slope(f, x, expected):
    assert derivatives(f, x, 3) == pytest.approx(expected)


@pytest.mark.parametrize("power", [0.5, 1.5, 2.5])
@pytest.mark.parametrize(
    "unit",
    [
        tg.relu,
        lambda z: tg.maximum(z, 0.0),
        lambda z: -tg.minimum(0.0, -z),
        lambda z: tg.where(z > 0, z, 0.0),
        lambda z: ops.select(z > 0, z),
    ],
)
def test_dead_units_leave_weights_and_hessian_products_finite(unit, power):
    random = np.random.default_rng(0)
    inputs, weights = random.normal(size=(20, 4)), random.normal(size=(4, 8))
    weights[:, :3] = -np.abs(weights[:, :3])
    inputs = np.abs(inputs)
    w = leaf(weights)

    def f():
        return (unit(tg.Tensor(inputs) @ w) ** power).mean()

    (g,) = tg.grad(f(), w)
    assert np.isfinite(g.numpy()).all()
    assert (g.numpy()[:, :3] == 0).all()
    product = tg.hvp(f, [w], tg.Tensor(random.normal(size=32)))
    assert np.isfinite(tg.Tensor(product).numpy()).all()


# ── The softmax and what is made of it ───────────────────────────────────────────────────────────


def exact_softmax(x):
    """The softmax of numbers, in 400 digits."""
    with decimal.localcontext(prec=400):
        powers = [(decimal.Decimal(number) - decimal.Decimal(max(x))).exp() for number in x]
        return [power / sum(powers) for power in powers]


LARGE = {
    "float16": [[2048.0, 2048.0], [6e4, 6e4, 6e4], [-6e4, -6e4], [1024.0, 1025.0]],
    "float32": [[1e8, 1e8], [1e30] * 3, [-1e8, -1e8], [2.0**24, 2.0**24 + 2], [88.0, 89.0, 1e8]],
    "float64": [[1e16, 1e16], [1e300] * 4, [-1e16, -1e16, 0.0], [2.0**53, 2.0**53 + 2], [0.0, 1e9]],
}


@pytest.mark.parametrize(("dtype", "x"), [(t, x) for t, rows in LARGE.items() for x in rows])
@pytest.mark.parametrize("f", [tg.logsumexp, lambda x: tg.logsumexp(x, axis=-1, keepdims=True)])
def test_the_slopes_of_logsumexp_add_up_to_one_at_any_size(f, dtype, x):
    slopes = gradient(f, x, dtype=dtype).numpy()
    expected = [float(p) for p in exact_softmax(np.array(x, dtype).tolist())]
    np.testing.assert_allclose(slopes, expected, rtol=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e8, -1e8, 2.0**40])
def test_the_second_derivatives_of_logsumexp_are_those_of_the_softmax(shift):
    x = leaf(np.array([0.0, 1.0, 3.0]) + shift)
    p = np.array([float(p) for p in exact_softmax([0.0, 1.0, 3.0])])
    expected = np.diag(p) - np.outer(p, p)
    hessian = tg.Tensor(tg.hessian(lambda: tg.logsumexp(x), [x])).numpy()
    np.testing.assert_allclose(hessian, expected, rtol=1e-12)


CERTAIN = [
    [40.0, 0.0, -3.0],
    [0.0, -40.0],
    [100.0, 0.0, 0.0, 50.0],
    [300.0, 0.0],
    [0.0, 20.0, -20.0],
    [37.0, 0.0],
    [5.0, 5.0, 80.0],
    [1e3, 980.0],
    [-200.0, 0.0, -300.0],
    [600.0, 0.0],
    [1.0, 2.0, 3.0],
]


def exact_derivatives(scores):
    """p, ∂p/∂x and ∂²p/∂x² of the softmax, in 400 digits: those of log Σ eˣ from the first on."""
    with decimal.localcontext(prec=400):
        p, n = exact_softmax(scores), range(len(scores))
        first = [[p[i] * ((i == j) - p[j]) for j in n] for i in n]
        second = [
            [[first[i][k] * ((i == j) - p[j]) - p[i] * first[j][k] for k in n] for j in n]
            for i in n
        ]
    return np.array(p, float), np.array(first, float), np.array(second, float)


# Each differs from logsumexp by a linear function of the scores, so that its slopes are those of
# logsumexp, less 1 at the label; and from there on all derivatives are the same.
WITH_A_LABEL = {
    "cross_entropy": lambda x, label: tg.cross_entropy(x[None], [label]),
    "log_softmax": lambda x, label: -tg.log_softmax(x)[label],
    "logsumexp": lambda x, label: tg.logsumexp(x) - x[label],
}


@pytest.mark.parametrize("scores", CERTAIN)
@pytest.mark.parametrize("name", WITH_A_LABEL)
def test_no_derivative_loses_digits_where_a_class_is_nearly_certain(name, scores):
    p, first, second = exact_derivatives(scores)
    for label in range(len(scores)):
        x = leaf(scores)
        (g,) = tg.grad(WITH_A_LABEL[name](x, label), x, create_graph=True)
        rows = [tg.grad(g[i], x, create_graph=True)[0] for i in range(len(scores))]
        thirds = [[tg.grad(row[j], x)[0].numpy() for j in range(len(scores))] for row in rows]
        np.testing.assert_allclose([row.numpy() for row in rows], first, rtol=1e-12)
        np.testing.assert_allclose(thirds, second, rtol=1e-11)
        if name != "logsumexp":  # there x[label] itself is subtracted, at the end
            others = np.delete(p, label)
            np.testing.assert_allclose(np.delete(g.numpy(), label), others, rtol=1e-13)
            assert g.numpy()[label] == pytest.approx(-others.sum(), rel=1e-13)
        hessian = np.array([row.numpy() for row in rows])
        assert np.linalg.eigvalsh(hessian / abs(hessian).max())[0] > -1e-15


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scores", CERTAIN)
def test_nor_does_one_of_the_softmax(scores, axis):
    _, first, second = exact_derivatives(scores)
    for i in range(len(scores)):
        x = leaf(scores)
        y = tg.softmax(tg.expand_dims(x, 1 - axis), axis)
        (g,) = tg.grad(y.reshape(-1)[i], x, create_graph=True)
        rows = [tg.grad(g[j], x)[0].numpy() for j in range(len(scores))]
        np.testing.assert_allclose(g.numpy(), first[i], rtol=1e-13)
        np.testing.assert_allclose(rows, second[i], rtol=1e-12)


EMPTY = [
    ((0,), -1),
    ((2, 0), 1),
    ((2, 0), -1),
    ((2, 0), 0),
    ((0, 2), 1),
    ((0, 2), 0),
    ((3, 0, 2), 1),
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool"])
@pytest.mark.parametrize(("shape", "axis"), EMPTY)
def test_the_softmax_of_nothing_is_empty_and_logsumexp_minus_infinity(shape, axis, dtype):
    x = tg.Tensor(np.zeros(shape, dtype), requires_grad=dtype.startswith("float"))
    for f in (tg.softmax, tg.log_softmax):
        y = f(x, axis=axis)
        assert (y.shape, y.dtype) == (shape, (x.data * 1.0).dtype)
    for keepdims in (False, True):
        y = tg.logsumexp(x, axis=axis, keepdims=keepdims)
        assert y.shape == np.sum(np.zeros(shape), axis=axis, keepdims=keepdims).shape
        assert (y.numpy() == -INF).all()
        if x.requires_grad:
            assert y.dtype == dtype
            for _ in range(2):
                (g,) = tg.grad(y.sum(), x, create_graph=True)
                assert (g.shape, g.dtype) == (shape, dtype)
                y = y * g.sum()


# ── Gradients that are given, and the ends of float16 ────────────────────────────────────────────

GIVEN = {
    "uint8": np.array([255, 2], "uint8"),
    "int8": np.array([-128, 2], "int8"),
    "bool": np.array([True, False]),
    "float16": np.array([0.5, 2], "float16"),
    "float32": np.array([0.5, 2], "float32"),
    "a list": [255, 2],
    "a tuple": (255.0, 2.0),
    "a list of Tensors": [tg.Tensor(255.0), tg.Tensor(2.0)],
    "strided": np.array([255.0, 0.0, 2.0])[::2],
    "read-only": np.broadcast_to(2.0, (2,)),
}


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("name", GIVEN)
def test_a_given_gradient_takes_the_dtype_of_the_result(name, as_tensor):
    given = tg.Tensor(GIVEN[name]) if as_tensor else GIVEN[name]
    expected = (tg.Tensor(GIVEN[name]).numpy().astype(float) * 3.5).tolist()
    x = leaf([1.0, 2.0])
    (g,) = tg.grad(x * 3.5, x, given if as_tensor else [given])
    x.grad = None
    (x * 3.5).backward(given)
    for result in (g, x.grad):
        assert (result.dtype, result.numpy().tolist()) == ("float64", expected)


@pytest.mark.parametrize(
    "given",
    [[1j, 1], np.array([1j, 1]), [None, None], ["a", "b"], np.array([1, None]), "ab", 1j, {}],
)
def test_a_gradient_that_is_not_real_is_refused(given):
    x = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match="a gradient holds real numbers"):
        (x * 2).backward(given)
    with pytest.raises(TypeError, match="a gradient holds real numbers"):
        tg.grad(x * 2, x, [given])
    assert x.grad is None


@pytest.mark.parametrize(
    "vjp",
    [
        lambda g, y, x: g.reshape(3, 2),
        lambda g, y, x: g.reshape(-1),
        lambda g, y, x: g.T,
        lambda g, y, x: g.sum(),
        lambda g, y, x: g[0],
        lambda g, y, x: g[:, :1],
        lambda g, y, x: g[None][:, :1],
        lambda g, y, x: 0.0,
        lambda g, y, x: [1.0],
        lambda g, y, x: tg.stack([g, g], axis=2),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_vjp_of_another_shape_is_refused(vjp, create_graph):
    f = tg.op(vjp)(lambda x: x * 2)
    x = leaf(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"shape .* for an operand of shape \(2, 3\)"):
        tg.grad(f(x).sum(), x, create_graph=create_graph)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "NoneType"),
        ("a", "str"),
        (1j, "complex"),
        (np.array([1j, 1]), "complex128"),
        ({}, "dict"),
        (np.ma.array([1.0, 2.0]), "masked"),
    ],
)
def test_a_vjp_that_returns_no_numbers_is_refused(returned, message):
    f = tg.op(lambda g, y, x: returned)(lambda x: x * 2)
    x = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=f"(?s)a VJP must return.*{message}.*VJP 1 of <lambda>"):
        f(x).sum().backward()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("returned", [[3, 4], (3.0, 4.0), np.array([3, 4]), tg.Tensor([3.0, 4.0])])
def test_a_vjp_may_return_numbers_in_any_form(returned, create_graph):
    f = tg.op(lambda g, y, x: returned)(lambda x: x * 2)
    x = leaf([1.0, 2.0])
    (g,) = tg.grad(f(x).sum(), x, create_graph=create_graph)
    assert isinstance(g, tg.Tensor)
    assert g.numpy().tolist() == [3, 4]


MANY = 70_000  # float16 ends at 65504, and counts by ones only up to 2048
HALVES = {
    "max": (tg.max, np.ones(MANY), 1 / MANY),
    "min": (tg.min, np.ones(MANY), 1 / MANY),
    "max along an axis": (lambda x: tg.max(x, axis=0), np.ones((MANY, 2)), 1 / MANY),
    "mean": (tg.mean, np.ones(MANY), 1 / MANY),
    "mean along an axis": (lambda x: tg.mean(x, axis=0), np.ones((MANY, 2)), 1 / MANY),
    "var": (tg.var, np.arange(MANY) % 2.0 * 200, [-200 / MANY, 200 / MANY]),
    "var of 65520": (tg.var, np.arange(65520) % 2.0 * 200, [-200 / 65520, 200 / 65520]),
    "a bias": (lambda b: tg.Tensor(np.zeros((4096, 3), "float16")) + b, np.zeros(3), 4096),
    "a bias of linear": (
        lambda b: tg.linear(
            tg.Tensor(np.zeros((4096, 2), "float16")), tg.Tensor(np.zeros((2, 3), "float16")), b
        ),
        np.zeros(3),
        4096,
    ),
    "a factor": (lambda b: tg.Tensor(np.ones((4096, 3), "float16")) * b, np.zeros(3), 4096),
    "a column": (lambda b: tg.Tensor(np.ones((3, 4096), "float16")) - b, np.zeros((3, 1)), -4096),
    "a number": (lambda b: tg.Tensor(np.ones(4096, "float16")) * b, 1.0, 4096),
    "broadcast_to": (lambda b: tg.broadcast_to(b, (4096, 3)), np.zeros(3), 4096),
    "logsumexp": (lambda x: tg.logsumexp(x, axis=0), np.zeros((4096, 3)), 1 / 4096),
    "softmax": (lambda x: tg.softmax(x, axis=0)[0], np.zeros((4096, 1)), [1 / 4096] + [0] * 4095),
}


@pytest.mark.parametrize("name", HALVES)
def test_counts_and_sums_of_gradients_are_right_in_float16(name):
    f, x, expected = HALVES[name]
    g = gradient(f, x, dtype="float16").numpy().astype(float)
    expected = np.resize(expected, g.size).reshape(g.shape)
    np.testing.assert_allclose(g, expected, rtol=0.01, atol=1e-6)


# ── Values that are assigned, leaves that are shared, graphs of many operands ────────────────────


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_update_that_messages_recommend_works_for_every_shape(shape, dtype):
    w = leaf(np.ones(shape), dtype)
    (w * w).sum().backward()
    w.data = w.data - 0.25 * w.grad.data
    assert (w.shape, w.dtype) == (shape, dtype)
    w.grad = None
    (w * w).sum().backward()
    optimizer = tg.Momentum([w], lr=0.25)
    optimizer.step()
    assert w.numpy().tolist() == np.full(shape, 0.25).tolist()


def test_threads_that_share_a_leaf_lose_no_gradient():
    w, count = leaf(0.0), 2000

    def work():
        for _ in range(count):
            (w * 1.0).backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.grad.item() == 4 * count


@pytest.mark.parametrize("join", [tg.stack, tg.concatenate])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_vjp_of_a_join_takes_nothing_but_the_gradient(join, create_graph):
    parts = [leaf([float(i)]) for i in range(5)]
    y = join(parts)
    assert y.node.operation.linear
    gradients = tg.grad((y * y).sum(), parts, create_graph=create_graph)
    assert [g.numpy().tolist() for g in gradients] == [[2.0 * i] for i in range(5)]


# ── Nothing cancels where a probability is nearly 1 ──────────────────────────────────────────────


EXACT = {
    "sigmoid": (tg.sigmoid, lambda x: of_sigmoid(x)),
    "logaddexp": (
        lambda x: tg.logaddexp(x, 0),
        lambda x: [max(x, 0) + math.log1p(math.exp(-abs(x))), *of_sigmoid(x)[:3]],
    ),
    "logaddexp, the second": (
        lambda x: tg.logaddexp(0, x),
        lambda x: [max(x, 0) + math.log1p(math.exp(-abs(x))), *of_sigmoid(x)[:3]],
    ),
    "loss of class 0": (
        lambda x: tg.binary_cross_entropy(x, 0),
        lambda x: [max(x, 0) + math.log1p(math.exp(-abs(x))), *of_sigmoid(x)[:3]],
    ),
    "loss of class 1": (
        lambda x: tg.binary_cross_entropy(x, 1),
        lambda x: (
            [max(-x, 0) + math.log1p(math.exp(-abs(x)))]
            + [sign * d for sign, d in zip((-1, 1, -1), of_sigmoid(-x))]
        ),
    ),
    "expm1": (tg.expm1, lambda x: [math.expm1(x), *[math.exp(x)] * 3]),
}


@pytest.mark.parametrize("x", [-700.0, -40.0, -1.0, -1e-20, 0.0, 0.25, 3.0, 40.0, 700.0])
@pytest.mark.parametrize("name", EXACT)
def test_small_probabilities_are_exact_to_third_order(name, x):
    f, expected = EXACT[name]
    assert derivatives(f, x, 3) == pytest.approx(expected(x), rel=1e-12, abs=0 if x else 1e-16)


@pytest.mark.parametrize("x", [-0.5, 0.0, 1e-20, 1.0, 1e10])
def test_log1p_is_exact_near_0(x):
    expected = [math.log1p(x), 1 / (1 + x), -1 / (1 + x) ** 2, 2 / (1 + x) ** 3]
    assert derivatives(tg.log1p, x, 3) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("score", "target", "slope"), [(-INF, 0, 0), (-INF, 1, -1), (INF, 0, 1), (INF, 1, 0)]
)
def test_an_infinite_score_is_sure(score, target, slope):
    x = leaf([score])
    loss = tg.binary_cross_entropy(x, tg.Tensor([target]))
    assert loss.item() == (0 if slope == 0 else INF)
    assert tg.grad(loss, x)[0].item() == slope


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("equal", [0.0, 2.0, -3.0])
@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": 1, "ddof": 1}, {"keepdims": True}])
def test_a_deviation_of_equal_elements_has_slope_0_at_each_order(equal, options, dtype):
    x = leaf(np.full((2, 3), equal), dtype)
    (g,) = tg.grad(tg.std(x, **options).sum(), x, create_graph=True)
    assert g.numpy().tolist() == [[0] * 3] * 2
    (second,) = tg.grad(g.sum(), x, allow_unused=True)
    assert second.numpy().tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("g", [1.0, INF, -INF, NAN])
def test_beyond_the_limits_of_clip_nothing_arrives(g):
    slopes = gradient(lambda x: tg.clip(x, 0, 1), [-1.0, 0.0, 0.5, 1.0, 2.0, INF, NAN], g).numpy()
    np.testing.assert_array_equal(slopes, [0, g, g, g, 0, 0, 0])
    slopes = gradient(lambda x: tg.clip(x, min=0), [-INF, -1.0, 0.0, INF], g).numpy()
    np.testing.assert_array_equal(slopes, [0, 0, g, g])


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("score", [-40.0, -1.0, 0.0, 3.0])
def test_a_target_has_a_gradient_at_0_and_1_as_well(score, target):
    t = leaf([target])
    loss = tg.binary_cross_entropy(tg.Tensor([score]), t)  # its slope along t is −score
    assert tg.grad(loss, t)[0].item() == pytest.approx(-score, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("loss", [tg.mse_loss, tg.binary_cross_entropy])
def test_a_loss_of_single_numbers_is_one(loss):
    assert float(loss(0.5, 1)) == pytest.approx(
        float(loss(tg.Tensor([0.5]), tg.Tensor([1.0])).item())
    )
