"""Gradient descent and momentum, against hand computations and PyTorch; what they refuse."""

from collections import deque

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import SGD, Momentum

nan, inf = float("nan"), float("inf")
both = pytest.mark.parametrize("optimizer", [SGD, Momentum])


def leaf(value, dtype=None):
    return tg.Tensor(value, requires_grad=True, dtype=dtype)


def value(array):
    """Read an array, wherever it is, as numbers."""
    return tg.Tensor(array).numpy().tolist()


def follow(optimizer, gradients):
    """Take a step for each gradient of the one parameter, and return its values."""
    values = []
    for gradient in gradients:
        optimizer.params[0].grad = tg.Tensor(gradient)
        optimizer.step()
        values.append(optimizer.params[0].item())
    return values


# The updates


def test_sgd_goes_against_the_gradient():
    # 1 − 0.5·2, then 0 − 0.5·(−4), then 2 − 0.5·1
    assert follow(SGD([leaf(1.0)], lr=0.5), [2.0, -4.0, 1.0]) == [0, 2, 1.5]


def test_momentum_keeps_a_part_of_the_last_step():
    # m = −1, −0.5 + 2, 0.75 − 0.5, 0.125
    optimizer = Momentum([leaf(1.0)], lr=0.5, momentum=0.5)
    assert follow(optimizer, [2.0, -4.0, 1.0, 0.0]) == [0, 1.5, 1.75, 1.875]
    assert value(optimizer.m[0]) == 0.125


def test_nesterov_steps_from_where_the_momentum_leads():
    # m as above; the steps are 0.5m − 0.5g: −1.5, 2.75, −0.375, 0.0625
    optimizer = Momentum([leaf(1.0)], lr=0.5, momentum=0.5, nesterov=True)
    assert follow(optimizer, [2.0, -4.0, 1.0, 0.0]) == [-0.5, 2.25, 1.875, 1.9375]
    assert value(optimizer.m[0]) == 0.125


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_of_0_is_sgd(nesterov):
    gradients = np.random.default_rng(0).normal(size=20).tolist()
    plain = follow(SGD([leaf(1.0)], 0.1), gradients)
    assert follow(Momentum([leaf(1.0)], 0.1, 0, nesterov), gradients) == plain


def test_momentum_starts_at_rest():
    optimizer = Momentum([leaf([1.0, 2.0]), leaf(3.0)], lr=0.1)
    assert [value(m) for m in optimizer.m] == [[0, 0], 0]


def test_momentum_is_the_weighted_sum_of_all_gradients():
    gradients = np.random.default_rng(0).normal(size=30)
    optimizer = Momentum([leaf(1.0)], lr=0.1, momentum=0.8)
    follow(optimizer, gradients.tolist())
    weights = 0.8 ** np.arange(29, -1, -1)
    assert value(optimizer.m[0]) == pytest.approx(-0.1 * (weights @ gradients), rel=1e-13)


def test_in_a_constant_slope_momentum_grows_to_a_limit():
    optimizer = Momentum([leaf(1.0)], lr=0.1, momentum=0.75)
    follow(optimizer, [3.0] * 200)
    assert value(optimizer.m[0]) == pytest.approx(-0.1 * 3 / (1 - 0.75), rel=1e-13)


def test_a_new_learning_rate_holds_for_the_new_gradient_only():
    optimizer = Momentum([leaf(0.0)], lr=0.5, momentum=0.5)
    follow(optimizer, [4.0])
    optimizer.lr = 0.25
    follow(optimizer, [4.0])
    assert value(optimizer.m[0]) == 0.5 * -2 - 0.25 * 4


def test_a_new_learning_rate_holds_for_the_next_step_of_sgd():
    optimizer = SGD([leaf(0.0)], lr=0.5)
    follow(optimizer, [4.0])
    optimizer.lr = 0.25
    assert follow(optimizer, [4.0]) == [-3]


