# %% [markdown]
# # Does shuffling matter?
#
# After every epoch (回合) the notes shuffle the data (打乱) and split it anew, so that the batches
# differ and chance is avoided. Is one shuffle not enough?
#
# It sounds right: a file is often sorted, and ten batches of nothing but zeros teach a network to
# say "zero". But this is two claims in one. To *break* the file's order, one shuffle is enough. Is
# it worth anything to shuffle again in *every* epoch? Here are four orders, on the same images,
# from the same weights:
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
# The file: 1024 digits, in the order of their labels. A loader's order is one method, which returns
# the order of the samples in an epoch. The loader's own is the third in the table. The others
# differ in that one method:

# %%
chosen = evidence.settings(
    seed=(200, 300), width=(64, 16), split=(0, 1), lr=(0.1, 0.2), start=(1.0, 3.0), batch=(32, 8)
)
mixed, validation_set, test_set = rules.digits(1024, chosen.split)
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


# %% plot
def draw_deal():
    images = train_set.arrays[0].reshape(-1, 8, 8)
    shuffled = tg.DataLoader(train_set, shuffle=True, seed=0)
    rows = {
        "sorted": Sorted(train_set).order(0),
        "epoch 1": shuffled.order(0),
        "epoch 2": shuffled.order(1),
    }
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


evidence.save(
    "shuffling_deal",
    draw_deal,
    caption="The first sixteen digits of the sorted file, and of two epochs of a loader that "
    "shuffles.",
    alt="Three rows of small digits: all zeros, and two rows in which all digits are mixed.",
)

# %% [markdown]
# ## A problem whose answer is known
#
# On a sum of n quadratic functions, theory says how fast the error falls with the number of epochs
# K: like 1/(nK) with replacement, like 1/(nK²) if the order is drawn once, and like 1/(nK)² +
# 1/(nK³) if it is drawn anew every epoch (Haochen and Sra 2019, arXiv:1806.10077; Safran and Shamir
# 2020, arXiv:1908.00045; up to logarithms). So a difference *is* there, and it grows with K. This
# is the control: does our measurement see it?

# %%
N, LENGTHS = 64, (8, 16, 32, 64, 128)  # functions, and epochs K


def error_after(kind, epochs, seed, orders=24):
    """Minimize Σ ½xᵀAᵢx − bᵢx, whose minimum is 0, in many orders at once; return E‖x‖²."""
    generator = np.random.default_rng((seed, epochs))
    bases = np.linalg.qr(generator.normal(size=(N, 3, 3)))[0]
    A = bases * generator.uniform(1, 4, (N, 1, 3)) @ bases.transpose(0, 2, 1)
    b = generator.normal(size=(N, 3))
    b -= b.mean(axis=0)
    lr = 3 * np.log(N * epochs) / (np.linalg.eigvalsh(A.mean(axis=0))[0] * N * epochs)
    x = np.ones((orders, 3))
    order = np.array([generator.permutation(N) for _ in range(orders)])
    for _epoch in range(epochs):
        if kind == "every epoch":
            order = generator.permuted(order, axis=1)
        elif kind == "with replacement":
            order = generator.integers(N, size=(orders, N))
        for i in order.T:  # each order's next function
            x = x - lr * (np.einsum("kij,kj->ki", A[i], x) - b[i])
    return (x**2).sum(axis=1).mean()


slopes = {}
for kind, logs in {"with replacement": 1, "once": 2, "every epoch": 2}.items():
    errors = np.array([[error_after(kind, K, seed) for K in LENGTHS] for seed in range(12)])
    errors /= np.log(N * np.array(LENGTHS)) ** logs  # those of the theory, and of this η
    slopes[kind] = np.polyfit(np.log(LENGTHS), np.log(errors).mean(axis=0), 1)[0]
    print(f"{kind:17} error ∝ K^{slopes[kind]:.2f}")
control = (
    abs(slopes["with replacement"] + 1) < 0.15
    and abs(slopes["once"] + 2) < 0.15
    and slopes["every epoch"] < slopes["once"] - 0.5
)

# %% [markdown]
# ## On the digits
#
# The learning rate is the one with which "every epoch" does best on the 360 digits that choose (by
# its worst tuning seed); and, beside it, the lowest of the grid. Then twelve fresh first weights,
# each with several orders of its own, so that the chance of the order can be told from that of the
# weights.

