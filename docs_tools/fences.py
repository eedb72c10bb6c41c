"""The code fences of the pages: excerpts of the real source, drawings, and running them all.

    ```python source="core.py:grad"     the source of a function, class, method or assignment
    ```python source="examples/rules.py:judge"               the same, outside the package
    ```python source="core.py:grad" from="for " to="return" docstring="no"     some of its lines
    ```python draw alt="x·x + x"        run as code; its last expression, an SVG or the figure of
                                        a backward pass, is shown below
    ```python exercise="cube"           what a reader starts from; it must fail a check
    ```python check="cube"              the checks, of which readers see the results
    ```python solution="cube"           run as code; all checks must hold
    ```python browser="no"              run as code, but not by Python in a reader's browser: it
                                        needs threads, Matplotlib or SciPy
    ```python title="Mended"            run as code, and shown under a title

All other `python` fences of a page run in order, in one namespace: as code, or as a doctest if they
start with >>>. Where a `text` fence with an error follows at once, just that error must come. With
`raises="ValueError"` an error of this class must come, and its message is put into the fence.
"""

import ast
import base64
import contextlib
import doctest
import io
import re
import shlex
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import tinygrad_edu

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "docs" / "assets" / folder) for folder in ("live", "exercise")]
import exercise  # what readers' browsers run, too

