"""Logistic regression on a CSV file: a loss from scores, batches, the accuracy on a mask."""

import csv
import io

import numpy as np

import tinygrad_edu as tg

generator = np.random.default_rng(0)
points = generator.normal(size=(200, 2)).round(3)
file = io.StringIO()
writer = csv.writer(file)
writer.writerow(["x1", "x2", "inside"])
writer.writerows([x1, x2, int(x1 + 2 * x2 > 0.3)] for x1, x2 in points.tolist())

file.seek(0)
rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
table = np.array(rows, "float32")
dataset = tg.TensorDataset(table[:, :2], table[:, 2])
weight = tg.Tensor(np.zeros(2, "float32"), requires_grad=True)
bias = tg.Tensor(0.0, requires_grad=True, dtype="float32")


def loss(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    return tg.binary_cross_entropy(x @ weight + bias, y)


loader = tg.DataLoader(dataset, batch_size=20, shuffle=True, seed=0)
updates = tg.updates(loss, loader, tg.SGD([weight, bias], lr=0.5))
for _ in range(20 * len(loader)):
    next(updates)
x, y = dataset[:]
right = (x @ weight + bias > 0) == (y > 0.5)
accuracy = right.astype(float).mean().item()
print(f"{accuracy:.1%} right, {(~right).astype(int).sum().item()} wrong, all: {right.all()}")
assert accuracy > 0.95
