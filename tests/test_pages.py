"""All the code on the pages runs, and none of it is silently skipped."""

import re
from pathlib import Path

import pytest

from tinygrad_edu import ops

fences = pytest.importorskip("fences", reason="the docs are not part of this package")

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
NAMES = {"add_an_operation.md": vars(ops)}  # its example would stand in ops.py


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def page(request):
    return request.param


def test_all_python_of_a_page_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for what it saves
    text, ran = page.read_text(encoding="utf-8"), 0
    namespace = {"__name__": page.name, **NAMES.get(page.name, {})}
    for fence, shown in fences.run(text, str(page), namespace):
        assert "draw" not in fence.options or shown.startswith(("<svg", "<figure"))
        ran += 1
    expected = [f for f in fences.parse(text) if f.language == "python"]
    others = {"source", "exercise", "check"}
    assert ran == sum(not others & set(fence.options) for fence in expected)


def test_no_python_hides_from_being_run(page):
    text = page.read_text(encoding="utf-8")
    rest = text
    for fence in reversed(fences.parse(text)):
        assert fence.language in {"python", "console", "text", "diff", "html"}, (
            f"{page}:{fence.line}"
        )
        assert fence.language == "python" or ">>>" not in fence.body, f"{page}:{fence.line}"
        rest = rest[: fence.start] + rest[fence.end :]
    assert not re.search(r"^[ >]*(```|~~~)", rest, re.MULTILINE), "a fence that was not understood"
    assert ">>>" not in rest


def test_all_excerpts_are_found(page):
    for fence in fences.parse(page.read_text(encoding="utf-8")):
        if "source" in fence.options:
            assert not fence.body
    fences.expand(page.read_text(encoding="utf-8"), str(page))


PAGE = """\
```python
x = 3
```

??? success "Solution"

    ```python
    >>> x
    3
    ```

```python
1 / 0
```

```text
ZeroDivisionError: division by zero
```
"""


def test_fences_share_names_and_errors_are_expected():
    names = {}
    assert [fence.line for fence, _ in fences.run(PAGE, "page", names)] == [1, 7, 12]


@pytest.mark.parametrize(
    ("right", "wrong", "error", "message"),
    [
        ("    3\n", "    4\n", AssertionError, "Expected:\n    4"),
        ("division", "a division", AssertionError, "page:12: expected 'ZeroDiv.* a division"),
        ("1 / 0", "1 / 1", AssertionError, "but got ''"),
        ("x = 3", "y = 3", AssertionError, "NameError"),
    ],
)
def test_what_is_not_as_shown_fails(right, wrong, error, message):
    with pytest.raises(error, match=message):
        list(fences.run(PAGE.replace(right, wrong), "page", {}))


def test_an_error_names_the_line_of_the_page():
    with pytest.raises(ZeroDivisionError) as caught:
        list(fences.run("# Title\n\n```python\nx = 1\nx / 0\n```\n", "page.md", {}))
    where = caught.traceback[-1]
    assert (str(where.path), where.lineno + 1) == ("page.md", 5)


def test_on_a_live_page_what_a_browser_can_run_is_marked():
    page = 'One\n\n```python\nx = 1\n```\n\n    ```python browser="no"\n    y = 2\n    ```\n'
    here = "One\n\n```{ .python .run }\nx = 1\n```\n\n    ```python\n    y = 2\n    ```\n"
    assert fences.expand(page, "page", live=True) == here
    assert fences.expand(page, "page") == here.replace("{ .python .run }", "python")
    assert ".run" not in fences.expand('```python source="core.py:grad"\n```\n', "page", live=True)
    assert [fence.line for fence, _ in fences.run(page, "page", {})] == [3, 7]
    assert [fence.line for fence, _ in fences.run(page, "page", {}, browser=True)] == [3]


def test_an_error_of_a_class_is_put_in_as_it_is_told():
    page = '```python\n1 / 0\n```\n\n```text raises="ZeroDivisionError"\n```\n'
    shown = fences.expand(page, "page")
    assert "```{ .text .message }\nZeroDivisionError: division by zero\n```" in shown
    with pytest.raises(AssertionError, match="page:1: expected 'ValueError', but got 'ZeroDiv"):
        fences.expand(page.replace("ZeroDivisionError", "ValueError"), "page")
    with pytest.raises(AssertionError, match="expected 'ZeroDivisionError', but got ''"):
        fences.expand(page.replace("1 / 0", "1"), "page")


@pytest.mark.parametrize("source", ["core.py:absent", "core.py:Variable.absent", "absent.py:x"])
def test_an_excerpt_that_is_not_there_fails(source):
    with pytest.raises(ValueError, match=r"page:1: .*absent"):
        fences.expand(f'```python source="{source}"\n```\n', "page")
    with pytest.raises(ValueError, match="no line with 'absent'"):
        fences.expand('```python source="core.py:grad" from="absent"\n```\n', "page")


def test_excerpts_are_the_source():
    shown = fences.expand('```python source="core.py:Variable.__init__"\n```\n', "page")
    lines = (fences.PACKAGE / "core.py").read_text(encoding="utf-8").splitlines()
    first, last = map(int, re.search(r"lines (\d+)–(\d+)", shown).groups())
    assert "    def __init__(self, array: Any) -> None:" == lines[first - 1]
    body = shown.splitlines()[1:-1]
    assert body == [line.removeprefix("    ") for line in lines[first - 1 : last]]
    short = fences.expand('```python source="core.py:grad" docstring="no"\n```\n', "page")
    assert '"""' not in short
    assert short.splitlines()[-2] in "\n".join(lines)
