"""Pages of the built site in Firefox: no error, nothing wider than the window, Python runs.

Needs a site that was built with Python in it, Firefox, and marionette-driver.
"""

import contextlib
import shutil
import time

import pytest
from chromium import NEEDED, SITE, require

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PYTHON = (SITE / "assets" / "pyodide" / "pyodide.mjs").exists()
require({"the site": NEEDED["the site"], "Firefox": FIREFOX, "Python for the pages": PYTHON})
marionette = pytest.importorskip("marionette_driver.marionette")

pytestmark = pytest.mark.filterwarnings(  # the driver leaves sockets open
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

PAGES = ["", "fifteen_minutes/", "playground/", "playground/?present", "ledger/", "course/"]
PAGES += ["notes/momentum/rolling_ball/", "notes/batch/update_time/", "source/backward/"]
PAGES += ["glossary/", "mistakes/", "speed/"]
# A window cannot be as narrow as a phone, but what it shows can.
RESIZE = """const [width, height] = arguments, { style } = gBrowser.selectedBrowser;
    style.minWidth = style.maxWidth = `${width}px`;
    style.minHeight = style.maxHeight = `${height}px`;"""
ERRORS = """return Services.console.getMessageArray().filter((it) => it instanceof Ci.nsIScriptError
    && it.sourceName.startsWith(arguments[0]) && !(it.flags & Ci.nsIScriptError.warningFlag))
    .map((it) => it.message).filter((it) => !it.includes("NS_BINDING_ABORTED"));"""  # on leaving
WIDTHS = "return [document.documentElement.scrollWidth, innerWidth];"


@contextlib.contextmanager
def opened(log, width, dark=False):
    # 0 is dark, 1 is light.
    prefs = {"layout.css.prefers-color-scheme.content-override": int(not dark)}
    firefox = marionette.Marionette(bin=FIREFOX, headless=True, prefs=prefs, gecko_log=str(log))
    firefox.start_session()
    try:
        with firefox.using_context("chrome"):
            firefox.execute_script(RESIZE, [width, 900])
        yield firefox
    finally:
        firefox.quit()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_and_have_no_error(width, dark, address, tmp_path):
    with opened(tmp_path / "log", width, dark) as firefox:
        for page in PAGES:
            firefox.navigate(f"{address}{page}")
            scheme = firefox.execute_script("return document.body.dataset.mdColorScheme")
            assert scheme == ("slate" if dark else "default")
            needed, there = firefox.execute_script(WIDTHS)
            assert (there, needed <= there) == (width, True), page
        with firefox.using_context("chrome"):
            assert firefox.execute_script(ERRORS, [address]) == []


def test_python_moves_the_playground(address, tmp_path):
    with opened(tmp_path / "log", 1280) as firefox:
        firefox.navigate(f"{address}playground/")
        source = "return document.querySelector('.playground').dataset.source"
        until = time.monotonic() + 60
        while firefox.execute_script(source) != "live":
            assert time.monotonic() < until
            time.sleep(0.2)
