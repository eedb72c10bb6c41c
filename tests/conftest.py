"""The backend that the suite runs on: pytest --backend numpy | stand-in | cupy."""

import sys
from pathlib import Path

import pytest

import tinygrad_edu as tg


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        choices=["numpy", "stand-in", "cupy"],
        default="numpy",
        help="run every test on NumPy, on a stand-in for CuPy, or on CuPy and a GPU",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "host: only about NumPy arrays on the host")
    choice = config.getoption("--backend")
    if choice == "stand-in":
        sys.path.insert(0, str(Path(__file__).parent / "stand_in"))
    tg.use("numpy" if choice == "numpy" else "cupy")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--backend") != "numpy":
        skip = pytest.mark.skip(reason="only about NumPy arrays on the host")
        for item in items:
            if "host" in item.keywords or isinstance(item, pytest.DoctestItem):
                item.add_marker(skip)
