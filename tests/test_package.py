"""What is installed: its public names, and its files."""

import builtins
import shutil
import subprocess
import sys
from pathlib import Path

import tinygrad_edu as tg

PACKAGE = Path(tg.__file__).parent


def test_a_star_import_hides_no_name_of_pythons_own():
    names = {}
    exec("from tinygrad_edu import *", names)
    assert not (names.keys() - {"__builtins__"}) & set(dir(builtins))
    assert {"Tensor", "CriticalPoint", "Eigenpairs"} <= names.keys()


def test_what_is_public_is_documented_and_can_be_had_from_the_package():
    for name in [*tg.__all__, "abs", "max", "min", "sum"]:
        assert getattr(tg, name).__doc__, name


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
