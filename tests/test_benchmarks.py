"""The bench runs, and compares what is equal. (No test asserts a time.)"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "benchmarks" / "bench.py"
UPDATE = {"batch": 10, "optimizer": "Momentum"}
pytestmark = pytest.mark.skipif(not BENCH.exists(), reason="the bench is not part of this package")


def ask(name, *requests, **settings):
    """Put requests to the process of one library, and return its answers."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | settings
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(
        [sys.executable, str(BENCH), "--serve", name],
        env=environment,
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("optimizer", ["SGD", "Momentum"])
def test_numpy_by_hand_and_the_library_come_to_the_same_losses(optimizer):
    request = ["prepare", "update", {"batch": 10, "optimizer": optimizer}]
    (by_hand,), (ours,) = ask("numpy_by_hand", request), ask("tinygrad_edu", request)
    assert ours == pytest.approx(by_hand, rel=1e-5)
    assert ours[0] > ours[-1]


@pytest.mark.skipif("config.getoption('--backend') == 'numpy'", reason="needs CuPy")
def test_the_bench_of_the_gpu_computes_the_same():
    requests = ["prepare", "update", UPDATE], ["prepare", "chain", {}], ["time"]
    on_host = ask("tinygrad_edu", *requests)
    there = ask("tinygrad_edu", *requests, BENCH_BACKEND="cupy")
    assert there[:2] == [pytest.approx(values) for values in on_host[:2]]
    assert there[2] > 0


def test_the_page_says_what_was_measured():
    text = (BENCH.parent / "README.md").read_text(encoding="utf-8")
    result = (BENCH.parent / "results" / "cpu-1-thread.md").read_text(encoding="utf-8")
    _title, lead, picture, *_ = text.split("\n\n")
    assert picture.startswith("![")
    for batch in (1, 10, 100, 1000, 10000, 60000):
        row = re.search(rf"\| update {batch} SGD \|(.*)", result)[1]
        by_hand, ours, pytorch, jax, *_ = (cell.split("·")[-1] for cell in row.split("|"))
        ratios = [re.search(r"\*\*(.*)\*\*", cell)[1] for cell in (by_hand, pytorch, jax)]
        assert f"| {batch} | {ours.strip()} | {' | '.join(ratios)} |" in text
        if batch == 100:
            assert re.findall(r"[\d.]+ µs|[\d.]+(?= times)", lead) == [
                ours.strip(),
                ratios[1],
                ratios[0],
            ]


def test_what_a_library_lacks_is_left_out():
    assert ask("numpy_by_hand", ["offers", "update"], ["offers", "chain"]) == [True, False]


def test_the_table_has_every_work_and_its_ratio(tmp_path):
    options = "--only chain hessian --peers tinygrad_edu --rounds 1 --output".split()
    subprocess.run([sys.executable, str(BENCH), *options, str(tmp_path / "out")], check=True)
    result = json.loads((tmp_path / "out.json").read_text())
    assert [row["work"] for row in result["times"]] == ["chain", "hessian"]
    assert "| hessian 100 |" in (tmp_path / "out.md").read_text(encoding="utf-8")
