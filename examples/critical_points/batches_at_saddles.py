# %% [markdown]
# # Do small batches and momentum help at a saddle?
#
# At a saddle (鞍点) the gradient of all the data is zero. That of a few samples need not be, and a
# ball that rolls need not stop. So do small batches (批次) and momentum (动量) leave a saddle
# sooner than plain gradient descent?
#
# The notes say so twice, at the beginning and at the end. How much the tools save depends on how
# close to the saddle training starts, so one distance proves nothing. We measure the law: how does
# the number of updates grow as the start comes closer?

# %%
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

chosen = evidence.settings(
    seed=(600, 800),
    batch=(32, 8, 128),
    lr=(0.02, 0.005, 0.05),
    momentum=(0.9, 0.5),
    width=(3, 6),
    split=(0, 1),
)
SEEDS = range(chosen.seed, chosen.seed + 12)
RADIUS = 0.5  # a run has left once it is so far away, along the way out
DISTANCES = np.logspace(-10, -0.5, 20)  # of the starts
LIMIT = 20_000

# %% [markdown]
# ## Four saddles
#
# * **The slide's**: y = w₁w₂x at (0, 0). One sample's gradient is −2x(y − w₁w₂x)·(w₂, w₁), zero
#   there for *every* sample.
# * **An autoencoder's**: one hidden unit says each image x again, x̂ = w(wᵀx). To draw it, we keep
#   two numbers of each digit, its first and fifth principal components. The best w is ±(1, 0), the
#   saddle (0, 1).
# * **A quadratic**: the loss bends down along w₁ and up along w₂, and each sample adds a slope of
#   its own.
# * **A network's**: 8-3-4 with tanh, four classes of digits, at θ = 0. Only the last biases have a
#   gradient there, and it differs from sample to sample.
#
# A row of w is one start, so that one run takes all starts through the same batches.


# %%
def line_losses(w, x, y):
    return ((y - (w[:, 0] * w[:, 1]).reshape((-1, 1)) * x) ** 2).mean(axis=1)


def autoencoder_losses(w, x):
    code = (w @ x.T).reshape((len(w), -1, 1))
    return ((x - code * w.reshape((-1, 1, 2))) ** 2).sum(axis=2).mean(axis=1)


def quadratic_losses(w, tilts):
    return (w * w * [-0.25, 0.5]).sum(axis=1) + (w @ tilts.T).mean(axis=1)


def network_losses(w, x, targets):
    start, layers = 0, []
    for m, n in ((8, HIDDEN), (1, HIDDEN), (HIDDEN, 4), (1, 4)):
        layers.append(w[:, start : start + m * n].reshape((-1, m, n)))
        start += m * n
    W1, b1, W2, b2 = layers
    return ((tg.tanh(x @ W1 + b1) @ W2 + b2 - targets) ** 2).mean(axis=(1, 2))


def components(images, numbers):
    """Return some of the principal components of the images."""
    U, singular, _ = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)
    return (U * singular)[:, numbers]


images, labels = (part.numpy() for part in rules.digits(1437, chosen.split)[0][:])
first_and_fifth = components(images.astype(float), [0, 4])
few = np.flatnonzero(labels < 4)[:156]
inputs = components(images[few].astype(float), range(8))
classes = np.eye(4)[labels[few]]
generator = np.random.default_rng(12345)  # for the other data, the same in every run
x = generator.normal(size=20)
y = x + generator.normal(scale=0.3, size=20)
tilts = generator.normal(scale=[0.5, 2], size=(1437, 2))
HIDDEN, BEST = chosen.width, (x @ y / (x @ x)) ** 0.5


class Saddle(NamedTuple):
    """A loss, its data and a saddle of it; and how it is trained."""

    losses: Callable[..., tg.Tensor]
    data: tg.TensorDataset
    point: np.ndarray
    lr: float
    batch_size: int
    minimum: tuple[float, ...] = ()

    def hessian(self, point):
        w = tg.Tensor(np.array([point]), requires_grad=True)
        return tg.HessianOperator(lambda: self.losses(w, *self.data[:]).sum(), [w])

    def gradient(self, sample):
        w = tg.Tensor(self.point[None], requires_grad=True)
        (g,) = tg.grad(self.losses(w, *self.data[sample : sample + 1]).sum(), w)
        return g.numpy()[0]


