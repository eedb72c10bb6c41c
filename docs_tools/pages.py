"""Write the site as a plain folder of Markdown, with the configuration to build it from.

python docs_tools/pages.py && properdocs build -f build/pages/mkdocs.yml

The folder has what is written in docs/, with the excerpts, the drawings and the numbers filled in,
and the pages that nobody writes: the notes, the ledger, the speed, the reference.
"""

import ast
import functools
import hashlib
import io
import json
import re
import subprocess
import sys
import textwrap
import zipfile
import zlib

import chinese
import course
import fences
import ledger
import prose
import run_all
import weave
import yaml
from card import card
from ledger import TITLES, badge
from precompute import playground, precompute, presets
from vendor import ASSETS, MADE, ROOT, fetch, put, runtime

DOCS = ROOT / "docs"
LIVE = ("index.md", "fifteen_minutes.md", "source/")  # whose code readers can run on the page
MODULES = (  # in reading order
    *("core", "entry", "refusals", "recording", "ops", "indexing", "functions", "tensor"),
    *("numpy_functions", "advice", "check", "backend", "parameters", "nn", "state"),
    *("data", "datasets", "optim", "training"),
    *("spectrum", "stacked", "curvature", "distributed", "notation", "graph"),
)
# What the Chinese edition takes from the English one.
SHARED = (
    *("assets/exercise", "assets/graph", "assets/live", "assets/ledger", "assets/notes"),
    *("assets/site", "assets/words", "embed.html"),
)
NUMPY = "https://numpy.org/doc/stable/reference/"
NUMPY_NAMES = {  # that signatures link
    "numpy.ndarray": "generated/numpy.ndarray.html",
    "numpy.random.Generator": "random/generator.html#numpy.random.Generator",
}


def examples():
    """List the scripts, with a line about each, in the order of examples/README.md."""
    text = (run_all.HERE / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"\((\w+/\w+\.py)\) \| (.*) \|", text)
    return {run_all.HERE / script: line for script, line in lines}


def pair(figure, alt, attributes=""):
    """Show the light and the dark version of a figure, each on its pages."""
    stem, _, kind = figure.rpartition(".")
    return "\n".join(
        f"![{alt}]({stem}{suffix}.{kind}#only-{theme}){{ loading=lazy {attributes}}}"
        for suffix, theme in (("", "light"), ("-dark", "dark"))
    )


# ── The notes, made from the examples ────────────────────────────────────────────────────────────


@functools.cache
def shown():
    """List which chapters show the source of which public names: `optim.SGD` and so on."""
    found = {}
    for chapter in chapters():
        text = (DOCS / chapter).read_text(encoding="utf-8")
        for module, name in re.findall(r'source="(\w+)\.py:([A-Z]?\w+)', text):
            found.setdefault(f"{module}.{name}", []).append(chapter)
    return found


def used(script):
    """List the chapters that show the source of what a script uses."""
    names = re.findall(r"\btg\.([\w.]+)", script.read_text(encoding="utf-8"))
    places = [place for name in names if (place := place_of(name)) and "#" in place]
    public = {".".join(place.partition("#")[2].split(".")[1:3]) for place in places}
    return [
        chapter for chapter in chapters() if any(chapter in shown().get(it, ()) for it in public)
    ]


def card_of(script, folder, summary):
    """Make the card that leads to a script's page: its main figure, its title, its verdicts."""
    cells = json.loads((folder / "cells.json").read_text(encoding="utf-8"))["cells"]
    title = cells[0]["text"].strip().partition("\n")[0].removeprefix("# ")
    records = map(run_all.read_record, sorted(folder.glob("figure-*.json")))
    figures = sorted(records, key=lambda it: (not it["lead"], it["file"].endswith(".gif")))
    told = " · ".join(f"claim {it['claim']} {badge(it)}" for it in run_all.read_claims([folder]))
    link = f"{script.parent.name}/{script.stem}"
    card = [pair(f"{link}/{it['file']}", "", ".thumbnail ") for it in figures[:1]]
    card = "\n\n".join([*card, f"**[{title}]({link}.md)**", summary, told])
    return "-" + textwrap.indent(card, "    ")[1:]


