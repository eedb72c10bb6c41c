"""The operations and their VJPs, in order of increasing complexity.

Each function works on arrays. Its decorator states one vector–Jacobian product per operand: the
gradient with respect to the operand, given the gradient g with respect to the result y (see
`core.op`). Read `lambda g, y, a, b: g * b` as "the gradient of a is g times b, since ∂y/∂a = b"; y
and the operands are there in every VJP, used or not. VJPs use these same operations and NumPy's
methods, so they hold for arrays and for Tensors, and every derivative can be differentiated again.

Operands may be Tensors, arrays, numbers or lists, of any shapes that broadcast together. NumPy's
rules give the dtype of the result; a Python number never widens float32.

Sources of the formulas: NIST's *Digital Library of Mathematical Functions* (DLMF), §4.7, 4.20 and
4.34, for the elementary functions; Giles, *Collected matrix derivative results for forward and
reverse mode algorithmic differentiation* (2008), for products. Reductions and rearrangements are
linear maps, and the VJP of a linear map is its transpose.

Some names are those of Python's own functions, as in NumPy: here `sum` and `max` mean ours.
"""

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu import backend, entry
from tinygrad_edu.core import Variable, as_operand, op, unwrap
from tinygrad_edu.indexing import as_index

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

Operand = Any  # a Tensor, an array or a number
Result = Any  # a Tensor if an operand is one, else an array
Axis = int | tuple[int, ...] | None


# ── Arithmetic ───────────────────────────────────────────────────────────────────────────────────


@op(lambda g, y, a, b: g, lambda g, y, a, b: g)
def add(a: Operand, b: Operand, /) -> Result:
    """Add, element by element: y = a + b, ∂y/∂a = ∂y/∂b = 1.

    >>> add(np.array([1.0, 2.0]), 10)
    array([11., 12.])
    """
    return a + b


@op(lambda g, y, a, b: g, lambda g, y, a, b: -g)
def subtract(a: Operand, b: Operand, /) -> Result:
    """Subtract, element by element: y = a − b, ∂y/∂a = 1, ∂y/∂b = −1.

    >>> subtract(np.array([1.0, 2.0]), 10)
    array([-9., -8.])
    """
    return a - b


@op(lambda g, y, x: -g)
def negative(x: Operand, /) -> Result:
    """Change the sign, element by element: y = −x, dy/dx = −1.

    >>> negative(np.array([1.0, -2.0]))
    array([-1.,  2.])
    """
    return -x


@op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
def multiply(a: Operand, b: Operand, /) -> Result:
    """Multiply, element by element: y = ab, ∂y/∂a = b, ∂y/∂b = a.

    >>> multiply(np.array([1.0, 2.0]), 10)
    array([10., 20.])
    """
    return a * b


@op(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)
def divide(a: Operand, b: Operand, /) -> Result:
    """Divide, element by element: y = a/b, ∂y/∂a = 1/b, ∂y/∂b = −a/b² = −y/b.

    >>> divide(np.array([1.0, 2.0]), 10)
    array([0.1, 0.2])
    """
    return a / b


def _power_base_vjp(g: Any, y: Any, a: Any, b: Any) -> Any:
    # b·aᵇ⁻¹. Where b = 0 this is 0, also at a = 0, where a⁻¹ would make it 0·∞. The second
    # derivative, along b, is not 0 there: so it is the base that changes, and not the product.
    if isinstance(b, int | float):
        return g * (b * a ** (b - 1)) if b else select(np.zeros_like(unwrap(g), bool), g)
    g = select(np.logical_or(b != 0, np.isfinite(g)), g)
    return g * (b * where(np.logical_and(a == 0, b == 0), 1, a) ** (b - 1))


# Where a = 0, the slope along b is 0 for every b > 0, although log a is infinite. (At b = 0, and
# for mixed second derivatives at b ≤ 1, none is finite; do not rely on what comes out.)
@op(_power_base_vjp, lambda g, y, a, b: g * y * log(where(a == 0, 1, a)))
def power(a: Operand, b: Operand, /) -> Result:
    """Raise to a power, element by element: y = aᵇ, ∂y/∂a = baᵇ⁻¹, ∂y/∂b = aᵇ log a (DLMF 4.7).

    >>> power(np.array([1.0, 2.0]), 3)
    array([1., 8.])
    """
    return a**b


