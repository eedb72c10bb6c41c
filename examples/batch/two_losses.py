# %% [markdown]
# # Stuck on L¹, not stuck on L²
#
# A loss that changes with every batch (批次) has no place to get stuck at, say the notes. Does
# training with small batches get away from a stall sooner?
#
# The notes' picture has two curves. With the full batch there is one loss function L, and where its
# gradient vanishes, training is stuck. With small batches each update has a loss function of its
# own: L¹ of the first batch, L² of the second. The same θ that sits in a flat place of L¹ stands
# somewhere else on L², on a slope. So it moves on.
#
# Here is that picture, drawn from real batches of a real network at a place where the full batch is
# stuck. And then the question that the picture leaves open, with three controls: one batch that is
# kept for good is another loss, too, and never changes; and white noise is no loss at all.

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
# ## A stall
#
# A deep network that starts with weights too small: next to nothing gets through its four layers,
# so it answers every image with the same ten scores. The best such answer is how often each digit
# occurs, with a loss of about log 10 = 2.303, and hardly anything tells the weights where to go.

# %%
chosen = evidence.settings(
    seed=(200, 300), width=(32, 16), split=(0, 1), lr=(0.5, 1.0), batch=(64, 8), start=(0.2, 0.3)
)
STALLED_AT, UPDATES = 60, 500
train_set, _, _ = rules.digits(640, chosen.split)
FULL = len(train_set)


def network(seed):
    """Make the network; its weights are a fifth of the usual size."""
    sizes = (64, *3 * [chosen.width], 10)
    model = tg.nn.perceptron(*sizes, activation=tg.nn.Tanh(), seed=seed)
    for parameter in model.parameters():
        parameter.data = np.float32(chosen.start) * parameter.data
    return model


def flat_gradient(model, images, labels):
    """Return the gradient of the loss on these samples, all the parameters in one vector."""
    loss = tg.cross_entropy(model(images), labels)
    return tg.nn.parameters_to_vector(tg.grad(loss, model.parameters()))


def step(model, direction, lr=chosen.lr):
    """Move the parameters against a direction."""
    place = tg.nn.parameters_to_vector(model.parameters())
    tg.nn.vector_to_parameters(place - np.float32(lr) * direction, model.parameters())


def losses_on_the_way(model, directions, updates):
    """Train the network, and return the loss of all the data at the start and every 10 updates."""
    losses = [tg.evaluate(model, train_set).loss]
    for update, direction in enumerate(islice(directions, updates), start=1):
        step(model, direction)
        if update % 10 == 0:
            losses.append(tg.evaluate(model, train_set).loss)
    return losses


def full_batch(model, seed):
    """Yield the gradient of all the data, update by update."""
    while True:
        yield flat_gradient(model, *train_set[:])


model = network(100)
for number, loss in enumerate(losses_on_the_way(model, full_batch(model, 0), STALLED_AT)):
    print(f"after {10 * number:2} updates with the full batch: L = {loss:.4f}")

# %% [markdown]
# A person who watches this curve says: stuck. But a stall is not a critical point (临界点), where
# the gradient *is* zero. It is a place where the loss hardly falls. The library can tell:

# %%
images, labels = train_set[:]
hessian = tg.HessianOperator(lambda: tg.cross_entropy(model(images), labels), model.parameters())
point = tg.classify_critical_point(hessian, hessian.gradient)
print(point)

# %% [markdown]
# The gradient is small but not zero, and there is a way down, along the negative eigenvalue, as
# beside a saddle (鞍点).
#
# ## The same θ on L, L¹, L², …
#
# Now split the data in batches, as a loader does. Through the point where the full batch is
# stuck we take one line, along the gradient g¹ of the first batch, and look at every batch's loss
# along it.


# %%
def slice_of(images, labels):
    """Return the loss of these samples along the line."""
    here, values = model.state_dict(), []
    for place in places:
        for parameter, data, step in zip(model.parameters(), here.values(), direction):
            parameter.data = data - place * step
        values.append(tg.cross_entropy(model(images), labels).item())
    model.load_state_dict(here)
    return np.array(values)


