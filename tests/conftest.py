"""The backend that the suite runs on: pytest --backend numpy | stand-in | cupy."""

import sys
from pathlib import Path

import pytest
from chromium import address, browser, tab, violations, window  # noqa: F401, fixtures

import tinygrad_edu as tg

collect_ignore = ["mutation", "node"]  # for Cosmic Ray; for Python under Node


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        choices=["numpy", "stand-in", "cupy"],
        default="numpy",
        help="run every test on NumPy, on a stand-in for CuPy, or on CuPy and a GPU",
    )

    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_configure(config):
    config.addinivalue_line("markers", "host: only about NumPy arrays on the host")
    config.addinivalue_line("markers", "long: takes minutes; runs with --long")
    choice = config.getoption("--backend")
    if choice == "stand-in":
        sys.path.insert(0, str(Path(__file__).parent / "stand_in"))
    tg.use("numpy" if choice == "numpy" else "cupy")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        later = pytest.mark.skip(reason="takes minutes: run it with --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(later)
    if config.getoption("--backend") != "numpy":
        skip = pytest.mark.skip(reason="only about NumPy arrays on the host")
        for item in items:
            if "host" in item.keywords or isinstance(item, pytest.DoctestItem):
                item.add_marker(skip)
