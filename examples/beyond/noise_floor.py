# %% [markdown]
# # How low can the loss get with small batches?
#
# With a fixed learning rate, training by small batches (批次) does not come to rest in the minimum:
# each batch pulls elsewhere, and the loss stays at a floor above the lowest. How high is the floor,
# and what do η, the batch size (批次大小) B and momentum (动量) have to do with it?
#
# The notes say that a small batch's updates are noisy, and leave out what the noise costs in the
# end. In a valley that is exactly quadratic the answer is exact. So we can predict, and count how
# often we are right.

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

chosen = evidence.settings(seed=(700, 900), lr=(0.02, 0.025), batch=(8, 16), momentum=(0.9, 0.7))
SEEDS = range(chosen.seed, chosen.seed + 12)

# %% [markdown]
# The valley bends with h = 1 along one direction and with 0.2 along the other. Each of 512 samples
# adds a slope of its own, drawn from an exponential distribution: mean 0, variance 1. Each of 12
# seeds draws 16 such data sets, and all 192 are trained side by side.

# %%
N, COPIES, H = 512, 16, np.array([1.0, 0.2])


def slopes(seed):
    """Return the slopes of the samples, for each copy along each direction."""
    drawn = np.random.default_rng(seed).exponential(size=(N, COPIES, 2))
    return (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)


DATA = tg.TensorDataset(np.concatenate([slopes(seed) for seed in SEEDS], axis=1))


class WithReplacement(tg.DataLoader):
    """Draws each sample of a batch from all of them, whatever was drawn before."""

    def order(self, epoch):
        return np.random.default_rng((self.seed, epoch)).integers(N, size=N)


def excess(loader, η, λ, *, away=0.0):
    """Train, and yield after each update by how much each copy's loss is above the lowest."""
    w = tg.Tensor(np.full((len(SEEDS) * COPIES, 2), away), requires_grad=True)

    def loss(slopes):
        return (0.5 * H * w * w + slopes.mean(axis=0) * w).sum()  # of all: none feels another's

    for _ in tg.updates(loss, loader, tg.Momentum([w], η, λ)):
        yield 0.5 * (H * w.data**2).sum(axis=1)


def measured_floor(loader, η, λ, every=1):
    """Return each seed's mean loss above the lowest, once it no longer depends on the start."""
    forgotten = int(5 * (1 - λ) / (η * H.min())) + 50  # updates
    looks = islice(excess(loader, η, λ), forgotten, 4 * forgotten + 2500)
    kept = [losses for update, losses in enumerate(looks, forgotten + 1) if update % every == 0]
    return np.mean(kept, axis=0).reshape(len(SEEDS), COPIES).mean(axis=1)


# %% [markdown]
# ## Drawn with replacement: the exact floor
#
# Along a direction of curvature h the distance d from the minimum follows dᵗ⁺¹ = (1 + λ − ηh)dᵗ −
# λdᵗ⁻¹ − ηξᵗ, where ξ is the batch's own slope, of variance σ²/B. The variance of such a sequence
# is known, and with it the mean loss:
#
# $$E L - L_\text{min} = \sum_k \frac{\eta\,\sigma_k^2\,(1+\lambda)}
# {2B\,(1-\lambda)\,\bigl(2(1+\lambda) - \eta h_k\bigr)}
# \;\approx\; \frac{\eta}{1-\lambda}\,\frac{\operatorname{tr}\Sigma}{4B}
# \quad\text{for small } \eta.$$
#
# Here are 30 settings: three batch sizes, ten pairs of η and λ.


# %%
def exact_floor(η, λ, B):
    return (η * (1 + λ) / (2 * B * (1 - λ) * (2 * (1 + λ) - η * H))).sum()


BATCHES, λ = (1, chosen.batch, 8 * chosen.batch), chosen.momentum
PAIRS = [(chosen.lr * times, 0.0) for times in (1, 5, 25, 50, 75)]
PAIRS += [(chosen.lr * times, 0.5) for times in (1, 25)]
PAIRS += [(chosen.lr * times, λ) for times in (0.5, 5, 50)]
drawn = {}
for B in BATCHES:
    for η, mass in tqdm(PAIRS, desc=f"with replacement, B = {B}"):
        loader = WithReplacement(DATA, B, shuffle=True, seed=chosen.seed)
        drawn[η, mass, B] = measured_floor(loader, η, mass), exact_floor(η, mass, B)

