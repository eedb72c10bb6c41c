"""Mistakes that people make, as listed on their page, end in an error that says what to do."""

import re
from pathlib import Path

import pytest

import tinygrad_edu as tg

fences = pytest.importorskip("fences", reason="the docs are not part of this package")

PAGE = (Path(__file__).parent.parent / "docs" / "mistakes.md").read_text(encoding="utf-8")
SETUP, *CODE = (fence.body for fence in fences.parse(PAGE) if fence.language == "python")
ERRORS = [fence.options["raises"] for fence in fences.parse(PAGE) if fence.language == "text"]
TITLES = re.findall(r"^## (.*)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("code", "error"), [*zip(CODE, ERRORS, strict=True)], ids=TITLES)
def test_a_mistake_ends_in_its_error(code, error):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        exec(SETUP + code, {})
    assert error in [kind.__name__ for kind in caught.type.__mro__]
    assert len(str(caught.value)) > 20


def test_a_forgotten_zero_grad_adds_up():
    w = tg.Tensor(2.0, requires_grad=True)
    for _ in range(3):
        (w * w).backward()
    assert w.grad.item() == 12


def test_moved_parameters_need_a_new_optimizer():
    w = tg.Tensor([1.0], requires_grad=True)
    optimizer = tg.Momentum([w], 0.1)
    if tg.backend.current() == "numpy":
        pytest.skip("needs CuPy")
    with tg.use("numpy"):  # outside, an array of the host goes to the GPU when it is assigned
        w.data = tg.backend.move(w.data, "numpy")
    (w * w).sum().backward()
    with pytest.raises(ValueError, match=r"went to numpy after .* make it anew"):
        optimizer.step()
    w.data = tg.backend.move(w.data, "cupy")
    with pytest.raises(ValueError, match=r"on cupy, but its gradient is float64 \(1,\)"):
        optimizer.step()

    with tg.use("numpy"):
        w.data, w.grad = tg.backend.move(w.data, "numpy"), None
    optimizer = tg.Momentum([w], 0.1)
    w.data = tg.backend.move(w.data, "cupy")
    (w * w).sum().backward()
    with pytest.raises(ValueError, match=r"went to cupy after .* make it anew"):
        optimizer.step()
