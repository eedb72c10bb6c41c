"""The spectrum: eigenvalues (特征值) of a symmetric matrix that is known by its products alone.

A matrix of n rows has n² entries, but all that Lanczos's method asks of it are products with
vectors. From k of them it finds both ends of the spectrum, and averaging it over random starts
gives the density of all the eigenvalues (Ghorbani et al. 2019). Nothing here knows of derivatives:
`curvature` brings the Hessian, which is such a matrix.

The matrix multiplies in its own precision. All else is computed in float64, for the square of 1e-30
is 0 in float32, and an inner product of a million float32 numbers has lost half of its digits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import backend, entry
from tinygrad_edu.backend import Array
from tinygrad_edu.tensor import Tensor

Host = np.ndarray[Any, Any]  # an array on the host, whatever the backend
Seed = int | tuple[int, ...]


# ── What is a matrix? ────────────────────────────────────────────────────────────────────────────


class Symmetric(NamedTuple):
    """A real symmetric matrix, known by its products."""

    multiply: Callable[[Array], Array]  # with a vector
    n: int
    dtype: np.dtype[Any]  # how exact the matrix is
    working: np.dtype[Any]  # what it is multiplied with
    backend: str
    entries: Array | None = None  # if it is an array

    @property
    def epsilon(self) -> float:
        """The machine precision of the matrix."""
        return float(np.finfo(self.dtype).eps)

    def product(self, v: Array) -> Array:
        """Multiply with a float64 vector, in the matrix's own precision."""
        return self.multiply(v.astype(self.working)).astype(np.float64)

    def scaled(self, s: Array) -> Symmetric:
        """Return SHS, for a positive vector s: the same matrix where lengths are measured in s."""

        def multiply(v: Array) -> Array:
            v = s * v
            length = norm(v) or 1.0  # the matrix gets a unit vector, which it can hold
            return s * self.product(v / length) * length

        return self._replace(multiply=multiply, working=np.dtype(np.float64), entries=None)

    def dense(self) -> Host:
        """Return the matrix itself, in float64 on the host: the mean of its two triangles.

        Raises
        ------
        ValueError
            If it is not finite, or its triangles differ by more than rounding does.
        """
        entries = self.entries
        if entries is None:
            units = backend.move(np.eye(self.n), self.backend)
            entries = np.stack([self.product(unit) for unit in units], axis=1)
        matrix: Host = backend.move(entries, "numpy").astype(np.float64)
        if not np.isfinite(matrix).all():
            raise ValueError("the matrix is not finite")
        difference = matrix.T - matrix
        if np.abs(difference).max() > self.epsilon ** (1 / 3) * np.abs(matrix).max():
            i, j = np.unravel_index(np.abs(difference).argmax(), matrix.shape)
            raise ValueError(
                f"the matrix must be symmetric, but has {matrix[i, j]:.6g} in row {i}, column {j}, "
                f"and {matrix[j, i]:.6g} in row {j}, column {i}"
            )
        return matrix + difference / 2


def symmetric(H: Any) -> Symmetric:
    """Take as a matrix what a user has: an array, lists, a Tensor, or anything that has products.

    Parameters
    ----------
    H : (n, n) array_like, or an object with `shape`, `dtype` and `H @ v`
        The latter may be a HessianOperator, a sparse matrix, or a LinearOperator. Integers count as
        float64.

    Raises
    ------
    TypeError
        If it is neither, or does not hold real numbers.
    ValueError
        If it is not square, or empty. (Whether it is symmetric is seen by its products.)

    Examples
    --------
    >>> symmetric([[0, -2], [-2, 0]]).product(np.array([1.0, 0.0]))
    array([ 0., -2.])
    """
    if isinstance(H, Symmetric):
        return H
    H = H.data if isinstance(H, Tensor) else H
    entry.check_plain(H, "a matrix takes")
    is_array = isinstance(H, list | tuple) or hasattr(H, "__array__") or hasattr(H, "__dlpack__")
    if is_array:
        try:
            H = np.asarray(H) if isinstance(H, np.ndarray) else backend.asarray(H)
        except ValueError as error:
            raise ValueError(f"a matrix must be square, of real numbers: {error}") from error
    elif not hasattr(H, "shape") or not hasattr(H, "__matmul__"):
        raise TypeError(
            f"a matrix is a square array or an object with a shape and products H @ v, not a "
            f"{type(H).__name__}"
        )
    dtype = np.dtype(getattr(H, "dtype", None))  # a LinearOperator may not know it: float64
    if dtype.kind not in "fiub":
        raise TypeError(f"a matrix must hold real numbers, but this one is of {dtype}")
    if len(H.shape) != 2 or H.shape[0] != H.shape[1]:
        raise ValueError(f"a matrix must be square, but this one has the shape {tuple(H.shape)}")
    if not H.shape[0]:
        raise ValueError("the matrix is empty: it has the shape (0, 0)")
    if dtype.kind != "f" or dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    dtype = dtype.newbyteorder("=")
    if not is_array:
        where = getattr(H, "backend", type(H).__module__)
        name = "cupy" if where.startswith("cupy") else "numpy"
        return Symmetric(H.__matmul__, H.shape[0], dtype, dtype, name)
    working = np.promote_types(dtype, np.float32)  # NumPy multiplies float16 slowly, and overflows
    H = H.astype(working)
    return Symmetric(H.__matmul__, len(H), dtype, working, backend.name_of(H), entries=H)


