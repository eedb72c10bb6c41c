# %% [markdown]
# # Decay the learning rate, or raise the batch size?
#
# Late in training the learning rate (学习率) η is usually lowered, because a small η lets the noise
# of the batches (批次) average out. A larger batch has less noise, too. So Smith et al. (2018,
# arXiv:1711.00489) keep η and raise B instead: by the same factor, at the same epochs (回合). They
# report the same curves, with far fewer updates (更新).
#
# Why should that be? An update is η times the batch's gradient. In an epoch there are N/B of
# them, so the way along the full gradient is (N/B)·η long, and the noise's variance adds up to
# (N/B)·η²·tr Σ/B. Both sums depend on η and B only through η/B:
#
# $$\text{way per epoch} = N\,\frac{\eta}{B}\,\lVert g\rVert, \qquad
# \text{noise per epoch} = N\,\Bigl(\frac{\eta}{B}\Bigr)^2 \operatorname{tr}\Sigma.$$
#
# That holds as long as the gradient hardly changes while the steps are taken.

# %%
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

chosen = evidence.settings(
    seed=(200, 300), width=(8, 16), split=(0, 1), lr=(0.4, 0.2), batch=(8, 16)
)
SEEDS = range(chosen.seed, chosen.seed + 12)

# %% [markdown]
# The experiment needs data on which a lower η helps: then it matters whether a larger batch does
# the same. On clean digits, within 30 epochs, it does not: decay only slows a network down. So 30
# % of the 1024 labels are drawn anew, at random, and a network that keeps moving keeps fitting
# them.
#
# There are 30 epochs, in three parts of ten. Between two parts η falls to a quarter, or B rises
# to four times as much, or nothing happens. And a control that must fail: B four times as large,
# *and* η, which keeps η/B.

# %%
EPOCHS, FACTOR, NOISY = 30, 4, 0.3
clean, _, test_set = rules.digits(1024, chosen.split)
images, labels = (part.numpy() for part in clean[:])
drawn = np.random.default_rng(chosen.split)
redrawn = drawn.random(len(labels)) < NOISY
labels = np.where(redrawn, drawn.integers(10, size=len(labels)), labels)
train_set = tg.TensorDataset(images, labels)

ARMS = {  # the factors of η and of B, from one part to the next
    "decay η": (1 / FACTOR, 1),
    "raise B": (1, FACTOR),
    "neither": (1, 1),
    "raise both": (FACTOR, FACTOR),
}


def train(arm, seed):
    """Return the training loss after each epoch, the test accuracy, and the number of updates."""
    model = rules.perceptron(64, chosen.width, 10, seed=seed)
    loader = tg.DataLoader(train_set, chosen.batch, shuffle=True, seed=seed)
    optimizer = tg.SGD(model.parameters(), chosen.lr)
    losses, updates = [], 0
    for epoch in range(EPOCHS):
        part = 3 * epoch // EPOCHS
        optimizer.lr, loader.batch_size = chosen.lr, chosen.batch
        optimizer.lr *= ARMS[arm][0] ** part
        loader.batch_size *= ARMS[arm][1] ** part
        for x, y in loader:  # the same order in all arms: it depends on the seed and the epoch
            optimizer.zero_grad()
            tg.cross_entropy(model(x), y).backward()
            optimizer.step()
            updates += 1
        losses.append(tg.evaluate(model, train_set).loss)
    return losses, 100 * tg.evaluate(model, test_set).accuracy, updates


losses, points, updates = {}, {}, {}
with np.errstate(all="ignore"):  # the control may diverge
    for arm in ARMS:
        runs = [train(arm, seed) for seed in tqdm(SEEDS, desc=arm)]
        losses[arm], points[arm], counts = map(np.array, zip(*runs))
        updates[arm] = counts[0]

# %% [markdown]
# The rule, fixed before these seeds were run: raising B is the same as decaying η if the whole 95
# % interval of log(loss with one/loss with the other) at the end lies within a quarter of what
# the decay itself changes, and the test accuracies are equal within a point. It counts only if
# the decay helps, and if the control fails by the same rule.


