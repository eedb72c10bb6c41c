"""Modules: their parameters' names, their values, and states that are taken and put back."""

import re
from collections import deque, namedtuple
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn import Linear, Module, ReLU, Sequential, Tanh


def parameter(*shape):
    return tg.Tensor(np.zeros(shape), requires_grad=True)


def names(module):
    return [name for name, _ in module.named_parameters()]


def values(module):
    return {name: value.numpy().tolist() for name, value in module.named_parameters()}


def module_with(**attributes):
    module = Module()
    vars(module).update(attributes)
    return module


# Parameters


def test_parameters_come_in_the_order_of_assignment():
    module = module_with(zeta=parameter(), alpha=parameter())
    module.middle = parameter()
    assert names(module) == ["zeta", "alpha", "middle"]


def test_a_name_is_the_path_to_the_parameter():
    module = module_with(
        layers=[Linear(2, 2), ReLU(), Linear(2, 1)],
        heads={"left": module_with(bias=parameter()), 7: parameter()},
        pair=(parameter(), [parameter()]),
        inner=module_with(scale=parameter()),
    )
    assert names(module) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.2.weight",
        "layers.2.bias",
        "heads.left.bias",
        "heads.7",
        "pair.0",
        "pair.1.0",
        "inner.scale",
    ]


def test_parameters_are_the_tensors_themselves():
    first, second = parameter(2), parameter(2)  # equal values, and still two parameters
    listed = module_with(a=first, b=[second]).parameters()
    assert [id(tensor) for tensor in listed] == [id(first), id(second)]


def test_a_shared_parameter_comes_once_under_its_first_name():
    shared = parameter()
    assert names(module_with(a=shared, b=parameter(), c=[shared])) == ["a", "b"]


def test_the_parameters_of_a_shared_module_come_once():
    layer = Linear(2, 2)
    assert names(Sequential(layer, ReLU(), layer)) == ["layers.0.weight", "layers.0.bias"]


def test_a_parameter_is_a_leaf_tensor_and_the_optimizer_gets_those_that_require_a_gradient():
    module = module_with(mean=tg.Tensor([1.0]), size=3, table=np.zeros(2), w=parameter())
    assert names(module) == ["mean", "w"]
    assert [id(leaf) for leaf in module.parameters()] == [id(module.w)]


def test_a_result_is_no_parameter():
    w = parameter()
    assert names(module_with(w=w, kept=w * 2, list=[w + 1])) == ["w"]


class Keeping(Module):
    """Keeps on itself whatever it sees, and a running mean."""

    def __init__(self):
        self.layer = Linear(2, 2, seed=0, dtype="float64")
        self.mean = tg.Tensor(np.zeros(2))
        self.kept = self.last = None

    def forward(self, x):
        self.inputs = x
        self.hidden = self.layer(x)
        self.detached = self.hidden.detach()
        self.several = {"x": x, "h": [self.detached]}
        self.mean = 0.9 * self.mean + 0.1 * self.detached.mean(axis=0)
        return self.hidden


@pytest.mark.parametrize("recorded", [True, False])
def test_what_forward_keeps_is_no_parameter_but_a_constant_that_it_replaces_is(recorded):
    module, x = Keeping(), tg.Tensor(np.ones((5, 2)))
    before = names(module)
    for _ in range(2):
        if recorded:
            module(x)
        else:
            with tg.no_grad():
                module(x)
    assert names(module) == before == ["layer.weight", "layer.bias", "mean"]
    fresh = Keeping()
    fresh.load_state_dict(module.state_dict())
    assert fresh.mean.numpy().tolist() == module.mean.numpy().tolist() != [0, 0]


def test_what_forward_keeps_before_it_fails_is_no_parameter():
    class Failing(Module):
        def forward(self, x):
            self.inputs = x
            raise KeyError

    module = Failing()
    with pytest.raises(KeyError):
        module(tg.Tensor(1.0))
    assert names(module) == []


def test_a_parameter_that_the_first_call_makes_is_one():
    class Lazy(Module):
        def forward(self, x):
            self.w = tg.Tensor(np.ones(x.shape[-1]), requires_grad=True)
            return (self.w * x).sum()

    module = Lazy()
    module(tg.Tensor(np.ones(3)))
    assert names(module) == ["w"]


