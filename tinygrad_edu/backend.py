"""NumPy or CuPy: one switch.

NumPy's functions hand themselves over: `np.tanh(x)` runs on the GPU where `x` is a CuPy array. So
the formulas of this package are written once, with NumPy's names. What cannot be handed over is the
making of a new array out of numbers and lists, and the way between host and GPU. It is all here.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, TracebackType
from typing import Any, NoReturn

import numpy as np

Array = Any  # a NumPy or a CuPy array: they share an interface, but no base class

_current = "numpy"


@functools.cache  # asked for at each new array, and tried only once
def _module(name: str) -> ModuleType:
    if name == "numpy":
        return np
    if name != "cupy":
        raise ValueError(f"the backend must be 'numpy' or 'cupy', but was given as {name!r}")
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        raise ImportError(
            "the backend 'cupy' needs CuPy, which is not installed: python -m pip install "
            "'cupy-cuda13x[ctk]' (or 'cupy-cuda12x[ctk]', to match your driver)"
        ) from error
    try:
        # A GPU, NVRTC, which compiles kernels, and cuBLAS, which multiplies: CuPy loads each
        # only when it is needed, and finds only then that it is missing.
        ones = cupy.ones((2, 2))
        (ones @ ones).get()
    except Exception as error:
        raise RuntimeError(
            "the backend 'cupy' needs a CUDA GPU with its driver, and CUDA's libraries, which "
            f"python -m pip install 'cupy-cuda13x[ctk]' brings; here CuPy cannot compute: {error}"
        ) from error
    return cupy


class use:  # noqa: N801 (a verb: `with use(...)`)
    """Make new arrays with this backend from now on, or inside a `with` block.

    The switch belongs to the whole process. Arrays that exist stay where they are.

    Parameters
    ----------
    name : {"numpy", "cupy"}

    Raises
    ------
    ValueError
        If the name is another one.
    ImportError, RuntimeError
        If CuPy is not installed, or cannot compute: no GPU, or a part of CUDA is missing. The
        backend stays as it was.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> with tg.use("numpy"):
    ...     tg.backend.current()
    'numpy'
    """

    def __init__(self, name: str) -> None:
        global _current
        _module(name)
        self._previous, _current = _current, name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        global _current
        _current = self._previous


def current() -> str:
    """Name the backend that makes new arrays: "numpy" or "cupy".

    >>> current()
    'numpy'
    """
    return _current


def name_of(array: Array) -> str:
    """Name the backend that an array belongs to.

    >>> name_of(np.zeros(3))
    'numpy'
    """
    return "cupy" if type(array).__module__.partition(".")[0] == "cupy" else "numpy"


def module_of(array: Array) -> ModuleType:
    """Return the module that an array belongs to, `numpy` or `cupy`.

    >>> module_of(np.zeros(3)) is np
    True
    """
    return np if name_of(array) == "numpy" else importlib.import_module("cupy")


def is_array(value: Any) -> bool:
    """Tell whether this is an array of NumPy or CuPy.

    >>> is_array(np.zeros(3)), is_array([0.0])
    (True, False)
    """
    return isinstance(value, np.ndarray) or (name_of(value) == "cupy" and hasattr(value, "dtype"))


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function of arrays and numbers, element by element: on a GPU it is one kernel.

    To ask for a kernel costs more time there than to run it on a small array.

    >>> @fused
    ... def moved(x, g, lr):
    ...     return x - lr * g
    >>> moved(np.array([4.0]), np.array([8.0]), 0.25)
    array([2.])
    """
    kernel = functools.cache(lambda: _module("cupy").fuse()(function))

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        return (function if name_of(arguments[0]) == "numpy" else kernel())(*arguments)

    return run


def describe(value: Any) -> str:
    """Describe an operand for an error message: dtype and shape, and the backend if not NumPy.

    >>> describe(np.zeros((2, 3)))
    'float64 (2, 3)'
    """
    if not hasattr(value, "dtype"):
        return type(value).__name__
    return f"{value.dtype} {value.shape}" + (" on cupy" if name_of(value) == "cupy" else "")


def explain(error: Exception, name: str, values: Sequence[Any]) -> NoReturn:
    """Raise an exception again, with what an operation was given, and if it was on two backends."""
    given = f"{name} was given: {', '.join(map(describe, values))}"
    if len({name_of(value) for value in values if is_array(value)}) > 1:
        raise TypeError(f"{given}; bring them together with tensor.to(backend)") from error
    error.add_note(given)
    raise error


def holds_device_arrays(data: Any) -> bool:
    """Tell whether this is a list with CuPy arrays in it, at any depth.

    >>> holds_device_arrays([[1.0], [2.0]])
    False
    """
    if "cupy" not in sys.modules or not isinstance(data, list):
        return False
    return any(name_of(item) == "cupy" or holds_device_arrays(item) for item in data)


def asarray(data: Any, dtype: Any = None) -> Array:
    """Make an array on the current backend, without a copy where that is possible.

    A CuPy array stays on the GPU, whatever the current backend: nothing comes to the host unless
    you say so. An array of another library is taken over through DLPack.

    >>> asarray([1, 2, 3])
    array([1, 2, 3])
    """
    if name_of(data) == "cupy":
        return data if dtype is None else data.astype(dtype, copy=False)
    if hasattr(data, "__dlpack__") and not isinstance(data, np.ndarray | np.generic):
        on_gpu = data.__dlpack_device__()[0] == 2  # kDLCUDA in DLPack's table of devices
        data = _module("cupy" if on_gpu else "numpy").from_dlpack(data)
        return asarray(data, dtype)
    if holds_device_arrays(data):
        return asarray(sys.modules["cupy"].stack([asarray(item) for item in data]), dtype)
    array = np.asarray(data, dtype)
    # What is no number (text, objects) cannot go to a GPU, and is for the caller to refuse.
    return move(array, _current) if array.dtype.kind in "fiubc" else array


def move(array: Array, name: str) -> Array:
    """Bring an array to a backend; it is returned as it is if it is there already.

    >>> move(np.arange(3), "numpy")
    array([0, 1, 2])
    """
    if name_of(array) == name:
        return array
    return array.get() if name == "numpy" else _module(name).asarray(array)


def numbers(*values: Array) -> list[float]:
    """Bring single numbers to the host, all at once: a GPU is waited for only once.

    >>> numbers(np.float32(1.0), np.float64(2.0))
    [1.0, 2.0]
    """
    if name_of(values[0]) == "numpy":
        return [float(value) for value in values]
    return move(np.stack(values), "numpy").tolist()
