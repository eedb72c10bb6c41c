# %% [markdown]
# # Are local minima rare?
#
# The notes say: experiments show that local minima (局部最小值) rarely exist. The lecture's
# experiment is a scatter plot. Networks are trained until they stand still; at each critical point
# (临界点) the eigenvalues of the Hessian are counted, and their *minimum ratio* is drawn against
# the loss:
#
# $$\text{minimum ratio} = \frac{\text{number of positive eigenvalues}}{\text{number of all}}.$$
#
# A ratio of 1 is a local minimum. On the slide the highest ratio is about 0.55: read at its word,
# every point is a saddle (鞍点). And points of higher loss have lower ratios. These are two claims.
# We ask them apart, of networks so small that every eigenvalue can be found, in float64.

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from scipy import stats
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# The rules were fixed before these seeds were run. "Rare" means that fewer than 10 % are minima.
# The weight decay (½·0.001·‖θ‖², which keeps the critical points from running off to infinity) adds
# 0.001 to every eigenvalue, so each count is made twice, with its share and without. (Without it
# the points are not quite critical. The second count tells how much of the first the decay made.)

# %%
SEEDS, RARE, DECAY = range(12), 0.1, 1e-3

images, labels = (part.data for part in tg.datasets.digits()[0][:])
chosen = np.flatnonzero(labels < 4)[:156]  # digits 0 to 3
targets = np.eye(4)[labels[chosen]]
centered = images[chosen].astype("float64") - images[chosen].mean(axis=0)
inputs = np.linalg.svd(centered, full_matrices=False)[0][:, :5] * len(chosen) ** 0.5  # 5 whitened


# %% [markdown]
# Each row of θ holds the 44 parameters of one 5-4-4 tanh network. The loss of many networks is
# computed at once, and since none feels another's weights, one product with the Hessian gives one
# column of the Hessian of *every* network.


# %%
def losses(θ):
    """Return the loss of each network: mean squared error and weight decay."""
    ends = [(0, 20, 5, 4), (20, 24, 1, 4), (24, 40, 4, 4), (40, 44, 1, 4)]
    W1, b1, W2, b2 = (θ[:, start:end].reshape((-1, m, n)) for start, end, m, n in ends)
    error = tg.tanh(inputs @ W1 + b1) @ W2 + b2 - targets
    return (error**2).mean(axis=(1, 2)) + 0.5 * DECAY * (θ**2).sum(axis=1)


def look(θ):
    """Return the losses, the gradients and the Hessians of all networks."""
    moving = tg.Tensor(θ, requires_grad=True)
    H = tg.HessianOperator(lambda: losses(moving).sum(), [moving])
    units = (np.tile(unit, len(θ)) for unit in np.eye(44))
    columns = [(H @ unit).reshape(θ.shape) for unit in units]
    return losses(θ), H.gradient.reshape(θ.shape), np.stack(columns, axis=2)


# %% [markdown]
# Two kinds of Newton's method, both with a damping μ, both stepping along the eigenvectors of H:
#
# * *search*: the step −(H² + μ)⁻¹Hg makes ‖g‖ smaller, and cares for nothing else. It finds the
#   critical points near by, whatever they are;
# * *descend*: the step −(|H| + μ)⁻¹g makes L smaller. It finishes what training began.

# %%
SEARCH = (lambda λ, μ: λ / (λ**2 + μ), lambda L, g: np.linalg.norm(g, axis=1))
DESCEND = (lambda λ, μ: 1 / (np.abs(λ) + μ), lambda L, g: L)


def settle(θ, method, steps, description):
    """Go to critical points; return where ‖g‖ < 1e-8 was reached, the losses and eigenvalues."""
    gain, merit = method
    state, μ = (θ, *look(θ)), np.full(len(θ), 1e-3)
    for _ in tqdm(range(steps), desc=description):
        θ, L, g, H = state
        λ, U = np.linalg.eigh(H)
        along = gain(λ, μ[:, None]) * (U.mT @ g[..., None])[..., 0]
        new = θ - (U @ along[..., None])[..., 0]
        new = (new, *look(new))
        better = merit(*new[1:3]) <= merit(L, g)
        state = tuple(
            np.where(better.reshape(-1, *[1] * (old.ndim - 1)), after, old)
            for old, after in zip(state, new)
        )
        μ = np.clip(np.where(better, μ / 5, μ * 4), 1e-14, 1e3)
    _, L, g, H = state
    return np.linalg.norm(g, axis=1) < 1e-8, L, np.linalg.eigvalsh(H)


