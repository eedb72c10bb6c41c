"""The functions that networks end in: the softmax and the losses.

Each could be composed from `ops.py`. They are operations of their own where that avoids an
overflow, or a pass over a large array.
"""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import backend, entry
from tinygrad_edu.core import as_operand, op, unwrap
from tinygrad_edu.ops import (
    Axis,
    Operand,
    Result,
    exp,
    logaddexp,
    mean,
    restore_axes,
    select,
    where,
)

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor


def _widened(x: Any) -> Any:
    # Integers become floating-point numbers, and float16 float32, as sums of many need more digits.
    if isinstance(x, int | float):
        return np.asarray(x * 1.0)
    if x.dtype.char == "e":
        return x.astype("float32")
    return x if x.dtype.kind == "f" else x * 1.0


def _narrowed(y: Any, x: Any) -> Any:
    return y.astype("float16") if getattr(x, "dtype", y.dtype).char == "e" else y


# The slopes of log Σ eˣ are the softmax of x. (exp(x − y) would be, too, were y not rounded.)
@op(lambda g, y, x, axis=None, keepdims=False: restore_axes(g, x, axis) * softmax(x, axis))
def logsumexp(x: Operand, /, axis: Axis = None, keepdims: bool = False) -> Result:
    """Compute log Σ eˣ, all or along axes, without overflow. The slopes are the softmax of x.

    Of no elements it is −∞. Where every x is −∞ it is −∞, too, and there is no slope: NaN.

    Examples
    --------
    >>> float(logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    """
    z = _widened(x)
    if not z.size:
        return _narrowed(np.sum(z, axis=axis, keepdims=keepdims) - np.inf, x)
    largest = np.max(z, axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    total = np.sum(np.exp(z - largest), axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):  # log 0 = −∞ is right where every x is −∞
        y = np.log(total) + largest
    return _narrowed(y if keepdims else np.squeeze(y, axis), x)


def _softmax_vjp(g: Any, y: Any, x: Any = None, axis: Axis = -1) -> Any:
    # Σᵢ gᵢ ∂yᵢ/∂xⱼ with ∂yᵢ/∂xⱼ = yᵢ(δᵢⱼ − yⱼ). Subtracting a constant from g changes nothing. Take
    # the g of a class that is nearly certain: then its own g is 0, and no 1 − y is left to cancel.
    g = g - select(unwrap(y) > 0.5, g).sum(axis=axis, keepdims=True)
    return y * (g - (g * y).sum(axis=axis, keepdims=True))


@op(_softmax_vjp)
def softmax(x: Operand, /, axis: Axis = -1) -> Result:
    """Turn scores into probabilities: yᵢ = eˣⁱ/Σeˣ, with ∂yᵢ/∂xⱼ = yᵢ(δᵢⱼ − yⱼ).

    Bishop, *Pattern Recognition and Machine Learning* (2006), 4.106.

    Examples
    --------
    >>> softmax(np.array([0.0, 0.0, 1000.0]))
    array([0., 0., 1.])
    """
    z = _widened(x)
    if not z.size:
        return _narrowed(z, x)
    y = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return _narrowed(y / np.sum(y, axis=axis, keepdims=True), x)


def _log_softmax_vjp(g: Any, y: Any, x: Any, axis: Axis = -1) -> Any:
    # Σᵢ gᵢ ∂yᵢ/∂xⱼ with ∂yᵢ/∂xⱼ = δᵢⱼ − pⱼ and p = eʸ. Where pⱼ is nearly 1, the difference loses
    # its digits. But these slopes add up to 0: this one is minus the sum of the others.
    slopes = g - exp(y) * g.sum(axis=axis, keepdims=True)
    likely = np.exp(unwrap(y)) > 0.5
    others = select(np.logical_not(likely), slopes).sum(axis=axis, keepdims=True)
    return where(likely, -others, slopes)


@op(_log_softmax_vjp)
def log_softmax(x: Operand, /, axis: Axis = -1) -> Result:
    """Compute the logarithm of the softmax, right where the softmax itself rounds to 0.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 0.0, 1000.0]))
    array([-1000., -1000.,     0.])
    """
    z = _widened(x)
    if not z.size:
        return _narrowed(z, x)
    shifted = z - np.max(z, axis=axis, keepdims=True)
    return _narrowed(shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)), x)


