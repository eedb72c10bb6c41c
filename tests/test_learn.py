"""Readers step through the backward pass, and have their answers to the exercises checked.

nox -s site

Needs Chromium, and a site with Python for the browser in it.
"""

import json
import re

import numpy as np
import pytest
from chromium import NEEDED, SITE, light_window, require  # noqa: F401, a fixture

import tinygrad_edu as tg

fences = pytest.importorskip("fences", reason="the docs are not part of this package")
course = pytest.importorskip("course", reason="the docs are not part of this package")
RUNTIME = SITE / "assets" / "pyodide" / "pyodide.mjs"
require({**NEEDED, "a site with Pyodide": RUNTIME.exists()})

from test_exercises import PAGES, WRONG  # noqa: E402

LOADED = 90_000  # milliseconds to wait at most for what has to load Python first


@pytest.fixture
def open_page(tab, address, asked):
    """Open a page in which nothing is kept from before."""

    def show(page):
        tab.goto(f"{address}{page}", wait_until="networkidle")
        tab.evaluate("localStorage.clear()")
        tab.reload(wait_until="networkidle")
        return tab

    return show


# ── The backward pass ────────────────────────────────────────────────────────────────────────────


def seen(figure):
    """What the drawing shows now: by box its gradient, and all contributions."""
    shown = figure.evaluate(
        "it => [...it.querySelectorAll('svg text')]"
        ".filter(it => getComputedStyle(it).visibility === 'visible').map(it => it.textContent)"
    )
    titles = figure.evaluate(
        "it => [...it.querySelectorAll('.title')].map(it => it.textContent.split(' ')[0])"
    )
    gradients = {}
    for text in shown:
        if text.split(" ")[0] in titles and not text.endswith("↑"):
            box = text.split(" ")[0]
        if text.startswith("gradient "):
            gradients[box] = text.removeprefix("gradient ").split(" = ")[-1]
    return gradients, [text for text in shown if text.endswith("↑")]


def number(text):
    return float(text.replace("−", "-"))


def test_the_numbers_at_each_step_are_the_librarys(open_page):
    figure = open_page("fifteen_minutes/").locator("figure.backward-pass").first
    slider = figure.get_by_role("slider")
    states = []
    for step in range(4):
        slider.fill(str(step))
        states.append(seen(figure))
    x = tg.Tensor(3.0, requires_grad=True)
    p = x * x
    L = p + x
    gradients = {name: g.item() for name, g in zip("Lpx", tg.grad(L, [L, p, x]))}
    assert states[0] == ({}, [])
    assert states[1] == ({"L": "1"}, [])
    assert states[2] == ({"x": "1", "p": "1", "L": "1"}, ["1 ↑", "1 ↑"])
    assert {name: number(text) for name, text in states[3][0].items()} == gradients
    assert states[3][1] == ["3 ↑", "3 ↑", "1 ↑", "1 ↑"]


def test_the_second_order_ends_at_the_librarys_numbers(open_page):
    figure = open_page("fifteen_minutes/").locator("figure.backward-pass").nth(1)
    figure.get_by_role("slider").press("End")
    x = tg.Tensor(0.5, requires_grad=True)
    y = tg.tanh(x)
    (s,) = tg.grad(y, x, create_graph=True)
    variables = dict(zip("xypqs", tg.graph.recorded(s)))
    expected = [g.item() for g in tg.grad(s, list(variables.values()))]
    shown = seen(figure)[0]
    assert np.allclose([number(shown[name]) for name in variables], expected, atol=5e-5)


def test_haste_and_order_end_at_21_and_9(open_page):
    tab = open_page("source/backward/")
    ends = []
    for figure in tab.locator("figure.backward-pass").all():
        figure.get_by_role("slider").press("End")
        ends.append(seen(figure)[0]["x"])
    assert ends == ["21", "9"]
    wrong = tab.locator("figure.backward-pass .wrong")
    assert wrong.inner_text() == "21 is wrong: dc/dx = 9."


