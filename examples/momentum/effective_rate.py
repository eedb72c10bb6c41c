# %% [markdown]
# # How much of momentum is just a larger rate?
#
# On a constant slope the steps of momentum (动量) grow to η/(1 − λ) times the gradient: with λ =
# 0.9 that is ten times η. Would SGD with that *effective rate* have done as well, and does the
# answer depend on the batch size (批次大小)?
#
# This page adds the question to the notes. Whoever adds λ = 0.9 and keeps η has also made the
# learning rate ten times as large. Where a step is short compared with the valley, the ten
# gradients that m mostly remembers are taken at nearly the same place, so a larger η should do the
# same. Where the steps are long, or all the data speak with one voice, momentum may do what no rate
# of SGD can.

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

chosen = evidence.settings(
    seed=(600, 800), width=(32, 64), momentum=(0.9, 0.8), split=(0, 1), start=(1.0, 2.0)
)
SEEDS, TARGET = range(chosen.seed, chosen.seed + 12), 0.2
train, *_ = rules.digits(512, chosen.split)
ARMS = {  # λ, and whether it looks ahead
    "SGD": (0.0, False),
    "momentum": (chosen.momentum, False),
    "Nesterov": (chosen.momentum, True),
}


def training(arm, effective, batch_size, seed):
    """Return the network and its updates; the seed gives the first weights and the batches."""
    momentum, nesterov = ARMS[arm]
    model = rules.perceptron(64, chosen.width, 10, seed=seed, scale=chosen.start)
    optimizer = tg.Momentum(model.parameters(), effective * (1 - momentum), momentum, nesterov)
    loader = tg.DataLoader(train, batch_size, shuffle=True, seed=seed)
    return model, tg.updates(lambda x, y: tg.cross_entropy(model(x), y), loader, optimizer)


# %% [markdown]
# ## The same effective rate, small batches
#
# Batches of 8: SGD with η = 0.05, and momentum with the same η/(1 − λ). Also momentum with η =
# 0.05, which is what the comparison at equal η would show: it is the control, for there a
# difference must be seen.

# %%
UPDATES, MARGIN = 720, 0.1
TREATMENTS = {
    "SGD": ("SGD", 0.05),
    "same η/(1−λ)": ("momentum", 0.05),
    "same η": ("momentum", 0.05 / (1 - chosen.momentum)),
}
curves, finals = {}, {}
for name, (arm, effective) in tqdm(TREATMENTS.items(), desc="batches of 8"):
    curves[name], finals[name] = [], []
    for seed in SEEDS:
        model, updates = training(arm, effective, 8, seed)
        curves[name].append([loss.item() for loss, *_ in islice(updates, UPDATES)])
        finals[name].append(np.log(tg.evaluate(model, train).loss))
equal_effective = rules.paired_interval(finals["same η/(1−λ)"], finals["SGD"])
equal_rate = rules.paired_interval(finals["SGD"], finals["same η"])
for name, logs in finals.items():
    print(f"{name:13} training loss {np.exp(np.mean(logs)):.3f}")
print(f"log ratio to SGD: same η/(1−λ) {equal_effective}; SGD's to same η {equal_rate}")

# %% [markdown]
# ## Each at its best
#
# How many updates until the training loss is below 0.2? For each batch size and each of three
# methods, the seeds 100 to 105 choose the effective rate whose worst run is fastest. Fresh seeds
# then compare best with best. A run that is not there after 400 updates is broken. Nesterov's form
# takes the gradient one step ahead.

# %%
EFFECTIVE = (0.2, 0.3, 0.5, 0.8, 1.2, 1.8, 2.7, 4, 6, 9)
BATCHES, LIMIT = (8, 16, 32, 64, 128, 512), 400


def updates_to_target(arm, effective, batch_size, seed):
    """Return how many updates it takes, looking after every second; None if it does not get "
    "there."""
    model, updates = training(arm, effective, batch_size, seed)
    with np.errstate(all="ignore"):
        for update, _ in enumerate(islice(updates, LIMIT), 1):
            if update % 2 == 0:
                loss = tg.evaluate(model, train).loss
                if loss < TARGET:
                    return update
                if not loss < rules.BROKEN:
                    break
    return None


