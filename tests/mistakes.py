"""Mistakes that people make, and what they are told: checked by test_mistakes.py.

python tests/mistakes.py   prints docs/mistakes.md anew.
"""

from typing import NamedTuple


class Mistake(NamedTuple):
    """What went wrong, the code that does it, and the error."""

    what: str
    code: str
    error: str


SETUP = """\
import numpy as np

import tinygrad_edu as tg

x = tg.Tensor([1.0, 2.0], requires_grad=True)
w = tg.Tensor([3.0, 4.0], requires_grad=True)
"""

MISTAKES = [
    Mistake("Several numbers, and backward", "(x * w).backward()", "ValueError"),
    Mistake("Nothing was recorded", "tg.Tensor(3.0).backward()", "ValueError"),
    Mistake(
        "A gradient of a gradient that was not recorded",
        "(g,) = tg.grad((x**3).sum(), x)\ntg.grad(g.sum(), x)",
        "ValueError",
    ),
    Mistake("An input that has no part in it", "tg.grad(x.sum(), w)", "ValueError"),
    Mistake(
        "An array where a Tensor was meant", "tg.grad((x * x).sum(), np.ones(2))", "TypeError"
    ),
    Mistake("A function of NumPy that is not recorded", "np.hypot(x, 1)", "TypeError"),
    Mistake("A Tensor as an array, and its graph lost", "np.asarray(x)", "TypeError"),
    Mistake("Integers that need a gradient", "tg.Tensor([1, 2], requires_grad=True)", "TypeError"),
    Mistake("The dtype in second place", 'tg.Tensor([1.0], "float32")', "TypeError"),
    Mistake(
        "A value replaced after it was used",
        "loss = (x * w).sum()\nw.data = w.data - 0.1\nloss.backward()",
        "RuntimeError",
    ),
    Mistake("An element set", "x[0] = 5.0", "TypeError"),
    Mistake("An in-place operator on a leaf", "w -= 0.1 * x", "TypeError"),
    Mistake("A comparison of several numbers in `if`", "if x > 0:\n    pass", "ValueError"),
    Mistake("A loop over a single number", "for number in x.sum():\n    pass", "TypeError"),
    Mistake("Several numbers as one", "float(x)", "ValueError"),
    Mistake("Shapes that do not broadcast", "x + tg.Tensor([1.0, 2.0, 3.0])", "ValueError"),
    Mistake(
        "A layer for inputs of another length",
        'tg.nn.Linear(3, 2)(tg.Tensor([[1.0, 2.0]], dtype="float32"))',
        "ValueError",
    ),
    Mistake(
        "One-hot labels",
        "tg.cross_entropy(tg.Tensor(np.zeros((2, 3))), np.eye(3)[[0, 2]])",
        "ValueError",
    ),
    Mistake(
        "Labels that are not integers",
        "tg.cross_entropy(tg.Tensor(np.zeros((2, 3))), np.array([0.0, 2.0]))",
        "TypeError",
    ),
    Mistake(
        "Labels from 1 instead of 0",
        "tg.cross_entropy(tg.Tensor(np.zeros((2, 3))), np.array([1, 3]))",
        "ValueError",
    ),
    Mistake(
        "A column compared with a row",
        "tg.mse_loss(tg.Tensor(np.ones((3, 1))), tg.Tensor(np.ones(3)))",
        "ValueError",
    ),
    Mistake(
        "A generator that was used up",
        "params = (p for p in [x, w])\nlist(params)\ntg.SGD(params, lr=0.1)",
        "ValueError",
    ),
    Mistake("A module instead of its parameters", "tg.SGD(tg.nn.Linear(2, 1), 0.1)", "TypeError"),
    Mistake("A parameter that is not a leaf", "tg.SGD([x * 2], lr=0.1)", "ValueError"),
    Mistake("A parameter given twice", "tg.SGD([x, x], lr=0.1)", "ValueError"),
    Mistake("A learning rate that is no number", 'tg.SGD([x], lr=float("nan"))', "ValueError"),
    Mistake("A momentum of 1", "tg.Momentum([x], lr=0.1, momentum=1.0)", "ValueError"),
    Mistake(
        "A gradient of another shape",
        "x.grad = tg.Tensor([[1.0, 2.0]])\ntg.SGD([x], lr=0.1).step()",
        "ValueError",
    ),
    Mistake(
        "Images and labels of different number",
        "tg.TensorDataset(np.ones((3, 2)), np.ones(4))",
        "ValueError",
    ),
    Mistake("Batches of nothing", "tg.DataLoader(tg.TensorDataset(x.data), 0)", "ValueError"),
    Mistake(
        "Weights of another network",
        "tg.nn.Linear(2, 3).load_state_dict(tg.nn.Linear(3, 3).state_dict())",
        "ValueError",
    ),
    Mistake("Parameters that moved under a Hessian",
        "H = tg.HessianOperator(lambda: (x**3).sum(), [x])\nx.data = x.data + 1\nH @ np.ones(2)",
        "RuntimeError",
    ),
    Mistake("An unknown backend", 'tg.use("torch")', "ValueError"),
    Mistake(
        "A VJP forgotten",
        "times = tg.op(lambda g, y, a, b: g * b)(lambda a, b: a * b)\ntimes(x, w)",
        "TypeError",
    ),
]  # fmt: skip


def said(mistake):
    """Make the mistake, and return the exception."""
    try:
        exec(SETUP + mistake.code, {})
    except Exception as error:
        return error
    return None


def page():
    """Write the page, with the messages as they are today."""
    lines = [
        "# Mistakes, and what you are told",
        "",
        "Each of these is tried by the tests. This page is printed by `python tests/mistakes.py`.",
        "They all start from",
        "",
        "```python",
        SETUP.rstrip(),
        "```",
        "",
        "Two habits need care, since nothing can notice them. Gradients *add up* until they are",
        "cleared, so a forgotten `optimizer.zero_grad()` makes every step too long. And an array",
        "that an operation was given must not be written into afterwards.",
    ]
    for mistake in MISTAKES:
        error = said(mistake)
        message = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
        lines += ["", f"## {mistake.what}", "", "```python", mistake.code, "```", ""]
        lines += ["```text", message, "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