def test_a_new_momentum_holds_for_the_next_step():
    optimizer = Momentum([leaf(0.0)], lr=1, momentum=0.5)
    follow(optimizer, [4.0])
    optimizer.momentum = 0.25
    assert follow(optimizer, [0.0]) == [-5]


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_the_path_is_that_of_pytorch(options):
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    root = generator.normal(size=(5, 5))
    bowl, start = root @ root.T, generator.normal(size=5)
    w = leaf(start)
    ours = Momentum([w], 0.02, **options) if options else SGD([w], 0.02)
    v = torch.tensor(start, requires_grad=True)
    theirs = torch.optim.SGD([v], 0.02, **options)
    for _ in range(20):
        for x, matrix, optimizer in ((w, tg.Tensor(bowl), ours), (v, torch.tensor(bowl), theirs)):
            optimizer.zero_grad()
            (x @ (matrix @ x) / 2 + x.sum()).backward()
            optimizer.step()
        np.testing.assert_allclose(w.numpy(), v.detach().numpy(), rtol=0, atol=1e-12)
    assert np.abs(w.numpy() - start).max() > 0.1


def test_pytorchs_step_shrinks_at_once_with_the_learning_rate_and_ours_does_not():
    torch = pytest.importorskip("torch")
    w, v = leaf(0.0), torch.tensor(0.0, requires_grad=True)
    ours = Momentum([w], lr=0.5, momentum=0.5)
    theirs = torch.optim.SGD([v], lr=0.5, momentum=0.5)
    for _ in range(2):
        w.grad, v.grad = tg.Tensor(4.0), torch.tensor(4.0)
        ours.step()
        theirs.step()
        ours.lr = theirs.param_groups[0]["lr"] = 0.25
    assert w.item() == -2 + (0.5 * -2 - 0.25 * 4)
    assert v.item() == -2 - 0.25 * (0.5 * 4 + 4)


# Which parameters move, and how


@both
def test_a_parameter_without_a_gradient_stays(optimizer):
    moving, resting = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    moving.grad = tg.Tensor([1.0, 1.0])
    optimizer([resting, moving], lr=1).step()
    assert value(resting) == [1, 2]
    assert value(moving) == [0, 1]


def test_the_momentum_of_a_parameter_without_a_gradient_stays():
    w = leaf(1.0)
    optimizer = Momentum([w], lr=1, momentum=0.5)
    follow(optimizer, [2.0])
    optimizer.zero_grad()
    optimizer.step()
    assert (value(w), value(optimizer.m[0])) == (-1, -2)


@both
def test_each_parameter_has_its_own_step(optimizer):
    params = [leaf([1.0, 2.0]), leaf([[3.0]]), leaf(4.0)]
    for param, gradient in zip(params, ([1.0, -1.0], [[2.0]], 3.0), strict=True):
        param.grad = tg.Tensor(gradient)
    optimizer(params, lr=1).step()
    assert [value(param) for param in params] == [[0, 3], [[1]], 1]


@both
def test_a_step_makes_a_new_array(optimizer):
    w = leaf([1.0, 2.0])
    before = w.data
    w.grad = tg.Tensor([1.0, 1.0])
    optimizer([w], lr=1).step()
    assert w.data is not before
    assert value(before) == [1, 2]


@both
def test_a_step_changes_neither_the_gradient_nor_its_array(optimizer):
    w = leaf([1.0, 2.0])
    w.grad = gradient = tg.Tensor([3.0, 4.0])
    stepping = optimizer([w], lr=0.5)
    stepping.step()
    stepping.step()
    assert w.grad is gradient
    assert value(gradient) == [3, 4]


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_parameter_and_its_momentum_share_no_array(nesterov):
    w = leaf([1.0])
    optimizer = Momentum([w], lr=1, nesterov=nesterov)
    w.grad = tg.Tensor([1.0])
    optimizer.step()
    before = value(w)
    optimizer.m[0][...] = 7
    assert value(w) == before


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (2,), (0,)])
def test_a_parameter_stays_an_array_of_its_dtype_and_shape(options, dtype, shape):
    w = leaf(np.ones(shape, dtype))
    kind = type(w.data)
    rate = np.float64(0.1)  # which, unlike a Python number, would widen float32
    optimizer = Momentum([w], rate, **options) if options else SGD([w], rate)
    for _ in range(2):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    for array in (w.data, *getattr(optimizer, "m", [])):
        assert (type(array), array.dtype, array.shape) == (kind, dtype, shape)


