"""Judge a claim by measurements, and keep the figure and the verdict: what the examples share.

import evidence  # beside the folders of the examples
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

try:
    import matplotlib as mpl
    import scipy.stats
    from matplotlib import pyplot as plt
    from matplotlib.animation import Animation
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
    "not measured",  # what it takes was not at hand
)


# ── Where chance plays ───────────────────────────────────────────────────────────────────────────


class Interval(NamedTuple):
    """The mean of paired differences, and the 95 % interval that the true mean lies in."""

    mean: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.mean:+.3g} [{self.low:+.3g}, {self.high:+.3g}] over {self.pairs} pairs"


def paired_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Compare two treatments of the same seeds: the mean of first − second, and how sure it is.

    Student (1908): mean ± t·s/√n, where s is the standard deviation of the n differences. With the
    same weights and the same data on both sides of each pair, much of the chance cancels.

    Raises
    ------
    ValueError
        If there are fewer than two pairs, the lengths differ, or a difference is not finite.

    Examples
    --------
    >>> print(paired_interval([3.0, 4.0, 6.0], [2.0, 2.0, 3.0]))
    +2 [-0.484, +4.48] over 3 pairs
    """
    one, other = np.asarray(first, float), np.asarray(second, float)
    if one.ndim != 1 or one.shape != other.shape or len(one) < 2:
        raise ValueError(f"pairs are needed, two at least, not {one.shape} and {other.shape}")
    differences = one - other
    if not np.isfinite(differences).all():
        raise ValueError("a difference is not finite: did a run diverge? Say what that counts as")
    n, mean = len(differences), float(differences.mean())
    margin = float(scipy.stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / n**0.5)
    return Interval(mean, mean - margin, mean + margin, n)


def judge(interval: Interval) -> str:
    """Give the verdict on the claim that the mean is positive.

    >>> judge(Interval(2.0, 1.0, 3.0, 12)), judge(Interval(1.0, -1.0, 3.0, 12))
    ('reproduced', 'not seen')
    """
    if interval.low > 0:
        return "reproduced"
    return "contradicted" if interval.high < 0 else "not seen"


def judge_all(words: Iterable[str]) -> str:
    """Give the verdict on a claim of several parts, each with a verdict: all must be reproduced.

    >>> judge_all(["reproduced", "not seen"]), judge_all(["contradicted", "not seen"])
    ('not seen', 'contradicted')
    """
    found = set(words)
    if "contradicted" in found:
        return "contradicted"
    return "reproduced" if found == {"reproduced"} else "not seen"


class Ruling(NamedTuple):
    """The verdict from several conditions, under how many of them, and under which."""

    verdict: str
    share: str
    conditions: str


def judge_conditions(
    words: Mapping[str, str | bool] | Iterable[str | bool], leading: Sequence[str] = ()
) -> Ruling:
    """Give the verdict on a claim that was judged under each of several conditions.

    If it was reproduced somewhere, it is reproduced under these conditions. If it was not, a
    condition that contradicts it decides. And what was not seen anywhere is not contradicted.

    Parameters
    ----------
    words : mapping or iterable
        The verdict under each condition, by name if there are not too many; or, where nothing
        plays but arithmetic, whether it holds.
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
    >>> judge_conditions(["not seen", "not seen"]).verdict
    'not seen'
    """
    named = words if isinstance(words, Mapping) else dict(enumerate(words))
    of_each = {
        name: word if isinstance(word, str) else ("reproduced" if word else "contradicted")
        for name, word in named.items()
    }
    if not of_each:
        raise ValueError("no condition was tried")
    if leading and (word := judge_all(of_each[name] for name in leading)) != "reproduced":
        return Ruling(word, "", "")
    by_word = {
        word: [str(name) for name, own in of_each.items() if own == word]
        for word in ("reproduced", "contradicted", "not seen")
        if word in of_each.values()
    }
    (verdict, decisive), *others = by_word.items()
    if verdict == "reproduced" and others:
        verdict = "reproduced under conditions"
    told = "; ".join(f"{word}: {', '.join(names)}" for word, names in by_word.items())
    conditions = told if others and isinstance(words, Mapping) else ""
    return Ruling(verdict, f"{len(decisive)} of {len(of_each)}", conditions)


