# %% [markdown]
# # Are local minima rare?
#
# Experiments show, say the notes, that local minima (局部最小值) rarely exist. Rare where training
# ends, or rare among all critical points (临界点)? These are two questions, and they have two
# answers.
#
# The lecture's experiment is a scatter plot. Networks are trained until they stand still; at each
# critical point the eigenvalues of the Hessian are counted, and their *minimum ratio* is drawn
# against the loss:
#
# $$\text{minimum ratio} = \frac{\text{number of positive eigenvalues}}{\text{number of all}}.$$
#
# A ratio of 1 is a local minimum. On the slide the highest ratio is about 0.55: read at its word,
# every point is a saddle (鞍点). And points of higher loss have lower ratios. We ask networks so
# small that every eigenvalue can be found, in float64.

# %%
import sys
from itertools import combinations, islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from scipy import stats
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

chosen = evidence.settings(
    seed=(600, 800), width=(4, 3), lr=(0.3, 0.15), start=(1.0, 0.3, 3.0), split=(0, 1)
)
SEEDS = range(chosen.seed, chosen.seed + 12)
RARE, NEAR, DECAY, LIMIT = 0.1, 1e-3, 1e-3, 16_000

images, labels = (part.numpy() for part in rules.digits(1437, chosen.split)[0][:])
few = np.flatnonzero(labels < 4)[:156]  # digits 0 to 3
targets = np.eye(4)[labels[few]]
centered = images[few].astype(float) - images[few].mean(axis=0)
U, singular, _ = np.linalg.svd(centered, full_matrices=False)
white = U[:, :5] * len(few) ** 0.5
colored = (U * singular)[:, :5] / singular[0] * len(few) ** 0.5  # each component has its own spread

# %% [markdown]
# Each row of θ holds the parameters of one network. The loss of many is computed at once, and since
# none feels another's weights, one product with the Hessian gives one column of the Hessian of
# *every* network.
#
# * **tanh networks**, 5-h-4, as classifiers of four digits, with a weight decay of ½·0.001·‖θ‖²,
#   which keeps critical points from running off to infinity;
# * **a linear autoencoder**, 5-2-5, of which all critical points are known.


# %%
def tanh_losses(θ):
    hidden, start, layers = (θ.shape[1] - 4) // 10, 0, []
    for m, n in ((5, hidden), (1, hidden), (hidden, 4), (1, 4)):
        layers.append(θ[:, start : start + m * n].reshape((-1, m, n)))
        start += m * n
    W1, b1, W2, b2 = layers
    error = tg.tanh(white @ W1 + b1) @ W2 + b2 - targets
    return (error**2).mean(axis=(1, 2)) + 0.5 * DECAY * (θ**2).sum(axis=1)


def linear_losses(θ):
    A, B = θ[:, :10].reshape((-1, 5, 2)), θ[:, 10:].reshape((-1, 2, 5))
    return ((colored @ A @ B - colored) ** 2).sum(axis=2).mean(axis=1)


def look(losses, θ):
    """Return the losses, the gradients and the Hessians of all networks."""
    n, size = θ.shape
    moving = tg.Tensor(θ, requires_grad=True)
    H = tg.HessianOperator(lambda: losses(moving).sum(), [moving])
    columns = H @ np.tile(np.eye(size), (n, 1))
    return losses(θ), H.gradient.reshape(n, size), columns.reshape(n, size, size)


def table(losses, θ):
    """Return a row for each network: the loss, its negative and positive eigenvalues, and the step.

    The step is Newton's to the critical point, relative to ‖θ‖: critical is what is below 0.001.
    """
    L, g, H = look(losses, θ)
    λ, U = np.linalg.eigh(H)
    size = np.abs(λ).max(axis=1, keepdims=True)
    along = (U.mT @ g[..., None])[..., 0] / (np.abs(λ) + 1.5e-8 * size)
    step = np.linalg.norm(along, axis=1) / np.maximum(np.linalg.norm(θ, axis=1), 1e-300)
    negative, positive = (λ < -1e-6 * size).sum(axis=1), (λ > 1e-6 * size).sum(axis=1)
    return np.column_stack([L, negative, positive, step])


# %% [markdown]
# ## Where does training end?
#
# Plain training with momentum, to the end; and Newton's method with |H|, −(|H| + μ)⁻¹g, which goes
# downhill, too, from update 500 of training on.


