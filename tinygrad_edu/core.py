"""Reverse-mode automatic differentiation, to any order: the whole idea in one file.

Take L = x·x + x at x = 3. Python computes it in two operations and records each one as it runs:

    p = multiply(x, x)        # 9
    L = add(p, x)             # 12

The record is the **computational graph**. Each operation that ran is a *node*, which stores its
operands. To find dL/dx, visit the nodes in reverse, from the last one to the first: the **backward
pass**. At each node ask one question: *given the gradient g of L with respect to the node's result,
what does this node contribute to the gradient of L with respect to each operand?* The answer is one
short formula per operand, its **vector–Jacobian product (VJP)**:

    add(a, b)                 g          for a,    g          for b
    multiply(a, b)            g * b      for a,    g * a      for b

Start with dL/dL = 1. The node `add` passes 1 to p and 1 to x. The node `multiply` turns p's 1 into
1·3 for its first operand and 1·3 for its second, and both are x. So x receives 1 + 3 + 3 = 7, which
is 2x + 1. The rest of this file does just this, with checks: *record; go back; multiply along each
path by the chain rule; add where paths meet.*

And to any order? A gradient is itself computed by operations. If the VJPs receive Tensors (arrays
whose operations are recorded) instead of plain arrays, the gradient can be differentiated again.

(Why "vector–Jacobian product"? Write the arrays as vectors. Then the derivative of the result with
respect to an operand is a matrix, the Jacobian J, and the VJP gives gᵀJ without ever building J.)

First comes the graph (`Operation`, `Node`, `Variable`, `op`), then the backward pass (`grad`,
`backward`). The operations and their VJPs are in `ops.py`. `refusals.py` checks arguments, and
raises the errors; `entry.py` converts inputs to arrays; `recording.py` has `no_grad` and
`recorded`, which turn recording off and on again; `backend.explain` adds to an error what an
operation was given.
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

# ARRAYS and PLAIN: the types of arrays, and of single numbers. REAL and FLOATING: the `dtype.char`s
# of real numbers ("d" is float64), and of floating-point numbers only.
from tinygrad_edu.entry import ARRAYS, FLOATING, PLAIN, REAL
from tinygrad_edu.recording import paused, recorded, recording

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

P = ParamSpec("P")  # a function's parameters
# From (g, y, *operands, **options), where y is the result, to the gradient of one operand.
VJP = Callable[..., Any] | None


# ── The computational graph ──────────────────────────────────────────────────────────────────────


class Operation(NamedTuple):
    """A differentiable function: its name, and one VJP per operand (None: treated as constant)."""

    name: str
    vjps: tuple[VJP, ...]
    linear: bool = False  # the VJPs need neither the result nor the operands


class Node:
    """A node of the computational graph: y = operation(*operands, **options), as it ran.

    multiply(x, 2) has operands [x, 2], parents [x], options {} and values [y, x.array, 2], where y
    is the array of the result. All positional arguments are operands; 2 is a constant one.

    A node refers to its operands, and an operand does not refer to the nodes that use it. So there
    are no reference cycles, and a graph is freed as soon as its last result is.
    """

    __slots__ = ("operation", "operands", "parents", "options", "values", "number")
    operation: Operation
    operands: Sequence[Any]  # each a Variable if a gradient goes to it, else a constant
    parents: "Sequence[Variable]"  # only the Variables in `operands`, to search the graph fast
    options: dict[str, Any]
    values: Sequence[Any]  # the arrays of y and of each operand, when the operation ran
    number: int  # 1, 2, 3, … in execution order: a node comes after those that made its operands


class Variable:
    """An array and the node that produced it: the part of a Tensor that the backward pass needs.

    `Tensor`, in `tensor.py`, is its subclass with operators such as `+`, which call the operations,
    with methods, and with checks on assignment. In use, every Variable is a Tensor. They hash by
    identity. So test membership in sets and dictionaries only: `x in a_list` would call Tensor's
    ==, which compares the elements.

    Attributes
    ----------
    array : array
        The value, `Tensor.data`. You may assign a new array: a backward pass that still needs the
        old one is refused. Never modify it in place: nothing detects that, and gradients are wrong.
    requires_grad : bool
        Whether operations on this Variable are recorded.
    gradient : Variable or None
        The gradient that `backward` has accumulated, `Tensor.grad` (leaves only).
    node : Node or None
        The node that produced it; None for a *leaf*, where the backward pass ends.
    """

    __slots__ = ("__weakref__", "array", "requires_grad", "gradient", "node")

    def __init__(self, array: Any) -> None:
        self.array = array
        self.requires_grad = False
        self.gradient: Any = None
        self.node: Node | None = None


def wrap(kind: type[Variable], array: Any) -> Any:
    """Put an array in a Variable of this class, without the checks of its constructor."""
    variable = kind.__new__(kind)
    # NumPy's sum of two 0-d arrays is not an array, but a NumPy number.
    Variable.__init__(variable, np.asarray(array) if isinstance(array, np.generic) else array)
    return variable


_numbers = itertools.count(1)


# It returns a decorator: from a function to one of the same parameters, which returns a Tensor.
def op(*vjps: VJP, linear: bool = False) -> Callable[[Callable[P, Any]], "Callable[P, Tensor]"]:
    """Decorate a function of arrays: make it differentiable, given a VJP for each operand.

    The function then takes Tensors as well: given only arrays, it returns an array; given a Tensor,
    it returns a Tensor, recorded if an operand requires a gradient. (The annotation says Tensor,
    for type checkers.) Pass Tensors positionally. Lists are converted to arrays.

    A VJP is called as `vjp(g, y, ...)`: with the gradient g with respect to the result y, with y,
    and with the arguments of the call. An argument that the call omits is omitted here as well, so
    give the VJP the same defaults. It returns the gradient with respect to its operand. Use only
    operations of this package, operators such as `*`, and methods that arrays and Tensors share.
    Then one formula serves twice: on arrays it runs fast, and on Tensors it is itself recorded, so
    that it can be differentiated again. It need not undo broadcasting or a change of dtype: the
    backward pass does this for every VJP.

    Parameters
    ----------
    *vjps : callable or None
        One for each leading positional argument; None treats it as a constant. Further arguments
        are constants, too, and a Tensor that requires a gradient is refused there. With no VJPs at
        all you declare that every derivative is 0, as that of `sign`: Tensors are allowed, and
        nothing is recorded. (Integer and boolean results never are.)
    linear : bool
        The function is linear in all its operands together, as add is and multiply is not. So its
        VJPs need neither y nor the operands: they get g, and the constants after the operands.

    Raises
    ------
    TypeError
        If a VJP is not callable. The decorated function raises it too, if an operand or the result
        is not made of real numbers.

    Examples
    --------
    >>> import numpy as np, tinygrad_edu as tg
    >>> @tg.op(lambda g, y, x: g * 3 * x * x)  # d(x³) = 3x² dx
    ... def cube(x):
    ...     return x * x * x
    >>> cube(np.array([1.0, 2.0]))
    array([1., 8.])
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> (slope,) = tg.grad(cube(x), x, create_graph=True)  # 3x²
    >>> tg.grad(slope, x)  # 6x
    (Tensor(18., dtype=float64),)
    """
    # Without VJPs, every positional argument is an operand, and none has a derivative.
    vjp_of_each = vjps or itertools.repeat(None)

    def decorate(function: Callable[P, Any]) -> "Callable[P, Tensor]":
        refusals.check_decorable(function, vjps)
        name = getattr(function, "__name__", type(function).__name__).strip("_")
        operation = Operation(name, vjps, linear)

        @functools.wraps(function)
        def apply(*arguments: Any, **options: Any) -> Any:
            # For each argument that has a VJP: `value` is the array to compute with, `operand` what
            # the node stores, which is the Variable if a gradient goes to it, else the array.
            kind, values, operands, parents = None, [], [], []  # kind: Tensor, or None for arrays
            for operand, vjp in zip(arguments, vjp_of_each):
                value = operand
                if isinstance(operand, Variable):
                    kind, value = type(operand), operand.array
                    if operand.requires_grad and vjp is not None:
                        parents.append(operand)
                    else:
                        operand = value  # a constant: only its array matters
                elif type(operand) is ndarray:
                    if operand.dtype.char not in REAL:
                        entry.operand(operand, name)  # raises a TypeError
                elif type(operand) not in PLAIN:
                    value = operand = as_operand(operand, name)
                values.append(value)
                operands.append(operand)
            if options or len(arguments) > len(values):  # what has no VJP: constants
                others = [_without_vjp(other, name) for other in arguments[len(values) :]]
                options = {option: _without_vjp(other, name) for option, other in options.items()}
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
                backend.explain(error, name, values)  # raises it again

            # Record. The next five lines are `wrap(kind, value)`, written out for speed.
            result = kind.__new__(kind)
            result.array = value
            result.gradient = None
            result.requires_grad = False
            result.node = None
            # `paused.get()` is the set of `no_grad` blocks around here. Mostly it is empty; only
            # else is `recording()` asked, whose call would cost as much as this condition.
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


def unwrap(value: Any) -> Any:
    """Take the arrays out of Variables, also out of those in lists.

    >>> unwrap([Variable(1.0), [Variable(2.0), 3.0]])
    [1.0, [2.0, 3.0]]
    """
    nested = (Variable, list, tuple)
    if isinstance(value, list | tuple) and any(isinstance(item, nested) for item in value):
        refusals.check_no_gradient_in(value)
        return [unwrap(item) for item in value]
    return value.array if isinstance(value, Variable) else value


def as_operand(value: Any, name: str) -> Any:
    """Return a Variable as it is, and all else as an array or a number; errors name the operation.

    >>> as_operand([1, 2], "multiply")
    array([1, 2])
    """
    return value if isinstance(value, Variable) else entry.operand(unwrap(value), name)


def _without_vjp(value: Any, name: str) -> Any:
    """Take the array out of an argument that has no VJP, such as an option."""
    refusals.check_is_constant(value, name)
    return value.array if isinstance(value, Variable) else value


# ── The backward pass ────────────────────────────────────────────────────────────────────────────


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Compute the gradients of outputs with respect to inputs, without changing any `Tensor.grad`.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensors
        What to differentiate. Several outputs are treated as their sum.
    inputs : Tensor or sequence of Tensors
        What to differentiate with respect to: leaves or intermediate results.
    grad_outputs : Tensor, array or sequence of these, optional
        The initial gradient for each output, of its shape. Optional for single numbers.
    create_graph : bool
        Record the backward pass itself, even inside `no_grad`, so that the gradients can be
        differentiated again.
    allow_unused : bool
        Return None for an input that no output depends on, instead of raising an error.

    Returns
    -------
    tuple of Tensors
        One gradient for each input, with its shape and dtype. They may share memory: do not modify
        them in place.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or no output depends on one of the inputs.
    RuntimeError
        If an operand's value was replaced after it was used.

    Notes
    -----
    Griewank and Walther, *Evaluating Derivatives* (2008), chapter 3.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 3.0], requires_grad=True)
    >>> (g,) = tg.grad((x**3).sum(), x, create_graph=True)
    >>> g.detach()  # 3x²
    Tensor([ 3., 27.], dtype=float64)
    >>> tg.grad(g.sum(), x)  # 6x
    (Tensor([ 6., 18.], dtype=float64),)
    """
    # From here on all three are lists, and grad_outputs is as long as outputs.
    outputs = refusals.check_variables(Variable, outputs, "outputs")
    inputs = refusals.check_variables(Variable, inputs, "inputs")
    grad_outputs = refusals.match_length(grad_outputs, len(outputs))
    with recorded() if create_graph else contextlib.nullcontext():
        gradients: dict[Variable, Any] = {}
        for output, gradient in zip(outputs, grad_outputs):
            # An output that is a constant is skipped, or else refused by `initial_gradient`.
            if output.requires_grad or not allow_unused:
                start = initial_gradient(output, gradient)
                g = start if create_graph else start.array
                # The same output may be given twice.
                gradients[output] = gradients[output] + g if output in gradients else g
        _backpropagate(gradients, inputs, create_graph)
    if not allow_unused:
        refusals.check_used(inputs, gradients)
    kind, results = type(outputs[0]), map(gradients.get, inputs)
    return tuple([g if g is None or isinstance(g, Variable) else wrap(kind, g) for g in results])


