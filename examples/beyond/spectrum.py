# %% [markdown]
# # All the eigenvalues of a network at once
#
# A minimum, a saddle point (鞍点): the notes ask for the signs of the Hessian's eigenvalues
# (特征值). What do all of them look like, in a network?
#
# Ghorbani, Krishnan and Xiao (2019, arXiv:1901.10159)
# drew the spectral density of whole networks: a bulk around zero, which is nearly flat ground, and
# a few outliers far above it, about as many as there are classes.
#
# The Hessian of n parameters has n² entries, too many to write down. Stochastic Lanczos quadrature
# needs only its products with a few random vectors v. Lanczos's method on v gives a small
# tridiagonal T, whose eigenvalues θᵢ stand in for the spectrum, with the squared first components
# of T's eigenvectors as weights τᵢ²:
#
# $$\rho(t) \approx \frac{1}{k} \sum_{v=1}^{k} \sum_{i} \tau_{i,v}^2\,
# \mathcal N(t;\, \theta_{i,v},\, \sigma^2).$$
#
# On a network small enough to write its Hessian down, we can check it.

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from scipy.stats import norm
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# The rules, fixed before these seeds were run, for each of 12:
#
# * the estimate is right if the cumulative distributions of both spectra, smoothed alike by σ = 1 %
#   of λmax, differ by at most 0.02 anywhere (the distance of Kolmogorov and Smirnov);
# * there is a bulk if at least 95 % of the eigenvalues lie within 10 % of λmax around zero;
# * there are outliers, no more than classes, if the widest gap among the highest 30 eigenvalues, as
#   the ratio of neighbors, comes after at most ten of them.

# %%
chosen = evidence.settings(
    seed=(200, 300), width=(8, 4, 12), split=(0, 1), lr=(0.1, 0.2), start=(1.0, 2.0)
)
SEEDS = range(chosen.seed, chosen.seed + 12)
images, labels = (part.data for part in rules.digits(500, chosen.split)[0][:])
DIGITS = tg.TensorDataset(images.astype("float64"), labels)


def train(*sizes, seed, epochs):
    """Train a network on 500 digits; return the Hessian of its loss on all of them."""
    network = rules.perceptron(*sizes, seed=seed, scale=chosen.start, dtype="float64")

    def loss(x, labels):
        return tg.cross_entropy(network(x), labels)

    loader = tg.DataLoader(DIGITS, 32, shuffle=True, seed=seed)
    steps = tg.updates(loss, loader, tg.SGD(network.parameters(), chosen.lr))
    for _ in islice(steps, epochs * len(loader)):
        pass
    return lambda: loss(*DIGITS[:]), network.parameters()


def distance(first, second, σ):
    """Return how far the cumulative distributions, smoothed by σ, differ; each nodes, weights."""
    grid = np.linspace(-10 * σ, 110 * σ, 2000)[:, None]
    one, other = (norm.cdf((grid - nodes) / σ) @ weights for nodes, weights in (first, second))
    return float(np.abs(one - other).max())


def equal(values):
    """Give every value the same weight."""
    return values, np.full(len(values), 1 / len(values))


# %% [markdown]
# A network of 610 parameters, after 40 epochs. Its exact eigenvalues need 610 products; the
# estimate makes 10 · 80, and would make no more for millions of parameters. For comparison: how far
# is the spectrum before training from the one after?

# %%
found = {"estimate": [], "untrained": [], "bulk": [], "outliers": []}
for seed in tqdm(SEEDS, desc="seeds"):
    begun, trained = (
        np.linalg.eigvalsh(tg.hessian(*train(64, chosen.width, 10, seed=seed, epochs=epochs)))
        for epochs in (0, 40)
    )
    H = tg.HessianOperator(*train(64, chosen.width, 10, seed=seed, epochs=40))
    estimate = tg.spectral_density(H)
    top = trained[-1]
    found["estimate"].append(distance(estimate, equal(trained), 0.01 * top))
    found["untrained"].append(distance(equal(begun), equal(trained), 0.01 * top))
    found["bulk"].append(float((np.abs(trained) < 0.1 * top).mean()))
    highest = trained[::-1][:31]
    found["outliers"].append(int(np.argmax(highest[:-1] / highest[1:])) + 1)
