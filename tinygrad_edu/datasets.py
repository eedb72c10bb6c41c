"""Real data: digits, which comes with the package, and Fashion-MNIST and MNIST at full size."""

from __future__ import annotations

import contextlib
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tinygrad_edu.data import TensorDataset


def digits() -> tuple[TensorDataset, TensorDataset]:
    """Return the UCI handwritten digits: 1437 images to train with, and 360 to test.

    They are part of the package: nothing is downloaded.

    Returns
    -------
    train, test : TensorDataset
        Images as (N, 64) float32 from 0 to 1, 8 × 8 pixels row by row, and labels as (N,) int64.

    Notes
    -----
    E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning
    Repository (1998), doi:10.24432/C50P49, CC BY 4.0. These are the 1797 images of its test part,
    mixed once, since neighbors in the file were written by the same hand.

    Examples
    --------
    >>> train, test = digits()
    >>> len(train), len(test)
    (1437, 360)
    >>> images, labels = test[:3]
    >>> images.shape, labels
    ((3, 64), Tensor([7, 9, 4], dtype=int64))
    """
    file = files("tinygrad_edu") / "digits.npz"  # also where the package is in a zip
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    # RandomState's streams are frozen for good; default_rng's may change with NumPy's versions.
    mixed = np.random.RandomState(0).permutation(len(labels))
    train, test = mixed[:1437], mixed[1437:]
    return _dataset(images[train], labels[train], 16), _dataset(images[test], labels[test], 16)


def _dataset(images: Any, labels: Any, brightest: int) -> TensorDataset:
    rows = images.reshape(len(images), -1).astype("float32")
    rows /= brightest
    return TensorDataset(rows, labels.astype("int64"))


class Source(NamedTuple):
    """Where the four files of a dataset are: images and labels, to train with and to test."""

    url: str
    md5: dict[str, str]  # of the packed files, as they are downloaded
    debian: Path | None  # where Debian's package has them, packed anew
    sha256: dict[str, str]  # so these are of the unpacked bytes
    size: dict[str, int] | None = None  # of the packed files: where a download stops


FASHION_MNIST = Source(
    url="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    md5={
        "train-images": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    debian=Path("/usr/share/datasets/fashion-mnist"),
    sha256={
        "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    size={
        "train-images": 26421880,
        "train-labels": 29515,
        "t10k-images": 4422102,
        "t10k-labels": 5148,
    },
)

MNIST = Source(
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    md5={
        "train-images": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    debian=None,
    sha256={},
    size={
        "train-images": 9912422,
        "train-labels": 28881,
        "t10k-images": 1648877,
        "t10k-labels": 4542,
    },
)


def fashion_mnist() -> tuple[TensorDataset, TensorDataset]:
    """Return Fashion-MNIST: 60000 images of clothes to train with, and 10000 to test.

    The files are taken from Debian's package `dataset-fashion-mnist`, if it is installed, or from
    the cache, or else downloaded into the cache (31 MB).

    Returns
    -------
    train, test : TensorDataset
        Images as (N, 784) float32 from 0 to 1, 28 × 28 pixels row by row, and labels as (N,) int64.

    Raises
    ------
    ImportError
        If the files must be downloaded, and pooch is not installed.
    ValueError
        If a file is damaged. It is named, and not used.
    OSError
        If the download fails.

    Notes
    -----
    H. Xiao, K. Rasul and R. Vollgraf, *Fashion-MNIST* (2017), arXiv:1708.07747, MIT license.
    """
    return _images_and_labels("fashion-mnist", FASHION_MNIST)


def mnist() -> tuple[TensorDataset, TensorDataset]:
    """Return MNIST, the lecture's own data: 60000 digits to train with, 10000 to test.

    The files are taken from the cache, or else downloaded into it (11 MB). What is returned and
    raised is as for `fashion_mnist`.

    Notes
    -----
    Y. LeCun, C. Cortes and C. Burges, *The MNIST database of handwritten digits* (1998).
    """
    return _images_and_labels("mnist", MNIST)


def _images_and_labels(name: str, source: Source) -> tuple[TensorDataset, TensorDataset]:
    train_images, train_labels, test_images, test_labels = (
        _read(_find(name, source, part), source.sha256.get(part)) for part in source.md5
    )
    return _dataset(train_images, train_labels, 255), _dataset(test_images, test_labels, 255)


def _file(part: str) -> str:
    return f"{part}-idx{3 if part.endswith('images') else 1}-ubyte.gz"


def _find(name: str, source: Source, part: str) -> Path:
    if source.debian is not None and (source.debian / _file(part)).exists():
        return source.debian / _file(part)
    try:
        import pooch
        import tqdm  # noqa: F401 (pooch shows its progress with it)
    except ImportError as error:
        raise ImportError(
            f"{name} is not on this machine, and downloading it needs pooch: "
            "python -m pip install 'tinygrad_edu[data]'"
        ) from error
    cache = pooch.create(
        path=pooch.os_cache("tinygrad_edu") / name,
        base_url=source.url,
        registry={_file(part): f"md5:{md5}" for part, md5 in source.md5.items()},
    )

    def download(url: str, output: str, cache: Any) -> None:
        with contextlib.ExitStack() as opened:
            file = opened.enter_context(open(output, "wb"))
            limited = _Limited(file, (source.size or {}).get(part, sys.maxsize))
            closing = {"response": lambda response, **_: opened.enter_context(response)}
            get = pooch.HTTPDownloader(progressbar=True, timeout=30, hooks=closing)
            get(url, limited, cache)

    try:
        # `fetch` checks the MD5 of a cached file, and that of a new one before it is put there.
        return Path(cache.fetch(_file(part), downloader=download))
    except (OSError, ValueError) as error:
        # The server's own words are in it, and could make a terminal do as they say.
        words = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(error))
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"{name} cannot be downloaded: {words}") from None


class _Limited:
    """A file to write to, up to a number of bytes."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.flush, self.left = file, file.flush, size

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise OSError("the server sends more bytes than the file is known to have")
        self.file.write(chunk)


def _read(path: Path, sha256: str | None) -> Any:
    import gzip  # here, since they take a third of the time to import this package
    import hashlib
    import zlib

    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged, remove it: {error}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged, remove it: its SHA-256 is not the known one")
    # The format IDX: 0, 0, 8 for bytes, the number of axes, their lengths, the bytes.
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
