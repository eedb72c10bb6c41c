# %% [markdown]
# # A flat minimum hardly notices a shift
#
# Why should a flat minimum (平滑的最低点) be better on new data than a sharp one (陡峭的最低点)?
# And is sharpness a property of the network at all?
#
# The notes draw one curve, the training loss, and the same curve dotted and moved a little to the
# right, the testing loss. At the flat minimum the two hardly differ. At the sharp one a small shift
# lifts the loss a lot.
#
# Taylor says how much. Near a minimum w* with the curvature λ = L″(w*), a shift by δ costs
#
# $$L(w^* - \delta) - L(w^*) \approx \tfrac12 \lambda \delta^2.$$
#
# So "flat" and "sharp" are names for a small and a large λ, and the drawing is their meaning. What
# it *assumes* is that new data shift the curve. And λ has a weakness of its own, found by Dinh et
# al. (2017): a network can be rewritten, with not one of its answers changed, so that λ is as large
# as you like. This page makes the drawing run, and then does the rewriting.

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

# %% [markdown]
# A curve by construction, with a wide dip at −3 and a narrow one at 2, eight times as narrow. We
# roll down into each, and take the curvature from the Hessian (海森矩阵), here a single number.


# %%
def curve(w):
    return 1 - tg.ops.exp(-(((w + 3) / 2) ** 2)) - tg.ops.exp(-(((w - 2) / 0.25) ** 2))


SHIFT = 0.15


def bottom(start):
    """Descend to the minimum; return where it is, and its curvature."""
    w = tg.Tensor(start, requires_grad=True)
    optimizer = tg.SGD([w], lr=0.02)
    for _ in range(2000):
        optimizer.zero_grad()
        curve(w).backward()
        optimizer.step()
    return w.item(), tg.hessian(lambda: curve(w), [w]).item()


rises = {}
for name, start in {"flat": -2.5, "sharp": 2.1}.items():
    place, curvature = bottom(start)
    rises[name] = curve(np.array(place - SHIFT)) - curve(np.array(place))
    print(
        f"{name:5} minimum at {place:+.3f}: λ = {curvature:.3g}; a shift of {SHIFT} lifts the loss "
        f"by {rises[name]:.4f}, and ½λδ² = {curvature * SHIFT**2 / 2:.4f}"
    )
ratio = rises["sharp"] / rises["flat"]


# %% plot
def draw_shift():
    figure, axes = plt.subplots(figsize=(7, 3))
    grid = np.linspace(-7, 4, 800)
    axes.plot(grid, curve(grid), color="C0")
    axes.plot(grid, curve(grid - SHIFT), ":", color="C1")
    for place, name in ((-3.0, "flat"), (2.0, "sharp")):
        low, high = curve(np.array(place)), curve(np.array(place - SHIFT))
        axes.plot([place, place], [low, high], color="C3", linewidth=3)
        axes.text(place, -0.12, f"{name}: +{rises[name]:.3f}", color="C3", ha="center")
    axes.text(-6.9, 0.75, "training", color="C0")
    axes.text(-4.6, 0.75, f"testing, {SHIFT} to the right", color="C1")
    axes.set(xlabel="w", ylabel="L", ylim=(-0.2, 1.1))
    return figure


evidence.save(
    "flat_and_sharp",
    draw_shift,
    caption="The notes' drawing, made runnable: the same curve twice, once moved to the right. Red "
    f"is what the shift costs: {rises['sharp']:.3f} at the sharp minimum, {rises['flat']:.4f} at "
    "the flat one.",
    alt="A curve with a wide dip and a narrow one, and a dotted copy of it; a long red bar stands "
    "at the narrow dip only.",
    lead=True,
)

# %% [markdown]
# ## The same function, as sharp as you like
#
# For α > 0, max(αx, 0) = α max(x, 0). So multiply the first layer of a ReLU network, weights and
# bias, by α, and divide the next layer's weights by α: every answer stays. But the next layer's
# weights have become small numbers that a step of the same length changes α times as much, so that
# the curvature along them grows like α².

# %%
chosen = evidence.settings(
    seed=(200, 300), width=(32, 64, 8), split=(0, 1), lr=(0.2, 0.05), start=(1.0, 3.0)
)
SEEDS = range(chosen.seed, chosen.seed + 12)
train_set, _, test_set = rules.digits(500, chosen.split)
images, labels = (train_set.arrays[0].astype("float64"), train_set.arrays[1])


def trained(seed):
    """Train a network in float64 for ten epochs."""
    model = rules.perceptron(64, chosen.width, 10, seed=seed, scale=chosen.start, dtype="float64")
    loader = tg.DataLoader(tg.TensorDataset(images, labels), 32, shuffle=True, seed=seed)
    optimizer = tg.SGD(model.parameters(), chosen.lr)
    steps = tg.updates(lambda x, y: tg.cross_entropy(model(x), y), loader, optimizer)
    for _ in islice(steps, 10 * len(loader)):
        pass
    return model


def rescaled(model, alpha):
    """Return the same function, written with other numbers."""
    other = tg.nn.perceptron(64, chosen.width, 10, dtype="float64")
    other.load_state_dict(model.state_dict())
    first, _, second = other.layers
    first.weight.data = alpha * first.weight.data
    first.bias.data = alpha * first.bias.data
    second.weight.data = second.weight.data / alpha
    return other


def steepest(model):
    """Return λmax and its eigenvector, of the loss on all training images."""
    H = tg.HessianOperator(lambda: tg.cross_entropy(model(images), labels), model.parameters())
    pairs = tg.extreme_eigenpairs(H, max_steps=30)
    return pairs.values[-1], pairs.vectors[:, -1]