# ── Elementary functions ─────────────────────────────────────────────────────────────────────────


@op(lambda g, y, x: g * y)
def exp(x: Operand, /) -> Result:
    """Take the exponential, element by element: y = eˣ, dy/dx = y (DLMF 4.7).

    >>> exp(np.array([0.0, 1.0]))
    array([1.        , 2.71828183])
    """
    return np.exp(x)


@op(lambda g, y, x: g / x)
def log(x: Operand, /) -> Result:
    """Take the natural logarithm, element by element: y = log x, dy/dx = 1/x (DLMF 4.7).

    >>> log(np.array([1.0, 2.0]))
    array([0.        , 0.69314718])
    """
    return np.log(x)


@op(lambda g, y, x: g * exp(x))
def expm1(x: Operand, /) -> Result:
    """Compute eˣ − 1, element by element, exactly also near 0: dy/dx = eˣ (DLMF 4.7).

    >>> expm1(np.array([0.0, 1e-20]))
    array([0.e+00, 1.e-20])
    """
    return np.expm1(x)


@op(lambda g, y, x: g / (1 + x))
def log1p(x: Operand, /) -> Result:
    """Compute log(1 + x), element by element, exactly also near 0: dy/dx = 1/(1 + x) (DLMF 4.7).

    >>> log1p(np.array([0.0, 1e-20]))
    array([0.e+00, 1.e-20])
    """
    return np.log1p(x)


@op(lambda g, y, x: g / (2 * y))
def sqrt(x: Operand, /) -> Result:
    """Take the square root, element by element: y = √x, dy/dx = 1/(2y), infinite at 0 (DLMF 4.7).

    >>> sqrt(np.array([1.0, 4.0]))
    array([1., 2.])
    """
    return np.sqrt(x)


@op(lambda g, y, x: g * cos(x))
def sin(x: Operand, /) -> Result:
    """Take the sine, element by element: y = sin x, dy/dx = cos x (DLMF 4.20).

    >>> sin(np.array([0.0, 1.0]))
    array([0.        , 0.84147098])
    """
    return np.sin(x)


@op(lambda g, y, x: -g * sin(x))
def cos(x: Operand, /) -> Result:
    """Take the cosine, element by element: y = cos x, dy/dx = −sin x (DLMF 4.20).

    >>> cos(np.array([0.0, 1.0]))
    array([1.        , 0.54030231])
    """
    return np.cos(x)


@op(lambda g, y, x: g * (1 - y * y))
def tanh(x: Operand, /) -> Result:
    """Take the hyperbolic tangent, element by element: y = tanh x, dy/dx = 1 − y² (DLMF 4.34).

    >>> tanh(np.array([0.0, 1.0]))
    array([0.        , 0.76159416])
    """
    return np.tanh(x)


