"""Readers run and change the code of the chapters in the browser.

nox -s site

Needs Chromium, and a site with Python for the browser in it.
"""

import pytest
from chromium import NEEDED, SITE, light_window, require  # noqa: F401, a fixture

RUNTIME = SITE / "assets" / "pyodide" / "pyodide.mjs"
require({**NEEDED, "a site with Pyodide": RUNTIME.exists()})

CHAPTERS = sorted(
    page.parent.relative_to(SITE).as_posix()
    for page in [SITE / "index.html", *SITE.glob("fifteen_*/*.html"), *SITE.glob("source/*/*.html")]
)
RUN = ".highlight.run"  # the cells of exercises look alike
LOADED = 60_000  # milliseconds to wait at most for what has to load Python first


class Chapter:
    """A page as a reader sees it: its blocks of code, each with its buttons and its output."""

    def __init__(self, tab, address):
        self.tab = tab
        tab.goto(address, wait_until="networkidle")
        tab.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")

    def __len__(self):
        return self.tab.locator(".highlight.run").count()

    def button(self, name, block):
        return (
            self.tab.locator(f"{RUN} + .tools")
            .nth(block)
            .get_by_role("button", name=name, exact=True)
        )

    def press(self, name, block):
        self.button(name, block).click()

    def output(self, block):
        return self.tab.locator(f"{RUN} + .tools + .output").nth(block)

    def editor(self, block):
        return self.tab.get_by_role("textbox", name=f"Block {block + 1}: its code")

    def finish(self, block):
        self.tab.wait_for_function(
            "block => { const tools = document.querySelectorAll('.run + .tools')[block];"
            " return tools.firstChild.textContent === 'Run' && !tools.firstChild.disabled; }",
            arg=block,
            timeout=LOADED,
        )
        return self.output(block).inner_text()

    def write(self, block, code):
        if self.button("Edit", block).is_visible():
            self.press("Edit", block)
        self.editor(block).fill(code)
        self.tab.keyboard.press("Control+Enter")
        return self.finish(block)


@pytest.fixture
def read(tab, address, asked):
    yield lambda page: Chapter(tab, f"{address}{page}/")
    tab.evaluate("localStorage.clear()")  # where changes are kept


# ── Running ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_runs_to_its_end_from_its_last_button(page, read):
    chapter = read(page)
    last = len(chapter) - 1
    chapter.press("Run", last)
    chapter.finish(last)
    assert "Error" not in chapter.output(last).inner_text()
    for block in range(last):  # what stands above is quiet, except for errors on purpose
        shown = chapter.output(block).text_content()
        assert not shown or "Error" in chapter.tab.locator(".highlight.run").nth(block).inner_text()


def test_the_last_block_shows_what_those_above_have_made(read):
    chapter = read("source/backward")
    chapter.press("Run", 10)
    assert "np.shares_memory(a.grad.data, b.grad.data)\nFalse" in chapter.finish(10)
    assert chapter.output(0).inner_text() == ""


def test_a_drawing_takes_the_place_of_the_pages(read):
    chapter = read("")
    before = chapter.tab.locator("img[src^='data:image/svg']:visible")
    assert before.count() == 1
    chapter.press("Run", 1)
    chapter.finish(1)
    [image] = chapter.tab.locator("img[src^='data:image/svg']:visible").all()
    assert image.get_attribute("alt") == "What the code has drawn"
    assert image.evaluate("it => it.decode().then(() => it.naturalWidth)") > 100


def test_an_error_on_purpose_is_shown_and_the_page_goes_on(read):
    chapter = read("source/check")
    chapter.press("Run", 4)
    shown = chapter.finish(4)
    assert "AssertionError: derivative 1 of same with respect to inputs[0][(0,)]" in shown
    assert 'File "block 5", line 1, in <module>' in shown
    assert ".py" not in shown
    chapter.press("Run", 5)
    assert chapter.finish(5) == "Done, with nothing to show."


def test_nothing_is_loaded_before_the_first_run(read, asked):
    chapter = read("source/graph")
    chapter.press("Edit", 0)
    assert not [url for url in asked if "/pyodide/" in url or "/live/worker" in url]
    chapter.press("Run", 0)
    assert chapter.output(0).inner_text() == "Loading Python, 16 MB …"
    chapter.finish(0)
    assert [url for url in asked if "pyodide.asm.wasm" in url]


def test_without_python_the_page_says_so_and_stays_as_it_was(tab, address):
    tab.route("**/pyodide.asm.wasm", lambda route: route.abort())
    chapter = Chapter(tab, address)
    chapter.press("Run", 0)
    assert chapter.finish(0).startswith("Python could not be loaded: ")
    tab.unroute("**/pyodide.asm.wasm")
    chapter.press("Run", 0)
    assert "Tensor(7., dtype=float64)" in chapter.finish(0)


def test_from_a_file_there_are_no_buttons(tab):
    tab.goto((SITE / "source" / "backward" / "index.html").as_uri())
    assert tab.locator(".highlight.run").count() > 0
    assert tab.locator(".tools").count() == 0


def test_code_that_a_browser_cannot_run_has_no_buttons(read):
    chapter = read("source/recording")
    threads = chapter.tab.locator(".highlight", has_text="ThreadPoolExecutor")
    assert "run" not in threads.get_attribute("class").split()


# ── Changing ─────────────────────────────────────────────────────────────────────────────────────


def test_changed_code_runs_and_can_be_reset(read):
    chapter = read("")
    assert "Tensor(9., dtype=float64)" in chapter.write(
        0, ">>> import tinygrad_edu as tg\n>>> tg.Tensor(9.0)\nTensor(7., dtype=float64)"
    )
    chapter.press("Reset", 0)
    assert chapter.output(0).inner_text() == ""
    assert "x * x + x" in chapter.tab.locator(".highlight.run pre").first.inner_text()
    chapter.press("Run", 0)
    assert "Tensor(7., dtype=float64)" in chapter.finish(0)