# %% [markdown]
# The search starts along training: from weights of three sizes, after 0, 10, 100 and 1000 updates
# with Momentum. Training alone is followed from 4 usual starts for each seed.


# %%
def train(θ, updates):
    """Train all networks with Momentum; yield them at these numbers of updates."""
    moving = tg.Tensor(θ, requires_grad=True)
    optimizer = tg.Momentum([moving], lr=0.1, momentum=0.9)
    for update in range(max(updates) + 1):
        if update in updates:
            yield moving.data
        optimizer.zero_grad()
        losses(moving).sum().backward()
        optimizer.step()


generators = [np.random.default_rng(seed) for seed in SEEDS]
starts = [
    size * np.concatenate([generator.normal(size=(2, 44)) for generator in generators])
    for size in (0.15, 0.5, 1.5)
]
begun = np.concatenate([θ for start in starts for θ in train(start, (0, 10, 100, 1000))])
usual = np.concatenate([generator.normal(scale=0.5, size=(4, 44)) for generator in generators])
(trained,) = train(usual, (500,))
found = settle(begun, SEARCH, 75, "searching critical points")
ended = settle(trained, DESCEND, 75, "training to the end")
print(
    f"‖g‖ < 1e-8 reached: search {found[0].mean():.0%}, training to the end {ended[0].mean():.0%}"
)

# %% [markdown]
# Networks that differ only in the order or the signs of their hidden units have the same loss. So
# of the critical points that a seed finds, those of one loss count once.


# %%
def tally(points, seeds, share, distinct):
    """Return a table for each seed: the loss, and the negative, zero and positive eigenvalues."""
    reached, L, λ = points
    zero = 1e-6 * np.abs(λ).max(axis=1, keepdims=True)
    λ = λ - share  # of the weight decay
    counts = [(λ < -zero).sum(axis=1), (np.abs(λ) <= zero).sum(axis=1), (λ > zero).sum(axis=1)]
    table = np.column_stack([L.round(8), *counts])
    tables = [table[reached & (seeds == seed)] for seed in SEEDS]
    return [np.unique(rows, axis=0) for rows in tables] if distinct else tables


tables = {}
for decay, share in (("with", 0.0), ("without", DECAY)):
    tables["found", decay] = tally(found, np.tile(np.repeat(SEEDS, 2), 12), share, distinct=True)
    tables["ended", decay] = tally(ended, np.repeat(SEEDS, 4), share, distinct=False)
print("Found by seed 0: loss; negative, zero, positive with the decay's share, and without")
for with_share, without in zip(tables["found", "with"][0], tables["found", "without"][0]):
    print(f"{with_share[0]:.4f}  {with_share[1:].astype(int)}  {without[1:].astype(int)}")

# %% [markdown]
# ## Where the slide's ratio of one half may come from
#
# A network of the usual kind has more parameters than its data can pin down. The one below has 832,
# for the 4 outputs of 30 images. At loss 0, H can have 120 eigenvalues that are not zero, one for
# each output and image; at least 712 must be zero, and in float32 rounding decides their signs.

# %%
wide = tg.nn.perceptron(64, 12, 4, activation=tg.nn.Tanh(), seed=0)
loader = tg.DataLoader(tg.TensorDataset(images[chosen][:30], targets[:30].astype("float32")), 30)
optimizer = tg.Momentum(wide.parameters(), lr=0.5, momentum=0.9)
steps = tg.updates(lambda x, target: tg.mse_loss(wide(x), target), loader, optimizer)
*_, (loss, x, target) = islice(steps, 4000)
H = tg.HessianOperator(lambda: tg.mse_loss(wide(x), target), wide.parameters())
matrix = tg.hessian(lambda: tg.mse_loss(wide(x), target), wide.parameters())
rough, careful = np.linalg.eigvalsh(matrix), tg.classify_critical_point(H, H.gradient)
print(f"Loss {loss.item():.1e}. Of {len(rough)} eigenvalues {(rough > 0).mean():.1%} are above 0.")
print(f"Beyond the tolerance for rounding: {careful}")