# Where parameters are looked for


class Alike(Module):
    """Says that it equals everything, and has no hash."""

    def __init__(self):
        self.w = parameter()

    def __eq__(self, other):
        return True

    __hash__ = None


@dataclass
class Record(Module):
    w: tg.Tensor
    inner: Module | None = None

    def forward(self, x):
        self.seen = x
        return self.w * x


@dataclass(slots=True)
class Slotted(Module):
    w: tg.Tensor


@dataclass(frozen=True)
class Frozen(Module):
    w: tg.Tensor

    def forward(self, x):
        return self.w * x


class Private(Module):
    __slots__ = ("__w",)

    def __init__(self):
        self.__w = parameter()


class OfTheClass(Module):
    w = parameter()
    layers: ClassVar = [Record(parameter())]


def in_a_circle():
    module = module_with(w=parameter(), list=[])
    module.list.append(module.list)
    module.child = module_with(parent=module, w=parameter())
    return module


def called(module):
    module(tg.Tensor(1.0))
    return module


ODD = {
    "equal to all": (lambda: Sequential(Alike(), Alike()), ["layers.0.w", "layers.1.w"]),
    "dataclass": (lambda: Record(parameter(), Record(parameter())), ["w", "inner.w"]),
    "dataclass that was called": (lambda: called(Record(parameter())), ["w"]),
    "frozen dataclass that was called": (lambda: called(Frozen(parameter())), ["w"]),
    "slots": (lambda: Slotted(parameter()), ["w"]),
    "private slots": (Private, ["_Private__w"]),
    "class attributes": (OfTheClass, ["w", "layers.0.w"]),
    "deque": (lambda: module_with(d=deque([Record(parameter())])), ["d.0.w"]),
    "mapping": (lambda: module_with(d=MappingProxyType({"a": parameter()})), ["d.a"]),
    "named tuple": (lambda: module_with(p=Pair(parameter(), 1)), ["p.0"]),
    "circle": (in_a_circle, ["w", "child.w"]),
    "empty containers": (lambda: module_with(a=[], b={}, c=(), w=parameter()), ["w"]),
    "an optimizer of its own": (
        lambda: (lambda m: module_with(m=m, opt=tg.SGD(m.parameters(), 0.1)))(Record(parameter())),
        ["m.w"],
    ),
    "a method of a layer that has a name": (
        lambda: (lambda m: module_with(steps=[m.forward], m=m))(Record(parameter())),
        ["m.w"],
    ),
    "a constant in a function": (
        lambda: (lambda c: Sequential(lambda x: x - c, Record(parameter())))(tg.Tensor(1.0)),
        ["layers.1.w"],
    ),
    "no memory": (lambda: Sequential(ReLU(), np.tanh, abs, None), []),
    "a 0-d constant": (lambda: module_with(t=tg.Tensor(3)), ["t"]),
    "an empty array": (lambda: module_with(t=tg.Tensor(np.zeros((0, 3)))), ["t"]),
    "a frozen layer": (lambda: module_with(f=tg.Tensor(np.ones(3)), w=parameter()), ["f", "w"]),
    "strange names": (lambda: module_with(**{"ä": parameter(), "..": parameter()}), ["ä", ".."]),
}  # fmt: skip
Pair = namedtuple("Pair", "w n")


@pytest.mark.parametrize("kind", ODD)
def test_odd_modules_name_their_parameters_and_go_through_a_file(kind, tmp_path):
    make, expected = ODD[kind]
    here, there = make(), make()
    assert names(here) == expected
    for number, (_, leaf) in enumerate(here.named_parameters()):
        leaf.data = np.full_like(leaf.data, number + 2)
    tg.save(here.state_dict(), tmp_path / "odd.npz")
    there.load_state_dict(tg.load(tmp_path / "odd.npz"))
    assert values(there) == values(here)
    assert list(here.state_dict()) == expected