scaled = first_and_fifth / first_and_fifth[:, 0].std(), inputs / inputs.std(axis=0)
SADDLES = {
    "slide": Saddle(
        line_losses, tg.TensorDataset(x, y), np.zeros(2), chosen.lr, 1, minimum=(BEST, BEST)
    ),
    "autoencoder": Saddle(
        autoencoder_losses,
        tg.TensorDataset(scaled[0]),
        np.array([0.0, 1.0]),
        chosen.lr,
        chosen.batch,
        minimum=(1.0, 0.0),
    ),
    "quadratic": Saddle(
        quadratic_losses,
        tg.TensorDataset(tilts - tilts.mean(axis=0)),
        np.zeros(2),
        chosen.lr,
        chosen.batch,
    ),
    "network": Saddle(
        network_losses,
        tg.TensorDataset(scaled[1], classes - classes.mean(axis=0)),
        np.zeros(13 * HIDDEN + 4),
        5 * chosen.lr,  # the loss bends less there
        chosen.batch,
    ),
}

ways_out, bends, noises = {}, {}, {}
for name, saddle in SADDLES.items():
    H = saddle.hessian(saddle.point)
    ways_out[name] = tg.escape_direction(H)
    bends[name] = -ways_out[name] @ (H @ ways_out[name])  # the loss bends down by so much
    gradients = np.array([saddle.gradient(sample) for sample in range(len(saddle.data))])
    noises[name] = (gradients @ ways_out[name]).std()
    curvatures = np.linalg.eigvalsh(H @ np.eye(len(saddle.point)))
    print(
        f"{name}: {len(curvatures)} eigenvalues, {(curvatures < -1e-9).sum()} negative; gradients "
        f"of single samples are {(gradients**2).sum(axis=1).mean() ** 0.5:.2f} long, of that along "
        f"the way out {noises[name]:.2f}"
    )

# %% [markdown]
# ## What theory says
#
# Along the way out the loss bends down by h. Each update of GD multiplies the distance by 1 + ηh;
# each of momentum, in the long run, by σ, the larger root of σ² − (1 + λ + ηh)σ + λ = 0. From the
# distance δ it takes ln(R/δ) / ln σ updates to come to R: so many more for each factor e. The same
# equation says that σ − 1 < ηh/(1 − λ), always: at the same η/(1 − λ) momentum must be *slower*.
#
# Batches of B add noise. What they have added after i updates grows like a start of its own, of the
# size
#
# $$\delta^* = 0.53\,\eta\,\sigma_\text{out} \sqrt{\sum_i w_i^2 / B},\qquad w_i = (1+\eta h)^{-i},$$
#
# where σ_out is how much the gradients of single samples differ along the way out (and 0.53 makes
# the mean logarithm of a normal variable right). Shuffled batches cancel within an epoch, so the
# sum is $\sum_\text{epochs} [n/(n-1) \sum w_i^2/b_i - (\sum w_i)^2/(n-1)]$ with the true batch
# sizes bᵢ. From nearer than δ\* a start should no longer count.


# %%
def growth(ηh, λ=0.0):
    """Return by how much the distance grows in an update."""
    return (1 + λ + ηh + ((1 + λ + ηh) ** 2 - 4 * λ) ** 0.5) / 2


