"""The Hessian (海森矩阵): what a loss looks like around a point, and the way out of a saddle.

Near a point θ, a loss is L(θ + d) ≈ L + gᵀd + ½dᵀHd, with the gradient g and the Hessian H, the
matrix of second derivatives. At a critical point (临界点) g = 0, and the eigenvalues (特征值) of H
tell what it is: all positive, and L rises in every direction, a local minimum; all negative, a
local maximum; some of each, a saddle point (鞍点). A step ε along the unit eigenvector of an
eigenvalue λ changes L by ½λε². So at a saddle an eigenvector of a negative eigenvalue shows the way
out.

A network of n parameters has n² second derivatives, far too many. But H need not be written down:
the product Hv is the derivative of gᵀv, which costs a small multiple of one gradient (Pearlmutter
1994). What products tell of the eigenvalues is in `spectrum`.

Vectors here are flat: all the parameters, one after the other.
"""

from __future__ import annotations

import functools
import math
import numbers
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import backend, entry
from tinygrad_edu.backend import Array
from tinygrad_edu.core import grad, wrap
from tinygrad_edu.parameters import flatten, leaves, split
from tinygrad_edu.spectrum import (
    Eigenpairs,
    Host,
    Symmetric,
    extreme_eigenpairs,
    function_times,
    norm,
    symmetric,
)
from tinygrad_edu.stacked import Stacked
from tinygrad_edu.tensor import Tensor

Loss = Callable[[], Tensor]

TOGETHER = 64  # vectors are multiplied at once


# ── Products with the Hessian ────────────────────────────────────────────────────────────────────


class HessianOperator:
    """The Hessian of a loss at the present parameters, known by its products with vectors.

    `H @ v` differentiates gᵀv. The gradient g is recorded once, and serves every product. Several
    vectors are the columns of an (n, k) array.

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
    backend : str
        "numpy" or "cupy".
    gradient : (n,) array
        The gradient g at this point.
    position : (n,) array
        The point θ itself.
    T, H : HessianOperator
        The transpose: the same, for H is symmetric.

    Raises
    ------
    TypeError, ValueError
        If the params are not leaves that require a gradient, or the loss is not a finite single
        number that was recorded.

    Notes
    -----
    B. Pearlmutter, *Fast exact multiplication by the Hessian* (1994). It has what a SciPy
    `LinearOperator` has, so `scipy.sparse.linalg.eigsh(H)` works.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w1, w2 = tg.Tensor(0.0, requires_grad=True), tg.Tensor(0.0, requires_grad=True)
    >>> H = tg.HessianOperator(lambda: (1 - w1 * w2) ** 2, [w1, w2])
    >>> H @ np.array([1.0, 0.0])
    array([ 0., -2.])
    """

    ndim = 2
    __array_ufunc__ = None  # so that NumPy leaves `v @ H` to __rmatmul__

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
        self.backend = backend.name_of(self.gradient)

    @property
    def position(self) -> Array:
        """The point θ, as a flat vector."""
        return flatten(self._values)

    @property
    def T(self) -> HessianOperator:
        """The transpose: the same, for H is symmetric."""
        return self

    H = T  # SciPy's name for the adjoint

    def __matmul__(self, v: Any) -> Array:
        """Return Hv for a flat vector v of length n, or for each column of an (n, k) array."""
        entry.check_plain(v, "v holds")
        v = v.data if isinstance(v, Tensor) else np.asarray(v, like=self.gradient)
        if v.dtype.kind not in "fiubc":
            raise TypeError(f"v must hold numbers, but is of {v.dtype}")
        if v.ndim not in (1, 2) or len(v) != len(self.gradient):
            n = len(self.gradient)
            raise ValueError(f"v must have the shape ({n}, k) or ({n},), but has {v.shape}")
        if any(param.data is not value for param, value in zip(self.params, self._values)):
            raise RuntimeError("the parameters have moved: make the HessianOperator anew")
        if v.dtype.kind == "c":
            return self @ v.real + 1j * (self @ v.imag)
        return self._product(v) if v.ndim == 1 else self._products(v)

    def matvec(self, v: Any) -> Array:
        """Return Hv. SciPy's name, as are those that follow; H is symmetric."""
        return self @ v

    rmatvec = matmat = rmatmat = dot = __call__ = matvec

    def __rmatmul__(self, v: Any) -> Array:
        return (self @ np.transpose(v)).T

    def _products(self, V: Array) -> Array:
        products = np.empty(V.shape, self.dtype, like=self.gradient)
        for start in range(0, V.shape[1], TOGETHER):
            block = slice(start, start + TOGETHER)
            vectors = V[:, block].T.copy()  # each in one piece, as BLAS wants them
            try:
                products[:, block] = self._product(Stacked(vectors)).array.T
            except Exception:  # a formula that takes no Stacked, or is wrong: then that shows here
                for column, v in enumerate(vectors, start):
                    products[:, column] = self._product(v)
        return products

    def _product(self, v: Any) -> Any:
        # d(gᵀv)/dθ = Hv. A slope without a node is constant: it adds nothing.
        slopes, starts = [], []
        for slope, part in zip(self._slopes, split(v, self._values)):
            if slope is not None and slope.requires_grad:
                slopes.append(slope)
                starts.append(wrap(Tensor, part))
        if not slopes:
            return np.zeros_like(v, self.dtype)
        return self._flat(grad(slopes, self.params, starts, allow_unused=True))

    def _flat(self, tensors: Sequence[Tensor | None]) -> Array:
        return flatten(
            np.zeros_like(value) if tensor is None else tensor.data
            for value, tensor in zip(self._values, tensors)
        )


