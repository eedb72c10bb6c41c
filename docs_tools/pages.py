"""Make the pages that nobody writes: the notes, the ledger, the speed, the reference.

python docs_tools/pages.py

They are written into docs/, where Git ignores them, and only if they have changed.
"""

import ast
import html
import io
import json
import re
import sys
import textwrap
import zipfile

from precompute import playground, precompute
from vendor import ROOT, fetch, put, runtime

sys.path.insert(0, str(ROOT / "examples"))
import run_all

DOCS = ROOT / "docs"
MADE = ("notes", "api", "ledger.md", "speed.md", "contributing.md", "changelog.md")
TITLES = {  # of the examples' folders
    "batch": "Batches (批次)",
    "momentum": "Momentum (动量)",
    "critical_points": "Critical points (临界点)",
    "beyond": "Beyond the notes",
}
MODULES = (  # in reading order
    *("core", "entry", "refusals", "recording", "ops", "indexing", "functions", "tensor"),
    *("numpy_functions", "advice", "check", "backend", "parameters", "nn", "state"),
    *("data", "datasets", "optim", "training"),
    *("spectrum", "curvature", "distributed", "graph", "evidence"),
)
LEDGER = """\
---
hide: [toc]
---

# The ledger

Every claim of the notes, with the number on the lecture's slide, the number that was measured here,
and the verdict, by a rule that was fixed before. The number in front leads to the page that
measured it, with its code, its rule and its figures. A letter marks what the notes leave out and a
reader asks next. No row was left out because of what it says.
"""


def examples():
    """List the scripts, with a line about each, in the order of examples/README.md."""
    text = (run_all.HERE / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"\((\w+/\w+\.py)\) \| (.*) \|", text)
    return {run_all.HERE / script: line for script, line in lines}


def fenced(language, text):
    """Put text in a fence."""
    return f"```{language}\n{text}\n```"


def plain(text):
    """Escape what Markdown would take for its own, in a table as well."""
    return re.sub(r"([\\`*_{}\[\]$|])", r"\\\1", html.escape(text, quote=False))


def pair(figure, alt, attributes=""):
    """Show the light and the dark version of a figure, each on its pages."""
    stem, _, kind = figure.rpartition(".")
    return "\n".join(
        f"![{alt}]({stem}{suffix}.{kind}#only-{theme}){{ loading=lazy {attributes}}}"
        for suffix, theme in (("", "light"), ("-dark", "dark"))
    )


# ── The notes, woven from the examples ───────────────────────────────────────────────────────────


def badge(claim):
    """Show a verdict as a colored word."""
    word = claim["verdict"]
    return f'<span class="verdict {word.replace(" ", "-")}">{word}</span>'


def weave(script, folder, summary):
    """Make a page from a script and what its cells printed and drew; return it with its card."""
    cells = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
    title, _, lead = cells[0]["text"].partition("\n")
    title, heading = title.removeprefix("# "), title.removeprefix("# ")
    claims = run_all.read_claims([folder])
    told = " · ".join(f"claim {claim['claim']} {badge(claim)}" for claim in claims)
    parts = [
        f"# {title}",
        f"{told} · [`{script.name}`]({script.name}){{ download }}\n{{ .about }}",
        lead.strip(),
    ]
    figures = [figure for cell in cells for figure in cell["figures"]]
    for cell in cells[1:]:
        if cell["kind"] == "markdown":
            parts.append(cell["text"].strip())
            heading = re.findall(r"^#+ (.*)", f"# {heading}\n{cell['text']}", re.MULTILINE)[-1]
            continue
        printed = [line for line in cell["output"].splitlines() if not line.startswith("Drawn: ")]
        printed = "\n".join(printed).strip("\n")
        parts += [fenced("python", cell["text"])] if cell["text"].strip() else []
        parts += [fenced("text", printed)] if printed else []
        alt = f"Figure: {plain(heading)}"
        parts += [pair(f"{script.stem}/{figure}", alt) for figure in cell["figures"]]
    still = [figure for figure in figures if figure.endswith(".svg")] or figures
    link = f"{script.parent.name}/{script.stem}"
    card = [pair(f"{link}/{figure}", "", ".thumbnail ") for figure in still[:1]]
    card = "\n\n".join([*card, f"**[{title}]({link}.md)**", summary, told])
    return "\n\n".join(parts) + "\n", "-" + textwrap.indent(card, "    ")[1:]


def notes(folders):
    """Weave all the examples, and lay out their cards."""
    pages, index = {}, []
    for group in run_all.GROUPS:
        title, cards = TITLES[group], []
        for script, summary in examples().items():
            if script.parent.name != group:
                continue
            folder = folders[script]
            page, card = weave(script, folder, summary)
            pages[f"notes/{group}/{script.stem}.md"] = page
            pages[f"notes/{group}/{script.name}"] = script.read_text(encoding="utf-8")
            for file in [*folder.glob("*.svg"), *folder.glob("*.gif")]:
                pages[f"notes/{group}/{script.stem}/{file.name}"] = file.read_bytes()
            cards.append(card)
        cards = '<div class="grid cards" markdown>\n\n' + "\n\n".join(cards) + "\n\n</div>\n"
        pages[f"notes/{group}/index.md"] = f"# {title}\n\n" + cards.replace(f"({group}/", "(")
        index.append(f"## {title}\n\n{cards}")
    pages["notes/index.md"] = (
        "# The notes, concept by concept\n\nEvery page is a script: it says what the notes claim, "
        "runs, shows what came out, and judges. All verdicts are in the [ledger](../ledger.md).\n\n"
        + "\n".join(index)
    )
    return pages


