"""The built site in a real browser: what the tests on it share."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NEEDED = {
    "the site": (SITE / "index.html").exists(),
    "Chromium": CHROMIUM,
    "Playwright": find_spec("playwright"),
}


def require(needed):
    """Skip a module where something is missing."""
    missing = " and ".join(what for what, there in needed.items() if not there)
    if missing:
        pytest.skip(f"{missing} not there", allow_module_level=True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=["light", "dark"])
def window(request, browser):
    # Nothing moves, so that axe sees the final colors.
    context = browser.new_context(color_scheme=request.param, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture(scope="session", name="window")
def light_window(browser):
    """For pages that take long: in the light, only."""
    context = browser.new_context(reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def tab(window):
    page = window.new_page()
    yield page
    page.close()


@pytest.fixture
def asked(tab, address):
    """All that a page asks for: nothing elsewhere; and it has nothing to say on the console."""
    asked, told = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("requestfailed", lambda request: told.append(f"failed: {request.url}"))
    tab.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: told.append(str(error)))
    yield asked
    assert told == []
    assert [url for url in asked if not url.startswith((address, "data:", f"blob:{address}"))] == []


@pytest.fixture(scope="session")
def violations():
    """Return what axe finds on a page that not everybody can read or use."""
    import vendor  # from docs_tools/

    axe = (vendor.fetch("axe-core") / "axe.min.js").read_text(encoding="utf-8")

    def find(tab):
        tab.evaluate(axe)
        return [
            (it["id"], [node["html"][:200] for node in it["nodes"]])
            for it in tab.evaluate("axe.run().then(result => result.violations)")
            if it["impact"] in ("serious", "critical")
        ]

    return find
