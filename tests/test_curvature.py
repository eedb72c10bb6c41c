"""The Hessian: closed forms, what kind of point it is, and the way out of a saddle."""

import functools
import gc
import itertools

import numpy as np
import pytest
from specimens import NOT, SPECIMENS, beside, device, evaluate, host, leaf, network

import tinygrad_edu as tg

RANDOM = np.random.default_rng(0)


def saddle(w1=0.0, w2=0.0):
    """Return the notes' loss (1 − w₁w₂)² with its parameters."""
    params = [leaf(w1), leaf(w2)]
    return (lambda: (1 - params[0] * params[1]) ** 2), params


# Closed forms


def test_the_hessian_of_least_squares_is_x_transposed_x():
    X, y = RANDOM.normal(size=(20, 5)), RANDOM.normal(size=20)
    w = leaf(RANDOM.normal(size=5))
    H = tg.hessian(lambda: ((tg.Tensor(X) @ w - tg.Tensor(y)) ** 2).sum() / 2, [w])
    np.testing.assert_allclose(host(H), X.T @ X, rtol=0, atol=1e-12)


def test_the_hessian_of_the_notes_saddle():
    f, params = saddle()
    assert host(tg.hessian(f, params)).tolist() == [[0, -2], [-2, 0]]
    assert host(tg.hvp(f, params, device(np.array([1.0, 0.0])))).tolist() == [0, -2]


def test_a_step_along_an_eigenvector_changes_the_loss_by_half_lambda_step_squared():
    f, (w1, w2) = saddle()
    u, step = tg.escape_direction(tg.HessianOperator(f, [w1, w2])), 1e-3
    before = f().item()
    w1.data, w2.data = step * u[0], step * u[1]
    assert f().item() - before == pytest.approx(-2 * step**2 / 2, rel=1e-5)


def test_the_dense_hessian_is_the_operator_on_the_identity():
    f, params = network()
    H = tg.HessianOperator(f, params)
    dense = host(tg.hessian(f, params))
    assert (dense == dense.T).all()
    for place in (0, 100, len(dense) - 1):
        unit = device(np.eye(len(dense))[place])
        np.testing.assert_allclose(host(H @ unit), dense[place], rtol=0, atol=1e-13)


def test_the_products_are_differences_of_gradients():
    f, params = network()
    v = RANDOM.normal(size=sum(p.size for p in params))
    product = host(tg.hvp(f, params, device(v)))
    start = [p.data for p in params]

    def gradient_at(step):
        done = 0
        for param, value in zip(params, start):
            part = device(v[done : done + param.size].reshape(param.shape))
            param.data = value + step * part
            done += param.size
        return host(tg.HessianOperator(f, params).gradient)

    h = 1e-5
    differences = (gradient_at(h) - gradient_at(-h)) / (2 * h)
    np.testing.assert_allclose(differences, product, rtol=0, atol=1e-7 * np.abs(product).max())


def test_several_vectors_are_the_columns_of_an_array():
    H = tg.HessianOperator(*network(sizes=(64, 2, 10)))
    n = len(H.gradient)
    V = device(RANDOM.normal(size=(n, 3)))
    products = host(H @ V)
    for column in range(3):
        assert (products[:, column] == host(H @ V[:, column])).all()
    assert (H @ V[:, :1]).shape == (n, 1)
    assert (H @ V[:, :0]).shape == (n, 0)
    dense = host(H @ device(np.eye(n)))
    np.testing.assert_allclose(dense, dense.T, rtol=0, atol=1e-13)


