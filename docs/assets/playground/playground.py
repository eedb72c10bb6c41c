"""What the playground computes: four surfaces, the paths over them, and the Hessian on the way.

The page runs this file in the browser, and shows what it gave before, on a grid of settings, as
long as Python is not there. Settings come as the page's link carries them:

    {"surface": "ravine", "start": [-8, 2], "condition": 100, "batch": 20,
     "lr": 0.5, "momentum": 0.9, "nesterov": False}
"""

from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

import tinygrad_edu as tg

# ── The surfaces ─────────────────────────────────────────────────────────────────────────────────
# A loss takes an array for each axis, with n points, and returns the n losses.


def ravine(w1, w2, condition):
    """L = ½(w₁²/κ + w₂²), steep across and flat along; κ is the condition number (条件数)."""
    return (w1**2 / condition + w2**2) / 2


def ball(w):
    """L = w²/32 + ¼ exp(−4(w − 3)²), a wide bowl with a hill in it."""
    return w**2 / 32 + 0.25 * tg.exp(-4 * (w - 3) ** 2)


def saddle(w1, w2):
    """L = (1 − w₁w₂)², the loss of the network y = w₁w₂x with the target 1 at x = 1."""
    return (1 - w1 * w2) ** 2


def twenty_points():
    """Draw 20 points, whose best line is y = 0 + 1·x."""
    generator = np.random.default_rng(100)
    x, noise = generator.uniform(-0.5, 1.5, 20), generator.normal(0, 0.3, 20)
    slope, height = np.polyfit(x, noise, 1)
    return x, x + noise - (height + slope * x)


X, Y = twenty_points()


def line(b, w, x=X, y=Y):
    """L = mean of (b + wx − y)², over all 20 points or over a batch of them."""
    return ((b.reshape(-1, 1) + w.reshape(-1, 1) * x - y) ** 2).mean(axis=1)


class Surface(NamedTuple):
    """A loss, where to look at it, and what is usual on it."""

    loss: object
    axes: tuple  # their names
    view: tuple  # from … to …, for each axis
    start: tuple
    minimum: tuple
    steps: int
    lr: float
    momentum: float
    lrs: tuple  # those that are computed before
    conditions: tuple = (1,)
    batches: tuple = (20,)