# %%
def training(losses, θ):
    """Train all networks; yield them before the first update, and after each."""
    moving = tg.Tensor(θ, requires_grad=True)
    lr = chosen.lr / (10 if losses is linear_losses else 1)  # the autoencoder's loss bends more
    optimizer = tg.Momentum([moving], lr, 0.95)
    while True:
        yield moving.data
        optimizer.zero_grad()
        losses(moving).sum().backward()
        optimizer.step()


def train(losses, θ, update):
    """Return the networks at this update."""
    return next(islice(training(losses, θ), update, None))


def train_to_the_end(losses, θ):
    """Return the networks when all are critical, or at the limit."""
    for trained in islice(training(losses, θ), 2000, LIMIT + 1, 2000):
        if (table(losses, trained)[:, 3] < NEAR).all():
            break
    return trained


# Newton's method: what it does to an eigenvalue of H, and what has to fall.
DESCEND = (lambda λ, μ: 1 / (np.abs(λ) + μ), lambda L, g: L)
SEARCH = (lambda λ, μ: λ / (λ**2 + μ), lambda L, g: np.linalg.norm(g, axis=1))


def settle(losses, θ, method, steps=60):
    """Go to critical points by Newton's method, and return the networks there."""
    gain, merit = method
    state, μ = (θ, *look(losses, θ)), np.full(len(θ), 1e-3)
    for _ in range(steps):
        θ, L, g, H = state
        λ, U = np.linalg.eigh(H)
        along = gain(λ, μ[:, None]) * (U.mT @ g[..., None])[..., 0]
        new = θ - (U @ along[..., None])[..., 0]
        new = (new, *look(losses, new))
        better = merit(*new[1:3]) <= merit(L, g)
        state = tuple(
            np.where(better.reshape(-1, *[1] * (old.ndim - 1)), after, old)
            for old, after in zip(state, new)
        )
        μ = np.clip(np.where(better, μ / 5, μ * 4), 1e-14, 1e3)
    return state[0]


def first_weights(size, each=4, scale=0.5):
    """Draw networks, so many for each seed."""
    drawn = [np.random.default_rng(seed).normal(size=(each, size)) for seed in SEEDS]
    return chosen.start * scale * np.concatenate(drawn)


def shares_of_minima(found):
    """Return, for each seed, the share of minima among its critical points: None if it has none."""
    critical, minimum = found[:, 3] < NEAR, found[:, 1] == 0
    pairs = zip(np.split(critical, len(SEEDS)), np.split(minimum, len(SEEDS)))
    return [float(there[reached].mean()) if reached.any() else None for reached, there in pairs]


SIZES = (*range(1, chosen.width + 1), 2 * chosen.width)
ends, minima = {}, {}
for hidden in tqdm(SIZES, desc="training to the end"):
    begun = first_weights(10 * hidden + 4)
    last = train_to_the_end(tanh_losses, begun)
    ends[f"5-{hidden}-4, plain"] = table(tanh_losses, last)
    if hidden <= chosen.width:
        minima[hidden] = settle(tanh_losses, last, DESCEND, steps=8)
    if hidden in (2, chosen.width):
        newton = settle(tanh_losses, train(tanh_losses, begun, 500), DESCEND)
        ends[f"5-{hidden}-4, |H|"] = table(tanh_losses, newton)
ends["linear, plain"] = table(
    linear_losses, train_to_the_end(linear_losses, first_weights(20, each=8, scale=0.3))
)
for name, found in ends.items():
    critical = found[:, 3] < NEAR
    print(
        f"{name:13} critical {critical.sum():2} of {len(found)}, minima among these "
        f"{(found[critical, 1] == 0).sum():2}"
    )

# %% [markdown]
# The rule, fixed before these seeds were run: rare if, in a size and by a method, the 95 % interval
# over 12 seeds of the share of minima among the critical ends lies below 10 %; not rare if above
# 50 %; not settled, and no word, if a tenth of the runs or more are not critical when they end.


# %%
def rare(found):
    """Say whether minima are rare among the critical points that were found."""
    if (found[:, 3] < NEAR).mean() <= 0.9:
        return "not measured"
    shares = shares_of_minima(found)
    few, many = (
        rules.judge(rules.paired_interval([bound] * len(SEEDS), shares)) for bound in (RARE, 0.5)
    )
    return few if few == "reproduced" or many == "contradicted" else "not seen"


words = {name: rare(found) for name, found in ends.items()}
print(words)

