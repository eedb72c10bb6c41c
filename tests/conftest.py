"""The backend that the suite runs on: pytest --backend numpy | cupy."""

import pytest
from chromium import address, asked, browser, tab, violations, window  # noqa: F401, fixtures

import tinygrad_edu as tg

collect_ignore = ["mutation", "node", "cupy_on_cpu", "users"]  # are run by others

ON_THE_HOST = {  # what is left out on CuPy, and why
    "test_site.py": "opens pages in a browser",
    "test_live.py": "runs chapters in a browser",
    "test_playground_page.py": "opens the playground in a browser",
    "test_firefox.py": "opens pages in a browser",
    "test_chinese.py": "is about texts",
    "test_chinese_site.py": "opens pages in a browser",
    "test_pyodide.py": "runs Python in Node",
    "test_vendor.py": "is about files of the site",
    "test_docs.py": "is about texts",
    "test_site_pages.py": "is about pages of the site",
    "test_session.py": "runs chapters as a browser does, where there is only NumPy",
    "test_playground.py": "computes for a browser, where there is only NumPy",
    "test_learn.py": "opens pages in a browser",
    "test_exercises.py": "checks answers as a browser does, where there is only NumPy",
    "test_pages.py": "runs pages that show NumPy's arrays",
    "test_evidence.py": "judges numbers on the host",
    "test_rules.py": "judges numbers on the host",
    "test_examples.py::test_a_planted_bug_overturns_the_verdict[saddle": "draws on the host",
    "test_examples.py::test_a_planted_bug_overturns_the_verdict[rolling": "takes minutes there",
    "test_examples.py::test_a_planted_bug_overturns_the_verdict[flat_and": "takes minutes there",
    "test_numpy_functions.py::test_numpys_function_has": "has NumPy's arrays in the calls",
    "test_numpy_functions.py::test_what_is_piecewise": "has NumPy's arrays in the calls",
    "test_numpy_functions.py::test_what_only_looks": "has NumPy's arrays in the calls",
    "test_numpy_functions.py::test_what_would_lose": "has NumPy's arrays in the calls",
    "test_numpy_functions.py::test_options_of_numpys": "has NumPy's arrays in the calls",
    "test_entry.py::test_what_is_not_real_is_refused_wherever": "is about NumPy's arrays",
    "test_entry.py::test_a_masked_array_on_the_left": "is about NumPy's arrays",
    "test_entry.py::test_a_subclass_of_array": "is about NumPy's arrays",
    "test_properties.py::test_the_calls_reach_every_edge": "is about NumPy's memory layouts",
    "test_ops.py::test_a_label_that_is_no_class_is_named": "is an error only where nobody waits",
    "test_data.py::test_a_dataset_copies_no_array": "on a GPU, a dataset is a copy",
    "test_spectrum.py::test_it_is_a_linear_operator_for_scipy": "SciPy computes on the host",
    "tinygrad_edu/backend.py::tinygrad_edu.backend.current": "prints the name of the backend",
    "tinygrad_edu/spectrum.py::tinygrad_edu.spectrum.symmetric": "shows NumPy's arrays",
    "tinygrad_edu/spectrum.py::tinygrad_edu.spectrum.function_times": "shows NumPy's arrays",
    "test_faults.py::test_after_a_fork": "a CUDA context does not survive a fork",
    "test_tensor.py::test_asarray_shares": "nothing goes to the host unasked",
}
MISSING = [  # why a test may be left out: a package or a program is not there
    "JAX is not installed",
    "MPI is not installed",
    "could not import",
    "are not part of this package",
    "is not part of this package",
    "not there",
    "Debian's package dataset-fashion-mnist is not installed",
]
ELSEWHERE = [  # or it runs another time, or on another machine
    "takes minutes",
    "no small disk can be mounted here",
    "needs the signals of a POSIX system",
    "needs CuPy",
    "mypy is not installed",
    "basedpyright is not installed",
    "one of them will do",  # and of two tables, not every pair is a case
    "their own operators come first",
    "NumPy compares it as one object",
]
EXAMPLES = 1  # what --examples said
SKIPPED = set()  # why tests were left out in this run


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        choices=["numpy", "cupy"],
        default="numpy",
        help="run every test on NumPy, or on CuPy with a GPU or on the CPU (tests/cupy_on_cpu)",
    )
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")
    parser.addoption(
        "--no-missing",
        action="store_true",
        help="fail where a test is skipped because a package or a program is missing",
    )
    parser.addoption(
        "--examples", type=int, default=1, help="draw so many times as many examples of each law"
    )
    parser.addoption(
        "--programs", type=int, default=100, help="compare so many random programs with JAX"
    )


def pytest_configure(config):
    global EXAMPLES
    EXAMPLES = config.getoption("--examples")
    config.addinivalue_line("markers", "long: takes minutes; runs with --long")
    tg.use(config.getoption("--backend"))


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        later = pytest.mark.skip(reason="takes minutes: run it with --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(later)
    if config.getoption("--backend") == "cupy":
        names = {item: item.nodeid.removeprefix("tests/") for item in items}
        for start, why in ON_THE_HOST.items():
            found = [item for item, name in names.items() if name.startswith(start)]
            for item in found:
                item.add_marker(pytest.mark.skip(reason=f"left out on CuPy: it {why}"))
            file, _, test = start.partition("::")
            collected = any(name.startswith(file) for name in names.values())
            if test and collected and not found and not any("::" in it for it in config.args):
                raise pytest.UsageError(f"tests/conftest.py lists {start}, which is not there")


def pytest_runtest_logreport(report):
    if report.skipped and isinstance(report.longrepr, tuple):
        SKIPPED.add(report.longrepr[2])


pytest_collectreport = pytest_runtest_logreport  # a whole file


def pytest_sessionfinish(session):
    """Fail where a test was skipped that had to run."""
    option = session.config.getoption
    on_the_host = [f"left out on CuPy: it {why}" for why in ON_THE_HOST.values()]
    listed = [*ELSEWHERE, *on_the_host, *([] if option("--no-missing") else MISSING)]
    unlisted = [why for why in SKIPPED if not any(part in why for part in listed)]
    if unlisted and (option("--no-missing") or option("--backend") == "cupy"):
        print("\nERROR: skipped, but had to run (see tests/conftest.py):", *unlisted, sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
