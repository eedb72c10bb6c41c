# %% [markdown]
# # The gradient noise scale: how large a batch is worth it
#
# The notes call the batch size (批次大小) a hyperparameter (超参数) that you set yourself. McCandlish
# et al. (2018, arXiv:1812.06162) asked what it should depend on. The gradient of a batch of B
# samples is that of all the data, g, and noise. With Σ, the covariance of single samples'
# gradients,
#
# $$\mathbb E\,\lVert g_B - g \rVert^2 = \frac{\operatorname{tr}\Sigma}{B},$$
#
# so the noise is as strong as the signal ‖g‖² at the *noise scale* B = tr Σ/‖g‖². Far below it, a
# batch twice as large is almost as good as two updates; far beyond, it is hardly better than one
# half its size. McCandlish et al. found that it grows while a network learns: what all samples
# agree on is learned first.

# %%
from itertools import islice, pairwise

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg
from tinygrad_edu import evidence

# %% [markdown]
# The rule, fixed before these seeds were run: the scale grows if, over 12 seeds, the 95 % interval
# of log₂(after/before) lies above 0, for 30 epochs of SGD with B = 32.
#
# tr Σ is the mean of the single gradients' ‖gᵢ‖², minus ‖g‖². We take 200 samples for it, one
# backward pass each, and g from all the data.

# %%
SEEDS, EPOCHS = range(12), (0, 1, 2, 4, 8, 16, 30)
digits, _ = tg.datasets.digits()


class Learner:
    """A network that learns the digits by SGD, and tells its gradients."""

    def __init__(self, seed):
        network = tg.nn.perceptron(64, 32, 10, seed=seed)
        self.loss = lambda x, labels: tg.cross_entropy(network(x), labels)
        self.parameters = network.parameters()
        self.loader = tg.DataLoader(digits, 32, shuffle=True, seed=seed)
        self.steps = tg.updates(self.loss, self.loader, tg.SGD(self.parameters, lr=0.1))

    def learn(self, epochs):
        for _ in islice(self.steps, epochs * len(self.loader)):
            pass

    def gradient(self, batch):
        gradients = tg.grad(self.loss(*batch), self.parameters)
        return np.concatenate([g.data.ravel() for g in gradients]).astype("float64")

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
SIZES, learner, draw_from = (1, 4, 16, 64, 256, 1024), Learner(1000), np.random.default_rng(1000)
measured, predicted = {}, {}
for epoch in (0, 30):
    learner.learn(epoch)
    spread, power = learner.noise_and_signal(range(len(digits)))
    g = learner.gradient(digits[:])
    predicted[epoch] = spread / power
    measured[epoch] = [
        np.mean(
            [
                (
                    (learner.gradient(digits[draw_from.integers(len(digits), size=size)]) - g) ** 2
                ).sum()
                for _ in range(60)
            ]
        )
        / power
        for size in SIZES
    ]
    print(
        f"epoch {epoch}: scale {predicted[epoch]:.0f}; noise/signal at B = 64: {measured[epoch][3]:.2f}"
    )
