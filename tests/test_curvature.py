"""The Hessian: closed forms, known spectra, and what kind of point it is."""

import functools
import gc
import itertools

import numpy as np
import pytest

import tinygrad_edu as tg

RANDOM = np.random.default_rng(0)


def leaf(data, **options):
    return tg.Tensor(data, requires_grad=True, **options)


def device(array):
    return tg.Tensor(array).data


def host(array):
    return tg.backend.move(array, "numpy")


def saddle(w1=0.0, w2=0.0):
    """Return the notes' loss (1 − w₁w₂)² with its parameters."""
    params = [leaf(w1), leaf(w2)]
    return (lambda: (1 - params[0] * params[1]) ** 2), params


def network(dtype="float64", sizes=(64, 6, 10), images=60):
    """Return the loss of a small tanh network on real digits with its parameters."""
    generator = np.random.default_rng(0)
    layers = [tg.nn.Linear(*pair, generator, dtype) for pair in itertools.pairwise(sizes)]
    model = tg.nn.Sequential(layers[0], tg.nn.Tanh(), *layers[1:])
    train, _ = tg.datasets.digits()
    x, y = train[:images]
    x = x.astype(dtype)
    return (lambda: tg.cross_entropy(model(x), y)), model.parameters()


def with_spectrum(eigenvalues):
    """Return a dense symmetric matrix that has these eigenvalues."""
    Q, _ = np.linalg.qr(RANDOM.normal(size=(len(eigenvalues), len(eigenvalues))))
    return device((Q * np.asarray(eigenvalues, float)) @ Q.T)


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


# Lanczos


SPECTRA = {
    "positive": np.linspace(1, 100, 60),
    "indefinite": np.r_[-3, np.linspace(-1, 1, 57), 7, 8],
    "lowest far smaller than highest": np.r_[-1e-2, np.linspace(0, 1, 58), 1e3],
    "condition 1e12": np.logspace(-12, 0, 60),
    "repeated": np.r_[[-2.0] * 10, [0.0] * 30, [5.0] * 20],
    "negative": -np.linspace(1, 2, 30),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_lanczos_finds_both_ends_of_a_known_spectrum(name):
    spectrum = SPECTRA[name]
    pairs = tg.extreme_eigenpairs(with_spectrum(spectrum))
    scale = np.abs(spectrum).max()
    np.testing.assert_allclose(
        pairs.values, [spectrum.min(), spectrum.max()], rtol=0, atol=1e-8 * scale
    )


@pytest.mark.parametrize("name", SPECTRA)
def test_eigenvectors_satisfy_their_equation(name):
    H = with_spectrum(SPECTRA[name])
    values, vectors, residuals = tg.extreme_eigenpairs(H, k=2)
    matrix, vectors = host(H), host(vectors)
    scale = np.abs(SPECTRA[name]).max()
    np.testing.assert_allclose(matrix @ vectors, vectors * values, rtol=0, atol=1e-8 * scale)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), rtol=0, atol=1e-10)
    assert (np.diff(values) > 0).all()
    assert (residuals <= 1e-8 * scale).all()


def test_the_basis_makes_h_tridiagonal():
    H = with_spectrum(SPECTRA["indefinite"])
    diagonal, offdiagonal, Q = tg.lanczos(H, steps=25)
    Q = host(Q)
    T = np.diag(diagonal) + np.diag(offdiagonal[:-1], 1) + np.diag(offdiagonal[:-1], -1)
    np.testing.assert_allclose(Q.T @ Q, np.eye(25), rtol=0, atol=1e-13)
    np.testing.assert_allclose(Q.T @ host(H) @ Q, T, rtol=0, atol=1e-12)


def test_lanczos_stops_where_the_basis_is_invariant():
    diagonal, offdiagonal, Q = tg.lanczos(with_spectrum(SPECTRA["repeated"]), steps=50)
    assert (len(diagonal), offdiagonal[-1], Q.shape) == (3, 0, (60, 3))  # three distinct values
    diagonal, offdiagonal, _ = tg.lanczos(device(np.zeros((4, 4))), steps=4)
    assert (diagonal.tolist(), offdiagonal.tolist()) == ([0], [0])
    assert tg.extreme_eigenpairs(device(np.eye(3))).values.tolist() == pytest.approx([1])


class Counted(tg.HessianOperator):
    """Counts its products."""

    products = 0

    def __matmul__(self, v):
        self.products += 1
        return super().__matmul__(v)