# Threads may share a leaf. R: a signal handler that runs meanwhile may call `backward`, too.
_adding = threading.RLock()


def backward(output: Variable, gradient: Any = None) -> None:
    """Add the gradient of an output to the `grad` of every leaf that it depends on.

    See `Tensor.backward` for parameters and errors.
    """
    start = initial_gradient(output, gradient).array
    # The output may itself be a leaf, whose grad this array becomes: so copy the caller's.
    gradients: dict[Variable, Any] = {output: start if gradient is None else start.copy()}
    _backpropagate(gradients, inputs=None, create_graph=False)
    # Only leaves are left in `gradients`: the backward pass removes every other one. Each leaf must
    # own its grad: a view (which has a `base`), or an array that another leaf has, is copied.
    totals: dict[int, tuple[Variable, Any]] = {}  # the leaf and its array, by the array's id
    with _adding:
        for leaf, total in gradients.items():
            if leaf.gradient is not None:
                total = leaf.gradient.array + total
            elif total.base is not None or id(total) in totals:
                total = total.copy()  # add passes one g to both its operands
            totals[id(total)] = leaf, total
        for leaf, total in totals.values():  # only now, so that an error changes no leaf
            leaf.gradient = wrap(type(leaf), total)


def _backpropagate(gradients: dict[Variable, Any], inputs: Any, create_graph: bool) -> None:
    """Propagate the outputs' gradients back to the inputs, or to all leaves if `inputs` is None.

    `gradients` starts with those of the outputs, and is updated in place. With `create_graph` it
    holds Variables, and the VJPs get Variables, so that the pass is itself recorded. Otherwise
    everything is a plain array, which is faster.
    """
    order = _topological_order(gradients)
    # `wanted`: what needs a gradient, on the way to the inputs. `kept`: what was asked for.
    wanted = set(order) if inputs is None else _computed_from(inputs, order)
    kept = set(inputs or ())
    for variable in reversed(order):  # each with the node that produced it, the last one first
        node = variable.node
        if node is None or variable not in gradients:
            continue
        # Its gradient is complete: the nodes that use it have larger numbers, so they came before.
        g = gradients[variable] if variable in kept else gradients.pop(variable)
        if variable.array is not node.values[0]:
            refusals.refuse_changed_value(node, 0)
        arguments = (variable, *node.operands) if create_graph else node.values
        if node.operation.linear:  # drop y and the operands: concatenate has n VJPs and n operands
            arguments = arguments[1 + len(node.operation.vjps) :]
        for index, operand in enumerate(node.operands, 1):  # values[0] is y
            if not isinstance(operand, Variable):
                continue
            if operand.array is not node.values[index]:
                refusals.refuse_changed_value(node, index)
            if operand in wanted:
                contribution = apply_vjp(node, index, g, arguments)
                # Add where paths meet. Not by `+=`: two gradients may be the same array.
                if operand in gradients:
                    contribution = gradients[operand] + contribution
                gradients[operand] = contribution


