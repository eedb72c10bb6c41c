"""Every operation, on random shapes, dtypes, memory layouts and values: what must always hold.

`LAWS` says for each operation what it must equal, and how it may be called. The tests below it draw
such calls, and check the value, the gradients, and that no operand was written to. pytest's
option --examples multiplies the number of calls.
"""

import functools
import itertools
import operator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from conftest import EXAMPLES
from tinygrad_edu import functions, ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # values are wild on purpose


def examples(count):
    return settings(
        max_examples=count * EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def host(array):
    return tg.backend.move(array.data if isinstance(array, tg.Tensor) else array, "numpy")


def device(array):
    return tg.Tensor(array).data


# ── Values ───────────────────────────────────────────────────────────────────────────────────────

DTYPES = ["float64", "float32", "float16", "int64", "int8", "uint8", "bool"]


def wild(random, shape, dtype):
    """Ordinary numbers, and those at the edges of the dtype, infinities and NaN."""
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return random.choice(np.array([low, 0, 1, 1, high], dtype), shape)
    info = np.finfo(dtype)
    edges = [0, -0.0, 1, -1, info.smallest_subnormal, -info.tiny, info.eps, info.max, info.min]
    edges = random.choice(np.array([*edges, np.inf, -np.inf, np.nan], dtype), shape)
    at_edges = random.random(shape) < random.choice([0.1, 0.5, 1])
    return np.where(at_edges, edges, random.normal(0, 2, shape).astype(dtype))


def scores(random, shape, dtype):
    """Numbers of very different size, −∞ among them, whose differences do not overflow."""
    if np.dtype(dtype).kind != "f":
        return random.integers(0, 2, shape).astype(dtype)
    edges = [0, -0.0, np.finfo(dtype).smallest_subnormal, 1e4, -1e4, -np.inf]
    edges = random.choice(np.array(edges, dtype), shape)
    return np.where(random.random(shape) < 0.3, edges, random.normal(0, 5, shape).astype(dtype))


def reversed_in_memory(x):
    backwards = (..., *[slice(None, None, -1)] * x.ndim)
    return x[backwards].copy()[backwards]


def every_other_element(x):
    return np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x


def repeated(x):
    return np.broadcast_to(x[..., :1], x.shape) if x.ndim else x


def read_only(x):
    if isinstance(x, np.ndarray):
        x.flags.writeable = False
    return x


LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose().copy().transpose(),
    "reversed": reversed_in_memory,
    "strided": every_other_element,
    "repeated": repeated,
    "read-only": read_only,
}


# ── Calls: the shapes of the operands (None for a Python number), and the other arguments ────────

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
NOT_EMPTY = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=3)
SIDE = st.integers(0, 3)


class Call(NamedTuple):
    shapes: list
    parameters: dict


def calls(shapes, **parameters):
    return st.builds(lambda shapes: Call(list(shapes), parameters), shapes)


def broadcast(count):
    return hnp.mutually_broadcastable_shapes(
        num_shapes=count, min_side=0, max_side=3, max_dims=4
    ).map(lambda drawn: drawn.input_shapes)


one_array = calls(SHAPES.map(lambda shape: [shape]))
two_arrays = calls(broadcast(2))
with_a_number = calls(SHAPES.flatmap(lambda shape: st.sampled_from([[shape, None], [None, shape]])))
alike = calls(SHAPES.map(lambda shape: [shape, shape]))


@st.composite
def choices(draw):
    mask, *shapes = draw(broadcast(3))
    return Call(shapes, {"condition": device(draw(hnp.arrays(bool, mask)))})


@st.composite
def selections(draw):
    mask, shape = draw(broadcast(2))
    return Call([shape], {"mask": device(draw(hnp.arrays(bool, mask)))})


@st.composite
def reductions(draw, shapes=SHAPES, **options):
    shape = draw(shapes)
    axis = st.none() | hnp.valid_tuple_axes(len(shape))
    if shape:
        axis |= st.integers(-len(shape), len(shape) - 1)
    parameters = {"axis": draw(axis), "keepdims": draw(st.booleans())}
    return Call([shape], parameters | {name: draw(option) for name, option in options.items()})


@st.composite
def along_an_axis(draw):
    shape = draw(NOT_EMPTY.filter(len))
    return Call([shape], {"axis": draw(st.integers(-len(shape), len(shape) - 1))})