@pytest.mark.parametrize(("dtype", "epsilon"), [("float64", 2.0**-52), ("float32", 2.0**-23)])
def test_it_ends_as_soon_as_the_residuals_are_small(dtype, epsilon):
    H = Counted(*network(dtype))
    values, _, residuals = tg.extreme_eigenpairs(H)
    assert (residuals <= epsilon ** (2 / 3) * np.abs(values).max()).all()
    steps = H.products
    assert steps < 100
    before = tg.extreme_eigenpairs(H, max_steps=steps - 5).residuals
    assert (before > epsilon ** (2 / 3) * np.abs(values).max()).any()


def test_it_does_not_end_before_there_are_2k_values():
    H = device(np.diag([1.0, 2, 3, 4, 5, 5 + 1e-12]))  # after five steps next to nothing is left
    assert len(tg.extreme_eigenpairs(H, k=3).values) == 6


def test_it_looks_at_the_residuals_as_soon_as_there_are_2k_values():
    eigenvalues = np.repeat(np.r_[-5:0, 1:6], 5) + 1e-13 * np.arange(50)  # ten, but for rounding
    w, a = leaf(np.zeros(50)), tg.Tensor(eigenvalues)
    H = Counted(lambda: (a * w * w).sum() / 2, [w])
    tg.extreme_eigenpairs(H, k=5)
    assert H.products == 10


def test_no_more_are_found_than_there_are():
    values = tg.extreme_eigenpairs(device(np.diag([1.0, 2.0])), k=5).values
    assert values.tolist() == pytest.approx([1, 2])


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_what_is_found_scales_with_the_matrix(scale):
    H = with_spectrum(SPECTRA["indefinite"])
    values, _, residuals = tg.extreme_eigenpairs(H)
    scaled = tg.extreme_eigenpairs(scale * H)
    np.testing.assert_allclose(scaled.values, scale * values, rtol=1e-14)
    np.testing.assert_allclose(scaled.residuals, scale * residuals, rtol=1e-3)  # as many steps


def test_one_step_gives_one_value():
    pairs = tg.extreme_eigenpairs(with_spectrum(SPECTRA["positive"]), max_steps=1)
    assert pairs.values.shape == pairs.residuals.shape == (1,)
    assert 1 < pairs.values[0] < 100


def test_lanczos_is_deterministic_by_seed():
    H = with_spectrum(SPECTRA["positive"])
    first, again, other = (tg.lanczos(H, 5, seed=seed)[0] for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_the_defaults_are_those_of_the_documentation():
    for function, defaults in [
        (tg.lanczos, (0,)),
        (tg.extreme_eigenpairs, (1, 300, 0)),
        (tg.spectral_density, (10, 80, 0)),
    ]:
        assert function.__defaults__ == defaults


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tg.lanczos(device(np.ones((2, 3))), 1), r"square.*\(2, 3\)"),
        (lambda: tg.lanczos(device(np.ones((3, 2))), 1), r"square.*\(3, 2\)"),
        (lambda: tg.lanczos(device(np.eye(2)), 0), "steps must be 1"),
        (lambda: tg.extreme_eigenpairs(device(np.eye(2)), k=0), "k and max_steps must be 1"),
        (lambda: tg.extreme_eigenpairs(device(np.eye(2)), max_steps=0), "max_steps must be 1"),
        (lambda: tg.spectral_density(device(np.eye(2)), probes=0), "probes must be 1"),
    ],
)
def test_lanczos_refuses_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_both_ends_of_a_network_equal_those_of_its_dense_hessian(dtype, tolerance):
    f, params = network(dtype)
    values = tg.extreme_eigenpairs(tg.HessianOperator(f, params), k=2).values
    exact = np.linalg.eigvalsh(host(tg.hessian(f, params)).astype(float))
    np.testing.assert_allclose(values, exact[[0, 1, -2, -1]], rtol=0, atol=tolerance * exact[-1])


def test_it_is_a_linear_operator_for_scipy():
    linalg = pytest.importorskip("scipy.sparse.linalg")
    f, params = network()
    H = tg.HessianOperator(f, params)
    theirs = [linalg.eigsh(H, k=1, which=end)[0][0] for end in ("SA", "LA")]
    ours = tg.extreme_eigenpairs(H).values
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8 * ours[-1])
    assert linalg.aslinearoperator(H).matmat(np.eye(len(H.gradient))[:, :2]).shape[1] == 2


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
        ([1e-12, 4], 0, "inconclusive (degenerate)", (0, 1, 1)),
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


