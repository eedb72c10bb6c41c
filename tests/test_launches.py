"""What an update asks of a GPU: kernels, memsets, products and copies, and how often it waits.

Each costs 5 to 10 µs of the host's time on a GPU, however small the arrays are; a wait costs all
the work that is under way. They are counted on CuPy's own code (tests/cupy_on_cpu); `pytest -s`
prints which they are, and docs/gpu.md shows the same numbers.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

cuda_on_cpu = pytest.importorskip("cuda_on_cpu", reason="needs CuPy on the CPU")
pytestmark = pytest.mark.skipif(
    "config.getoption('--backend') == 'numpy'", reason="needs CuPy as the backend"
)
PAGE = Path(__file__).parent.parent / "docs" / "gpu.md"
KINDS = ["kernel", "memset", "product", "copy", "wait"]
EXPECTED = {  # kernels, memsets, products, copies, waits
    "an update with SGD": [30, 1, 5, 0, 0],
    "an update with Momentum": [30, 1, 5, 0, 0],
    "a batch of the loader": [2, 0, 0, 0, 0],
    "a Lanczos step": [48, 0, 10, 2, 1],
    "an update with SGD on each of 2 ranks": [40, 1, 5, 3, 2],
}


def counted(work):
    """Count what a piece of work asks of the GPU, once it has been done before."""
    work()
    before = cuda_on_cpu.counts()
    work()
    return cuda_on_cpu.counts() - before


def by_kind(counts):
    return [sum(n for name, n in counts.items() if name.startswith(kind)) for kind in KINDS]


def show(what, counts):
    print(f"\n{what}:", ", ".join(f"{n} {kind}" for n, kind in zip(by_kind(counts), KINDS)))
    for name, number in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{number:6} {name}")


def network():
    """784-100-10, as on the lecture's slide of times, and batches of 64."""
    generator = np.random.default_rng(0)
    images = generator.random((512, 784), dtype="float32")
    dataset = tg.TensorDataset(images, generator.integers(10, size=512))
    model = tg.nn.perceptron(784, 100, 10, seed=0)
    return model, dataset, tg.DataLoader(dataset, 64, shuffle=True, seed=0)


def update(make):
    model, dataset, _ = network()
    images, labels = dataset[:64]
    optimizer = make(model.parameters(), 0.1)

    def work():
        loss = tg.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return work


def batch():
    batches = iter(network()[2])
    return lambda: next(batches)


def lanczos():
    """Ten steps less nine are one, without what comes before and after."""
    model, dataset, _ = network()
    images, labels = dataset[:64]
    H = tg.HessianOperator(lambda: tg.cross_entropy(model(images), labels), model.parameters())
    return lambda steps: tg.lanczos(H, steps, seed=0)


SHARDED = """
import json
from itertools import islice
import numpy as np
import cuda_on_cpu
import tinygrad_edu as tg
from tinygrad_edu import distributed
import test_launches

tg.use("cupy")
model, dataset, _ = test_launches.network()
loader = distributed.ShardedLoader(dataset, 64, shuffle=True, seed=0)
steps = distributed.updates(
    lambda x, labels: tg.cross_entropy(model(x), labels), loader, tg.SGD(model.parameters(), 0.1)
)
next(steps), next(steps)
before = cuda_on_cpu.counts()
next(steps)
if distributed.world.rank == 0:
    print(json.dumps(cuda_on_cpu.counts() - before))
"""


def sharded():
    pytest.importorskip("mpi4py", reason="MPI is not installed")
    import json

    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = ["mpiexec", "-n", "2", sys.executable, "-m", "mpi4py", "-c", SHARDED]
    bin = str(Path(sys.executable).parent)
    settings = {"PYTHONPATH": path, "PATH": os.pathsep.join([bin, os.environ["PATH"]])}
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Counter(json.loads(done.stdout))


def counts_of(what):
    if what.startswith("an update with") and "ranks" not in what:
        return counted(update(getattr(tg, what.rpartition(" ")[2])))
    if what == "a batch of the loader":
        return counted(batch())
    if what == "a Lanczos step":
        work = lanczos()
        work(9)
        nine, ten = counted(lambda: work(9)), counted(lambda: work(10))
        return Counter({name: ten[name] - nine[name] for name in ten})
    return sharded()


@pytest.mark.parametrize("what", EXPECTED)
def test_what_is_asked_of_the_gpu(what):
    counts = counts_of(what)
    show(what, counts)
    assert by_kind(counts) == EXPECTED[what]


def test_the_page_shows_the_same_numbers():
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*) \| ((?:\d+ \| ){4}\d+) \|$", page, re.MULTILINE)
    shown = {what: [int(number) for number in numbers.split(" | ")] for what, numbers in rows}
    assert shown == EXPECTED