@both
def test_a_step_that_fails_moves_nothing(optimizer):
    params = [leaf([1.0, 2.0]), leaf([1.0, 2.0])]
    params[0].grad = tg.Tensor([1.0, 1.0])
    params[1].grad = tg.Tensor([1.0, 1.0, 1.0])
    failing = optimizer(params, lr=1)
    with pytest.raises(
        ValueError, match=r"params\[1\] is float64 \(2,\).*, but its gradient is float64 \(3,\)"
    ):
        failing.step()
    assert [value(param) for param in params] == [[1, 2], [1, 2]]
    assert [value(m) for m in getattr(failing, "m", [])] in ([], [[0, 0], [0, 0]])


@both
def test_zero_grad_forgets_the_gradients(optimizer):
    params = [leaf(1.0), leaf(2.0)]
    params[0].grad = tg.Tensor(1.0)
    optimizer(params, lr=1).zero_grad()
    assert [param.grad for param in params] == [None, None]


@both
def test_without_zero_grad_gradients_add_up(optimizer):
    w = leaf(0.0)
    (3 * w).backward()
    (4 * w).backward()
    optimizer([w], lr=1).step()
    assert w.item() == -7


@both
def test_a_step_is_not_recorded(optimizer):
    w = leaf(1.0)
    (w * w).backward()
    optimizer([w], lr=1).step()
    assert w.node is None
    assert w.requires_grad


# What is refused


@both
@pytest.mark.parametrize("lr", [nan, inf, -inf, -1])
def test_an_impossible_learning_rate_is_refused(optimizer, lr):
    with pytest.raises(ValueError, match=f"learning rate, must be .* but is {lr}"):
        optimizer([leaf(1.0)], lr)


@both
def test_an_impossible_learning_rate_is_refused_later_too(optimizer):
    running = optimizer([leaf(1.0)], 0.5)
    with pytest.raises(ValueError, match="learning rate"):
        running.lr = nan
    assert running.lr == 0.5


@both
def test_a_learning_rate_of_0_moves_nothing(optimizer):
    assert follow(optimizer([leaf(1.0)], lr=0), [2.0, 3.0]) == [1, 1]


@pytest.mark.parametrize("momentum", [1, 1.5, -0.1, nan, inf])
def test_an_impossible_momentum_is_refused(momentum):
    with pytest.raises(ValueError, match=f"momentum must be .* but is {momentum}"):
        Momentum([leaf(1.0)], 0.1, momentum)


def test_an_impossible_momentum_is_refused_later_too():
    running = Momentum([leaf(1.0)], 0.1, 0.5)
    with pytest.raises(ValueError, match="momentum"):
        running.momentum = 1
    assert running.momentum == 0.5


@both
def test_no_parameters_are_refused(optimizer):
    with pytest.raises(ValueError, match="no parameters"):
        optimizer([], lr=0.1)


@both
def test_a_used_up_generator_is_refused(optimizer):
    params = (param for param in [leaf(1.0)])
    list(params)
    with pytest.raises(ValueError, match="generator used up"):
        optimizer(params, lr=0.1)


@both
def test_a_fresh_generator_is_taken(optimizer):
    w = leaf(1.0)
    assert optimizer((param for param in [w]), lr=0.1).params == [w]


@both
@pytest.mark.parametrize("odd", [np.zeros(2), 1.0, "w"], ids=["ndarray", "float", "str"])
def test_what_is_no_tensor_is_refused_by_its_place(optimizer, odd):
    with pytest.raises(TypeError, match=rf"params\[1\] is a {type(odd).__name__}, not a Tensor"):
        optimizer([leaf(1.0), odd], lr=0.1)


@both
def test_a_tensor_that_requires_no_gradient_is_refused_by_its_place(optimizer):
    with pytest.raises(ValueError, match=r"params\[1\] is not a leaf that requires a gradient"):
        optimizer([leaf(1.0), tg.Tensor(1.0)], lr=0.1)


@both
def test_a_result_is_refused_by_its_place(optimizer):
    with pytest.raises(ValueError, match=r"params\[0\] is not a leaf"):
        optimizer([leaf(1.0) * 2], lr=0.1)