def test_it_is_a_whole_linear_operator():
    f, params = saddle()
    H = tg.HessianOperator(f, params)
    assert (H.shape, H.ndim, H.dtype) == ((2, 2), 2, np.float64)
    assert H.backend == tg.backend.current()
    assert host(H.position).tolist() == [0, 0]
    v, V = device(np.array([1.0, 2.0])), device(np.array([[1.0, 3.0], [2.0, 4.0]]))
    for product in (H @ v, H.T @ v, H.H @ v, v @ H, H(v), H.matvec(v), H.rmatvec(v), H.dot(v)):
        assert host(product).tolist() == [-4, -2]
    for products in (H @ V, H.matmat(V), H.rmatmat(V), (V.T @ H).T):
        assert host(products).tolist() == [[-4, -8], [-2, -6]]
    assert host(H @ [1, 2]).tolist() == [-4, -2]
    assert host(H @ tg.Tensor([1, 2])).tolist() == [-4, -2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_complex_vectors_keep_their_imaginary_part(dtype):
    w = leaf(np.array([1.0, 2.0], dtype))
    product = tg.hvp(lambda: (w**3).sum(), [w], np.array([1 + 2j, 3j]))
    assert host(product).tolist() == [6 + 12j, 36j]


@pytest.mark.parametrize(
    ("v", "error", "message"),
    [
        (np.ones((2, 2, 2)), ValueError, r"\(2,\), but has \(2, 2, 2\)"),
        (np.ones((3, 2)), ValueError, r"\(2, k\) or .*\(3, 2\)"),
        (np.ones(()), ValueError, r"but has \(\)"),
    ],
)
def test_vectors_of_another_shape_are_refused(v, error, message):
    f, params = saddle()
    with pytest.raises(error, match=message):
        tg.HessianOperator(f, params) @ device(v)


def test_words_are_no_vector():
    f, params = saddle()
    with pytest.raises((TypeError, ValueError), match=r"v must hold numbers|dtype"):
        tg.HessianOperator(f, params) @ np.array(["a", "b"])


MASKED = np.ma.array([[2.0, 0], [0, 1]], mask=[[0, 1], [0, 0]])


@pytest.mark.parametrize("matrix", [MASKED, np.eye(2).view(np.matrix)], ids=["masked", "np.matrix"])
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_arrays_with_rules_of_their_own_are_refused_everywhere(matrix):
    H = tg.HessianOperator(*saddle())
    plain, vector = device(np.eye(2)), matrix[0]
    for call in (
        lambda: H @ matrix,
        lambda: tg.hvp(*saddle(), matrix),
        lambda: tg.lanczos(matrix, 1),
        lambda: tg.extreme_eigenpairs(matrix),
        lambda: tg.spectral_density(matrix),
        lambda: tg.escape_direction(matrix),
        lambda: tg.classify_critical_point(matrix, device(np.zeros(2))),
        lambda: tg.classify_critical_point(plain, vector),
        lambda: tg.classify_critical_point(plain, device(np.zeros(2)), position=vector),
        lambda: tg.classify_critical_point(plain, device(np.zeros(2)), size=vector),
    ):
        with pytest.raises(TypeError, match=r"no (masked arrays|np\.matrix)"):
            call()


@pytest.mark.parametrize("wrong", [0, -1e-6, np.nan, np.inf, "small", True, [1e-6]])
def test_a_tolerance_is_a_number_above_0(wrong):
    H, g = device(np.eye(2)), device(np.zeros(2))
    for name in ("tol", "near"):
        with pytest.raises(ValueError, match=f"{name} must be a number above 0"):
            tg.classify_critical_point(H, g, **{name: wrong})
    with pytest.raises(ValueError, match="tol must be a number above 0"):
        tg.escape_direction(H, tol=wrong)


def test_memory_is_asked_for_before_a_dense_hessian_starts():
    w, calls = leaf(np.ones(10**6, "float32")), []

    def f():
        calls.append(1)
        return (w * w).sum()

    with pytest.raises(MemoryError, match=r"1000000 parameters.* 4e\+03 GB.*HessianOperator"):
        tg.hessian(f, [w])
    assert len(calls) == 1
    tg.HessianOperator(f, [w]) @ w.data  # there is another way


def test_the_two_triangles_are_brought_together_exactly():
    f, params = network("float32")
    H = host(tg.hessian(f, params))
    assert (H.dtype, (H == H.T).all()) == (np.float32, True)
    rows = host(tg.HessianOperator(f, params) @ device(np.eye(len(H), dtype="float32"))).T
    mean = (rows.astype(float) + rows.T) / 2
    assert (mean != rows).any()
    np.testing.assert_allclose(H, mean, rtol=2e-7, atol=1e-30)
    w = leaf(np.array([1.0, 2.0, 3.0]))
    H = tg.hessian(lambda: w[0] * w[1] * w[2] * 2.0**-1074, [w])
    assert host(H).max() == 3 * 2.0**-1074  # halves of it would be rounded


# Which parameters


def test_an_unused_parameter_has_a_block_of_zeros():
    w, unused = leaf([1.0, 2.0]), leaf([3.0])
    H = host(tg.hessian(lambda: (w**3).sum(), [w, unused]))
    assert H.tolist() == [[6, 0, 0], [0, 12, 0], [0, 0, 0]]


def test_a_linear_function_has_a_hessian_of_zeros():
    w = leaf([1.0, 2.0])
    assert host(tg.hessian(lambda: (3 * w).sum(), [w])).tolist() == [[0, 0], [0, 0]]
    both = leaf([1.0])
    H = host(tg.hessian(lambda: (3 * w).sum() + (both**2).sum(), [w, both]))
    assert H.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 2]]


