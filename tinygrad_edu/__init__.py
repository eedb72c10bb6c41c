"""A small, exact automatic differentiation library, written to be read.

The public names follow in reading order; open the files in the same order.
"""

from tinygrad_edu import backend, datasets, graph, nn, ops
from tinygrad_edu.backend import use
from tinygrad_edu.check import check_grads
from tinygrad_edu.core import grad, no_grad, op
from tinygrad_edu.curvature import (
    HessianOperator,
    classify_critical_point,
    escape_direction,
    hessian,
    hvp,
)
from tinygrad_edu.data import DataLoader, TensorDataset
from tinygrad_edu.functions import (
    cross_entropy,
    log_softmax,
    logsumexp,
    mse_loss,
    softmax,
)
from tinygrad_edu.ops import (
    abs,
    astype,
    broadcast_to,
    concatenate,
    cos,
    exp,
    linear,
    log,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    relu,
    reshape,
    sigmoid,
    sin,
    sqrt,
    stack,
    sum,
    tanh,
    transpose,
    var,
    where,
)
from tinygrad_edu.optim import SGD, Momentum
from tinygrad_edu.spectrum import (
    SpectralDensity,
    extreme_eigenpairs,
    lanczos,
    spectral_density,
)
from tinygrad_edu.state import load, save
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.training import Score, evaluate, updates

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 (in reading order)
    # derivatives: core.py, ops.py, functions.py, tensor.py, check.py
    "Tensor", "grad", "no_grad", "op", "ops", "check_grads",
    "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "abs", "relu",
    "where", "maximum", "minimum",
    "reshape", "transpose", "broadcast_to", "astype", "concatenate", "stack",
    "sum", "mean", "var", "max", "min", "matmul",
    "linear", "logsumexp", "softmax", "log_softmax", "cross_entropy", "mse_loss",
    # NumPy or CuPy: backend.py
    "backend", "use",
    # networks, data, training: nn.py, state.py, data.py, datasets.py, optim.py, training.py
    "nn", "save", "load",
    "TensorDataset", "DataLoader", "datasets",
    "SGD", "Momentum",
    "updates", "evaluate", "Score",
    # the Hessian: spectrum.py, curvature.py
    "lanczos", "extreme_eigenpairs", "spectral_density", "SpectralDensity",
    "hvp", "hessian", "HessianOperator", "classify_critical_point", "escape_direction",
    # what was recorded: graph.py
    "graph",
]  # fmt: skip
