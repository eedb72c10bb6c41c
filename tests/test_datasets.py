"""Real data: the digits of the package, and downloads, from a server on this machine."""

import contextlib
import gzip
import hashlib
import http.server
import sys
import threading
import traceback
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import datasets

PARTS = ["train-images", "train-labels", "t10k-images", "t10k-labels"]


def host(dataset):
    return [tg.backend.move(array, "numpy") for array in dataset.arrays]


# Digits


def raw_digits():
    with np.load(resources.files("tinygrad_edu") / "digits.npz", allow_pickle=False) as archive:
        return archive["images"], archive["labels"]


@pytest.mark.parametrize(("part", "length"), [(0, 1437), (1, 360)])
def test_digits_have_their_shapes_and_dtypes(part, length):
    images, labels = host(datasets.digits()[part])
    assert (images.shape, images.dtype.name) == ((length, 64), "float32")
    assert (labels.shape, labels.dtype.name) == ((length,), "int64")


@pytest.mark.parametrize("part", [0, 1])
def test_digits_are_sixteenths_from_0_to_1(part):
    images, labels = host(datasets.digits()[part])
    assert set(np.unique(images * 16)) == set(range(17))
    assert set(labels) == set(range(10))


@pytest.mark.parametrize("part", [0, 1])
def test_each_digit_has_its_share(part):
    _, labels = host(datasets.digits()[part])
    shares = np.bincount(labels) / len(labels)
    assert shares.min() > 0.07
    assert shares.max() < 0.13


@pytest.mark.parametrize(
    ("place", "name", "sha256"),
    [
        (0, "images", "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"),
        (1, "labels", "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"),
    ],
)
def test_the_files_bytes_are_the_documented_ones(place, name, sha256):
    array = raw_digits()[place]
    assert array.dtype == "uint8"
    assert hashlib.sha256(array.tobytes()).hexdigest() == sha256
    text = " ".join((resources.files("tinygrad_edu") / "DIGITS.md").read_text("utf-8").split())
    assert f"{name} `{sha256}`" in text


def test_train_and_test_are_all_the_images_once():
    images, labels = raw_digits()
    rows = np.column_stack([images.reshape(1797, 64), labels])
    parts = [np.column_stack([x * 16, y]) for x, y in map(host, datasets.digits())]
    assert sorted(np.concatenate(parts).tolist()) == sorted(rows.tolist())


def test_the_split_never_changes():
    _, labels = host(datasets.digits()[1])
    assert hashlib.sha256(labels.astype("uint8").tobytes()).hexdigest() == (
        "2afb26f01c4ab83cd8bfb3c55e54cc7568449a914de2d2369dc3aeb6168fcd64"
    )


def test_digits_are_on_the_current_backend():
    arrays = [array for dataset in datasets.digits() for array in dataset.arrays]
    assert {tg.backend.name_of(array) for array in arrays} == {tg.backend.current()}


# Downloads


def file_name(part):
    return f"{part}-idx{3 if 'images' in part else 1}-ubyte.gz"


def packed(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes(), mtime=0)


def made_up(seed):
    """Make a tiny dataset: six images of 2 × 3 pixels to train with, four to test."""
    generator = np.random.default_rng(seed)
    shapes = [(6, 2, 3), (6,), (4, 2, 3), (4,)]
    return {
        part: generator.integers(0, 256 if len(shape) > 1 else 10, shape).astype("uint8")
        for part, shape in zip(PARTS, shapes, strict=True)
    }


