"""Both ends of a spectrum, and its density, from products with vectors."""

import numpy as np
import pytest
from specimens import device, host, leaf, network

import tinygrad_edu as tg
from tinygrad_edu import spectrum

RANDOM = np.random.default_rng(0)


def with_spectrum(eigenvalues):
    """Return a dense symmetric matrix that has these eigenvalues."""
    Q, _ = np.linalg.qr(RANDOM.normal(size=(len(eigenvalues), len(eigenvalues))))
    return device((Q * np.asarray(eigenvalues, float)) @ Q.T)


class Counted(tg.HessianOperator):
    """Counts its products."""

    products = 0

    def __matmul__(self, v):
        self.products += 1
        return super().__matmul__(v)


class Diagonal:
    """A diagonal matrix, known by its products alone."""

    def __init__(self, d):
        self.d = device(d)
        self.shape, self.dtype = (len(d), len(d)), d.dtype
        self.backend = tg.backend.name_of(self.d)
        self.products = 0

    def __matmul__(self, v):
        assert v.dtype == self.dtype
        self.products += 1
        return self.d * v if v.ndim == 1 else self.d[:, None] * v


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
    assert (np.diff(values) >= 0).all()
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


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_lanczos_does_not_take_a_small_part_for_rounding(dtype):
    n = 10_000
    d = np.ones(n, dtype)
    d[154] = -0.5
    for seed in range(5):
        _, offdiagonal, Q = tg.lanczos(Diagonal(d), 1, seed)
        part = host(Q)[154, 0].astype(float)
        if abs(1.5 * part) > 4 * np.finfo(dtype).eps:
            assert offdiagonal[0] == pytest.approx(1.5 * abs(part), rel=0.1)


@pytest.mark.parametrize(("dtype", "epsilon"), [("float64", 2.0**-52), ("float32", 2.0**-23)])
def test_it_ends_as_soon_as_the_residuals_are_small(dtype, epsilon):
    H = Counted(*network(dtype))
    values, _, residuals = tg.extreme_eigenpairs(H)
    assert (residuals <= epsilon ** (2 / 3) * np.abs(values).max()).all()
    steps = H.products - 2  # one product measures each residual
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
    assert H.products == 10 + 10  # to find them, and to measure their residuals


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
    assert not pairs.settled
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


# Does it tell the truth?


def ends_of(d):
    pairs = tg.extreme_eigenpairs(Diagonal(d))
    return pairs.values[0], pairs.values[-1], pairs.settled


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("n", "count"),
    [
        *((1, 1), (2, 2), (10, 10), (100, 100), (1000, 100), (20_000, 20)),
        pytest.param(20_000, 100, marks=pytest.mark.long),
        pytest.param(10**6, 100, marks=pytest.mark.long),
    ],
)
def test_one_negative_eigenvalue_among_ones_is_found_wherever_it_is(dtype, n, count):
    # Positions that nobody chose: other ones in each run.
    entropy = np.random.SeedSequence().entropy
    positions = np.random.default_rng(entropy).permutation(n)[:count]
    if dtype == "float16" and n == 10**6:
        positions = positions[:10]  # some seconds each
    for position in positions:
        d = np.ones(n, dtype)
        d[position] = -0.5
        lowest, highest, settled = ends_of(d)
        assert lowest == pytest.approx(-0.5, rel=1e-2), (position, entropy)
        assert highest == pytest.approx(1 if n > 1 else -0.5, rel=1e-2), (position, entropy)
        assert settled


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 300, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_hidden_eigenvalue_among_two_clusters_is_found(dtype, n):
    for position in np.random.default_rng(n).integers(n, size=20):
        d = np.where(np.arange(n) % 2, 1, 2).astype(dtype)
        d[position] = -0.01
        assert ends_of(d)[0] == pytest.approx(-0.01, rel=1e-2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_repeated_eigenvalues_are_found_with_their_copies_where_the_basis_is_invariant(dtype):
    d = np.array([-2] * 3 + [0] * 20 + [5] * 2, dtype)
    pairs = tg.extreme_eigenpairs(Diagonal(d), k=4)
    assert pairs.values.tolist() == pytest.approx([-2, -2, -2, 0, 0, 0, 5, 5], abs=0.01)
    vectors = host(pairs.vectors).astype(float)
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(8), rtol=0, atol=tolerance)
    assert pairs.settled
    identity = tg.extreme_eigenpairs(device(np.eye(3, dtype=dtype)), k=3)
    assert identity.values.tolist() == pytest.approx([1, 1, 1], abs=0.01)


