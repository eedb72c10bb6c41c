# %% [markdown]
# # Whose momentum? The same name, three formulas
#
# The notes' momentum (动量) has the learning rate inside m, PyTorch's has it outside. Everybody
# says that the two are the same. When are they not?
#
# The notes' form is that of CS231n and of Sutskever et al. (2013). PyTorch, Distill and *Dive into
# Deep Learning* keep a sum v of the bare gradients, and multiply by η outside:
#
# $$\text{the notes: } m \leftarrow \lambda m - \eta g, \ \theta \leftarrow \theta + m;
# \qquad \text{PyTorch: } v \leftarrow \lambda v + g, \ \theta \leftarrow \theta - \eta v.$$
#
# Put m = −ηv, and the one becomes the other, as long as η stays what it is.

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# PyTorch's form in three lines; the notes' is the library's own:


# %%
class OutsideMomentum(tg.Momentum):
    """PyTorch's momentum: the learning rate is outside the sum."""

    def step(self):
        for place, θ in enumerate(self.params):
            self.m[place] = self.momentum * self.m[place] + θ.grad.data  # v ← λv + g
            θ.data = θ.data - self.lr * self.m[place]  # θ ← θ − ηv


chosen = evidence.settings(
    seed=(200, 300), width=(32, 64, 8), lr=(0.1, 0.02), momentum=(0.9, 0.5), batch=(32, 256)
)


def notes(params):
    return tg.Momentum(params, chosen.lr, chosen.momentum)


def pytorch(params):
    return OutsideMomentum(params, chosen.lr, chosen.momentum)


def nesterov(params):
    return tg.Momentum(params, chosen.lr, chosen.momentum, nesterov=True)


# %% [markdown]
# ## On the digits, with a drop of η
#
# The same network, the same batches, in float64; after 60 updates η drops to a tenth, as schedules
# do. Twelve seeds vary the first weights and the batches.

# %%
train, _ = tg.datasets.digits()
DROP, UPDATES, SEEDS = 60, 100, range(chosen.seed, chosen.seed + 12)


def weights(optimizer):
    return tg.backend.move(tg.nn.parameters_to_vector(optimizer.params), "numpy")


def positions(make_optimizer, seed):
    """Return all weights before the first update and after each."""
    model = tg.nn.perceptron(64, chosen.width, 10, seed=seed, dtype="float64")
    optimizer = make_optimizer(model.parameters())
    loader = tg.DataLoader(train, chosen.batch, shuffle=True, seed=seed)
    updates = tg.updates(lambda x, labels: tg.cross_entropy(model(x), labels), loader, optimizer)
    path = [weights(optimizer)]
    for update, _ in enumerate(islice(updates, UPDATES), 1):
        path.append(weights(optimizer))
        if update == DROP:
            optimizer.lr = chosen.lr / 10
    return np.array(path)


paths = {form: [positions(form, seed) for seed in SEEDS] for form in (notes, pytorch, nesterov)}
lengths = {form: np.linalg.norm(np.diff(found, axis=1), axis=2) for form, found in paths.items()}
apart = np.linalg.norm(np.subtract(paths[notes], paths[pytorch]), axis=2)
apart /= np.linalg.norm(paths[notes], axis=2)
ratios = lengths[notes] / lengths[pytorch]
first = rules.paired_interval(np.log(lengths[notes][:, DROP]), np.log(lengths[pytorch][:, DROP]))
factor = np.exp(first.mean)
print(f"Up to the drop the weights differ by {apart[:, : DROP + 1].max():.0e} of their size.")
print(f"The first step after it is {factor:.1f} times as long in the notes' form; log {first}")

# %% [markdown]
# In the notes' form the next step still has λ times the last one in it, which the larger η has
# made: the ball coasts for about 1/(1 − λ) steps. In PyTorch's form a smaller η brakes at once.
# From then on the two are on different ways. So one has to say which one a schedule was tuned for.
#
# ## Nesterov: one look-ahead more
#
# In Nesterov's momentum the ball first goes where the last step leads, and takes the gradient
# there (Sutskever et al. 2013). Over one step:
#
# $$m \leftarrow \lambda m - \eta\,g(\theta + \lambda m), \qquad \theta \leftarrow \theta + m.$$
#
# The library keeps the look-ahead point θ + λm as the parameter, so that the gradient is taken
# where the weights are: m ← λm − ηg, θ ← θ + λm − ηg. Are the two the same? In a ravine,
# L = ½(0.1 w₁² + w₂²), whose gradient is known:

# %%
CURVATURE, START, LR, MOMENTUM, STEPS = np.array([0.1, 1.0]), np.array([-9.0, 2.6]), 0.9, 0.8, 40