# %%
EPOCHS, SHUFFLES = 20, {"sorted": 1, "once": 6, "every epoch": 6, "with replacement": 2}
SEEDS = range(chosen.seed, chosen.seed + 12)
RATES = [chosen.lr * 2**k for k in range(5)]


def train(kind, seed, lr, order):
    """Train a network on batches in this order; return it."""
    model = rules.perceptron(64, chosen.width, 10, seed=seed, scale=chosen.start)
    loader = kind(train_set, chosen.batch, shuffle=True, seed=1000 * order + seed)
    optimizer = tg.SGD(model.parameters(), lr)
    steps = tg.updates(lambda x, y: tg.cross_entropy(model(x), y), loader, optimizer)
    with np.errstate(all="ignore"):
        list(islice(steps, EPOCHS * len(loader)))
    return model


def validation(lr, seed):
    """Return the score that chooses: a run that diverges has none."""
    loss = tg.evaluate(train(tg.DataLoader, seed, lr, order=0), validation_set).loss
    return -loss if loss < rules.BROKEN else None


best = rules.tune(RATES, validation).value
losses, accuracies = {}, {}  # a row for each first weights, a column for each order
for lr in {best, chosen.lr}:
    for name, kind in ORDERS.items():
        orders = range(SHUFFLES[name] if lr == best else min(SHUFFLES[name], 2))
        models = [[train(kind, seed, lr, order) for order in orders] for seed in tqdm(SEEDS)]
        scores = np.array([[tg.evaluate(m, train_set).loss for m in row] for row in models])
        losses[name, lr] = np.where(scores < rules.BROKEN, scores, np.nan)
        tests = [[tg.evaluate(m, test_set).accuracy for m in row] for row in models]
        accuracies[name, lr] = np.array(tests)

print(f"η = {best:g} is the best of {RATES}")
print("η     order             training loss   test accuracy")
for (name, lr), values in losses.items():
    print(f"{lr:<5g} {name:17} {values.mean():12.4f} {accuracies[name, lr].mean():15.1%}")


# %% [markdown]
# What does an order cost, as a factor of the loss? Each first weights count once, by the mean over
# their orders. And is the loss steadier when we shuffle every epoch, as "chance is avoided"
# suggests? For that we compare the spread over the orders, weights by weights.


# %%
def cost(name, lr):
    """Compare log losses with those of "every epoch"."""
    both = [np.log(losses[it, lr]).mean(axis=1) for it in (name, "every epoch")]
    return rules.paired_interval(*map(rules.whole, both))


costs = {key: cost(*key) for key in losses if key[0] != "every epoch"}
spreads = {name: np.log(losses[name, best]).std(axis=1, ddof=1) for name in ("once", "every epoch")}
unsteadier = rules.paired_interval(*(rules.whole(np.log(spread)) for spread in spreads.values()))
tests = rules.paired_interval(
    *(100 * accuracies[name, best].mean(axis=1) for name in ("every epoch", "once"))
)
for (name, lr), interval in costs.items():
    print(f"η = {lr:g}: log loss, {name} − every epoch: {interval}")
print(f"log spread over orders, once − every epoch: {unsteadier}")
print(f"test accuracy, every epoch − once, points: {tests}")


# %% plot
def draw_costs():
    figure, axes = plt.subplots(figsize=(7, 2.8))
    shown = [key for key in costs if key[0] != "sorted"]
    for place, key in enumerate(shown):
        interval, color = costs[key], "C1" if key[0] == "once" else "C2"
        axes.plot([interval.low, interval.high], [place] * 2, color=color, linewidth=2)
        axes.plot(interval.mean, place, "o", color=color, markersize=7)
    axes.axvline(0, color="gray", linestyle=":")
    axes.set_yticks(range(len(shown)), [f"{name}, η = {lr:g}" for name, lr in shown])
    axes.set(xlabel="log loss − “every epoch”’s", ylim=(-0.6, len(shown) - 0.4))
    axes.invert_yaxis()
    return figure


evidence.save(
    "shuffling",
    draw_costs,
    caption="What another order costs, as the logarithm of the training loss over that of "
    "shuffling every epoch, with 95 % intervals. With a small η and a short training it hardly "
    "matters whether the order is drawn once or anew.",
    alt="Intervals of two orders at two learning rates: far from zero at the large η, near zero at "
    "the small one.",
    lead=True,
)

