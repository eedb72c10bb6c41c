# %% [markdown]
# # Does shuffling matter?
#
# After every epoch (回合) the notes shuffle the data (打乱) and split it anew, so that the batches
# differ from epoch to epoch and chance is avoided. It sounds right: a file is often sorted, and
# ten batches of nothing but zeros teach a network to say "zero".
#
# But this is two claims in one. To *break* the file's order, one shuffle is enough. Is it worth
# anything to shuffle again in *every* epoch? Here are four orders, on the same images, from the
# same weights:
#
# | order | in each epoch |
# |---|---|
# | sorted | all the zeros, then all the ones, … |
# | once | shuffled at the start, the same batches ever after |
# | every epoch | shuffled anew, as the notes have it |
# | with replacement | N independent draws: some samples twice, some not at all |

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# The file: the 1437 digits, in the order of their labels. A loader's order is one method, which
# returns the order of the samples in an epoch. The loader's own is the third in the table. The
# others differ in that one method:

# %%
mixed, test_set = tg.datasets.digits()
labels = mixed.arrays[1]
train_set = tg.TensorDataset(*mixed[np.argsort(labels, kind="stable")])


class Sorted(tg.DataLoader):
    def order(self, epoch):
        return np.arange(len(self.dataset))


class Once(tg.DataLoader):
    def order(self, epoch):  # that of the first epoch, again and again
        return super().order(0)


class WithReplacement(tg.DataLoader):
    def order(self, epoch):
        size = len(self.dataset)
        return np.random.default_rng((self.seed, epoch)).integers(size, size=size)


ORDERS = {
    "sorted": Sorted,
    "once": Once,
    "every epoch": tg.DataLoader,
    "with replacement": WithReplacement,
}

# %% [markdown]
# Here is what they deal: the first images of the file in order, and those of two shuffled epochs.

# %%
images = train_set.arrays[0].reshape(-1, 8, 8)
shuffled = tg.DataLoader(train_set, shuffle=True, seed=0)
rows = {
    "sorted": Sorted(train_set).order(0),
    "epoch 1": shuffled.order(0),
    "epoch 2": shuffled.order(1),
}


def draw_deal():
    figure, grid = plt.subplots(3, 16, figsize=(7, 1.5), layout="constrained")
    ink = to_rgb(plt.rcParams["text.color"])
    for line, (name, order) in zip(grid, rows.items()):
        for axes, image in zip(line, images[order]):
            picture = np.empty((8, 8, 4))
            picture[..., :3], picture[..., 3] = ink, image  # as dark as the ink is thick
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


evidence.save("shuffling_deal", draw_deal)

# %% [markdown]
# Twenty-four seeds, each with its own weights and its own order. All four orders start from the
# same weights, and "once" and "every epoch" have the same first epoch. These seeds, 200 to 223,
# are fresh: the settings were chosen with others, and the rule of the verdict was fixed before the
# first of them ran.

# %%
SEEDS = range(200, 224)
BATCH_SIZE, EPOCHS, LEARNING_RATE = 32, 20, 0.1


def train(kind, seed):
    """Train a network on batches in this order; return its score after every epoch."""
    model = tg.nn.perceptron(64, 64, 10, seed=seed)
    loader = kind(train_set, BATCH_SIZE, shuffle=True, seed=seed)
    optimizer = tg.SGD(model.parameters(), LEARNING_RATE)
    steps = tg.updates(lambda x, y: tg.cross_entropy(model(x), y), loader, optimizer)
    scores = []
    for _epoch in range(EPOCHS):
        list(islice(steps, len(loader)))
        scores.append(tg.evaluate(model, train_set))
    return scores, tg.evaluate(model, test_set)


losses = {name: [] for name in ORDERS}  # of the training data, for each seed after each epoch
accuracies = {name: [] for name in ORDERS}  # of the test data, at the end
for seed in tqdm(SEEDS, desc="seeds"):
    for name, kind in ORDERS.items():
        scores, test_score = train(kind, seed)
        losses[name].append([score.loss for score in scores])
        accuracies[name].append(test_score.accuracy)