def hvp(f: Loss, params: Iterable[Tensor], v: Any) -> Array:
    """Multiply the Hessian of a loss with one flat vector, or with the columns of an (n, k) array.

    For products one after the other make a `HessianOperator`, which computes the gradient only
    once. Parameters and errors are the same.

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

    Raises
    ------
    MemoryError
        Before the first product, if n² numbers do not fit into memory.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w1, w2 = tg.Tensor(0.0, requires_grad=True), tg.Tensor(0.0, requires_grad=True)
    >>> tg.hessian(lambda: (1 - w1 * w2) ** 2, [w1, w2])
    array([[ 0., -2.],
           [-2.,  0.]])
    """
    H = HessianOperator(f, params)
    n = len(H.gradient)
    needed = n * n * H.dtype.itemsize
    try:
        if H.backend == "numpy" and needed > _memory():
            raise MemoryError
        matrix = np.empty((n, n), H.dtype, like=H.gradient)
    except MemoryError as error:
        raise MemoryError(
            f"the Hessian of {n} parameters has {n * n} entries, {needed / 1e9:.3g} GB, which is "
            "more than the memory: HessianOperator gives its products, and extreme_eigenpairs both "
            "ends of its spectrum"
        ) from error
    for start in range(0, n, TOGETHER):
        units = np.eye(n, min(TOGETHER, n - start), -start, H.dtype)
        matrix[start : start + TOGETHER] = (H @ units).T
    for row in range(n):  # and not matrix + matrix.T, which takes the memory twice
        after = matrix[row, row:]
        after += (matrix[row:, row] - after) / 2
        matrix[row:, row] = after
    return matrix


def _memory() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return math.inf


# ── What kind of point is it? ────────────────────────────────────────────────────────────────────


