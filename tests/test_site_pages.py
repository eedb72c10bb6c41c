"""What is filled into pages when the site is written."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("vendor", reason="the docs are not part of this package")
pages = pytest.importorskip("pages", reason="what builds the site is not there")

SCRIPTS = sorted((Path(__file__).parent.parent / "examples").glob("*/*.py"))
FOUND = ["tests/test_a.py::test_x[1]", "tests/test_a.py::test_x[2]", "tests/test_b.py::test_y"]


def test_tests_are_counted_by_the_start_of_their_names():
    text = "{{}} in all, {{tests/test_a.py}} of them there: `test_x`, `test_x[2]`, `test_y`"
    assert pages.count_tests(text, FOUND).startswith("3 in all, 2 of them there")


@pytest.mark.parametrize("text", ["{{tests/test_c.py}}", "`test_z`", "`test_x[3]`"])
def test_a_test_that_is_not_there_is_refused(text):
    with pytest.raises(ValueError, match="no test"):
        pages.count_tests(text, FOUND)


def test_names_of_the_package_are_linked_in_prose_only():
    prose = "`tg.grad`, [`tg.grad`](x.md), `tg.absent`, `tg.nn`"
    page = f"# `tg.grad`\n\n{prose}\n\n```python\n`tg.grad`\n```\n"
    linked = pages.link_names(page, "source/x.md")
    assert linked.count("](../api/core.md#tinygrad_edu.core.grad)") == 1
    assert linked.count("](../api/nn.md)") == 1
    assert linked.count("](") == 3


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_downloaded_example_is_whole(script):
    text = pages.alone(script)
    assert "sys.path" not in text
    compile(text, script.name, "exec")


def test_a_downloaded_example_runs_anywhere(tmp_path):
    (script,) = (script for script in SCRIPTS if script.stem == "weighted_sum")
    (tmp_path / script.name).write_text(pages.alone(script), encoding="utf-8")
    command = [sys.executable, script.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "claim-24.json").exists()
