# %% [markdown]
# # Batch size is a hyperparameter
#
# The notes end with: the batch size (批次大小) is a hyperparameter (超参数), which you set
# yourself. What is there to weigh?
#
# Give every batch size its own best learning rate, and count how many updates it needs to get the
# training loss down to a target, and how many samples it looks at on the way:
#
# $$\text{samples} = B \cdot \text{updates}.$$
#
# Shallue et al. (2019) drew this picture for many networks. As long as twice the batch means half
# the updates ("perfect scaling"), a larger batch costs no more samples, and parallel machines
# save time. Beyond that comes a floor: more samples in a batch no longer save updates. Momentum
# (动量) is said to move the floor down, so that it helps *large* batches.

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
# The network is 64-64-10 on 1437 digits, the target a training loss of 0.2, and each run is looked
# at after every other update. Since each step keeps on acting, Momentum with λ moves 1/(1 − λ)
# times as far in all; so both methods choose among the same effective rates, η/(1 − λ): the one
# whose slowest tuning seed arrives first. Twelve fresh seeds are counted.

# %%
BATCH_SIZES, TARGET, LIMIT = (4, 16, 64, 256, 1437), 0.2, 1500
SMALL, LARGE = BATCH_SIZES[0], BATCH_SIZES[-1]
chosen = evidence.settings(
    seed=(200, 300),
    width=(64, 16),
    split=(0, 1),
    lr=(0.1, 0.15),
    start=(1.0, 3.0),
    momentum=(0.9, 0.8),
)
HEAVY = f"Momentum, λ = {chosen.momentum:g}"
METHODS = {"SGD": 0.0, HEAVY: chosen.momentum}
EFFECTIVE_RATES = [chosen.lr * 2**k for k in range(8)]
SEEDS = range(chosen.seed, chosen.seed + 12)
train_set, _, _ = rules.digits(1437, chosen.split)
progress = tqdm(desc="networks", unit="")


def updates_to_target(batch_size, momentum, lr, seed):
    """Count the updates to the target loss; None if it is not there by the limit, or diverges."""
    model = rules.perceptron(64, chosen.width, 10, seed=seed, scale=chosen.start)
    loader = tg.DataLoader(train_set, batch_size, shuffle=True, seed=seed)
    optimizer = tg.Momentum(model.parameters(), lr, momentum)  # with λ = 0 it is SGD
    steps = tg.updates(lambda x, labels: tg.cross_entropy(model(x), labels), loader, optimizer)
    progress.update()
    with np.errstate(all="ignore"):
        for update, _ in enumerate(islice(steps, LIMIT), start=1):
            if update % 2 == 0:
                loss = tg.evaluate(model, train_set).loss
                if loss <= TARGET:
                    return update
                if not loss < rules.BROKEN:
                    break
    return None


# %% [markdown]
# Choose the rates:

# %%
tuned = {}
for method, momentum in METHODS.items():
    for B in BATCH_SIZES:

        def early(rate, seed, B=B, momentum=momentum):
            count = updates_to_target(B, momentum, rate * (1 - momentum), seed)
            return None if count is None else -count

        tuned[method, B] = rules.tune(EFFECTIVE_RATES, early).value * (1 - momentum)

# %% [markdown]
# And count, on the fresh seeds:

# %%
counts = {
    method: np.array(
        [[updates_to_target(B, momentum, tuned[method, B], s) for s in SEEDS] for B in BATCH_SIZES],
        float,  # a run that did not arrive is NaN
    )
    for method, momentum in METHODS.items()
}
progress.close()
for method, table in counts.items():
    print(method)
    for B, row in zip(BATCH_SIZES, table):
        print(
            f"  B = {B:4}: η = {tuned[method, B]:5.3g}, {np.nanmean(row):5.0f} updates, "
            f"{B * np.nanmean(row):6.0f} samples"
        )