class CriticalPoint(NamedTuple):
    """What `classify_critical_point` found; `str(point)` says it in a sentence."""

    kind: str
    lowest: float  # eigenvalue of H
    highest: float
    tolerance: float  # rounding alone may turn 0 into an eigenvalue of H between ± this
    gradient_norm: float
    negative: int | None  # eigenvalues of this kind; None where they were not counted
    zero: int | None
    positive: int | None
    step: float  # Newton's step to the critical point, relative to the parameters' sizes
    near: float  # the point is critical if the step is at most so long
    distance: float  # the length of that step
    why: str  # it is inconclusive; "" if it is not

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
        if self.positive is not None:
            text += f"; {self.negative} negative, {self.zero} zero, {self.positive} positive"
        if self.step:
            text += f"; {self.whereabouts}"
        return f"{text}; {self.why}" if self.why else text

    @property
    def whereabouts(self) -> str:
        """How far away the critical point is expected to be, in words."""
        if self.step > 2:  # so far away, the derivatives here say nothing, and the number is noise
            return "no critical point is expected near"
        return (
            f"a critical point is expected {self.distance:.2g} away, {self.step:.2g} times the "
            f"parameters' sizes (near is up to {self.near:.1g})"
        )


COUNTED = 1000  # up to so many parameters, all the eigenvalues are found and counted
FLOOR = 1e-4  # φ: a parameter below this share of all the others is measured by them
DEGENERATE, UNSETTLED = "inconclusive (degenerate)", "inconclusive (not settled)"


def classify_critical_point(
    H: Any,
    gradient: Any,
    tol: float | None = None,
    *,
    near: float | None = None,
    position: Any = None,
    size: Any = None,
) -> CriticalPoint:
    """Tell a minimum, a maximum and a saddle point (鞍点) apart by the Hessian's eigenvalues.

    =====================================  ==================================
    Newton's step is longer than `near`    not a critical point
    eigenvalues below 0 *and* above        saddle point
    all above                              local minimum
    all below                              local maximum
    otherwise                              inconclusive, and why
    =====================================  ==================================

    No gradient is exactly zero, so what is near? Neither the unit of the loss nor those of the
    parameters may matter. (g, H) alone cannot tell: beside the minimum of ½h(θ − c)² they are
    (hr, h) at the distance r, and other units make any two numbers of these. Only r relative to θ
    has no unit. So each parameter is measured by a length s of its own, in which the loss bends
    about equally in all of them (sᵢ|Hᵢⱼ|sⱼ is 1 at most, and is so in each row):

        d = (|SHS| + z)⁻¹Sg,    ρ = maxᵢ |dᵢ| / max(|θᵢ|/sᵢ, φ‖θ/s‖, sizeᵢ/sᵢ),    z = tol·|λ|max

    ρ is the relative step of Newton's method. The point is critical if ρ ≤ near. SHS has as many
    negative and positive eigenvalues as H (Sylvester's law of inertia); those between ±z count as
    zero, and with one the second derivatives do not decide. So the minima of (1 − w₁w₂)², which
    form the curve w₁w₂ = 1, are degenerate: flat along the curve.

    Parameters
    ----------
    H : HessianOperator, symmetric (n, n) array_like, or object with `shape`, `dtype` and `H @ v`
        Up to n = 1000 all the eigenvalues are counted. Beyond, only both ends are found, and s is
        estimated from products.
    gradient : (n,) array_like or Tensor
        As `HessianOperator.gradient`.
    tol : float, optional
        What rounding makes of 0, relative to |λ|max; if not given, the square root √ε of the
        machine precision of H's dtype: 1.5e-8 in float64 and 3.5e-4 in float32.
    near : float, optional
        If not given, tol^⅔: ε^⅓ = 6.1e-6 in float64 and 4.9e-3 in float32.
    position : (n,) array_like or Tensor, optional
        θ, if H is not a HessianOperator, which knows it.
    size : float or (n,) array_like, optional
        The parameters' typical sizes, for those near 0. If not given, 0 where θ is known, so that a
        step from 1e-9 to 0 is a long one; and 1 otherwise, so that lengths are absolute.

    Returns
    -------
    CriticalPoint

    Raises
    ------
    TypeError, ValueError
        If H is not a real, symmetric matrix, the shapes do not fit, something is not finite, or a
        tolerance is not a number above 0.

    Notes
    -----
    Relative steps and typical sizes: J. Dennis and R. Schnabel, *Numerical Methods for
    Unconstrained Optimization* (1983), chapter 7. Equilibration: D. Ruiz (2001); by products:
    A. Bradley and W. Murray, arXiv:1110.2805.

    Examples
    --------
    >>> point = classify_critical_point(np.array([[0.0, -2.0], [-2.0, 0.0]]), np.zeros(2))
    >>> print(point)
    saddle point: ‖g‖ = 0, eigenvalues from -2 to 2; 1 negative, 0 zero, 1 positive
    >>> point.minimum_ratio
    0.5
    """
    matrix = symmetric(H)
    if position is None and isinstance(H, HessianOperator):
        position = H.position
    if size is None:
        size = 1.0 if position is None else 0.0
    g = _vector(gradient, matrix, "gradient")
    θ = abs(_vector(0.0 if position is None else position, matrix, "position"))
    size = abs(_vector(size, matrix, "size"))
    tol = _tolerance(tol, "tol", matrix.epsilon**0.5)
    near = _tolerance(near, "near", tol ** (2 / 3))
    look = (_look_at_all if matrix.n <= COUNTED else _look_at_ends)(matrix, g, θ, size, tol)
    kind, why = ("not a critical point", "") if look.step > near else (look.kind, look.why)
    negative, zero, positive = look.counts
    return CriticalPoint(
        kind=kind,
        lowest=look.lowest,
        highest=look.highest,
        tolerance=tol * max(abs(look.lowest), abs(look.highest)),
        gradient_norm=norm(g),
        negative=negative,
        zero=zero,
        positive=positive,
        step=look.step,
        near=near,
        distance=look.distance,
        why=why,
    )


