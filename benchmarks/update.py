"""Time one update of a small network: tinygrad_edu, NumPy by hand (the floor), and PyTorch.

python benchmarks/update.py --help
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZES = 784, 100, 10
LEARNING_RATE = 0.01
TURN = 0.3  # how long a library is timed in each round, in seconds, but 3 updates at least


def make_problem(batch_size):
    """Draw images, labels and starting parameters W, b, W, b: the same in every process."""
    generator = np.random.default_rng(0)
    parameters = []
    for inputs, outputs in itertools.pairwise(SIZES):
        for shape in (inputs, outputs), outputs:
            values = generator.uniform(-(inputs**-0.5), inputs**-0.5, shape)
            parameters.append(values.astype("float32"))
    images = generator.random((batch_size, SIZES[0]), dtype="float32")
    labels = generator.integers(SIZES[-1], size=batch_size)
    return images, labels, parameters


def numpy_update(images, labels, parameters):
    """Write the update out by hand: each pass over an array is needed, or in place of another."""
    weight1, bias1, weight2, bias2 = parameters
    count = len(labels)
    rows = np.arange(count)

    def update():
        hidden = images @ weight1
        hidden += bias1
        np.maximum(hidden, 0, out=hidden)
        scores = hidden @ weight2
        scores += bias2
        scores -= scores.max(axis=1, keepdims=True)  # so that exp cannot overflow
        right_scores = scores[rows, labels]
        slope = np.exp(scores, out=scores)
        totals = slope.sum(axis=1, keepdims=True)
        loss = (np.log(totals[:, 0]) - right_scores).mean()

        slope /= totals * count
        slope[rows, labels] -= 1 / count
        hidden_slope = slope @ weight2.T
        hidden_slope *= hidden > 0
        gradients = (
            images.T @ hidden_slope,
            hidden_slope.sum(axis=0),
            hidden.T @ slope,
            slope.sum(axis=0),
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            gradient *= LEARNING_RATE
            parameter -= gradient
        return loss

    return update


def tinygrad_edu_update(images, labels, parameters):
    """Use the library as in its main job."""
    import tinygrad_edu as tg

    images, labels = tg.Tensor(images), tg.Tensor(labels)
    inputs, hidden, outputs = SIZES
    model = tg.nn.Sequential(
        tg.nn.Linear(inputs, hidden), tg.nn.ReLU(), tg.nn.Linear(hidden, outputs)
    )
    for parameter, values in zip(model.parameters(), parameters, strict=True):
        parameter.data = values
    optimizer = tg.SGD(model.parameters(), LEARNING_RATE)

    def update():
        loss = tg.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return update


def torch_update(images, labels, parameters):
    """Use PyTorch in the same way, eagerly."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)
    inputs, hidden, outputs = SIZES
    model = torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs)
    )
    for parameter, values in zip(model.parameters(), parameters, strict=True):
        parameter.data = torch.from_numpy(values.T.copy())  # PyTorch computes x·Wᵀ
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)

    def update():
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return update


UPDATES = {"numpy": numpy_update, "tinygrad_edu": tinygrad_edu_update, "torch": torch_update}


def work(name):
    """Answer the requests on stdin: a batch size prepares an update, 0 times the one prepared."""
    for line in sys.stdin:
        if batch_size := int(line):
            update = None  # frees the last batch before the next is drawn
            update = UPDATES[name](*make_problem(batch_size))
            answer = [float(update()) for _ in range(6)]  # the last is the loss after 5 updates
        else:
            times, end = [], time.perf_counter() + TURN
            while len(times) < 3 or time.perf_counter() < end:
                start = time.perf_counter()
                update()
                times.append(time.perf_counter() - start)
            answer = statistics.median(times)
        print(json.dumps(answer), flush=True)


