# %% [markdown]
# # Do sharper minima do worse on new data?
#
# The notes' argument has two steps: small batches (批次) end in flatter minima, and a sharp minimum
# does worse on test data. This page is about the second step: among networks that fit their
# training data equally well, do the sharper ones make more mistakes on new data?
#
# The first step has [a page of its own](sharpness.md). For the second, batches do not matter as
# such: we train networks with many batch sizes and learning rates to the same training loss, and
# look at sharpness and test error alone. Two measures of sharpness: the Hessian's largest
# eigenvalue (特征值) λmax; and one that does not change when the layers of a ReLU network are
# rescaled, as λmax does (Dinh et al. 2017, arXiv:1703.04933), the trace of the Hessian in units of
# the weights,
#
# $$\operatorname{tr}\bigl(\operatorname{diag}(\theta)\, H \operatorname{diag}(\theta)\bigr)
# = \sum_i \theta_i^2 H_{ii}.$$

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

# %% [markdown]
# Eight ways to train for each of twelve seeds: B = 4, 16, 64 and all 500, each with two learning
# rates; from first weights ten times the usual, and from the usual ones. A run ends when all
# training images are right and the loss is at most 0.01. The other 1297 digits judge; nothing is
# chosen with them.

# %%
chosen = evidence.settings(
    seed=(200, 300), width=(64, 32), split=(0, 1), lr=(0.05, 0.035), start=(10.0, 5.0)
)
SEEDS = range(chosen.seed, chosen.seed + 12)
STARTS = {f"first weights × {chosen.start:g}": chosen.start, "usual first weights": 1.0}
WAYS = [(B, lr) for B in (4, 16, 64, 500) for lr in (chosen.lr, 2 * chosen.lr)]
train_set, first_part, second_part = DATA = rules.digits(500, chosen.split)
images, labels = train_set[:][0].data.astype("float64"), train_set[:][1].data


def minimum(batch_size, lr, seed, start):
    """Train until all is right at a loss of 0.01; return the network and its test error in "
    "points."""
    model = rules.perceptron(64, chosen.width, chosen.width, 10, seed=seed, scale=start)
    looks = rules.history(
        model,
        tg.SGD(model.parameters(), lr),
        DATA,
        batch_size,
        seed=seed,
        updates=4000,
        stop=lambda look: look.train.loss <= 0.01 and look.train.accuracy == 1,
    )
    last = looks[-1]
    if not (last.train.loss <= 0.01 and last.train.accuracy == 1):
        return None  # it did not arrive
    sizes = len(first_part), len(second_part)
    right = np.dot(sizes, (last.validation.accuracy, last.test.accuracy)) / sum(sizes)
    return model, 100 * (1 - right)


def in_double(model):
    """Copy a network to float64."""
    double = tg.nn.perceptron(64, chosen.width, chosen.width, 10, dtype="float64")
    double.load_state_dict({name: a.astype("float64") for name, a in model.state_dict().items()})
    return double


def sharpness(model, probes=10):
    """Return the training loss, λmax with its residual, and the trace in units of the weights."""
    parameters = model.parameters()
    H = tg.HessianOperator(lambda: tg.cross_entropy(model(images), labels), parameters)
    top = tg.extreme_eigenpairs(H, max_steps=40)
    θ = tg.nn.parameters_to_vector(parameters)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(θ), probes))  # Hutchinson's
    scaled = θ[:, None] * signs
    trace = (scaled * (H @ scaled)).sum(axis=0).mean()
    return tg.cross_entropy(model(images), labels).item(), top.values[-1], top.residuals[-1], trace


def rescaled(model, seed):
    """Multiply each hidden layer by a random factor, and divide the next one by it."""
    other = in_double(model)
    for layer, following in ((0, 2), (2, 4)):
        α = 4 ** np.random.default_rng((seed, layer)).uniform(-1, 1)
        other.layers[layer].weight.data = α * other.layers[layer].weight.data
        other.layers[layer].bias.data = α * other.layers[layer].bias.data
        other.layers[following].weight.data = other.layers[following].weight.data / α
    return other


# %%
COLUMNS = ("loss", "λmax", "trace", "λmax, rescaled", "trace, rescaled")
found, missing, worst = {start: [] for start in STARTS}, 0, 0.0
for seed in tqdm(SEEDS, desc="seeds"):
    for start, scale in STARTS.items():
        rows = []  # one for each way, with the test error first
        for number, way in enumerate(WAYS):
            if (reached := minimum(*way, seed, scale)) is None:
                missing += 1
                continue
            model, error = reached
            loss, eigenvalue, residual, trace = sharpness(in_double(model))
            _, other_eigenvalue, _, other_trace = sharpness(rescaled(model, 100 * seed + number))
            worst = max(worst, residual / eigenvalue)
            rows.append([error, loss, eigenvalue, trace, other_eigenvalue, other_trace])
        found[start].append(np.array(rows))
for start, tables in found.items():
    table = np.concatenate(tables)
    print(f"{start}, {len(table)} networks:")
    for name, column in zip(("test error, %", *COLUMNS), table.T):
        low, middle, high = np.quantile(column, [0.05, 0.5, 0.95])
        print(f"    {name:16} {low:.3g} to {high:.3g}, median {middle:.3g}")
print(f"{missing} did not arrive; λmax to {worst:.1%} (largest residual)")

# %% [markdown]
# ## One correlation for each seed
#
# Networks of one seed share their first weights, so they are no independent witnesses: the unit is
# the seed. For each, the correlation r between the logarithm of the sharpness and the test error,
# both without what the training loss explains; then Fisher's z = artanh r, and the 95 % interval
# over the seeds.