def critical_distance(name):
    """Return δ*, below which batches leave as from any nearer start."""
    saddle, n = SADDLES[name], len(SADDLES[name].data)
    size = min(saddle.batch_size, n)
    sizes = np.array([size] * (n // size) + ([n % size] if n % size else []))
    ηh = saddle.lr * bends[name]
    epochs = int(40 / ηh / len(sizes)) + 1  # later updates weigh nothing
    w = growth(ηh) ** -np.arange(1.0, epochs * len(sizes) + 1).reshape(epochs, -1)
    total = n / (n - 1) * (w**2 / sizes).sum() - (w.sum(axis=1) ** 2).sum() / (n - 1)
    return 0.53 * saddle.lr * noises[name] * total**0.5


# %% [markdown]
# ## Leaving
#
# GD and momentum have no chance in them: one run each. Momentum at the same η, at the same
# η/(1 − λ), and each method at 0.9 of its largest stable rate, which at the minimum's highest
# curvature h is 2/h for GD and 2(1 + λ)/h for momentum. Batches: 12 runs.


# %%
def updates_to_leave(name, lr, momentum=0.0, batch_size=None, seed=0):
    """Return, for each start, after how many updates it is away (infinite: never)."""
    saddle, way_out = SADDLES[name], ways_out[name]
    w = tg.Tensor(saddle.point + DISTANCES[:, None] * way_out, requires_grad=True)
    size = min(batch_size or len(saddle.data), len(saddle.data))
    loader = tg.DataLoader(saddle.data, size, shuffle=True, seed=seed)
    optimizer = tg.Momentum([w], lr, momentum)
    steps = tg.updates(lambda *batch: saddle.losses(w, *batch).sum(), loader, optimizer)
    taken = np.full(len(DISTANCES), np.inf)
    with np.errstate(all="ignore"):  # what has left may diverge
        for update, _ in enumerate(islice(steps, LIMIT), 1):
            away = np.abs((w.data - saddle.point) @ way_out) > RADIUS
            taken = np.minimum(taken, np.where(away, update, np.inf))
            if np.isfinite(taken).all():
                break
    return taken


def slope(taken, below=1e-3):
    """Return how many updates more a start takes that is nearer by a factor of e."""
    near = below >= DISTANCES
    return -np.polyfit(np.log(DISTANCES[near]), taken[near], 1)[0]


λ = chosen.momentum
METHODS = {}  # learning rate and momentum of each
for name, saddle in SADDLES.items():
    METHODS[name, "GD"] = saddle.lr, 0.0
    METHODS[name, "momentum, same η"] = saddle.lr, λ
    METHODS[name, "momentum, same η/(1 − λ)"] = saddle.lr * (1 - λ), λ
    if saddle.minimum:
        highest = tg.extreme_eigenpairs(saddle.hessian(saddle.minimum)).values[-1]
        METHODS[name, "GD, largest η"] = 0.9 * 2 / highest, 0.0
        METHODS[name, "momentum, largest η"] = 0.9 * 2 * (1 + λ) / highest, λ

taken = {key: updates_to_leave(key[0], *way) for key, way in METHODS.items()}
slopes = {key: slope(each) for key, each in taken.items()}
theory = {
    (name, label): 1 / np.log(growth(lr * bends[name], way_λ))
    for (name, label), (lr, way_λ) in METHODS.items()
}
print("updates for each factor e: measured, theory")
for (name, label), found in slopes.items():
    print(f"{name:12} {label:26} {found:6.2f} {theory[name, label]:6.2f}")

# %% [markdown]
# The rule, fixed before these seeds were run: batches help where their number of updates grows by
# less than 5 % of GD's for each factor e, from starts nearer than δ\*/100 (where δ\* is 0, than
# 0.001). From ten times δ\* on they help if they save updates at all. Momentum helps where its
# slope is below GD's. And the law itself is at stake: slopes within 5 % of theory (or a tenth of
# an update: updates are whole), and the distance at which batches and GD part within a factor of
# 3 of δ\*.

# %%
SMALL = 0.05
of_batches, slope_words, far_words, crossings, levels = {}, {}, {}, {}, {}
for name, saddle in SADDLES.items():
    of_batches[name] = [
        updates_to_leave(name, saddle.lr, batch_size=saddle.batch_size, seed=seed)
        for seed in tqdm(SEEDS, desc=f"batches leaving the {name}'s saddle")
    ]
    δ = critical_distance(name)
    noisy = δ > 1e-12  # else it is rounding
    found = [slope(each, below=δ / 100 if noisy else 1e-3) for each in of_batches[name]]
    limits = [SMALL * slopes[name, "GD"]] * len(SEEDS)
    slope_words[name] = rules.judge(rules.paired_interval(limits, found))
    print(f"{name}: batches need {np.mean(found):.2f} updates for each factor e", end="")
    print(f"; δ* = {δ:.1e}" if noisy else "; no noise along the way out")
    if noisy:
        levels[name] = np.mean([each[0] for each in of_batches[name]])  # of the nearest start
        crossings[name] = δ, RADIUS * growth(saddle.lr * bends[name]) ** -levels[name]
        far = np.argmin(np.abs(np.log(DISTANCES / (10 * δ))))
        saved = rules.paired_interval(
            [taken[name, "GD"][far]] * len(SEEDS), [each[far] for each in of_batches[name]]
        )
        far_words[name] = rules.judge_null(rules.judge(saved), control=slope_words[name])
        print(
            f"  from any nearer start {levels[name]:.0f} updates; they part from GD at "
            f"{crossings[name][1]:.1e}; from {DISTANCES[far]:.0e} they save {saved}"
        )

# %% [markdown]
# Exactly on the line w₁ = −w₂ the slide's saddle is the lowest point, and the gradient of every
# sample points along the line. From (0.5, −0.5) nobody should ever leave, not even with batches of
# one sample and momentum together.

# %%
w = tg.Tensor(np.array([[0.5, -0.5]]), requires_grad=True)
loader = tg.DataLoader(SADDLES["slide"].data, 1, shuffle=True, seed=0)
optimizer = tg.Momentum([w], chosen.lr, λ)
steps = tg.updates(lambda *batch: line_losses(w, *batch).sum(), loader, optimizer)
*_, _ = islice(steps, 5000)
print(f"After 5000 updates of both: ({w.data[0, 0]:.1e}, {w.data[0, 1]:.1e})")


# %% plot
def draw_law():
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.6), sharey=True)
    for axes, name in zip(panels, ("autoencoder", "network")):
        for label, color in (("GD", "C3"), ("momentum, same η", "C1")):
            axes.semilogx(DISTANCES, taken[name, label], color=color, label=label.split(",")[0])
        runs = np.array(of_batches[name])
        axes.semilogx(DISTANCES, runs.mean(axis=0), "o", color="C0", label=f"B = {chosen.batch}")
        axes.fill_between(DISTANCES, runs.min(axis=0), runs.max(axis=0), color="C0", alpha=0.2)
        axes.set(xlabel="start δ", xticks=[1e-9, 1e-6, 1e-3], title=name)
        axes.minorticks_off()
    panels[0].axvline(critical_distance("autoencoder"), color="gray", linestyle=":")
    panels[0].annotate(
        "δ*",
        (critical_distance("autoencoder"), 0.93),
        (4, 0),
        color="gray",
        xycoords=panels[0].get_xaxis_transform(),
        textcoords="offset points",
    )
    panels[0].set_ylabel("updates to leave")
    panels[0].set_ylim(0, 1.05 * max(taken[name, "GD"][0] for name in ("autoencoder", "network")))
    panels[1].legend(fontsize=9)
    return figure