# %% [markdown]
# ## Shuffled: another floor
#
# A shuffled loader shows every sample once an epoch, so that most of the noise cancels within it.
# At the end of an epoch of m updates with plain SGD the variance is, with ρ = 1 − ηh,
#
# $$\frac{\eta^2\sigma^2}{1-\rho^{2m}} \Bigl[\frac{N}{N-1} \sum_i \frac{\rho^{2i}}{B} -
# \frac{(\sum_i \rho^i)^2}{N-1}\Bigr].$$


# %%
def shuffled_floor(η, B):
    powers = (1 - η * H) ** np.arange(N // B)[:, None]
    noise = N / (N - 1) * (powers**2).sum(axis=0) / B - powers.sum(axis=0) ** 2 / (N - 1)
    return (0.5 * H * η**2 * noise / (1 - (1 - η * H) ** (2 * N / B))).sum()


shuffled = {}
for B in tqdm(BATCHES[1:], desc="shuffled"):
    for η in (chosen.lr, 5 * chosen.lr, 25 * chosen.lr):
        loader = tg.DataLoader(DATA, B, shuffle=True, seed=chosen.seed)
        shuffled[η, 0.0, B] = measured_floor(loader, η, 0.0, every=N // B), shuffled_floor(η, B)

# %% [markdown]
# The rule, fixed before these seeds were run: a formula holds in a setting if the whole 95 %
# interval over 12 seeds of measured/predicted lies within 10 % of 1, and must hold in all; it is
# contradicted if one interval lies wholly outside. And the rule must be able to fail: by the
# formula for drawing with replacement, the shuffled floors must be contradicted.


# %%
def judge(floors):
    """Judge a formula by pairs of what was measured for each seed and what it says."""
    ratios = [rules.paired_interval(found / exact, [1.0] * len(SEEDS)) for found, exact in floors]
    return rules.judge_all(rules.judge_equal(ratio, 0.1) for ratio in ratios)


misjudged = [(found, exact_floor(*key)) for key, (found, _) in shuffled.items()]
words = {
    "drawn with replacement": judge(drawn.values()),
    "shuffled": judge(shuffled.values()),
}
control = judge(misjudged)
ratio = {
    "drawn": [found.mean() / exact for found, exact in drawn.values()],
    "shuffled": [found.mean() / exact for found, exact in shuffled.values()],
    "misjudged": [found.mean() / exact for found, exact in misjudged],
}
for name, found in ratio.items():
    print(
        f"{name:10} measured / predicted: {min(found):.3f} to {max(found):.3f} in {len(found)} "
        "settings"
    )
print(words, f"shuffled, by the wrong formula: {control}")


# %% plot
def draw_floor():
    figure, axes = plt.subplots(figsize=(6, 3.8))
    for floors, look, name in (
        (drawn.values(), "oC0", "with replacement"),
        (shuffled.values(), "sC1", "shuffled"),
        (misjudged, "xC3", "shuffled, wrong formula"),
    ):
        measured, exact = zip(*((found.mean(), exact) for found, exact in floors))
        axes.loglog(exact, measured, look, label=name, alpha=0.7)
    ends = np.array(axes.get_xlim())
    axes.plot(ends, ends, color="gray", zorder=0)
    axes.set(xlabel="predicted floor", ylabel="measured floor")
    axes.legend(fontsize=9)
    return figure


evidence.save(
    "noise_floor",
    draw_floor,
    caption="The measured floor against the predicted one. Points on the gray line: the formula is "
    "right, over four orders of magnitude. Crosses: shuffled runs, judged by the formula for "
    "drawing with replacement, lie far below.",
    alt=f"Measured against predicted floor on two logarithmic axes. {len(drawn)} settings drawn "
    f"with replacement and {len(shuffled)} shuffled ones lie on the diagonal; the shuffled ones, "
    "predicted by the other formula, lie below it, the lowest by a factor of "
    f"{1 / min(ratio['misjudged']):.0f}.",
    lead=True,
)


# %% plot
def draw_descent():
    figure, axes = plt.subplots(figsize=(6, 3.2))
    for place, times in enumerate((1, 5, 25)):
        η = chosen.lr * times
        loader = WithReplacement(DATA, chosen.batch, shuffle=True, seed=chosen.seed)
        losses = [each.mean() for each in islice(excess(loader, η, 0.0, away=3.0), 1500)]
        axes.semilogy(losses, color=f"C{place}", label=f"η = {η:.2g}")
        axes.axhline(exact_floor(η, 0.0, chosen.batch), color=f"C{place}", ls=":")
    axes.set(xlabel="update", ylabel="loss above the lowest")
    axes.legend(fontsize=9)
    return figure


evidence.save(
    "noise_floor_descent",
    draw_descent,
    caption=f"With B = {chosen.batch}, a larger η comes down sooner and stays higher up. Dotted: "
    "the predicted floors. The mean of 192 runs.",
    alt="Loss above the lowest against the update for three learning rates. Each falls and then "
    "stays level on its dotted line; the largest η levels off first and highest.",
)

# %% bet
fine, coarse = (drawn[chosen.lr * times, 0.0, chosen.batch][0].mean() for times in (1, 5))
evidence.bet(
    f"SGD with batches of {chosen.batch} has come down to its floor. Now η becomes a fifth of what "
    "it was. How many times lower is the new floor?",
    answer=round(coarse / fine, 1),
    slider=(1, 30, 0.1),
    told="As many times lower as η is smaller, very nearly: that is why one decays the learning "
    "rate. A batch five times as large would have done the same.",
)

# %% play [markdown]
# [Fit a line with batches of one point](playground.md#surface=line&batch=1). Watch the path
# near the best line: it never comes to rest. Then make the batch larger, or η smaller.

# %% why [markdown]
# Each update shrinks the distance to the minimum in proportion to η, and adds a random step in
# proportion to η, too; the two balance where the mean squared distance is in proportion to η/B.
# Momentum adds up steps and noise alike, so that only η/(1 − λ) counts. In a shuffled epoch the
# samples' slopes add up to zero, and a small η, which hardly moves during an epoch, feels the sum.

# %% [markdown]
# ## Verdict

# %% verdict
plain, heavy = (drawn[key][0].mean() for key in ((5 * chosen.lr, 0.0, 1), (0.5 * chosen.lr, λ, 1)))
evidence.report(
    "D5",
    "SGD's loss ends on a floor, which η/(1 − λ), B and the samples' disagreement set.",
    slide="not in the lecture; the formula is known (Polyak 1987; Gitman et al. 2019)",
    headline=f"Floor: measured/exact {min(ratio['drawn']):.2f} to {max(ratio['drawn']):.2f}, "
    f"{len(drawn)} settings",
    ours=f"measured over exact {min(ratio['drawn']):.3f} to {max(ratio['drawn']):.3f} in "
    f"{len(drawn)} settings with replacement, {min(ratio['shuffled']):.3f} to "
    f"{max(ratio['shuffled']):.3f} in {len(shuffled)} shuffled ones by their own formula. By the "
    f"wrong formula these are at {min(ratio['misjudged']):.3f} to {max(ratio['misjudged']):.3f}",
    rule="reproduced if, in every setting, the 95 % interval over 12 seeds of measured/predicted "
    "lies within 10 % of 1, by each formula; contradicted if one lies wholly outside. Not measured "
    "if the shuffled floors are not contradicted by the wrong formula",
    verdict=rules.judge_all(words.values()) if control == "contradicted" else "not measured",
    caveat=f"a quadratic valley. At the same η/(1 − λ) SGD and momentum have nearly the same floor "
    f"({plain:.3f} and {heavy:.3f} at B = 1) as long as η is small. Shuffling helps most at a "
    "small η (Mishchenko et al. 2020, arXiv:2006.05988); with momentum: Gitman et al. "
    "(arXiv:1910.13962)",
)