def test_moved_parameters_need_a_new_operator():
    f, params = saddle(1.0, 2.0)
    H = tg.HessianOperator(f, params)
    params[0].data = params[0].data + 1
    with pytest.raises(RuntimeError, match="make the HessianOperator anew"):
        H @ device(np.ones(2))


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda w: w * 2, ValueError, r"single number.*shape \(2,\)"),
        (lambda w: w[:0], ValueError, r"single number.*shape \(0,\)"),
        (lambda w: 3.0, ValueError, "returned float"),
        (lambda w: (w * np.inf).sum(), ValueError, "the loss is inf"),
        (lambda w: (w * np.nan).sum(), ValueError, "the loss is nan"),
        (lambda w: tg.Tensor(1.0), ValueError, "nothing was recorded"),
    ],
)
def test_a_loss_must_be_a_finite_recorded_number(f, error, message):
    w = leaf([1.0, 2.0])
    with pytest.raises(error, match=message):
        tg.HessianOperator(lambda: f(w), [w])


def test_a_vector_of_the_wrong_length_is_refused():
    f, params = saddle()
    with pytest.raises(ValueError, match=r"\(2,\), but has \(3,\)"):
        tg.HessianOperator(f, params) @ device(np.ones(3))
    with pytest.raises(ValueError, match="no parameters"):
        tg.HessianOperator(f, iter([]))


def test_a_hessian_that_is_not_finite_is_found():
    w = leaf([0.0, 1.0])
    with np.errstate(all="ignore"):
        H = tg.HessianOperator(lambda: (w**1.5).sum(), [w])
        for call in (
            lambda: tg.lanczos(H, 2),
            lambda: tg.classify_critical_point(H, H.gradient),
            lambda: tg.escape_direction(H),
        ):
            with pytest.raises(ValueError, match="finite"):
                call()


# What kind of point


@pytest.mark.parametrize(
    ("eigenvalues", "gradient", "kind", "counts"),
    [
        ([-2, 2], 0, "saddle point", (1, 0, 1)),
        ([-2, 0, 2], 0, "saddle point", (1, 1, 1)),
        ([1, 2, 3], 0, "local minimum", (0, 0, 3)),
        ([-1, -2, -3], 0, "local maximum", (3, 0, 0)),
        ([0, 4], 0, "inconclusive (degenerate)", (0, 1, 1)),
        ([-4, 0], 0, "inconclusive (degenerate)", (1, 1, 0)),
        ([0, 0], 0, "inconclusive (degenerate)", (0, 2, 0)),
        ([1, 2, 3], 1e-3, "not a critical point", (0, 0, 3)),
        ([0, 0], 1e-300, "not a critical point", (0, 2, 0)),
        ([1e-12, 4], 0, "local minimum", (0, 0, 2)),  # in other units it is [4, 4]
        ([0, 0, 0, 4], 0, "inconclusive (degenerate)", (0, 3, 1)),
    ],
)
def test_the_kind_of_a_point(eigenvalues, gradient, kind, counts):
    H = device(np.diag(np.array(eigenvalues, float)))
    point = tg.classify_critical_point(H, device(np.full(len(eigenvalues), float(gradient))))
    assert point.kind == kind
    assert (point.negative, point.zero, point.positive) == counts
    assert point.minimum_ratio == counts[2] / len(eigenvalues)
    assert str(point).startswith(kind)
    assert bool(point.why) == kind.startswith("inconclusive")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_sixty_functions_at_their_points_and_beside_them(specimen, dtype):
    H = evaluate(specimen, specimen.point, dtype)
    kind = tg.classify_critical_point(H, H.gradient).kind
    if (specimen.name, dtype) == ("rotated 1e4, 1", "float32"):
        assert kind in (specimen.kind, "inconclusive (degenerate)")  # 1e-4 is near rounding
    else:
        assert kind == specimen.kind
    if specimen.off:
        H = evaluate(specimen, beside(specimen), dtype)
        assert tg.classify_critical_point(H, H.gradient).kind == NOT


