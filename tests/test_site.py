"""Every page of the built site, opened in a real browser: it is whole, quiet, and for everybody.

nox -s site

Needs Chromium, and npm for axe.
"""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from chromium import NEEDED, SITE, require

require(NEEDED)

PAGES = sorted(page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html"))
BROKEN = """() => [
    ...[...document.images].filter(it => it.checkVisibility() && it.complete && !it.naturalWidth),
    ...[...document.querySelectorAll(".arithmatex")].filter(it => !it.querySelector(".katex")),
    ...document.querySelectorAll(".katex-error"),
].map(it => it.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_quiet_and_for_everybody(page, tab, address, violations):
    told, asked = [], []
    tab.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("requestfailed", lambda request: told.append(f"failed: {request.url}"))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(address + page.removesuffix("index.html"), wait_until="networkidle")
    assert told == []
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert tab.evaluate(BROKEN) == []
    assert violations(tab) == []
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390, "wider than a phone"


class Links(HTMLParser):
    """Collect where a page leads, and what can be led to."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.targets = set(), set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src") and value is not None:
                self.targets.add(value)


def test_links_and_anchors_lead_somewhere():
    found, broken = {page: Links(SITE / page) for page in PAGES}, []
    for page, links in found.items():
        for target in links.targets:
            path, anchor = urldefrag(urljoin(f"http://here/{page}", target))
            if not path.startswith("http://here/"):
                continue
            path = unquote(path.removeprefix("http://here/"))
            path += "index.html" if path == "" or path.endswith("/") else ""
            known = found[path].ids if path in found else None
            anchor = "" if "=" in anchor else anchor  # settings of the playground are no place
            if not (SITE / path).is_file() or (anchor and known and unquote(anchor) not in known):
                broken.append((page, target))
    assert broken == []


@pytest.mark.parametrize("word", ["动量", "momentum", "鞍点"])
def test_the_search_finds_it_in_either_language(word, tab, address):
    tab.goto(address, wait_until="networkidle")
    tab.click("input[name=query]")
    tab.get_by_text("Type to start searching").wait_for()
    tab.keyboard.type(word)
    tab.keyboard.press("End")  # the page looks when a key is released, as typed Chinese does not
    found = tab.locator(".md-search-result__item mark", has_text=re.compile(word, re.IGNORECASE))
    found.first.wait_for(state="attached")