def test_a_tied_parameter_keeps_one_name_and_both_its_uses(tmp_path):
    def tied():
        w = tg.Tensor(np.ones((2, 2)), requires_grad=True)
        return module_with(encoder=module_with(w=w), decoder=module_with(w=w))

    here, there = tied(), tied()
    here.encoder.w.data = here.encoder.w.data * 3
    tg.save(here.state_dict(), tmp_path / "tied.npz")
    there.load_state_dict(tg.load(tmp_path / "tied.npz"))
    assert names(there) == ["encoder.w"]
    assert there.encoder.w is there.decoder.w
    assert there.decoder.w.numpy().tolist() == [[3, 3], [3, 3]]


def test_a_frozen_model_is_loaded_from_a_frozen_models_file(tmp_path):
    here, there = Linear(3, 2, seed=0), Linear(3, 2, seed=1)
    for leaf in (*here.parameters(), *there.parameters()):
        leaf.requires_grad = False
    tg.save(here.state_dict(), tmp_path / "frozen.npz")
    there.load_state_dict(tg.load(tmp_path / "frozen.npz"))
    assert values(there) == values(here)
    assert there.parameters() == []


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"d": {1: parameter(), "1": parameter()}}, "d.1"),
        ({"d": {"enc.w": parameter(), "enc": {"w": parameter()}}}, "d.enc.w"),
        ({"a.b": parameter(), "a": {"b": parameter()}}, "a.b"),
        ({"l": [tg.Tensor(1.0)], "l.0": tg.Tensor(2.0)}, "l.0"),
    ],
)
def test_two_parameters_of_one_name_are_refused(attributes, name):
    module = module_with(**attributes)
    for look in (module.state_dict, module.parameters, lambda: module.load_state_dict({})):
        with pytest.raises(ValueError, match=f"two parameters have the name '{re.escape(name)}'"):
            look()


class Plain:
    """Not a Module, although it has a parameter."""

    def __init__(self):
        self.w = parameter()

    def method(self, x):
        return self.w * x


def frozen():
    layer = Linear(2, 2)
    for leaf in layer.parameters():
        leaf.requires_grad = False
    return layer


HIDING = {
    "set": lambda: {Linear(2, 2)},
    "frozen set": lambda: frozenset([Linear(2, 2)]),
    "set of tuples": lambda: {(Linear(2, 2), 1)},
    "method": lambda: Linear(2, 2).forward,
    "method of a frozen layer": lambda: frozen().forward,
    "partial": lambda: partial(Linear(2, 2)),
    "argument of a partial": lambda: partial(lambda layer, x: layer(x), Linear(2, 2)),
    "keyword of a partial": lambda: partial(lambda x, layer: layer(x), layer=Linear(2, 2)),
    "closure": lambda: (lambda w: lambda x: w * x)(parameter()),
    "closure over a list": lambda: (lambda ws: lambda x: ws[0] * x)([parameter()]),
    "plain object": Plain,
    "method of a plain object": lambda: Plain().method,
}


@pytest.mark.parametrize("kind", HIDING)
def test_parameters_without_a_name_are_refused_with_the_place(kind):
    for module, place in (
        (Sequential(ReLU(), HIDING[kind]()), r"layers\.1"),
        (module_with(thing=HIDING[kind]()), "thing"),
    ):
        with pytest.raises(ValueError, match=rf"^{place} is a .* with parameters inside"):
            module.state_dict()


def test_a_module_without_parameters_has_none():
    assert ReLU().parameters() == []


# Linear


def test_linear_has_a_weight_and_a_bias():
    layer = Linear(3, 2)
    assert [(name, value.shape) for name, value in layer.named_parameters()] == [
        ("weight", (3, 2)),
        ("bias", (2,)),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_has_the_dtype_that_is_asked_for(dtype):
    assert {value.dtype.name for value in Linear(3, 2, dtype=dtype).parameters()} == {dtype}


def test_linear_is_float32_unless_asked():
    assert {value.dtype.name for value in Linear(3, 2).parameters()} == {"float32"}


def test_linear_starts_uniformly_within_one_over_the_root_of_its_inputs():
    layer = Linear(100, 400, seed=0, dtype="float64")
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert -0.1 <= values.min() < -0.098
        assert 0.098 < values.max() <= 0.1
        assert abs(values.mean()) < 0.01
        assert values.std() == pytest.approx(0.1 / 3**0.5, rel=0.05)


def test_the_same_seed_makes_the_same_layer():
    assert values(Linear(3, 2, seed=5)) == values(Linear(3, 2, seed=5))


def test_another_seed_makes_another_layer():
    assert values(Linear(3, 2, seed=5)) != values(Linear(3, 2, seed=6))


def test_without_a_seed_each_layer_is_another():
    assert values(Linear(3, 2)) != values(Linear(3, 2))


def test_layers_from_one_generator_differ():
    generator = np.random.default_rng(0)
    assert values(Linear(3, 2, generator)) != values(Linear(3, 2, generator))


def test_a_generator_counts_as_its_seed():
    assert values(Linear(3, 2, np.random.default_rng(5))) == values(Linear(3, 2, seed=5))


def test_dtypes_of_one_seed_agree_up_to_rounding():
    narrow, wide = (Linear(3, 2, seed=5, dtype=dtype) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(narrow.weight.numpy(), wide.weight.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 2), (2, 0), (-1, 2)])
