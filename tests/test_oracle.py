"""Whole networks agree with JAX in value, gradient and Hessian–vector product, to 1e-10."""

import itertools

import numpy as np
import pytest
from oracle import jax

import tinygrad_edu as tg

jnp = jax.numpy
TOLERANCE = 1e-10
RANDOM = np.random.default_rng(1)


def digits(count):
    train, _ = tg.datasets.digits()
    images, labels = train[:count]
    return images.numpy().astype(float), labels.numpy()


def weights(*sizes):
    return [
        array
        for inputs, outputs in itertools.pairwise(sizes)
        for array in (
            RANDOM.normal(size=(inputs, outputs)) / inputs**0.5,
            RANDOM.normal(size=outputs) * 0.1,
        )
    ]


def classifier(activation):
    images, labels = digits(50)

    def ours(w1, b1, w2, b2, w3, b3):
        hidden = getattr(tg, activation)(tg.linear(tg.Tensor(images), w1, b1))
        hidden = getattr(tg, activation)(hidden @ w2 + b2)
        return tg.cross_entropy(tg.linear(hidden, w3, b3), tg.Tensor(labels))

    def theirs(w1, b1, w2, b2, w3, b3):
        function = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}[activation]
        logits = function(function(images @ w1 + b1) @ w2 + b2) @ w3 + b3
        return -jax.nn.log_softmax(logits)[jnp.arange(50), labels].mean()

    return ours, theirs, weights(64, 16, 12, 10)


def regression():
    images, labels = digits(50)
    target = np.eye(10)[labels]

    def ours(w1, b1, w2, b2):
        scores = tg.softmax(tg.sin(tg.Tensor(images) @ w1 + b1) @ w2 + b2)
        return tg.mse_loss(scores, tg.Tensor(target)) + 1e-2 * (w1**2).sum() + tg.sqrt(w2.var())

    def theirs(w1, b1, w2, b2):
        scores = jax.nn.softmax(jnp.sin(images @ w1 + b1) @ w2 + b2)
        return ((scores - target) ** 2).mean() + 1e-2 * (w1**2).sum() + jnp.sqrt(w2.var())

    return ours, theirs, weights(64, 16, 10)


def attention():
    tokens = RANDOM.normal(size=(3, 5, 4))

    def network(np_, softmax, logsumexp, stack, x, wq, wk, wv):
        q, k, v = x @ wq, x @ wk, x @ wv
        heads = softmax(q @ k.transpose((0, 2, 1)) / 2.0) @ v
        picked = stack([heads[:, 0], heads[:, -1], heads.max(axis=1)])
        return (logsumexp(picked) + np_.tanh(picked).mean() + (q[:, ::2] ** 3).sum()) / 7

    def ours(wq, wk, wv):
        return network(tg, tg.softmax, tg.logsumexp, tg.stack, tg.Tensor(tokens), wq, wk, wv)

    def theirs(wq, wk, wv):
        logsumexp = jax.scipy.special.logsumexp
        return network(jnp, jax.nn.softmax, logsumexp, jnp.stack, jnp.asarray(tokens), wq, wk, wv)

    return ours, theirs, [RANDOM.normal(size=(4, 4)) for _ in range(3)]


NETWORKS = {
    "relu": classifier("relu"),
    "tanh": classifier("tanh"),
    "sigmoid": classifier("sigmoid"),
    "regression": regression(),
    "attention": attention(),
}


def leaves(start):
    return [tg.Tensor(array, requires_grad=True) for array in start]


def assert_close(ours, theirs):
    for here, there in zip(ours, theirs, strict=True):
        there = np.asarray(there)
        scale = max(1, np.abs(there).max())
        np.testing.assert_allclose(here.numpy(), there, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_value(name):
    ours, theirs, start = NETWORKS[name]
    assert_close([ours(*leaves(start))], [theirs(*start)])


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient(name):
    ours, theirs, start = NETWORKS[name]
    params = leaves(start)
    ours(*params).backward()
    expected = jax.grad(theirs, argnums=range(len(start)))(*map(jnp.asarray, start))
    assert_close([param.grad for param in params], expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_hessian_vector_product(name):
    ours, theirs, start = NETWORKS[name]
    direction = [RANDOM.normal(size=array.shape) for array in start]
    params = leaves(start)
    slopes = tg.grad(ours(*params), params, create_graph=True)
    products = tg.grad(slopes, params, [tg.Tensor(v) for v in direction])

    gradient = jax.grad(theirs, argnums=range(len(start)))
    start, direction = (tuple(map(jnp.asarray, arrays)) for arrays in (start, direction))
    assert_close(products, jax.jvp(gradient, start, direction)[1])


def test_dense_hessian():
    images, labels = digits(30)
    start = weights(64, 4, 10)
    ends = np.cumsum([array.size for array in start])

    def theirs(flat):
        parts = jnp.split(flat, ends[:-1])
        w1, b1, w2, b2 = (part.reshape(a.shape) for part, a in zip(parts, start))
        logits = jnp.tanh(images @ w1 + b1) @ w2 + b2
        return -jax.nn.log_softmax(logits)[jnp.arange(30), labels].mean()

    w1, b1, w2, b2 = params = leaves(start)
    hidden = lambda: tg.tanh(tg.linear(tg.Tensor(images), w1, b1))  # noqa: E731
    ours = tg.hessian(
        lambda: tg.cross_entropy(tg.linear(hidden(), w2, b2), tg.Tensor(labels)), params
    )
    flat = jnp.concatenate([array.ravel() for array in start])
    assert_close([tg.Tensor(ours)], [jax.hessian(theirs)(flat)])
