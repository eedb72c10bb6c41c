"""The state of a run, as arrays with names: kept in a file, and put back only where it fits."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.backend import Array


def _as_array(value: Any) -> Array:
    return value if hasattr(value, "dtype") else np.asarray(value)


def matched(own: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Array]:
    """Copy a state to where one's own is, if it has the same names, shapes and dtypes.

    Raises
    ------
    ValueError
        If not; all the differences are listed.

    Examples
    --------
    >>> matched({"a": np.zeros(2)}, {"a": np.zeros(3), "b": 1.0})
    Traceback (most recent call last):
        ...
    ValueError: the state does not fit: a is float64 (3,), not float64 (2,); b is unknown here
    """
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is unknown here" for name in state if name not in own]
    copies = {}
    for name in own.keys() & state.keys():
        here, there = _as_array(own[name]), _as_array(state[name])
        if (here.shape, here.dtype) == (there.shape, there.dtype):
            copies[name] = backend.move(there, backend.name_of(here)).copy()
        else:
            problems.append(f"{name} is {there.dtype} {there.shape}, not {here.dtype} {here.shape}")
    if problems:
        raise ValueError("the state does not fit: " + "; ".join(sorted(problems)))
    return copies


def save(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state (a module's or an optimizer's `state_dict`) as a NumPy `.npz` file.

    The file appears whole, under its name, or not at all; an older one stays until then.

    Raises
    ------
    TypeError
        If a value is not numbers.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "line.npz"
    >>> save({"slope": np.array([1.0, 2.0])}, path)
    >>> load(path)
    {'slope': array([1., 2.])}
    """
    arrays = {}
    for name, value in state.items():
        array = backend.move(_as_array(value), "numpy")
        if array.dtype.hasobject:
            raise TypeError(f"{name} is a {type(value).__name__}, and only numbers can be saved")
        arrays[name] = array
    path = Path(path)
    # Write beside the file, so that the replacement stays on one disk, where it is a single step.
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read what `save` wrote. Nothing is unpickled, so a forged file can run no code.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or holds anything but arrays of numbers.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{os.fspath(path)} is no whole .npz file of numbers: {error}") from error