def _tolerance(value: Any, name: str, usual: float) -> float:
    if value is None:
        return usual
    number = float(value) if isinstance(value, numbers.Real) and value is not True else math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be a number above 0, but is {value!r}")
    return number


def _vector(values: Any, matrix: Symmetric, name: str) -> Array:
    values = (
        values.data if isinstance(values, Tensor) else entry.real_array(values, f"{name} holds")
    )
    if values.ndim == 0 and name != "gradient":
        values = np.broadcast_to(values, matrix.n)
    if values.shape != (matrix.n,):
        shape = (matrix.n, matrix.n)
        raise ValueError(f"H is {shape}, so the {name} must be ({matrix.n},), not {values.shape}")
    values = backend.move(values, matrix.backend).astype(np.float64)
    if not math.isfinite(norm(values)):
        raise ValueError(f"the {name} is not finite here")
    return values


class _Look(NamedTuple):
    """What kind of critical point the eigenvalues make it, and how far away that is."""

    kind: str
    why: str
    lowest: float  # eigenvalue of H
    highest: float
    counts: tuple[int, int, int] | tuple[None, None, None]
    step: float
    distance: float


def _look_at_all(matrix: Symmetric, g: Array, θ: Array, size: Array, tol: float) -> _Look:
    """Look at all the eigenvalues."""
    g, θ, size = (backend.move(vector, "numpy") for vector in (g, θ, size))
    H = matrix.dense()
    scale = float(np.abs(H).max()) or 1.0
    H /= scale
    s, bent = _equilibrate(H, _first_lengths(θ, size))
    values, U = np.linalg.eigh(s[:, None] * H * s)
    z = tol * float(np.abs(values).max())
    negative, positive = int((values < -z).sum()), int((values > z).sum())
    counts = negative, matrix.n - negative - positive, positive
    kind, why = _kind(float(values[0]), float(values[-1]), z)
    if kind == DEGENERATE:
        why = f"{counts[1]} of {matrix.n} eigenvalues are 0 up to rounding"
    own = scale * np.linalg.eigvalsh(H)
    step, distance = _nowhere(g)
    if z:
        d = U @ (U.T @ (s * (g / scale)) / (np.abs(values) + z))
        step, distance = _measure(d, s, θ, size, bent)
    return _Look(kind, why, float(own[0]), float(own[-1]), counts, step, distance)


