"""What the playground computes, and what it tells the reader to try."""

import html
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

precompute = pytest.importorskip("precompute", reason="the docs are not part of this package")
playground = precompute.playground

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "playground.md").read_text(encoding="utf-8")
ASSETS = DOCS / "assets"


def settings(surface, **changes):
    return {"surface": surface} | playground.usual(surface) | changes


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────

x, y = playground.X, playground.Y
GRADIENTS = {  # by hand
    "ravine": lambda w1, w2: (w1 / 100, w2),
    "ball": lambda w: (w / 16 - 2 * (w - 3) * np.exp(-4 * (w - 3) ** 2),),
    "saddle": lambda w1, w2: (-2 * w2 * (1 - w1 * w2), -2 * w1 * (1 - w1 * w2)),
    "line": lambda b, w: (2 * np.mean(b + w * x - y), 2 * np.mean((b + w * x - y) * x)),
}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("surface", playground.SURFACES)
def test_paths_are_those_of_the_formulas(surface, nesterov):
    given = settings(surface, nesterov=nesterov, batch=20)
    η, λ = given["lr"], given["momentum"]
    for kind, kept in {"sgd": 0, "momentum": λ}.items():
        θ, m, expected = np.array(given["start"], float), 0.0, []
        for _ in range(playground.SURFACES[surface].steps + 1):
            expected.append(θ)
            change = η * np.array(GRADIENTS[surface](*θ))
            m = kept * m - change
            θ = θ + (kept * m - change if nesterov else m)
        found = playground.trace(**given)[kind]
        np.testing.assert_allclose(found["places"], expected, atol=1e-9)
        assert not found["diverges"]


def test_small_batches_are_an_epoch_of_all_the_points_in_an_order_of_their_own():
    path = playground.path(**settings("line", batch=1, lr=1e-9, momentum=0))
    first, second = np.array(path["gradients"])[:20], np.array(path["gradients"])[20:40]
    each = np.array([2 * (0.5 + 1.5 * x - y), 2 * (0.5 + 1.5 * x - y) * x]).T
    np.testing.assert_allclose(sorted(first.tolist()), sorted(each.tolist()), atol=1e-6)
    np.testing.assert_allclose(sorted(second.tolist()), sorted(each.tolist()), atol=1e-6)
    assert not np.allclose(first, second)


@pytest.mark.parametrize("batch", playground.FINE["batch"])
def test_the_points_that_are_lit_are_those_of_the_next_batch(batch):
    path = playground.path(**settings("line", batch=batch, lr=0.01))
    for θ, gradient, dealt in zip(path["places"], path["gradients"], playground.dealt(batch)):
        error = θ[0] + θ[1] * x[dealt] - y[dealt]
        expected = [2 * error.mean(), 2 * (error * x[dealt]).mean()]
        np.testing.assert_allclose(gradient, expected, atol=1e-12)


def test_a_sketch_is_the_path_without_the_hessian():
    sketch, trace = playground.sketch(**settings("ball")), playground.trace(**settings("ball"))
    for optimizer, path in sketch.items():
        assert path["places"] == trace[optimizer]["places"]
        assert path["gradients"] == trace[optimizer]["gradients"]
        np.testing.assert_allclose(path["loss"], trace[optimizer]["loss"], rtol=1e-12)


def test_the_twenty_points_are_fitted_best_by_the_line_through_0_with_slope_1():
    np.testing.assert_allclose(np.polyfit(x, y, 1), [1, 0], atol=1e-12)


@pytest.mark.parametrize("surface", playground.SURFACES)
def test_curvature_at_many_places_is_the_hessian_at_each(surface):
    look = playground.SURFACES[surface]
    generator = np.random.default_rng(0)
    places = [[generator.uniform(*side) for side in look.view] for _ in range(5)]
    loss = playground.loss_of(surface, look.conditions[-1])
    found = playground.curvature(loss, places)
    for i, place in enumerate(places):
        θ = [tg.Tensor([value], requires_grad=True) for value in place]
        values = np.linalg.eigvalsh(tg.hessian(lambda θ=θ: loss(*θ).sum(), θ))
        gradient = tg.grad(loss(*θ).sum(), θ)
        assert found["lowest"][i] == pytest.approx(values[0], abs=1e-12)
        assert found["highest"][i] == pytest.approx(values[-1], abs=1e-12)
        assert found["gradient_norm"][i] == pytest.approx(
            np.hypot.reduce([g.item() for g in gradient])
        )
        assert found["loss"][i] == pytest.approx(loss(*θ).item())


@pytest.mark.parametrize(
    ("surface", "place", "verdict"),
    [
        ("saddle", (0.0, 0.0), "saddle point"),
        ("saddle", (1.0, 1.0), "inconclusive (degenerate)"),
        ("saddle", (1.0, 0.0), "not a critical point"),
        ("ravine", (0.0, 0.0), "local minimum"),
        ("ball", (3.1012,), "local maximum"),
    ],
)
def test_verdicts(surface, place, verdict):
    [found] = playground.curvature(playground.loss_of(surface, 100), [place])["verdict"]
    assert playground.VERDICTS[found] == verdict


# ── The land and the map ─────────────────────────────────────────────────────────────────────────


def test_the_land_is_given_row_by_row_from_below():
    land = np.reshape(playground.landscape("saddle", 1), (playground.SIDE, playground.SIDE))
    axis = np.linspace(-2, 2, playground.SIDE)
    np.testing.assert_allclose(land, (1 - axis[:, None] * axis) ** 2, atol=1e-12)
    ravine = np.reshape(playground.landscape("ravine", 10), land.shape)
    assert ravine[0, 0] == pytest.approx(10**2 / 20 + 4**2 / 2)
    assert len(playground.landscape("ball", 1)) == 5 * playground.SIDE