def test_keys_buttons_and_sentences_turn_the_steps(open_page):
    figure = open_page("fifteen_minutes/").locator("figure.backward-pass").first
    slider, current = figure.get_by_role("slider"), figure.locator("[aria-current=step]")
    slider.focus()
    figure.page.keyboard.press("ArrowRight")
    assert current.inner_text() == "L changes as fast as itself: its gradient is 1."
    assert slider.get_attribute("aria-valuetext") == current.inner_text()
    figure.get_by_role("button", name="One step on").click()
    assert "L = p + x" in current.inner_text()
    figure.get_by_role("button", name="One step back").click()
    assert slider.input_value() == "1"
    figure.locator("li").nth(3).click()
    assert slider.input_value() == "3"
    assert figure.get_by_role("button", name="One step on").is_disabled()
    figure.page.keyboard.press("Tab")
    assert figure.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_a_readers_own_expression_is_drawn_live(open_page):
    tab = open_page("fifteen_minutes/")
    block = tab.locator(".highlight.run", has_text="backward_pass").first
    tools = tab.locator(".tools", has=tab.get_by_role("button", name="Run", exact=True)).nth(1)
    code = block.locator("code").inner_text().replace("p + x", "tg.sin(p) * x")
    tools.get_by_role("button", name="Edit").click()
    tab.keyboard.press("Control+A")
    tab.keyboard.insert_text(code)
    tab.keyboard.press("Control+Enter")
    figure = tab.locator(".output figure.backward-pass")
    figure.wait_for(timeout=LOADED)
    figure.get_by_role("slider").press("End")
    x = tg.Tensor(3.0, requires_grad=True)
    (expected,) = tg.grad(tg.sin(x * x) * x, x)
    assert np.isclose(number(seen(figure)[0]["x"]), expected.item(), rtol=1e-3)
    assert tab.locator("figure.backward-pass:visible").count() == 2  # it took the first one's place


def test_without_a_script_and_on_paper_the_end_and_all_steps_are_there(browser, address, open_page):
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{address}fifteen_minutes/")
    assert plain.locator("figure.backward-pass").first.locator("li").count() == 4
    assert plain.get_by_text("gradient 1 + 3 + 3 = 7").is_visible()
    assert not plain.locator("figure.backward-pass text[data-to]").first.is_visible()
    context.close()
    tab = open_page("fifteen_minutes/")
    tab.emulate_media(media="print")
    figure = tab.locator("figure.backward-pass").first
    assert seen(figure)[0]["x"] == "7"
    assert all(item.is_visible() for item in figure.locator("li").all())
    assert not figure.get_by_role("slider").is_visible()


# ── Exercises ────────────────────────────────────────────────────────────────────────────────────


class Cell:
    """An exercise as a reader sees it."""

    def __init__(self, tab, name):
        self.tab, self.cell = tab, tab.locator(f"[data-exercise={name}]")
        self.tools = self.cell.locator("xpath=following-sibling::*[1]")
        self.output = self.cell.locator("xpath=following-sibling::*[2]")
        self.editor = tab.get_by_role("textbox", name=f"Your answer to {name}")

    def check(self, answer=None):
        if answer is not None:
            self.editor.fill(answer)
        self.tools.get_by_role("button", name="Check").click()
        return self.finish()

    def finish(self):
        self.tools.get_by_role("button", name="Check", exact=True).wait_for(timeout=LOADED)
        return self.output.inner_text()

    def first_failure(self):
        return self.output.locator("li:not(.holds)").first


def parts(page):
    found = fences.parse(page.read_text(encoding="utf-8"))
    for fence in found:
        if name := fence.options.get("solution"):
            yield name, fences.one_fence(found, "exercise", name, page).body, fence.body


WITH_EXERCISES = [page for page in PAGES if page.stem != "index"]


@pytest.mark.parametrize("page", WITH_EXERCISES, ids=lambda page: page.stem)
def test_solutions_pass_and_stubs_and_wrong_answers_say_where_they_fail(page, open_page):
    address = f"{'' if page.stem == 'fifteen_minutes' else 'source/'}{page.stem}/"
    tab, exercises = open_page(address), list(parts(page))
    assert tab.locator(".highlight.exercise").count() == len(exercises)
    for count, (name, stub, solution) in enumerate(exercises):
        cell = Cell(tab, name)
        assert cell.editor.input_value() == stub.strip()
        assert "checks hold" in cell.check()
        assert cell.output.locator("li:not(.holds)").count() > 0
        for old, new, got, expected in WRONG[name]:
            cell.check(solution.replace(old, new))
            told = cell.first_failure().locator("dd").all_inner_texts()
            assert told[0].startswith(got), (name, new, told)
            assert expected is None or told[1].startswith(expected), (name, new, told)
        assert "Solved: all " in cell.check(solution)
        assert f"{count + 1} of {len(exercises)} exercise" in tab.locator(".progress").inner_text()


