"""Draw the computational graph: each node below the operands it was made from.

`dot` writes Graphviz's language, and `svg` a picture without Graphviz. With several results, each
node has the color of the first result that needs it. So `svg(y, slope)` shows what computing the
slope has added to what computing y had recorded: the same formulas, run on Tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from tinygrad_edu.core import Variable

LIGHT = ("#dceafb", "#fde6cf", "#def2e3", "#f1e2f4")  # one for each result, then again
DARK = ("#1d3a5f", "#5c3a14", "#1f4a2c", "#4a2a52")
WIDTH, HEIGHT, COLUMN, ROW = 132, 38, 148, 74  # a box, and the distance to the next one
MARGIN = 10
FAR = 20  # rows: a longer edge runs behind the boxes

Result = Variable | Sequence[Variable]


def parents(variable: Variable) -> Sequence[Variable]:
    """List the Variables that it was made from; a leaf has none.

    >>> parents(Variable(3.0))
    ()
    """
    return () if variable.node is None else variable.node.parents


def recorded(*results: Result) -> dict[Variable, int]:
    """Find all that the results were made from, operands first, each with its result's number.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> [label(variable) for variable in recorded(x * x + x)]
    ['leaf ()', 'multiply ()', 'add ()']
    """
    visited: dict[Variable, int] = {}
    for number, result in enumerate(results):
        stack = [result] if isinstance(result, Variable) else list(result)[::-1]
        while stack:
            variable = stack.pop()
            if variable not in visited:
                visited[variable] = number
                stack.extend(reversed(parents(variable)))  # the first operand comes first
    order = sorted(visited, key=lambda variable: variable.node.number if variable.node else 0)
    return {variable: visited[variable] for variable in order}


def label(variable: Variable) -> str:
    """Name a node: its operation, or that it is a leaf, and the shape of its value.

    >>> import tinygrad_edu as tg
    >>> label(tg.exp(tg.Tensor([1.0, 2.0], requires_grad=True)))
    'exp (2,)'
    """
    name = "leaf" if variable.node is None else variable.node.operation.name
    return f"{name} {variable.array.shape}"


def dot(*results: Result) -> str:
    """Write the recorded computation in the language of Graphviz.

    Parameters
    ----------
    *results : Tensor or sequence of Tensors
        What was computed; each node gets the color of the first result that needs it.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> print(dot(x * x + x))
    digraph {
      node [shape=box, style="rounded,filled"];
      0 [label="leaf ()", fillcolor="#dceafb", penwidth=2];
      1 [label="multiply ()", fillcolor="#dceafb"];
      2 [label="add ()", fillcolor="#dceafb"];
      0 -> 1;
      0 -> 1;
      1 -> 2;
      0 -> 2;
    }
    """
    nodes = recorded(*results)
    number = {variable: place for place, variable in enumerate(nodes)}
    lines = ["digraph {", '  node [shape=box, style="rounded,filled"];']
    for variable, group in nodes.items():
        look = f'label="{label(variable)}", fillcolor="{LIGHT[group % len(LIGHT)]}"'
        border = "" if variable.node else ", penwidth=2"
        lines.append(f"  {number[variable]} [{look}{border}];")
    for variable in nodes:
        lines += [f"  {number[parent]} -> {number[variable]};" for parent in parents(variable)]
    return "\n".join([*lines, "}"])


def svg(*results: Result) -> str:
    """Draw the recorded computation as SVG, which browsers and notebooks show, light or dark.

    Parameters
    ----------
    *results : Tensor or sequence of Tensors
        What was computed; each node gets the color of the first result that needs it.

    Returns
    -------
    str
        A whole SVG document. Every node stands below its operands; leaves have a thick border.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> picture = svg(x * x + x)
    >>> picture.startswith("<svg"), picture.count("<rect"), picture.count("<path class")
    (True, 3, 4)
    """
    nodes = recorded(*results)
    place, threads = _places(list(nodes))
    across = max(x for x, _ in place.values()) + WIDTH / 2 + MARGIN
    down = max(y for _, y in place.values()) + HEIGHT / 2 + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:g} {down:g}" '
        f'width="{across:g}" height="{down:g}" role="img">',
        "<title>A recorded computation</title>",
        f"<style>{_style('#111', '#667', LIGHT)}"
        f"@media(prefers-color-scheme:dark){{{_style('#eee', '#99a', DARK)}}}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>',
    ]
    for variable in nodes:
        for operand, parent in enumerate(parents(variable)):
            x, y = place[variable]
            # Operands enter side by side, so that x·x shows two edges.
            end = (x + 16 * (operand - (len(parents(variable)) - 1) / 2), y)
            between = [place[thread] for thread in threads[parent, variable]]
            lines.append(_edge([place[parent], *between, end]))
    for variable, group in nodes.items():
        x, y = place[variable]
        name, shape = label(variable).split(" ", 1)
        kind = "" if variable.node else " leaf"
        lines += [
            f'<rect class="group{group % len(LIGHT)}{kind}" x="{x - WIDTH / 2:g}" '
            f'y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
            f'<text x="{x:g}" y="{y - 3:g}">{escape(name)}</text>',
            f'<text x="{x:g}" y="{y + 13:g}" opacity=".75">{escape(shape)}</text>',
        ]
    return "\n".join([*lines, "</svg>"])


def _style(ink: str, line: str, fills: Sequence[str]) -> str:
    return (
        f"text{{font:12px sans-serif;text-anchor:middle;fill:{ink}}}.tip{{fill:{line}}}"
        f".edge{{fill:none;stroke:{line};stroke-width:1.3}}rect{{stroke:{line}}}"
        ".leaf{stroke-width:2.5}" + "".join(f".group{i}{{fill:{c}}}" for i, c in enumerate(fills))
    )


def _edge(points: list[tuple[float, float]]) -> str:
    # Down from the lower side of a box, through the points between, to the upper side of a box.
    (x, y), last = points[0], len(points) - 1
    y += HEIGHT / 2
    path = f"M{x:g} {y:g}"
    for place, (to_x, to_y) in enumerate(points[1:], 1):
        above = to_y - HEIGHT / 2
        path += f"C{x:g} {(y + above) / 2:g} {to_x:g} {(y + above) / 2:g} {to_x:g} {above:g}"
        x, y = to_x, above
        if place < last:  # straight down beside the boxes of this row
            y = to_y + HEIGHT / 2
            path += f"V{y:g}"
    return f'<path class="edge" marker-end="url(#tip)" d="{path}"/>'


def _places(nodes: list[Variable]) -> tuple[dict[Any, tuple[float, float]], dict[Any, list[Any]]]:
    """Place each node, and the threads of long edges: (parent, child, row) for each row between.

    A node's row is the one below its lowest operand. In a row, nodes and threads stand in the order
    of what is above them, on average, so that few edges cross (Sugiyama, Tagawa and Toda 1981).
    """
    row: dict[Variable, int] = {}
    rows: list[dict[Any, list[Any]]] = []  # of each row, its members and what is above each of them
    threads: dict[Any, list[Any]] = {}
    for variable in nodes:
        row[variable] = max((row[parent] + 1 for parent in parents(variable)), default=0)
        while len(rows) <= row[variable]:
            rows.append({})
        above: list[Any] = []
        for parent in parents(variable):
            rows_between = range(row[parent] + 1, row[variable])
            # With threads for the weights of a long RNN, the drawing would grow with its square.
            between = [(parent, variable, at) for at in rows_between if len(rows_between) <= FAR]
            threads[parent, variable] = between
            for upper, thread in zip([parent, *between], between):
                rows[thread[2]][thread] = [upper]
            above.append([parent, *between][-1])
        rows[row[variable]][variable] = above

    widest = max(map(len, rows))
    place: dict[Any, tuple[float, float]] = {}
    for depth, members in enumerate(rows):

        def middle(member: Any, members: dict[Any, list[Any]] = members) -> float:
            return sum(place[upper][0] for upper in members[member]) / max(len(members[member]), 1)

        for order, member in enumerate(sorted(members, key=middle)):
            x = MARGIN + COLUMN * widest * (order + 0.5) / len(members)
            place[member] = x, MARGIN + HEIGHT / 2 + ROW * depth
    return place, threads
