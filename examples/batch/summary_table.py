# %% [markdown]
# # Small or large? The notes' table, measured
#
# The lecture sums up small and large batches (批次) in a table. Which of its six rows hold when
# each cell is measured?
#
# | | small | large |
# |---|---|---|
# | one update, no parallel computing (平行运算) | faster | slower |
# | one update, parallel | same | same (if not too large) |
# | one epoch (回合) | slower | faster |
# | gradient | noisy | stable |
# | optimization | better | worse |
# | generalization | better | worse |
#
# Here is a measured number for each cell: B = 8 beside the full batch, 860 digits, with a 64-64-10
# network. The time and the accuracy have pages of their own; the noise of the gradient, which has
# none, comes first.

# %%
import json
import sys
from itertools import islice
from pathlib import Path
from time import process_time

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

chosen = evidence.settings(
    seed=(200, 300), width=(64, 16, 128), split=(0, 1), lr=(0.1, 0.4), batch=(8, 32)
)
SEEDS = range(chosen.seed, chosen.seed + 12)
train_set, _, test_set = rules.digits(860, chosen.split)
N, SMALL = len(train_set), chosen.batch
LARGE = N


def start(batch_size, seed, dtype="float32"):
    """Make a network; return it, its updates, and how many of them are an epoch."""
    model = tg.nn.perceptron(64, chosen.width, 10, seed=seed, dtype=dtype)
    loader = tg.DataLoader(train_set, batch_size, shuffle=True, seed=seed)
    optimizer = tg.SGD(model.parameters(), chosen.lr)
    updates = tg.updates(lambda x, y: tg.cross_entropy(model(x), y), loader, optimizer)
    return model, updates, len(loader)


# %% [markdown]
# ## How noisy is the gradient?
#
# The gradient of a batch is the mean of B samples' gradients, drawn from N. So statistics knows how
# far from the full gradient g it lies. With the covariance Σ of the samples' gradients,
#
# $$E\lVert g_B - g\rVert^2 = \frac{\operatorname{tr}\Sigma}{B} \qquad\text{and}\qquad
# \frac{\operatorname{tr}\Sigma}{B}\cdot\frac{N - B}{N - 1}:$$
#
# the first if every sample is drawn from all N (with replacement), the second if none comes twice
# in an epoch, as a loader deals them. On logarithmic axes the first is a straight line of slope −1;
# the second bends down to zero, since the full batch *is* all the data.
#
# After a first epoch of training we take the gradient of each sample, and let the loader deal.


# %%
def flat_gradient(model, images, labels):
    loss = tg.cross_entropy(model(images), labels)
    return tg.nn.parameters_to_vector(tg.grad(loss, model.parameters()))


class WithReplacement(tg.DataLoader):
    def order(self, epoch):
        return np.random.default_rng((self.seed, epoch)).integers(N, size=N)


