"""MyGrad."""

import mygrad as mg
from mygrad.nnet.losses import softmax_crossentropy

from .inputs import DEPTH, LEARNING_RATE, MOMENTUM, network


def update(batch, optimizer):
    """Update a network once."""
    images, labels, parameters = network(batch)
    momentum = MOMENTUM if optimizer == "Momentum" else 0
    steps = [0 * value for value in parameters]
    weights = [mg.tensor(value) for value in parameters]

    def work():
        weight1, bias1, weight2, bias2 = weights
        scores = mg.nnet.relu(images @ weight1 + bias1) @ weight2 + bias2
        loss = softmax_crossentropy(scores, labels)
        loss.backward()
        for place, weight in enumerate(weights):
            steps[place] = momentum * steps[place] - LEARNING_RATE * weight.grad
            weights[place] = mg.tensor(weight.data + steps[place])
        return loss

    return work


def chain(depth=DEPTH):
    """Record a chain of small operations, and go back."""
    x = mg.tensor([0.1, 0.2, 0.3])

    def work():
        y = x
        for _ in range(depth // 3):
            y = mg.tanh(y * 1.01) + x
        y.sum().backward()
        return x.grad[0]

    return work