def test_answers_and_progress_are_kept_and_can_be_started_again(open_page):
    tab = open_page("source/ops/")
    solutions = {name: solution for name, _, solution in parts(course.DOCS / "source" / "ops.md")}
    cell = Cell(tab, "cumsum")
    cell.check(solutions["cumsum"])
    cell.editor.press("Control+End")
    tab.keyboard.type("# mine")
    tab.reload(wait_until="networkidle")
    cell = Cell(tab, "cumsum")
    assert cell.editor.input_value().endswith("# mine")
    assert "Solved ✓" in cell.tools.inner_text()
    assert "1 of 2 exercises solved" in tab.locator(".progress").inner_text()
    link = tab.locator(".md-nav--primary a.md-nav__link[href$='ops/'], .md-nav__link--active").last
    assert "1/2" in tab.locator(".md-nav--primary").inner_text() or "1/2" in link.inner_text()
    cell.tools.get_by_role("button", name="Start again").click()
    assert "# mine" not in cell.editor.input_value()
    tab.goto(tab.url.replace("source/ops/", "course/"), wait_until="networkidle")
    assert tab.get_by_role("link", name="The cumulative sum ✓").is_visible()
    tab.goto(tab.url.replace("course/", "source/"), wait_until="networkidle")
    assert tab.locator("article").get_by_role("link", name="The formulas 1/2").is_visible()


def test_an_endless_loop_is_stopped_and_the_answer_is_still_there(open_page):
    cell = Cell(open_page("source/ops/"), "formulas")
    cell.editor.fill("while True:\n    pass")
    cell.tools.get_by_role("button", name="Check").click()
    cell.output.get_by_text("Running …").wait_for(timeout=LOADED)
    cell.tools.get_by_role("button", name="Stop").click()
    assert cell.finish() == "Stopped. The next run starts anew."
    assert cell.editor.input_value() == "while True:\n    pass"
    assert "1 / 0" in cell.check("1 / 0")
    assert "ZeroDivisionError" in cell.output.inner_text()
    assert "The answer did not run to its end" in cell.output.inner_text()


def test_hints_come_one_by_one(open_page):
    tab = open_page("source/backward/")
    hints = tab.locator(".admonition.question").nth(1).locator("details.tip")
    assert [hint.is_visible() for hint in hints.all()] == [True, False, False]
    hints.first.locator("summary").click()
    assert [hint.is_visible() for hint in hints.all()] == [True, True, False]


def test_without_python_the_exercises_say_what_they_need(tab, address):
    tab.goto((SITE / "source" / "ops" / "index.html").as_uri())
    assert "over http" in tab.locator(".needs").first.inner_text()
    assert tab.locator("[data-exercise=cumsum] pre").is_visible()
    tab.route("**/live/fences.js", lambda route: route.fulfill(body=""))
    tab.goto(f"{address}source/ops/")
    assert "without Python" in tab.locator(".needs").first.inner_text()


def test_the_checks_are_no_text_of_the_page(open_page):
    tab = open_page("source/ops/")
    assert "tg.check_grads(reciprocal" not in tab.locator("body").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_and_use_it_also_on_a_phone(scheme, tab, open_page, violations):
    tab.emulate_media(color_scheme=scheme)
    for page in ("fifteen_minutes/", "source/backward/", "course/", "exercises_solved/"):
        open_page(page)
        if page == "fifteen_minutes/":
            Cell(tab, "scalar").check("print('long ' * 100)")
        for width in (1280, 390):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert violations(tab) == []


def test_the_keyboard_is_enough_to_answer(open_page):
    tab = open_page("source/tensor/")
    cell = Cell(tab, "with_value")
    cell.editor.focus()
    tab.keyboard.press("Control+A")
    tab.keyboard.type("def with_value(x, index, value):")
    tab.keyboard.press("Enter")
    tab.keyboard.type("return x + 1")
    assert cell.editor.input_value() == "def with_value(x, index, value):\n    return x + 1"
    tab.keyboard.press("Control+Enter")
    assert "[0]: 2.0" in cell.finish()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Check"


def test_a_sheet_prints_every_exercise_and_solutions_only_where_asked(open_page):
    plain = open_page("exercises/").locator("article").inner_text()
    solved = open_page("exercises_solved/").locator("article").inner_text()
    assert len(re.findall(r"It is right if:", plain)) == len(WRONG)
    assert "Solution" not in plain
    assert len(re.findall(r"^Solution$", solved, re.MULTILINE)) == len(WRONG)
    assert "```" not in plain + solved  # every fence was understood
    assert json.dumps(plain).count("data-checks") == 0