def ravine_path(nesterov):
    w = tg.Tensor(START, requires_grad=True)
    optimizer, path = tg.Momentum([w], LR, MOMENTUM, nesterov=nesterov), [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        (tg.Tensor(CURVATURE) * w * w / 2).sum().backward()
        optimizer.step()
        path.append(w.numpy())
    return np.array(path)


θ, m, ahead = START, np.zeros(2), [START]
for _ in range(STEPS):
    m = MOMENTUM * m - LR * CURVATURE * (θ + MOMENTUM * m)
    θ = θ + m
    ahead.append(θ + MOMENTUM * m)

heavy, looking = ravine_path(False), ravine_path(True)
look_ahead_error = np.abs(looking - ahead).max() / np.abs(looking).max()
heavy_error = np.abs(heavy - ahead).max() / np.abs(heavy).max()
print(
    f"Nesterov against the look-ahead form: off by {look_ahead_error:.0e} (the notes' form: by "
    f"{heavy_error:.2f})"
)
print(
    f"Way traveled: {np.linalg.norm(np.diff(heavy, axis=0), axis=1).sum():.1f}, Nesterov "
    f"{np.linalg.norm(np.diff(looking, axis=0), axis=1).sum():.1f}"
)


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2), width_ratios=[1, 1.2])
    shown = slice(DROP - 20, UPDATES)
    for form, color in ((notes, "C1"), (pytorch, "C2"), (nesterov, "C3")):
        typical = np.exp(np.log(lengths[form]).mean(axis=0))
        left.semilogy(np.arange(1, UPDATES + 1)[shown], typical[shown], color=color)
    left.axvline(DROP + 0.5, color="gray", ls=":")
    left.text(DROP - 1, 0.025, "η drops", color="gray", ha="right")
    left.text(75, 0.07, "the notes", color="C1")
    left.text(62, 0.0155, f"PyTorch: 1/{factor:.1f}", color="C2", va="top")
    left.minorticks_off()
    left.set(yticks=(0.02, 0.05, 0.1, 0.2), yticklabels=(0.02, 0.05, 0.1, 0.2), ylim=(0.012, 0.3))
    left.set(xlabel="update, on the digits", ylabel="length of the step")
    right.text(-6.6, 0.25, "Nesterov", color="C3")
    right.text(-2.4, 1.5, "the notes (and PyTorch)", color="C1")
    w1, w2 = np.meshgrid(np.linspace(-10, 5, 80), np.linspace(-3, 3, 80))
    height = (CURVATURE[0] * w1**2 + CURVATURE[1] * w2**2) / 2
    levels = np.arange(0.1, 2.8, 0.35) ** 2
    right.contour(w1, w2, height, levels=levels, colors="gray", alpha=0.4)
    for path, color in ((heavy, "C1"), (looking, "C3")):
        right.plot(*path.T, ".-", color=color, lw=1)
    right.set(xticks=[], yticks=[], xlabel="w₁", ylabel="w₂")
    return figure


evidence.save(
    "conventions",
    draw,
    caption="Left, the length of a step on the digits: when η drops to a tenth, PyTorch's form "
    "brakes at once and the notes' form coasts. Right, in a ravine: Nesterov's look-ahead swings "
    "less.",
    alt="Left: three curves; PyTorch's falls at once at the drop, the notes' and Nesterov's "
    "slowly. Right: two paths into a ravine, Nesterov's with smaller swings.",
    lead=True,
)

# %% bet
evidence.bet(
    "After 60 updates η drops to a tenth. How many times as long as PyTorch's is the first step of "
    "the notes' form?",
    answer=round(float(factor), 1),
    slider=(1, 12, 0.1),
    told="In the notes' form the last step was made with the old η, and most of it is kept.",
)

# %% why [markdown]
# In the notes' form each gradient is multiplied by the η of its own time; in PyTorch's form all
# gradients, old ones too, are multiplied by the η of now. With a constant η that is the same
# factor. When η drops, the notes' m still holds steps of the old size, and needs about 1/(1 − λ)
# updates to forget them.

# %% [markdown]
# ## Verdict

# %% verdict
constant = apart[:, : DROP + 1].max() < 1e-14
after = abs(first.mean) < 0.01
looks_ahead = look_ahead_error < 1e-14 < heavy_error
evidence.report(
    "27b",
    "The momentum of the notes is that of PyTorch (and Nesterov's looks ahead once more).",
    slide="not in the notes",
    ours=f"constant η: equal to {apart[:, : DROP + 1].max():.0e} over {DROP} updates; after a drop "
    f"to η/10 the first step is {factor:.1f} [{np.exp(first.low):.1f}, {np.exp(first.high):.1f}] "
    f"times as long as PyTorch's; Nesterov is the look-ahead form to {look_ahead_error:.0e}",
    rule="reproduced if the forms agree to 1e-14 at constant η, and the first step after the drop "
    "within 1 %, too; under conditions if only one holds; contradicted if none, or if Nesterov's "
    "is not the look-ahead form to 1e-14",
    verdict=rules.judge_conditions({"constant η": constant, "after a drop of η": after})
    if looks_ahead
    else "contradicted",
    headline=f"the same until η changes; then a step {factor:.1f} × as long",
    caveat="the condition is a constant η, or v scaled along with it. Distill and Dive into Deep "
    "Learning agree with PyTorch; CS231n and Sutskever et al. with the notes",
)
