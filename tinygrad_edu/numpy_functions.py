"""The door out: NumPy's own functions on Tensors, recorded where this package has the operation.

Where an argument is a Tensor, NumPy hands the call over (NEP 13 and NEP 18): `np.exp(x)` becomes
`tg.exp(x)`. Functions that only look at values or shapes get the arrays. What would lose a gradient
is refused, with what to use instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu import advice, ops
from tinygrad_edu.core import Variable, op

UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: ops.add,
    np.subtract: ops.subtract,
    np.negative: ops.negative,
    np.positive: lambda x: x,
    np.multiply: ops.multiply,
    np.square: lambda x: ops.multiply(x, x),
    np.divide: ops.divide,
    np.power: ops.power,
    np.exp: ops.exp,
    np.expm1: ops.expm1,
    np.log: ops.log,
    np.log1p: ops.log1p,
    np.logaddexp: ops.logaddexp,
    np.sqrt: ops.sqrt,
    np.sin: ops.sin,
    np.cos: ops.cos,
    np.tanh: ops.tanh,
    np.absolute: ops.abs,
    np.maximum: ops.maximum,
    np.minimum: ops.minimum,
    np.matmul: ops.matmul,
}


def _reshape(x: Any, shape: Any = None, newshape: Any = None) -> Any:
    return ops.reshape(x, newshape if shape is None else shape)  # as NumPy 2.0 calls it


def _clip(x: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None) -> Any:
    return ops.clip(x, a_min if min is None else min, a_max if max is None else max)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: ops.where,
    np.reshape: _reshape,
    np.transpose: ops.transpose,
    np.broadcast_to: ops.broadcast_to,
    np.concatenate: ops.concatenate,
    np.stack: ops.stack,
    np.ravel: ops.ravel,
    np.squeeze: ops.squeeze,
    np.expand_dims: ops.expand_dims,
    np.swapaxes: ops.swapaxes,
    np.clip: _clip,
    np.sum: ops.sum,
    np.mean: ops.mean,
    np.var: ops.var,
    np.std: ops.std,
    np.max: ops.max,
    np.amax: ops.max,
    np.min: ops.min,
    np.amin: ops.min,
}
REDUCTIONS = {np.add: ops.sum, np.maximum: ops.max, np.minimum: ops.min}  # np.add.reduce

# Piecewise constant, so there is no gradient to lose: the result is a Tensor.
STEPS = """
    equal not_equal less less_equal greater greater_equal isfinite isinf isnan signbit sign
    floor ceil rint trunc floor_divide logical_and logical_or logical_not logical_xor
    bitwise_and bitwise_or bitwise_xor invert
"""
UFUNCS |= {getattr(np, name): op()(getattr(np, name)) for name in STEPS.split()}

# These only look: the result is NumPy's own.
LOOKS = """
    shape ndim size result_type can_cast common_type min_scalar_type iscomplexobj isrealobj
    shares_memory may_share_memory array_equal array_equiv allclose isclose all any count_nonzero
    nonzero flatnonzero argwhere argmax argmin argsort searchsorted digitize zeros_like ones_like
    empty_like full_like array_repr array_str array2string
"""
LOOKING = {getattr(np, name) for name in LOOKS.split()}


def array_ufunc(tensor: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """Call what stands for one of NumPy's universal functions (`Tensor.__array_ufunc__`)."""
    if not options and method == "__call__" and ufunc in UFUNCS:
        return UFUNCS[ufunc](*inputs)
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    if any(array is not None for array in options.pop("out", ())):
        raise TypeError(f"np.{name} cannot write a Tensor into an array: write a = a + tensor")
    if method == "reduce" and ufunc in REDUCTIONS:
        defaults = {"axis": 0, "keepdims": False, "dtype": None, "initial": None, "where": True}
        return _call(REDUCTIONS[ufunc], name, inputs, {"axis": 0, **options}, defaults)
    return _of_arrays(getattr(ufunc, method), name, inputs, options)


def array_function(tensor: Any, function: Any, types: Any, args: Any, options: Any) -> Any:
    """Call what stands for one of NumPy's other functions (`Tensor.__array_function__`)."""
    name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
    if function not in FUNCTIONS or (function is np.where and len(args) == 1):
        looks = function in LOOKING or function is np.where  # np.where(x) are the indices
        return _of_arrays(function, name, args, options, looks)
    defaults: dict[str, Any] = {}
    if function not in (np.where, np.concatenate):  # written in C: no signature, no surprises
        bound = inspect.signature(function).bind(*args, **options)
        first, *_ = bound.arguments
        args, options = (bound.arguments.pop(first),), dict(bound.arguments)
        defaults = {name: p.default for name, p in bound.signature.parameters.items()}
    return _call(FUNCTIONS[function], name, args, options, defaults)


def _call(ours: Any, name: str, args: Any, options: dict[str, Any], defaults: Any) -> Any:
    # NumPy's functions have options that ours have not. They may be there if they change nothing.
    known = inspect.signature(ours).parameters
    for option, value in list(options.items()):
        if option not in known:
            if value is not None and value is not np._NoValue and value is not defaults.get(option):
                raise TypeError(f"np.{name} of a Tensor takes no {option}=: leave it out")
            del options[option]
        elif value is np._NoValue:
            del options[option]
    return ours(*args, **options)


def _of_arrays(function: Any, name: str, args: Any, options: Any, looks: bool = False) -> Any:
    lost: list[Variable] = []

    def array(value: Any) -> Any:
        if isinstance(value, Variable):
            if value.requires_grad:
                lost.append(value)
            return value.array
        if isinstance(value, list | tuple):
            return type(value)([array(item) for item in value])
        return value

    args, options = array(args), {option: array(value) for option, value in options.items()}
    if lost and not looks:
        _refuse(name)
    return function(*args, **options)


def _refuse(name: str) -> NoReturn:
    use = advice.FUNCTIONS.get(name.split(".")[-1], "a function of tinygrad_edu")
    raise TypeError(
        f"np.{name} of a Tensor that requires a gradient would not be recorded: use {use}, or "
        "tensor.detach() if no gradient is needed"
    )
