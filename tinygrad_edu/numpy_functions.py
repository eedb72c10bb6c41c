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

from tinygrad_edu import ops
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
    np.log: ops.log,
    np.sqrt: ops.sqrt,
    np.sin: ops.sin,
    np.cos: ops.cos,
    np.tanh: ops.tanh,
    np.absolute: ops.abs,
    np.maximum: ops.maximum,
    np.minimum: ops.minimum,
    np.matmul: ops.matmul,
}
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: ops.where,
    np.reshape: ops.reshape,
    np.transpose: ops.transpose,
    np.broadcast_to: ops.broadcast_to,
    np.concatenate: ops.concatenate,
    np.stack: ops.stack,
    np.sum: ops.sum,
    np.mean: ops.mean,
    np.var: ops.var,
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

INSTEAD = {
    "std": "tg.sqrt(tg.var(x))",
    "dot": "a @ b",
    "inner": "a @ b",
    "vdot": "a @ b",
    "einsum": "a @ b, and .sum(axis=…)",
    "tensordot": "a @ b",
    "norm": "tg.sqrt((x * x).sum())",
    "clip": "tg.minimum(tg.maximum(x, low), high)",
    "average": "tg.mean",
    "log1p": "tg.log(1 + x)",
    "log2": "tg.log(x) / np.log(2)",
    "log10": "tg.log(x) / np.log(10)",
    "exp2": "2.0 ** x",
    "expm1": "tg.exp(x) - 1",
    "tan": "tg.sin(x) / tg.cos(x)",
    "reciprocal": "1 / x",
    "float_power": "a ** b",
    "hypot": "tg.sqrt(a * a + b * b)",
    "ravel": "x.reshape(-1)",
    "squeeze": "x.reshape(…)",
    "expand_dims": "x[..., None]",
    "swapaxes": "x.transpose(…)",
    "moveaxis": "x.transpose(…)",
    "flip": "x[::-1]",
    "hstack": "tg.concatenate",
    "vstack": "tg.concatenate or tg.stack",
    "take": "x[indices]",
    "diff": "x[1:] - x[:-1]",
}


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
    use = INSTEAD.get(name.split(".")[-1], "a function of tinygrad_edu")
    raise TypeError(
        f"np.{name} of a Tensor that requires a gradient would not be recorded: use {use}, or "
        "tensor.detach() if no gradient is needed"
    )
