"""Several arrays of one shape as one: what a formula does to a vector, it does to many at once.

Every VJP is written for one gradient g. To multiply a Hessian with K vectors, one would call it K
times, and Python's own work, which does not depend on the size of the arrays, would be done K times
as well. A `Stacked` holds K arrays, one below the other, in an array with one more axis in front.
But it hides that axis: `shape`, `ndim` and `size` are those of *one* of them. So a formula that
computes the shape of a sum, or the place of an axis, finds what it expects, and does not change:

    stacked * w,  np.where(mask, stacked, 0),  stacked.sum(axis=0),  w.T @ stacked

NumPy asks an operand of another class what is to be done: its ufuncs, which are the arithmetic, by
`__array_ufunc__`, and its other functions by `__array_function__`. What has no rule here is a
TypeError: `curvature` then takes the vectors one by one. (JAX's `vmap` does the same, for all of
NumPy.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_edu import backend
from tinygrad_edu.backend import Array


class Stacked(NDArrayOperatorsMixin):
    """K arrays of one shape, which formulas take for one.

    >>> pair = Stacked(np.array([[1.0, 2.0], [3.0, 4.0]]))  # two vectors
    >>> pair.shape, (pair * np.array([1.0, 10.0])).sum().array
    ((2,), array([21., 43.]))
    """

    __array_priority__ = 1000  # so that CuPy's operators leave it to the other operand

    def __init__(self, array: Array) -> None:
        self.array = array  # (K, …)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one of the arrays, as all that follows."""
        return self.array.shape[1:]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.array[0].size

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the elements are."""
        return self.array.dtype

    def __bool__(self) -> bool:
        raise TypeError("each of the arrays has a truth value of its own")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a Stacked is no single array")

    def _with_axes(self, ndim: int) -> Array:
        return self.array.reshape(len(self.array), *(1,) * (ndim - self.ndim), *self.shape)

    # ── Arithmetic ───────────────────────────────────────────────────────────────────────────────

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc is np.add and method == "at":
            total, index, x = inputs
            add = backend.module_of(total.array).add  # CuPy's does not hand itself over
            return add.at(_last(total.array), _of_each(index), _last(x.array))
        if method != "__call__" or options:
            return NotImplemented
        if ufunc is np.matmul:
            return _matmul(*inputs)
        return Stacked(ufunc(*_aligned(*inputs)))

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any, options: Any
    ) -> Any:
        rule = RULES.get(function)
        return NotImplemented if rule is None else rule(*arguments, **options)

    # ── Rearranging, and sums ────────────────────────────────────────────────────────────────────

    def astype(self, dtype: Any, copy: bool = True) -> Stacked:
        """Convert to another dtype."""
        return Stacked(self.array.astype(dtype, copy=copy))

    def reshape(self, *shape: Any) -> Stacked:
        """Give each another shape."""
        shape = shape[0] if isinstance(shape[0], tuple) else shape
        return Stacked(self.array.reshape(len(self.array), *shape))

    def transpose(self, axes: Sequence[int] | None = None) -> Stacked:
        """Reorder the axes of each."""
        axes = range(self.ndim)[::-1] if axes is None else self._axes(axes)
        return Stacked(self.array.transpose(0, *[axis + 1 for axis in axes]))

    def sum(self, axis: Any = None, keepdims: bool = False) -> Stacked:
        """Add up the elements of each."""
        axes = range(self.ndim) if axis is None else self._axes(axis)
        return Stacked(self.array.sum(tuple(axis + 1 for axis in axes), keepdims=keepdims))

    def _axes(self, axes: Any) -> tuple[int, ...]:
        return normalize_axis_tuple(axes, self.ndim)

    def __getitem__(self, index: Any) -> Stacked:
        return Stacked(np.moveaxis(_last(self.array)[_of_each(index)], -1, 0))

    def __setitem__(self, index: Any, x: Stacked) -> None:
        _last(self.array)[_of_each(index)] = _last(x.array)


def _aligned(*arrays: Any) -> list[Any]:
    # Broadcasting aligns the last axes: so all get as many behind the hidden one.
    ndim = max(x.ndim if isinstance(x, Stacked) else np.ndim(x) for x in arrays)
    return [x._with_axes(ndim) if isinstance(x, Stacked) else x for x in arrays]


# An index is for the first axes, so here the hidden axis goes behind them. `...` stands for all the
# others, and must not take it.


def _last(array: Array) -> Array:
    return np.moveaxis(array, 0, -1)


def _of_each(index: Any) -> Any:
    index = index if isinstance(index, tuple) else (index,)
    return (*index, slice(None)) if any(part is ... for part in index) else index


def _matmul(a: Any, b: Any) -> Stacked:
    # A vector on the left is a row, and on the right a column; so they get the other axis first.
    row, column = a.ndim == 1, b.ndim == 1
    a, b = a[None] if row else a, b[:, None] if column else b
    y = np.matmul(*_aligned(a, b))
    y = y[..., 0] if column else y
    axis = -1 if column else -2  # of the row
    return Stacked(y.squeeze(axis) if row else y)


# ── NumPy's functions ────────────────────────────────────────────────────────────────────────────


def _where(condition: Any, a: Any, b: Any) -> Stacked:
    return Stacked(np.where(*_aligned(condition, a, b)))


def _broadcast_to(x: Stacked, shape: tuple[int, ...]) -> Stacked:
    return Stacked(np.broadcast_to(x._with_axes(len(shape)), (len(x.array), *shape)))


def _zeros_like(x: Stacked, dtype: Any = None, *, shape: Any = None) -> Stacked:
    shape = x.shape if shape is None else shape
    return Stacked(np.zeros_like(x.array, dtype, shape=(len(x.array), *shape)))


def _concatenate(arrays: Sequence[Any]) -> Stacked:
    (count,) = {len(x.array) for x in arrays if isinstance(x, Stacked)}
    all_stacked = [
        x.array if isinstance(x, Stacked) else np.broadcast_to(x, (count, *x.shape)) for x in arrays
    ]
    return Stacked(np.concatenate(all_stacked, axis=1))


def _swapaxes(x: Stacked, axis1: int, axis2: int) -> Stacked:
    (first, second), axes = x._axes((axis1, axis2)), list(range(x.ndim))
    axes[first], axes[second] = second, first
    return x.transpose(axes)


RULES: dict[Callable[..., Any], Callable[..., Stacked]] = {
    np.where: _where,
    np.broadcast_to: _broadcast_to,
    np.zeros_like: _zeros_like,
    np.concatenate: _concatenate,
    np.swapaxes: _swapaxes,
    np.transpose: Stacked.transpose,
    np.reshape: Stacked.reshape,
    np.sum: Stacked.sum,
}
