"""The Chinese edition is the English one, with each paragraph in Chinese."""

import re

import pytest

chinese = pytest.importorskip("chinese", reason="what builds the site is not there")

PAGE = """# A ball

The ball rolls
on, see [here](there.md).

```python
x = 1  # The ball
```

<p class="headline">B = 32 saves 528 updates</p>

| what | how far |
|---|---|
| $x$ | it rolls |
"""
CATALOG = """<!-- en
A ball
-->
一个球

<!-- en
The ball rolls on, see [here](there.md).
-->
球继续滚，见[这里](there.md)。

<!-- en
B = {} saves {} updates
-->
省下 {2} 次更新（B = {1}）

<!-- en
what
-->
什么

<!-- en
how far
-->
多远

<!-- en
it rolls
-->
它在滚
"""


@pytest.fixture
def catalog(tmp_path):
    def make(text=CATALOG):
        (tmp_path / "page.md").write_text(text, encoding="utf-8")
        return chinese.Catalog(tmp_path)

    return make


def test_words_are_translated_and_code_formulas_and_numbers_are_the_english_page_s(catalog):
    shown = chinese.page(PAGE, "page.md", catalog())
    assert shown == (
        "# 一个球 { #a-ball }\n\n球继续滚，见[这里](there.md)。\n\n"
        "```python\nx = 1  # The ball\n```\n\n"
        '<p class="headline">省下 528 次更新（B = 32）</p>\n\n'
        "| 什么 | 多远 |\n|---|---|\n| $x$ | 它在滚 |\n"
    )


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("rolls\non", "rolls\nfar", "not translated: The ball rolls far"),
        ("x = 1", "x = 2", None),
        ("rolls\non,", "rolls on,\n", None),
        ("528", "−0.5", None),
        ("saves", "costs", r"not translated: B = \{\} costs \{\} updates"),
        ("\n| what", "\nA new paragraph.\n\n| what", "not translated: A new paragraph"),
        ("it rolls", "it stops", "not translated: it stops"),
        ("The ball rolls\non, see [here](there.md).\n", "", "no longer there: The ball rolls on"),
    ],
)
def test_english_that_has_changed_is_told_with_what_it_was(before, after, problem, catalog):
    found = catalog()
    shown = chinese.page(PAGE.replace(before, after), "page.md", found)
    problems = "\n".join(found.problems())
    assert bool(problems) == bool(problem)
    assert not problem or re.search(problem, problems)
    if "not translated" in problems:
        assert "本页还有 1 段没有译成中文" in shown
    if after == "rolls\nfar":
        assert "The ball rolls\nfar, see [here](there.md).\n{ lang=en }" in shown
        assert "is now: The ball rolls far" in problems


def test_what_a_page_says_on_a_slower_machine_only_is_no_drift(catalog):
    found = catalog()
    found.timed = ["page.md"]
    chinese.page(PAGE.replace("saves", "costs"), "page.md", found)
    assert found.problems() == []


def test_under_which_conditions_a_claim_holds_may_differ_by_rounding(catalog):
    found = catalog(CATALOG + "\n<!-- en\nreproduced: k = {}\n-->\n复现：k = {}\n")
    chinese.page(f"{PAGE}\n<p>reproduced: k = 2; not seen: k = 4</p>\n", "page.md", found)
    assert found.problems() == []


@pytest.mark.parametrize("lost", ["省下 {2} 次更新", "{1}{1}{2}", "{1} {2} {3}"])
def test_a_translation_has_each_number_once(lost, catalog):
    found = catalog(CATALOG.replace("省下 {2} 次更新（B = {1}）", lost))
    assert "B = 32 saves 528 updates" in chinese.page(PAGE, "page.md", found)
    assert any("not once in" in problem for problem in found.problems())


@pytest.mark.parametrize(
    "change", [("(there.md)。", "(their.md)。"), ("见[这里](there.md)", "见下")]
)
def test_a_translation_keeps_the_links(change, catalog):
    found = catalog(CATALOG.replace(*change))
    assert "on, see [here](there.md)" in chinese.page(PAGE, "page.md", found)
    assert any("](there.md) not once in" in problem for problem in found.problems())


