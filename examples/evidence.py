"""Keep what a script found: its settings, its figures, its bet and its verdicts.

import evidence  # beside the folders of the examples

A text that is kept stands apart from its numbers, so that a page, a card and a translation can be
made from one record.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rules import TUNING, VERDICTS, Ruling

try:
    import matplotlib as mpl
    from matplotlib import pyplot as plt
    from matplotlib.animation import Animation
except ImportError as error:
    raise ImportError(
        f"the examples need {error.name}, which is not installed: "
        'python -m pip install "tinygrad_edu[examples]"'
    ) from error

FOLDER = Path("figures")  # for all that is kept
SETTINGS = {  # that a script can be run again with
    "seed": "the first of the seeds that judge",
    "width": "units of a hidden layer",
    "split": "which digits train, which choose and which judge: 0 is the package's own split",
    "lr": "the learning rate; where rates are tuned, the lowest of the grid",
    "start": "the first weights, in multiples of the usual ones",
    "batch": "the batch size",
    "momentum": "how much of the last step is kept",
}
HEADLINE = 60  # characters, so that it fits on a card
NARROW = 4  # inches: the leading figure on phones

STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.markersize": 4,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial", "sans-serif"],
    "svg.fonttype": "none",  # text stays text: it can be searched, read out and translated
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


def apart(text: str) -> tuple[str, list[str]]:
    """Take the numbers out of a text.

    >>> apart("B = 4 leads by +2.1 points")
    ('B = {0} leads by {1} points', ['4', '+2.1'])
    >>> "B = {0} leads by {1} points".format("4", "+2.1")
    'B = 4 leads by +2.1 points'
    """
    numbers: list[str] = []

    def put(match: re.Match[str]) -> str:
        if match[0] in "{}":
            return 2 * match[0]
        numbers.append(match[0])
        return f"{{{len(numbers) - 1}}}"

    number = r"(?<![\w.])[-+−]?(?:\d[\d,]*)?\.?\d+(?:e[-+]?\d+)?%?(?![\w])|[{}]"
    return re.sub(number, put, text), numbers


def keep(name: str, texts: dict[str, str], **record: Any) -> None:
    """Write a record beside the figures, with its texts apart from their numbers."""
    parts = {key: apart(text) for key, text in texts.items()}
    record["texts"] = {key: template for key, (template, _) in parts.items()}
    record["numbers"] = {key: numbers for key, (_, numbers) in parts.items() if numbers}
    text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    (output_folder() / f"{name}.json").write_text(text, encoding="utf-8")


def settings(**choices: Sequence[Any]) -> SimpleNamespace:
    """Choose the settings of a script: the first of each, or what the command line says.

    The others are its robustness strip: `run_all.py --robust` runs the script again with each of
    them, one at a time.

    Parameters
    ----------
    seed, width, split, lr, start, batch, momentum : sequence of numbers
        Those of `SETTINGS` that the script has.

    Raises
    ------
    SystemExit
        If a setting has another name or another type, or if the seeds that choose would judge.

    Examples
    --------
    >>> sys.argv = ["script.py", "--width", "32"]
    >>> settings(seed=[200, 300], width=[64, 32, 128])
    namespace(seed=200, width=32)
    """
    parser = argparse.ArgumentParser()
    for name, meaning in SETTINGS.items():
        kind = type(choices[name][0]) if name in choices else str
        parser.add_argument(f"--{name}", type=kind, help=meaning)
    given = vars(parser.parse_args([] if "ipykernel" in sys.modules else sys.argv[1:]))
    chosen = {
        name: values[0] if given[name] is None else given[name] for name, values in choices.items()
    }
    if chosen.get("seed", TUNING[-1] + 1) in range(TUNING[0] - 11, TUNING[-1] + 1):
        parser.error(f"seeds {TUNING[0]} to {TUNING[-1]} choose the settings, and cannot judge")
    keep("settings", {}, chosen=chosen, choices=choices)
    return SimpleNamespace(**chosen)


def save(
    name: str, draw: Callable[[], Any], *, caption: str = "", alt: str = "", lead: bool = False
) -> None:
    """Draw a figure twice, for light pages and for dark ones, and save both.

    Parameters
    ----------
    name : str
        Of the files: `name.svg` and `name-dark.svg`, or `.gif` for an animation.
    draw : callable
        Makes a Matplotlib figure or animation, in the colors C0 … C5 and the default ink.
    caption : str
        What a reader should look at.
    alt : str
        What the figure shows, for those who cannot see it.
    lead : bool
        Whether it is the script's main figure. It is also saved for phones, as `name-narrow.svg`.
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
                    if lead:
                        drawing.set_size_inches(NARROW, drawing.get_size_inches()[1])
                        narrow = output_folder() / f"{name}-narrow{suffix}.svg"
                        drawing.savefig(narrow, metadata={"Date": None})
            finally:
                plt.close("all")
    keep(f"figure-{name}", {"caption": caption, "alt": alt}, file=f"{name}{file.suffix}", lead=lead)
    print(f"Drawn: {output_folder() / name}{file.suffix}")


