# %% [markdown]
# # The mortar and the Gatling gun
#
# Twenty samples. With all of them in one batch (full batch) an epoch is one update: it takes long,
# and it hits well, like a mortar (迫击炮). With a batch of one sample an epoch is twenty updates:
# each is quick and poorly aimed, and many of them are needed, like the shots of a Gatling gun
# (加特林).
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
START = (0.5, 1.5)
GUNS = {"mortar, B = 20": 20, "Gatling gun, B = 1": 1}


def points(seed):
    """Draw 20 points whose best line is y = 0 + 1·x."""
    generator = np.random.default_rng(seed)
    x, noise = generator.uniform(-0.5, 1.5, 20), generator.normal(0, 0.3, 20)
    slope, height = np.polyfit(x, noise, 1)
    return tg.TensorDataset(x, x + noise - (height + slope * x))


class Line(tg.nn.Module):
    """The line y = b + wx."""

    def __init__(self):
        self.b, self.w = (tg.Tensor(value, requires_grad=True) for value in START)

    def forward(self, x):
        return self.b + self.w * x


def shoot(dataset, batch_size, updates, lr=0.05, seed=0):
    """Train the line, and return the path of (b, w), the start and then after each update."""
    line = Line()
    loader = tg.DataLoader(dataset, batch_size, shuffle=True, seed=seed)
    optimizer = tg.SGD(line.parameters(), lr)
    steps = tg.updates(lambda x, y: tg.mse_loss(line(x), y), loader, optimizer)
    path = [(line.b.item(), line.w.item()) for _batch in islice(steps, updates)]
    return np.array([START, *path])


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


# %%
def draw_contours(axes):
    """Draw the loss as the slide has it, with the start and the best place."""
    grid = np.stack(np.meshgrid(np.linspace(-0.15, 0.7, 80), np.linspace(0.8, 1.55, 80)), axis=-1)
    above = full_loss(dataset, grid) - full_loss(dataset, np.array([0.0, 1.0]))
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


evidence.save("mortar_and_gatling", draw_paths)

# %% [markdown]
# And as it happens, for two epochs. The gun fires at every sample; the mortar waits until it has
# seen all twenty.

