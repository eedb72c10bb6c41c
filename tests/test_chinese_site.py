"""The Chinese edition in a browser: every page of it, and the way from one edition to the other.

nox -s site
"""

import re

import pytest
from chromium import NEEDED, SITE, light_window, require  # noqa: F401, a fixture

require({**NEEDED, "the Chinese edition": (SITE / "zh" / "index.html").exists()})
chinese = pytest.importorskip("chinese", reason="what builds the site is not there")

PAGES = sorted(page.relative_to(SITE / "zh").as_posix() for page in (SITE / "zh").rglob("*.html"))
OWN = [
    page for page in PAGES if chinese.ENGLISH_ONLY not in (SITE / "zh" / page).read_text("utf-8")
]
OWN = [page for page in OWN if page not in ("404.html", "embed.html")]


@pytest.mark.parametrize("page", OWN)
def test_a_page_is_whole_and_quiet_and_for_everybody(page, tab, address, asked, violations):
    tab.goto(f"{address}zh/{page.removesuffix('index.html')}", wait_until="networkidle")
    assert tab.evaluate("document.documentElement.lang").startswith("zh")
    assert violations(tab) == []
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390, "wider than a phone"


def skeleton(file):
    """What must be the same in both: headings with their anchors, code, figures and links."""
    article = re.search(r"<article.*?</article>", file.read_text("utf-8"), re.DOTALL)[0]
    found = re.findall(
        r'<h[1-6] id="[^"]*"|<pre>|<figure|<img|<table|<svg|href="(?!https?:)[^"#]*#?', article
    )
    return sorted(re.sub(r"(\.\./)+|zh/|[#]$", "", it) for it in found)


@pytest.mark.parametrize("page", OWN)
def test_both_editions_have_one_skeleton(page):
    assert skeleton(SITE / "zh" / page) == skeleton(SITE / page)


def test_the_switch_leads_to_the_same_page(tab, address):
    tab.goto(f"{address}notes/batch/shuffling/")
    tab.get_by_role("link", name="中文").click()
    assert tab.url == f"{address}zh/notes/batch/shuffling/"
    tab.get_by_role("link", name="English").click()
    assert tab.url == f"{address}notes/batch/shuffling/"


def test_the_playground_speaks_chinese_with_the_english_one_s_numbers(tab, address):
    said = {}
    for edition in ("", "zh/"):
        tab.goto(f"{address}{edition}playground/#surface=ball", wait_until="networkidle")
        tab.locator("[data-pg=told]").filter(has_text="L").wait_for()
        said[edition] = tab.locator("[data-pg=told]").inner_text()
        assert tab.locator("[data-pg=play]").inner_text() == ("播放" if edition else "Play")
    numbers = [re.findall(r"[−\d.e]+\d", text) for text in said.values()]
    assert numbers[0] == numbers[1]
    assert "停在" in said["zh/"]


@pytest.mark.parametrize("word", ["动量", "反向传播", "鞍点", "打乱", "批次大小"])
def test_the_search_finds_chinese_words(word, tab, address):
    tab.goto(f"{address}zh/", wait_until="networkidle")
    tab.click("input[name=query]")
    tab.get_by_text("键入以开始搜索").wait_for()
    tab.keyboard.type(word)
    tab.keyboard.press("End")
    tab.locator(".md-search-result__item mark", has_text=word[:2]).first.wait_for(state="attached")
