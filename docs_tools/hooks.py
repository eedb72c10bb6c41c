"""What MkDocs calls while it builds the site."""

import re

import fences
import pages
from mkdocs.exceptions import PluginError

LIVE = ("index.md", "fifteen_minutes.md", "source/")  # whose code readers can run on the page
NUMPY = "https://numpy.org/doc/stable/reference"
NUMPY_NAMES = {
    "numpy.ndarray": f"{NUMPY}/generated/numpy.ndarray.html",
    "numpy.random.Generator": f"{NUMPY}/random/generator.html#numpy.random.Generator",
}


def folder(name):
    """List a folder's pages in reading order."""
    if name == "source/":
        return ["source/index.md", *pages.chapters()]
    if name == "api/":
        return ["api/index.md", *(f"api/{module}.md" for module in pages.MODULES)]
    groups = {group: [f"notes/{group}/index.md"] for group in pages.TITLES}
    for script in pages.examples():
        groups[script.parent.name].append(f"notes/{script.parent.name}/{script.stem}.md")
    return ["notes/index.md", *({pages.TITLES[group]: groups[group]} for group in groups)]


def on_config(config):
    """Complete the navigation, where a folder stands for its pages, and tell of NumPy's names."""
    config.nav = [
        {title: folder(target) if str(target).endswith("/") else target}
        for entry in config.nav
        for title, target in entry.items()
    ]
    for name, url in NUMPY_NAMES.items():
        config.plugins["autorefs"].register_url(name, url)


def on_pre_build(config):
    """Write the pages that are made."""
    try:
        if pages.write():
            config.extra_javascript += ["assets/live/python.js", "assets/live/fences.js"]
            config.extra_css.append("assets/live/fences.css")
    except ValueError as error:
        raise PluginError(str(error)) from None


def on_page_markdown(markdown, page, config, files):
    """Put in the excerpts and the drawings."""
    live = "assets/live/fences.js" in config.extra_javascript
    try:
        uri = page.file.src_uri
        return fences.expand(markdown, f"docs/{uri}", live and uri.startswith(LIVE))
    except ValueError as error:
        raise PluginError(str(error)) from None


def on_page_content(html, page, config, files):
    """Link code such as `tg.grad` to the reference."""
    link = r'<autoref identifier="tinygrad_edu.\1" optional>\g<0></autoref>'
    return re.sub(r"(?<!>)<code>tg\.([\w.]+)</code>", link, html)
