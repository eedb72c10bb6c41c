"""Turn an example around: the claim, a bet, what was found and why; then how it was measured.

A script stands in the order in which it runs. Its page is made from the names of its cells, and of
what it kept:

    # %% [markdown]           text; the first cell is the title, the question and an introduction
    # %% plot                 only draws: its code is folded
    # %% bet                  evidence.bet(…): what a reader guesses before seeing the figure
    # %% play [markdown]      a link to a preset of the playground, and words: it stands there
    # %% why [markdown]       why it came out so
    # %% verdict              evidence.report(…): shown as cards
"""

import html
import json
import re

import run_all
from prose import size_of

FOLDED = {"plot": "The code of the figure", "verdict": "The code of the verdict"}


def complain(script, line, what):
    """Stop, and name the place."""
    raise ValueError(f"examples/{script.parent.name}/{script.name}:{line}: {what}")


def minus(text):
    """Write true minus signs.

    >>> minus("-0.5 of 1e-06 in a 64-64-10 network")
    '−0.5 of 1e−06 in a 64-64-10 network'
    """
    return re.sub(r"(?<![\w.-])-(?=\d)|(?<=\de)-(?=\d)", "−", text)


def escaped(text):
    """Escape text for HTML, and write true minus signs.

    >>> escaped("-0.5 < 1e-06 in a 64-64-10 network")
    '−0.5 &lt; 1e−06 in a 64-64-10 network'
    """
    return html.escape(minus(text), quote=False)


def fenced(language, text):
    """Put text in a fence."""
    return f"```{language}\n{text}\n```"


def block(tag, *parts, **attributes):
    """Put Markdown into an element."""
    names = "".join(f' {name.rstrip("_")}="{value}"' for name, value in attributes.items())
    return f"<{tag}{names} markdown>\n\n" + "\n\n".join(filter(None, parts)) + f"\n\n</{tag}>"


def require(script, folder, cells):
    """Refuse a script that lacks what its page needs, and name the place."""
    lines = {cell["name"]: cell["line"] for cell in cells}
    last = cells[-1]["line"]
    if "why" not in lines:
        complain(script, last, "no cell `# %% why [markdown]` says why it came out so")
    if not (folder / "bet.json").exists():
        complain(script, last, "no cell `# %% bet` lets the reader guess: evidence.bet(…)")
    if "verdict" not in lines:
        complain(script, last, "no cell `# %% verdict` has evidence.report(…)")
    figures = {
        file.stem.removeprefix("figure-"): run_all.read_record(file)
        for file in sorted(folder.glob("figure-*.json"))
    }
    drawn = {name.rpartition(".")[0]: it["line"] for it in cells for name in it["figures"]}
    for name, record in figures.items():
        for text in ("caption", "alt"):
            if not record[text]:
                complain(script, drawn[name], f"the figure {name} has no {text}")
    leading = [name for name, record in figures.items() if record["lead"]]
    if len(leading) != 1:
        complain(script, last, f"one figure leads, evidence.save(…, lead=True), not {leading}")
    if figures[leading[0]]["file"].endswith(".gif"):
        complain(script, drawn[leading[0]], "the leading figure stands still: it is an SVG")
    for claim in run_all.read_claims([folder]):
        if not claim["headline"]:
            complain(script, lines["verdict"], f"claim {claim['claim']} has no headline")
    if script.stem not in run_all.read_strips():
        complain(script, 1, "no robustness strip: python examples/run_all.py --robust")


# ── The parts of a page ──────────────────────────────────────────────────────────────────────────


def claims_card(claims):
    """Quote the notes, in their own words and in ours."""
    said, before = [], None
    for claim in claims:
        quote = re.sub(r"\\\((.*?)\\\)", r"\1", claim["quote"])  # what stood as a formula
        quoted = f'<p class="quote">{quote}</p>' if claim["quote"] != before else ""
        before = claim["quote"]
        said.append(
            f"<blockquote>{quoted if before else ''}<p>{escaped(claim['statement'])} "
            f'<a href="../../../ledger/#claim-{claim["claim"]}">claim {claim["claim"]}</a></p>'
            "</blockquote>"
        )
    head = '<p class="eyebrow">The notes on <a href="../../../lecture/">the lecture</a> say</p>'
    if not any(claim["quote"] for claim in claims):
        head = '<p class="eyebrow">Not in the notes; a reader asks it next</p>'
    return f'<section class="said" aria-label="The claim">{head}{"".join(said)}</section>'