# %% plot
def draw_counts():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
    sizes = np.array(BATCH_SIZES)
    for (method, table), color in zip(counts.items(), ("C0", "C1")):
        for axes, values in ((left, table), (right, table * sizes[:, None])):
            axes.loglog(sizes, values, "o", color=color, alpha=0.15)
            means = np.exp(np.nanmean(np.log(values), axis=1))
            axes.loglog(sizes, means, "o-", color=color, label=method)
    start = np.exp(np.nanmean(np.log(counts["SGD"][0])))
    left.loglog(sizes, start * SMALL / sizes, "--", color="gray")
    right.loglog(sizes, start * SMALL + 0 * sizes, "--", color="gray")
    left.text(8, 12, "perfect\nscaling", color="gray")
    left.set(xlabel="B", ylabel=f"updates to a training loss of {TARGET}", ylim=(4, None))
    right.set(xlabel="B", ylabel="samples seen")
    right.legend(loc="upper left", fontsize="small")
    return figure


evidence.save(
    "batch_size_tuning",
    draw_counts,
    caption="Updates (left) and samples (right) to the same training loss, each batch size with "
    "its own best learning rate. Dashed: twice the batch, half the updates. Momentum moves the "
    "floor down.",
    alt="Left: both curves fall along the dashed line and level off, Momentum's later and lower. "
    "Right: the samples stay level and then rise.",
    lead=True,
)

# %% bet
saved = np.exp(np.nanmean(np.log(counts["SGD"][0] / counts["SGD"][-1])))
evidence.bet(
    f"B = {LARGE} instead of {SMALL}, each with its best learning rate: a batch {LARGE // SMALL} "
    "times as large. By which factor do the updates to the target fall?",
    answer=round(float(saved), 1),
    slider=(1, 400, 0.1),
    told="With Momentum by "
    f"{np.exp(np.nanmean(np.log(counts[HEAVY][0] / counts[HEAVY][-1]))):.0f}. Perfect scaling "
    "would be the factor of the batch sizes.",
)

# %% why [markdown]
# A small batch's gradient is noisy, so twice the samples make it better and allow a larger step:
# half the updates do. Once the gradient is accurate, more samples do not make it much better, and
# the step is limited by the curvature instead. Momentum raises that limit, so it is the large batch
# that gains.

# %% [markdown]
# ## Verdict


# %% verdict
words = {}
for method, table in counts.items():
    few, many = np.log(table[0]), np.log(table[-1])
    saved = rules.paired_interval(rules.whole(few), rules.whole(many))
    spent = rules.paired_interval(
        rules.whole(many + np.log(LARGE)), rules.whole(few + np.log(SMALL))
    )
    words[f"a trade, {method}"] = rules.judge_all(map(rules.judge, (saved, spent)))
    print(f"{method}: log updates, B = {SMALL} / B = {LARGE}: {saved}")
    print(f"{method}: log samples, B = {LARGE} / B = {SMALL}: {spent}")
sgd = np.log(counts["SGD"])
logs = np.nanmean(sgd[-1] - sgd[0]) + np.log(LARGE / SMALL), np.nanmean(sgd[0] - sgd[-1])
speedups = np.log(counts["SGD"]) - np.log(counts[HEAVY])
helps_large = rules.paired_interval(rules.whole(speedups[-1]), rules.whole(speedups[0]))
words["momentum gains more with the large batch"] = rules.judge(helps_large)
print(f"log of Momentum's gain, B = {LARGE} / B = {SMALL}: {helps_large}")
evidence.report(
    "18",
    "Batch size is a hyperparameter that you set.",
    slide="no numbers; Shallue et al. (2019) show perfect scaling and then a floor, lower with "
    "momentum",
    ours="updates to the target for B = 4, 16, 64, 256, 1437: "
    + "; ".join(
        f"{method} " + ", ".join(f"{mean:.0f}" for mean in np.nanmean(table, axis=1))
        for method, table in counts.items()
    ),
    rule=f"a trade: the small batch (B = {SMALL}) needs more updates and the large one (B = "
    f"{LARGE}) more samples, so that no size is best for both (95 % intervals of the log ratios "
    "above 0). Reproduced with a trade for both methods and a larger gain by Momentum with the "
    "large batch; under conditions if something else than SGD's trade fails; otherwise the word of "
    "SGD's trade",
    verdict=rules.judge_conditions(words, leading=["a trade, SGD"]),
    headline=f"B = {SMALL}: {np.exp(-logs[0]):.2g} × the samples, {np.exp(logs[1]):.2g} × the "
    "updates",
    quote="批次大小是一个超参数,需要自行设定",
    caveat="which size is fastest by the clock depends on the machine; rates are tuned to a "
    "factor of two",
)
