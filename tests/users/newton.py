"""Newton's method: solve with the exact Hessian, on Rosenbrock's valley."""

import numpy as np

import tinygrad_edu as tg

w = tg.Tensor([-1.2, 1.0], requires_grad=True)


def valley() -> tg.Tensor:
    x, y = w
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


step = 0
while step < 20:
    step += 1
    (gradient,) = tg.grad(valley(), w)
    H = tg.backend.move(tg.hessian(valley, [w]), "numpy")
    w.data = w.numpy() - np.linalg.solve(H, gradient.numpy())
    if np.abs(gradient.numpy()).max() < 1e-10:
        break
print(step, w)
assert np.allclose(w.numpy(), 1)