# %%
def apart(first, second):
    """Compare the last training losses of two arms, as logarithms."""
    return rules.paired_interval(
        *(rules.whole(np.log(losses[arm][:, -1])) for arm in (first, second))
    )


helps = apart("neither", "decay η")
margin = abs(helps.mean) / 4
same, control = apart("raise B", "decay η"), apart("raise both", "decay η")
same_points = rules.paired_interval(points["raise B"], points["decay η"])
gained = rules.paired_interval(points["decay η"], points["neither"])
for name, interval in {
    "log loss, neither − decay": helps,
    "log loss, raise B − decay": same,
    "log loss, raise both − decay": control,
    "test accuracy, raise B − decay": same_points,
    "test accuracy, decay − neither": gained,
}.items():
    print(f"{name:31} {interval}")
print(f"margin {margin:.4f}; updates:", updates)


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    steps = {
        arm: np.cumsum(
            [
                -(-len(train_set) // (chosen.batch * b ** (3 * epoch // EPOCHS)))
                for epoch in range(EPOCHS)
            ]
        )
        for arm, (_, b) in ARMS.items()
    }
    for arm, color, look in (
        ("neither", "gray", "-"),
        ("decay η", "C0", "-"),
        ("raise B", "C1", "--"),
    ):
        middle = np.median(losses[arm], axis=0)
        left.plot(range(1, EPOCHS + 1), middle, look, color=color, label=arm)
        right.plot(steps[arm], middle, look, color=color)
    for epoch in (10, 20):
        left.axvline(epoch, color="gray", linewidth=0.5)
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="update")
    left.legend(fontsize=9)
    return figure


evidence.save(
    "decay_or_raise",
    draw,
    caption="The training loss, median of 12 seeds, over epochs and over updates. At each gray "
    "line η falls to a quarter, or B rises to four times as much: over epochs the two are one "
    "curve, over updates the larger batches are done much sooner.",
    alt="Left: two curves that lie on each other fall in steps at epochs 10 and 20, a gray one "
    "stays above them. Right: the same curves over updates, where the one of the larger batches "
    "ends before half of the width.",
    lead=True,
)

# %% bet
fewer = 100 * (1 - updates["raise B"] / updates["decay η"])
evidence.bet(
    "At epochs 10 and 20 the batch becomes four times as large, instead of η four times smaller. "
    "How many percent of the updates does that save over 30 epochs?",
    answer=round(fewer),
    slider=(0, 100, 1),
    unit=" %",
    told=f"{updates['raise B']} updates instead of {updates['decay η']}.",
)

# %% why [markdown]
# An epoch of small steps moves as far along the full gradient as one of few large batches with
# the same η/B, and collects the same noise. What differs is how often the direction is looked up:
# every 8 samples or every 128. That shows only where the gradient changes within so many samples,
# and late in training, where it is small, it hardly does. Raise η along with B, and η/B stays:
# nothing decays.

# %% [markdown]
# ## Verdict

# %% verdict
words = [rules.judge_equal(same, margin), rules.judge_equal(same_points, 1.0)]
fair = rules.judge(helps) == "reproduced" and rules.judge_equal(control, margin) != "reproduced"
evidence.report(
    "D6",
    "Raising the batch size lowers the loss as decaying the learning rate does.",
    slide="not in the lecture; Smith et al. 2018: the same curves, with fewer updates",
    headline=f"one curve over epochs, with {updates['raise B']} updates for {updates['decay η']}",
    ours=f"log of the last training loss, raised B less decayed η: {same:.3f}, where the decay "
    f"itself changes {helps:.3f}; test accuracy {same_points:.2f} points. {updates['raise B']} "
    f"updates instead of {updates['decay η']}",
    rule="reproduced if the whole 95 % interval over 12 seeds of the log losses' difference lies "
    "within a quarter of what the decay changes, and that of the test accuracies within one point; "
    "contradicted if one lies wholly outside. Not measured if the decay does not help, or if "
    "raising both does as well",
    verdict=rules.judge_all(words) if fair else "not measured",
    caveat=f"30 % of the labels are random; there decay is worth {gained:.1f} points on the test. "
    f"Raising both is off by {control:.2f}. On clean digits decay does not help within 30 epochs. "
    "Equal within a margin is not the same: a small difference may be left",
)
