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
evidence = pytest.importorskip("evidence", reason="the examples are not part of this package")

BOTH = sorted(page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html"))
PAGES = [page for page in BOTH if not page.startswith("zh/")]  # those: tests/test_chinese_site.py
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


def test_the_ledger_is_filtered_and_every_claim_has_an_anchor(tab, address):
    tab.goto(f"{address}ledger/#claim-31")
    row = tab.locator("tr", has=tab.locator("#claim-31"))
    assert row.evaluate("it => it.getBoundingClientRect().top < innerHeight")
    buttons = [it.inner_text() for it in tab.locator(".filters button").all()]
    words = {button.partition(" (")[0] for button in buttons}
    assert words <= {"all", *evidence.VERDICTS}
    assert len(words) == len(buttons)  # one for each word
    tab.get_by_role("button", name=re.compile("contradicted")).click()
    shown = [row.inner_text() for row in tab.locator(".ledger tbody tr:visible").all()]
    assert shown
    assert all("contradicted" in text for text in shown)
    tab.get_by_role("button", name=re.compile("all")).click()
    assert tab.locator(".ledger tbody tr[hidden]").count() == 0
    assert not re.search(r"\s-\d", tab.locator(".md-content").inner_text()), "true minus signs"


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_picture_moves_where_that_is_welcome_and_can_be_stopped(motion, browser, address):
    context = browser.new_context(reduced_motion=motion)
    page = context.new_page()
    page.goto(f"{address}notes/batch/mortar_and_gatling/#outcome", wait_until="networkidle")
    still, image = page.locator(".moving canvas:visible"), page.locator(".moving img:visible")
    assert (still.count(), image.count()) == ((1, 0) if motion == "reduce" else (0, 1))
    page.locator(".moving button:visible").click()
    assert (still.count(), image.count()) == ((0, 1) if motion == "reduce" else (1, 0))
    context.close()


# ── Bets ─────────────────────────────────────────────────────────────────────────────────────────

NOTE = "notes/momentum/weighted_sum/"


@pytest.fixture
def note(tab, address):
    """Open a note as a new reader does."""
    tab.goto(address + NOTE)
    tab.evaluate("localStorage.clear()")
    tab.goto(address + NOTE)
    return tab


def test_a_bet_hides_the_outcome_until_it_is_placed_and_is_kept(note):
    assert not note.locator("#outcome").is_visible()
    assert note.get_by_role("button", name="Place the bet").is_disabled()
    note.locator(".bet input").fill("65")
    note.get_by_role("button", name="Place the bet").click()
    assert note.locator("#outcome").is_visible()
    assert "65 %" in note.locator(".settled").inner_text()
    assert note.evaluate("document.activeElement.className") == "settled"
    note.reload()
    assert "65 %" in note.locator(".settled").inner_text()
    note.get_by_role("button", name="Bet again").click()
    note.reload()
    assert not note.locator("#outcome").is_visible()


def test_the_answer_is_what_was_measured(note):
    note.get_by_role("button", name="Show me the answer").click()
    answer = note.locator(".settled strong").inner_text()
    assert f"{answer.replace(' %', '%')} of the weight" in note.locator("#outcome").inner_text()


@pytest.mark.parametrize("anchor", ["outcome", "why"])
def test_a_link_into_the_outcome_shows_it(anchor, note, address):
    note.goto(f"{address}{NOTE}#{anchor}")
    note.wait_for_function("document.getElementById('outcome').checkVisibility()")


@pytest.mark.parametrize("kept", ["no JSON", "7", "null", '{"weighted_sum": "much"}'])
def test_a_store_that_holds_something_else_is_no_bet(kept, note):
    note.evaluate("kept => localStorage.setItem('tinygrad_edu bets', kept)", kept)
    note.reload()
    assert note.get_by_role("button", name="Place the bet").is_visible()


def test_paper_and_browsers_without_scripts_show_all(note, browser, address):
    note.emulate_media(media="print")
    assert note.locator("#outcome").is_visible()
    assert not note.get_by_role("button", name="Place the bet").is_visible()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + NOTE)
    assert page.locator("#outcome").is_visible()
    assert not page.locator(".bet").is_visible()
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_first_figure_of_every_note_comes_early_and_can_be_read(width, tab, address):
    tab.set_viewport_size({"width": width, "height": 900})
    for page in (page for page in PAGES if page.startswith("notes/") and page.count("/") == 3):
        tab.goto(f"{address}{page.removesuffix('index.html')}#outcome")
        image = tab.locator("figure.leading img:visible")
        top = tab.evaluate("it => it.getBoundingClientRect().top + scrollY", image.element_handle())
        scale = image.evaluate("it => it.width / it.naturalWidth")
        assert 13 * scale >= 10, page  # pixels of its letters
        assert width < 1280 or top < 1350, page