def start_worker(name, threads):
    """Start a process for one library. BLAS reads its number of threads when it is imported."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", name],
        env=os.environ | dict.fromkeys(variables, str(threads)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(worker, batch_size):
    """Send one request to a worker and wait for its answer."""
    print(batch_size, file=worker.stdin, flush=True)
    answer = worker.stdout.readline()
    if not answer:
        sys.exit(f"{worker.args[-1]} stopped: its error is above")
    return json.loads(answer)


def compare(workers, batch_size, rounds):
    """Check that the libraries agree, then time them in turns; return the seconds per round."""
    losses = {name: ask(worker, batch_size) for name, worker in workers.items()}
    for name, values in losses.items():
        pairs = zip(values, losses["numpy"], strict=True)
        if not all(math.isclose(a, b, rel_tol=1e-4) for a, b in pairs):
            sys.exit(f"at batch size {batch_size}, {name} computes something else: {losses}")
    seconds = {name: [] for name in workers}
    for number in range(rounds):
        names = list(workers)
        shift = number % len(names)  # nobody is always first, or always after the same one
        for name in names[shift:] + names[:shift]:
            seconds[name].append(ask(workers[name], 0))
    return seconds


def import_times(rounds):
    """Time `import tinygrad_edu` after `import numpy`, in fresh processes; return the seconds."""
    clock = "time.perf_counter()"
    code = f"import time, numpy; t = {clock}; import tinygrad_edu; print({clock} - t)"
    run = [sys.executable, "-c", code]
    # The first only makes sure that the bytecode is there.
    return [float(subprocess.check_output(run)) for _ in range(rounds + 1)][1:]


def describe_machine(arguments):
    """Collect what the times depend on."""
    cpuinfo = Path("/proc/cpuinfo")  # elsewhere than on Linux, Python's name for it must do
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "cpu": models[0] if models else platform.processor(),
        "python": platform.python_version(),
        "numpy": f"{np.__version__} ({blas['name']} {blas['version']})",
        "torch": importlib.metadata.version("torch") if importlib.util.find_spec("torch") else None,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
    }


def ratio(seconds, name):
    """Return tinygrad_edu's time over another's, in the same round: median, lowest, highest."""
    ratios = [a / b for a, b in zip(seconds["tinygrad_edu"], seconds[name], strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    sizes = [1, 10, 100, 1000, 10000, 60000]
    add("--batch-sizes", type=int, nargs="+", default=sizes, metavar="B", help="images an update")
    add("--rounds", type=int, default=7, metavar="N", help="how often each library has its turn")
    add("--threads", type=int, default=1, metavar="N", help="threads for BLAS and PyTorch")
    add("--json", type=Path, metavar="FILE", help="also write the results into FILE")
    add("--import-time", action="store_true", help="time the import of tinygrad_edu instead")
    add("--worker", choices=UPDATES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if min(*arguments.batch_sizes, arguments.rounds, arguments.threads) < 1:
        parser.error("batch sizes, rounds and threads must be 1 or more")
    if arguments.worker:
        return work(arguments.worker)

    result = {"machine": describe_machine(arguments)}
    print(*(f"{name}: {value}" for name, value in result["machine"].items()), sep="\n")
    if arguments.import_time:
        result["import_seconds"] = import_times(arguments.rounds)
        milliseconds = [1000 * seconds for seconds in result["import_seconds"]]
        print(
            f"\nimport tinygrad_edu adds {statistics.median(milliseconds):.1f} ms to import numpy "
            f"({min(milliseconds):.1f} to {max(milliseconds):.1f})"
        )
    else:
        names = [name for name in UPDATES if importlib.util.find_spec(name)]
        others = [name for name in names if name != "tinygrad_edu"]
        workers = {name: start_worker(name, arguments.threads) for name in names}
        print("\nMilliseconds per update, and tinygrad_edu's time over the others':\n")
        heads = [f"{name:>13}" for name in names] + [f"{'/ ' + name:>20}" for name in others]
        print(f"{'batch':>6}", *heads)
        result["seconds"], result["ratios"] = {}, {}
        for batch_size in arguments.batch_sizes:
            seconds = compare(workers, batch_size, arguments.rounds)
            ratios = {name: ratio(seconds, name) for name in others}
            cells = [f"{1000 * statistics.median(seconds[name]):13.4g}" for name in names]
            cells += ["{:.2f} ({:.2f} to {:.2f})".format(*ratios[name]) for name in others]
            print(f"{batch_size:6}", *(f"{cell:>20}" if "(" in cell else cell for cell in cells))
            result["seconds"][batch_size], result["ratios"][batch_size] = seconds, ratios
        for worker in workers.values():
            worker.communicate()  # closes its stdin, upon which it ends
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return None


if __name__ == "__main__":
    main()
