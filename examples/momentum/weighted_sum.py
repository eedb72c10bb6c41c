# %% [markdown]
# # The step remembers every gradient
#
# Momentum (动量) is a sum of *all* gradients so far, each with its own weight: the notes' other way
# (另一种解读方式) to read it. How far back does this memory reach, and how long a step does the sum
# make?
#
# Put mᵗ = λmᵗ⁻¹ − ηgᵗ⁻¹ into itself, from m⁰ = 0 on:
#
# $$m^1 = -\eta g^0, \qquad m^2 = -\lambda\eta g^0 - \eta g^1, \qquad \dots, \qquad
# m^t = -\eta \sum_{i<t} \lambda^{t-1-i} g^i.$$
#
# That is algebra. Here the weights are measured, one by one.

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence

# %% [markdown]
# ## The weights, measured
#
# Here every gradient gets a parameter of its own: at step i the loss is wᵢ, so gⁱ is 1 in place i
# and 0 elsewhere. After 600 steps m is the list of the 600 weights.

# %%
LR, LAMBDAS, STEPS = 0.1, (0.5, 0.9, 0.99), 600


def measured_weights(momentum):
    w = tg.Tensor(np.zeros(STEPS), requires_grad=True)
    optimizer = tg.Momentum([w], LR, momentum)
    for i in range(STEPS):
        optimizer.zero_grad()
        w[i].backward()
        optimizer.step()
    return -tg.backend.move(optimizer.m[0], "numpy")[::-1]  # the youngest gradient first


ages = np.arange(STEPS)
weights = {λ: measured_weights(λ) for λ in LAMBDAS}
weight_error = max(np.abs(weights[λ] / (LR * λ**ages) - 1).max() for λ in LAMBDAS)
print(f"The weight of a gradient is ηλ^age, to a relative {weight_error:.0e}")
shares = {λ: weights[λ][: round(1 / (1 - λ))].sum() / weights[λ].sum() for λ in LAMBDAS}
for λ, share in shares.items():
    print(
        f"λ = {λ}: the last 1/(1 − λ) = {1 / (1 - λ):.0f} gradients have {share:.0%} of the weight"
    )

# %% [markdown]
# So "all" is true and mostly forgotten: about two thirds of the weight are on the last 1/(1 − λ).
#
# ## On the digits
#
# A network with 2410 weights learns in batches of 32, with λ = 0.9 and in float64. Its gradients
# are kept. Their weighted sum is compared with the optimizer's m, which has kept none of them.

# %%
UPDATES = 450  # ten epochs


def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def weighted_sum(gradients, momentum=0.9):
    """Return the sum of all, with the weight 1 for the last, λ for the one before it, …"""
    return momentum ** np.arange(len(gradients))[::-1] @ np.array(gradients)


train, _ = tg.datasets.digits()
model = tg.nn.perceptron(64, 32, 10, seed=0, dtype="float64")
loader = tg.DataLoader(train, batch_size=32, shuffle=True, seed=0)
optimizer = tg.Momentum(model.parameters(), LR, 0.9)
steps = tg.updates(lambda x, labels: tg.cross_entropy(model(x), labels), loader, optimizer)
gradients, lengths, errors = [], [], {}
for update, _ in enumerate(islice(steps, UPDATES), 1):
    gradients.append(flat(param.grad.numpy() for param in optimizer.params))
    m = flat(tg.backend.move(m, "numpy") for m in optimizer.m)
    lengths.append(np.linalg.norm(m))
    if update in (1, 2, 3, 10, 100, UPDATES):
        errors[update] = np.linalg.norm(-LR * weighted_sum(gradients) - m) / lengths[-1]
print("sum − m, relative:", {f"m^{update}": f"{error:.0e}" for update, error in errors.items()})

# %% [markdown]
# ## How long a step?
#
# On a constant slope all gradients are the same, and the weights add up: the step grows to
# η(1 + λ + λ² + …) = η/(1 − λ) times the gradient, its *terminal speed*.


# %%
def speeds(momentum, steps=2000):
    """Roll down L = w, whose slope is 1, and return the length of every step."""
    w = tg.Tensor(0.0, requires_grad=True)
    optimizer, positions = tg.Momentum([w], LR, momentum), [0.0]
    for _ in range(steps):
        optimizer.zero_grad()
        w.backward()
        optimizer.step()
        positions.append(w.item())
    return -np.diff(positions)


speed = {λ: speeds(λ) for λ in LAMBDAS}
speed_error = max(abs(speed[λ][-1] * (1 - λ) / LR - 1) for λ in LAMBDAS)
for λ in LAMBDAS:
    print(f"λ = {λ}: {speed[λ][0]:.2f}, {speed[λ][1]:.2f}, … {speed[λ][-1]:.4f} = η/(1 − λ)")

