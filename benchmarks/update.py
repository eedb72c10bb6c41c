"""Time one update of a small network: tinygrad_edu, NumPy by hand (the floor), and PyTorch.

python benchmarks/update.py --help
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

INPUTS, HIDDEN, OUTPUTS = 784, 100, 10
LEARNING_RATE = 0.01
TURN = 0.3  # how long a library is timed in each round, in seconds, but for 3 updates at least


def numpy_update(images, labels, parameters):
    """Write the update out by hand, as the floor: no pass over an array that is not needed."""
    weight1, bias1, weight2, bias2 = parameters
    count, rows = len(labels), np.arange(len(labels))
    product = np.dot if count == 1 else np.matmul  # matmul does column times row without BLAS

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
        gradients = [product(images.T, hidden_slope), hidden_slope.sum(axis=0)]
        gradients += [product(hidden.T, slope), slope.sum(axis=0)]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            gradient *= LEARNING_RATE
            parameter -= gradient
        return loss

    return update


def framework_update(nn, cross_entropy, optimizer_class, images, labels, parameters):
    """Use tinygrad_edu or PyTorch, in the same words."""
    model = nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUTPUTS))
    for parameter, values in zip(model.parameters(), parameters, strict=True):
        parameter.data = values
    optimizer = optimizer_class(model.parameters(), LEARNING_RATE)

    def update():
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return update


def prepare(name, batch_size):
    """Make the update of one library; images, labels and parameters are alike in all processes."""
    generator = np.random.default_rng(0)
    shapes = (INPUTS, HIDDEN), HIDDEN, (HIDDEN, OUTPUTS), OUTPUTS
    parameters = [generator.uniform(-0.1, 0.1, shape).astype("float32") for shape in shapes]
    images = generator.random((batch_size, INPUTS), dtype="float32")
    labels = generator.integers(OUTPUTS, size=batch_size)
    if name == "numpy":
        return numpy_update(images, labels, parameters)
    if name == "tinygrad_edu":
        import tinygrad_edu as tg

        data = tg.Tensor(images), tg.Tensor(labels), parameters
        return framework_update(tg.nn, tg.cross_entropy, tg.SGD, *data)
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    parameters = [torch.from_numpy(values.T.copy()) for values in parameters]  # it keeps Wᵀ
    data = torch.from_numpy(images), torch.from_numpy(labels), parameters
    return framework_update(torch.nn, torch.nn.functional.cross_entropy, torch.optim.SGD, *data)


def work(name):
    """Answer requests, lines of JSON: a batch size prepares an update, 0 times it for a turn."""
    for line in sys.stdin:
        if batch_size := json.loads(line):
            update = None  # frees the last batch before the next is drawn
            update = prepare(name, batch_size)
            answer = [update().item() for _ in range(6)]  # the last is the loss after 5 updates
        else:
            times, end = [], time.perf_counter() + TURN
            while len(times) < 3 or time.perf_counter() < end:
                start = time.perf_counter()
                update()
                times.append(time.perf_counter() - start)
            answer = statistics.median(times)
        print(json.dumps(answer), flush=True)


def start_worker(name, threads):
    """Start the process of one library. BLAS reads its number of threads when it is loaded."""
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
    environment = os.environ | dict.fromkeys(names, str(threads))
    command, pipe = [sys.executable, __file__, "--worker", name], subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)


def ask(worker, request):
    """Send one request to a worker, and wait for its answer."""
    print(json.dumps(request), file=worker.stdin, flush=True)
    return json.loads(worker.stdout.readline() or sys.exit(f"{worker.args[-1]} stopped, see above"))


def measure(workers, batch_size, rounds):
    """Check that all libraries compute the same, then time them in turns: seconds per round."""
    losses = {name: ask(worker, batch_size) for name, worker in workers.items()}
    for name, values in losses.items():
        if not all(math.isclose(*pair, rel_tol=1e-5) for pair in zip(values, losses["numpy"])):
            sys.exit(f"at batch size {batch_size}, {name} computes something else: {losses}")
    seconds, names = {name: [] for name in workers}, list(workers)
    for number in range(rounds):
        shift = number % len(names)  # so that nobody is always first
        for name in names[shift:] + names[:shift]:
            seconds[name].append(ask(workers[name], 0))
    return seconds


def compare(names, arguments):
    """Print the table, a row for each batch size, and return what is in it."""
    others, results = [name for name in names if name != "tinygrad_edu"], {}
    print("\nMilliseconds per update, and tinygrad_edu's time as a multiple of the others':\n")
    heads = [f"{name:>13}" for name in names] + [f"{'/ ' + name:>21}" for name in others]
    print(" batch", *heads, flush=True)
    workers = {name: start_worker(name, arguments.threads) for name in names}
    for batch_size in arguments.batch_sizes:
        seconds, ratios = measure(workers, batch_size, arguments.rounds), {}
        cells = [f"{1e3 * statistics.median(seconds[name]):13.3f}" for name in names]
        for name in others:  # within each round, in which the machine was as busy for both
            quotients = [a / b for a, b in zip(seconds["tinygrad_edu"], seconds[name])]
            ratios[name] = statistics.median(quotients), min(quotients), max(quotients)
            cells.append("{:6.2f} ({:.2f} to {:.2f})".format(*ratios[name]))
        print(f"{batch_size:6}", *cells, flush=True)
        results[batch_size] = {"seconds": seconds, "ratios": ratios}
    for worker in workers.values():
        worker.communicate()  # closes its stdin, so it ends
    return results


def time_import(rounds):
    """Time `import tinygrad_edu` in fresh processes that have imported NumPy."""
    now = "time.perf_counter()"
    code = f"import time, numpy; start = {now}; import tinygrad_edu; print({now} - start)"
    command = [sys.executable, "-c", code]
    seconds = [float(subprocess.check_output(command)) for _ in range(rounds + 1)]
    seconds = sorted(seconds[1:])  # the first may have compiled
    median, low, high = 1e3 * statistics.median(seconds), 1e3 * seconds[0], 1e3 * seconds[-1]
    print(f"\nimport tinygrad_edu adds {median:.1f} ms to import numpy ({low:.1f} to {high:.1f})")
    return seconds


def describe_machine():
    """Collect what the times depend on."""
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere Python's name for the processor must do
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "cpu": models[0] if models else platform.processor(),
        "python": platform.python_version(),
        "numpy": f"{np.__version__} with {blas['name']} {blas['version']}",
        "torch": version("torch") if importlib.util.find_spec("torch") else "not installed",
    }


def main():
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    add, sizes = parser.add_argument, [1, 10, 100, 1000, 10000, 60000]
    add("--batch-sizes", type=int, nargs="+", default=sizes, metavar="B", help="images an update")
    add("--rounds", type=int, default=7, metavar="N", help="how often each library has its turn")
    add("--threads", type=int, default=1, metavar="N", help="threads for BLAS and PyTorch")
    add("--json", type=Path, metavar="FILE", help="also write the results into FILE")
    add("--import-time", action="store_true", help="time the import of tinygrad_edu instead")
    add("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker)

    result = describe_machine() | {"threads": arguments.threads, "rounds": arguments.rounds}
    print(*(f"{key:>8}  {value}" for key, value in result.items()), sep="\n", flush=True)
    if arguments.import_time:
        result["import_seconds"] = time_import(arguments.rounds)
    else:
        names = ["numpy", "tinygrad_edu"] + ["torch"] * (result["torch"] != "not installed")
        result["batch_sizes"] = compare(names, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return None


if __name__ == "__main__":
    main()