@both
def test_a_parameter_that_occurs_twice_is_refused(optimizer):
    w = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match="occurs twice"):
        optimizer([w, leaf([1.0, 2.0]), w], lr=0.1)


# States


def test_a_state_is_all_that_is_needed_to_go_on():
    sgd, momentum = SGD([leaf(1.0)], 0.5), Momentum([leaf(1.0), leaf([2.0])], 0.5, 0.25, True)
    assert sgd.state_dict() == {"lr": 0.5}
    state = {name: value(array) for name, array in momentum.state_dict().items()}
    assert state == {"lr": 0.5, "momentum": 0.25, "nesterov": True, "m.0": 0, "m.1": [0]}


def test_a_state_is_a_snapshot():
    optimizer = Momentum([leaf(1.0)], 0.5)
    follow(optimizer, [2.0])
    state = optimizer.state_dict()
    follow(optimizer, [2.0])
    assert value(state["m.0"]) == -1


@pytest.mark.parametrize(
    "make",
    [
        lambda params, lr: SGD(params, lr),
        lambda params, lr: Momentum(params, lr, 0.9),
        lambda params, lr: Momentum(params, lr, 0.9, nesterov=True),
    ],
    ids=["SGD", "Momentum", "Nesterov"],
)
def test_a_run_goes_on_from_disk_bit_for_bit(tmp_path, make):
    generator = np.random.default_rng(0)
    x = tg.Tensor(generator.normal(size=(20, 3)).astype("float32"))
    y = tg.Tensor(generator.normal(size=(20, 2)).astype("float32"))

    def new(seed, lr):
        model = tg.nn.Linear(3, 2, seed=seed)
        return model, make(model.parameters(), lr)

    def train(model, optimizer):
        for _ in range(5):
            optimizer.zero_grad()
            tg.mse_loss(model(x), y).backward()
            optimizer.step()

    model, optimizer = new(seed=1, lr=0.1)
    train(model, optimizer)
    tg.save(model.state_dict(), tmp_path / "model.npz")
    tg.save(optimizer.state_dict(), tmp_path / "optimizer.npz")
    train(model, optimizer)

    other, going_on = new(seed=2, lr=0.7)
    other.load_state_dict(tg.load(tmp_path / "model.npz"))
    going_on.load_state_dict(tg.load(tmp_path / "optimizer.npz"))
    train(other, going_on)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_loaded_state_has_plain_settings():
    optimizer = Momentum([leaf(1.0)], 0.5)
    optimizer.load_state_dict(Momentum([leaf(1.0)], 0.25, 0.5, True).state_dict())
    settings = (optimizer.lr, optimizer.momentum, optimizer.nesterov)
    assert settings == (0.25, 0.5, True)
    assert [type(setting) for setting in settings] == [float, float, bool]


def test_whole_numbers_as_settings_make_a_state_like_any_other():
    optimizer = Momentum([leaf(1.0)], 0.5, 0.9)
    optimizer.load_state_dict(Momentum([leaf(1.0)], lr=1, momentum=0, nesterov=1).state_dict())
    assert (optimizer.lr, optimizer.momentum, optimizer.nesterov) == (1, 0, True)


def test_a_loaded_momentum_is_a_copy():
    there, here = (Momentum([leaf([1.0])], 0.5) for _ in range(2))
    state = there.state_dict()
    here.load_state_dict(state)
    state["m.0"][...] = 7
    assert value(there.m[0]) == [7]
    assert value(here.m[0]) == [0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD([leaf([1.0])], 0.1),
        lambda: Momentum([leaf([1.0, 2.0])], 0.1),
        lambda: Momentum([leaf(np.float32([1]))], 0.1),
        lambda: Momentum([leaf([1.0]), leaf([1.0])], 0.1),
    ],
    ids=["SGD", "shape", "dtype", "count"],
)
def test_a_state_of_another_optimizer_is_refused_and_changes_nothing(make):
    optimizer = Momentum([leaf([1.0])], 0.5)
    before = optimizer.m[0]
    with pytest.raises(ValueError, match="does not fit"):
        optimizer.load_state_dict(make().state_dict())
    assert (optimizer.lr, optimizer.momentum, optimizer.m[0] is before) == (0.5, 0.9, True)


