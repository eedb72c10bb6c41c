"""A network, and some sixty functions with critical points that are known.

A specimen is a function of w₁, w₂, …, a point, what kind of point it is, and a way off: a step,
relative to the parameters (absolute where they are 0), at whose end the point is not critical.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np

import tinygrad_edu as tg

MINIMUM, MAXIMUM, SADDLE = "local minimum", "local maximum", "saddle point"
DEGENERATE, NOT = "inconclusive (degenerate)", "not a critical point"


def leaf(data, **options):
    return tg.Tensor(data, requires_grad=True, **options)


def device(array):
    return tg.Tensor(array).data


def host(array):
    return tg.backend.move(array, "numpy")


def network(dtype="float64", sizes=(64, 6, 10), images=60):
    """Return the loss of a small tanh network on real digits with its parameters."""
    generator = np.random.default_rng(0)
    layers = [tg.nn.Linear(*pair, generator, dtype) for pair in itertools.pairwise(sizes)]
    model = tg.nn.Sequential(layers[0], tg.nn.Tanh(), *layers[1:])
    train, _ = tg.datasets.digits()
    x, y = train[:images]
    x = x.astype(dtype)
    return (lambda: tg.cross_entropy(model(x), y)), model.parameters()


class Specimen(NamedTuple):
    name: str
    f: Any
    point: tuple[float, ...]
    kind: str
    off: tuple[float, ...]


def rotated(values, point, seed, cubic=0.0):
    """Return a quadratic with these eigenvalues and axes of its own, and a cubic term."""
    n = len(values)
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))

    def f(*w):
        total = 0.0
        for value, axis in zip(values, Q.T, strict=True):
            along = 0.0
            for part, at, weight in zip(w, point, axis, strict=True):
                along = along + float(weight) * (part - at)
            total = total + value / 2 * along * along + cubic * along**3
        return total

    return f


def unit(*w):
    """Return the squared error of v₂ tanh(v₁x) for x = 1, target 1/2."""
    return (w[1] * tg.tanh(w[0]) - 0.5) ** 2


def logistic(a, b):
    """Return the cross-entropy of four points that no line splits, with logits a + bx."""
    total = 0.0
    for x, y in ((-1.0, 0.0), (1.0, 0.0), (2.0, 1.0), (-2.0, 1.0)):
        z = a + b * x
        total = total + tg.log(1 + tg.exp(z)) - y * z
    return total


LOGISTIC = (0.0, 0.0)
E, S2 = float(np.e), 0.5**0.5
U, H = (0.5,), (0.5, 0.5)
SPECIMENS = [Specimen(*row) for row in [
    # One parameter
    ("a²", lambda a: a * a, (0.0,), MINIMUM, U),
    ("−a²", lambda a: -a * a, (0.0,), MAXIMUM, U),
    ("(a−1)²", lambda a: (a - 1) ** 2, (1.0,), MINIMUM, U),
    ("500(a−8)²", lambda a: 500 * (a - 8) ** 2, (8.0,), MINIMUM, U),
    ("a⁴", lambda a: a**4, (0.0,), DEGENERATE, U),
    ("a³", lambda a: a**3, (0.0,), DEGENERATE, U),
    ("a² + a³", lambda a: a * a + a**3, (0.0,), MINIMUM, U),
    ("a² + a³ at its maximum", lambda a: 3 * a * a + a**3, (-2.0,), MAXIMUM, U),
    ("double well, middle", lambda a: (a * a - 1) ** 2, (0.0,), MAXIMUM, U),
    ("double well, right", lambda a: (a * a - 1) ** 2, (1.0,), MINIMUM, U),
    ("cos a", lambda a: tg.cos(a), (0.0,), MAXIMUM, U),
    ("cosh a", lambda a: tg.exp(a) + tg.exp(-a), (0.0,), MINIMUM, U),
    ("exp(−a²)", lambda a: tg.exp(-a * a), (0.0,), MAXIMUM, U),
    ("eᵃ − a", lambda a: tg.exp(a) - a, (0.0,), MINIMUM, U),
    ("a log a", lambda a: a * tg.log(a), (1 / E,), MINIMUM, U),
    ("a + 1/a", lambda a: a + 1 / a, (1.0,), MINIMUM, U),
    ("1/(1+a²)", lambda a: 1 / (1 + a * a), (0.0,), MAXIMUM, U),
    ("constant", lambda a: 0 * a, (1.0,), DEGENERATE, ()),
    # Two
    ("v² + w²", lambda v, w: v * v + w * w, (0.0, 0.0), MINIMUM, H),
    ("−v² − w²", lambda v, w: -v * v - w * w, (0.0, 0.0), MAXIMUM, H),
    ("v² − w²", lambda v, w: v * v - w * w, (0.0, 0.0), SADDLE, H),
    ("vw", lambda v, w: v * w, (0.0, 0.0), SADDLE, H),
    ("(v−1)(w+2)", lambda v, w: (v - 1) * (w + 2), (1.0, -2.0), SADDLE, H),
    ("(v−1)(w+2), v off", lambda v, w: (v - 1) * (w + 2), (1.0, -2.0), SADDLE, (0.2, 0.0)),
    ("unused v", lambda v, w: 0 * v + (w - 1) ** 2, (1e9, 1.0), DEGENERATE, (0.0, 0.3)),
    ("(1−vw)² at 0", lambda v, w: (1 - v * w) ** 2, (0.0, 0.0), SADDLE, (0.5, 0.4)),
    ("(1−vw)² at (1, 1)", lambda v, w: (1 - v * w) ** 2, (1.0, 1.0), DEGENERATE, H),
    ("(1−vw)² at (2, ½)", lambda v, w: (1 - v * w) ** 2, (2.0, 0.5), DEGENERATE, H),
    ("(1−vw)² at (100, .01)", lambda v, w: (1 - v * w) ** 2, (100.0, 0.01), DEGENERATE, H),
    ("v² + w⁴", lambda v, w: v * v + w**4, (0.0, 0.0), DEGENERATE, H),
    ("v² + w³", lambda v, w: v * v + w**3, (0.0, 0.0), DEGENERATE, H),
    ("v² + w³ at the saddle", lambda v, w: (v - 1) ** 2 + w**3 - 3 * w, (1.0, -1.0), SADDLE, H),
    ("v² + w³ at the minimum", lambda v, w: (v - 1) ** 2 + w**3 - 3 * w, (1.0, 1.0), MINIMUM, H),
    ("Rosenbrock", lambda v, w: (1 - v) ** 2 + 100 * (w - v * v) ** 2, (1.0, 1.0), MINIMUM, H),
    ("Himmelblau", lambda v, w: (v * v + w - 11) ** 2 + (v + w * w - 7) ** 2, (3.0, 2.0), MINIMUM,
     H),
    ("Booth", lambda v, w: (v + 2 * w - 7) ** 2 + (2 * v + w - 5) ** 2, (1.0, 3.0), MINIMUM, H),
    ("camel", lambda v, w: 2 * v * v - 1.05 * v**4 + v**6 / 6 + v * w + w * w, (0.0, 0.0), MINIMUM,
     H),
    ("monkey saddle", lambda v, w: v**3 - 3 * v * w * w, (0.0, 0.0), DEGENERATE, H),
    ("½(1000v² + .4w²)", lambda v, w: 500 * v * v + 0.2 * w * w, (0.0, 0.0), MINIMUM, (0.0, 0.8)),
    ("… beside 1", lambda v, w: 500 * (v - 1) ** 2 + 0.2 * (w - 1) ** 2, (1.0, 1.0), MINIMUM,
     (0.0, 0.5)),
    ("1e6 v² − w²", lambda v, w: 1e6 * (v - 1) ** 2 - (w - 1) ** 2, (1.0, 1.0), SADDLE, (0.0, 0.5)),
    ("1e−6 v² + w²", lambda v, w: 1e-6 * (v - 3) ** 2 + (w - 2) ** 2, (3.0, 2.0), MINIMUM,
     (0.5, 0.0)),
    ("sin v sin w, top", lambda v, w: tg.cos(v) * tg.cos(w), (0.0, 0.0), MAXIMUM, H),
    ("sin v sin w, pass", lambda v, w: tg.sin(v) * tg.sin(w), (0.0, 0.0), SADDLE, H),
    ("ve^(−v²−w²)", lambda v, w: v * tg.exp(-v * v - w * w), (S2, 0.0), MAXIMUM, H),
    ("… at the minimum", lambda v, w: v * tg.exp(-v * v - w * w), (-S2, 0.0), MINIMUM, H),
    ("a valley", lambda v, w: (v + w - 2) ** 2, (1.0, 1.0), DEGENERATE, H),
    ("tanh unit at 0", lambda v, w: (w * tg.tanh(v) - 0.5) ** 2, (0.0, 0.0), SADDLE, H),
    ("tanh unit, fitted", unit, (float(np.arctanh(0.5)), 1.0), DEGENERATE, H),
    ("tanh unit, decay", lambda v, w: (w * v - 1) ** 2 + v * v + 0.25 * w * w,
     (0.0, 0.0), SADDLE, H),
    ("logistic", logistic, LOGISTIC, MINIMUM, H),
    ("softplus pair", lambda v, w: tg.log(tg.exp(v) + tg.exp(w)) + v * v + w * w - (v + w) / 2,
     (0.0, 0.0), MINIMUM, H),
    ("rotated −1, 3", rotated((-1, 3), (1, -2), 0), (1.0, -2.0), SADDLE, H),
    ("rotated 1e4, 1", rotated((1e4, 1), (1, -2), 1), (1.0, -2.0), MINIMUM, H),
    ("a flat tail", lambda v, w: 500 * (v - 1) ** 2 + 0.16 * tg.exp(-2 * w), (1.0, 8.0), NOT, ()),
    ("a saddle with a tail", lambda v, u, w: 500 * (v * v - u * u) + 0.16 * tg.exp(-2 * w),
     (0.0, 0.0, 8.0), NOT, ()),
    ("v² + w³ beside 0", lambda v, w: v * v + w**3, (0.0, 1e-6), NOT, ()),
    # More
    ("rotated 1, 2, 3", rotated((1, 2, 3), (1, 2, -1), 2, 0.1), (1.0, 2.0, -1.0), MINIMUM,
     (0.5, 0.0, 0.5)),
    ("rotated −3, −2, −1", rotated((-3, -2, -1), (1, 2, -1), 3, 0.1), (1.0, 2.0, -1.0), MAXIMUM,
     (0.5, 0.0, 0.5)),
    ("rotated 100, 1, −.1", rotated((100, 1, -0.1), (1, 2, -1), 4, 0.1), (1.0, 2.0, -1.0), SADDLE,
     (0.5, 0.0, 0.5)),
    ("rotated 4, 0, 1", rotated((4, 0, 1), (1, 2, -1), 5), (1.0, 2.0, -1.0), DEGENERATE,
     (0.5, -0.5, 0.5)),
    ("Powell", lambda a, b, c, d: (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4
     + 10 * (a - d) ** 4, (0.0, 0.0, 0.0, 0.0), DEGENERATE, (0.5, 0.4, 0.3, 0.2)),
    ("Wood", lambda a, b, c, d: 100 * (b - a * a) ** 2 + (1 - a) ** 2 + 90 * (d - c * c) ** 2
     + (1 - c) ** 2 + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1),
     (1.0, 1.0, 1.0, 1.0), MINIMUM, (0.5, 0.0, 0.5, 0.0)),
    ("two layers at 0", lambda a, b, c: (a * b * c - 1) ** 2 + 0.1 * (a * a + b * b + c * c),
     (0.0, 0.0, 0.0), MINIMUM, (0.5, 0.5, 0.5)),
    ("abc − 1, degenerate", lambda a, b, c: (a * b * c - 1) ** 2, (0.0, 0.0, 0.0), DEGENERATE,
     (0.5, 0.5, 0.5)),
]]  # fmt: skip


def evaluate(specimen, point, dtype="float64", scale=1.0, units=None):
    """Return the Hessian operator of scale·f, with parameters counted in other units."""
    units = np.ones(len(point)) if units is None else np.asarray(units, float)
    w = tg.Tensor((np.asarray(point) * units).astype(dtype), requires_grad=True)
    parts = [w[i] * float(1 / units[i]) for i in range(len(point))]
    w_of = lambda: specimen.f(*parts) * scale  # noqa: E731
    return tg.HessianOperator(w_of, [w])


def beside(specimen):
    """Return the point at the end of the way off."""
    point = np.asarray(specimen.point)
    return point + np.asarray(specimen.off) * np.where(point == 0, 1, np.abs(point))
