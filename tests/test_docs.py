"""What the pages for contributors show is true."""

import io
import re
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path
from textwrap import indent

import tinygrad_edu as tg

ROOT = Path(__file__).parent.parent


def inserted(path, before, code):
    """Put code in front of a line of a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} in {path.name}"
    path.write_text(text.replace(before, code + before), encoding="utf-8")


def test_the_recipe_for_an_operation_works_to_the_letter(tmp_path):
    page = (ROOT / "docs" / "add_an_operation.md").read_text(encoding="utf-8")
    blocks = re.findall(r'```\w+ title="([\w./]+).*?"\n(.*?)```', page, flags=re.DOTALL)
    shutil.copytree(Path(tg.__file__).parent, tmp_path / "tinygrad_edu")
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("node"))
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, tmp_path)
    places = [  # the lines that its lines go in front of
        ("tinygrad_edu/ops.py", "# ── Choosing"),
        ("tinygrad_edu/__init__.py", "    astype,\n"),
        ("tinygrad_edu/tensor.py", "    sin, cos, tanh, sigmoid ="),
        ("tinygrad_edu/numpy_functions.py", "    np.tanh: ops.tanh,"),
        ("tests/test_ops.py", '    "abs": ['),
        ("tests/test_properties.py", '    "abs": Law('),
    ]
    for (path, before), (title, code) in zip(places, blocks, strict=True):
        assert title == path
        if path == "tinygrad_edu/__init__.py":  # where it goes into two lists
            inserted(tmp_path / path, '"tanh", "sigmoid"', f'"{code.strip()}", ')
            code = code.replace("\n", ",\n")
        is_function = path == "tinygrad_edu/ops.py"
        inserted(tmp_path / path, before, code + "\n\n" if is_function else indent(code, "    "))

    def run(*command):
        result = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    files = "ops properties package docs".split()
    arguments = "-q -p no:cacheprovider -o testpaths= tinygrad_edu/ops.py".split()
    arguments += [f"tests/test_{name}.py" for name in files]
    passed = run("pytest", *arguments, "-k", "arctan or quarter")
    # second order, its law twice, three doors, the docstring, the length of core.py
    assert "8 passed" in passed
    for tool in ("ruff check", "ruff format --check", "mypy"):
        module, *rest = tool.split()
        if shutil.which(module):
            run(module, *rest, *([] if module == "mypy" else ["tinygrad_edu"]))
    code = "import numpy as np, tinygrad_edu as tg; x = tg.Tensor(1.0); "
    code += "print(tg.arctan(x).item(), x.arctan().item(), np.arctan(x).item())"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout.count("0.785") == 3


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


def test_the_chinese_readme_has_the_code_and_the_parts_of_the_english_one():
    parts = []
    for name in ("README.md", "README.zh.md"):
        page = (ROOT / name).read_text(encoding="utf-8")
        code = re.findall(r"```.*?```", page, flags=re.DOTALL)
        files = re.findall(r"^\| (`.*?) \|", page, flags=re.MULTILINE)
        shape = re.findall(r"^(#+ |\* |\| )", page, flags=re.MULTILINE)
        parts.append((code, files, shape))
    assert parts[0] == parts[1]