def norm(v: Array, square: float | None = None) -> float:
    """Return the length of a vector, also where `square`, v @ v, over- or underflows.

    >>> norm(np.array([3e-200, 4e-200]))
    5e-200
    """
    if square is None:
        with np.errstate(over="ignore"):
            square = float(v @ v)
    if 1e-280 < square < 1e280 and v.dtype == np.float64:
        return square**0.5
    largest = float(abs(v).max())
    if not 0 < largest < math.inf:
        return largest  # 0, inf or nan
    return largest * norm(v.astype(np.float64) / largest)


# ── Lanczos's method ─────────────────────────────────────────────────────────────────────────────


def _rounding(matrix: Symmetric) -> float:
    """Return how much of a product, relative to |λ|max, may be nothing but its rounding.

    Along a full row errors add up to 10·√n·ε. But a unit vector has a part of about 1/√n in each
    direction. So as not to take more than a thousandth of that for rounding, less is allowed for
    where n is large, down to 2ε, the rounding of a matrix with one entry a row.
    """
    root = matrix.n**0.5
    return max(min(10 * root * matrix.epsilon, 1e-3 / root), 2 * matrix.epsilon)


class _Basis:
    """Orthonormal vectors, the rows of some blocks: to add a vector copies none of the others."""

    ROWS = 16

    def __init__(self, matrix: Symmetric) -> None:
        self.size = 0
        self._blocks: list[Array] = []
        self._empty = backend.move(np.empty((0, matrix.n)), matrix.backend)

    def append(self, q: Array) -> None:
        if self.size % self.ROWS == 0:
            self._blocks.append(np.empty_like(self._empty, shape=(self.ROWS, len(q))))
        self._blocks[-1][self.size % self.ROWS] = q
        self.size += 1

    def filled(self) -> list[Array]:
        starts = range(0, self.size, self.ROWS)
        return [block[: self.size - start] for start, block in zip(starts, self._blocks)]

    def remove_from(self, w: Array) -> Array:
        """Make w orthogonal to all the vectors, in place; return its overlaps with them."""
        overlaps = []
        for block in self.filled():
            overlaps.append(block @ w)
            w -= overlaps[-1] @ block
        return np.concatenate(overlaps)

    def combine(self, weights: Host) -> Array:
        """Return combinations of the vectors, (n, m), with weights of the shape (size, m)."""
        weights = backend.move(weights, backend.name_of(self._empty))
        starts = range(0, self.size, self.ROWS)
        parts = [block.T @ weights[i : i + len(block)] for i, block in zip(starts, self.filled())]
        return sum(parts[1:], start=parts[0])


