"""The playground in a real browser: what moves, what is shown, and that all numbers agree.

Needs what tests/test_site.py needs, and a site that was built with Python in it.
"""

import re

import numpy as np
import pytest
from chromium import NEEDED, SITE, require

require(NEEDED | {"Python for the pages": (SITE / "assets" / "pyodide" / "pyodide.mjs").exists()})

precompute = pytest.importorskip("precompute")
playground = precompute.playground
PATH = ".main [data-path=momentum]"


FOCUSED = "document.activeElement.dataset.pg ?? document.activeElement.classList[0]"


def wait(page, source):
    page.wait_for_selector(f'.playground[data-source="{source}"]', timeout=60_000)
    return page


def drawn(page, path=PATH):
    return page.get_attribute(path, "d")


def text(page, name):
    return page.text_content(f"[data-pg={name}]")


def press(page, name, key, times=1):
    page.focus(f"[data-pg={name}]")
    for _ in range(times):
        page.keyboard.press(key)


def redrawn(page, change):
    """Change something, and wait until both paths and all numbers are there."""
    page.evaluate("performance.clearMarks()")
    change()
    page.wait_for_function(
        "performance.getEntriesByType('mark').length"
        " && (document.querySelector('.playground').dataset.python !== 'live'"
        " || performance.getEntriesByName('playground-live').length)"
    )
    return drawn(page)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def opened(browser, address, told):
    """Return a page with live Python, which the tests share."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url) if outside(request) else None)
    page.goto(f"{address}playground/")
    wait(page, "precomputed")
    wait(page, "live")
    yield page
    context.close()


def outside(request):
    return not request.url.startswith(("http://127.0.0.1:", "data:", "file:"))


@pytest.fixture
def live(opened, told):
    """Return the shared page with the usual settings of the ravine, and see that it stays quiet."""
    told.clear()
    redrawn(opened, lambda: opened.evaluate("location.hash = `surface=ravine&${Math.random()}`"))
    press(opened, "reset", "Enter")
    press(opened, "next", "Enter", times=12)
    yield opened
    assert told == []


# ── Numbers ──────────────────────────────────────────────────────────────────────────────────────

ALL = """async (name) => {
  const about = precomputed[name] ?? await new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = `../assets/playground/precomputed/${name}.js`;
    script.onload = () => resolve(precomputed[name]);
    document.head.append(script);
  });
  const found = {};
  for (const [key, before] of Object.entries(about.paths)) {
    const [place, ...rest] = key.split(" ");
    const [condition, batch, lr, momentum, nesterov] = rest.map(Number);
    const start = place.split(",").map(Number);
    const given = {surface: name, start, condition, batch, lr, momentum};
    given.nesterov = Boolean(nesterov);
    const live = await python.call("playground/playground.py", "path", given);
    found[key] = {live, before};
  }
  return found;
}"""


@pytest.mark.parametrize("surface", playground.SURFACES)
def test_live_and_precomputed_and_native_paths_are_the_same(surface, opened):
    found = opened.evaluate(ALL, surface)
    count = 0
    for given in precompute.settings_of(surface):
        native = playground.path(surface=surface, **given)
        seen = found[precompute.key_of(**given)]
        for path in seen.values():
            # 4 decimals; of places far outside, 9 digits
            np.testing.assert_allclose(path["places"], native["places"], rtol=1e-9, atol=5e-5)
            assert path["diverges"] == native["diverges"]
            np.testing.assert_allclose(path["loss"], native["loss"], rtol=1e-3, atol=1e-9)
        assert seen["live"]["verdict"] == native["verdict"]
        count += 1
    assert 66 <= count <= len(found), "and those that pages link to"


def test_the_first_picture_does_not_wait_for_python(opened, capsys):
    marks = opened.evaluate(
        "window.times ??= Object.fromEntries("
        "performance.getEntriesByType('mark').map(({name, startTime}) => [name, startTime]))"
    )
    first, then = marks["playground-precomputed"], marks["playground-live"]
    with capsys.disabled():
        print(f"\nThe playground's first picture after {first:.0f} ms, live after {then:.0f} ms")
    assert first < then
    assert text(opened, "badge").startswith("Live: Python 3.14")


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slider", ["lr", "momentum", "condition"])
def test_a_slider_changes_the_path_its_number_and_the_link(slider, live):
    before, number = drawn(live), live.get_attribute(f"[data-pg={slider}]", "aria-valuetext")
    assert redrawn(live, lambda: press(live, slider, "ArrowRight")) != before
    after = live.get_attribute(f"[data-pg={slider}]", "aria-valuetext")
    assert float(after) > float(number)
    live.wait_for_url(f"**{slider}={after}*")


def test_the_learning_rate_moves_sgd_and_the_momentum_does_not(live):
    sgd = drawn(live, ".main [data-path=sgd]")
    redrawn(live, lambda: press(live, "momentum", "ArrowLeft"))
    assert drawn(live, ".main [data-path=sgd]") == sgd
    redrawn(live, lambda: press(live, "lr", "ArrowLeft"))
    assert drawn(live, ".main [data-path=sgd]") != sgd


def test_nesterov_and_the_batch_size_change_the_path(live):
    plain = drawn(live)
    assert redrawn(live, lambda: live.check("[data-pg=nesterov]")) != plain
    assert live.is_hidden("[data-pg=batch]")
    one = redrawn(live, lambda: live.select_option("[data-pg=surface]", "line"))
    assert redrawn(live, lambda: press(live, "batch", "ArrowRight")) != one


def test_the_start_is_where_one_presses_or_what_one_types(live):
    land = live.locator("[data-pg=land]").bounding_box()
    x, y = land["width"] / 2, land["height"] / 3
    pressed = redrawn(live, lambda: live.click("[data-pg=land]", position={"x": x, "y": y}))
    corner = [float(value) for value in re.match(r"M(\S+) ([^L]+)", pressed).groups()]
    assert corner == pytest.approx([x, y], abs=1)

    def write(words):
        live.fill("[data-pg=start-0]", words)
        press(live, "start-0", "Enter")

    typed = redrawn(live, lambda: write("-3"))
    assert typed != pressed
    press(live, "reset", "Enter")
    assert text(live, "sgd-place").startswith("−3, ")
    redrawn(live, lambda: write("1e9"))
    assert text(live, "sgd-place").startswith("6, "), "to the edge of the view"
    redrawn(live, lambda: write(""))
    assert live.input_value("[data-pg=start-0]") == "6", "nothing is no number"


def test_the_map_can_be_pressed(live):
    box = live.locator("[data-pg=map]").bounding_box()
    corner = {"x": box["width"] - 15, "y": 25}
    redrawn(live, lambda: live.click("[data-pg=map]", position=corner))
    assert "η = 9 and λ = 0.99: " in text(live, "here")
    assert text(live, "here").endswith("momentum diverges.")
    assert "diverges, and is far outside at update" in text(live, "told")


def test_what_diverges_is_drawn_as_far_as_one_can_see(live):
    redrawn(live, lambda: press(live, "lr", "End"))
    press(live, "step", "End")
    path = drawn(live, ".main [data-path=sgd]")
    numbers = [abs(float(value)) for value in re.findall(r"[\d.]+", path)]
    assert max(numbers) <= 1e4
    assert text(live, "told").startswith("SGD diverges")
    assert live.locator(".ball.gone").count() == 2
    assert live.locator(".arrow").count() == 0
    assert text(live, "sgd-loss") != "NaN"


def test_a_link_carries_everything(live, address):
    live.evaluate(
        "location.hash = 'surface=saddle&lr=0.07&momentum=0.7&nesterov=true&start=-1,0.5'"
    )
    live.wait_for_function(
        "document.querySelector('[data-pg=sgd-place]').textContent.includes('0.')"
    )
    redrawn(live, lambda: press(live, "momentum", "ArrowRight"))
    live.wait_for_url("**/#surface=saddle&start=-1,0.5&lr=0.07&momentum=0.75&nesterov=true")
    there = live.context.new_page()
    there.goto(live.url)
    wait(there, "live")
    assert drawn(there) == drawn(live)
    assert there.is_checked("[data-pg=nesterov]")
    there.close()


@pytest.mark.parametrize(
    "link", ["surface=nothing", "surface=ball&start=1,2&lr=many&momentum=7", "surface=&batch=%%"]
)
def test_a_link_that_makes_no_sense_is_mended(link, live):
    redrawn(live, lambda: live.evaluate(f"location.hash = {link!r}"))
    assert drawn(live).startswith("M")
    assert live.input_value("[data-pg=surface]") in ("ravine", "ball")


def test_what_cannot_be_is_mended_in_the_link_as_well(live):
    redrawn(live, lambda: live.evaluate("location.hash = 'surface=saddle&start=9,1&lr=1e308'"))
    live.wait_for_url("**/#surface=saddle&start=2,1&lr=9")
    assert live.get_attribute("[data-pg=lr]", "aria-valuetext") == "9"


def test_links_to_other_places_of_the_page_change_nothing_and_back_leads_back(live):
    redrawn(live, lambda: live.select_option("[data-pg=surface]", "ball"))
    live.evaluate("location.hash = 'how-to-read-it'")
    live.wait_for_timeout(400)
    assert live.input_value("[data-pg=surface]") == "ball"
    assert live.url.endswith("#how-to-read-it")
    live.evaluate("location.hash = ''")
    live.wait_for_function("document.querySelector('[data-pg=surface]').value === 'ravine'")


@pytest.fixture
def slow(browser, address):
    """Return a page on which one surface's file comes when it is let go, and another is missing."""
    page, held = browser.new_page(), []
    page.route("**/precomputed/ball.js", lambda route: held.append(route))
    page.route("**/precomputed/line.js", lambda route: route.fulfill(status=404))
    page.goto(f"{address}playground/#surface=saddle")
    wait(page, "precomputed")
    yield page, held
    page.close()