# %% [markdown]
# ## Among all critical points
#
# **Counted.** In the linear autoencoder each critical point keeps some of the principal components,
# at most two of the five (Baldi and Hornik 1989): 1 + 5 + 10 = 16 families, whose smallest member
# has the components themselves as weights. We build these, and ask the Hessian.

# %%
built = []
for kept in [kept for k in range(3) for kept in combinations(range(5), k)]:
    A = np.zeros((5, 2))
    A[list(kept), range(len(kept))] = 1
    built.append(np.concatenate([A.ravel(), A.T.ravel()]))
_, g, _ = look(linear_losses, np.array(built))
counted = table(linear_losses, np.array(built))
one = int((counted[:, 1] == 0).sum())
print(f"‖g‖ is at most {np.abs(g).max():.0e}; {one} of {len(counted)} has no negative eigenvalue")

# %% [markdown]
# **Built.** In a tanh network, a minimum of a narrower one is a critical point, too: all weights of
# the other hidden units are 0. (The narrowest has no hidden unit, and says the mean.)


# %%
def embed(θ, hidden):
    """Return the same networks with silent hidden units added."""
    k, n, start, layers = (θ.shape[1] - 4) // 10, len(θ), 0, []
    for m, columns, shape in (
        (5, k, (5, hidden)),
        (1, k, (1, hidden)),
        (k, 4, (hidden, 4)),
        (1, 4, (1, 4)),
    ):
        layer = np.zeros((n, *shape))
        layer[:, :m, :columns] = θ[:, start : start + m * columns].reshape(n, m, columns)
        layers.append(layer.reshape(n, -1))
        start += m * columns
    return np.concatenate(layers, axis=1)


means = np.array([targets.mean(axis=0) / (1 + 2 * DECAY)])  # where the loss of four biases is least
embedded = []
for θ in (means, *minima.values()):
    rows = table(tanh_losses, embed(θ, chosen.width))
    rows = rows[rows[:, 3] < 1e-6]
    embedded.append(rows[np.unique(rows[:, 0].round(6), return_index=True)[1]])
    print(
        f"{(θ.shape[1] - 4) // 10} units that speak: {len(embedded[-1])} critical points of "
        f"different loss, with {embedded[-1][:, 1].min():.0f} to {embedded[-1][:, 1].max():.0f} "
        f"negative eigenvalues"
    )
embedded = np.concatenate(embedded)

# %% [markdown]
# **Searched.** Newton's method for ‖g‖, the step −(H² + μ)⁻¹Hg, cares for nothing but critical
# points. It is what is used where nobody can count them. Does it find them as often as they occur?
# The autoencoder's share is known.

# %%
searched = {}
for name, losses, begun in (
    ("linear", linear_losses, first_weights(20, each=8, scale=0.3)),
    ("tanh", tanh_losses, first_weights(24)),
):
    for update in tqdm((0, 20, 100, 1000), desc=f"searching, {name}"):
        arrived = settle(losses, train(losses, begun, update), SEARCH)
        searched[name, update] = table(losses, arrived)
found_share = {}
for (name, update), found in searched.items():
    whole = [share for share in shares_of_minima(found) if share is not None]
    found_share[name, update] = float(np.mean(whole)) if whole else np.nan
    print(
        f"{name:6} from update {update:4}: critical {(found[:, 3] < NEAR).sum():2} of "
        f"{len(found)}, minima among these {found_share[name, update]:.0%}"
    )

# %% [markdown]
# ## Where the slide's ratio of one half may come from
#
# A network of the usual kind has more parameters than its data can pin down. The one below has 832,
# for the 4 outputs of 30 images. At loss 0, H can have 120 eigenvalues that are not zero, one for
# each output and image; at least 712 must be zero, and in float32 rounding decides their signs.