def variants(dtype):
    """Yield a factor for the loss, and the powers of ten that are units of the parameters."""
    largest = {"float16": (), "float32": (8, 20, 30), "float64": (8, 30, 100, 200, 290)}[dtype]
    for power in largest:
        for sign in (1, -1):
            yield 10.0 ** (sign * power), lambda n: np.zeros(n)
    for power in (1,) if dtype == "float16" else (2, 5):
        for sign in (1, -1):
            yield 1.0, lambda n, unit=sign * power: np.full(n, unit)
            yield 1.0, lambda n, unit=sign * power: unit * (-1) ** np.arange(n)
            yield 1.0, lambda n, unit=sign * power: np.linspace(-unit, unit, n)


def holds(dtype, specimen, point, scale, units):
    """Whether the dtype can hold the function and its derivatives."""
    H = evaluate(specimen, point)
    second = host(H @ device(np.eye(len(point)))) / np.outer(units, units) * scale
    sizes = np.abs([*second.ravel(), *(host(H.gradient) / units * scale), scale, *units])
    info = np.finfo(dtype)
    return sizes.max() < info.max / 1e4 and sizes[sizes > 0].min() > info.tiny / info.eps


def check_verdicts(specimens, dtype, share=1.0):
    """Judge points in all variants; return the counts of right, wrong and undecided verdicts."""
    counts, messages, random = (
        {"right": 0, "wrong": 0, "undecided": 0},
        [],
        np.random.default_rng(0),
    )
    for specimen in specimens:
        points = [(specimen.point, specimen.kind)]
        points += [(beside(specimen), NOT)] if specimen.off else []
        for (point, kind), (scale, power) in itertools.product(points, variants(dtype)):
            units = 10.0 ** power(len(point))
            if random.random() > share or not holds(dtype, specimen, point, scale, units):
                continue
            H = evaluate(specimen, point, dtype, scale, units)
            found = tg.classify_critical_point(H, H.gradient)
            undecided = "undecided" if found.kind.startswith("inconclusive") else "wrong"
            word = "right" if found.kind == kind else undecided
            counts[word] += 1
            if word != "right":
                messages.append(f"{specimen.name} × {scale:g}, units {units}: {kind} | {found}")
    print(counts, *messages, sep="\n")
    return counts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0.1, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some losses leave the dtype's range
def test_neither_the_scale_of_the_loss_nor_units_change_the_verdict(dtype, share):
    counts = check_verdicts(SPECIMENS, dtype, share)
    assert counts["right"] > 1000 * share
    assert counts["wrong"] == 0
    assert counts["undecided"] <= 0.02 * sum(counts.values()) + 2


