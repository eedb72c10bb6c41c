# %% [markdown]
# # Both the fish and the bear's paw
#
# Small batches (批次) train better, and large ones run faster, since their samples can be split
# over many machines. "Can we have both the fish and the bear's paw?" (鱼与熊掌), asks the lecture.
# How large can a batch become before it trains worse?
#
# The lecture's slide lists papers that train with huge batches. Goyal et al. (2017,
# arXiv:1706.02677) went from B = 256 to 32 times as many with two rules.
#
# **Linear scaling.** One large step stands for k small ones, so give it k times the learning rate:
#
# $$\theta^{t+k} = \theta^t - \eta \sum_{j<k} g_j(\theta^{t+j})
# \approx \theta^t - k\eta \cdot \frac1k \sum_{j<k} g_j(\theta^t).$$
#
# **Gradual warm-up.** The ≈ needs gradients that stay about the same for k small steps, and early
# in training they do not. So climb to the full rate evenly over the first epochs (回合).
#
# Two questions, each with a condition that decides it. How far does linear scaling go, from a small
# η and from the η that is best for the small batch? And does warm-up help if both sides, with it
# and without, have the best rate of their own?

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

chosen = evidence.settings(
    seed=(200, 300), width=(64, 128), split=(0, 1), lr=(0.025, 0.05), start=(10.0, 5.0)
)
SEEDS = range(chosen.seed, chosen.seed + 12)
DATA = train_set, validation_set, test_set = rules.digits(1024, chosen.split)


def train(sizes, batch_size, epochs, factor, seed, scale=1.0):
    """Train a network; `factor` gives the learning rate after so many epochs."""
    model = rules.perceptron(*sizes, seed=seed, scale=scale)
    loader = tg.DataLoader(train_set, batch_size, shuffle=True, seed=seed)
    optimizer = tg.SGD(model.parameters(), factor(0))
    steps = tg.updates(lambda x, labels: tg.cross_entropy(model(x), labels), loader, optimizer)
    with np.errstate(all="ignore"):  # a rate that is too large
        for update, _ in enumerate(islice(steps, epochs * len(loader)), start=1):
            optimizer.lr = factor(update / len(loader))  # for the next update
    return model


def points(model):
    """Return the test accuracy in points; a run that is no better than chance is broken."""
    chance = np.log(10)  # the loss of ten equal probabilities
    arrives = tg.evaluate(model, train_set).loss < chance
    return 100 * tg.evaluate(model, test_set).accuracy if arrives else None


# %% [markdown]
# ## Linear scaling
#
# B = 8 with η, and B = 8k with kη, for ten epochs each. The rule: the large batch does as well if
# the 95 % interval of the difference in test accuracy lies within one point.

# %%
SMALL, FACTORS, EPOCHS, MARGIN = 8, (1, 2, 4, 8, 16, 32), 10, 1.0
SIZES = (64, chosen.width, 10)


def scaled(k, lr, seed):
    """Train with k times the batch and the rate lr."""
    return train(SIZES, SMALL * k, EPOCHS, lambda epoch: lr, seed)


def validation(model):
    """Return the score that chooses; a run that is no better than chance is broken."""
    loss = tg.evaluate(model, validation_set).loss
    return -loss if loss < np.log(10) else None


RATES = [chosen.lr * 2**k for k in range(5)]
best = rules.tune(RATES, lambda lr, seed: validation(scaled(1, lr, seed))).value
BASES = {f"a small η, {chosen.lr:g}": chosen.lr, f"the best η, {best:g}": best}
linear, unscaled = {}, {}
for name, lr in BASES.items():
    for k in tqdm(FACTORS, desc=name):
        linear[name, k] = [points(scaled(k, k * lr, seed)) for seed in SEEDS]
        unscaled[name, k] = [points(scaled(k, lr, seed)) for seed in SEEDS]
kept = {key: rules.paired_interval(found, linear[key[0], 1]) for key, found in linear.items()}
lost = {key: rules.paired_interval(found, linear[key[0], 1]) for key, found in unscaled.items()}
print(f"B = 8 with η = {best:g}: the best of {RATES}")
for (name, k), interval in kept.items():
    if k > 1:
        print(f"k = {k:2}, {name}: {interval} points; unscaled {lost[name, k]}")

# %% [markdown]
# ## Warm-up
#
# B = 256 for twenty epochs, with and without a warm-up over the first five. Each side has its own
# rate, the one with the lowest validation loss of the worst tuning seed. Once from the usual first
# weights, and once from hidden weights ten times as large, where the landscape is steep at the
# start.

# %%
DEEP, LARGE, LONG, WARM = (64, 64, 64, 10), 256, 20, 5
PEAKS = [0.057 * 2 ** (k / 2) for k in range(11)]
STARTS = {"usual first weights": 1.0, f"first weights × {chosen.start:g}": chosen.start}
SCHEDULES = {
    "without": lambda peak: lambda epoch: peak,
    "with": lambda peak: lambda epoch: peak * min(1.0, (1 + epoch) / (1 + WARM)),
}


def warmed(schedule, peak, start, seed):
    """Train with a schedule."""
    factor = SCHEDULES[schedule](peak)
    return train(DEEP, LARGE, LONG, factor, seed, scale=STARTS[start])