for name, values in found.items():
    print(f"{name:10} from {min(values):.4g} to {max(values):.4g}")

# %% [markdown]
# The numbers of the last seed as a picture, and the same for a network of 8970 parameters, before
# and after training. Before it, no outliers stand apart.

# %%
LARGE = (64, 64, 64, 10)
large = {
    epochs: tg.spectral_density(tg.HessianOperator(*train(*LARGE, seed=0, epochs=epochs)), 5, 60)
    for epochs in (0, 40)
}
for epochs, density in large.items():
    print(
        f"epoch {epochs}: eigenvalues from {density.nodes.min():.2f} to {density.nodes.max():.2f}"
    )


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True)
    grid, σ = np.linspace(-0.5, 1.1 * trained[-1], 1000), 0.01 * trained[-1]
    exact = tg.SpectralDensity(*equal(trained))
    left.fill_between(grid, exact.density(grid, σ), 1e-5, color="gray", alpha=0.4)
    left.semilogy(grid, estimate.density(grid, σ), color="C0")
    left.plot(trained, np.full(len(trained), 2e-4), "|", color="C1", markersize=8)
    left.text(0.35 * grid[-1], 20, "gray: exact\nline: from 800 products", color="C0")
    left.text(0.35 * grid[-1], 5, "bars: the eigenvalues", color="C1")
    left.set(
        xlabel="eigenvalue", ylabel="density", ylim=(1e-4, 100), title=f"{len(trained)} parameters"
    )
    grid = np.linspace(-0.7, 1.05 * large[40].nodes.max(), 1000)
    for density, color in zip(large.values(), ("C4", "C0")):
        right.semilogy(grid, density.density(grid, 0.03), color=color)
    right.text(2.5, 0.3, "after 40 epochs", color="C0")
    right.text(0.6, 8, "before", color="C4")
    right.set(xlabel="eigenvalue", title="8970 parameters")
    return figure


evidence.save(
    "spectrum",
    draw,
    caption="The density of the Hessian's eigenvalues after training: a bulk at zero and a few "
    "outliers. Left, the estimate from products alone over the exact one. Right, a larger network "
    "before and after training.",
    alt="Left: a high peak at zero and about ten small bumps far to the right; line and gray area "
    "agree. Right: the outliers are there after training only.",
    lead=True,
)

# %% bet
evidence.bet(
    "A trained network: what share of its Hessian's eigenvalues lies within 10 % of the largest "
    "one around zero?",
    answer=round(100 * float(np.mean(found["bulk"])), 1),
    slider=(0, 100, 0.1),
    unit=" %",
    told="The few others stand far apart, about as many as there are classes.",
)

# %% why [markdown]
# The loss of a classifier bends strongly only along directions that change the scores of whole
# classes, and there are about as many of these as classes. All other combinations of weights hardly
# change any score on the data, so along them the loss is nearly flat.

# %% [markdown]
# ## Verdict

# %% verdict
holds = [
    estimate <= 0.02 and bulk >= 0.95 and outliers <= 10
    for estimate, bulk, outliers in zip(found["estimate"], found["bulk"], found["outliers"])
]
evidence.report(
    "D3",
    "The Hessian's spectrum is a bulk near zero and a few outliers, and products alone show it.",
    slide="not in the lecture; Ghorbani et al. 2019: outliers, about as many as classes",
    ours=f"over 12 seeds {min(found['bulk']):.1%} of the eigenvalues or more near zero; the widest "
    f"gap after {min(found['outliers'])} to {max(found['outliers'])}; the estimate off by at "
    f"most {max(found['estimate']):.3f} (the untrained by {min(found['untrained']):.3f} or more)",
    rule="reproduced if the estimate is right and bulk and outliers are there for each of 12 "
    "seeds; under conditions if for some; contradicted if for none",
    verdict=rules.judge_conditions(holds),
    headline=f"{min(found['bulk']):.1%} near zero, at most {max(found['outliers'])} outliers",
    caveat="a smoothed spectrum: how many eigenvalues are exactly zero it cannot tell, nor whether "
    "the lowest is negative. For that take classify_critical_point",
)
