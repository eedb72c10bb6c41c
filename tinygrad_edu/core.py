"""Reverse-mode automatic differentiation, to any order: the whole idea in one file.

Take L = x·x + x at x = 3. Python computes it by two operations, and each is recorded as it runs:

    p = multiply(x, x)        # 9
    L = add(p, x)             # 12

The record is the **computational graph**. Each operation that ran is a *node* of it, and knows its
operands. To find dL/dx, go through the nodes backward, from L to x: the **backward pass**. At each
node ask one question: *given the gradient g of L with respect to the node's result, what is the
gradient of L with respect to each operand?* The answer is one short formula per operand, its
**vector–Jacobian product (VJP)**:

    add(a, b)                 g          for a,    g          for b
    multiply(a, b)            g * b      for a,    g * a      for b

Start with dL/dL = 1. The node `add` passes 1 to p and 1 to x. The node `multiply` turns p's 1 into
1·3 for its first operand and 1·3 for its second, and both are x. So x receives 1 + 3 + 3 = 7, which
is 2x + 1. Nothing else happens below: *record; go back; multiply along each path by the chain rule;
add where paths meet.*

(Why the name? For arrays, g has the shape of the node's result. The result's derivative with
respect to an operand is a matrix, the Jacobian J, and the VJP gives gᵀJ without ever building J.)

First comes the graph (`Operation`, `Node`, `Variable`, `op`), then the backward pass (`grad`,
`backward`). The operations and their VJPs are in `ops.py`. What is refused, and what is made an
array on the way in, is in `refusals.py` and `entry.py`; `no_grad` is in `recording.py`.
"""

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import numpy as np
from numpy import ndarray

from tinygrad_edu import backend, entry, refusals
from tinygrad_edu.entry import ARRAYS, FLOATING, PLAIN, REAL
from tinygrad_edu.recording import paused, recorded, recording

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

P = ParamSpec("P")  # what a function takes
VJP = Callable[..., Any] | None  # from (g, y, *operands, **options) to an operand's gradient


# ── The computational graph ──────────────────────────────────────────────────────────────────────


class Operation(NamedTuple):
    """A differentiable function: its name, and a VJP for each operand (None: constant)."""

    name: str
    vjps: tuple[VJP, ...]
    linear: bool = False  # then the VJPs need nothing but g


class Node:
    """A node of the computational graph: y = operation(*operands, **options), as it ran.

    A node knows its operands; nothing knows the nodes made from it. So there are no reference
    cycles, and a graph is freed the moment its last result is dropped.
    """

    __slots__ = ("operation", "operands", "parents", "options", "values", "number")
    operation: Operation
    operands: Sequence[Any]  # Variables that require a gradient; arrays and numbers that do not
    parents: "Sequence[Variable]"  # those Variables alone
    options: dict[str, Any]
    values: Sequence[Any]  # y and the operands as plain arrays, as they were: what the VJPs take
    number: int  # 1, 2, 3, … in the order of running, so a result comes after its operands


class Variable:
    """An array and the node it came from: what the backward pass needs of a Tensor.

    A Tensor adds operators, methods, and checks of what is assigned to it. Variables are told apart
    by identity, so they can be the keys of a dictionary.

    Attributes
    ----------
    array : array
        The value. It may be replaced by a new array, but never written into: the nodes made from
        it still need it.
    requires_grad : bool
        Whether what is made from this Variable is recorded.
    gradient : Variable or None
        Where `backward` adds up the gradient, if this is a leaf.
    node : Node or None
        The node that it is the result of; None for a *leaf*, where the backward pass ends.
    """

    __slots__ = ("__weakref__", "array", "requires_grad", "gradient", "node")

    def __init__(self, array: Any) -> None:
        self.array = array
        self.requires_grad = False
        self.gradient: Any = None
        self.node: Node | None = None


_numbers = itertools.count(1)


