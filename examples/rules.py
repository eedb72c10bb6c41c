"""The rule book: data that chooses and data that judges, training, and words from intervals.

import rules  # beside the folders of the examples

docs/rules.md says why the rules are as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

import tinygrad_edu as tg

try:
    import scipy.stats
except ImportError as error:
    raise ImportError(
        f"the examples need {error.name}, which is not installed: "
        'python -m pip install "tinygrad_edu[examples]"'
    ) from error

VERDICTS = (
    "definition",  # nothing to measure: shown exactly
    "reproduced",
    "reproduced under conditions",
    "not seen",  # the interval includes 0
    "contradicted",
    "wording",  # true once said precisely
    "not measured",  # what it takes was not at hand, or too many runs were broken
)
TUNING = range(100, 106)  # the seeds that choose the settings, and never judge
BROKEN = 1e3  # no training loss is as large as this, unless the run diverges
WHOLE = 2 / 3  # of the pairs must be whole: with fewer there is no word


# ── Data and networks ────────────────────────────────────────────────────────────────────────────


def digits(
    size: int, split: int = 0
) -> tuple[tg.TensorDataset, tg.TensorDataset, tg.TensorDataset]:
    """Split the 1797 digits: `size` to train with, 360 to choose settings with, the rest to judge.

    >>> [len(part) for part in digits(500)]
    [500, 360, 937]
    """
    train, test = tg.datasets.digits()
    images, labels = (np.concatenate([a.numpy(), b.numpy()]) for a, b in zip(train[:], test[:]))
    if split:
        mixed = np.random.RandomState(split).permutation(len(labels))
        images, labels = images[mixed], labels[mixed]
    parts = slice(size), slice(len(train), None), slice(size, len(train))
    first, second, third = (tg.TensorDataset(images[part], labels[part]) for part in parts)
    return first, second, third


def perceptron(
    *sizes: int, seed: int, scale: float = 1, dtype: str = "float32"
) -> tg.nn.Sequential:
    """Make a perceptron whose first weights, but for the last layer's, are `scale` times as large.

    >>> [float(perceptron(2, 3, 2, seed=0, scale=s).layers[0].weight.data[0, 0]) for s in (1, 10)]
    [0.193..., 1.936...]
    """
    model = tg.nn.perceptron(*sizes, seed=seed, dtype=dtype)
    for layer in model.layers[:-1:2]:
        layer.weight.data = np.dtype(dtype).type(scale) * layer.weight.data
    return model


# ── Training ─────────────────────────────────────────────────────────────────────────────────────


class Look(NamedTuple):
    """How well a network does at an update."""

    update: int
    train: tg.Score
    validation: tg.Score
    test: tg.Score


def history(
    model: Callable[[tg.Tensor], tg.Tensor],
    optimizer: tg.SGD,
    data: Sequence[tg.TensorDataset],
    batch_size: int,
    *,
    seed: int,
    updates: int,
    every: int = 25,
    stop: Callable[[Look], bool] = lambda look: False,
) -> list[Look]:
    """Train by the cross-entropy, and look at the network after `every` so many updates.

    It ends after `updates`, or at the first look at which `stop` is true or the run is broken: its
    training loss is not finite, or above 1000.

    Parameters
    ----------
    data : sequence of three TensorDatasets
        Of `digits`: to train with, to choose settings with, to judge.
    seed : int
        Of the order of the batches.
    """
    loader = tg.DataLoader(data[0], batch_size, shuffle=True, seed=seed)
    steps = tg.updates(lambda x, labels: tg.cross_entropy(model(x), labels), loader, optimizer)
    looks: list[Look] = []
    with np.errstate(all="ignore"):  # a broken run overflows
        for update, _ in enumerate(islice(steps, updates), start=1):
            if update % every == 0:
                looks.append(Look(update, *(tg.evaluate(model, part) for part in data)))
                if stop(looks[-1]) or not looks[-1].train.loss < BROKEN:
                    break
    return looks


def first(looks: Iterable[Look], reached: Callable[[Look], bool]) -> Look | None:
    """Return the first look at which a target is reached, or None: the run is broken."""
    return next((look for look in looks if reached(look)), None)


class Tuned(NamedTuple):
    """The value that was chosen, and whether it ends the grid, so that a better may lie beyond."""

    value: float
    at_the_end: bool


def tune(grid: Sequence[float], score: Callable[[float, int], float | None]) -> Tuned:
    """Choose the value whose *worst* tuning seed scores highest; a broken run (None) rules it out.

    The mean of the seeds would choose a learning rate at the edge, at which one run in twelve
    breaks. If all are ruled out, it is the first of the grid.

    >>> tune([0.1, 0.2, 0.4], lambda lr, seed: None if lr > 0.3 and seed == 103 else lr)
    Tuned(value=0.2, at_the_end=False)
    """
    best, highest = grid[0], -np.inf
    for value in grid:
        worst = np.inf
        for seed in TUNING:
            found = score(value, seed)
            worst = min(worst, -np.inf if found is None or np.isnan(found) else found)
            if worst <= highest:  # it cannot win any more
                break
        if worst > highest:
            best, highest = value, worst
    return Tuned(best, best in (grid[0], grid[-1]))


# ── Words ────────────────────────────────────────────────────────────────────────────────────────


class Interval(NamedTuple):
    """The mean of paired differences, and the 95 % interval that the true mean lies in."""

    mean: float
    low: float
    high: float
    pairs: int
    broken: int = 0  # pairs that are left out

    def __str__(self) -> str:
        told = f"over {self.pairs} pairs" + (f", {self.broken} left out" if self.broken else "")
        return f"{self:.3g} {told}"

    def __format__(self, digits: str) -> str:
        """Write the numbers only, if it is said how.

        >>> f"{Interval(1.0, 0.5, 1.5, 12):.2f}"
        '+1.00 [+0.50, +1.50]'
        """
        if not digits:
            return str(self)
        return f"{self.mean:+{digits}} [{self.low:+{digits}}, {self.high:+{digits}}]"


def whole(values: Iterable[float]) -> list[float | None]:
    """Name the runs broken whose value is not finite.

    >>> whole([1.0, float("nan"), float("-inf")])
    [1.0, None, None]
    """
    return [float(value) if np.isfinite(value) else None for value in values]


def paired_interval(first: Sequence[float | None], second: Sequence[float | None]) -> Interval:
    """Compare two treatments of the same seeds: the mean of first − second, and how sure it is.

    Student (1908): mean ± t·s/√n, where s is the standard deviation of the n differences. With the
    same weights and the same data on both sides of each pair, much of the chance cancels.

    Where a run is broken, the value is None: the pair is left out, and counted.

    Raises
    ------
    ValueError
        If there are fewer than two pairs, the lengths differ, or a difference is not finite.

    Examples
    --------
    >>> print(paired_interval([3.0, 4.0, 6.0, None], [2.0, 2.0, 3.0, 1.0]))
    +2 [-0.484, +4.48] over 3 pairs, 1 left out
    """
    shapes = [np.shape(np.asarray(values, object)) for values in (first, second)]
    if len(shapes[0]) != 1 or shapes[0] != shapes[1] or len(first) < 2:
        raise ValueError(f"pairs are needed, two at least, not {shapes[0]} and {shapes[1]}")
    pairs = list(zip(first, second))
    kept = np.array([pair for pair in pairs if None not in pair], float).reshape(-1, 2)
    differences = kept[:, 0] - kept[:, 1]
    if not np.isfinite(differences).all():
        raise ValueError("a difference is not finite: a run that diverged counts as None, broken")
    n, broken = len(differences), len(pairs) - len(differences)
    if n < 2:
        return Interval(np.nan, np.nan, np.nan, n, broken)
    mean = float(differences.mean())
    margin = float(scipy.stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / n**0.5)
    return Interval(mean, mean - margin, mean + margin, n, broken)


def enough(interval: Interval) -> bool:
    """Say whether so many pairs are whole that there can be a word."""
    return interval.pairs >= max(2, WHOLE * (interval.pairs + interval.broken))


def judge(interval: Interval) -> str:
    """Give the verdict on the claim that the mean is positive.

    >>> judge(Interval(2.0, 1.0, 3.0, 12)), judge(Interval(1.0, -1.0, 3.0, 12))
    ('reproduced', 'not seen')
    >>> judge(Interval(2.0, 1.0, 3.0, pairs=7, broken=5))
    'not measured'
    """
    if not enough(interval):
        return "not measured"
    if interval.low > 0:
        return "reproduced"
    return "contradicted" if interval.high < 0 else "not seen"


def judge_equal(interval: Interval, margin: float) -> str:
    """Give the verdict on the claim that the mean differs from 0 by less than the margin.

    "Not seen" is no proof that two things are equal. This is one, as far as the margin goes: the
    whole interval must lie within it. Print the margin.

    >>> [judge_equal(Interval(0.0, -e, e, 12), margin=1.0) for e in (0.5, 2.0)]
    ['reproduced', 'not seen']
    """
    if not enough(interval):
        return "not measured"
    if -margin < interval.low and interval.high < margin:
        return "reproduced"
    outside = interval.low > margin or interval.high < -margin
    return "contradicted" if outside else "not seen"


def judge_null(word: str, control: str) -> str:
    """Let "not seen" stand only if the same measurement sees what is known to be there.

    >>> judge_null("not seen", control="reproduced"), judge_null("not seen", control="not seen")
    ('not seen', 'not measured')
    """
    return "not measured" if word == "not seen" and control != "reproduced" else word


def judge_all(words: Iterable[str]) -> str:
    """Give the verdict on a claim of several parts, each with a verdict: all must be reproduced.

    >>> judge_all(["reproduced", "not seen"]), judge_all(["contradicted", "not seen"])
    ('not seen', 'contradicted')
    """
    found = set(words)
    if "contradicted" in found or found == {"reproduced"}:
        return "contradicted" if "contradicted" in found else "reproduced"
    return "not measured" if found == {"not measured"} else "not seen"


class Ruling(NamedTuple):
    """The verdict from several conditions, under how many of them, and under which."""

    verdict: str
    share: str
    conditions: str


Word = str | bool
VOTES = ("reproduced", "contradicted", "not seen", "not measured")


def judge_conditions(
    words: Mapping[str, Word | Sequence[Word]] | Iterable[Word], leading: Sequence[str] = ()
) -> Ruling:
    """Give the verdict on a claim that was judged under each of several conditions.

    If it was reproduced somewhere, it is reproduced under these conditions. If it was not, a
    condition that contradicts it decides. What was not seen anywhere is not contradicted, and what
    is undecided counts in the vote.

    Parameters
    ----------
    words : mapping or iterable
        The verdict under each condition, by name if there are not too many; or several verdicts
        under one condition. Where nothing plays but arithmetic, whether it holds.
    leading : sequence of str
        Names of conditions that the claim is about. Unless it was reproduced under all of them,
        they decide alone.

    Raises
    ------
    ValueError
        If there are none.

    Examples
    --------
    >>> judge_conditions({"early": "reproduced", "late": "not seen"})
    Ruling(verdict='reproduced under conditions', share='1 of 2',
           conditions='reproduced: early; not seen: late')
    >>> judge_conditions({"wide": ["reproduced", "not seen"], "narrow": 2 * ["not seen"]})
    Ruling(verdict='reproduced under conditions', share='1 of 4',
           conditions='reproduced: wide (1 of 2); not seen: wide (1 of 2), narrow (2 of 2)')
    >>> judge_conditions(["not seen", "not seen"]).verdict
    'not seen'
    """
    named = words if isinstance(words, Mapping) else dict(enumerate(words))
    of_each: dict[Any, list[str]] = {}
    for name, given in named.items():
        several = [given] if isinstance(given, (str, bool, np.bool_)) else given
        of_each[name] = [
            word if isinstance(word, str) else ("reproduced" if word else "contradicted")
            for word in several
        ]
    votes = [word for several in of_each.values() for word in several]
    if not votes:
        raise ValueError("no condition was tried")
    if leading:
        word = judge_all(word for name in leading for word in of_each[name])
        if word != "reproduced":
            return Ruling(word, "", "")
    found = [word for word in VOTES if word in votes]
    if unknown := set(votes) - set(found):
        raise ValueError(f"a condition is judged by one of {VOTES}, not {unknown}")
    clauses = []
    for word in found:
        names = [
            f"{name} ({several.count(word)} of {len(several)})" if len(several) > 1 else str(name)
            for name, several in of_each.items()
            if word in several
        ]
        clauses.append(f"{word}: {', '.join(names)}")
    mixed = len(found) > 1
    verdict = "reproduced under conditions" if mixed and found[0] == "reproduced" else found[0]
    told = "; ".join(clauses) if mixed and isinstance(words, Mapping) else ""
    return Ruling(verdict, f"{votes.count(found[0])} of {len(votes)}", told)