def bet(
    question: str,
    *,
    answer: float | str,
    told: str,
    options: Sequence[str] = (),
    slider: tuple[float, float, float] | None = None,
    symbol: str = "",
    unit: str = "",
) -> None:
    """Keep what a reader guesses before the figure is shown; the answer comes from this run.

    Parameters
    ----------
    question : str
        It can be answered without the figure.
    answer : float or str
        The number, or one of the options.
    told : str
        What the reader is told then, in a sentence.
    options : sequence of str
        To choose from.
    slider : tuple of three numbers
        Or else the lowest number, the highest, and the step.
    symbol, unit : str
        Stand before the number and after it, as in "λ = 0.9" and "12 %".

    Raises
    ------
    ValueError
        If nobody could guess the answer.
    """
    if bool(options) == bool(slider):
        raise ValueError("a bet has options to choose from, or a slider for a number")
    if answer not in options if slider is None else not slider[0] <= answer <= slider[1]:  # type: ignore[operator]
        raise ValueError(f"nobody could guess {answer!r} from {slider or options}")
    texts = {"question": question, "told": told, "symbol": symbol, "unit": unit}
    texts |= {f"option {place}": option for place, option in enumerate(options)}
    right = options.index(str(answer)) if options else answer
    keep("bet", texts, answer=right, slider=slider)


def report(
    claim: str,
    statement: str,
    *,
    slide: str,
    ours: str,
    rule: str,
    verdict: str | Ruling,
    headline: str = "",
    quote: str = "",
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
        The lecture's numbers, and those of this run in detail.
    rule : str
        What outcome gives this verdict, and what outcome would have overturned it.
    verdict : str or Ruling
        One of `rules.VERDICTS`, computed from this run; or what `rules.judge_conditions` returned.
    headline : str
        What was found, in at most 60 characters.
    quote : str
        The notes' own sentence, in Chinese; empty where the notes are silent.
    caveat : str
        Where the claim does not hold, or is not exact.
    timing : bool
        Whether it depends on how fast this machine is.

    Raises
    ------
    ValueError
        If the verdict is another word, or the headline is too long.
    """
    word, share, conditions = (verdict, "", "") if isinstance(verdict, str) else verdict
    if word not in VERDICTS:
        raise ValueError(f"the verdict must be one of {VERDICTS}, but is {word!r}")
    if len(headline) > HEADLINE:
        raise ValueError(f"a headline has at most {HEADLINE} characters, not {len(headline)}")
    texts = {"headline": headline, "slide": slide, "measured": ours, "rule": rule}
    told = " ".join(filter(None, [word, share and f"({share})", conditions]))
    print(f"\nClaim {claim}: {statement}")
    for label, text in (texts | {"verdict": told, "caveat": caveat}).items():
        if text:
            print(textwrap.fill(f"{label:>9}  {text}", 100, subsequent_indent=" " * 11))
    texts |= {"statement": statement, "conditions": conditions, "caveat": caveat}
    keep(
        f"claim-{claim}",
        texts,
        claim=claim,
        quote=quote,
        verdict=word,
        share=share,
        timing=timing,
    )