def check(got, arrays):
    """Compare what was returned with what was made up."""
    for dataset, images, labels in zip(got, PARTS[::2], PARTS[1::2], strict=True):
        x, y = host(dataset)
        assert (x.dtype.name, y.dtype.name) == ("float32", "int64")
        np.testing.assert_array_equal(x, arrays[images].reshape(-1, 6) / np.float32(255))
        np.testing.assert_array_equal(y, arrays[labels])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        content = self.server.files.get(self.path)
        if self.server.endless:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                while self.server.sent < 1_000_000_000:
                    self.server.sent += self.wfile.write(bytes(100_000))
            return
        self.send_response(200 if content is not None else 404, self.server.reason)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a made-up MNIST, with an empty cache and no other source."""
    pooch = pytest.importorskip("pooch")
    pytest.importorskip("tqdm")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        server.requests, server.files = [], {}
        server.reason, server.endless, server.sent = None, False, 0
        server.cache = tmp_path / "cache" / "tinygrad_edu"
        offer(server, monkeypatch, "MNIST", seed=0)
        yield server
        server.shutdown()
        thread.join()


def offer(server, monkeypatch, dataset, seed, debian=None):
    """Put a made-up dataset on the server, and in the place of the real one."""
    files = {part: packed(array) for part, array in made_up(seed).items()}
    server.files |= {f"/{dataset}/{file_name(part)}": files[part] for part in PARTS}
    source = datasets.Source(
        url=f"http://127.0.0.1:{server.server_port}/{dataset}/",
        md5={part: hashlib.md5(file).hexdigest() for part, file in files.items()},
        debian=debian,
        sha256={
            part: hashlib.sha256(gzip.decompress(file)).hexdigest() for part, file in files.items()
        },
    )
    monkeypatch.setattr(datasets, dataset, source)


def test_what_is_not_there_is_downloaded(server):
    check(datasets.mnist(), made_up(0))
    assert server.requests == [f"/MNIST/{file_name(part)}" for part in PARTS]


def test_what_was_downloaded_is_kept(server):
    datasets.mnist()
    server.requests.clear()
    check(datasets.mnist(), made_up(0))
    assert server.requests == []


def test_two_datasets_of_equal_file_names_are_kept_apart(server, monkeypatch):
    offer(server, monkeypatch, "FASHION_MNIST", seed=1)
    for _ in range(2):
        check(datasets.mnist(), made_up(0))
        check(datasets.fashion_mnist(), made_up(1))
    assert len(server.requests) == 8


@pytest.mark.parametrize("part", PARTS)
def test_a_download_that_is_not_the_known_file_is_refused_and_not_kept(server, part):
    server.files[f"/MNIST/{file_name(part)}"] += b"!"
    with pytest.raises(ValueError, match=file_name(part)):
        datasets.mnist()
    names = [path.name for path in (server.cache / "mnist").iterdir()]
    assert sorted(names) == sorted(map(file_name, PARTS[: PARTS.index(part)]))


def test_a_file_that_the_server_lacks_is_an_error(server):
    del server.files[f"/MNIST/{file_name('train-labels')}"]
    with pytest.raises(OSError, match="404"):
        datasets.mnist()


def test_a_server_that_does_not_stop_is_stopped_at_the_known_size(server, monkeypatch):
    source = datasets.MNIST
    sizes = {part: len(server.files[f"/MNIST/{file_name(part)}"]) for part in PARTS}
    monkeypatch.setattr(datasets, "MNIST", source._replace(size=sizes))
    check(datasets.mnist(), made_up(0))
    (server.cache / "mnist" / file_name("train-labels")).unlink()
    server.endless = True
    with pytest.raises(OSError, match="mnist cannot be downloaded: the server sends more bytes"):
        datasets.mnist()
    assert not (server.cache / "mnist" / file_name("train-labels")).exists()
    assert server.sent < sizes["train-labels"] + 10_000_000  # what was on its way


@pytest.mark.parametrize("source", [datasets.MNIST, datasets.FASHION_MNIST])
def test_every_real_file_has_a_checksum_a_size_and_a_safe_way(source):
    assert source.url.startswith("https://")
    assert list(source.md5) == list(source.size) == PARTS


def test_what_a_server_says_cannot_steer_the_terminal(server):
    server.reason = "Not\x1b[2J\x07Found\x9b5m"
    del server.files[f"/MNIST/{file_name('train-images')}"]
    with pytest.raises(OSError, match="404") as caught:
        datasets.mnist()
    text = "".join(traceback.format_exception(caught.value))
    assert "\\x1b[2J\\x07Found" in text
    assert all(c.isprintable() or c == "\n" for c in text)


def test_a_server_that_is_down_is_an_error(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match="127.0.0.1"):
        datasets.mnist()


def test_a_damaged_file_in_the_cache_is_downloaded_anew(server):
    datasets.mnist()
    server.requests.clear()
    path = server.cache / "mnist" / file_name("train-images")
    path.write_bytes(path.read_bytes()[:-20])
    check(datasets.mnist(), made_up(0))
    assert server.requests == [f"/MNIST/{file_name('train-images')}"]


def test_without_pooch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"mnist is not .* pip install 'tinygrad_edu\[data\]'"):
        datasets.mnist()


# Debian's files


@pytest.fixture
def debian(server, tmp_path, monkeypatch):
    """Install a made-up Fashion-MNIST as Debian would, packed in its own way."""
    folder = tmp_path / "debian"
    folder.mkdir()
    offer(server, monkeypatch, "FASHION_MNIST", seed=1, debian=folder)
    for part in PARTS:
        content = gzip.decompress(server.files[f"/FASHION_MNIST/{file_name(part)}"])
        (folder / file_name(part)).write_bytes(gzip.compress(content, 1, mtime=1))
    return folder


def test_installed_files_are_taken_without_pooch(debian, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    check(datasets.fashion_mnist(), made_up(1))
    assert server.requests == []


def test_a_file_that_is_not_installed_is_downloaded(debian, server):
    (debian / file_name("t10k-labels")).unlink()
    check(datasets.fashion_mnist(), made_up(1))
    assert server.requests == [f"/FASHION_MNIST/{file_name('t10k-labels')}"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-4],
        lambda content: content[:-9],
        lambda content: content[:5],
        lambda content: b"",
        lambda content: b"no gzip file",
        lambda content: content[:12] + bytes([content[12] ^ 255]) + content[13:],
        lambda content: gzip.compress(gzip.decompress(content)[:-1] + b"!"),
        lambda content: gzip.compress(b""),
    ],
    ids="cut-checksum cut-data cut-header empty text flipped other-content nothing".split(),
)
def test_a_damaged_installed_file_is_refused_by_name(debian, part, damage):
    path = debian / file_name(part)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="is damaged, remove it") as caught:
        datasets.fashion_mnist()
    assert str(path) in str(caught.value)


def test_the_real_fashion_mnist_is_whole():
    if not Path("/usr/share/datasets/fashion-mnist").exists():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    for dataset, each in zip(datasets.fashion_mnist(), (6000, 1000), strict=True):
        images, labels = host(dataset)
        assert (images.shape, images.dtype.name) == ((10 * each, 784), "float32")
        assert (images.min(), images.max()) == (0, 1)
        assert np.bincount(labels).tolist() == [each] * 10