@st.composite
def regroupings(draw):
    shape = draw(SHAPES)
    new = draw(st.permutations([*shape, 1]))
    if draw(st.booleans()):
        new[draw(st.integers(0, len(shape)))] = -1
    return Call([shape], {"shape": tuple(new)})


@st.composite
def permutations(draw):
    shape = draw(SHAPES)
    axes = draw(st.permutations(range(len(shape))))
    signs = draw(st.lists(st.booleans(), min_size=len(axes), max_size=len(axes)))
    axes = tuple(axis - len(shape) * sign for axis, sign in zip(axes, signs))
    return Call([shape], {"axes": draw(st.sampled_from([None, axes]))})


@st.composite
def clippings(draw):
    limits = draw(st.sampled_from([(0, 1), (-1, 0.5), (None, 0), (0.25, None)]))
    return Call([draw(SHAPES)], {"min": limits[0], "max": limits[1]})


@st.composite
def insertions(draw):
    shape = draw(SHAPES)
    return Call([shape], {"axis": draw(st.integers(-len(shape) - 1, len(shape)))})


@st.composite
def exchanges(draw):
    shape = draw(SHAPES.filter(len))
    axes = st.integers(-len(shape), len(shape) - 1)
    return Call([shape], {"axis1": draw(axes), "axis2": draw(axes)})


@st.composite
def conversions(draw):
    return Call([draw(SHAPES)], {"dtype": draw(st.sampled_from(DTYPES))})


@st.composite
def repetitions(draw):
    shapes = hnp.mutually_broadcastable_shapes(
        num_shapes=1, base_shape=draw(SHAPES), min_side=0, max_dims=4
    )
    drawn = draw(shapes)
    return Call([drawn.input_shapes[0]], {"shape": drawn.result_shape})


def in_tuples(parts):
    """The same index with a tuple, a list or a range in place of each array."""
    plain = [part.tolist() for part in parts]
    return tuple(tuple(part) if isinstance(part, list) else part for part in plain)


@st.composite
def indices(draw):
    shape = draw(SHAPES)
    kinds = [hnp.basic_indices(shape, allow_newaxis=True)]
    if shape and all(shape):
        kinds.append(hnp.integer_array_indices(shape).map(lambda parts: tuple(map(device, parts))))
        kinds.append(hnp.integer_array_indices(shape[:1]).map(lambda parts: parts[0].tolist()))
        kinds.append(hnp.integer_array_indices(shape).map(in_tuples))
        kinds.append(st.integers(0, shape[0]).map(lambda stop: (range(stop),)))
        kinds.append(hnp.arrays(bool, shape[:1]).map(lambda mask: (mask.tolist(), ...)))
    kinds.append(hnp.arrays(bool, shape).map(device))
    return shape, draw(st.one_of(kinds))


def taken(drawn):
    shape, index = drawn
    return Call([shape], {"index": index})


def placed(drawn):
    shape, index = drawn
    return Call([device(np.zeros(shape))[index].shape], {"index": index, "shape": shape})


@st.composite
def joints(draw):
    shape = draw(SHAPES.filter(len))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    lengths = draw(st.lists(SIDE, min_size=1, max_size=3))
    shapes = [(*shape[: axis % len(shape)], n, *shape[axis % len(shape) + 1 :]) for n in lengths]
    return Call(shapes, {"axis": axis})


@st.composite
def stacks(draw):
    shape = draw(SHAPES)
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    return Call([shape] * draw(st.integers(1, 3)), {"axis": axis})


@st.composite
def restorations(draw):
    (shape,), parameters = draw(reductions())
    x = np.zeros(shape)
    return Call([np.sum(x, **parameters).shape], {"x": device(x), "axis": parameters["axis"]})


products = hnp.mutually_broadcastable_shapes(
    signature=np.matmul.signature, min_side=0, max_side=3, max_dims=2
).map(lambda drawn: Call(list(drawn.input_shapes), {}))


@st.composite
def affine_maps(draw):
    n, m = draw(SIDE), draw(SIDE)
    shapes = [(*draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)), n), (n, m)]
    return Call(draw(st.sampled_from([shapes, [*shapes, (m,)]])), {})


