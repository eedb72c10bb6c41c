# %% [markdown]
# # How long does an update take?
#
# A batch of 1000 samples has a hundred times the work of a batch of 10. Does its update take a
# hundred times as long, and how long does an epoch (回合) take?
#
# Without parallel computing (平行运算) an update on a large batch takes longer than one on a small
# batch: there is more to compute. With a GPU, say the notes, B = 10 and B = 1000 take about the
# same, and only far beyond that the time climbs steeply. So in one epoch it is the small
# batches that are slow: they have 60 000 updates to make where others have 60.
#
# The slide timed it for MNIST on a Tesla V100. Its vertical axis is linear and reaches 10 seconds,
# so everything up to B = 1000 lies flat on the ground. Here are its numbers on logarithmic axes,
# beside those of this machine with a single thread.

# %%
import argparse
import datetime
import json
import sys
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from matplotlib import pyplot as plt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

parser = argparse.ArgumentParser(description="Time an update, as a function of the batch size.")
parser.add_argument("--full", action="store_true", help="the images of Fashion-MNIST, not random")
parser.add_argument("--backend", choices=["numpy", "cupy"], default="numpy")
parser.add_argument("--record", action="store_true", help="keep the times of --backend cupy")
arguments, _ = parser.parse_known_args()

# %% [markdown]
# The network is 784-128-10, for 60 000 images of 28 × 28 pixels. How long an update takes does not
# depend on what is in the images, so they are random numbers, unless you ask for Fashion-MNIST with
# `--full`.
#
# Two things are timed apart: fetching a batch (the loader gathers its shuffled images into one
# array) and the update on it. The clock counts the processor's work for this program, and stands
# still while the processor works for another. (On a GPU it is the clock on the wall, and since the
# work goes on after a call returns, we wait until a number of the result is back.)

# %%
N, SIZES = 60_000, (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 60_000)
SLIDE = {1: 0.0061, 10: 0.0074, 100: 0.025, 1000: 0.149, 10_000: 1.54, 60_000: 9.48}
ROUNDS = 12


def dataset():
    """Return the training data, on the current backend."""
    if arguments.full:
        try:
            return tg.datasets.fashion_mnist()[0]
        except (ImportError, OSError) as error:
            sys.exit(
                f"Fashion-MNIST is missing: {error}. Install Debian's package "
                'dataset-fashion-mnist, or "tinygrad_edu[data]" to download it.'
            )
    generator = np.random.default_rng(0)
    images = generator.random((N, 784), dtype="float32")
    return tg.TensorDataset(images, generator.integers(10, size=N))


def wait_for(tensor):
    tensor.data.reshape(-1)[-1].item()


def stopwatch(train_set, batch_size):
    """Yield, update by update, how long it took to fetch the batch, and to make the update."""
    model = tg.nn.perceptron(784, 128, 10, seed=0)
    optimizer = tg.SGD(model.parameters(), lr=0.01)
    loader = tg.DataLoader(train_set, batch_size, shuffle=True, seed=0)
    clock = perf_counter if tg.backend.current() == "cupy" else process_time
    while True:
        batches = iter(loader)
        for _batch in range(len(loader)):
            start = clock()
            images, labels = next(batches)
            wait_for(images)
            fetched = clock()
            loss = tg.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wait_for(model.parameters()[0])
            yield fetched - start, clock() - fetched