@pytest.mark.parametrize("last", ["saddle", "ball&momentum=0.8"])
def test_what_was_chosen_last_is_shown(last, slow):
    page, held = slow
    for link in ("ball", last):
        page.evaluate(f"location.hash = 'surface={link}'")
        page.wait_for_timeout(100)
    for route in held:
        route.continue_()
    page.wait_for_timeout(500)
    assert page.input_value("[data-pg=surface]") == last.partition("&")[0]
    assert page.url.endswith(f"#surface={last}")
    assert page.get_attribute("[data-pg=momentum]", "aria-valuetext") == "0.8"


def test_nothing_is_changed_while_another_surface_is_on_its_way(slow):
    page, held = slow
    page.select_option("[data-pg=surface]", "ball")
    press(page, "lr", "ArrowRight")
    press(page, "play", "Enter")
    page.wait_for_timeout(100)
    [route] = held
    route.continue_()
    page.wait_for_function("document.querySelector('[data-pg=step]').max === '150'")
    assert text(page, "play") == "Play"
    assert page.get_attribute("[data-pg=lr]", "aria-valuetext") == "0.1"
    assert page.url.endswith("#surface=ball")


def test_a_surface_that_cannot_be_read_leaves_all_as_it_was(slow):
    page, _ = slow
    page.select_option("[data-pg=surface]", "line")
    page.get_by_text("Nothing new can be shown: cannot read").wait_for()
    assert page.input_value("[data-pg=surface]") == "saddle"
    page.wait_for_url("**/#surface=saddle")
    redrawn(page, lambda: press(page, "momentum", "ArrowRight"))