# %%
long_paths = [shoot(dataset, size, 40 // size) for size in GUNS.values()]


def draw_shots():
    figure, axes = plt.subplots(figsize=(4.2, 3.3))
    draw_contours(axes)
    axes.set(ylabel="w")
    (mortar,) = axes.plot([], [], "o-", color="C1", markersize=7)
    (gatling,) = axes.plot([], [], "o-", color="C0", markersize=3, linewidth=0.8)
    axes.text(0.2, 1.49, "mortar, B = 20", color="C1")
    axes.text(-0.13, 0.82, "Gatling gun, B = 1", color="C0")
    counter = axes.set_title("0 samples seen")

    def show(seen):
        mortar.set_data(*long_paths[0][: seen // 20 + 1].T)
        gatling.set_data(*long_paths[1][: seen + 1].T)
        counter.set_text(f"{seen} samples seen")

    figure.canvas.draw()
    figure.set_layout_engine("none")  # keep this layout, rather than find it anew for each frame
    return FuncAnimation(figure, show, frames=[*range(41), *[40] * 6], interval=130)


evidence.save("mortar_and_gatling_moving", draw_shots)

# %% [markdown]
# ## One update, and one look at the data
#
# One picture is an anecdote. So: twelve sets of points, each with its own order (fresh seeds, 200
# to 211; the picture's points, and η, were chosen with others). How much does the loss fall
#
# * in one update? For the gun that depends on which sample comes. There are only twenty, so we take
#   the mean over all of them, and no chance is left in it.
# * in one epoch, that is for twenty samples seen? One update against twenty.
#
# And since a large batch might deserve a larger η, for many η.

# %%
SETS = {seed: points(seed) for seed in range(200, 212)}
RATES = 0.05 * 2.0 ** np.arange(-3, 4, 0.5)
USUAL, EPOCHS = 6, 100  # RATES[6] is 0.05


def course(seed, batch_size, lr, epochs):
    """Return the loss at the start, and after each update of these epochs."""
    path = shoot(SETS[seed], batch_size, epochs * 20 // batch_size, lr, seed)
    return full_loss(SETS[seed], path)


def fall(seed, batch_size, lr):
    """Return how much one update lowers the loss, on average over the batches of an epoch."""
    batches = tg.DataLoader(SETS[seed], batch_size)
    paths = [shoot(tg.TensorDataset(*batch), batch_size, 1, lr) for batch in batches]
    return -np.diff(full_loss(SETS[seed], np.array(paths))).mean()


falls, ends, courses = {}, {}, {}  # a row for each set of points
for name, size in GUNS.items():
    sets = tqdm(SETS, desc=name)
    falls[name] = np.array([[fall(seed, size, lr) for lr in RATES] for seed in sets])
    ends[name] = np.array([[course(seed, size, lr, 1)[-1] for lr in RATES] for seed in SETS])
    courses[name] = np.array([course(seed, size, RATES[USUAL], EPOCHS) for seed in SETS])

mortar, gatling = GUNS
by_update = rules.paired_interval(falls[mortar][:, USUAL], falls[gatling][:, USUAL])
at_best = rules.paired_interval(falls[mortar].max(axis=1), falls[gatling].max(axis=1))
early = rules.paired_interval(courses[mortar][:, 1], courses[gatling][:, 20])
early_best = rules.paired_interval(ends[mortar].min(axis=1), ends[gatling].min(axis=1))
late = rules.paired_interval(courses[mortar][:, -1], courses[gatling][:, -1])

# %% [markdown]
# With the same small η the mortar's hit is hardly better than the mean shot of the gun: the
# gradients of the samples have the full one as their mean, and what they scatter counts only by
# η². A large η is where it pays, as the gun can no longer bear it.


# %%
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
    panels[2].set(yscale="log", xlabel="epoch", title="loss − lowest, η = 0.05", xscale="symlog")
    panels[2].set(xlim=(0, EPOCHS), xticks=[0, 1, 10, 100], xticklabels=["0", "1", "10", "100"])
    panels[0].text(0.0065, 0.75, "mortar", color="C1")
    panels[0].text(0.0065, 0.65, "Gatling gun", color="C0")
    return figure


evidence.save("mortar_and_gatling_duel", draw_duel)

# %% [markdown]
# ## Verdict

# %%
counts = [courses[name].shape[1] // EPOCHS for name in GUNS]
rises = (np.diff(courses[gatling]) > 0)[:, :20].sum(axis=1)
steady = (np.diff(courses[mortar]) <= 0).all()
as_drawn = counts == [1, 20] and steady and rises.min() > 0
evidence.report(
    "5",
    "20 samples: a full batch is 1 steady update an epoch, B = 1 is 20 noisy ones.",
    slide="1 straight step, 20 that zig-zag",
    ours=f"{counts[0]} and {counts[1]} updates an epoch; of the gun's first 20, {rises.min()} to "
    f"{rises.max()} raise the loss; of the mortar's {EPOCHS}, {'none' if steady else 'some'}",
    rule="reproduced if the counts are 1 and 20, no update of the mortar raises the loss, and some "
    "of the gun's do in the first epoch of every set; contradicted otherwise",
    verdict="reproduced" if as_drawn else "contradicted",
    caveat="the loss is of all the points; at η above 2/λmax the mortar overshoots, too",
)
evidence.report(
    "5b",
    "The single update of the large batch is the better one.",
    slide="no numbers",
    ours=f"fall of the loss in one update, mortar − gun: {by_update} at η = 0.05, of "
    f"{falls[mortar][:, USUAL].mean():.2f}; {at_best} at the best η of each",
    rule="reproduced if the 95 % interval at equal η lies above 0; not seen if it includes 0; "
    "contradicted if it lies below, or if the mortar's own update raises the loss somewhere",
    verdict=rules.judge(by_update) if falls[mortar][:, USUAL].min() > 0 else "contradicted",
    caveat="by little, unless η is large: the scatter of the gradients counts by η² only",
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
    caveat="ahead far from the best place; near it the gun keeps rattling, and its lead is gone",
)
