"""Gradient descent, and momentum (动量): how the parameters θ move, given the gradient g.

The letters are those of Hung-yi Lee's lecture: η for the learning rate, λ for how much of the last
step is kept.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu import backend, entry
from tinygrad_edu.backend import Array
from tinygrad_edu.parameters import leaves, matched
from tinygrad_edu.state import attributes, flat, refilled
from tinygrad_edu.tensor import Tensor


def _array(value: Array) -> Array:
    return entry.result(value, "a step makes")  # NumPy makes a number of a 0-d array


@backend.fused
def _step(theta: Array, g: Array, minus_lr: float) -> Array:
    # θ ← θ − ηg
    moved = minus_lr * g
    moved += theta  # in place: nobody else has this array
    return moved


def _inertia(m: Array, g: Array, lr: float, momentum: float) -> Array:
    # λm − ηg
    step = momentum * m
    step -= lr * g
    return step


@backend.fused
def _step_with_momentum(
    theta: Array, m: Array, g: Array, lr: float, momentum: float
) -> tuple[Array, Array]:
    # m ← λm − ηg,  θ ← θ + m
    m = _inertia(m, g, lr, momentum)
    return theta + m, m


@backend.fused
def _step_with_nesterov(
    theta: Array, m: Array, g: Array, lr: float, momentum: float
) -> tuple[Array, Array]:
    # m ← λm − ηg,  θ ← θ + λm − ηg
    m = _inertia(m, g, lr, momentum)
    return theta + _inertia(m, g, lr, momentum), m


def _is_number(value: Any, below: float) -> bool:
    try:
        return bool(0 <= value < below)
    except (TypeError, ValueError):  # text, None, an array
        return False


class SGD:
    """Stochastic gradient descent: a step against the gradient of the batch, θ ← θ − ηg.

    Parameters
    ----------
    params : iterable of Tensors
        The leaves to move, as `module.parameters()` gives them.
    lr : float
        The learning rate η. It can be changed between steps: `optimizer.lr = 0.01`.

    Raises
    ------
    ValueError
        If there are no parameters, one occurs twice, one is no leaf that requires a gradient, or η
        is not a number from 0 on.
    TypeError
        If one is not a Tensor.

    Notes
    -----
    Robbins and Monro, *A stochastic approximation method* (1951).

    Examples
    --------
    >>> w = Tensor(4.0, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.25)
    >>> (w * w).backward()
    >>> optimizer.step()  # 4 − 0.25 · 8
    >>> w
    Tensor(2., dtype=float64, requires_grad=True)
    """

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        self.params = leaves(params)
        self.lr = lr

    @property
    def lr(self) -> float:
        """The learning rate η."""
        return vars(self)["lr"]  # under the name that it has in a state

    @lr.setter
    def lr(self, lr: float) -> None:
        if not _is_number(lr, math.inf):
            raise ValueError(f"lr, the learning rate, must be a number from 0 on, but is {lr!r}")
        vars(self)["lr"] = float(lr)

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next `backward` does not add to them."""
        for param in self.params:
            param.gradient = None

    def step(self) -> None:
        """Move every parameter that has a gradient.

        Parameters get *new* arrays; the old ones still belong to the graphs that were recorded with
        them.

        Raises
        ------
        ValueError
            If a gradient is not of its parameter's shape, dtype and backend. Nothing has moved.
        """
        moved = []
        for _, param, g in self._gradients():
            moved.append((param, _array(_step(param.array, g, -self.lr))))
        for param, data in moved:
            param.array = data

    def _gradients(self) -> Iterator[tuple[int, Tensor, Array]]:
        # Each parameter that has a gradient, with its place and the gradient, which must fit.
        for place, param in enumerate(self.params):
            if param.gradient is not None:
                data, g = param.array, param.gradient.array
                if (data.shape, data.dtype, type(data)) != (g.shape, g.dtype, type(g)):
                    here, there = backend.describe(data), backend.describe(g)
                    raise ValueError(f"params[{place}] is {here}, but its gradient is {there}")
                yield place, param, g

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on from here, as `tinygrad_edu.save` takes it.

        These are all the optimizer's attributes but `params`, a subclass's own as well: numbers,
        arrays, and lists, tuples and mappings of them.

        Raises
        ------
        TypeError
            If an attribute has anything else. Then write `state_dict` and `load_state_dict` anew.
        ValueError
            If two have the same name.
        """
        state: dict[str, Any] = {}
        for attribute, value in self._attributes().items():
            for name, number in flat(value, attribute):
                if name in state:
                    raise ValueError(f"two numbers of the state have the name {name!r}")
                state[name] = number
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`.

        Raises
        ------
        ValueError
            If it is not of such an optimizer over such parameters; nothing has changed then.
        """
        new = matched(self.state_dict(), state)
        filled = {name: refilled(value, name, new) for name, value in self._attributes().items()}
        for optimizer in (copy.copy(self), self):  # what is refused, the copy refuses first
            for name, value in filled.items():
                setattr(optimizer, name, value)

    def _attributes(self) -> dict[str, Any]:
        return {name: value for name, value in attributes(self).items() if name != "params"}


