"""Drawings of what was recorded."""

import itertools
import xml.etree.ElementTree as ET

import tinygrad_edu as tg
from tinygrad_edu import graph

SVG = "{http://www.w3.org/2000/svg}"


def example():
    x = tg.Tensor(3.0, requires_grad=True)
    y = tg.tanh(x) * x
    (slope,) = tg.grad(y, x, create_graph=True)
    return x, y, slope


def boxes(picture):
    root = ET.fromstring(picture)
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
    assert [text.text for text in root.iter(f"{SVG}text")][::2] == names
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


def test_a_deep_graph_can_be_drawn():
    x = tg.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(2000):
        y = -y
    assert len(boxes(graph.svg(y))) == 2001


def test_a_drawing_grows_with_the_computation_and_not_with_its_square():
    def size(steps):
        w = state = tg.Tensor(0.5, requires_grad=True)
        for _ in range(steps):
            state = tg.tanh(state * w)
        return len(graph.svg(state))

    assert size(800) < 4.5 * size(200)
