"""What was tried, what was found, and what the tests cannot see: checked by test_trust.py.

python tests/trust.py > docs/trust.md   writes the page anew.
"""

import ast
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import test_long
import test_ops
import test_properties
from mistakes import MISTAKES

HERE = Path(__file__).parent
ROOT = HERE.parent


class Found(NamedTuple):
    """What was wrong, and the test that would find it again."""

    what: str
    test: str


FOUND = [
    Found(
        "A repeated index in a tuple inside a tuple, `x[(0, 0),]`, was counted once.",
        "test_indexing.py::test_values_and_gradients_are_those_of_numpy[a tuple in a tuple]",
    ),
    Found(
        "Mixed derivatives of `a ** b` were wrong at whole exponents.",
        "test_special_points.py::test_all_mixed_derivatives_of_a_power[2.0-0.0]",
    ),
    Found(
        "An infinite slope behind a dead unit made every gradient NaN.",
        "test_special_points.py::test_what_was_not_chosen_receives_zero[relu-float64-inf]",
    ),
    Found(
        "Complex numbers, masked arrays and objects were operands, and were not recorded.",
        "test_entry.py::test_what_is_not_real_is_refused_wherever_it_enters[x * other-complex]",
    ),
    Found(
        "The slopes of `logsumexp` added up to 2 at 1e8 in float32.",
        "test_special_points.py::test_the_slopes_of_logsumexp_add_up_to_one_at_any_size"
        "[logsumexp-float32-x4]",
    ),
    Found(
        "A bias's gradient in float16 stopped at 2048.",
        "test_special_points.py::test_counts_and_sums_of_gradients_are_right_in_float16[a bias]",
    ),
    Found(
        "A VJP that returned the transpose of a gradient was reshaped without a word.",
        "test_special_points.py::test_a_vjp_of_another_shape_is_refused[False-<lambda>2]",
    ),
    Found(
        "Threads that shared a leaf lost gradients.",
        "test_special_points.py::test_threads_that_share_a_leaf_lose_no_gradient",
    ),
    Found(
        "Two generators that overlapped left recording off.",
        "test_recording.py::test_blocks_that_overlap_leave_recording_on[order0]",
    ),
    Found(
        "`log_softmax` lost digits to rounding where all the scores were large.",
        "test_ops.py::test_log_softmax_keeps_its_digits_at_large_scores",
    ),
    Found(
        "The slopes of `var` divided by zero where an axis was empty.",
        "test_properties.py::test_value_gradients_and_operands[var]",
    ),
    Found(
        "The slopes of `linear` failed where a batch or a layer was empty.",
        "test_properties.py::test_value_gradients_and_operands[linear]",
    ),
    Found(
        "Small integers wrapped around in `softmax`, as `uint8` has no −1.",
        "test_properties.py::test_value_gradients_and_operands[softmax]",
    ),
    Found(
        "They did so in `sigmoid`, too.",
        "test_properties.py::test_value_gradients_and_operands[sigmoid]",
    ),
    Found(
        "A seed that a `DataLoader` drew was larger than a saved state could hold.",
        "test_faults.py::test_a_run_whose_seed_was_drawn_goes_on_from_a_file",
    ),
    Found(
        "A generator inside `no_grad` failed when another task closed it.",
        "test_faults.py::test_a_generator_inside_no_grad_can_be_closed_by_another_task",
    ),
    Found(
        "The Hessian was all zeros for a single Tensor given instead of a list.",
        "test_curvature.py::test_parameters_are_leaves_each_once",
    ),
    Found(
        "A saddle was called a minimum where too few steps had resolved its lowest eigenvalue.",
        "test_curvature.py::test_a_minimum_in_doubt_is_not_called_one",
    ),
    Found(
        "A single negative eigenvalue among many ones stayed hidden in float32 and float16.",
        "test_spectrum.py::test_one_negative_eigenvalue_among_ones_is_found_wherever_it_is"
        "[20000-20-float32]",
    ),
    Found(
        "The unit of a parameter or of the loss changed what kind of point it was.",
        "test_curvature.py::test_neither_the_scale_of_the_loss_nor_units_change_the_verdict"
        "[0.1-float32]",
    ),
    Found(
        "The gradient of an operand was lost without a word where its formula was forgotten.",
        "test_core.py::test_a_tensor_without_a_vjp_is_refused",
    ),
]


# ── Counting ─────────────────────────────────────────────────────────────────────────────────────


def collected():
    """Return the tests that pytest finds, without those that need JAX."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    jax = ["--ignore=tests/test_oracle.py", "--ignore=tests/test_programs.py"]
    result = subprocess.run([*command, *jax], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in result.stdout.splitlines() if "::" in line]


def more_than(count):
    """Round down to one digit, so that a new test seldom changes the page."""
    unit = 10 ** (len(str(count - 1)) - 1)
    return f"more than {(count - 1) // unit * unit:,}"


def entries(path, name):
    """Return the entries of a list or dictionary in a file that cannot be imported everywhere."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return getattr(node.value, "keys", None) or node.value.elts
    raise LookupError(f"{path} has no {name}")


def number(pattern, text):
    return int(re.search(pattern, text)[1])


def examples(test):
    return number(r"examples\((\d+)\)", inspect.getsource(test))


def long_runs():
    """Say what each long test does, and how many times: its own name and its own count."""
    for name, test in vars(test_long).items():
        if name.startswith("test_"):
            _, long = test.pytestmark[0].args[1]
            yield name.removeprefix("test_").replace("_", " "), long.values[0]