def _krylov(
    matrix: Symmetric, seed: Seed, start: Array | None = None
) -> Iterator[tuple[_Basis, float, float]]:
    """Extend the orthonormal basis q₁, q₂, … of Lanczos's method; yield it with each αₖ and βₖ.

    H qₖ = βₖ₋₁qₖ₋₁ + αₖqₖ + βₖqₖ₊₁. By the symmetry of H, the product has no part in the vectors
    before qₖ₋₁. Rounding brings such parts in, and would find the same eigenvalues again and again.
    So they are removed.

    Where only rounding is left of the product, H maps the basis into itself: βₖ is 0, and qₖ₊₁ is
    drawn anew.
    """
    generator = np.random.default_rng(seed)
    smallest = float(np.finfo(matrix.working).smallest_subnormal) * matrix.n**0.5
    basis, scale, beta, last, q = _Basis(matrix), 0.0, 0.0, 0.0, start
    while basis.size < matrix.n:
        if q is None:
            q = backend.move(generator.normal(size=matrix.n), matrix.backend)
            if basis.size:
                basis.remove_from(q)
        q = q / (beta or norm(q))
        basis.append(q)
        w = matrix.product(q)
        with np.errstate(over="ignore", invalid="ignore"):
            alpha = q @ w
            w = w - alpha * q - beta * last
            overlaps = basis.remove_from(w)
            inner = backend.numbers(alpha, overlaps @ overlaps, w @ w)  # a GPU is waited for once
        alpha = inner[0]
        if not math.isfinite(alpha):
            raise ValueError("a product with the matrix is not finite")
        removed, beta, last = norm(overlaps, inner[1]), norm(w, inner[2]), q
        scale = max(scale, abs(alpha), beta)
        if removed > matrix.epsilon ** (1 / 3) * scale:
            raise ValueError(
                f"the matrix must be symmetric, but pᵀHq and qᵀHp differ by {removed:.2g} for "
                "unit vectors p and q"
            )
        q = w
        if beta <= _rounding(matrix) * scale + smallest or basis.size == matrix.n:
            beta, q = 0.0, None
        yield basis, alpha, beta


