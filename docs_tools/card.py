"""Draw the picture that links to the site are shown with: SGD and Momentum in the ravine."""

import io

import numpy as np
from matplotlib.figure import Figure
from precompute import playground

PAPER, INK = "#14273d", "#f4f1ea"
COLORS = {"sgd": "#f0a040", "momentum": "#8ecbf0"}


def card():
    """Return a PNG of 1200 × 630 pixels."""
    figure = Figure(figsize=(12, 6.3), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), facecolor=PAPER)
    w1, w2 = (np.linspace(low, high, 200) for low, high in ((-11, 3), (-3.2, 4.4)))
    losses = playground.ravine(*np.meshgrid(w1, w2), condition=100)
    axes.contour(w1, w2, losses, levels=8 * np.linspace(0.03, 1, 14) ** 2, colors="#33506e")
    paths = playground.trace(surface="ravine", **playground.usual("ravine"))
    for name, path in paths.items():
        places = np.array(path["places"])[:45]
        style = "--" if name == "sgd" else "-"
        axes.plot(*places.T, style, color=COLORS[name], linewidth=4)
        axes.plot(*places[-1], "s" if name == "sgd" else "o", color=COLORS[name], markersize=20)
    axes.text(-10.4, 3.35, "tinygrad_edu", color=INK, fontsize=44, weight="bold")
    words = "SGD and momentum, autograd and the Hessian:\nclaims measured, code you can run"
    axes.text(-10.4, -2.85, words, color=INK, fontsize=26, linespacing=1.4)
    axes.set(xlim=(-11, 3), ylim=(-3.2, 4.4))
    axes.axis("off")
    data = io.BytesIO()
    figure.savefig(data, dpi=100, facecolor=PAPER, metadata={"Software": None})
    return data.getvalue()
