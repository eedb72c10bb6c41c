"""The Hessian (海森矩阵): what a loss looks like around a point, and the way out of a saddle.

Near a point θ, a loss is L(θ + d) ≈ L + gᵀd + ½dᵀHd, with the gradient g and the Hessian H, the
matrix of second derivatives. At a critical point (临界点) g = 0, and the eigenvalues (特征值) of
H tell what it is: all positive, and L rises in every direction, a local minimum; all negative, a
local maximum; some of each, a saddle point (鞍点). A step ε along the unit eigenvector of an
eigenvalue λ changes L by ½λε². So at a saddle an eigenvector of a negative eigenvalue shows the way
out.

A network of n parameters has n² second derivatives, far too many. But H need not be written down:
the product Hv is the derivative of gᵀv, which costs a small multiple of one gradient (Pearlmutter
1994). From products alone, Lanczos's method finds both ends of the spectrum, and averaging it over
random starts gives the density of all the eigenvalues (Ghorbani et al. 2019).

Vectors here are flat: all the parameters, one after the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.backend import Array
from tinygrad_edu.core import grad
from tinygrad_edu.parameters import flatten, leaves, split
from tinygrad_edu.tensor import Tensor

Host = np.ndarray[Any, Any]  # an array on the host, whatever the backend
Loss = Callable[[], Tensor]
Seed = int | tuple[int, ...]


# ── Products with the Hessian ────────────────────────────────────────────────────────────────────


class HessianOperator:
    """The Hessian of a loss at the present parameters, known by its products with vectors.

    `H @ v` differentiates gᵀv. The gradient g is recorded once, and serves every product.

    Parameters
    ----------
    f : callable
        Computes the loss from the parameters: `lambda: tg.cross_entropy(model(x), labels)`.
    params : iterable of Tensors
        The leaves to differentiate with respect to. One that f does not use has zeros in H.

    Attributes
    ----------
    shape : (int, int)
        (n, n) for n parameters in all.
    dtype : dtype
        That of the products: the parameters' own.
    gradient : (n,) array
        The gradient g at this point.

    Raises
    ------
    TypeError, ValueError
        If the params are not leaves that require a gradient, or the loss is not a finite single
        number that was recorded.

    Notes
    -----
    B. Pearlmutter, *Fast exact multiplication by the Hessian* (1994). It has the methods of a SciPy
    `LinearOperator`, so `scipy.sparse.linalg.eigsh(H)` works.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w1, w2 = tg.Tensor(0.0, requires_grad=True), tg.Tensor(0.0, requires_grad=True)
    >>> H = tg.HessianOperator(lambda: (1 - w1 * w2) ** 2, [w1, w2])
    >>> H @ np.array([1.0, 0.0])
    array([ 0., -2.])
    """

    def __init__(self, f: Loss, params: Iterable[Tensor]) -> None:
        self.params = leaves(params)
        loss = f()
        if not isinstance(loss, Tensor) or loss.size != 1:
            given = f"shape {loss.shape}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"f must return a single number as a Tensor, but returned {given}")
        if not loss.requires_grad:
            raise ValueError(
                "nothing was recorded for the loss: compute it inside f, from the params"
            )
        if not math.isfinite(loss.item()):
            raise ValueError(f"the loss is {loss.item()} here, so there is no Hessian")
        self._values = [param.data for param in self.params]
        self._slopes = grad(loss, self.params, create_graph=True, allow_unused=True)
        self.gradient = self._flat(self._slopes)
        self.shape = (len(self.gradient), len(self.gradient))
        self.dtype = self.gradient.dtype

    def __matmul__(self, v: Any) -> Array:
        """Return Hv for a flat vector v of length n."""
        v = v.data if isinstance(v, Tensor) else np.asarray(v, like=self.gradient)
        if v.shape not in (self.gradient.shape, (*self.gradient.shape, 1)):
            raise ValueError(f"v must have the shape {self.gradient.shape}, but has {v.shape}")
        if any(param.data is not value for param, value in zip(self.params, self._values)):
            raise RuntimeError("the parameters have moved: make the HessianOperator anew")
        # d(gᵀv)/dθ = Hv. A slope without a history is constant: it adds nothing.
        slopes, rates = [], []
        for slope, part in zip(self._slopes, split(v.reshape(-1), self._values)):
            if slope is not None and slope.requires_grad:
                slopes.append(slope)
                rates.append(part)
        if not slopes:
            return np.zeros_like(self.gradient).reshape(v.shape)
        products = grad(slopes, self.params, rates, allow_unused=True)
        return self._flat(products).reshape(v.shape)

    matvec = rmatvec = __matmul__  # SciPy's names; H is symmetric

    def _flat(self, tensors: Sequence[Tensor | None]) -> Array:
        return flatten(
            np.zeros_like(value) if tensor is None else tensor.data
            for value, tensor in zip(self._values, tensors)
        )


def hvp(f: Loss, params: Iterable[Tensor], v: Any) -> Array:
    """Multiply the Hessian of a loss with one flat vector.

    For several products make a `HessianOperator`, which computes the gradient only once. Parameters
    and errors are the same.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> tg.hvp(lambda: (w**3).sum(), [w], np.array([1.0, 1.0]))  # 6w
    array([ 6., 12.])
    """
    return HessianOperator(f, params) @ v


def hessian(f: Loss, params: Iterable[Tensor]) -> Array:
    """Compute the whole Hessian, an (n, n) array, by n products: for small n.

    Rounding makes the two triangles differ in their last digits; their mean is returned. Parameters
    and errors are those of `HessianOperator`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w1, w2 = tg.Tensor(0.0, requires_grad=True), tg.Tensor(0.0, requires_grad=True)
    >>> tg.hessian(lambda: (1 - w1 * w2) ** 2, [w1, w2])
    array([[ 0., -2.],
           [-2.,  0.]])
    """
    return _dense(HessianOperator(f, params))


def _dense(H: Any) -> Array:
    if not isinstance(H, HessianOperator):
        return H
    columns = []
    for place in range(H.shape[0]):
        unit = np.zeros_like(H.gradient)
        unit[place] = 1
        columns.append(H @ unit)
    rows = np.stack(columns)
    return (rows + rows.T) / 2


# ── Both ends of the spectrum ────────────────────────────────────────────────────────────────────


def _krylov(H: Any, seed: Seed) -> Iterator[tuple[Array, float, float]]:
    """Yield the orthonormal vectors q₁, q₂, … of Lanczos's method, each with its α and β.

    H qₖ = βₖ₋₁qₖ₋₁ + αₖqₖ + βₖqₖ₊₁. Every new vector is made orthogonal to all before, and twice:
    without that, rounding would find the same eigenvalues again and again.
    """
    n = H.shape[0]
    if H.shape != (n, n):
        raise ValueError(f"H must be square, but has the shape {H.shape}")
    start = np.random.default_rng(seed).normal(size=n)
    array = H.gradient if isinstance(H, HessianOperator) else H
    q = backend.move((start / np.linalg.norm(start)).astype(H.dtype), backend.name_of(array))
    basis: list[Array] = []
    scale = 0.0
    while True:
        basis.append(q)
        w = H @ q
        alpha = float(q @ w)
        Q = np.stack(basis)
        for _ in range(2):
            w = w - (Q @ w) @ Q
        beta = float(w @ w) ** 0.5
        if not math.isfinite(alpha + beta):
            raise ValueError("a product with H is not finite: the loss has no Hessian here")
        scale = max(scale, abs(alpha), beta)
        # What is left of w by rounding alone has about this length.
        rounding = 10 * n**0.5 * np.finfo(H.dtype).eps * scale
        if len(basis) == n or beta <= rounding:
            yield q, alpha, 0.0  # H maps the basis into itself: nothing new can come
            return
        yield q, alpha, beta
        q = w / beta


def lanczos(H: Any, steps: int, seed: Seed = 0) -> tuple[Host, Host, Array]:
    """Find an orthonormal basis Q of {v, Hv, H²v, …}, in which H is tridiagonal: T = QᵀHQ.

    The eigenvalues of T approach those of H, the outermost first, and at both ends. (Power
    iteration finds the largest |λ|, and may miss the negative eigenvalue that makes a saddle.)

    Parameters
    ----------
    H : HessianOperator or symmetric (n, n) array
    steps : int
        Products to make. There are fewer when H maps the basis into itself, after n at the latest:
        then the eigenvalues of T are eigenvalues of H, each once. (None is missing, unless v has no
        part in it, and a random v has a part in all.)
    seed : int
        For the random v.

    Returns
    -------
    diagonal : (k,) NumPy array
        α₁ … αₖ, the diagonal of T.
    offdiagonal : (k,) NumPy array
        β₁ … βₖ. The first k − 1 stand beside the diagonal of T; βₖ leads out of Q, and is 0 if
        nothing does.
    Q : (n, k) array

    Raises
    ------
    ValueError
        If H is not square, `steps` is below 1, or a product is not finite.

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
    basis, diagonal, offdiagonal = zip(*itertools.islice(_krylov(H, seed), steps))
    return np.array(diagonal), np.array(offdiagonal), np.stack(basis, axis=1)


