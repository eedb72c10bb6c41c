"""What the playground computes: four surfaces, the paths over them, and the Hessian on the way.

The page runs this file in the browser. As long as Python is not there, it shows what this file gave
when the site was built, for some settings. Settings are as the page's link carries them:

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
    lrs: tuple  # those that are precomputed
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
MOMENTA = (0, 0.5, 0.8, 0.9, 0.95, 0.99)  # those that are precomputed
DIGITS = (1, 1.2, 1.5, 1.8, 2, 2.2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)
FINE = {  # those that can be set when Python is there
    "lr": [float(f"{digits}e{power}") for power in (-2, -1, 0) for digits in DIGITS],
    "momentum": [
        *(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.82, 0.84, 0.85, 0.86, 0.87, 0.88),
        *(0.89, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99),
    ],
    "condition": [1, 2, 5, 10, 20, 50, 100, 200, 500],  # beyond, 1/κ counts as flat
    "batch": [1, 2, 4, 5, 10, 20],
}  # fmt: skip


def usual(surface):
    """Return the settings that a surface is first shown with."""
    look = SURFACES[surface]
    place = {"start": look.start, "condition": look.conditions[-1], "batch": look.batches[0]}
    return place | {"lr": look.lr, "momentum": look.momentum, "nesterov": False}


def coarse(surface):
    """Return what can be set until Python is there, as FINE does for later."""
    look = SURFACES[surface]
    lists = {"condition": look.conditions, "batch": look.batches}
    return lists | {"lr": look.lrs, "momentum": MOMENTA}


def loss_of(surface, condition):
    """Return the loss of a surface, with its κ if it has one."""
    return partial(ravine, condition=condition) if surface == "ravine" else SURFACES[surface].loss


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────


def descend(surface, loss, start, batch, lr, momentum, nesterov):
    """Run Momentum; return the places, the gradients of the batches, and if it has diverged.

    λ = 0 is SGD. To diverge is to be far outside of the view, which ends the path.
    """
    look = SURFACES[surface]
    θ = [tg.Tensor([float(value)], requires_grad=True) for value in start]
    optimizer = tg.Momentum(θ, lr, momentum, nesterov)
    batches = [()]  # nothing but the place matters
    if surface == "line":
        batches = tg.DataLoader(tg.TensorDataset(X, Y), batch, shuffle=True, seed=0)
    steps = tg.updates(lambda *points: loss(*θ, *points).sum(), batches, optimizer)
    places, gradients, outside = [[param.item() for param in θ]], [], False
    for _ in islice(steps, look.steps):
        places.append([param.item() for param in θ])
        gradients.append([param.grad.item() for param in θ])
        outside = any(abs(w) > 20 * (high - low) for w, (low, high) in zip(places[-1], look.view))
        if outside:
            break
    return places, gradients, outside


def dealt(batch):
    """Return the indices of the points that each update of the line is computed from."""
    loader = tg.DataLoader(tg.TensorDataset(np.arange(len(X))), batch, shuffle=True, seed=0)
    batches = (part.data.tolist() for _ in range(SURFACES["line"].steps) for (part,) in loader)
    return list(islice(batches, SURFACES["line"].steps))


VERDICTS = (
    "not a critical point",
    "saddle point",
    "local minimum",
    "local maximum",
    "inconclusive (degenerate)",
)
NEAR = 1e-3  # so far from a critical point, by Newton's step, counts as on it


def curvature(loss, places):
    """Return the losses, and what the Hessian says, of n places at once.

    The Hessian of the sum of all losses couples no two places. So its product with
    (1, …, 1, 0, …, 0) is the first column of every place's own Hessian.
    """
    θ = [tg.Tensor(column, requires_grad=True) for column in np.transpose(places)]
    axes, n = len(θ), len(places)
    H = tg.HessianOperator(lambda: loss(*θ).sum(), θ)
    columns = [H @ np.repeat(unit, n) for unit in np.eye(axes)]
    hessians = np.reshape(columns, (axes, axes, n)).transpose(2, 0, 1)
    gradients = H.gradient.reshape(axes, n).T
    points = [
        tg.classify_critical_point(*pair, tol=NEAR, near=NEAR)  # sizes are 1: the view's
        for pair in zip(hessians, gradients)
    ]
    return {
        "loss": loss(*(param.data for param in θ)).tolist(),
        "gradient_norm": [point.gradient_norm for point in points],
        "lowest": [point.lowest for point in points],
        "highest": [point.highest for point in points],
        "verdict": [VERDICTS.index(point.kind) for point in points],
    }


def path(surface, start, condition, batch, lr, momentum, nesterov):
    """Trace one optimizer over a surface: all that the page draws of it."""
    loss = loss_of(surface, condition)
    places, gradients, outside = descend(surface, loss, start, batch, lr, momentum, nesterov)
    found = {"places": places, "gradients": gradients, "diverges": outside}
    return found | curvature(loss, places)


def trace(**settings):
    """Trace SGD and Momentum from the same start."""
    sgd = settings | {"momentum": 0, "nesterov": False}
    return {"sgd": path(**sgd), "momentum": path(**settings)}


def sketch(**settings):
    """Trace both without the Hessian, which is enough while the start is dragged."""
    found = {}
    for name, change in {"sgd": {"momentum": 0, "nesterov": False}, "momentum": {}}.items():
        given = settings | change
        loss = loss_of(given["surface"], given.pop("condition"))
        places, gradients, outside = descend(loss=loss, **given)
        path = {"places": places, "gradients": gradients, "diverges": outside}
        found[name] = path | {"loss": loss(*np.transpose(places)).tolist()}
    return found


# ── The land and the map ─────────────────────────────────────────────────────────────────────────

SIDE = 61  # points along an axis of the view; on a curve, five times as many


def landscape(surface, condition):
    """Return the losses over the view, row by row from below."""
    view = SURFACES[surface].view
    count = SIDE if len(view) == 2 else 5 * SIDE
    axes = np.meshgrid(*(np.linspace(low, high, count) for low, high in view))
    return loss_of(surface, condition)(*(axis.ravel() for axis in axes)).tolist()


REGIMES = ("diverges", "swings", "flips", "rolls in")


def regimes(surface, condition, nesterov):
    """Name what momentum does near the minimum, for all settings of (λ, η).

    Along the steepest direction, with the curvature h, a step takes (m, θ) to

        m ← λm − ηhθ,    θ ← θ + λm − ηhθ    or, Nesterov,    θ ← θ + λ²m − (1 + λ)ηhθ,

    which is a 2 × 2 matrix. By its eigenvalues σ the ball diverges (|σ| > 1), swings (complex),
    flips from side to side (negative) or rolls in (positive). Goh, *Why Momentum Really Works*,
    Distill 2017.
    """
    minimum = [float(value) for value in SURFACES[surface].minimum]
    [h] = curvature(loss_of(surface, condition), [minimum])["highest"]
    λ, η = np.meshgrid(FINE["momentum"], FINE["lr"], indexing="ij")
    ηh = η * h
    row = (λ**2, 1 - (1 + λ) * ηh) if nesterov else (λ, 1 - ηh)
    matrices = np.array([[λ, -ηh], row]).transpose(2, 3, 0, 1)
    σ = np.linalg.eigvals(matrices).astype(complex)
    largest = np.take_along_axis(σ, np.abs(σ).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    tiny = 1e-6  # above the error of two equal eigenvalues, √ε
    cases = [np.abs(largest) > 1 + tiny, np.abs(largest.imag) > tiny, largest.real < -tiny]
    return np.select(cases, [0, 1, 2], default=3).tolist()