def _look_at_ends(matrix: Symmetric, g: Array, θ: Array, size: Array, tol: float) -> _Look:
    """Look at both ends of the spectrum, for more parameters than could be counted."""
    pairs = extreme_eigenpairs(matrix)
    lowest, highest = float(pairs.values[0]), float(pairs.values[-1])
    kind, why = _kind_of_ends(pairs, tol)
    step, distance = _nowhere(g)
    if (lowest or highest) and (why or step):
        s, bent = _equilibrate_by_products(matrix, _first_lengths(θ, size))
        if why:  # in the units that H came in one cannot tell
            kind, why = _kind_of_ends(extreme_eigenpairs(matrix.scaled(s)), tol)
        if step:
            measure = functools.partial(_measure, s=s, θ=θ, size=size, bent=bent)
            step, distance, settled = _newton(matrix.scaled(s), s * g, tol, measure)
            if not settled:
                kind, why = UNSETTLED, "Newton's step is not settled"
    return _Look(kind, why, lowest, highest, (None, None, None), step, distance)


def _kind(lowest: float, highest: float, z: float) -> tuple[str, str]:
    # The kind; and why, if it is inconclusive.
    if lowest < -z and highest > z:
        return "saddle point", ""
    if lowest > z:
        return "local minimum", ""
    if highest < -z:
        return "local maximum", ""
    return DEGENERATE, "an eigenvalue is 0 up to rounding"


def _kind_of_ends(pairs: Eigenpairs, tol: float) -> tuple[str, str]:
    lowest, highest = float(pairs.values[0]), float(pairs.values[-1])
    z = tol * max(abs(lowest), abs(highest))
    kind, why = _kind(lowest, highest, z)
    # Another eigenvalue may lie as far out as the residual. But a saddle is one, whatever comes.
    outer = _kind(lowest - float(pairs.residuals[0]), highest + float(pairs.residuals[-1]), z)
    if kind != "saddle point" and not pairs.settled and (why or outer[0] != kind):
        return UNSETTLED, "the ends of the spectrum are not settled"
    return kind, why


def _first_lengths(θ: Array, size: Array) -> Array:
    # Where the Hessian leaves a choice, as [[0, 1], [1, 0]] does, the parameters' sizes decide.
    s = np.maximum(θ, size)
    largest = float(s.max()) or 1.0
    return np.maximum(np.where(s > 0, s / largest, 1), 1e-30)


def _equilibrate(H: Host, s: Array) -> tuple[Array, Array]:
    """Find lengths s such that the largest |SHS| in each row is 1, and which rows are not zero."""
    for _ in range(40):
        rows = s * np.abs(H * s).max(axis=1)
        s = s / np.where(rows > 0, rows, 1) ** 0.5
        if ((rows == 0) | (np.abs(rows - 1) < 0.01)).all():
            break
    return s, rows > 0


def _equilibrate_by_products(matrix: Symmetric, s: Array) -> tuple[Array, Array]:
    """Find lengths s such that the rows of SHS are about as long as a unit vector.

    For random signs v, the mean of (Hv)ᵢ² is Σⱼ Hᵢⱼ², the squared length of row i. The last rounds
    take it over more of them.
    """
    generator = np.random.default_rng(0)
    for probes in (1, 1, 1, 1, 1, 1, 2, 8):
        scaled, rows = matrix.scaled(s), np.zeros_like(s)
        for _ in range(probes):
            v = backend.move(generator.choice([-1.0, 1.0], matrix.n), matrix.backend)
            rows = np.hypot(rows, scaled.product(v) / probes**0.5)
        s = s / np.where(rows > 0, rows, 1) ** 0.5
    return s, rows > 0