# %% bet
evidence.bet(
    f"With the best learning rate: how much higher is the training loss after {EPOCHS} epochs if "
    "the data is shuffled only once?",
    answer=round(100 * float(np.expm1(costs["once", best].mean))),
    slider=(-20, 100, 1),
    unit=" %",
    told=f"With η = {chosen.lr:g} it is {100 * np.expm1(costs['once', chosen.lr].mean):.1f} %.",
)

# %% why [markdown]
# With fixed batches the same small errors are made in the same order in every epoch, and they add
# up; shuffled anew, they cancel over the epochs. How much that is depends on how far the weights
# move in an epoch: with a small learning rate all orders go the same way. To break the file's own
# order is another matter: there a batch is not a sample of the data at all.

# %% [markdown]
# ## Verdict

# %% verdict
rule = "95 % interval of log losses over 12 first weights, each the mean of its orders"
evidence.report(
    "4",
    "Shuffle the data, so that chance is avoided: better than the file's own, sorted order.",
    slide="no numbers",
    ours=f"training loss after {EPOCHS} epochs with η = {chosen.lr:g}: sorted "
    f"{np.nanmean(losses['sorted', chosen.lr]):.2f}, shuffled "
    f"{np.nanmean(losses['every epoch', chosen.lr]):.3f}; difference of the logs "
    f"{costs['sorted', chosen.lr]}",
    rule=f"reproduced if the {rule}, sorted − every epoch, lies above 0; contradicted if below; "
    "not seen if it includes 0",
    verdict=rules.judge(costs["sorted", chosen.lr]),
    headline=f"sorted, the loss is {np.exp(costs['sorted', chosen.lr].mean):.0f} times as high",
    quote="每看完一个epoch就把这笔大型资料打乱(shuffle),然后重新分批次.这样能保证每个epoch中的 "
    "batch 资料不同,避免偶然性",
    caveat="a file in the order of its labels is the worst case; most files are mixed already",
)
small = rules.judge_null(rules.judge(costs["once", chosen.lr]), "reproduced" if control else "")
evidence.report(
    "4b",
    "Shuffle again in every epoch, rather than once for all.",
    slide="no numbers",
    ours=f"log training loss, once − every epoch: η = {best:g} {costs['once', best]}; η = "
    f"{chosen.lr:g} {costs['once', chosen.lr]}. Test accuracy, every epoch − once, at η = "
    f"{best:g}: {tests} points. Control: errors fall like K^{slopes['with replacement']:.2f}, "
    f"K^{slopes['once']:.2f} and K^{slopes['every epoch']:.2f}",
    rule=f"reproduced if the {rule}, once − every epoch, lies above 0 at the best η and at the "
    "lowest of the grid; under conditions if at one of them; contradicted if below; else not seen, "
    "which needs the control: the rates of the quadratic problem within 0.15 of the theory",
    verdict=rules.judge_conditions(
        {"the best η": rules.judge(costs["once", best]), "the lowest η": small}
    )
    if best != chosen.lr
    else small,
    headline=f"once for all costs {np.expm1(costs['once', best].mean):.0%} at η = {best:g}",
    quote="每看完一个epoch就把这笔大型资料打乱(shuffle),然后重新分批次.这样能保证每个epoch中的 "
    "batch 资料不同,避免偶然性",
    caveat="the training loss gains; on test data, a fraction of a point. It is free, so do it",
)
evidence.report(
    "4c",
    "Shuffling every epoch avoids chance: runs with other orders end closer together.",
    slide="no numbers",
    ours=f"spread of the log loss over six orders, log of once / every epoch, at η = {best:g}: "
    f"{unsteadier}",
    rule="reproduced if the 95 % interval over 12 first weights lies above 0; contradicted if "
    "below; not seen if it includes 0",
    verdict=rules.judge_null(rules.judge(unsteadier), "reproduced" if control else ""),
    headline=f"the spread over orders is {np.exp(-unsteadier.mean):.0%} of that with one",
    quote="每看完一个epoch就把这笔大型资料打乱(shuffle),然后重新分批次.这样能保证每个epoch中的 "
    "batch 资料不同,避免偶然性",
    caveat="it shows where the order matters at all: in long training, and with a large η",
)
