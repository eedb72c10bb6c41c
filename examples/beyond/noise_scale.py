# %% [markdown]
# # The gradient noise scale: how large a batch is worth it
#
# The notes call the batch size (批次大小) a hyperparameter (超参数) that you set yourself. What
# should it depend on, and does that change while a network learns?
#
# McCandlish et al. (2018, arXiv:1812.06162) look at the noise. The gradient of a batch of B samples
# is that of all the data, g, and noise. With Σ, the covariance of single samples' gradients,
#
# $$\mathbb E\,\lVert g_B - g \rVert^2 = \frac{\operatorname{tr}\Sigma}{B},$$
#
# so the noise is as strong as the signal ‖g‖² at the *noise scale* B = tr Σ/‖g‖². Far below it, a
# batch twice as large is almost as good as two updates; far beyond, it is hardly better than one
# half its size. McCandlish et al. found that it grows while a network learns: what all samples
# agree on is learned first.

# %%
import sys
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# The rule, fixed before these seeds were run: the scale grows if, over 12 seeds, the 95 % interval
# of log₂(after/before) lies above 0, for 30 epochs of SGD with B = 32.
#
# tr Σ is the mean of the single gradients' ‖gᵢ‖², minus ‖g‖². We take 200 samples for it, one
# backward pass each, and g from all the data.

# %%
chosen = evidence.settings(
    seed=(200, 300), width=(32, 16, 64), split=(0, 1), lr=(0.1, 0.03), batch=(32, 8)
)
SEEDS, EPOCHS = range(chosen.seed, chosen.seed + 12), (0, 1, 2, 4, 8, 16, 30)
digits, _, _ = rules.digits(1437, chosen.split)


class Learner:
    """A network that learns the digits by SGD, and tells its gradients."""

    def __init__(self, seed):
        network = tg.nn.perceptron(64, chosen.width, 10, seed=seed)
        self.loss = lambda x, labels: tg.cross_entropy(network(x), labels)
        self.parameters = network.parameters()
        self.loader = tg.DataLoader(digits, chosen.batch, shuffle=True, seed=seed)
        self.steps = tg.updates(self.loss, self.loader, tg.SGD(self.parameters, chosen.lr))

    def learn(self, epochs):
        for _ in islice(self.steps, epochs * len(self.loader)):
            pass

    def gradient(self, batch):
        gradients = tg.grad(self.loss(*batch), self.parameters)
        return tg.nn.parameters_to_vector(gradients).astype("float64")

    def noise_and_signal(self, samples):
        """Return tr Σ and ‖g‖²."""
        signal = (self.gradient(digits[:]) ** 2).sum()
        singles = [(self.gradient(digits[i : i + 1]) ** 2).sum() for i in samples]
        return np.mean(singles) - signal, signal


def follow(seed):
    """Train; return tr Σ and ‖g‖² at each of the epochs."""
    learner, samples = Learner(seed), np.random.default_rng((seed, 1)).permutation(len(digits))
    found = []
    for last, epoch in pairwise((0, *EPOCHS)):
        learner.learn(epoch - last)
        found.append(learner.noise_and_signal(samples[:200]))
    return found


noise, signal = np.moveaxis(np.array([follow(seed) for seed in tqdm(SEEDS, desc="seeds")]), -1, 0)
scales = noise / signal  # seeds, epochs
print("medians of 12 seeds:  tr Σ     ‖g‖²   noise scale")
for place, epoch in enumerate(EPOCHS):
    median = [np.median(values[:, place]) for values in (noise, signal, scales)]
    print(f"epoch {epoch:3} {median[0]:16.3f} {median[1]:8.5f} {median[2]:13.0f}")

# %% [markdown]
# ## Does a batch of that size have as much noise as signal?
#
# One more network. Batches are drawn with replacement, as the formula has it, and their distance
# from g is measured.

# %%
SIZES, learner, generator = (1, 4, 16, 64, 256, 1024), Learner(1000), np.random.default_rng(1000)
predicted, measured = {}, {}


