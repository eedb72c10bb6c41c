"""Five programs as their users would write them first: they run, and type checkers accept them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu as tg

HERE = Path(__file__).parent
PROGRAMS = sorted((HERE / "users").glob("*.py"))


def python(*arguments):
    path = os.pathsep.join([str(Path(tg.__file__).parents[1]), *sys.path])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_program_runs(program):
    before = f"import runpy, tinygrad_edu; tinygrad_edu.use({tg.backend.current()!r})"
    done = python("-W", "error", "-c", f"{before}; runpy.run_path({str(program)!r})")
    assert done.returncode == 0, done.stderr


def test_mypy_accepts_the_programs():
    pytest.importorskip("mypy", reason="mypy is not installed")
    done = python("-m", "mypy", "--strict", "--follow-imports=silent", *PROGRAMS)
    assert done.returncode == 0, done.stdout


def test_pyright_accepts_the_programs():
    pytest.importorskip("basedpyright", reason="basedpyright is not installed")
    done = python("-m", "basedpyright", "--pythonpath", sys.executable, *PROGRAMS)
    assert done.returncode == 0, done.stdout
