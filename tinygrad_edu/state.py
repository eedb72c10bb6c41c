"""The state of a run, as arrays with names: kept in a file, and put back only where it fits."""

from __future__ import annotations

import contextlib
import copy
import errno
import math
import os
import stat
import types
import uuid
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.backend import Array
from tinygrad_edu.core import Variable
from tinygrad_edu.parameters import as_array

fcntl: Any
try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

Number = bool | int | float | np.number | np.bool_


# ── What an object holds ─────────────────────────────────────────────────────────────────────────


def attributes(owner: Any) -> dict[str, Any]:
    """Return an object's attributes by name: those in slots, and then those in its dictionary.

    >>> attributes(slice(1, 2))["stop"]
    2
    """
    slots = {
        name: getattr(owner, name)
        for kind in type(owner).__mro__
        for name, member in vars(kind).items()
        if isinstance(member, types.MemberDescriptorType) and hasattr(owner, name)
    }
    return slots | getattr(owner, "__dict__", {})


def children(value: Any) -> Mapping[Any, Any] | None:
    """Return what a list, a tuple, a deque or a mapping holds, by key; None for anything else.

    >>> children(["a", "b"])
    {0: 'a', 1: 'b'}
    """
    if isinstance(value, list | tuple | deque):
        return dict(enumerate(value))
    return value if isinstance(value, Mapping) else None


def flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the numbers and arrays in nested containers; the name of each is the path to it.

    Raises
    ------
    TypeError
        If there is anything else.

    Examples
    --------
    >>> list(flat({"rate": 0.5, "m": [1, 2]}, "state"))
    [('state.rate', 0.5), ('state.m.0', 1), ('state.m.1', 2)]
    """
    inside = children(value)
    if inside is not None:
        for key, part in inside.items():
            yield from flat(part, f"{name}.{key}")
    elif isinstance(value, Number) or as_array(value).dtype.kind in "fiub":
        yield name, value.array if isinstance(value, Variable) else value
    else:
        raise TypeError(f"{name} is a {type(value).__name__}, and a state has only numbers")


def refilled(value: Any, name: str, state: Mapping[str, Array]) -> Any:
    """Return nested containers like these, with the numbers that a state has for their names.

    >>> refilled({"rate": 0.5, "m": (1, 2)}, "s", {"s.rate": np.array(2.5), "s.m.0": np.array(3),
    ...                                            "s.m.1": np.array(4)})
    {'rate': 2.5, 'm': (3, 4)}
    """
    inside = children(value)
    if inside is not None:
        parts = {key: refilled(part, f"{name}.{key}", state) for key, part in inside.items()}
        if isinstance(value, tuple):
            return getattr(value, "_make", type(value))(parts.values())
        filled = copy.copy(value)  # a list, a deque or a mapping of the same class
        for key, part in parts.items():
            filled[key] = part
        return filled
    if isinstance(value, Number):
        return type(value)(state[name].item())
    return type(value)(state[name]) if isinstance(value, Variable) else state[name]


# ── Files ────────────────────────────────────────────────────────────────────────────────────────


def save(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state (a module's, an optimizer's or a loader's `state_dict`) as an `.npz` file.

    The file appears whole, under its name, or not at all; an older one stays until then. It keeps
    the older one's permissions. A symbolic link is followed: the file that it leads to is written.

    Raises
    ------
    TypeError
        If a name is not a string, or a value is not numbers.
    ValueError
        If a file cannot keep a name as it is.
    OSError
        If the file cannot be written, or the path leads to a folder, a device or a pipe.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save({"slope": np.array([1.0, 2.0])}, f"{folder}/line.npz")
    ...     load(f"{folder}/line.npz")
    {'slope': array([1., 2.])}
    """
    arrays = {_member(name): _numbers(name, value) for name, value in state.items()}
    path = os.path.realpath(path)
    old = os.lstat(path).st_mode if os.path.lexists(path) else None
    if old is not None and not stat.S_ISREG(old):
        raise OSError(f"{path} is a folder, a device, a pipe or a circle of links, not a file")
    # Write beside the file, so that the replacement stays on one disk, where it is a single step.
    # The new file's name is short, and tells which file it belongs to.
    folder, name = os.path.split(path)
    prefix = f".tinygrad_edu-{zlib.crc32(os.fsencode(name)):08x}-"
    part = os.path.join(folder, f"{prefix}{uuid.uuid4().hex[:12]}.part")
    try:
        _remove_abandoned(folder, prefix)
        with _locked(part) as file:
            with zipfile.ZipFile(file, "w") as archive:
                for member, array in arrays.items():
                    with archive.open(member, "w", force_zip64=True) as stream:
                        np.lib.format.write_array(stream, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
            if old is not None and old != os.stat(part).st_mode:
                os.chmod(part, stat.S_IMODE(old))
            if fcntl is None:
                file.close()  # Windows renames no open file
            os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        error.add_note(
            f"while saving {path}: a new file is written beside it first, so its folder must allow "
            "that; what was there before is whole"
        )
        raise


def _member(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a name must be a string, but {name!r} is a {type(name).__name__}")
    member = f"{name}.npy"
    with contextlib.suppress(UnicodeEncodeError):
        if zipfile.ZipInfo(member).filename == member and len(member.encode()) < 2**16:
            return member
    raise ValueError(f"a file cannot keep the name {name!r:.80}: use letters, digits and dots")


def _numbers(name: str, value: Any) -> Array:
    array = backend.move(as_array(value), "numpy")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} is a {type(value).__name__}, and only numbers can be saved")
    return array


def _locked(part: str) -> BinaryIO:
    """Make a new file and lock it until it is closed, be it because its process was killed."""
    while True:
        file = open(part, "xb")  # noqa: SIM115 (save closes it)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network disks have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another save took it for an abandoned one, before it was locked


def _remove_abandoned(folder: str, prefix: str) -> None:
    """Remove what saves of this file that were killed have left: what nobody has locked."""
    names: list[str] = []
    with contextlib.suppress(OSError):  # a folder may take files and list none
        names = [name for name in os.listdir(folder) if name.startswith(prefix)]
    for name in names:
        with contextlib.suppress(OSError), open(os.path.join(folder, name), "rb") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(file.name)  # Windows refuses that where it is open elsewhere


def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read what `save` wrote. Nothing is unpickled, so a forged file can run no code.

    No more memory is taken than the file is long.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or is not as `save` writes them.
    MemoryError, OSError
        If there is no room for the arrays, or the disk cannot be read.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _unpacked(archive, os.fstat(file.fileno()).st_size)
        except Exception as error:  # a damaged file can bring out almost any of them
            # EINVAL comes of a damaged offset, which no file has.
            of_disk = isinstance(error, OSError) and error.errno != errno.EINVAL
            if of_disk or isinstance(error, MemoryError):
                raise
            raise ValueError(f"{path} is no whole .npz file of numbers: {error}") from error


def _unpacked(archive: zipfile.ZipFile, size: int) -> dict[str, np.ndarray[Any, Any]]:
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed, which save never does")
    if sum(member.file_size for member in members) > size:
        raise ValueError("its arrays would be longer than the file")
    state: dict[str, np.ndarray[Any, Any]] = {}
    for member in members:
        name = member.orig_filename.removesuffix(".npy")
        if _member(name) != member.orig_filename or name in state:
            raise ValueError(f"{member.orig_filename!r} is not an array, or comes twice")
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            headers = {(1, 0): np.lib.format.read_array_header_1_0,
                       (2, 0): np.lib.format.read_array_header_2_0}  # fmt: skip
            shape, _, dtype = headers[version](stream)
            start = stream.tell()
        if dtype.kind not in "fiub":
            raise ValueError(f"{name} is not numbers")
        if start + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{name} is longer or shorter than it says")
        with archive.open(member) as stream:  # to the end, where the checksum is compared
            state[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return state