# %% [markdown]
# Gradients of a network are not all the same. In units of η times their typical length (root mean
# square, with the same weights), a step is 1/(1 − λ) = 10 long if they agree, and √(1/(1 − λ²)) =
# 2.3 if each points anywhere. Shorter than that, and they work against each other.

# %%
squares = np.sum(np.square(gradients), axis=1)
typical = [
    np.sqrt(weighted_sum(squares[:t]) / weighted_sum(np.ones(t))) for t in range(1, UPDATES + 1)
]
gain = np.array(lengths) / (LR * np.array(typical))
print(f"On the digits {gain.max():.1f} at most, and {gain[-100:].mean():.1f} over the last 100")


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2))
    for color, weight in zip(("C0", "C1", "C2"), weights.values()):
        left.semilogy(ages[:60], weight[:60], ".-", color=color, lw=1)
    left.text(13.5, 4e-5, "λ = 0.5", color="C0")
    left.text(36, 3.6e-3, "λ = 0.9", color="C1")
    left.text(40, 0.1, "λ = 0.99", color="C2")
    left.set(ylim=(1e-5, 0.3), xlabel="age of the gradient", ylabel="its weight in the step")
    right.semilogx(np.arange(1, UPDATES + 1), speed[0.9][:UPDATES] / LR, color="gray")
    right.semilogx(np.arange(1, UPDATES + 1), gain, color="C1")
    for level in (10, (1 / (1 - 0.9**2)) ** 0.5):
        right.axhline(level, color="gray", ls=":")
    right.text(1, 10.2, "all agree: 1/(1 − λ)", color="gray")
    right.text(60, 3.3, "at random: 2.3", color="gray")
    right.text(26, 4.5, "on the digits", color="C1")
    right.set(ylim=(0, 11.5), xlabel="update", ylabel="step / (η · typical gradient)")
    return figure


evidence.save(
    "weighted_sum",
    draw,
    caption="Left, the weight of a gradient in the step, by its age: a straight line is a constant "
    "factor λ. Right, the length of a step in units of one gradient: on a constant slope it grows "
    "to 1/(1 − λ) = 10; on the digits it stays far below.",
    alt="Left: three falling lines for λ = 0.5, 0.9 and 0.99. Right: the constant slope's curve "
    f"rises to 10, that of the digits to {gain.max():.1f} at most.",
    lead=True,
)

# %% bet
evidence.bet(
    "With λ = 0.9, how much of the weight in a step is on the last ten gradients?",
    answer=round(100 * float(shares[0.9])),
    slider=(0, 100, 1),
    unit=" %",
    told="The rest is on all the older ones together.",
)

# %% why [markdown]
# Each step keeps λ times the last one, so a gradient loses the factor λ with each step that passes.
# The weights are a geometric series, and 1/(1 − λ) is its sum: as if the last 1/(1 − λ) gradients
# counted fully and the others not at all. The step gets as long as this sum only if the gradients
# agree.

# %% [markdown]
# ## Verdict

# %% verdict
first = max(errors[1], errors[2], weight_error)
evidence.report(
    "24",
    "m¹ = −ηg⁰, m² = −ληg⁰ − ηg¹, …: m is a weighted sum of the past gradients.",
    slide="the formulas, no numbers",
    ours=f"m¹ and m² to {max(errors[1], errors[2]):.0e}; the weight of each gradient is ηλ^age, "
    f"measured one by one, to {weight_error:.0e}",
    rule="definition if all of these are below 1e-14; contradicted if one is not",
    verdict="definition" if first < 1e-14 else "contradicted",
    headline=f"each weight is ηλ^age, to {weight_error:.0e}",
    quote="m 是前面所有gradient 的综合,只不过乘上了不同的系数",
)
remembers = max(errors.values()) < 1e-14 and speed_error < 1e-6
evidence.report(
    "25",
    "The step considers all gradients so far.",
    slide="no numbers",
    ours=f"after {UPDATES} updates on the digits m is the sum of all {UPDATES} gradients to "
    f"{max(errors.values()):.0e}; on a constant slope it grows to η/(1 − λ), to {speed_error:.0e}",
    rule="definition if the sum is m to 1e-14, and the terminal speed η/(1 − λ) to 1e-6; "
    "contradicted if either is not",
    verdict="definition" if remembers else "contradicted",
    headline=f"all of them, {shares[0.9]:.0%} of the weight on the last ten",
    quote="考虑在此之前计算过的所有的梯度下降方向",
    caveat=f"all, but mostly the last 1/(1 − λ): with λ = 0.9 the last 10 have {shares[0.9]:.0%} "
    "of the weight. On the digits they disagree: the step is at most "
    f"{gain.max():.1f} gradients long, not 10",
)