class Eigenpairs(NamedTuple):
    """Eigenvalues in ascending order, with unit eigenvectors and the bounds of their errors.

    vectors[:, i] belongs to values[i], and residuals[i] = ‖Hu − λu‖: H has an eigenvalue that near.
    """

    values: Host
    vectors: Array
    residuals: Host


def extreme_eigenpairs(H: Any, k: int = 1, max_steps: int = 300, seed: int = 0) -> Eigenpairs:
    """Find the k lowest and the k highest eigenvalues of H, by Lanczos's method.

    It ends when all their residuals are below ε^⅔·|λ|max, where ε is the machine precision of H's
    dtype (4e-11 and 2e-5 in float64 and float32), or after `max_steps`: so read the residuals.

    Parameters
    ----------
    H : HessianOperator or symmetric (n, n) array
    k : int
        How many at each end. An eigenvalue that occurs several times is found once, so there may be
        fewer, and the two ends may meet.
    max_steps, seed : int

    Returns
    -------
    Eigenpairs
        At most 2k of them, ascending: values[0] is the lowest, values[-1] the highest.

    Raises
    ------
    ValueError
        As `lanczos`, and if k is below 1.

    Examples
    --------
    >>> pairs = extreme_eigenpairs(np.diag([-1.0, 0.0, 2.0, 5.0]))
    >>> pairs.values.round(6)
    array([-1.,  5.])
    """
    if k < 1 or max_steps < 1:
        raise ValueError(f"k and max_steps must be 1 or more, but are {k} and {max_steps}")
    tolerance = np.finfo(H.dtype).eps ** (2 / 3)
    basis, diagonal, offdiagonal = [], [], []
    for q, alpha, beta in itertools.islice(_krylov(H, seed), max_steps):
        basis.append(q)
        diagonal.append(alpha)
        offdiagonal.append(beta)
        steps = len(basis)
        if beta and steps < max_steps and steps % 5:
            continue  # look at T only now and then
        values, vectors = _tridiagonal_eigh(diagonal, offdiagonal)
        # Hu − λu = βₖ · (the last component of T's eigenvector) · qₖ₊₁
        residuals = beta * np.abs(vectors[-1])
        ends = np.unique([*range(min(k, steps)), *range(max(steps - k, 0), steps)])
        if steps >= 2 * k and (residuals[ends] <= tolerance * np.abs(values).max()).all():
            break
    Q = np.stack(basis, axis=1)
    weights = backend.move(vectors[:, ends].astype(H.dtype), backend.name_of(Q))
    return Eigenpairs(values[ends], Q @ weights, residuals[ends])