peaks, scores = {}, {}
for start in STARTS:
    for schedule in SCHEDULES:

        def score(peak, seed, schedule=schedule, start=start):
            return validation(warmed(schedule, peak, start, seed))

        peak = peaks[start, schedule] = rules.tune(PEAKS, score)
        models = [warmed(schedule, peak.value, start, seed) for seed in SEEDS]
        scores[start, schedule] = [points(model) for model in models]
gains = {
    start: rules.paired_interval(scores[start, "with"], scores[start, "without"])
    for start in STARTS
}
for start, gain in gains.items():
    rates = ", ".join(f"{it} {peaks[start, it].value:.2g}" for it in SCHEDULES)
    print(f"{start}: best η {rates}; gain of warm-up {gain} points")


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), width_ratios=[3, 2])
    for name, color in zip(BASES, ("C0", "C1")):
        for table, style in ((kept, "o-"), (lost, ":")):
            means = [table[name, k].mean for k in FACTORS]
            left.plot(FACTORS, means, style, color=color, label=name if style == "o-" else None)
    left.axhspan(-MARGIN, MARGIN, color="gray", alpha=0.2, linewidth=0)
    left.set_xscale("log", base=2)
    left.set(xlabel="k, times the batch", ylabel="test accuracy − B = 8's, points")
    left.set_yscale("symlog", linthresh=2)
    left.set_xticks(FACTORS, FACTORS)
    left.legend(fontsize="small", loc="lower left")
    for place, gain in enumerate(gains.values()):
        right.plot([gain.low, gain.high], [place] * 2, color="C2", linewidth=2)
        right.plot(gain.mean, place, "o", color="C2", markersize=7)
    right.axvline(0, color="gray", linestyle=":")
    right.set_yticks([0, 1], ["usual", f"× {chosen.start:g}"])
    right.set(xlabel="gain, points", ylabel="first weights", ylim=(1.5, -0.5))
    return figure


evidence.save(
    "large_batch",
    draw,
    caption="Left, B = 8k with k times the learning rate, beside B = 8 (dotted: without scaling). "
    "The gray band is one point. From a small η it goes far; from the best η it does not. Right, "
    "what warm-up gains when both sides have their best rate.",
    alt="Left: the curve from the small η stays in the band up to about k = 8 and then falls; the "
    "one from the best η falls sooner. Right: an interval near zero for usual weights and one to "
    "the right of zero for large ones.",
    lead=True,
)

# %% bet
reach = {
    name: max(k for k in FACTORS if rules.judge_equal(kept[name, k], MARGIN) == "reproduced")
    for name in BASES
}
far, near = reach.values()
evidence.bet(
    f"From B = 8 with η = {chosen.lr:g}: up to how many times the batch, with as many times the "
    "rate, is the test accuracy within a point?",
    answer=str(far),
    options=[str(k) for k in FACTORS],
    told=f"From the learning rate that is best for B = 8, it is {near}.",
)

# %% why [markdown]
# k small steps are one large step as long as the gradient hardly changes on the way, and that holds
# while kη is far below what the curvature allows. A small η leaves room for this; the best η of the
# small batch has used it up already. Where the landscape is steep at the start only, the room is
# small at the start only, and warm-up waits until there is more.

# %% [markdown]
# ## Verdict

# %% verdict
words = {
    f"k = {k} from {name.partition(',')[0]}": rules.judge_equal(kept[name, k], MARGIN)
    for name in BASES
    for k in FACTORS[1:]
}
evidence.report(
    "19",
    "A large batch can be made to work by linear scaling of the learning rate.",
    slide="Goyal et al., ImageNet top-1 error: B = 256 23.60; 8192 with linear scaling 24.84, with "
    "warm-up, too, 23.74; square root 26.22; unscaled 41.67",
    ours="test accuracy of B = 8k less that of B = 8, points: "
    + "; ".join(
        f"{name}: " + ", ".join(f"k = {k} {kept[name, k].mean:+.1f}" for k in FACTORS[1:])
        for name in BASES
    ),
    rule=f"it works for a k if the 95 % interval over 12 seeds lies within {MARGIN:g} point; a run "
    "that is no better than chance is broken and left out, and with more than a third of them "
    "there is no word. Reproduced if for all k from both rates, under conditions if for some, "
    "contradicted if the interval lies outside for all",
    verdict=rules.judge_conditions(words),
    headline=f"up to k = {far} from a small η, {near} from the best",
    caveat="so “linear scaling works” says that the base rate was small. With the best rate for "
    "each, see the page on batch size and accuracy",
)
evidence.report(
    "19c",
    "Gradual warm-up lets a large batch train better.",
    slide="Goyal et al., ImageNet top-1 error of B = 8192: gradual warm-up 23.74, none 24.84, "
    "constant 25.88",
    ours="test accuracy with warm-up less that without, each with its best rate, points: "
    + "; ".join(f"{start} {gain}" for start, gain in gains.items()),
    rule="reproduced if the 95 % interval over 12 seeds lies above 0 from both first weights, "
    "under conditions if from one; if from neither, contradicted where it lies below 0, else not "
    "seen",
    verdict=rules.judge_conditions({start: rules.judge(gain) for start, gain in gains.items()}),
    headline=f"{[*gains.values()][1].mean:+.1f} points where the start is steep",
    caveat="where the start is not steep, warm-up only costs the short steps. Gotmare et al. "
    "(2018, arXiv:1810.13243) and Kalra and Barkeshli (2024, arXiv:2406.09405) say that it lets "
    "one use a larger rate",
)
