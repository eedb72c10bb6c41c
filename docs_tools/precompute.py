"""Compute what the playground shows before Python runs in the page, or where it cannot.

Each surface has a file of its own, a script, because pages that are opened from a disk can read
nothing else.
"""

import functools
import html
import json
import re
import sys
from itertools import product
from urllib.parse import parse_qsl

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


def key_of(start, condition, batch, lr, momentum, nesterov):
    """Name a path as the page does."""
    place = ",".join(f"{value:g}" for value in start)
    return f"{place} {condition:g} {batch} {lr:g} {momentum:g} {nesterov and momentum > 0:d}"


def read(link):
    """Return the settings that a link stands for: those of its surface, and what it changes.

    >>> read("surface=ball&momentum=0.86")["momentum"], read("surface=ball")["start"]
    (0.86, (7,))
    """
    given = dict(parse_qsl(link))
    settings = {"surface": given["surface"]} | playground.usual(given.pop("surface"))
    for name, value in given.items():
        if name == "start":
            settings[name] = tuple(float(number) for number in value.split(","))
        elif name == "nesterov":
            settings[name] = value == "true"
        else:
            settings[name] = int(value) if name == "batch" else float(value)
            if settings[name] not in playground.FINE.get(name, ()):
                raise ValueError(f"{link}: the playground offers no {name} = {value}")
    return settings


def presets(pages):
    """Find the settings that pages open a player with, or link to.

    >>> sorted(presets(['<div data-preset="surface=ball">', "[Play](x.md#surface=line)"]))
    ['surface=ball', 'surface=line']
    """
    found = re.findall(r"""(?:data-preset="|#)(surface=[^")\s]*)""", "\n".join(pages))
    return frozenset(html.unescape(link) for link in found)


def settings_of(name, links=()):
    """List all the settings of a surface that are precomputed: a grid, and those of some links."""
    for link in links:
        given = read(link)
        if given.pop("surface") == name:
            yield given
            yield given | {"momentum": 0, "nesterov": False}  # SGD
    start = playground.SURFACES[name].start
    choices = playground.coarse(name)
    for values in product(*choices.values()):
        settings = dict(zip(choices, values))
        for nesterov in (False, True) if settings["momentum"] else (False,):
            yield settings | {"start": start, "nesterov": nesterov}


@functools.cache  # the tests ask for it again and again
def precompute(name, links=()):
    """Return the script with all that the pages show of a surface."""
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
    if name == "line":  # the points, and which of them each update is computed from
        told["points"] = [np.round(part, 5).tolist() for part in (playground.X, playground.Y)]
        told["dealt"] = {batch: playground.dealt(batch) for batch in playground.FINE["batch"]}
    links = sorted(links)
    conditions = {*surface.conditions, *(it["condition"] for it in settings_of(name, links))}
    for condition in sorted(conditions):
        told["landscapes"][f"{condition:g}"] = digits(playground.landscape(name, condition))
        for nesterov in (False, True):
            found = playground.regimes(name, condition, nesterov)
            told["maps"][f"{condition:g} {nesterov:d}"] = found
    for settings in settings_of(name, links):
        found = playground.path(surface=name, **settings)
        told["paths"].setdefault(key_of(**settings), rounded(found))
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return f"precomputed.{name} = {text};\n"
