"""Check derivatives against finite differences, to any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.core import grad
from tinygrad_edu.ops import concatenate
from tinygrad_edu.tensor import Tensor

STEP = 1e-3  # the formula's error is of order STEP⁴, rounding's of order 1e-16/STEP
TOLERANCE = 1e-7  # relative to the largest slope along the same input, or to 1
ROUNDING = 1e-10  # and this times the value of f: what rounding can do to a difference


def check_grads(f: Callable[..., Any], inputs: Any, order: int = 2) -> None:
    """Check that the derivatives of f, up to this order, equal finite differences of f.

    Each derivative is checked as a function of the same inputs: the first against differences of
    f, the second against differences of the first, and so on.

    Parameters
    ----------
    f : callable
        Takes Tensors and returns a Tensor. It should be smooth near the inputs, and neither it nor
        they should be much larger or smaller than 1.
    inputs : Tensor, array, number, or list of these
        Where to check. They are converted to float64, as differences in float32 say little.
    order : int
        The highest derivative to check.

    Raises
    ------
    AssertionError
        If a derivative is wrong; it names the input, the element, and both values.

    Notes
    -----
    f′(x) ≈ (8(f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))) / 12h, with an error of order h⁴
    (Abramowitz and Stegun 25.3.6).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> check_grads(lambda a, b: tg.sin(a) * b, [0.5, 2.0], order=3)
    >>> wrong = tg.op(lambda g, y, x: g)(np.sin)
    >>> check_grads(wrong, 0.5)
    Traceback (most recent call last):
        ...
    AssertionError: derivative 1 of sin with respect to inputs[0][()]: the VJPs give 1.636961...
    """
    points = [
        backend.move(Tensor(x).data, "numpy").astype(float)
        for x in (inputs if isinstance(inputs, list | tuple) else [inputs])
    ]
    name = getattr(f, "__name__", "the function")
    generator = np.random.default_rng(0)
    for derivative in range(1, order + 1):
        number = _weighted_sum(f, points, generator)
        slopes = _gradient(number)
        values = slopes(*_leaves(points)).numpy()
        expected = np.array(_differences(number, points))
        rounding = ROUNDING * abs(number(*_leaves(points)).item())
        start = 0
        for place, x in enumerate(points):
            part = slice(start, start := start + x.size)
            tolerance = TOLERANCE * np.max(np.abs(expected[part]), initial=1) + rounding
            for index, slope, difference in zip(np.ndindex(x.shape), values[part], expected[part]):
                if not abs(slope - difference) <= tolerance:  # also where one is NaN
                    raise AssertionError(
                        f"derivative {derivative} of {name} with respect to inputs[{place}]"
                        f"[{index}]: the VJPs give {slope}, finite differences {difference}"
                    )
        f = slopes


def _leaves(points: list[Any]) -> list[Tensor]:
    return [Tensor(x, requires_grad=True) for x in points]


def _weighted_sum(
    f: Callable[..., Any], points: list[Any], generator: np.random.Generator
) -> Callable[..., Any]:
    # One number for all elements of f. The weights differ, so that errors do not cancel.
    weights = Tensor(generator.uniform(1, 2, f(*_leaves(points)).shape))
    return lambda *inputs: (f(*inputs) * weights).sum()


def _gradient(number: Callable[..., Any]) -> Callable[..., Any]:
    def slopes(*inputs: Any) -> Any:
        gradients = grad(number(*inputs), inputs, create_graph=True, allow_unused=True)
        return concatenate(
            [
                (x * 0 if gradient is None else gradient).reshape(-1)
                for x, gradient in zip(inputs, gradients, strict=True)
            ]
        )

    return slopes


def _differences(number: Callable[..., Any], points: list[Any]) -> list[float]:
    def at(i: int, index: tuple[int, ...], step: float) -> float:
        moved = [x.copy() for x in points]
        moved[i][index] += step
        value: float = number(*_leaves(moved)).item()
        return value

    h = STEP
    return [
        (8 * (at(i, index, h) - at(i, index, -h)) - (at(i, index, 2 * h) - at(i, index, -2 * h)))
        / (12 * h)
        for i, x in enumerate(points)
        for index in np.ndindex(x.shape)
    ]