def _topological_order(outputs: Iterable[Variable]) -> list[Variable]:
    """List the outputs and everything they depend on, operands before results.

    Why sort at all? Take a = exp(x), b = a · a and c = b + a. Suppose a passed its gradient on to x
    as soon as it got the part from c. The part through b would come too late: a must wait for b. A
    node's number is larger than those of its operands, so sort by number; the backward pass visits
    the list in reverse.
    """
    visited = dict.fromkeys(outputs)  # a set that keeps its order
    stack = list(visited)
    while stack:  # not recursive: Python's limit is 1000 levels, and graphs are often deeper
        node = stack.pop().node
        for parent in node.parents if node else ():  # a leaf has no node
            if parent not in visited:
                visited[parent] = None
                stack.append(parent)
    return sorted(visited, key=lambda variable: variable.node.number if variable.node else 0)


def _computed_from(inputs: Iterable[Variable], order: Iterable[Variable]) -> set[Variable]:
    """Find the inputs and everything computed from them: gradients reach the inputs only there."""
    wanted = set(inputs)
    for variable in order:  # parents come before results
        if variable.node is not None and not wanted.isdisjoint(variable.node.parents):
            wanted.add(variable)
    return wanted


def apply_vjp(node: Node, index: int, g: Any, arguments: Sequence[Any]) -> Any:
    """Apply the VJP of an operand; the result has that operand's shape and dtype.

    With `create_graph`, g is a Tensor, and `sum` and `astype`, which make it fit, are recorded.
    """
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
        # This raises the error again.
        backend.explain(error, f"VJP {index} of {node.operation.name}", node.values)
    return contribution


