"""Change one thing in a module, and see whether a test notices: mutation testing.

nox -s mutation -- ops     # every mutant of a module, in some minutes

Cosmic Ray makes the mutants. Each is tested in its own copy of the tree, first by the tests of its
module. build/mutation/ops.md lists what survives. Read it: either a test is missing, or the change
makes no difference.
"""

import ast
import difflib
import functools
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import hypothesis.extra.numpy  # noqa: F401 - once here, instead of in each of the forks
import pytest
from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from tqdm import tqdm

ROOT = Path(__file__).parent.parent.parent
OWN = {"functions": "ops"}  # whose tests come first, where a module has no file of its own
OTHER = "datasets docs examples faults long main oracle pages programs site site_pages".split()
ALL = ["tests", "tinygrad_edu", "README.md", *(f"--ignore=tests/test_{name}.py" for name in OTHER)]


def program(source):
    """Return what runs: all but the annotations."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


def mutants(path):
    """List the programs that differ in one place: (line, what stands there instead, source)."""
    source = path.read_text(encoding="utf-8")
    seen, found = {program(source)}, []
    for item in _all_work_items([path], {}):
        (mutation,) = item.mutations
        mutant = mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence)
        try:
            changed = program(mutant)
        except SyntaxError:  # the / of a signature is no division
            continue
        if changed not in seen:
            seen.add(changed)
            both = list(difflib.ndiff(source.splitlines(), mutant.splitlines()))
            removed, added = ([x[2:].strip() for x in both if x[0] == sign] for sign in "-+")
            found.append([" ".join(removed), " ".join(added), mutant])
    return found


def survives(path, source, seconds=600):
    """Tell whether all tests pass with this source instead of a module's own."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "site"))
        (copy / path.relative_to(ROOT)).write_text(source, encoding="utf-8")
        own = [f"tests/test_{OWN.get(path.stem, path.stem)}.py"]
        runs = [own, ALL]
        return all(passes(copy, tests, seconds) for tests in runs)


def passes(copy, tests, seconds):
    """Run tests in a process of its own, which a mutant may crash, or keep from ever ending."""
    child = os.fork()
    if not child:
        try:
            signal.alarm(seconds)
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            os.chdir(copy)
            os.environ["CI"] = "1"  # Hypothesis draws the same numbers each time
            sys.path.insert(0, str(copy))
            os._exit(pytest.main(["-x", "--assert=plain", "--rootdir", str(copy), *tests]))
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def report(module, tried, survivors):
    """Write which mutants survive, as differences."""
    lines = [f"# Mutants of {module}", "", f"{len(survivors)} of {tried} survive.", ""]
    for before, after, _ in survivors:
        lines += ["```diff", f"-{before}", f"+{after}", "```", ""]
    file = ROOT / "build" / "mutation" / f"{module}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8")
    print(f"{module}: {len(survivors)} of {tried} mutants survive. Written: {file}")


def main():
    """Try the mutants of one module."""
    (module,) = sys.argv[1:]
    path = ROOT / "tinygrad_edu" / f"{module}.py"
    tried = mutants(path)
    start = time.monotonic()
    assert survives(path, path.read_text(encoding="utf-8")), "the tests fail without a mutant"
    work = functools.partial(survives, path, seconds=3 * round(time.monotonic() - start))
    with multiprocessing.Pool() as pool:
        lives = pool.imap(work, [source for _, _, source in tried])
        survivors = [m for m, alive in zip(tried, tqdm(lives, total=len(tried))) if alive]
    report(module, len(tried), survivors)


if __name__ == "__main__":
    main()