@op(lambda g, y, x: g * (y * sigmoid(-x)))  # and not 1 − y, which cancels where y is nearly 1
def sigmoid(x: Operand, /) -> Result:
    """Take the logistic function, element by element: y = 1/(1 + e⁻ˣ), dy/dx = y(1 − y).

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    # For x < 0 this is eˣ/(1 + eˣ): no exponential overflows. (0.0 makes integers floating-point.)
    return np.exp(np.minimum(x, 0.0)) / (1 + np.exp(0.0 - np.abs(x)))


@op(lambda g, y, a, b: g * sigmoid(a - b), lambda g, y, a, b: g * sigmoid(b - a))
def logaddexp(a: Operand, b: Operand, /) -> Result:
    """Compute log(eᵃ + eᵇ), element by element, without overflow: ∂y/∂a = 1/(1 + eᵇ⁻ᵃ).

    Where both are −∞, or both ∞, there is no slope: NaN.

    >>> logaddexp(np.array([0.0, 1000.0]), 0)
    array([6.93147181e-01, 1.00000000e+03])
    """
    return np.logaddexp(a, b)


# ── Choosing ─────────────────────────────────────────────────────────────────────────────────────


def select(mask: Operand, x: Operand, /) -> Result:
    """Keep x where the mask holds, else 0: also where x is ∞ or NaN, and a product would be NaN.

    >>> select(np.array([True, False]), np.array([1.0, np.inf]))
    array([1., 0.])
    """
    if isinstance(x, Variable):
        return _select(unwrap(mask), x)
    if type(x) is type(mask) is np.ndarray and x.dtype.char in _BITS:
        # NumPy's where is slow on a random mask. The bits of x, as integers, times 1 or 0 are fast.
        return (x.view(_BITS[x.dtype.char]) * mask).view(x.dtype)
    return np.where(unwrap(mask), x, 0)


_BITS: dict[str, Any] = {"e": np.dtype("int16"), "f": np.dtype("int32"), "d": np.dtype("int64")}
_select = op(None, lambda g, y, mask, x: select(mask, g))(select)


@op(lambda g, y, x: select(x > 0, g) - select(x < 0, g))
def abs(x: Operand, /) -> Result:
    """Take the absolute value, element by element: y = |x|, dy/dx = the sign of x, and 0 at 0.

    >>> abs(np.array([-2.0, 0.0, 3.0]))
    array([2., 0., 3.])
    """
    return np.abs(x)


@op(lambda g, y, x: select(y > 0, g))
def relu(x: Operand, /) -> Result:
    """Cut off below 0, element by element: y = max(x, 0), dy/dx = 1 above 0, else 0.

    >>> relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return np.maximum(x, 0)


def where(condition: Operand, a: Operand, b: Operand, /) -> "Tensor":
    """Choose element by element: a where the condition holds, else b. The gradient goes that way.

    The branch that was not chosen receives the gradient 0, which what made it may multiply by ∞:
    instead of `where(x > 0, log(x), 0)` write `where(x > 0, log(where(x > 0, x, 1)), 0)`.

    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0)
    array([1., 0.])
    """
    if getattr(unwrap(condition), "dtype", None) != np.dtype(bool):
        if not isinstance(condition, Variable):
            condition = entry.real_array(unwrap(condition), "where takes")
        condition = condition != 0
    return _where(condition, a, b)


@op(
    None,
    lambda g, y, mask, a, b: select(mask, g),
    lambda g, y, mask, a, b: select(np.logical_not(mask), g),
)
def _where(mask: Operand, a: Operand, b: Operand, /) -> Result:
    return np.where(mask, a, b)


def _chosen_vjp(g: Any, y: Any, a: Any, b: Any) -> Any:
    # a receives all of g where it was taken, nothing where b was, and half where they tie.
    return where(a == b, g / 2, select(a == y, g))


@op(_chosen_vjp, lambda g, y, a, b: _chosen_vjp(g, y, b, a))
def maximum(a: Operand, b: Operand, /) -> Result:
    """Take the larger, element by element. The slope is 1 for it and 0 for the other; ties share.

    >>> maximum(np.array([1.0, 3.0]), 2)
    array([2., 3.])
    """
    return np.maximum(a, b)


@op(_chosen_vjp, lambda g, y, a, b: _chosen_vjp(g, y, b, a))
def minimum(a: Operand, b: Operand, /) -> Result:
    """Take the smaller, element by element. The slope is 1 for it and 0 for the other; ties share.

    >>> minimum(np.array([1.0, 3.0]), 2)
    array([1., 2.])
    """
    return np.minimum(a, b)


@op(lambda g, y, x, min=None, max=None: select(x == y, g))
def clip(x: Operand, /, min: float | None = None, max: float | None = None) -> Result:
    """Cut off below and above limits. The slope is 1 between them and at them, and 0 beyond.

    >>> clip(np.array([-2.0, 0.5, 3.0]), 0, 1)
    array([0. , 0.5, 1. ])
    """
    return np.clip(x, min, max)


# ── Rearranging: each VJP puts the gradient back where the numbers came from ─────────────────────


