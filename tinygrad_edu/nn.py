"""Networks: parameters with names, and functions that use them."""

from __future__ import annotations

import gc
import itertools
import types
from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import numpy as np

from tinygrad_edu import advice, ops
from tinygrad_edu.backend import Array
from tinygrad_edu.parameters import matched
from tinygrad_edu.parameters import parameters_to_vector as parameters_to_vector  # as in PyTorch
from tinygrad_edu.parameters import vector_to_parameters as vector_to_parameters
from tinygrad_edu.state import Number, attributes, children
from tinygrad_edu.tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class _HasForward(Protocol[P, R]):
    """So that an editor knows what `module(…)` takes and gives: what its `forward` does."""

    def forward(self, *inputs: P.args, **options: P.kwargs) -> R: ...


class Module:
    """A function with parameters. Assign Tensors and Modules as attributes, and write `forward`.

    A parameter is a leaf Tensor, one that no operation has made, in an attribute, or in lists,
    tuples, deques and mappings of them. Its name is the path to it, with dots:
    `model.layers[0].weight` is "layers.0.weight". Whether it requires a gradient decides only
    whether an optimizer moves it: states have frozen layers and constants, too. What `forward`
    itself assigns, say an activation to look at, is a parameter only if it requires a gradient.

    Examples
    --------
    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = Tensor(2.0, requires_grad=True)
    ...         self.offset = Tensor(1.0)
    ...
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(3.0)
    Tensor(7., dtype=float64, recorded by add)
    >>> [name for name, parameter in line.named_parameters()]
    ['slope', 'offset']
    >>> line.parameters()
    [Tensor(2., dtype=float64, requires_grad=True)]
    """

    if not TYPE_CHECKING:  # a subclass's forward takes what it likes

        def forward(self, *inputs: Any, **options: Any) -> Any:
            """Compute the result; called as `module(*inputs, **options)`."""
            raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, …)")

    def __call__(self: _HasForward[P, R], *inputs: P.args, **options: P.kwargs) -> R:
        """Compute what `forward` does."""
        held = self.__dict__
        count = len(held)
        try:
            return self.forward(*inputs, **options)
        finally:
            if len(held) > count:  # a dictionary keeps the order of assignment
                held[_ASSIGNED] = {*held.get(_ASSIGNED, ()), *list(held)[count:]}

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter once, with its name, in the order of assignment.

        Raises
        ------
        ValueError
            If two have the same name, or some are where they have none: in a set, say, or in a
            method of a Module.
        """
        named: dict[str, Tensor] = {}
        seen: dict[int, Any] = {id(self): self}
        others: dict[str, Any] = {}  # what is neither a Tensor nor a Module nor a container
        for name, parameter in _parameters(_held(self), "", seen, others):
            if name in named:
                raise ValueError(f"two parameters have the name {name!r}: rename a key")
            named[name] = parameter
        for name, other in others.items():
            if _hides(other, seen):
                raise ValueError(
                    f"{name} is a {type(other).__name__} with parameters inside, where they get no "
                    "name: assign the Modules or Tensors themselves, or a list of them"
                )
        yield from named.items()

    def parameters(self) -> list[Tensor]:
        """List the parameters that require a gradient, as an optimizer takes them."""
        return [parameter for _, parameter in self.named_parameters() if parameter.requires_grad]

    def state_dict(self) -> dict[str, Array]:
        """Return the parameters' values by name. They are snapshots: an update makes new arrays."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace all the parameters' values with copies of these.

        To replace some, or where a file does not have the constants (version 0.1.0 left them out),
        say so: `module.load_state_dict(module.state_dict() | state)`.

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
    named: Mapping[Any, Any], prefix: str, seen: dict[int, Any], others: dict[str, Any]
) -> Iterator[tuple[str, Tensor]]:
    for name, value in named.items():
        path, inside = f"{prefix}{name}", children(value)
        if id(value) in seen:  # by identity: == compares elements
            continue
        if isinstance(value, Module):
            inside = _held(value)
        if inside is not None or isinstance(value, Tensor):
            seen[id(value)] = value
        if inside is not None:
            yield from _parameters(inside, f"{path}.", seen, others)
        elif not isinstance(value, Tensor):
            if not isinstance(value, Number | str | np.ndarray | None):
                others[path] = value
        elif value.node is None:
            yield path, value


_ASSIGNED = "_assigned_by_forward"  # the attributes that first appeared during a call


def _held(module: Module) -> dict[str, Any]:
    """Return what a module holds, in its class as well, but not the constants `forward` keeps."""
    shared = {
        name: value
        for kind in reversed(type(module).__mro__)
        if kind not in Module.__mro__
        for name, value in vars(kind).items()
        if isinstance(value, Tensor | Module | list | dict) and not name.startswith("__")
    }
    held = shared | attributes(module)
    for name in held.pop(_ASSIGNED, ()):
        inside = _parameters({name: held.get(name)}, "", {}, {})
        if not any(parameter.requires_grad for _, parameter in inside):
            held.pop(name, None)
    return held


def _hides(value: Any, seen: dict[int, Any], depth: int = 4) -> bool:
    """Tell whether an object of another kind has parameters in it that were not seen elsewhere."""
    if id(value) in seen or not depth:
        return False
    if isinstance(value, Tensor):
        return value.requires_grad and value.node is None
    if isinstance(value, Module):
        return any(id(parameter) not in seen for _, parameter in value.named_parameters())
    if isinstance(value, type | types.ModuleType):
        return False
    parts: list[Any] = list(value) if isinstance(value, Set) else []
    if isinstance(value, types.FunctionType):  # with the variables of the function around it
        parts += [*gc.get_referents(*(value.__closure__ or ())), *vars(value).values()]
    else:  # methods and partials have their function and its arguments as attributes
        parts += [*(children(value) or {}).values(), *attributes(value).values()]
    return any(_hides(part, seen, depth - 1) for part in parts)


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
    >>> layer(Tensor(np.ones((5, 3), dtype="float32"))).shape
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