def test_a_slider_that_is_dragged_leaves_the_link_alone_until_it_rests(live):
    live.evaluate(
        "history.replaceState = new Proxy(history.replaceState,"
        " {apply: (f, it, given) => { window.written += 1; f.apply(it, given); }});"
        "window.written = 0"
    )
    press(live, "lr", "ArrowRight", times=10)
    live.wait_for_function("written > 0")
    live.wait_for_timeout(500)
    assert live.evaluate("written") < 5


def test_it_plays_on_when_python_comes(browser, address):
    page = browser.new_page()
    page.goto(f"{address}playground/#surface=ball")
    wait(page, "precomputed")
    page.select_option("[data-pg=speed]", "0.25")  # so that Python comes before the end
    page.click("[data-pg=play]")
    wait(page, "live")
    assert text(page, "play") == "Pause"
    page.close()


@pytest.mark.parametrize("link", ["surface=ravine&start=0,0", "surface=saddle&start=1,1"])
def test_a_start_where_nothing_moves_is_a_picture_too(link, live):
    redrawn(live, lambda: live.evaluate(f"location.hash = {link!r}"))
    live.wait_for_function("document.querySelector('[data-pg=larger]').textContent === ''")
    assert live.locator("[data-pg=loss] .path").count() == 2
    assert "NaN" not in live.inner_html(".playground")