@op(lambda g, y, x, shape: g.reshape(x.shape))
def reshape(x: Operand, /, shape: int | tuple[int, ...]) -> Result:
    """Give the same numbers another shape; one length may be −1.

    >>> reshape(np.arange(6), (2, -1))
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    return np.reshape(x, shape)


def _inverse(axes: Any, ndim: int) -> Any:
    return None if axes is None else tuple(np.argsort(normalize_axis_tuple(axes, ndim)).tolist())


@op(lambda g, y, x, axes=None: transpose(g, _inverse(axes, x.ndim)))
def transpose(x: Operand, /, axes: Sequence[int] | None = None) -> Result:
    """Reorder the axes: axis axes[i] of x becomes axis i. Without `axes`, reverse them.

    >>> transpose(np.ones((2, 3))).shape
    (3, 2)
    """
    return np.transpose(x, axes)


@op(lambda g, y, x: g.reshape(x.shape))
def ravel(x: Operand, /) -> Result:
    """Put all the numbers in one row.

    >>> ravel(np.array([[1, 2], [3, 4]]))
    array([1, 2, 3, 4])
    """
    return np.ravel(x)


@op(lambda g, y, x, axis=None: g.reshape(x.shape))
def squeeze(x: Operand, /, axis: Axis = None) -> Result:
    """Leave out axes of length 1, all of them or these.

    >>> squeeze(np.ones((1, 3, 1))).shape
    (3,)
    """
    return np.squeeze(x, axis)


@op(lambda g, y, x, axis: g.reshape(x.shape))
def expand_dims(x: Operand, /, axis: int | tuple[int, ...]) -> Result:
    """Insert axes of length 1, so that the result has them here.

    >>> expand_dims(np.ones(3), axis=0).shape
    (1, 3)
    """
    return np.expand_dims(x, axis)


@op(lambda g, y, x, axis1, axis2: swapaxes(g, axis1, axis2))
def swapaxes(x: Operand, /, axis1: int, axis2: int) -> Result:
    """Exchange two axes.

    >>> swapaxes(np.ones((2, 3)), 0, 1).shape
    (3, 2)
    """
    return np.swapaxes(x, axis1, axis2)


@op(lambda g, y, x, shape: g)  # the backward pass adds up what was repeated
def broadcast_to(x: Operand, /, shape: tuple[int, ...]) -> Result:
    """Repeat along new leading axes, and along axes of length 1, up to this shape.

    >>> broadcast_to(np.array([1, 2]), (2, 2))
    array([[1, 2],
           [1, 2]])
    """
    return np.broadcast_to(x, shape)


@op(lambda g, y, x, dtype: g)  # the backward pass casts back
def astype(x: Operand, /, dtype: Any) -> Result:
    """Convert to another dtype. A result of integers or booleans is not recorded.

    >>> astype(np.array([1.0, 2.0]), "float32").dtype
    dtype('float32')
    """
    return x.astype(dtype)


def getitem(x: Operand, index: Any, /) -> "Tensor":
    """Take elements, as NumPy's x[index]: by integers, slices, `...`, None, sequences and masks.

    >>> getitem(np.array([1.0, 2.0, 3.0]), [2, 0, 2])
    array([3., 1., 3.])
    """
    return _getitem(x, as_index(index, x))


@op(lambda g, y, x, index: _scatter(g, index, x.shape))
def _getitem(x: Operand, index: tuple[Any, ...], /) -> Result:
    return x[index]


def scatter(x: Operand, index: Any, shape: tuple[int, ...], /) -> "Tensor":
    """Put x at this index of an array of zeros, and add where the index repeats: getitem's VJP.

    >>> scatter(np.array([1.0, 2.0, 3.0]), [2, 0, 2], (4,))
    array([2., 0., 4., 0.])
    """
    return _scatter(x, as_index(index, x, shape), shape)


@op(lambda g, y, x, index, shape: g[index])
def _scatter(x: Operand, index: tuple[Any, ...], shape: tuple[int, ...], /) -> Result:
    y = np.zeros_like(x, shape=shape or (1,))
    y = y if shape else y.reshape(())  # CuPy takes shape=() for none at all
    if any(backend.is_array(part) and part.dtype.kind in "iu" for part in index):
        backend.module_of(y).add.at(y, index, x)  # an array of integers may name an element twice
    else:
        y[index] = x
    return y


def concatenate(arrays: Sequence[Operand], axis: int | None = 0) -> "Tensor":
    """Join arrays along an axis that they have, or flat. Each gets its own piece of the gradient.

    >>> concatenate([np.array([1, 2]), np.array([3])])
    array([1, 2, 3])
    """
    arrays = [as_operand(array, "concatenate") for array in arrays]
    if axis is None:
        arrays, axis = [reshape(array, -1) for array in arrays], 0
    shapes = [np.shape(unwrap(array)) for array in arrays]
    if () in shapes or not shapes:
        raise ValueError("concatenate joins arrays along an axis: at least one, and no numbers")
    axis, start, pieces = normalize_axis_index(axis, len(shapes[0])), 0, []
    for shape in shapes:
        stop = start + shape[axis] if axis < len(shape) else start
        pieces.append((*[slice(None)] * axis, slice(start, stop)))
        start = stop

    def concatenate_(*arrays: Any) -> Any:
        return np.concatenate(arrays, axis)

    return _joined(concatenate_, arrays, pieces)


def stack(arrays: Sequence[Operand], axis: int = 0) -> "Tensor":
    """Join arrays of one shape along a new axis. Each receives its own piece of the gradient.

    >>> stack([np.array([1, 2]), np.array([3, 4])])
    array([[1, 2],
           [3, 4]])
    """
    arrays = [
        array if hasattr(array, "shape") else entry.real_array(unwrap(array), "stack takes")
        for array in arrays
    ]
    if not arrays:
        raise ValueError("stack joins one or more arrays")
    axis = normalize_axis_index(axis, np.ndim(unwrap(arrays[0])) + 1)

    def stack_(*arrays: Any) -> Any:
        return np.stack(arrays, axis)

    return _joined(stack_, arrays, [(*[slice(None)] * axis, i) for i in range(len(arrays))])


def _joined(function: Any, arrays: Sequence[Operand], pieces: Sequence[Any]) -> Result:
    # How many operands there are shows only here, so the operation is made to measure. The VJPs are
    # g[piece], and need nothing else: to hand all operands to each of them would be quadratic.
    return op(*map(operator.itemgetter, pieces), linear=True)(function)(*arrays)


# ── Reducing many numbers to one ─────────────────────────────────────────────────────────────────


def restore_axes(g: Any, x: Any, axis: Axis) -> Any:
    """Give the result of a reduction of x its axes back, with length 1, so that it fits x again.

    >>> restore_axes(np.ones(2), np.ones((2, 3)), axis=1).shape
    (2, 1)
    """
    reduced = normalize_axis_tuple(axis, x.ndim) if axis is not None and x.ndim else range(x.ndim)
    return g.reshape(tuple(1 if i in reduced else length for i, length in enumerate(x.shape)))


@op(lambda g, y, x, axis=None, keepdims=False: broadcast_to(restore_axes(g, x, axis), x.shape))
def sum(x: Operand, /, axis: Axis = None, keepdims: bool = False) -> Result:
    """Add up the elements, all or along one or several axes: every slope is 1.

    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return np.sum(x, axis=axis, keepdims=keepdims)


