# %% [markdown]
# # The edge of stability
#
# Gradient descent on all the data does not come to rest in a calm valley: the highest eigenvalue
# λmax of the Hessian, the sharpness, *rises* while the loss falls. How far does it rise, and what
# sets the limit?
#
# The notes leave this out. Cohen et al. (2021, arXiv:2103.00065) saw λmax rise up to a value that
# the learning rate η alone sets, and stay there. Why that value? In a valley with the curvature h,
# a step of gradient descent multiplies the distance to the bottom by 1 − ηh. Beyond h = 2/η that is
# below −1, and the steps climb out. With momentum (动量), θ can bear more; with Nesterov's, less
# than that:
#
# $$\frac{2}{\eta}, \qquad \frac{2(1+\lambda)}{\eta}, \qquad
# \frac{2(1+\lambda)}{\eta(1+2\lambda)}.$$

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
    seed=(600, 800),
    lr=(0.4, 0.2),
    width=(32, 48),
    momentum=(0.5, 0.3),
    split=(0, 1),
    start=(1.0, 0.7),
)

# %% [markdown]
# 150 digits, as a regression on their labels (½ of the squared error of the ten outputs), with
# three hidden layers of tanh units. One batch holds all the data: nothing here is noise.

# %%
SEEDS, UPDATES = range(chosen.seed, chosen.seed + 12), 800
images, labels = (part.numpy() for part in rules.digits(150, chosen.split)[0][:])
centered = images - images.mean(axis=0)
DATA = tg.TensorDataset(centered / centered.std(), np.eye(10, dtype="float32")[labels])


def train(seed, lr, momentum=0.0, nesterov=False, measured=()):
    """Train on all the data; return the losses, and the sharpness at the updates to measure."""
    sizes = 64, chosen.width, chosen.width, chosen.width, 10
    network = tg.nn.perceptron(*sizes, activation=tg.nn.Tanh(), seed=seed)
    for layer in network.layers[:-1:2]:
        layer.weight.data = np.float32(chosen.start) * layer.weight.data
    parameters = network.parameters()

    def loss(x, target):
        return 0.5 * ((network(x) - target) ** 2).sum(axis=1).mean()

    optimizer = tg.Momentum(parameters, lr, momentum, nesterov)
    steps = tg.updates(loss, tg.DataLoader(DATA, len(DATA)), optimizer)
    losses, sharpness = [], []
    for update, (value, *_) in enumerate(islice(steps, max(measured)), 1):
        losses.append(value.item())
        if update in measured:
            H = tg.HessianOperator(lambda: loss(*DATA[:]), parameters)
            sharpness.append(float(tg.extreme_eigenpairs(H, max_steps=40).values[-1]))
    return np.array(losses), np.array(sharpness)


# %% [markdown]
# ## The rise
#
# One network, four learning rates:

# %%
often = np.arange(20, UPDATES + 1, 20)
RATES = chosen.lr * np.array([0.25, 0.75, 1, 1.5])
rises = {lr: train(1000, lr, measured=often) for lr in tqdm(RATES, desc="one network, four rates")}
for lr, (losses, sharpness) in rises.items():
    print(
        f"η = {lr:.3g}: sharpness {sharpness[0]:.1f} at update 20, {sharpness[-1]:.2f} at "
        f"{UPDATES}; 2/η = {2 / lr:.2f}; the loss rose in {(np.diff(losses) > 0).mean():.0%} of "
        "the updates"
    )

# %% [markdown]
# ## At the edge, over 12 seeds
#
# The rule, fixed before these seeds were run. A method has arrived where the sharpness has crossed
# its threshold; it overshoots at first, so we wait for 400 updates more, and from then on take the
# mean. That must be within 5 % of the method's own threshold, and of the three that its η has,
# nearest to its own. If more than a third of a method's runs have not arrived 400 updates before
# the end, there is no word on it: the claim is about those that do.

# %%
λ = chosen.momentum
METHODS = {  # its settings, and its threshold times η
    "GD, small η": ({"lr": chosen.lr}, 2),
    "GD, large η": ({"lr": 1.5 * chosen.lr}, 2),
    "momentum": ({"lr": 1.5 * chosen.lr, "momentum": λ}, 2 * (1 + λ)),
    "Nesterov": (
        {"lr": chosen.lr, "momentum": λ, "nesterov": True},
        2 * (1 + λ) / (1 + 2 * λ),
    ),
}
WAIT, LOOKS = 400, np.arange(50, UPDATES + 1, 50)
thresholds = {name: limit / settings["lr"] for name, (settings, limit) in METHODS.items()}
ratios = {name: [] for name in METHODS}
for seed in tqdm(SEEDS, desc="seeds"):
    for name, (settings, _) in METHODS.items():
        _, sharpness = train(seed, measured=LOOKS, **settings)
        crossed = LOOKS[sharpness > thresholds[name]].min(initial=UPDATES)
        late = sharpness[crossed + WAIT <= LOOKS]
        ratios[name].append(float(late.mean()) / thresholds[name] if len(late) else None)


def word(name):
    """Judge a method: it must be at its own threshold, and nearest to it of the three."""
    off = rules.paired_interval(
        [None if ratio is None else ratio - 1 for ratio in ratios[name]], [0.0] * len(SEEDS)
    )
    if not rules.enough(off):
        return "not measured"
    _, own = METHODS[name]
    found = (1 + off.mean) * own
    nearest = min((2, 2 * (1 + λ), 2 * (1 + λ) / (1 + 2 * λ)), key=lambda limit: abs(found - limit))
    return rules.judge_equal(off, 0.05) if nearest == own else "contradicted"