level, each = levels["autoencoder"], slopes["autoencoder", "GD"]
evidence.save(
    "batches_at_saddles",
    draw_law,
    caption="At the autoencoder's saddle batches (blue) leave after the same number of updates "
    "from every start nearer than δ*, while gradient descent (GD) takes longer and longer. At the "
    "network's saddle the batches' gradients are not zero either, but none points along the way "
    "out: there batches lie on GD's line. The shaded area spans 12 runs.",
    alt=f"Updates to leave a saddle against the distance of the start, for two saddles. GD's line "
    f"rises by {each:.0f} updates for each factor e, momentum's by "
    f"{slopes['autoencoder', 'momentum, same η']:.0f}. At the autoencoder's saddle the points of "
    f"batches stay at {level:.0f} for all starts nearer than δ*; at the network's they lie on GD's "
    f"line.",
    lead=True,
)


# %% plot
def draw_paths():
    figure, axes = plt.subplots(figsize=(4.5, 3.8))
    v, w = np.linspace(-0.4, 1.4, 60), np.linspace(-0.1, 1.4, 60)[:, None]
    a, b = (SADDLES["autoencoder"].data.arrays[0] ** 2).mean(axis=0)
    surface = (v**2 + w**2 - 2) * (a * v**2 + b * w**2) + a + b  # the loss, multiplied out
    levels = [0.5, 0.7, 0.9, 1, 1.1, 1.3, 1.6]
    axes.contour(v, w[:, 0], surface, levels, colors="gray", alpha=0.4)
    for size, color in ((chosen.batch, "C0"), (len(images), "C3")):
        θ = tg.Tensor(np.array([[1e-8, 0.2]]), requires_grad=True)
        loader = tg.DataLoader(SADDLES["autoencoder"].data, size, shuffle=True, seed=chosen.seed)
        steps = tg.updates(
            lambda *batch, θ=θ: autoencoder_losses(θ, *batch).sum(), loader, tg.SGD([θ], chosen.lr)
        )
        path = np.array([θ.data[0] for _ in islice(steps, 1500)])
        axes.plot(np.abs(path[:, 0]), path[:, 1], color=color, linewidth=1.5)
    axes.plot([0, 1], [1, 0], "o", color="gray")
    axes.text(0.05, 1.1, "saddle", color="gray")
    axes.text(0.95, 0.03, "minimum", color="gray", ha="right")
    axes.set(xlabel="w₁", ylabel="w₂", title="autoencoder’s loss", aspect="equal")
    return figure


evidence.save(
    "batches_at_saddles_paths",
    draw_paths,
    caption=f"From (1e-8, 0.2), batches of {chosen.batch} (blue) turn off before they come to the "
    "saddle. GD (pink) goes up to it first, and then along the same way to the minimum.",
    alt="Contour lines of the autoencoder's loss with its saddle at (0, 1) and a minimum at (1, "
    "0). Two paths start near the w₂ axis: GD's rises to the saddle and turns sharply, that of "
    "small batches cuts the corner.",
)