@pytest.mark.parametrize("k", [1, 30, 5000, 1e8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_exponential_has_no_minimum_anywhere(k, dtype):
    for far in (0.1, 1, 5, 20, 60):
        w = leaf(np.array([far / k], dtype))
        H = tg.HessianOperator(lambda w=w: tg.exp(-k * w).sum(), [w])
        point = tg.classify_critical_point(H, H.gradient)
        assert point.kind == NOT
        assert point.step == pytest.approx(1 / far, rel=1e-3)
        assert point.distance == pytest.approx(1 / k, rel=1e-3)


def test_the_result_says_how_far_away_the_critical_point_is():
    a = leaf(np.array([3.0, 1.0]))
    H = tg.HessianOperator(lambda: (a[0] - 1) ** 2 + 100 * (a[1] - 1) ** 2, [a])
    point = tg.classify_critical_point(H, H.gradient)
    assert (point.step, point.distance) == pytest.approx((2 / 3, 2), rel=1e-6)
    assert point.near == pytest.approx(2.0 ** (-52 / 3))
    assert "a critical point is expected 2 away, 0.67 times the parameters' sizes" in str(point)
    assert tg.classify_critical_point(H, H.gradient, near=0.7).kind == "local minimum"
    far = tg.HessianOperator(lambda: ((a - 300) ** 2).sum(), [a])
    assert "no critical point is expected near" in str(
        tg.classify_critical_point(far, far.gradient)
    )
    b = leaf(np.array([3.0]))
    H = tg.HessianOperator(lambda: (2 * b).sum(), [b])
    point = tg.classify_critical_point(H, H.gradient)
    assert (point.kind, point.step) == (NOT, np.inf)
    assert "no critical point is expected near" in str(point)


def test_inconclusive_says_why():
    H = tg.HessianOperator(*saddle(1.0, 1.0))
    point = tg.classify_critical_point(H, H.gradient)
    assert point.why == "1 of 2 eigenvalues are 0 up to rounding"
    assert str(point).endswith(point.why)
    large = tg.classify_critical_point(device(np.zeros((1001, 1001))), device(np.zeros(1001)))
    assert (large.kind, bool(large.why)) == ("inconclusive (degenerate)", True)


def test_where_the_parameters_are_unknown_a_size_tells_what_is_near():
    H, g = device(np.diag([1.0, 4.0])), device(np.array([1e-8, 0.0]))
    classify = tg.classify_critical_point
    assert classify(H, g).kind == "local minimum"  # 1e-8 away, and 1 is the size
    assert classify(H, g, size=1e-3).kind == NOT
    assert classify(H, g, size=device(np.array([1.0, 0.0]))).kind == "local minimum"
    assert classify(H, g, position=device(np.array([1e-3, 5.0]))).kind == NOT
    assert classify(H, g, position=device(np.array([1.0, 5.0]))).kind == "local minimum"
    assert classify(H, g, position=device(np.array([1e-8, 0.0])), size=1).kind == "local minimum"
    near_zero = tg.HessianOperator(*saddle(1e-9, 1e-9))
    assert classify(near_zero, near_zero.gradient).kind == NOT
    assert classify(near_zero, near_zero.gradient, size=1).kind == "saddle point"


def test_a_parameter_near_0_is_measured_by_the_others():
    w = leaf(np.array([1.0, 1e-12]))
    H = tg.HessianOperator(lambda: ((w - 1) ** 2)[0] + (w**2)[1], [w])
    assert tg.classify_critical_point(H, H.gradient).kind == "local minimum"


@pytest.mark.parametrize(("tol", "kind"), [(0.1, "saddle point"), (0.6, "inconclusive")])
def test_the_tolerance_is_what_rounding_makes_of_0(tol, kind):
    matrix = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, -1.0]])  # 0.1, 1.9, −1
    point = tg.classify_critical_point(device(matrix), device(np.zeros(3)), tol=tol)
    assert point.kind.startswith(kind)
    assert point.zero == (1 if tol == 0.1 else 2)
    assert point.tolerance == pytest.approx(tol * 1.9)
    assert point.near == pytest.approx(tol ** (2 / 3))


def test_the_notes_points():
    f, params = saddle()
    H = tg.HessianOperator(f, params)
    assert tg.classify_critical_point(H, H.gradient).kind == "saddle point"
    f, params = saddle(1.0, 1.0)  # on the curve of minima w₁w₂ = 1
    H = tg.HessianOperator(f, params)
    point = tg.classify_critical_point(H, H.gradient)
    assert point.kind == "inconclusive (degenerate)"
    assert (point.lowest, point.highest) == pytest.approx((0, 4), abs=1e-12)
    f, params = saddle(1.0, 2.0)
    H = tg.HessianOperator(f, params)
    assert tg.classify_critical_point(H, H.gradient).kind == "not a critical point"


def test_up_to_a_thousand_parameters_all_eigenvalues_are_counted():
    H = device(np.diag(np.r_[-1, np.linspace(1, 2, 999)]))
    point = tg.classify_critical_point(H, device(np.zeros(1000)))
    assert (point.negative, point.zero, point.positive) == (1, 0, 999)


def quadratic(d, off=0.0, dtype="float64", powers=0.0):
    """Return ½Σd(w − c)², in units of the parameters, at c or with one parameter off it."""
    random = np.random.default_rng(len(d))
    units = 10.0 ** (powers * random.uniform(-1, 1, len(d)))
    c = (random.normal(size=len(d)) * units).astype(dtype)
    start = c.copy()
    start[7] *= 1 + off
    w, d, c = leaf(start), device((d / units**2).astype(dtype)), device(c)
    return tg.HessianOperator(lambda: (d * (w - c) ** 2).sum() / 2, [w])