def test_what_is_changed_above_runs_again(read):
    chapter = read("source/graph")
    chapter.press("Run", 1)
    chapter.finish(1)
    chapter.press("Edit", 0)
    chapter.tab.keyboard.press("Control+Home")
    chapter.tab.keyboard.type("1 / 0\n")
    chapter.press("Run", 1)
    chapter.finish(1)
    assert "ZeroDivisionError" in chapter.output(0).inner_text()


def test_an_endless_loop_is_stopped_and_the_page_works_again(read):
    chapter = read("source/backward")
    chapter.press("Run", 0)
    chapter.finish(0)
    chapter.press("Edit", 1)
    chapter.editor(1).fill("while True:\n    pass")
    chapter.press("Run", 1)
    chapter.output(1).get_by_text("Running …").wait_for()
    assert chapter.button("Run", 0).is_disabled()
    chapter.press("Stop", 1)
    assert chapter.finish(1) == "Stopped. The next run starts anew."
    chapter.press("Run", 2)  # the loop does not run again
    assert "Block 2 was stopped, and did not run again." in chapter.finish(2)
    assert chapter.write(1, ">>> c.item()").strip() == ">>> c.item()\n9.0"  # from block 1, anew


def test_what_is_printed_is_shown_meanwhile_and_stays_when_it_is_stopped(read):
    chapter = read("source/backward")
    chapter.press("Edit", 0)
    chapter.editor(0).fill("print('so far')\nwhile True:\n    pass")
    chapter.press("Run", 0)
    chapter.output(0).get_by_text("so far").wait_for(timeout=LOADED)
    chapter.press("Stop", 0)
    assert chapter.finish(0).split() == "so far Stopped. The next run starts anew.".split()


def test_changes_are_there_after_a_reload_until_they_are_reset(read):
    chapter = read("source/backward")
    chapter.press("Edit", 0)
    chapter.editor(0).fill("print('mine')")
    chapter.tab.reload(wait_until="networkidle")
    assert chapter.editor(0).input_value() == "print('mine')"
    assert chapter.editor(1).is_hidden()
    chapter.press("Reset", 0)
    chapter.tab.reload(wait_until="networkidle")
    assert chapter.editor(0).is_hidden()


def test_the_editor_has_colors_where_the_text_is(read):
    chapter = read("source/backward")
    chapter.press("Edit", 0)
    chapter.editor(0).fill("def twice(x):\n    return 2 * x  # " + "long " * 60)
    colors = chapter.tab.locator(f"{RUN} .colors:visible")
    assert colors.locator(".keyword").all_inner_texts() == ["def", "return"]
    assert colors.inner_text().strip() == chapter.editor(0).input_value().strip()
    chapter.tab.keyboard.press("Control+End")
    field = chapter.editor(0)
    assert field.evaluate("it => it.scrollLeft") > 0
    chapter.tab.wait_for_function(
        "() => { const editor = document.querySelector('.run .editor:not([hidden])');"
        " const [pre, field] = editor.children;"
        " return pre.scrollLeft === field.scrollLeft; }"
    )


def test_blocks_carry_their_numbers(read):
    chapter = read("source/backward")
    assert (
        chapter.tab.locator(f"{RUN} + .tools")
        .nth(2)
        .inner_text()
        .split("\n")[-1]
        .endswith("Block 3")
    )


def test_python_can_be_stopped_while_it_loads(read):
    chapter = read("source/backward")
    chapter.press("Run", 0)
    chapter.press("Stop", 0)
    assert chapter.finish(0) == "Stopped. The next run starts anew."
    chapter.press("Run", 0)
    assert chapter.finish(0) == "Done, with nothing to show."


# ── For everybody ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_editor_and_the_output_also_on_a_phone(
    scheme, tab, read, violations
):
    tab.emulate_media(color_scheme=scheme)
    chapter = read("source/recording")
    chapter.press("Run", 7)
    chapter.finish(7)
    chapter.write(1, "print('long ' * 100)\n" + "1 / 0  # " + "long " * 100)
    assert violations(chapter.tab) == []
    chapter.tab.set_viewport_size({"width": 390, "height": 800})
    assert chapter.tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(chapter.tab) == []


def test_the_keyboard_is_enough(read):
    chapter = read("")
    keyboard = chapter.tab.keyboard
    focused = "document.activeElement.textContent || document.activeElement.ariaLabel"
    chapter.button("Run", 0).focus()
    keyboard.press("Enter")
    assert "Tensor(7., dtype=float64)" in chapter.finish(0)
    assert chapter.tab.evaluate(focused) == "Run"
    keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert chapter.tab.evaluate(outline) == "solid"
    keyboard.press("Enter")  # Edit
    assert chapter.tab.evaluate("document.activeElement.ariaLabel") == "Block 1: its code"
    assert chapter.tab.evaluate(outline) == "solid"
    keyboard.press("Control+End")
    keyboard.press("Enter")
    keyboard.type("for i in range(2):")
    keyboard.press("Enter")
    keyboard.type("i + 40")
    keyboard.press("Control+Enter")
    shown = ">>> for i in range(2):\n...     i + 40\n40\n41"
    assert shown in chapter.finish(0)
    keyboard.press("Tab")
    keyboard.press("Tab")
    assert chapter.tab.evaluate(focused) == "Reset"
    keyboard.press("Enter")
    assert chapter.tab.evaluate(focused) == "Edit"
