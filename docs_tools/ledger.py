"""The ledger: every verdict in a table, what to believe now, and the verdicts on other pages."""

import html
import json
import re
import sys

from vendor import ROOT

sys.path.insert(0, str(ROOT / "examples"))
import run_all
from weave import minus

TITLES = {  # of the groups of examples
    "batch": "Batches (批次)",
    "momentum": "Momentum (动量)",
    "critical_points": "Critical points (临界点)",
    "beyond": "Beyond the notes",
}
BELIEFS = {  # and the verdicts that they rest on: with others, the site is not built
    "batch": (
        "For the same samples, small batches train better, because they make more updates; for the "
        "same number of updates, large ones do. At equal training loss, small batches end in "
        "flatter places, but we did not see them do better on new data by a whole point. From the "
        "usual first weights, networks in flatter places do better on new data, as long as no "
        "layer is rescaled.",
        {
            "9": "reproduced under conditions",
            "11": "reproduced",
            "13": "reproduced under conditions",
            "14": "wording",
            "16": "reproduced under conditions",
            "16c": "reproduced under conditions",
        },
    ),
    "momentum": (
        "A large enough λ carries a step past critical points and over small hills; a model with "
        "friction predicts how large. λ has to be tuned like η. Part of the gain is only the "
        "larger effective rate η/(1 − λ).",
        {
            "20": "reproduced",
            "26": "reproduced",
            "27": "reproduced",
            "27c": "reproduced",
        },
    ),
    "critical_points": (
        "The Hessian's eigenvalues tell what a critical point is, unless one of them is zero; at a "
        "saddle, a negative one shows the way down. Training ends in minima. Where all critical "
        "points can be counted, few are minima; where they are only searched, we cannot say. "
        "Batches leave a saddle sooner if they differ along the way out.",
        {
            "29": "reproduced under conditions",
            "30": "reproduced",
            "31": "contradicted",
            "31c": "reproduced under conditions",
            "32": "reproduced under conditions",
        },
    ),
    "beyond": (
        "With a large enough η, training raises the Hessian's largest eigenvalue to 2/η and keeps "
        "it there. Nearly all other eigenvalues are close to zero, and most of a batch's gradient "
        "lies along the few large ones. With a fixed η the loss ends on a floor in proportion to "
        "η/((1 − λ)B), so a larger B does what a smaller η does. The updates to a loss fall like "
        "1/B up to a critical batch size, and hardly beyond.",
        {
            "D1": "reproduced",
            "D2": "reproduced under conditions",
            "D3": "reproduced",
            "D5": "reproduced",
            "D6": "reproduced",
            "D7": "reproduced",
        },
    ),
}
HEAD = """\
---
hide: [toc]
description: Every claim of the notes on batches and momentum, with the slide's number and ours.
---

# The ledger

Every claim of [the lecture's notes](lecture.md): the number on the lecture's slide, the number that
we measured, and the verdict, by [a rule](rules.md) that was fixed before the measurement. The
number in front of a row leads to the page that measured the claim, with its code, its rule and its
figures. A letter marks what the notes leave out and a reader asks next. No row was left out because
of its verdict.
"""


def plain(text):
    """Escape what Markdown would take for its own, also in a table, and write true minus signs.

    >>> plain("-0.5 of 1e-06 in a 64-64-10 network")
    '−0.5 of 1e−06 in a 64-64-10 network'
    """
    return re.sub(r"([\\`*_{}\[\]$|])", r"\\\1", html.escape(minus(text), quote=False))


def badge(claim):
    """Show a verdict as a colored word, and under how many conditions it holds."""
    word, share = claim["verdict"], claim["share"]
    badge = f'<span class="verdict {word.replace(" ", "-")}">{word}</span>'
    return f"{badge} ({share})" if share else badge


def believe(group, claims):
    """Return the sentence about a group, if the verdicts are those that it rests on."""
    sentence, premises = BELIEFS[group]
    found = {claim["claim"]: claim["verdict"] for claim in claims}
    for name, verdict in premises.items():
        if found[name] != verdict:
            raise ValueError(
                f"{sentence!r} rests on {verdict!r}, but claim {name}: {found[name]!r}"
            )
    return sentence


def note_of(folders):
    """Name the page of each example."""
    return {
        folder.name: f"notes/{script.parent.name}/{script.stem}.md"
        for script, folder in folders.items()
    }


def ledger(folders):
    """Write all the verdicts into tables, each row with a link to the page that measured it."""
    notes, claims = note_of(folders), run_all.read_claims(folders.values())
    parts = [HEAD.strip(), f"{run_all.count(claims)}\n{{ .count }}"]
    for group, title in TITLES.items():
        rows = [["#", "claim", "the slide", "ours", "verdict", "caveat"], ["---"] * 6]
        for claim in claims:
            note = notes[claim["example"]]
            if note.startswith(f"notes/{group}/"):
                link = f"[{claim['claim']}]({note}){{ #claim-{claim['claim']} }}"
                row = [link, *(plain(claim[key]) for key in ("statement", "slide", "measured"))]
                caveats = filter(None, [claim["conditions"], claim["caveat"]])
                rows.append([*row, badge(claim), "<br>".join(plain(it) for it in caveats)])
        table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        parts.append(
            f"## {title}\n\n**What to believe now.** {believe(group, claims)}\n\n"
            f'<div class="ledger" markdown>\n\n{table}\n</div>'
        )
    return "\n\n".join(parts) + "\n"


def fill(text, folders):
    """Put verdicts into a page: {claim 20} is a claim's verdict and the page that measured it."""
    notes = note_of(folders)
    claims = {claim["claim"]: claim for claim in run_all.read_claims(folders.values())}
    titles = {}
    for folder in folders.values():
        cells = json.loads((folder / "cells.json").read_text(encoding="utf-8"))["cells"]
        titles[folder.name] = cells[0]["text"].partition("\n")[0].removeprefix("# ")

    def put(match):
        if match[1] not in claims:
            raise ValueError(f"there is no claim {match[1]}")
        claim = claims[match[1]]
        note = f"[{titles[claim['example']]}]({notes[claim['example']]})"
        return f"[{badge(claim)}](ledger.md#claim-{match[1]})<br>{note}"

    return re.sub(r"\{claim (\w+)\}", put, text)
