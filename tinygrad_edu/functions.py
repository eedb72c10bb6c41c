"""The functions that networks are made of: the affine map, the softmax, the losses.

Each could be composed from `ops.py`. They are operations of their own where that avoids an
overflow, or a pass over a large array.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core import op
from tinygrad_edu.ops import Axis, Operand, Result, exp, restore_axes


def _weight(g: Any, y: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    rows = math.prod(x.shape[:-1])
    x, g = x.reshape((rows, x.shape[-1])).transpose(), g.reshape((rows, g.shape[-1]))
    return x * g if rows == 1 else x @ g  # NumPy's @ is slow at a column times a row


@op(lambda g, y, x, w, b=None: g @ w.transpose(), _weight, lambda g, y, x, w, b=None: g)
def linear(x: Operand, weight: Operand, bias: Operand = None, /) -> Result:
    """Apply an affine map to each row: y = xW + b (Giles 2008, §2.2).

    Parameters
    ----------
    x : (..., n) Tensor or array
    weight : (n, m) Tensor or array
        PyTorch stores its transpose.
    bias : (m,) Tensor or array, optional

    Returns
    -------
    (..., m) Tensor or array

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> linear(np.ones((2, 3)), np.ones((3, 1)), np.array([0.5]))
    array([[3.5],
           [3.5]])
    """
    if x.shape[-1:] != weight.shape[:1] or (bias is not None and bias.shape != weight.shape[1:]):
        given = [x.shape, weight.shape] if bias is None else [x.shape, weight.shape, bias.shape]
        raise ValueError(f"linear needs shapes (…, n), (n, m) and (m,), but was given {given}")
    y = x @ weight
    # The sum may take y's place, since y is ours alone: that saves an array.
    return y if bias is None else np.add(y, bias, out=y if y.dtype == bias.dtype else None)


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
    y = np.exp(x - np.max(x, axis=axis, keepdims=True) * 1.0)
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


@op(lambda g, y, logits, labels: g * cross_entropy_slope(logits, labels))
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
        If the shapes do not fit, or a label is not the number of a class.

    Notes
    -----
    The slope is (softmax − [1 at the right class, else 0])/B: Bishop, 4.109. It is an operation of
    its own, so that it can be differentiated again.

    Examples
    --------
    >>> float(cross_entropy(np.array([[0.0, 0.0], [0.0, 1e4]]), np.array([0, 1])))
    0.34657359027997264
    """
    if logits.ndim != 2 or not hasattr(labels, "shape") or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy needs logits of shape (B, C) and labels of shape (B,), but was given "
            f"{logits.shape} and {np.shape(labels)}; one-hot labels need .argmax(axis=1)"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, the numbers of classes, but are {labels.dtype}")
    if labels.size and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        low, high = labels.min(), labels.max()
        raise ValueError(f"labels must be from 0 to {logits.shape[1] - 1}, not {low} to {high}")
    shifted = logits - logits.max(axis=1, keepdims=True) * 1.0  # so that no exponential overflows
    rows = np.arange(len(labels), like=labels)
    return (np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels]).mean()


@op(lambda g, y, logits, labels: _through_softmax(g, softmax(logits)) / len(labels))
def cross_entropy_slope(logits: Operand, labels: Operand, /) -> Result:
    """Compute the slope of `cross_entropy`: (softmax − [1 at the right class, else 0])/B.

    Examples
    --------
    >>> cross_entropy_slope(np.array([[0.0, 0.0]]), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    slope = softmax(logits)
    slope[np.arange(len(labels), like=labels), labels] -= 1
    slope /= len(labels)
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
