"""The door in: what enters becomes an array of real numbers here, or is refused with its name.

Data, gradients, operands, and what operations and their VJPs return, all come through this room.
Most of it is an array already: `PLAIN` and `REAL` are for `core.py`, which looks at types alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.backend import Array
from tinygrad_edu.stacked import Stacked

NUMBERS = frozenset(t for t in np.sctypeDict.values() if np.dtype(t).kind in "fiub")  # NumPy's
ARRAYS = NUMBERS | {np.ndarray, Stacked}
PLAIN = NUMBERS | {float, int, bool, type(None), Stacked}  # operands that are taken as they are
REAL = frozenset(np.dtype(number).char for number in NUMBERS)
FLOATING = frozenset(char for char in REAL if np.dtype(char).kind == "f")


def real_array(data: Any, role: str, dtype: Any = None) -> Array:
    """Make data an array of real numbers, of NumPy's or CuPy's own class.

    Lists and numbers go to the current backend; a subclass such as `np.memmap` loses its extras.

    Parameters
    ----------
    data : array_like
    role : str
        The beginning of the message, "a Tensor holds".
    dtype : dtype, optional

    Raises
    ------
    TypeError
        If they are not real numbers, or a masked array or a matrix, which have rules of their own.

    Examples
    --------
    >>> real_array([1, 2], "a Tensor holds")
    array([1, 2])
    >>> real_array("text", "a Tensor holds")
    Traceback (most recent call last):
        ...
    TypeError: a Tensor holds real numbers, but was given str data, which make an array of dtype <U4
    """
    if backend.current() == "numpy" and type(data) in ARRAYS and data.dtype.char in REAL:
        return np.asarray(data, dtype)
    check_plain(data, role)
    if getattr(getattr(data, "dtype", None), "kind", "f") not in "fiub":
        raise TypeError(f"{role} real numbers, but was given {data.dtype} data")
    array = backend.asarray(data, dtype)
    if array.dtype.char not in REAL:
        raise TypeError(
            f"{role} real numbers, but was given {type(data).__name__} "
            f"data, which make an array of dtype {array.dtype}"
        )
    plain = type(array) is np.ndarray or backend.name_of(array) == "cupy"
    return array if plain else array.view(np.ndarray)


def check_plain(data: Any, role: str) -> None:
    """Refuse arrays that have rules of their own, which an array made of them would forget.

    >>> check_plain(np.ma.zeros(2), "a Tensor holds")
    Traceback (most recent call last):
        ...
    TypeError: a Tensor holds no masked arrays: give array.filled(…), or use tg.where
    """
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{role} no masked arrays: give array.filled(…), or use tg.where")
    if isinstance(data, np.matrix):
        raise TypeError(f"{role} no np.matrix, whose * is a product of matrices: give np.asarray")


def result(value: Any, role: str) -> Array:
    """Make what an operation returned a real array, where it is: NumPy turns 0-d ones into scalars.

    >>> result(np.float64(2.0), "multiply must return")
    array(2.)
    """
    if type(value) in ARRAYS and value.dtype.char in REAL:
        return np.asarray(value)
    return real_array(value, role)


def operand(value: Any, name: str) -> Any:
    """Make an operand of this operation a real array, if it is no array and no number yet.

    >>> operand(2.0, "multiply"), operand([2.0], "multiply")
    (2.0, array([2.]))
    """
    if type(value) in PLAIN or (type(value) is np.ndarray and value.dtype.char in REAL):
        return value
    return real_array(value, f"{name} takes")


def like(array: Array, value: Any, role: str) -> Array:
    """Make a value a real array of this array's backend and dtype.

    >>> like(np.zeros(2, "float32"), [1, 2], "a gradient holds")
    array([1., 2.], dtype=float32)
    """
    if type(value) is not type(array) or value.dtype != array.dtype:
        home = backend.name_of(array)
        value = backend.move(real_array(value, role), home).astype(array.dtype)
    return value