def difference(model, other):
    """Return the largest change of any image's score, relative to the largest score."""
    scores, changed = model(images).data, other(images).data
    return np.abs(changed - scores).max() / np.abs(scores).max()


# %% [markdown]
# Twelve networks, each rewritten with α = 10. For the first of them, we also go through many α.

# %%
networks = [trained(seed) for seed in tqdm(SEEDS, desc="networks")]
sharper = [rescaled(model, 10.0) for model in networks]
before, after = ([steepest(model)[0] for model in models] for models in (networks, sharper))
change = max(difference(model, other) for model, other in zip(networks, sharper))
growth = rules.paired_interval(np.log10(after), np.log10(before))
accuracies = {
    name: tg.evaluate(m[0], test_set).accuracy
    for name, m in (("as trained", networks), ("rewritten", sharper))
}
print(f"test accuracy of the first: {accuracies}; largest change of a score: {change:.1e}")
print(f"log₁₀ of λmax rewritten / as trained: {growth}")
alphas = np.geomspace(0.1, 100, 13)
eigenvalues = [steepest(rescaled(networks[0], alpha))[0] for alpha in alphas]

# %% [markdown]
# On the left, λmax against α: with either layer made small it grows like the square. On the right,
# both valleys, along the steepest direction of each: the same function, the same answers.

# %%
STEPS = np.linspace(-0.5, 0.5, 81)


def valley(model):
    """Return the loss along the eigenvector of λmax."""
    model, u = rescaled(model, 1.0), steepest(model)[1]
    start = tg.nn.parameters_to_vector(model.parameters())
    losses = []
    for step in STEPS:
        tg.nn.vector_to_parameters(start + step * u, model.parameters())
        losses.append(tg.cross_entropy(model(images), labels).item())
    return losses


valleys = {"as trained": valley(networks[0]), "rewritten,\nα = 10": valley(sharper[0])}


def draw_rescaled():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    left.loglog(alphas, eigenvalues, "o-", color="C0")
    left.loglog(alphas[6:], eigenvalues[8] / 3 * (alphas[6:] / alphas[8]) ** 2, "--", color="gray")
    left.text(30, eigenvalues[8], "∝ α²", color="gray")
    left.set(xlabel="α", ylabel="λmax")
    for (name, losses), color, place in zip(
        valleys.items(), ("C0", "C1"), ((0.2, 0.05), (0.2, 1.5))
    ):
        right.plot(STEPS, losses, color=color)
        right.text(*place, name, color=color)
    right.set(xlabel="step along the steepest direction", ylabel="training loss", ylim=(0, 3))
    return figure


evidence.save(
    "flat_and_sharp_rescaled",
    draw_rescaled,
    caption="Left, λmax of one network, written with another α: it gives the same answers at every "
    "point of this curve. Right, the loss along the steepest direction, as trained and rewritten.",
    alt="Left: λmax falls to a minimum and then grows like α². Right: two valleys, the rewritten "
    "one much narrower.",
)

# %% bet
evidence.bet(
    "The first layer of a trained network is multiplied by 10, the next one divided by 10. Not one "
    "answer changes. What does its λmax do?",
    answer="it grows more than tenfold" if growth.low > 1 else "it stays about the same",
    options=["it stays about the same", "it grows up to tenfold", "it grows more than tenfold"],
    told=f"It is {10**growth.mean:.0f} times as large, on average over {growth.pairs} networks.",
)

# %% why [markdown]
# Near a minimum the loss is ½λδ², so for the same shift δ the cost is proportional to λ: that is
# the whole argument of the drawing. But λ is measured per unit of the weights, and the units of two
# layers of a ReLU network can be traded for each other. So λ alone says nothing about the function;
# it can be compared between networks that were trained alike.

# %% [markdown]
# ## Verdict

# %% verdict
evidence.report(
    "15",
    "Train and test losses differ by a shift; a flat minimum hardly changes, a sharp one a lot.",
    slide="one curve and a dotted copy of it, shifted right; no numbers",
    ours=f"a shift of {SHIFT} lifts the loss by {rises['flat']:.4f} at the flat minimum and by "
    f"{rises['sharp']:.3f} at the sharp one, {ratio:.0f} times as much",
    rule="a definition if the loss rises at both, and at the sharp minimum, eight times as narrow, "
    "at least ten times as much; else contradicted",
    verdict="definition" if rises["flat"] > 0 and ratio >= 10 else "contradicted",
    headline=f"the same shift costs {ratio:.0f} times as much",
    quote="只要 testing loss 有一点变化,陡峭处就会发生大变化,从而导致大批次在测试时表现不好",
    caveat="a drawing made runnable: that new data shift the loss is its assumption, not a finding",
)
same, higher = change < 1e-12, rules.judge(growth) == "reproduced" and growth.low > 1
evidence.report(
    "16b",
    "Sharpness is not invariant: one function can be flat or sharp (added; Dinh et al. 2017).",
    slide="not in the lecture",
    ours=f"α = 10: scores change by {change:.0e} at most, λmax grows {10**growth.mean:.0f}-fold "
    f"(from {np.mean(before):.2f} to {np.mean(after):.0f}), over {growth.pairs} networks",
    rule="reproduced if no score changes by more than 1e-12 of the largest, and the 95 % interval "
    "of λmax's growth lies above tenfold; else contradicted",
    verdict="reproduced" if same and higher else "contradicted",
    headline=f"the same answers, λmax {10**growth.mean:.0f} times as large",
    caveat="so λmax alone cannot explain how a network does on new data: compare it only between "
    "networks trained alike",
)