def _tridiagonal_eigh(diagonal: Any, offdiagonal: Any) -> tuple[Host, Host]:
    beside = np.diag(offdiagonal[:-1], 1)
    values, vectors = np.linalg.eigh(np.diag(diagonal) + beside + beside.T)
    return values, vectors


# ── What kind of point is it? ────────────────────────────────────────────────────────────────────


class CriticalPoint(NamedTuple):
    """What `classify_critical_point` found; `str(point)` says it in a sentence."""

    kind: str
    lowest: float  # eigenvalue
    highest: float
    tolerance: float  # what lies between ± this counts as zero
    gradient_norm: float
    negative: int | None  # eigenvalues of this kind; None where they were not counted
    zero: int | None
    positive: int | None

    @property
    def minimum_ratio(self) -> float | None:
        """The share of positive eigenvalues: 1 at a minimum."""
        if self.positive is None or self.negative is None or self.zero is None:
            return None
        return self.positive / (self.negative + self.zero + self.positive)

    def __str__(self) -> str:
        text = (
            f"{self.kind}: ‖g‖ = {self.gradient_norm:.2g}, "
            f"eigenvalues from {self.lowest:.3g} to {self.highest:.3g}"
        )
        if self.positive is None:
            return text
        return f"{text}; {self.negative} negative, {self.zero} zero, {self.positive} positive"


COUNTED = 1000  # up to so many parameters, all the eigenvalues are found and counted