# %% bet
answer = round(float(level))
evidence.bet(
    "A start is 10⁻¹⁰ away from the autoencoder's saddle. Gradient descent needs "
    f"{taken['autoencoder', 'GD'][0]:.0f} updates to leave it. How many do batches of "
    f"{chosen.batch} need?",
    answer=answer,
    slider=(0, 10 * round(taken["autoencoder", "GD"][0] / 10 + 1), 1),
    told=f"They need {answer}, and just as many from every start nearer than "
    f"{critical_distance('autoencoder'):.1g}: their own noise throws them farther than that.",
)

# %% play [markdown]
# [Let two balls leave a saddle](playground.md#surface=saddle&start=-1.5,1.49). It is the slide's,
# where only momentum helps. Move the start onto w₁ = −w₂, and neither ball leaves.

# %% why [markdown]
# Near a saddle the distance along the way out grows by a constant factor with each update, so a
# start that is nearer by a factor of e costs a constant number of updates more. Batches that
# disagree along the way out throw the parameters off the saddle by about δ\*, so being nearer than
# that costs nothing; where all of them agree along the way out, they throw nobody off. Momentum
# makes the factor larger because its steps add up, but its steps of the past were smaller, so that
# a learning rate larger by 1/(1 − λ) would have done more.

# %% [markdown]
# ## Verdict

# %% verdict
noisy, quiet = list(levels), [name for name in SADDLES if name not in levels]
below = {key: slopes[key] < slopes[key[0], "GD"] for key in slopes}
same, equal = "momentum, same η", "momentum, same η/(1 − λ)"
largest = [
    slopes[name, "momentum, largest η"] < slopes[name, "GD, largest η"]
    for name in ("slide", "autoencoder")
]
named = {
    "batches that differ along the way out": [slope_words[name] for name in noisy],
    "momentum at the same η": [below[name, same] for name in SADDLES],
    "momentum at each method's largest η": largest,
}
others = {
    "batches that agree along the way out": [slope_words[name] for name in quiet],
    "batches from 10 δ* on": [far_words[name] for name in noisy],
    "momentum at the same η/(1 − λ)": [below[name, equal] for name in SADDLES],
}
law = all(abs(slopes[key] - theory[key]) < max(0.05 * theory[key], 0.1) for key in slopes) and all(
    1 / 3 < predicted / found < 3 for predicted, found in crossings.values()
)
ruling = rules.judge_conditions(named | others, leading=named)
δ, crossing = crossings["autoencoder"]
speedup = slopes["autoencoder", "GD"] / slopes["autoencoder", same]
own_gain = slopes["autoencoder", "GD, largest η"] / slopes["autoencoder", "momentum, largest η"]
slowdown = slopes["autoencoder", equal] / slopes["autoencoder", "GD"]
evidence.report(
    "1",
    "Batch and momentum are the two tools against critical points.",
    slide="no numbers",
    ours="one experiment with claim 32, and judged there",
    rule="not judged a second time",
    verdict="definition",
    headline="The same experiment as claim 32: see there",
    quote="对抗临界点的两个方法就是batch 和 momentum",
    caveat="they are not the only two: a step along the eigenvector of a negative eigenvalue helps "
    "wherever there is one (claim 30)",
)
evidence.report(
    "32",
    "Small batches and momentum help at saddle points.",
    slide="no numbers",
    headline=f"Batches: {level:.0f} updates however near; GD: +{each:.0f} per factor e",
    quote="小批次和动量能够帮助鞍点",
    ours=f"batches of {chosen.batch} leave the autoencoder's saddle after {level:.0f} updates from "
    f"every start nearer than δ* = {δ:.1g} (they part from GD at {crossing:.1g}); GD needs "
    f"{each:.1f} more for each factor e (theory {theory['autoencoder', 'GD']:.1f}). Momentum needs "
    f"1/{speedup:.1f} of GD's updates at the same η, 1/{own_gain:.1f} where each has its largest "
    f"η, and {slowdown:.2f} times as many at the same η/(1 − λ)",
    rule="under conditions if batches that differ along the way out need less than 5 % of GD's "
    "updates for each factor e (95 % interval over 12 seeds), and momentum fewer than GD at the "
    "same η and at the largest; reproduced if the others hold as well. Contradicted if one of the "
    "named is, or if a slope is off theory by 5 %, or δ* by a factor of 3",
    verdict=ruling if law else "contradicted",
    caveat="what decides is noise along the way out (Daneshmand et al. 2018, arXiv:1803.05999), "
    "and a start nearer than δ*. Heavy balls leave faster at the same η (O'Neill and Wright 2019, "
    "arXiv:1706.07993); never at the same η/(1 − λ). Exactly on the slide's ridge nothing leaves",
)
