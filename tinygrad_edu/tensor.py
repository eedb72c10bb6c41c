"""Tensor: a Variable that looks like a NumPy array.

Why two classes? A `Variable` is what the backward pass needs, and a `Tensor` what people do.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from numbers import Number
from typing import Any

import numpy as np

from tinygrad_edu import advice, backend, entry, functions, numpy_functions, ops
from tinygrad_edu.core import Variable, backward, op, unwrap
from tinygrad_edu.ops import Axis, Operand

_floordiv = op()(operator.floordiv)


class Tensor(Variable):
    """An array that remembers how it was made, so that derivatives can be taken.

    It has NumPy's operators and its most used methods, and follows NumPy's rules of broadcasting
    and of dtypes. Each is an operation from `tinygrad_edu.ops`, where its formula stands. NumPy's
    own functions work on it as well, where this package has the operation: `np.exp(x)` is
    `tg.exp(x)`.

    Parameters
    ----------
    data : array_like
        Numbers, lists, an array, a Tensor (of which only the value is taken), lists of Tensors that
        require no gradient, or any array that speaks DLPack (PyTorch's, JAX's). An array is shared,
        not copied: do not write into it afterwards.
    requires_grad : bool
        Whether to record what is made from this Tensor, so that it can receive a gradient.
    dtype : dtype, optional
        Otherwise NumPy's choice: float64 for lists of Python floats.

    Raises
    ------
    TypeError
        If the data are not numbers, or need a gradient and are not floating-point numbers.

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (w * w).sum()
    >>> loss.backward()
    >>> w.grad
    Tensor([2., 4.], dtype=float64)
    """

    __slots__ = ()
    __hash__ = object.__hash__  # by identity, although == compares the elements

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None) -> None:
        array = entry.real_array(unwrap(data), "a Tensor holds", dtype)
        if not isinstance(requires_grad, bool):
            raise TypeError(
                f"requires_grad must be True or False, but is {requires_grad!r}; "
                "dtype= goes by name"
            )
        if requires_grad:
            _refuse_integers(array)
        super().__init__(array)
        self.requires_grad = requires_grad

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this result to the `grad` of every leaf that it was made from.

        Gradients *add up* over calls, because a parameter may feed several losses. So clear them
        (`optimizer.zero_grad()`) before each update. The graph stays: a second call works.

        Parameters
        ----------
        gradient : array_like, optional
            The gradient to start from, in this result's shape. Not needed for a single number: it
            starts from 1.

        Raises
        ------
        ValueError
            If nothing was recorded; if `gradient` is missing, or has another shape.
        RuntimeError
            If an operand's value was replaced after it was used. In that case no `grad` has
            changed.

        Examples
        --------
        >>> x = Tensor(3.0, requires_grad=True)
        >>> (x * x + x).backward()
        >>> x.grad
        Tensor(7., dtype=float64)
        """
        backward(self, gradient)

    # ── What is assigned ─────────────────────────────────────────────────────────────────────────

    @property
    def data(self) -> Any:
        """The value, an array. Assign a new array to it, or numbers; never write into the old one.

        The results that were made from the old array still need it: their backward pass is refused.
        """
        return self.array

    @data.setter
    def data(self, data: Any) -> None:
        home = backend.name_of(self.array)
        array = entry.real_array(unwrap(data), "data holds")
        if self.requires_grad:
            _refuse_integers(array)
        self.array = array if backend.is_array(data) else backend.move(array, home)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` added up, a Tensor; None before, and to start anew."""
        return self.gradient

    @grad.setter
    def grad(self, grad: Any) -> None:
        self.gradient = grad if grad is None or isinstance(grad, Tensor) else Tensor(grad)

    # ── What it is ───────────────────────────────────────────────────────────────────────────────

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements, as in NumPy."""
        return self.data.dtype

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a Tensor of shape () is a single number and has no length: use item()")
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self[place] for place in range(len(self))])

    def __repr__(self) -> str:
        text = np.array2string(backend.move(self.data, "numpy"), separator=", ", prefix="Tensor(")
        end = f", dtype={self.dtype}"
        if self.node is not None:
            end += f", recorded by {self.node.operation.name}"
        elif self.requires_grad:
            end += ", requires_grad=True"
        return f"Tensor({text}{end})"

    # ── Ways out ─────────────────────────────────────────────────────────────────────────────────

    def item(self) -> float:
        """Return the one element as a Python number.

        Raises
        ------
        ValueError
            If there are more elements, or none.
        """
        if self.size != 1:
            raise ValueError(
                f"item() needs a single element, and this Tensor has shape {self.shape}"
            )
        return self.data.item()

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the value as a NumPy array on the host, without its graph.

        On the NumPy backend it is the same array: copy it before you write into it.
        """
        array: np.ndarray[Any, Any] = backend.move(self.data, "numpy")
        return array

    def detach(self) -> Tensor:
        """Return a Tensor of the same value that has no graph and requires no gradient."""
        return Tensor(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        self._refuse_silent_exit()
        return np.array(self.data, dtype) if copy else np.asarray(self.data, dtype)

    def __dlpack__(self, **options: Any) -> Any:
        self._refuse_silent_exit()
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self.data.__dlpack_device__()
        return device

    def _refuse_silent_exit(self) -> None:
        if self.requires_grad:
            raise TypeError(
                "this Tensor requires a gradient, and the result would not be recorded: use the "
                "function of tinygrad_edu instead, or say tensor.numpy() or tensor.detach()"
            )

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"a Tensor of shape {self.shape} is neither true nor false: compare, then reduce, "
                "as in (a == b).data.all()"
            )
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if specification else repr(self)

    # ── Operators ────────────────────────────────────────────────────────────────────────────────

    __add__ = ops.add
    __sub__ = ops.subtract
    __mul__ = ops.multiply
    __truediv__ = ops.divide
    __pow__ = ops.power
    __matmul__ = ops.matmul
    __neg__ = ops.negative
    __abs__ = ops.abs

    def __pos__(self) -> Tensor:
        return self

    def __radd__(self, other: Operand) -> Tensor:
        return ops.add(other, self)

    def __rsub__(self, other: Operand) -> Tensor:
        return ops.subtract(other, self)

    def __rmul__(self, other: Operand) -> Tensor:
        return ops.multiply(other, self)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return ops.divide(other, self)

    def __rpow__(self, other: Operand) -> Tensor:
        return ops.power(other, self)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return ops.matmul(other, self)

    def __eq__(self, other: object) -> Any:  # element by element, as NumPy's
        return _equal(self, other) if _is_operand(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return _not_equal(self, other) if _is_operand(other) else NotImplemented

    # Comparisons are piecewise constant, and not recorded.
    __lt__ = op()(operator.lt)
    __le__ = op()(operator.le)
    __gt__ = op()(operator.gt)
    __ge__ = op()(operator.ge)

    __floordiv__ = _floordiv
    # Masks: & | ^ ~
    __and__ = __rand__ = op()(operator.and_)
    __or__ = __ror__ = op()(operator.or_)
    __xor__ = __rxor__ = op()(operator.xor)
    __invert__ = op()(operator.invert)

    def __rfloordiv__(self, other: Operand) -> Tensor:
        return _floordiv(other, self)

    def __mod__(self, other: Operand) -> Tensor:
        raise TypeError("a Tensor has no %: write x - x // n * n, which is recorded")

    __rmod__ = __mod__

    # NumPy's functions call these where an argument is a Tensor; see numpy_functions.py.
    __array_ufunc__ = numpy_functions.array_ufunc
    __array_function__ = numpy_functions.array_function

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor's elements cannot be set, as its graph needs them: make a new Tensor with "
            "tg.where, or give a leaf a new array with tensor.data = …"
        )

    # `total += loss` makes a new Tensor, as it should. So would `w -= lr * w.grad`, but then w is
    # no longer a leaf.

    def __iadd__(self, other: Operand) -> Tensor:
        return self._unless_leaf() + other

    def __isub__(self, other: Operand) -> Tensor:
        return self._unless_leaf() - other

    def __imul__(self, other: Operand) -> Tensor:
        return self._unless_leaf() * other

    def __itruediv__(self, other: Operand) -> Tensor:
        return self._unless_leaf() / other

    def __ipow__(self, other: Operand) -> Tensor:
        return self._unless_leaf() ** other

    def __imatmul__(self, other: Operand) -> Tensor:
        return self._unless_leaf() @ other

    def _unless_leaf(self) -> Tensor:
        if self.requires_grad and self.node is None:
            raise TypeError(
                "an in-place operator on a leaf would put a new Tensor in its place: "
                "use an optimizer, or w.data = w.data - lr * w.grad.data, to change its value"
            )
        return self

    # ── Methods, as NumPy's ──────────────────────────────────────────────────────────────────────

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return ops.transpose(self)

    def transpose(self, *axes: Any) -> Tensor:
        """Reorder the axes; see `tinygrad_edu.transpose`."""
        return ops.transpose(self, _one_argument(axes) if axes else None)

    def reshape(self, *shape: Any) -> Tensor:
        """Give another shape; see `tinygrad_edu.reshape`."""
        return ops.reshape(self, _one_argument(shape))

    def to(self, name: str) -> Tensor:
        """Bring to a backend, "numpy" or "cupy". Its gradient comes back to where it was."""
        return _to(self, name)

    # Each operation on one array is a method, too.
    exp, expm1, log, log1p, sqrt = ops.exp, ops.expm1, ops.log, ops.log1p, ops.sqrt
    sin, cos, tanh, sigmoid = ops.sin, ops.cos, ops.tanh, ops.sigmoid
    abs, relu, clip, maximum, minimum = ops.abs, ops.relu, ops.clip, ops.maximum, ops.minimum
    ravel, squeeze, expand_dims, swapaxes = ops.ravel, ops.squeeze, ops.expand_dims, ops.swapaxes
    broadcast_to, astype, matmul = ops.broadcast_to, ops.astype, ops.matmul
    sum, mean, var, std, max, min = ops.sum, ops.mean, ops.var, ops.std, ops.max, ops.min
    logsumexp, softmax = functions.logsumexp, functions.softmax
    log_softmax = functions.log_softmax

    # These are piecewise constant, like comparisons, and not recorded.
    def all(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Tell whether all elements are true, or not 0, along axes."""
        return _all(self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Tell whether any element is true, or not 0, along axes."""
        return _any(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        """Tell where the largest element is, along an axis or in the flat array."""
        return _argmax(self, axis=axis)

    def argmin(self, axis: int | None = None) -> Tensor:
        """Tell where the smallest element is, along an axis or in the flat array."""
        return _argmin(self, axis=axis)

    def __round__(self, decimals: int = 0) -> Tensor:
        return _round(self, decimals=decimals)

    def __getattr__(self, name: str) -> Any:  # only where there is none
        raise advice.missing(self, name, "a Tensor", advice.TENSOR)


_all: Any = op()(np.all)  # NumPy's types know keepdims=True and keepdims=False, but no bool
_any: Any = op()(np.any)
_argmax, _argmin, _round = op()(np.argmax), op()(np.argmin), op()(np.round)
_equal = op()(operator.eq)
_not_equal = op()(operator.ne)


def _is_operand(other: object) -> bool:
    # With a text, None or any other object == is False, so that `in` and `index` work on lists.
    numbers = isinstance(other, Variable | Number | Sequence) or backend.is_array(other)
    return (numbers or hasattr(other, "__array__")) and not isinstance(other, str | bytes)


def _home(x: Any) -> str:
    return backend.name_of(unwrap(x))


@op(lambda g, y, x, name: _to(g, _home(x)))
def _to(x: Any, name: str) -> Any:
    return backend.move(x, name)


def _one_argument(arguments: tuple[Any, ...]) -> Any:
    # NumPy takes both x.reshape(2, 3) and x.reshape((2, 3)).
    return arguments[0] if len(arguments) == 1 else arguments


def _refuse_integers(array: Any) -> None:
    if array.dtype.kind != "f":
        raise TypeError(
            f"only floating-point numbers have a gradient, and these are {array.dtype}: "
            "make them with dtype=float"
        )