def test_the_tolerance_scales_with_the_spectrum_and_the_dtype():
    for dtype, small in (("float64", 1e-6), ("float32", 1e-3)):
        for scale in (1e-6, 1.0, 1e6):
            H = device(np.diag([-small * scale, scale]).astype(dtype))
            zero = device(np.zeros(2, dtype))
            assert tg.classify_critical_point(H, zero).kind == "saddle point"
            assert tg.classify_critical_point(H, zero, tol=0.1).kind.startswith("inconclusive")


@pytest.mark.parametrize("eigenvalues", [[-1, 0.5], [-0.5, 1], [0.5, 1], [-1, -0.5]])
def test_the_bounds_of_the_tolerance_count_as_zero(eigenvalues):
    H, gradient = device(np.diag(np.array(eigenvalues, float))), device(np.array([0.5, 0.0]))
    point = tg.classify_critical_point(H, gradient, tol=0.5)
    assert (point.kind, point.zero) == ("inconclusive (degenerate)", 1)


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


def test_beyond_a_thousand_parameters_only_the_ends_are_found():
    H = with_spectrum(np.r_[-1, np.linspace(0, 1, 999), 2])
    point = tg.classify_critical_point(H, device(np.zeros(1001)))
    assert (point.kind, point.negative, point.minimum_ratio) == ("saddle point", None, None)
    assert (point.lowest, point.highest) == pytest.approx((-1, 2))


def test_a_minimum_in_doubt_is_not_called_one(monkeypatch):
    # Few steps do not resolve the lowest eigenvalue, which is negative, among so many small ones.
    few = functools.partial(tg.extreme_eigenpairs, max_steps=30)
    monkeypatch.setattr(tg.curvature, "extreme_eigenpairs", few)
    H = device(np.diag(np.r_[-1e-5, np.logspace(-4, 0, 1499)]))
    for doubtful in (H, -H):
        point = tg.classify_critical_point(doubtful, device(np.zeros(1500)))
        assert point.kind == "inconclusive (degenerate)"
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
    assert tg.escape_direction(device(np.diag([-1e-12, 2.0]))) is None
    assert tg.escape_direction(device(np.diag([-1.0, -2.0]))) is not None
    assert tg.escape_direction(device(np.diag([-2.0, 1.0])), tol=1) is None  # −2 is not below −2


# The whole spectrum


def test_the_density_is_a_sum_of_bells():
    spectrum = tg.curvature.SpectralDensity(np.array([0.0, 1.0]), np.array([0.25, 0.75]))
    bell = [np.exp(-z * z / 2) / np.sqrt(2 * np.pi) for z in range(3)]
    expected = [0.5 * bell[0] + 1.5 * bell[2], 2 * bell[1], 0.5 * bell[2] + 1.5 * bell[0]]
    assert spectrum.density([0, 0.5, 1], width=0.5).tolist() == pytest.approx(expected, rel=1e-12)


def test_the_density_is_that_of_the_exact_spectrum():
    f, params = network(images=100)
    exact = np.linalg.eigvalsh(host(tg.hessian(f, params)))
    spectrum = tg.spectral_density(tg.HessianOperator(f, params), probes=20, steps=80)
    assert spectrum.weights.sum() == pytest.approx(1)
    # Many eigenvalues are 0 up to rounding, on either side of it. So both distributions are spread
    # by the same small width, a thousandth of the range, before they are compared.
    width = 1e-3 * (exact[-1] - exact[0])
    x = np.linspace(exact[0] - 5 * width, exact[-1] + 5 * width, 4000)
    each = tg.curvature.SpectralDensity(exact, np.full(len(exact), 1 / len(exact)))
    ours, theirs = (np.cumsum(s.density(x, width)) * (x[1] - x[0]) for s in (spectrum, each))
    assert theirs[-1] == pytest.approx(1, abs=1e-3)
    assert np.abs(ours - theirs).max() < 0.05


def test_one_probe_is_enough():
    spectrum = tg.spectral_density(device(np.diag([1.0, 2.0])), probes=1)
    assert spectrum.nodes.tolist() == pytest.approx([1, 2])


def test_the_density_is_that_of_ten_probes_of_80_steps_unless_said():
    assert tg.spectral_density(with_spectrum(np.linspace(1, 2, 100))).nodes.shape == (10 * 80,)


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