@st.composite
def classifications(draw):
    rows, classes = draw(SIDE), draw(st.integers(1, 4))
    labels = hnp.arrays(draw(st.sampled_from(["int64", "uint8"])), rows,
                        elements=st.integers(0, classes - 1))  # fmt: skip
    return Call([(rows, classes)], {"labels": device(draw(labels))})


@st.composite
def binary_classifications(draw):
    shape = draw(SHAPES)
    return Call([shape], {"targets": device(draw(hnp.arrays(bool, shape)).astype(int))})


# ── The laws ─────────────────────────────────────────────────────────────────────────────────────


class Law(NamedTuple):
    reference: object  # what the operation must equal, bit by bit …
    calls: object
    ours: object = None  # if the operation is not called as the reference is
    values: object = wild
    dtypes: tuple = DTYPES
    positive: bool = False  # where its derivatives are checked
    exact: bool = True  # … or else within some roundings, computed in float64


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpys(index):
    """An index as NumPy needs it for `add.at`: with arrays in place of sequences."""
    if not isinstance(index, tuple):
        return index
    sequences = (list, tuple, range)
    return tuple(
        np.array(part, int if not len(part) else None) if isinstance(part, sequences) else part
        for part in index
    )


def taken_by_numpy(x, index):
    return x[numpys(index)]


def scatter(x, index, shape):
    module = tg.backend.module_of(x)  # np.add.at does not hand itself over
    y = module.zeros(shape, x.dtype)
    module.add.at(y, numpys(index), x)
    return y


def logsumexp(x, axis, keepdims=False):
    return np.logaddexp.reduce(x, axis=axis, keepdims=keepdims)