def test_sgd_refuses_a_state_of_momentum():
    optimizer = SGD([leaf(1.0)], 0.5)
    with pytest.raises(ValueError, match=r"m\.0 is unknown here; momentum is unknown here"):
        optimizer.load_state_dict(Momentum([leaf(1.0)], 0.1).state_dict())
    assert optimizer.lr == 0.5


@pytest.mark.parametrize("wrong", [{"lr": nan}, {"momentum": 1.0}, {"lr": 0.1, "momentum": -1.0}])
def test_a_state_with_an_impossible_setting_is_refused_and_changes_nothing(wrong):
    optimizer = Momentum([leaf(1.0)], 0.5)
    before = optimizer.m[0]
    with pytest.raises(ValueError, match="must be"):
        optimizer.load_state_dict(optimizer.state_dict() | {"m.0": np.array(3.0)} | wrong)
    assert (optimizer.lr, optimizer.momentum, optimizer.m[0] is before) == (0.5, 0.9, True)


# A subclass's own state


class Adam(SGD):
    """Kingma and Ba (2015), as somebody may write it: with lists and a counter."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.99)):
        super().__init__(params, lr)
        self.betas = betas
        self.t = 0
        self.m = [np.zeros_like(param.data) for param in self.params]
        self.v = [np.zeros_like(param.data) for param in self.params]

    def step(self):
        self.t += 1
        (a, b), t = self.betas, self.t
        for place, param in enumerate(self.params):
            g = param.grad.data
            self.m[place] = a * self.m[place] + (1 - a) * g
            self.v[place] = b * self.v[place] + (1 - b) * g * g
            m, v = self.m[place] / (1 - a**t), self.v[place] / (1 - b**t)
            param.data = param.data - self.lr * m / (v**0.5 + 1e-8)


class ByName(Adam):
    """The same, with a dictionary."""

    def __init__(self, params):
        super().__init__(params)
        self.slots = {"m": self.m, "v": {str(place): v for place, v in enumerate(self.v)}}

    def step(self):
        self.v = list(self.slots["v"].values())
        self.m = self.slots["m"]
        super().step()
        self.slots = {"m": self.m, "v": {str(place): v for place, v in enumerate(self.v)}}


class InSlots(SGD):
    """Remembers the last gradients, in slots and in a deque."""

    __slots__ = ("__last", "count")

    def __init__(self, params):
        super().__init__(params, 0.1)
        self.__last = deque([np.zeros_like(param.data) for param in self.params], maxlen=2)
        self.count = np.float32(0)

    def step(self):
        for place, param in enumerate(self.params):
            param.data = param.data - self.lr * (param.grad.data + self.__last[place] * self.count)
            self.__last[place] = param.grad.data
        self.count = np.float32(self.count + 0.25)


class WithTensors(SGD):
    """Averages the path, as a Tensor, with a step size in a property."""

    def __init__(self, params):
        super().__init__(params, 0.1)
        self.mean = tuple(tg.Tensor(param) for param in self.params)

    def step(self):
        super().step()
        self.mean = tuple((m * 0.5 + p * 0.5).detach() for m, p in zip(self.mean, self.params))
        for mean, param in zip(self.mean, self.params):
            param.data = mean.data


@pytest.mark.parametrize("kind", [Adam, ByName, InSlots, WithTensors])
def test_a_subclass_goes_on_from_a_file_bit_for_bit(tmp_path, kind):
    def new():
        params = [leaf([1.0, -2.0]), leaf(3.0)]
        return params, kind(params)

    def train(params, optimizer):
        for _ in range(5):
            optimizer.zero_grad()
            ((params[0] ** 2).sum() * params[1] + params[1] ** 2).backward()
            optimizer.step()

    params, optimizer = new()
    train(params, optimizer)
    tg.save(optimizer.state_dict(), tmp_path / "optimizer.npz")
    at = [param.data for param in params]
    train(params, optimizer)

    others, going_on = new()
    for param, data in zip(others, at, strict=True):
        param.data = data
    going_on.load_state_dict(tg.load(tmp_path / "optimizer.npz"))
    train(others, going_on)
    assert [value(param) for param in others] == [value(param) for param in params]
    restarted, fresh = new()
    for param, data in zip(restarted, at, strict=True):
        param.data = data
    train(restarted, fresh)  # what a lost state would lead to
    assert [value(param) for param in restarted] != [value(param) for param in params]
    kinds = {name: type(held) for name, held in vars(optimizer).items()}
    assert {name: type(held) for name, held in vars(going_on).items()} == kinds


@pytest.mark.parametrize(
    "odd",
    [
        "text",
        None,
        lambda step: 0.1,
        np.random.default_rng(0),
        object(),
        {1, 2},
        1j,
        np.array(["a"]),
        [np.zeros(2), None],
        {"a": {"b": print}},
    ],
    ids=lambda odd: type(odd).__name__,
)
def test_what_a_state_cannot_have_is_refused_by_name(odd):
    optimizer = Adam([leaf(1.0)])
    optimizer.odd = odd
    for call in (optimizer.state_dict, lambda: optimizer.load_state_dict({})):
        with pytest.raises(TypeError, match=r"odd.* is a .*, and a state has only numbers"):
            call()


def test_two_numbers_of_one_name_are_refused():
    optimizer = SGD([leaf(1.0)], 0.1)
    optimizer.counts = {1: 1.0, "1": 2.0}
    with pytest.raises(ValueError, match=r"two numbers of the state have the name 'counts\.1'"):
        optimizer.state_dict()


def test_a_state_that_a_subclass_refuses_changes_nothing():
    class Careful(Momentum):
        @property
        def limit(self):
            return vars(self)["limit"]

        @limit.setter
        def limit(self, limit):
            if limit > 1:
                raise ValueError("the limit is 1")
            vars(self)["limit"] = limit

    optimizer = Careful([leaf(1.0)], 0.5)
    optimizer.limit = 1.0
    before = optimizer.m
    with pytest.raises(ValueError, match="the limit is 1"):
        optimizer.load_state_dict(optimizer.state_dict() | {"lr": 0.1, "limit": 2.0})
    assert (optimizer.lr, optimizer.limit, optimizer.m is before) == (0.5, 1.0, True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_a_step_is_the_formula_in_the_parameters_dtype(shape, dtype):
    generator = np.random.default_rng(0)
    start, g, m = (generator.normal(size=shape).astype(dtype) for _ in range(3))
    new = 0.9 * m - 0.3 * g
    steps = {
        tg.SGD: (tg.SGD, start - 0.3 * g),
        "momentum": (tg.Momentum, start + new),
        "nesterov": (lambda *of: tg.Momentum(*of, nesterov=True), start + (0.9 * new - 0.3 * g)),
    }
    for make, expected in steps.values():
        theta = tg.Tensor(start, requires_grad=True)
        theta.grad = tg.Tensor(g)
        optimizer = make([theta], 0.3)
        if hasattr(optimizer, "m"):
            optimizer.m = [tg.Tensor(m).data]
        optimizer.step()
        np.testing.assert_array_equal(theta.numpy(), expected)
        assert (theta.dtype, theta.shape) == (np.dtype(dtype), shape)
        for last in getattr(optimizer, "m", []):
            np.testing.assert_array_equal(tg.Tensor(last).numpy(), new)
            assert last.shape == shape  # an array also for a single number


@pytest.mark.parametrize("wrong", ["0.1", None, [0.1], np.array([0.1, 0.2]), -1, float("nan"), 1j])
@pytest.mark.parametrize("name", ["lr", "momentum"])
def test_what_is_no_number_from_0_on_is_refused_and_changes_nothing(name, wrong):
    optimizer = Momentum([leaf(1.0)], lr=0.5, momentum=0.25)
    with pytest.raises(ValueError, match=f"{name}.* must be .* but is "):
        setattr(optimizer, name, wrong)
    with pytest.raises(ValueError, match=f"{name}.* must be .* but is "):
        Momentum([leaf(1.0)], **{"lr": 0.1, name: wrong})
    assert (optimizer.lr, optimizer.momentum) == (0.5, 0.25)