PACKAGE = Path(tinygrad_edu.__file__).parent
FENCE = re.compile(r"^( *)(`{3,}|~{3,})([^\n]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
ERROR = re.compile(r"\w*(Error|Exception): ")


class Fence(NamedTuple):
    """A fenced block: its language and options, its text, and where on the page it is."""

    language: str
    options: dict
    body: str
    line: int  # of the opening fence
    indent: str
    start: int
    end: int


def parse(page):
    r"""Find all fences of a page.

    >>> [fence] = parse('Look:\n\n    ```python draw alt="A picture"\n    x = 1\n    ```\n')
    >>> fence.language, fence.options, fence.body, fence.line
    ('python', {'draw': '', 'alt': 'A picture'}, 'x = 1\n', 3)
    """
    fences = []
    for match in FENCE.finditer(page):
        indent, _, head, body = match.groups()
        language, *words = shlex.split(head) or [""]
        options = dict(word.partition("=")[::2] for word in words)
        line = page.count("\n", 0, match.start()) + 1
        body = textwrap.dedent(body)
        fences.append(Fence(language, options, body, line, indent, *match.span()))
    return fences


# ── Excerpts ─────────────────────────────────────────────────────────────────────────────────────


def find(tree, name):
    """Find the definition of a dotted name, such as Variable.__init__."""
    for part in name.split("."):
        for node in tree.body:
            targets = getattr(node, "targets", [getattr(node, "target", node)])
            names = [getattr(target, "id", getattr(target, "name", None)) for target in targets]
            if part in names:
                tree = node
                break
        else:
            raise ValueError(f"there is no {part!r} on the way to {name!r}")
    return tree


def documented(tree):
    """Yield the first and the last line of each docstring."""
    for node in ast.walk(tree):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            yield node.body[0].lineno, node.body[0].end_lineno


def locate(text, lines, first, last, source):
    """Find the first line with a text, in a range of lines."""
    for number in range(first, last + 1):
        if text in lines[number - 1]:
            return number
    raise ValueError(f"no line with {text!r} in {source}, lines {first} to {last}")


def excerpt(source, start="", end="", docstring="yes"):
    """Return lines of a source file, and the title to put above them.

    >>> code, title = excerpt("core.py:grad", start="def grad(", end="inputs:")
    >>> print(code)
    def grad(
        outputs: Any,
        inputs: Any,
    """
    file, _, name = source.partition(":")
    path = ROOT / file if "/" in file else PACKAGE / file
    text = path.read_text(encoding="utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    first, last = 1, len(lines)
    if name:
        node = find(tree, name)
        decorators = [decorator.lineno for decorator in getattr(node, "decorator_list", [])]
        first, last = min([node.lineno, *decorators]), node.end_lineno
    first = locate(start, lines, first, last, source) if start else first
    last = locate(end, lines, first, last, source) if end else last
    kept = set(range(first, last + 1))
    if docstring == "no":
        for top, bottom in documented(tree):
            # An empty line after the docstring belongs to it.
            kept -= set(range(top, bottom + 1 + (bottom < last and not lines[bottom].strip())))
    code = textwrap.dedent("\n".join(lines[n - 1] for n in sorted(kept)))
    return code, f"{file}, line {first}" if first == last else f"{file}, lines {first}–{last}"


# ── Running ──────────────────────────────────────────────────────────────────────────────────────


def execute(fence, page, namespace):
    """Run one fence; of a `draw` fence, return the value of its last expression."""
    if fence.body.lstrip().startswith(">>>"):
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        test = doctest.DocTestParser().get_doctest(fence.body, {}, page, page, fence.line)
        test.globs, told = namespace, []  # not a copy: the names are for the fences that follow
        doctest.DocTestRunner(optionflags=flags).run(test, out=told.append, clear_globs=False)
        if told:
            raise AssertionError("".join(told))
        return None
    # Empty lines before the code, so that an error names the line of the page.
    tree = ast.parse("\n" * fence.line + fence.body, page)
    last = tree.body.pop() if "draw" in fence.options else None
    exec(compile(tree, page, "exec"), namespace)
    if last is None:
        return None
    if not isinstance(last, ast.Expr):
        raise TypeError(f"{page}:{fence.line}: a drawing must end in an expression")
    return eval(compile(ast.Expression(last.value), page, "eval"), namespace)


def runs(fence, browser=False):
    """Tell whether a fence is code to run; with `browser`, by Python in a reader's browser."""
    code = fence.language == "python" and not {"source", "exercise", "check"} & set(fence.options)
    return code and not (browser and fence.options.get("browser") == "no")


def run(text, page, namespace, browser=False):
    """Run the Python fences of a page, one by one, and yield each with what is to be shown.

    That is the value of a drawing, or an error. With `browser`, leave out what it cannot run.
    """
    fences = parse(text)
    for fence, after in zip(fences, [*fences[1:], None]):
        if not runs(fence, browser):
            continue
        if name := fence.options.get("solution"):
            stub, checks = (one_fence(fences, kind, name, page) for kind in ("exercise", "check"))
            judge(page, stub, checks, fence, namespace)
        follows = after and after.language == "text" and not text[fence.end : after.start].strip()
        expected = after.body.strip() if follows and ERROR.match(after.body) else ""
        raises = after.options.get("raises", "") if follows else ""
        said, value = "", None
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                value = execute(fence, page, namespace)
        except Exception as error:
            if not expected and not raises:
                raise
            name = type(error).__name__
            said = "\n".join([f"{name}: {error}", *getattr(error, "__notes__", [])])
        if raises and said.startswith(f"{raises}: "):
            value = said
        elif said != (expected or raises):
            told = f"expected {expected or raises!r}, but got {said!r}"
            raise AssertionError(f"{page}:{fence.line}: {told}")
        yield fence, value


def one_fence(fences, kind, name, page):
    """Find the stub or the checks of an exercise."""
    found = [fence for fence in fences if fence.options.get(kind) == name]
    if len(found) != 1:
        raise ValueError(f'{page}: there are {len(found)} fences with {kind}="{name}"')
    return found[0]


def judge(page, stub, checks, solution, namespace):
    """Make sure that a solution passes all checks, and that what it starts from does not."""
    for fence, expected in ((stub, False), (solution, True)):
        result = exercise.check(page, fence.body, checks.body, namespace)
        if result["solved"] != expected:
            told = "solves" if result["solved"] else "does not solve"
            raise AssertionError(f"{page}:{fence.line}: this {told} the exercise: {result}")


# ── What readers see ─────────────────────────────────────────────────────────────────────────────


def drawing(svg, alt):
    """Show a drawing that follows the system's light or dark so that it follows the page's.

    An SVG becomes an image for each; a figure, which a script changes, becomes part of the page.
    """
    if svg.startswith("<figure"):
        dark = '[data-md-color-scheme="slate"]'  # as docs/assets/graph/graph.js does
        return svg.replace("@media(prefers-color-scheme:dark)", dark)
    lines = []
    for theme, when in (("light", "not all"), ("dark", "all")):
        picture = svg.replace("@media(prefers-color-scheme:dark)", f"@media {when}")
        data = base64.b64encode(picture.encode()).decode()
        lines.append(f"![{alt}](data:image/svg+xml;base64,{data}#only-{theme})")
    return "\n".join(lines)


def cell(stub, checks):
    """Mark what an exercise starts from; its checks are not for the eye, and no secret.

    Links lead to an anchor of its own: a strict build does not see those of code.
    """
    data = base64.b64encode(checks.body.encode()).decode()
    name, needs = stub.options["exercise"], stub.options.get("browser", "yes")
    more = f'data-exercise="{name}" data-browser="{needs}" data-checks="{data}"'
    anchor = f'<a id="exercise-{name}"></a>'
    return f"{anchor}\n\n```{{ .python .exercise {more} }}\n{stub.body}```"


def expand(text, page, live=False):
    """Put the excerpts and the drawings in; if the page is live, mark what can be run on it."""
    fences, drawings, errors, namespace = parse(text), {}, {}, {"__name__": page}
    left = sum(fence.language == "python" and "draw" in fence.options for fence in fences)
    left += sum("raises" in fence.options for fence in fences)
    running = run(text, page, namespace)
    while left:  # so that a page without drawings is not run
        fence, value = next(running)
        after = next((it for it in fences if it.start > fence.start), None)
        if after and "raises" in after.options:
            errors[after.start], left = value, left - 1
        if "draw" in fence.options:
            if not str(value).startswith(("<svg", "<figure")):
                raise TypeError(f"{page}:{fence.line}: a drawing must be SVG, not {value!r:.60}")
            alt = fence.options.get("alt", "The recorded computation, drawn as a graph")
            drawings[fence.start], left = drawing(value, alt), left - 1
    parts, done = [], 0
    for fence in fences:
        shown, options = None, fence.options
        if "source" in options:
            try:
                names = {"from": "start", "to": "end"}
                code, title = excerpt(**{names.get(key, key): options[key] for key in options})
            except (ValueError, TypeError, OSError) as error:
                raise ValueError(f"{page}:{fence.line}: {error}") from error
            shown = f'```python title="{title}"\n{code}\n```'
        elif "exercise" in options:
            checks = one_fence(fences, "check", options["exercise"], page)
            shown = cell(fence, checks)
        elif "check" in options:
            shown = ""
        elif fence.start in errors:
            shown = f"```{{ .text .message }}\n{errors[fence.start]}\n```"
        elif fence.language == "python":
            head = "{ .python .run }" if live and runs(fence, browser=True) else "python"
            head += f' title="{options["title"]}"' if "title" in options else ""
            shown = f"```{head}\n{fence.body}```"
            if fence.start in drawings:
                shown += f"\n\n{drawings[fence.start]}"
        if shown is not None:
            parts += [text[done : fence.start], textwrap.indent(shown, fence.indent)]
            done = fence.end
    return "".join([*parts, text[done:]])
