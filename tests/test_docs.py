"""What the pages for contributors show is true."""

import io
import re
import tokenize
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import ops

ROOT = Path(__file__).parent.parent


def test_the_operation_in_five_lines_works_as_shown():
    page = (ROOT / "docs" / "add_an_operation.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names = dict(vars(ops))
    exec(code, names)
    tg.check_grads(names["softplus"], np.array([-1.0, 0.0, 2.0]), order=3)


def code_lines(path):
    """Count the lines that are neither empty nor part of a comment or a docstring."""
    lines, before = set(), tokenize.INDENT
    skipped = {tokenize.COMMENT, tokenize.NL}
    layout = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in skipped or token.type == tokenize.ENDMARKER:
            continue
        docstring = token.type == tokenize.STRING and before in layout
        if token.type not in layout and not docstring:
            lines.update(range(token.start[0], token.end[0] + 1))
        before = tokenize.NEWLINE if docstring else token.type
    return len(lines)


def test_core_can_be_read_in_a_quarter_of_an_hour():
    assert code_lines(Path(tg.__file__).parent / "core.py") <= 220


def test_the_readme_links_to_nothing_that_an_index_cannot_show():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((?!https://)", page) == []