def test_the_links_to_try_set_what_they_say(live):
    redrawn(live, lambda: live.select_option("[data-pg=surface]", "line"))
    for link in live.locator('a[href^="#surface="]').all():
        redrawn(live, link.click)
        wanted = dict(pair.split("=") for pair in link.get_attribute("href")[1:].split("&"))
        assert live.input_value("[data-pg=surface]") == wanted["surface"]
        if "momentum" in wanted:
            assert live.get_attribute("[data-pg=momentum]", "aria-valuetext") == wanted["momentum"]
        if "start" in wanted:
            assert live.input_value("[data-pg=start-0]") == wanted["start"].split(",")[0]
        assert live.locator(".playground").bounding_box()["y"] < 900, "in sight"


# ── Steps ────────────────────────────────────────────────────────────────────────────────────────


def test_play_pause_step_and_reset(live):
    press(live, "reset", "Enter")
    assert text(live, "count") == "0 of 100"
    assert text(live, "sgd-place") == text(live, "momentum-place") == "−8, 2"
    press(live, "next", "Enter")
    assert text(live, "count") == "1 of 100"
    press(live, "play", "Space")
    assert text(live, "play") == "Pause"
    live.wait_for_function("document.querySelector('[data-pg=step]').valueAsNumber > 4")
    press(live, "play", "Space")
    stopped = text(live, "count")
    live.wait_for_timeout(300)
    assert text(live, "count") == stopped
    press(live, "step", "End")
    assert text(live, "count") == "100 of 100"
    press(live, "play", "Enter")
    live.wait_for_function("document.querySelector('[data-pg=step]').valueAsNumber < 50")


def test_where_it_stands_the_hessian_is_told(live):
    redrawn(live, lambda: live.evaluate("location.hash = 'surface=saddle&start=-1.5,1.5'"))
    press(live, "step", "End")
    assert text(live, "momentum-verdict") == "saddle point"
    assert text(live, "momentum-eigenvalues") == "−2, 2"
    press(live, "reset", "Enter")
    assert text(live, "momentum-verdict").startswith("not a critical point; here the loss bends up")


@pytest.mark.parametrize("nesterov", [False, True])
def test_every_step_is_a_parallelogram(nesterov, live):
    if nesterov:
        redrawn(live, lambda: live.check("[data-pg=nesterov]"))
    corners = {
        kind: [float(value) for value in re.findall(r"[-\d.]+", drawn(live, f".arrow.{kind}"))]
        for kind in ("slope", "last", "sum")
    }
    arrows = {kind: np.subtract(ends[2:], ends[:2]) for kind, ends in corners.items()}
    assert np.hypot(*arrows["sum"]) > 5
    np.testing.assert_allclose(arrows["slope"] + arrows["last"], arrows["sum"], atol=0.3)
    press(live, "reset", "Enter")
    assert live.locator(".arrow.last").count() == 0, "at first, no step was taken"
    assert live.locator(".arrow.sum").count() == 1


