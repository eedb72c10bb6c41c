"""The exercises of all chapters, as a course and as pages to print.

An exercise is written where it belongs, in the chapter; here they are collected.
"""

import ast
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import fences

DOCS = Path(__file__).parent.parent / "docs"
COURSE = [  # "write the package again"
    *("scalar", "pass", "formulas", "unbroadcast", "module", "loader"),
    *("sgd", "momentum", "adam", "product", "lanczos", "escape"),
]
BLOCK = r'^{} "{}"\n((?:\n| {{4}}.*\n?)*)'  # an admonition of the page


class Exercise(NamedTuple):
    """One exercise: its name and title, its page, and what is written there."""

    name: str
    title: str
    page: str
    chapter: str
    question: str  # without stub, checks and hints
    stub: str
    checks: list  # what each says
    solution: str

    @property
    def link(self):
        """Its place in its chapter."""
        return f"{self.page}#exercise-{self.name}"


def says(checks):
    r"""List what checks say.

    >>> says('x = 1\nassert x == 1, "x is 1"\ntg.check_grads(f, x)')
    ['x is 1', '`tg.check_grads(f, x)` finds no error']
    """
    lines = []
    for node in ast.parse(checks).body:
        code = ast.unparse(node)
        if isinstance(node, ast.Assert):
            lines.append(node.msg.value)
        elif code.startswith("tg.check_grads"):
            lines.append(f"`{code}` finds no error")
    return lines


def collect(pages):
    """Find the exercises of some pages, by name."""
    found = {}
    for page in pages:
        text = (DOCS / page).read_text(encoding="utf-8")
        chapter = text.split("\n", 1)[0].removeprefix("# ")
        questions = re.finditer(
            BLOCK.format(r"!!! question", "Exercise: (.*?)"), text, re.MULTILINE
        )
        solutions = re.findall(BLOCK.format(r"\?\?\? success", "Solution"), text, re.MULTILINE)
        for question, solution in zip(questions, solutions, strict=True):
            body = re.sub(
                BLOCK.format(r"\?\?\? tip", ".*"), "", textwrap.dedent(question[2]), flags=re.M
            )
            stub, checks = fences.parse(body)
            prose = (body[: stub.start] + body[checks.end :]).strip()
            name = stub.options["exercise"]
            solution = re.sub(r"python solution=\S+", "python", textwrap.dedent(solution)).strip()
            parts = (prose, stub.body, says(checks.body), solution)
            title = question[1][0].upper() + question[1][1:]
            found[name] = Exercise(name, title, page, chapter, *parts)
    return found


def at_the_top(text, page):
    """Change the links of a page so that they hold at the top of the site.

    >>> at_the_top("[a](../a.md), [b](b.md#x), [c](https://c)", "source/page.md")
    '[a](a.md), [b](source/b.md#x), [c](https://c)'
    """
    if "/" not in page:
        return text
    text = re.sub(r"\]\((?!https?:|\.\./)", f"]({page.rpartition('/')[0]}/", text)
    return text.replace("](../", "](")


def table(exercises, names):
    """List some exercises, each with a link to its chapter."""
    rows = ["| | exercise | chapter |", "|---|---|---|"]
    for number, name in enumerate(names, 1):
        it = exercises[name]
        rows.append(f"| {number} | [{it.title}]({it.link}) | [{it.chapter}]({it.page}) |")
    return "\n".join(rows)


def sheet(exercises, solved):
    """Make a page to print, with or without the solutions."""
    order = [*COURSE, *(name for name in exercises if name not in COURSE)]
    parts = ["# The exercises" + (", with solutions" if solved else "")]
    other = "[without](exercises.md)" if solved else "[with solutions](exercises_solved.md)"
    parts.append(
        f"To print, or {other}. Each can be [done in the browser](course.md), which checks it."
    )
    for number, name in enumerate(order, 1):
        it = exercises[name]
        shown = [
            f"## {number}. {it.title}",
            f"*[{it.chapter}]({it.link})*",
            at_the_top(it.question, it.page),
            f"```python\n{it.stub}```",
            "It is right if:\n\n" + "\n".join(f"* {line}" for line in it.checks),
        ]
        if solved:
            shown += ["**Solution**", at_the_top(it.solution, it.page)]
        parts.append('<div class="sheet" markdown>\n\n' + "\n\n".join(shown) + "\n\n</div>")
    return "\n\n".join(parts) + "\n"


def messages(chapters):
    """List what the checks of all exercises say in words."""
    exercises = collect(["fifteen_minutes.md", *chapters]).values()
    return [line for it in exercises for line in it.checks if "check_grads" not in line]


def pages(chapters, text):
    """Fill the page of the course, and make those to print."""
    exercises = collect(["fifteen_minutes.md", *chapters])
    others = [name for name in exercises if name not in COURSE]
    text = text.replace("{course}", table(exercises, COURSE))
    return {
        "course.md": text.replace("{others}", table(exercises, others)),
        "exercises.md": sheet(exercises, solved=False),
        "exercises_solved.md": sheet(exercises, solved=True),
    }
