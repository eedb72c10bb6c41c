"""JAX, compiled."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from .inputs import LEARNING_RATE, MOMENTUM, network, vector
from .inputs import lanczos as lanczos_steps


def _loss(parameters, images, labels, activation):
    weight1, bias1, weight2, bias2 = parameters
    scores = activation(images @ weight1 + bias1) @ weight2 + bias2
    log_chances = jax.nn.log_softmax(scores)
    return -jnp.take_along_axis(log_chances, labels[:, None], axis=1).mean()


def update(batch, optimizer):
    """Update a network once."""
    images, labels, parameters = network(batch)
    images, labels = jnp.asarray(images), jnp.asarray(labels)
    momentum = MOMENTUM if optimizer == "Momentum" else 0
    state = [jnp.asarray(value) for value in parameters], [jnp.zeros(v.shape) for v in parameters]

    @jax.jit
    def step(parameters, steps):
        loss, slopes = jax.value_and_grad(_loss)(parameters, images, labels, jax.nn.relu)
        steps = [momentum * m - LEARNING_RATE * g for m, g in zip(steps, slopes)]
        return loss, ([p + m for p, m in zip(parameters, steps)], steps)

    def work():
        nonlocal state
        loss, state = step(*state)
        return loss.block_until_ready()

    return work


def _flat(batch, hidden, inputs):
    images, labels, parameters = network(batch, hidden, inputs)
    flat, restore = ravel_pytree([jnp.asarray(value) for value in parameters])
    images, labels = jnp.asarray(images), jnp.asarray(labels)
    return flat, lambda theta: _loss(restore(theta), images, labels, jnp.tanh)


def gradient(batch):
    """Compute one gradient of a tanh network."""
    flat, loss_of = _flat(batch, 100, 784)
    slope = jax.jit(jax.grad(loss_of))
    return lambda: slope(flat)[784 * 100].block_until_ready()


def first_product(batch):
    """Multiply the Hessian with a vector once, from the start."""
    flat, loss_of = _flat(batch, 100, 784)
    v = jnp.asarray(vector(flat.size))
    product = jax.jit(lambda theta, v: jax.jvp(jax.grad(loss_of), (theta,), (v,))[1])
    return lambda: product(flat, v)[0].block_until_ready()


def kept_product(batch):
    """Multiply the Hessian with another vector."""
    flat, loss_of = _flat(batch, 100, 784)
    v = jnp.asarray(vector(flat.size))
    product = jax.jit(jax.linearize(jax.grad(loss_of), flat)[1])
    return lambda: product(v)[0].block_until_ready()


def lanczos(batch):
    """Run 20 steps of Lanczos's method."""
    flat, loss_of = _flat(batch, 100, 784)
    product = jax.jit(jax.linearize(jax.grad(loss_of), flat)[1])
    return lambda: len(lanczos_steps(product, flat.size)) - 1


def hessian(batch):
    """Compute the whole Hessian of a small network."""
    flat, loss_of = _flat(batch, 18, 16)
    matrix = jax.jit(jax.hessian(loss_of))
    return lambda: matrix(flat).trace().block_until_ready()
