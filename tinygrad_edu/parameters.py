"""Parameters: a list of leaves, one flat vector, or a state by names, each made in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.backend import Array
from tinygrad_edu.core import Variable
from tinygrad_edu.tensor import Tensor

# ── A list of leaves ─────────────────────────────────────────────────────────────────────────────


def leaves(params: Any) -> list[Tensor]:
    """List the parameters, if they are leaves that a gradient can arrive at.

    Raises
    ------
    TypeError
        If one is not a Tensor.
    ValueError
        If there are none, one occurs twice, or one is not a leaf that requires a gradient.

    Examples
    --------
    >>> len(leaves([Tensor(1.0, requires_grad=True)]))
    1
    """
    if hasattr(params, "parameters"):
        raise TypeError("params must be a list of Tensors: give module.parameters()")
    params = [params] if isinstance(params, Tensor) else list(params)
    if not params:
        raise ValueError("there are no parameters: was a generator used up before?")
    for place, param in enumerate(params):
        if not isinstance(param, Tensor):
            raise TypeError(f"params[{place}] is a {type(param).__name__}, not a Tensor")
        if not param.requires_grad or param.node is not None:
            raise ValueError(
                f"params[{place}] is not a leaf that requires a gradient, so it gets none: "
                "make it with Tensor(…, requires_grad=True)"
            )
    if len(set(params)) < len(params):
        raise ValueError("a parameter occurs twice, and would count twice")
    return params


# ── One flat vector: all the numbers, one parameter after the other ──────────────────────────────


def flatten(arrays: Iterable[Array]) -> Array:
    """Put the elements of several arrays one after the other, into one flat vector.

    >>> flatten([np.array([[1.0, 2.0]]), np.array(3.0)])
    array([1., 2., 3.])
    """
    return np.concatenate([array.reshape(-1) for array in arrays])


def split(vector: Array, arrays: Sequence[Array]) -> list[Array]:
    """Cut a flat vector into copies that have the shapes and dtypes of these arrays.

    Raises
    ------
    ValueError
        If the vector is not as long as all of them together.

    Examples
    --------
    >>> split(np.array([1.0, 2.0, 3.0]), [np.zeros((1, 2)), np.zeros((), "float32")])
    [array([[1., 2.]]), array(3., dtype=float32)]
    """
    size = sum(array.size for array in arrays)
    if vector.shape != (size,):
        raise ValueError(f"the vector must have the shape ({size},), but has {vector.shape}")
    parts, start = [], 0
    for array in arrays:
        part = vector[start : start + array.size]
        parts.append(part.reshape(array.shape).astype(array.dtype))
        start += array.size
    return parts


def parameters_to_vector(parameters: Iterable[Tensor]) -> Array:
    """Put all the values one after the other, into one flat vector.

    The order is that of `hvp`, `HessianOperator` and `lanczos`. Gradients are Tensors, too.

    >>> parameters_to_vector([Tensor([[1.0, 2.0]]), Tensor(3.0)])
    array([1., 2., 3.])
    """
    return flatten([parameter.data for parameter in parameters])


def vector_to_parameters(vector: Any, parameters: Iterable[Tensor]) -> None:
    """Give the parameters the values of a flat vector, in their shapes and dtypes.

    Raises
    ------
    ValueError
        If the vector is not as long as all the parameters together, or these are not leaves that
        require a gradient; none has changed.

    Examples
    --------
    >>> w, b = Tensor([[1.0, 2.0]], requires_grad=True), Tensor(3.0, requires_grad=True)
    >>> vector_to_parameters(np.array([4.0, 5.0, 6.0]), [w, b])
    >>> w, b
    (Tensor([[4., 5.]], dtype=float64, requires_grad=True),
     Tensor(6., dtype=float64, requires_grad=True))
    """
    parameters = leaves(parameters)
    parts = split(Tensor(vector).data, [parameter.data for parameter in parameters])
    for parameter, part in zip(parameters, parts):
        parameter.data = part


# ── A state: arrays by name ──────────────────────────────────────────────────────────────────────


def as_array(value: Any) -> Array:
    """Return the array of a Tensor, an array or a number in a state.

    >>> as_array(Tensor(1.5)), as_array(2)
    (array(1.5), array(2))
    """
    if isinstance(value, Variable):
        return value.array
    return np.asarray(value) if np.isscalar(value) or not hasattr(value, "dtype") else value


def matched(own: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Array]:
    """Copy a state to where one's own is, if it has the same names, shapes and dtypes.

    Raises
    ------
    ValueError
        If not; all the differences are listed.

    Examples
    --------
    >>> matched({"a": np.zeros(2)}, {"a": np.zeros(3), "b": 1.0})
    Traceback (most recent call last):
        ...
    ValueError: the state does not fit: a is float64 (3,), not float64 (2,); b is unknown here
    """
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is unknown here" for name in state if name not in own]
    copies = {}
    for name in own.keys() & state.keys():
        here, there = as_array(own[name]), as_array(state[name])
        if (here.shape, here.dtype) == (there.shape, there.dtype):
            copies[name] = backend.move(there, backend.name_of(here)).copy()
        else:
            problems.append(f"{name} is {there.dtype} {there.shape}, not {here.dtype} {here.shape}")
    if problems:
        raise ValueError("the state does not fit: " + "; ".join(sorted(problems)))
    return copies