batches = [*tg.DataLoader(train_set, chosen.batch, shuffle=True, seed=0)]
loss = tg.cross_entropy(model(batches[0][0]), batches[0][1])
direction = [g.data for g in tg.grad(loss, model.parameters())]  # g¹
length = np.linalg.norm(flat_gradient(model, *batches[0]))
places = np.linspace(-5, 5, 21, dtype="float32")  # multiples of g¹
full_slice, slices = slice_of(*train_set[:]), [slice_of(*batch) for batch in batches]
slopes = [np.gradient(values, places * length)[10] for values in [full_slice, *slices]]
print(f"slope at θ along −g¹: of L {slopes[0]:+.4f}, of L¹ {slopes[1]:+.3f}, ", end="")
print(f"of all the batches {min(slopes[1:]):+.3f} to {max(slopes[1:]):+.3f}")


# %% plot
def draw_slices():
    figure, axes = plt.subplots(figsize=(7, 3.2))
    against = int(np.argmax(slopes[1:]))  # the batch that least wants to go where the first does
    for values in slices:
        axes.plot(places * length, values, color="gray", alpha=0.4, linewidth=0.8)
    for values, color, name in (
        (full_slice, "C1", "L, all the data"),
        (slices[0], "C0", "L¹"),
        (slices[against], "C2", f"batch {against + 1}"),
    ):
        axes.plot(places * length, values, color=color, linewidth=2)
        axes.plot(0, values[10], "o", color=color, markersize=9)
        axes.text(5.2 * length, values[-1], name, color=color, va="center")
    axes.text(0.01, axes.get_ylim()[1], "θ", va="top", fontsize=14)
    axes.axvline(0, color="gray", linestyle=":")
    axes.set(xlabel="distance from θ, along −g¹", ylabel="loss", xlim=(-5.2 * length, 7 * length))
    return figure


evidence.save(
    "two_losses",
    draw_slices,
    caption="The same θ on many losses, along one line: at the bottom of a dent of L, the loss of "
    "all the data; on a slope of L¹, the first batch's; and on slopes the other way of other "
    "batches.",
    alt="One nearly flat curve with its dot at the bottom, and many others through the same place, "
    "some rising there and some falling.",
    lead=True,
)

# %% [markdown]
# The notes' picture is real.
#
# ## Does a step on a batch's loss bring L down?
#
# Twelve networks, each with its own weights and batches (fresh seeds; η and where to stop were
# chosen with others). Each is trained with the full batch to the stall. There we look at every
# batch: how long is its gradient, beside the full one, and does one step along it lower L?
#
# From there training goes on in five ways. *Full batch*; *new batches*, as usual; *one batch,
# kept*: another loss, but always the same; *white noise*: the full gradient, and random numbers
# that are together as long as a batch's deviation from it; *a batch's deviation with a random
# sign*.

# %%
SEEDS = range(chosen.seed, chosen.seed + 12)


def new_batches(model, seed):
    """Yield the gradient of one batch after another."""
    loader = tg.DataLoader(train_set, chosen.batch, shuffle=True, seed=seed)
    while True:
        yield from (flat_gradient(model, *batch) for batch in loader)


def kept_batch(model, seed):
    """Yield the gradient of the first batch, for good."""
    batch = next(iter(tg.DataLoader(train_set, chosen.batch, shuffle=True, seed=seed)))
    while True:
        yield flat_gradient(model, *batch)


def white_noise(model, seed):
    """Yield the full gradient and white noise, as long as the deviations of the batches."""
    generator = np.random.default_rng((seed, 1))
    for whole, part in zip(full_batch(model, seed), new_batches(model, seed)):
        noise = generator.normal(size=len(whole)).astype("float32")
        yield whole + noise * np.linalg.norm(part - whole) / np.linalg.norm(noise)


def random_sign(model, seed):
    """Yield the full gradient, and the kept batch's deviation with a random sign."""
    generator = np.random.default_rng((seed, 1))
    for whole, part in zip(full_batch(model, seed), kept_batch(model, seed)):
        yield whole + np.float32(generator.choice([-1, 1])) * (part - whole)


ARMS = {
    "full batch": full_batch,
    "new batches": new_batches,
    "one batch, kept": kept_batch,
    "white noise": white_noise,
    "deviation, random sign": random_sign,
}