def cross_entropy(logits: Operand, labels: Operand, /) -> "Tensor":
    """Compute the loss for classes: the mean over a batch of −log(softmax of the right class).

    Parameters
    ----------
    logits : (B, C) Tensor or array
        A score for each class, of any size.
    labels : (B,) Tensor, array or list of integers
        The right classes, from 0 to C − 1.

    Returns
    -------
    () Tensor or array

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If the shapes do not fit, or a label is not the number of a class. (On a GPU, such a label
        makes the loss and the gradients NaN.)

    Notes
    -----
    The gradient is (softmax − [1 at the right class, else 0])/B: Bishop, 4.109. It is an operation
    of its own, so that it can be differentiated again.

    Examples
    --------
    >>> float(cross_entropy(np.array([[0.0, 0.0], [0.0, 1e4]]), np.array([0, 1])))
    0.34657359027997264
    """
    logits, labels = as_operand(logits, "cross_entropy"), as_operand(labels, "cross_entropy")
    scores, classes = unwrap(logits), unwrap(labels)
    shape, count = getattr(scores, "shape", ()), getattr(classes, "shape", None)
    if len(shape) != 2 or count != shape[:1]:
        raise ValueError(
            f"cross_entropy needs logits of shape (B, C) and labels of shape (B,), but was given "
            f"{shape} and {backend.describe(classes)}; one-hot labels need "
            ".argmax(axis=1)"
        )
    if classes.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, the numbers of classes, not {classes.dtype}")
    count, numbers = scores.shape[1], classes.astype(np.int64, copy=False)
    without_sign = numbers.view(np.uint64)  # −1 becomes a large number
    if backend.name_of(classes) == "cupy":  # to ask would be to wait for the GPU
        zero = np.result_type(scores.dtype, np.float16).type(0)
        logits = logits + _nan_outside(without_sign, count, zero)[:, None]
        scores = unwrap(logits)
    elif (outside := without_sign >= count).any():
        raise ValueError(f"labels must be 0 to {count - 1}, not {classes[outside][0]}")
    scores = _widened(scores).T.copy()  # a row for each class: NumPy is slow along short rows
    scores = scores - scores.max(axis=0)  # so that no exponential overflows
    right = _index(numbers, _columns(len(numbers), backend.name_of(numbers)), len(numbers))
    exponentials = np.exp(scores)
    return _cross_entropy(logits, right, scores, exponentials, exponentials.sum(axis=0))


@backend.fused
def _nan_outside(labels: Any, count: int, zero: Any) -> Any:
    return zero / (labels < count)  # 0/1 = 0, and 0/0 is NaN


@backend.fused
def _index(rows: Any, columns: Any, length: int) -> Any:
    # Where these elements of a matrix are, if its rows, of this length, stand one after the other.
    return rows * length + columns


@functools.lru_cache(maxsize=8)
def _columns(count: int, name: str) -> Any:
    return backend.move(np.arange(count), name)


@backend.fused
def _shares(exponentials: Any, total: Any, count: int) -> Any:
    return exponentials / (total * count)


# What follows `right` is made of the logits, but the first VJP takes all of the derivative with
# respect to the logits: so these three are constants, which save computing them again.
@op(
    lambda g, y, logits, right, scores, exponentials, total: (
        g * _cross_entropy_gradient(logits, right, exponentials, total)
    ),
    *(None, None, None, None),
)
def _cross_entropy(
    logits: Operand, right: Operand, scores: Operand, exponentials: Operand, total: Operand, /
) -> Result:
    return _narrowed((np.log(total) - scores.take(right)).mean(), logits)


def _cross_entropy_gradient_vjp(g: Any, y: Any, logits: Any, *_: Any) -> Any:
    return _softmax_vjp(g, softmax(logits)) / len(logits)


@op(_cross_entropy_gradient_vjp, *(None, None, None))
def _cross_entropy_gradient(
    logits: Operand, right: Operand, exponentials: Operand, total: Operand, /
) -> Result:
    # (softmax − [1 at the right class, else 0])/B. There p − 1 would cancel: add up the others.
    p = _shares(exponentials, total, len(right))
    flat = p.ravel()
    flat[right] = 0
    flat[right] = -p.sum(axis=0)
    return p.T


def binary_cross_entropy(logits: Operand, targets: Operand, /) -> "Tensor":
    """Compute the loss for two classes: the mean of −log(sigmoid of the score of the right one).

    Parameters
    ----------
    logits : Tensor or array
        Scores z, of any shape and size: the probability of class 1 is sigmoid(z).
    targets : Tensor or array of the same shape
        0 or 1, or a probability t between.

    Returns
    -------
    () Tensor or array

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Each term is −t log p − (1 − t) log(1 − p), with −log p = log(1 + e⁻ᶻ) (Bishop, 4.90): nothing
    overflows, and nothing cancels where p is nearly 0 or 1.

    Examples
    --------
    >>> float(binary_cross_entropy(np.array([0.0, 1e4]), np.array([0, 1])))
    0.34657359027997264
    """
    logits, targets = _alike(logits, targets, "binary_cross_entropy")
    if isinstance(targets, int | float):  # one number for all
        targets = backend.module_of(unwrap(logits)).asarray(targets)
    targets = targets.astype(logits.dtype)  # integers would make float32 float64
    return mean(
        _weighted(targets, logaddexp(-logits, 0)) + _weighted(1 - targets, logaddexp(logits, 0))
    )


def _weighted(weight: Any, loss: Any) -> Any:
    # 0·∞ is left out; 0 times a finite loss is kept, since the weight may have a gradient.
    return select(np.logical_or(weight != 0, np.isfinite(loss)), weight * loss)


def mse_loss(prediction: Operand, target: Operand, /) -> "Tensor":
    """Compute the mean squared error: the mean of (prediction − target)² over all elements.

    Parameters
    ----------
    prediction : Tensor or array
    target : Tensor, array or list of the same shape, or one number for all

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting (n,) with (n, 1) would compare each with each.

    Examples
    --------
    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    prediction, target = _alike(prediction, target, "mse_loss")
    return mean((prediction - target) ** 2)


def _alike(a: Operand, b: Operand, name: str) -> tuple[Any, Any]:
    a, b = as_operand(a, name), as_operand(b, name)
    a = entry.real_array(a, f"{name} takes") if isinstance(a, int | float) else a
    shape, other = np.shape(unwrap(a)), np.shape(unwrap(b))
    if shape != other and other != ():
        raise ValueError(f"{name} needs equal shapes, not {shape} and {other}")
    return a, b
