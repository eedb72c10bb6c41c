"""Compute what the playground shows before Python runs in the page, or where it cannot.

Each surface has a file of its own, a script, because pages that are opened from a disk can read
nothing else.
"""

import json
import sys
from itertools import product

import numpy as np
from vendor import ASSETS

sys.path.insert(0, str(ASSETS / "playground"))
import playground


def digits(values):
    """Keep 5 digits of each number, be it tiny or not."""
    return [float(f"{value:.5g}") for value in values]


def short(path):
    """Round a path: places and gradients to 5 decimals, the rest to 5 digits.

    A column of equal numbers becomes one of them.
    """
    rounded = {name: np.round(path[name], 5).tolist() for name in ("places", "gradients")}
    for name in ("loss", "slope", "lowest", "highest", "kind"):
        column = path[name] if name == "kind" else digits(path[name])
        rounded[name] = column[0] if len(set(column)) == 1 else column
    return path | rounded


def key_of(condition, batch, lr, momentum, nesterov):
    """Name a path as the page does."""
    return f"{condition} {batch} {lr:g} {momentum:g} {nesterov:d}"


def settings_of(name):
    """List all the settings of a surface that are computed before."""
    surface = playground.SURFACES[name]
    for condition, batch, lr in product(surface.conditions, surface.batches, surface.lrs):
        for momentum, nesterov in product(playground.MOMENTA, (False, True)):
            if momentum or not nesterov:
                yield {"condition": condition, "batch": batch, "lr": lr} | {
                    "momentum": momentum, "nesterov": nesterov}  # fmt: skip


def precompute(name):
    """Return the script with all that the page shows of a surface."""
    surface = playground.SURFACES[name]
    about = {key: value for key, value in surface._asdict().items() if key != "loss"}
    paths, landscapes, regimes = {}, {}, {}
    for settings in settings_of(name):
        found = playground.path(surface=name, start=surface.start, **settings)
        paths[key_of(**settings)] = short(found)
    for condition in surface.conditions:
        landscapes[condition] = digits(playground.landscape(name, condition))
        for nesterov in (False, True):
            regimes[f"{condition} {nesterov:d}"] = playground.regimes(name, condition, nesterov)
    told = about | {"momenta": playground.MOMENTA, "fine": playground.FINE}
    told |= {"kinds": playground.KINDS, "names": playground.REGIMES}
    told |= {"paths": paths, "landscapes": landscapes, "regimes": regimes}
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return f"precomputed.{name} = {text};\n"
