"""Compute what the playground shows before Python runs in the page, or where it cannot.

Each surface has a file of its own, a script, because pages that are opened from a disk can read
nothing else.
"""

import json
import sys
from itertools import product

from vendor import ASSETS

sys.path.insert(0, str(ASSETS / "playground"))
import playground


def short(value, decimals=None):
    """Round, and write a column of equal numbers as one of them: a third of the bytes."""
    if isinstance(value, dict):
        # Places are compared to 4 decimals; all else may be tiny, and keeps 5 digits.
        exact = {"places": 5, "gradients": 5}
        return {key: short(value[key], exact.get(key, decimals)) for key in value}
    if isinstance(value, list):
        values = [short(item, decimals) for item in value]
        same = len(values) > 1 and all(item == values[0] for item in values)
        return values[0] if same and not isinstance(values[0], list) else values
    if isinstance(value, float):
        return round(value, decimals) if decimals else float(f"{value:.5g}")
    return value


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
        landscapes[condition] = short(playground.landscape(name, condition))
        for nesterov in (False, True):
            regimes[f"{condition} {nesterov:d}"] = playground.regimes(name, condition, nesterov)
    told = about | {"momenta": playground.MOMENTA, "fine": playground.FINE}
    told |= {"kinds": playground.KINDS, "names": playground.REGIMES}
    told |= {"paths": paths, "landscapes": landscapes, "regimes": regimes}
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return f"precomputed.{name} = {text};\n"