def notes(folders):
    """Weave all the examples, and lay out their cards."""
    pages, index, claims = {}, [], run_all.read_claims(folders.values())
    for group in run_all.GROUPS:
        title, cards = TITLES[group], []
        for script, summary in examples().items():
            if script.parent.name != group:
                continue
            folder = folders[script]
            links = [f"* [{title_of(it)}](../../{it})" for it in used(script)]
            told = "\n".join(["The source that it uses:\n", *links]) if links else ""
            pages[f"notes/{group}/{script.stem}.md"] = weave.page(script, folder, told)
            text = script.read_text(encoding="utf-8")
            pages[f"notes/{group}/{script.name}"] = weave.embed(text, script)
            pages[f"notes/{group}/{script.stem}.ipynb"] = weave.notebook(script, folder)
            for file in [*folder.glob("*.svg"), *folder.glob("*.gif")]:
                pages[f"notes/{group}/{script.stem}/{file.name}"] = file.read_bytes()
            cards.append(card_of(script, folder, summary))
        cards = '<div class="grid cards" markdown>\n\n' + "\n\n".join(cards) + "\n\n</div>\n"
        pages[f"notes/{group}/index.md"] = (
            f"# {title}\n\n{ledger.believe(group, claims)}\n\n" + cards.replace(f"({group}/", "(")
        )
        index.append(f"## {title}\n\n{cards}")
    pages["notes/index.md"] = (
        "# The notes, concept by concept\n\nEvery page is a script. It quotes a claim of the "
        "notes, measures it, shows the result, and gives a verdict. All verdicts are in the "
        "[ledger](../ledger.md).\n\n" + "\n".join(index)
    )
    return pages


# ── The rest ─────────────────────────────────────────────────────────────────────────────────────


def speed():
    """Join what benchmarks/ says with the results that it keeps."""
    folder = ROOT / "benchmarks"
    text, pages = (folder / "README.md").read_text(encoding="utf-8"), {}
    text = text.replace("[`peers/`](peers)", "`benchmarks/peers/`")
    text = re.sub(r"\(results/([\w-]+\.svg)\)", r"(assets/speed/\1){ .paper }", text)
    for result in sorted((folder / "results").glob("*.md")):
        text += f"\n## All numbers: {result.stem}\n"
        picture = result.with_suffix(".svg")
        if picture.exists():
            pages[f"assets/speed/{picture.name}"] = picture.read_bytes()
            if picture.name not in text:
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
    package = fences.PACKAGE
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
        first = json.dumps(ast.get_docstring(tree).splitlines()[0])
        head = f"---\ndescription: {first}\n---\n\n# {name}"
        pages[f"api/{name}.md"] = f"{head}\n\n{told}::: tinygrad_edu.{name}\n"
    head = "# Reference\n\nThe modules in reading order.\n\n| module | what it tells |\n|---|---|\n"
    return pages | {"api/index.md": head + rows}


