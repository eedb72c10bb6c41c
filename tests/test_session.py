"""What a reader is shown when code on a page is run: docs/assets/live/session.py by itself."""

import sys
from pathlib import Path

import pytest

fences = pytest.importorskip("fences", reason="the docs are not part of this package")
session = pytest.importorskip("session", reason="the docs are not part of this package")

ROOT = Path(__file__).parent.parent
CHAPTERS = [
    *sorted((ROOT / "docs" / "source").glob("*.md")),
    ROOT / "docs" / "fifteen_minutes.md",
    ROOT / "docs" / "index.md",
]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(session, "pages", {})
    return lambda code, block=1, page="/page/": session.run(page, block, code)


@pytest.fixture
def text(run):
    return lambda *given, **names: run(*given, **names)["text"]


def test_what_is_printed_and_the_value_of_the_last_expression_are_shown(text):
    assert text("print('first')\n1 + 1\n[2 + 2]") == "first\n[4]\n"


@pytest.mark.parametrize("code", ["", "x = 3", "None", "# 3", "for i in range(3):\n    i"])
def test_other_code_shows_nothing(code, run):
    assert run(code) == {"text": "", "failed": False, "drawings": []}


def test_blocks_of_a_page_share_their_names_and_pages_do_not(text):
    text("x = 3", page="/one/")
    assert text("x + 1", page="/one/") == "4\n"
    assert "NameError: name 'x' is not defined" in text("x", page="/another/")


def test_a_session_shows_what_each_expression_really_gives(text):
    code = ">>> x = 3\n>>> x  # three\n5\n>>> for i in range(2):\n...     i\n7\n>>> print(x)\n"
    shown = ">>> x  # three\n3\n>>> for i in range(2):\n...     i\n0\n1\n>>> print(x)\n3\n"
    assert text(code) == shown


def test_a_session_goes_on_after_an_error(run):
    result = run(">>> 1 / 0\nTraceback (most recent call last):\n    ...\n>>> 2\n")
    assert result["failed"]
    assert result["text"].startswith(">>> 1 / 0\nTraceback (most recent call last):\n  File")
    assert result["text"].endswith("ZeroDivisionError: division by zero\n>>> 2\n2\n")


def test_a_space_less_or_more_before_the_code_is_no_matter(text):
    assert text(">>>1 + 1\n") == ">>>1 + 1\n2\n"
    assert text(" >>> 1 + 1\n") == " >>> 1 + 1\n2\n"


def test_an_svg_is_a_drawing(run):
    result = run("import tinygrad_edu as tg\ntg.graph.svg(tg.Tensor(1.0, requires_grad=True))")
    assert (result["text"], [svg[:4] for svg in result["drawings"]]) == ("", ["<svg"])
    assert run(">>> '<svg>'\n")["drawings"] == ["<svg>"]


def test_an_error_shows_the_readers_lines_and_its_notes_and_no_others(run):
    run("import tinygrad_edu as tg\n\n\ndef f(x):\n    return x @ x", block=1)
    result = run("print('so far')\nf(tg.Tensor([[1.0, 2.0]]))", block=2)
    lines = [line for line in result["text"].splitlines() if line.strip(" ~^")]  # as Python likes
    assert result["failed"]
    assert lines[:4] == [
        "so far",
        "Traceback (most recent call last):",
        '  File "block 2", line 2, in <module>',
        "    f(tg.Tensor([[1.0, 2.0]]))",
    ]
    assert lines[4:6] == ['  File "block 1", line 5, in f', "    return x @ x"]
    assert lines[-2].startswith("ValueError: matmul: ")
    assert lines[-1] == "matmul was given: float64 (1, 2), float64 (1, 2)"
    assert ".py" not in result["text"]


def test_an_error_in_a_session_shows_the_line_without_its_prompt(text):
    shown = text(">>> def f(x):\n...     return 1 / x\n>>> f(0)\n")
    assert '  File "block 1", line 3, in <module>\n    f(0)\n' in shown
    assert '  File "block 1", line 2, in f\n    return 1 / x\n' in shown


@pytest.mark.parametrize("code", ["f(", ">>> f(\n"])
def test_a_syntax_error_shows_where(code, text):
    shown = text(code)
    assert '  File "block 1", line 1\n    f(\n     ^\nSyntaxError' in shown
    assert "Traceback" not in shown


def test_what_caused_an_error_is_left_out(text):
    code = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError from error"
    assert "ZeroDivisionError" not in text(code)


@pytest.mark.parametrize("code", ["exit()", "raise KeyboardInterrupt", "def f(): f()\nf()"])
def test_python_goes_on_after_whatever_ends_the_code(code, run, text):
    assert run(code)["failed"]
    assert text("1 + 1") == "2\n"


def test_the_error_stream_where_warnings_go_is_shown(text):
    assert text("import sys\n_ = sys.stderr.write('Warning: look')") == "Warning: look"


def test_the_end_of_a_long_text_is_left_out(text):
    shown = text("print('long ' * 10_000)")
    assert shown.startswith("long long ")
    assert shown.endswith("\n… and 30001 more characters")


def test_an_error_comes_after_a_long_text(text):
    shown = text("print('long ' * 10_000)\n1 / 0")
    assert "\n… and 30001 more characters\nTraceback" in shown
    assert shown.endswith("ZeroDivisionError: division by zero\n")


def test_what_is_printed_is_heard_at_once_and_not_without_end(text, monkeypatch):
    heard = []
    monkeypatch.setattr(session, "say", heard.append)
    text("print('first')\nassert False")
    assert "".join(heard) == "first\n"
    text("for i in range(10_000):\n    print('again')")
    assert len("".join(heard)) == len("first\n") + session.LIMIT


def test_values_and_prints_go_where_they_went_before(run):
    before = sys.displayhook, sys.stdout, sys.stderr
    run("1 / 0")
    assert (sys.displayhook, sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_a_chapter_fails_where_it_says_so(page, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for what it saves
    found = fences.parse(page.read_text(encoding="utf-8"))
    for fence, after in zip(found, [*found[1:], None]):
        if fences.runs(fence, browser=True):
            result = run(fence.body, fence.line)
            told = after.body if after and after.language == "text" else fence.body
            assert not result["failed"] or "Error" in told, result["text"]
            assert len(result["drawings"]) == ("draw" in fence.options)