def measure(train_set):
    """Return the seconds of fetching and of updating: for each size a median for each round."""
    watches = {size: stopwatch(train_set, size) for size in SIZES}
    seconds = {size: [] for size in SIZES}
    for size in SIZES:
        next(watches[size])  # to warm up
    for round_number in tqdm(range(ROUNDS), desc="rounds"):
        for size in SIZES[: None if round_number < 3 else -2]:  # the longest only three times
            laps = [next(watches[size]) for _lap in range(min(max(3000 // size, 1), 30))]
            seconds[size].append(np.median(laps, axis=0))
    return seconds


train_set = dataset()
with threadpool_limits(1):
    rounds = measure(train_set)

# %% [markdown]
# If there is a GPU, `--backend cupy` measures it, too, and `--record` keeps its times in
# `gpu_times.json`, beside this script, with the device, the driver, the versions and the date.
# Where this file exists, it is drawn.


# %%
def curve(seconds):
    """Return the medians over the rounds: of fetching, and of the update, for all the sizes."""
    return np.array([np.median(laps, axis=0) for laps in seconds.values()]).T


GPU_FILE = Path(__file__).with_name("gpu_times.json")
gpu = json.loads(GPU_FILE.read_text(encoding="utf-8")) if GPU_FILE.exists() else None
if arguments.backend == "cupy":
    with tg.use("cupy"):
        times = curve(measure(dataset()))
    import cupy

    gpu = {
        "device": cupy.cuda.runtime.getDeviceProperties(0)["name"].decode(),
        "driver": cupy.cuda.runtime.driverGetVersion(),
        "runtime": cupy.cuda.runtime.runtimeGetVersion(),
        "versions": {module.__name__: module.__version__ for module in (tg, np, cupy)},
        "date": datetime.date.today().isoformat(),
        "sizes": SIZES,
        "seconds": times.tolist(),  # of fetching, of the update
    }
    if arguments.record:
        GPU_FILE.write_text(json.dumps(gpu, indent=1) + "\n", encoding="utf-8")

# %% [markdown]
# ## An update costs a + b·B
#
# An update has a fixed cost a, for calling the operations and taking the step, and a cost b for
# each sample. Up to about B = a/b samples a is the larger part, and a larger batch is nearly free;
# beyond, twice the samples take twice the time. Both costs are fitted so that the *relative* errors
# are least, as on logarithmic axes.


# %%
def affine(sizes, seconds):
    """Fit t = a + bB, and return a, b and the largest relative error."""
    columns = np.stack([1 / seconds, sizes / seconds], axis=1)
    (a, b), *_ = np.linalg.lstsq(columns, np.ones(len(sizes)), rcond=None)
    return a, b, np.abs(columns @ [a, b] - 1).max()


fetching, updating = curve(rounds)
machines = {
    "slide: V100": (np.array(list(SLIDE)), np.array(list(SLIDE.values())), "C1"),
    "one thread": (np.array(SIZES), fetching + updating, "C0"),
}
gpus = [gpu["device"]] if gpu else []
if gpu:
    machines[gpu["device"]] = np.array(gpu["sizes"]), np.sum(gpu["seconds"], axis=0), "C4"
    print({name: value for name, value in gpu.items() if name not in ("sizes", "seconds")})
else:
    print(f"No other GPU is drawn: {GPU_FILE.name} is missing. To make it, on a machine with an")
    print("NVIDIA GPU, install cupy-cuda13x (or 12x), and run this with --backend cupy --record.")

print("\n     B  fetching    update  (ms, one thread)")
for size, *times in zip(SIZES, fetching, updating):
    print(f"{size:6}" + "".join(f"{1e3 * seconds:10.3f}" for seconds in times))
fits = {name: affine(*points) for name, (*points, _color) in machines.items()}
for name, (a, b, error) in fits.items():
    print(
        f"{name}: t = {1e3 * a:.2f} ms + {1e6 * b:.1f} µs · B, within {error:.0%}; "
        f"nearly free up to B ≈ {a / b:.0f}"
    )


# %% plot
def draw_times():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
    grid = np.geomspace(1, N, 100)
    for name, (sizes_here, seconds, color) in machines.items():
        a, b, _error = fits[name]
        left.plot(sizes_here, seconds, "o", color=color)
        left.plot(grid, a + b * grid, color=color, linewidth=1)
        left.plot([a / b] * 2, [2 * a / 1.6, 2 * a * 1.6], color=color, linewidth=3, alpha=0.6)
        right.plot(sizes_here, np.ceil(N / sizes_here) * seconds, "o-", color=color, linewidth=1)
        right.text(1.5, 1.3 * N * seconds[0], name, color=color)
    left.plot(SIZES, fetching, ":", color="C0")
    left.text(SIZES[4], fetching[4] / 3, "fetching alone", color="C0")
    left.text(1, 2e-2, "t = a + bB", color="C1")
    left.set(xscale="log", yscale="log", xlabel="B", title="seconds per update")
    right.set(xscale="log", yscale="log", xlabel="B", title="seconds per epoch", ylim=(None, 2e3))
    return figure


evidence.save(
    "update_time",
    draw_times,
    caption="Seconds an update (left) and an epoch (right), on logarithmic axes: dots are "
    "measured, lines are t = a + bB. The thick tick on each line is at B = a/b, up to which a "
    "larger batch is nearly free.",
    alt="Left: two rising curves, flat up to B of about a/b and then straight. Right: the time of "
    "an epoch falls with B and levels off.",
    lead=True,
)

# %% [markdown]
# At B = a/b the update takes twice as long as a tiny one. No line has a knee: what looks like one
# on the slide is its linear axis. The slide's b is 155 µs a sample, whatever B is. That is far too
# slow for a V100 and this network: it looks like the time to load the images, not to compute.

# %% bet
a, b, _error = fits["one thread"]
evidence.bet(
    "On one thread of a processor: up to which batch size is a larger batch nearly free, so that "
    "its update takes less than twice as long as the smallest one?",
    answer=min(("10", "100", "1000", "10000"), key=lambda size: abs(np.log(int(size) * b / a))),
    options=["10", "100", "1000", "10000"],
    told=f"a/b is {a / b:.0f} here: {1e3 * a:.2f} ms for every update and {1e6 * b:.1f} µs a "
    "sample.",
)

# %% why [markdown]
# An update has a fixed part, a, which calls the operations and makes the step, and a part for each
# sample, b. As long as a is larger, more samples are nearly free; beyond B = a/b twice the samples
# take twice the time. An epoch makes N/B updates, so it pays the fixed part N/B times: that is what
# makes small batches slow.

# %% [markdown]
# ## Verdict

# %% verdict
times = {size: np.sum(rounds[size], axis=1) for size in SIZES}
epochs = {size: len(tg.DataLoader(train_set, size)) * times[size] for size in SIZES}
longer = rules.paired_interval(times[1000], 2 * times[10])
slower = rules.paired_interval(epochs[1], epochs[1000])
fastest = min(SIZES, key=lambda size: np.median(epochs[size]))
flatness = {
    name: seconds[sizes_here == 1000][0] / seconds[sizes_here == 10][0]
    for name, (sizes_here, seconds, _color) in machines.items()
}
evidence.report(
    "6",
    "Without parallel computing one update on a large batch takes longer.",
    slide="no numbers",
    ours=f"one thread: {1e3 * np.median(times[10]):.2g} ms for B = 10, "
    f"{1e3 * np.median(times[1000]):.2g} ms for 1000, {1e3 * np.median(times[N]):.0f} ms for {N}",
    rule="reproduced if the 95 % interval of t(1000) − 2 t(10), over paired rounds, lies above 0; "
    "contradicted if below; not seen if it includes 0",
    verdict=rules.judge(longer),
    headline=f"one thread: B = 1000 takes {np.median(times[1000]) / np.median(times[10]):.2g} × B "
    "= 10",
    quote="没有平行运算时,单次更新大批次耗时更长",
    caveat=f"but hardly longer up to B ≈ {a / b:.0f}: even one thread has calls to make once",
    timing=True,
)
evidence.report(
    "7",
    "With a GPU, updates on B = 10 and B = 1000 take about the same; far beyond it climbs steeply.",
    slide="V100: " + ", ".join(f"{seconds} s for B = {size}" for size, seconds in SLIDE.items()),
    ours="t(1000) / t(10): "
    + "; ".join(f"{name} {ratio:.2g}" for name, ratio in flatness.items())
    + "; nearly free up to B ≈ "
    + ", ".join(f"{a / b:.0f} ({name})" for name, (a, b, _error) in fits.items()),
    rule="about the same is a factor below 2 on a GPU whose times are at hand: reproduced if on "
    "all, under conditions if on some, contradicted if on none; without one, not measured",
    verdict=rules.judge_conditions({name: flatness[name] < 2 for name in gpus})
    if gpus
    else "not measured",
    headline=f"{gpus[0]}: B = 1000 takes {flatness[gpus[0]]:.2g} × B = 10"
    if gpus
    else f"no GPU at hand; the slide's own ratio is {flatness['slide: V100']:.0f}",
    quote="含有10笔资料和含有1000笔资料的批次,每次更新的运算时间差不多,"
    "但是含有的资料再增加,超过\\(gpu\\)的承受能力,运算时间就会急剧增加了",
    caveat="true up to B ≈ a/b, which depends on the machine, the network and the loading"
    + "; no GPU but the slide's was at hand" * (not gpus),
    timing=True,
)
evidence.report(
    "8",
    "In one epoch small batches are the slow ones.",
    slide="V100, s an epoch: 365 for B = 1, 44 for 10, 15 for 100, about 9 from 1000 on",
    ours=f"s an epoch: {np.median(epochs[1]):.2g} for B = 1, {np.median(epochs[10]):.2g} for 10, "
    f"{np.median(epochs[1000]):.2g} for 1000, {np.median(epochs[N]):.2g} for {N}",
    rule="reproduced if the 95 % interval of epoch(1) − epoch(1000), over paired rounds, lies "
    "above 0; contradicted if below; not seen if it includes 0",
    verdict=rules.judge(slower),
    headline=f"B = 1 takes {np.median(epochs[1]) / np.median(epochs[1000]):.0f} × B = 1000's epoch",
    quote="在1 个 epoch 中,小批次反而耗时更长,大批次耗时更短",
    caveat=f"fastest here at B = {fastest}: beyond, the calls no longer count, and arrays that do "
    "not fit into the processor's cache make it slower again",
    timing=True,
)