def seen(path):
    """Name what a ball did, from its path alone."""
    steep = np.array(path["places"])[:, 1]
    if path["diverges"] or abs(steep[-1]) > abs(steep[0]):
        return "diverges"
    steep = steep[np.abs(steep) > 1e-250]  # below, numbers run out
    crossed = [before * after < 0 for before, after in pairwise(np.sign(steep))]
    return "rolls in" if not any(crossed) else "flips" if all(crossed) else "swings"


@pytest.mark.parametrize("nesterov", [False, True])
def test_balls_do_what_the_map_says(nesterov):
    regimes = playground.regimes("ravine", 100, nesterov)
    told, done = [], []
    for j in range(0, len(playground.FINE["momentum"]), 3):
        for i in range(3, len(playground.FINE["lr"]), 3):
            λ, η = playground.FINE["momentum"][j], playground.FINE["lr"][i]
            if nesterov and η == 1:
                continue  # it is there after two steps, too few to tell
            given = settings("ravine", start=(0, 2), lr=η, momentum=λ, nesterov=nesterov)
            told.append((η, λ, playground.REGIMES[regimes[j][i]]))
            done.append((η, λ, seen(playground.path(**given))))
    assert {name for *_, name in told} == set(playground.REGIMES)
    assert [pair for pair in zip(told, done) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("nesterov", "limit"),
    [(False, lambda λ: 2 * (1 + λ)), (True, lambda λ: 2 * (1 + λ) / (1 + 2 * λ))],
)
def test_balls_diverge_beyond_the_known_limit(nesterov, limit):
    rows = playground.regimes("ravine", 100, nesterov)
    for λ, row in zip(playground.FINE["momentum"], rows):
        for η, regime in zip(playground.FINE["lr"], row):
            if abs(η - limit(λ)) > 1e-6:
                assert (playground.REGIMES[regime] == "diverges") == (η > limit(λ)), (η, λ)


# ── What the page tells ──────────────────────────────────────────────────────────────────────────


LINKS = [html.unescape(link) for link in re.findall(r'href="#(surface[^"]*)"', PAGE)]


def test_links_lead_to_settings_that_can_be_chosen():
    assert len(LINKS) == 9
    for link in LINKS:
        assert precompute.read(link).keys() == settings("ravine").keys()


@pytest.mark.parametrize("link", ["surface=ball&lr=0.123", "surface=ball&color=1"])
def test_a_preset_that_the_playground_does_not_offer_is_refused(link):
    with pytest.raises(ValueError, match="the playground offers no"):
        precompute.read(link)


def test_presets_of_pages_are_precomputed_exactly():
    link = "surface=saddle&start=-1.5,1.5&momentum=0.86"
    assert precompute.presets([f'<a href="playground.md#{link}">']) == {link}
    found = {precompute.key_of(**given) for given in precompute.settings_of("saddle", [link])}
    grid = {precompute.key_of(**given) for given in precompute.settings_of("saddle")}
    assert found - grid == {"-1.5,1.5 1 20 0.05 0.86 0", "-1.5,1.5 1 20 0.05 0 0"}


def test_what_the_page_tells_to_try_is_so():
    ravine, fast, nesterov, ball, slow, saddle, beside, gun, mortar = (
        playground.trace(**precompute.read(link)) for link in LINKS
    )

    def end(path):
        return path["places"][-1]

    assert end(ravine["sgd"])[0] < -8 / 2  # not half of the way
    assert ravine["momentum"]["loss"][-1] < 1e-4
    assert fast["sgd"]["diverges"]
    assert not fast["momentum"]["diverges"]
    assert nesterov["momentum"]["diverges"]
    assert not nesterov["sgd"]["diverges"]
    assert end(ball["sgd"]) == pytest.approx([3.664], abs=1e-3)
    assert end(ball["momentum"]) == pytest.approx([0], abs=1e-2)
    assert end(slow["momentum"]) == pytest.approx([3.663], abs=1e-3)
    for optimizer in ("sgd", "momentum"):
        assert playground.VERDICTS[saddle[optimizer]["verdict"][-1]] == "saddle point"
        assert beside[optimizer]["loss"][-1] < 1e-9
        assert len(gun[optimizer]["places"]) == len(mortar[optimizer]["places"])


def test_a_player_has_a_control_for_everything_that_can_be_set():
    text = (ASSETS / "playground" / "controls.js").read_text(encoding="utf-8")
    for name in ("surface", "lr", "momentum", "condition", "batch", "nesterov", "start"):
        assert f'data-pg="{name}"' in text or f'slider("{name}", ' in text
    options = re.findall(r'<option value="(\w+)">', text)
    assert options == list(playground.SURFACES)


# ── What is computed before ──────────────────────────────────────────────────────────────────────


def test_rounding_keeps_places_to_5_decimals_and_all_else_to_5_digits():
    path = playground.path(**settings("ravine", start=(0.0, 1.2345678), lr=1.0, momentum=0))
    rounded = precompute.rounded(path)
    assert path["places"][:2] == [[0, 1.2345678], [0, 0]]
    assert rounded["places"][:2] == [[0, 1.23457], [0, 0]]
    assert path["loss"][0] == 1.2345678**2 / 2
    assert rounded["loss"][:2] == [0.76208, 0]
    assert (rounded["lowest"], rounded["highest"]) == (0.01, 1), "the same everywhere"


def test_all_that_can_be_chosen_without_python_is_there():
    surface = playground.SURFACES["line"]
    assert set(surface.lrs) <= set(playground.FINE["lr"])
    assert set(playground.MOMENTA) <= set(playground.FINE["momentum"])
    keys = {precompute.key_of(**given) for given in precompute.settings_of("line")}
    assert len(keys) == 5 * 3 * (1 + 5 * 2)