# ── The page ─────────────────────────────────────────────────────────────────────────────────────


def tried(tests):
    """List what is tried: (what, how much, where)."""
    files = [test.partition("::")[0] for test in tests]
    operations = len(test_properties.OPERATIONS)
    calls = operations * examples(test_properties.test_value_gradients_and_operands)
    pairs = len(test_properties.PAIRS) + len(test_properties.DEEP_PAIRS)
    programs = HERE / "test_programs.py"
    count = number(r'PROGRAMS", "(\d+)"', programs.read_text(encoding="utf-8"))
    steps = sum(len(entries(programs, name)) for name in ("OF_ANY", "OF_MATRICES", "KINKED"))
    networks = len(entries(HERE / "test_oracle.py", "NETWORKS"))
    pythons = ", ".join(node.value for node in entries(ROOT / "noxfile.py", "PYTHONS"))
    oldest = re.search(r"numpy==([\d.]+\d)", (ROOT / "noxfile.py").read_text(encoding="utf-8"))[1]
    return [
        ("the whole suite", f"{more_than(len(tests))} tests", "`tests`"),
        (
            "derivatives against finite differences, to second order",
            f"{more_than(sum(map(len, test_ops.CASES.values())))} cases",
            "`tests/test_ops.py`",
        ),
        (
            "operations on random shapes, dtypes, memory layouts and values: value, gradients, and "
            "that nothing was written to",
            f"{more_than(calls)} calls of {more_than(operations)} operations",
            "`tests/test_properties.py`",
        ),
        (
            "gradients where operands broadcast",
            f"{more_than(pairs)} pairs of shapes",
            "`tests/test_properties.py`",
        ),
        (
            "random programs against JAX: value, gradient, Hessian–vector product",
            f"{count} programs of {steps} kinds of steps",
            "`tests/test_programs.py`",
        ),
        ("whole networks against JAX", f"{networks} networks", "`tests/test_oracle.py`"),
        (
            "full disks, kills, broken mirrors, interrupts, forks, exceptions",
            f"{more_than(files.count('tests/test_faults.py'))} cases",
            "`tests/test_faults.py`",
        ),
        (
            "mistakes, and what one is told",
            f"{more_than(len(MISTAKES))} mistakes",
            "[mistakes](mistakes.md)",
        ),
        (
            "in Python for the browser: the docstrings, the chapters' code, and the playground's "
            "paths, which must be those computed here",
            "all that a browser can run",
            "`tests/test_pyodide.py`, `tests/test_playground_page.py`",
        ),
        (
            "the built package on every Python, and on the oldest NumPy",
            f"Python {pythons}; NumPy {oldest}",
            "`noxfile.py`",
        ),
    ]


def page(tests):
    """Write the page, given the tests that pytest finds."""
    lines = [
        "# What was tried, and what was found",
        "",
        "Every number here is read from the tests, and every sentence of the lists has a test.",
        "This page is printed by `python tests/trust.py`.",
        "",
        "## What is tried",
        "",
        "| what | how much | where |",
        "|---|---|---|",
        *(f"| {what} | {much} | {where} |" for what, much, where in tried(tests)),
        "",
        "The suite also runs on CuPy's own code, without a GPU: g++ compiles its kernels.",
        "`tests/cupy_on_cpu/README.md` says what that shows, and what it cannot show.",
        "",
        "Some tests take minutes, and run when asked for (`CONTRIBUTING.md` says how):",
        "",
        *(f"* {what} ({count:,})" for what, count in long_runs()),
        "",
        "## What was found and mended",
        "",
        *(f"* {found.what} (`{found.test.split('::')[1]}`)" for found in FOUND),
        "",
        "## What the tests cannot see",
        "",
        "A mutant is a module with one small change, say `<` instead of `<=`, or 1 instead of 0.",
        "Where no test fails on it, either a test is missing or the change makes no difference.",
        "`python tests/mutation/run.py` tries them, and this is what it last found. Each survivor",
        "was read.",
        "",
        "| module | mutants | tried | found by a test | explained below |",
        "|---|---:|---:|---:|---:|",
    ]
    for module, (mutants, tried_mutants, survivors) in outcome().items():
        killed, left = tried_mutants - len(survivors), len(survivors)
        lines.append(f"| `{module}` | {mutants} | {tried_mutants} | {killed} | {left} |")
    for module, explained in explanations().items():
        lines += ["", f"### Survivors in `{module}`"]
        for why, mutants in explained:
            lines += ["", why, "", "```diff"]
            for line, instead in mutants:
                lines += [f"-{line}", f"+{instead}"]
            lines.append("```")
    return "\n".join(lines) + "\n"


def outcome():
    """Return for each module how many mutants there are, how many were tried, which survived."""
    modules = json.loads((HERE / "mutation" / "outcome.json").read_text(encoding="utf-8"))
    return {name: tuple(counts.values()) for name, counts in modules.items()}


def explanations():
    """Return for each module why its survivors do: reasons, each with (line, line instead)."""
    modules = tomllib.loads((HERE / "mutation" / "survivors.toml").read_text(encoding="utf-8"))
    return {
        name: [(entry["why"], entry["mutants"]) for entry in entries]
        for name, entries in modules.items()
    }


if __name__ == "__main__":
    print(page(collected()), end="")
