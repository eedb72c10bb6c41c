"""Tensor: a Variable that looks like a NumPy array."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu import backend, ops
from tinygrad_edu.core import Variable, backward, op
from tinygrad_edu.ops import Axis, Operand


class Tensor(Variable):
    """An array that remembers how it was made, so that derivatives can be taken.

    It has NumPy's operators and its most used methods, and follows NumPy's rules of broadcasting
    and of dtypes. Each is an operation from `tinygrad_edu.ops`, where its formula stands. For
    functions use those of this package: `tg.exp(x)`, not `np.exp(x)`.

    Parameters
    ----------
    data : array_like
        Numbers, lists, an array, a Tensor (of which only the value is taken), or any array that
        speaks DLPack (PyTorch's, JAX's). An array is shared, not copied: do not write into it
        afterwards.
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
    __array_ufunc__ = None  # so that NumPy leaves `array * tensor` to Tensor.__rmul__
    __hash__ = object.__hash__  # by identity, although == compares the elements

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None) -> None:
        array = backend.asarray(data.data if isinstance(data, Variable) else data, dtype)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"a Tensor holds real numbers, but was given {type(data).__name__} "
                f"data, which make an array of dtype {array.dtype}"
            )
        if not isinstance(requires_grad, bool):
            raise TypeError(
                f"requires_grad must be True or False, but is {requires_grad!r}; "
                "dtype= goes by name"
            )
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(
                f"only floating-point numbers have a gradient, and these are {array.dtype}: "
                "make them with dtype=float"
            )
        super().__init__(array)
        self.requires_grad = requires_grad

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this result to the `grad` of every leaf that it was made from.

        Gradients *add up* over calls, because a parameter may feed several losses. So clear them
        (`optimizer.zero_grad()`) before each update. The history stays: a second call works.

        Parameters
        ----------
        gradient : array_like, optional
            The rates to start from, in this result's shape. Not needed for a single number: it
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
        if self.operation is not None:
            end += f", recorded by {self.operation.name}"
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
        """Return the value as a NumPy array on the host, without its history.

        On the NumPy backend it is the same array: copy it before you write into it.
        """
        array: np.ndarray[Any, Any] = backend.move(self.data, "numpy")
        return array

    def detach(self) -> Tensor:
        """Return a Tensor of the same value that has no history and requires no gradient."""
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

    def __add__(self, other: Operand) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return ops.subtract(self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return ops.subtract(other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return ops.multiply(self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return ops.multiply(other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return ops.divide(other, self)

    def __pow__(self, other: Operand) -> Tensor:
        return ops.power(self, other)

    def __rpow__(self, other: Operand) -> Tensor:
        return ops.power(other, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    # Comparisons are piecewise constant, and not recorded.
    __eq__ = op()(operator.eq)  # element by element, as NumPy's
    __ne__ = op()(operator.ne)
    __lt__ = op()(operator.lt)
    __le__ = op()(operator.le)
    __gt__ = op()(operator.gt)
    __ge__ = op()(operator.ge)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor's elements cannot be set, as its history needs them: make a new Tensor with "
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
        if self.requires_grad and self.operation is None:
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

    def astype(self, dtype: Any) -> Tensor:
        """Convert to another dtype; see `tinygrad_edu.astype`."""
        return ops.astype(self, dtype)

    def to(self, name: str) -> Tensor:
        """Bring to a backend, "numpy" or "cupy". Its gradient comes back to where it was."""
        return _to(self, name)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Add up the elements; see `tinygrad_edu.sum`."""
        return ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Take the mean; see `tinygrad_edu.mean`."""
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """Take the variance; see `tinygrad_edu.var`."""
        return ops.var(self, axis=axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Take the largest element; see `tinygrad_edu.max`."""
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Take the smallest element; see `tinygrad_edu.min`."""
        return ops.min(self, axis=axis, keepdims=keepdims)


def _home(x: Any) -> str:
    return backend.name_of(x.data if isinstance(x, Variable) else x)


@op(lambda g, y, x, name: _to(g, _home(x)))
def _to(x: Any, name: str) -> Any:
    return backend.move(x, name)


def _one_argument(arguments: tuple[Any, ...]) -> Any:
    # NumPy takes both x.reshape(2, 3) and x.reshape((2, 3)).
    return arguments[0] if len(arguments) == 1 else arguments