N = 1001
MANY = {
    "ones": (np.ones(N), "local minimum"),
    "one negative": (np.where(np.arange(N) == 154, -0.5, 1), "saddle point"),
    "all negative": (-np.linspace(1, 2, N), "local maximum"),
    "one zero": (np.where(np.arange(N) == 154, 0, 1), "inconclusive (degenerate)"),
    "condition 1e3": (np.logspace(-3, 0, N), "local minimum"),
    "one small and negative": (np.r_[-1e-3, np.logspace(-3, 0, N - 1)], "saddle point"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("powers", [0, 5])
@pytest.mark.parametrize("name", MANY)
def test_beyond_a_thousand_parameters_both_ends_decide(name, powers, dtype):
    d, kind = MANY[name]
    H = quadratic(d, dtype=dtype, powers=powers)
    point = tg.classify_critical_point(H, H.gradient)
    assert (point.kind, point.negative, point.minimum_ratio) == (kind, None, None)
    H = quadratic(d, off=0.3, dtype=dtype, powers=powers)
    point = tg.classify_critical_point(H, H.gradient)
    assert point.kind == NOT
    if powers == 0:
        assert point.step == pytest.approx(0.3 / 1.3, rel=0.01)


def test_a_full_matrix_of_many_parameters_in_mixed_units():
    Q, _ = np.linalg.qr(RANDOM.normal(size=(N, N)))
    units = 10.0 ** RANDOM.uniform(-5, 5, N)
    for lowest, kind in ((1, "local minimum"), (-1, "saddle point")):
        H = (Q * np.r_[lowest, np.linspace(1, 2, N - 1)]) @ Q.T / np.outer(units, units)
        H = device((H + H.T) / 2)
        point = tg.classify_critical_point(H, device(np.zeros(N)))  # its lengths are to be found
        assert point.kind == kind
        off = H @ device(0.1 * units)
        point = tg.classify_critical_point(H, off, position=device(units))
        assert point.kind == NOT


def test_newtons_step_is_taken_by_as_many_products_as_it_needs():
    Q, _ = np.linalg.qr(RANDOM.normal(size=(N, N)))
    H = device((Q * np.logspace(-2, 0, N)) @ Q.T)
    position = device(np.ones(N))
    point = tg.classify_critical_point(H, H @ (0.1 * position), position=position)
    assert point.distance == pytest.approx(0.1 * N**0.5, rel=0.1)
    assert point.step == pytest.approx(0.1, rel=0.2)


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n", [20_000, 10**6])
def test_a_million_parameters(n, dtype):
    for position in np.random.default_rng().integers(n, size=3 if n > 20_000 else 20):
        d = np.ones(n)
        d[position] = -0.5
        H = quadratic(d, dtype=dtype)
        assert tg.classify_critical_point(H, H.gradient).kind == "saddle point", position


def test_a_network_of_more_than_a_thousand_parameters_at_a_saddle_and_beside_it():
    f, params = network(sizes=(64, 20, 10), images=100)
    H = tg.HessianOperator(f, params)
    point = tg.classify_critical_point(H, H.gradient)
    assert (point.kind, point.lowest < 0 < point.highest) == (NOT, True)
    for param in params:
        param.data = np.zeros_like(param.data)
    counts = np.bincount(host(tg.datasets.digits()[0][:100][1].data), minlength=10)
    params[-1].data = device(np.log(counts / counts.sum()))
    H = tg.HessianOperator(f, params)
    assert tg.classify_critical_point(H, H.gradient).kind == "saddle point"


def test_a_minimum_in_doubt_is_not_called_one(monkeypatch):
    # Few steps do not resolve the lowest eigenvalue, which is negative, among so many small ones.
    few = functools.partial(tg.extreme_eigenpairs, max_steps=20)
    Q, _ = np.linalg.qr(RANDOM.normal(size=(1500, 1500)))
    H = device((Q * np.r_[-1e-5, np.logspace(-4, 0, 1499)]) @ Q.T)
    monkeypatch.setattr(tg.curvature, "extreme_eigenpairs", few)
    for doubtful in (H, -H):
        point = tg.classify_critical_point(doubtful, device(np.zeros(1500)))
        assert point.kind == "inconclusive (not settled)"
        assert "not settled" in point.why
    H = device(np.diag(np.linspace(1, 2, 1500)))
    assert tg.classify_critical_point(H, device(np.zeros(1500))).kind == "local minimum"
    assert tg.classify_critical_point(-H, device(np.zeros(1500))).kind == "local maximum"


def test_parameters_are_leaves_each_once():
    w = leaf([1.0, 2.0])
    assert host(tg.hessian(lambda: (w**3).sum(), w)).tolist() == [[6, 0], [0, 12]]
    for params, message in [
        ([w, w], "occurs twice"),
        ([w * 2], "not a leaf"),
        ([tg.Tensor(1.0)], "requires_grad=True"),
        (iter([]), "no parameters"),
    ]:
        with pytest.raises(ValueError, match=message):
            tg.HessianOperator(lambda: (w**3).sum(), params)
    with pytest.raises(TypeError, match=r"module\.parameters\(\)"):
        tg.HessianOperator(lambda: (w**3).sum(), tg.nn.Linear(1, 1))


def test_the_gradient_norm_is_told():
    gradient = device(np.array([3.0, -4.0]))
    assert tg.classify_critical_point(device(np.eye(2)), gradient).gradient_norm == 5


def test_the_gradient_must_fit():
    for size in (1, 3):
        with pytest.raises(ValueError, match=rf"must be \(2,\), not \({size},\)"):
            tg.classify_critical_point(device(np.eye(2)), device(np.zeros(size)))
    with pytest.raises(ValueError, match="gradient is not finite"):
        tg.classify_critical_point(device(np.eye(2)), device(np.array([0.0, np.nan])))


# The way out


def test_the_way_out_of_a_saddle_leads_down():
    f, params = network()
    H = tg.HessianOperator(f, params)
    u = host(tg.escape_direction(H))
    assert np.linalg.norm(u) == pytest.approx(1)
    assert host(H.gradient) @ u <= 0
    assert u @ host(H @ device(u)) < 0
    opposite = tg.escape_direction(H, gradient=-H.gradient)
    np.testing.assert_allclose(host(opposite), -u)


@pytest.mark.parametrize("place", range(4))
def test_the_way_out_goes_down_the_gradient_if_there_is_one(place):
    down = np.roll([0.8, -0.6, 0, 0], place)
    H = device(np.eye(4) - 2 * np.outer(down, down))
    np.testing.assert_allclose(host(tg.escape_direction(H)), down, rtol=0, atol=1e-14)
    for gradient, u in [(0 * down, down), (down, -down), (-down, down)]:
        found = host(tg.escape_direction(H, device(gradient)))
        np.testing.assert_allclose(found, u, rtol=0, atol=1e-14)


def test_a_single_parameter_has_a_way_out():
    assert host(tg.escape_direction(device(np.array([[-2.0]])))).tolist() == [1]


def test_at_a_minimum_there_is_no_way_out():
    assert tg.escape_direction(device(np.diag([1.0, 2.0]))) is None
    assert tg.escape_direction(device(np.diag([0.0, 2.0]))) is None
    assert tg.escape_direction(device(np.zeros((2, 2)))) is None
    assert tg.escape_direction(device(np.diag([-1.0, -2.0]))) is not None
    assert tg.escape_direction(device(np.diag([-2.0, 1.0])), tol=1) is None  # −2 is not below −2


def test_the_way_out_does_not_depend_on_units():
    for powers in (0, 5):
        H = quadratic(np.where(np.arange(40) == 3, -0.5, 1), powers=powers)
        u = host(tg.escape_direction(H))
        assert np.linalg.norm(u) == pytest.approx(1)
        assert abs(u[3]) == pytest.approx(1, abs=1e-6)
    u = tg.escape_direction(device(np.diag([-1e-12, 2.0]).astype("float32")))
    assert u.dtype == np.float32
    assert host(u).tolist() == pytest.approx([1, 0], abs=1e-6)


# Cost


def test_100000_parameters_take_20_lanczos_steps_in_flat_memory():
    f, params = network("float32", sizes=(64, 1330, 10), images=100)
    H = tg.HessianOperator(f, params)
    assert H.shape[0] > 99_000
    diagonal, _, _ = tg.lanczos(H, 20)
    assert len(diagonal) == 20
    gc.collect()
    gc.disable()
    try:
        tg.lanczos(H, 3)
        tg.HessianOperator(f, params)
        assert gc.collect() == 0
    finally:
        gc.enable()