# %%
wide = tg.nn.perceptron(64, 12, 4, activation=tg.nn.Tanh(), seed=0)
thirty = tg.TensorDataset(images[few][:30], targets[:30].astype("float32"))
optimizer = tg.Momentum(wide.parameters(), lr=0.5, momentum=0.9)
steps = tg.updates(
    lambda x, target: tg.mse_loss(wide(x), target), tg.DataLoader(thirty, 30), optimizer
)
*_, (loss, x, target) = islice(steps, 4000)
H = tg.HessianOperator(lambda: tg.mse_loss(wide(x), target), wide.parameters())
rough = np.linalg.eigvalsh(tg.hessian(lambda: tg.mse_loss(wide(x), target), wide.parameters()))
careful = tg.classify_critical_point(H, H.gradient)
print(f"Loss {loss.item():.1e}. Of {len(rough)} eigenvalues {(rough > 0).mean():.1%} are above 0.")
print(f"Beyond the tolerance for rounding: {careful}")


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.6), width_ratios=[4, 3])
    last = np.concatenate([found for name, found in ends.items() if name.endswith("4, plain")])
    for rows, look_, name in (
        (embedded, "oC0", "built"),
        (last[last[:, 3] < NEAR], "*C1", "training’s end"),
    ):
        ratio = rows[:, 2] / (rows[:, 1] + rows[:, 2])
        left.plot(ratio, rows[:, 0], look_, alpha=0.6, label=name)
    for low, high, bottom, top in ((0.26, 0.555, 0, 0.008), (0.003, 0.23, 0.086, 0.089)):
        left.fill_between([low, high], bottom, top, color="gray", alpha=0.6)
    left.text(0.12, 0.095, "slide", color="gray", ha="center")
    left.set(xlabel="minimum ratio", ylabel="loss", xlim=(-0.02, 1.05), ylim=(0, 0.24))
    left.legend(loc="upper left", fontsize=9)
    for place, (name, color) in enumerate((("linear", "C2"), ("tanh", "C0"))):
        updates = [update for which, update in found_share if which == name]
        heights = [100 * found_share[name, update] for update in updates]
        right.bar(np.arange(len(updates)) + 0.4 * place, heights, 0.4, color=color, label=name)
    right.axhline(100 * one / len(counted), color="C2", linestyle=":")
    right.set(xticks=np.arange(len(updates)) + 0.2, yticks=(0, 50, 100), ylim=(0, 135))
    right.set_xticklabels(updates, fontsize=8)
    right.set(xlabel="from update", ylabel="minima found, %")
    right.legend(loc="upper left", fontsize=9)
    return figure


evidence.save(
    "minimum_ratio",
    draw,
    caption="Left: training ends where the ratio is 1, in minima (stars); the critical points that "
    "we built (circles) have lower ratios at a higher loss, as on the slide (gray). Right: the "
    "share of minima that a search finds hangs on where it starts; the dotted line is the true "
    "share of the linear autoencoder.",
    alt="Left, loss against minimum ratio: all ends of training stand at a ratio of 1, built "
    "points reach from there to lower ratios and higher losses. Right, bars of the share of minima "
    f"found by a search from update 0, 20, 100 and 1000: for the linear autoencoder from "
    f"{found_share['linear', 0]:.0%} to {found_share['linear', 1000]:.0%}, where the true share is "
    f"{one / len(counted):.0%}; for tanh networks from {found_share['tanh', 0]:.0%} to "
    f"{found_share['tanh', 1000]:.0%}.",
    lead=True,
)


# %% plot
def draw_wide():
    figure, axes = plt.subplots(figsize=(5, 3.2))
    axes.plot(rough, ".", color="C2", markersize=3)
    axes.set_yscale("symlog", linthresh=1e-6)
    axes.axhspan(-careful.tolerance, careful.tolerance, color="gray", alpha=0.3)
    axes.text(20, 1, f"{(rough > 0).mean():.0%} are above 0", color="C2", fontsize=9)
    axes.text(20, careful.tolerance * 2, "gray: counted as zero", color="gray", fontsize=9)
    axes.set(xlabel="eigenvalue number", ylabel="λ", title="a wide network, float32")
    return figure


evidence.save(
    "minimum_ratio_wide",
    draw_wide,
    caption="A wide network's eigenvalues. Most are zero up to rounding (gray), so that their "
    "signs, and with them the ratio, are chance.",
    alt=f"The {len(rough)} sorted eigenvalues of a wide network: most lie in a narrow band around "
    f"zero within rounding, {(rough > 0).mean():.0%} of all are above zero.",
)

# %% bet
plain = np.concatenate([found for name, found in ends.items() if name.endswith("4, plain")])
settled = plain[plain[:, 3] < NEAR]
share = float((settled[:, 1] == 0).mean())
evidence.bet(
    f"{len(settled)} small tanh networks are trained until they stand at a critical point. How "
    "many of 100 such points are local minima?",
    answer=round(100 * share),
    slider=(0, 100, 1),
    told="Plain training goes downhill, so it does not stay at a saddle; what it ends in tells "
    "nothing about how many saddles there are.",
)

