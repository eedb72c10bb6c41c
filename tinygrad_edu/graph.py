"""Draw the computational graph, and the backward pass over it, step by step.

Each node stands below the operands it was made from. `dot` writes Graphviz's language, `svg` a
picture, and `backward_pass` a picture with the gradients, and what happens at each node in words.
With several results, each node has the color of the first result that needs it. So `svg(y, slope)`
shows what computing the slope has added to what computing y had recorded: the same formulas, run on
Tensors.

One function draws both pictures. What changes during the backward pass is drawn once for each
state, with the steps in which it is seen: from `data-from`, to before `data-to`. So a page only
needs to show and hide; without that, the end is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import core, refusals
from tinygrad_edu.core import Variable
from tinygrad_edu.notation import equation, formula, host, name_all, show

LIGHT = ("#dceafb", "#fde6cf", "#def2e3", "#f1e2f4")  # one for each result, then again
DARK = ("#1d3a5f", "#5c3a14", "#1f4a2c", "#4a2a52")
WIDTH, COLUMN, LINE, GAP = 172, 186, 17, 40  # of a box, to the next one, of text, below a box
MARGIN = 12
FAR = 20  # rows: a longer edge runs behind the boxes
LARGE, PERIOD = 24, 40  # nodes of a graph whose repeated parts are folded, and of such a part
HASTE = 100  # steps

Result = Variable | Sequence[Variable]


class Drawing(str):
    """The text of a drawing, which notebooks show as what it is."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


# ── What is drawn ────────────────────────────────────────────────────────────────────────────────


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


class Fold:
    """A part that a large graph repeats many times: one box stands for these repetitions of it."""

    def __init__(self, members: list[Variable], period: int) -> None:
        self.members = members
        self.times = len(members) // period
        names = [label(member).split()[0] for member in members[:period]]
        self.title = ", ".join(names) if period < 3 else f"{period} operations"


Box = Variable | Fold


def _members(box: Box) -> list[Variable]:
    return box.members if isinstance(box, Fold) else [box]


def _boxes(variables: Mapping[Variable, int], names: Iterable[Any] = ()) -> dict[Box, list[Box]]:
    """List the boxes in topological order, each with the boxes of its operands, one by one."""
    named = {value for value in names if isinstance(value, Variable)}
    folds = _folds(variables, named) if len(variables) > LARGE else []
    box_of: dict[Variable, Box] = {variable: variable for variable in variables}
    box_of |= {member: fold for fold in folds for member in fold.members}
    users: dict[Variable, set[Box]] = {}
    for variable in variables:
        for parent in parents(variable):
            users.setdefault(parent, set()).add(box_of[variable])
    for leaf, boxes in users.items():
        [*one] = boxes
        if leaf.node is None and leaf not in named and len(one) == 1 and isinstance(one[0], Fold):
            box_of[leaf] = one[0]  # as the weight of a layer that is folded
            one[0].members.append(leaf)
    above: dict[Box, list[Box]] = {}
    for variable in variables:
        box, uppers = box_of[variable], [box_of[parent] for parent in parents(variable)]
        if not isinstance(box, Fold):
            above[box] = uppers
        elif variable.node is not None:
            outside = (upper for upper in uppers if upper is not box)
            above[box] = list(dict.fromkeys([*above.get(box, []), *outside]))
    return above


