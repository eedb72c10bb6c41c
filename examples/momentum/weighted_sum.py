# %% [markdown]
# # The step remembers every gradient
#
# The notes' other way (另一种解读方式) to read momentum (动量): m is a sum of *all* gradients so far,
# each with its own weight. Put mᵗ = λmᵗ⁻¹ − ηgᵗ⁻¹ into itself, from m⁰ = 0 on:
#
# $$m^1 = -\eta g^0, \qquad m^2 = -\lambda\eta g^0 - \eta g^1, \qquad \dots, \qquad
# m^t = -\eta \sum_{i<t} \lambda^{t-1-i} g^i.$$
#
# One believes it because it is algebra. It leaves two questions: how far back does the memory
# reach, and how long a step does the sum make?

# %%
from itertools import islice

import numpy as np
from matplotlib import pyplot as plt

import tinygrad_edu as tg
from tinygrad_edu import evidence

# %% [markdown]
# ## The weights, measured
#
# Here every gradient gets a parameter of its own: at step i the loss is wᵢ, so gⁱ is 1 in place i
# and 0 elsewhere. After 60 steps m is the list of the 60 weights.

# %%
LR, LAMBDAS, STEPS = 0.1, (0.5, 0.9, 0.99), 60


def measured_weights(momentum):
    w = tg.Tensor(np.zeros(STEPS), requires_grad=True)
    optimizer = tg.Momentum([w], LR, momentum)
    for i in range(STEPS):
        optimizer.zero_grad()
        w[i].backward()
        optimizer.step()
    return optimizer.m[0]


ages = np.arange(STEPS)[::-1]  # the last gradient has age 0
weights = {λ: measured_weights(λ) for λ in LAMBDAS}
weight_error = max(np.abs(weights[λ] / (-LR * λ**ages) - 1).max() for λ in LAMBDAS)
print(f"weights = −ηλ^age: relative error {weight_error:.0e}")
for λ in LAMBDAS:
    recent = weights[λ][ages < 1 / (1 - λ)].sum() * (1 - λ) / -LR
    print(
        f"λ = {λ}: the last 1/(1−λ) = {1 / (1 - λ):.0f} gradients have {recent:.0%} of all weight"
    )

# %% [markdown]
# ## On the digits
#
# A network with 2410 weights learns in batches of 32, with λ = 0.9 and in float64. Its gradients
# are kept; once in a while their weighted sum is compared with the optimizer's m, which has kept
# none of them.


# %%
def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def weighted_sum(gradients, momentum, lr=LR):
    ages = np.arange(len(gradients))[::-1]
    return -lr * (momentum**ages) @ np.array(gradients)


train, _ = tg.datasets.digits()
model = tg.nn.perceptron(64, 32, 10, seed=0, dtype="float64")
loader = tg.DataLoader(train, batch_size=32, shuffle=True, seed=0)
optimizer = tg.Momentum(model.parameters(), LR, 0.9)
steps = tg.updates(lambda x, labels: tg.cross_entropy(model(x), labels), loader, optimizer)
gradients, lengths, errors = [], [], []
for _ in islice(steps, 450):  # ten epochs
    gradients.append(flat(param.grad.data for param in optimizer.params))
    m = flat(optimizer.m)
    lengths.append(np.linalg.norm(m))
    if len(gradients) <= 2 or len(gradients) % 50 == 0:
        apart = np.linalg.norm(weighted_sum(gradients, 0.9) - m)
        errors.append(apart / np.linalg.norm(m))
print(f"m¹ and m² are the sums to {max(errors[:2]):.0e}; later ones to {max(errors[2:]):.0e}")

# %% [markdown]
# ## How long a step?
#
# On a constant slope all gradients are the same, and the weights add up: the step grows to
# η(1 + λ + λ² + …) = η/(1 − λ) times the gradient, its *terminal speed*.


# %%
def speeds(momentum, steps=600):
    """Roll down L = w and return the length of every step."""
    w = tg.Tensor(0.0, requires_grad=True)
    optimizer, positions = tg.Momentum([w], LR, momentum), [0.0]
    for _ in range(steps):
        optimizer.zero_grad()
        w.backward()
        optimizer.step()
        positions.append(w.item())
    return -np.diff(positions)


speed = {λ: speeds(λ) for λ in LAMBDAS}
for λ in LAMBDAS:
    print(f"λ = {λ}: {speed[λ][-1]:.4f} after 600 steps; η/(1−λ) = {LR / (1 - λ):.4f}")

sizes = np.linalg.norm(gradients, axis=1)
typical = np.sqrt([weighted_sum(sizes[: t + 1, None] ** 2, 0.9, -0.1)[0] for t in range(450)])
gain = np.array(lengths) / (LR * typical)
print(gain[[0, 1, 5, 10, 20, 30, 50, 100, 200, 300, 449]])