def test_the_more_a_start_can_hide_the_more_starts_there_are():
    for dtype, starts in (("float64", 3), ("float32", 3), ("float16", 9)):
        H = Diagonal(np.ones(10_000, dtype))
        assert tg.extreme_eigenpairs(H).settled
        assert H.products == starts + 2  # 1e-6 = (2ε√n)⁹ in float16; two residuals


def test_vectors_that_are_drawn_anew_are_orthogonal_to_all_before():
    *_, (basis, _, _) = spectrum._krylov(spectrum.symmetric(device(np.eye(50))), seed=0)
    assert basis.size == 50
    Q = tg.Tensor(np.concatenate(basis.filled())).numpy()
    np.testing.assert_allclose(Q @ Q.T, np.eye(50), rtol=0, atol=1e-14)


def test_where_the_steps_are_used_up_it_is_not_settled():
    H = with_spectrum(np.logspace(-6, 0, 300))
    few, enough = tg.extreme_eigenpairs(H, max_steps=20), tg.extreme_eigenpairs(H)
    assert (few.settled, enough.settled) == (False, True)
    assert few.values[0] > 2e-6  # it is not the lowest eigenvalue
    assert not tg.extreme_eigenpairs(device(np.eye(9)), max_steps=2).settled  # no second start
    assert tg.extreme_eigenpairs(device(np.eye(9)), max_steps=3).settled


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_residuals_are_those_of_the_vectors_that_are_returned(dtype):
    ratios = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        n = int(random.integers(2, 120))
        Q, _ = np.linalg.qr(random.normal(size=(n, n)))
        values = np.array([random.normal(size=n), np.logspace(-6, 0, n), np.arange(n) % 3 - 1.0])
        matrix = ((Q * values[seed % 3]) @ Q.T).astype(dtype)
        matrix = (matrix + matrix.T) / 2
        k, steps = int(random.integers(1, 4)), int(random.choice([5, 20, 300]))
        pairs = tg.extreme_eigenpairs(device(matrix), k, max_steps=steps)
        exact, vectors = matrix.astype(float), host(pairs.vectors).astype(float)
        assert vectors.dtype == float
        true = np.linalg.norm(exact @ vectors - vectors * pairs.values, axis=0)
        ratios += list(pairs.residuals / np.maximum(true, 1e-17))
    assert min(ratios) > 0.1
    assert np.mean(np.array(ratios) < 10) >= 0.95


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_squares_neither_over_nor_underflow(scale):
    d = np.array([-1.0, 0.5, 2.0, 3.0])
    pairs = tg.extreme_eigenpairs(device(np.diag(d * scale)))
    assert (pairs.values / scale).tolist() == pytest.approx([-1, 3])
    assert (pairs.residuals <= 1e-10 * scale).all()
    assert spectrum.norm(device(np.full(4, scale))) == pytest.approx(2 * scale)


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e30])
def test_float32_keeps_its_range(scale):
    d = np.linspace(-1, 3, 50) * scale
    lowest, highest, _ = ends_of(d.astype("float32"))
    assert (lowest / scale, highest / scale) == pytest.approx((-1, 3), rel=2e-3)


def test_the_basis_is_made_orthonormal_in_float64_whatever_the_dtype():
    d = np.r_[np.linspace(-1, 1, 5000), 50].astype("float32")
    diagonal, offdiagonal, Q = tg.lanczos(Diagonal(d), 60)
    Q = host(Q)
    assert (diagonal.dtype, offdiagonal.dtype, Q.dtype) == ("float64", "float64", "float32")
    np.testing.assert_allclose(Q.T.astype(float) @ Q, np.eye(60), rtol=0, atol=1e-7)


# What is a matrix?

F = np.array([[2.0, 1, 0], [1, -3, 1], [0, 1, 4]])
ENDS = [-3.3243473829, 4.1496020745]


