"""Reverse-mode automatic differentiation, to any order: the whole idea in one file.

Take L = x·x + x at x = 3. Python computes it in two steps, and each step is recorded as it runs:

    p = multiply(x, x)        # 9
    L = add(p, x)             # 12

To find dL/dx, walk back from L. At each step ask one question: *if L changes at the rate g with the
step's result, at what rate does it change with each operand?* The answer is one short formula per
operand, the step's **vector–Jacobian product (VJP)**:

    add(a, b)                 g          for a,    g          for b
    multiply(a, b)            g * b      for a,    g * a      for b

Start with dL/dL = 1. The step `add` passes 1 to p and 1 to x. The step `multiply` turns p's 1 into
1·3 for its first operand and 1·3 for its second, and both are x. So x receives 1 + 3 + 3 = 7, which
is 2x + 1. Nothing else happens below: *record; walk back; multiply along each path by the chain
rule; add where paths meet.*

(Why the name? For arrays, g has the shape of the step's result. The step's derivative with respect
to an operand is a matrix, the Jacobian J, and the formula gives gᵀJ without ever building J.)

First comes the recording (`Variable`, `op`, `no_grad`), then the walk (`grad`, `backward`). The
formulas are in `ops.py`. `tensor.py` makes a Variable look like a NumPy array: there `x * x` calls
`multiply(x, x)`. That is the Tensor you use.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinygrad_edu import backend

Function = TypeVar("Function", bound=Callable[..., Any])


# ── Recording ────────────────────────────────────────────────────────────────────────────────────


class Operation(NamedTuple):
    """What is known of an operation: its name and its VJPs, one per operand (None: constant)."""

    name: str
    vjps: tuple[Callable[..., Any] | None, ...]


class Variable:
    """An array that remembers how it was made.

    A Variable knows its operands; nothing knows the results made from it. So there are no reference
    cycles, and a history is freed the moment its last result is dropped. Variables are told apart
    by identity, so they can be the keys of a dictionary.

    Attributes
    ----------
    data : array
        The value. You may put a new array here, but never write into the old one: the results made
        from it still need it.
    requires_grad : bool
        Whether what is made from this Variable is recorded.
    grad : Variable or None
        Where `backward` adds up the gradient, if this is a leaf.
    operation : Operation or None
        The operation that made it; None for a *leaf*, where the walk back ends.
    """

    __slots__ = ("__weakref__", "data", "grad", "requires_grad",
                 "operation", "operands", "parents", "parameters", "saved", "birth")  # fmt: skip
    # The history of y = operation(*operands, **parameters):
    operands: Sequence[Any]  # Variables that require a gradient; arrays and numbers that do not
    parameters: dict[str, Any]
    saved: Sequence[Any]  # y and the operands as plain arrays, as they were: what the VJPs take

    def __init__(self, data: Any) -> None:
        self.data = data
        self.requires_grad = False
        self.grad: Any = None
        self.operation: Operation | None = None
        self.parents: Sequence[Variable] = ()  # the Variables among the operands
        self.birth = 0  # of a step, its serial number: 1 for the first one recorded, 2, 3, …


_births = itertools.count(1)
_recording = ContextVar("recording", default=True)  # each thread and each async task has its own


def op(*vjps: Callable[..., Any] | None) -> Callable[[Function], Function]:
    """Make a function of arrays differentiable, given one VJP for each of its operands.

    The function then takes Tensors as well: *arrays in, array out; a Tensor among the operands, a
    recorded Tensor out.* Tensors are given by position.

    A VJP is called as `vjp(g, y, ...)`: with the rate g, the result y, and then everything that the
    function was called with (so repeat the function's defaults). It returns the operand's rate.
    Write it with the operations of this package, with operators and with methods of arrays, and
    the one formula serves twice: on arrays it is the fast backward pass, and on Tensors it is
    recorded in its turn, so that it can be differentiated again. It need not undo broadcasting or a
    change of dtype: the walk does so for all of them.

    Parameters
    ----------
    *vjps : callable or None
        One for each leading positional argument; None for one without a derivative. Without any,
        the function is piecewise constant, and its result is not recorded. Neither is a result of
        integers or booleans.

    Examples
    --------
    >>> import numpy as np, tinygrad_edu as tg
    >>> @tg.op(lambda g, y, x: g * 3 * x * x)  # d(x³) = 3x² dx
    ... def cube(x):
    ...     return x * x * x
    >>> cube(np.array([1.0, 2.0]))
    array([1., 8.])
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> (slope,) = tg.grad(cube(x), x, create_graph=True)
    >>> tg.grad(slope, x)  # 6x
    (Tensor(12., dtype=float64),)
    """

    def decorate(function: Function) -> Function:
        operation = Operation(function.__name__.lstrip("_"), vjps)

        @functools.wraps(function)
        def apply(*operands: Any, **parameters: Any) -> Any:
            kind, values, history, parents = None, [], [], []  # kind: the class of the result
            for operand in operands:
                value = operand
                if isinstance(operand, Variable):
                    kind, value = type(operand), operand.data
                    if operand.requires_grad:
                        parents.append(operand)
                    else:
                        operand = value  # a constant: its array is all that matters
                values.append(value)
                history.append(operand)
            # A Tensor that no formula belongs to would silently get no rate.
            others = [*history[len(vjps) :], *parameters.values()]
            if others and vjps and any(isinstance(other, Variable) for other in others):
                raise TypeError(f"{operation.name} was given a Tensor that it has no VJP for")
            try:
                value = function(*values, **parameters)
            except Exception as error:
                backend.explain(error, operation.name, values)
                raise
            if kind is None:
                return value

            result = _wrap(kind, value)
            if parents and vjps and value.dtype.kind == "f" and _recording.get():
                result.requires_grad = True
                result.operation = operation
                result.operands = history
                result.parents = parents
                result.parameters = parameters
                result.saved = [result.data, *values]
                result.birth = next(_births)
            return result

        return apply  # type: ignore[return-value]

    return decorate


def _wrap(kind: type[Variable], data: Any) -> Any:
    variable = kind.__new__(kind)
    # NumPy turns 0-d results into scalars, which are not arrays.
    Variable.__init__(variable, np.asarray(data) if isinstance(data, np.generic) else data)
    return variable


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside a `with` block, or inside the function that this decorates.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """
    token = _recording.set(False)
    try:
        yield
    finally:
        # Where another task closes a generator, the switch is the other task's: leave it alone.
        with contextlib.suppress(ValueError):
            _recording.reset(token)


# ── The walk back ────────────────────────────────────────────────────────────────────────────────


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Compute the gradients of outputs with respect to inputs; every `grad` stays as it is.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensors
        What to differentiate. Several outputs count as their sum.
    inputs : Tensor or sequence of Tensors
        With respect to what; leaves or intermediate results.
    grad_outputs : Tensor, array or sequence of these, optional
        For each output, the rates g to start from, in its shape. Not needed for single numbers.
    create_graph : bool
        Record the walk itself, so that the gradients can be differentiated again.
    allow_unused : bool
        Return None for an input that no output was made from, where otherwise it is an error.

    Returns
    -------
    tuple of Tensors
        One gradient for each input, of its shape and dtype. They may share memory: do not write
        into them.

    Raises
    ------
    TypeError, ValueError
        If the arguments are not such Tensors, or do not depend on each other.
    RuntimeError
        If an operand's value was replaced after it was used.

    Notes
    -----
    Reverse accumulation: Griewank and Walther, *Evaluating Derivatives* (2008), chapter 3.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> (g,) = tg.grad((x**3).sum(), x, create_graph=True)
    >>> g.detach()  # 3x²
    Tensor([ 3., 12.], dtype=float64)
    >>> tg.grad(g.sum(), x)  # 6x
    (Tensor([ 6., 12.], dtype=float64),)
    """
    outputs, inputs = _listed(outputs, "outputs"), _listed(inputs, "inputs")
    if not isinstance(grad_outputs, list | tuple):
        grad_outputs = [grad_outputs] * len(outputs)
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"{len(outputs)} outputs, but {len(grad_outputs)} grad_outputs for them")
    rates: dict[Variable, Any] = {}
    for output, gradient in zip(outputs, grad_outputs):
        # A constant output is an error, in `_seed`, unless None is welcome.
        if output.requires_grad or not allow_unused:
            seed = _seed(output, gradient)
            rate = seed if create_graph else seed.data
            rates[output] = rates[output] + rate if output in rates else rate
    _walk(rates, inputs, create_graph)

    unused = [place for place, variable in enumerate(inputs) if variable not in rates]
    if unused and not allow_unused:
        raise ValueError(
            f"inputs{unused} have requires_grad=False, or no output was made from them: leave them "
            "out, or say allow_unused=True to get None for them"
        )
    gradients = [rates.get(variable) for variable in inputs]
    if not create_graph:
        gradients = [g if g is None else _wrap(type(outputs[0]), g) for g in gradients]
    return tuple(gradients)


def backward(output: Variable, gradient: Any = None) -> None:
    """Add the gradient of an output to the `grad` of every leaf that it was made from.

    This is `Tensor.backward`, where the parameters and the errors are listed.
    """
    rates: dict[Variable, Any] = {output: _seed(output, gradient).data.copy()}
    _walk(rates, inputs=None, create_graph=False)
    totals: dict[int, tuple[Variable, Any]] = {}
    for leaf, total in rates.items():
        if leaf.grad is not None:
            total = leaf.grad.data + total
        elif total.base is not None or id(total) in totals:
            total = total.copy()  # a leaf owns its grad: it is no view, and no other leaf's
        totals[id(total)] = leaf, total
    for leaf, total in totals.values():
        leaf.grad = _wrap(type(leaf), total)


def _walk(rates: dict[Variable, Any], inputs: list[Variable] | None, create_graph: bool) -> None:
    """Walk back from the outputs, whose rates are given, until `rates` has those of the inputs.

    Without inputs, these are all the leaves. With `create_graph` the rates and the arguments of the
    VJPs are Variables, so that the walk is recorded in its turn; otherwise they are plain arrays.
    """
    order = _history(rates)
    kept = set(inputs or ())
    wanted = set(order) if inputs is None else kept.copy()
    if inputs is not None:  # leave out what leads to no input: parents are decided before results
        for variable in order:
            if not wanted.isdisjoint(variable.parents):
                wanted.add(variable)

    for variable in reversed(order):
        operation = variable.operation
        if operation is None or variable not in rates:
            continue
        # Its rate is complete now. Once passed on, it is only kept for an input.
        rate = rates[variable] if variable in kept else rates.pop(variable)
        arguments = (variable, *variable.operands) if create_graph else variable.saved
        # Place 0 is the result itself, which has no VJP, and is only checked.
        operands = zip((variable, *variable.operands), variable.saved, (None, *operation.vjps))
        for place, (operand, value, vjp) in enumerate(operands):
            if not isinstance(operand, Variable):
                continue
            if operand.data is not value:
                which = f"operand {place}, {backend.describe(value)}," if place else "the result"
                raise RuntimeError(f"{which} of {operation.name} has a new value: compute it anew")
            if vjp is None or operand not in wanted:
                continue
            try:
                share = vjp(rate, *arguments, **variable.parameters)
                if share.shape != value.shape:
                    share = _unbroadcast(share, value.shape)
                if value.dtype.kind != "f":
                    raise TypeError(f"no gradient goes to {value.dtype}: make it with dtype=float")
                if share.dtype != value.dtype:
                    share = share.astype(value.dtype)
            except Exception as error:
                backend.explain(error, f"VJP {place} of {operation.name}", variable.saved)
                raise
            # Paths that meet are added. Never by `+=`: two operands may hold the same array.
            rates[operand] = rates[operand] + share if operand in rates else share


def _history(outputs: Iterable[Variable]) -> list[Variable]:
    """List the outputs and all that was recorded on the way to them, oldest first.

    Why sort at all? Take b = a + a and then c = b + a. A Variable may pass its rate on only when
    all of its rate has arrived: a must wait until b is done. A result is always younger than its
    operands, so the walk goes from the youngest to the oldest.
    """
    found = dict.fromkeys(outputs)
    stack = list(found)
    while stack:  # and not a recursion: Python allows a depth of 1000, and histories go far beyond
        for parent in stack.pop().parents:
            if parent not in found:
                found[parent] = None
                stack.append(parent)
    return sorted(found, key=lambda variable: variable.birth)


def _unbroadcast(share: Any, shape: tuple[int, ...]) -> Any:
    # Broadcasting uses one number in many places. Each is a path to it, and paths are added.
    new = share.ndim - len(shape)
    stretched = [new + axis for axis, length in enumerate(shape) if length == 1]
    return share.sum(axis=(*range(new), *stretched)).reshape(shape)


def _seed(output: Variable, gradient: Any) -> Any:
    # The rates that the walk starts from: those given, or 1 for a single number.
    data = output.data
    if not output.requires_grad:
        raise ValueError(
            "nothing was recorded: start from Tensors with requires_grad=True, outside no_grad(), "
            "and not by integers or comparisons (gradients of gradients need create_graph=True; a "
            "gradient that is constant has none)"
        )
    if gradient is None and data.size != 1:
        raise ValueError(
            f"a result of shape {data.shape} is not a single number: take its .sum() or .mean(), "
            "or give the rates to start from"
        )
    gradient = np.ones_like(data) if gradient is None else gradient
    if not isinstance(gradient, Variable):  # like=: on the backend where `data` is
        gradient = _wrap(type(output), np.asarray(gradient, data.dtype, like=data))
    if gradient.data.shape != data.shape:
        raise ValueError(f"the rates have shape {gradient.data.shape}, but the result {data.shape}")
    return gradient


def _listed(variables: Any, role: str) -> list[Any]:
    listed = list(variables) if isinstance(variables, list | tuple) else [variables]
    if not all(isinstance(item, Variable) for item in listed):
        raise TypeError(f"{role} must be Tensors, not {[type(item).__name__ for item in listed]}")
    return listed
