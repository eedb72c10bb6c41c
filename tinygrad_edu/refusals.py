"""What the backward pass refuses, with what to do instead. None of it computes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tinygrad_edu import backend


def refuse_changed_value(node: Any, index: int) -> NoReturn:
    """Refuse a node with a value that was replaced: index 0 is the result, 1 the first operand."""
    which = f"operand {index}, {backend.describe(node.values[index])}," if index else "the result"
    raise RuntimeError(f"{which} of {node.operation.name} has a new value: compute it anew")


def check_is_constant(value: Any, name: str) -> None:
    """Refuse a Tensor that requires a gradient where the operation has no VJP."""
    if getattr(value, "requires_grad", False):
        raise TypeError(f"{name} was given a Tensor that it has no VJP for")


def check_no_gradient_in(values: Sequence[Any]) -> None:
    """Refuse Tensors that would silently get no gradient, as they are in a list."""
    if any(getattr(value, "requires_grad", False) for value in values):
        raise TypeError(
            "a Tensor in a list requires a gradient, and would not be recorded: join Tensors with "
            "tg.stack, or say tensor.detach()"
        )


def check_variables(kind: type, values: Any, role: str) -> list[Any]:
    """List values of this class, or a single one, and refuse all others.

    >>> check_variables(int, 3, "inputs")
    [3]
    """
    listed = list(values) if isinstance(values, list | tuple) else [values]
    if not all(isinstance(value, kind) for value in listed):
        raise TypeError(f"{role} must be Tensors, not {[type(value).__name__ for value in listed]}")
    return listed


def match_length(gradients: Any, outputs: int) -> Sequence[Any]:
    """List the gradients to start from, one for each output, and refuse more or fewer.

    >>> match_length(None, outputs=2)
    [None, None]
    """
    if not isinstance(gradients, list | tuple):
        return [gradients] * outputs
    if len(gradients) != outputs:
        raise ValueError(f"{outputs} outputs, but {len(gradients)} grad_outputs for them")
    return gradients


def check_decorable(function: Any, vjps: Sequence[Any]) -> None:
    """Refuse VJPs or a function that cannot be called, as those of `@op` without parentheses."""
    wrong = [value for value in (function, *vjps) if value is not None and not callable(value)]
    if wrong or function is None:
        raise TypeError(
            "@op takes a VJP for each operand, and then decorates a function: write "
            f"@op(lambda g, y, x: …), or @op() if there is no derivative, not {wrong[:1]}"
        )


def refuse_shape(given: tuple[int, ...], shape: tuple[int, ...]) -> NoReturn:
    """Refuse what a VJP returned, if no broadcasting explains its shape."""
    raise ValueError(f"it returned the shape {given} for an operand of shape {shape}")


def refuse_integers(dtype: Any) -> NoReturn:
    """Refuse a gradient with respect to integers."""
    raise TypeError(f"no gradient goes to {dtype}: make it with dtype=float")


def check_can_start(output: Any, gradient: Any) -> None:
    """Refuse an output that no backward pass can start from."""
    if not output.requires_grad:
        raise ValueError(
            "nothing was recorded: start from Tensors with requires_grad=True, outside no_grad(), "
            "and not by integers or comparisons (gradients of gradients need create_graph=True; a "
            "gradient that is constant has none)"
        )
    if gradient is None and output.array.size != 1:
        raise ValueError(
            f"a result of shape {output.array.shape} is not a single number: take its .sum() or "
            ".mean(), or give the gradient to start from"
        )


def check_shape(given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Refuse a gradient to start from that does not fit the output."""
    if given != shape:
        raise ValueError(f"the gradient has shape {given}, but the result has shape {shape}")


def check_used(inputs: Sequence[Any], gradients: Mapping[Any, Any]) -> None:
    """Refuse inputs that no output was made from: they have no gradient."""
    unused = [index for index, variable in enumerate(inputs) if variable not in gradients]
    if unused:
        raise ValueError(
            f"inputs{unused} have requires_grad=False, or no output was made from them: leave them "
            "out, or say allow_unused=True to get None for them"
        )
