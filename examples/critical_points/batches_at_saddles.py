# %% [markdown]
# # Do small batches and momentum help at a saddle?
#
# The notes begin with it, "batch (批次) and momentum (动量) are the two tools against critical
# points (临界点)", and end with it: "small batches and momentum help at saddle points (鞍点)". Why
# one would believe it: where the gradient of all the data is zero, that of a few samples need not
# be, and a ball that rolls need not stop.
#
# Both reasons have a hole. The gradients of the batches might all be zero, too. And a ball that
# rolls exactly along the ridge comes to rest on the saddle. So we measure at two saddles.

# %%
from itertools import islice

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg
from tinygrad_edu import evidence

# %% [markdown]
# **The slide's saddle**: y = w₁w₂x, at (0, 0). The gradient of one sample's loss is
# −2x(y − w₁w₂x)·(w₂, w₁): zero at (0, 0) for *every* sample.
#
# **An autoencoder's saddle**: a network of one hidden unit says each image x again, x̂ = w(wᵀx). To
# draw it, we keep two numbers of each digit, its first and fifth principal components. The best w
# is ±(1, 0), the direction in which the digits differ most; at (0, 1) the loss has a saddle. There
# the gradients of single images are not zero: only their mean is.

# %%
SEEDS = range(12)
generator = np.random.default_rng(12345)  # for the data, the same in every run
x = generator.normal(size=20)
LINE = tg.TensorDataset(x, x + generator.normal(scale=0.3, size=20))
images = tg.datasets.digits()[0].arrays[0].astype("float64")
U, singular, _ = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)
DIGITS = tg.TensorDataset((U * singular)[:, [0, 4]] / singular[0] * len(images) ** 0.5)


def line_loss(w, x, y):
    return ((y - w[0] * w[1] * x) ** 2).mean()


def autoencoder_loss(w, x):
    return ((x - (x @ w).reshape((-1, 1)) * w) ** 2).sum(axis=1).mean()


SADDLES = {
    "slide": (line_loss, LINE, np.array([0.0, 0.0])),
    "autoencoder": (autoencoder_loss, DIGITS, np.array([0.0, 1.0])),
}


def hessian_at(name, point):
    """Return the Hessian of the loss on all the data."""
    loss, data, _ = SADDLES[name]
    w = tg.Tensor(point, requires_grad=True)
    return tg.HessianOperator(lambda: loss(w, *data[:]), [w])


ways_out = {}
for name, (loss, data, saddle) in SADDLES.items():
    H = hessian_at(name, saddle)
    ways_out[name] = tg.escape_direction(H)
    w = tg.Tensor(saddle, requires_grad=True)
    singles = [tg.grad(loss(w, *data[[i]]), w)[0].data for i in range(len(LINE))]
    print(f"{name}: {tg.classify_critical_point(H, H.gradient)}; way out {ways_out[name].round(2)}")
    print(f"    ‖g‖ of single samples: {np.linalg.norm(singles, axis=1).mean():.2g} on average")

# %% [markdown]
# ## Exactly on the ridge
#
# On the line w₁ = −w₂ the slide's saddle is the lowest point. Every gradient, of the data or of one
# sample, points along the line. So from (0.5, −0.5) nobody should ever leave it: not with batches
# of one sample, not with momentum, not with both.


# %%
def train(name, start, lr, momentum=0.0, batch_size=10**6, seed=0):
    """Train from a start; yield w after each update, for as long as it is wanted."""
    loss, data, _ = SADDLES[name]
    w = tg.Tensor(start, requires_grad=True)
    loader = tg.DataLoader(data, min(batch_size, len(data)), shuffle=True, seed=seed)
    for _ in tg.updates(lambda *batch: loss(w, *batch), loader, tg.Momentum([w], lr, momentum)):
        yield w.data


