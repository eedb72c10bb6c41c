"""A stand-in for CuPy without a GPU: an array that NumPy must not touch, computed by NumPy.

It refuses what CuPy refuses: silent conversion to the host, operands of both kinds, functions that
CuPy lacks. It is stricter in one point: CuPy copies a NumPy array that is used as an index to the
GPU, and this refuses it, because such a copy at every step is a mistake here.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

MISSING = {"vecdot", "matvec", "vecmat", "array2string", "array_repr", "array_str"}
ON_HOST = {"shape", "ndim", "size", "result_type", "iscomplexobj", "can_cast"}


def _inside(value):
    """Unwrap an argument, and refuse an array of the host."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple | list):
        return type(value)(map(_inside, value))
    return value


def _outside(value):
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(value)
    if isinstance(value, tuple | list):
        return type(value)(map(_outside, value))
    return value


def _known(kind):
    return issubclass(kind, ndarray | np.ndarray | np.generic)


class ndarray(NDArrayOperatorsMixin):
    def __init__(self, array):
        self._array = np.asarray(array)

    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    dtype = property(lambda self: self._array.dtype)
    nbytes = property(lambda self: self._array.nbytes)
    T = property(lambda self: ndarray(self._array.T))
    base = property(lambda self: self._array.base)

    def __array__(self, *_, **__):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if ufunc.__name__ in MISSING or method not in ("__call__", "at", "outer"):
            return NotImplemented
        if any(hasattr(value, "__array_ufunc__") and not _known(type(value)) for value in inputs):
            return NotImplemented
        options = _inside_options(options)
        if out is None:
            return _outside(getattr(ufunc, method)(*_inside(inputs), **options))
        (target,) = out
        if not isinstance(target, ndarray):
            raise TypeError("the result of CuPy arrays cannot be put into a NumPy array")
        getattr(ufunc, method)(*_inside(inputs), out=target._array, **options)
        return target

    def __array_function__(self, function, types, arguments, options):
        if function.__name__ in MISSING or not all(map(_known, types)):
            return NotImplemented
        result = function(*_inside(arguments), **_inside_options(options))
        return result if function.__name__ in ON_HOST else _outside(result)

    def __getitem__(self, index):
        return ndarray(self._array[_wrapped(_inside(index), self.shape)])

    def __setitem__(self, index, value):
        self._array[_wrapped(_inside(index), self.shape)] = _inside(value)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[place] for place in range(len(self)))

    def __bool__(self):
        return bool(self._array)

    def __int__(self):
        return int(self._array)

    def __float__(self):
        return float(self._array)

    def __index__(self):
        return self._array.__index__()

    def __repr__(self):
        return repr(self._array)

    def __format__(self, specification):
        return format(self._array, specification)

    def get(self):
        return self._array.copy()

    def item(self):
        return self._array.item()

    def tolist(self):
        return self._array.tolist()


def _wrapped(index, shape):
    """Let integer arrays that point outside wrap around: CuPy raises no error for them."""
    parts = index if isinstance(index, tuple) else (index,)
    if all(
        isinstance(part, np.ndarray) and part.ndim and part.dtype.kind in "iu" for part in parts
    ):
        return tuple(part % max(length, 1) for part, length in zip(parts, shape))
    return index


def _inside_options(options):
    return {name: _inside(value) for name, value in options.items() if name != "like"}


def _method(name):
    def method(self, *arguments, **options):
        result = getattr(self._array, name)(*_inside(arguments), **_inside_options(options))
        return _outside(result)

    return method


for _name in (
    "all any argmax argmin argsort astype copy cumsum dot fill max mean min ravel repeat reshape "
    "round squeeze std sum swapaxes transpose var"
).split():
    setattr(ndarray, _name, _method(_name))


def _function(name):
    def function(*arguments, **options):
        return ndarray(getattr(np, name)(*arguments, **options))

    return function


arange, empty, eye, ones, zeros = map(_function, "arange empty eye ones zeros".split())


def asarray(array, dtype=None):
    """Bring to the device; as there, a NumPy array is copied."""
    if isinstance(array, ndarray):
        return array if dtype is None else array.astype(dtype, copy=False)
    return ndarray(np.array(array, dtype))


class cuda:
    class Device:
        def synchronize(self):
            """Return at once: nothing is left to wait for."""
