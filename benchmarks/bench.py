"""Time tinygrad_edu against its peers and against NumPy by hand: every library alone, in turns.

python benchmarks/bench.py --help
"""

import argparse
import gc
import importlib
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

OURS, FLOOR = "tinygrad_edu", "numpy_by_hand"
PEERS = {  # the module in peers/, and what must be installed for it
    FLOOR: "numpy",
    OURS: "tinygrad_edu",
    "pytorch": "torch",
    "jax_jit": "jax",
    "hips_autograd": "autograd",
    "my_grad": "mygrad",
}
SIZES = (1, 10, 100, 1000, 10_000, 60_000)
WORKS = (
    [("update", {"batch": batch, "optimizer": "SGD"}) for batch in SIZES]
    + [("update", {"batch": batch, "optimizer": "Momentum"}) for batch in SIZES]
    + [("loader", {"batch": batch}) for batch in (1, 64, 1024)]
    + [("chain", {})]
    + [(work, {"batch": 1000}) for work in ("gradient", "first_product", "kept_product", "lanczos")]
    + [("hessian", {"batch": 100})]
)
DEPTHS = (30, 300, 3000, 30_000, 99_999)
TURN = 0.3  # seconds that a library is timed in each round, but for 3 times at least

# What is aimed at, as a ratio to a peer's time (or, for one, to our own gradient's).
AIMS = [
    *[("update", {"batch": b, "optimizer": "SGD"}, FLOOR, 1.15) for b in SIZES[2:]],
    *[
        ("update", {"batch": b, "optimizer": "SGD"}, "pytorch", aim)
        for b, aim in zip(SIZES, (0.8, 0.55, 0.8, 1.0, 1.0, 1.0))
    ],
    ("chain", {}, "pytorch", 0.75),
    ("kept_product", {"batch": 1000}, "pytorch", 1.0),
    ("loader", {"batch": 64}, FLOOR, 1.3),
    ("loader", {"batch": 64}, "pytorch", 0.5),
]


# ── The process of one library ───────────────────────────────────────────────────────────────────