def score(arm, batch_size):
    def fast(effective, seed):
        taken = updates_to_target(arm, effective, batch_size, seed)
        return None if taken is None else -taken

    return fast


best, taken = {}, {}
for batch_size in tqdm(BATCHES, desc="each at its best"):
    for arm in ARMS:
        best[arm, batch_size] = rules.tune(EFFECTIVE, score(arm, batch_size))
        taken[arm, batch_size] = [
            updates_to_target(arm, best[arm, batch_size].value, batch_size, seed) for seed in SEEDS
        ]


def logs(values):
    return [None if value is None else float(np.log(value)) for value in values]


gains = {
    (arm, batch_size): rules.paired_interval(
        logs(taken["SGD", batch_size]), logs(taken[arm, batch_size])
    )
    for arm, batch_size in taken
    if arm != "SGD"
}
for (arm, batch_size), gain in gains.items():
    factors = np.exp([gain.mean, gain.low, gain.high])
    edge = " (the end of the grid)" if best[arm, batch_size].at_the_end else ""
    print(
        f"B = {batch_size:4} {arm:9}: rate {best[arm, batch_size].value:g}{edge}, SGD's "
        f"{best['SGD', batch_size].value:g}; {factors[0]:.2f} times fewer updates "
        f"[{factors[1]:.2f}, {factors[2]:.2f}], {gain.broken} broken"
    )

# %% [markdown]
# The rule, fixed before these seeds were run. The gain is *partly* the larger rate if (i) at B = 8
# the loss at the same η/(1 − λ) is SGD's, within ±0.1 in the logarithm, while at the same η it is
# lower; (ii) best against best, the gain at the full batch is larger than at B = 8; and (iii) at B
# = 8 it is not wholly above a factor of 1.2.

# %%
SMALLEST, FULL = BATCHES[0], BATCHES[-1]


def log_gain(arm, batch_size):
    """Return each seed's gain, or None where a run is broken."""
    pairs = zip(taken["SGD", batch_size], taken[arm, batch_size])
    return [None if None in pair else float(np.log(pair[0] / pair[1])) for pair in pairs]


rises = {
    arm: rules.paired_interval(log_gain(arm, FULL), log_gain(arm, SMALLEST))
    for arm in ("momentum", "Nesterov")
}
none_left = "contradicted" if gains["momentum", SMALLEST].low > np.log(1.2) else "reproduced"
parts = {
    "the same at equal η/(1 − λ)": rules.judge_equal(equal_effective, MARGIN),
    "better at equal η": rules.judge(equal_rate),
    "more at the full batch": rules.judge(rises["momentum"]),
    "little at B = 8": none_left,
}
print(parts, f"log gain at the full batch − at B = 8: {rises}")


# %% plot
def draw_gain():
    figure, axes = plt.subplots(figsize=(6, 3.4))
    for place, (arm, color) in enumerate((("momentum", "C1"), ("Nesterov", "C2"))):
        found = [gains[arm, batch_size] for batch_size in BATCHES]
        mean = np.exp([gain.mean for gain in found])
        bars = np.abs(np.exp([[gain.low, gain.high] for gain in found]).T - mean)
        shifted = np.array(BATCHES) * 1.07**place
        axes.errorbar(shifted, mean, bars, fmt="o-", color=color, capsize=3, label=arm)
    axes.axhline(1, color="C0", label="SGD")
    axes.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="times fewer updates")
    axes.set(xticks=BATCHES, xticklabels=BATCHES, yticks=(1, 2, 3), yticklabels=(1, 2, 3))
    axes.minorticks_off()
    axes.legend(fontsize=9)
    return figure


