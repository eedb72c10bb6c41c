"""Mistakes that people make, as listed on their page, end in an error that says what to do."""

import re
from pathlib import Path

import pytest

import tinygrad_edu as tg

fences = pytest.importorskip("fences", reason="the docs are not part of this package")

PAGE = (Path(__file__).parent.parent / "docs" / "mistakes.md").read_text(encoding="utf-8")
SETUP, *SECTIONS = re.split(r"^##.? ", PAGE, flags=re.MULTILINE)
MISTAKES = {it.partition("\n")[0]: it for it in SECTIONS if "```" in it}
ERRORS = [title for title in MISTAKES if not title.endswith(" (no error)")]
SILENT = [title for title in MISTAKES if title.endswith(" (no error)")]


def parts(title):
    """Split an entry: the mistake, why it comes, and the mended code; run alone, all must hold."""
    entry = MISTAKES[title]
    assert list(fences.run(SETUP + entry, title, {}))
    mistake, *message, mended = fences.parse(entry)
    assert mended.options == {"title": "Mended"}
    why = entry[(message or [mistake])[-1].end : mended.start].strip()
    assert why[-1] in ".:"
    return mistake, message, mended


@pytest.mark.parametrize("title", ERRORS)
def test_a_mistake_ends_in_its_error(title):
    mistake, [message], _ = parts(title)
    (setup,) = fences.parse(SETUP)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        exec(setup.body + mistake.body, {})
    assert message.options["raises"] in [kind.__name__ for kind in caught.type.__mro__]
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize("title", SILENT)
def test_a_mistake_without_an_error_shows_in_its_numbers(title):
    mistake, message, mended = parts(title)
    assert not message
    assert mistake.body.startswith(">>> ")
    assert mended.body.startswith(">>> ")


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
