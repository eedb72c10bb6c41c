"""NumPy by hand, the floor: no pass over an array that is not needed."""

import numpy as np

from .inputs import LEARNING_RATE, MOMENTUM, dataset, network


def update(batch, optimizer):
    """Write forward, backward and step out, for one network."""
    images, labels, parameters = network(batch)
    weight1, bias1, weight2, bias2 = parameters
    rows = np.arange(batch)
    velocities = [np.zeros_like(parameter) for parameter in parameters]
    product = np.dot if batch == 1 else np.matmul  # matmul does column times row without BLAS

    def work():
        hidden = images @ weight1
        hidden += bias1
        np.maximum(hidden, 0, out=hidden)
        scores = hidden @ weight2
        scores += bias2
        scores -= scores.max(axis=1, keepdims=True)  # so that exp cannot overflow
        right_scores = scores[rows, labels]
        slope = np.exp(scores, out=scores)
        totals = slope.sum(axis=1, keepdims=True)
        loss = (np.log(totals[:, 0]) - right_scores).mean()

        slope /= totals * batch
        slope[rows, labels] -= 1 / batch
        hidden_slope = slope @ weight2.T
        hidden_slope *= hidden > 0
        gradients = [product(images.T, hidden_slope), hidden_slope.sum(axis=0)]
        gradients += [product(hidden.T, slope), slope.sum(axis=0)]
        for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
            gradient *= LEARNING_RATE
            if optimizer == "Momentum":
                velocity *= MOMENTUM
                velocity -= gradient
                parameter += velocity
            else:
                parameter -= gradient
        return float(loss)

    return work


def loader(batch):
    """Copy each batch of a random order: what no loader can do without."""
    images, labels = dataset()
    generator = np.random.default_rng(0)

    def work():
        order, total = generator.permutation(len(images)), 0
        for start in range(0, len(order), batch):
            index = order[start : start + batch]
            total += len(images[index]) + 0 * len(labels[index])
        return total

    return work
