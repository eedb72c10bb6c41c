# %% [markdown]
# # The mortar and the Gatling gun
#
# Twenty samples: is one update with all of them better than one update with a single sample, and is
# it better than twenty of these?
#
# With all samples in one batch (full batch) an epoch is one update: it takes long, and it hits
# well, like a mortar (迫击炮). With a batch of one sample an epoch is twenty updates: each is quick
# and poorly aimed, and many of them are needed, like the shots of a Gatling gun (加特林).
#
# The lecture's slide has the picture for a line, y = b + wx: from the start (b, w) = (0.5, 1.5) one
# straight step, beside twenty that zig-zag toward the best place, (0, 1). Here it is, measured. How
# much lower is the loss after one update? And how much lower after one look at the data, whether
# that was one update or twenty?

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# ## Twenty points on a line, nearly
#
# The points are drawn at random around the line y = x. To have the best line where the slide has
# it, at b = 0 and w = 1 exactly, we take away what a fit can see of the noise.

# %%
chosen = evidence.settings(
    seed=(200, 300), lr=(0.05, 0.0125, 0.2), start=(1.0, 0.3, 0.1), batch=(1, 2)
)
BEST, SLIDE = np.array([0.0, 1.0]), np.array([0.5, 1.5])
START = BEST + chosen.start * (SLIDE - BEST)
GUNS = {"mortar, B = 20": 20, f"Gatling gun, B = {chosen.batch}": chosen.batch}


def points(seed):
    """Draw 20 points whose best line is y = 0 + 1·x."""
    generator = np.random.default_rng(seed)
    x, noise = generator.uniform(-0.5, 1.5, 20), generator.normal(0, 0.3, 20)
    slope, height = np.polyfit(x, noise, 1)
    return tg.TensorDataset(x, x + noise - (height + slope * x))


class Line(tg.nn.Module):
    """The line y = b + wx."""

    def __init__(self, start):
        self.b, self.w = (tg.Tensor(float(value), requires_grad=True) for value in start)

    def forward(self, x):
        return self.b + self.w * x


def shoot(dataset, batch_size, updates, lr=chosen.lr, seed=0, start=START):
    """Train the line, and return the path of (b, w), the start and then after each update."""
    line = Line(start)
    loader = tg.DataLoader(dataset, batch_size, shuffle=True, seed=seed)
    optimizer = tg.SGD(line.parameters(), lr)
    steps = tg.updates(lambda x, y: tg.mse_loss(line(x), y), loader, optimizer)
    path = [(line.b.item(), line.w.item()) for _batch in islice(steps, updates)]
    return np.array([start, *path])


def full_loss(dataset, path):
    """Return the loss of all the points at each place of a path, or of a grid."""
    x, y = dataset.arrays
    b, w = np.moveaxis(path, -1, 0)[..., None]
    return ((b + w * x - y) ** 2).mean(axis=-1)


# %% [markdown]
# ## One epoch

