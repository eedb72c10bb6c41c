"""A small, exact automatic differentiation library, written to be read.

The public names follow in reading order; open the files in the same order.
"""

from typing import Any

from tinygrad_edu import advice, backend, datasets, graph, nn, ops
from tinygrad_edu.backend import use
from tinygrad_edu.check import check_grads
from tinygrad_edu.core import grad, op
from tinygrad_edu.curvature import (
    CriticalPoint,
    HessianOperator,
    classify_critical_point,
    escape_direction,
    hessian,
    hvp,
)
from tinygrad_edu.data import DataLoader, TensorDataset
from tinygrad_edu.functions import (
    binary_cross_entropy,
    cross_entropy,
    log_softmax,
    logsumexp,
    mse_loss,
    softmax,
)
from tinygrad_edu.ops import abs as abs  # not in __all__, so that import * keeps Python's own
from tinygrad_edu.ops import (
    astype,
    broadcast_to,
    clip,
    concatenate,
    cos,
    exp,
    expand_dims,
    expm1,
    linear,
    log,
    log1p,
    logaddexp,
    matmul,
    maximum,
    mean,
    minimum,
    ravel,
    relu,
    reshape,
    sigmoid,
    sin,
    sqrt,
    squeeze,
    stack,
    std,
    swapaxes,
    tanh,
    transpose,
    var,
    where,
)
from tinygrad_edu.ops import max as max
from tinygrad_edu.ops import min as min
from tinygrad_edu.ops import sum as sum
from tinygrad_edu.optim import SGD, Momentum
from tinygrad_edu.recording import no_grad
from tinygrad_edu.spectrum import (
    Eigenpairs,
    SpectralDensity,
    extreme_eigenpairs,
    lanczos,
    spectral_density,
)
from tinygrad_edu.state import load, save
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.training import Score, evaluate, updates

__version__ = "0.2.0"

__all__ = [  # noqa: RUF022 (in reading order)
    # derivatives: core.py, ops.py, functions.py, tensor.py, check.py
    "Tensor", "grad", "no_grad", "op", "ops", "check_grads",
    "exp", "expm1", "log", "log1p", "logaddexp", "sqrt", "sin", "cos",
    "tanh", "sigmoid", "relu", "clip", "where", "maximum", "minimum",
    "reshape", "ravel", "squeeze", "expand_dims", "transpose", "swapaxes", "broadcast_to", "astype",
    "concatenate", "stack",
    "mean", "var", "std", "matmul",
    "linear", "logsumexp", "softmax", "log_softmax", "cross_entropy",
    "binary_cross_entropy", "mse_loss",
    # NumPy or CuPy: backend.py
    "backend", "use",
    # networks, data, training: nn.py, state.py, data.py, datasets.py, optim.py, training.py
    "nn", "save", "load",
    "TensorDataset", "DataLoader", "datasets",
    "SGD", "Momentum",
    "updates", "evaluate", "Score",
    # the Hessian: spectrum.py, curvature.py
    "lanczos", "extreme_eigenpairs", "Eigenpairs", "spectral_density", "SpectralDensity",
    "hvp", "hessian", "HessianOperator",
    "classify_critical_point", "CriticalPoint", "escape_direction",
    # what was recorded: graph.py
    "graph",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # only where there is none
    raise advice.missing(None, name, "tinygrad_edu", advice.PACKAGE)
