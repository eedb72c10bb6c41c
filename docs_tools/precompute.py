"""Compute what the playground shows before Python runs in the page, or where it cannot.

Each surface has a file of its own, a script, because pages that are opened from a disk can read
nothing else.
"""

import functools
import json
import sys
from itertools import product

import numpy as np
from vendor import ROOT

sys.path.insert(0, str(ROOT / "docs" / "assets" / "playground"))
import playground


def digits(values):
    """Keep 5 digits of each number, be it tiny or not."""
    return [float(f"{value:.5g}") for value in values]


def rounded(path):
    """Round a path: places and gradients to 5 decimals, the rest to 5 digits.

    A column of equal numbers becomes one of them.
    """
    short = {name: np.round(path[name], 5).tolist() for name in ("places", "gradients")}
    for name in ("loss", "gradient_norm", "lowest", "highest", "verdict"):
        column = path[name] if name == "verdict" else digits(path[name])
        short[name] = column[0] if len(set(column)) == 1 else column
    return path | short


def key_of(condition, batch, lr, momentum, nesterov):
    """Name a path as the page does."""
    return f"{condition} {batch} {lr:g} {momentum:g} {nesterov:d}"


def settings_of(name):
    """List all the settings of a surface that are precomputed."""
    choices = playground.coarse(name)
    for values in product(*choices.values()):
        settings = dict(zip(choices, values))
        for nesterov in (False, True) if settings["momentum"] else (False,):
            yield settings | {"nesterov": nesterov}


@functools.cache  # the tests ask for it again and again
def precompute(name):
    """Return the script with all that the page shows of a surface."""
    surface = playground.SURFACES[name]
    told = {
        "axes": surface.axes,
        "view": surface.view,
        "minimum": surface.minimum,
        "steps": surface.steps,
        "usual": playground.usual(name),
        "coarse": playground.coarse(name),
        "fine": playground.FINE,
        "verdicts": playground.VERDICTS,
        "regimes": playground.REGIMES,
        "landscapes": {},
        "maps": {},
        "paths": {},
    }
    for condition in surface.conditions:
        told["landscapes"][condition] = digits(playground.landscape(name, condition))
        for nesterov in (False, True):
            found = playground.regimes(name, condition, nesterov)
            told["maps"][f"{condition} {nesterov:d}"] = found
    for settings in settings_of(name):
        found = playground.path(surface=name, start=surface.start, **settings)
        told["paths"][key_of(**settings)] = rounded(found)
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return f"precomputed.{name} = {text};\n"
