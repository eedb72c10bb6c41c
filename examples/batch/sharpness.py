# %% [markdown]
# # Do small batches end in flat minima?
#
# The notes pass on a conjecture: a small batch (批次) ends in a *flat* minimum (平滑的最低点), the
# large batch in a *sharp* one (陡峭的最低点). Is it so, and can a narrow valley hold a small batch?
#
# A narrow valley cannot hold it, the notes say, because its noise makes it jump out. They add: "not
# proven yet".
#
# Sharpness can be measured. The Hessian's largest eigenvalue (特征值) λmax is the curvature of the
# valley across its steepest wall. Keskar et al. (2017), whose numbers the lecture leans on, let an
# optimizer climb as high as it can from the minimum x in a small box around it, with ε = 10⁻³:
#
# $$\phi = 100 \cdot \frac{\max_y L(x + y) - L(x)}{1 + L(x)}, \qquad
# |y_i| \le \varepsilon\,(|x_i| + 1).$$
#
# There is a trap: both measures depend on *how far* the training has gone. With cross-entropy,
# curvature itself fades as the loss goes to 0.

# %%
import sys
from collections import namedtuple
from itertools import islice
from pathlib import Path

import numpy as np
import scipy.optimize
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# 500 training digits and a network 64-64-64-10, B = 4 against all 500 at once, from the same
# weights. There are two settings: cross-entropy from large first weights, as in the example on the
# generalization gap, and the mean squared error from weights √6 times the usual (He et al. 2015).
# They were chosen on the seeds 100–105; the rules below judge fresh seeds.

# %%
# scale: of the hidden layers' first weights; matched: the training loss at which to compare
Setting = namedtuple("Setting", "loss targets scale lr matched")
chosen = evidence.settings(
    seed=(200, 300), width=(64, 32), split=(0, 1), lr=(0.1, 0.07), start=(10.0, 5.0), batch=(4, 8)
)
SIZES, N, SMALL, LARGE = (64, chosen.width, chosen.width, 10), 500, chosen.batch, 500
SEEDS = range(chosen.seed, chosen.seed + 12)
train_set, _, test_set = rules.digits(N, chosen.split)
images, labels = (tensor.data for tensor in train_set[:])
one_hot = np.eye(10, dtype="float32")
UPDATES = 250  # onward from the large batch's minimum
entropy = Setting(tg.cross_entropy, labels, chosen.start, chosen.lr, 0.03)
squares = Setting(tg.mse_loss, one_hot[labels], 6**0.5, 10 * chosen.lr, 0.01)


def network(setting, seed):
    """Make a perceptron with the setting's first weights."""
    return rules.perceptron(*SIZES, seed=seed, scale=setting.scale)


def full_loss(model, setting):
    """Return the loss on all training images."""
    return setting.loss(model(images), tg.Tensor(setting.targets))


def train(model, setting, batch_size, seed, updates=None):
    """Train for so many updates, or until the loss on all images is the matched one."""
    dataset = tg.TensorDataset(images, setting.targets)
    loader = tg.DataLoader(dataset, batch_size, shuffle=True, seed=seed)
    optimizer = tg.SGD(model.parameters(), setting.lr)
    steps = tg.updates(lambda x, y: setting.loss(model(x), y), loader, optimizer)
    for update, _ in enumerate(islice(steps, updates or 5000), start=1):
        look = updates is None and update % 10 == 0
        if look and full_loss(model, setting).item() <= setting.matched:
            break
    return model


# %% [markdown]
# Both measures, in float64. λmax comes from Lanczos's method on Hessian–vector products; for φ,
# SciPy's L-BFGS-B climbs for 10 iterations, over all the parameters, as in the paper.


# %%
def in_double(model):
    """Copy a network to float64."""
    double = tg.nn.perceptron(*SIZES, dtype="float64")
    double.load_state_dict({k: v.astype("float64") for k, v in model.state_dict().items()})
    return double


def measure(model, setting):
    """Return the training loss, λmax and φ."""
    double = in_double(model)
    parameters = double.parameters()
    H = tg.HessianOperator(lambda: full_loss(double, setting), parameters)
    eigenvalue = tg.extreme_eigenpairs(H, max_steps=20).values[-1]
    x, loss = tg.nn.parameters_to_vector(parameters), full_loss(double, setting).item()
    reach = 1e-3 * (np.abs(x) + 1)

    def downhill(y):
        """SciPy looks for minima, so it is given −L and its gradient."""
        tg.nn.vector_to_parameters(y, parameters)
        value = full_loss(double, setting)
        return -value.item(), -tg.nn.parameters_to_vector(tg.grad(value, parameters))

    box = scipy.optimize.Bounds(x - reach, x + reach)
    top = scipy.optimize.minimize(
        downhill, x, jac=True, method="L-BFGS-B", bounds=box, options={"maxiter": 10}
    )
    return loss, eigenvalue, 100 * (-top.fun - loss) / (1 + loss)


