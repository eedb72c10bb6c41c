"""States on disk: what is saved comes back, whole and unexecuted, or an error says why."""

import errno
import multiprocessing
import os
import pickle
import signal
import socket
import stat
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.parameters import matched

posix = pytest.mark.skipif(os.name != "posix", reason="needs links, pipes and signals")


class Payload:
    """Creates a file if it is ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def saved(tmp_path, state):
    path = tmp_path / "state.npz"
    tg.save(state, path)
    return path


# There and back


@pytest.mark.parametrize(
    "value",
    [
        np.float32([[0.1, -2], [np.inf, 5e-45]]),
        np.float64([0.1, 1e-300]),
        np.float16([0.5]),
        np.int64([-1, 2**62]),
        np.uint8([0, 255]),
        np.array([True, False]),
        np.array(2.5),
        np.zeros((0, 3)),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(6)[::-2],
    ],
    ids=lambda value: f"{value.dtype} {value.shape}",
)
def test_an_array_comes_back_as_it_was(tmp_path, value):
    back = tg.load(saved(tmp_path, {"value": value}))["value"]
    assert (back.dtype, back.shape) == (value.dtype, value.shape)
    np.testing.assert_array_equal(back, value)


@pytest.mark.parametrize(("number", "dtype"), [(0.1, "float64"), (3, "int64"), (True, "bool")])
def test_a_number_comes_back_as_an_array_of_shape_0(tmp_path, number, dtype):
    back = tg.load(saved(tmp_path, {"number": number}))["number"]
    assert (back.dtype.name, back.shape, back.item()) == (dtype, (), number)


def test_not_a_number_comes_back(tmp_path):
    back = tg.load(saved(tmp_path, {"x": np.array([np.nan, 1])}))["x"]
    np.testing.assert_array_equal(back, [np.nan, 1])


def test_names_come_back_in_their_order(tmp_path):
    names = ["layers.10.weight", "layers.2.weight", "file", "self", "allow_pickle", "m.0", "η"]
    back = tg.load(saved(tmp_path, {name: place for place, name in enumerate(names)}))
    assert [(name, array.item()) for name, array in back.items()] == [
        (name, place) for place, name in enumerate(names)
    ]


def test_arrays_of_the_backend_come_back_to_the_host(tmp_path):
    back = tg.load(saved(tmp_path, {"w": tg.Tensor([1.0, 2.0]).data}))["w"]
    assert type(back) is np.ndarray
    assert back.tolist() == [1, 2]


def test_an_empty_state_comes_back(tmp_path):
    assert tg.load(saved(tmp_path, {})) == {}


@pytest.mark.parametrize("kind", [str, Path])
def test_the_file_has_just_the_name_that_was_given(tmp_path, kind):
    path = kind(tmp_path / "run.state")
    tg.save({"a": 1}, path)
    assert files(tmp_path) == ["run.state"]
    assert tg.load(path) == {"a": 1}


def test_a_file_in_the_current_folder_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tg.save({"a": 1}, "here.npz")
    assert tg.load("here.npz") == {"a": 1}


def test_numpy_reads_the_file(tmp_path):
    with np.load(saved(tmp_path, {"a": np.arange(3)}), allow_pickle=False) as archive:
        assert archive["a"].tolist() == [0, 1, 2]


def test_saving_again_replaces_the_file(tmp_path):
    saved(tmp_path, {"a": 1, "b": 2})
    assert tg.load(saved(tmp_path, {"a": 3})) == {"a": 3}
    assert files(tmp_path) == ["state.npz"]


def test_the_file_is_as_open_to_others_as_any_new_file(tmp_path):
    other = tmp_path / "other"
    other.touch()
    assert saved(tmp_path, {"a": 1}).stat().st_mode == other.stat().st_mode


# Saving that fails


@pytest.mark.parametrize(
    "value",
    [
        None,
        object(),
        {"a": 1},
        np.array([None]),
        "text",
    ],
)
def test_what_is_not_numbers_is_refused_by_name(tmp_path, value):
    path = saved(tmp_path, {"a": 1})
    with pytest.raises(TypeError, match=r"^odd is a .*, and only numbers can be saved"):
        tg.save({"fine": 2, "odd": value}, path)
    assert tg.load(path) == {"a": 1}
    assert files(tmp_path) == ["state.npz"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failing, error):
    path = saved(tmp_path, {"a": 1})
    before = path.read_bytes()

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(type(error)):
            tg.save({"a": np.arange(1000)}, path)
    assert path.read_bytes() == before
    assert files(tmp_path) == ["state.npz"]


def test_a_first_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            saved(tmp_path, {"a": 1})
    assert files(tmp_path) == []


def test_the_new_file_is_whole_on_disk_before_it_replaces_the_old_one(tmp_path, monkeypatch):
    path = saved(tmp_path, {"a": 1})
    steps = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(handle):
        steps.append(os.fstat(handle).st_size)
        fsync(handle)

    def watched_replace(new, old):
        assert Path(new).parent == tmp_path  # another folder may be on another disk
        steps.append((tg.load(old), tg.load(new)))
        replace(new, old)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    tg.save({"a": 2}, path)
    assert steps == [path.stat().st_size, ({"a": 1}, {"a": 2})]


def test_a_folder_that_does_not_exist_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        tg.save({"a": 1}, tmp_path / "none" / "state.npz")
    assert files(tmp_path) == []


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        tg.save({"a": 1}, tmp_path / "folder")
    assert files(tmp_path) == ["folder"]


# What is there already


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode):
    path = saved(tmp_path, {"a": 1})
    path.chmod(mode)
    assert stat.S_IMODE(saved(tmp_path, {"a": 2}).stat().st_mode) == mode


@posix
@pytest.mark.parametrize("target", ["there", "not yet there"])
def test_a_link_is_followed(tmp_path, target):
    real, link = tmp_path / "runs" / "first.npz", tmp_path / "latest.npz"
    real.parent.mkdir()
    if target == "there":
        tg.save({"a": 1}, real)
    link.symlink_to(Path("runs") / "first.npz")
    tg.save({"a": 2}, link)
    assert link.is_symlink()
    assert tg.load(real) == tg.load(link) == {"a": 2}
    assert files(tmp_path) == ["latest.npz", "runs"]
    assert files(real.parent) == ["first.npz"]


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder", "circle", "to a device"])
def test_what_is_no_file_is_not_replaced(tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "to a device":
        path.symlink_to(os.devnull)
    else:
        path = Path(os.devnull)
    if path.is_symlink():  # to follow it would set its time of access, were that not the later one
        changed = path.lstat().st_mtime_ns
        os.utime(path, ns=(changed + 10**9, changed), follow_symlinks=False)
    before = path.lstat()
    with pytest.raises(OSError, match="not a file"):
        tg.save({"a": 1}, path)
    assert path.lstat() == before
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("letter", ["s", "η"])
def test_a_name_as_long_as_the_disk_allows_is_taken(tmp_path, letter):
    path = tmp_path / (letter * (250 // len(letter.encode())) + ".npz")
    tg.save({"a": 1}, path)
    tg.save({"a": 2}, path)
    assert tg.load(path) == {"a": 2}
    assert files(tmp_path) == [path.name]


def test_a_name_that_is_too_long_is_an_error_that_says_so(tmp_path):
    with pytest.raises(OSError, match="too long"):
        tg.save({"a": 1}, tmp_path / ("s" * 300))
    assert files(tmp_path) == []


def test_a_folder_that_allows_no_new_file_is_an_error_that_says_why(tmp_path, monkeypatch):
    path = saved(tmp_path, {"a": 1})

    def refuse(file, *options):  # as of a folder that is read-only, which root does not mind
        raise PermissionError(errno.EACCES, "Permission denied", file)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        with pytest.raises(PermissionError) as caught:
            tg.save({"a": 2}, path)
    (note,) = caught.value.__notes__
    assert f"while saving {path}: a new file is written beside it first" in note
    assert tg.load(path) == {"a": 1}


def left_by_a_kill(path):
    """Make what a save that was killed leaves behind, and return its name."""
    before = {*files(path.parent)}
    process = multiprocessing.get_context("spawn").Process(target=killed_save, args=(path,))
    process.start()
    process.join()
    (name,) = {*files(path.parent)} - before
    return name


def killed_save(path):
    os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
    tg.save({"a": 0}, path)


@posix
def test_the_next_save_removes_what_killed_ones_left_of_the_same_file(tmp_path):
    path, other = saved(tmp_path, {"a": 1}), tmp_path / "other.npz"
    left_by_a_kill(path)
    left_by_a_kill(path)
    others = left_by_a_kill(other)
    tg.save({"a": 2}, path)
    assert files(tmp_path) == sorted([others, "state.npz"])
    tg.save({"a": 2}, other)
    assert files(tmp_path) == ["other.npz", "state.npz"]


@posix
def test_a_save_does_not_remove_what_another_is_still_writing(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    fsync, numbers = os.fsync, iter(range(3))

    def save_in_between(handle):
        if next(numbers) == 0:
            tg.save({"a": 2}, path)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", save_in_between)
    tg.save({"a": 1}, path)
    assert tg.load(path) == {"a": 1}
    assert files(tmp_path) == ["state.npz"]


@pytest.mark.parametrize("name", [1, None, ("a",), b"a"])
def test_a_name_that_is_not_a_string_is_refused(tmp_path, name):
    with pytest.raises(TypeError, match="a name must be a string"):
        saved(tmp_path, {"a": 1, name: 2})
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["a\0b", "\0", "\ud800", "a" * 70_000], ids=range(4))
def test_a_name_that_a_file_cannot_keep_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="a file cannot keep the name"):
        saved(tmp_path, {"a": 1, name: 2})
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["", ".npy", "a.npy", "a/b", "..", "ü η", "a" * 60_000, " "])
def test_any_other_name_comes_back(tmp_path, name):
    assert tg.load(saved(tmp_path, {"a": 1, name: 2})) == {"a": 1, name: 2}


# Loading what is damaged or forged


def refused(path):
    with pytest.raises(ValueError, match=r"is no whole \.npz file of numbers") as caught:
        tg.load(path)
    return str(path) in str(caught.value)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        tg.load(tmp_path / "none.npz")


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    path = saved(tmp_path, {"w": np.arange(3), "lr": 0.5})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert refused(path)


def test_a_flipped_bit_in_the_numbers_is_noticed(tmp_path):
    numbers = np.arange(100.0)
    path = saved(tmp_path, {"w": numbers})
    content = bytearray(path.read_bytes())
    content[content.index(numbers.tobytes()) + 400] ^= 1
    path.write_bytes(content)
    assert refused(path)


def test_a_damaged_byte_anywhere_is_refused_or_harmless(tmp_path):
    path = saved(tmp_path, {"w": np.arange(3)})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x61]) + whole[place + 1 :])
        try:
            state = tg.load(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017 (both outcomes are right)
        else:
            assert all(array.tolist() == [0, 1, 2] for array in state.values())


@pytest.mark.parametrize("length", [1, 100, 10_000])
def test_random_bytes_are_refused(tmp_path, length):
    path = tmp_path / "random.npz"
    path.write_bytes(np.random.default_rng(0).bytes(length))
    assert refused(path)


def test_a_single_array_is_refused(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.arange(3))
    assert refused(path)


def test_an_archive_of_anything_but_arrays_is_refused(tmp_path):
    path = tmp_path / "text.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no array")
    assert refused(path)


def test_an_archive_of_text_is_refused(tmp_path):
    path = tmp_path / "text.npz"
    np.savez(path, a=np.array(["no", "numbers"]))
    assert refused(path)


def test_a_payload_runs_where_it_is_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))  # so the next two tests can fail
    assert files(tmp_path) == ["ran"]


def test_a_forged_archive_runs_nothing(tmp_path):
    path = tmp_path / "forged.npz"
    np.savez(path, a=np.array([Payload(tmp_path / "ran")]))
    assert refused(path)
    assert files(tmp_path) == ["forged.npz"]


def test_a_pickle_runs_nothing(tmp_path):
    path = tmp_path / "forged.npz"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    assert refused(path)
    assert files(tmp_path) == ["forged.npz"]


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, a=np.zeros(10_000_000))
    tracemalloc.start()
    assert refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def forged_header(shape, content=b"", dtype="<f8"):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


@pytest.mark.parametrize(
    "content",
    [
        forged_header((10**15,)),
        forged_header((2**62, 4)),
        forged_header((-1, -1), bytes(8)),
        forged_header((2,), bytes(8)),
        forged_header((1,), bytes(16)),
        forged_header((1,), bytes(8), "<M8[s]"),
        forged_header((1,), bytes(16), "<c16"),
        forged_header((1,), bytes(8), "|O"),
        b"\x93NUMPY\x03\x00" + forged_header((1,), bytes(8))[8:],
        b"",
    ],
    ids=range(10),
)
def test_an_array_that_is_not_as_long_as_it_says_is_refused(tmp_path, content):
    path = tmp_path / "forged.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
    assert refused(path)


def test_arrays_that_share_their_bytes_are_refused(tmp_path):
    path = saved(tmp_path, {"a": np.zeros(1000), "b": np.zeros(1000)})
    with zipfile.ZipFile(path) as archive:
        first, second = archive.infolist()
    content = path.read_bytes()
    entry = content.rindex(b"PK\x01\x02") + 42  # where the directory says that b starts
    assert int.from_bytes(content[entry : entry + 4], "little") == second.header_offset
    forged = content[:entry] + first.header_offset.to_bytes(4, "little") + content[entry + 4 :]
    path.write_bytes(forged)
    assert refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.npy", "a.npy"), ("a.npy", "b"), ("a\0c.npy",)])
def test_names_that_a_save_does_not_write_are_refused(tmp_path, names):
    path = saved(tmp_path, {"abc": 1})
    with zipfile.ZipFile(path) as archive:
        content = archive.read("abc.npy")
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name.replace("\0", "?"), content)
    path.write_bytes(path.read_bytes().replace(b"a?c", b"a\0c"))
    assert refused(path)


@pytest.mark.parametrize(
    "error", [MemoryError("no room"), OSError(errno.EIO, "bad disk"), KeyboardInterrupt()]
)
def test_what_is_not_the_files_fault_is_not_blamed_on_it(tmp_path, monkeypatch, error):
    path = saved(tmp_path, {"a": 1})

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(np.lib.format, "read_array", fail)
    with pytest.raises(type(error)) as caught:
        tg.load(path)
    assert caught.value is error


def test_a_file_of_version_0_1_0_is_loaded(tmp_path):
    model, optimizer = tg.nn.perceptron(3, 2), tg.Momentum([tg.Tensor(0.0, requires_grad=True)], 1)
    old = {"layers.0.weight": np.ones((3, 2), "f4"), "layers.0.bias": np.zeros(2, "f4")}
    moving = {"lr": 0.5, "momentum": 0.25, "nesterov": True, "m.0": np.array(7.0)}
    for owner, state in ((model, old), (optimizer, moving)):
        path = tmp_path / "old.npz"
        with zipfile.ZipFile(path, "w") as archive:  # as version 0.1.0 wrote it
            for name, value in state.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
        owner.load_state_dict(tg.load(path))
    assert model(tg.Tensor(np.ones(3, "f4"))).numpy().tolist() == [3, 3]
    assert (optimizer.lr, optimizer.momentum, optimizer.nesterov) == (0.5, 0.25, True)
    assert tg.Tensor(optimizer.m[0]).item() == 7


# Matching


def test_a_state_that_fits_is_copied():
    state = {"a": np.array([1.0, 2.0])}
    copies = matched({"a": np.zeros(2)}, state)
    state["a"][:] = 7
    assert copies["a"].tolist() == [1, 2]


def test_numbers_match_arrays_of_shape_0():
    copies = matched({"lr": 0.5, "on": False}, {"lr": np.array(0.1), "on": True})
    assert {name: array.item() for name, array in copies.items()} == {"lr": 0.1, "on": True}


def test_copies_are_on_the_backend_of_ones_own():
    own = {"device": tg.Tensor([0.0]).data, "host": np.zeros(1)}
    copies = matched(own, {"device": np.ones(1), "host": tg.Tensor([1.0]).data})
    assert tg.backend.name_of(copies["device"]) == tg.backend.current()
    assert tg.backend.name_of(copies["host"]) == "numpy"
    assert tg.Tensor(copies["device"]).numpy().tolist() == copies["host"].tolist() == [1]


@pytest.mark.parametrize(
    ("state", "problems"),
    [
        ({}, "a is missing; b is missing"),
        ({"a": np.zeros(2), "b": 0.0, "c": 1}, "c is unknown here"),
        ({"a": np.zeros((2, 1)), "b": 0.0}, "a is float64 (2, 1), not float64 (2,)"),
        ({"a": np.zeros(2, "f4"), "b": 0}, "a is float32 (2,), not float64 (2,); "
         "b is int64 (), not float64 ()"),
        ({"b": 0, "c": 1}, "a is missing; b is int64 (), not float64 (); c is unknown here"),
    ],
)  # fmt: skip
def test_all_mismatches_are_listed(state, problems):
    with pytest.raises(ValueError, match="the state does not fit: ") as caught:
        matched({"a": np.zeros(2), "b": 0.0}, state)
    assert str(caught.value) == f"the state does not fit: {problems}"