def softmax(x, axis):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x, axis):
    x = x - np.max(x, axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def cross_entropy(logits, labels):
    return -np.mean(log_softmax(logits, 1)[np.arange(len(labels)), labels])


def binary_cross_entropy(logits, targets):
    signed = np.where(targets, -logits, logits)
    return np.mean(np.logaddexp(signed, 0))


FLOATS = ("float64", "float32", "float16")
Scores = functools.partial(Law, values=scores, exact=False)

LAWS = {
    "add": Law(operator.add, two_arrays | with_a_number),
    "subtract": Law(operator.sub, two_arrays | with_a_number),
    "negative": Law(operator.neg, one_array),
    "multiply": Law(operator.mul, two_arrays | with_a_number),
    "divide": Law(operator.truediv, two_arrays | with_a_number),
    "power": Law(operator.pow, two_arrays | with_a_number, positive=True),
    "exp": Law(np.exp, one_array),
    "log": Law(np.log, one_array, positive=True),
    "expm1": Law(np.expm1, one_array),
    "log1p": Law(np.log1p, one_array, positive=True),
    "logaddexp": Law(np.logaddexp, two_arrays | with_a_number),
    "sqrt": Law(np.sqrt, one_array, positive=True),
    "sin": Law(np.sin, one_array),
    "cos": Law(np.cos, one_array),
    "tanh": Law(np.tanh, one_array),
    # uint8 wraps around in −|x|, and booleans have no sign
    "sigmoid": Law(sigmoid, one_array, exact=False),
    "abs": Law(np.abs, one_array),
    "select": Law(
        lambda x, mask: np.where(mask, x, 0),
        selections(),
        lambda x, mask: ops.select(mask, x),
    ),
    "relu": Law(lambda x: np.maximum(x, 0), one_array),
    "where": Law(
        lambda a, b, condition: np.where(condition, a, b),
        choices(),
        lambda a, b, condition: ops.where(condition, a, b),
    ),
    "maximum": Law(np.maximum, two_arrays | with_a_number),
    "minimum": Law(np.minimum, two_arrays | with_a_number),
    "clip": Law(lambda x, min, max: np.clip(x, min, max), clippings()),
    "ravel": Law(np.ravel, one_array),
    "squeeze": Law(np.squeeze, one_array),
    "expand_dims": Law(np.expand_dims, insertions()),
    "swapaxes": Law(np.swapaxes, exchanges()),
    "reshape": Law(lambda x, shape: np.reshape(x, shape), regroupings()),
    "transpose": Law(np.transpose, permutations()),
    "broadcast_to": Law(np.broadcast_to, repetitions()),
    "astype": Law(lambda x, dtype: x.astype(dtype), conversions()),
    "getitem": Law(taken_by_numpy, indices().map(taken), lambda x, index: x[index]),
    "scatter": Law(
        scatter,
        indices().map(placed),
        lambda x, index, shape: ops.scatter(x, index, shape) + 0,  # −0 may be put or added to 0
        dtypes=FLOATS,
    ),
    "concatenate": Law(
        lambda *arrays, axis: np.concatenate(arrays, axis),
        joints(),
        lambda *arrays, axis: ops.concatenate(arrays, axis),
    ),
    "stack": Law(
        lambda *arrays, axis: np.stack(arrays, axis),
        stacks(),
        lambda *arrays, axis: ops.stack(arrays, axis),
    ),
    "restore_axes": Law(
        lambda g, x, axis: np.reshape(g, np.sum(x, axis, keepdims=True).shape), restorations()
    ),
    "sum": Law(np.sum, reductions()),
    "mean": Law(np.mean, reductions()),
    "var": Law(np.var, reductions(ddof=st.sampled_from([0, 0.5, 1]))),
    "std": Law(np.std, reductions(ddof=st.sampled_from([0, 0.5, 1]))),
    "max": Law(np.max, reductions()),
    "min": Law(np.min, reductions()),
    "matmul": Law(operator.matmul, products),
    "linear": Law(lambda x, w, b=None: x @ w if b is None else x @ w + b, affine_maps()),
    "logsumexp": Scores(logsumexp, reductions(NOT_EMPTY)),
    "softmax": Scores(softmax, along_an_axis()),
    "log_softmax": Scores(log_softmax, along_an_axis()),
    "cross_entropy": Scores(
        cross_entropy,
        classifications(),
        lambda logits, labels: functions.cross_entropy(logits, labels),
    ),
    "binary_cross_entropy": Scores(
        binary_cross_entropy,
        binary_classifications(),
        lambda logits, targets: functions.binary_cross_entropy(logits, targets),
        dtypes=FLOATS,
    ),
    "mse_loss": Law(lambda a, b: np.mean((a - b) * (a - b)), alike),
}


def public(module):
    return [
        name
        for name, value in vars(module).items()
        if callable(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


OPERATIONS = public(ops) + public(functions)


def law_of(name):
    assert name in LAWS, f"state the law of {name} in LAWS"
    law = LAWS[name]
    return law._replace(ours=law.ours or getattr(ops, name, None) or getattr(functions, name))


@st.composite
def wild_calls(draw, law):
    """Draw (operands, other arguments, which operands are constant)."""
    call = draw(law.calls)
    operands, constant = [], []
    for shape in call.shapes:
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        dtype, layout = draw(st.sampled_from(law.dtypes)), draw(st.sampled_from(list(LAYOUTS)))
        if shape is None:
            operands.append(draw(st.sampled_from([0, 1, 2, -1, 3, 0.5, -2.5])))
        else:
            operands.append(LAYOUTS[layout](device(law.values(random, shape, dtype))))
        is_float = shape is not None and dtype in FLOATS
        constant.append(not is_float or draw(st.sampled_from([False, False, True])))
    return operands, call.parameters, constant


@st.composite
def smooth_calls(draw, law):
    """Draw (operands, other arguments) away from where an operation is not smooth."""
    call = draw(law.calls.filter(lambda call: count(call) <= 24))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers = 0.5 + 1.5 * (random.permutation(count(call)) + 0.5) / count(call)  # no ties
    if not law.positive:
        numbers *= random.choice([-1, 1], len(numbers))
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in call.shapes if shape is not None])
    arrays = iter(np.split(numbers, ends[:-1]))
    return [
        draw(st.sampled_from([2, 0.5])) if shape is None else next(arrays).reshape(shape)
        for shape in call.shapes
    ], call.parameters


def count(call):
    return sum(int(np.prod(shape)) for shape in call.shapes if shape is not None)


EDGES = {
    "no axes": lambda x: x.ndim == 0,
    "four axes": lambda x: x.ndim == 4,
    "no elements": lambda x: x.size == 0,
    "backwards": lambda x: min(x.strides, default=0) < 0,
    "transposed": lambda x: x.flags.fnc,
    "with gaps": lambda x: not x.flags.forc,
    "repeated": lambda x: x.size > 1 and 0 in x.strides,
    "read-only": lambda x: x.flags.forc and not x.flags.writeable,
    **{dtype: lambda x, dtype=dtype: x.dtype == dtype for dtype in DTYPES},
    "−0": lambda x: x.dtype.kind == "f" and (np.signbit(x) & (x == 0)).any(),
    "subnormal": lambda x: x.dtype.kind == "f" and ((x != 0) & (np.abs(x) < tiny(x))).any(),
    "largest": lambda x: x.dtype.kind == "f" and (x == np.finfo(x.dtype).max).any(),
    "infinite": lambda x: np.isinf(x).any(),
    "NaN": lambda x: np.isnan(x).any(),
}


def tiny(x):
    return np.finfo(x.dtype).tiny


def test_the_calls_reach_every_edge():
    seen = set()

    @examples(500)
    @given(wild_calls(law_of("multiply")))
    def look(call):
        arrays = [x for x in call[0] if isinstance(x, np.ndarray)]
        seen.update(edge for x in arrays for edge in EDGES if EDGES[edge](x))

    look()
    assert set(EDGES) - seen == set()


# ── What must hold ───────────────────────────────────────────────────────────────────────────────


def bits(x):
    """Tell an array from every other: its dtype, shape and bytes, but one NaN is as another."""
    x = np.asarray(host(x))
    values = np.where(np.isnan(x), np.array(np.nan, x.dtype), x) if x.dtype.kind == "f" else x
    return x.dtype, x.shape, values.tobytes()


def all_bits(values):
    parts = [part for v in values for part in (v if isinstance(v, list | tuple) else [v])]
    return [bits(part) if hasattr(part, "dtype") else part for part in parts]


def on_host(value):
    if isinstance(value, dict):
        return {name: on_host(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(on_host, value))
    return host(value) if isinstance(value, tg.Tensor) or hasattr(value, "get") else value


def assert_close(ours, law, operands, parameters):
    ours = host(ours)
    wide = [host(x).astype("float64") for x in operands]
    expected = np.asarray(law.reference(*wide, **on_host(parameters))).astype(ours.dtype)
    assert ours.shape == expected.shape
    error = 16 * float(np.finfo(ours.dtype).eps)
    np.testing.assert_allclose(ours.astype(float), expected.astype(float), error, error)


@pytest.mark.parametrize("name", OPERATIONS)
def test_value_gradients_and_operands(name):
    law = law_of(name)

    @examples(25)
    @given(wild_calls(law))
    def check(call):
        operands, parameters, constant = call
        leaves = [
            x if np.isscalar(x) else tg.Tensor(x, requires_grad=not still)
            for x, still in zip(operands, constant)
        ]
        before = all_bits([*operands, *parameters.values()])

        # The value is the reference's, and so are its dtype, its shape, and what is refused.
        if law.exact:
            try:
                expected = law.reference(*operands, **parameters)
            except Exception as error:
                with pytest.raises(type(error)):
                    law.ours(*leaves, **parameters)
                return
            y = law.ours(*leaves, **parameters)
            assert bits(y) == bits(expected)
        else:
            y = law.ours(*leaves, **parameters)
            assert_close(y, law, operands, parameters)
        assert all_bits([*operands, *parameters.values()]) == before
        inputs = [x for x, still in zip(leaves, constant) if not still]
        assert y.requires_grad == (bool(inputs) and y.dtype.kind == "f")
        if not y.requires_grad:
            return

        # A gradient has its operand's shape and dtype, recorded or not.
        start = device(np.ones(y.shape, y.dtype))
        before = all_bits([*operands, *parameters.values(), y, start])
        plain = tg.grad(y, inputs, start)
        recorded = tg.grad(y, inputs, start, create_graph=True)
        for x, gradient in zip(inputs, plain):
            assert (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
        assert all_bits(plain) == all_bits(recorded)
        y.backward(start)
        assert all_bits(plain) == all_bits([x.grad for x in inputs])
        ones = [device(np.ones(gradient.shape)) for gradient in recorded]
        for x, second in zip(inputs, tg.grad(recorded, inputs, ones, allow_unused=True)):
            assert second is None or (second.shape, second.dtype) == (x.shape, x.dtype)

        # Nothing was written to.
        assert all_bits([*operands, *parameters.values(), y, start]) == before
        assert all_bits(plain) == all_bits(recorded)

    check()


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives_equal_finite_differences(name):
    law = law_of(name)

    @examples(6)
    @given(smooth_calls(law))
    def check(call):
        operands, parameters = call
        numbers = {i: x for i, x in enumerate(operands) if np.isscalar(x)}

        def squared(*tensors):  # so that the second derivative is not zero
            tensors = iter(tensors)
            y = law.ours(
                *(numbers[i] if i in numbers else next(tensors) for i in range(len(operands))),
                **parameters,
            )
            return y * y

        arrays = [x for x in operands if not np.isscalar(x)]
        try:
            law.reference(*operands, **on_host(parameters))
        except ValueError:
            return  # as of no elements there is no largest
        y = squared(*(tg.Tensor(x, requires_grad=True) for x in arrays))
        assume(y.requires_grad and y.dtype == "float64" and np.isfinite(host(y)).all())
        tg.check_grads(squared, arrays)

    check()


@pytest.mark.parametrize("name", ["max", "min"])
def test_elements_that_tie_share_the_gradient(name):
    @examples(25)
    @given(reductions(NOT_EMPTY), st.integers(0, 2**32 - 1))
    def check(call, seed):
        (shape,), parameters = call
        x = np.random.default_rng(seed).integers(0, 3, shape).astype(float)
        winners = x == getattr(np, name)(x, axis=parameters["axis"], keepdims=True)
        expected = winners / winners.sum(axis=parameters["axis"], keepdims=True)
        leaf = tg.Tensor(x, requires_grad=True)
        getattr(ops, name)(leaf, **parameters).sum().backward()
        np.testing.assert_array_equal(leaf.grad.numpy(), expected)

    check()


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_operands_that_tie_share_the_gradient(name):
    @examples(25)
    @given(broadcast(2), st.integers(0, 2**32 - 1))
    def check(shapes, seed):
        random = np.random.default_rng(seed)
        a, b = arrays = [random.integers(0, 3, shape).astype(float) for shape in shapes]
        y = getattr(np, name)(a, b)
        leaves = [tg.Tensor(x, requires_grad=True) for x in arrays]
        getattr(ops, name)(*leaves).sum().backward()
        for leaf, x in zip(leaves, arrays):
            expected = added_up((x == y) / (1.0 + (a == b)), x.shape)
            np.testing.assert_array_equal(leaf.grad.numpy(), expected)

    check()


ELEMENTWISE = ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "where"]


def added_up(full, shape):
    """Add up the gradient of an operand that was repeated: each element's, over all its uses."""
    places = np.broadcast_to(np.arange(np.prod(shape, dtype=int)).reshape(shape), full.shape)
    total = np.bincount(places.ravel(), full.ravel(), minlength=np.prod(shape, dtype=int))
    return total.reshape(shape)


def check_broadcasting(operation, shapes, random):
    arrays = [random.uniform(0.5, 2, shape) for shape in shapes]
    full = np.broadcast_shapes(*shapes)
    leaves = [tg.Tensor(x, requires_grad=True) for x in arrays]
    large = [tg.Tensor(np.broadcast_to(x, full), requires_grad=True) for x in arrays]
    gradients = tg.grad(operation(*leaves).sum(), leaves)
    explicit = tg.grad(operation(*(tg.broadcast_to(x, full) for x in leaves)).sum(), leaves)
    for ours, theirs, whole in zip(gradients, explicit, tg.grad(operation(*large).sum(), large)):
        expected = added_up(host(whole), ours.shape)
        np.testing.assert_allclose(host(ours), expected, rtol=1e-13)
        np.testing.assert_allclose(host(theirs), expected, rtol=1e-13)


def pairs_that_broadcast(axes, lengths):
    shapes = [s for n in range(axes + 1) for s in itertools.product(lengths, repeat=n)]
    for a, b in itertools.product(shapes, repeat=2):
        if all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1])):
            yield a, b


PAIRS = list(pairs_that_broadcast(2, [0, 1, 2]))
DEEP_PAIRS = list(pairs_that_broadcast(4, [1, 2]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradients_add_up_over_what_was_broadcast(name):
    operation = (lambda a, b: ops.where(a > b, a, b)) if name == "where" else getattr(ops, name)
    random = np.random.default_rng(0)
    for shapes in PAIRS:
        check_broadcasting(operation, shapes, random)


def test_gradients_add_up_over_every_pair_of_up_to_four_axes():
    random = np.random.default_rng(0)
    for shapes in DEEP_PAIRS:
        check_broadcasting(ops.multiply, shapes, random)