factor = {key: float(np.exp(gain.mean)) for key, gain in gains.items()}
evidence.save(
    "effective_rate",
    draw_gain,
    caption="What momentum gains over SGD, each with its own best rate, as the batch grows: next "
    "to nothing at B = 8, and most where one batch holds all the data. Bars: 95 % over 12 seeds.",
    alt="Times fewer updates than SGD against the batch size. Momentum rises from "
    f"{factor['momentum', SMALLEST]:.2f} at B = {SMALLEST} to {factor['momentum', FULL]:.2f} at "
    f"B = {FULL}, Nesterov's form from {factor['Nesterov', SMALLEST]:.2f} to "
    f"{factor['Nesterov', FULL]:.2f}.",
    lead=True,
)


# %% plot
def draw_curves():
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for name, color, style in zip(curves, ("C0", "C1", "C1"), ("-", "--", "-")):
        mean = np.mean(curves[name], axis=0)
        smooth = np.convolve(mean, np.ones(20) / 20, mode="valid")  # over 20 batches
        axes.semilogy(np.arange(20, UPDATES + 1), smooth, style, color=color, label=name)
    axes.set(xlabel="update (batches of 8)", ylabel="training loss, mean of 12 seeds")
    axes.minorticks_off()
    axes.set(yticks=(0.1, 0.2, 0.5, 1, 2), yticklabels=(0.1, 0.2, 0.5, 1, 2))
    axes.legend()
    return figure


evidence.save(
    "effective_rate_curves",
    draw_curves,
    caption="SGD (blue) and momentum with the same η/(1 − λ) (dashed) lie on each other. At the "
    "same η momentum is far ahead, because its steps are longer.",
    alt="Training loss against the update for batches of 8. The curves of SGD and of momentum at "
    "the same effective rate coincide; momentum at the same η falls much faster.",
)

# %% bet
full, small = factor["momentum", FULL], factor["momentum", SMALLEST]
evidence.bet(
    "Give SGD and momentum each its best learning rate. How many times fewer updates does momentum "
    f"need with batches of {SMALLEST}?",
    answer=round(small, 1),
    slider=(0.5, 5, 0.1),
    symbol="× ",
    told=f"With batches of {SMALLEST} it is {small:.1f}, with all the data in one batch {full:.1f}."
    "",
)

# %% why [markdown]
# While η/(1 − λ) times the curvature is small, the gradients that m remembers are nearly the same,
# and momentum is SGD with that rate. With small batches the noise forbids larger rates than that:
# noise adds up in m as the gradients do, so momentum has nothing to give. With all the data there
# is no noise, the curvature is what limits SGD, and there momentum bears a larger effective rate.

# %% [markdown]
# ## Verdict

# %% verdict
evidence.report(
    "27c",
    "The gain of momentum is partly just the larger effective rate η/(1 − λ).",
    slide="not in the notes",
    headline=f"Best against best: ×{small:.2f} at B = {SMALLEST}, ×{full:.1f} at the full batch",
    ours=f"B = 8, log of the loss at the same η/(1 − λ) over SGD's: {equal_effective:.3f}. Best "
    f"against best, the notes' momentum needs {small:.2f} times fewer updates at B = 8, "
    f"{factor['momentum', 64]:.2f} at 64 and {full:.2f} at {FULL}; Nesterov's form "
    f"{factor['Nesterov', SMALLEST]:.2f}, {factor['Nesterov', 64]:.2f} and "
    f"{factor['Nesterov', FULL]:.2f}",
    rule="reproduced if at B = 8 the loss at the same η/(1 − λ) is within ±0.1 of SGD's (log) and "
    "at the same η lower, the log gain at the full batch is above that at B = 8, and the gain at B "
    "= 8 not wholly above 1.2. Contradicted if one of them is reversed. 95 % intervals over 12 "
    "seeds",
    verdict=rules.judge_all(parts.values()),
    caveat="of Nesterov's form at B = 8 we say nothing: its gain there hangs on λ and on the "
    "target. Kidambi et al. (2018, arXiv:1803.05591) prove that the heavy ball may gain nothing "
    "with batches of 1, and see what gains there are as the work of larger batches. Shallue et al. "
    "(2019, arXiv:1811.03600) find it in large networks",
)