def test_linear_needs_inputs_and_outputs(inputs, outputs):
    with pytest.raises(ValueError, match=f"inputs and outputs, but got {inputs} and {outputs}"):
        Linear(inputs, outputs)


# Forward


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)])
def test_linear_is_x_times_weight_plus_bias(shape):
    layer = Linear(3, 2, seed=0, dtype="float64")
    x = np.random.default_rng(1).normal(size=shape)
    expected = x @ layer.weight.numpy() + layer.bias.numpy()
    np.testing.assert_allclose(layer(tg.Tensor(x)).numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("layer", "function"), [(ReLU(), lambda x: np.maximum(x, 0)), (Tanh(), np.tanh)]
)
def test_activations_are_those_of_numpy(layer, function):
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    np.testing.assert_allclose(layer(tg.Tensor(x)).numpy(), function(x), rtol=1e-15)


def test_sequential_applies_one_layer_after_the_other():
    generator = np.random.default_rng(0)
    first = Linear(3, 4, generator, "float64")
    last = Linear(4, 2, generator, "float64")
    x = generator.normal(size=(5, 3))
    hidden = np.maximum(x @ first.weight.numpy() + first.bias.numpy(), 0)
    expected = np.tanh(hidden @ last.weight.numpy() + last.bias.numpy())
    result = Sequential(first, ReLU(), last, Tanh())(tg.Tensor(x))
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-13)


def test_sequential_takes_any_functions():
    assert Sequential(lambda x: x + 1, lambda x: 10 * x)(2) == 30


def test_sequential_of_nothing_changes_nothing():
    assert Sequential()(2) == 2


def test_a_gradient_reaches_every_parameter():
    model = Sequential(Linear(3, 4, seed=0), Tanh(), Linear(4, 2, seed=1))
    model(tg.Tensor(np.ones((5, 3), "float32"))).sum().backward()
    assert all(value.grad.numpy().any() for value in model.parameters())


def test_a_call_hands_all_inputs_to_forward():
    class Difference(Module):
        def forward(self, a, b):
            return a - b

    assert Difference()(5, 3) == 2


def test_a_call_hands_keywords_to_forward():
    class Scaled(Module):
        def forward(self, x, *, factor=1, **others):
            return x * factor + len(others)

    assert Scaled()(5) == 5
    assert Scaled()(x=5, factor=3, a=1, b=2) == 17