def batch_noise(size, g):
    """Return the mean of ‖g_B − g‖² over many batches: more of the small ones, where it varies."""
    draws = generator.integers(len(digits), size=(max(100, 6000 // size), size))
    return np.mean([((learner.gradient(digits[draw]) - g) ** 2).sum() for draw in draws])


for epoch in (0, 30):
    learner.learn(epoch)
    spread, power = learner.noise_and_signal(range(len(digits)))
    g = learner.gradient(digits[:])
    predicted[epoch] = spread / power
    measured[epoch] = np.array([batch_noise(size, g) for size in SIZES]) / power
    print(
        f"epoch {epoch}, noise scale {predicted[epoch]:.0f}: noise/signal", measured[epoch].round(2)
    )


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    left.plot(EPOCHS, scales.T, color="C0", alpha=0.3, linewidth=0.8)
    left.plot(EPOCHS, np.median(scales, axis=0), "o-", color="C0")
    left.set_yscale("log")
    left.set(xlabel="epoch", ylabel="noise scale tr Σ/‖g‖²", title="12 seeds and their median")
    for epoch, color in ((0, "C4"), (30, "C0")):
        right.loglog(SIZES, predicted[epoch] / np.array(SIZES), color=color, linewidth=1)
        right.plot(SIZES, measured[epoch], "o", color=color)
        right.plot([predicted[epoch]] * 2, [1e-2, 1], ":", color=color)
        right.text(1.2 * predicted[epoch], 0.013, f"{predicted[epoch]:.0f}", color=color)
    right.axhline(1, color="gray", linewidth=0.8)
    right.text(1, 0.4, "noise = signal", color="gray")
    right.text(14, 250, "after 30 epochs", color="C0")
    right.text(1.2, 7, "before", color="C4")
    right.set(xlabel="batch size B", ylabel="noise/signal", ylim=(1e-2, 4e3))
    right.set_title("dots: measured, line: tr Σ/B‖g‖²")
    return figure


evidence.save(
    "noise_scale",
    draw,
    caption="Left, the noise scale of twelve networks while they learn. Right, noise over signal "
    "for batches of every size: dots are measured, lines are the formula, and the dotted line "
    "marks where noise and signal are equal.",
    alt="Left: curves rise over the epochs, by a factor of ten and more. Right: two falling lines "
    "with dots on them, the one after training far above the one before.",
    lead=True,
)

# %% bet
growth = rules.paired_interval(np.log2(scales[:, -1]), np.log2(scales[:, 0]))
evidence.bet(
    "Over 30 epochs of training, what happens to the noise scale, the batch size at which the "
    "gradient's noise is as strong as its signal?",
    answer="it grows" if growth.low > 0 else "it falls" if growth.high < 0 else "it stays",
    options=["it falls", "it stays", "it grows"],
    told=f"It is {2**growth.mean:.1f} times as large at the end.",
)

# %% why [markdown]
# What all samples agree on is learned first, and then it no longer shows in the gradient: the
# signal ‖g‖² falls. What they disagree about remains, so the noise tr Σ falls more slowly. Their
# ratio grows, and with it the batch that is worth its work.

# %% [markdown]
# ## Verdict

# %% verdict
ratios = np.concatenate([measured[e] * SIZES / predicted[e] for e in predicted])
fits = bool((np.abs(ratios - 1) < 0.3).all())
evidence.report(
    "D4",
    "The gradient noise scale tr Σ/‖g‖² grows while a network learns.",
    slide="not in the lecture; McCandlish et al. 2018: it grows, ten times or more",
    ours=f"median {np.median(scales[:, 0]):.0f} before, {np.median(scales[:, -1]):.0f} after 30 "
    f"epochs; {2**growth.mean:.1f} times as large (95 % interval {2**growth.low:.1f} to "
    f"{2**growth.high:.1f}, {growth.pairs} seeds)",
    rule="reproduced if the interval of after/before lies above 1, and if single batches' noise is "
    "tr Σ/B within 30 % at all sizes; contradicted if it lies below 1; otherwise not seen",
    verdict=rules.judge(growth) if fits else "not seen",
    headline=f"it grows {2**growth.mean:.0f}-fold in 30 epochs",
    caveat=f"tr Σ itself goes from {np.median(noise[:, 0]):.1f} over "
    f"{np.median(noise, axis=0).max():.1f} to {np.median(noise[:, -1]):.1f}: the scale grows since "
    "‖g‖² falls. At a critical point of the whole loss it is infinite",
)
