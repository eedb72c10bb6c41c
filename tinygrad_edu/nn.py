"""Networks: parameters with names, and functions that use them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import numpy as np

from tinygrad_edu import advice, ops
from tinygrad_edu.backend import Array
from tinygrad_edu.parameters import matched
from tinygrad_edu.parameters import parameters_to_vector as parameters_to_vector  # as in PyTorch
from tinygrad_edu.parameters import vector_to_parameters as vector_to_parameters
from tinygrad_edu.tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class _HasForward(Protocol[P, R]):
    """So that an editor knows what `module(…)` takes and gives: what its `forward` does."""

    def forward(self, *inputs: P.args, **options: P.kwargs) -> R: ...


class Module:
    """A function with parameters. Assign Tensors and Modules as attributes, and write `forward`.

    A parameter is an attribute that requires a gradient. Its name is the path to it, with dots:
    `model.layers[0].weight` is "layers.0.weight".

    Examples
    --------
    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = Tensor(2.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> line = Line()
    >>> line(3.0)
    Tensor(6., dtype=float64, recorded by multiply)
    >>> [name for name, parameter in line.named_parameters()]
    ['slope']
    """

    if not TYPE_CHECKING:  # a subclass's forward takes what it likes

        def forward(self, *inputs: Any, **options: Any) -> Any:
            """Compute the result; called as `module(*inputs, **options)`."""
            raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, …)")

    def __call__(self: _HasForward[P, R], *inputs: P.args, **options: P.kwargs) -> R:
        """Compute what `forward` does."""
        return self.forward(*inputs, **options)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter once, with its name, in the order of assignment."""
        yield from _parameters(vars(self), "", {self})

    def parameters(self) -> list[Tensor]:
        """List the parameters, as an optimizer takes them."""
        return [parameter for _, parameter in self.named_parameters()]

    def state_dict(self) -> dict[str, Array]:
        """Return the parameters' values by name. They are snapshots: an update makes new arrays."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace all the parameters' values with copies of these.

        Raises
        ------
        ValueError
            If names are missing or unknown, or shapes or dtypes differ. All of them are listed, and
            no parameter has changed.
        """
        parameters = dict(self.named_parameters())
        for name, array in matched(self.state_dict(), state).items():
            parameters[name].data = array

    def __repr__(self) -> str:
        shapes = (f"{name} {value.shape}" for name, value in self.named_parameters())
        return f"{type(self).__name__}({', '.join(shapes)})"


def _parameters(
    named: Mapping[Any, Any], prefix: str, seen: set[Any]
) -> Iterator[tuple[str, Tensor]]:
    for name, value in named.items():
        path = f"{prefix}{name}"
        if isinstance(value, list | tuple):
            yield from _parameters(dict(enumerate(value)), f"{path}.", seen)
        elif isinstance(value, dict):
            yield from _parameters(value, f"{path}.", seen)
        elif isinstance(value, Tensor | Module) and value not in seen:
            seen.add(value)
            if isinstance(value, Module):
                yield from _parameters(vars(value), f"{path}.", seen)
            elif value.requires_grad:
                yield path, value


class Linear(Module):
    """An affine layer, y = xW + b, for x of shape (…, inputs).

    W and b start uniformly in ±1/√inputs, as in PyTorch: then y is about 1/√3 as large as x,
    whatever the number of inputs.

    Parameters
    ----------
    inputs, outputs : int
    seed : int, numpy.random.Generator or None
        Give one generator to all the layers of a network: equal integers make equal weights.
    dtype : dtype

    Examples
    --------
    >>> layer = Linear(3, 2, seed=0)
    >>> layer(np.ones((5, 3), dtype="float32")).shape
    (5, 2)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        seed: int | np.random.Generator | None = None,
        dtype: Any = "float32",
    ) -> None:
        if inputs < 1 or outputs < 1:
            raise ValueError(f"a Linear needs inputs and outputs, but got {inputs} and {outputs}")
        generator = np.random.default_rng(seed)
        bound = inputs**-0.5
        weight = generator.uniform(-bound, bound, (inputs, outputs))
        bias = generator.uniform(-bound, bound, outputs)
        self.weight = Tensor(weight.astype(dtype), requires_grad=True)
        self.bias = Tensor(bias.astype(dtype), requires_grad=True)

    def forward(self, x: Any) -> Tensor:
        """Compute xW + b."""
        return ops.linear(x, self.weight, self.bias)


class ReLU(Module):
    """The layer max(x, 0).

    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute max(x, 0)."""
        return ops.relu(x)


class Tanh(Module):
    """The layer tanh x.

    >>> Tanh()(np.array([0.0]))
    array([0.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute tanh x."""
        return ops.tanh(x)


class Sequential(Module):
    """Layers, or any functions, one after the other.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> model = Sequential(Linear(64, 32, generator), ReLU(), Linear(32, 10, generator))
    >>> model
    Sequential(layers.0.weight (64, 32), layers.0.bias (32,),
               layers.2.weight (32, 10), layers.2.bias (10,))
    """

    def __init__(self, *layers: Any) -> None:
        self.layers = layers

    def forward(self, x: Any) -> Any:
        """Apply each layer to the result of the one before."""
        for layer in self.layers:
            x = layer(x)
        return x


def perceptron(
    *sizes: int,
    activation: Any = None,
    seed: int | np.random.Generator | None = None,
    dtype: Any = "float32",
) -> Sequential:
    """Make a multilayer perceptron: Linear layers of these sizes, an activation between each two.

    Parameters
    ----------
    *sizes : int
        The inputs, the units of each hidden layer, the outputs.
    activation : Module or callable
        ReLU, if not given.
    seed, dtype
        As for `Linear`; an integer seeds one generator for all the layers.

    Examples
    --------
    >>> perceptron(64, 32, 10, seed=0)
    Sequential(layers.0.weight (64, 32), layers.0.bias (32,),
               layers.2.weight (32, 10), layers.2.bias (10,))
    """
    if len(sizes) < 2:
        raise ValueError(f"a perceptron needs its inputs and its outputs, but got {sizes}")
    generator = np.random.default_rng(seed)
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [Linear(inputs, outputs, generator, dtype), activation or ReLU()]
    return Sequential(*layers[:-1])  # the scores themselves are not cut off


def __getattr__(name: str) -> Any:  # only where there is none
    raise advice.missing(None, name, "tinygrad_edu.nn", advice.NETWORKS)