def test_a_module_without_forward_says_so():
    class Unfinished(Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Unfinished needs a method forward"):
        Unfinished()(1)


def test_repr_shows_names_and_shapes():
    module = module_with(w=parameter(3, 2), b=[parameter()])
    assert repr(module) == "Module(w (3, 2), b.0 ())"


# States


def test_a_state_has_the_values_by_name():
    layer = Linear(3, 2, seed=0)
    state = layer.state_dict()
    assert {name: tg.Tensor(array).numpy().tolist() for name, array in state.items()} == (
        values(layer)
    )


def test_a_state_is_a_snapshot():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    state = module_with(w=w).state_dict()
    (w * w).sum().backward()
    tg.SGD([w], lr=0.5).step()
    assert w.numpy().tolist() == [0, 0]
    assert tg.Tensor(state["w"]).numpy().tolist() == [1, 2]


def test_loading_a_state_gives_its_values():
    here, there = Linear(3, 2, seed=0), Linear(3, 2, seed=1)
    here.load_state_dict(there.state_dict())
    assert values(here) == values(there)


def test_loading_takes_host_arrays_to_where_the_parameters_are():
    layer = Linear(1, 1)
    layer.load_state_dict({"weight": np.float32([[2]]), "bias": np.float32([1])})
    assert layer(tg.Tensor(np.float32([3]))).numpy().tolist() == [7]


def test_loading_keeps_the_tensors():
    layer = Linear(3, 2)
    before = layer.parameters()
    layer.load_state_dict(Linear(3, 2).state_dict())
    assert all(a is b for a, b in zip(layer.parameters(), before, strict=True))


def test_loaded_values_are_copies():
    here, there = Linear(3, 2, seed=0), Linear(3, 2, seed=1)
    state = there.state_dict()
    here.load_state_dict(state)
    state["weight"][...] = 7
    assert (there.weight.numpy() == 7).all()
    assert not (here.weight.numpy() == 7).any()


def test_a_loaded_single_number_is_an_array():
    module = module_with(scale=parameter())
    kind = type(module.scale.data)
    module.load_state_dict({"scale": np.float64(2)})
    assert type(module.scale.data) is kind


def test_a_state_that_does_not_fit_is_refused_with_every_mismatch():
    module = module_with(a=parameter(2), b=parameter(2), c=parameter(2), d=parameter(2))
    state = {"a": np.ones(2), "b": np.ones(3), "c": np.ones(2, "float32"), "e": np.ones(2)}
    with pytest.raises(ValueError, match="does not fit") as caught:
        module.load_state_dict(state)
    for mismatch in (
        "b is float64 (3,), not float64 (2,)",
        "c is float32 (2,), not float64 (2,)",
        "d is missing",
        "e is unknown here",
    ):
        assert mismatch in str(caught.value)
    assert "a is" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"a": np.ones(2)},
        {"a": np.ones(2), "b": np.ones(2), "c": np.ones(2)},
        {"a": np.ones(2), "b": np.ones((2, 1))},
        {"a": np.ones(2), "b": np.ones(2, "int64")},
    ],
    ids=["missing", "unknown", "shape", "dtype"],
)
def test_a_state_that_does_not_fit_changes_nothing(wrong):
    module = module_with(a=parameter(2), b=parameter(2))
    with pytest.raises(ValueError, match="does not fit"):
        module.load_state_dict(wrong)
    assert values(module) == {"a": [0, 0], "b": [0, 0]}


def test_a_state_goes_through_a_file(tmp_path):
    here, there = Sequential(Linear(3, 2, seed=0)), Sequential(Linear(3, 2, seed=1))
    tg.save(there.state_dict(), tmp_path / "model.npz")
    here.load_state_dict(tg.load(tmp_path / "model.npz"))
    assert values(here) == values(there)


def test_a_vector_and_the_parameters_are_two_forms_of_the_same_numbers():
    model = tg.nn.perceptron(3, 4, 2, seed=0)
    vector = tg.nn.parameters_to_vector(model.parameters())
    assert vector.shape == (3 * 4 + 4 + 4 * 2 + 2,)
    other = tg.nn.perceptron(3, 4, 2, seed=1)
    tg.nn.vector_to_parameters(vector, other.parameters())
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert (mine.data == theirs.data).all()
        assert mine.dtype == theirs.dtype


def test_a_vector_of_another_length_is_refused_and_changes_nothing():
    model = tg.nn.perceptron(3, 2, seed=0)
    before = [parameter.data for parameter in model.parameters()]
    with pytest.raises(ValueError, match=r"\(8,\), but has \(7,\)"):
        tg.nn.vector_to_parameters(np.zeros(7), model.parameters())
    assert all(p.data is data for p, data in zip(model.parameters(), before, strict=True))


def test_a_vector_may_be_a_tensor_but_the_parameters_must_be_leaves():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    tg.nn.vector_to_parameters(tg.Tensor([3.0, 4.0]), [w])
    assert not isinstance(w.data, tg.Tensor)
    assert w.detach().numpy().tolist() == [3, 4]
    for wrong in ([w, w], [w * 2], [3.0]):
        with pytest.raises((TypeError, ValueError)):
            tg.nn.vector_to_parameters(np.zeros(2), wrong)