@pytest.mark.parametrize(
    "make",
    [
        lambda: F.astype(int).tolist(),
        lambda: tuple(map(tuple, F)),
        lambda: device(F.astype("int8")),
        lambda: device(F.astype("float16")),
        lambda: device(F.astype("float32")),
        lambda: tg.Tensor(F),
        lambda: tg.Tensor(F, requires_grad=True),
        lambda: device(np.kron(F, np.ones((2, 2))))[::2, ::2],
    ],
    ids=["lists", "tuples", "int8", "float16", "float32", "Tensor", "parameter", "strided"],
)
def test_arrays_and_lists_are_matrices(make):
    values, vectors, _ = tg.extreme_eigenpairs(make())
    dtype = host(vectors).dtype
    assert dtype == getattr(make(), "dtype", float) or dtype == np.float64
    assert values.tolist() == pytest.approx(ENDS, rel=1e-6)
    assert tg.classify_critical_point(make(), device(np.zeros(3))).kind == "saddle point"


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
def test_the_matrices_of_scipy_are_matrices(dtype):
    sparse = pytest.importorskip("scipy.sparse")
    from scipy.sparse import linalg

    f = F.astype(dtype)
    without_dtype = linalg.LinearOperator((3, 3), matvec=lambda v: f @ v)
    for matrix in (
        *(sparse.csr_array(f), sparse.coo_array(f), sparse.csc_matrix(f)),
        *(linalg.aslinearoperator(f), without_dtype, f.astype(">f8")),
    ):
        assert tg.extreme_eigenpairs(matrix).values.tolist() == pytest.approx(ENDS, rel=1e-6)
        assert tg.classify_critical_point(matrix, [0, 0, 0]).kind == "saddle point"
        assert tg.lanczos(matrix, 2)[2].shape == (3, 2)
        assert tg.spectral_density(matrix, 2, 3).weights.sum() == pytest.approx(1)


REFUSED = {
    "not symmetric": (lambda: device(np.triu(F)), ValueError, "must be symmetric"),
    "antisymmetric": (lambda: device(np.triu(F, 1) - np.tril(F, -1)), ValueError, "symmetric"),
    "lists that are not": ([[1, 2, 0], [0, 1, 0], [0, 0, 1]], ValueError, "must be symmetric"),
    "empty": (lambda: device(np.zeros((0, 0))), ValueError, r"empty.*\(0, 0\)"),
    "not square": (lambda: device(np.ones((2, 3))), ValueError, r"square.*\(2, 3\)"),
    "a vector": (lambda: device(np.ones(3)), ValueError, r"square.*\(3,\)"),
    "ragged": ([[1, 2], [3]], ValueError, "must be square"),
    "complex": (lambda: F + 0j, TypeError, "real numbers.*complex128"),
    "words": (lambda: np.array([["a", "b"], ["c", "d"]]), (TypeError, ValueError), "real"),
    "None": (None, TypeError, "not a NoneType"),
    "a number": (3.0, TypeError, "not a float"),
    "a function": (lambda: lambda v: v, TypeError, "not a function"),
    "not a number": (lambda: device(F * np.nan), ValueError, "not finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_matrix_is_refused_in_one_sentence(name):
    make, error, message = REFUSED[name]
    H = make() if callable(make) else make
    for call in (
        lambda: tg.lanczos(H, 3),
        lambda: tg.extreme_eigenpairs(H),
        lambda: tg.spectral_density(H),
        lambda: tg.classify_critical_point(H, device(np.zeros(3))),
        lambda: tg.escape_direction(H),
    ):
        with pytest.raises(error, match=message), np.errstate(invalid="ignore"):
            call()


# Functions of a matrix


def test_a_function_of_a_matrix_times_a_vector():
    matrix, v = with_spectrum(np.linspace(-1, 2, 80)), device(RANDOM.normal(size=80))
    values, U = np.linalg.eigh(host(matrix))
    expected = U @ (np.exp(values) * (U.T @ host(v)))
    *_, (found, exact) = spectrum.function_times(np.exp, matrix, v, max_steps=30)
    np.testing.assert_allclose(host(found), expected, rtol=0, atol=1e-10)
    assert not exact
    *_, (found, exact) = spectrum.function_times(np.exp, device(np.eye(4)), v[:4])
    np.testing.assert_allclose(host(found), np.e * host(v)[:4])
    assert exact


# The whole spectrum


def test_the_density_is_a_sum_of_bells():
    spectrum = tg.SpectralDensity(np.array([0.0, 1.0]), np.array([0.25, 0.75]))
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
    each = tg.SpectralDensity(exact, np.full(len(exact), 1 / len(exact)))
    ours, theirs = (np.cumsum(s.density(x, width)) * (x[1] - x[0]) for s in (spectrum, each))
    assert theirs[-1] == pytest.approx(1, abs=1e-3)
    assert np.abs(ours - theirs).max() < 0.05


def test_one_probe_is_enough():
    spectrum = tg.spectral_density(device(np.diag([1.0, 2.0])), probes=1)
    assert spectrum.nodes.tolist() == pytest.approx([1, 2])


def test_the_density_is_that_of_ten_probes_of_80_steps_unless_said():
    assert tg.spectral_density(with_spectrum(np.linspace(1, 2, 100))).nodes.shape == (10 * 80,)