def op(*vjps: VJP, linear: bool = False) -> Callable[[Callable[P, Any]], "Callable[P, Tensor]"]:
    """Make a function of arrays differentiable, given one VJP for each of its operands.

    The function then takes Tensors as well: *arrays in, array out; a Tensor among the operands, a
    recorded Tensor out.* (Its type speaks of Tensors, for editors; of bare arrays it makes arrays.)
    Tensors are given by position; lists become arrays.

    A VJP is called as `vjp(g, y, ...)`: with the gradient g with respect to the result y, then y,
    and then everything that the function was called with (so repeat the function's defaults). It
    returns the gradient with respect to its operand. Write it with the operations of this package,
    with operators and with methods of arrays, and one formula serves twice: on arrays it is the
    fast backward pass, and on Tensors it is recorded in its turn, so that it can be differentiated
    again. It need not undo broadcasting or a change of dtype: the backward pass does so for all.

    Parameters
    ----------
    *vjps : callable or None
        One for each leading positional argument; None for one without a derivative. Without any,
        the function is piecewise constant, and its result is not recorded. Neither is a result of
        integers or booleans.
    linear : bool
        The function is linear in all its operands together, so the VJPs are called as `vjp(g)`.

    Raises
    ------
    TypeError
        If a VJP is not callable. The function itself raises it when an operand, or what it returns,
        is not made of real numbers.

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
    # Without VJPs, every positional argument is an operand, and none has a derivative.
    of_operands = vjps or itertools.repeat(None)

    def decorate(function: Callable[P, Any]) -> "Callable[P, Tensor]":
        refusals.what_cannot_be_decorated(function, vjps)
        name = getattr(function, "__name__", type(function).__name__).strip("_")
        operation = Operation(name, vjps, linear)

        @functools.wraps(function)
        def apply(*arguments: Any, **options: Any) -> Any:
            # Take the operands apart: arrays to compute with, Variables for the graph.
            kind, values, operands, parents = None, [], [], []  # kind: Tensor, or None for arrays
            for operand, vjp in zip(arguments, of_operands):
                value = operand
                if isinstance(operand, Variable):
                    kind, value = type(operand), operand.array
                    if operand.requires_grad and vjp is not None:
                        parents.append(operand)
                    else:
                        operand = value  # a constant: only its array matters
                elif type(operand) is ndarray:
                    if operand.dtype.char not in REAL:
                        entry.operand(operand, name)  # which refuses it
                elif type(operand) not in PLAIN:
                    value = operand = as_operand(operand, name)
                values.append(value)
                operands.append(operand)
            if options or len(arguments) > len(values):
                others = [_constant(other, name) for other in arguments[len(values) :]]
                options = {option: _constant(other, name) for option, other in options.items()}
                values += others
                operands += others

            # Compute.
            try:
                value = function(*values, **options)
                if kind is None:  # arrays in, array out
                    return value
                if type(value) is not ndarray or value.dtype.char not in REAL:
                    value = entry.result(value, f"{name} must return")
            except Exception as error:
                backend.explain(error, name, values)

            # Record.
            result = kind.__new__(kind)
            result.array = value
            result.gradient = None
            result.requires_grad = False
            result.node = None
            # `paused` is nearly always empty, and looking there is faster than a call.
            if parents and value.dtype.char in FLOATING and (not paused.get() or recording()):
                result.requires_grad = True
                result.node = node = Node()
                node.operation = operation
                node.operands = operands
                node.parents = parents
                node.options = options
                node.values = [value, *values]
                node.number = next(_numbers)
            return result

        return apply

    return decorate


def unwrapped(value: Any) -> Any:
    """Take the arrays out of Variables, also out of those in lists.

    >>> unwrapped([Variable(1.0), [Variable(2.0), 3.0]])
    [1.0, [2.0, 3.0]]
    """
    nested = (Variable, list, tuple)
    if isinstance(value, list | tuple) and any(isinstance(item, nested) for item in value):
        refusals.lost_in_a_list(value)
        return [unwrapped(item) for item in value]
    return value.array if isinstance(value, Variable) else value


def as_operand(value: Any, name: str) -> Any:
    """Make an operand of this operation an array or a number, unless it is a Variable.

    >>> as_operand([1, 2], "multiply")
    array([1, 2])
    """
    return value if isinstance(value, Variable) else entry.operand(unwrapped(value), name)


def _constant(value: Any, name: str) -> Any:
    """Take the array out of an argument that has no VJP, such as an option."""
    refusals.lost_without_vjp(value, name)
    return value.array if isinstance(value, Variable) else value


def wrap(kind: type[Variable], array: Any) -> Any:
    """Make a Variable of this class of an array, without the checks of its constructor."""
    variable = kind.__new__(kind)
    Variable.__init__(variable, np.asarray(array) if isinstance(array, np.generic) else array)
    return variable


# ── The backward pass ────────────────────────────────────────────────────────────────────────────


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
        For each output, the gradient g to start from, in its shape. Not needed for single numbers.
    create_graph : bool
        Record the backward pass itself, also inside `no_grad`, so that the gradients can be
        differentiated again.
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
    outputs = refusals.others_than(Variable, outputs, "outputs")
    inputs = refusals.others_than(Variable, inputs, "inputs")
    grad_outputs = refusals.another_length(grad_outputs, len(outputs))
    with recorded() if create_graph else contextlib.nullcontext():
        gradients: dict[Variable, Any] = {}
        for output, gradient in zip(outputs, grad_outputs):
            # A constant output is an error, unless None is welcome.
            if output.requires_grad or not allow_unused:
                start = _initial_gradient(output, gradient)
                g = start if create_graph else start.array
                gradients[output] = gradients[output] + g if output in gradients else g
        _backpropagate(gradients, inputs, create_graph)
    unused = [index for index, variable in enumerate(inputs) if variable not in gradients]
    if unused and not allow_unused:
        refusals.unused_inputs(unused)
    kind, results = type(outputs[0]), map(gradients.get, inputs)
    return tuple([g if g is None or isinstance(g, Variable) else wrap(kind, g) for g in results])


_adding = threading.RLock()  # threads may share a leaf


def backward(output: Variable, gradient: Any = None) -> None:
    """Add the gradient of an output to the `grad` of every leaf that it was made from.

    This is `Tensor.backward`, where the parameters and the errors are listed.
    """
    gradients: dict[Variable, Any] = {output: _initial_gradient(output, gradient).array.copy()}
    _backpropagate(gradients, inputs=None, create_graph=False)
    totals: dict[int, tuple[Variable, Any]] = {}  # of each leaf, by the identity of the array
    with _adding:
        for leaf, total in gradients.items():
            if leaf.gradient is not None:
                total = leaf.gradient.array + total
            elif total.base is not None or id(total) in totals:
                total = total.copy()  # a leaf owns its grad: it is no view, and no other leaf's
            totals[id(total)] = leaf, total
        for leaf, total in totals.values():
            leaf.gradient = wrap(type(leaf), total)


def _backpropagate(gradients: dict[Variable, Any], inputs: Any, create_graph: bool) -> None:
    """Go back from the outputs, whose gradients are given, until the inputs have theirs, too.

    Without inputs, these are all the leaves. With `create_graph` the gradients and the arguments of
    the VJPs are Variables, so that the pass is recorded in its turn; otherwise, plain arrays.
    """
    order = _topological_order(gradients)
    wanted = set(order) if inputs is None else _leading_to(inputs, order)
    kept = set(inputs or ())
    for variable in reversed(order):
        node = variable.node
        if node is None or variable not in gradients:
            continue
        # Its gradient is complete now. Once passed on, it is only kept for an input.
        g = gradients[variable] if variable in kept else gradients.pop(variable)
        if variable.array is not node.values[0]:
            refusals.changed_value(node, 0)
        arguments = (variable, *node.operands) if create_graph else node.values
        if node.operation.linear:
            arguments = ()
        for index, operand in enumerate(node.operands, 1):
            if not isinstance(operand, Variable):
                continue
            if operand.array is not node.values[index]:
                refusals.changed_value(node, index)
            if operand in wanted:
                contribution = _contribution(node, index, g, arguments)
                # Paths that meet are added. Never by `+=`: two operands may hold the same array.
                if operand in gradients:
                    contribution = gradients[operand] + contribution
                gradients[operand] = contribution


def _topological_order(outputs: Iterable[Variable]) -> list[Variable]:
    """List the outputs and all that they were made from: each operand before its result.

    Why sort at all? Take b = a + a and then c = b + a. A Variable may pass its gradient on only
    when all of it has arrived: a must wait until b is done. A result has a larger number than its
    operands, so the backward pass goes from the largest number to the smallest.
    """
    visited = dict.fromkeys(outputs)
    stack = list(visited)
    while stack:  # and not a recursion: Python allows a depth of 1000, and graphs go far beyond
        node = stack.pop().node
        for parent in node.parents if node is not None else ():
            if parent not in visited:
                visited[parent] = None
                stack.append(parent)
    return sorted(visited, key=lambda variable: variable.node.number if variable.node else 0)


def _leading_to(inputs: Iterable[Variable], order: Iterable[Variable]) -> set[Variable]:
    """Find the Variables that were made from an input: only their gradients need computing."""
    wanted = set(inputs)
    for variable in order:  # parents are decided before their results
        if variable.node is not None and not wanted.isdisjoint(variable.node.parents):
            wanted.add(variable)
    return wanted


def _contribution(node: Node, index: int, g: Any, arguments: Sequence[Any]) -> Any:
    """Apply the VJP of an operand; the result has that operand's shape and dtype."""
    value, vjp = node.values[index], node.operation.vjps[index - 1]
    try:
        contribution = vjp(g, *arguments, **node.options)  # type: ignore[misc]
        if type(contribution) not in ARRAYS and not isinstance(contribution, Variable):
            contribution = entry.result(contribution, "a VJP must return")
        if contribution.shape != value.shape:
            contribution = _unbroadcast(contribution, value.shape)
        if contribution.dtype is not value.dtype:
            contribution = _cast(contribution, value.dtype)
    except Exception as error:
        backend.explain(error, f"VJP {index} of {node.operation.name}", node.values)
    return contribution