def resident(field):
    """Read this process's memory in megabytes: VmRSS is the present, VmHWM the peak (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024


def peak_memory(peer, work, options):
    """Return by how much memory grows at most, over the loaded library with the data in place."""
    small = options | ({"batch": 10} if "batch" in options else {"depth": 30})
    getattr(peer, work)(**small)()  # what is loaded at the first call does not count
    call = getattr(peer, work)(**options)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    for _ in range(3):
        call()
    return resident("VmHWM") - before


def serve(name):
    """Answer requests, lines of JSON, on behalf of one library."""
    if hasattr(os, "sched_setaffinity"):  # some libraries start threads that no variable stops
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[: int(os.environ["OMP_NUM_THREADS"])])
    peer = importlib.import_module(f"peers.{name}")
    synchronize = getattr(peer, "synchronize", lambda: None)
    call = None
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        if request == "offers":
            answer = hasattr(peer, arguments[0])
        elif request == "prepare":
            call = None  # frees the last work before the next is made
            work, options = arguments
            call = getattr(peer, work)(**options)
            answer = [float(call()) for _ in range(6)]
        elif request == "memory":
            answer = peak_memory(peer, *arguments)
        else:
            times, end = [], time.perf_counter() + TURN
            while len(times) < 3 or time.perf_counter() < end:
                start = time.perf_counter()
                call()
                synchronize()
                times.append(time.perf_counter() - start)
            answer = statistics.median(times)
        print(json.dumps(answer), flush=True)


class Worker:
    """A process that serves one library. BLAS reads its number of threads when it is loaded."""

    def __init__(self, name, threads, backend):
        names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
        environment = os.environ | dict.fromkeys(names, str(threads)) | {"BENCH_BACKEND": backend}
        command, pipe = [sys.executable, __file__, "--serve", name], subprocess.PIPE
        self.name = name
        self.process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, text=True
        )

    def ask(self, *request):
        """Send one request, and wait for the answer."""
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        return json.loads(answer or sys.exit(f"{self.name} stopped, see above"))

    def close(self):
        """End the process."""
        self.process.communicate()


# ── Measuring ────────────────────────────────────────────────────────────────────────────────────


def measure(workers, work, options, rounds):
    """Check that all compute the same, then time them in turns: seconds for each round."""
    workers = [worker for worker in workers if worker.ask("offers", work)]
    values = {worker.name: worker.ask("prepare", work, options) for worker in workers}
    for name, found in values.items():
        if not all(math.isclose(*pair, rel_tol=1e-3) for pair in zip(found, values[OURS])):
            sys.exit(f"{work} {options}: {name} computes something else: {values}")
    seconds = {worker.name: [] for worker in workers}
    for number in range(rounds):
        shift = number % len(workers)  # so that nobody is always first
        for worker in workers[shift:] + workers[:shift]:
            seconds[worker.name].append(worker.ask("time"))
    return seconds


def ratio(ours, theirs):
    """Compare within each round, in which the machine was as busy for both: median, low, high."""
    quotients = [a / b for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(quotients), min(quotients), max(quotients)


def time_imports(names, rounds):
    """Time the import of each library in fresh processes that have imported NumPy."""
    now, seconds = "time.perf_counter()", {}
    for name in names:
        code = f"import time, numpy; start = {now}; import {PEERS[name]}; print({now} - start)"
        runs = [subprocess.check_output([sys.executable, "-c", code]) for _ in range(rounds + 1)]
        seconds[name] = [float(run) for run in runs[1:]]  # the first may have compiled
    return seconds


def exponent(sizes, amounts):
    """Fit amount ∝ size^p, over the larger sizes, where what is constant no longer counts."""
    points = [(math.log(s), math.log(a)) for s, a in zip(sizes, amounts)][-3:]
    middle = [statistics.mean(column) for column in zip(*points)]
    above = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    return above / sum((x - middle[0]) ** 2 for x, _ in points)


def grow(names, threads, backend):
    """Measure how time and memory grow with depth: one process for each figure."""
    found = {}
    for name in names:
        rows = []
        for depth in DEPTHS:
            worker = Worker(name, threads, backend)
            memory = worker.ask("memory", "chain", {"depth": depth})
            worker.ask("prepare", "chain", {"depth": depth})
            rows.append((depth, worker.ask("time"), memory))
            worker.close()
        found[name] = rows
    return found


def describe_machine():
    """Collect what the times depend on."""
    import numpy as np

    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere Python's name for the processor must do
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    machine = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "cpu": models[0] if models else platform.processor(),
        "blas": f"{blas['name']} {blas['version']}",
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
    }
    installed = [package for package in PEERS.values() if importlib.util.find_spec(package)]
    return machine | {package: version(package) for package in installed}


def describe_gpu():
    """Name the GPU and what drives it."""
    import cupy

    runtime = cupy.cuda.runtime
    return {
        "gpu": runtime.getDeviceProperties(0)["name"].decode(),
        "driver": runtime.driverGetVersion(),
        "cuda": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
    }


# ── Showing ──────────────────────────────────────────────────────────────────────────────────────


def label(work, options):
    """Name a work and its options in a few words."""
    return " ".join([work.replace("_", " "), *(f"{value:g}" if isinstance(value, int) else value
                                               for value in options.values())])  # fmt: skip


def unit(seconds):
    """Write seconds in a unit that fits."""
    for factor, name in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 1000:
            return f"{seconds * factor:.3g} {name}"
    return f"{seconds:.3g} s"


def times_table(results):
    """Write a table of times: a row for each work, ours with the ratio to each peer."""
    names = [name for name in PEERS if any(name in row["seconds"] for row in results)]
    lines = [["work", *names], ["---"] * (len(names) + 1)]
    for row in results:
        cells = [label(row["work"], row["options"])]
        for name in names:
            if name not in row["seconds"]:
                cells.append("")
                continue
            cell = unit(statistics.median(row["seconds"][name]))
            if name != OURS:
                middle, low, high = ratio(row["seconds"][OURS], row["seconds"][name])
                cell += f" · **{middle:.2f}** ({low:.2f}–{high:.2f})"
            cells.append(cell)
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def aims_table(result):
    """Write a table of what was aimed at, and what came out."""
    rows = {label(row["work"], row["options"]): row["seconds"] for row in result["times"]}
    lines = []
    for work, options, peer, aim in AIMS:
        seconds = rows.get(label(work, options), {})
        if peer in seconds:
            lines.append(
                (f"{label(work, options)} / {peer}", aim, ratio(seconds[OURS], seconds[peer]))
            )
    if "kept product 1000" in rows:
        seconds = rows["kept product 1000"][OURS], rows["gradient 1000"][OURS]
        lines.append(("kept product 1000 / own gradient", 1.1, ratio(*seconds)))
    if FLOOR in result.get("memory", {}):
        quotient = result["memory"][OURS] / result["memory"][FLOOR]
        lines.append((f"memory of update 60000 / {FLOOR}", 1.2, (quotient,) * 3))
    text = "| ratio | aim | measured | |\n| --- | --- | --- | --- |\n"
    for name, aim, (middle, low, high) in lines:
        met = "met" if middle <= aim else "missed"
        text += f"| {name} | ≤ {aim} | {middle:.2f} ({low:.2f}–{high:.2f}) | {met} |\n"
    return text


def plot(result, file):
    """Draw the times of an update over the batch size, and as ratios to the floor."""
    from matplotlib import pyplot as plt

    rows = [row for row in result["times"] if row["options"].get("optimizer") == "SGD"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name in PEERS:
        mine = [row for row in rows if name in row["seconds"]]
        sizes = [row["options"]["batch"] for row in mine]
        times = [statistics.median(row["seconds"][name]) for row in mine]
        floors = [statistics.median(row["seconds"].get(FLOOR, [math.nan])) for row in mine]
        style = {"linewidth": 2.5, "zorder": 3} if name == OURS else {"linewidth": 1}
        left.loglog(sizes, [1e3 * t for t in times], "o-", label=name, markersize=4, **style)
        relative = [t / floor for t, floor in zip(times, floors)]
        right.loglog(sizes, relative, "o-", markersize=4, **style)
    left.set(xlabel="batch size B", ylabel="milliseconds for one update")
    right.set(xlabel="batch size B", ylabel="times NumPy by hand")
    left.legend(frameon=False)
    figure.savefig(file)


def show(result):
    """Write the whole page."""
    about = {key: value for key, value in result.items() if isinstance(value, str | int)}
    parts = ["\n".join(f"- {key}: {value}" for key, value in about.items())]
    parts.append(
        "Median times; beside a peer's, tinygrad_edu's as a multiple of it (in bold; lowest to "
        "highest round in brackets): below 1, tinygrad_edu is faster.\n\n"
        + times_table(result["times"])
    )
    parts.append(aims_table(result))
    if "imports" in result:
        lines = [f"{name} {unit(statistics.median(t))}" for name, t in result["imports"].items()]
        parts.append("Import, after NumPy's: " + ", ".join(lines) + ".")
    if "memory" in result:
        lines = [f"{name} {amount:.0f} MB" for name, amount in result["memory"].items()]
        parts.append("Memory of an update of 60,000 images: " + ", ".join(lines) + ".")
    for name, rows in result.get("growth", {}).items():
        depths, seconds, memory = zip(*rows)
        text = f"A chain of operations with {name}, forward and back: " + ", ".join(
            f"{depth:,} in {unit(t)} and {m:.1f} MB" for depth, t, m in rows
        )
        powers = exponent(depths, seconds), exponent(depths, [max(m, 0.01) for m in memory])
        parts.append(text + ". Time grows as depth^{:.2f}, memory as depth^{:.2f}.".format(*powers))
    updates = {
        row["options"]["batch"]: statistics.median(row["seconds"][OURS])
        for row in result["times"]
        if row["options"].get("optimizer") == "SGD"
    }
    if len(updates) >= 3:
        power = exponent(list(updates), list(updates.values()))
        parts.append(f"An update's time grows as batch^{power:.2f} at the larger batches.")
    return "\n\n".join(parts) + "\n"


def main():
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=formatter)
    add = parser.add_argument
    add("--only", nargs="+", metavar="WORK", help="such as update, loader, kept_product, memory")
    add("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="those to compare with")
    add("--rounds", type=int, default=7, metavar="N", help="how often each has its turn")
    add("--threads", type=int, default=1, metavar="N", help="threads for BLAS and the peers")
    add("--backend", choices=["numpy", "cupy"], default="numpy", help="cupy: on the GPU")
    add("--output", type=Path, metavar="NAME", help="write NAME.json, NAME.md and NAME.svg")
    add("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve)

    names = [name for name in arguments.peers if importlib.util.find_spec(PEERS[name])]
    wanted = lambda work: not arguments.only or work in arguments.only  # noqa: E731
    result = describe_machine() | {"threads": arguments.threads, "rounds": arguments.rounds}
    if arguments.backend == "cupy":
        names = [name for name in names if name in (OURS, "pytorch")]
        result |= describe_gpu()
    setting = arguments.threads, arguments.backend
    workers, result["times"] = [Worker(name, *setting) for name in names], []
    for work, options in WORKS:
        if wanted(work):
            print(label(work, options), file=sys.stderr)
            seconds = measure(workers, work, options, arguments.rounds)
            result["times"].append({"work": work, "options": options, "seconds": seconds})
    for worker in workers:
        worker.close()

    if wanted("import"):
        result["imports"] = time_imports(names, arguments.rounds)
    if wanted("memory") and arguments.backend == "numpy":
        result["memory"] = {}
        for name in names:
            worker = Worker(name, *setting)
            options = {"batch": 60_000, "optimizer": "SGD"}
            result["memory"][name] = worker.ask("memory", "update", options)
            worker.close()
    if wanted("growth") and arguments.backend == "numpy":
        result["growth"] = grow([name for name in names if name in (OURS, "pytorch")], *setting)
    page = show(result)
    print(page)
    if arguments.output:
        arguments.output.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
        arguments.output.with_suffix(".md").write_text(page, encoding="utf-8")
        if wanted("update"):
            plot(result, arguments.output.with_suffix(".svg"))
    return None


if __name__ == "__main__":
    main()