def bet_box(folder, page):
    """Ask for a guess. The page's script makes it work; without it nothing is asked."""
    if not (folder / "bet.json").exists():
        return ""
    bet = run_all.read_record(folder / "bet.json")
    names = sorted((name for name in bet if name.startswith("option ")), key=lambda it: int(it[7:]))
    data = {key: bet[key] for key in ("symbol", "unit", "answer", "slider")}
    data |= {key: minus(bet[key]) for key in ("question", "told")}
    data = json.dumps(data | {"options": [bet[name] for name in names]}, ensure_ascii=False)
    data = html.escape(data)
    return f'<section class="bet" hidden data-page="{page}" data-bet="{data}"></section>'


def figure(folder, name):
    """Show a figure: light or dark, and narrow on phones if it leads."""
    stem, _, kind = name.rpartition(".")
    record = run_all.read_record(folder / f"figure-{stem}.json")
    width, height = size_of((folder / name).read_bytes())
    alt = html.escape(escaped(record["alt"] or record["caption"] or "Figure").replace('"', "'"))
    images = ""
    for suffix, theme in (("", "light"), ("-dark", "dark")):
        source = f'<source media="(max-width: 44em)" srcset="{stem}-narrow{suffix}.{kind}">'
        images += (
            f"<picture>{source if record['lead'] and kind == 'svg' else ''}"
            f'<img src="{stem}{suffix}.{kind}#only-{theme}" alt="{alt}" loading="lazy" '
            f'width="{width}" height="{height}"></picture>'
        )
    caption = f"<figcaption>{escaped(record['caption'])}</figcaption>" if record["caption"] else ""
    kinds = "shown leading" if record["lead"] else "shown"
    return (
        f'<figure class="{kinds}" id="{stem}"><div class="frame">{images}</div>{caption}</figure>'
    )


def verdict_card(claim):
    """Say what was found."""
    word, share = claim["verdict"], claim["share"]
    rows = {
        "the slide": claim["slide"],
        "measured": claim["measured"],
        "conditions": claim["conditions"],
        "but": claim["caveat"],
    }
    rows = "".join(
        f"<dt>{name}</dt><dd>{escaped(text)}</dd>" for name, text in rows.items() if text
    )
    headline = f'<p class="headline">{escaped(claim["headline"])}</p>' if claim["headline"] else ""
    return (
        f'<section class="found {word.replace(" ", "-")}" aria-label="Claim {claim["claim"]}">'
        f'<header><p class="word">{word}</p>{f"<p>{share}</p>" if share else ""}'
        f"<p>claim {claim['claim']}</p></header>{headline}"
        f'<p class="claimed">{escaped(claim["statement"])}</p><dl>{rows}</dl>'
        f"<details><summary>The rule, fixed before the run</summary>"
        f"<p>{escaped(claim['rule'])}</p></details></section>"
    )


def player(text):
    """Turn a link to the playground, and the words after it, into the playground itself."""
    link = re.fullmatch(r"\[(.*?)\]\(playground\.md#(.*?)\)\.?\s*(.*)", text.strip(), re.DOTALL)
    label, preset, words = link.groups()
    box = f'<div class="playground" data-preset="{html.escape(preset)}"></div>'
    whole = f"[The whole playground, so set](../../playground.md#{preset})"
    return block("section", f"## {label} {{ #play }}", words, box, whole, class_="play")


def strip(script):
    """Tell what the verdicts are with other settings."""
    rows = run_all.read_strips().get(script.stem, [])
    if len(rows) < 2:
        return ""
    names = list(rows[0]["verdicts"])
    lines = [["setting", *(f"claim {name}" for name in names)], ["---"] * (len(names) + 1)]
    for row in rows:
        told = ", ".join(f"{name} {value:g}" for name, value in row["setting"].items())
        words = [row["verdicts"].get(name, "") for name in names]
        flipped = [
            f"**{word}**" if word != rows[0]["verdicts"][name] else word
            for name, word in zip(names, words)
        ]
        lines.append([told or "as shown here", *flipped])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    date = json.loads(run_all.STRIPS.read_text(encoding="utf-8"))["date"]
    return (
        "### With other settings\n\nThe script was run again with one setting changed at a time "
        f"({date}). A verdict that changes is printed bold.\n\n{table}"
    )


