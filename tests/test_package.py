"""What is installed: its public names, and its files."""

import builtins
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functions, numpy_functions, ops

PACKAGE = Path(tg.__file__).parent


def test_a_star_import_hides_no_name_of_pythons_own():
    names = {}
    exec("from tinygrad_edu import *", names)
    assert not (names.keys() - {"__builtins__"}) & set(dir(builtins))
    assert {"Tensor", "CriticalPoint", "Eigenpairs"} <= names.keys()


def test_what_is_public_is_documented_and_can_be_had_from_the_package():
    for name in [*tg.__all__, "abs", "max", "min", "sum"]:
        assert getattr(tg, name).__doc__, name


# Where an operation can be found

OPERATIONS = {
    name: function
    for module in (ops, functions)
    for name, function in vars(module).items()
    if getattr(function, "__module__", "") == module.__name__ and not name.startswith("_")
}
INNER = {"select", "scatter", "restore_axes"}  # what the VJPs of others are made of
OPERATORS = {"add", "subtract", "negative", "multiply", "divide", "power", "getitem"}


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - INNER - OPERATORS))
def test_an_operation_can_be_had_from_the_package(name):
    assert vars(tg).get(name) is OPERATIONS[name], "import it in __init__.py"
    assert name in tg.__all__ or hasattr(builtins, name), "list it in __init__.py, in __all__"


def has_one_operand(function):
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    return kinds.count(inspect.Parameter.POSITIONAL_ONLY) == 1


OF_ONE = {name for name in OPERATIONS if has_one_operand(OPERATIONS[name])} - INNER - OPERATORS


@pytest.mark.parametrize("name", sorted(OF_ONE))
def test_an_operation_on_one_array_is_a_method(name):
    method = vars(tg.Tensor).get(name)
    assert method is OPERATIONS[name] or name in ("reshape", "transpose"), (
        f"add to tensor.py: {name} = ops.{name}"
    )


OF_NUMPY = {name for name in OPERATIONS if hasattr(np, name)} - INNER
OF_NUMPY -= {"astype"}  # np.astype came with NumPy 2.1


@pytest.mark.parametrize("name", sorted(OF_NUMPY))
def test_numpys_function_of_the_same_name_is_recorded(name):
    recorded = numpy_functions.UFUNCS.keys() | numpy_functions.FUNCTIONS.keys()
    assert getattr(np, name) in recorded, f"add np.{name} to the tables in numpy_functions.py"


def test_what_public_functions_return_is_public():
    for name in tg.__all__:
        function = getattr(tg, name)
        returned = getattr(function, "__annotations__", {}).get("return", "")
        found = getattr(function, "__globals__", {}).get(returned)
        if isinstance(found, type) and found.__module__.startswith("tinygrad_edu."):
            assert returned in tg.__all__, f"{name} returns {returned}"


def test_the_package_runs_from_a_zip(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "tinygrad_edu", ignore=shutil.ignore_patterns("*.pyc"))
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "tinygrad_edu")
    code = "import tinygrad_edu as tg; print(tg.__file__, len(tg.datasets.digits()[0]))"
    code = f"import sys; sys.path.insert(0, {packed!r}); {code}"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "..")
    where = Path(packed) / "tinygrad_edu" / "__init__.py"
    assert done.stdout == f"{where} 1437\n", done.stderr