model, updates, per_epoch = start(32, seed=100, dtype="float64")
list(islice(updates, per_epoch))
samples = [flat_gradient(model, *train_set[place : place + 1]) for place in range(N)]
full = flat_gradient(model, *train_set[:])
away = np.array(samples) - full
trace = (away**2).sum() / N  # tr Σ
batch_sizes = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, N])
formulas = {
    "with replacement": (WithReplacement, trace / batch_sizes),
    "as a loader deals": (tg.DataLoader, trace / batch_sizes * (N - batch_sizes) / (N - 1)),
}
noise = {name: [] for name in formulas}
for name, (kind, _formula) in formulas.items():
    for batch_size in batch_sizes:
        numbers = tg.TensorDataset(np.arange(N))
        loader = kind(numbers, int(batch_size), shuffle=True, drop_last=True, seed=0)
        epochs = range(max(1, 200 * batch_size // N))
        deals = [batch.numpy() for _epoch in epochs for (batch,) in loader]
        noise[name].append(np.mean([(away[deal].mean(axis=0) ** 2).sum() for deal in deals]))
worst = max(
    np.abs(noise[name][place] / formula[place] - 1)
    for name, (_kind, formula) in formulas.items()
    for place in range(len(batch_sizes) - 1)
)
small_noise = noise["as a loader deals"][list(batch_sizes).index(SMALL)]
large_noise = noise["as a loader deals"][-1]
large_noise = round(large_noise, 12)  # zero, but for rounding
print(f"‖g‖² = {full @ full:.3f}, tr Σ = {trace:.2f}; noise within {worst:.0%} of the formulas")


# %% plot
def draw_noise():
    figure, axes = plt.subplots(figsize=(7, 3.2))
    grid = np.geomspace(1, N - 0.5, 400)
    axes.plot(grid, trace / grid, color="C1", linewidth=1)
    axes.plot(grid, trace / grid * (N - grid) / (N - 1), color="C0", linewidth=1)
    axes.axhline(full @ full, color="gray", linestyle=":")
    axes.text(1, full @ full * 1.15, "‖g‖²", color="gray")
    for values, color in zip(noise.values(), ("C1", "C0")):
        axes.plot(batch_sizes, values, "o", color=color)
    axes.text(420, 0.03, "with replacement:\ntr Σ / B", color="C1")
    axes.text(140, 0.003, "as a loader deals:\ntr Σ / B · (N − B)/(N − 1)", color="C0", ha="right")
    axes.set(
        xscale="log", yscale="log", xlabel="B", ylabel=r"$E\;\Vert g_B - g\Vert^2$", ylim=(4e-4, 20)
    )
    return figure


evidence.save(
    "summary_table_noise",
    draw_noise,
    caption="How far a batch's gradient lies from that of all the data: dots are measured, lines "
    "are the formulas. Where no sample comes twice, the noise vanishes at the full batch.",
    alt="Two falling lines on logarithmic axes with dots on them; one bends down to zero at B = N.",
)

# %% [markdown]
# ## The time
#
# What is "without parallel computing"? One sample after the other, each with a pass of its own.
# With it, a GPU computes all samples at once; where `update_time.py` has recorded a GPU's times,
# they are read, and without them the two rows are not measured. In their place stands what one
# thread takes for a whole batch with its vector instructions. The clock counts only the processor's
# work for this program.


# %%
def one_by_one(batch_size):
    """Update without end, with a pass for each sample."""
    model, _updates, _per_epoch = start(batch_size, seed=0)
    optimizer = tg.SGD(model.parameters(), chosen.lr)
    while True:
        optimizer.zero_grad()
        for place in range(batch_size):  # the gradients add up
            images, labels = train_set[place : place + 1]
            (tg.cross_entropy(model(images), labels) / batch_size).backward()
        yield optimizer.step()


def milliseconds(updates):
    """Return the median time of an update, over nine of them."""
    laps = []
    for _update in islice(updates, 10):
        laps.append(process_time())
    return 1e3 * float(np.median(np.diff(laps)))


serial = {size: milliseconds(one_by_one(size)) for size in (SMALL, LARGE)}
parallel = {size: milliseconds(start(size, seed=0)[1]) for size in (SMALL, 16, 32, 64, 128, LARGE)}
same_up_to = max(size for size, lap in parallel.items() if lap < 2 * parallel[SMALL])
epoch = {size: start(size, seed=0)[2] * parallel[size] for size in (SMALL, LARGE)}

gpu, gpu_file = "no GPU's times are at hand", Path(__file__).with_name("gpu_times.json")
update_is_same = epoch_is_slower = "not measured"
if gpu_file.exists():
    content = json.loads(gpu_file.read_text(encoding="utf-8"))
    of_size = dict(zip(content["sizes"], 1e3 * np.sum(content["seconds"], axis=0)))
    gpu = f"{content['device']}: {of_size[10]:.2g} ms for B = 10, {of_size[1000]:.2g} for 1000"
    update_is_same = of_size[1000] < 2 * of_size[10]
    epoch_is_slower = 100 * of_size[10] > of_size[1000]  # 100 times as many updates

# %% [markdown]
# ## The accuracy
#
# Twenty epochs each, with the same η and the same initial weights: twelve paired seeds. The test
# digits, 577 and then 360 more that have chosen nothing, are all others.

# %%
accuracies = {SMALL: [], LARGE: []}  # for each seed, of training and of test data
for seed in tqdm(SEEDS, desc="seeds"):
    for size, found in accuracies.items():
        model, updates, per_epoch = start(size, seed)
        list(islice(updates, 20 * per_epoch))
        found.append([tg.evaluate(model, data).accuracy for data in (train_set, test_set)])
train, test = (
    [np.array(accuracies[size])[:, place] for size in (SMALL, LARGE)] for place in (0, 1)
)
optimization, generalization = rules.paired_interval(*train), rules.paired_interval(*test)

# %% [markdown]
# ## The table

# %%
small = [serial[SMALL], parallel[SMALL], epoch[SMALL], small_noise / (full @ full)]
large = [serial[LARGE], parallel[LARGE], epoch[LARGE], large_noise / (full @ full)]
small += [100 * train[0].mean(), 100 * test[0].mean()]
large += [100 * train[1].mean(), 100 * test[1].mean()]
ROWS = {  # what the notes say, the unit, and whether it holds, by a number or by an interval
    "one update, one by one": ("faster", "slower", "ms", small[0] < large[0]),
    "one update, parallel (here: one thread)": ("same", "same", "ms", update_is_same),
    "one epoch, parallel (here: one thread)": ("slower", "faster", "ms", epoch_is_slower),
    r"gradient: $E\Vert g_B - g\Vert^2/\Vert g\Vert^2$": (
        "noisy",
        "stable",
        "",
        small[3] > large[3] and worst < 0.15,
    ),
    "optimization: training accuracy": ("better", "worse", "%", rules.judge(optimization)),
    "generalization: test accuracy": ("better", "worse", "%", rules.judge(generalization)),
}
TOLD = {
    True: "holds",
    "reproduced": "holds",
    False: "does not hold",
    "contradicted": "does not hold",
}


def draw_table():
    figure, axes = plt.subplots(figsize=(7, 2.9))
    axes.text(4.3, -1, f"small, B = {SMALL}", color="C0", weight="bold")
    axes.text(7.2, -1, f"large, B = {LARGE}", color="C1", weight="bold")
    for place, (what, (of_small, of_large, unit, holds)) in enumerate(ROWS.items()):
        axes.text(0, place, what)
        for left, values, word, color in (4.3, small, of_small, "C0"), (7.2, large, of_large, "C1"):
            axes.text(left, place, f"{values[place]:.3g} {unit}", color=color)
            axes.text(left + 1.45, place, word, alpha=0.7)
        axes.text(10, place, TOLD.get(holds, holds))
        axes.axhline(place - 0.72, color="gray", linewidth=0.5)
    axes.set(xlim=(0, 11.7), ylim=(5.5, -1.6))
    axes.axis("off")
    return figure


def draw_ratios():
    figure, axes = plt.subplots(figsize=(7, 3))
    ratios = np.array(large[:6]) / np.array(small[:6])
    ratios[3] = np.nan  # the full batch has no noise
    axes.barh(range(6), np.log10(ratios), color=["C0", "gray", "gray", "C0", "C1", "C1"], alpha=0.6)
    for place, ratio in enumerate(ratios):
        told = f"× {ratio:.3g}" if ratio == ratio else "× 0: no noise"
        axes.text(0.03, place, told, va="center")
    names = ["update, one by one", "update, one thread", "epoch, one thread", "gradient noise"]
    axes.set_yticks(range(6), [*names, "training accuracy", "test accuracy"])
    axes.axvline(0, color="gray", linewidth=1)
    axes.invert_yaxis()
    axes.set(xlabel="log₁₀ of large over small")
    return figure


evidence.save(
    "summary_table_ratios",
    draw_ratios,
    caption="The large batch over the small one, row by row of the notes' table. Gray rows are the "
    "time of one thread: the notes speak of a GPU there.",
    alt="Six bars: an update of the large batch takes longer, its epoch is shorter, its gradient "
    "has no noise, and its accuracies at equal epochs are lower.",
    lead=True,
)
evidence.save(
    "summary_table",
    draw_table,
    caption="The notes' table with a measured number in each cell, and the notes' word beside it. "
    '"Same" is taken to be a factor below 2.',
    alt="A table of six rows for small and large batches, with numbers and whether the row holds.",
)

# %% bet
evidence.bet(
    f"After twenty epochs each: how far is B = {SMALL} ahead of the full batch in test accuracy?",
    answer=round(100 * generalization.mean),
    slider=(-20, 90, 1),
    unit=" points",
    told=f"That is at equal epochs: the small batch made {-(-N // SMALL)} times as many updates.",
)

# %% why [markdown]
# Four of the rows are arithmetic: more samples are more work, an epoch of larger batches has fewer
# updates, and a mean over more samples has less noise. The last two rows are at equal epochs, where
# the small batch has made many more updates; that, and not the size itself, is most of its lead.

# %% [markdown]
# ## Verdict

# %% verdict
names = {what: what.partition(":")[0].partition(" (")[0] for what in ROWS}
words = {names[what]: row[3] for what, row in ROWS.items()}
holding = [TOLD.get(word) for word in words.values()].count("holds")
evidence.report(
    "17",
    "The summary table: small and large batches in time, gradient, optimization, generalization.",
    slide="a table of words",
    ours=f"one thread: an update takes about the same up to B = {same_up_to}; {gpu}; accuracy, "
    f"small − large, training {optimization}, test {generalization}",
    rule="a row holds by its time, by noise within 15 % of the formula, or by a 95 % interval over "
    "paired seeds; one about parallel computing by a GPU's times only. Reproduced if all six hold; "
    "the four that need no GPU decide first: if one of them does not, its word is the verdict",
    verdict=rules.judge_conditions(words, leading=[it for it in words if "parallel" not in it]),
    headline=f"{holding} of {len(ROWS)} rows hold",
    quote="小批次在 1 个 epoch "
    "中的速度很慢,耗时很长,但是小批次在优化过程性能更好,在测试时的性能也更好",
    caveat="the last two rows are at equal epochs, in which the small batch makes many times as "
    "many updates. The page on batch size and accuracy has equal updates",
    timing=True,
)