def measured(script, folder, cells, seconds, lead):
    """Show the script cell by cell, with what it printed and drew."""
    parts = [lead, strip(script)]
    for cell in cells:
        if cell["name"] in ("bet", "play", "why"):
            continue
        if cell["kind"] == "markdown":
            text = re.sub(r"^#+ Verdict\s*", "", cell["text"].strip())
            parts.append(re.sub(r"^## ", "### ", text, flags=re.MULTILINE))
            continue
        code = fenced("python", cell["text"]) if cell["text"].strip() else ""
        if cell["name"] in FOLDED:
            lines = len(cell["text"].strip().splitlines())
            summary = f"<summary>{FOLDED[cell['name']]}, {lines} lines</summary>"
            code = block("details", summary, code, class_="folded")
        parts.append(code)
        printed = [line for line in cell["output"].splitlines() if not line.startswith("Drawn: ")]
        printed = "\n".join(printed).strip("\n")
        parts.append(fenced("text", printed) if printed and cell["name"] != "verdict" else "")
        for name in cell["figures"]:
            stem = name.rpartition(".")[0]
            record = run_all.read_record(folder / f"figure-{stem}.json")
            above = f'<p><a href="#{stem}">The figure above</a></p>'
            parts.append(above if record["lead"] else figure(folder, name))
    button = '<a class="md-button" download href="../{}">{}</a>'
    about = (
        f"<p>The script ran for {max(seconds, 1)} s. "
        f"{button.format(script.name, f'<code>{script.name}</code>')} "
        f"{button.format(f'{script.stem}.ipynb', 'Notebook')}</p>"
    )
    return "\n\n".join(["## How it was measured { #how }", about, *filter(None, parts)])


def page(script, folder, chapters=""):
    """Make the page of a script; `chapters` links the source that it uses."""
    record = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
    first, *cells = record["cells"]
    require(script, folder, cells)
    claims = run_all.read_claims([folder])
    named = {cell["name"]: cell for cell in cells if cell["name"] in ("play", "why")}
    title, _, lead = first["text"].strip().partition("\n")
    question, _, lead = lead.strip().partition("\n\n")
    leading = [
        record["file"]
        for record in map(run_all.read_record, sorted(folder.glob("figure-*.json")))
        if record["lead"]
    ]
    described = re.sub('"([^"]*)"', r"“\1”", " ".join(question.split()))  # " ends an attribute
    described = re.sub(r"[*`]", "", described)
    why = named["why"]["text"].strip() if "why" in named else ""
    outcome = [
        *(figure(folder, name) for name in leading),
        *map(verdict_card, claims),
        f"## Why {{ #why }}\n\n{why}" if why else "",
    ]
    parts = [
        f"---\ndescription: {json.dumps(described, ensure_ascii=False)}\n---",
        title,
        claims_card(claims),
        question,
        bet_box(folder, script.stem),
        block("div", *outcome, class_="outcome", id="outcome"),
        player(named["play"]["text"]) if "play" in named else "",
        measured(script, folder, cells, record["seconds"], lead.strip()),
        chapters,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


# ── Downloads ────────────────────────────────────────────────────────────────────────────────────


def embed(text, script):
    """Put what the examples share into the code that imports it, so that it runs by itself."""
    code = "import types\n"
    for name in ("rules", "evidence"):
        shared = (run_all.HERE / f"{name}.py").read_text(encoding="utf-8")
        if "'''" in shared:
            raise ValueError(f"{name}.py cannot be put into {script}")
        code += (
            f"\n# What the examples share: examples/{name}.py.\n"
            f"{name} = sys.modules[{name!r}] = types.ModuleType({name!r})\n"
            f"exec(r'''{shared}''', vars({name}))\n"
        )
    before = r"^sys\.path\.append\(.*\nimport evidence\n(import rules\n)?"
    text, count = re.subn(before, lambda _: code, f"{text}\n", flags=re.MULTILINE)
    if count != 1:
        complain(script, 1, "it does not import evidence as the others do")
    return text


def notebook(script, folder):
    """Make a notebook of a script, with what it printed and drew."""
    cells = json.loads((folder / "cells.json").read_text(encoding="utf-8"))["cells"]
    made = []
    for number, cell in enumerate(cells):
        text = cell["text"].strip("\n")
        text = embed(text, script).strip("\n") if "import evidence" in text else text
        one = {"id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        if cell["kind"] == "markdown":
            made.append(one | {"cell_type": "markdown"})
            continue
        if cell["name"]:
            one["metadata"] = {"tags": [cell["name"]]}
        outputs = []
        if cell["output"]:
            lines = cell["output"].splitlines(keepends=True)
            outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
        for name in cell["figures"]:
            if name.endswith(".svg"):
                drawing = (folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
                data = {"data": {"image/svg+xml": drawing}, "metadata": {}}
                outputs.append({"output_type": "display_data"} | data)
        made.append(one | {"cell_type": "code", "execution_count": None, "outputs": outputs})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, ensure_ascii=False, indent=1) + "\n"