def gradients(model, seed):
    """Return the full gradient, and those of the batches of an epoch."""
    loader = tg.DataLoader(train_set, chosen.batch, shuffle=True, seed=seed, drop_last=True)
    parts = [flat_gradient(model, *batch) for batch in loader]
    return flat_gradient(model, *train_set[:]), np.array(parts)


def lowered(model, parts):
    """Return in what share of the batches one step on the batch's loss lowers L."""
    here, before = model.state_dict(), tg.evaluate(model, train_set).loss
    found = []
    for part in parts:
        step(model, part)
        found.append(tg.evaluate(model, train_set).loss < before)
        model.load_state_dict(here)
    return np.mean(found)


def first_below_2(course):
    """Return the number of updates after which the loss is below 2, or all if it never is."""
    return next((10 * place for place, loss in enumerate(course) if loss < 2), UPDATES)


stalls, hillsides, helped, courses = [], [], [], {arm: [] for arm in ARMS}
for seed in tqdm(SEEDS, desc="networks"):
    model = network(seed)
    losses_on_the_way(model, full_batch(model, seed), STALLED_AT)
    stalled = model.state_dict()
    stalls.append(gradients(model, seed))
    helped.append(lowered(model, stalls[-1][1]))
    for arm, directions in ARMS.items():
        model.load_state_dict(stalled)
        courses[arm].append(losses_on_the_way(model, directions(model, seed), UPDATES))
        if arm == "full batch":
            hillsides.append(gradients(model, seed))
away = {arm: np.array([first_below_2(course) for course in courses[arm]]) for arm in ARMS}
at_stall = [
    np.median(np.linalg.norm(parts, axis=1)) / np.linalg.norm(whole) for whole, parts in stalls
]
biases = np.mean([(parts[:, -10:] ** 2).sum() / (parts**2).sum() for _whole, parts in stalls])
print(f"‖gᵏ‖ / ‖g‖ at the stall, median {np.median(at_stall):.0f}; a step on a batch's loss lowers")
print(f"L in {np.mean(helped):.0%} of the batches")
print(f"of ‖gᵏ‖² at the stall, {biases:.0%} belongs to the biases of the ten scores")
for arm, found in away.items():
    stuck = (found == UPDATES).sum()
    print(f"{arm:24} away after {np.mean(found):3.0f} updates; {stuck} of 12 never")


# %% plot
def draw_arrows():
    figure, panels = plt.subplots(1, 2, figsize=(7, 3))
    titles = "at the stall", "on the slope, later"
    for axes, (whole, parts), title in zip(panels, (stalls[-1], hillsides[-1]), titles):
        length = np.linalg.norm(whole)
        along = parts @ whole / length**2  # in units of ‖g‖
        across = parts / length - np.outer(along, whole / length)
        main = np.linalg.svd(across, full_matrices=False)[2][0]  # where they differ most
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "zorder": 2}
        origin = 0 * along
        axes.quiver(origin, origin, along, across @ main, color="C0", width=0.008, **arrows)
        axes.quiver(0, 0, 1, 0, color="C1", width=0.012, **arrows)
        reach = 1.1 * np.abs([along, across @ main]).max()
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=title)
        axes.set(xlabel="along g, in units of ‖g‖")
    panels[0].set_ylabel("across")
    return figure


evidence.save(
    "two_losses_gradients",
    draw_arrows,
    caption="Each arrow is the gradient of one batch (blue), beside the full one (orange). At the "
    "stall they are long and point everywhere; later, on the slope, nearly all lean to one side.",
    alt="Left: long arrows in all directions around a dot. Right: arrows that lean to the right.",
)

# %% [markdown]
# What the batches' gradients pull at are the biases of the ten scores: up for the digits that a
# batch happens to have many of.
#
# ## So does a small batch get away sooner?
#
# On no batch's loss is θ stuck. But pulls that point everywhere also cancel, one batch after the
# other.


# %% plot
def draw_escape():
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for arm, color in zip(ARMS, ("C1", "C0", "C2", "C3", "C4")):
        middle = np.median(courses[arm], axis=0)
        axes.plot(10 * np.arange(len(middle)), middle, color=color, label=arm)
    axes.axhline(2, color="gray", linestyle=":")
    axes.set(xlabel="updates since the stall", ylabel="L, all the data", ylim=(0.8, 2.5))
    axes.legend(loc="lower left")
    return figure


