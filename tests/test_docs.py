"""What the pages for contributors show is true."""

import io
import re
import shutil
import subprocess
import sys
import textwrap
import tokenize
from pathlib import Path

import tinygrad_edu as tg

ROOT = Path(__file__).parent.parent


def inserted(path, before, code):
    """Put code in front of a line of a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} in {path.name}"
    path.write_text(text.replace(before, code + before), encoding="utf-8")


def test_the_recipe_for_an_operation_works_to_the_letter(tmp_path):
    page = (ROOT / "docs" / "add_an_operation.md").read_text(encoding="utf-8")
    operation, case, law = (
        textwrap.dedent(code)
        for code in re.findall(r"```(?:python|text)\n(.*?)```", page, flags=re.DOTALL)
    )
    shutil.copytree(ROOT / "tinygrad_edu", tmp_path / "tinygrad_edu")
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("node"))
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, tmp_path)
    package, tests = tmp_path / "tinygrad_edu", tmp_path / "tests"
    inserted(package / "ops.py", "# ── Choosing", operation + "\n\n")
    inserted(tests / "test_ops.py", '    "abs": [', textwrap.indent(case, "    "))
    inserted(tests / "test_properties.py", '    "abs": Law(', textwrap.indent(law, "    "))
    inserted(package / "__init__.py", "    sqrt,\n", "    softplus,\n")
    inserted(package / "__init__.py", '"tanh", "sigmoid"', '"softplus", ')

    def run(*command):
        result = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    arguments = "-q -p no:cacheprovider -o testpaths= tests/test_ops.py tests/test_properties.py"
    passed = run("pytest", *arguments.split(), "tests/test_docs.py", "tinygrad_edu/ops.py", "-k",
                 "softplus or quarter")  # fmt: skip
    assert "5 passed" in passed  # second order, its law twice, the docstring, the length of core.py
    for tool in ("ruff check", "ruff format --check", "mypy"):
        module, *rest = tool.split()
        if shutil.which(module):
            run(module, *rest, *([] if module == "mypy" else ["tinygrad_edu"]))
    code = "import tinygrad_edu as tg; print(tg.softplus(tg.Tensor(0.0)).item())"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("0.693")


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