words = {name: word(name) for name in METHODS}
means = {
    name: float(np.mean([ratio for ratio in found if ratio is not None] or [np.nan]))
    for name, found in ratios.items()
}
arrived = {name: sum(ratio is not None for ratio in found) for name, found in ratios.items()}
for name in METHODS:
    print(
        f"{name}: {arrived[name]} of {len(SEEDS)} arrived; λmax is {means[name]:.3f} of "
        f"{thresholds[name]:.2f}: {words[name]}"
    )


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4))
    for color, (lr, (_, sharpness)) in zip(("gray", "C2", "C0", "C3"), rises.items()):
        left.plot(often, sharpness, color=color, label=f"η = {lr:.2g}")
        left.axhline(2 / lr, color=color, linestyle=":")
    left.set(xlabel="update", ylabel="sharpness λmax", ylim=(0, 3.2 / chosen.lr))
    left.legend(fontsize=8, loc="lower right")
    for row, (name, found) in enumerate(ratios.items()):
        color = "C0" if name.startswith("GD") else "C1"
        whole = [ratio for ratio in found if ratio is not None]
        right.plot(whole, [row] * len(whole), "o", color=color, alpha=0.6)
        right.text(0.91, row + 0.2, name, color=color)
    right.axvspan(0.95, 1.05, color="gray", alpha=0.2)
    right.axvline(1, color="gray", linestyle=":")
    right.set(xlabel="λmax / threshold", xlim=(0.9, 1.1), ylim=(-0.5, 3.8), yticks=[])
    right.set_xticks((0.95, 1, 1.05))
    return figure


low, high = min(means.values()), max(means.values())
evidence.save(
    "edge_of_stability",
    draw,
    caption="Left: the sharpness of one network rises to 2/η (dotted) and stays there; with the "
    "smallest η the network has learned the digits before. Right: 12 networks for each method, "
    "over the method's own threshold; gray is 5 % around it.",
    alt="Left, sharpness against the update for four learning rates: each rises to its dotted "
    "line and then stays on it, but for the smallest rate, which ends below. Right, points for "
    f"four methods, whose means lie between {low:.3f} and {high:.3f} of the thresholds.",
    lead=True,
)

# %% bet
flat = float(rises[RATES[3]][1][-1])
evidence.bet(
    f"A network is trained on all its data with η = {RATES[3]:.2g}. What will the highest "
    "eigenvalue of its Hessian be in the end?",
    answer=round(flat, 1),
    slider=(0, 10, 0.1),
    symbol="λmax = ",
    told=f"It is {flat:.1f}, just above 2/η = {2 / RATES[3]:.1f}: η alone tells, whatever the "
    "network's first weights.",
)

# %% why [markdown]
# While λmax is below 2/η, training goes on downhill, and on the way there the loss of such networks
# bends more and more. Above 2/η each step overshoots the narrow valley by more than it was off, so
# the parameters swing out along it, to where the valley is wider. The two hold each other at 2/η;
# with momentum the step that just does not overshoot is longer, and so the threshold is higher.

# %% [markdown]
# ## Verdict
#
# With the smallest η this network has learned the digits before it gets that far: the edge is a
# ceiling, not a goal. And where the edge is reached, a larger η means a flatter place, with all the
# data in one batch: not only small batches find flat minima.

# %% verdict
reached = rises[RATES[0]][1][-1] * RATES[0] / 2
caveat = (
    f"it takes a large enough η, here {chosen.lr:g}, and {UPDATES} updates: with η = "
    f"{RATES[0]:.2g} λmax·η/2 reaches only {reached:.2f}. Just after it crosses, λmax overshoots. "
    "This is the squared error; with the cross-entropy, as Cohen et al. report, the sharpness "
    "falls again late in training"
    if sum(arrived.values()) > 0.9 * len(METHODS) * len(SEEDS)
    else f"η is too small, or {UPDATES} updates are too few: with η = {RATES[0]:.2g} λmax·η/2 "
    f"reaches only {reached:.2f}"
)
evidence.report(
    "D1",
    "Gradient descent raises the sharpness to the edge of stability, and hovers there.",
    slide="not in the lecture; Cohen et al. 2021: λmax·η/2 rises to just above 1",
    headline=f"With η ≥ {chosen.lr:g}, λmax is {low:.2f} to {high:.2f} of the threshold",
    ours=f"λmax over the threshold, from 400 updates after it is crossed to update {UPDATES}: "
    f"{means['GD, small η']:.3f} (GD, η = {chosen.lr:g}), {means['GD, large η']:.3f} (GD, η = "
    f"{1.5 * chosen.lr:.2g}), {means['momentum']:.3f} (momentum), {means['Nesterov']:.3f} "
    f"(Nesterov); {sum(arrived.values())} of {len(METHODS) * len(SEEDS)} runs arrived",
    rule="for each method, of the runs that cross its threshold 400 updates before the end: "
    "reproduced if the 95 % interval over 12 seeds lies within 5 % of its own threshold, nearest "
    "to its own of the three that η has; contradicted if not; not measured if more than a third do "
    "not arrive",
    verdict=rules.judge_conditions(words),
    caveat=caveat,
)