# ── Everybody, everywhere ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("surface", ["ball", "saddle"])
def test_everybody_can_read_and_use_it(scheme, surface, live, violations):
    live.emulate_media(color_scheme=scheme)
    redrawn(live, lambda: live.select_option("[data-pg=surface]", surface))
    assert violations(live) == []


def test_the_tab_key_comes_to_every_control_and_shows_where_it_is(live):
    live.focus("[data-pg=surface]")
    reached = []
    for _ in range(13):
        reached.append(live.evaluate(FOCUSED))
        style = "getComputedStyle(document.activeElement)"
        assert live.evaluate(f"{style}.outlineStyle !== 'none' || {style}.boxShadow !== 'none'")
        live.keyboard.press("Tab")
    names = "surface lr momentum condition nesterov start-0 start-1 ring play next reset step speed"
    assert reached == names.split()


def test_on_a_phone_it_is_narrow_and_answers_to_touch(browser, address):
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True)
    page = context.new_page()
    page.goto(f"{address}playground/#surface=ball")
    wait(page, "live")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    before = text(page, "told")
    page.locator("[data-pg=land]").tap(position={"x": 100, "y": 100})
    page.wait_for_function(f"document.querySelector('[data-pg=told]').textContent !== {before!r}")
    context.close()


def test_nothing_moves_for_those_who_want_it_so(browser, address):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}playground/")
    wait(page, "precomputed")
    page.click("[data-pg=play]")
    assert text(page, "count") == "100 of 100"
    assert text(page, "play") == "Play"
    context.close()


# ── Without Python ───────────────────────────────────────────────────────────────────────────────


def without_python(page):
    page.wait_for_selector('.playground[data-python="off"]', timeout=60_000)
    assert page.is_disabled("[data-pg=start-0]")
    before = drawn(page)
    assert redrawn(page, lambda: press(page, "momentum", "ArrowLeft")) != before
    page.wait_for_url("**momentum=0.8*")
    redrawn(page, lambda: page.select_option("[data-pg=surface]", "line"))
    redrawn(page, lambda: press(page, "batch", "ArrowRight"))
    assert page.get_attribute("[data-pg=batch]", "aria-valuetext") == "5"
    box = page.locator("[data-pg=map]").bounding_box()
    redrawn(page, lambda: page.click("[data-pg=map]", position={"x": box["width"] - 15, "y": 25}))
    assert "η = 0.5 and λ = 0.99" in text(page, "here"), "the nearest that there is"
    return text(page, "badge")


def test_from_a_disk_it_shows_precomputed_paths(browser):
    page, told = browser.new_page(), []
    page.on("request", lambda request: told.append(request.url) if outside(request) else None)
    page.goto((SITE / "playground" / "index.html").as_uri())
    assert (
        "This page shows precomputed paths: opened from a disk, it cannot start Python."
        in without_python(page)
    )
    assert told == []
    page.close()


def test_a_site_that_was_built_without_python_shows_precomputed_paths(browser, address):
    page = browser.new_page()
    page.route("**/live/python.js", lambda route: route.fulfill(body=""))
    page.goto(f"{address}playground/")
    assert "there is no Python in it" in without_python(page)
    page.close()


def test_where_python_does_not_start_it_says_why(browser, address):
    page = browser.new_page()
    page.route("**/tinygrad_edu.zip", lambda route: route.abort())
    page.goto(f"{address}playground/")
    assert "Python did not start (" in without_python(page)
    page.close()


def test_where_python_stops_it_goes_on_without(browser, address):
    page = browser.new_page()
    page.goto(f"{address}playground/")
    wait(page, "live")
    page.evaluate("void (python.call = () => Promise.reject(new Error('gone')))")
    press(page, "lr", "ArrowRight")
    assert "Python stopped (gone)" in without_python(page)
    page.close()