class Momentum(SGD):
    """Gradient descent with inertia: each step keeps a part λ of the last, m ← λm − ηg, θ ← θ + m.

    So m is a weighted sum of all gradients so far, −η(gₜ + λgₜ₋₁ + λ²gₜ₋₂ + …); on a constant slope
    it grows to −ηg/(1 − λ).

    Parameters
    ----------
    params, lr
        As for `SGD`.
    momentum : float
        λ, from 0 to below 1.
    nesterov : bool
        Take the step from where the momentum leads: m ← λm − ηg, θ ← θ + λm − ηg.

    Notes
    -----
    Polyak (1964); Sutskever et al., *On the importance of initialization and momentum in deep
    learning* (2013), and Lee's lecture, in this form. PyTorch has v ← λv + g, θ ← θ − ηv. The two
    move alike as long as η stays, with m = −ηv. When η drops, PyTorch's step shrinks at once, and
    this one over about 1/(1 − λ) steps. The same holds of `nesterov`.

    Examples
    --------
    >>> w = Tensor(1.0, requires_grad=True)
    >>> optimizer = Momentum([w], lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (3 * w).backward()  # the slope is 3 everywhere
    ...     optimizer.step()
    >>> round(float(optimizer.m[0]), 2)  # −0.3, and then 0.5·(−0.3) − 0.3
    -0.45
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.9, nesterov: bool = False
    ) -> None:
        super().__init__(params, lr)
        self.momentum = momentum
        self.nesterov = bool(nesterov)
        self.m = [np.zeros_like(param.data) for param in self.params]  # m⁰ = 0

    @property
    def momentum(self) -> float:
        """The part λ of the last step that is kept."""
        return vars(self)["momentum"]

    @momentum.setter
    def momentum(self, momentum: float) -> None:
        if not _is_number(momentum, 1):
            raise ValueError(f"momentum must be from 0 to below 1, but is {momentum!r}")
        vars(self)["momentum"] = float(momentum)

    def step(self) -> None:
        """Move every parameter that has a gradient; the m of the others stays, too."""
        moved = []
        for place, param, g in self._gradients():
            m = self.m[place]
            if backend.name_of(m) != backend.name_of(g):
                raise ValueError(
                    f"params[{place}] went to {backend.name_of(g)} after this optimizer was made: "
                    "make it anew there"
                )
            step = _step_with_nesterov if self.nesterov else _step_with_momentum
            data, m = step(param.array, m, g, self.lr, self.momentum)
            moved.append((place, param, _array(m), _array(data)))
        for place, param, m, data in moved:
            self.m[place] = m
            param.array = data