# ── What is kept ─────────────────────────────────────────────────────────────────────────────────

FOLDER = Path("figures")  # for figures and verdicts

STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.markersize": 4,
    "svg.hashsalt": "tinygrad_edu",  # so that the same figure is the same file
}
# Okabe and Ito's colors, which color-blind readers can tell apart; brighter ones on dark pages.
THEMES = {
    "": ("#222222", "white", ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B58900", "#56B4E9"]),
    "-dark": (
        "#e4e4e4",
        "#1e2129",
        ["#56B4E9", "#FF8A4C", "#2FD3A4", "#E59CC8", "#E6C229", "#9FC5E8"],
    ),
}


def output_folder() -> Path:
    """Return the folder for figures and verdicts, and make it if it is not there yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER


def save(name: str, draw: Callable[[], Any]) -> None:
    """Draw a figure twice, for light pages and for dark ones, and save both.

    Parameters
    ----------
    name : str
        Of the files: `name.svg` and `name-dark.svg`, or `.gif` for an animation.
    draw : callable
        Makes a Matplotlib figure or animation, in the colors C0 … C5 and the default ink.
    """
    for suffix, (ink, paper, colors) in THEMES.items():
        inks: list[Any] = [
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "xtick.color",
            "ytick.color",
        ]
        theme = dict.fromkeys(inks, ink) | {"axes.prop_cycle": mpl.rcsetup.cycler(color=colors)}
        with mpl.rc_context(STYLE | theme):
            try:
                drawing = draw()
                if isinstance(drawing, Animation):
                    file = output_folder() / f"{name}{suffix}.gif"
                    drawing.save(file, writer="pillow", savefig_kwargs={"facecolor": paper})
                else:
                    file = output_folder() / f"{name}{suffix}.svg"
                    drawing.savefig(file, metadata={"Date": None})
            finally:
                plt.close("all")
    print(f"Drawn: {output_folder() / name}{file.suffix}")


def report(
    claim: str,
    statement: str,
    *,
    slide: str,
    ours: str,
    rule: str,
    verdict: str | Ruling,
    caveat: str = "",
    timing: bool = False,
) -> None:
    """Print the verdict on a claim, and write it beside the figures as `claim-….json`.

    Parameters
    ----------
    claim : str
        Its number.
    statement : str
        What the notes say, in a sentence.
    slide, ours : str
        The lecture's numbers, and those of this run.
    rule : str
        What outcome gives this verdict, and what outcome would have overturned it.
    verdict : str or Ruling
        One of `VERDICTS`, computed from this run; or what `judge_conditions` returned.
    caveat : str
        Where the claim does not hold, or is not exact.
    timing : bool
        Whether it depends on how fast this machine is.

    Raises
    ------
    ValueError
        If the verdict is another word.
    """
    word, share, conditions = (verdict, "", "") if isinstance(verdict, str) else verdict
    if word not in VERDICTS:
        raise ValueError(f"the verdict must be one of {VERDICTS}, but is {word!r}")
    told = {"slide": slide, "measured": ours, "rule": rule}
    told["verdict"] = " ".join(filter(None, [word, share and f"({share})", conditions]))
    told["caveat"] = caveat
    print(f"\nClaim {claim}: {statement}")
    for label, text in told.items():
        if text:
            print(textwrap.fill(f"{label:>9}  {text}", 100, subsequent_indent=" " * 11))
    told |= {"verdict": word, "share": share, "conditions": conditions}
    record = {"claim": claim, "statement": statement, **told, "timing": timing}
    file = output_folder() / f"claim-{claim}.json"
    file.write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