# %%
def z_of(first, second, loss):
    """Return Fisher's z of two columns, given the training loss, in one seed."""
    known = np.stack([np.ones(len(loss)), np.log(loss)], axis=1)
    values = np.stack([first, second], axis=1)
    rest = values - known @ np.linalg.lstsq(known, values)[0]
    return np.arctanh(np.clip(np.corrcoef(rest.T)[0, 1], -0.999, 0.999))


def correlation(start, first, second):
    """Return the interval of z over the seeds; a seed with fewer than five networks is broken."""
    zs = [
        z_of(first(rows), second(rows), rows[:, 1]) if len(rows) >= 5 else None
        for rows in found[start]
    ]
    return rules.paired_interval(zs, [0.0] * len(zs))


def error(rows):
    return rows[:, 0]


def log_of(column):
    return lambda rows: np.log(np.maximum(rows[:, column], 1e-12))


intervals = {
    (start, name): correlation(start, log_of(2 + i), error)
    for start in STARTS
    for i, name in enumerate(COLUMNS[1:])
}
for (start, name), interval in intervals.items():
    print(f"{start}, {name:16} z {interval}, r = {np.tanh(interval.mean):+.2f}")

# %% [markdown]
# From the usual first weights λmax goes with the error, and random rescaling, which changes no
# answer, breaks that; the trace in units of the weights does not notice it. So the measurement can
# see such a relation, and what is not seen from large first weights is not for want of sight.


# %% plot
def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
    for (start, tables), color in zip(found.items(), ("C1", "C0")):
        table = np.concatenate(tables)
        left.semilogx(table[:, 2], table[:, 0], "o", color=color, alpha=0.5, label=start)
        for place, name in enumerate(COLUMNS[1:]):
            interval = intervals[start, name]
            height = place + (0.15 if color == "C0" else -0.15)
            right.plot(np.tanh([interval.low, interval.high]), [height] * 2, color=color)
            right.plot(np.tanh(interval.mean), height, "o", color=color, markersize=6)
    left.set(xlabel="λmax", ylabel="test error, %", ylim=(0, None))
    left.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    left.minorticks_off()
    left.legend(fontsize="small", loc="lower left")
    right.axvline(0, color="gray", linestyle=":")
    right.set_yticks(range(4), COLUMNS[1:])
    right.invert_yaxis()
    right.set(xlabel="r", xlim=(-1, 1))
    return figure


evidence.save(
    "sharpness_and_test",
    draw,
    caption="Left, test error against λmax. Right, the correlation within a seed, given the "
    "training loss, with 95 % intervals. From the usual first weights sharper networks do worse, "
    "until the layers are rescaled, which changes λmax and no answer; from large ones no relation "
    "is seen.",
    alt="Left: two clouds of dots. Right: intervals of four correlations for two first weights; "
    "three of the usual weights' lie to the right of zero.",
    lead=True,
)

# %% bet
words = {key: rules.judge(interval) for key, interval in intervals.items()}
large, usual = STARTS
seen = {start: words[start, "λmax"] == "reproduced" for start in STARTS}
PLACES = {
    (False, False): "nowhere to be seen",
    (True, False): "from large first weights only",
    (False, True): "from the usual first weights only",
    (True, True): "from both first weights",
}
evidence.bet(
    "Networks that fit the same 500 digits to the same loss: where do those with a larger λmax "
    "make more mistakes on new digits?",
    answer=PLACES[seen[large], seen[usual]],
    options=[*PLACES.values()],
    told=f"The correlation within a seed is {np.tanh(intervals[usual, 'λmax'].mean):+.2f} from the "
    f"usual first weights, {np.tanh(intervals[large, 'λmax'].mean):+.2f} from large ones.",
)

# %% why [markdown]
# The drawing assumes that new data shift the loss along the steep direction. What differs between
# training and test data need not move the loss that way, and λmax depends on how the function is
# written: the same answers can have any λmax. Among networks that are written alike, as those from
# the usual first weights are, the two can go together; from large first weights each network keeps
# much of its start, and what tells their errors apart is something else.

# %% [markdown]
# ## Verdict

# %% verdict
evidence.report(
    "16c",
    "A sharp minimum does worse on test data.",
    slide="a drawing, no numbers",
    ours="correlation with the test error, given the training loss, as Fisher's z: "
    + "; ".join(
        f"{start}, {name} {intervals[start, name]:.2f}"
        for start in STARTS
        for name in ("λmax", "trace")
    )
    + f"; {usual}, rescaled, λmax {intervals[usual, 'λmax, rescaled']:.2f}, trace "
    f"{intervals[usual, 'trace, rescaled']:.2f}",
    rule="reproduced if the 95 % interval of z over 12 seeds, the seed being the unit, lies above "
    "0 for λmax and for the trace in units of the weights, from both first weights; under "
    "conditions if for some; contradicted if below 0; else not seen, which needs a control: that "
    "the relation is seen from the other first weights",
    verdict=rules.judge_conditions(
        {
            f"{name} ({start})": rules.judge_null(words[start, name], words[other, name])
            for start, other in ((usual, large), (large, usual))
            for name in ("λmax", "trace")
        }
    ),
    headline=f"r = {np.tanh(intervals[usual, 'λmax'].mean):+.2f} with λmax; from large weights "
    f"{np.tanh(intervals[large, 'λmax'].mean):+.2f}",
    quote="只要 testing loss 有一点变化,陡峭处就会发生大变化,从而导致大批次在测试时表现不好",
    caveat="rewriting the same functions changes λmax and its correlation at will. In large "
    "studies, too, sharpness does not go with test error in general (Andriushchenko et al. 2023, "
    "arXiv:2302.07011), and few networks mislead (Jiang et al. 2019, arXiv:1912.02178)",
)