LR, STEPS = 0.02, 5000
WAYS = {
    "GD": {"lr": LR},
    "small batches": {"lr": LR, "batch_size": 1},
    "momentum": {"lr": LR, "momentum": 0.9},
    "both": {"lr": LR, "batch_size": 1, "momentum": 0.9},
}
left_ridge = {}
for name, way in WAYS.items():
    w = next(islice(train("slide", np.array([0.5, -0.5]), **way), STEPS, None))
    left_ridge[name] = bool(abs(w.sum()) > 0.5)
    print(f"{name}: after {STEPS} updates at ({w[0]:.1e}, {w[1]:.1e})")
exact = train("autoencoder", np.array([0.0, 1.0]), LR)
rounding = next(step for step, w in enumerate(exact, 1) if abs(w[0]) > 0.5)
print(f"The autoencoder's saddle, from the very point: GD leaves after {rounding} updates, since")
print("rounding to 16 digits is a little noise, too.")

# %% [markdown]
# ## Near the saddle
#
# Now from starts 10⁻⁸ beside the saddles, in a direction drawn for each of 12 seeds. How many
# updates until w is 0.5 away along the way out? Momentum's steps add up to η/(1 − λ), which for
# λ = 0.9 is ten times the rate: a larger η alone would have done much of that. So momentum is
# compared three times: at the same η, at the same η/(1 − λ), and each method at 0.9 of its largest
# stable rate, which at the minimum's highest curvature h is 2/h for GD and 2(1 + λ)/h for momentum.

# %%
MINIMA = {"slide": np.sqrt((LINE.arrays[0] @ LINE.arrays[1]) / (x @ x)) * np.ones(2)}
MINIMA["autoencoder"] = np.array([1.0, 0.0])
COMPARISONS = {
    "small batches, same η": ("GD", "small batches"),
    "momentum, same η": ("GD", "momentum"),
    "momentum, same η/(1 − λ)": ("GD", "momentum at η/10"),
    "momentum, each at its largest η": ("GD at its largest η", "momentum at its largest η"),
}


def ways_at(name):
    """Return the settings to compare at this saddle."""
    h = tg.extreme_eigenpairs(hessian_at(name, MINIMA[name])).values[-1]
    return {
        "GD": {"lr": LR},
        "small batches": {"lr": LR, "batch_size": 1 if name == "slide" else 32},
        "momentum": {"lr": LR, "momentum": 0.9},
        "momentum at η/10": {"lr": LR / 10, "momentum": 0.9},
        "GD at its largest η": {"lr": 0.9 * 2 / h},
        "momentum at its largest η": {"lr": 0.9 * 2 * 1.9 / h, "momentum": 0.9},
    }


def departure(name, way, seed):
    """Return the distance along the way out, update by update, until it is 0.5."""
    start = SADDLES[name][2] + 1e-8 * np.random.default_rng(seed).normal(size=2)
    distances = []
    for w in islice(train(name, start, seed=seed, **way), STEPS):
        distances.append(abs((w - SADDLES[name][2]) @ ways_out[name]))
        if distances[-1] > 0.5:
            break
    return distances


departures = {
    (name, label): [departure(name, way, seed) for seed in SEEDS]
    for name in SADDLES
    for label, way in tqdm(ways_at(name).items(), desc=f"leaving the {name}'s saddle")
}
counts = {key: [len(distances) for distances in runs] for key, runs in departures.items()}
for (name, label), updates in counts.items():
    print(f"{name:12} {label:26} {np.mean(updates):6.0f} updates")
gains = {
    (name, label): evidence.paired_interval(counts[name, usual], counts[name, tool])
    for name in SADDLES
    for label, (usual, tool) in COMPARISONS.items()
}
print("\nUpdates saved:")
for (name, label), gain in gains.items():
    print(f"{name:12} {label:32} {gain}")


