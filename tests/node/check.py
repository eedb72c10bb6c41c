"""In Python for the browser: the doctests of the package, and the code of the chapters.

Run by pyodide.mjs; ends in the number of failures.
"""

import doctest
import importlib
import pkgutil
import sys
from pathlib import Path

ROOT = Path("/repository")
sys.dont_write_bytecode = True  # not into the repository
sys.path[:0] = [str(ROOT), str(ROOT / "docs_tools")]

import fences

import tinygrad_edu

ABSENT = {"distributed"}  # MPI
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def count_failures():
    """Run everything, print what failed, and return how much."""
    failures = tried = ran = 0
    for module in pkgutil.iter_modules(tinygrad_edu.__path__):
        if module.name not in ABSENT:
            found = importlib.import_module(f"tinygrad_edu.{module.name}")
            failed, attempted = doctest.testmod(found, optionflags=FLAGS)
            failures, tried = failures + failed, tried + attempted
    docs = ROOT / "docs"
    for page in [docs / "index.md", docs / "fifteen_minutes.md", *docs.glob("source/*.md")]:
        name, before = page.relative_to(ROOT).as_posix(), ran
        try:
            for _ in fences.run(page.read_text("utf-8"), name, {"__name__": name}, browser=True):
                ran += 1
        except BaseException as error:
            failures += 1
            what = f"{type(error).__name__}: {error}"
            print(f"{name} fails after {ran - before} blocks of code: {what}")
    print(f"{tried} examples of docstrings, {ran} blocks of code on pages: {failures} failures")
    return failures


count_failures()