losses = {name: np.array(values) for name, values in losses.items()}
final = {name: values[:, -1] for name, values in losses.items()}

print("order             training loss (spread)   test accuracy")
for name in ORDERS:
    print(
        f"{name:17} {final[name].mean():8.4f} (± {final[name].std(ddof=1):.4f})"
        f"{np.mean(accuracies[name]):13.1%}"
    )

# %% [markdown]
# ## The differences, seed by seed
#
# What does an order cost, compared with shuffling every epoch? And is the loss steadier when we
# shuffle every epoch, as "chance is avoided" suggests? For that we compare how far each run lies
# from the middle of its kind.

# %%
costs = {name: rules.paired_interval(final[name], final["every epoch"]) for name in ORDERS}
away = {name: np.abs(values - np.median(values)) for name, values in final.items()}
unsteadier = rules.paired_interval(away["once"], away["every epoch"])
for name in ("sorted", "once", "with replacement"):
    print(f"{name:17} − every epoch: {costs[name]}")
print(f"once is farther from its middle by {unsteadier}")


# %%
def draw_losses():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), width_ratios=[1.1, 1])
    colors = {"sorted": "C3", "once": "C1", "every epoch": "C0", "with replacement": "C2"}
    for name, values in losses.items():
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        epochs = np.arange(1, EPOCHS + 1)
        left.plot(epochs, middle, color=colors[name])
        left.fill_between(epochs, low, high, color=colors[name], alpha=0.2, linewidth=0)
    left.text(20, 1.05, "sorted", color="C3", ha="right")
    left.text(11, 0.3, "the other three", ha="left")
    left.set(xlabel="epoch", ylabel="training loss", yscale="log", xticks=[1, 5, 10, 15, 20])
    for place, name in enumerate(("once", "with replacement")):
        cost, color = costs[name], colors[name]
        jitter = np.linspace(-0.22, 0.22, len(SEEDS))
        right.plot(final[name] - final["every epoch"], place + jitter, "o", color=color, alpha=0.4)
        error = [[cost.mean - cost.low], [cost.high - cost.mean]]
        right.errorbar(cost.mean, place, xerr=error, fmt="D", color=color, capsize=4, markersize=7)
        right.text(
            0.98, place + 0.32, name, color=color, ha="right", transform=right.get_yaxis_transform()
        )
    right.axvline(0, color="gray", linestyle=":")
    right.set(yticks=[], ylim=(-0.4, 1.6), xlabel="training loss − that of “every epoch”")
    right.spines["left"].set_visible(False)
    return figure


evidence.save("shuffling", draw_losses)

# %% [markdown]
# ## Verdict
#
# Whether the order is broken at all is plain to see in the loss. Whether it is broken once or in
# every epoch has to be looked for: it is the second verdict, with the bound on what it can be
# worth.

# %%
rule = (
    "reproduced if the 95 % interval of the differences, over paired seeds, lies above 0; "
    "contradicted if below; not seen if it includes 0"
)
evidence.report(
    "4",
    "Shuffle the data, so that chance is avoided: better than the file's own, sorted order.",
    slide="no numbers",
    ours=f"training loss after {EPOCHS} epochs: sorted {final['sorted'].mean():.2f}, shuffled "
    f"{final['every epoch'].mean():.3f}; difference {costs['sorted']}",
    rule=rule,
    verdict=rules.judge(costs["sorted"]),
    caveat="a file in the order of its labels is the worst case; most files are mixed already",
)
once = costs["once"]
evidence.report(
    "4b",
    "Shuffle again in every epoch, rather than once for all.",
    slide="no numbers",
    ours=f"training loss, once − every epoch: {once}, of a loss of "
    f"{final['every epoch'].mean():.3f}; distance of a run from the middle, once − every epoch: "
    f"{unsteadier}",
    rule=rule,
    verdict=rules.judge(once),
    caveat=f"at this size the gain, if any, is below {max(once.high, 0):.2g}; it costs nothing, so "
    "do it all the same",
)
