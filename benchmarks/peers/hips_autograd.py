"""HIPS autograd."""

import autograd.numpy as np
from autograd import grad, value_and_grad
from autograd.scipy.special import logsumexp

from .inputs import DEPTH, LEARNING_RATE, MOMENTUM, network


def update(batch, optimizer):
    """Update a network once."""
    images, labels, parameters = network(batch)
    rows = np.arange(batch)
    momentum = MOMENTUM if optimizer == "Momentum" else 0
    steps = [0 * value for value in parameters]

    def loss_of(parameters):
        weight1, bias1, weight2, bias2 = parameters
        scores = np.maximum(images @ weight1 + bias1, 0) @ weight2 + bias2
        return np.mean(logsumexp(scores, axis=1) - scores[rows, labels])

    slope_of = value_and_grad(loss_of)

    def work():
        loss, slopes = slope_of(parameters)
        for place, slope in enumerate(slopes):
            steps[place] = momentum * steps[place] - LEARNING_RATE * slope
            parameters[place] = parameters[place] + steps[place]
        return loss

    return work


def chain(depth=DEPTH):
    """Record a chain of small operations, and go back."""

    def sum_of(x):
        y = x
        for _ in range(depth // 3):
            y = np.tanh(y * 1.01) + x
        return np.sum(y)

    slope_of = grad(sum_of)
    return lambda: slope_of(np.array([0.1, 0.2, 0.3]))[0]