def zipped():
    """Pack the package for Python in the browser, always into the same bytes."""
    package, packed = fences.PACKAGE, io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted([*package.glob("*.py"), *package.glob("*.npz")]):
            undated = zipfile.ZipInfo(f"tinygrad_edu/{file.name}")
            archive.writestr(undated, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


# ── What is filled into pages ────────────────────────────────────────────────────────────────────


@functools.cache
def tests():
    """List the tests that pytest finds, without those that need JAX or a site that is built."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    without = ["oracle", "programs", "site", "chinese_site", "live", "playground_page"]
    without += ["players", "learn", "pyodide"]
    command += [f"--ignore=tests/test_{name}.py" for name in without]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"pytest cannot collect the tests:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def count_tests(text, found):
    """Put in how many tests there are, and refuse names of tests that are not there.

    >>> count_tests("{{tests/test_a.py}} tests, `test_x`", ["tests/test_a.py::test_x"])
    '1 tests, `test_x`'
    """

    def count(match):
        number = sum(test.startswith(match[1]) for test in found)
        if not number:
            raise ValueError(f"no test is called {match[1]}…")
        return f"{number:,}"

    names = {test.rpartition("::")[2] for test in found}
    for name in re.findall(r"`(test_\w+(?:\[[^`]*\])?)`", text):
        if name not in names and not any(known.startswith(f"{name}[") for known in names):
            raise ValueError(f"there is no test {name}")
    return re.sub(r"\{\{(\S*)\}\}", count, text)


def place_of(name):
    """Find the reference of a public name: its page and its anchor, or None.

    >>> place_of("grad"), place_of("nn.Linear"), place_of("nn"), place_of("unknown")
    ('core.md#tinygrad_edu.core.grad', 'nn.md#tinygrad_edu.nn.Linear', 'nn.md', None)
    """
    first, _, rest = name.partition(".")
    if first in MODULES and not rest:
        return f"{first}.md"
    for module in [first] if first in MODULES else MODULES:
        inner = rest if first in MODULES else name
        source = (fences.PACKAGE / f"{module}.py").read_text(encoding="utf-8")
        try:
            fences.find(ast.parse(source), inner)
        except (ValueError, AttributeError):
            continue
        return f"{module}.md#tinygrad_edu.{module}.{inner}"
    return None


def link_names(text, page):
    """Link code such as `tg.grad` to the reference, but not in headings, fences and links."""

    def link(match):
        place = place_of(match[1])
        return f"[{match[0]}]({'../' * page.count('/')}api/{place})" if place else match[0]

    parts, done = [], 0
    for fence in [*fences.parse(text), None]:
        prose = text[done : fence.start if fence else len(text)]
        pattern = r"^#.*$|\[[^\]\n]*\]\([^)]*\)|(?<!`)`tg\.([\w.]+)`(?!`)"
        put_in = re.sub(pattern, lambda m: link(m) if m[1] else m[0], prose, flags=re.MULTILINE)
        parts += [put_in, text[fence.start : fence.end] if fence else ""]
        done = fence.end if fence else done
    return "".join(parts)


def judged(folders):
    """List the claims of each note."""
    return {
        f"notes/{script.parent.name}/{script.stem}.md": run_all.read_claims([folder])
        for script, folder in folders.items()
    }


# ── The folder ───────────────────────────────────────────────────────────────────────────────────


def inventory():
    """Write an inventory of NumPy's names, as Sphinx does; named by its content, for caches."""
    lines = "".join(f"{name} py:class 1 {place} -\n" for name, place in NUMPY_NAMES.items())
    head = "# Sphinx inventory version 2\n# Project: NumPy\n# Version: 2\n# zlib:\n"
    data = head.encode() + zlib.compress(lines.encode())
    return f"numpy-{hashlib.sha256(data).hexdigest()[:8]}.inv", data


def folder(name):
    """List a folder's pages in reading order."""
    if name == "source/":
        return ["source/index.md", *chapters()]
    if name == "api/":
        return ["api/index.md", *(f"api/{module}.md" for module in MODULES)]
    groups = {group: [f"notes/{group}/index.md"] for group in TITLES}
    for script in examples():
        groups[script.parent.name].append(f"notes/{script.parent.name}/{script.stem}.md")
    groups = [{TITLES[group]: pages} for group, pages in groups.items()]
    return ["notes/index.md", "lecture.md", *groups, "ledger.md"]


def addresses(config):
    """Say where the package is, once it is there: the addresses stand in mkdocs.yml.

    >>> addresses({"repo_url": None, "extra": {"index": None}})
    ''
    >>> addresses({"repo_url": "https://there", "extra": {"index": None}})
    'It is at <https://there>.'
    """
    found = [address for address in (config["repo_url"], config["extra"]["index"]) if address]
    return f"It is at {' and '.join(f'<{address}>' for address in found)}." if found else ""


def settings():
    """Read mkdocs.yml."""
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def configuration(live, catalog=None):
    """Complete mkdocs.yml: the navigation, where a folder stands for its pages, and the paths.

    With a catalog it is that of the Chinese edition, which stands in a folder of the English one
    and takes its scripts and styles from there.
    """
    config = settings()
    config["theme"]["custom_dir"] = str(ROOT / "docs_tools" / "theme")
    config["nav"] = [
        {title: folder(target) if str(target).endswith("/") else target}
        for entry in config["nav"]
        for title, target in entry.items()
    ]
    if live:
        prism = [f"prism/components/prism-{name}.min" for name in ("core", "python")]
        scripts = ["live/python", "live/editor", *prism, "live/fences"]
        config["extra_javascript"] += [f"assets/{script}.js" for script in scripts]
        config["extra_css"].append("assets/live/fences.css")
    config["extra_javascript"].append("assets/exercise/exercise.js")  # after what it uses
    plugins = {name: options for plugin in config["plugins"] for name, options in plugin.items()}
    python = plugins["mkdocstrings"]["handlers"]["python"]
    name, data = inventory()
    put(MADE.parent / name, data)
    python["inventories"] = [{"url": (MADE.parent / name).as_uri(), "base_url": NUMPY}]
    python["options"]["extensions"] = [str(ROOT / "docs_tools" / "doctests.py")]
    plugins["search"]["jieba_dict_user"] = str(chinese.FOLDER / "words.txt")  # to be kept whole
    config |= {"docs_dir": str(MADE), "site_dir": str(ROOT / "site")}
    if catalog:
        config |= {"docs_dir": str(MADE.parent / "zh"), "site_dir": str(ROOT / "site" / "zh")}
        config["theme"]["language"] = "zh-Hans"
        config["extra_javascript"].insert(0, "assets/words.zh.js")
        for kind in ("extra_css", "extra_javascript"):
            config[kind] = [f"../{file}" for file in config[kind]]
        config["nav"] = catalog.navigation(config["nav"])
        plugins["search"]["lang"] = "zh"
    return yaml.safe_dump(config, allow_unicode=True, sort_keys=False, width=100)


def written(live):
    """Read docs/, and put the excerpts, the drawings, the numbers and the links into its pages."""
    pages = {}
    for file in sorted(file for file in DOCS.rglob("*") if file.is_file()):
        name = file.relative_to(DOCS).as_posix()
        if file.suffix != ".md":
            pages[name] = file.read_bytes()
            continue
        text = file.read_text(encoding="utf-8")
        text = count_tests(text, tests()) if "{{" in text else text
        text = fences.expand(text, f"docs/{name}", live and name.startswith(LIVE))
        pages[name] = link_names(text, name)
    return pages


def write(begun=()):
    """Run the examples that have changed, and write the folders of both editions.

    Return the catalog of the Chinese one, in which the pages that are begun now are, too.
    """
    vendored = [fetch(package) for package in ("katex", "d3-array", "d3-contour", "prismjs")]
    live = runtime() is not None
    folders, failures = run_all.run_scripts(ROOT / "build" / "examples")
    if failures:
        raise ValueError("\n".join(failures))
    pages = written(live)
    pages["index.md"] = pages["index.md"].replace("{addresses}", addresses(settings()))
    pages["lecture.md"] = ledger.fill(pages["lecture.md"], folders)
    pages |= course.pages(chapters(), pages["course.md"])
    pages |= notes(folders) | {"ledger.md": ledger.ledger(folders)} | speed() | reference()
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        pages[name.lower()] = text.replace("](docs/", "](")  # on the site, they stand in docs/
    pages["assets/live/tinygrad_edu.zip"] = zipped()
    pages["assets/card.png"] = card()
    texts = {name: page for name, page in pages.items() if name.endswith(".md")}
    links = presets(texts.values())
    timed = [note for note, claims in judged(folders).items() if any(it["timing"] for it in claims)]
    catalog, translated = chinese.Catalog(begun=begun, timed=timed), {}
    for name, text in texts.items():
        pages[name] = prose.mark_chinese(prose.finish(text, name, pages))
        text = text.replace('src="../embed.html', 'src="../../embed.html')  # the English one's
        translated[name] = prose.finish(chinese.page(text, name, catalog), name, pages)
    for surface in playground.SURFACES:
        pages[f"assets/playground/precomputed/{surface}.js"] = precompute(surface, links)
    pages["assets/words.zh.js"] = catalog.script(DOCS / "assets", course.messages(chapters()))
    shown = {name: it for name, it in pages.items() if not name.startswith(SHARED)} | translated
    for name in [name for name in shown if re.fullmatch(r"notes/.*\.svg", name)]:
        shown[name] = chinese.figure(shown[name], name, catalog)
    replace(MADE, pages, [*vendored, ASSETS / "pyodide"])
    replace(MADE.parent / "zh", shown)
    put(MADE.parent / "mkdocs.yml", configuration(live).encode())
    put(MADE.parent / "zh.yml", configuration(live, catalog).encode())
    return catalog


def replace(folder, pages, kept=()):
    """Write the pages into a folder, and remove what is there from a page that is gone."""
    for name, content in pages.items():
        put(folder / name, content if isinstance(content, bytes) else content.encode())
    for file in folder.rglob("*.*"):
        known = file.relative_to(folder).as_posix() in pages or file.is_dir()
        if not known and not any(file.is_relative_to(it) for it in kept):
            file.unlink()


if __name__ == "__main__":
    options = sys.argv[1:]
    try:
        catalog = write([name for name in options if name.endswith(".md")])
    except ValueError as error:
        sys.exit(f"error: {error}")
    if "--update" in options:
        catalog.update()
    print(catalog.progress())
    problems = catalog.problems()
    print(*(f"warning: translations/zh/{problem}" for problem in problems), sep="\n")
    sys.exit("--strict" in options and bool(problems))
