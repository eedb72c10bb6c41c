"""Mistakes that people make end in an error of the right class, that says what to do."""

from pathlib import Path

import pytest
from mistakes import MISTAKES, page, said

import tinygrad_edu as tg

PAGE = Path(__file__).parent.parent / "docs" / "mistakes.md"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_mistake_ends_in_its_error(mistake):
    error = said(mistake)
    assert type(error).__name__ == mistake.error or (
        type(error).__module__.startswith("numpy") and mistake.error in str(type(error).__mro__)
    )
    assert len(str(error)) > 20


@pytest.mark.skipif(not PAGE.exists(), reason="the docs are not part of this package")
def test_the_page_of_mistakes_is_as_printed():
    assert PAGE.read_text(encoding="utf-8") == page()


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
    w.data = tg.backend.move(w.data, "numpy")
    (w * w).sum().backward()
    with pytest.raises(ValueError, match=r"went to numpy after .* make it anew"):
        optimizer.step()
    w.data = tg.backend.move(w.data, "cupy")
    with pytest.raises(ValueError, match=r"on cupy, but its gradient is float64 \(1,\)"):
        optimizer.step()

    w.data, w.grad = tg.backend.move(w.data, "numpy"), None
    optimizer = tg.Momentum([w], 0.1)
    w.data = tg.backend.move(w.data, "cupy")
    (w * w).sum().backward()
    with pytest.raises(ValueError, match=r"went to cupy after .* make it anew"):
        optimizer.step()