SURFACES = {
    "ravine": Surface(
        loss=ravine,
        axes=("w₁", "w₂"),
        view=((-10, 6), (-4, 4)),
        start=(-8, 2),
        minimum=(0, 0),
        steps=100,
        lr=0.5,
        momentum=0.9,
        lrs=(0.1, 0.2, 0.5, 1, 1.8, 2.2, 3.5),
        conditions=(10, 100),
    ),
    "ball": Surface(
        loss=ball,
        axes=("w",),
        view=((-8, 8),),
        start=(7,),
        minimum=(0,),
        steps=150,
        lr=0.1,
        momentum=0.9,
        lrs=(0.02, 0.05, 0.1, 0.2, 0.5, 1),
    ),
    "saddle": Surface(
        loss=saddle,
        axes=("w₁", "w₂"),
        view=((-2, 2), (-2, 2)),
        start=(-1.5, 1.4),
        minimum=(1, 1),
        steps=100,
        lr=0.05,
        momentum=0.8,
        lrs=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    ),
    "line": Surface(
        loss=line,
        axes=("b", "w"),
        view=((-0.6, 1), (0.2, 1.8)),
        start=(0.5, 1.5),
        minimum=(0, 1),
        steps=60,
        lr=0.05,
        momentum=0.8,
        lrs=(0.02, 0.05, 0.1, 0.2, 0.5),
        batches=(1, 5, 20),
    ),
}
MOMENTA = (0, 0.5, 0.8, 0.9, 0.95, 0.99)  # those that are computed before
DIGITS = (1, 1.2, 1.5, 1.8, 2, 2.2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)
FINE = {  # those that can be set when Python is there
    "lr": [float(f"{digits}e{power}") for power in (-2, -1, 0) for digits in DIGITS],
    "momentum": [
        *(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.82, 0.84, 0.85, 0.86, 0.87, 0.88),
        *(0.89, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99),
    ],
    "condition": [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
    "batch": [1, 2, 4, 5, 10, 20],
}  # fmt: skip


def loss_of(surface, condition):
    """Return the loss of a surface, with its κ if it has one."""
    return partial(ravine, condition=condition) if surface == "ravine" else SURFACES[surface].loss


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────


def descend(surface, loss, start, batch, lr, momentum, nesterov):
    """Run Momentum, and return each place and the gradient of the batch seen there.

    It ends after the surface's number of steps, or far outside of the view. λ = 0 is SGD.
    """
    look = SURFACES[surface]
    θ = [tg.Tensor([float(value)], requires_grad=True) for value in start]
    optimizer = tg.Momentum(θ, lr, momentum, nesterov)
    batches = [()]  # nothing but the place matters
    if surface == "line":
        batches = tg.DataLoader(tg.TensorDataset(X, Y), batch, shuffle=True, seed=0)
    steps = tg.updates(lambda *points: loss(*θ, *points).sum(), batches, optimizer)
    places, gradients = [[float(value) for value in start]], []
    for _ in islice(steps, look.steps):
        place = [param.item() for param in θ]
        if not np.isfinite(place).all():
            break
        gradients.append([param.grad.item() for param in θ])
        places.append(place)
        if any(abs(w) > 20 * (high - low) for w, (low, high) in zip(place, look.view)):
            break
    return places, gradients


KINDS = (
    "not a critical point",
    "saddle point",
    "local minimum",
    "local maximum",
    "inconclusive (degenerate)",
)
NEAR = 1e-3  # a point within a thousandth of a critical one counts as one


def curvature(loss, places):
    """Return the losses, and what the Hessian says, of n places at once.

    The sum of all losses has a Hessian in which no place knows of another's. So the product with
    (1, …, 1, 0, …, 0) is the first column of the Hessian of every place.
    """
    θ = [tg.Tensor(column, requires_grad=True) for column in np.transpose(places)]
    axes, n = len(θ), len(places)
    H = tg.HessianOperator(lambda: loss(*θ).sum(), θ)
    columns = [H @ np.repeat(unit, n) for unit in np.eye(axes)]
    hessians = np.reshape(columns, (axes, axes, n)).transpose(2, 0, 1)
    gradients = H.gradient.reshape(axes, n).T
    points = [tg.classify_critical_point(*pair, tol=NEAR) for pair in zip(hessians, gradients)]
    return {
        "loss": loss(*(param.data for param in θ)).tolist(),
        "slope": [point.gradient_norm for point in points],
        "lowest": [point.lowest for point in points],
        "highest": [point.highest for point in points],
        "kind": [KINDS.index(point.kind) for point in points],
    }


def path(surface, start, condition, batch, lr, momentum, nesterov):
    """Trace one optimizer over a surface: all that the page draws of it."""
    loss = loss_of(surface, condition)
    with np.errstate(all="ignore"):  # to diverge is no error here
        places, gradients = descend(surface, loss, start, batch, lr, momentum, nesterov)
        seen = curvature(loss, places)
    outside = len(gradients) < SURFACES[surface].steps
    return {"places": places, "gradients": gradients, "diverges": outside} | seen


def trace(**settings):
    """Trace SGD and Momentum from the same start."""
    sgd = settings | {"momentum": 0, "nesterov": False}
    return {"sgd": path(**sgd), "momentum": path(**settings)}


# ── The land and the map ─────────────────────────────────────────────────────────────────────────

SIDE = 61  # points along an axis of the view; on a curve, five times as many


def landscape(surface, condition):
    """Return the losses over the view, row by row from below."""
    view = SURFACES[surface].view
    count = SIDE if len(view) == 2 else 5 * SIDE
    axes = np.meshgrid(*(np.linspace(low, high, count) for low, high in view))
    return loss_of(surface, condition)(*(axis.ravel() for axis in axes)).tolist()


REGIMES = ("rolls in", "swings", "flips", "diverges")


def regimes(surface, condition, nesterov):
    """Name what momentum does near the minimum, for all settings of (λ, η).

    Along the steepest direction, with the curvature h, a step takes (m, θ) to

        m ← λm − ηhθ,    θ ← θ + λm − ηhθ    or, Nesterov,    θ ← θ + λ²m − (1 + λ)ηhθ,

    which is a 2 × 2 matrix. By its eigenvalues σ the ball diverges (|σ| > 1), swings (complex),
    flips from side to side (negative) or rolls in (positive). Goh, *Why Momentum Really Works*,
    Distill 2017.
    """
    θ = [[float(value)] for value in SURFACES[surface].minimum]
    h = curvature(loss_of(surface, condition), np.transpose(θ))["highest"][0]
    λ, η = np.meshgrid(FINE["momentum"], FINE["lr"], indexing="ij")
    last, slope = (λ**2, 1 + λ) if nesterov else (λ, np.ones_like(λ))
    matrices = np.array([[λ, -η * h], [last, 1 - slope * η * h]]).transpose(2, 3, 0, 1)
    σ = np.linalg.eigvals(matrices).astype(complex)
    largest = np.take_along_axis(σ, np.abs(σ).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    tiny = 1e-6  # above the error of two equal eigenvalues, √ε
    cases = [np.abs(largest) > 1 + tiny, np.abs(largest.imag) > tiny, largest.real < -tiny]
    return np.select(cases, [3, 1, 2], default=0).tolist()