def _mean_vjp(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return broadcast_to(restore_axes(g * (y.size / (x.size or 1)), x, axis), x.shape)


@op(_mean_vjp)
def mean(x: Operand, /, axis: Axis = None, keepdims: bool = False) -> Result:
    """Take the mean of n elements, all or along one or several axes: every slope is 1/n.

    >>> mean(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([2., 3.])
    """
    return np.mean(x, axis=axis, keepdims=keepdims)


def _var_vjp(
    g: Any, y: Any, x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False
) -> Any:
    # The mean depends on x as well, but as Σ(x − mean) = 0, that changes nothing.
    count = x.size / (y.size or 1)
    factor = float(np.float64(2) / (count - ddof))  # a number: 65520 is no float16
    return restore_axes(g * factor, x, axis) * (x - mean(x, axis, True))


@op(_var_vjp)
def var(x: Operand, /, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Result:
    """Take the variance of n elements: Σ(x − mean)²/(n − ddof), with slopes 2(x − mean)/(n − ddof).

    >>> float(var(np.array([1.0, 2.0, 3.0, 4.0])))
    1.25
    """
    return np.var(x, axis=axis, ddof=ddof, keepdims=keepdims)


def _std_vjp(
    g: Any, y: Any, x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False
) -> Any:
    # That of √var, so (x − mean)/((n − ddof)·y), but 0 where all elements are equal: y is smallest
    # there, and to divide by it would make every gradient NaN.
    root = where(y == 0, 1, y)
    return _var_vjp(select(y != 0, g / (2 * root)), y, x, axis, ddof)


@op(_std_vjp)
def std(x: Operand, /, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Result:
    """Take the standard deviation, √var: the slopes are (x − mean)/((n − ddof)·y).

    Where all elements are equal it has a corner. The slope there is 0, the smallest of all that
    lie below it.

    >>> float(std(np.array([1.0, 2.0, 3.0, 4.0, 5.0])))
    1.4142135623730951
    """
    return np.std(x, axis=axis, ddof=ddof, keepdims=keepdims)


def _extreme_vjp(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    # Elements that tie for the extreme share g equally.
    winners = x == restore_axes(y, x, axis)
    count = winners.sum(axis=axis, keepdims=True)  # an integer: float16 ends at 65504
    share, nothing = restore_axes(g, x, axis) / count, 0 / count  # both NaN where x is
    return where(winners, share.astype(g.dtype), nothing.astype(g.dtype))


@op(_extreme_vjp)
def max(x: Operand, /, axis: Axis = None, keepdims: bool = False) -> Result:
    """Take the largest element. The slope is 1 for it and 0 for the others; ties share.

    >>> max(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=1)
    array([4., 3.])
    """
    return np.max(x, axis=axis, keepdims=keepdims)


@op(_extreme_vjp)
def min(x: Operand, /, axis: Axis = None, keepdims: bool = False) -> Result:
    """Take the smallest element. The slope is 1 for it and 0 for the others; ties share.

    >>> min(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=1)
    array([1., 2.])
    """
    return np.min(x, axis=axis, keepdims=keepdims)


# ── Products ─────────────────────────────────────────────────────────────────────────────────────

# For matrices, the gradient of A is G·Bᵀ and that of B is Aᵀ·G. NumPy takes a vector on the left
# for a row, and one on the right for a column; so do we. The backward pass sums what was broadcast.


def _swapped(x: Any) -> Any:
    return x.transpose((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _left_vjp(g: Any, y: Any, a: Any, b: Any, *bias: Any) -> Any:
    if b.ndim == 1:
        return g[..., None] * b
    return (g[..., None, :] if a.ndim == 1 else g) @ _swapped(b)


def _right_vjp(g: Any, y: Any, a: Any, b: Any, *bias: Any) -> Any:
    if a.ndim == 1:
        return g * a if b.ndim == 1 else a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return (_swapped(a) @ g[..., None])[..., 0]
    # NumPy's @ is slow at a column times a row.
    return _swapped(a) * g if g.shape[-2] == 1 else _swapped(a) @ g


@op(_left_vjp, _right_vjp)
def matmul(a: Operand, b: Operand, /) -> Result:
    """Multiply matrices, stacks of them, or vectors, as NumPy's `@` (Giles 2008, §2.2).

    >>> matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return a @ b


@op(_left_vjp, _right_vjp, lambda g, y, x, weight, bias=None: g)
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
    shapes = [getattr(array, "shape", ()) for array in (x, weight, bias)]
    rows, matrix, row = shapes
    if rows[-1:] != matrix[:1] or (bias is not None and row != matrix[1:]):
        given = shapes[: 2 if bias is None else 3]
        raise ValueError(f"linear needs shapes (…, n), (n, m) and (m,), but was given {given}")
    y = x @ weight
    # The sum may take y's place, since y is ours alone: that saves an array.
    return y if bias is None else np.add(y, bias, out=y if y.dtype == bias.dtype else None)