def _folds(variables: Mapping[Variable, int], named: set[Variable]) -> list[Fold]:
    """Find what is repeated four times or more; of this, all but the first and the last time."""
    order = [variable for variable in variables if variable.node is not None]
    index = {variable: i for i, variable in enumerate(order)}
    kinds: dict[Any, int] = {}
    kind = []  # equal for operations that are the same, on operands equally far back
    for i, variable in enumerate(order):
        back = tuple(i - index[up] if up in index else None for up in parents(variable))
        about = (label(variable), variables[variable], variable in named, back)
        kind.append(kinds.setdefault(about, len(kinds)))
    repeated = {}  # by period: how many kinds, from each on, are also those a period later
    for period in range(1, min(PERIOD, len(order) // 4) + 1):
        repeated[period] = counts = [0] * (len(order) + 1)
        for i in reversed(range(len(order) - period)):
            counts[i] = counts[i + 1] + 1 if kind[i] == kind[i + period] else 0
    folds, i = [], 0
    while i < len(order):
        length = {p: p * (counts[i] // p + 1) for p, counts in repeated.items()}
        long = [p for p in length if length[p] >= 4 * p]
        period = max(long, key=lambda p: length[p], default=0)
        if period:
            folds.append(Fold(order[i + period : i + length[period] - period], period))
        i += length[period] if period else 1
    return folds


# ── The backward pass ────────────────────────────────────────────────────────────────────────────


class Step(NamedTuple):
    """What happens at one box: in words, and what it changes in the picture."""

    words: str  # HTML
    box: Box | None = None
    passed: Sequence[tuple[int, str]] = ()  # by operand: the contribution
    gradients: Mapping[Variable, str] = {}


def _steps(
    result: Variable, above: Mapping[Box, list[Box]], called: Mapping[Variable, str], hasty: bool
) -> list[Step]:
    """Go back from the result, and tell what each node passes on."""
    start = core.initial_gradient(result, None).array  # refuses what has no gradient
    totals, parts = {result: start}, {result: [show(start)]}
    top = escape(called[result])
    steps = [
        Step(
            f"Recorded from top to bottom: <b>{top} = {show(result)}</b>. How fast does {top} "
            "change with each value above it?"
        ),
        Step(
            f"{top} changes as fast as itself: its gradient is <b>1</b>.", gradients={result: "1"}
        ),
    ]
    box_of = {member: box for box in above for member in _members(box)}
    waiting: list[Box] = [result] if hasty else list(above)
    while waiting:
        box = waiting.pop()
        visited = [member for member in _members(box)[::-1] if member in totals and member.node]
        if not visited:
            continue
        if hasty and len(steps) > HASTE:
            raise ValueError(f"in haste there are more than {HASTE} steps: take a smaller graph")
        if isinstance(box, Fold):
            said = f"The same happens {box.times} times more"
            passed = _pass_through(box, totals)
        else:
            g = totals[box]
            said = f"<code>{escape(equation(box, called))}</code> has g = {show(g)}"
            passed = [(operand, vjp, c) for operand, vjp, c in _contributions(box, g)]
        told, slots, gradients = [], [], {}
        for slot, (operand, vjp, contribution) in enumerate(passed):
            name, value = escape(called[operand]), show(contribution)
            rule = formula(vjp, box, called, g) if isinstance(box, Variable) else ""
            rule = rule if rule.endswith(f" = {value}") else f"{rule} = {value}".lstrip(" =")
            told.append(f"<b>{escape(rule)}</b> to {name}")
            if isinstance(box, Fold):
                slot = next(i for i, up in enumerate(above[box]) if up is box_of[operand])
            slots.append((slot, value))
            known = totals.get(operand)
            totals[operand] = contribution if known is None else known + contribution
            parts.setdefault(operand, []).append(value)
            gradients[operand] = _summed(parts[operand], totals[operand])
        said += f", and passes {' and '.join(told)}." if told else "."
        for operand, text in gradients.items():
            said += f" {escape(called[operand])} has {text} now." if "=" in text else ""
        steps.append(Step(said, box, slots, gradients))
        waiting += above[box] if hasty else []
    return [
        *steps[:-1],
        steps[-1]._replace(words=steps[-1].words + _verdict(result, totals, called)),
    ]


def _contributions(variable: Variable, g: Any) -> list[tuple[Variable, Any, Any]]:
    # Each operand that needs a gradient, with its VJP and what that gives.
    node = variable.node
    assert node is not None
    vjps = node.operation.vjps
    arguments = node.values[1 + len(vjps) :] if node.operation.linear else node.values
    return [
        (operand, vjps[index - 1], core.apply_vjp(node, index, g, arguments))
        for index, operand in enumerate(node.operands, 1)
        if isinstance(operand, Variable)
    ]


def _pass_through(fold: Fold, totals: dict[Variable, Any]) -> list[tuple[Variable, Any, Any]]:
    # Go back through all of a fold; what leaves it, summed for each operand outside.
    inside = set(fold.members)
    leaving: dict[Variable, Any] = {}
    for member in fold.members[::-1]:
        if member not in totals or member.node is None:
            continue
        for operand, _, contribution in _contributions(member, totals[member]):
            sums = totals if operand in inside else leaving
            known = sums.get(operand)
            sums[operand] = contribution if known is None else known + contribution
    return [(operand, None, total) for operand, total in leaving.items()]


def _summed(parts: list[str], total: Any) -> str:
    whole = show(total)
    if not 1 < len(parts) < 6 or whole[0] in "([":
        return whole
    return f"{' + '.join(parts)} = {whole}".replace("+ −", "− ")


def _verdict(result: Variable, totals: Mapping[Variable, Any], called: Mapping[Any, str]) -> str:
    # What tg.grad says of the leaves, and whether this pass has found the same.
    leaves = [leaf for leaf in totals if leaf.node is None and leaf in called][:3]
    said = ""
    for leaf, right in zip(leaves, core.grad(result, leaves)):
        value = show(right)
        slope = f"d{escape(called[result])}/d{escape(called[leaf])}"
        slope += f", of shape {value}" if value[0] == "(" else f" = {value}"
        if np.allclose(host(totals[leaf]), host(right.array)):
            said += f" <strong>{slope}</strong>, as <code>tg.grad</code> computes it."
        else:
            said += f' <strong class="wrong">{show(totals[leaf])} is wrong: {slope}.</strong>'
    return said


# ── The drawing ──────────────────────────────────────────────────────────────────────────────────


def svg(*results: Result, names: Mapping[str, Any] | None = None) -> Drawing:
    """Draw the recorded computation as SVG, which browsers and notebooks show, light or dark.

    Parameters
    ----------
    *results : Tensor or sequence of Tensors
        What was computed; each node gets the color of the first result that needs it.
    names : mapping, optional
        What to call them: `{"x": x}`, or `locals()`. What has no name is v₁, v₂, …

    Returns
    -------
    str
        A whole SVG document. Every node stands below its operands; leaves have a thick border. Of
        what a large graph repeats, the first and the last time are drawn, and one box between.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> picture = svg(x * x + x, names={"x": x})
    >>> picture.count("<rect"), picture.count("<path"), "v₁ = x · x" in picture
    (3, 4, True)
    """
    variables, names = recorded(*results), names or {}
    above = _boxes(variables, names.values())
    return Drawing(_picture(variables, above, name_all(variables, names), []))


def backward_pass(
    *results: Result, names: Mapping[str, Any] | None = None, hasty: bool = False
) -> Drawing:
    """Draw the backward pass: the computational graph, and each step of the pass in words.

    Parameters
    ----------
    *results : Tensor or sequence of Tensors
        As for `svg`; the last one is differentiated, a single number.
    names : mapping, optional
        As for `svg`.
    hasty : bool
        Pass on at once whatever has arrived, as nobody should: it shows why the order matters.

    Returns
    -------
    str
        HTML. The pages of this project turn its steps; elsewhere the end of the pass is seen.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        If there is nothing to differentiate, or the last result is not a single number.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> "1 + 3 + 3 = 7" in backward_pass(x * x + x, names=locals())
    True
    """
    *_, result = refusals.check_variables(Variable, results[-1], "the last result")
    variables, names = recorded(*results), names or {}
    above = _boxes(variables, names.values())
    called = name_all(variables, names)
    steps = _steps(result, above, called, hasty)
    words = "".join(f"<li>{step.words}</li>" for step in steps)
    picture = _picture(variables, above, called, steps)
    return Drawing(
        f'<figure class="backward-pass"><div>{picture}</div><ol start="0">{words}</ol></figure>'
    )


def _picture(
    groups: Mapping[Variable, int],
    above: Mapping[Box, list[Box]],
    called: Mapping[Variable, str],
    steps: Sequence[Step],
) -> str:
    """Draw boxes and edges; with steps, also the gradients and the contributions at each."""
    height = LINE * (3 if steps else 2) + 11
    place, threads = _places(above, height)
    when: dict[Box, list[int]] = {}
    passed: dict[tuple[Box, int], list[tuple[int, str]]] = {}  # by box and operand
    gradients: dict[Box, list[tuple[int, str]]] = {}
    for number, step in enumerate(steps):
        if step.box is not None:
            when.setdefault(step.box, []).append(number)
            for slot, text in step.passed:
                passed.setdefault((step.box, slot), []).append((number, text))
        for variable, text in step.gradients.items():
            gradients.setdefault(variable, []).append((number, text))

    ends = _ends(above, place, threads)
    lines, left, right = [], 0.0, max(x for x, _ in place.values()) + WIDTH / 2 + MARGIN
    for box, uppers in above.items():
        on = " ".join(map(str, when.get(box, [])))
        for slot, upper in enumerate(uppers):
            start, end = ends[box, slot]
            between = [place[thread] for thread in threads[upper, box]]
            points = [(start, place[upper][1]), *between, (end, place[box][1])]
            lines.append(f'<path class="edge" data-on="{on}" d="{_edge(points, height)}"/>')
            # Beside the last part of the edge, on the side where there is room.
            side = 1 if end >= place[box][0] else -1
            x = (points[-2][0] + end) / 2 + 7 * side
            y = (points[-2][1] + place[box][1]) / 2 + 4
            states = [(number, f"{text} ↑") for number, text in passed.get((box, slot), [])]
            lines += _states(
                states, f'x="{x:g}" y="{y:g}"', "passed after" if side > 0 else "passed"
            )
            room = max((9 * len(text) for _, text in states), default=0)
            left, right = min(left, x - room), max(right, x + room)
    for box in above:
        x, y = place[box]
        first = _members(box)[0]
        on = " ".join(map(str, when.get(box, [])))
        kind = f"group{groups[first] % len(LIGHT)}"
        kind += " fold" if isinstance(box, Fold) else "" if first.node else " leaf"
        title, value = _text(box, called)
        at = [f'x="{x:g}" y="{y - height / 2 + LINE * (line + 1):g}"' for line in range(3)]
        lines += [
            f'<rect class="{kind}" data-on="{on}" x="{x - WIDTH / 2:g}" y="{y - height / 2:g}" '
            f'width="{WIDTH}" height="{height}" rx="8"/>',
            f'<text class="title" {at[0]}>{escape(title)}</text>',
            f'<text class="value" {at[1]}>{escape(value)}</text>',
            *_states(
                [(n, f"gradient {text}") for n, text in _short(gradients.get(box, []))], at[2]
            ),
        ]
    down = max(y for _, y in place.values()) + height / 2 + MARGIN
    size = (
        f'viewBox="{left:g} 0 {right - left:g} {down:g}" width="{right - left:g}" height="{down:g}"'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" {size} role="img">'
        f"<title>The computational graph of {escape(', '.join(_last(above, called)))}</title>"
        f"<style>{_style('#111', '#667', '#a84300', '#fff1c9', LIGHT)}@media screen{{"
        f"@media(prefers-color-scheme:dark){{{_style('#eee', '#99a', '#ffb07a', '#5a4a12', DARK)}"
        f"}}}}</style>{''.join(lines)}</svg>"
    )


def _last(above: Mapping[Box, list[Box]], called: Mapping[Variable, str]) -> list[str]:
    # What nothing was made from.
    used = {upper for uppers in above.values() for upper in uppers}
    return [called[_members(box)[-1]] for box in above if box not in used]


def _text(box: Box, called: Mapping[Variable, str]) -> tuple[str, str]:
    if isinstance(box, Fold):
        return box.title, f"{box.times} times more"
    title = equation(box, called)
    if len(title) > 22 and box.node:
        title = f"{called[box]} = {box.node.operation.name}(…)"
    return title, f"{'shape' if show(box)[0] == '(' else 'value'} {show(box)}"


def _short(states: list[tuple[int, str]]) -> list[tuple[int, str]]:
    # Only the sum, where not all of it has room in a box.
    return [(n, text if len(text) < 15 else text.split(" = ")[-1]) for n, text in states]


def _states(states: list[tuple[int, str]], where: str, kind: str = "gradient") -> list[str]:
    # One text for each state, with the steps from which and to which it is seen.
    ends = [*(f' data-to="{number}"' for number, _ in states[1:]), ""]
    return [
        f'<text class="{kind}" data-from="{number}"{end} {where}>{escape(text)}</text>'
        for (number, text), end in zip(states, ends)
    ]


def _style(ink: str, line: str, gradient: str, on: str, fills: Sequence[str]) -> str:
    rules = [
        f"text{{font:12.5px sans-serif;text-anchor:middle;fill:{ink}}}",
        f":is(.gradient,.passed){{font-weight:bold;fill:{gradient}}}",
        ".title{font-weight:bold}",
        ".passed{text-anchor:end}",
        ".after{text-anchor:start}",
        f"rect{{stroke:{line}}}",
        ".leaf{stroke-width:2.5}",
        ".fold{stroke-dasharray:5 3}",
        f".edge{{fill:none;stroke:{line};stroke-width:1.3}}",
        *(f".group{i}{{fill:{color}}}" for i, color in enumerate(fills)),
        f"rect.on{{fill:{on}}}",
        f".on{{stroke:{gradient};stroke-width:2.5}}",
        "[data-to]{visibility:hidden}",
    ]
    return "".join(f".graph {rule}" for rule in rules)


def _ends(
    above: Mapping[Box, list[Box]], place: Mapping[Any, tuple[float, float]], threads: Any
) -> dict[tuple[Box, int], tuple[float, float]]:
    """Where each edge starts and ends, from left to right: edges of one box go side by side."""
    leaving: dict[Box, list[tuple[float, int, Box]]] = {}
    for box, uppers in above.items():
        for slot, upper in enumerate(uppers):
            towards = [*threads[upper, box], box][0]
            leaving.setdefault(upper, []).append((place[towards][0], slot, box))
    starts = {}
    for upper, edges in leaving.items():
        edges.sort(key=lambda edge: edge[:2])
        for i, (_, slot, box) in enumerate(edges):
            starts[box, slot] = place[upper][0] + _spread(i, len(edges))
    return {
        (box, slot): (start, place[box][0] + _spread(slot, len(above[box])))
        for (box, slot), start in starts.items()
    }


def _spread(i: int, count: int) -> float:
    # 50 pixels from one to the next, or as much as there is room for.
    return min(50.0, 0.8 * WIDTH / count) * (i - (count - 1) / 2)


def _edge(points: list[tuple[float, float]], height: float) -> str:
    # Down from the lower side of a box, through the points between, to the upper side of a box.
    (x, y), last = points[0], len(points) - 1
    y += height / 2
    path = f"M{x:g} {y:g}"
    for index, (to_x, to_y) in enumerate(points[1:], 1):
        top = to_y - height / 2
        path += f"C{x:g} {(y + top) / 2:g} {to_x:g} {(y + top) / 2:g} {to_x:g} {top:g}"
        x, y = to_x, top
        if index < last:  # straight down beside the boxes of this row
            y = to_y + height / 2
            path += f"V{y:g}"
    return f"{path}m-4 -7l4 7l4 -7"


def _places(
    above: Mapping[Box, list[Box]], height: float
) -> tuple[dict[Any, tuple[float, float]], dict[Any, list[Any]]]:
    """Place each box, and the threads of long edges: (upper, box, row) for each row between.

    A box's row is the one below its lowest operand. In a row, boxes and threads stand in the order
    of what is above them, on average, so that few edges cross (Sugiyama, Tagawa and Toda 1981).
    """
    row: dict[Box, int] = {}
    rows: list[dict[Any, list[Any]]] = []  # of each row, its members and what is above each of them
    threads: dict[Any, list[Any]] = {}
    for box, uppers in above.items():
        row[box] = max((row[upper] + 1 for upper in uppers), default=0)
        while len(rows) <= row[box]:
            rows.append({})
        entering: list[Any] = []
        for upper in uppers:
            rows_between = range(row[upper] + 1, row[box])
            # With threads for the weights of a long RNN, the drawing would grow with its square.
            between = [(upper, box, at) for at in rows_between if len(rows_between) <= FAR]
            threads[upper, box] = between
            for high, thread in zip([upper, *between], between):
                rows[thread[2]][thread] = [high]
            entering.append([upper, *between][-1])
        rows[row[box]][box] = entering

    widest = max(map(len, rows))
    place: dict[Any, tuple[float, float]] = {}
    for depth, members in enumerate(rows):

        def middle(member: Any, members: dict[Any, list[Any]] = members) -> float:
            return sum(place[high][0] for high in members[member]) / max(len(members[member]), 1)

        for order, member in enumerate(sorted(members, key=middle)):
            x = MARGIN + COLUMN * widest * (order + 0.5) / len(members)
            place[member] = x, MARGIN + height / 2 + (height + GAP) * depth
    return place, threads
