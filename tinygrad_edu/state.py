"""The state of a run, as arrays with names: kept in a file, and put back only where it fits."""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.backend import Array
from tinygrad_edu.core import Variable


def _as_array(value: Any) -> Array:
    if isinstance(value, Variable):
        return value.data
    return np.asarray(value) if np.isscalar(value) or not hasattr(value, "dtype") else value


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
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save({"slope": np.array([1.0, 2.0])}, Path(folder) / "line.npz")
    ...     load(Path(folder) / "line.npz")
    {'slope': array([1., 2.])}
    """
    arrays = {}
    for name, value in state.items():
        array = backend.move(_as_array(value), "numpy")
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} is a {type(value).__name__}, and only numbers can be saved")
        arrays[name] = array
    path = Path(path)
    # Write beside the file, so that the replacement stays on one disk, where it is a single step.
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        error.add_note(f"while saving {path}; what was there before is whole")
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
    with open(path, "rb") as file:
        try:
            state = {}
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    with archive.open(member) as stream:
                        array = np.lib.format.read_array(stream, allow_pickle=False)
                    state[member.removesuffix(".npy")] = array
                    if not member.endswith(".npy") or array.dtype.kind not in "fiub":
                        raise ValueError(f"{member} is not an array of numbers")
        except Exception as error:  # a damaged file can bring out almost any of them
            raise ValueError(f"{path} is no whole .npz file of numbers: {error}") from error
    return state