# %% why [markdown]
# Training goes downhill and leaves every saddle that it does not hit exactly, so it ends in minima
# however rare these may be. Saddles are many because each hidden unit that could help and is silent
# leaves a way down: the fewer units speak, the higher the loss and the more negative eigenvalues.
# To say how rare minima are among *all* critical points one must count them, and a search does not:
# it finds those near its start.

# %% [markdown]
# ## Verdict

# %% verdict
ratio = {
    "linear autoencoder, counted": counted,
    "tanh networks, built": embedded,
}
ranks = {
    name: float(stats.spearmanr(rows[:, 0], rows[:, 2]).statistic)  # of networks of one size
    for name, rows in ratio.items()
}
undecided = int((plain[:, 3] >= NEAR).sum())
moved = {
    name: np.ptp([share for (which, _), share in found_share.items() if which == name])
    for name in ("linear", "tanh")
}
best = counted[:, 0].argmin()
exact = one == 1 and counted[best, 1] == 0 and np.abs(g).max() < 1e-9
of_tanh = "not measured" if moved["tanh"] > 0.2 else rare(searched["tanh", 1000])
evidence.report(
    "31",
    "Local minima are rare: where training ends.",
    slide="minimum ratio at most 0.555: no minimum among all points",
    headline=f"Training ends in minima: {(settled[:, 1] == 0).sum()} of {len(settled)} networks",
    quote="从试验中得知局部最小值很少存在",
    ours=f"of {len(plain)} tanh networks of {SIZES[0]} to {SIZES[-1]} hidden units, {len(settled)} "
    f"ended at a critical point by plain training, {(settled[:, 1] == 0).sum()} of these in a "
    f"minimum; {undecided} were not there yet after {LIMIT} updates",
    rule="rare in a size and by a method if the 95 % interval over 12 seeds of the share of minima "
    "among the critical ends lies below 10 %, contradicted if above 50 %, no word if a tenth of "
    "the runs or more are undecided",
    verdict=rules.judge_conditions(words),
    caveat="small networks, with weight decay. Too early, most networks still bend down somewhere, "
    f"but then they are not critical. In a network of {len(rough)} parameters most eigenvalues are "
    f"zero, and by the signs of their rounding its ratio is {(rough > 0).mean():.2f}",
)
evidence.report(
    "31b",
    "Critical points of higher loss are more of a saddle: their minimum ratio is lower.",
    slide="ratio 0.26 to 0.555 at a loss below 0.008, 0.003 to 0.23 at 0.0875",
    headline=f"Higher loss, lower ratio: rank correlation {ranks['tanh networks, built']:.2f}",
    ours=f"rank correlation of loss and ratio {ranks['linear autoencoder, counted']:.2f} over all "
    f"{len(counted)} critical points of the autoencoder, {ranks['tanh networks, built']:.2f} over "
    f"{len(embedded)} built ones of a tanh network",
    rule="reproduced if the rank correlation is below −0.5 in both, under conditions if in one; "
    "otherwise contradicted",
    verdict=rules.judge_conditions({name: rank < -0.5 for name, rank in ranks.items()}),
    caveat="the built points are those of narrower networks, where a silent unit costs loss and "
    "adds negative eigenvalues; Dauphin et al. (2014, arXiv:1406.2572) saw the same by a search",
)
evidence.report(
    "31c",
    "Local minima are rare: among all critical points.",
    slide="no minimum among all points",
    headline=f"{one} of {len(counted)} where all are known; a search cannot tell",
    ours=f"linear autoencoder: {one} of {len(counted)} ({one / len(counted):.0%}), counted; a "
    f"search finds {found_share['linear', 0]:.0%} to {found_share['linear', 1000]:.0%} there. Tanh "
    f"networks: the search finds {found_share['tanh', 0]:.0%} minima from update 0, "
    f"{found_share['tanh', 1000]:.0%} from 1000",
    rule="what is counted decides. Linear: reproduced if fewer than 10 % of the known points have "
    "no negative eigenvalue, and the Hessian says so of the lowest alone; else contradicted. Tanh: "
    "by the search, but not measured if its share moves by more than 20 points with its start",
    verdict=rules.judge_conditions(
        {
            "linear autoencoder": bool(exact and one / len(counted) < RARE),
            "tanh networks": of_tanh,
        },
        leading=["linear autoencoder"],
    ),
    caveat="searches do not find critical points as often as they occur (Frye et al. 2019, "
    "arXiv:1901.10603), and may stop where nothing is critical (Frye et al. 2021, arXiv:2003.10397)"
    "",
)