# %%
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), width_ratios=[3, 2])
    looks = {"found": ("oC0", "found by the search"), "ended": ("*C1", "where training ends")}
    for place, (look, name) in looks.items():
        table = np.concatenate(tables[place, "with"])
        left.plot(table[:, 3] / 44, table[:, 0], look, alpha=0.5, label=name)
    for low, high, bottom, top in ((0.26, 0.555, 0, 0.008), (0.003, 0.23, 0.086, 0.089)):
        left.fill_between([low, high], bottom, top, color="gray", alpha=0.6)
    left.text(0.12, 0.095, "slide", color="gray", ha="center")
    left.text(0.41, 0.014, "slide", color="gray", ha="center")
    left.set(xlabel="minimum ratio", ylabel="loss", xlim=(-0.02, 1.03))
    left.legend(loc="upper left", fontsize=9)
    right.plot(rough, ".", color="C2", markersize=3)
    right.set_yscale("symlog", linthresh=1e-6)
    right.axhspan(-careful.tolerance, careful.tolerance, color="gray", alpha=0.3)
    right.text(20, 1, f"{(rough > 0).mean():.0%} are above 0", color="C2", fontsize=9)
    right.set(xlabel="eigenvalue number", title="a wide network, float32", ylabel="λ")
    right.text(20, careful.tolerance * 2, "gray: counted as zero", color="gray", fontsize=9)
    return figure


evidence.save("minimum_ratio", draw)

# %% [markdown]
# ## Verdict

# %%
rare, shares, falls = {}, {}, {}
for (place, decay), of_seeds in tables.items():
    minima = [float((table[:, 1] == 0).mean()) for table in of_seeds]  # nothing negative
    shares[place, decay] = f"{np.mean(minima):.0%}"
    rare[place, decay] = rules.judge(rules.paired_interval([RARE] * len(SEEDS), minima))
    if place == "found":
        ranks = [-stats.spearmanr(table[:, 0], table[:, 3]).statistic for table in of_seeds]
        falls[decay] = rules.paired_interval(ranks, [0.0] * len(SEEDS))
print(f"Rare? {rare}")
evidence.report(
    "31",
    "Local minima are rare.",
    slide="minimum ratio at most 0.555: no minimum among all points",
    ours=f"minima where training ends: {shares['ended', 'with']} with the decay's share, "
    f"{shares['ended', 'without']} without; among the critical points found: "
    f"{shares['found', 'with']} and {shares['found', 'without']}",
    rule="by each of four counts, rare if the 95 % interval over 12 seeds is below 10 %, not rare "
    "if above. Reproduced if rare by all, under conditions if by some; if by none, contradicted "
    "where one says not rare, else not seen",
    verdict=rules.judge_conditions({" ".join(count): word for count, word in rare.items()}),
    caveat="small networks, and training ends in a descent along |H|, which leaves saddles; "
    f"{found[0].mean():.0%} of the searches arrived at a critical point. In the network of "
    f"{len(rough)} parameters most eigenvalues are zero, and with the signs of "
    f"their rounding its ratio is {(rough > 0).mean():.2f}",
)
words = {rules.judge(fall) for fall in falls.values()}
evidence.report(
    "31b",
    "Critical points of higher loss are more of a saddle: their minimum ratio is lower.",
    slide="ratio 0.26 to 0.555 at a loss below 0.008, 0.003 to 0.23 at 0.0875",
    ours=f"rank correlation of loss and ratio {-falls['with'].mean:.2f} (95 % interval "
    f"{-falls['with'].high:.2f} to {-falls['with'].low:.2f}), without the decay's share "
    f"{-falls['without'].mean:.2f}",
    rule="reproduced if the 95 % interval of the seeds' correlations is below 0, with the decay's "
    "share and without; contradicted if above 0; otherwise not seen",
    verdict=words.pop() if len(words) == 1 else "not seen",
    caveat="the search starts near training paths, so the highest saddles are seldom found",
)