# %%
dataset = points(100)
paths = {name: shoot(dataset, size, 20 // size) for name, size in GUNS.items()}
for name, path in paths.items():
    losses = full_loss(dataset, path)
    print(
        f"{name}: {(np.diff(losses) < 0).sum()} of {len(path) - 1} updates lower the loss,", end=""
    )
    print(f" which goes from {losses[0]:.3f} to {losses[-1]:.3f}")


# %% plot
def draw_contours(axes):
    """Draw the loss as the slide has it, with the start and the best place."""
    grid = np.stack(np.meshgrid(np.linspace(-0.15, 0.7, 80), np.linspace(0.8, 1.55, 80)), axis=-1)
    above = full_loss(dataset, grid) - full_loss(dataset, BEST)
    levels = np.geomspace(0.002, 1.5, 9)
    axes.contour(*np.moveaxis(grid, -1, 0), above, levels, colors="gray", alpha=0.6, linewidths=0.7)
    axes.plot(0, 1, "*", color="C2", markersize=13)
    axes.set(xlabel="b", xlim=(-0.15, 0.7), ylim=(0.8, 1.55))


def draw_paths():
    figure, panels = plt.subplots(1, 2, figsize=(7, 3.3), sharey=True)
    for axes, (name, path), color, many in zip(panels, paths.items(), ("C1", "C0"), ("", "s")):
        draw_contours(axes)
        axes.plot(*path.T, "o-", color=color)
        axes.set_title(f"{name}: {len(path) - 1} update{many}", color=color)
    panels[0].set(ylabel="w")
    panels[0].text(0.51, 1.51, "start")
    panels[0].text(-0.12, 0.99, "best", color="C2")
    return figure


evidence.save(
    "mortar_and_gatling",
    draw_paths,
    caption="One epoch over the slide's loss: one straight step of the full batch, and the steps "
    "of single samples, which zig-zag and get farther.",
    alt="Contours of the loss with its best place. Left: one arrow that stops short of it. Right: "
    "a zig-zag path that ends near it.",
    lead=True,
)

# %% [markdown]
# And as it happens, for two epochs. The gun fires at every sample; the mortar waits until it has
# seen all twenty.

# %% plot
long_paths = [shoot(dataset, size, 40 // size) for size in GUNS.values()]


def draw_shots():
    figure, axes = plt.subplots(figsize=(4.2, 3.3))
    draw_contours(axes)
    axes.set(ylabel="w")
    (mortar,) = axes.plot([], [], "o-", color="C1", markersize=7)
    (gatling,) = axes.plot([], [], "o-", color="C0", markersize=3, linewidth=0.8)
    axes.text(0.2, 1.49, "mortar, B = 20", color="C1")
    axes.text(-0.13, 0.82, [*GUNS][1], color="C0")
    counter = axes.set_title("0 samples seen")

    def show(seen):
        mortar.set_data(*long_paths[0][: seen // 20 + 1].T)
        gatling.set_data(*long_paths[1][: seen + 1].T)
        counter.set_text(f"{seen} samples seen")

    figure.canvas.draw()
    figure.set_layout_engine("none")  # keep this layout, rather than find it anew for each frame
    return FuncAnimation(figure, show, frames=[*range(41), *[40] * 6], interval=130)


evidence.save(
    "mortar_and_gatling_moving",
    draw_shots,
    caption="The same for two epochs, as it happens: the gun fires at every sample, the mortar "
    "waits until it has seen all twenty.",
    alt="The gun's path grows shot by shot toward the best place while the mortar makes two steps.",
)

# %% [markdown]
# ## One update, and one look at the data
#
# One picture is an anecdote. So: twelve sets of points, each with its own order (fresh seeds; the
# picture's points, and η, were chosen with others). How much does the loss fall
#
# * in one update? For the gun that depends on which sample comes. There are only twenty, so we take
#   the mean over all of them, and no chance is left in it. That the mortar is ahead of this mean is
# a   theorem: the loss is convex, and the mortar goes to the mean of the gun's places (Jensen). So
# we   count as well: how many of the single samples do better than all twenty together? * in one
# epoch, that is for twenty samples seen? One update against twenty.
#
# And since a large batch might deserve a larger η, for many η.

# %%
SETS = {seed: points(seed) for seed in range(chosen.seed, chosen.seed + 12)}
RATES = chosen.lr * 2.0 ** np.arange(-3, 4, 0.5)
USUAL, EPOCHS = 6, 100  # RATES[6] is the usual η
DISTANCES = (1, 0.3, 0.1, 0.03)  # from the best place, in units of the start's distance


def course(seed, batch_size, lr, epochs):
    """Return the loss at the start, and after each update of these epochs."""
    path = shoot(SETS[seed], batch_size, epochs * 20 // batch_size, lr, seed)
    return full_loss(SETS[seed], path)


def falls_of(seed, batch_size, lr, start=START):
    """Return how much one update lowers the loss, for each batch of an epoch."""
    batches = tg.DataLoader(SETS[seed], batch_size)
    paths = [shoot(tg.TensorDataset(*batch), batch_size, 1, lr, 0, start) for batch in batches]
    return -np.diff(full_loss(SETS[seed], np.array(paths)))[:, 0]


falls, ends, courses = {}, {}, {}  # a row for each set of points
for name, size in GUNS.items():
    sets = tqdm(SETS, desc=name)
    falls[name] = np.array([[falls_of(seed, size, lr).mean() for lr in RATES] for seed in sets])
    ends[name] = np.array([[course(seed, size, lr, 1)[-1] for lr in RATES] for seed in SETS])
    courses[name] = np.array([course(seed, size, RATES[USUAL], EPOCHS) for seed in SETS])

shares = {}  # of the gun's shots that do better than the mortar's
for distance in DISTANCES:
    place = BEST + distance * (START - BEST)
    both = [[falls_of(seed, size, chosen.lr, place) for seed in SETS] for size in GUNS.values()]
    shares[distance] = [np.mean(single > whole) for whole, single in zip(*both)]
coin = {distance: rules.paired_interval([0.5] * 12, found) for distance, found in shares.items()}
for distance, found in shares.items():
    print(f"at {distance} of the distance {np.mean(found):.0%} of the shots beat the mortar's")

mortar, gatling = GUNS
by_update = rules.paired_interval(falls[mortar][:, USUAL], falls[gatling][:, USUAL])
at_best = rules.paired_interval(falls[mortar].max(axis=1), falls[gatling].max(axis=1))
early = rules.paired_interval(courses[mortar][:, 1], courses[gatling][:, 20 // chosen.batch])
early_best = rules.paired_interval(ends[mortar].min(axis=1), ends[gatling].min(axis=1))
late = rules.paired_interval(courses[mortar][:, -1], courses[gatling][:, -1])

# %% [markdown]
# With the same small η the mortar's hit is hardly better than the mean shot of the gun: the
# gradients of the samples have the full one as their mean, and what they scatter counts only by
# η². A large η is where it pays, as the gun can no longer bear it.


# %% plot
def draw_duel():
    figure, panels = plt.subplots(1, 3, figsize=(7, 2.8))
    lowest = [full_loss(dataset, np.array([[0.0, 1.0]])) for dataset in SETS.values()]
    for name, color in zip(GUNS, ("C1", "C0")):
        for axes, values in zip(panels, (falls[name], ends[name])):
            low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
            axes.plot(RATES, middle, "o-", color=color)
            axes.fill_between(RATES, low, high, color=color, alpha=0.15, linewidth=0)
        above = courses[name] - lowest
        seen = np.linspace(0, EPOCHS, above.shape[1])
        panels[2].plot(seen, np.median(above, axis=0), color=color, linewidth=1)
    panels[0].set(xscale="log", xlabel="η", title="fall in one update", ylim=(-0.2, 0.95))
    panels[1].set(xscale="log", xlabel="η", title="loss after one epoch", ylim=(0, 0.95))
    panels[2].set(yscale="log", xlabel="epoch", title="loss − lowest", xscale="symlog")
    panels[2].set(xlim=(0, EPOCHS), xticks=[0, 1, 10, 100], xticklabels=["0", "1", "10", "100"])
    panels[0].text(RATES[0], 0.75, "mortar", color="C1")
    panels[0].text(RATES[0], 0.65, "Gatling gun", color="C0")
    return figure


evidence.save(
    "mortar_and_gatling_duel",
    draw_duel,
    caption="Left, the fall of the loss in one update: nearly the same, up to an η that single "
    "samples cannot bear. Middle, the loss after one epoch: the gun is ahead. Right, over 100 "
    "epochs: the mortar catches up and passes, as the gun keeps rattling.",
    alt="Three panels with a curve each for mortar and gun: together and then apart; the gun "
    "lower; the gun lower at first and then level, while the mortar falls on.",
)

# %% bet
evidence.bet(
    "From the slide's start: of the twenty single samples, how many make a better update than all "
    "twenty together?",
    answer=round(20 / chosen.batch * float(np.mean(shares[1]))),
    slider=(0, 20, 1),
    told="So one sample is a little worse than all twenty, on average and more often than not, and "
    "it costs a twentieth.",
)

# %% play [markdown]
# [Fire both](playground.md#surface=line&batch=1&lr=0.05&momentum=0). The batch is one sample: every
# arrow goes to that sample's own best line, and their mean is the mortar's.

# %% why [markdown]
# The gradients of the samples scatter around their mean, which is the full batch's gradient. Far
# from the best place the mean is long and the scatter hardly matters, so a single sample is nearly
# as good and twenty of them go twenty times as far. Near the best place the mean vanishes and the
# scatter is all that is left: the gun goes on rattling, and only the mortar arrives.

# %% [markdown]
# ## Verdict

# %% verdict
counts = [courses[name].shape[1] // EPOCHS for name in GUNS]
rises = (np.diff(courses[gatling]) > 0).mean(axis=1)
steady = (np.diff(courses[mortar]) <= 0).all()
as_drawn = counts == [1, 20 // chosen.batch] and steady and rises.min() > 0
evidence.report(
    "5",
    "20 samples: a full batch is 1 steady update an epoch, B = 1 is 20 noisy ones.",
    slide="1 straight step, 20 that zig-zag",
    ours=f"{counts[0]} and {counts[1]} updates an epoch; over {EPOCHS} epochs {rises.min():.0%} to "
    f"{rises.max():.0%} of the gun's raise the loss; of the mortar's {'none' if steady else 'some'}"
    "",
    rule="reproduced if the counts are right, no update of the mortar raises the loss, and some of "
    "the gun's do in every set; contradicted otherwise",
    verdict="reproduced" if as_drawn else "contradicted",
    headline=f"{counts[0]} and {counts[1]} updates; of the {counts[1]}, {rises.mean():.0%} go "
    "uphill",
    quote="那么大批次就是看完20笔资料后再更新参数,而小批次则是看1笔资料就更新一次参数,总共更新20次",
    caveat="the loss is of all the points; at η above 2/λmax the mortar overshoots, too",
)
evidence.report(
    "5b",
    "The single update of the large batch is the better one.",
    slide="no numbers",
    ours=f"½ less the share of single shots that lower the loss by more than the mortar's update: "
    f"{coin[1]}; at 0.03 of the distance {coin[0.03]}. The mean fall in one update, mortar − gun: "
    f"{by_update} of {falls[mortar][:, USUAL].mean():.2g}; {at_best} at the best η of each",
    rule="one half less the share of shots that beat the mortar: reproduced if its 95 % interval "
    "lies above 0 at all four distances from the best place, under conditions if at some; if at "
    "none, contradicted where it lies below 0, else not seen. Contradicted, too, if the mortar's "
    "own update raises the loss somewhere",
    verdict=rules.judge_conditions(
        {f"{d:g} of the start's distance": rules.judge(found) for d, found in coin.items()}
    )
    if falls[mortar][:, USUAL].min() > 0
    else "contradicted",
    headline=f"by little: {np.mean(shares[1]):.0%} of single shots beat it",
    quote="大批次的单次运算时间长但效果好",
    caveat="far from the best place a single sample is hardly worse; the closer, and the larger η, "
    f"the fewer beat the mortar: {np.mean(shares[0.03]):.0%} at 0.03 of the distance",
)
evidence.report(
    "5c",
    "Small batches need many updates to do well; they have them, for the same samples seen.",
    slide="20 steps end nearer to the best place than 1",
    ours=f"loss after one epoch, mortar − gun: {early}, {early_best} at the best η of each; after "
    f"{EPOCHS} epochs {late}",
    rule="under conditions if the gun is ahead (the interval lies above 0) after one epoch and not "
    f"after {EPOCHS}; reproduced if after both; if after neither, contradicted where the mortar is "
    "ahead, else not seen",
    verdict=rules.judge_conditions(
        {
            "after one epoch": rules.judge(early),
            f"after {EPOCHS} epochs": rules.judge(late),
        }
    ),
    headline="ahead after one epoch, not after 100"
    if early.low > 0 >= late.low
    else f"lead after one epoch {early.mean:+.2g}, later {late.mean:+.2g}",
    quote="小批次的单次运算时间短但效果差,需要运算多次效果才好",
    caveat="ahead far from the best place; near it the gun keeps rattling, and its lead is gone",
)