# %% [markdown]
# ## Four comparisons
#
# 1. Cross-entropy, both at the training loss 0.03.
# 2. Cross-entropy, both after 800 updates: their losses differ.
# 3. The mean squared error, both at the loss 0.01.
# 4. The conjecture itself: start where the large batch ended in comparison 3, and train for 250
#    more updates, once with B = 4 and once with all 500. Does the noise of B = 4 carry the network
#    out of the sharp valley?

# %%
names = "cross-entropy, loss .03", "cross-entropy, 800 updates", "squared error, loss .01"
results = {name: {SMALL: [], LARGE: []} for name in (*names, "… and 250 updates on")}
first, second, third, fourth = results.values()
minima = {}  # the networks of the third comparison
for seed in tqdm(SEEDS, desc="pairs of networks"):
    for B in (SMALL, LARGE):
        first[B].append(measure(train(network(entropy, seed), entropy, B, seed), entropy))
        second[B].append(measure(train(network(entropy, seed), entropy, B, seed, 800), entropy))
        minima[seed, B] = train(network(squares, seed), squares, B, seed)
        third[B].append(measure(minima[seed, B], squares))
    for B in (SMALL, LARGE):
        model = network(squares, seed)
        model.load_state_dict(minima[seed, LARGE].state_dict())
        fourth[B].append(measure(train(model, squares, B, seed, UPDATES), squares))

# %%
means = {  # geometric: a row for each batch size, with the loss, λmax and φ
    name: np.exp([np.log(pairs[B]).mean(axis=0) for B in (SMALL, LARGE)])
    for name, pairs in results.items()
}
intervals = {}  # of the logarithm of large / small: above 0, the small batch is the flatter
print(f"{'':28}{'loss SB, LB':>15}{'λmax SB, LB':>15}{'φ SB, LB':>15}")
for name, pairs in results.items():
    print(f"{name:28}" + "".join(f"{a:8.3f}{b:7.3f}" for a, b in means[name].T))
    small, large = (np.log(pairs[B]) for B in (SMALL, LARGE))
    for column, symbol in ((1, "λmax"), (2, "φ")):
        interval = rules.paired_interval(large[:, column], small[:, column])
        intervals[f"{symbol}, {name}"] = interval

# %% [markdown]
# λmax and φ do not always agree. φ climbs along slopes, too, and a run that ends at a loss or after
# a count is not quite at a minimum. In the fourth comparison the noise does carry the network to a
# less curved place, but its training loss is higher there.

# %% plot
KESKAR = {  # φ of SB and LB
    "F1": (1.23, 205), "F2": (1.39, 311), "C1": (28.6, 707),
    "C2": (8.7, 925), "C3": (29.9, 259), "C4": (12.8, 422),
}  # fmt: skip


def draw_sharpness():
    figure, panels = plt.subplots(1, 2, figsize=(7, 3.6), sharey=True, width_ratios=[3, 2])
    places = {name: place for place, name in enumerate([*KESKAR, *means])}
    eigenvalues, phis = ({name: rows[:, c] for name, rows in means.items()} for c in (1, 2))
    for axes, pairs in zip(panels, (KESKAR | phis, eigenvalues)):
        for name, (small, large) in pairs.items():
            axes.plot([small, large], [places[name]] * 2, color="gray", alpha=0.5)
            axes.plot(small, places[name], "o", color="C0", markersize=6)
            axes.plot(large, places[name], "o", color="C1", markersize=6)
        axes.axhline(len(KESKAR) - 0.5, color="gray", linewidth=0.5)
    panels[0].set_yticks(range(len(places)), places)
    panels[0].invert_yaxis()
    panels[0].set(xscale="log", xlabel="φ: Keskar et al. above, ours below")
    panels[1].set(xlim=(0, None), xlabel="λmax")
    panels[1].text(2.5, 1, "small batch", color="C0")
    panels[1].text(2.5, 2, "large batch", color="C1")
    return figure


evidence.save(
    "sharpness",
    draw_sharpness,
    caption="Sharpness where small (blue) and large batches (orange) end. Left, φ: Keskar's "
    "networks above, ours below; right, λmax of ours. At equal training loss the large batch ends "
    "in the sharper place; after equal numbers of updates the order can be the other one.",
    alt="Pairs of dots joined by a line: in Keskar's rows the orange one lies far to the right; in "
    "ours the order changes with the row.",
    lead=True,
)

# %% [markdown]
# ## The valleys
#
# The notes' drawing, measured: the training loss (solid) along the steepest direction of each of
# the two minima, with the mean squared error at 0.01. The dashed lines are the loss on the test
# data.

# %%
STEPS = np.linspace(-0.6, 0.6, 41)
test_images, test_labels = (tensor.data for tensor in test_set[:])