# %%
def draw():
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.2))
    v, w = np.linspace(-0.4, 1.4, 60), np.linspace(-0.1, 1.4, 60)[:, None]
    a, b = (DIGITS.arrays[0] ** 2).mean(axis=0)
    surface = (v**2 + w**2 - 2) * (a * v**2 + b * w**2) + a + b  # the loss, multiplied out
    panels[0].contour(
        v, w[:, 0], surface, [0.5, 0.7, 0.9, 1, 1.1, 1.3, 1.6], colors="gray", alpha=0.4
    )
    for batch_size, color in ((32, "C0"), (len(DIGITS), "C3")):
        way = train("autoencoder", np.array([1e-8, 0.2]), LR, batch_size=batch_size)
        path = np.array(list(islice(way, 1500)))
        panels[0].plot(np.abs(path[:, 0]), path[:, 1], color=color, linewidth=1.5)
    panels[0].plot([0, 1], [1, 0], "o", color="gray")
    panels[0].text(0.05, 1.1, "saddle", color="gray")
    panels[0].text(0.95, 0.03, "minimum", color="gray", ha="right")
    panels[0].set(xlabel="w₁", ylabel="w₂", title="autoencoder’s loss", aspect="equal")
    for axes, name in zip(panels[1:], SADDLES):
        for label, color in (("GD", "C3"), ("small batches", "C0"), ("momentum", "C1")):
            axes.semilogy(departures[name, label][0], color=color, label=label)
        axes.set(xlabel="update", title=f"{name}’s saddle", ylim=(1e-10, 1))
    panels[1].set_ylabel("distance along the way out")
    panels[1].legend(loc="lower right", fontsize=9)
    return figure


evidence.save("batches_at_saddles", draw)

# %% [markdown]
# ## Verdict

# %%
words = {key: evidence.judge(gain) for key, gain in gains.items()}
helps = {tool: [left_ridge[tool]] for tool in ("small batches", "momentum")}
for (_, label), word in words.items():
    if word != "not seen":
        helps[label.split(",")[0]].append(word == "reproduced")
every = helps["small batches"] + helps["momentum"]
saved = {key: f"{gain.mean:+.0f}" for key, gain in gains.items()}
usual = np.mean(counts["autoencoder", "GD"])
rule = (
    "each tool is tried exactly on a ridge, and near two saddles, where a 95 % interval of the "
    "updates saved over 12 seeds decides; "
)
evidence.report(
    "1",
    "Batch and momentum are the two tools against critical points.",
    slide="no numbers",
    ours="helps in "
    + ", ".join(f"{sum(held)} of {len(held)} cases ({tool})" for tool, held in helps.items()),
    rule=rule + "reproduced if both always help, contradicted if one of them never does; otherwise "
    "under conditions",
    verdict=evidence.judge_conditions(every) if all(map(any, helps.values())) else "contradicted",
    caveat="they are not the only two: a step along the eigenvector of a negative eigenvalue helps "
    "at every saddle, and even rounding may",
)
evidence.report(
    "32",
    "Small batches and momentum help at saddle points.",
    slide="no numbers",
    ours=f"autoencoder: GD needs {usual:.0f} updates; saved by batches of 32 "
    f"{saved['autoencoder', 'small batches, same η']}, by momentum at the same η "
    f"{saved['autoencoder', 'momentum, same η']}, at the same η/(1 − λ) "
    f"{saved['autoencoder', 'momentum, same η/(1 − λ)']}, at its largest η (of "
    f"{np.mean(counts['autoencoder', 'GD at its largest η']):.0f}) "
    f"{saved['autoencoder', 'momentum, each at its largest η']}; slide's saddle: batches of 1 "
    f"{saved['slide', 'small batches, same η']}",
    rule=rule + "reproduced if both help in all cases, contradicted if in none; otherwise under "
    "conditions",
    verdict=evidence.judge_conditions(every),
    caveat="exactly on the ridge neither helps. Batches help where their gradients differ along "
    "the way out; momentum helps by longer steps and by bearing a larger η, not at equal η/(1 − λ)",
)