def ledger(folders):
    """Write all the verdicts into tables, each with a link to the page that measured it."""
    page = {folder.name: script for script, folder in folders.items()}
    claims = run_all.read_claims(folders.values())
    parts = [LEDGER.strip(), run_all.count(claims)]
    tables = {"Measured": [], "Definitions": []}
    for claim in claims:
        script = page[claim["example"]]
        link = f"[{claim['claim']}](notes/{script.parent.name}/{script.stem}.md)"
        row = [link, *(plain(claim[key]) for key in ("statement", "slide", "measured"))]
        row += [badge(claim), plain(claim["caveat"])]
        tables["Definitions" if claim["verdict"] == "definition" else "Measured"].append(row)
    for title, rows in tables.items():
        head = [["#", "claim", "the slide", "ours", "verdict", "caveat"], ["---"] * 6]
        table = "".join(f"| {' | '.join(row)} |\n" for row in head + rows)
        parts.append(f'## {title}\n\n<div class="ledger" markdown>\n\n{table}\n</div>')
    return "\n\n".join(parts) + "\n"


# ── The rest ─────────────────────────────────────────────────────────────────────────────────────


def speed():
    """Join what benchmarks/ says with the results that it keeps."""
    folder = ROOT / "benchmarks"
    text, pages = (folder / "README.md").read_text(encoding="utf-8"), {}
    text = text.replace("[`peers/`](peers)", "`benchmarks/peers/`")
    for result in sorted((folder / "results").glob("*.md")):
        text += f"\n## {result.stem}\n"
        picture = result.with_suffix(".svg")
        if picture.exists():
            pages[f"assets/speed/{picture.name}"] = picture.read_bytes()
            alt = "The time of one update over the batch size, for each library"
            text += f"\n![{alt}](assets/speed/{picture.name}){{ .paper }}\n"
        text += f"\n{result.read_text(encoding='utf-8').strip()}\n"
    return pages | {"speed.md": text}


def chapters():
    """List the chapters on the source in the order of their table of contents."""
    text = (DOCS / "source" / "index.md").read_text(encoding="utf-8")
    names = dict.fromkeys(re.findall(r"\]\((\w+\.md)\)", text))  # a set that keeps the order
    return [f"source/{name}" for name in names if (DOCS / "source" / name).exists()]


def title_of(page):
    """Read the heading of a page."""
    return (DOCS / page).read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")


def reference():
    """Make a page for each module, and the list of them."""
    package = ROOT / "tinygrad_edu"
    missing = {file.stem for file in package.glob("[!_]*.py")} ^ set(MODULES)
    if missing:
        raise ValueError(f"MODULES and the package differ in {missing}")
    rows, pages = "", {}
    for name in MODULES:
        tree = ast.parse((package / f"{name}.py").read_text(encoding="utf-8"))
        rows += f"| [`{name}`]({name}.md) | {ast.get_docstring(tree).splitlines()[0]} |\n"
        read = [c for c in chapters() if f'source="{name}.py' in (DOCS / c).read_text("utf-8")]
        links = ", ".join(f"[{title_of(chapter)}](../{chapter})" for chapter in read)
        told = f"Explained line by line: {links}.\n\n" if links else ""
        pages[f"api/{name}.md"] = f"# {name}\n\n{told}::: tinygrad_edu.{name}\n"
    head = "# Reference\n\nThe modules in reading order.\n\n| module | what it tells |\n|---|---|\n"
    return pages | {"api/index.md": head + rows}


def zipped():
    """Pack the package for Python in the browser, always into the same bytes."""
    package, packed = ROOT / "tinygrad_edu", io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted([*package.glob("*.py"), *package.glob("*.npz")]):
            undated = zipfile.ZipInfo(f"tinygrad_edu/{file.name}")
            archive.writestr(undated, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def write():
    """Run the examples that have changed, and write all pages; tell if they can run Python."""
    for package in ("katex", "d3-array", "d3-contour"):
        fetch(package)
    live = runtime() is not None
    folders, failures = run_all.run_scripts(ROOT / "build" / "examples")
    if failures:
        raise ValueError("\n".join(failures))
    pages = notes(folders) | {"ledger.md": ledger(folders)} | speed() | reference()
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        pages[name.lower()] = text.replace("](docs/", "](")  # on the site, they stand in docs/
    pages["assets/live/tinygrad_edu.zip"] = zipped()
    for surface in playground.SURFACES:
        pages[f"assets/playground/precomputed/{surface}.js"] = precompute(surface)
    for name, content in pages.items():
        put(DOCS / name, content if isinstance(content, bytes) else content.encode())
    for name in MADE:  # what an example that is gone has left
        for file in (DOCS / name).rglob("*.*"):
            if str(file.relative_to(DOCS)) not in pages:
                file.unlink()
    return live


if __name__ == "__main__":
    write()