def _unbroadcast(contribution: Any, shape: tuple[int, ...]) -> Any:
    # Broadcasting uses one number in many places. Each use is a path, so sum their gradients.
    given = contribution.shape
    if contribution.dtype.char == "e":  # float16, in which 2048 + 1 = 2048; cast back at the end
        contribution = contribution.astype("float32")
    if len(given) > len(shape):
        contribution = contribution.sum(axis=tuple(range(len(given) - len(shape))))
    if len(given) >= len(shape) and contribution.shape != shape:
        stretched = [axis for axis, length in enumerate(shape) if length == 1]
        contribution = contribution.sum(axis=tuple(stretched), keepdims=True)
    if contribution.shape != shape:
        refusals.refuse_shape(given, shape)
    return contribution


def _cast(contribution: Any, dtype: Any) -> Any:
    # float32 · float64 is float64, but the gradient of the float32 operand is float32.
    if dtype.kind != "f":  # requires_grad was assigned to a Tensor of integers
        refusals.refuse_integers(dtype)
    if contribution.dtype.char not in REAL:
        entry.real_array(contribution, "a VJP must return")  # raises a TypeError
    return contribution if contribution.dtype == dtype else contribution.astype(dtype)


def initial_gradient(output: Variable, gradient: Any) -> Any:
    """Make the initial gradient of an output: the one given, or 1 for a single number."""
    data = output.array
    refusals.check_can_start(output, gradient)
    gradient = np.ones_like(data) if gradient is None else gradient
    if not isinstance(gradient, Variable):
        gradient = wrap(type(output), entry.like(data, unwrap(gradient), "a gradient holds"))
    refusals.check_shape(gradient.array.shape, data.shape)
    return gradient if gradient.array.dtype == data.dtype else gradient.astype(data.dtype)