def _unbroadcast(contribution: Any, shape: tuple[int, ...]) -> Any:
    # Broadcasting uses one number in many places. Each is a path to it, and paths are added.
    given = contribution.shape
    if contribution.dtype.char == "e":
        contribution = contribution.astype("float32")  # sums in half precision stop at 2048
    if len(given) > len(shape):
        contribution = contribution.sum(axis=tuple(range(len(given) - len(shape))))
    if contribution.shape != shape and len(given) >= len(shape):
        stretched = [axis for axis, length in enumerate(shape) if length == 1]
        contribution = contribution.sum(axis=tuple(stretched), keepdims=True)
    if contribution.shape != shape:
        refusals.unfit_contribution(given, shape)
    return contribution


def _cast(contribution: Any, dtype: Any) -> Any:
    # float32 with float64 gives float64, but the gradient of a float32 operand is float32.
    if dtype.kind != "f":
        refusals.integers(dtype)
    if contribution.dtype.char not in REAL:
        entry.real_array(contribution, "a VJP must return")
    return contribution if contribution.dtype == dtype else contribution.astype(dtype)


def _initial_gradient(output: Variable, gradient: Any) -> Any:
    """Make the gradient to start from a Variable: the one given, or 1 for a single number."""
    data = output.array
    refusals.no_start(output, gradient)
    gradient = np.ones_like(data) if gradient is None else gradient
    if not isinstance(gradient, Variable):
        gradient = wrap(type(output), entry.like(data, unwrapped(gradient), "a gradient holds"))
    refusals.another_shape(gradient.array.shape, data.shape)
    return gradient if gradient.array.dtype == data.dtype else gradient.astype(data.dtype)
