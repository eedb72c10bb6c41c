"""Recording, and the backward pass."""

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg


def leaf(data, **options):
    return tg.Tensor(data, requires_grad=True, **options)


def values(tensors):
    return [tensor.numpy().tolist() for tensor in tensors]


# Gradients


def test_the_example_of_the_first_page():
    x = leaf(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 7


def test_paths_are_added_also_where_they_meet_late():
    a = leaf(2.0)
    b = a + a
    c = b * b + a * b + a  # 4a² + 2a² + a
    c.backward()
    assert a.grad.item() == 12 * 2 + 1


def test_gradients_accumulate_over_calls_and_a_second_backward_works():
    x = leaf(3.0)
    y = x * x
    y.backward()
    y.backward()
    assert x.grad.item() == 12


def test_grad_leaves_every_grad_alone():
    x = leaf(3.0)
    assert values(tg.grad(x * x, x)) == [6]
    assert x.grad is None


def test_grad_of_intermediate_results():
    x = leaf(3.0)
    h = x * x
    y = h * h
    assert values(tg.grad(y, [h, x])) == [18, 108]


def test_grad_of_several_outputs_is_that_of_their_sum():
    x = leaf([1.0, 2.0])
    assert values(tg.grad([x.sum(), (x * x).sum()], x)) == [[3, 5]]
    y = x.sum()
    assert values(tg.grad([y, y], x)) == [[2, 2]]


def test_an_output_is_its_own_gradient():
    x = leaf(3.0)
    assert values(tg.grad(x, x)) == [1]


def test_given_gradients_weigh_the_outputs():
    x = leaf([1.0, 2.0])
    assert values(tg.grad(x * x, x, [[1.0, 10.0]])) == [[2, 40]]
    assert values(tg.grad(x * x, x, tg.Tensor([1.0, 10.0]))) == [[2, 40]]
    (x * x).backward([1.0, 10.0])
    assert x.grad.numpy().tolist() == [2, 40]


def test_a_gradient_is_recorded_only_if_asked_for():
    x = leaf(3.0)
    assert not tg.grad(x * x, x)[0].requires_grad
    assert tg.grad(x * x, x, create_graph=True)[0].requires_grad


def test_derivatives_of_any_order():
    x = leaf(2.0)
    y = x**5
    for expected in (80, 160, 240, 240, 120):
        (y,) = tg.grad(y, x, create_graph=True)
        assert y.item() == expected


def test_given_gradients_can_be_differentiated_too():
    x, v = leaf([1.0, 2.0]), leaf([1.0, 1.0])
    (g,) = tg.grad(x**3, x, v, create_graph=True)  # 3x²v
    assert values(tg.grad(g.sum(), v)) == [[3, 12]]


def test_unused_inputs_are_an_error_unless_allowed():
    x, unused = leaf(3.0), leaf(1.0)
    with pytest.raises(ValueError, match=r"inputs\[1\].*allow_unused=True"):
        tg.grad(x * x, [x, unused])
    assert tg.grad(x * x, [x, unused], allow_unused=True)[1] is None


def test_only_what_leads_to_an_input_is_computed():
    called = []

    @tg.op(lambda g, y, x: called.append("x") or g)
    def watched(x):
        return x + 0

    x, w = leaf(1.0), leaf(2.0)
    tg.grad(watched(x) * w, w)
    assert called == []
    (watched(tg.Tensor(1.0)) * w).backward()
    assert called == []
    (watched(x) * w).backward()
    assert called == ["x"]


def test_a_node_that_leads_to_no_input_does_not_end_the_pass():
    x, w = leaf(3.0), leaf(2.0)
    older = w * w
    assert values(tg.grad((x * x) * older, w)) == [36]


# Errors


def test_backward_needs_a_single_number():
    with pytest.raises(ValueError, match=r"shape \(2,\).*sum\(\) or .mean\(\)"):
        (leaf([1.0, 2.0]) * 2).backward()


def test_backward_of_nothing_at_all_is_refused():
    with pytest.raises(ValueError, match=r"shape \(0,\) is not a single number"):
        (leaf(np.zeros(0)) * 2).backward()


def test_backward_needs_a_graph():
    with pytest.raises(ValueError, match="nothing was recorded.*requires_grad=True"):
        (tg.Tensor(1.0) * 2).backward()


@pytest.mark.parametrize("gradient", [[1.0, 2.0, 3.0], [1.0], 1.0])
def test_a_given_gradient_must_fit(gradient):
    with pytest.raises(ValueError, match=r"gradient has shape \(.*\), but the result has.*\(2,\)"):
        (leaf([1.0, 2.0]) * 2).backward(gradient)


def test_grad_takes_tensors_only():
    x = leaf(3.0)
    with pytest.raises(TypeError, match="outputs must be Tensors, not.*ndarray"):
        tg.grad(np.ones(2), x)
    with pytest.raises(TypeError, match="inputs must be Tensors, not.*float"):
        tg.grad(x * x, [x, 3.0])
    with pytest.raises(TypeError, match="inputs must be Tensors, not.*Linear"):
        tg.grad(x * x, tg.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="2 outputs, but 1 grad_outputs"):
        tg.grad([x * x, x], x, [1.0])
    with pytest.raises(ValueError, match="1 outputs, but 2 grad_outputs"):
        tg.grad([x * x], x, [1.0, 1.0])


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_replaced_operand_is_found_and_named(create_graph):
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (x * w).sum()
    w.data = w.data + 1
    with pytest.raises(RuntimeError, match=r"operand 2, float64 \(2,\).* of multiply"):
        tg.grad(y, x, create_graph=create_graph)


def test_a_replaced_result_is_found_and_named():
    x = leaf([1.0, 2.0])
    y = tg.exp(x)
    y.data = y.data * 2
    with pytest.raises(RuntimeError, match="the result of exp"):
        tg.grad(y.sum(), x)


def test_a_failed_backward_changes_no_grad():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    x.grad = before = tg.Tensor([5.0, 5.0])
    y = (tg.exp(x) * w + x).sum()
    w.data = w.data + 1
    with pytest.raises(RuntimeError):
        y.backward()
    assert x.grad is before
    assert before.numpy().tolist() == [5, 5]
    assert w.grad is None


def test_a_replaced_constant_does_not_matter():
    x, c = leaf(3.0), tg.Tensor(2.0)
    y = x * c * x
    c.data = c.data * 100
    (g,) = tg.grad(y, x, create_graph=True)
    assert (g.item(), values(tg.grad(g, x))) == (12, [4])


# Who owns a gradient


def test_leaves_do_not_share_their_grad():
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    start = tg.Tensor([1.0, 1.0])
    (a + b).backward(start)
    assert a.grad.data is not b.grad.data
    assert a.grad.data is not start.data
    (a.reshape(2, 1) + b.reshape(2, 1)).sum().backward()
    for tensor in (a, b):
        tensor.grad.data[...] = 0  # were it a view of one number, this would fail
    assert start.numpy().tolist() == [1, 1]


def test_a_grad_is_an_array_of_its_own_and_no_view():
    x = leaf([1.0, 2.0])
    x.sum().backward()  # its gradient is one number, seen twice
    x.grad.data[0] = 5
    assert x.grad.numpy().tolist() == [5, 1]


def test_a_new_grad_is_made_at_every_call():
    x = leaf([1.0, 2.0])
    x.sum().backward()
    first = x.grad
    x.sum().backward()
    assert first.numpy().tolist() == [1, 1]
    assert x.grad.numpy().tolist() == [2, 2]


# no_grad


def test_nothing_is_recorded_inside_no_grad_nested_or_after_an_exception():
    x = leaf(1.0)
    with pytest.raises(KeyError), tg.no_grad():
        with tg.no_grad():
            pass
        assert not (x * 2).requires_grad
        raise KeyError
    assert (x * 2).requires_grad


def test_no_grad_decorates_a_function():
    @tg.no_grad()
    def double(x):
        return x * 2

    x = leaf(1.0)
    assert not double(x).requires_grad
    assert not double(x).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_belongs_to_its_thread():
    x, recorded = leaf(1.0), []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: recorded.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert recorded == [True]


def test_no_grad_belongs_to_its_task():
    x = leaf(1.0)

    async def inside():
        with tg.no_grad():
            await asyncio.sleep(0)
            return (x * 2).requires_grad

    async def outside():
        await asyncio.sleep(0)
        return (x * 2).requires_grad

    async def both():
        return await asyncio.gather(inside(), outside(), inside(), outside())

    assert asyncio.run(both()) == [False, True, False, True]


def test_integers_and_comparisons_are_not_recorded():
    x = leaf([1.5, -2.5])
    for result in (x > 0, x == x, tg.astype(x, int), x.astype(bool)):
        assert not result.requires_grad


# Memory


def test_a_graph_100000_operations_deep_works_and_frees_itself_at_once():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    middle = weakref.ref(y)
    y.backward()
    assert x.grad.item() == 100_001
    gc.disable()
    try:
        del y
        assert middle() is None
    finally:
        gc.enable()


def test_nothing_is_left_for_the_cycle_collector():
    model = tg.nn.Sequential(tg.nn.Linear(4, 3, 0), tg.nn.Tanh(), tg.nn.Linear(3, 2, 0))
    optimizer = tg.Momentum(model.parameters(), 0.1)
    x, labels = tg.Tensor(np.ones((5, 4), "float32")), tg.Tensor([0, 1, 0, 1, 0])

    def train():
        loss = tg.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        gradients = tg.grad(loss, model.parameters(), create_graph=True)
        tg.grad(sum((g * g).sum() for g in gradients), model.parameters(), allow_unused=True)
        tg.stack([tg.concatenate([x, x]), tg.concatenate([x, x])])
        optimizer.step()

    train()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            train()
        assert gc.collect() == 0
    finally:
        gc.enable()


# Own operations


def test_an_own_operation_in_three_lines():
    @tg.op(lambda g, y, a, b: g * 2 * a * b, lambda g, y, a, b: g * a * a)
    def square_times(a, b):
        """a²b."""
        return a * a * b

    tg.check_grads(square_times, [np.array([1.0, 2.0]), np.array([[3.0], [4.0]])], order=3)
    assert square_times.__doc__ == "a²b."
    assert "recorded by square_times" in repr(square_times(leaf(1.0), 2.0))


def test_a_tensor_without_a_vjp_is_refused():
    times = tg.op(lambda g, y, a, b: g * b)(lambda a, b: a * b)  # the second one was forgotten
    with pytest.raises(TypeError, match="a Tensor that it has no VJP for"):
        times(leaf(2.0), leaf(3.0))
    with pytest.raises(TypeError, match="a Tensor that it has no VJP for"):
        times(leaf(2.0), b=leaf(3.0))
    assert times(leaf(2.0), tg.Tensor(3.0)).item() == 6  # a constant needs none


def test_a_wrong_vjp_is_named_with_what_it_was_given():
    broken = tg.op(lambda g, y, a, b: g * b, lambda g, y, a, b: g.nothing)(lambda a, b: a * b)
    with pytest.raises(AttributeError) as caught:
        broken(leaf([1.0, 2.0]), leaf(3.0)).sum().backward()
    assert caught.value.__notes__[0].startswith("VJP 2 of <lambda> was given: float64 (2,)")


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integers_get_no_gradient_even_if_asked_for(dtype):
    x = tg.Tensor([1, 0], dtype=dtype)
    x.requires_grad = True
    with pytest.raises(TypeError, match=f"no gradient goes to {dtype}.*dtype=float"):
        (x * 1.5).sum().backward()
    assert x.grad is None


def test_a_gradient_that_comes_through_a_narrower_dtype_is_widened():
    x = leaf([1.0, 2.0])
    (x.astype("float32") * 3).sum().backward()
    assert x.grad.dtype == "float64"
    assert x.grad.numpy().tolist() == [3, 3]


def test_operations_take_arrays_and_give_arrays():
    x = tg.Tensor([1.0, 4.0]).data
    assert type(tg.sqrt(x)) is type(x)
    assert type(tg.softmax(x)) is type(x)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_linear_operation_keeps_what_follows_its_operands(create_graph):
    @tg.op(
        lambda g, factor=1.0, shift=0.0: g * factor,
        lambda g, factor=1.0, shift=0.0: -g * factor,
        linear=True,
    )
    def weighted(a, b, factor=1.0, shift=0.0):
        return (a - b) * factor + 0 * shift

    a, b = (tg.Tensor([1.0, 2.0], requires_grad=True) for _ in "ab")
    for call in (
        lambda: weighted(a, b, 3.0),
        lambda: weighted(a, b, factor=3.0),
        lambda: weighted(a, b, 3.0, 5.0),
        lambda: weighted(a, b, 3.0, shift=5.0),
    ):
        gradients = tg.grad(call().sum(), [a, b], create_graph=create_graph)
        assert [g.numpy().tolist() for g in gradients] == [[3, 3], [-3, -3]]