# Other words for terms of the glossary; what is quoted or in parentheses are the notes' own.
OTHERS = "小批量 大批量 批大小 轮次 局部最小 局部最大 黑塞 海塞 陡峭程度 噪音 权值 回传".split()


def test_a_term_is_translated_in_one_way():
    found = []
    for file in sorted(chinese.FOLDER.rglob("*.md")):
        for _, text in chinese.ENTRY.findall(file.read_text(encoding="utf-8")):
            own = re.sub(r"“[^”]*”|（[^）]*）", "", text)
            found += [f"{file.name}: {word}: {text}" for word in OTHERS if word in own]
    assert found == []


def test_an_update_keeps_what_stands_and_marks_what_is_missing(catalog):
    found = catalog()
    chinese.page(PAGE.replace("rolls\non", "rolls\nfar"), "page.md", found)
    found.update()
    text = (found.folder / "page.md").read_text(encoding="utf-8")
    assert "rolls far, see [here](there.md).\n-->\nTODO 球继续滚，见[这里](there.md)。\n" in text
    assert text.count("TODO") == 1
    assert "一个球" in text
    again = chinese.Catalog(found.folder)
    shown = chinese.page(PAGE.replace("rolls\non", "rolls\nfar"), "page.md", again)
    assert again.problems() == []  # it is listed, so readers see English and are told
    assert "本页还有 1 段没有译成中文" in shown


def test_what_stands_in_another_page_s_catalog_is_found(catalog):
    found = catalog()
    found.pages["other.md"] = {}
    assert "它在滚" in chinese.page("# A ball\n\nit rolls\n", "other.md", found)
    chinese.page(PAGE, "page.md", found)
    assert found.problems() == []


def test_a_page_without_a_catalog_stays_english_and_says_so(catalog):
    shown = chinese.page(PAGE, "other.md", catalog())
    body = PAGE.replace("# A ball", f"# A ball\n\n{chinese.ENGLISH_ONLY}")
    assert shown == f"---\nlang: en\n---\n\n{body}"


def test_a_verdict_that_is_a_link_and_a_bet_are_translated(catalog):
    link = '[<span class="verdict reproduced">it rolls</span> (1 of 2)](ledger.md#claim-1)'
    data = "{&quot;question&quot;: &quot;what&quot;, &quot;told&quot;: &quot;it rolls&quot;, "
    data += "&quot;unit&quot;: &quot;&quot;, &quot;options&quot;: [], &quot;answer&quot;: 1}"
    found = catalog(CATALOG + "\n<!-- en\n{} of {}\n-->\n{2} 之 {1}\n")
    page = f'# A ball\n\n| {link}<br>[A ball](ball.md) |\n\n<section data-bet="{data}"></section>\n'
    shown = chinese.page(page, "page.md", found)
    assert '[<span class="verdict reproduced">它在滚</span>（2 之 1）](ledger.md#claim-1)' in shown
    assert "<br>[一个球](ball.md)" in shown
    assert "&quot;question&quot;: &quot;什么&quot;" in shown


def test_the_verdicts_on_a_card_are_translated(catalog):
    badge = '<span class="verdict reproduced">{}</span>'
    card = f"claim 4 {badge} (3 of 4) · claim 4b {badge} (1 of 2)"
    shown = chinese.page(f"# A ball\n\n{card.format(*['it rolls'] * 2)}\n", "page.md", catalog())
    it = badge.format("它在滚")
    assert f"论断 4 {it} （3/4）· 论断 4b {it} （1/2）" in shown


def test_words_of_scripts_are_collected(catalog, tmp_path):
    (tmp_path / "a.js").write_text('say(tr("it rolls"), tr(\n  "{} of {}", 1, 2))')
    found = catalog()
    found.pages["script.md"] = {}
    assert '"it rolls": "它在滚"' in found.script(tmp_path)
    assert "script.md: not translated: {} of {}" in found.problems()
