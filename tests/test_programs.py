"""Random programs of many operations agree with JAX: value, gradient, Hessian–vector product.

A program is a list of steps such as ("matmul", 0, 3). Each takes two of the values at hand, which
are the parameters and the results so far, and adds its own. A program that fails is printed, and
its seed stands in the name of the test. pytest --programs says how many are tried.
"""

import numpy as np
from oracle import jax

import tinygrad_edu as tg

jnp = jax.numpy
jax.config.update("jax_disable_most_optimizations", True)  # it compiles faster so
TOLERANCE = 1e-8
SHAPES = [(3, 3), (3, 3), (3,), ()]  # of the parameters; few, as JAX compiles for each anew


# ── Steps: (ours, theirs), or one function where both libraries have the names that it uses ──────

OF_ANY = {
    "add": lambda np_, a, b: a + b,
    "subtract": lambda np_, a, b: a - b,
    "negative": lambda np_, a, b: -a,
    "multiply": lambda np_, a, b: a * b,
    "divide": lambda np_, a, b: a / (2 + b * b),
    "divide by a sum": lambda np_, a, b: a / (2.5 + np_.sin(a + b)),
    "power": lambda np_, a, b: (0.5 + a * a) ** np_.tanh(b),
    "power of a number": lambda np_, a, b: a**3 - 2.0**a + (1 + b * b) ** -0.5,
    "exp": lambda np_, a, b: np_.exp(-a * a),
    "log": lambda np_, a, b: np_.log(1 + a * a),
    "sqrt": lambda np_, a, b: np_.sqrt(1 + a * a),
    "sin": lambda np_, a, b: np_.sin(a),
    "cos": lambda np_, a, b: np_.cos(a),
    "tanh": lambda np_, a, b: np_.tanh(a),
    "sigmoid": (lambda a, b: tg.sigmoid(a), lambda a, b: jax.nn.sigmoid(a)),
    "sum of all": lambda np_, a, b: a.sum() / 3,
    "mean of all": lambda np_, a, b: a.mean(),
    "reshape": lambda np_, a, b: a.reshape(-1)[0],
    "broadcast_to": lambda np_, a, b: np_.broadcast_to(a, (3, 3)),
    "stack twice": lambda np_, a, b: np_.stack([a, np_.sin(a)]).sum(axis=0),
}

OF_MATRICES = {
    "matmul": lambda np_, a, b: a @ b / 2,
    "matmul with a vector": lambda np_, a, b: a @ b[0] / 2,
    "matmul by a vector": lambda np_, a, b: a[:, 1] @ b / 2,
    "matmul of vectors": lambda np_, a, b: a[0] @ b[:, 2],
    "matmul of stacks": lambda np_, a, b: (np_.stack([a, b]) @ np_.stack([b, a])).mean(axis=0),
    "linear": (lambda a, b: tg.linear(a, b, a[1]) / 2, lambda a, b: (a @ b + a[1]) / 2),
    "transpose": lambda np_, a, b: a.transpose(),
    "reshape and transpose": lambda np_, a, b: a.reshape(1, 3, 3).transpose((2, 0, 1))[:, 0],
    "getitem": lambda np_, a, b: a[::-1, None, 1] * b,
    "getitem picks": (lambda a, b: a[[2, 0, 2]], lambda a, b: a[jnp.array([2, 0, 2])]),
    "getitem mask": (
        lambda a, b: a[tg.Tensor(np.eye(3) > 0)],
        lambda a, b: a[np.eye(3) > 0],
    ),
    "scatter": (
        lambda a, b: tg.ops.scatter(a, [2, 0, 2], (3, 3)),
        lambda a, b: jnp.zeros((3, 3)).at[jnp.array([2, 0, 2])].add(a),
    ),
    "concatenate": lambda np_, a, b: np_.concatenate([a, b, a])[1::3],
    "concatenate columns": lambda np_, a, b: np_.concatenate([a[:, :1], b[:, 1:]], axis=-1),
    "stack": lambda np_, a, b: np_.stack([a, b], axis=1)[:, :, 1].sum(axis=-1),
    "sum": lambda np_, a, b: a.sum(axis=0),
    "mean": lambda np_, a, b: a.mean(axis=-1, keepdims=True) - b,
    "var": lambda np_, a, b: a.var(axis=0),
    "var of all": lambda np_, a, b: a.var(ddof=1, keepdims=True) * b,
    "logsumexp": (
        lambda a, b: tg.logsumexp(a, axis=1),
        lambda a, b: jax.scipy.special.logsumexp(a, axis=1),
    ),
    "softmax": (lambda a, b: tg.softmax(a, axis=0), lambda a, b: jax.nn.softmax(a, axis=0)),
    "log_softmax": (lambda a, b: tg.log_softmax(a), lambda a, b: jax.nn.log_softmax(a)),
    "cross_entropy": (
        lambda a, b: tg.cross_entropy(a, tg.Tensor([2, 0, 1])),
        lambda a, b: -jax.nn.log_softmax(a)[jnp.arange(3), jnp.array([2, 0, 1])].mean(),
    ),
    "mse_loss": (lambda a, b: tg.mse_loss(a, b), lambda a, b: ((a - b) ** 2).mean()),
}