def classify_critical_point(H: Any, gradient: Any, tol: float | None = None) -> CriticalPoint:
    """Tell a minimum, a maximum and a saddle point (鞍点) apart by the Hessian's eigenvalues.

    An eigenvalue counts as zero from −tol·|λ|max to tol·|λ|max. The gradient counts as zero up to
    tol·|λ|max, too: a step of length tol along the steepest axis makes it as large.

    =============================  ==================================
    gradient too large             not a critical point
    eigenvalues below *and* above  saddle point
    all above                      local minimum
    all below                      local maximum
    otherwise                      inconclusive (degenerate)
    =============================  ==================================

    With a zero eigenvalue the second derivatives do not decide. So the minima of (1 − w₁w₂)², which
    form the curve w₁w₂ = 1, are degenerate: flat along the curve.

    Parameters
    ----------
    H : HessianOperator or (n, n) array
        Symmetric. Up to n = 1000 all the eigenvalues are counted. Beyond, only both ends are found,
        and where their residuals leave a minimum or a maximum in doubt, it is inconclusive.
    gradient : (n,) array or Tensor
        As `HessianOperator.gradient`.
    tol : float, optional
        The square root of the machine precision of H's dtype, if not given: 1.5e-8 in float64 and
        3.5e-4 in float32.

    Returns
    -------
    CriticalPoint

    Raises
    ------
    ValueError
        If the shapes do not fit, or something is not finite.

    Examples
    --------
    >>> point = classify_critical_point(np.array([[0.0, -2.0], [-2.0, 0.0]]), np.zeros(2))
    >>> print(point)
    saddle point: ‖g‖ = 0, eigenvalues from -2 to 2; 1 negative, 0 zero, 1 positive
    >>> point.minimum_ratio
    0.5
    """
    n = H.shape[0]
    gradient = gradient.data if isinstance(gradient, Tensor) else gradient
    if gradient.shape != (n,):
        raise ValueError(f"H is {H.shape}, so the gradient must be ({n},), not {gradient.shape}")
    if n <= COUNTED:
        matrix = backend.move(_dense(H), "numpy")
        if not np.isfinite(matrix).all():
            raise ValueError("the Hessian is not finite here")
        values, doubt = np.linalg.eigvalsh(matrix), 0.0
    else:
        values, _, residuals = extreme_eigenpairs(H)
        doubt = float(residuals.max())
    norm = float((gradient * gradient).sum() ** 0.5)
    if not math.isfinite(norm):
        raise ValueError("the gradient is not finite here")
    tolerance = _tolerance(H, values, tol)
    lowest, highest = float(values[0]), float(values[-1])
    if norm > tolerance:
        kind = "not a critical point"
    elif lowest < -tolerance and highest > tolerance:
        kind = "saddle point"
    elif lowest - doubt > tolerance:
        kind = "local minimum"
    elif highest + doubt < -tolerance:
        kind = "local maximum"
    else:
        kind = "inconclusive (degenerate)"
    negative, positive = int((values < -tolerance).sum()), int((values > tolerance).sum())
    counts = (negative, n - negative - positive, positive) if n <= COUNTED else (None, None, None)
    return CriticalPoint(kind, lowest, highest, tolerance, norm, *counts)


def _tolerance(H: Any, values: Host, tol: float | None) -> float:
    # What counts as zero: tol·|λ|max, by default √ε·|λ|max.
    relative = float(np.finfo(H.dtype).eps ** 0.5) if tol is None else tol
    return relative * float(np.abs(values).max())


def escape_direction(H: Any, gradient: Any = None, tol: float | None = None) -> Array | None:
    """Return the unit vector u along which the loss bends down most, or None if none was found.

    u is the eigenvector of the most negative eigenvalue λ. A step ε along it changes the loss by
    ε·gᵀu + ½λε². The eigenvector has no sign of its own; it is chosen downhill, so that gᵀu ≤ 0.

    Parameters
    ----------
    H : HessianOperator or symmetric (n, n) array
    gradient : (n,) array or Tensor, optional
        For the sign; if not given, that of the HessianOperator. Where gᵀu = 0, as at a saddle, both
        ways lead down, and the largest component of u is made positive.
    tol : float, optional
        As for `classify_critical_point`: λ must be below −tol·|λ|max.

    Returns
    -------
    (n,) array or None
        None: no eigenvalue below −tol·|λ|max was found, so no direction in which the loss bends
        down.

    Examples
    --------
    >>> escape_direction(np.array([[0.0, -2.0], [-2.0, 0.0]])).round(6)  # the notes' saddle
    array([0.707107, 0.707107])
    >>> escape_direction(np.eye(2)) is None
    True
    """
    pairs = extreme_eigenpairs(H)
    if pairs.values[0] >= -_tolerance(H, pairs.values, tol):
        return None
    u = pairs.vectors[:, 0] / float((pairs.vectors[:, 0] ** 2).sum() ** 0.5)
    if gradient is None and isinstance(H, HessianOperator):
        gradient = H.gradient
    gradient = gradient.data if isinstance(gradient, Tensor) else gradient
    slope = 0.0 if gradient is None else float(gradient @ u)
    if slope == 0:
        return u if float(u[int(np.abs(u).argmax())]) > 0 else -u
    return u if slope < 0 else -u


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
    H : HessianOperator or symmetric (n, n) array
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
    nodes, weights = [], []
    for probe in range(probes):
        diagonal, offdiagonal, _ = lanczos(H, steps, seed=(seed, probe))
        values, vectors = _tridiagonal_eigh(diagonal, offdiagonal)
        nodes.append(values)
        weights.append(vectors[0] ** 2 / probes)
    return SpectralDensity(np.concatenate(nodes), np.concatenate(weights))
