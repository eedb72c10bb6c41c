"""Players inside of other pages, presented to a class, and embedded in other sites.

Needs what tests/test_site.py needs, and a site that was built with Python in it.
"""

import pytest
from chromium import NEEDED, SITE, require

require(NEEDED | {"Python for the pages": (SITE / "assets" / "pyodide" / "pyodide.mjs").exists()})

PATH = ".main [data-path=momentum]"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Players</title>
<link rel="stylesheet" href="{address}assets/playground/embed.css">
<link rel="stylesheet" href="{address}assets/playground/playground.css">
<body data-md-color-scheme="default"><main>{}</main>
<script src="{address}assets/words.js"></script>
<script src="{address}assets/live/python.js"></script>
<script src="{address}assets/playground/start.js"></script>"""
CENTER = """selector => {
    const box = document.querySelector(selector).getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
}"""

OFFERED = """:is(.presented .bar, .presented .settings, .presented .transport) > *,
    .presented [data-pg=told], .presented .keys"""
OVERLAPS = """selector => {
    const seen = [...document.querySelectorAll(selector)].filter((part) => part.checkVisibility());
    const boxes = seen.map((part) => part.getBoundingClientRect());
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
    return boxes.flatMap((a, i) => boxes.slice(i + 1).flatMap((b, j) => meet(a, b)
        ? [`${seen[i].textContent} and ${seen[i + 1 + j].textContent}`] : []));
}"""


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720}, has_touch=True)
    page, told = context.new_page(), []
    page.on("pageerror", lambda error: told.append(str(error)))
    yield page
    context.close()
    assert told == []


@pytest.fixture
def players(page, address):
    """Open a page of our own with some players in it."""

    def show(*presets):
        boxes = "".join(f'<div class="playground" data-preset="{it}"></div>' for it in presets)
        html = PAGE.replace("{}", boxes).replace("{address}", address)
        page.route("**/players.html*", lambda r: r.fulfill(body=html, content_type="text/html"))
        page.goto(f"{address}players.html")
        page.wait_for_selector(".playground[data-source]")
        return page

    return show


def moved(page, change):
    before = page.get_attribute(PATH, "d")
    change()
    page.wait_for_function(
        f"before => document.querySelector('{PATH}').getAttribute('d') !== before",
        arg=before,
        timeout=60_000,
    )
    return page.get_attribute(PATH, "d")


def step(page):
    return page.input_value("[data-pg=step]")


# ── In a page ────────────────────────────────────────────────────────────────────────────────────


def test_many_players_share_one_python_that_nobody_loads_before_it_is_needed(players):
    workers = []
    page = players("surface=ball", "surface=ravine")
    page.on("worker", lambda worker: workers.append(worker))
    page.wait_for_selector(".playground[data-surface=ravine][data-source]")
    page.wait_for_timeout(300)
    assert workers == []
    for ring in page.locator(".ring").all():
        ring.press("ArrowLeft")
    for surface in ("ball", "ravine"):
        page.wait_for_selector(f"[data-surface={surface}][data-source=live]", timeout=60_000)
    assert len(workers) == 1


def test_a_preset_off_the_grid_waits_for_python_and_is_shown_as_it_is(players):
    page = players("surface=ball&momentum=0.87&start=6.9")
    assert page.get_attribute("[data-pg=momentum]", "aria-valuetext") == "0.87"
    assert page.get_attribute(".playground", "data-source") == "live"
    assert page.input_value("[data-pg=start-0]") == "6.9"


def test_presets_of_the_pages_are_shown_exactly_without_python(page, address):
    page.route("**/live/python.js", lambda route: route.fulfill(body=""))
    page.goto(f"{address}playground/#surface=saddle&start=-1.5,1.5")
    page.wait_for_selector(".playground[data-source=precomputed]")
    page.focus("[data-pg=step]")
    page.keyboard.press("End")
    assert page.text_content("[data-pg=momentum-verdict]") == "saddle point"
    assert page.input_value("[data-pg=start-0]") == "-1.5"


def test_other_settings_without_python_are_not_passed_off_as_those_of_the_link(page, address):
    page.route("**/live/python.js", lambda route: route.fulfill(body=""))
    page.goto(f"{address}playground/#surface=ball&momentum=0.88")
    page.wait_for_selector(".playground[data-source=precomputed]")
    page.get_by_text("Shown are the nearest settings to those of the link.").wait_for()
    assert page.get_attribute("[data-pg=momentum]", "aria-valuetext") == "0.9"
    page.wait_for_url("**/#surface=ball")


# ── The start ────────────────────────────────────────────────────────────────────────────────────


def test_the_paths_follow_while_the_start_is_dragged(players):
    page = players("surface=ravine")
    page.focus(".ring")
    page.keyboard.press("ArrowRight")  # loads Python
    page.wait_for_selector("[data-source=live]", timeout=60_000)
    x, y = page.evaluate(CENTER, ".ring .reach")
    page.mouse.move(x, y)
    page.mouse.down()
    first = moved(page, lambda: page.mouse.move(x + 60, y + 20))
    assert moved(page, lambda: page.mouse.move(x + 90, y + 40)) != first
    page.mouse.up()
    assert page.evaluate(CENTER, ".ring .reach") == pytest.approx([x + 90, y + 40], abs=2)


def test_the_start_is_dragged_by_a_finger_and_the_page_stays(players):
    page = players("surface=ball", "surface=ravine", "surface=saddle")
    page.focus(".ring")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("[data-source=live]", timeout=60_000)
    x, y = page.evaluate(CENTER, ".ring .reach")
    finger = page.context.new_cdp_session(page)

    def touch(kind, *points):
        places = [{"x": x, "y": y} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def drag():
        touch("touchStart", (x, y))
        for part in range(1, 6):
            touch("touchMove", (x - 20 * part, y + 12 * part))

    moved(page, drag)
    touch("touchEnd")
    assert page.evaluate("scrollY") == 0
    close = f"left => Math.abs(({CENTER})('.ring .reach')[0] - left) < 3"
    page.wait_for_function(close, arg=x - 100)


def test_arrow_keys_move_the_start(players):
    page = players("surface=ravine")
    page.focus(".ring")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-source=live]", timeout=60_000)
    moved(page, lambda: page.keyboard.press("ArrowUp"))
    assert "The start, −8, 2.08." in page.get_attribute(".ring", "aria-label")
    moved(page, lambda: page.keyboard.press("Shift+ArrowRight"))
    assert "The start, −6.4, 2.08." in page.get_attribute(".ring", "aria-label")


# ── Presented ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [(1280, 720), (1024, 768), (1920, 1080)])
@pytest.mark.parametrize("surface", ["ravine", "ball", "line"])
def test_what_is_presented_fits_the_window(size, surface, page, address):
    page.set_viewport_size(dict(zip(("width", "height"), size)))
    page.goto(f"{address}playground/?present#surface={surface}")
    page.wait_for_selector(".presented[data-source]")
    parts = ".presented > *, .presented .settings > *, .presented figure, .presented .transport > *"
    for part in page.locator(parts).all():
        box = part.bounding_box()
        if box and box["width"] and box["height"]:
            assert 0 <= box["x"] <= size[0] + 1 - box["width"], part
            assert 0 <= box["y"] <= size[1] + 1 - box["height"], part
    page.keyboard.press("End")  # with a sentence beside the keys
    assert page.evaluate(OVERLAPS, OFFERED) == []


def test_a_phone_shows_the_page_instead(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}playground/?present")
    page.wait_for_selector("[data-source]")
    assert page.locator(".presented").count() == 0


def test_a_class_sees_nothing_before_it_happens(page, address):
    page.goto(f"{address}playground/?present#surface=ball")
    page.wait_for_selector(".presented[data-source]")
    assert step(page) == "0"
    assert page.text_content("[data-pg=told]") == ""
    assert page.get_attribute(PATH, "d").count("L") == 0
    assert page.get_attribute("[data-pg=loss] .path.sgd", "d").count("L") == 0
    page.keyboard.press("End")
    assert page.text_content("[data-pg=told]").startswith("SGD ends at (3.664)")


def test_the_keys_of_a_presentation(page, address):
    page.goto(f"{address}playground/?present#surface=ball")
    page.wait_for_selector(".presented[data-source]")
    for key, expected in {"ArrowRight": "1", "ArrowLeft": "0", "End": "150", "Home": "0"}.items():
        page.keyboard.press(key)
        assert step(page) == expected
    for key, expected in {"ArrowUp": "2", "ArrowDown": "1"}.items():
        page.keyboard.press(key)
        assert page.input_value("[data-pg=speed]") == expected
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('[data-pg=step]').valueAsNumber > 2")
    page.keyboard.press("3")
    page.wait_for_selector(".presented[data-surface=saddle]")
    page.keyboard.press("Escape")
    assert page.locator(".presented").count() == 0


def test_a_class_clicks_through_the_presets(page, address):
    page.goto(f"{address}playground/?present")
    page.wait_for_selector(".presented[data-source]")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    page.wait_for_function("document.querySelector('[data-pg=lr]').ariaValueText === '2.2'")
    assert page.evaluate("location.hash") == "#surface=ravine&lr=2.2&momentum=0.5"
    assert step(page) == "0"  # hidden again, so that a class can bet
    assert page.get_attribute(PATH, "d").count("L") == 0
    page.keyboard.press("PageUp")
    page.wait_for_function("document.querySelector('[data-pg=lr]').ariaValueText !== '2.2'")
    page.select_option("[data-pg=presets]", label="Over the hill")
    page.wait_for_selector(".presented[data-surface=ball]")
    page.click("[data-pg=present]")
    assert not page.is_visible("[data-pg=presets]")


def test_a_small_player_is_presented_by_its_button(players):
    page = players("surface=ball&momentum=0.8")
    page.click("[data-pg=present]")
    assert page.get_attribute(".presented [data-pg=momentum]", "aria-valuetext") == "0.8"
    page.click("[data-pg=present]")
    assert page.locator(".presented").count() == 0


# ── Embedded ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_iframe_shows_the_settings_of_its_address(scheme, page, address, violations):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}embed.html#surface=ball&momentum=0.8")
    page.wait_for_selector(".playground[data-source=precomputed]")
    assert page.get_attribute("[data-pg=momentum]", "aria-valuetext") == "0.8"
    assert page.get_attribute("[data-pg=whole]", "href") == (
        f"{address}playground/#surface=ball&momentum=0.8"
    )
    assert violations(page) == []
