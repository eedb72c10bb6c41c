"""What to type instead of the names that other libraries have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# NumPy's functions that have no operation here, and PyTorch's and NumPy's methods.
FUNCTIONS = {
    "average": "tg.mean",
    "bmm": "a @ b",
    "cat": "tg.concatenate",
    "clamp": "x.clip(min, max)",
    "diff": "x[1:] - x[:-1]",
    "div": "a / b",
    "dot": "a @ b",
    "einsum": "a @ b, and .sum(axis=…)",
    "exp2": "2.0 ** x",
    "flatten": "x.ravel()",
    "flip": "x[::-1]",
    "float_power": "a ** b",
    "hstack": "tg.concatenate",
    "hypot": "tg.sqrt(a * a + b * b)",
    "inner": "a @ b",
    "log10": "tg.log(x) / np.log(10)",
    "log2": "tg.log(x) / np.log(2)",
    "mm": "a @ b",
    "mod": "x - x // n * n",
    "moveaxis": "x.transpose(…)",
    "mul": "a * b",
    "norm": "tg.sqrt((x * x).sum())",
    "outer": "a[:, None] * b",
    "permute": "x.transpose(…)",
    "pow": "a ** b",
    "reciprocal": "1 / x",
    "remainder": "x - x // n * n",
    "square": "x * x",
    "sub": "a - b",
    "take": "x[indices]",
    "tan": "tg.sin(x) / tg.cos(x)",
    "tensordot": "a @ b",
    "tile": "x.broadcast_to(shape)",
    "unsqueeze": "x.expand_dims(axis)",
    "vdot": "a @ b",
    "vstack": "tg.concatenate or tg.stack",
}
for _name in [
    "conv1d",
    "conv2d",
    "cumprod",
    "cumsum",
    "det",
    "eigh",
    "inv",
    "prod",
    "qr",
    "solve",
    "sort",
    "svd",
    "trace",
]:
    FUNCTIONS[_name] = f"NumPy, for values without gradients: {_name} is out of scope here"

TENSOR = FUNCTIONS | {
    "add": "a + b",
    "bool": "x != 0",
    "clone": "x.detach(), or x * 1 to be recorded",
    "copy": "x.detach(), or x * 1 to be recorded",
    "cpu": 'x.to("numpy"), or x.numpy() for an array',
    "cuda": 'x.to("cupy")',
    "device": "tg.backend.name_of(x.data)",
    "dim": "x.ndim",
    "double": 'x.astype("float64")',
    "expand": "x.broadcast_to(shape)",
    "float": 'x.astype("float32")',
    "get": "x.numpy()",
    "grad_fn": "x.node",
    "half": 'x.astype("float16")',
    "int": "x.astype(int)",
    "is_leaf": "x.node is None",
    "long": "x.astype(int)",
    "neg": "-x",
    "numel": "x.size",
    "repeat": "x.broadcast_to(shape)",
    "requires_grad_": "tg.Tensor(x, requires_grad=True)",
    "retain_grad": "tg.grad(loss, x)",
    "t": "x.T",
    "tolist": "x.numpy().tolist()",
    "view": "x.reshape(…)",
    "zero_grad": "optimizer.zero_grad(), or x.grad = None",
}

PACKAGE = FUNCTIONS | {
    "Dataset": "tg.TensorDataset",
    "Linear": "tg.nn.Linear",
    "Module": "tg.nn.Module",
    "Parameter": "tg.Tensor(data, requires_grad=True)",
    "ReLU": "tg.nn.ReLU",
    "Sequential": "tg.nn.Sequential",
    "Tanh": "tg.nn.Tanh",
    "Value": "tg.Tensor(data, requires_grad=True)",
    "Variable": "tg.Tensor(data, requires_grad=True)",
    "array": "tg.Tensor(data)",
    "asarray": "tg.Tensor(data)",
    "as_tensor": "tg.Tensor(data)",
    "cuda": 'tg.use("cupy")',
    "device": 'tg.use("cupy")',
    "enable_grad": "tg.no_grad() only where nothing shall be recorded",
    "from_numpy": "tg.Tensor(array)",
    "inference_mode": "tg.no_grad()",
    "jit": "plain functions: they run at once",
    "manual_seed": "seed=… where weights and orders are drawn",
    "value_and_grad": "tg.grad(loss, parameters)",
    "vmap": "an axis for the batch: the operations broadcast",
}
for _name in [
    "zeros",
    "ones",
    "eye",
    "arange",
    "linspace",
    "full",
    "rand",
    "randn",
    "randint",
    "zeros_like",
    "ones_like",
]:
    PACKAGE[_name] = "tg.Tensor(…) of what NumPy or its random generator makes"
PACKAGE |= dict.fromkeys(
    ["bool", "float16", "float32", "float64", "int64", "long"], 'a dtype\'s name: dtype="float32"'
)
PACKAGE |= dict.fromkeys(
    ["Adagrad", "Adam", "AdamW", "RMSprop"],
    "tg.Momentum, or a subclass of tg.SGD with a step of its own",
)

NETWORKS = {
    "BCEWithLogitsLoss": "tg.binary_cross_entropy(scores, targets)",
    "BCELoss": "tg.binary_cross_entropy(scores, targets)",
    "CrossEntropyLoss": "tg.cross_entropy(scores, labels)",
    "MSELoss": "tg.mse_loss(prediction, target)",
    "Parameter": "tg.Tensor(data, requires_grad=True)",
    "Sigmoid": "tg.sigmoid: Sequential takes functions, too",
    "Softmax": "tg.softmax: Sequential takes functions, too",
    "Flatten": "x.reshape(len(x), -1)",
    "functional": "the functions of tinygrad_edu: tg.relu, tg.softmax, tg.cross_entropy",
    "MLP": "tg.nn.perceptron(inputs, hidden, outputs)",
}
for _name in (
    "BatchNorm1d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "LSTM",
    "LayerNorm",
    "RNN",
):
    NETWORKS[_name] = f"a Module of your own: {_name} is out of scope here"


def missing(owner: Any, name: str, called: str, instead: Mapping[str, str]) -> AttributeError:
    """Make the error for an attribute that is not there, with what to type, if that is known.

    >>> missing(None, "view", "a Tensor", TENSOR)
    AttributeError("a Tensor has no 'view': use x.reshape(…)")
    """
    advice = f": use {instead[name]}" if name in instead else ""
    return AttributeError(f"{called} has no {name!r}{advice}", name=name, obj=owner)
