"""One switch between NumPy and CuPy, and no way to mix them by accident."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

needs_cupy = pytest.mark.skipif(
    "config.getoption('--backend') == 'numpy'", reason="needs CuPy or its stand-in"
)


def test_an_unknown_backend_is_refused_and_nothing_changes():
    before = tg.backend.current()
    with pytest.raises(ValueError, match="'numpy' or 'cupy', but was given as 'torch'"):
        tg.use("torch")
    assert tg.backend.current() == before


@pytest.mark.host
def test_a_missing_cupy_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="python -m pip install cupy-cuda"):
        tg.use("cupy")
    assert tg.backend.current() == "numpy"


@pytest.mark.host
def test_a_missing_gpu_is_said():
    script = """
import sys, types
cupy = types.ModuleType("cupy")
def zeros(shape): raise RuntimeError("no CUDA-capable device is detected")
cupy.zeros = zeros
sys.modules["cupy"] = cupy
import tinygrad_edu as tg
try:
    tg.use("cupy")
except RuntimeError as error:
    print(error, tg.backend.current())
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "needs a CUDA GPU" in result.stdout
    assert "no CUDA-capable device is detected numpy" in result.stdout


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


@pytest.mark.parametrize("make", [tg.SGD, tg.Momentum])
def test_a_training_step_never_waits_for_the_gpu(make, monkeypatch, request):
    if request.config.getoption("--backend") != "stand-in":
        pytest.skip("only the stand-in can be watched")
    model = tg.nn.perceptron(64, 8, 10, seed=0)
    train, _ = tg.datasets.digits()
    steps = tg.updates(
        lambda images, labels: tg.cross_entropy(model(images), labels),
        tg.DataLoader(train, 16, shuffle=True, seed=0),
        make(model.parameters(), 0.1),
    )
    next(steps)

    def waits(*_):
        raise AssertionError("the host waited for a result")

    device_array = type(tg.Tensor(0.0).data)
    with monkeypatch.context() as patch:
        for method in ("__bool__", "__int__", "__float__", "__index__", "get", "item", "tolist"):
            patch.setattr(device_array, method, waits)
        loss, *_ = next(steps)
        with pytest.raises(AssertionError, match="waited"):
            loss.item()  # asked for


@pytest.mark.host
class TestStandIn:
    """The stand-in refuses what CuPy refuses."""

    @pytest.fixture
    def cupy(self, monkeypatch):
        monkeypatch.syspath_prepend(Path(__file__).parent / "stand_in")
        monkeypatch.delitem(sys.modules, "cupy", raising=False)
        import cupy

        yield cupy
        monkeypatch.delitem(sys.modules, "cupy")

    def test_it_is_taken_for_cupy(self, cupy):
        assert tg.backend.name_of(cupy.zeros(3)) == "cupy"

    @pytest.mark.parametrize(
        "mix",
        [
            lambda there, here: there + here,
            lambda there, here: here + there,
            lambda there, here: np.add(here, there),
            lambda there, here: np.add(there, there, out=here),
            lambda there, here: np.where(here, there, there),
            lambda there, here: np.concatenate([there, here]),
            lambda there, here: there[here.astype(int)],
            lambda there, here: np.asarray(there),
            lambda there, here: here.__setitem__(0, there),
            lambda there, here: there.__setitem__(0, here),
            lambda there, here: np.vecdot(there, there),
        ],
    )
    def test_it_mixes_with_no_array_of_the_host(self, cupy, mix):
        with pytest.raises((TypeError, ValueError)):
            mix(cupy.zeros(3), np.zeros(3))

    def test_an_index_outside_wraps_around(self, cupy):
        assert cupy.arange(3)[cupy.asarray([4])].tolist() == [1]

    def test_numbers_are_welcome_and_reductions_are_arrays(self, cupy):
        x = cupy.arange(3.0)
        for result in (2 * x, x + np.float64(1), x.sum(), np.sum(x), np.max(x, axis=0), x[0]):
            assert type(result) is cupy.ndarray