evidence.save(
    "two_losses_escape",
    draw_escape,
    caption="The loss after the stall, median of twelve networks. New batches leave no earlier "
    "than the full batch; white noise, which is no loss at all, leaves first.",
    alt="Five curves that stay near 2.3 and then fall; the one of white noise falls first.",
)
before_full = rules.paired_interval(away["full batch"], away["new batches"])
before_kept = rules.paired_interval(away["one batch, kept"], away["new batches"])
print(f"New batches leave before the full batch by {before_full} updates,")
print(f"and before one batch that is kept by {before_kept}")

# %% bet
means = {arm: away[arm].mean() for arm in ARMS}
evidence.bet(
    "From the same stall, with steps of the same kind of length: what gets away first?",
    answer=min(means, key=means.get),
    options=[*ARMS],
    told=f"On average after {min(means.values()):.0f} updates; new batches after "
    f"{means['new batches']:.0f}, the full batch after {means['full batch']:.0f}.",
)

# %% why [markdown]
# Another batch has another loss and so another gradient: at a stall, where the full gradient is
# almost nothing, it is many times as long. But the batches' gradients add up to the full one, so
# over an epoch their long pulls cancel and what remains is the short one. A push that is kept, in
# any direction, gets away; a change of direction with every update does not.

# %% [markdown]
# ## Verdict

# %% verdict
per_epoch = -(-FULL // chosen.batch)
longer = rules.paired_interval(np.log10(at_stall), np.ones(len(SEEDS)))
coin = rules.paired_interval(helped, [0.5] * len(SEEDS))
moves = rules.judge(longer) == "reproduced"
evidence.report(
    "12",
    "Where the full batch is stuck on L, θ is not stuck on the loss of a small batch.",
    slide="two loss curves, no numbers",
    ours=f"at the stall ‖gᵏ‖ / ‖g‖ is {np.median(at_stall):.0f}; a step on the batch's loss lowers "
    f"L in {np.mean(helped):.0%} of the batches ({coin} from one half); {biases:.0%} of ‖gᵏ‖² is "
    "in the scores' biases",
    rule="reproduced if, at the η in use, more than half of the steps on a batch's loss lower L "
    "(95 % interval over 12 networks); wording if not, though the batches' gradients are more than "
    "ten times as long as the full one (interval of log₁₀ above 1); contradicted if not even that",
    verdict="reproduced"
    if rules.judge(coin) == "reproduced"
    else "wording"
    if moves
    else "contradicted",
    headline=f"it moves, but {np.mean(helped):.0%} of such steps lower L",
    quote="当运行到第二个batch时,数据点变化了,曲线也就变化了,所以当前参数在曲线上的位置也变化了",
    caveat="another loss has another gradient: ‖gᵏ‖²/‖g‖² is about 1 + (tr Σ/‖g‖²)/B, which says "
    f"how flat L is. And a stall is no critical point: here ‖g‖ = {point.gradient_norm:.2g}, and "
    "the full batch gets away by itself",
)
words = {
    "before the full batch": rules.judge(before_full),
    "before a batch that is kept": rules.judge(before_kept),
}
evidence.report(
    "12b",
    "With another loss function in each update, training gets stuck less easily.",
    slide="no numbers",
    ours="mean updates until L < 2: "
    f"full batch {means['full batch']:.0f}, new batches {means['new batches']:.0f}, one batch kept "
    f"{means['one batch, kept']:.0f}, white noise {means['white noise']:.0f}, deviation with a "
    f"random sign {means['deviation, random sign']:.0f}; new batches leave before the full batch "
    f"by {before_full}, before a kept batch by {before_kept}",
    rule="new batches leave before the full batch, and before one batch that is kept: reproduced "
    "if both 95 % intervals are above 0, contradicted if one is below, under conditions if one is "
    f"above; else not seen. A run that never leaves counts {UPDATES} updates",
    verdict="contradicted" if "contradicted" in words.values() else rules.judge_conditions(words),
    headline=f"new batches {means['new batches']:.0f} updates, full batch {means['full batch']:.0f}"
    "",
    quote="换了个 loss 函数就更不容易卡住",
    caveat=f"counted in updates. In epochs small batches leave sooner, since they make {per_epoch} "
    "updates in each. One kind of stall, beside a saddle",
)