def slice_through(model):
    """Return the training and the test loss along the eigenvector of λmax."""
    double = in_double(model)
    parameters = double.parameters()
    H = tg.HessianOperator(lambda: full_loss(double, squares), parameters)
    x, u = (
        tg.nn.parameters_to_vector(parameters),
        tg.extreme_eigenpairs(H, max_steps=20).vectors[:, -1],
    )
    losses = []
    for step in STEPS:
        tg.nn.vector_to_parameters(x + step * u, parameters)
        test = tg.mse_loss(double(test_images), one_hot[test_labels])
        losses.append((full_loss(double, squares).item(), test.item()))
    return np.array(losses)


slices = {B: slice_through(minima[SEEDS[0], B]) for B in (SMALL, LARGE)}


def draw_valleys():
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for (batch_size, losses), color in zip(slices.items(), ("C0", "C1")):
        axes.plot(STEPS, losses[:, 0], color=color)
        axes.plot(STEPS, losses[:, 1], "--", color=color)
        axes.text(STEPS[-1] + 0.01, losses[-1, 0], f"B = {batch_size}", color=color)
    axes.set(
        xlabel="step along the steepest direction", ylabel="mean squared error", ylim=(0, None)
    )
    return figure


evidence.save(
    "sharpness_valleys",
    draw_valleys,
    caption="The notes' drawing, measured: the loss along the steepest direction of both minima, "
    "on training data (solid) and on test data (dashed).",
    alt="Two valleys; the large batch's is narrower. The dashed curves lie above and have the same "
    "shape.",
)

# %% bet
at_loss = intervals[f"λmax, {names[2]}"]
evidence.bet(
    "Trained to the same squared error: how many times as large is λmax where the large batch ends?"
    "",
    answer=round(float(np.exp(at_loss.mean)), 2),
    slider=(0.2, 5, 0.01),
    told="For the slide's networks φ is up to 200 times as large, but not at the same training "
    "loss.",
)

# %% why [markdown]
# The noise of small batches shakes the weights most along steep directions, so a steep valley is
# left more easily than a flat one. Descent with all the data has no noise and stays where it can:
# up to a curvature of 2/η. But sharpness also falls with the training loss, so unequal losses can
# turn the order around.

# %% [markdown]
# ## Verdict

# %% verdict
for name, interval in intervals.items():
    print(f"log(large / small) of {name}: {interval}")
words = {name: rules.judge(interval) for name, interval in intervals.items()}
at_equal_loss = [f"λmax, {names[place]}" for place in (0, 2)]
edge = np.mean(third[LARGE], axis=0)[1] * squares.lr / 2
evidence.report(
    "16",
    "Small batches end in flat minima, large batches in sharp ones.",
    slide="Keskar's φ, SB and LB: F1 1.23, 205; F2 1.39, 311; C1 28.6, 707; C2 8.7, 925; "
    "C3 29.9, 259; C4 12.8, 422",
    ours="large / small: "
    + "; ".join(f"{name} {np.exp(interval.mean):.2g}" for name, interval in intervals.items()),
    rule="each of four comparisons and two measures holds if the 95 % interval of log(large / "
    "small) is above 0; reproduced if all hold, under conditions if λmax at equal training loss "
    "does, with either loss, and another does not; otherwise the word of λmax at equal loss",
    verdict=rules.judge_conditions(words, leading=at_equal_loss),
    headline=f"λmax at equal loss: large / small {np.exp(at_loss.mean):.2g}",
    quote="小批次是在平滑的最低点,大批次是在陡峭的最低点",
    caveat="sharpness goes with the training loss, so unequal losses can reverse the order; "
    f"full-batch descent cannot stay where λmax > 2/η (ours ends at {edge:.2f} of that bound); and "
    "it is not invariant: see the example flat_and_sharp",
)
on = "… and 250 updates on"
left = {symbol: rules.judge(intervals[f"{symbol}, {on}"]) for symbol in ("λmax", "φ")}
higher = rules.paired_interval(*(np.log(fourth[B])[:, 0] for B in (SMALL, LARGE)))
evidence.report(
    "16d",
    "A narrow valley cannot hold a small batch.",
    slide="a drawing; “not proven yet”",
    ours=f"from the large batch's minimum, {UPDATES} updates on with all the data and with B = "
    f"{SMALL}: "
    + "; ".join(f"{symbol}, log large / small {intervals[f'{symbol}, {on}']}" for symbol in left)
    + f"; the small batch's log training loss is higher by {higher}",
    rule="reproduced if λmax and φ are both lower after the small batch (95 % intervals of the "
    "logs above 0), under conditions if one is; if none, contradicted where one is higher, else "
    "not seen",
    verdict=rules.judge_conditions(left),
    headline=f"λmax falls to {np.exp(-intervals[f'λmax, {on}'].mean):.0%} of the full batch's",
    quote="小batch很容易变动,陡峭的最低点没有办法困住小batch,"
    "而平原上的最低点才有可能困住小batch,还没有证明",
    caveat="the noise also keeps the training loss higher, so this compares unequal losses",
)