def _newton(
    scaled: Symmetric, g: Array, tol: float, measure: Callable[[Array], tuple[float, float]]
) -> tuple[float, float, bool]:
    # Newton's step, better and better, until three in a row agree: its measures, and if they do.
    def inverse(values: Host) -> Host:
        return 1 / (np.abs(values) + tol * np.abs(values).max())

    measures = []
    for d, exact in function_times(inverse, scaled, g):
        measures.append(measure(d))
        last = sorted(measures[-3:])
        if exact:
            return *measures[-1], True
        if len(last) == 3 and last[-1][0] <= 1.1 * last[0][0]:
            return *measures[-1], True
    return *min(measures[-3:]), False


def _measure(d: Array, s: Array, θ: Array, size: Array, bent: Array) -> tuple[float, float]:
    """Measure a step d in the lengths s: relative to the parameters' sizes, and in itself.

    Along an axis that is not bent, s means nothing, and has no part in ‖θ/s‖.
    """
    least = FLOOR * norm(np.where(bent, θ / s, 0))
    sizes = np.maximum(np.maximum(θ, size) / s, least)
    moved = abs(d) > 0
    if bool((moved & (sizes == 0)).any()):
        return math.inf, norm(s * d)
    return float(np.where(moved, abs(d) / np.where(moved, sizes, 1), 0).max()), norm(s * d)


def _nowhere(g: Array) -> tuple[float, float]:
    # Without curvature, Newton's method has nowhere to go.
    return (math.inf, math.inf) if g.any() else (0.0, 0.0)


def escape_direction(H: Any, gradient: Any = None, tol: float | None = None) -> Array | None:
    """Return the unit vector u along which the loss bends down most, or None if none was found.

    u is the eigenvector of the most negative eigenvalue λ. A step ε along it changes the loss by
    ε·gᵀu + ½λε². The eigenvector has no sign of its own; it is chosen downhill, so that gᵀu ≤ 0.

    Parameters
    ----------
    H : HessianOperator, symmetric (n, n) array_like, or object with `shape`, `dtype` and `H @ v`
    gradient : (n,) array_like or Tensor, optional
        For the sign; if not given, that of the HessianOperator. Where gᵀu = 0, as at a saddle, both
        ways lead down, and the largest component of u is made positive.
    tol : float, optional
        As for `classify_critical_point`: λ must be below −tol·|λ|max, in the units that H comes in
        or in those in which the loss bends about equally along each parameter.

    Returns
    -------
    (n,) array or None
        None: no such eigenvalue was found, so no direction in which the loss bends down.

    Examples
    --------
    >>> escape_direction(np.array([[0.0, -2.0], [-2.0, 0.0]])).round(6)  # the notes' saddle
    array([0.707107, 0.707107])
    >>> escape_direction(np.eye(2)) is None
    True
    """
    matrix = symmetric(H)
    tol = _tolerance(tol, "tol", matrix.epsilon**0.5)
    pairs = extreme_eigenpairs(matrix)
    u = pairs.vectors[:, 0]
    if pairs.values[0] >= -tol * np.abs(pairs.values).max():
        # In the units that H came in it does not bend down, compared with how it bends up.
        known = isinstance(H, HessianOperator)
        θ = abs(_vector(H.position if known else 0.0, matrix, "position"))
        s, _ = _equilibrate_by_products(matrix, _first_lengths(θ, np.zeros_like(θ)))
        pairs = extreme_eigenpairs(matrix.scaled(s))
        if pairs.values[0] >= -tol * np.abs(pairs.values).max():
            return None
        u = s * pairs.vectors[:, 0]
        u = (u / norm(u)).astype(matrix.dtype)
    if gradient is None and isinstance(H, HessianOperator):
        gradient = H.gradient
    slope = 0.0
    if gradient is not None:
        slope = float(_vector(gradient, matrix, "gradient") @ u.astype(np.float64))
    if slope == 0:
        return u if float(u[int(abs(u).argmax())]) > 0 else -u
    return u if slope < 0 else -u