def lanczos(H: Any, steps: int, seed: Seed = 0) -> tuple[Host, Host, Array]:
    """Find an orthonormal basis Q of {v, Hv, H²v, …}, in which H is tridiagonal: T = QᵀHQ.

    The eigenvalues of T approach those of H, the outermost first, and at both ends. (Power
    iteration finds the largest |λ|, and may miss the negative eigenvalue that makes a saddle.)

    Parameters
    ----------
    H : HessianOperator, symmetric (n, n) array_like, or object with `shape`, `dtype` and `H @ v`
    steps : int
        Products to make. There are fewer when H maps the basis into itself, after n at the latest:
        then the eigenvalues of T are eigenvalues of H, each once. (One is missing only if v has
        hardly a part in it; `extreme_eigenpairs` draws other vectors then.)
    seed : int
        For the random v.

    Returns
    -------
    diagonal : (k,) NumPy array
        α₁ … αₖ, the diagonal of T, in float64.
    offdiagonal : (k,) NumPy array
        β₁ … βₖ. The first k − 1 stand beside the diagonal of T; βₖ leads out of Q, and is 0 if
        nothing but rounding does.
    Q : (n, k) array
        Computed in float64, returned in H's dtype.

    Raises
    ------
    TypeError, ValueError
        If H is not a real, symmetric matrix, `steps` is below 1, or a product is not finite.

    Notes
    -----
    C. Lanczos (1950); G. Golub and C. Van Loan, *Matrix Computations* (2013), chapter 10.

    Examples
    --------
    >>> diagonal, offdiagonal, Q = lanczos(np.diag([-1.0, 0.0, 5.0]), steps=3)
    >>> T = np.diag(diagonal) + np.diag(offdiagonal[:-1], 1) + np.diag(offdiagonal[:-1], -1)
    >>> bool(np.allclose(Q @ T @ Q.T, np.diag([-1.0, 0.0, 5.0])))
    True
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, but is {steps}")
    matrix, diagonal, offdiagonal = symmetric(H), [], []
    for basis, alpha, beta in itertools.islice(_krylov(matrix, seed), steps):  # noqa: B007
        diagonal.append(alpha)
        offdiagonal.append(beta)
        if beta == 0:
            break
    Q = np.concatenate(basis.filled()).T.astype(matrix.dtype, copy=False)
    return np.array(diagonal), np.array(offdiagonal), Q


def _tridiagonal_eigh(diagonal: Any, offdiagonal: Any) -> tuple[Host, Host]:
    beside = np.diag(offdiagonal[:-1], 1)
    values, vectors = np.linalg.eigh(np.diag(diagonal) + beside + beside.T)
    return values, vectors


# ── Both ends ────────────────────────────────────────────────────────────────────────────────────


class _Pairs(NamedTuple):
    values: Host
    vectors: Array
    residuals: Host


class Eigenpairs(_Pairs):
    """Eigenvalues in ascending order, with unit eigenvectors and the bounds of their errors.

    vectors[:, i] belongs to values[i], and H has an eigenvalue as near as residuals[i] = ‖Hu − λu‖,
    which is measured by a product with the vector as it is returned. `settled` says whether the
    search ended by itself; otherwise there may be others farther out.
    """

    settled = False


def extreme_eigenpairs(H: Any, k: int = 1, max_steps: int = 300, seed: int = 0) -> Eigenpairs:
    """Find the k lowest and the k highest eigenvalues of H, by Lanczos's method.

    It ends when they are settled, or after `max_steps`. Settled means that all their residuals are
    below ε^⅔·|λ|max, where ε is the machine precision of H's dtype (4e-11 and 2e-5 in float64 and
    float32). But a start vector may hide an eigenvector: it has a part of about 1/√n in each, and
    what is below ε is rounding. So where the basis becomes invariant, more vectors are drawn, until
    they all hide one only once in a million times, and the last changes nothing at the ends.

    Parameters
    ----------
    H : HessianOperator, symmetric (n, n) array_like, or object with `shape`, `dtype` and `H @ v`
    k : int
        How many at each end; the two ends may meet. Of an eigenvalue that occurs several times one
        copy is found, and all copies if the basis becomes invariant.
    max_steps : int
        Products to make at most. (2k more measure the residuals.)
    seed : int

    Returns
    -------
    Eigenpairs
        At most 2k of them, ascending: values[0] is the lowest, values[-1] the highest.

    Raises
    ------
    TypeError, ValueError
        As `lanczos`, and if k is below 1.

    Examples
    --------
    >>> pairs = extreme_eigenpairs(np.diag([-1.0, 0.0, 2.0, 5.0]))
    >>> pairs.values.round(6), pairs.settled
    (array([-1.,  5.]), True)
    """
    if k < 1 or max_steps < 1:
        raise ValueError(f"k and max_steps must be 1 or more, but are {k} and {max_steps}")
    matrix = symmetric(H)
    tolerance = matrix.epsilon ** (2 / 3)
    hides = min(_rounding(matrix) * matrix.n**0.5, 0.8)  # how often a start hides a direction
    enough = max(2, math.ceil(math.log(1e-6) / math.log(hides)))
    diagonal: list[float] = []
    offdiagonal: list[float] = []
    start, starts, settled = 0, 1, False
    found = np.zeros(0)  # the eigenvalues of T that earlier starts have led to
    after = np.zeros(0)
    for basis, alpha, beta in itertools.islice(_krylov(matrix, seed), max_steps):
        diagonal.append(alpha)
        offdiagonal.append(beta)
        steps = basis.size
        if beta and steps < max_steps and (steps - start) % 5:
            continue  # look at T only now and then
        own, vectors = _tridiagonal_eigh(diagonal[start:], offdiagonal[start:])
        # Hu − λu = βₖ · (the last component of T's eigenvector) · qₖ₊₁
        residuals = beta * np.abs(vectors[-1, _ends(len(own), k)])
        values = np.sort(np.concatenate([found, own]))
        before, after = after, values[_ends(steps, k)]
        small = tolerance * np.abs(values).max()
        if (residuals > small).any():
            continue
        # These are the ends of what the last start could see. Are they those of all of H?
        unchanged = len(before) == len(after) and bool((np.abs(after - before) <= small).all())
        confirmed = unchanged and (beta > 0 or starts >= enough)
        if steps >= min(2 * k, matrix.n) and (confirmed or (beta > 0 and starts == 1)):
            settled = True
            break
        if not beta:
            found, start, starts = values, steps, starts + 1
    ends = _ends(steps, k)
    values, vectors = _tridiagonal_eigh(diagonal, offdiagonal)
    Q = basis.combine(vectors[:, ends]).astype(matrix.dtype, copy=False)
    residuals = np.array([_residual(matrix, value, u) for value, u in zip(values[ends], Q.T)])
    pairs = Eigenpairs(values[ends], Q, residuals)
    pairs.settled = settled or steps == matrix.n
    return pairs


def _ends(count: int, k: int) -> Host:
    return np.unique([*range(min(k, count)), *range(max(count - k, 0), count)]).astype(int)


def _residual(matrix: Symmetric, value: float, u: Array) -> float:
    u = u.astype(np.float64)
    product = matrix.product(u)
    # The product is rounded itself, each number to half a unit of its last digit.
    return norm(product - value * u) + matrix.epsilon / 2 * norm(product)


# ── A function of the matrix ─────────────────────────────────────────────────────────────────────


def function_times(
    f: Callable[[Host], Host], H: Any, v: Array, max_steps: int = 300
) -> Iterator[tuple[Array, bool]]:
    """Yield better and better approximations of f(H)v, from ever more products with H.

    f(H) has the eigenvectors of H, and the eigenvalues f(λ). With Lanczos's basis that starts at v,
    f(H)v ≈ ‖v‖·Q f(T) e₁.

    Parameters
    ----------
    f : callable
        Takes and returns an array of eigenvalues.
    H : HessianOperator, symmetric (n, n) array_like, or object with `shape`, `dtype` and `H @ v`
    v : (n,) array
        In float64.
    max_steps : int
        Products to make at most; an approximation comes after every ten.

    Yields
    ------
    (n,) array, bool
        The approximation; and whether it is exact but for rounding, which ends it.

    Examples
    --------
    >>> H, v = [[2.0, 1.0], [1.0, 2.0]], np.array([3.0, 0.0])
    >>> *_, (x, exact) = function_times(lambda λ: 1 / λ, H, v)
    >>> x.round(6), exact
    (array([ 2., -1.]), True)
    """
    matrix, diagonal, offdiagonal = symmetric(H), [], []
    for basis, alpha, beta in itertools.islice(_krylov(matrix, 0, start=v), max_steps):
        diagonal.append(alpha)
        offdiagonal.append(beta)
        if beta and basis.size % 10 and basis.size < max_steps:
            continue
        values, vectors = _tridiagonal_eigh(diagonal, offdiagonal)
        weights = vectors @ (f(values) * vectors[0])
        yield norm(v) * basis.combine(weights[:, None])[:, 0], beta == 0
        if beta == 0:
            return


# ── The whole spectrum, roughly ──────────────────────────────────────────────────────────────────


class SpectralDensity(NamedTuple):
    """How the eigenvalues are spread: a share `weights[i]` of them lies near `nodes[i]`."""

    nodes: Host
    weights: Host

    def density(self, x: Any, width: float) -> Host:
        """Return the density at x, each node spread out as a Gaussian of this width."""
        distance = (np.asarray(x)[..., None] - self.nodes) / width
        bells = np.exp(-0.5 * distance**2) / (width * math.sqrt(2 * math.pi))
        density: Host = bells @ self.weights
        return density


def spectral_density(H: Any, probes: int = 10, steps: int = 80, seed: int = 0) -> SpectralDensity:
    """Estimate how all the eigenvalues are spread, by stochastic Lanczos quadrature.

    For a random unit vector v, the eigenvalues of Lanczos's T, weighted by the squares of the first
    components of T's eigenvectors, are a summary of how v is spread over H's eigenvectors: all its
    moments up to degree 2·steps − 1 agree (Gauss quadrature). On average over v, those moments are
    the ones of H's own eigenvalues.

    Parameters
    ----------
    H : HessianOperator, symmetric (n, n) array_like, or object with `shape`, `dtype` and `H @ v`
    probes, steps : int
        Random vectors, and products with each of them.
    seed : int

    Returns
    -------
    SpectralDensity

    Notes
    -----
    G. Golub and J. Welsch (1969); B. Ghorbani, S. Krishnan and Y. Xiao, *An investigation into
    neural net optimization via Hessian eigenvalue density* (2019), arXiv:1901.10159.

    Examples
    --------
    >>> spectrum = spectral_density(np.diag([0.0] * 75 + [1.0] * 25), probes=100)
    >>> float(spectrum.weights[spectrum.nodes > 0.5].sum().round(2))
    0.25
    """
    if probes < 1:
        raise ValueError(f"probes must be 1 or more, but is {probes}")
    matrix = symmetric(H)
    nodes, weights = [], []
    for probe in range(probes):
        diagonal, offdiagonal, _ = lanczos(matrix, steps, seed=(seed, probe))
        values, vectors = _tridiagonal_eigh(diagonal, offdiagonal)
        nodes.append(values)
        weights.append(vectors[0] ** 2 / probes)
    return SpectralDensity(np.concatenate(nodes), np.concatenate(weights))
