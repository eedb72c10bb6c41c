"""One switch between NumPy and CuPy, and no way to mix them by accident."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg

try:
    import cuda_on_cpu
except ImportError:
    cuda_on_cpu = None
needs_cupy = pytest.mark.skipif("config.getoption('--backend') == 'numpy'", reason="needs CuPy")
on_cpu = pytest.mark.skipif(not cuda_on_cpu, reason="needs CuPy on the CPU: tests/cupy_on_cpu")


def test_an_unknown_backend_is_refused_and_nothing_changes():
    before = tg.backend.current()
    with pytest.raises(ValueError, match="'numpy' or 'cupy', but was given as 'torch'"):
        tg.use("torch")
    assert tg.backend.current() == before


def ask(before="", **settings):
    """Ask for CuPy in a process of its own, and return what is said and the backend afterwards."""
    script = f"""
import sys, types
{before}
import tinygrad_edu as tg
try:
    tg.use("cupy")
except (ImportError, RuntimeError) as error:
    print(error)
print(tg.backend.current())
"""
    process = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(process, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_missing_cupy_is_said_with_what_to_do():
    said = ask("sys.modules['cupy'] = None")
    assert "CuPy, which is not installed: python -m pip install 'cupy-cuda13x[ctk]'" in said
    assert said.endswith("numpy\n")


def test_a_missing_gpu_is_said():
    said = ask("""
cupy = types.ModuleType("cupy")
def ones(shape): raise RuntimeError("no CUDA-capable device is detected")
cupy.ones = ones
sys.modules["cupy"] = cupy""")
    assert "needs a CUDA GPU" in said
    assert said.endswith("no CUDA-capable device is detected\nnumpy\n")


@on_cpu
@pytest.mark.parametrize("missing", ["cuda", "nvrtc", "cublas", "cublasLt"])
def test_a_missing_part_of_cuda_is_said(missing):
    """Each is loaded only when it is needed: CuPy is imported, and zeros are made, without them."""
    said = ask(CUDA_ON_CPU_WITHOUT=missing)
    assert "CUDA's libraries, which python -m pip install 'cupy-cuda13x[ctk]' brings" in said
    assert f"lib{missing}.so" in said
    assert said.endswith("numpy\n")


@on_cpu
def test_what_is_there_is_used():
    assert ask() == "cupy\n"


@needs_cupy
def test_an_operation_is_a_kernel_of_cupy():
    x = tg.Tensor([1.0, 2.0])
    assert type(x.data).__module__ == "cupy"
    if cuda_on_cpu:
        before = cuda_on_cpu.counts()
        tg.tanh(x)
        assert cuda_on_cpu.counts() - before == {"kernel cupy_tanh__float64_float64": 1}


def test_use_is_undone_after_the_block_also_after_an_exception():
    before = tg.backend.current()
    with pytest.raises(KeyError), tg.use("numpy"):
        assert tg.backend.current() == "numpy"
        with tg.use("numpy"):
            pass
        raise KeyError
    assert tg.backend.current() == before


def test_what_is_made_under_a_backend_stays_there():
    model = tg.nn.Sequential(tg.nn.Linear(64, 8, 0), tg.nn.ReLU(), tg.nn.Linear(8, 10, 1))
    train, _ = tg.datasets.digits()
    images, labels = next(iter(tg.DataLoader(train, 16, shuffle=True, seed=0)))
    loss = tg.cross_entropy(model(images), labels)
    optimizer = tg.Momentum(model.parameters(), 0.1)
    loss.backward()
    optimizer.step()
    for tensor in (
        images,
        labels,
        loss,
        *model.parameters(),
        *(p.grad for p in model.parameters()),
    ):
        assert tg.backend.name_of(tensor.data) == tg.backend.current()


def test_to_moves_there_and_the_gradient_comes_back():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).to("numpy")
    assert tg.backend.name_of(y.data) == "numpy"
    y.sum().backward()
    assert tg.backend.name_of(x.grad.data) == tg.backend.current()
    assert x.grad.numpy().tolist() == [2, 4]


@needs_cupy
def test_operands_on_both_are_refused_with_both_named():
    here = tg.Tensor([1.0, 2.0])
    with tg.use("numpy"):
        host = tg.Tensor([1.0, 2.0])
    for mix in (lambda: here + host, lambda: host * here, lambda: tg.where(host > 0, here, here)):
        with pytest.raises(TypeError, match=r"on cupy.*to\(backend\)") as caught:
            mix()
        assert "float64 (2,)" in str(caught.value) or "bool (2,)" in str(caught.value)


@needs_cupy
def test_nothing_comes_to_the_host_unless_asked_for():
    x = tg.Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(x)
    assert type(x.numpy()) is np.ndarray
    with tg.use("numpy"):
        assert tg.backend.name_of(tg.Tensor(x).data) == "cupy"


@needs_cupy
def test_host_arrays_go_to_the_device_when_a_tensor_is_made_of_them():
    assert tg.backend.name_of(tg.Tensor(np.ones(3)).data) == "cupy"
    assert tg.backend.name_of(tg.Tensor(3.0).data) == "cupy"


@needs_cupy
@pytest.mark.parametrize("wrong", [3, -1, 10**6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_label_that_is_no_class_makes_the_loss_and_every_derivative_nan(wrong, dtype):
    w = tg.Tensor(np.ones((4, 3)), requires_grad=True, dtype=dtype)
    x = tg.Tensor(np.ones((2, 4), dtype))
    loss = tg.cross_entropy(x @ w, tg.Tensor([1, wrong]))
    assert (np.isnan(loss.item()), loss.dtype) == (True, dtype)
    (g,) = tg.grad(loss, w, create_graph=True)
    assert np.isnan(g.numpy()).all()
    (product,) = tg.grad((g * g).sum(), w)
    assert np.isnan(product.numpy()).all()


@needs_cupy
def test_what_else_the_page_on_gpus_lists_is_so():
    import cupy

    x = tg.Tensor([1.0, 2.0])
    assert x[tg.Tensor([5])].numpy().tolist() == [2.0]  # wraps around
    with pytest.raises(IndexError):
        x[[5]]
    with tg.use("numpy"), pytest.raises(TypeError, match="bring them together"):
        x * [1.0, 2.0]
    assert (tg.Tensor([2]) ** -1).numpy().tolist() == [0]
    with pytest.raises(ValueError, match="axis"):
        tg.Tensor(1.0).sum(axis=0)
    with pytest.raises((TypeError, ValueError)):
        tg.Tensor([1.0], dtype=np.longdouble)
    with pytest.raises(TypeError):
        cupy.exp(x)
    assert np.exp(x).numpy() == pytest.approx(np.exp([1.0, 2.0]))