def test_paper_shows_no_buttons(tab, address):
    tab.goto(f"{address}source/backward/")
    tab.emulate_media(media="print")
    assert tab.locator(".tools:visible, .md-code__nav:visible, .md-header:visible").count() == 0


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
    found, broken = {page: Links(SITE / page) for page in BOTH}, []
    for page, links in found.items():
        for target in links.targets:
            path, anchor = urldefrag(urljoin(f"http://here/{page}", target))
            if not path.startswith("http://here/"):
                continue
            path = unquote(path.removeprefix("http://here/").partition("?")[0])
            path += "index.html" if path == "" or path.endswith("/") else ""
            known = found[path].ids if path in found else None
            anchor = "" if "=" in anchor else anchor  # settings of the playground are no place
            if not (SITE / path).is_file() or (anchor and known and unquote(anchor) not in known):
                broken.append((page, target))
    assert broken == []


GOALS = {  # of those who heard the lecture, who want to know how autograd works, who teach
    "notes/momentum/rolling_ball/index.html",
    "ledger/index.html",
    "source/backward/index.html",
    "api/core/index.html",
    "teach/index.html",
    "source/optim/index.html",  # with an exercise
    "embed.html",
}


class Content(HTMLParser):
    """Collect the links in what a page says, and not those around it."""

    def __init__(self, page):
        super().__init__()
        self.links, self.depth = set(), 0
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.depth += tag == "article"
        if self.depth and tag in ("a", "iframe"):
            self.links.add(attributes.get("href") or attributes.get("src") or "")

    def handle_endtag(self, tag):
        self.depth -= tag == "article"


def test_what_each_reader_came_for_is_at_most_three_links_away():
    near, reached = {"index.html"}, {"index.html"}
    for _ in range(3):
        found = set()
        for page in near:
            for target in Content(SITE / page).links:
                path = urldefrag(urljoin(f"http://here/{page}", target))[0].partition("?")[0]
                path = unquote(path.removeprefix("http://here/"))
                found.add(path + ("index.html" if path == "" or path.endswith("/") else ""))
        near = {page for page in found - reached if page in PAGES}
        reached |= near
    assert sorted(GOALS - reached) == []


def test_every_page_has_a_description_of_its_own():
    found = {}
    for page in PAGES:
        text = (SITE / page).read_text(encoding="utf-8")
        [description] = re.findall(r'<meta name="description" content="([^"]+)"', text)
        found.setdefault(description, []).append(page)
    assert [pages for pages in found.values() if len(pages) > 1] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("404.html", "embed.html")])
def test_nothing_moves_when_a_picture_arrives(page):
    images = re.findall(r"<img[^>]*>", (SITE / page).read_text(encoding="utf-8"))
    images = [it for it in images if "assets/logo.svg" not in it]
    assert [it[:120] for it in images if not re.search(r' width="?\d', it)] == []


WORDS = [
    "动量",
    "momentum",
    "鞍点",
    "反向传播",
    "backpropagation",
    "computational graph",
    "autograd",
]
WORDS += ["李宏毅", "自动微分", "计算图"]


@pytest.mark.parametrize("word", WORDS)
def test_the_search_finds_it_in_either_language(word, tab, address):
    tab.goto(address, wait_until="networkidle")
    tab.click("input[name=query]")
    tab.get_by_text("Type to start searching").wait_for()
    tab.keyboard.type(word)
    tab.keyboard.press("End")  # the page looks when a key is released, as typed Chinese does not
    marked = re.compile(word.split()[0], re.IGNORECASE)  # each word by itself
    found = tab.locator(".md-search-result__item mark", has_text=marked)
    found.first.wait_for(state="attached")
