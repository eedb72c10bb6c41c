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
from tinygrad_edu.parameters import as_array


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
        array = backend.move(as_array(value), "numpy")
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
