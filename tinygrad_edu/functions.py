"""The functions that networks end in: the softmax and the losses.

Each could be composed from `ops.py`. They are operations of their own where that avoids an
overflow, or a pass over a large array.
"""

from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.core import Variable, op
from tinygrad_edu.ops import Axis, Operand, Result, exp, restore_axes


def _log_sum_exp(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return restore_axes(g, x, axis) * exp(x - restore_axes(y, x, axis))


@op(_log_sum_exp)
def logsumexp(x: Operand, /, axis: Axis = None, keepdims: bool = False) -> Result:
    """Compute log Σ eˣ, all or along axes, without overflow. The slopes are the softmax of x.

    Where every x is −∞ the value is −∞, and there is no slope: it comes out as NaN.

    Examples
    --------
    >>> float(logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    """
    largest = np.max(x, axis=axis, keepdims=True) * 1.0  # floating-point, also for integers
    largest = np.where(np.isfinite(largest), largest, 0)
    total = np.sum(np.exp(x - largest), axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):  # log 0 = −∞ is right where every x is −∞
        y = np.log(total) + largest
    return y if keepdims else np.squeeze(y, axis)


def _through_softmax(g: Any, y: Any, axis: int = -1) -> Any:
    # Σᵢ gᵢ ∂yᵢ/∂xⱼ with ∂yᵢ/∂xⱼ = yᵢ(δᵢⱼ − yⱼ)
    return y * (g - (g * y).sum(axis=axis, keepdims=True))


@op(lambda g, y, x, axis=-1: _through_softmax(g, y, axis))
def softmax(x: Operand, /, axis: int = -1) -> Result:
    """Turn scores into probabilities: yᵢ = eˣⁱ/Σeˣ, with ∂yᵢ/∂xⱼ = yᵢ(δᵢⱼ − yⱼ).

    Bishop, *Pattern Recognition and Machine Learning* (2006), 4.106.

    Examples
    --------
    >>> softmax(np.array([0.0, 0.0, 1000.0]))
    array([0., 0., 1.])
    """
    y = np.exp(x - np.max(x, axis=axis, keepdims=True) * 1.0)  # 1.0: integers would wrap around
    return y / np.sum(y, axis=axis, keepdims=True)


@op(lambda g, y, x, axis=-1: g - exp(y) * g.sum(axis=axis, keepdims=True))
def log_softmax(x: Operand, /, axis: int = -1) -> Result:
    """Compute the logarithm of the softmax, right where the softmax itself rounds to 0.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 0.0, 1000.0]))
    array([-1000., -1000.,     0.])
    """
    shifted = x - np.max(x, axis=axis, keepdims=True) * 1.0
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def cross_entropy(logits: Operand, labels: Operand, /) -> Result:
    """Compute the loss for classes: the mean over a batch of −log(softmax of the right class).

    Parameters
    ----------
    logits : (B, C) Tensor or array
        A score for each class, of any size.
    labels : (B,) Tensor or array of integers
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
    The slope is (softmax − [1 at the right class, else 0])/B: Bishop, 4.109. It is an operation of
    its own, so that it can be differentiated again.

    Examples
    --------
    >>> float(cross_entropy(np.array([[0.0, 0.0], [0.0, 1e4]]), np.array([0, 1])))
    0.34657359027997264
    """
    return _cross_entropy(_nan_outside(logits, labels), labels, [])


def _nan_outside(logits: Operand, labels: Operand) -> Result:
    # Where a label is no class: to ask would be to wait for the GPU. So NaN goes in, and comes out
    # of the loss and of every derivative.
    raw = labels.data if isinstance(labels, Variable) else labels
    if backend.name_of(raw) == "numpy" or logits.ndim != 2 or raw.shape != logits.shape[:1]:
        return logits
    outside = (raw < 0) | (raw >= logits.shape[1])
    nan = np.where(outside, np.nan, 0).astype(np.result_type(logits.dtype, np.float16))
    return logits + nan[:, None]


@op(lambda g, y, logits, labels, found: g * cross_entropy_slope(logits, labels, *found))
def _cross_entropy(logits: Operand, labels: Operand, found: list[Any], /) -> Result:
    # A formula gets only what the function was given. So the softmax goes into the list `found`,
    # and the slope need not compute it again.
    if logits.ndim != 2 or not hasattr(labels, "shape") or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy needs logits of shape (B, C) and labels of shape (B,), but was given "
            f"{logits.shape} and {backend.describe(labels)}; one-hot labels need .argmax(axis=1)"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, the numbers of classes, but are {labels.dtype}")
    outside = (labels < 0) | (labels >= logits.shape[1])
    if backend.name_of(labels) == "numpy" and outside.any():
        raise ValueError(f"labels must be 0 to {logits.shape[1] - 1}, not {labels[outside][0]}")
    scores = logits.T.copy()  # a row for each class: NumPy is slow along short rows
    scores = scores - scores.max(axis=0) * 1.0  # so that no exponential overflows
    exponentials = np.exp(scores)
    totals = exponentials.sum(axis=0)
    found.append((exponentials / totals).T)
    right = scores[labels, np.arange(len(labels), like=labels)]
    return (np.log(totals) - right).mean()


@op(lambda g, y, logits, labels, found=None: _through_softmax(g, softmax(logits)) / len(labels))
def cross_entropy_slope(logits: Operand, labels: Operand, found: Operand = None, /) -> Result:
    """Compute the slope of `cross_entropy`: (softmax − [1 at the right class, else 0])/B.

    The softmax need not be computed if it was `found` before.

    Examples
    --------
    >>> cross_entropy_slope(np.array([[0.0, 0.0]]), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    slope = (softmax(logits) if found is None else found) * (1 / max(len(labels), 1))
    slope[np.arange(len(labels), like=labels), labels] -= 1 / max(len(labels), 1)
    return slope


def mse_loss(prediction: Operand, target: Operand, /) -> Result:
    """Compute the mean squared error: the mean of (prediction − target)² over all elements.

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting (n,) with (n, 1) would compare each with each.

    Examples
    --------
    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    if prediction.shape != target.shape:
        raise ValueError(f"mse_loss needs equal shapes, not {prediction.shape} and {target.shape}")
    return ((prediction - target) ** 2).mean()
