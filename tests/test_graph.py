"""Drawings of what was recorded."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import graph, notation

SVG = "{http://www.w3.org/2000/svg}"


def example():
    x = tg.Tensor(3.0, requires_grad=True)
    y = tg.tanh(x) * x
    (slope,) = tg.grad(y, x, create_graph=True)
    return x, y, slope


def boxes(picture):
    root = ET.fromstring(picture[picture.index("<svg") : picture.index("</svg>") + 6])
    return [
        (float(box.get("x")), float(box.get("y")), box.get("class"))
        for box in root.iter(f"{SVG}rect")
    ]


def test_every_step_and_every_edge_is_there():
    _, y, _ = example()
    names = [graph.label(node).split()[0] for node in graph.recorded(y)]
    assert names == ["leaf", "tanh", "multiply"]
    assert graph.dot(y).count(" -> ") == 3
    root = ET.fromstring(graph.svg(y))
    titles = [text.text for text in root.iter(f"{SVG}text")][::2]
    assert titles == ["v₁", "v₂ = tanh(v₁)", "v₃ = v₂ · v₁"]
    assert len(root.findall(f"{SVG}path")) == 3


def test_first_and_second_order_look_different():
    _, y, slope = example()
    first, second = graph.svg(y), graph.svg(y, slope)
    assert {look.split()[0] for *_, look in boxes(first)} == {"group0"}
    assert {look.split()[0] for *_, look in boxes(second)} == {"group0", "group1"}
    assert len(boxes(second)) > len(boxes(first))
    assert graph.dot(y, slope).count("#fde6cf") == sum("group1" in b[2] for b in boxes(second))


def test_several_tensors_can_be_one_result():
    x, y, slope = example()
    assert graph.svg(y, [slope, x]) == graph.svg(y, (slope, x)) == graph.svg(y, slope)


def test_nodes_stand_below_their_operands_and_boxes_do_not_overlap():
    model = tg.nn.Sequential(*(tg.nn.Linear(3, 3, seed) for seed in range(3)))
    loss = model(tg.Tensor([[1.0, 2.0, 3.0]])).sum()
    gradients = tg.grad(loss, model.parameters(), create_graph=True)
    nodes = graph.recorded(loss, gradients)
    place = dict(zip(nodes, boxes(graph.svg(loss, gradients)), strict=True))
    for node in nodes:
        for parent in graph.parents(node):
            assert place[parent][1] < place[node][1]
    corners = sorted((y, x) for x, y, _ in place.values())
    for (row, left), (next_row, right) in itertools.pairwise(corners):
        assert next_row > row or right - left >= graph.WIDTH


def test_leaves_are_marked_and_dark_colors_are_there():
    _, y, _ = example()
    picture = graph.svg(y)
    assert sum("leaf" in look for *_, look in boxes(picture)) == 1
    assert "prefers-color-scheme:dark" in picture
    assert "penwidth=2" in graph.dot(y)


def test_an_edge_for_each_operand_ends_at_its_own_place():
    x = tg.Tensor(3.0, requires_grad=True)
    paths = re.findall(r' d="([^"]+)"', graph.svg(x * x))
    assert len(paths) == len(set(paths)) == 2


def test_what_a_deep_graph_repeats_is_one_box():
    x = y = tg.Tensor(1.0, requires_grad=True)
    for _ in range(2000):
        y = -y
    picture = graph.svg(y, names={"x": x, "y": y})
    assert texts(picture, "title") == [
        *("x", "v₁ = −x", "v₂ = −v₁", "negative", "v₁₉₉₉ = −v₁₉₉₈", "y = −v₁₉₉₉"),
    ]
    assert "1996 times more" in texts(picture, "value")


def test_the_layers_of_a_deep_network_are_folded_with_their_weights():
    model = tg.nn.Sequential(*(tg.nn.Linear(3, 3, seed) for seed in range(20)))
    picture = graph.svg(model(tg.Tensor([[1.0, 2.0, 3.0]])))
    assert len(boxes(picture)) < 15
    assert any("times more" in text for text in texts(picture, "value"))


def test_a_drawing_grows_with_the_computation_and_not_with_its_square():
    def size(steps):
        w = state = tg.Tensor(0.5, requires_grad=True)
        for step in range(steps):  # a mix that repeats nothing for long
            state = tg.sin(state) if (step * step // 7) % 3 else tg.tanh(state * w)
        return len(graph.svg(state)), len(graph.backward_pass(state))

    small, large = size(200), size(800)
    assert small[0] > 10_000  # so it is not folded
    assert all(more < 4.5 * few for few, more in zip(small, large))


# ── The backward pass ────────────────────────────────────────────────────────────────────────────


def texts(picture, kind):
    return re.findall(rf'<text class="{kind}"[^>]*>([^<]*)<', picture)


def last_gradients(picture):
    """What is seen at the end: the texts that no step hides again."""
    return re.findall(r'<text class="gradient" data-from="\d+" x[^>]*>gradient ([^<]*)<', picture)


def words(picture):
    return [re.sub("<[^>]*>", "", item) for item in re.findall("<li>(.*?)</li>", picture)]


def test_the_three_contributions_of_x_are_added_step_by_step():
    x = tg.Tensor(3.0, requires_grad=True)
    p = x * x
    total = p + x
    picture = graph.backward_pass(total, names={"x": x, "p": p, "L": total, "other": 3})
    assert words(picture) == [
        "Recorded from top to bottom: L = 12. How fast does L change with each value above it?",
        "L changes as fast as itself: its gradient is 1.",
        "L = p + x has g = 1, and passes 1 to p and 1 to x.",
        "p = x · x has g = 1, and passes g · x = 1 · 3 = 3 to x and g · x = 1 · 3 = 3 to x. "
        "x has 1 + 3 + 3 = 7 now. dL/dx = 7, as tg.grad computes it.",
    ]
    assert last_gradients(picture) == ["1 + 3 + 3 = 7", "1", "1"]
    assert re.findall(r'data-from="2" data-to="3" x[^>]*>([^<]*)', picture) == ["gradient 1"]
    assert texts(picture, "passed(?: after)?") == ["3 ↑", "3 ↑", "1 ↑", "1 ↑"]


def test_in_haste_the_gradient_is_wrong_and_in_order_it_is_right():
    x = tg.Tensor(1.0, requires_grad=True)
    a = x * 3.0
    b = a + a
    names = {"x": x, "a": a, "b": b, "c": b + a}
    hasty = words(graph.backward_pass(names["c"], names=names, hasty=True))
    assert "x has 3 + 9 + 9 = 21 now. 21 is wrong: dc/dx = 9." in hasty[-1]
    right = words(graph.backward_pass(names["c"], names=names))
    assert right[-1].endswith("to x. dc/dx = 9, as tg.grad computes it.")
    assert len(right) < len(hasty)


def test_a_recorded_backward_pass_has_a_backward_pass():
    x = tg.Tensor(0.5, requires_grad=True)
    y = tg.tanh(x)
    (slope,) = tg.grad(y, x, create_graph=True)
    names = dict(zip("xypqs", graph.recorded(slope)))
    picture = graph.backward_pass(y, slope, names=names)
    assert texts(picture, "title") == ["x", "y = tanh(x)", "p = y · y", "q = 1 − p", "s = 1 · q"]
    expected = f"{tg.grad(slope, x)[0].item():.4g}".replace("-", "−")
    assert f"ds/dx = {expected}, as tg.grad" in words(picture)[-1]
    assert {look for *_, look in boxes(picture)} == {"group0 leaf", "group0", "group1"}


@pytest.mark.parametrize("length", [3, 300])
def test_the_gradients_are_those_of_the_library_also_through_folds(length):
    w = tg.Tensor(0.9, requires_grad=True)
    state = start = tg.Tensor([0.5, -0.25], requires_grad=True)
    for _ in range(length):
        state = tg.sin(state * w) + 0.1 * start
    total = state.sum()
    leaves = [start, w]
    picture = graph.backward_pass(total, names={"w": w, "s": start, "L": total})
    for leaf, gradient in zip("sw", tg.grad(total, leaves)):
        assert (
            f"dL/d{leaf} = {notation.show(gradient)}, as tg.grad computes it" in words(picture)[-1]
        )
    assert ("times more" in picture) == (length == 300)
    assert "wrong" not in picture


def test_every_state_is_drawn_once_for_the_steps_in_which_it_is_seen():
    x = tg.Tensor(0.5, requires_grad=True)
    picture = graph.backward_pass(tg.sin(x) * x + tg.exp(x) * x)
    root = ET.fromstring(picture[picture.index("<svg") : picture.index("</svg>") + 6])
    seen = {}
    for text in root.iter(f"{SVG}text"):
        if first := text.get("data-from"):
            last = int(text.get("data-to", 99))
            for step in range(int(first), last):
                where = text.get("x"), text.get("y"), step
                assert where not in seen
                seen[where] = text.text
    assert "[data-to]{visibility:hidden}" in picture  # without a script, the end is seen


def test_notebooks_show_drawings_and_not_their_text():
    _, y, _ = example()
    for picture in (graph.svg(y), graph.backward_pass(y)):
        assert picture._repr_html_() == picture
        assert type(picture._repr_html_()) is str


def test_names_are_escaped_and_what_has_none_is_numbered():
    x = tg.Tensor(2.0, requires_grad=True)
    assert texts(graph.svg(x * x, names={"<x>": x}), "title") == [
        "&lt;x&gt;",
        "v₁ = &lt;x&gt; · &lt;x&gt;",
    ]
    assert "<x>" not in graph.backward_pass(x * x, names={"<x>": x})


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (lambda x: x.sum().detach(), "nothing was recorded"),
        (lambda x: x * x, "not a single number"),
        (lambda x: 3.0, "the last result must be"),
    ],
)
def test_what_has_no_backward_pass_is_refused(result, error):
    with pytest.raises((TypeError, ValueError), match=error):
        graph.backward_pass(result(tg.Tensor([1.0, 2.0], requires_grad=True)))


def test_haste_on_too_many_paths_is_refused():
    y = tg.Tensor(1.0, requires_grad=True)
    for _ in range(10):
        y = y + y
    with pytest.raises(ValueError, match="more than 100 steps: take a smaller graph"):
        graph.backward_pass(y, hasty=True)


# ── How nodes are written ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("function", "equation", "formulas"),
    [
        (lambda x, z: x / z, "y = x / z", ["g / z = 1 / 4", "−g · y / z = −1 · 0.5 / 4"]),
        (lambda x, z: -x, "y = −x", ["−g = −1"]),
        (lambda x, z: tg.cos(x), "y = cos(x)", ["−g · sin(x) = −1 · sin(2)"]),
        (lambda x, z: x**2, "y = x ^ 2", [""]),
        (lambda x, z: x.reshape(1), "y = reshape(x, 1)", ["g.reshape(x.shape)"]),
        (lambda x, z: tg.maximum(x, 1), "y = maximum(x, 1)", [""]),
        (
            lambda x, z: tg.clip(x, 0, 3),
            "y = clip(x, 0, 3)",
            ["select(x == y, g) = select(2 == 2, 1)"],
        ),
    ],
)
def test_a_node_is_written_with_its_formulas(function, equation, formulas):
    x, z = (tg.Tensor(value, requires_grad=True) for value in (2.0, 4.0))
    y = function(x, z)
    called = {x: "x", z: "z", y: "y"}
    assert notation.equation(y, called) == equation
    vjps = [vjp for vjp in y.node.operation.vjps if vjp][: len(y.node.parents)]
    assert [notation.formula(vjp, y, called, np.array(1.0)) for vjp in vjps] == formulas


def test_a_readers_own_formula_is_found_in_its_source():
    cube = tg.op(lambda g, y, x: g * 3 * x * x)(lambda x: x * x * x)
    x = tg.Tensor(2.0, requires_grad=True)
    y = cube(x)
    shown = notation.formula(y.node.operation.vjps[0], y, {x: "x", y: "y"}, np.array(-1.0))
    assert shown == "g · 3 · x · x = (−1) · 3 · 2 · 2"
    nowhere = tg.op(eval("lambda g, y, x: g * x"))(lambda x: x * x)
    y = nowhere(x)
    assert notation.formula(y.node.operation.vjps[0], y, {x: "x", y: "y"}, np.array(1.0)) == ""