# Near a tie, roundings may part the two libraries. So each of these comes with what must not be 0.
KINKED = {
    "abs": (lambda np_, a, b: np_.abs(a) * a, lambda a, b: a),
    "relu": ((lambda a, b: tg.relu(a) * a, lambda a, b: jax.nn.relu(a) * a), lambda a, b: a),
    "where": (lambda np_, a, b: np_.where(a > b, a * b, np_.sin(b)), np.subtract),
    "maximum": (lambda np_, a, b: np_.maximum(a, b), np.subtract),
    "minimum": (lambda np_, a, b: np_.minimum(a, b), np.subtract),
    "maximum of a number": (lambda np_, a, b: np_.maximum(a, 0.0) ** 2, lambda a, b: a),
    "max": (lambda np_, a, b: np_.max(a * b, axis=0), lambda a, b: gaps((a * b).T)),
    "min": (lambda np_, a, b: np_.min(a, axis=1, keepdims=True) * b, lambda a, b: gaps(a)),
    "max of all": (lambda np_, a, b: np_.max(a), lambda a, b: gaps(a.reshape(1, -1))),
}


def gaps(rows):
    return np.diff(np.sort(rows, axis=1), axis=1)


STEPS = OF_ANY | OF_MATRICES | {name: step for name, (step, _) in KINKED.items()}
SAFE = {name: apart for name, (_, apart) in KINKED.items()}
NEED_MATRICES = {*OF_MATRICES, "max", "min", "max of all"}


# ── Programs ─────────────────────────────────────────────────────────────────────────────────────


def take(step, theirs, a, b):
    if isinstance(step, tuple):
        return step[theirs](a, b)
    return step((tg, jnp)[theirs], a, b)


def run(program, params, theirs):
    """Add up all values, so that every step matters, and some matter in two ways."""
    values = list(params)
    for name, i, j in program:
        values.append(take(STEPS[name], theirs, values[i], values[j]))
    return sum(value.sum() for value in values)


def make(seed):
    """Draw a program of 5 to 30 steps that stays far from ties and from large numbers."""
    random = np.random.default_rng(seed)
    params = [random.normal(size=shape) for shape in SHAPES]
    values, program = [tg.Tensor(x) for x in params], []
    for _ in range(random.integers(5, 31)):
        while True:
            name = str(random.choice(list(STEPS)))
            fitting = [
                place
                for place, value in enumerate(values)
                if value.shape == (3, 3) or name not in NEED_MATRICES
            ]
            i, j = map(
                int, random.choice(fitting[-6:], 2)
            )  # mostly what is new, so that it is deep
            a, b = values[i], values[j]
            if name in SAFE and np.abs(SAFE[name](a.numpy(), b.numpy())).min() < 1e-3:
                continue
            value = take(STEPS[name], False, a, b)
            if np.abs(value.numpy()).max() < 8:
                break
        values.append(value)
        program.append((name, i, j))
    return program, params, [random.normal(size=shape) for shape in SHAPES]


def assert_close(ours, theirs, what):
    theirs = [np.asarray(array) for array in theirs]
    scale = max(1, *(np.abs(array).max() for array in theirs))
    for here, there in zip(ours, theirs, strict=True):
        here = np.zeros(there.shape) if here is None else here.numpy()
        np.testing.assert_allclose(here, there, rtol=0, atol=TOLERANCE * scale, err_msg=what)


def check(program, params, direction):
    leaves = [tg.Tensor(x, requires_grad=True) for x in params]
    value = run(program, leaves, theirs=False)
    slopes = tg.grad(value, leaves, create_graph=True)
    products = tg.grad(slopes, leaves, list(map(tg.Tensor, direction)), allow_unused=True)

    their_value, their_slopes, their_products = oracle(program, params, direction)
    assert_close([value], [their_value], "value")
    assert_close(slopes, their_slopes, "gradient")
    assert_close(products, their_products, "Hessian–vector product")
    value.backward()
    for leaf, slope in zip(leaves, slopes):
        np.testing.assert_array_equal(leaf.grad.numpy(), slope.numpy())


def oracle(program, params, direction):
    params, direction = ([jnp.asarray(x) for x in arrays] for arrays in (params, direction))
    both = jax.value_and_grad(lambda params: run(program, params, theirs=True))
    (value, slopes), (_, products) = jax.jvp(both, (params,), (direction,))
    return value, slopes, products


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--programs")))


def test_a_program_agrees_with_jax(seed):
    program, params, direction = make(seed)
    try:
        check(program, params, direction)
    except Exception as error:
        places = enumerate(program, start=len(params))
        steps = [f"v{place} = {name}(v{i}, v{j})" for place, (name, i, j) in places]
        error.add_note("\n".join([f"program {seed}, of parameters v0 to v3:", *steps]))
        raise


def test_programs_take_every_step():
    assert {name for seed in range(100) for name, *_ in make(seed)[0]} == set(STEPS)
