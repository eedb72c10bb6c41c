"""What may stand in x[…]: it becomes integers, slices, None, `...` and arrays where x is."""

import operator
from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.core import unwrap

_BASIC = (int, np.integer, np.bool_, slice, type(None), type(...))


def as_index(index: Any, x: Any, shape: tuple[int, ...] | None = None) -> tuple[Any, ...]:
    """Make the parts of an index basic ones and arrays, for x or for an array of this shape there.

    A sequence becomes an array here, before anything is recorded: a list could change before the
    backward pass.

    Raises
    ------
    IndexError
        If an element is out of range. (On a GPU, an index that is there already is not looked at:
        CuPy wraps around.)

    Examples
    --------
    >>> as_index((0, range(2)), np.zeros((1, 2)))
    (0, array([0, 1]))
    """
    parts = tuple([_part(part) for part in (index if isinstance(index, tuple) else (index,))])
    homes = {backend.name_of(part) for part in parts if backend.is_array(part)}
    home = backend.name_of(unwrap(x))
    if home == "numpy" or not homes:
        return parts
    if homes == {"numpy"}:  # so NumPy can refuse what is out of range
        np.broadcast_to(False, x.shape if shape is None else shape)[parts]
    return tuple(backend.move(part, home) if backend.is_array(part) else part for part in parts)


def _part(part: Any) -> Any:
    if isinstance(part, _BASIC):
        return part
    part = unwrap(part)
    if backend.is_array(part):
        return part
    if not (hasattr(part, "__len__") or hasattr(part, "__array__")):
        if hasattr(part, "__index__"):
            return operator.index(part)
        raise IndexError(f"an index is made up of integers, slices and such, not {part!r}")
    array = backend.asarray(part) if backend.holds_device_arrays(part) else np.asarray(part)
    return array if array.size else array.astype(int)  # [] would be float64
